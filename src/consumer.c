/*
 * consumer.c
 *		Making and dropping consumers; ending, retrying and reviving their events.
 */
#include "consumer.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "claim.h"
#include "error.h"
#include "origin.h"
#include "planlock.h"
#include "registry.h"
#include "sight.h"
#include "spi.h"

#define MAX_RETRIES 1000
#define MAX_DELAY_YEARS 100

SAVED_QUERY(find_consumer,
			"SELECT c.id, c.types, c.clinic_id, c.plan_id, c.origin, "
			"c.system_identifier, c.max_retries FROM txplan.consumers AS c "
			"WHERE c.name" EQ "$1",
			TEXTOID);

SAVED_QUERY(insert_consumer,
			"INSERT INTO txplan.consumers (name, types, clinic_id, plan_id, "
			"max_retries, origin, system_identifier, created_by) "
			"VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
			"ON CONFLICT (name) DO NOTHING RETURNING id",
			TEXTOID, TEXTARRAYOID, UUIDOID, UUIDOID, INT4OID, INT8OID, INT8OID,
			TEXTOID);

SAVED_QUERY(insert_slots,
			"INSERT INTO txplan.consumer_slots (consumer, slot, done) "
			"SELECT $1, n, $2 FROM pg_catalog.generate_series(0, $3) AS n",
			INT4OID, PG_SNAPSHOTOID, INT4OID);

SAVED_QUERY(find_strange_type,
			"SELECT t FROM pg_catalog.unnest($1) AS t "
			"WHERE NOT EXISTS (SELECT FROM txplan.event_types() AS e "
			"WHERE e.type" EQ "t) LIMIT 1",
			TEXTARRAYOID);

SAVED_QUERY(lock_batch,
			"SELECT b.slots[1], b.worker FROM txplan.consumer_batches AS b "
			"WHERE b.batch_id" EQ "$1 AND b.consumer" EQ "$2 FOR UPDATE",
			INT8OID, INT4OID);

SAVED_QUERY(find_batch_of,
			"SELECT b.batch_id FROM txplan.consumer_batches AS b "
			"WHERE b.consumer" EQ "$1 AND $2" EQ "ANY (b.event_ids)",
			INT4OID, INT8OID);

SAVED_QUERY(delete_batch,
			"DELETE FROM txplan.consumer_batches WHERE batch_id" EQ "$1",
			INT8OID);

SAVED_QUERY(delete_retries,
			"DELETE FROM txplan.consumer_retries "
			"WHERE consumer" EQ "$2 AND batch_id" EQ "$1",
			INT8OID, INT4OID);

SAVED_QUERY(take_out,
			"UPDATE txplan.consumer_batches "
			"SET event_ids = pg_catalog.array_remove(event_ids, $2) "
			"WHERE batch_id" EQ "$1",
			INT8OID, INT8OID);

SAVED_QUERY(put_back,
			"INSERT INTO txplan.consumer_retries AS r (consumer, event_id, "
			"clinic_id, plan_id, plan_version, type, actor, occurred_at, payload, "
			"retry_count, due_at, last_error) "
			"SELECT $1, e.id, e.clinic_id, e.plan_id, e.plan_version, e.type, "
			"e.actor, e.occurred_at, e.payload, 1, "
			"pg_catalog.clock_timestamp()" PLUS
			"coalesce($3, '1 second'::pg_catalog.interval), $4 "
			"FROM txplan.events AS e WHERE e.id" EQ "$2 "
			"ON CONFLICT (consumer, event_id) DO NOTHING",
			INT4OID, INT8OID, INTERVALOID, TEXTOID);

SAVED_QUERY(put_back_again,
			"UPDATE txplan.consumer_retries SET retry_count = retry_count" PLUS
			"1, batch_id = NULL, last_error = $4, "
			"due_at = pg_catalog.clock_timestamp()" PLUS
			"coalesce($3, least(pg_catalog.make_interval(secs => "
			"pg_catalog.power(2.0, least(retry_count, 12)::pg_catalog.float8)), "
			"'1 hour'::pg_catalog.interval)) "
			"WHERE consumer" EQ "$1 AND event_id" EQ "$2",
			INT4OID, INT8OID, INTERVALOID, TEXTOID);

SAVED_QUERY(count_retries,
			"SELECT r.retry_count FROM txplan.consumer_retries AS r "
			"WHERE r.consumer" EQ "$1 AND r.event_id" EQ "$2",
			INT4OID, INT8OID);

#define DEAD_COLUMNS                                                      \
	"consumer, event_id, clinic_id, plan_id, plan_version, type, actor, " \
	"occurred_at, payload, retry_count, last_error"

SAVED_QUERY(bury_retry,
			"DELETE FROM txplan.consumer_retries "
			"WHERE consumer" EQ "$1 AND event_id" EQ "$2",
			INT4OID, INT8OID);

SAVED_QUERY(bury,
			"INSERT INTO txplan.consumer_dead (" DEAD_COLUMNS ") "
			"SELECT $1, e.event_id, e.clinic_id, e.plan_id, e.plan_version, "
			"e.type, e.actor, e.occurred_at, e.payload, e.retry_count, $3 "
			"FROM (SELECT r.event_id, r.clinic_id, r.plan_id, r.plan_version, "
			"r.type, r.actor, r.occurred_at, r.payload, r.retry_count "
			"FROM txplan.consumer_retries AS r "
			"WHERE r.consumer" EQ "$1 AND r.event_id" EQ "$2 "
			"UNION ALL "
			"SELECT v.id, v.clinic_id, v.plan_id, v.plan_version, v.type, "
			"v.actor, v.occurred_at, v.payload, 0 "
			"FROM txplan.events AS v WHERE v.id" EQ "$2) AS e "
			"ORDER BY e.retry_count DESC LIMIT 1",
			INT4OID, INT8OID, TEXTOID);

SAVED_QUERY(revive,
			"INSERT INTO txplan.consumer_retries (consumer, event_id, clinic_id, "
			"plan_id, plan_version, type, actor, occurred_at, payload, "
			"retry_count, due_at, last_error) "
			"SELECT d.consumer, d.event_id, d.clinic_id, d.plan_id, "
			"d.plan_version, d.type, d.actor, d.occurred_at, d.payload, 0, "
			"pg_catalog.clock_timestamp(), d.last_error "
			"FROM txplan.consumer_dead AS d "
			"WHERE d.consumer" EQ "$1 AND d.event_id" EQ "$2 FOR UPDATE",
			INT4OID, INT8OID);

SAVED_QUERY(unbury,
			"DELETE FROM txplan.consumer_dead "
			"WHERE consumer" EQ "$1 AND event_id" EQ "$2",
			INT4OID, INT8OID);

SAVED_QUERY(drop_dead,
			"DELETE FROM txplan.consumer_dead WHERE consumer" EQ "$1", INT4OID);
SAVED_QUERY(drop_retries,
			"DELETE FROM txplan.consumer_retries WHERE consumer" EQ "$1",
			INT4OID);
SAVED_QUERY(drop_batches,
			"DELETE FROM txplan.consumer_batches WHERE consumer" EQ "$1",
			INT4OID);
SAVED_QUERY(drop_slots,
			"DELETE FROM txplan.consumer_slots WHERE consumer" EQ "$1",
			INT4OID);
SAVED_QUERY(drop_consumer, "DELETE FROM txplan.consumers WHERE id" EQ "$1",
			INT4OID);

PG_FUNCTION_INFO_V1(txplan_create_consumer);
PG_FUNCTION_INFO_V1(txplan_drop_consumer);
PG_FUNCTION_INFO_V1(txplan_finish_events);
PG_FUNCTION_INFO_V1(txplan_retry_event);
PG_FUNCTION_INFO_V1(txplan_revive_event);

/*
 * RequirePrimary says clearly where consumers can be read.
 */
static void
RequirePrimary(void)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("consumers read events on the primary only"),
				 errdetail("This server is a standby, which cannot keep their "
						   "places."),
				 errhint("Connect to the primary; the views consumer_lag and "
						 "dead_events can be read here.")));
	if (XactReadOnly)
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
						errmsg("consumers cannot read events in a read-only "
							   "transaction"),
						errdetail("Their places are kept in tables."),
						errhint("Begin a transaction that may write.")));
}

/*
 * Clipped shortens what a caller gave, so that no error repeats megabytes.
 */
static const char *
Clipped(const char *given)
{
	int length = (int) strlen(given);

	return pnstrdup(given, pg_mbcliplen(given, length, 60));
}

/*
 * RaiseNoConsumer says that a consumer is not there.
 */
pg_noreturn static void
RaiseNoConsumer(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("consumer \"%s\" does not exist", Clipped(name)),
			 errhint("Make it with create_consumer, or look for its name in "
					 "consumer_lag.")));
}

/*
 * FindConsumer reads a consumer as it is now; false when it is not there.
 */
bool
FindConsumer(const char *name, Consumer *consumer)
{
	Datum argument = CStringGetTextDatum(name);
	Datum values[7];
	bool nulls[7];

	if (!QueryRow(&find_consumer, AS_OWNER_NOW, &argument, NULL, values, nulls))
		return false;
	consumer->name = pstrdup(name);
	consumer->id = DatumGetInt32(values[0]);
	consumer->types = nulls[1] ? (Datum) 0 : values[1];
	consumer->clinic_id = nulls[2] ? (Datum) 0 : values[2];
	consumer->plan_id = nulls[3] ? (Datum) 0 : values[3];
	consumer->origin = DatumGetInt64(values[4]);
	consumer->system_identifier = DatumGetInt64(values[5]);
	consumer->max_retries = DatumGetInt32(values[6]);
	return true;
}

/*
 * FindAndLock reads a consumer and locks it: it may have been dropped, and made
 * anew, while the lock was waited for.  P0002 when there is none of the name.
 */
static void
FindAndLock(const char *name, bool to_drop, Consumer *consumer)
{
	int locked;

	consumer->id = 0;
	do
	{
		locked = consumer->id;
		if (!FindConsumer(name, consumer))
			RaiseNoConsumer(name);
		if (consumer->id != locked)
			LockConsumer(consumer->id, to_drop);
	} while (consumer->id != locked);
}

/*
 * ReadConsumer reads the consumer that is a function's first argument, after it
 * has checked where the function runs and what the caller may.  Nobody drops the
 * consumer before the transaction ends.
 */
void
ReadConsumer(FunctionCallInfo fcinfo, AclMode mode, Consumer *consumer)
{
	RequireArgument(fcinfo, 0, "consumer");
	RequireRecord();
	RequirePrivilege(TABLE_CONSUMERS, mode);
	RequirePrimary();
	FindAndLock(text_to_cstring(PG_GETARG_TEXT_PP(0)), false, consumer);
}

/*
 * CheckTypes raises 22023 unless each type is one that is published.
 */
static void
CheckTypes(Datum types)
{
	ArrayType *array = DatumGetArrayTypeP(types);
	Datum strange;
	bool isnull;

	if (ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"types\" must not be empty"),
				 errhint("Name at least one type, or give NULL for all.")));
	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("types must be a list"),
						errhint("Give an array of one dimension.")));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a type of \"types\" must not be NULL"),
				 errhint("Give NULL instead of the list for all types.")));
	if (QueryRow(&find_strange_type, AS_OWNER, &types, NULL, &strange, &isnull))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("no workflow publishes events of type \"%s\"",
							   Clipped(TextDatumGetCString(strange))),
						errhint("txplan.event_types() lists the types.")));
}

/*
 * CheckScope raises unless the clinic and the plan of a consumer are there.
 */
static void
CheckScope(FunctionCallInfo fcinfo)
{
	pg_uuid_t clinic_id;
	pg_uuid_t plan_id;

	if (!PG_ARGISNULL(3))
		CheckClinic(PG_GETARG_UUID_P(3));
	if (PG_ARGISNULL(4))
		return;
	if (!FindClinicOf(TABLE_PLANS, PG_GETARG_UUID_P(4), &clinic_id, &plan_id))
		RaiseMissing("plan", PG_GETARG_UUID_P(4));
	if (!PG_ARGISNULL(3) &&
		memcmp(&clinic_id, PG_GETARG_UUID_P(3), UUID_LEN) != 0)
		RaiseWrongClinic("plan", PG_GETARG_UUID_P(4));
}

/*
 * StartsNow tells where a consumer starts; 22023 for what is neither.
 */
static bool
StartsNow(FunctionCallInfo fcinfo)
{
	const char *start =
		PG_ARGISNULL(2) ? "now" : text_to_cstring(PG_GETARG_TEXT_PP(2));

	if (strcmp(start, "now") != 0 && strcmp(start, "beginning") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a consumer cannot start at \"%s\"", Clipped(start)),
				 errhint("Start it at now or at the beginning.")));
	return strcmp(start, "now") == 0;
}

/*
 * InsertConsumer writes a consumer's row; 42710 when its name is taken.
 */
static int
InsertConsumer(FunctionCallInfo fcinfo, int max_retries, const Origin *origin)
{
	Datum arguments[8];
	char nulls[] = "        ";
	Datum id;
	bool isnull;
	int i;

	arguments[0] = PG_GETARG_DATUM(0);
	arguments[1] = PG_GETARG_DATUM(1);
	arguments[2] = PG_GETARG_DATUM(3);
	arguments[3] = PG_GETARG_DATUM(4);
	for (i = 1; i < 4; i++)
		if (PG_ARGISNULL(i == 1 ? 1 : i + 1))
			nulls[i] = 'n';
	arguments[4] = Int32GetDatum(max_retries);
	arguments[5] = Int64GetDatum(origin->first_event_id);
	arguments[6] = Int64GetDatum(origin->system_identifier);
	arguments[7] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
	if (!EngineWriteRow(&insert_consumer, TABLE_CONSUMERS, arguments, nulls,
						&id, &isnull))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("consumer \"%s\" already exists",
						text_to_cstring(PG_GETARG_TEXT_PP(0))),
				 errhint("Go on with it, choose another name, or drop it first.")));
	return DatumGetInt32(id);
}

/*
 * txplan_create_consumer makes a consumer.
 */
Datum
txplan_create_consumer(PG_FUNCTION_ARGS)
{
	int max_retries = PG_ARGISNULL(5) ? 5 : PG_GETARG_INT32(5);
	bool starts_now;
	Datum arguments[3];
	Origin origin;
	Sight *sight;

	RequireArgument(fcinfo, 0, "name");
	RequireRecord();
	RequirePrivilege(TABLE_CONSUMERS, ACL_INSERT);
	RequirePrimary();
	CheckTextArgument(fcinfo, 0, "name", NAME_MAX_CHARS, false);
	starts_now = StartsNow(fcinfo);
	if (max_retries < 0 || max_retries > MAX_RETRIES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_retries must be between 0 and %d", MAX_RETRIES),
				 errdetail("It is %d.", max_retries),
				 errhint("An event that was put back so often becomes a "
						 "dead letter.")));
	if (!PG_ARGISNULL(1))
		CheckTypes(PG_GETARG_DATUM(1));
	CheckScope(fcinfo);

	EnsureOrigin();
	if (starts_now)
	{
		CurrentOrigin(&origin);
		sight = SightNow();
	}
	else
	{
		FirstOrigin(&origin);

		/* What is older than all we know of was written by another cluster. */
		if (origin.first_event_id > 1)
			origin.first_event_id = 0;
		sight = SightOf(FirstNormalTransactionId, FirstNormalTransactionId);
	}
	arguments[0] = Int32GetDatum(InsertConsumer(fcinfo, max_retries, &origin));
	arguments[1] = WriteSight(sight);
	arguments[2] = Int32GetDatum(SLOT_COUNT - 1);
	EngineWriteRows(&insert_slots, TABLE_CONSUMER_SLOTS, arguments, NULL,
					SLOT_COUNT);
	PG_RETURN_VOID();
}

/*
 * txplan_drop_consumer removes a consumer and all that is kept for it.  It waits
 * for those who are reading.
 */
Datum
txplan_drop_consumer(PG_FUNCTION_ARGS)
{
	Consumer consumer;
	Datum id;

	RequireArgument(fcinfo, 0, "name");
	RequireRecord();
	RequirePrivilege(TABLE_CONSUMERS, ACL_DELETE);
	RequirePrimary();
	FindAndLock(text_to_cstring(PG_GETARG_TEXT_PP(0)), true, &consumer);
	id = Int32GetDatum(consumer.id);
	(void) EngineWrite(&drop_dead, TABLE_CONSUMER_DEAD, &id, NULL);
	(void) EngineWrite(&drop_retries, TABLE_CONSUMER_RETRIES, &id, NULL);
	(void) EngineWrite(&drop_batches, TABLE_CONSUMER_BATCHES, &id, NULL);
	(void) EngineWrite(&drop_slots, TABLE_CONSUMER_SLOTS, &id, NULL);
	(void) EngineWrite(&drop_consumer, TABLE_CONSUMERS, &id, NULL);
	PG_RETURN_VOID();
}

/*
 * TakeBatch locks an open batch that this session may end: its own, or one whose
 * session is gone.  P0002 when it is not open, 55006 when another has it.
 */
static void
TakeBatch(const Consumer *consumer, int64 batch_id)
{
	Datum arguments[2];
	Datum values[2];
	bool nulls[2];
	int16 slot;

	arguments[0] = Int64GetDatum(batch_id);
	arguments[1] = Int32GetDatum(consumer->id);
	if (!QueryRow(&lock_batch, AS_OWNER, arguments, NULL, values, nulls))
	{
		ForgetBatch(consumer->id, batch_id);
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("batch " INT64_FORMAT " of consumer \"%s\" is not open",
						batch_id, consumer->name),
				 errdetail("It was finished already, or was never handed out."),
				 errhint("next_events returns the batch that is to be "
						 "finished.")));
	}
	slot = DatumGetInt16(values[0]);
	if (IsOwnBatch(consumer->id, batch_id))
		return;
	if (!ClaimSlot(consumer->id, slot))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("batch " INT64_FORMAT
						" of consumer \"%s\" belongs to another session",
						batch_id, consumer->name),
				 errdetail("Process %d is working on it.",
						   DatumGetInt32(values[1])),
				 errhint("Finish it from the session that got it from "
						 "next_events; when that session ends, another may.")));
	ReleaseSlotAtEnd(consumer->id, slot);
}

/*
 * txplan_finish_events ends a batch.
 */
Datum
txplan_finish_events(PG_FUNCTION_ARGS)
{
	Consumer consumer;
	Datum arguments[2];

	RequireArgument(fcinfo, 1, "batch_id");
	ReadConsumer(fcinfo, ACL_UPDATE, &consumer);
	TakeBatch(&consumer, PG_GETARG_INT64(1));
	arguments[0] = PG_GETARG_DATUM(1);
	arguments[1] = Int32GetDatum(consumer.id);
	(void) EngineWrite(&delete_retries, TABLE_CONSUMER_RETRIES, arguments,
					   NULL);
	EngineWriteRows(&delete_batch, TABLE_CONSUMER_BATCHES, arguments, NULL, 1);
	BatchIsFinished(consumer.id, PG_GETARG_INT64(1));
	PG_RETURN_VOID();
}

/*
 * CheckDelay raises 22023 for an interval that is below zero or beyond all time.
 */
static void
CheckDelay(FunctionCallInfo fcinfo)
{
	Interval least = { 0 };
	Interval most = { .month = MAX_DELAY_YEARS * MONTHS_PER_YEAR };
	Datum after = PG_GETARG_DATUM(2);

	if (PG_ARGISNULL(2))
		return;
	if (DatumGetBool(DirectFunctionCall2(interval_lt, after,
										 IntervalPGetDatum(&least))))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("argument \"after\" must not be negative"),
						errhint("Give zero to have the event again at once.")));
	if (DatumGetBool(DirectFunctionCall2(interval_gt, after,
										 IntervalPGetDatum(&most))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"after\" must not be longer than %d years",
						MAX_DELAY_YEARS),
				 errhint("Give the time after which to try again.")));
}

/*
 * BatchOf is the open batch that an event is in; P0002 when it is in none.
 */
static Datum
BatchOf(const Consumer *consumer, Datum *arguments)
{
	Datum batch_id;
	bool isnull;

	if (!QueryRow(&find_batch_of, AS_OWNER_NOW, arguments, NULL, &batch_id,
				  &isnull))
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("event " INT64_FORMAT
						" is in no open batch of consumer \"%s\"",
						DatumGetInt64(arguments[1]), consumer->name),
				 errhint("Retry an event before its batch is finished.")));
	return batch_id;
}

/*
 * txplan_retry_event takes an event out of its batch, to come again later; false
 * when it came often enough and is a dead letter now.
 */
Datum
txplan_retry_event(PG_FUNCTION_ARGS)
{
	Consumer consumer;
	Datum arguments[4];
	char nulls[] = "    ";
	Datum found;
	Datum batch_id;
	bool isnull;
	int32 retries = 0;

	RequireArgument(fcinfo, 1, "event_id");
	ReadConsumer(fcinfo, ACL_UPDATE, &consumer);
	CheckDelay(fcinfo);
	CheckTextArgument(fcinfo, 3, "error", NOTE_MAX_CHARS, true);
	arguments[0] = Int32GetDatum(consumer.id);
	arguments[1] = PG_GETARG_DATUM(1);
	batch_id = BatchOf(&consumer, arguments);
	TakeBatch(&consumer, DatumGetInt64(batch_id));

	/* Another may have retried it since, when the batch was nobody's. */
	(void) BatchOf(&consumer, arguments);
	if (QueryRow(&count_retries, AS_OWNER_NOW, arguments, NULL, &found,
				 &isnull))
		retries = DatumGetInt32(found);

	if (retries >= consumer.max_retries)
	{
		arguments[2] = PG_GETARG_DATUM(3);
		nulls[2] = PG_ARGISNULL(3) ? 'n' : ' ';
		EngineWriteRows(&bury, TABLE_CONSUMER_DEAD, arguments, nulls, 1);
		(void) EngineWrite(&bury_retry, TABLE_CONSUMER_RETRIES, arguments,
						   NULL);
	}
	else
	{
		arguments[2] = PG_GETARG_DATUM(2);
		arguments[3] = PG_GETARG_DATUM(3);
		nulls[2] = PG_ARGISNULL(2) ? 'n' : ' ';
		nulls[3] = PG_ARGISNULL(3) ? 'n' : ' ';
		if (EngineWrite(&put_back_again, TABLE_CONSUMER_RETRIES, arguments,
						nulls) == 0)
			EngineWriteRows(&put_back, TABLE_CONSUMER_RETRIES, arguments, nulls,
							1);
	}
	arguments[0] = batch_id;
	EngineWriteRows(&take_out, TABLE_CONSUMER_BATCHES, arguments, NULL, 1);
	PG_RETURN_BOOL(retries < consumer.max_retries);
}

/*
 * txplan_revive_event makes a dead letter an event that comes again.
 */
Datum
txplan_revive_event(PG_FUNCTION_ARGS)
{
	Consumer consumer;
	Datum arguments[2];

	RequireArgument(fcinfo, 1, "event_id");
	ReadConsumer(fcinfo, ACL_UPDATE, &consumer);
	arguments[0] = Int32GetDatum(consumer.id);
	arguments[1] = PG_GETARG_DATUM(1);
	if (EngineWrite(&revive, TABLE_CONSUMER_RETRIES, arguments, NULL) == 0)
		ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
						errmsg("event " INT64_FORMAT
							   " is no dead letter of consumer \"%s\"",
							   PG_GETARG_INT64(1), consumer.name),
						errhint("The view dead_events lists them.")));
	EngineWriteRows(&unbury, TABLE_CONSUMER_DEAD, arguments, NULL, 1);
	PG_RETURN_VOID();
}
