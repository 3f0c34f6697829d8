/*
 * batch.c
 *		The next batch of a consumer's events.
 *
 * A consumer divides the plans into slots and keeps its place in each: events
 * that snapshot done sees are handed out, and of those that snapshot seen sees,
 * the ones up to last_id.  What waits is what can be seen now and is neither.  So
 * an event that a slow transaction commits late is in a later batch, and nobody
 * waits for a transaction that is not done.
 *
 * A session takes the slots of the events that it hands out, by locks that all
 * see at once, then looks whether their places are still the ones that it read.
 * Events of a plan rise in number in the order of the facts, and a snapshot that
 * sees one sees those before it, so a plan's order is kept.
 */
#include "consumer.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
#include "utils/xid8.h"

#include "claim.h"
#include "error.h"
#include "origin.h"
#include "sight.h"
#include "spi.h"

#define BATCH_MAX 10000

/* So many events are sorted; of more the window is read by their numbers */
#define SORTED_MAX 20000

/*
 * When so many events are read in vain, or there were so many transactions, places
 * move that have none to hand out.
 */
#define VAIN_MAX 1000
#define FAR_BEHIND 10000

/* Another session was faster so often: let it */
#define ATTEMPTS_MAX 10

/* A sight that sees every transaction there can be */
#define ALL_XIDS PG_INT64_MAX

typedef struct Slot
{
	bool free;		  /* no open batch has it */
	bool held;		  /* taken by this session */
	bool hands_out;	  /* the batch has events of it */
	bool passed_over; /* it has events that this batch leaves */
	int64 turn;
	int64 last_id;
	int64 until_id;
	Sight *done;
	Sight *seen; /* NULL when no window is open */
} Slot;

typedef struct Waiting
{
	int64 id;
	pg_uuid_t plan_id;
	TimestampTz at;
} Waiting;

typedef struct Numbers
{
	int count;
	int room;
	Datum *ids;
} Numbers;

typedef struct Reading
{
	MemoryContext context;
	Consumer consumer;
	int max_events;
	int share; /* slots that one session takes at most */
	int nheld;
	Slot slots[SLOT_COUNT];
	bool is_past;	   /* reading what another cluster wrote */
	int64 next_origin; /* from here on, done and seen say nothing */
	int64 past_end;	   /* the last number of what another cluster wrote */
	Sight *now;
	HTAB *waiting_plans; /* which have events that were put back */
	Numbers taken;
	Numbers retried; /* of those taken, the ones that were put back */
	Numbers behind;	 /* events that must wait for others of their plan */
	TimestampTz first_at;
	TimestampTz last_at;
} Reading;

SAVED_QUERY(read_slots,
			"SELECT s.slot, s.turn, s.done, s.seen, s.last_id, s.until_id "
			"FROM txplan.consumer_slots AS s WHERE s.consumer" EQ "$1",
			INT4OID);

SAVED_QUERY(read_batches,
			"SELECT b.batch_id, b.slots, pg_catalog.cardinality(b.event_ids) "
			"FROM txplan.consumer_batches AS b WHERE b.consumer" EQ "$1 "
			"ORDER BY b.batch_id",
			INT4OID);

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

#define NEW_EVENTS                                                          \
	"SELECT e.id, e.xid, e.plan_id, e.occurred_at FROM txplan.events AS e " \
	"WHERE e.xid OPERATOR(pg_catalog.>=) $1 AND e.xid" LT "$7 "             \
	"AND " OF_CONSUMER "UNION ALL "                                         \
	"SELECT e.id, e.xid, e.plan_id, e.occurred_at FROM txplan.events AS e " \
	"WHERE e.xid" EQ "ANY ($2) AND " OF_CONSUMER

/* $1 first xid, $2 other xids, $3 first id, $4 to $6 filters, $7 end of xids */
SAVED_QUERY(find_new, NEW_EVENTS "LIMIT $8", XID8OID, XID8ARRAYOID, INT8OID,
			TEXTARRAYOID, UUIDOID, UUIDOID, XID8OID, INT8OID);

/* OFFSET keeps the planner from going through all events by their numbers. */
SAVED_QUERY(find_span,
			"SELECT pg_catalog.min(n.id), pg_catalog.max(n.id) FROM (" NEW_EVENTS
			"OFFSET 0) AS n",
			XID8OID, XID8ARRAYOID, INT8OID, TEXTARRAYOID, UUIDOID, UUIDOID,
			XID8OID);

/* $1 after this id, $2 up to this one */
SAVED_QUERY(find_in_window,
			"SELECT e.id, e.xid, e.plan_id, e.occurred_at "
			"FROM txplan.events AS e "
			"WHERE e.id" GT "$1 AND e.id OPERATOR(pg_catalog.<=) $2 "
			"AND " OF_CONSUMER "ORDER BY e.id LIMIT $7",
			INT8OID, INT8OID, INT8OID, TEXTARRAYOID, UUIDOID, UUIDOID, INT8OID);

SAVED_QUERY(write_slots,
			"UPDATE txplan.consumer_slots AS s SET turn = s.turn" PLUS "1, "
			"done = w.done, seen = w.seen, last_id = w.last_id, "
			"until_id = w.until_id, "
			"rate = CASE WHEN s.slot" EQ "$7 THEN "
			"coalesce(s.rate OPERATOR(pg_catalog.*) pg_catalog.exp("
			"pg_catalog.date_part('epoch', s.rate_at" MINUS
			"pg_catalog.clock_timestamp()) OPERATOR(pg_catalog./) 60.0), 0.0)" PLUS
			"$8 ELSE s.rate END, "
			"rate_at = CASE WHEN s.slot" EQ "$7 THEN "
			"pg_catalog.clock_timestamp() ELSE s.rate_at END "
			"FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), "
			"pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6), "
			"pg_catalog.unnest($9)) "
			"AS w (slot, done, seen, last_id, until_id, turn) "
			"WHERE s.consumer" EQ "$1 AND s.slot" EQ "w.slot "
			"AND s.turn" EQ "w.turn",
			INT4OID, INT2ARRAYOID, PG_SNAPSHOTARRAYOID, PG_SNAPSHOTARRAYOID,
			INT8ARRAYOID, INT8ARRAYOID, INT2OID, FLOAT8OID, INT8ARRAYOID);

SAVED_QUERY(insert_batch,
			"INSERT INTO txplan.consumer_batches "
			"(consumer, slots, event_ids, first_at, last_at, worker) "
			"VALUES ($1, $2, $3, $4, $5, $6) RETURNING batch_id",
			INT4OID, INT2ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
			INT4OID);

SAVED_QUERY(adopt_batch,
			"UPDATE txplan.consumer_batches SET worker = $2 "
			"WHERE batch_id" EQ "$1",
			INT8OID, INT4OID);

SAVED_QUERY(take_retries,
			"UPDATE txplan.consumer_retries SET batch_id = $3 "
			"WHERE consumer" EQ "$1 AND event_id" EQ "ANY ($2) "
			"AND batch_id IS NULL",
			INT4OID, INT8ARRAYOID, INT8OID);

SAVED_QUERY(put_behind,
			"INSERT INTO txplan.consumer_retries (consumer, event_id, clinic_id, "
			"plan_id, plan_version, type, actor, occurred_at, payload, "
			"retry_count, due_at) "
			"SELECT $1, e.id, e.clinic_id, e.plan_id, e.plan_version, e.type, "
			"e.actor, e.occurred_at, e.payload, 0, '-infinity' "
			"FROM txplan.events AS e WHERE e.id" EQ "ANY ($2)",
			INT4OID, INT8ARRAYOID);

SAVED_QUERY(move_consumer,
			"UPDATE txplan.consumers SET origin = $2, system_identifier = $3 "
			"WHERE id" EQ "$1",
			INT4OID, INT8OID, INT8OID);

SAVED_QUERY(read_batch,
			"SELECT b.batch_id, e.id, e.clinic_id, e.plan_id, e.plan_version, "
			"e.type, e.actor, e.occurred_at, e.payload, 0 "
			"FROM txplan.consumer_batches AS b, txplan.events AS e "
			"WHERE b.batch_id" EQ "$1 AND e.id" EQ "ANY (b.event_ids) "
			"AND e.occurred_at OPERATOR(pg_catalog.>=) b.first_at "
			"AND e.occurred_at OPERATOR(pg_catalog.<=) b.last_at "
			"AND NOT EXISTS (SELECT FROM txplan.consumer_retries AS r "
			"WHERE r.consumer" EQ "b.consumer AND r.event_id" EQ "e.id) "
			"UNION ALL "
			"SELECT r.batch_id, r.event_id, r.clinic_id, r.plan_id, "
			"r.plan_version, r.type, r.actor, r.occurred_at, r.payload, "
			"r.retry_count "
			"FROM txplan.consumer_batches AS b, txplan.consumer_retries AS r "
			"WHERE b.batch_id" EQ "$1 AND r.consumer" EQ "b.consumer "
			"AND r.event_id" EQ "ANY (b.event_ids) "
			"ORDER BY 2",
			INT8OID);

SAVED_QUERY(delete_batch,
			"DELETE FROM txplan.consumer_batches WHERE batch_id" EQ "$1",
			INT8OID);

PG_FUNCTION_INFO_V1(txplan_next_events);
PG_FUNCTION_INFO_V1(txplan_pass_events);

/*
 * SlotOf is the slot of a plan; consumer_slot() says the same in SQL.
 */
static int
SlotOf(const pg_uuid_t *plan_id)
{
	return (plan_id->data[3] ^ plan_id->data[15]) & (SLOT_COUNT - 1);
}

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
 * IdArray makes an array of the numbers of events.
 */
static Datum
IdArray(const Numbers *numbers)
{
	return ArrayOf(numbers->ids, NULL, numbers->count, INT8OID);
}

/*
 * SameSight reads a snapshot, or takes the one of the slot before when it is the
 * same, as it mostly is.
 */
static Sight *
SameSight(Datum snapshot, Datum *before, Sight *sight)
{
	if (*before != (Datum) 0 &&
		VARSIZE_ANY(DatumGetPointer(snapshot)) ==
			VARSIZE_ANY(DatumGetPointer(*before)) &&
		memcmp(DatumGetPointer(snapshot), DatumGetPointer(*before),
			   VARSIZE_ANY(DatumGetPointer(snapshot))) == 0)
		return sight;
	*before = snapshot;
	return ReadSight(snapshot);
}

/*
 * ReadSlots reads the places of a consumer as they are now.
 */
static void
ReadSlots(Reading *reading)
{
	Datum argument = Int32GetDatum(reading->consumer.id);
	Datum done_before = (Datum) 0;
	Datum seen_before = (Datum) 0;
	Sight *done = NULL;
	Sight *seen = NULL;
	uint64 row;

	ConnectSpi();
	(void) RunQuery(&read_slots, AS_OWNER_NOW, &argument, NULL);
	MemoryContextSwitchTo(reading->context);
	for (row = 0; row < SPI_processed; row++)
	{
		Datum values[6];
		bool nulls[6];
		Slot *slot;

		FetchRow(row, values, nulls);
		slot = &reading->slots[DatumGetInt16(values[0]) & (SLOT_COUNT - 1)];
		memset(slot, 0, sizeof(Slot));
		slot->free = true;
		slot->turn = DatumGetInt64(values[1]);
		slot->done = done = SameSight(values[2], &done_before, done);
		if (!nulls[3])
			slot->seen = seen = SameSight(values[3], &seen_before, seen);
		slot->last_id = DatumGetInt64(values[4]);
		slot->until_id = DatumGetInt64(values[5]);
	}
	if (SPI_processed != SLOT_COUNT)
		elog(ERROR, "consumer \"%s\" has " UINT64_FORMAT " slots",
			 reading->consumer.name, (uint64) SPI_processed);
	FinishSpi();
}

/*
 * SlotsOf takes the slots of a batch from their array.
 */
static int
SlotsOf(Datum array, int16 *slots)
{
	ArrayType *values = DatumGetArrayTypeP(array);
	int n = Min(ArrayGetNItems(ARR_NDIM(values), ARR_DIMS(values)), SLOT_COUNT);

	memcpy(slots, ARR_DATA_PTR(values), sizeof(int16) * n);
	return n;
}

/*
 * ClaimOrphan takes a batch whose session is gone; false when it is not.
 */
static bool
ClaimOrphan(int consumer, const int16 *slots, int nslots)
{
	int claimed = 0;

	while (claimed < nslots && ClaimSlot(consumer, slots[claimed]))
		claimed++;
	if (claimed == nslots)
		return true;
	while (claimed > 0)
		ReleaseSlot(consumer, slots[--claimed]);
	return false;
}

/*
 * ReadBatches marks the slots that open batches have, and takes over the first
 * batch whose session is gone; 0 when there is none.
 */
static int64
ReadBatches(Reading *reading, bool may_adopt)
{
	Datum argument = Int32GetDatum(reading->consumer.id);
	int64 adopted = 0;
	uint64 row;

	ConnectSpi();
	(void) RunQuery(&read_batches, AS_OWNER_NOW, &argument, NULL);
	for (row = 0; row < SPI_processed; row++)
	{
		Datum values[3];
		bool nulls[3];
		int16 slots[SLOT_COUNT];
		int nslots;
		int i;

		FetchRow(row, values, nulls);
		nslots = SlotsOf(values[1], slots);
		for (i = 0; i < nslots; i++)
			reading->slots[slots[i] & (SLOT_COUNT - 1)].free = false;
		if (!may_adopt || adopted != 0)
			continue;
		ForgetBatch(reading->consumer.id, DatumGetInt64(values[0]));
		if (!ClaimOrphan(reading->consumer.id, slots, nslots))
			continue;
		adopted = DatumGetInt64(values[0]);
		KeepBatch(reading->consumer.id, adopted, slots, nslots);
	}
	FinishSpi();
	return adopted;
}

/*
 * Adopt makes a batch that was taken over this session's, unless its session
 * finished it just before it ended.
 */
static bool
Adopt(Reading *reading, int64 batch_id)
{
	Datum arguments[2];

	arguments[0] = Int64GetDatum(batch_id);
	arguments[1] = Int32GetDatum(MyProcPid);
	if (EngineWrite(&adopt_batch, TABLE_CONSUMER_BATCHES, arguments, NULL) > 0)
		return true;
	ForgetBatch(reading->consumer.id, batch_id);
	return false;
}

/*
 * FindEpoch finds out whether the places of a consumer are those of this cluster,
 * and what can be seen now.
 */
static void
FindEpoch(Reading *reading)
{
	Origin current;

	EnsureOrigin();
	CurrentOrigin(&current);
	reading->is_past =
		reading->consumer.system_identifier != current.system_identifier ||
		reading->consumer.origin != current.first_event_id;
	if (reading->is_past)
	{
		/* All that another cluster wrote is there, and none of it will come. */
		reading->next_origin =
			Min(OriginAfter(reading->consumer.origin), current.first_event_id);
		reading->now = SightOf(ALL_XIDS, ALL_XIDS);
		reading->past_end = current.first_event_id - 1;
	}
	else
	{
		reading->next_origin = PG_INT64_MAX;
		reading->now = SightNow();
	}
}

/*
 * IsWaiting tells whether an event is still to be handed out by a slot, of those
 * that a sight sees.
 */
static bool
IsWaiting(const Reading *reading, const Slot *slot, const Sight *sight,
		  int64 id, uint64 xid)
{
	if (id >= reading->next_origin)
		return id > slot->last_id;
	if (Sees(slot->done, xid) || !Sees(sight, xid))
		return false;
	return slot->seen == NULL || id > slot->last_id;
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
 * Hold takes a slot for the batch; false when that cannot be.
 */
static bool
Hold(Reading *reading, int number)
{
	Slot *slot = &reading->slots[number];

	if (slot->held)
		return true;
	if (!slot->free || slot->passed_over || reading->nheld >= reading->share ||
		!ClaimSlot(reading->consumer.id, number))
	{
		slot->passed_over = true;
		return false;
	}
	slot->held = true;
	reading->nheld++;
	return true;
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
	reading->slots[SlotOf(&event->plan_id)].hands_out = true;
	reading->first_at = Min(reading->first_at, event->at);
	reading->last_at = Max(reading->last_at, event->at);
}

/*
 * TakeRetries adds the events that were put back and are due.  A plan of which
 * one is not taken waits with all that is behind it.
 */
static void
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
	Datum values[4];
	bool nulls[4];

	FetchRow(row, values, nulls);
	event->id = DatumGetInt64(values[0]);
	event->plan_id = *DatumGetUUIDP(values[2]);
	event->at = DatumGetTimestampTz(values[3]);
	return U64FromFullTransactionId(DatumGetFullTransactionId(values[1]));
}

/*
 * IsRead tells whether a slot's events are read: in an open window, or not.
 */
static bool
IsRead(const Slot *slot, bool in_window)
{
	return slot->free && !slot->passed_over &&
		   (slot->seen != NULL) == in_window;
}

/*
 * MoveIdle lets the places of slots move that have nothing to hand out, so that
 * the events of others are not read again and again.
 */
static void
MoveIdle(Reading *reading, bool in_window)
{
	int i;

	for (i = 0; i < SLOT_COUNT; i++)
	{
		Slot *slot = &reading->slots[i];

		if (IsRead(slot, in_window) && !slot->held &&
			ClaimSlot(reading->consumer.id, i))
			slot->held = true;
	}
}

/*
 * ReadWindow adds events of the windows that are open, in the order of their
 * numbers, and closes those windows that it comes to the end of.
 */
static void
ReadWindow(Reading *reading)
{
	int64 after = PG_INT64_MAX;
	int64 until = 0;
	int chunk = Max(256, 2 * reading->max_events);
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
 * IsThroughPast tells whether a slot has handed out all that other clusters
 * wrote.  What it had handed out of it in another cluster ends at until_id.
 */
static bool
IsThroughPast(const Reading *reading, const Slot *slot)
{
	return reading->is_past && Sees(slot->done, ALL_XIDS - 1) &&
		   slot->until_id >= reading->past_end;
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
static bool
ReadNew(Reading *reading)
{
	uint64 low = reading->now->xmax;
	Datum arguments[8];
	char nulls[] = "        ";
	Waiting *events;
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
	arguments[7] = Int64GetDatum(SORTED_MAX + 1);

	ConnectSpi();
	rows = RunQuery(&find_new, AS_OWNER_NOW, arguments, nulls);
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

/*
 * ReleaseAll gives back what was taken for a batch that is not to be.
 */
static void
ReleaseAll(Reading *reading)
{
	int i;

	for (i = 0; i < SLOT_COUNT; i++)
		if (reading->slots[i].held)
			ReleaseSlot(reading->consumer.id, i);
}

/*
 * IsStillSo tells whether the slots that were taken are as they were when they
 * were read: nobody can change them from now on.
 */
static bool
IsStillSo(Reading *reading)
{
	Reading *now = (Reading *) palloc0(sizeof(Reading));
	bool same;
	int i;

	now->context = reading->context;
	same =
		FindConsumer(reading->consumer.name, &now->consumer) &&
		now->consumer.id == reading->consumer.id &&
		now->consumer.origin == reading->consumer.origin &&
		now->consumer.system_identifier == reading->consumer.system_identifier;
	now->consumer.id = reading->consumer.id;
	now->consumer.name = reading->consumer.name;
	if (same)
	{
		ReadSlots(now);
		(void) ReadBatches(now, false);
	}
	for (i = 0; i < SLOT_COUNT && same; i++)
		if (reading->slots[i].held &&
			(!now->slots[i].free ||
			 now->slots[i].turn != reading->slots[i].turn))
			same = false;
	return same;
}

/*
 * WriteSlots writes the places of the slots that are held.  40001 when one has
 * moved since it was read, as can be only when its session let go of its locks,
 * by pg_advisory_unlock_all(), before its transaction ended.
 */
static void
WriteSlots(Reading *reading)
{
	Datum slots[SLOT_COUNT];
	Datum done[SLOT_COUNT];
	Datum seen[SLOT_COUNT];
	bool no_seen[SLOT_COUNT];
	Datum last[SLOT_COUNT];
	Datum until[SLOT_COUNT];
	Datum turns[SLOT_COUNT];
	Datum arguments[9];
	int n = 0;
	int i;

	for (i = 0; i < SLOT_COUNT; i++)
	{
		const Slot *slot = &reading->slots[i];

		if (!slot->held)
			continue;
		slots[n] = Int16GetDatum(i);
		done[n] = WriteSight(slot->done);
		no_seen[n] = slot->seen == NULL;
		seen[n] = no_seen[n] ? (Datum) 0 : WriteSight(slot->seen);
		last[n] = Int64GetDatum(slot->last_id);
		until[n] = Int64GetDatum(slot->until_id);
		turns[n] = Int64GetDatum(slot->turn);
		n++;
	}
	arguments[0] = Int32GetDatum(reading->consumer.id);
	arguments[1] = ArrayOf(slots, NULL, n, INT2OID);
	arguments[2] = ArrayOf(done, NULL, n, PG_SNAPSHOTOID);
	arguments[3] = ArrayOf(seen, no_seen, n, PG_SNAPSHOTOID);
	arguments[4] = ArrayOf(last, NULL, n, INT8OID);
	arguments[5] = ArrayOf(until, NULL, n, INT8OID);
	arguments[6] = reading->taken.count > 0 ? slots[0] : Int16GetDatum(-1);
	arguments[7] = Float8GetDatum(reading->taken.count / 60.0);
	arguments[8] = ArrayOf(turns, NULL, n, INT8OID);
	if (EngineWrite(&write_slots, TABLE_CONSUMER_SLOTS, arguments, NULL) !=
		(uint64) n)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("another session was handed events of consumer \"%s\" "
						"meanwhile",
						reading->consumer.name),
				 errhint("Run the transaction again.")));
}

/*
 * OpenBatch writes a batch of what was taken, and returns it.
 */
static int64
OpenBatch(Reading *reading)
{
	int16 slots[SLOT_COUNT];
	Datum numbers[SLOT_COUNT];
	Datum arguments[6];
	Datum batch_id;
	bool isnull;
	int n = 0;
	int i;

	for (i = 0; i < SLOT_COUNT; i++)
		if (reading->slots[i].hands_out)
		{
			slots[n] = i;
			numbers[n++] = Int16GetDatum(i);
		}
	arguments[0] = Int32GetDatum(reading->consumer.id);
	arguments[1] = ArrayOf(numbers, NULL, n, INT2OID);
	arguments[2] = IdArray(&reading->taken);
	arguments[3] = TimestampTzGetDatum(reading->first_at);
	arguments[4] = TimestampTzGetDatum(reading->last_at);
	arguments[5] = Int32GetDatum(MyProcPid);
	(void) EngineWriteRow(&insert_batch, TABLE_CONSUMER_BATCHES, arguments,
						  NULL, &batch_id, &isnull);
	KeepBatch(reading->consumer.id, DatumGetInt64(batch_id), slots, n);
	if (reading->retried.count > 0)
	{
		arguments[1] = IdArray(&reading->retried);
		arguments[2] = batch_id;
		EngineWriteRows(&take_retries, TABLE_CONSUMER_RETRIES, arguments, NULL,
						reading->retried.count);
	}
	return DatumGetInt64(batch_id);
}

/*
 * Settle writes what was found: the places, the events that wait behind others,
 * and the batch.  It returns the batch; 0 when nothing is handed out.
 */
static int64
Settle(Reading *reading)
{
	int64 batch_id = 0;
	int i;

	WriteSlots(reading);
	if (reading->behind.count > 0)
	{
		Datum arguments[2];

		arguments[0] = Int32GetDatum(reading->consumer.id);
		arguments[1] = IdArray(&reading->behind);
		EngineWriteRows(&put_behind, TABLE_CONSUMER_RETRIES, arguments, NULL,
						reading->behind.count);
	}
	if (reading->taken.count > 0)
		batch_id = OpenBatch(reading);
	for (i = 0; i < SLOT_COUNT; i++)
		if (reading->slots[i].held && !reading->slots[i].hands_out)
			ReleaseSlotAtEnd(reading->consumer.id, i);
	return batch_id;
}

/*
 * LeavePast makes the places of a consumer those of this cluster, once all that
 * another cluster wrote is handed out.  False when other sessions still have some
 * of it: then they do it, later.
 */
static bool
LeavePast(Reading *reading)
{
	Datum arguments[3];
	Origin current;
	int i;

	for (i = 0; i < SLOT_COUNT; i++)
	{
		Slot *slot = &reading->slots[i];

		if (!IsRead(slot, false) || !IsThroughPast(reading, slot))
			return false;
		if (!slot->held && !ClaimSlot(reading->consumer.id, i))
			return false;
		slot->held = true;
		slot->done =
			SightOf(FirstNormalTransactionId, FirstNormalTransactionId);
		slot->last_id = slot->until_id = 0;
	}
	if (!IsStillSo(reading))
		return false;
	CurrentOrigin(&current);
	arguments[0] = Int32GetDatum(reading->consumer.id);
	arguments[1] = Int64GetDatum(current.first_event_id);
	arguments[2] = Int64GetDatum(current.system_identifier);
	EngineWriteRows(&move_consumer, TABLE_CONSUMERS, arguments, NULL, 1);
	(void) Settle(reading);
	return true;
}

/*
 * MakeReading begins a reading in a memory context of its own.
 */
static Reading *
MakeReading(MemoryContext context, const Consumer *consumer, int max_events,
			int share)
{
	Reading *reading;
	HASHCTL control = { 0 };

	MemoryContextReset(context);
	MemoryContextSwitchTo(context);
	reading = (Reading *) palloc0(sizeof(Reading));
	reading->context = context;
	reading->consumer = *consumer;
	reading->max_events = max_events;
	reading->share = share;
	reading->first_at = reading->last_at = GetCurrentTimestamp();
	control.keysize = sizeof(pg_uuid_t);
	control.entrysize = sizeof(pg_uuid_t);
	control.hcxt = context;
	reading->waiting_plans =
		hash_create("plans with events put back", 64, &control,
					HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return reading;
}

typedef enum Outcome
{
	OUTCOME_BATCH,
	OUTCOME_NOTHING,
	OUTCOME_MOVED,	  /* places moved: there may be something behind them */
	OUTCOME_TOO_LATE, /* somebody else was faster */
} Outcome;

/*
 * TryBatch looks once for a batch.
 */
static Outcome
TryBatch(Reading *reading, int64 *batch_id)
{
	int held = 0;
	int i;

	ReadSlots(reading);
	*batch_id = ReadBatches(reading, true);
	if (*batch_id != 0)
		return Adopt(reading, *batch_id) ? OUTCOME_BATCH : OUTCOME_TOO_LATE;
	FindEpoch(reading);
	TakeRetries(reading);
	ReadWindow(reading);
	if (ReadNew(reading))
		ReadWindow(reading);

	for (i = 0; i < SLOT_COUNT; i++)
		held += reading->slots[i].held;
	if (held > 0 && !IsStillSo(reading))
	{
		ReleaseAll(reading);
		return OUTCOME_TOO_LATE;
	}
	if (held > 0)
	{
		*batch_id = Settle(reading);
		return *batch_id != 0 ? OUTCOME_BATCH : OUTCOME_MOVED;
	}
	if (reading->is_past)
	{
		if (LeavePast(reading))
			return OUTCOME_MOVED;
		ReleaseAll(reading);
	}
	return OUTCOME_NOTHING;
}

/*
 * FindBatch finds the next batch; 0 when there is none.
 */
static int64
FindBatch(Consumer *consumer, int max_events)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext context =
		AllocSetContextCreate(old, "txplan batch", ALLOCSET_DEFAULT_SIZES);
	int share = SLOT_COUNT / Min(CountWorkers(consumer->id), SLOT_COUNT);
	Outcome outcome;
	int64 batch_id;
	int too_late = 0;

	do
	{
		CHECK_FOR_INTERRUPTS();
		batch_id = 0;
		outcome = TryBatch(MakeReading(context, consumer, max_events, share),
						   &batch_id);
		MemoryContextSwitchTo(old);
		if (outcome == OUTCOME_MOVED)
			(void) FindConsumer(consumer->name, consumer);
	} while (outcome == OUTCOME_MOVED ||
			 (outcome == OUTCOME_TOO_LATE && ++too_late < ATTEMPTS_MAX));
	MemoryContextDelete(context);
	return outcome == OUTCOME_BATCH ? batch_id : 0;
}

/*
 * ReturnBatch makes the events of a batch the function's result, and returns how
 * many they are.  A batch that has none left is done with.
 */
static uint64
ReturnBatch(FunctionCallInfo fcinfo, int consumer, int64 batch_id)
{
	Datum argument = Int64GetDatum(batch_id);
	uint64 rows =
		AddQueryRows(fcinfo, &read_batch, AS_OWNER_NOW, &argument, NULL);

	if (rows == 0)
	{
		(void) EngineWrite(&delete_batch, TABLE_CONSUMER_BATCHES, &argument,
						   NULL);
		BatchIsFinished(consumer, batch_id);
	}
	return rows;
}

/*
 * txplan_next_events hands out the next batch of a consumer.
 */
Datum
txplan_next_events(PG_FUNCTION_ARGS)
{
	Consumer consumer;
	int32 max_events = PG_ARGISNULL(1) ? 500 : PG_GETARG_INT32(1);
	int64 batch_id;

	ReadConsumer(fcinfo, ACL_UPDATE, &consumer);
	if (max_events < 1 || max_events > BATCH_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_events must be between 1 and %d", BATCH_MAX),
				 errdetail("It is %d.", max_events),
				 errhint("A batch of 500 is a good size.")));
	InitMaterializedSRF(fcinfo, 0);
	do
	{
		batch_id = OwnBatch(consumer.id);
		if (batch_id == 0)
			batch_id = FindBatch(&consumer, max_events);
	} while (batch_id != 0 && ReturnBatch(fcinfo, consumer.id, batch_id) == 0);
	return (Datum) 0;
}

/*
 * txplan_pass_events moves the places of a consumer that has nothing to hand out
 * there, so that what all have passed can be told.  It hands out nothing.
 */
Datum
txplan_pass_events(PG_FUNCTION_ARGS)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext context =
		AllocSetContextCreate(old, "txplan batch", ALLOCSET_DEFAULT_SIZES);
	Consumer consumer;
	Reading *reading;
	int held = 0;
	int i;

	ReadConsumer(fcinfo, ACL_UPDATE, &consumer);
	reading = MakeReading(context, &consumer, BATCH_MAX, 0);
	ReadSlots(reading);
	(void) ReadBatches(reading, false);
	FindEpoch(reading);
	ReadWindow(reading);
	(void) ReadNew(reading);
	for (i = 0; i < SLOT_COUNT; i++)
		held += reading->slots[i].held;
	if (held > 0 && IsStillSo(reading))
		(void) Settle(reading);
	else
		ReleaseAll(reading);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	PG_RETURN_VOID();
}
