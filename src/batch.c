/*
 * batch.c
 *		The next batch of a consumer's events.
 *
 * A session takes the slots of the events that it hands out, by locks that all
 * see at once, then looks whether their places are still the ones that it read.
 * Events of a plan rise in number in the order of the facts, and a snapshot that
 * sees one sees those before it, so a plan's order is kept.
 */
#include "reading.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "origin.h"
#include "spi.h"

#define BATCH_MAX 10000

/* A result up to this size is kept in memory, whatever work_mem says */
#define RESULT_KILOBYTES 16384

/* Another session was faster so often: let it */
#define ATTEMPTS_MAX 10

typedef enum Outcome
{
	OUTCOME_BATCH,
	OUTCOME_NOTHING,
	OUTCOME_MOVED,	  /* places moved: there may be something behind them */
	OUTCOME_TOO_LATE, /* somebody else was faster */
} Outcome;

SAVED_QUERY(move_consumer,
			"UPDATE txplan.consumers SET origin = $2, system_identifier = $3 "
			"WHERE id" EQ "$1",
			INT4OID, INT8OID, INT8OID);

PG_FUNCTION_INFO_V1(txplan_next_events);
PG_FUNCTION_INFO_V1(txplan_pass_events);

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
 * FindBatch finds the next batch; 0 when there is none.  What it read lives in a
 * memory context; rows are the events of the batch when all were read whole.
 */
static int64
FindBatch(Consumer *consumer, int max_events, MemoryContext context,
		  WholeEvents **rows)
{
	MemoryContext old = CurrentMemoryContext;
	int share = SLOT_COUNT / Min(CountWorkers(consumer->id), SLOT_COUNT);
	Reading *reading;
	Outcome outcome;
	int64 batch_id;
	int too_late = 0;

	do
	{
		CHECK_FOR_INTERRUPTS();
		batch_id = 0;
		reading = MakeReading(context, consumer, max_events, share);
		outcome = TryBatch(reading, &batch_id);
		MemoryContextSwitchTo(old);
		if (outcome == OUTCOME_MOVED)
			(void) FindConsumer(consumer->name, consumer);
	} while (outcome == OUTCOME_MOVED ||
			 (outcome == OUTCOME_TOO_LATE && ++too_late < ATTEMPTS_MAX));
	if (outcome != OUTCOME_BATCH)
		return 0;
	if (reading->rows.count > 0 && reading->rows.count == reading->taken.count)
		*rows = &reading->rows;
	return batch_id;
}

/*
 * BeginResult begins the function's result.  A batch of common size stays in
 * memory, where it has been read to, rather than go to a file and back.
 */
static void
BeginResult(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext old;

	InitMaterializedSRF(fcinfo, 0);
	if (work_mem >= RESULT_KILOBYTES)
		return;
	tuplestore_end(result->setResult);
	old = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	result->setResult = tuplestore_begin_heap((result->allowedModes &
											   SFRM_Materialize_Random) != 0,
											  false, RESULT_KILOBYTES);
	MemoryContextSwitchTo(old);
}

/*
 * txplan_next_events hands out the next batch of a consumer.
 */
Datum
txplan_next_events(PG_FUNCTION_ARGS)
{
	Consumer consumer;
	int32 max_events = PG_ARGISNULL(1) ? 500 : PG_GETARG_INT32(1);
	MemoryContext context;
	int64 batch_id;
	WholeEvents *rows;

	ReadConsumer(fcinfo, ACL_UPDATE, &consumer);
	if (max_events < 1 || max_events > BATCH_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_events must be between 1 and %d", BATCH_MAX),
				 errdetail("It is %d.", max_events),
				 errhint("A batch of 500 is a good size.")));
	BeginResult(fcinfo);
	context = AllocSetContextCreate(CurrentMemoryContext, "txplan batch",
									ALLOCSET_DEFAULT_SIZES);
	do
	{
		rows = NULL;
		batch_id = OwnBatch(consumer.id);
		if (batch_id == 0)
			batch_id = FindBatch(&consumer, max_events, context, &rows);
	} while (batch_id != 0 &&
			 ReturnBatch(fcinfo, consumer.id, batch_id, rows) == 0);
	MemoryContextDelete(context);
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
