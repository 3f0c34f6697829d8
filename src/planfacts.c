/*
 * planfacts.c
 *		What a change of a plan means: the facts, and what follows from them.
 *
 * The facts of a change are told twice: as a rehearsal before the row is written,
 * to reckon the version and the history that it will have, and after the
 * statement to publish them.
 */
#include "planfacts.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "error.h"
#include "involved.h"
#include "livebudget.h"
#include "number.h"
#include "spi.h"
#include "stage.h"
#include "transition.h"

SAVED_QUERY(hold_treatments,
			"UPDATE txplan.items AS i SET live = $3 "
			"WHERE i.plan_id" EQ "$1 AND i.clinic_id" EQ "$2 "
			"AND i.status" NE "'cancelled' AND i.live" NE "$3",
			UUIDOID, UUIDOID, BOOLOID);

SAVED_QUERY(read_confirmed_items,
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
			UUIDOID, UUIDOID);

/* What a client may change at any time, published as updated */
static const PlanColumn free_columns[] = { PLAN_TITLE, PLAN_DIAGNOSIS_NOTES,
										   PLAN_INTERNAL_NOTES };

PG_FUNCTION_INFO_V1(txplan_plans_settle);

/*
 * GivenReason is the reason for a change of status: the intent's, else the
 * closure_reason that the UPDATE sets.
 */
const char *
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
const char *
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
void
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
void
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
 * RehearsedTime is when a change was rehearsed: its history was sealed with it.
 * A trigger of somebody else's may have set updated_at to something else.
 */
static TimestampTz
RehearsedTime(const TreatmentPlan *plan, const Row *row)
{
	TimestampTz at;

	if (FindReservedTime(&plan->key, plan->version + 1, &at))
		return at;
	return DatumGetTimestampTz(RowValue(row, PLAN_UPDATED_AT));
}

/*
 * AskGuardsAgain asks the guards of a transition once more, when all that the
 * statement did is done: one statement can move a plan and take away what the
 * guards saw.
 */
static void
AskGuardsAgain(const Row *old_row, const WorkflowTransition *transition)
{
	TreatmentPlan plan;

	PlanFromRow(&plan, old_row);
	CheckGuards(transition, &plan);
}

/*
 * TransitionOf is the transition that a change of status has taken.
 */
static const WorkflowTransition *
TransitionOf(const Row *old_row, const Row *new_row)
{
	TreatmentPlan plan;

	PlanFromRow(&plan, old_row);
	return ChooseTransition(RequireWorkflow(plan.workflow), &plan,
							RowText(new_row, PLAN_STATUS));
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
	const WorkflowTransition *moved = NULL;
	TreatmentPlan plan;
	TreatmentPlan *held;

	PlanFromRow(&plan, TRIGGER_FIRED_BY_INSERT(event) ? new_row : old_row);
	ForgetPlan(&plan.key.id, &plan.key.clinic_id);
	if (TRIGGER_FIRED_BY_INSERT(event))
	{
		plan.version = plan.history_length = 0;
		BeginSettlement(&settlement, RehearsedTime(&plan, row), false);
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
		BeginSettlement(&settlement, RehearsedTime(&plan, row), false);
		DescribeChange(&settlement, &plan, old_row, new_row);
		CheckReckoned(&plan, row);
	}
	FlushSettlement(&settlement);
	if (TRIGGER_FIRED_BY_DELETE(event))
		return;

	if (TRIGGER_FIRED_BY_UPDATE(event) &&
		RowsDiffer(old_row, new_row, PLAN_PROFESSIONAL_ID))
		WriteInvolved(&plan.key);
	if (TRIGGER_FIRED_BY_UPDATE(event) &&
		RowsDiffer(old_row, new_row, PLAN_STATUS))
	{
		moved = TransitionOf(old_row, new_row);
		AskGuardsAgain(old_row, moved);
	}
	if (TRIGGER_FIRED_BY_UPDATE(event) &&
		RowIsNull(old_row, PLAN_CLOSED_AT) !=
			RowIsNull(new_row, PLAN_CLOSED_AT))
		HoldTreatments(&plan, RowIsNull(new_row, PLAN_CLOSED_AT));
	if (moved != NULL)
	{
		held = LockPlan(&plan.key.id, &plan.key.clinic_id);
		if (held != NULL)
			BudgetFollows(held, moved);
	}
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
	StageCounts counts = { 0 };
	Row old_row;
	Row new_row;

	if (WrittenByEngine(TABLE_PLANS))
		return PointerGetDatum(NULL);
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		WriteNumbers();
	each = AllocSetContextCreate(CurrentMemoryContext, "txplan plan settled",
								 ALLOCSET_DEFAULT_SIZES);
	OpenChanges(&changes, trigger, TABLE_PLANS);
	while (NextChange(&changes, &old_row, &new_row))
	{
		CountStages(&counts,
					TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? NULL :
																 &old_row,
					TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ? NULL :
																 &new_row);
		old = MemoryContextSwitchTo(each);
		SettleRow(trigger, &old_row, &new_row);
		MemoryContextSwitchTo(old);
		MemoryContextReset(each);
	}
	CloseChanges(&changes);
	WriteStageCounts(&counts);
	MemoryContextDelete(each);
	return PointerGetDatum(NULL);
}
