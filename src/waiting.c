/*
 * waiting.c
 *		What waits for a consumer: events that were put back, and new ones.
 *
 * Few new events are found by their transactions and sorted.  Where many wait,
 * a window is opened: what can be seen now is handed out in the order of the
 * numbers, batch by batch, before anything newer.
 */
#include "reading.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/xid8.h"

#include "spi.h"

/* So many events are sorted; of more the window is read by their numbers */
#define SORTED_MAX 20000

/* So many events of a window are read at once */
#define CHUNK_MIN 256
#define CHUNK_MAX 10000

/*
 * When so many events are read in vain, or there were so many transactions, places
 * move that have none to hand out.
 */
#define VAIN_MAX 1000
#define FAR_BEHIND 10000

typedef struct Waiting
{
	int64 id;
	pg_uuid_t plan_id;
	TimestampTz at;
	HeapTuple tuple; /* the whole event; NULL when it was not read */
} Waiting;

SAVED_QUERY(read_retries,
			"SELECT r.event_id, r.plan_id, r.due_at OPERATOR(pg_catalog.<=) "
			"pg_catalog.clock_timestamp() "
			"FROM txplan.consumer_retries AS r "
			"WHERE r.consumer" EQ "$1 AND r.batch_id IS NULL "
			"ORDER BY r.event_id",
			INT4OID);

#define OF_CONSUMER                             \
	"e.id OPERATOR(pg_catalog.>=) $3 "          \
	"AND ($4 IS NULL OR e.type" EQ "ANY ($4)) " \
	"AND ($5 IS NULL OR e.clinic_id" EQ "$5) "  \
	"AND ($6 IS NULL OR e.plan_id" EQ "$6) "

#define PLACE_OF_EVENT "e.id, e.xid, e.plan_id, e.occurred_at"
/* In the order of the table, so that a row is copied as it is */
#define WHOLE_EVENT                                                 \
	"e.id, e.xid, e.clinic_id, e.plan_id, e.plan_version, e.type, " \
	"e.actor, e.occurred_at, e.payload"

#define NEW_EVENTS(columns, conditions)                         \
	"SELECT " columns " FROM txplan.events AS e "               \
	"WHERE e.xid OPERATOR(pg_catalog.>=) $1 AND e.xid" LT "$7 " \
	"AND " conditions "UNION ALL "                              \
	"SELECT " columns " FROM txplan.events AS e "               \
	"WHERE e.xid" EQ "ANY ($2) AND " conditions

/*
 * $1 first xid, $2 other xids, $3 first id, $4 to $6 filters, $7 end of xids.  As
 * many as a batch takes are read whole; of more, only where they stand.
 */
SAVED_QUERY(find_new, NEW_EVENTS(WHOLE_EVENT, OF_CONSUMER) "LIMIT $8", XID8OID,
			XID8ARRAYOID, INT8OID, TEXTARRAYOID, UUIDOID, UUIDOID, XID8OID,
			INT8OID);

SAVED_QUERY(find_many_new, NEW_EVENTS(PLACE_OF_EVENT, OF_CONSUMER) "LIMIT $8",
			XID8OID, XID8ARRAYOID, INT8OID, TEXTARRAYOID, UUIDOID, UUIDOID,
			XID8OID, INT8OID);

/*
 * The numbers of all new events, whatever the filters, stand in one index.  OFFSET
 * keeps the planner from going through all events by their numbers.
 */
SAVED_QUERY(find_span,
			"SELECT pg_catalog.min(n.id), pg_catalog.max(n.id) FROM (" NEW_EVENTS(
				"e.id", "e.id OPERATOR(pg_catalog.>=) $3 ") "OFFSET 0) AS n",
			XID8OID, XID8ARRAYOID, INT8OID, TEXTARRAYOID, UUIDOID, UUIDOID,
			XID8OID);

/* $1 after this id, $2 up to this one */
SAVED_QUERY(find_in_window,
			"SELECT " WHOLE_EVENT " FROM txplan.events AS e "
			"WHERE e.id" GT "$1 AND e.id OPERATOR(pg_catalog.<=) $2 "
			"AND " OF_CONSUMER "ORDER BY e.id LIMIT $7",
			INT8OID, INT8OID, INT8OID, TEXTARRAYOID, UUIDOID, UUIDOID, INT8OID);

/*
 * AddNumber adds the number of an event to a list.
 */
static void
AddNumber(Reading *reading, Numbers *numbers, int64 id)
{
	MemoryContext old = MemoryContextSwitchTo(reading->context);

	if (numbers->count == numbers->room)
	{
		numbers->room = Max(64, numbers->room * 2);
		numbers->ids =
			numbers->ids == NULL ?
				(Datum *) palloc(sizeof(Datum) * numbers->room) :
				(Datum *) repalloc(numbers->ids, sizeof(Datum) * numbers->room);
	}
	numbers->ids[numbers->count++] = Int64GetDatum(id);
	MemoryContextSwitchTo(old);
}

/*
 * KeepRow keeps an event that was read whole until it is handed out.
 */
static void
KeepRow(Reading *reading, const Waiting *event)
{
	WholeEvents *rows = &reading->rows;
	MemoryContext old = MemoryContextSwitchTo(reading->context);

	if (rows->descriptor == NULL)
		rows->descriptor = CreateTupleDescCopy(SPI_tuptable->tupdesc);
	if (rows->count == rows->room)
	{
		rows->room = Max(64, rows->room * 2);
		rows->rows =
			rows->rows == NULL ?
				(WholeEvent *) palloc(sizeof(WholeEvent) * rows->room) :
				(WholeEvent *) repalloc(rows->rows,
										sizeof(WholeEvent) * rows->room);
	}
	rows->rows[rows->count].id = event->id;
	rows->rows[rows->count++].tuple = heap_copytuple(event->tuple);
	MemoryContextSwitchTo(old);
}

/*
 * IsFull tells whether a batch takes no more.
 */
static bool
IsFull(const Reading *reading)
{
	return reading->taken.count + reading->behind.count >= reading->max_events;
}

/*
 * Take adds a waiting event to the batch, or to those that wait behind another of
 * their plan.
 */
static void
Take(Reading *reading, const Waiting *event)
{
	if (!Hold(reading, SlotOf(&event->plan_id)))
		return;
	if (hash_search(reading->waiting_plans, &event->plan_id, HASH_FIND, NULL) !=
		NULL)
	{
		AddNumber(reading, &reading->behind, event->id);
		return;
	}
	AddNumber(reading, &reading->taken, event->id);
	if (event->tuple != NULL)
		KeepRow(reading, event);
	reading->slots[SlotOf(&event->plan_id)].hands_out = true;
	reading->first_at = Min(reading->first_at, event->at);
	reading->last_at = Max(reading->last_at, event->at);
}

/*
 * TakeRetries adds the events that were put back and are due.  A plan of which
 * one is not taken waits with all that is behind it.
 */
void
TakeRetries(Reading *reading)
{
	Datum argument = Int32GetDatum(reading->consumer.id);
	uint64 row;

	ConnectSpi();
	(void) RunQuery(&read_retries, AS_OWNER_NOW, &argument, NULL);
	for (row = 0; row < SPI_processed; row++)
	{
		Datum values[3];
		bool nulls[3];
		pg_uuid_t *plan_id;

		FetchRow(row, values, nulls);
		plan_id = DatumGetUUIDP(values[1]);
		if (hash_search(reading->waiting_plans, plan_id, HASH_FIND, NULL) !=
			NULL)
			continue;
		if (!DatumGetBool(values[2]) || IsFull(reading) ||
			!Hold(reading, SlotOf(plan_id)))
		{
			(void) hash_search(reading->waiting_plans, plan_id, HASH_ENTER,
							   NULL);
			continue;
		}
		AddNumber(reading, &reading->taken, DatumGetInt64(values[0]));
		AddNumber(reading, &reading->retried, DatumGetInt64(values[0]));
		reading->slots[SlotOf(plan_id)].hands_out = true;
	}
	FinishSpi();
}

/*
 * FillFilters fills in the arguments $3 to $6 of the queries on events.
 */
static void
FillFilters(const Reading *reading, Datum *arguments, char *nulls)
{
	const Consumer *consumer = &reading->consumer;

	arguments[2] = Int64GetDatum(consumer->origin);
	arguments[3] = consumer->types;
	arguments[4] = consumer->clinic_id;
	arguments[5] = consumer->plan_id;
	nulls[3] = consumer->types == (Datum) 0 ? 'n' : ' ';
	nulls[4] = consumer->clinic_id == (Datum) 0 ? 'n' : ' ';
	nulls[5] = consumer->plan_id == (Datum) 0 ? 'n' : ' ';
}

/*
 * FetchWaiting takes a row of a query on events apart.
 */
static uint64
FetchWaiting(uint64 row, Waiting *event)
{
	Datum values[WHOLE_EVENT_COLUMNS];
	bool nulls[WHOLE_EVENT_COLUMNS];
	bool whole = SPI_tuptable->tupdesc->natts == WHOLE_EVENT_COLUMNS;

	FetchRow(row, values, nulls);
	event->tuple = whole ? SPI_tuptable->vals[row] : NULL;
	event->id = DatumGetInt64(values[0]);
	event->plan_id = *DatumGetUUIDP(values[whole ? 3 : 2]);
	event->at = DatumGetTimestampTz(values[whole ? 7 : 3]);
	return U64FromFullTransactionId(DatumGetFullTransactionId(values[1]));
}

/*
 * ChunkOf is how many events of a window are read at once: as many as are wanted,
 * were they spread evenly over the slots of all workers.
 */
static int
ChunkOf(const Reading *reading)
{
	int wanted =
		reading->max_events - reading->taken.count - reading->behind.count;

	if (reading->share == 0)
		return CHUNK_MAX;
	return Min(CHUNK_MAX,
			   Max(CHUNK_MIN, wanted * (SLOT_COUNT / reading->share)));
}

/*
 * ReadWindow adds events of the windows that are open, in the order of their
 * numbers, and closes those windows that it comes to the end of.
 */
void
ReadWindow(Reading *reading)
{
	int64 after = PG_INT64_MAX;
	int64 until = 0;
	int chunk;
	int before = reading->taken.count + reading->behind.count;
	int64 in_vain = 0;
	uint64 rows;
	int i;

	for (i = 0; i < SLOT_COUNT; i++)
		if (IsRead(&reading->slots[i], true))
		{
			after = Min(after, reading->slots[i].last_id);
			until = Max(until, reading->slots[i].until_id);
		}
	do
	{
		Datum arguments[7];
		char nulls[] = "       ";
		uint64 row;

		if (after >= until)
			break;
		chunk = ChunkOf(reading);
		arguments[0] = Int64GetDatum(after);
		arguments[1] = Int64GetDatum(until);
		FillFilters(reading, arguments, nulls);
		arguments[6] = Int64GetDatum(chunk);
		ConnectSpi();
		rows = RunQuery(&find_in_window, AS_OWNER_NOW, arguments, nulls);
		for (row = 0; row < rows && !IsFull(reading); row++)
		{
			Waiting event;
			uint64 xid = FetchWaiting(row, &event);
			Slot *slot = &reading->slots[SlotOf(&event.plan_id)];

			after = event.id;
			in_vain++;
			if (IsRead(slot, true) &&
				IsWaiting(reading, slot, slot->seen, event.id, xid))
				Take(reading, &event);
		}
		FinishSpi();
		CHECK_FOR_INTERRUPTS();
	} while (rows == (uint64) chunk && !IsFull(reading));

	in_vain -= reading->taken.count + reading->behind.count - before;
	if (in_vain > VAIN_MAX || reading->share == 0)
		MoveIdle(reading, true);
	for (i = 0; i < SLOT_COUNT; i++)
	{
		Slot *slot = &reading->slots[i];

		if (!IsRead(slot, true))
			continue;
		if (IsFull(reading))
			slot->last_id = Max(slot->last_id, after);
		else
		{
			slot->done = slot->seen;
			slot->seen = NULL;
		}
	}
}

/*
 * CompareWaiting orders events by their numbers.
 */
static int
CompareWaiting(const void *left, const void *right)
{
	int64 a = ((const Waiting *) left)->id;
	int64 b = ((const Waiting *) right)->id;

	return a < b ? -1 : a > b;
}

/*
 * CompareXids orders transactions.
 */
static int
CompareXids(const void *left, const void *right)
{
	uint64 a =
		U64FromFullTransactionId(DatumGetFullTransactionId(*(const Datum *)
															   left));
	uint64 b =
		U64FromFullTransactionId(DatumGetFullTransactionId(*(const Datum *)
															   right));

	return a < b ? -1 : a > b;
}

/*
 * RunningBelow lists the transactions that were running for some slot and are
 * below one number.
 */
static Datum
RunningBelow(const Reading *reading, uint64 low)
{
	const Sight *before = NULL;
	int n = 0;
	int room = 0;
	int kept = 0;
	Datum *xids;
	int i;
	int j;

	for (i = 0; i < SLOT_COUNT; i++)
		if (reading->slots[i].done != NULL)
			room += reading->slots[i].done->nrunning;
	xids = (Datum *) palloc(sizeof(Datum) * (room + 1));
	for (i = 0; i < SLOT_COUNT; i++)
	{
		const Slot *slot = &reading->slots[i];

		if (!IsRead(slot, false) || slot->done == before)
			continue;
		before = slot->done;
		for (j = 0; j < slot->done->nrunning; j++)
			if (slot->done->running[j] < low)
				xids[n++] =
					FullTransactionIdGetDatum(FullTransactionIdFromU64(slot->done
																		   ->running
																			   [j]));
	}
	qsort(xids, n, sizeof(Datum), CompareXids);
	for (i = 0; i < n; i++)
		if (kept == 0 || CompareXids(&xids[kept - 1], &xids[i]) != 0)
			xids[kept++] = xids[i];
	return ArrayOf(xids, NULL, kept, XID8OID);
}

/*
 * OpenWindows begins windows for all slots at once, because so much waits that it
 * is not to be sorted for each batch.  True when there is one to read.
 */
static bool
OpenWindows(Reading *reading, Datum *arguments, const char *nulls)
{
	Datum span[2] = { Int64GetDatum(reading->consumer.origin),
					  Int64GetDatum(reading->past_end) };
	bool isnull[2] = { false, false };
	bool opened = false;
	int i;

	if (arguments != NULL)
		(void) QueryRow(&find_span, AS_OWNER_NOW, arguments, nulls, span,
						isnull);
	if (isnull[0])
		return false;
	for (i = 0; i < SLOT_COUNT; i++)
	{
		Slot *slot = &reading->slots[i];

		if (!IsRead(slot, false) || IsThroughPast(reading, slot))
			continue;
		if (!slot->held && !ClaimSlot(reading->consumer.id, i))
		{
			slot->passed_over = true;
			continue;
		}
		slot->held = true;
		slot->seen = reading->now;
		if (reading->is_past && Sees(slot->done, ALL_XIDS - 1))
			slot->last_id = slot->until_id;
		else
			slot->last_id = DatumGetInt64(span[0]) - 1;
		slot->until_id = DatumGetInt64(span[1]);
		opened = true;
	}
	return opened;
}

/*
 * TakeNew adds events in the order of their numbers, and moves the places of the
 * slots that are held.
 */
static void
TakeNew(Reading *reading, Waiting *events, int n, bool many_in_vain)
{
	int taken = 0;
	int i;

	qsort(events, n, sizeof(Waiting), CompareWaiting);
	while (taken < n && !IsFull(reading))
		Take(reading, &events[taken++]);
	if (taken == n && many_in_vain)
		MoveIdle(reading, false);
	for (i = 0; i < SLOT_COUNT; i++)
	{
		Slot *slot = &reading->slots[i];

		if (!slot->held || !IsRead(slot, false))
			continue;
		if (taken == n)
			slot->done = reading->now;
		else
		{
			slot->seen = reading->now;
			slot->last_id = events[taken - 1].id;
			slot->until_id = events[n - 1].id;
		}
	}
}

/*
 * ReadNew adds events that can be seen now, of slots without an open window.
 * True when so many wait that windows were opened for them instead.
 */
bool
ReadNew(Reading *reading)
{
	uint64 low = reading->now->xmax;
	Datum arguments[8];
	char nulls[] = "        ";
	Waiting *events;
	uint64 wanted;
	uint64 rows;
	uint64 row;
	int n = 0;
	int i;

	if (IsFull(reading))
		return false;
	if (reading->is_past)
		return reading->share > 0 && OpenWindows(reading, NULL, NULL);
	for (i = 0; i < SLOT_COUNT; i++)
		if (IsRead(&reading->slots[i], false))
			low = Min(low, reading->slots[i].done->xmax);
	arguments[0] = FullTransactionIdGetDatum(FullTransactionIdFromU64(low));
	arguments[1] = RunningBelow(reading, low);
	FillFilters(reading, arguments, nulls);
	arguments[6] =
		FullTransactionIdGetDatum(FullTransactionIdFromU64(reading->now->xmax));
	wanted = reading->max_events - reading->taken.count - reading->behind.count;

	ConnectSpi();
	arguments[7] = Int64GetDatum(wanted + 1);
	rows = RunQuery(&find_new, AS_OWNER_NOW, arguments, nulls);
	if (rows > wanted)
	{
		arguments[7] = Int64GetDatum(SORTED_MAX + 1);
		rows = RunQuery(&find_many_new, AS_OWNER_NOW, arguments, nulls);
	}
	if (rows > SORTED_MAX)
	{
		FinishSpi();
		return reading->share > 0 && OpenWindows(reading, arguments, nulls);
	}
	events = (Waiting *) palloc(sizeof(Waiting) * (rows + 1));
	for (row = 0; row < rows; row++)
	{
		uint64 xid = FetchWaiting(row, &events[n]);
		Slot *slot = &reading->slots[SlotOf(&events[n].plan_id)];

		if (IsRead(slot, false) &&
			IsWaiting(reading, slot, reading->now, events[n].id, xid))
			n++;
	}
	TakeNew(reading, events, n,
			reading->share == 0 || rows - n > VAIN_MAX ||
				reading->now->xmax - low > FAR_BEHIND);
	FinishSpi();
	return false;
}
