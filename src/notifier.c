/*
 * notifier.c
 *		The background worker that tells listeners of a database's events.
 *
 * It reads the events that became visible since it last looked, by the difference
 * of two snapshots, and announces them in a transaction of its own, so that no
 * writer waits for another.  A writer's commit wakes it; whatever became visible
 * without one it finds when it looks by itself, which it does twice a second.
 *
 * Between two rounds it holds no transaction and no lock.
 */
#include "compat.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "announce.h"
#include "launcher.h"
#include "notifierslot.h"
#include "spi.h"

/* Under load, listeners are woken no more often than this. */
#define ROUND_MS 5

/* What no commit woke it for is looked for so often. */
#define POLL_MS 500

/* After an error nothing is tried for so long. */
#define PAUSE_MS 5000
#define PATIENCE_MS "300" /* for locks, less than deadlock_timeout */

/* The writer who started it may have made the record in the same transaction. */
#define RECORD_MS 2000

/* Which transactions' events were told: those of a snapshot */
typedef struct Told
{
	uint64 from;	 /* everything before was told */
	uint64 before;	 /* nothing from here on was */
	int count;		 /* of those in between that were not */
	int room;		 /* of running */
	uint64 *running; /* in TopMemoryContext */
} Told;

/* What a round sent */
typedef struct Sent
{
	int64 events;
	int64 notifications;
	int64 last_event;
} Sent;

static NotifierSlot *slot = NULL;
static bool connected = false;
static bool working = false;
static bool gives_way = false;
static bool leaves_forever = false;
static volatile sig_atomic_t end_requested = false;

/* Two, of which told points to the one that counts */
static Told tolds[2];
static Told *told = &tolds[0];

static TimestampTz round_at = 0;
static TimestampTz polled_at = 0;
static TimestampTz looked_at = 0;
static TimestampTz failed_at = 0;

#define GE " OPERATOR(pg_catalog.>=) "
#define LE " OPERATOR(pg_catalog.<=) "

/*
 * The events that are visible in snapshot $4 and were not in the one before: of
 * transactions that ran then ($1), and of those that began since ($2 to $3).
 *
 * The second condition leaves out rows of another cluster, whose transaction's
 * number happens to be one of these: their row here was written before.
 */
#define UNTOLD_WHERE(condition)                                             \
	"SELECT e.id, e.type, e.plan_id, e.clinic_id FROM txplan.events AS e "  \
	"WHERE " condition " AND pg_catalog.pg_visible_in_snapshot(e.xid, $4) " \
	"AND pg_catalog.age(e.xmin)" LE "pg_catalog.age(pg_catalog.xid(e.xid)) "
#define UNTOLD                                            \
	UNTOLD_WHERE("e.xid OPERATOR(pg_catalog.=) ANY ($1)") \
	"UNION ALL " UNTOLD_WHERE("e.xid" GE "$2 AND e.xid" LT "$3")

/* One more than are told singly says that they are too many. */
SAVED_QUERY(find_untold,
			"SELECT u.id::pg_catalog.int8, u.type::pg_catalog.text, "
			"u.plan_id::pg_catalog.uuid, u.clinic_id::pg_catalog.uuid "
			"FROM (" UNTOLD ") AS u ORDER BY 1 LIMIT $5",
			XID8ARRAYOID, XID8OID, XID8OID, PG_SNAPSHOTOID, INT8OID);

SAVED_QUERY(count_untold,
			"SELECT pg_catalog.min(u.id::pg_catalog.int8), "
			"pg_catalog.max(u.id::pg_catalog.int8), pg_catalog.count(*) "
			"FROM (" UNTOLD ") AS u",
			XID8ARRAYOID, XID8OID, XID8OID, PG_SNAPSHOTOID);

SAVED_QUERY(find_others,
			"SELECT 1 FROM pg_catalog.pg_stat_get_activity(NULL) AS a "
			"WHERE a.datid" EQ "$1 AND a.pid" NE "$2 "
			"UNION ALL SELECT 1 FROM pg_catalog.pg_prepared_xact() AS p "
			"WHERE p.dbid" EQ "$1",
			OIDOID, INT4OID);

PGDLLEXPORT void txplan_notifier_main(Datum argument);

/*
 * HasPassed tells whether so much time has passed.  A clock that was set back
 * says yes: to look too early does no harm.
 */
static bool
HasPassed(TimestampTz since, TimestampTz now, int milliseconds)
{
	return now < since || now - since >= (TimestampTz) milliseconds * 1000;
}

/*
 * Leave ends the process.  The server starts it anew unless the code is 0.
 * Forever means that the database has no more use for a notifier.
 */
pg_noreturn static void
Leave(int code, bool forever)
{
	working = true; /* it ends in order, so it did not fail to start */
	leaves_forever = forever;
	proc_exit(code);
}

/*
 * GiveUpSlot runs at every end of the process but a crash, which takes the shared
 * memory along.
 */
static void
GiveUpSlot(int code, Datum argument)
{
	if (slot != NULL)
		LeaveSlot(slot, !working, leaves_forever);
	slot = NULL;
}

/*
 * DoNotComeBack lets the server forget a worker that could not connect: its
 * database is gone, or takes no connections.  The next writer, if there is one,
 * starts another.
 */
static void
DoNotComeBack(int code, Datum argument)
{
	if (code != 0 && !connected)
		proc_exit(0);
}

/*
 * RequestEnd is told to end: at once where it waits for something within a round,
 * else in order.
 */
static void
RequestEnd(SIGNAL_ARGS)
{
	end_requested = true;
	die(postgres_signal_arg);
}

/*
 * IsDatabaseWanted tells whether somebody wants the database for himself, to
 * drop, rename or copy it: he holds, or waits for, a lock that keeps others from
 * connecting.
 */
static bool
IsDatabaseWanted(void)
{
	LOCKTAG tag;

	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	if (LockAcquire(&tag, RowExclusiveLock, true, true) ==
		LOCKACQUIRE_NOT_AVAIL)
		return true;
	(void) LockRelease(&tag, RowExclusiveLock, true);
	return false;
}

/*
 * IsAlone tells whether nobody else is connected to the database, and nobody has
 * left a prepared transaction in it.
 */
static bool
IsAlone(void)
{
	Datum arguments[2];
	uint64 others;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	ConnectSpi();
	arguments[0] = ObjectIdGetDatum(MyDatabaseId);
	arguments[1] = Int32GetDatum(MyProcPid);
	others = RunQuery(&find_others, AS_CALLER, arguments, NULL);
	FinishSpi();
	PopActiveSnapshot();
	CommitTransactionCommand();
	return others == 0;
}

/*
 * FindEvents locks the table of events, as any reader does, and returns its
 * owner, or InvalidOid where the extension or the record is gone.
 */
static Oid
FindEvents(void)
{
	RangeVar *name = makeRangeVar(pstrdup("txplan"), pstrdup("events"), -1);
	Oid events = RangeVarGetRelid(name, AccessShareLock, true);
	HeapTuple tuple;
	Oid owner;

	if (!OidIsValid(events) ||
		get_rel_relkind(events) != RELKIND_PARTITIONED_TABLE ||
		!OidIsValid(get_extension_oid("txplan", true)))
		return InvalidOid;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(events));
	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * ReadSnapshot notes which transactions a snapshot shows.
 */
static void
ReadSnapshot(Told *target, Snapshot snapshot)
{
	uint64 next = U64FromFullTransactionId(ReadNextFullTransactionId());
	uint32 i;

	if (target->room < (int) snapshot->xcnt)
	{
		int room = Max(64, (int) snapshot->xcnt * 2);

		target->running =
			target->running == NULL ?
				MemoryContextAlloc(TopMemoryContext, sizeof(uint64) * room) :
				repalloc(target->running, sizeof(uint64) * room);
		target->room = room;
	}

	/* All are less than a half turn of the numbers behind the next one. */
	target->from = next - (uint32) ((TransactionId) next - snapshot->xmin);
	target->before = next - (uint32) ((TransactionId) next - snapshot->xmax);
	target->count = (int) snapshot->xcnt;
	for (i = 0; i < snapshot->xcnt; i++)
		target->running[i] =
			next - (uint32) ((TransactionId) next - snapshot->xip[i]);
}

/*
 * IsSameSnapshot tells whether no transaction ended between two snapshots.
 */
static bool
IsSameSnapshot(const Told *one, const Told *other)
{
	return one->before == other->before && one->count == other->count;
}

/*
 * SendSingly announces the events that were found, one by one.
 */
static void
SendSingly(uint64 rows, Sent *sent)
{
	uint64 row;

	for (row = 0; row < rows; row++)
	{
		Datum values[4];
		bool nulls[4];

		FetchRow(row, values, nulls);
		if (nulls[0] || nulls[1] || nulls[2] || nulls[3])
			continue;
		AnnounceEvent(DatumGetInt64(values[0]), TextDatumGetCString(values[1]),
					  DatumGetUUIDP(values[2]), DatumGetUUIDP(values[3]));
		sent->events++;
		sent->notifications++;
		sent->last_event = DatumGetInt64(values[0]);
	}
}

/*
 * SendBatch announces many events at once.
 */
static void
SendBatch(Datum *arguments, Sent *sent)
{
	Datum values[3];
	bool nulls[3];

	(void) RunQuery(&count_untold, AS_CALLER, arguments, NULL);
	FetchRow(0, values, nulls);
	if (nulls[0] || nulls[1])
		return;
	sent->events = DatumGetInt64(values[2]);
	sent->notifications = 1;
	sent->last_event = DatumGetInt64(values[1]);
	AnnounceBatch(DatumGetInt64(values[0]), sent->last_event, sent->events);
}

/*
 * SendUntold announces what the snapshot at hand shows and was not told.
 *
 * It reads as the owner of the table, whom this process must not give more rights
 * than he has: the table may call functions of his.
 */
static void
SendUntold(Oid owner, const Told *now, Sent *sent)
{
	Datum *running = (Datum *) palloc(sizeof(Datum) * Max(1, told->count));
	Datum arguments[5];
	Oid user;
	int security;
	uint64 rows;
	int i;

	for (i = 0; i < told->count; i++)
		running[i] = UInt64GetDatum(told->running[i]);
	arguments[0] = ArrayOf(running, NULL, told->count, XID8OID);
	arguments[1] = UInt64GetDatum(told->before);
	arguments[2] = UInt64GetDatum(now->before);
	arguments[3] = pg_current_snapshot(NULL);
	arguments[4] = Int64GetDatum(EVENTS_TOLD_SINGLY + 1);

	ConnectSpi();
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(owner, security | SECURITY_LOCAL_USERID_CHANGE |
									  SECURITY_RESTRICTED_OPERATION |
									  SECURITY_NOFORCE_RLS);
	rows = RunQuery(&find_untold, AS_CALLER, arguments, NULL);
	if (rows <= EVENTS_TOLD_SINGLY)
		SendSingly(rows, sent);
	else
		SendBatch(arguments, sent);
	SetUserIdAndSecContext(user, security);
	FinishSpi();
}

/*
 * Publish lets the slot know how far it has been told.
 */
static void
Publish(const Sent *sent)
{
	pg_atomic_write_u64(&slot->told_from, told->from);
	pg_atomic_write_u64(&slot->told_before, told->before);
	if (sent->notifications == 0)
		return;
	(void) pg_atomic_fetch_add_u64(&slot->events, sent->events);
	(void) pg_atomic_fetch_add_u64(&slot->notifications, sent->notifications);
	(void) pg_atomic_fetch_add_u64(&slot->rounds, 1);
	if ((uint64) sent->last_event > pg_atomic_read_u64(&slot->last_event))
		pg_atomic_write_u64(&slot->last_event, (uint64) sent->last_event);
}

/*
 * RunRound tells what became visible since the last round.  An error leaves what
 * was told as it was, so nothing is lost by it; when the commit itself fails
 * halfway, something may be told twice.
 */
static void
RunRound(void)
{
	Told *now = told == &tolds[0] ? &tolds[1] : &tolds[0];
	Sent sent = { 0 };
	Oid owner;

	pgstat_report_activity(STATE_RUNNING, "tells listeners of events");
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	owner = FindEvents();
	if (!OidIsValid(owner))
	{
		CommitTransactionCommand();
		Leave(0, true);
	}
	PushActiveSnapshot(GetTransactionSnapshot());
	ReadSnapshot(now, GetActiveSnapshot());
	if (!IsSameSnapshot(told, now))
		SendUntold(owner, now, &sent);
	PopActiveSnapshot();
	CommitTransactionCommand();

	told = now;
	Publish(&sent);
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/*
 * HasMoved tells whether any event can have become visible since the last round.
 * Where all transactions had ended then, and none has begun since, none can.
 */
static bool
HasMoved(void)
{
	return told->count > 0 ||
		   told->before !=
			   U64FromFullTransactionId(ReadNextFullTransactionId());
}

/*
 * IsWorkerMode tells whether this process's own setting asks for a worker.
 */
static bool
IsWorkerMode(void)
{
	return strcmp(GetConfigOption("txplan.notify", false, false), "worker") ==
		   0;
}

/*
 * ReadConfiguration reads the changed configuration, and ends the worker where
 * that asks for none any more.  Sessions that ask for one by themselves start it
 * anew.
 */
static void
ReadConfiguration(void)
{
	bool asked_before = IsWorkerMode();

	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	if (asked_before && !IsWorkerMode())
		Leave(0, false);
}

/*
 * Attend does what is due: it ends when told to, or when somebody wants the
 * database, and tells what there is to tell.
 */
static void
Attend(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (end_requested)
		Leave(IsDatabaseWanted() ? 0 : 1, false);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
		ReadConfiguration();

	/* Where others are connected too, it may well not be dropped. */
	if (HasPassed(looked_at, now, POLL_MS))
	{
		looked_at = now;
		if (IsDatabaseWanted())
		{
			gives_way = true;
			Leave(IsAlone() ? 0 : 1, false);
		}
	}

	if (!HasPassed(failed_at, now, PAUSE_MS) ||
		(pg_atomic_read_u32(&slot->news) == 0 &&
		 !HasPassed(polled_at, now, POLL_MS)))
		return;
	if (!HasPassed(round_at, now, ROUND_MS))
		pg_usleep(ROUND_MS * 1000L - (long) (now - round_at));
	polled_at = GetCurrentTimestamp();
	if (pg_atomic_exchange_u32(&slot->news, 0) == 0 && !HasMoved())
		return;
	RunRound();
	round_at = GetCurrentTimestamp();
}

/*
 * AttendSafely logs an error, counts it and lets the worker go on.  Where somebody
 * holds the events, it is no error: the round comes later.
 */
static void
AttendSafely(void)
{
	PG_TRY();
	{
		Attend();
	}
	PG_CATCH();
	{
		bool later = geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE;

		HOLD_INTERRUPTS();
		if (!later)
			EmitErrorReport();
		AbortOutOfAnyTransaction();
		MemoryContextSwitchTo(TopMemoryContext);
		FlushErrorState();
		RESUME_INTERRUPTS();
		pgstat_report_activity(STATE_IDLE, NULL);
		if (later)
			pg_atomic_write_u32(&slot->news, 1);
		else
		{
			failed_at = GetCurrentTimestamp();
			(void) pg_atomic_fetch_add_u64(&slot->errors, 1);
		}
		if (gives_way)
			Leave(1, false);
	}
	PG_END_TRY();
}

/*
 * AwaitLatch waits until there is something to do, but not beyond the next poll.
 */
static void
AwaitLatch(int milliseconds, uint32 reason)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 milliseconds, reason);
	ResetLatch(MyLatch);
}

/*
 * AwaitRecord ends the worker where there is no record.  Who was started by a
 * writer looks again for a while, since the record may not be committed yet.
 *
 * It takes what is visible now as told, for a worker who is not told otherwise.
 */
static void
AwaitRecord(bool launched, uint32 reason)
{
	TimestampTz begin = GetCurrentTimestamp();

	for (;;)
	{
		bool found;

		StartTransactionCommand();
		found = OidIsValid(FindEvents());
		if (found)
			ReadSnapshot(told, GetTransactionSnapshot());
		CommitTransactionCommand();
		if (found)
			return;
		if (launched || HasPassed(begin, GetCurrentTimestamp(), RECORD_MS))
			Leave(0, true);
		AwaitLatch(RECORD_MS / 20, reason);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Override makes a setting of the database or the server not count here.
 */
static void
Override(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

/*
 * Connect connects to the database as the bootstrap superuser.
 *
 * What it commits is nothing but notifications, for which nobody need wait: not
 * for the disk, not for a standby.
 */
static void
Connect(Oid database)
{
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	connected = true;
	Override("search_path", "pg_catalog, pg_temp");
	Override("default_transaction_isolation", "read committed");
	Override("synchronous_commit", "off");
	Override("jit", "off");
	Override("application_name", "txplan notifier");
}

/*
 * txplan_notifier_main is the worker of one database, from its start to its end.
 */
void
txplan_notifier_main(Datum argument)
{
	Oid database = DatumGetObjectId(argument);
	bool launched = IsLaunched();
	uint64 told_from;
	uint32 reason;

	pqsignal(SIGTERM, RequestEnd);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();

	/* The slot is given up after the last transaction was aborted. */
	on_proc_exit(DoNotComeBack, (Datum) 0);
	before_shmem_exit(GiveUpSlot, (Datum) 0);
	slot = OccupySlot(database);
	if (slot == NULL)
		proc_exit(0);
	Connect(database);
	if (launched && !IsWorkerMode())
		Leave(0, true);

	reason = WaitEventExtensionNew("TxplanNotifier");
	AwaitRecord(launched, reason);
	told_from = BeginWork(slot, told->from);
	if (told_from != 0)
	{
		told->before = told_from;
		told->count = 0;
	}
	working = true;

	/* Who drops or alters events must not be the one that meets a deadlock. */
	Override("lock_timeout", PATIENCE_MS);
	for (;;)
	{
		long waited;

		AttendSafely();
		waited = (long) ((GetCurrentTimestamp() - polled_at) / 1000);
		AwaitLatch(Max(1, POLL_MS - (int) Min(Max(waited, 0), POLL_MS)),
				   reason);
	}
}
