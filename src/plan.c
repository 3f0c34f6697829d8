/*
 * plan.c
 *		The treatment plan: what may change, and what follows from a change.
 *
 * Before a row is written, the trigger checks it, sets what the engine owns, and
 * reckons the version and the history that the change will bring; after the
 * statement the same description publishes them.  So a plan changed by a client
 * is written once, and RETURNING shows what is true.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "actor.h"
#include "error.h"
#include "event.h"
#include "fold.h"
#include "guard.h"
#include "involved.h"
#include "number.h"
#include "planfacts.h"
#include "registry.h"
#include "rowcheck.h"
#include "spi.h"
#include "stage.h"
#include "transition.h"

SAVED_QUERY(find_conflicts,
			"SELECT mine.treatment_ref, p.number "
			"FROM txplan.items AS mine "
			"JOIN txplan.items AS other ON other.clinic_id" EQ "mine.clinic_id "
			"AND other.treatment_ref" EQ "mine.treatment_ref AND other.live "
			"AND other.plan_id" NE "mine.plan_id "
			"JOIN txplan.plans AS p ON p.id" EQ "other.plan_id "
			"AND p.clinic_id" EQ "other.clinic_id "
			"WHERE mine.plan_id" EQ "$1 AND mine.clinic_id" EQ "$2 "
			"AND mine.status" NE "'cancelled' "
			"ORDER BY mine.position",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_earned,
			"SELECT 1 FROM txplan.earned_entries AS e "
			"WHERE e.plan_id" EQ "$1 AND e.clinic_id" EQ "$2 LIMIT 1",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_seen_budget,
			"SELECT 1 FROM txplan.budgets AS b "
			"WHERE b.plan_id" EQ "$1 AND b.clinic_id" EQ "$2 "
			"AND b.status" NE "'draft' LIMIT 1",
			UUIDOID, UUIDOID);

SAVED_QUERY(insert_plan,
			"INSERT INTO txplan.plans "
			"(clinic_id, patient_id, professional_id, title, workflow) "
			"VALUES ($1, $2, $3, $4, $5) RETURNING id",
			UUIDOID, UUIDOID, UUIDOID, TEXTOID, TEXTOID);

SAVED_QUERY(find_former,
			"SELECT 1 FROM txplan.history AS h "
			"WHERE h.plan_id" EQ "$1 AND h.clinic_id" EQ "$2 AND NOT EXISTS "
			"(SELECT 1 FROM txplan.plans AS p "
			"WHERE p.id" EQ "$1 AND p.clinic_id" EQ "$2) LIMIT 1",
			UUIDOID, UUIDOID);

/* What a client may never change, and what it may never write */
static const PlanColumn fixed_columns[] = { PLAN_ID, PLAN_CLINIC_ID,
											PLAN_PATIENT_ID, PLAN_WORKFLOW };

static const PlanColumn engine_columns[] = {
	PLAN_NUMBER,		  PLAN_CONFIRMED_AT,	PLAN_ACTIVATED_AT,
	PLAN_COMPLETED_AT,	  PLAN_CLOSED_AT,		PLAN_STATUS_CHANGED_AT,
	PLAN_LAST_CONTACT_AT, PLAN_ITEMS_TOTAL,		PLAN_ITEMS_COMPLETED,
	PLAN_ITEMS_CANCELLED, PLAN_HISTORY_LENGTH,	PLAN_HISTORY_HEAD,
	PLAN_CREATED_BY,	  PLAN_CREATED_AT,		PLAN_BUDGET_ID,
	PLAN_BUDGET_STATUS,	  PLAN_NEXT_CONTACT_AT, PLAN_STAGE,
	PLAN_SEARCH_TEXT,	  PLAN_PROFESSIONAL_IDS
};

#define ENGINE_HINT                                         \
	"Move the plan by its actions, add items and complete " \
	"sessions: the engine then writes this column."

PG_FUNCTION_INFO_V1(txplan_plans_check);
PG_FUNCTION_INFO_V1(txplan_create_plan);

/*
 * SetReckoned sets the columns that a rehearsal has reckoned.
 */
static void
SetReckoned(Row *row, const TreatmentPlan *plan)
{
	char head[VARHDRSZ + HASH_BYTES];

	SET_VARSIZE(head, VARHDRSZ + HASH_BYTES);
	memcpy(VARDATA(head), plan->history_head, HASH_BYTES);
	SetRow(row, PLAN_VERSION, Int64GetDatum(plan->version));
	SetRow(row, PLAN_HISTORY_LENGTH, Int64GetDatum(plan->history_length));
	if (plan->history_length > 0)
		SetRow(row, PLAN_HISTORY_HEAD, PointerGetDatum(head));
}

/*
 * CheckNewColumns refuses a new plan that brings what the engine gives it.
 */
static void
CheckNewColumns(const Row *row)
{
	int i;

	for (i = 0; i < lengthof(engine_columns); i++)
	{
		PlanColumn column = engine_columns[i];

		switch (column)
		{
			case PLAN_CREATED_AT:
				break;
			case PLAN_ITEMS_TOTAL:
			case PLAN_ITEMS_COMPLETED:
			case PLAN_ITEMS_CANCELLED:
				if (!RowIsNull(row, column) &&
					DatumGetInt32(RowValue(row, column)) != 0)
					RaiseEngineOwned("plans", row->names[column], ENGINE_HINT);
				break;
			case PLAN_HISTORY_LENGTH:
				if (!RowIsNull(row, column) &&
					DatumGetInt64(RowValue(row, column)) != 0)
					RaiseEngineOwned("plans", row->names[column], ENGINE_HINT);
				break;
			default:
				if (!RowIsNull(row, column))
					RaiseEngineOwned("plans", row->names[column], ENGINE_HINT);
				break;
		}
	}
	if (!RowIsNull(row, PLAN_CLOSURE_REASON))
		RaiseEngineOwned("plans", "closure_reason", ENGINE_HINT);
	if (!RowIsNull(row, PLAN_CLOSURE_NOTE))
		RaiseEngineOwned("plans", "closure_note", ENGINE_HINT);
	if (!RowIsNull(row, PLAN_VERSION) &&
		(DatumGetInt64(RowValue(row, PLAN_VERSION)) < 0 ||
		 DatumGetInt64(RowValue(row, PLAN_VERSION)) > 1))
		ereport(ERROR, (errcode(ERRCODE_TX_STALE_VERSION),
						errmsg("a new plan has no version " INT64_FORMAT,
							   DatumGetInt64(RowValue(row, PLAN_VERSION))),
						errhint("Leave the version out.")));
}

/*
 * CheckFormer refuses the id of a plan that was deleted: its events and its chain
 * of history stay, and another plan's would be confused with them.
 */
static void
CheckFormer(const pg_uuid_t *id, const pg_uuid_t *clinic_id)
{
	Datum arguments[2];
	Datum one;
	bool isnull;

	arguments[0] = UUIDPGetDatum(id);
	arguments[1] = UUIDPGetDatum(clinic_id);
	if (QueryRow(&find_former, AS_OWNER, arguments, NULL, &one, &isnull))
		ereport(ERROR, (errcode(ERRCODE_TX_ALREADY_FINAL),
						errmsg("plan \"%s\" was deleted", UuidText(id)),
						errdetail("Its events and its history keep its id."),
						errhint("Leave the id out, or make a new one with "
								"txplan.new_id().")));
}

/*
 * CheckInsert fills in and checks a new plan.
 */
static void
CheckInsert(Row *row)
{
	const pg_uuid_t *id = RowUuid(row, PLAN_ID);
	const pg_uuid_t *clinic_id = RowUuid(row, PLAN_CLINIC_ID);
	const pg_uuid_t *patient_id = RowUuid(row, PLAN_PATIENT_ID);
	const pg_uuid_t *professional_id = RowUuid(row, PLAN_PROFESSIONAL_ID);
	const Workflow *workflow;
	const WorkflowState *initial;
	Settlement settlement;
	TreatmentPlan plan;
	TimestampTz now = GetCurrentTimestamp();

	CheckNewColumns(row);

	/* What the constraints will refuse needs no more. */
	if (id == NULL || clinic_id == NULL || patient_id == NULL ||
		RowIsNull(row, PLAN_WORKFLOW))
		return;
	workflow = RequireWorkflow(RowText(row, PLAN_WORKFLOW));
	initial = InitialState(workflow);
	if (initial == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_TX_INVALID_TRANSITION),
				 errmsg("workflow \"%s\" has no initial state", workflow->name),
				 errhint("txplan.check_workflow() lists its faults.")));
	if (!RowIsNull(row, PLAN_STATUS) &&
		!RowTextIs(row, PLAN_STATUS, initial->name))
		ereport(ERROR,
				(errcode(ERRCODE_TX_INVALID_TRANSITION),
				 errmsg("a plan begins as \"%s\", not as \"%.60s\"",
						initial->name, RowText(row, PLAN_STATUS)),
				 errdetail("That is the initial state of workflow \"%s\".",
						   workflow->name),
				 errhint("Leave the status out and move the plan afterwards.")));
	CheckClinic(clinic_id);
	CheckPatient(patient_id, clinic_id);
	if (professional_id != NULL)
		CheckProfessional(professional_id, clinic_id);

	CheckFormer(id, clinic_id);

	SetRowText(row, PLAN_STATUS, initial->name);
	SetRowText(row, PLAN_STAGE, StageOf(initial, false));
	SetRowText(row, PLAN_NUMBER, IssueNumber(NUMBER_PLAN, id, clinic_id));
	SetRowText(row, PLAN_SEARCH_TEXT, FoldText(RowText(row, PLAN_NUMBER)));
	if (professional_id != NULL)
		SetRow(row, PLAN_PROFESSIONAL_IDS, OneInvolved(professional_id));
	SetRow(row, PLAN_STATUS_CHANGED_AT, TimestampTzGetDatum(now));
	SetRow(row, PLAN_UPDATED_AT, TimestampTzGetDatum(now));
	SetRowText(row, PLAN_CREATED_BY, CurrentActor());
	SetRow(row, PLAN_VERSION, Int64GetDatum(0));
	SetRow(row, PLAN_HISTORY_LENGTH, Int64GetDatum(0));
	SetRow(row, PLAN_ITEMS_TOTAL, Int32GetDatum(0));
	SetRow(row, PLAN_ITEMS_COMPLETED, Int32GetDatum(0));
	SetRow(row, PLAN_ITEMS_CANCELLED, Int32GetDatum(0));

	PlanFromRow(&plan, row);
	BeginSettlement(&settlement, now, true);
	DescribeCreation(&settlement, &plan, row);
	SetReckoned(row, &plan);
}

/*
 * CheckColumns refuses an UPDATE that changes what never changes or what the
 * engine owns, and one that was based on an older version.
 */
static void
CheckColumns(const Row *old_row, const Row *new_row)
{
	int64 before = DatumGetInt64(RowValue(old_row, PLAN_VERSION));
	int64 after;
	int i;

	for (i = 0; i < lengthof(fixed_columns); i++)
		if (RowsDiffer(old_row, new_row, fixed_columns[i]))
			RaiseNeverChanges("plans", new_row->names[fixed_columns[i]]);
	if (RowIsNull(new_row, PLAN_VERSION))
		RaiseEngineOwned("plans", "version", ENGINE_HINT);
	after = DatumGetInt64(RowValue(new_row, PLAN_VERSION));
	if (after != before && after != before + 1)
		ereport(ERROR, (errcode(ERRCODE_TX_STALE_VERSION),
						errmsg("plan %s has changed since it was read",
							   RowText(old_row, PLAN_NUMBER)),
						errdetail("The UPDATE says version " INT64_FORMAT
								  "; the plan is "
								  "at version " INT64_FORMAT ".",
								  after, before),
						errhint("Read the plan again and decide anew.")));
	for (i = 0; i < lengthof(engine_columns); i++)
		if (RowsDiffer(old_row, new_row, engine_columns[i]))
			RaiseEngineOwned("plans", new_row->names[engine_columns[i]],
							 ENGINE_HINT);
}

/*
 * TreatmentConflicts tells which treatments of a plan that would come back another
 * plan has taken meanwhile, as reasons.
 */
List *
TreatmentConflicts(const PlanKey *plan)
{
	MemoryContext context = CurrentMemoryContext;
	List *reasons = NIL;
	Datum arguments[2];
	uint64 rows;
	uint64 i;

	arguments[0] = UUIDPGetDatum(&plan->id);
	arguments[1] = UUIDPGetDatum(&plan->clinic_id);
	ConnectSpi();
	rows = RunQuery(&find_conflicts, AS_OWNER, arguments, NULL);
	for (i = 0; i < rows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		Datum values[2];
		bool nulls[2];

		FetchRow(i, values, nulls);
		reasons = lappend(reasons, psprintf("treatment \"%s\" is in plan %s",
											TextDatumGetCString(values[0]),
											TextDatumGetCString(values[1])));
		MemoryContextSwitchTo(old);
	}
	FinishSpi();
	return reasons;
}

/*
 * CheckConflicts raises TX002 when a plan that comes back holds a treatment that
 * another plan has taken meanwhile.
 */
static void
CheckConflicts(const TreatmentPlan *plan)
{
	List *reasons = TreatmentConflicts(&plan->key);

	if (reasons != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_TX_TRANSITION_BLOCKED),
				 errmsg("plan %s cannot come back: others hold its treatments",
						plan->number),
				 errdetail("Reasons: %s.", JoinReasons(reasons)),
				 errhint("Remove the treatment from one of the plans.")));
}

/*
 * SetStamps sets what a change of state means for the plan's own columns.
 */
static void
SetStamps(Row *row, const Row *old_row, const Workflow *workflow,
		  const WorkflowTransition *transition, TimestampTz now)
{
	const WorkflowState *from = FindState(workflow, transition->from_state);
	const WorkflowState *to = FindState(workflow, transition->to_state);
	bool closes = TransitionCloses(workflow, transition);
	const char *reason = GivenReason(old_row, row);
	const char *note = GivenNote(old_row, row);
	Datum at = TimestampTzGetDatum(now);

	SetRow(row, PLAN_STATUS_CHANGED_AT, at);
	SetRowText(row, PLAN_STAGE, StageOf(to, closes));
	if (to->initial)
	{
		SetRowNull(row, PLAN_CONFIRMED_AT);
		SetRowNull(row, PLAN_ACTIVATED_AT);
	}
	else if (from->initial && !to->final)
		SetRow(row, PLAN_CONFIRMED_AT, at);
	if (to->treatable && RowIsNull(row, PLAN_ACTIVATED_AT))
		SetRow(row, PLAN_ACTIVATED_AT, at);

	SetRowNull(row, PLAN_CLOSED_AT);
	SetRowNull(row, PLAN_CLOSURE_REASON);
	SetRowNull(row, PLAN_CLOSURE_NOTE);
	if (!to->final)
		SetRowNull(row, PLAN_COMPLETED_AT);
	else if (!closes)
		SetRow(row, PLAN_COMPLETED_AT, at);
	if (closes)
	{
		SetRow(row, PLAN_CLOSED_AT, at);
		if (reason != NULL)
			SetRowText(row, PLAN_CLOSURE_REASON, reason);
		if (note != NULL)
			SetRowText(row, PLAN_CLOSURE_NOTE, note);
	}
}

/*
 * CheckStatus checks a change of status and sets what it means.
 */
static void
CheckStatus(Row *row, const Row *old_row, const TreatmentPlan *plan,
			TimestampTz now)
{
	const Workflow *workflow = RequireWorkflow(plan->workflow);
	const WorkflowTransition *transition;
	const Intent *meant = CurrentIntent();

	if (RowIsNull(row, PLAN_STATUS))
		RaiseEngineOwned("plans", "status", ENGINE_HINT);
	transition = ChooseTransition(workflow, plan, RowText(row, PLAN_STATUS));
	if (transition->reasons != NIL && !TransitionCloses(workflow, transition) &&
		(meant == NULL || meant->action == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_TX_REASON_REQUIRED),
				 errmsg("action \"%s\" of plan %s wants a reason",
						transition->action, plan->number),
				 errdetail("An UPDATE can give a reason only where it closes the "
						   "plan."),
				 errhint("Call txplan.transition_plan().")));
	if (GivenNote(old_row, row) != NULL &&
		!TransitionCloses(workflow, transition) &&
		(meant == NULL || meant->action == NULL))
		RaiseEngineOwned("plans", "closure_note", ENGINE_HINT);
	CheckTransition(transition, plan, GivenReason(old_row, row));
	if (!RowIsNull(old_row, PLAN_CLOSED_AT) &&
		!TransitionCloses(workflow, transition))
		CheckConflicts(plan);
	SetStamps(row, old_row, workflow, transition, now);
}

/*
 * CheckUpdate checks a client's change of a plan and sets what follows from it.
 * The row is locked: PostgreSQL locks it before it calls the trigger.
 */
static void
CheckUpdate(Row *row, const Row *old_row)
{
	TimestampTz now = GetCurrentTimestamp();
	Settlement settlement;
	TreatmentPlan plan;
	Row given = *row;

	CheckColumns(old_row, row);
	PlanFromRow(&plan, old_row);
	DistrustPlan(&plan.key.id, &plan.key.clinic_id);
	if (RowsDiffer(old_row, row, PLAN_PROFESSIONAL_ID) &&
		!RowIsNull(row, PLAN_PROFESSIONAL_ID))
		CheckProfessional(RowUuid(row, PLAN_PROFESSIONAL_ID),
						  &plan.key.clinic_id);
	if (RowsDiffer(old_row, row, PLAN_STATUS))
	{
		/* Reason and note are read as given, before they are set. */
		given.values = (Datum *) palloc(sizeof(Datum) * row->descriptor->natts);
		given.nulls = (bool *) palloc(sizeof(bool) * row->descriptor->natts);
		memcpy(given.values, row->values,
			   sizeof(Datum) * row->descriptor->natts);
		memcpy(given.nulls, row->nulls, sizeof(bool) * row->descriptor->natts);
		CheckStatus(row, old_row, &plan, now);
	}
	else
	{
		if (RowsDiffer(old_row, row, PLAN_CLOSURE_REASON))
			RaiseEngineOwned("plans", "closure_reason", ENGINE_HINT);
		if (RowsDiffer(old_row, row, PLAN_CLOSURE_NOTE))
			RaiseEngineOwned("plans", "closure_note", ENGINE_HINT);
	}

	BeginSettlement(&settlement, now, true);
	DescribeChange(&settlement, &plan, old_row, &given);
	SetReckoned(row, &plan);
	SetRow(row, PLAN_UPDATED_AT,
		   plan.version == DatumGetInt64(RowValue(old_row, PLAN_VERSION)) ?
			   RowValue(old_row, PLAN_UPDATED_AT) :
			   TimestampTzGetDatum(now));
}

/*
 * CheckDelete lets go only a draft of which nothing was done.
 */
static void
CheckDelete(const Row *row)
{
	Datum arguments[2];
	Datum one;
	bool isnull;
	TreatmentPlan plan;
	const char *reason = NULL;

	PlanFromRow(&plan, row);
	arguments[0] = UUIDPGetDatum(&plan.key.id);
	arguments[1] = UUIDPGetDatum(&plan.key.clinic_id);
	if (!StateOfPlan(&plan)->initial)
		reason =
			psprintf("It is %s, no longer in its initial state.", plan.status);
	else if (plan.items_completed > 0)
		reason = "It has completed items.";
	else if (QueryRow(&find_earned, AS_OWNER, arguments, NULL, &one, &isnull))
		reason = "It has earned entries.";
	else if (QueryRow(&find_seen_budget, AS_OWNER, arguments, NULL, &one,
					  &isnull))
		reason = "It has a budget that is no draft.";
	if (reason != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_TX_ALREADY_FINAL),
				 errmsg("plan %s cannot be deleted", plan.number),
				 errdetail("%s", reason),
				 errhint("Only a plan in its initial state of which nothing was "
						 "done is deleted; close it instead.")));
	ForgetPlan(&plan.key.id, &plan.key.clinic_id);
}

/*
 * txplan_plans_check is the trigger before each row of plans.
 */
Datum
txplan_plans_check(PG_FUNCTION_ARGS)
{
	static const RowChecks checks = { "plans_check", TABLE_PLANS, CheckInsert,
									  CheckUpdate, CheckDelete };

	return CheckRow(fcinfo, &checks);
}

/*
 * txplan_create_plan makes a plan.
 */
Datum
txplan_create_plan(PG_FUNCTION_ARGS)
{
	Datum arguments[5];
	char nulls[6] = "     ";
	Datum id;
	bool isnull;
	int i;

	RequireRecord();
	RequireArgument(fcinfo, 0, "clinic_id");
	RequireArgument(fcinfo, 1, "patient_id");
	CheckTextArgument(fcinfo, 3, "title", TITLE_MAX_CHARS, false);
	for (i = 0; i < 4; i++)
	{
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
		arguments[i] = PG_ARGISNULL(i) ? (Datum) 0 : PG_GETARG_DATUM(i);
	}
	arguments[4] =
		PG_ARGISNULL(4) ? CStringGetTextDatum("dental") : PG_GETARG_DATUM(4);
	if (!QueryRow(&insert_plan, AS_CALLER, arguments, nulls, &id, &isnull))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(id);
}
