/*
 * action.c
 *		Moving a plan, as functions, and what can be done with one.
 *
 * Each locks the plan and runs the UPDATE that a client could run, under an Intent
 * that says which action is meant.
 */
#include "action.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "budgetaction.h"
#include "error.h"
#include "guard.h"
#include "planfacts.h"
#include "transition.h"

SAVED_QUERY(read_plan,
			"SELECT p.status, p.workflow, p.number, p.patient_id, p.budget_id, "
			"p.budget_status FROM txplan.plans AS p "
			"WHERE p.id" EQ "$1 AND p.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

PG_FUNCTION_INFO_V1(txplan_transition_plan);
PG_FUNCTION_INFO_V1(txplan_confirm_plan);
PG_FUNCTION_INFO_V1(txplan_reopen_plan);
PG_FUNCTION_INFO_V1(txplan_accept_plan);
PG_FUNCTION_INFO_V1(txplan_close_plan);
PG_FUNCTION_INFO_V1(txplan_reactivate_plan);
PG_FUNCTION_INFO_V1(txplan_advance_plan);
PG_FUNCTION_INFO_V1(txplan_available_actions);

/*
 * DoAction is the body of all functions that move a plan.
 */
static Datum
DoAction(FunctionCallInfo fcinfo, const char *action, const char *reason,
		 const char *note, int clinic_argument)
{
	Intent meant = { 0 };
	TreatmentPlan *plan;
	const Workflow *workflow;

	RequireArgument(fcinfo, 0, "plan_id");
	RequireRecord();
	RequirePrivilege(TABLE_PLANS, ACL_UPDATE);
	plan = LockArgument(fcinfo, TABLE_PLANS, clinic_argument);
	workflow = RequireWorkflow(plan->workflow);
	meant.action = action;
	meant.reason = reason;
	meant.note = note;
	MovePlan(plan, RequireAction(workflow, plan, action, false), &meant,
			 AS_CALLER);
	return PlanStatus(&plan->key);
}

/*
 * TextArgument returns an optional text argument; an empty one says nothing.
 */
static char *
TextArgument(FunctionCallInfo fcinfo, int n)
{
	char *value;

	if (PG_ARGISNULL(n))
		return NULL;
	value = text_to_cstring(PG_GETARG_TEXT_PP(n));
	return value[0] == '\0' ? NULL : value;
}

/*
 * txplan_transition_plan does an action of a plan's workflow.
 */
Datum
txplan_transition_plan(PG_FUNCTION_ARGS)
{
	RequireArgument(fcinfo, 0, "plan_id");
	RequireArgument(fcinfo, 1, "action");
	RequireRecord();
	CheckTextArgument(fcinfo, 3, "note", NOTE_MAX_CHARS, true);
	return DoAction(fcinfo, text_to_cstring(PG_GETARG_TEXT_PP(1)),
					TextArgument(fcinfo, 2), TextArgument(fcinfo, 3), 4);
}

/*
 * txplan_close_plan closes a plan.
 */
Datum
txplan_close_plan(PG_FUNCTION_ARGS)
{
	RequireArgument(fcinfo, 0, "plan_id");
	RequireRecord();
	CheckTextArgument(fcinfo, 2, "note", NOTE_MAX_CHARS, true);
	return DoAction(fcinfo, "close", TextArgument(fcinfo, 1),
					TextArgument(fcinfo, 2), 3);
}

/*
 * The actions that are functions of their own
 */
Datum
txplan_confirm_plan(PG_FUNCTION_ARGS)
{
	return DoAction(fcinfo, "confirm", NULL, NULL, 1);
}

Datum
txplan_reopen_plan(PG_FUNCTION_ARGS)
{
	return DoAction(fcinfo, "reopen", NULL, NULL, 1);
}

Datum
txplan_accept_plan(PG_FUNCTION_ARGS)
{
	return DoAction(fcinfo, "accept", NULL, NULL, 1);
}

Datum
txplan_reactivate_plan(PG_FUNCTION_ARGS)
{
	return DoAction(fcinfo, "reactivate", NULL, NULL, 1);
}

/*
 * txplan_advance_plan tries the automatic transitions of a plan.
 */
Datum
txplan_advance_plan(PG_FUNCTION_ARGS)
{
	TreatmentPlan *plan;

	RequireArgument(fcinfo, 0, "plan_id");
	RequireRecord();
	RequirePrivilege(TABLE_PLANS, ACL_UPDATE);
	plan = LockArgument(fcinfo, TABLE_PLANS, 1);
	AdvancePlan(plan);
	return PlanStatus(&plan->key);
}

/*
 * AddAvailableAction adds an action to the list of what can be done, with the
 * reasons that stand in its way.
 */
void
AddAvailableAction(ReturnSetInfo *result, const char *kind, const char *action,
				   const char *to_status, bool permitted, List *reasons)
{
	Datum *blockers =
		(Datum *) palloc(sizeof(Datum) * Max(1, list_length(reasons)));
	Datum values[5];
	bool nulls[5] = { false };
	ListCell *cell;
	int n = 0;

	foreach(cell, reasons)
		blockers[n++] = CStringGetTextDatum((char *) lfirst(cell));
	values[0] = CStringGetTextDatum(kind);
	values[1] = CStringGetTextDatum(action);
	values[2] = CStringGetTextDatum(to_status);
	values[3] = BoolGetDatum(permitted);
	values[4] = ArrayOf(blockers, NULL, n, TEXTOID);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * Blockers tells what stands in the way of a transition: the guards that refuse
 * and, for a plan that is closed, the plans that have its treatments.
 */
static List *
Blockers(const Workflow *workflow, const WorkflowTransition *transition,
		 const PlanKey *plan)
{
	List *reasons = GuardReasons(transition, plan, true);

	if (FindState(workflow, transition->from_state)->final &&
		!FindState(workflow, transition->to_state)->final)
		reasons = list_concat(reasons, TreatmentConflicts(plan));
	return reasons;
}

/*
 * txplan_available_actions lists what can be done with a plan.
 */
Datum
txplan_available_actions(PG_FUNCTION_ARGS)
{
	TreatmentPlan plan = { 0 };
	pg_uuid_t plan_id;
	Datum arguments[2];
	Datum values[6];
	bool isnull[6];
	const Workflow *workflow;
	bool permitted;
	ReturnSetInfo *result;
	int i;

	RequireArgument(fcinfo, 0, "plan_id");
	RequireRecord();
	plan.key.id = *PG_GETARG_UUID_P(0);
	if (!PG_ARGISNULL(1))
		plan.key.clinic_id = *PG_GETARG_UUID_P(1);
	else if (!FindClinicOf(TABLE_PLANS, &plan.key.id, &plan.key.clinic_id,
						   &plan_id))
		RaiseMissing("plan", &plan.key.id);
	arguments[0] = UUIDPGetDatum(&plan.key.id);
	arguments[1] = UUIDPGetDatum(&plan.key.clinic_id);
	if (!QueryRow(&read_plan, AS_CALLER, arguments, NULL, values, isnull))
		RaiseMissing("plan", &plan.key.id);
	plan.status = TextDatumGetCString(values[0]);
	plan.workflow = TextDatumGetCString(values[1]);
	plan.number = TextDatumGetCString(values[2]);
	plan.patient_id = *DatumGetUUIDP(values[3]);
	plan.has_budget = !isnull[4];
	if (plan.has_budget)
		plan.budget_id = *DatumGetUUIDP(values[4]);
	plan.budget_status = isnull[5] ? NULL : TextDatumGetCString(values[5]);
	workflow = RequireWorkflow(plan.workflow);
	permitted =
		pg_class_aclcheck(RecordRelation(TABLE_PLANS), GetUserId(),
						  ACL_UPDATE) == ACLCHECK_OK ||
		pg_attribute_aclcheck(RecordRelation(TABLE_PLANS),
							  get_attnum(RecordRelation(TABLE_PLANS), "status"),
							  GetUserId(), ACL_UPDATE) == ACLCHECK_OK;

	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	for (i = 0; i < workflow->ntransitions; i++)
	{
		const WorkflowTransition *transition = &workflow->transitions[i];

		if (transition->automatic ||
			strcmp(transition->from_state, plan.status) != 0)
			continue;
		AddAvailableAction(result, "transition", transition->action,
						   transition->to_state, permitted,
						   Blockers(workflow, transition, &plan.key));
	}
	AddBudgetActions(result, &plan);
	return (Datum) 0;
}
