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
#include "number.h"
#include "registry.h"
#include "spi.h"
#include "transition.h"

static SavedQuery hold_treatments = { "UPDATE txplan.items AS i SET live = $3 "
									  "WHERE i.plan_id" EQ
									  "$1 AND i.clinic_id" EQ "$2 "
									  "AND i.status" NE
									  "'cancelled' AND i.live" NE "$3",
									  3,
									  { UUIDOID, UUIDOID, BOOLOID } };

static SavedQuery find_conflicts = {
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
	2,
	{ UUIDOID, UUIDOID }
};

static SavedQuery read_confirmed_items = {
	"SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object("
	"'item_id', i.id, 'catalog_item_id', i.catalog_item_id, "
	"'treatment_ref', i.treatment_ref, 'tooth', i.tooth, "
	"'surfaces', i.surfaces, 'description', i.description, "
	"'unit_price', i.price::pg_catalog.text, "
	"'professional_id', i.professional_id) ORDER BY i.position), "
	"pg_catalog.sum(i.price) "
	"FROM txplan.items AS i "
	"WHERE i.plan_id" EQ "$1 AND i.clinic_id" EQ "$2 "
	"AND i.status" NE "'cancelled'",
	2,
	{ UUIDOID, UUIDOID }
};

static SavedQuery find_earned = { "SELECT 1 FROM txplan.earned_entries AS e "
								  "WHERE e.plan_id" EQ "$1 AND e.clinic_id" EQ
								  "$2 LIMIT 1",
								  2,
								  { UUIDOID, UUIDOID } };

static SavedQuery insert_plan = {
	"INSERT INTO txplan.plans "
	"(clinic_id, patient_id, professional_id, title, workflow) "
	"VALUES ($1, $2, $3, $4, $5) RETURNING id",
	5,
	{ UUIDOID, UUIDOID, UUIDOID, TEXTOID, TEXTOID }
};

/* What a client may never change, and what it may never write */
static const PlanColumn fixed_columns[] = { PLAN_ID, PLAN_CLINIC_ID,
											PLAN_PATIENT_ID, PLAN_WORKFLOW };

static const PlanColumn engine_columns[] = {
	PLAN_NUMBER,		  PLAN_CONFIRMED_AT,   PLAN_ACTIVATED_AT,
	PLAN_COMPLETED_AT,	  PLAN_CLOSED_AT,	   PLAN_STATUS_CHANGED_AT,
	PLAN_LAST_CONTACT_AT, PLAN_ITEMS_TOTAL,	   PLAN_ITEMS_COMPLETED,
	PLAN_ITEMS_CANCELLED, PLAN_HISTORY_LENGTH, PLAN_HISTORY_HEAD,
	PLAN_CREATED_BY,	  PLAN_CREATED_AT
};

/* What a client may change at any time, published as updated */
static const PlanColumn free_columns[] = { PLAN_TITLE, PLAN_DIAGNOSIS_NOTES,
										   PLAN_INTERNAL_NOTES };

#define ENGINE_HINT                                         \
	"Move the plan by its actions, add items and complete " \
	"sessions: the engine then writes this column."

PG_FUNCTION_INFO_V1(txplan_plans_check);
PG_FUNCTION_INFO_V1(txplan_plans_settle);
PG_FUNCTION_INFO_V1(txplan_create_plan);

static void DescribeChange(Settlement *settlement, TreatmentPlan *plan,
						   const Row *old_row, const Row *new_row);

/*
 * GivenReason is the reason for a change of status: the intent's, else the
 * closure_reason that the UPDATE sets.
 */
static const char *
GivenReason(const Row *old_row, const Row *new_row)
{
	const Intent *meant = CurrentIntent();

	if (meant != NULL && meant->action != NULL)
		return meant->reason;
	return RowsDiffer(old_row, new_row, PLAN_CLOSURE_REASON) ?
			   RowText(new_row, PLAN_CLOSURE_REASON) :
			   NULL;
}

/*
 * GivenNote is the note on a change of status, likewise.
 */
static const char *
GivenNote(const Row *old_row, const Row *new_row)
{
	const Intent *meant = CurrentIntent();

	if (meant != NULL && meant->action != NULL)
		return meant->note;
	return RowsDiffer(old_row, new_row, PLAN_CLOSURE_NOTE) ?
			   RowText(new_row, PLAN_CLOSURE_NOTE) :
			   NULL;
}

/*
 * PublishTransition publishes a transition: its own event, then status_changed.
 */
static void
PublishTransition(Settlement *settlement, TreatmentPlan *plan,
				  const WorkflowTransition *transition, const Row *old_row,
				  const char *reason, const char *note)
{
	Payload payload;
	const char *event = transition->event;

	if (event != NULL)
	{
		BeginPayload(&payload);
		if (strcmp(event, "treatment_plan.confirmed") == 0 &&
			!settlement->rehearsal)
		{
			Datum arguments[2];
			Datum values[2];
			bool nulls[2];

			arguments[0] = UUIDPGetDatum(&plan->key.id);
			arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
			(void) QueryRow(&read_confirmed_items, AS_OWNER, arguments, NULL,
							values, nulls);
			if (nulls[0])
			{
				PayloadJson(&payload, "items",
							DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
															   CStringGetDatum("[]"))));
				PayloadText(&payload, "total", "0.00");
			}
			else
			{
				PayloadJson(&payload, "items", DatumGetJsonbP(values[0]));
				PayloadAmount(&payload, "total", values[1]);
			}
		}
		else if (strcmp(event, "treatment_plan.closed") == 0)
		{
			PayloadText(&payload, "closure_reason", reason);
			PayloadText(&payload, "closure_note", note);
			PayloadText(&payload, "previous_status", transition->from_state);
		}
		else if (strcmp(event, "treatment_plan.reactivated") == 0)
			PayloadColumn(&payload, "previous_closure_reason", old_row,
						  PLAN_CLOSURE_REASON);
		else if (strncmp(event, "treatment_plan.", 15) != 0)
		{
			/* An event of the workflow's own says what there is to say. */
			PayloadText(&payload, "action", transition->action);
			PayloadText(&payload, "old_status", transition->from_state);
			PayloadText(&payload, "new_status", transition->to_state);
			PayloadText(&payload, "reason", reason);
			PayloadText(&payload, "note", note);
		}
		PublishEvent(settlement, plan, event, &payload);
	}

	BeginPayload(&payload);
	PayloadText(&payload, "old_status", transition->from_state);
	PayloadText(&payload, "new_status", transition->to_state);
	PayloadText(&payload, "action", transition->action);
	PublishEvent(settlement, plan, "treatment_plan.status_changed", &payload);
}

/*
 * DescribeStatus tells of a change of status.
 */
static void
DescribeStatus(Settlement *settlement, TreatmentPlan *plan, const Row *old_row,
			   const Row *new_row)
{
	const Workflow *workflow = RequireWorkflow(plan->workflow);
	char *to_state = RowText(new_row, PLAN_STATUS);
	const WorkflowTransition *transition =
		ChooseTransition(workflow, plan, to_state);
	const char *reason = GivenReason(old_row, new_row);
	const char *note = GivenNote(old_row, new_row);
	HistoryRow fact = { 0 };

	PublishTransition(settlement, plan, transition, old_row, reason, note);
	fact.what = "status";
	fact.from_value = transition->from_state;
	fact.to_value = to_state;
	fact.action = transition->action;
	fact.reason = reason;
	fact.note = note;
	RecordHistory(settlement, plan, &fact);
	plan->status = to_state;
}

/*
 * DescribeTexts tells of changed titles and notes: one event for all.
 */
static void
DescribeTexts(Settlement *settlement, TreatmentPlan *plan, const Row *old_row,
			  const Row *new_row)
{
	JsonbParseState *state = NULL;
	JsonbValue *changed;
	Payload payload;
	bool any = false;
	int i;

	(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (i = 0; i < lengthof(free_columns); i++)
	{
		PlanColumn column = free_columns[i];
		HistoryRow fact = { 0 };
		JsonbValue name;

		if (!RowsDiffer(old_row, new_row, column))
			continue;
		any = true;
		name.type = jbvString;
		name.val.string.val = pstrdup(new_row->names[column]);
		name.val.string.len = (int) strlen(new_row->names[column]);
		(void) pushJsonbValue(&state, WJB_ELEM, &name);

		fact.what = new_row->names[column];
		fact.from_value = RowText(old_row, column);
		fact.to_value = RowText(new_row, column);
		RecordHistory(settlement, plan, &fact);
	}
	changed = pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	if (!any)
		return;
	BeginPayload(&payload);
	PayloadJson(&payload, "changed", JsonbValueToJsonb(changed));
	PublishEvent(settlement, plan, "treatment_plan.updated", &payload);
}

/*
 * DescribeProfessional tells of a new doctor of the plan.
 */
static void
DescribeProfessional(Settlement *settlement, TreatmentPlan *plan,
					 const Row *old_row, const Row *new_row)
{
	const Intent *meant = CurrentIntent();
	const pg_uuid_t *before = RowUuid(old_row, PLAN_PROFESSIONAL_ID);
	const pg_uuid_t *after = RowUuid(new_row, PLAN_PROFESSIONAL_ID);
	HistoryRow fact = { 0 };
	Payload payload;

	fact.what = "professional";
	fact.from_value = before == NULL ? NULL : UuidText(before);
	fact.to_value = after == NULL ? NULL : UuidText(after);
	RecordHistory(settlement, plan, &fact);

	BeginPayload(&payload);
	PayloadUuid(&payload, "old_professional_id", before);
	PayloadUuid(&payload, "new_professional_id", after);
	PayloadInteger(&payload, "items_reassigned",
				   meant == NULL ? 0 : meant->items_reassigned);
	PublishEvent(settlement, plan, "treatment_plan.professional_changed",
				 &payload);
}

/*
 * DescribeCreation tells of a new plan.
 */
static void
DescribeCreation(Settlement *settlement, TreatmentPlan *plan,
				 const Row *new_row)
{
	HistoryRow fact = { 0 };
	Payload payload;

	fact.what = "created";
	fact.to_value = plan->status;
	RecordHistory(settlement, plan, &fact);

	BeginPayload(&payload);
	PayloadText(&payload, "workflow", plan->workflow);
	PayloadText(&payload, "status", plan->status);
	PayloadColumn(&payload, "title", new_row, PLAN_TITLE);
	PayloadColumn(&payload, "professional_id", new_row, PLAN_PROFESSIONAL_ID);
	PublishEvent(settlement, plan, "treatment_plan.created", &payload);
}

/*
 * DescribeDeletion tells of the end of a plan, whose events and history stay.
 */
static void
DescribeDeletion(Settlement *settlement, TreatmentPlan *plan)
{
	HistoryRow fact = { 0 };

	fact.what = "deleted";
	fact.from_value = plan->status;
	RecordHistory(settlement, plan, &fact);
	PublishEvent(settlement, plan, "treatment_plan.deleted", NULL);
}

/*
 * DescribeChange tells all facts of a change, in their order.  It runs twice: as
 * a rehearsal before the row is written, and to publish.
 */
static void
DescribeChange(Settlement *settlement, TreatmentPlan *plan, const Row *old_row,
			   const Row *new_row)
{
	DescribeTexts(settlement, plan, old_row, new_row);
	if (RowsDiffer(old_row, new_row, PLAN_PROFESSIONAL_ID))
		DescribeProfessional(settlement, plan, old_row, new_row);
	if (RowsDiffer(old_row, new_row, PLAN_STATUS))
		DescribeStatus(settlement, plan, old_row, new_row);
}

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

	SetRowText(row, PLAN_STATUS, initial->name);
	SetRowText(row, PLAN_NUMBER, NextPlanNumber(id, clinic_id));
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
 * CheckConflicts raises TX002 when a plan that comes back holds a treatment that
 * another plan has taken meanwhile.
 */
static void
CheckConflicts(const TreatmentPlan *plan)
{
	Datum arguments[2];
	uint64 i;
	List *reasons = NIL;

	arguments[0] = UUIDPGetDatum(&plan->key.id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	ConnectSpi();
	(void) RunQuery(&find_conflicts, AS_OWNER, arguments, NULL);
	for (i = 0; i < SPI_processed; i++)
	{
		Datum values[2];
		bool nulls[2];

		FetchRow(i, values, nulls);
		reasons = lappend(reasons, psprintf("treatment \"%s\" is in plan %s",
											TextDatumGetCString(values[0]),
											TextDatumGetCString(values[1])));
	}
	if (reasons != NIL)
	{
		StringInfoData joined;
		ListCell *cell;

		initStringInfo(&joined);
		foreach(cell, reasons)
			appendStringInfo(&joined, "%s%s", joined.len > 0 ? "; " : "",
							 (char *) lfirst(cell));
		ereport(ERROR,
				(errcode(ERRCODE_TX_TRANSITION_BLOCKED),
				 errmsg("plan %s cannot come back: others hold its treatments",
						plan->number),
				 errdetail("Reasons: %s.", joined.data),
				 errhint("Remove the treatment from one of the plans.")));
	}
	FinishSpi();
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
	CheckTransition(workflow, transition, plan, GivenReason(old_row, row));
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
		reason = psprintf("It is %s.", plan.status);
	else if (plan.items_completed > 0)
		reason = "It has completed items.";
	else if (QueryRow(&find_earned, AS_OWNER, arguments, NULL, &one, &isnull))
		reason = "It has earned entries.";
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
	TriggerData *trigger = OurTrigger(fcinfo, "plans_check");
	Relation relation = trigger->tg_relation;
	Row old_row;
	Row row;

	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		OpenTuple(&row, relation, TABLE_PLANS, trigger->tg_trigtuple);
		CheckDelete(&row);
		return PointerGetDatum(trigger->tg_trigtuple);
	}
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		if (WrittenByEngine(TABLE_PLANS))
			return PointerGetDatum(trigger->tg_newtuple);
		OpenTuple(&old_row, relation, TABLE_PLANS, trigger->tg_trigtuple);
		OpenTuple(&row, relation, TABLE_PLANS, trigger->tg_newtuple);
		CheckUpdate(&row, &old_row);
		return PointerGetDatum(FinishRow(&row));
	}
	OpenTuple(&row, relation, TABLE_PLANS, trigger->tg_trigtuple);
	CheckInsert(&row);
	return PointerGetDatum(FinishRow(&row));
}

/*
 * HoldTreatments makes the items of a plan hold their treatments, or let go of
 * them.  Somebody who takes such a treatment at the same moment makes the index
 * refuse it: the plan then cannot come back.
 */
static void
HoldTreatments(const TreatmentPlan *plan, bool hold)
{
	Datum arguments[3];
	MemoryContext context = CurrentMemoryContext;

	arguments[0] = UUIDPGetDatum(&plan->key.id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[2] = BoolGetDatum(hold);
	PG_TRY();
	{
		(void) EngineWrite(&hold_treatments, TABLE_ITEMS, arguments, NULL);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_TX_TRANSITION_BLOCKED),
				 errmsg("plan %s cannot come back: others hold its treatments",
						plan->number),
				 error->detail == NULL ? 0 : errdetail("%s", error->detail),
				 errhint("Remove the treatment from one of the plans.")));
	}
	PG_END_TRY();
}

/*
 * CheckReckoned raises when the row is not what was reckoned: some other trigger
 * changed it after ours, or the workflow changed in between.
 */
static void
CheckReckoned(const TreatmentPlan *plan, const Row *row)
{
	TreatmentPlan written;

	PlanFromRow(&written, row);
	if (plan->version == written.version &&
		plan->history_length == written.history_length &&
		memcmp(plan->history_head, written.history_head, HASH_BYTES) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("plan %s changed while it was being written", plan->number),
			 errdetail("Its workflow was changed at this moment, or a trigger of "
					   "your own changed the row after txplan."),
			 errhint("Try again.")));
}

/*
 * SettleRow publishes what happened to one plan.
 */
static void
SettleRow(TriggerData *trigger, const Row *old_row, const Row *new_row)
{
	TriggerEvent event = trigger->tg_event;
	const Row *row = TRIGGER_FIRED_BY_DELETE(event) ? old_row : new_row;
	Settlement settlement;
	TreatmentPlan plan;
	TreatmentPlan *held;

	PlanFromRow(&plan, TRIGGER_FIRED_BY_INSERT(event) ? new_row : old_row);
	ForgetPlan(&plan.key.id, &plan.key.clinic_id);
	if (TRIGGER_FIRED_BY_INSERT(event))
	{
		plan.version = plan.history_length = 0;
		BeginSettlement(&settlement,
						DatumGetTimestampTz(RowValue(row, PLAN_UPDATED_AT)),
						false);
		DescribeCreation(&settlement, &plan, new_row);
		CheckReckoned(&plan, row);
	}
	else if (TRIGGER_FIRED_BY_DELETE(event))
	{
		BeginSettlement(&settlement, GetCurrentTimestamp(), false);
		DescribeDeletion(&settlement, &plan);
	}
	else
	{
		if (!RowsDiffer(old_row, new_row, PLAN_VERSION))
			return;
		BeginSettlement(&settlement,
						DatumGetTimestampTz(RowValue(row, PLAN_UPDATED_AT)),
						false);
		DescribeChange(&settlement, &plan, old_row, new_row);
		CheckReckoned(&plan, row);
	}
	FlushSettlement(&settlement);
	if (TRIGGER_FIRED_BY_DELETE(event))
		return;

	if (TRIGGER_FIRED_BY_UPDATE(event) &&
		RowIsNull(old_row, PLAN_CLOSED_AT) !=
			RowIsNull(new_row, PLAN_CLOSED_AT))
		HoldTreatments(&plan, RowIsNull(new_row, PLAN_CLOSED_AT));
	if (!MayAdvance(&plan))
		return;
	held = LockPlan(&plan.key.id, &plan.key.clinic_id);
	if (held != NULL)
		AdvancePlan(held);
}

/*
 * txplan_plans_settle is the trigger after each statement on plans.
 */
Datum
txplan_plans_settle(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = OurTrigger(fcinfo, "plans_settle");
	MemoryContext each;
	MemoryContext old;
	ChangedRows changes;
	Row old_row;
	Row new_row;

	if (WrittenByEngine(TABLE_PLANS))
		return PointerGetDatum(NULL);
	each = AllocSetContextCreate(CurrentMemoryContext, "txplan plan settled",
								 ALLOCSET_DEFAULT_SIZES);
	OpenChanges(&changes, trigger, TABLE_PLANS);
	while (NextChange(&changes, &old_row, &new_row))
	{
		old = MemoryContextSwitchTo(each);
		SettleRow(trigger, &old_row, &new_row);
		MemoryContextSwitchTo(old);
		MemoryContextReset(each);
	}
	CloseChanges(&changes);
	MemoryContextDelete(each);
	return PointerGetDatum(NULL);
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
