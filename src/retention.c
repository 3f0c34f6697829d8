/*
 * retention.c
 *		How long events are kept, and who still needs them.
 *
 * A month of events goes as a whole, once it is old enough and every consumer has
 * passed it.  Whoever reads events holds a lock on them until the transaction
 * ends; so when the lock of who removes a partition is held, nobody is reading,
 * and what the places of the consumers then say stays so.
 */
#include "retention.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "error.h"
#include "origin.h"
#include "partition.h"
#include "spi.h"
#include "upkeep.h"

#define FOREVER -1
#define KEEP_MAX 36500

/* So many events of the default partition are counted one by one */
#define COUNTED_MAX 100000

static int events_keep = FOREVER;

/* What is in a partition, as far as consumers are concerned */
typedef struct Contents
{
	bool has_own; /* events of this cluster, the latest transaction of which is */
	Datum last_xid;
	bool has_last_id; /* any events, the highest number of which is */
	Datum last_id;
} Contents;

/* $1 the origin's first event and $2 its cluster, $3 latest transaction of the
 * partition that is of this cluster, $4 and $5 the partition's bounds */
SAVED_QUERY(find_holders,
			"SELECT pg_catalog.array_agg(c.name ORDER BY c.name), "
			"pg_catalog.string_agg(c.name, ', ' ORDER BY c.name) "
			"FROM txplan.consumers AS c "
			"WHERE c.origin" NE "$1 OR c.system_identifier" NE "$2 "
			"OR EXISTS (SELECT FROM txplan.consumer_slots AS s "
			"WHERE s.consumer" EQ "c.id "
			"AND pg_catalog.pg_snapshot_xmin(s.done) "
			"OPERATOR(pg_catalog.<=) $3) "
			"OR EXISTS (SELECT FROM txplan.consumer_batches AS b "
			"WHERE b.consumer" EQ "c.id AND b.first_at" LT "$5 "
			"AND b.last_at OPERATOR(pg_catalog.>=) $4)",
			INT8OID, INT8OID, XID8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);

SAVED_QUERY_OF_NOTHING(find_consumers,
					   "SELECT 1 FROM txplan.consumers AS c LIMIT 1");

SAVED_QUERY(insert_removal,
			"INSERT INTO txplan.event_removals (partition, starts_at, ends_at, "
			"last_event_id, archived_as, removed_by) "
			"VALUES ($1, $2, $3, $4, $5, $6)",
			TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TEXTOID, TEXTOID);

SAVED_QUERY(measure,
			"SELECT pg_catalog.pg_total_relation_size(c.oid), "
			"CASE WHEN c.reltuples OPERATOR(pg_catalog.>=) 0 "
			"THEN c.reltuples::pg_catalog.int8 END "
			"FROM pg_catalog.pg_class AS c WHERE c.oid" EQ "$1",
			OIDOID);

SAVED_QUERY(count_default,
			"SELECT pg_catalog.count(*) FROM (SELECT FROM ONLY "
			"txplan.events_default LIMIT $1) AS e",
			INT8OID);

PG_FUNCTION_INFO_V1(txplan_archive_events);
PG_FUNCTION_INFO_V1(txplan_list_event_partitions);

/*
 * CheckKeep refuses 0: some take it for ever, others for nothing.
 */
static bool
CheckKeep(int *value, void **extra, GucSource source)
{
	if (*value != 0)
		return true;
	GUC_check_errdetail("It is a number of days, or -1 to keep events for ever.");
	return false;
}

/*
 * InitRetention defines the setting.
 */
void
InitRetention(void)
{
	DefineCustomIntVariable("txplan.events_keep",
							"How many days events are kept before maintain() may drop them.",
							"-1 keeps them for ever. Only whole months go, and no "
							"event that a consumer has not passed.",
							&events_keep, FOREVER, FOREVER, KEEP_MAX, PGC_SUSET,
							0, CheckKeep, NULL, NULL);
}

/*
 * KeepsUntil tells from when on events are kept; false when all are.
 */
bool
KeepsUntil(TimestampTz at, TimestampTz *until)
{
	*until = at - (TimestampTz) events_keep * USECS_PER_DAY;
	return events_keep != FOREVER;
}

/*
 * ReadContents looks into a partition.
 */
static void
ReadContents(const EventPartition *partition, int64 first_event_id,
			 Contents *contents)
{
	char *name = PartitionName(partition);
	Oid type = INT8OID;
	Datum argument = Int64GetDatum(first_event_id);
	Datum values[2];
	bool nulls[2];
	OwnerScope scope;
	SPIPlanPtr plan;
	char *sql = psprintf("SELECT (SELECT e.xid FROM %s AS e "
						 "WHERE e.id OPERATOR(pg_catalog.>=) $1 "
						 "ORDER BY e.xid DESC LIMIT 1), "
						 "(SELECT pg_catalog.max(e.id) FROM %s AS e)",
						 name, name);

	ConnectSpi();
	EnterOwner(&scope, false);
	plan = SPI_prepare(sql, 1, &type);
	if (plan == NULL ||
		SPI_execute_snapshot(plan, &argument, NULL, GetLatestSnapshot(),
							 InvalidSnapshot, true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not run \"%s\"", sql);
	LeaveOwner(&scope);
	FetchRow(0, values, nulls);
	contents->has_own = !nulls[0];
	contents->last_xid = nulls[0] ? (Datum) 0 : values[0];
	contents->has_last_id = !nulls[1];
	contents->last_id = nulls[1] ? (Datum) 0 : values[1];
	FinishSpi();
}

/*
 * HoldersOf finds the consumers that have not passed a partition: the places that
 * they keep are of another cluster, or see not all of its transactions, or a batch
 * of it is open.  It returns their names, one after another; NULL when there are
 * none.
 */
static char *
HoldersOf(const EventPartition *partition, Datum *names)
{
	Origin origin;
	Contents contents;
	Datum arguments[5];
	Datum values[2];
	bool nulls[2];

	if (!QueryRow(&find_consumers, AS_OWNER_NOW, NULL, NULL, values, nulls))
		return NULL;
	CurrentOrigin(&origin);
	ReadContents(partition, origin.first_event_id, &contents);
	if (!contents.has_last_id)
		return NULL;
	arguments[0] = Int64GetDatum(origin.first_event_id);
	arguments[1] = Int64GetDatum(origin.system_identifier);
	arguments[2] = contents.last_xid;
	arguments[3] = TimestampTzGetDatum(partition->starts_at);
	arguments[4] = TimestampTzGetDatum(partition->ends_at);
	(void) QueryRow(&find_holders, AS_OWNER_NOW, arguments,
					contents.has_own ? NULL : "  n  ", values, nulls);
	if (nulls[0])
		return NULL;
	if (names != NULL)
		*names = values[0];
	return TextDatumGetCString(values[1]);
}

/*
 * FindRemovable finds the months that end by some time and may go: those up to the
 * first that a consumer holds.  So what is kept of the events has no gap.
 */
void
FindRemovable(TimestampTz until, Removal *removal)
{
	ListCell *cell;

	foreach(cell, ListPartitions())
	{
		EventPartition *partition = (EventPartition *) lfirst(cell);

		if (!partition->is_month || partition->ends_at > until)
			continue;
		if (list_length(removal->months) == MONTHS_AT_ONCE)
		{
			removal->rest = lappend(removal->rest, partition);
			continue;
		}
		if (removal->held == NIL)
			removal->held_by = HoldersOf(partition, NULL);
		if (removal->held_by == NULL)
			removal->months = lappend(removal->months, partition);
		else
			removal->held = lappend(removal->held, partition);
	}
}

/*
 * ArchivedName finds a name for a month that is detached, as another of the kind
 * may be there already.
 */
static char *
ArchivedName(const EventPartition *month)
{
	Oid schema = get_rel_namespace(month->relation);
	char *name = psprintf("%s_archived", month->name);
	int n;

	for (n = 2; OidIsValid(get_relname_relid(name, schema)); n++)
		name = psprintf("%s_archived_%d", month->name, n);
	return name;
}

/*
 * NoteRemoval writes down that a month went, so that nobody takes its events for
 * lost.
 */
static void
NoteRemoval(const EventPartition *month, const Contents *contents,
			const char *archived_as)
{
	Datum arguments[6];
	char nulls[] = "      ";

	arguments[0] = CStringGetTextDatum(month->name);
	arguments[1] = TimestampTzGetDatum(month->starts_at);
	arguments[2] = TimestampTzGetDatum(month->ends_at);
	arguments[3] = contents->last_id;
	if (!contents->has_last_id)
		nulls[3] = 'n';
	arguments[4] =
		archived_as == NULL ? (Datum) 0 : CStringGetTextDatum(archived_as);
	if (archived_as == NULL)
		nulls[4] = 'n';
	arguments[5] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
	EngineWriteRows(&insert_removal, TABLE_EVENT_REMOVALS, arguments, nulls, 1);
}

/*
 * DetachMonth makes the partition of a month a table of its own, that has no more
 * to do with the record, and returns its name.
 */
static char *
DetachMonth(const EventPartition *month)
{
	EventPartition archived = *month;
	char *trigger = psprintf("%s_not_truncated", month->name);
	char *name = PartitionName(month);

	strlcpy(archived.name, ArchivedName(month), sizeof(archived.name));
	DefineAsOwner(psprintf("ALTER TABLE txplan.events DETACH PARTITION %s",
						   name));
	if (OidIsValid(get_trigger_oid(month->relation, trigger, true)))
		DefineAsOwner(psprintf("DROP TRIGGER %s ON %s",
							   quote_identifier(trigger), name));
	DefineAsOwner(psprintf("ALTER TABLE %s RENAME TO %s", name,
						   quote_identifier(archived.name)));
	DefineAsOwner(psprintf("COMMENT ON TABLE %s IS 'Events of %.7s, in UTC, "
						   "archived'",
						   PartitionName(&archived),
						   BoundText(month->starts_at)));
	return pstrdup(archived.name);
}

/*
 * RemoveMonth removes the next month, unless a consumer has come to need it.
 */
static void
RemoveMonth(void *argument)
{
	Removal *removal = (Removal *) argument;
	EventPartition *month =
		(EventPartition *) list_nth(removal->months, removal->count);
	char *name = month->name;
	char *held_by;
	Contents contents;

	LockForUpkeep(month->relation, AccessExclusiveLock, removal->may_wait);
	held_by = HoldersOf(month, NULL);
	if (held_by != NULL)
	{
		removal->held_by = held_by;
		return;
	}
	RequireRecord();
	ReadContents(month, 0, &contents);
	if (removal->archive)
		name = DetachMonth(month);
	else
		DefineAsOwner(psprintf("DROP TABLE %s", PartitionName(month)));
	RequireRecord();
	NoteRemoval(month, &contents, removal->archive ? name : NULL);
	removal->names = lappend(removal->names, name);
	removal->count++;
}

/*
 * RemoveLocked removes months, one after another, while nobody reads or writes
 * events and nobody makes a consumer.  Where one cannot go, those after it stay.
 */
static void
RemoveLocked(void *argument)
{
	Removal *removal = (Removal *) argument;
	int before = -1;

	LockForUpkeep(RecordRelation(TABLE_CONSUMERS), ShareLock,
				  removal->may_wait);
	LockForUpkeep(RecordRelation(TABLE_EVENTS), AccessExclusiveLock,
				  removal->may_wait);
	while (removal->count < list_length(removal->months) &&
		   removal->count > before && removal->error == NULL)
	{
		before = removal->count;
		removal->error = TryWork(RemoveMonth, removal);
	}
}

/*
 * RemoveMonths removes the months that FindRemovable found, as far as that can be
 * done now.
 */
void
RemoveMonths(Removal *removal)
{
	ErrorData *error;

	if (removal->months == NIL)
		return;
	error = TryWork(RemoveLocked, removal);
	if (error != NULL)
		removal->error = error;
	if (removal->error == NULL)
		removal->held =
			list_concat(list_copy_tail(removal->months, removal->count),
						removal->held);
}

/*
 * WarnOfHolders says which consumers hold events that could go.
 */
void
WarnOfHolders(const Removal *removal)
{
	const EventPartition *first;

	if (removal->held == NIL)
		return;
	first = (EventPartition *) linitial(removal->held);
	ereport(WARNING, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					  errmsg("\"%s\" and later events are kept for consumers",
							 first->name),
					  errdetail("Consumers that have not passed it: %s.",
								removal->held_by),
					  errhint("Let them go on, or drop those that nobody uses; "
							  "consumer_lag shows how far they are behind.")));
}

/*
 * RequireTime raises for a time that is NULL or infinite.
 */
static TimestampTz
RequireTime(FunctionCallInfo fcinfo, int n, const char *name)
{
	RequireArgument(fcinfo, n, name);
	if (TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(n)))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("argument \"%s\" must be finite", name),
						errhint("Give a date.")));
	return PG_GETARG_TIMESTAMPTZ(n);
}

/*
 * txplan_archive_events detaches the months that end by some time.
 */
Datum
txplan_archive_events(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Removal removal = { .archive = true, .may_wait = true };
	TimestampTz before;
	int nest;
	int i;

	RequireUpkeep();
	before = RequireTime(fcinfo, 0, "before");
	InitMaterializedSRF(fcinfo, 0);
	if (!BeginUpkeep())
		ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
						errmsg("another session is keeping up the events"),
						errhint("Try again when it is done.")));
	EnsureOrigin();
	nest = ShortenLocks(PATIENCE);
	FindRemovable(before, &removal);
	RemoveMonths(&removal);
	RestoreLocks(nest);
	if (removal.error != NULL)
		ereport(removal.count == 0 ? ERROR : WARNING,
				(errcode(removal.error->sqlerrcode),
				 errmsg("\"%s\" could not be archived",
						((EventPartition *) list_nth(removal.months,
													 removal.count))
							->name),
				 errdetail("%s.", removal.error->message),
				 errhint("Others are using events: try again.")));
	else if (removal.rest != NIL)
		ereport(WARNING, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						  errmsg("%d months are left to be archived",
								 list_length(removal.rest)),
						  errdetail("At most %d go at once.", MONTHS_AT_ONCE),
						  errhint("Call archive_events() again in another "
								  "transaction.")));
	WarnOfHolders(&removal);
	for (i = 0; i < removal.count; i++)
	{
		EventPartition *month = (EventPartition *) list_nth(removal.months, i);
		Datum values[3];
		bool nulls[3] = { false };

		values[0] = CStringGetTextDatum((char *) list_nth(removal.names, i));
		values[1] = TimestampTzGetDatum(month->starts_at);
		values[2] = TimestampTzGetDatum(month->ends_at);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * txplan_list_event_partitions tells what there is, for view event_partitions.
 */
Datum
txplan_list_event_partitions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell *cell;

	RequireRecord();
	RequirePrivilege(TABLE_EVENTS, ACL_SELECT);
	RequirePrivilege(TABLE_CONSUMERS, ACL_SELECT);
	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, ListPartitions())
	{
		EventPartition *partition = (EventPartition *) lfirst(cell);
		Datum values[7];
		bool nulls[7] = { false };
		Datum argument = ObjectIdGetDatum(partition->relation);
		Datum size[2];
		bool unknown[2];
		Datum counted;

		/* It may have been dropped by hand just now. */
		if (!QueryRow(&measure, AS_OWNER_NOW, &argument, NULL, size, unknown))
			continue;
		values[0] = CStringGetTextDatum(partition->name);
		values[1] = TimestampTzGetDatum(partition->starts_at);
		values[2] = TimestampTzGetDatum(partition->ends_at);
		nulls[1] = nulls[2] = partition->is_default;
		values[3] = size[1];
		nulls[3] = unknown[1];
		values[4] = size[0];
		nulls[4] = unknown[0];
		values[5] = BoolGetDatum(partition->is_default);
		values[6] = PointerGetDatum(construct_empty_array(TEXTOID));
		(void) HoldersOf(partition, &values[6]);
		if (strcmp(partition->name, "events_default") == 0)
		{
			argument = Int64GetDatum(COUNTED_MAX + 1);
			(void) QueryRow(&count_default, AS_OWNER_NOW, &argument, NULL,
							&counted, unknown);
			if (nulls[3] || DatumGetInt64(counted) <= COUNTED_MAX)
				values[3] = counted;
			nulls[3] = false;
		}
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
