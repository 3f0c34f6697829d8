/*
 * maintain.c
 *		The upkeep of a record: maintain(), which is called now and then.
 *
 * What takes long is done first, beside those who read and write; what locks them
 * out comes last, and is short or left for later.
 */
#include "compat.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "error.h"
#include "origin.h"
#include "partition.h"
#include "retention.h"
#include "spi.h"
#include "stage.h"
#include "sweep.h"
#include "upkeep.h"

/* Partitions are made for the month at hand and so many after it */
#define MONTHS_AHEAD 2

/* So many events are moved by a call, unless the first month alone has more */
#define MOVED_MAX 100000

/* Of a larger default partition not everything is read while others wait: 64 MB */
#define DEFAULT_PAGES_MAX (64 * 1024 * 1024 / BLCKSZ)

/* A month that is over has no events to come when a clock was a bit wrong */
#define OVER_FOR USECS_PER_DAY

typedef enum MonthFate
{
	FATE_MADE,
	FATE_FENCED, /* prepared, to be made by the next call */
	FATE_LATER,
	FATE_HELD,
} MonthFate;

/* A month that shall have a partition */
typedef struct MonthPlan
{
	EventPartition month;
	int64 waiting; /* events of it in the default partition */
	uint64 moved;
	bool is_fenced; /* nothing of it comes to the default partition */
	MonthFate fate;
	const char *why; /* where it is not made */
} MonthPlan;

typedef struct MonthsPlan
{
	Oid default_partition;
	bool default_is_large;
	char *publications; /* that would tell of a move; NULL when none would */
	List *months;		/* of MonthPlan, the oldest first */
} MonthsPlan;

SAVED_QUERY_OF_NOTHING(count_months,
					   "SELECT pg_catalog.date_trunc('month', e.occurred_at, "
					   "'UTC'), pg_catalog.count(*) "
					   "FROM ONLY txplan.events_default AS e "
					   "GROUP BY 1 ORDER BY 1");

/*
 * A publication tells of the rows that leave events_default and not of where they
 * go, or, when it is of all tables, of the new table, which the other side does
 * not have.
 */
SAVED_QUERY(find_publications,
			"SELECT pg_catalog.string_agg(p.pubname, ', ' ORDER BY p.pubname) "
			"FROM pg_catalog.pg_publication AS p WHERE p.puballtables "
			"OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace AS n "
			"JOIN pg_catalog.pg_class AS c ON c.relnamespace" EQ "n.pnnspid "
			"WHERE n.pnpubid" EQ "p.oid AND c.oid" EQ "$1) "
			"OR p.pubdelete AND EXISTS ("
			"SELECT FROM pg_catalog.pg_publication_rel AS r "
			"WHERE r.prpubid" EQ "p.oid AND (r.prrelid" EQ "$1 OR r.prrelid" EQ
			"$2))",
			OIDOID, OIDOID);

SAVED_QUERY_OF_NOTHING(list_consumers,
					   "SELECT pg_catalog.array_agg(c.name ORDER BY c.name) "
					   "FROM txplan.consumers AS c");

SAVED_QUERY(pass_events, "SELECT txplan.pass_events($1)", TEXTOID);

/* The first transaction that a consumer may still have to read of */
SAVED_QUERY(find_place,
			"SELECT pg_catalog.pg_snapshot_xmin(s.done) "
			"FROM txplan.consumers AS c "
			"JOIN txplan.consumer_slots AS s ON s.consumer" EQ "c.id "
			"WHERE c.name" EQ "$1 ORDER BY 1 LIMIT 1",
			TEXTOID);

PG_FUNCTION_INFO_V1(txplan_maintain);

/* ------------------------------------------------------------- consumers */

/*
 * PlaceOf is the first transaction that a consumer may still have to read of; 0
 * when the consumer is gone.
 */
static uint64
PlaceOf(Datum name)
{
	Datum place;
	bool isnull;

	if (!QueryRow(&find_place, AS_OWNER_NOW, &name, NULL, &place, &isnull) ||
		isnull)
		return 0;
	return U64FromFullTransactionId(DatumGetFullTransactionId(place));
}

static void
PassConsumer(void *argument)
{
	Datum ignored;
	bool isnull;

	(void) QueryRow(&pass_events, AS_OWNER, (Datum *) argument, NULL, &ignored,
					&isnull);
}

/*
 * PassConsumers moves the places of consumers past events that these do not read,
 * so that what all have passed can be told.
 */
static void
PassConsumers(FunctionCallInfo fcinfo)
{
	Datum names;
	bool isnull;
	Datum *consumers;
	int n;
	int i;

	(void) QueryRow(&list_consumers, AS_OWNER_NOW, NULL, NULL, &names, &isnull);
	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(names), TEXTOID, -1, false,
					  TYPALIGN_INT, &consumers, NULL, &n);
	for (i = 0; i < n; i++)
	{
		char *name = TextDatumGetCString(consumers[i]);
		uint64 before = PlaceOf(consumers[i]);
		ErrorData *error;

		if (before == 0)
			continue;
		error = TryWork(PassConsumer, &consumers[i]);
		if (error != NULL && error->sqlerrcode == ERRCODE_NO_DATA_FOUND)
			continue;
		if (error != NULL)
			AddUpkeepRow(fcinfo, "consumer", name, "later",
						 "Somebody is dropping it, or has changed it meanwhile.");
		else if (PlaceOf(consumers[i]) > before)
			AddUpkeepRow(fcinfo, "consumer", name, "moved",
						 "Its places are behind what it does not read.");
	}
}

/* ---------------------------------------------------------------- months */

/*
 * Refuse says that a month is not made, and why.
 */
static void
Refuse(MonthPlan *plan, MonthFate fate, const char *why)
{
	plan->fate = fate;
	plan->why = why;
}

/*
 * CompareMonths orders months.
 */
static int
CompareMonths(const ListCell *left, const ListCell *right)
{
	TimestampTz a = ((MonthPlan *) lfirst(left))->month.starts_at;
	TimestampTz b = ((MonthPlan *) lfirst(right))->month.starts_at;

	return a < b ? -1 : a > b;
}

/*
 * WantMonth adds a month to those that shall have a partition, once.
 */
static void
WantMonth(MonthsPlan *plan, TimestampTz at, int64 waiting)
{
	EventPartition month;
	MonthPlan *wanted;
	ListCell *cell;

	if (!MonthOf(at, &month))
		return;
	foreach(cell, plan->months)
		if (((MonthPlan *) lfirst(cell))->month.starts_at == month.starts_at)
			return;
	wanted = (MonthPlan *) palloc0(sizeof(MonthPlan));
	wanted->month = month;
	wanted->waiting = waiting;
	plan->months = lappend(plan->months, wanted);
}

/*
 * WantMonths finds the months that shall have a partition: those that events in
 * the default partition are of, the month at hand and the next ones.
 */
static void
WantMonths(MonthsPlan *plan, TimestampTz at)
{
	MemoryContext context = CurrentMemoryContext;
	EventPartition month;
	uint64 rows;
	uint64 row;
	int i;

	ConnectSpi();
	rows = RunQuery(&count_months, AS_OWNER_NOW, NULL, NULL);
	for (row = 0; row < rows; row++)
	{
		Datum values[2];
		bool nulls[2];
		MemoryContext old;

		FetchRow(row, values, nulls);
		old = MemoryContextSwitchTo(context);
		WantMonth(plan, DatumGetTimestampTz(values[0]),
				  DatumGetInt64(values[1]));
		MemoryContextSwitchTo(old);
	}
	FinishSpi();

	for (i = 0; i <= MONTHS_AHEAD; i++)
	{
		WantMonth(plan, at, 0);
		if (!MonthOf(at, &month))
			break;
		at = month.ends_at;
	}
	list_sort(plan->months, CompareMonths);
}

/*
 * OverlapOf finds a partition that takes some of a month, or all of it.
 */
static const EventPartition *
OverlapOf(const EventPartition *month, const List *partitions)
{
	ListCell *cell;

	foreach(cell, partitions)
	{
		const EventPartition *other = (EventPartition *) lfirst(cell);

		if (!other->is_default && other->starts_at < month->ends_at &&
			other->ends_at > month->starts_at)
			return other;
	}
	return NULL;
}

/*
 * JudgeLarge decides about a month while the default partition is large.  A month
 * that is over is fenced off first; then nothing of it has to be looked for while
 * others wait.
 */
static void
JudgeLarge(MonthPlan *plan, bool *one_is_fenced)
{
	plan->is_fenced = plan->waiting > 0 && IsFenced(&plan->month);
	if (plan->is_fenced)
		return;
	if (plan->waiting > 0 && !*one_is_fenced &&
		plan->month.ends_at + OVER_FOR <= GetCurrentTimestamp())
	{
		*one_is_fenced = true;
		Refuse(plan, FATE_FENCED,
			   psprintf(INT64_FORMAT " events wait in events_default, which is "
									 "large: they are moved by the next call.",
						plan->waiting));
	}
	else
		Refuse(plan, FATE_LATER,
			   "events_default is large, and would be read while others wait. "
			   "Months that are over are moved first; VACUUM then makes it "
			   "smaller.");
}

/*
 * Judge decides which months are made now.
 */
static void
Judge(MonthsPlan *plan, const List *partitions)
{
	int64 moved = 0;
	int made = 0;
	bool one_is_fenced = false;
	Oid schema = get_rel_namespace(RecordRelation(TABLE_EVENTS));
	List *kept = NIL;
	ListCell *cell;

	foreach(cell, plan->months)
	{
		MonthPlan *month = (MonthPlan *) lfirst(cell);
		const EventPartition *other = OverlapOf(&month->month, partitions);

		if (other != NULL && month->waiting == 0)
			continue;
		kept = lappend(kept, month);
		if (other != NULL)
			Refuse(month, FATE_HELD,
				   psprintf("Partition \"%s\" takes a part of the month, and " INT64_FORMAT
							" events of it are in "
							"events_default.",
							other->name, month->waiting));
		else if (OidIsValid(get_relname_relid(month->month.name, schema)))
			Refuse(month, FATE_HELD,
				   "Something that is no partition has its name: rename it.");
		else if (month->waiting > 0 && plan->publications != NULL)
			Refuse(month, FATE_HELD,
				   psprintf(INT64_FORMAT " events wait in events_default, and "
										 "publications would tell of the move: "
										 "%s.",
							month->waiting, plan->publications));
		else if (plan->default_is_large)
			JudgeLarge(month, &one_is_fenced);
		if (month->fate == FATE_MADE && month->waiting > 0 && moved > 0 &&
			moved + month->waiting > MOVED_MAX)
			Refuse(month, FATE_LATER,
				   psprintf(INT64_FORMAT " events wait in events_default: call "
										 "maintain() again.",
							month->waiting));
		if (month->fate == FATE_MADE && ++made > MONTHS_AT_ONCE)
			Refuse(month, FATE_LATER,
				   "Many months are to be made: call maintain() again.");
		if (month->fate == FATE_MADE)
			moved += month->waiting;
	}
	plan->months = kept;
}

/*
 * TakesNow tells whether events that are written now are of a month, whatever the
 * clocks say.
 */
static bool
TakesNow(const EventPartition *month)
{
	TimestampTz now = GetCurrentTimestamp();

	return month->starts_at <= now + OVER_FOR &&
		   month->ends_at > now - OVER_FOR;
}

/*
 * LockOut locks the default partition.  Where events that are written now go there
 * and shall go elsewhere, writers are kept out of events before: a writer that
 * waits for the default partition itself has chosen it, and would be refused.
 */
static void
LockOut(const MonthsPlan *plan)
{
	bool takes_now = false;
	ListCell *cell;

	foreach(cell, plan->months)
	{
		const MonthPlan *month = (MonthPlan *) lfirst(cell);

		if (month->fate == FATE_MADE && TakesNow(&month->month))
			takes_now = true;
	}
	if (takes_now)
		LockForUpkeep(RecordRelation(TABLE_EVENTS), ShareRowExclusiveLock,
					  true);
	LockForUpkeep(plan->default_partition, AccessExclusiveLock, true);
}

/*
 * MakeMonths makes the partitions.  The events that wait for them are moved before
 * the default partition is locked, and then only those that came meanwhile.
 */
static void
MakeMonths(void *argument)
{
	MonthsPlan *plan = (MonthsPlan *) argument;
	ListCell *cell;
	int nest = ShortenLocks(PATIENCE_ASIDE);

	/* Before anything is moved in vain: this lock a VACUUM has, too. */
	LockForUpkeep(plan->default_partition, ShareUpdateExclusiveLock, true);
	RestoreLocks(nest);
	foreach(cell, plan->months)
	{
		MonthPlan *month = (MonthPlan *) lfirst(cell);

		if (month->fate != FATE_MADE)
			continue;
		DefinePartition(&month->month);
		if (month->waiting > 0)
			month->moved = MoveEvents(&month->month);
		if (month->is_fenced)
			ProveFence(&month->month);
	}

	LockOut(plan);
	foreach(cell, plan->months)
	{
		MonthPlan *month = (MonthPlan *) lfirst(cell);

		if (month->fate == FATE_FENCED)
			AddFence(&month->month);
		if (month->fate != FATE_MADE)
			continue;
		if (!month->is_fenced)
			month->moved += MoveEvents(&month->month);
		AttachPartition(&month->month);
		if (month->is_fenced)
			DropFence(&month->month);
	}
}

/*
 * TellOfMonth adds the row of a month.
 */
static void
TellOfMonth(FunctionCallInfo fcinfo, const MonthPlan *plan,
			const ErrorData *error)
{
	static const char *const outcomes[] = { "made", "later", "later", "held" };
	const char *why = plan->why;
	MonthFate fate = plan->fate;

	if (error != NULL && (fate == FATE_MADE || fate == FATE_FENCED))
	{
		fate = FATE_LATER;
		why = "Another transaction is using events_default.";
	}
	if (fate == FATE_MADE)
		why =
			psprintf("It takes events from %.10s to before %.10s, UTC; " UINT64_FORMAT
					 " came from events_default.",
					 BoundText(plan->month.starts_at),
					 BoundText(plan->month.ends_at), plan->moved);
	AddUpkeepRow(fcinfo, "partition", plan->month.name, outcomes[fate], why);
}

/*
 * IsLarge tells whether to read a table takes so long that nobody is to wait for it.
 */
static bool
IsLarge(Oid relation)
{
	Relation opened = table_open(relation, AccessShareLock);
	BlockNumber pages = RelationGetNumberOfBlocks(opened);

	table_close(opened, NoLock);
	return pages > DEFAULT_PAGES_MAX;
}

/*
 * MaintainMonths makes the partitions that are wanted; true when it locked the
 * default partition to do so.
 */
static bool
MaintainMonths(FunctionCallInfo fcinfo, TimestampTz at)
{
	MonthsPlan *plan = (MonthsPlan *) palloc0(sizeof(MonthsPlan));
	List *partitions = ListPartitions();
	const EventPartition *by_default = FindDefault(partitions);
	ErrorData *error = NULL;
	bool something = false;
	Datum arguments[2];
	Datum publications;
	bool isnull;
	ListCell *cell;

	if (by_default == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_TX_NOT_INSTALLED),
				 errmsg("the record has lost table \"events_default\""),
				 errdetail("It takes the events that no other partition takes."),
				 errhint("Run SELECT txplan.install().")));
	plan->default_partition = by_default->relation;
	plan->default_is_large = IsLarge(by_default->relation);
	arguments[0] = ObjectIdGetDatum(by_default->relation);
	arguments[1] = ObjectIdGetDatum(RecordRelation(TABLE_EVENTS));
	(void) QueryRow(&find_publications, AS_OWNER_NOW, arguments, NULL,
					&publications, &isnull);
	if (!isnull)
		plan->publications = TextDatumGetCString(publications);

	WantMonths(plan, at);
	Judge(plan, partitions);
	foreach(cell, plan->months)
	{
		MonthFate fate = ((MonthPlan *) lfirst(cell))->fate;

		if (fate == FATE_MADE || fate == FATE_FENCED)
			something = true;
	}
	if (something)
		error = TryWork(MakeMonths, plan);
	foreach(cell, plan->months)
		TellOfMonth(fcinfo, (MonthPlan *) lfirst(cell), error);
	return something && error == NULL;
}

/* ------------------------------------------------------------- retention */

/*
 * DropMonths drops the months that are old enough and that nobody needs.
 */
static void
DropMonths(FunctionCallInfo fcinfo, TimestampTz until, bool may_wait)
{
	Removal removal = { .archive = false, .may_wait = may_wait };
	ListCell *cell;

	FindRemovable(until, &removal);
	RemoveMonths(&removal);
	foreach(cell, removal.months)
	{
		const char *name = ((EventPartition *) lfirst(cell))->name;

		if (foreach_current_index(cell) < removal.count)
			AddUpkeepRow(fcinfo, "partition", name, "dropped",
						 "It was older than txplan.events_keep, and every consumer "
						 "has passed it.");
		else if (removal.error == NULL)
			break;
		else if (removal.error->sqlerrcode ==
				 ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST)
			AddUpkeepRow(fcinfo, "partition", name, "held",
						 psprintf("Something of your own stands in the way: %s.",
								  removal.error->message));
		else
			AddUpkeepRow(fcinfo, "partition", name, "later",
						 "Another transaction is using events.");
	}
	foreach(cell, removal.rest)
		AddUpkeepRow(fcinfo, "partition",
					 ((EventPartition *) lfirst(cell))->name, "later",
					 "Many months are to go: call maintain() again.");
	foreach(cell, removal.held)
		AddUpkeepRow(fcinfo, "partition",
					 ((EventPartition *) lfirst(cell))->name, "held",
					 psprintf("Consumers that have not passed it: %s.",
							  removal.held_by));
	WarnOfHolders(&removal);
}

/*
 * CheckArguments raises for arguments that make no sense.
 */
static void
CheckArguments(FunctionCallInfo fcinfo)
{
	EventPartition month;

	RequireArgument(fcinfo, 0, "at");
	if (TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(0)) ||
		!MonthOf(PG_GETARG_TIMESTAMPTZ(0), &month))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("argument \"at\" is out of range"),
						errdetail("It must be a time of the years %d to %d.",
								  PARTITION_YEAR_MIN, PARTITION_YEAR_MAX),
						errhint("Leave it out to have now.")));
	if (!PG_ARGISNULL(1) && PG_GETARG_INT32(1) < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_plans must be at least 1"),
						errdetail("It is %d.", PG_GETARG_INT32(1)),
						errhint("Leave it out for no limit.")));
}

/*
 * txplan_maintain does what is due, and tells what it did.
 */
Datum
txplan_maintain(PG_FUNCTION_ARGS)
{
	TimestampTz until;
	bool locked;
	int nest;

	RequireUpkeep();
	CheckArguments(fcinfo);
	InitMaterializedSRF(fcinfo, 0);
	if (BeginSweep())
		SweepPlans(fcinfo, PG_GETARG_TIMESTAMPTZ(0),
				   PG_ARGISNULL(1) ? PG_INT32_MAX : PG_GETARG_INT32(1));
	if (!BeginUpkeep())
	{
		AddUpkeepRow(fcinfo, "record", "txplan", "later",
					 "Another session is doing it.");
		return (Datum) 0;
	}
	EnsureOrigin();
	FoldStageCounts();
	nest = ShortenLocks(PATIENCE);
	PassConsumers(fcinfo);
	locked = MaintainMonths(fcinfo, PG_GETARG_TIMESTAMPTZ(0));
	if (KeepsUntil(PG_GETARG_TIMESTAMPTZ(0), &until))
		DropMonths(fcinfo, until, !locked);
	RestoreLocks(nest);
	return (Datum) 0;
}
