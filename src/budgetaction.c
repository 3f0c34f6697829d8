/*
 * budgetaction.c
 *		What is done with budgets, as functions.
 *
 * Each locks the plan before it touches the budget, and runs the statement that a
 * client could run; the triggers do the rest.
 */
#include "budgetaction.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "action.h"
#include "budget.h"
#include "error.h"
#include "livebudget.h"
#include "planfacts.h"
#include "spi.h"
#include "transition.h"

SAVED_QUERY(insert_budget,
			"INSERT INTO txplan.budgets (plan_id, clinic_id, patient_id) "
			"VALUES ($1, $2, $3) RETURNING id",
			UUIDOID, UUIDOID, UUIDOID);

SAVED_QUERY(insert_version,
			"INSERT INTO txplan.budgets (supersedes_id, clinic_id) "
			"VALUES ($1, $2) RETURNING id",
			UUIDOID, UUIDOID);

SAVED_QUERY(link_budget,
			"UPDATE txplan.budgets SET plan_id = $3 "
			"WHERE id" EQ "$1 AND clinic_id" EQ "$2",
			UUIDOID, UUIDOID, UUIDOID);

SAVED_QUERY(set_status,
			"UPDATE txplan.budgets SET status = $3 "
			"WHERE id" EQ "$1 AND clinic_id" EQ "$2",
			UUIDOID, UUIDOID, TEXTOID);

SAVED_QUERY(set_status_with_note,
			"UPDATE txplan.budgets SET status = $3, decision_note = $4 "
			"WHERE id" EQ "$1 AND clinic_id" EQ "$2",
			UUIDOID, UUIDOID, TEXTOID, TEXTOID);

SAVED_QUERY(read_item_list,
			"SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object("
			"'item_id', l.item_id, 'description', l.description, "
			"'unit_price', l.unit_price::pg_catalog.text, "
			"'net_amount', l.net_amount::pg_catalog.text) ORDER BY l.position) "
			"FROM txplan.budget_lines AS l "
			"WHERE l.budget_id" EQ "$1 AND l.clinic_id" EQ "$2 "
			"AND l.item_id IS NOT NULL",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_line,
			"SELECT 1 FROM txplan.budget_lines AS l "
			"WHERE l.budget_id" EQ "$1 AND l.clinic_id" EQ "$2 LIMIT 1",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_overdue,
			"SELECT 1 FROM txplan.budgets AS b "
			"JOIN txplan.clinics AS c ON c.id" EQ "b.clinic_id "
			"WHERE b.id" EQ "$1 AND b.clinic_id" EQ "$2 AND b.valid_until" LT
			"pg_catalog.timezone(c.time_zone, "
			"pg_catalog.clock_timestamp())::pg_catalog.date",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_unlinked,
			"SELECT 1 FROM txplan.budgets AS b "
			"WHERE b.patient_id" EQ "$1 AND b.clinic_id" EQ "$2 "
			"AND b.plan_id IS NULL "
			"AND (b.status" EQ "'draft' OR b.status" EQ "'sent' OR b.status" EQ
			"'accepted') LIMIT 1",
			UUIDOID, UUIDOID);

PG_FUNCTION_INFO_V1(txplan_generate_budget);
PG_FUNCTION_INFO_V1(txplan_link_budget);
PG_FUNCTION_INFO_V1(txplan_sync_budget);
PG_FUNCTION_INFO_V1(txplan_send_budget);
PG_FUNCTION_INFO_V1(txplan_accept_budget);
PG_FUNCTION_INFO_V1(txplan_reject_budget);
PG_FUNCTION_INFO_V1(txplan_cancel_budget);
PG_FUNCTION_INFO_V1(txplan_resend_budget);

/*
 * RequirePendingItem raises TX002 for a plan of which nothing is left to quote.
 */
static void
RequirePendingItem(const TreatmentPlan *plan)
{
	if (!HasPendingItem(&plan->key))
		ereport(ERROR, (errcode(ERRCODE_TX_TRANSITION_BLOCKED),
						errmsg("plan %s has nothing to quote", plan->number),
						errdetail("None of its items is pending."),
						errhint("Add an item first.")));
}

/*
 * txplan_generate_budget makes the draft that quotes a plan's pending items.
 */
Datum
txplan_generate_budget(PG_FUNCTION_ARGS)
{
	TreatmentPlan *plan;
	Datum arguments[3];
	Datum id;

	RequireArgument(fcinfo, 0, "plan_id");
	RequireRecord();
	RequirePrivilege(TABLE_BUDGETS, ACL_INSERT);
	plan = LockArgument(fcinfo, TABLE_PLANS, 1);
	if (!StateOfPlan(plan)->final && !HasLiveBudget(plan))
		RequirePendingItem(plan);
	arguments[0] = UUIDPGetDatum(&plan->key.id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[2] = UUIDPGetDatum(&plan->patient_id);
	if (!FillNewBudget(&insert_budget, AS_CALLER, arguments, &id))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(id);
}

/*
 * StatusOfPlanOf is the status of a budget's plan after all that followed; NULL
 * for a budget that has none.
 */
static Datum
StatusOfPlanOf(FunctionCallInfo fcinfo, const FoundBudget *budget)
{
	PlanKey key;

	if (!budget->linked)
		PG_RETURN_NULL();
	key.id = budget->plan_id;
	key.clinic_id = budget->clinic_id;
	return PlanStatus(&key);
}

/*
 * RunOnBudget runs an UPDATE of one budget as the caller.
 */
static void
RunOnBudget(SavedQuery *query, Datum *arguments, const FoundBudget *budget)
{
	uint64 rows;

	ConnectSpi();
	rows = RunQuery(query, AS_CALLER, arguments, NULL);
	FinishSpi();
	if (rows == 0)
		RaiseMissing("budget", &budget->id);
}

/*
 * txplan_link_budget links a budget to a plan.
 */
Datum
txplan_link_budget(PG_FUNCTION_ARGS)
{
	TreatmentPlan *plan;
	FoundBudget budget;
	Datum arguments[3];

	RequireArgument(fcinfo, 0, "plan_id");
	RequireArgument(fcinfo, 1, "budget_id");
	RequireRecord();
	RequirePrivilege(TABLE_BUDGETS, ACL_UPDATE);
	plan = LockArgument(fcinfo, TABLE_PLANS, 2);
	if (!FindBudget(PG_GETARG_UUID_P(1), &plan->key.clinic_id, &budget))
	{
		if (FindBudget(PG_GETARG_UUID_P(1), NULL, &budget))
			RaiseWrongClinic("budget", PG_GETARG_UUID_P(1));
		RaiseMissing("budget", PG_GETARG_UUID_P(1));
	}
	LockBudget(&budget);
	if (budget.linked && memcmp(&budget.plan_id, &plan->key.id, UUID_LEN) == 0)
		return PlanStatus(&plan->key);
	if (budget.linked)
		ereport(ERROR, (errcode(ERRCODE_TX_TRANSITION_BLOCKED),
						errmsg("budget %s v%d is another plan's", budget.number,
							   budget.version),
						errdetail("It is linked to plan \"%s\".",
								  UuidText(&budget.plan_id)),
						errhint("Generate a budget for this plan.")));
	arguments[0] = PG_GETARG_DATUM(1);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[2] = UUIDPGetDatum(&plan->key.id);
	RunOnBudget(&link_budget, arguments, &budget);
	return PlanStatus(&plan->key);
}

/*
 * RequireDraft raises unless a plan has a draft: TX002 when it has no live budget,
 * TX003 when the patient has seen it.
 */
static void
RequireDraft(const TreatmentPlan *plan)
{
	if (HasDraftBudget(plan))
		return;
	if (!HasLiveBudget(plan))
		ereport(ERROR,
				(errcode(ERRCODE_TX_TRANSITION_BLOCKED),
				 errmsg("plan %s has no draft of a budget", plan->number),
				 plan->has_budget ?
					 errdetail("Its last budget is %s.", plan->budget_status) :
					 errdetail("It has no budget."),
				 errhint("Call txplan.generate_budget().")));
	RequireUnlocked(plan, "its budget does not follow it any more");
}

/*
 * TellSync publishes that a draft was made to follow its plan.
 */
static void
TellSync(TreatmentPlan *plan, PlanRun *run)
{
	Datum arguments[2];
	Datum items;
	bool isnull;
	Payload payload;

	arguments[0] = UUIDPGetDatum(&plan->budget_id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	if (!QueryRow(&read_item_list, AS_OWNER, arguments, NULL, &items,
				  &isnull) ||
		isnull)
		items = DirectFunctionCall1(jsonb_in, CStringGetDatum(pstrdup("[]")));
	EnterPlanOfRun(run, plan);
	BeginPayload(&payload);
	PayloadUuid(&payload, "budget_id", &plan->budget_id);
	PayloadJson(&payload, "items", DatumGetJsonbP(items));
	PublishEvent(&run->settlement, plan, "treatment_plan.budget_sync_requested",
				 &payload);
}

/*
 * txplan_sync_budget makes the draft of a plan follow it.
 */
Datum
txplan_sync_budget(PG_FUNCTION_ARGS)
{
	TreatmentPlan *plan;
	PlanRun run;

	RequireArgument(fcinfo, 0, "plan_id");
	RequireRecord();
	RequirePrivilege(TABLE_BUDGET_LINES, ACL_UPDATE);
	plan = LockArgument(fcinfo, TABLE_PLANS, 1);
	RequireDraft(plan);
	BeginRun(&run, false);
	SyncQuote(plan, &plan->budget_id, run.settlement.at);
	TellSync(plan, &run);
	EndRun(&run);
	return PlanStatus(&plan->key);
}

/*
 * MoveBudget is the body of all functions that move a budget.
 */
static Datum
MoveBudget(FunctionCallInfo fcinfo, const char *status, int note_argument,
		   int clinic_argument)
{
	FoundBudget budget;
	Datum arguments[4];

	RequireArgument(fcinfo, 0, "budget_id");
	RequireRecord();
	RequirePrivilege(TABLE_BUDGETS, ACL_UPDATE);
	RequireBudget(fcinfo, clinic_argument, &budget);
	LockBudget(&budget);
	if (strcmp(budget.status, status) == 0)
		RaiseAlready(&budget);
	arguments[0] = UUIDPGetDatum(&budget.id);
	arguments[1] = UUIDPGetDatum(&budget.clinic_id);
	arguments[2] = CStringGetTextDatum(status);
	if (note_argument < 0 || PG_ARGISNULL(note_argument))
		RunOnBudget(&set_status, arguments, &budget);
	else
	{
		arguments[3] = PG_GETARG_DATUM(note_argument);
		RunOnBudget(&set_status_with_note, arguments, &budget);
	}
	return StatusOfPlanOf(fcinfo, &budget);
}

/*
 * txplan_send_budget notes that a draft was given to the patient.
 */
Datum
txplan_send_budget(PG_FUNCTION_ARGS)
{
	return MoveBudget(fcinfo, "sent", -1, 1);
}

/*
 * txplan_accept_budget notes that the patient accepted.
 */
Datum
txplan_accept_budget(PG_FUNCTION_ARGS)
{
	return MoveBudget(fcinfo, "accepted", -1, 1);
}

/*
 * txplan_reject_budget notes that the patient declined.
 */
Datum
txplan_reject_budget(PG_FUNCTION_ARGS)
{
	CheckTextArgument(fcinfo, 1, "note", NOTE_MAX_CHARS, true);
	return MoveBudget(fcinfo, "rejected", 1, 2);
}

/*
 * txplan_cancel_budget takes a budget back.
 */
Datum
txplan_cancel_budget(PG_FUNCTION_ARGS)
{
	CheckTextArgument(fcinfo, 1, "reason", NOTE_MAX_CHARS, true);
	return MoveBudget(fcinfo, "cancelled", 1, 2);
}

/*
 * txplan_resend_budget makes a draft of the next version.
 */
Datum
txplan_resend_budget(PG_FUNCTION_ARGS)
{
	FoundBudget budget;
	Datum arguments[2];
	Datum id;
	bool isnull;

	RequireArgument(fcinfo, 0, "budget_id");
	RequireRecord();
	RequirePrivilege(TABLE_BUDGETS, ACL_INSERT);
	RequireBudget(fcinfo, 1, &budget);
	LockBudget(&budget);
	arguments[0] = UUIDPGetDatum(&budget.id);
	arguments[1] = UUIDPGetDatum(&budget.clinic_id);
	if (!QueryRow(&insert_version, AS_CALLER, arguments, NULL, &id, &isnull))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(id);
}

/* --------------------------------------------- what can be done with a budget */

/*
 * AddAction adds an action to a list, with what stands in its way.
 */
static void
AddAction(ReturnSetInfo *result, const char *action, const char *to_status,
		  bool permitted, const char *blocker)
{
	AddAvailableAction(result, "budget", action, to_status, permitted,
					   blocker == NULL ? NIL : list_make1((void *) blocker));
}

/*
 * FindsRow runs a query for something of a budget or a patient.
 */
static bool
FindsRow(SavedQuery *query, const pg_uuid_t *id, const pg_uuid_t *clinic_id)
{
	Datum arguments[2];
	Datum one;
	bool isnull;

	arguments[0] = UUIDPGetDatum(id);
	arguments[1] = UUIDPGetDatum(clinic_id);
	return QueryRow(query, AS_OWNER, arguments, NULL, &one, &isnull);
}

/*
 * StateAfter is the state that a plan would come to by an action that follows from
 * its budget; the one it is in where nothing follows.
 */
static const char *
StateAfter(const TreatmentPlan *plan, const char *action)
{
	const Workflow *workflow = RequireWorkflow(plan->workflow);
	int i;

	if (!WaitsForBudget(plan))
		return plan->status;
	for (i = 0; i < workflow->ntransitions; i++)
	{
		const WorkflowTransition *transition = &workflow->transitions[i];

		if (strcmp(transition->from_state, plan->status) == 0 &&
			strcmp(transition->action, action) == 0)
			return transition->to_state;
	}
	return plan->status;
}

/*
 * StateAccepted is the state that a plan comes to when its budget is accepted.
 */
static const char *
StateAccepted(const TreatmentPlan *plan)
{
	const Workflow *workflow = RequireWorkflow(plan->workflow);
	int i;
	ListCell *cell;

	for (i = 0; i < workflow->ntransitions; i++)
	{
		const WorkflowTransition *transition = &workflow->transitions[i];

		if (!transition->automatic ||
			strcmp(transition->from_state, plan->status) != 0)
			continue;
		foreach(cell, transition->guards)
			if (strcmp((char *) lfirst(cell), "txplan.budget_is_accepted") ==
					0 ||
				strcmp((char *) lfirst(cell), "txplan.budget_revives") == 0)
				return transition->to_state;
	}
	return plan->status;
}

/*
 * OfferBlockers tells what stands in the way of sending a budget, or accepting it.
 */
static List *
OfferBlockers(const TreatmentPlan *plan)
{
	const pg_uuid_t *clinic_id = &plan->key.clinic_id;
	List *reasons = NIL;

	if (!FindsRow(&find_line, &plan->budget_id, clinic_id))
		reasons = lappend(reasons, pstrdup("the budget has no line"));
	if (FindsRow(&find_overdue, &plan->budget_id, clinic_id))
		reasons = lappend(reasons, pstrdup("the budget's last day has passed"));
	return reasons;
}

/*
 * AddBudgetActions lists what can be done with the budget of a plan.  The plan is
 * as it was read, and need not be locked.
 */
void
AddBudgetActions(ReturnSetInfo *result, const TreatmentPlan *plan)
{
	const pg_uuid_t *clinic_id = &plan->key.clinic_id;
	bool may_insert = HasPrivilege(TABLE_BUDGETS, ACL_INSERT);
	bool may_update = HasPrivilege(TABLE_BUDGETS, ACL_UPDATE);
	bool rejected =
		plan->has_budget && (strcmp(plan->budget_status, "rejected") == 0 ||
							 IsRevision(&plan->budget_id, clinic_id));
	bool open =
		!StateOfPlan(plan)->final || (rejected && IsClosedAsRejected(plan));
	List *blockers;

	if (!open)
		return;
	if (!HasLiveBudget(plan))
	{
		if (!StateOfPlan(plan)->final)
		{
			AddAction(result, "generate", plan->status, may_insert,
					  HasPendingItem(&plan->key) ? NULL : "no item is pending");
			AddAction(result, "link", plan->status, may_update,
					  FindsRow(&find_unlinked, &plan->patient_id, clinic_id) ?
						  NULL :
						  "the patient has no budget without a plan");
		}
		if (plan->has_budget && (strcmp(plan->budget_status, "rejected") == 0 ||
								 strcmp(plan->budget_status, "expired") == 0))
			AddAction(result, "resend", plan->status, may_insert, NULL);
		return;
	}
	blockers = OfferBlockers(plan);
	if (HasDraftBudget(plan))
	{
		AddAction(result, "sync", plan->status,
				  HasPrivilege(TABLE_BUDGET_LINES, ACL_UPDATE), NULL);
		AddAvailableAction(result, "budget", "send", plan->status, may_update,
						   blockers);
	}
	if (strcmp(plan->budget_status, "accepted") != 0)
	{
		if (StateOfPlan(plan)->final)
			blockers =
				list_concat_copy(blockers, TreatmentConflicts(&plan->key));
		AddAvailableAction(result, "budget", "accept", StateAccepted(plan),
						   may_update, blockers);
		AddAction(result, "reject", StateAfter(plan, "close"), may_update,
				  NULL);
	}
	AddAction(result, "cancel", StateAfter(plan, "reopen"), may_update, NULL);
	if (strcmp(plan->budget_status, "sent") == 0)
		AddAction(result, "resend", plan->status, may_insert, NULL);
}
