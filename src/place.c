/*
 * place.c
 *		The places of a consumer: reading, holding, moving and writing them.
 */
#include "reading.h"

#include "access/transam.h"
#include "catalog/pg_type.h"

#include "error.h"
#include "origin.h"
#include "spi.h"

SAVED_QUERY(read_slots,
			"SELECT s.slot, s.turn, s.done, s.seen, s.last_id, s.until_id "
			"FROM txplan.consumer_slots AS s WHERE s.consumer" EQ "$1",
			INT4OID);

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

/*
 * SlotOf is the slot of a plan; consumer_slot() says the same in SQL.
 */
int
SlotOf(const pg_uuid_t *plan_id)
{
	return (plan_id->data[3] ^ plan_id->data[15]) & (SLOT_COUNT - 1);
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
void
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
 * FindEpoch finds out whether the places of a consumer are those of this cluster,
 * and what can be seen now.
 */
void
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
 * IsRead tells whether a slot's events are read: in an open window, or not.
 */
bool
IsRead(const Slot *slot, bool in_window)
{
	return slot->free && !slot->passed_over &&
		   (slot->seen != NULL) == in_window;
}

/*
 * IsThroughPast tells whether a slot has handed out all that other clusters
 * wrote.  What it had handed out of it in another cluster ends at until_id.
 */
bool
IsThroughPast(const Reading *reading, const Slot *slot)
{
	return reading->is_past && Sees(slot->done, ALL_XIDS - 1) &&
		   slot->until_id >= reading->past_end;
}

/*
 * IsWaiting tells whether an event is still to be handed out by a slot, of those
 * that a sight sees.
 */
bool
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
 * Hold takes a slot for the batch; false when that cannot be.
 */
bool
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
 * MoveIdle lets the places of slots move that have nothing to hand out, so that
 * the events of others are not read again and again.
 */
void
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
 * ReleaseAll gives back what was taken for a batch that is not to be.
 */
void
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
bool
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
void
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
	const Sight *done_before = NULL;
	const Sight *seen_before = NULL;
	Datum done_written = (Datum) 0;
	Datum seen_written = (Datum) 0;
	int n = 0;
	int i;

	for (i = 0; i < SLOT_COUNT; i++)
	{
		const Slot *slot = &reading->slots[i];

		if (!slot->held)
			continue;
		slots[n] = Int16GetDatum(i);
		if (slot->done != done_before)
			done_written = WriteSight(slot->done);
		if (slot->seen != seen_before)
			seen_written =
				slot->seen == NULL ? (Datum) 0 : WriteSight(slot->seen);
		done_before = slot->done;
		seen_before = slot->seen;
		done[n] = done_written;
		seen[n] = seen_written;
		no_seen[n] = slot->seen == NULL;
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
