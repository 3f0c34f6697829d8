/*
 * transition.c
 *		The one place where a plan's status changes.
 *
 * Whoever moves a plan (an UPDATE of plans.status, a function, the engine by an
 * automatic transition) ends in the same trigger, which asks here.  A function
 * tells by an Intent what it means; the Intent counts only for the UPDATE that it
 * was given with, not for what other triggers do meanwhile.
 */
#include "transition.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "error.h"
#include "event.h"
#include "guard.h"

static const Intent *intent = NULL;
static int intent_depth = 0;	/* triggers around the UPDATE it belongs to */
static int automatic_steps = 0; /* automatic transitions one in another */

SAVED_QUERY(set_status,
			"UPDATE txplan.plans SET status = $3 "
			"WHERE id" EQ "$1 AND clinic_id" EQ "$2",
			UUIDOID, UUIDOID, TEXTOID);

SAVED_QUERY(read_status,
			"SELECT p.status FROM txplan.plans AS p "
			"WHERE p.id" EQ "$1 AND p.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

/*
 * CurrentIntent returns what is meant by the statement whose trigger asks; NULL
 * when it is a client's.
 */
const Intent *
CurrentIntent(void)
{
	return intent != NULL && TriggerDepth() == intent_depth + 1 ? intent : NULL;
}

/*
 * RunWithIntent runs an UPDATE of a plan, with all its triggers, under an
 * intent.  It returns the number of rows.
 */
uint64
RunWithIntent(const Intent *meant, SavedQuery *query, QueryUser user,
			  Datum *values, const char *nulls)
{
	const Intent *saved = intent;
	int saved_depth = intent_depth;
	uint64 rows = 0;

	PG_TRY();
	{
		intent = meant;
		intent_depth = TriggerDepth();
		ConnectSpi();
		rows = RunQuery(query, user, values, nulls);
		FinishSpi();
	}
	PG_FINALLY();
	{
		intent = saved;
		intent_depth = saved_depth;
	}
	PG_END_TRY();
	return rows;
}

/*
 * RequireWorkflow returns a workflow, or raises P0002.
 */
const Workflow *
RequireWorkflow(const char *name)
{
	const Workflow *workflow = FindWorkflow(name);

	if (workflow == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("workflow \"%.60s\" does not exist", name),
				 errdetail("A workflow has a row in txplan.workflows and at least "
						   "one in txplan.workflow_states."),
				 errhint("Table txplan.workflows lists them.")));
	return workflow;
}

/*
 * StateOfPlan returns the definition of the state that a plan is in.
 */
const WorkflowState *
StateOfPlan(const TreatmentPlan *plan)
{
	const WorkflowState *state =
		FindState(RequireWorkflow(plan->workflow), plan->status);

	if (state == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_TX_INVALID_TRANSITION),
				 errmsg("plan %s is in state \"%s\", which its workflow does not have",
						plan->number, plan->status),
				 errhint("Put the state back into txplan.workflow_states.")));
	return state;
}

/*
 * RequireEditable refuses a change of the items of a plan in a state that
 * does not let them be edited.
 */
void
RequireEditable(const TreatmentPlan *plan, const char *what)
{
	if (!StateOfPlan(plan)->items_editable)
		ereport(ERROR,
				(errcode(ERRCODE_TX_TRANSITION_BLOCKED),
				 errmsg("plan %s is %s: %s", plan->number, plan->status, what),
				 errdetail("Items cannot be edited in state \"%s\" of workflow "
						   "\"%s\".",
						   plan->status, plan->workflow),
				 errhint("txplan.available_actions() lists what leads out of the "
						 "state.")));
}

/*
 * RequireTreatable refuses to complete or cancel a session of a plan in a state
 * in which nothing is treated.
 */
void
RequireTreatable(const TreatmentPlan *plan, const char *what)
{
	if (!StateOfPlan(plan)->treatable)
		ereport(ERROR,
				(errcode(ERRCODE_TX_TRANSITION_BLOCKED),
				 errmsg("plan %s is %s: %s", plan->number, plan->status, what),
				 errdetail("Nothing is treated in state \"%s\" of workflow "
						   "\"%s\".",
						   plan->status, plan->workflow),
				 errhint("txplan.available_actions() lists what leads to "
						 "treatment.")));
}

/*
 * LegalActions writes what can be done by hand in a state, for a hint.
 */
static char *
LegalActions(const Workflow *workflow, const char *state)
{
	StringInfoData list;
	int i;

	initStringInfo(&list);
	for (i = 0; i < workflow->ntransitions; i++)
	{
		const WorkflowTransition *transition = &workflow->transitions[i];

		if (strcmp(transition->from_state, state) == 0 &&
			!transition->automatic)
			appendStringInfo(&list, "%s%s (to %s)", list.len > 0 ? ", " : "",
							 transition->action, transition->to_state);
	}
	if (list.len == 0)
		return psprintf("Nothing leads out of state \"%s\" by hand.", state);
	return psprintf("From \"%s\" these actions lead on: %s.", state, list.data);
}

/*
 * FindAction returns the transition of an action from a state, NULL when the
 * state has none of that name.
 */
const WorkflowTransition *
FindAction(const Workflow *workflow, const char *action, const char *state)
{
	int i;

	for (i = 0; i < workflow->ntransitions; i++)
		if (strcmp(workflow->transitions[i].action, action) == 0 &&
			strcmp(workflow->transitions[i].from_state, state) == 0)
			return &workflow->transitions[i];
	return NULL;
}

/*
 * RequireAction returns the transition of an action, or raises TX001.
 */
const WorkflowTransition *
RequireAction(const Workflow *workflow, const TreatmentPlan *plan,
			  const char *action, bool automatic)
{
	const WorkflowTransition *transition =
		FindAction(workflow, action, plan->status);

	if (transition == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_TX_INVALID_TRANSITION),
				 errmsg("plan %s is %s and has no action \"%.60s\"",
						plan->number, plan->status, action),
				 errdetail("Workflow \"%s\" does not know it in this state.",
						   plan->workflow),
				 errhint("%s", LegalActions(workflow, plan->status))));
	if (transition->automatic && !automatic)
		ereport(ERROR,
				(errcode(ERRCODE_TX_INVALID_TRANSITION),
				 errmsg("action \"%s\" of plan %s is taken by the engine alone",
						action, plan->number),
				 errdetail("The engine takes it as soon as its guards pass."),
				 errhint("%s", LegalActions(workflow, plan->status))));
	return transition;
}

/*
 * ChooseTransition finds the way from a plan's state to another.
 *
 * A function has said which it means.  An UPDATE of the status takes the one
 * that leads there by hand; where several do, it must be said which.
 */
const WorkflowTransition *
ChooseTransition(const Workflow *workflow, const TreatmentPlan *plan,
				 const char *to_state)
{
	const Intent *meant = CurrentIntent();
	const WorkflowTransition *chosen = NULL;
	bool by_engine = false;
	StringInfoData actions;
	int candidates = 0;
	int i;

	if (meant != NULL && meant->action != NULL)
		return RequireAction(workflow, plan, meant->action, meant->automatic);

	initStringInfo(&actions);
	for (i = 0; i < workflow->ntransitions; i++)
	{
		const WorkflowTransition *transition = &workflow->transitions[i];

		if (strcmp(transition->from_state, plan->status) != 0 ||
			strcmp(transition->to_state, to_state) != 0)
			continue;
		if (transition->automatic)
		{
			by_engine = true;
			continue;
		}
		chosen = transition;
		candidates++;
		appendStringInfo(&actions, "%s%s", actions.len > 0 ? ", " : "",
						 transition->action);
	}
	if (candidates > 1)
		ereport(ERROR,
				(errcode(ERRCODE_TX_INVALID_TRANSITION),
				 errmsg("several actions lead plan %s from %s to %s",
						plan->number, plan->status, to_state),
				 errdetail("They are %s.", actions.data),
				 errhint("Call txplan.transition_plan() with the one you mean.")));
	if (chosen == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_TX_INVALID_TRANSITION),
				 errmsg("plan %s cannot go from %s to %.60s", plan->number,
						plan->status, to_state),
				 by_engine ?
					 errdetail("Only the engine takes that way, as soon as its guards "
							   "pass.") :
					 errdetail("Workflow \"%s\" has no such way.",
							   plan->workflow),
				 errhint("%s", LegalActions(workflow, plan->status))));
	return chosen;
}

/*
 * CheckReason raises TX005 unless the reason given is one that is asked for.
 */
static void
CheckReason(const WorkflowTransition *transition, const TreatmentPlan *plan,
			const char *reason)
{
	StringInfoData list;
	ListCell *cell;

	if (transition->reasons == NIL)
	{
		if (reason == NULL)
			return;
		ereport(ERROR, (errcode(ERRCODE_TX_REASON_REQUIRED),
						errmsg("action \"%s\" of plan %s takes no reason",
							   transition->action, plan->number),
						errdetail("The reason given is \"%.60s\".", reason),
						errhint("Give a note instead.")));
	}
	initStringInfo(&list);
	foreach(cell, transition->reasons)
	{
		if (reason != NULL && strcmp(reason, (char *) lfirst(cell)) == 0)
			return;
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
						 (char *) lfirst(cell));
	}
	ereport(ERROR, (errcode(ERRCODE_TX_REASON_REQUIRED),
					errmsg("action \"%s\" of plan %s wants a reason",
						   transition->action, plan->number),
					reason == NULL ?
						errdetail("No reason was given.") :
						errdetail("The reason given is \"%.60s\".", reason),
					errhint("Reasons are %s.", list.data)));
}

/*
 * CheckGuards raises TX002 with the reasons of all guards that refuse.
 */
void
CheckGuards(const WorkflowTransition *transition, const TreatmentPlan *plan)
{
	List *reasons = GuardReasons(transition, &plan->key, false);

	if (reasons != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_TX_TRANSITION_BLOCKED),
				 errmsg("plan %s cannot be moved from %s to %s by \"%s\"",
						plan->number, transition->from_state,
						transition->to_state, transition->action),
				 errdetail("Reasons: %s.", JoinReasons(reasons)),
				 errhint("Remove what stands in the way; "
						 "txplan.available_actions() shows it.")));
}

/*
 * CheckTransition raises unless a plan, which is locked, may take a transition:
 * TX005 for its reason, TX002 for its guards.
 */
void
CheckTransition(const WorkflowTransition *transition, const TreatmentPlan *plan,
				const char *reason)
{
	CheckReason(transition, plan, reason);
	CheckGuards(transition, plan);
}

/*
 * MovePlan runs the UPDATE that takes a transition.
 */
void
MovePlan(TreatmentPlan *plan, const WorkflowTransition *transition,
		 const Intent *meant, QueryUser user)
{
	Datum arguments[3];

	arguments[0] = UUIDPGetDatum(&plan->key.id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[2] = CStringGetTextDatum(transition->to_state);
	if (RunWithIntent(meant, &set_status, user, arguments, NULL) != 1)
		RaiseMissing("plan", &plan->key.id);
}

/*
 * TakeAutomatic takes a transition as the engine, and raises TX002 where such
 * transitions go in a circle: more of them than the workflow has states.
 */
static void
TakeAutomatic(const Workflow *workflow, const WorkflowTransition *transition,
			  TreatmentPlan *plan)
{
	Intent meant = { 0 };

	if (automatic_steps >= workflow->nstates)
		ereport(ERROR,
				(errcode(ERRCODE_TX_TRANSITION_BLOCKED),
				 errmsg("automatic transitions of workflow \"%s\" go in a circle",
						workflow->name),
				 errdetail("Plan %s came back to state \"%s\" by \"%s\".",
						   plan->number, transition->from_state,
						   transition->action),
				 errhint("txplan.check_workflow() shows the circle.")));
	meant.action = transition->action;
	meant.automatic = true;
	automatic_steps++;
	PG_TRY();
	{
		MovePlan(plan, transition, &meant, AS_OWNER);
	}
	PG_FINALLY();
	{
		automatic_steps--;
	}
	PG_END_TRY();
}

/*
 * FollowAction takes an action as the engine, as a consequence of something else;
 * false when the workflow does not have it here, or not for this reason.
 */
bool
FollowAction(TreatmentPlan *plan, const char *action, const char *reason,
			 const char *note)
{
	const WorkflowTransition *transition =
		FindAction(RequireWorkflow(plan->workflow), action, plan->status);
	Intent meant = { 0 };
	ListCell *cell;
	bool known = reason == NULL;

	if (transition == NULL)
		return false;
	foreach(cell, transition->reasons)
		if (reason != NULL && strcmp((char *) lfirst(cell), reason) == 0)
			known = true;
	if (!known || (reason == NULL && transition->reasons != NIL))
		return false;
	meant.action = action;
	meant.reason = reason;
	meant.note = note;
	meant.automatic = true;
	MovePlan(plan, transition, &meant, AS_OWNER);
	return true;
}

/*
 * MayAdvance tells whether an automatic transition leads out of a plan's state
 * at all, which spares the others a look at the plan.
 */
bool
MayAdvance(const TreatmentPlan *plan)
{
	const Workflow *workflow = RequireWorkflow(plan->workflow);
	int i;

	for (i = 0; i < workflow->ntransitions; i++)
		if (workflow->transitions[i].automatic &&
			strcmp(workflow->transitions[i].from_state, plan->status) == 0)
			return true;
	return false;
}

/*
 * AdvancePlan takes the first automatic transition whose guards pass.  The UPDATE
 * that takes it calls this again when it settles, so the plan goes on until
 * none fires.
 */
void
AdvancePlan(TreatmentPlan *plan)
{
	const Workflow *workflow;
	int i;

	RefreshPlan(plan);
	workflow = RequireWorkflow(plan->workflow);
	for (i = 0; i < workflow->ntransitions; i++)
	{
		const WorkflowTransition *transition = &workflow->transitions[i];

		if (!transition->automatic ||
			strcmp(transition->from_state, plan->status) != 0 ||
			GuardReasons(transition, &plan->key, false) != NIL)
			continue;
		TakeAutomatic(workflow, transition, plan);
		return;
	}
}

/*
 * PlanStatus reads the state a plan is in after all that followed.
 */
Datum
PlanStatus(const PlanKey *plan)
{
	Datum arguments[2];
	Datum status;
	bool isnull;

	arguments[0] = UUIDPGetDatum(&plan->id);
	arguments[1] = UUIDPGetDatum(&plan->clinic_id);
	if (!QueryRow(&read_status, AS_CALLER, arguments, NULL, &status, &isnull))
		RaiseMissing("plan", &plan->id);
	return status;
}
