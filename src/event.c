/*
 * event.c
 *		Publishing what happened to plans, in the order of the facts.
 *
 * An event takes the plan's next version and the next number at once, and both
 * under the plan's lock, so within a plan numbers and versions rise together.
 */
#include "event.h"

#include "access/transam.h"
#include "access/xact.h"
#include "commands/sequence.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "actor.h"
#include "error.h"
#include "notify.h"
#include "origin.h"
#include "spi.h"

/* The number of an event that is published after its plan's row is written */
typedef struct ReservedEvent
{
	PlanKey plan;
	int64 version; /* 0 once it is published */
	TimestampTz at;
	int64 id;
	SubTransactionId subtransaction;
} ReservedEvent;

typedef struct ReservedEvents
{
	int first; /* that is not published */
	int count;
	int room;
	ReservedEvent *events;
} ReservedEvents;

/* Of the transaction at hand, in its memory; NULL when there is none */
static ReservedEvents *reserved = NULL;

/* The columns of a plan that the engine writes after each fact */
#define PLAN_COLUMNS 8

SAVED_QUERY(write_plan,
			"UPDATE txplan.plans SET items_total = $3, items_completed = $4, "
			"items_cancelled = $5, version = $6, history_length = $7, "
			"history_head = $8, updated_at = $9 "
			"WHERE id" EQ "$1 AND clinic_id" EQ "$2",
			UUIDOID, UUIDOID, INT4OID, INT4OID, INT4OID, INT8OID, INT8OID,
			BYTEAOID, TIMESTAMPTZOID);

SAVED_QUERY(write_plans,
			"UPDATE txplan.plans AS p SET items_total = w.items_total, "
			"items_completed = w.items_completed, "
			"items_cancelled = w.items_cancelled, version = w.version, "
			"history_length = w.history_length, history_head = w.history_head, "
			"updated_at = $9 "
			"FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), "
			"pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5), "
			"pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8)) "
			"AS w (id, clinic_id, items_total, items_completed, items_cancelled, "
			"version, history_length, history_head) "
			"WHERE p.id" EQ "w.id AND p.clinic_id" EQ "w.clinic_id",
			UUIDARRAYOID, UUIDARRAYOID, INT4ARRAYOID, INT4ARRAYOID,
			INT4ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, BYTEAARRAYOID,
			TIMESTAMPTZOID);

SAVED_QUERY(insert_event,
			"INSERT INTO txplan.events "
			"(id, clinic_id, plan_id, plan_version, type, actor, occurred_at, payload) "
			"VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
			INT8OID, UUIDOID, UUIDOID, INT8OID, TEXTOID, TEXTOID,
			TIMESTAMPTZOID, JSONBOID);

SAVED_QUERY(insert_events,
			"INSERT INTO txplan.events "
			"(id, clinic_id, plan_id, plan_version, type, actor, occurred_at, payload) "
			"SELECT e.id, e.clinic_id, e.plan_id, e.plan_version, e.type, $7, "
			"e.occurred_at, e.payload "
			"FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), "
			"pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5), "
			"pg_catalog.unnest($6), pg_catalog.unnest($8)) "
			"AS e (id, clinic_id, plan_id, plan_version, type, occurred_at, payload)",
			INT8ARRAYOID, UUIDARRAYOID, UUIDARRAYOID, INT8ARRAYOID,
			TEXTARRAYOID, TIMESTAMPTZARRAYOID, TEXTOID, JSONBARRAYOID);

PG_FUNCTION_INFO_V1(txplan_engine_only);
PG_FUNCTION_INFO_V1(txplan_refuse_truncate);

/*
 * EndOfTransaction and EndOfSubtransaction forget the reservations that went with
 * what was rolled back.
 */
static void
EndOfTransaction(XactEvent event, void *argument)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			reserved = NULL;
			break;
		default:
			break;
	}
}

static void
EndOfSubtransaction(SubXactEvent event, SubTransactionId mine,
					SubTransactionId parent, void *argument)
{
	if (event != SUBXACT_EVENT_ABORT_SUB || reserved == NULL)
		return;
	while (reserved->count > reserved->first &&
		   reserved->events[reserved->count - 1].subtransaction >= mine)
		reserved->count--;
}

/*
 * InitEvent registers the callbacks, once for each backend.
 */
void
InitEvent(void)
{
	RegisterXactCallback(EndOfTransaction, NULL);
	RegisterSubXactCallback(EndOfSubtransaction, NULL);
}

/*
 * NextNumber takes the next number of all.
 */
static int64
NextNumber(void)
{
	EnsureOrigin();
	return nextval_internal(EventSequence(), false);
}

/*
 * ReserveEvent takes the number of an event in a rehearsal.  Its plan's row will
 * have the version before the event is published; whoever writes the plan
 * meanwhile gets later versions, and so must get later numbers.
 *
 * The number comes first: an error while it is taken leaves no reservation.
 */
static void
ReserveEvent(const Settlement *settlement, const TreatmentPlan *plan)
{
	int64 id = NextNumber();
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	ReservedEvent *event;

	if (reserved == NULL)
		reserved = (ReservedEvents *) palloc0(sizeof(ReservedEvents));
	if (reserved->first == reserved->count)
		reserved->first = reserved->count = 0;
	if (reserved->count == reserved->room)
	{
		reserved->room = Max(16, reserved->room * 2);
		reserved->events =
			reserved->events == NULL ?
				palloc(sizeof(ReservedEvent) * reserved->room) :
				repalloc_huge(reserved->events,
							  sizeof(ReservedEvent) * reserved->room);
	}
	event = &reserved->events[reserved->count++];
	event->plan = plan->key;
	event->version = plan->version;
	event->at = settlement->at;
	event->id = id;
	event->subtransaction = GetCurrentSubTransactionId();
	MemoryContextSwitchTo(old);
}

/*
 * FindReserved finds the reservation of a version; the first is the usual one.
 */
static ReservedEvent *
FindReserved(const PlanKey *plan, int64 version)
{
	int i;

	for (i = reserved == NULL ? 0 : reserved->first;
		 reserved != NULL && i < reserved->count; i++)
		if (reserved->events[i].version == version &&
			memcmp(&reserved->events[i].plan, plan, sizeof(PlanKey)) == 0)
			return &reserved->events[i];
	return NULL;
}

/*
 * FindReservedTime tells when a change was rehearsed that brought a version;
 * false when none was.
 */
bool
FindReservedTime(const PlanKey *plan, int64 version, TimestampTz *at)
{
	ReservedEvent *event = FindReserved(plan, version);

	if (event == NULL)
		return false;
	*at = event->at;
	return true;
}

/*
 * NextEventId is the number that was reserved for a version, else a new one.
 */
static int64
NextEventId(const TreatmentPlan *plan)
{
	ReservedEvent *event = FindReserved(&plan->key, plan->version);

	if (event == NULL)
		return NextNumber();
	event->version = 0;
	while (reserved->first < reserved->count &&
		   reserved->events[reserved->first].version == 0)
		reserved->first++;
	return event->id;
}

/*
 * TimeText writes a time as RFC 3339 has it, in UTC.
 */
char *
TimeText(TimestampTz at)
{
	struct pg_tm tm;
	fsec_t microseconds;

	if (timestamp2tm(at, NULL, &tm, &microseconds, NULL, NULL) != 0)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("timestamp out of range")));
	return psprintf("%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year,
					tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
					(int) microseconds);
}

/*
 * BeginSettlement opens the books for one statement, in the memory at hand.
 *
 * A rehearsal reckons which version and which hash a plan will have, before its
 * row is written; nothing is numbered or published.
 */
void
BeginSettlement(Settlement *settlement, TimestampTz at, bool rehearsal)
{
	memset(settlement, 0, sizeof(Settlement));
	settlement->context = CurrentMemoryContext;
	settlement->rehearsal = rehearsal;
	settlement->at = at;
	if (!rehearsal)
		settlement->at_text = TimeText(at);
	settlement->actor = CurrentActor();
	settlement->role_name = CurrentRoleName();
}

/*
 * PublishEvent adds an event with the plan's next version.  The payload may be
 * NULL; what every event says is added to it.
 */
void
PublishEvent(Settlement *settlement, TreatmentPlan *plan, const char *type,
			 Payload *payload)
{
	MemoryContext old;
	Payload empty;
	EventRow *event;

	plan->version++;
	if (settlement->rehearsal)
	{
		ReserveEvent(settlement, plan);
		return;
	}

	old = MemoryContextSwitchTo(settlement->context);
	if (settlement->nevents == settlement->event_room)
	{
		settlement->event_room = Max(8, settlement->event_room * 2);
		settlement->events =
			settlement->events == NULL ?
				palloc(sizeof(EventRow) * settlement->event_room) :
				repalloc_huge(settlement->events,
							  sizeof(EventRow) * settlement->event_room);
	}
	event = &settlement->events[settlement->nevents++];
	event->id = NextEventId(plan);
	event->plan = plan->key;
	event->version = plan->version;
	event->at = settlement->at;
	event->type = type;

	if (payload == NULL)
	{
		BeginPayload(&empty);
		payload = &empty;
	}
	PayloadText(payload, "event_id", psprintf(INT64_FORMAT, event->id));
	PayloadText(payload, "plan_id", plan->id_text);
	PayloadText(payload, "plan_number", plan->number);
	PayloadText(payload, "clinic_id", plan->clinic_text);
	PayloadText(payload, "patient_id", plan->patient_text);
	PayloadText(payload, "actor", settlement->actor);
	PayloadText(payload, "occurred_at", settlement->at_text);
	event->payload = JsonbValueToJsonb(pushJsonbValue(&payload->state,
													  WJB_END_OBJECT, NULL));
	MemoryContextSwitchTo(old);
	NotifyOfEvent(event->id, type, &plan->key.id, &plan->key.clinic_id);
}

/*
 * PlanColumns turns a plan into the columns that both statements below take.
 */
static void
PlanColumns(const TreatmentPlan *plan, Datum *columns)
{
	bytea *head = (bytea *) palloc(VARHDRSZ + HASH_BYTES);

	SET_VARSIZE(head, VARHDRSZ + HASH_BYTES);
	memcpy(VARDATA(head), plan->history_head, HASH_BYTES);
	columns[0] = UUIDPGetDatum(&plan->key.id);
	columns[1] = UUIDPGetDatum(&plan->key.clinic_id);
	columns[2] = Int32GetDatum(plan->items_total);
	columns[3] = Int32GetDatum(plan->items_completed);
	columns[4] = Int32GetDatum(plan->items_cancelled);
	columns[5] = Int64GetDatum(plan->version);
	columns[6] = Int64GetDatum(plan->history_length);
	columns[7] = PointerGetDatum(head);
}

/*
 * WritePlan writes the plan's own row: its counters, its version and the head of
 * its history.  It runs right after the facts of the plan were added, so that a
 * trigger of somebody else's finds the row as it will be.
 */
void
WritePlan(Settlement *settlement, TreatmentPlan *plan)
{
	Datum arguments[PLAN_COLUMNS + 1];

	PlanColumns(plan, arguments);
	arguments[PLAN_COLUMNS] = TimestampTzGetDatum(settlement->at);
	EngineWriteRows(&write_plan, TABLE_PLANS, arguments, NULL, 1);
}

/*
 * WritePlans writes the rows of several plans in one statement, where nobody's
 * trigger ran since their facts were added.  Each plan stands once in the list.
 */
void
WritePlans(Settlement *settlement, List *plans)
{
	static const Oid types[PLAN_COLUMNS] = {
		UUIDOID, UUIDOID, INT4OID, INT4OID, INT4OID, INT8OID, INT8OID, BYTEAOID
	};
	int n = list_length(plans);
	Datum *columns[PLAN_COLUMNS];
	Datum arguments[PLAN_COLUMNS + 1];
	ListCell *cell;
	int row = 0;
	int column;

	for (column = 0; column < PLAN_COLUMNS; column++)
		columns[column] = (Datum *) palloc(sizeof(Datum) * n);
	foreach(cell, plans)
	{
		Datum values[PLAN_COLUMNS];

		PlanColumns((TreatmentPlan *) lfirst(cell), values);
		for (column = 0; column < PLAN_COLUMNS; column++)
			columns[column][row] = values[column];
		row++;
	}
	for (column = 0; column < PLAN_COLUMNS; column++)
		arguments[column] = ArrayOf(columns[column], NULL, n, types[column]);
	arguments[PLAN_COLUMNS] = TimestampTzGetDatum(settlement->at);
	EngineWriteRows(&write_plans, TABLE_PLANS, arguments, NULL, n);
}

/*
 * FlushOneEvent writes a single event, the common case.
 */
static void
FlushOneEvent(Settlement *settlement, const EventRow *event)
{
	Datum arguments[8];

	arguments[0] = Int64GetDatum(event->id);
	arguments[1] = UUIDPGetDatum(&event->plan.clinic_id);
	arguments[2] = UUIDPGetDatum(&event->plan.id);
	arguments[3] = Int64GetDatum(event->version);
	arguments[4] = CStringGetTextDatum(event->type);
	arguments[5] = CStringGetTextDatum(settlement->actor);
	arguments[6] = TimestampTzGetDatum(event->at);
	arguments[7] = JsonbPGetDatum(event->payload);
	EngineWriteRows(&insert_event, TABLE_EVENTS, arguments, NULL, 1);
}

/*
 * FlushManyEvents writes the events of a statement in one.
 */
static void
FlushManyEvents(Settlement *settlement)
{
	int n = settlement->nevents;
	Datum *columns[7];
	Datum arguments[8];
	int i;

	for (i = 0; i < 7; i++)
		columns[i] = (Datum *) palloc(sizeof(Datum) * n);
	for (i = 0; i < n; i++)
	{
		EventRow *event = &settlement->events[i];

		columns[0][i] = Int64GetDatum(event->id);
		columns[1][i] = UUIDPGetDatum(&event->plan.clinic_id);
		columns[2][i] = UUIDPGetDatum(&event->plan.id);
		columns[3][i] = Int64GetDatum(event->version);
		columns[4][i] = CStringGetTextDatum(event->type);
		columns[5][i] = TimestampTzGetDatum(event->at);
		columns[6][i] = JsonbPGetDatum(event->payload);
	}
	arguments[0] = ArrayOf(columns[0], NULL, n, INT8OID);
	arguments[1] = ArrayOf(columns[1], NULL, n, UUIDOID);
	arguments[2] = ArrayOf(columns[2], NULL, n, UUIDOID);
	arguments[3] = ArrayOf(columns[3], NULL, n, INT8OID);
	arguments[4] = ArrayOf(columns[4], NULL, n, TEXTOID);
	arguments[5] = ArrayOf(columns[5], NULL, n, TIMESTAMPTZOID);
	arguments[6] = CStringGetTextDatum(settlement->actor);
	arguments[7] = ArrayOf(columns[6], NULL, n, JSONBOID);
	EngineWriteRows(&insert_events, TABLE_EVENTS, arguments, NULL, n);
}

/*
 * FlushSettlement writes the events and the history that were added, and empties
 * the books.
 */
void
FlushSettlement(Settlement *settlement)
{
	MemoryContext old = MemoryContextSwitchTo(settlement->context);

	if (settlement->nevents == 1)
		FlushOneEvent(settlement, &settlement->events[0]);
	else if (settlement->nevents > 1)
		FlushManyEvents(settlement);
	settlement->nevents = 0;
	FlushHistory(settlement);
	MemoryContextSwitchTo(old);
}

/*
 * IsEngineWriting tells whether the statement that writes a table is the
 * engine's.  A partition is one of events.
 */
static bool
IsEngineWriting(Relation relation)
{
	int table;

	for (table = 0; table < TABLE_COUNT; table++)
		if (RecordRelation(table) == RelationGetRelid(relation))
			return WrittenByEngine(table);
	return relation->rd_rel->relispartition && WrittenByEngine(TABLE_EVENTS);
}

/*
 * RaiseEngineTable says that a table is not the client's, and whom to ask.
 */
pg_noreturn static void
RaiseEngineTable(Relation relation)
{
	bool of_consumers = strncmp(RelationGetRelationName(relation), "consumer",
								strlen("consumer")) == 0;

	ereport(ERROR,
			(errcode(ERRCODE_TX_ENGINE_OWNED),
			 errmsg("table \"%s\" is written by the engine alone",
					RelationGetRelationName(relation)),
			 of_consumers ?
				 errdetail("Its rows follow from what consumers do.") :
				 errdetail("Its rows follow from what is done with plans."),
			 of_consumers ?
				 errhint("Call create_consumer, next_events, finish_events, "
						 "retry_event, revive_event or drop_consumer.") :
				 errhint("Change the plan, its items or its sessions."),
			 errtable(relation)));
}

/*
 * txplan_engine_only keeps everyone but the engine from a table.
 */
Datum
txplan_engine_only(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = OurTrigger(fcinfo, "engine_only");

	if (!IsEngineWriting(trigger->tg_relation))
		RaiseEngineTable(trigger->tg_relation);
	if (TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
		return PointerGetDatum(NULL);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return PointerGetDatum(trigger->tg_newtuple);
	return PointerGetDatum(trigger->tg_trigtuple);
}

/*
 * txplan_refuse_truncate keeps the tables of the record from TRUNCATE, which
 * would pass by every rule.
 */
Datum
txplan_refuse_truncate(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = OurTrigger(fcinfo, "refuse_truncate");

	ereport(ERROR, (errcode(ERRCODE_TX_ENGINE_OWNED),
					errmsg("table \"%s\" cannot be truncated",
						   RelationGetRelationName(trigger->tg_relation)),
					errdetail("TRUNCATE passes by every rule of the record."),
					errhint("Use DELETE for the rows that may go."),
					errtable(trigger->tg_relation)));
	PG_RETURN_NULL();
}
