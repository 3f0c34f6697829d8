/*
 * handout.c
 *		Open batches: taking over one that was left, writing one, returning one.
 */
#include "reading.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"

#include "spi.h"

SAVED_QUERY(read_batches,
			"SELECT b.batch_id, b.slots, pg_catalog.cardinality(b.event_ids) "
			"FROM txplan.consumer_batches AS b WHERE b.consumer" EQ "$1 "
			"ORDER BY b.batch_id",
			INT4OID);

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

/*
 * IdArray makes an array of the numbers of events.
 */
static Datum
IdArray(const Numbers *numbers)
{
	return ArrayOf(numbers->ids, NULL, numbers->count, INT8OID);
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
int64
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
bool
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
int64
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
 * CompareRows orders events by their numbers.
 */
static int
CompareRows(const void *left, const void *right)
{
	int64 a = ((const WholeEvent *) left)->id;
	int64 b = ((const WholeEvent *) right)->id;

	return a < b ? -1 : a > b;
}

/*
 * AddRows adds events that were read whole to the function's result.
 */
static void
AddRows(FunctionCallInfo fcinfo, int64 batch_id, WholeEvents *rows)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int i;

	qsort(rows->rows, rows->count, sizeof(WholeEvent), CompareRows);
	for (i = 0; i < rows->count; i++)
	{
		Datum columns[WHOLE_EVENT_COLUMNS + 1];
		bool nulls[WHOLE_EVENT_COLUMNS + 1];

		heap_deform_tuple(rows->rows[i].tuple, rows->descriptor, columns,
						  nulls);
		columns[1] = columns[0];
		columns[0] = Int64GetDatum(batch_id);
		columns[WHOLE_EVENT_COLUMNS] = Int32GetDatum(0);
		nulls[WHOLE_EVENT_COLUMNS] = false;
		tuplestore_putvalues(result->setResult, result->setDesc, columns,
							 nulls);
	}
}

/*
 * ReturnBatch makes the events of a batch the function's result, and returns how
 * many they are.  Those that were not read whole are read now.  A batch that has
 * none left is done with.
 */
uint64
ReturnBatch(FunctionCallInfo fcinfo, int consumer, int64 batch_id,
			WholeEvents *rows)
{
	Datum argument = Int64GetDatum(batch_id);
	uint64 n;

	if (rows != NULL)
	{
		AddRows(fcinfo, batch_id, rows);
		return rows->count;
	}
	n = AddQueryRows(fcinfo, &read_batch, AS_OWNER_NOW, &argument, NULL);
	if (n == 0)
	{
		(void) EngineWrite(&delete_batch, TABLE_CONSUMER_BATCHES, &argument,
						   NULL);
		BatchIsFinished(consumer, batch_id);
	}
	return n;
}
