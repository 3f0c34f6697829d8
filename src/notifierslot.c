/*
 * notifierslot.c
 *		Where writers and the notifier of their database find each other.
 *
 * A small array in shared memory has a slot for each database that has, or had, a
 * notifier.  The first writer of a database asks the server for a background
 * worker and goes on; where none can be had, writers announce their own events.
 *
 * A commit must not fail, wait or allocate, so all that could is done before: the
 * array is attached to when an event is written, and the commit itself sets a
 * number and a latch.
 */
#include "notifierslot.h"

#include "access/transam.h"
#include "access/xact.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define SLOTS 32

/* The number changes with the layout, so that two versions never share it. */
#define SHARED_NAME "txplan_notifiers_1"

/* Of two writers who find no worker at once, one starts it. */
#define CLAIM_MS 100

/* A start that was refused is tried again after so long, */
#define RETRY_MS 1000

/* and one that led to nothing after so long. */
#define PATIENCE_MS 10000

typedef struct Notifiers
{
	slock_t lock;
	NotifierSlot slots[SLOTS];
} Notifiers;

StaticAssertDecl(sizeof(Notifiers) < 4096,
				 "notifiers must be small enough for the server's reserve");

/* Attached to by the first event of a backend, and for good */
static Notifiers *notifiers = NULL;
static bool cannot_attach = false;

/* That of the database at hand; another database may have it since */
static NotifierSlot *my_slot = NULL;

static bool warned = false;

/*
 * InitSlot makes a slot that of a database.  The lock is held.
 */
static void
InitSlot(NotifierSlot *slot, Oid database)
{
	pg_atomic_write_u32(&slot->database, database);
	pg_atomic_write_u32(&slot->state, NOTIFIER_ABSENT);
	pg_atomic_write_u32(&slot->pid, 0);
	pg_atomic_write_u32(&slot->process, 0);
	pg_atomic_write_u32(&slot->news, 0);
	pg_atomic_write_u32(&slot->failed_starts, 0);
	pg_atomic_write_u64(&slot->tried_at, 0);
	pg_atomic_write_u64(&slot->since, 0);
	pg_atomic_write_u64(&slot->told_from, 0);
	pg_atomic_write_u64(&slot->told_before, 0);
	pg_atomic_write_u64(&slot->events, 0);
	pg_atomic_write_u64(&slot->notifications, 0);
	pg_atomic_write_u64(&slot->rounds, 0);
	pg_atomic_write_u64(&slot->last_event, 0);
	pg_atomic_write_u64(&slot->errors, 0);
	pg_atomic_write_u64(&slot->fallbacks, 0);
}

/*
 * InitNotifiers fills new shared memory.
 */
static void
InitNotifiers(void *memory)
{
	Notifiers *fresh = (Notifiers *) memory;
	int i;

	SpinLockInit(&fresh->lock);
	for (i = 0; i < SLOTS; i++)
	{
		NotifierSlot *slot = &fresh->slots[i];

		pg_atomic_init_u32(&slot->database, InvalidOid);
		pg_atomic_init_u32(&slot->state, NOTIFIER_ABSENT);
		pg_atomic_init_u32(&slot->pid, 0);
		pg_atomic_init_u32(&slot->process, 0);
		pg_atomic_init_u32(&slot->news, 0);
		pg_atomic_init_u32(&slot->failed_starts, 0);
		pg_atomic_init_u64(&slot->tried_at, 0);
		pg_atomic_init_u64(&slot->since, 0);
		pg_atomic_init_u64(&slot->told_from, 0);
		pg_atomic_init_u64(&slot->told_before, 0);
		pg_atomic_init_u64(&slot->events, 0);
		pg_atomic_init_u64(&slot->notifications, 0);
		pg_atomic_init_u64(&slot->rounds, 0);
		pg_atomic_init_u64(&slot->last_event, 0);
		pg_atomic_init_u64(&slot->errors, 0);
		pg_atomic_init_u64(&slot->fallbacks, 0);
	}
}

/*
 * Attach finds or makes the shared memory.  It raises 53200 where the server has
 * none left.
 */
static void
Attach(void)
{
	bool found;

	if (notifiers == NULL)
		notifiers =
			(Notifiers *) GetNamedDSMSegment(SHARED_NAME, sizeof(Notifiers),
											 InitNotifiers, &found);
}

/*
 * IsUnused tells whether a slot has no worker, and awaits none.
 */
static bool
IsUnused(NotifierSlot *slot)
{
	return pg_atomic_read_u32(&slot->state) == NOTIFIER_ABSENT &&
		   pg_atomic_read_u32(&slot->pid) == 0;
}

/*
 * FindSlot finds the slot of a database.  The lock is held.
 */
static NotifierSlot *
FindSlot(Oid database)
{
	int i;

	for (i = 0; i < SLOTS; i++)
		if (pg_atomic_read_u32(&notifiers->slots[i].database) == database)
			return &notifiers->slots[i];
	return NULL;
}

/*
 * FindSpareSlot finds a free slot, else that which is without a worker for the
 * longest.  The lock is held.
 */
static NotifierSlot *
FindSpareSlot(void)
{
	NotifierSlot *spare = FindSlot(InvalidOid);
	int i;

	if (spare != NULL)
		return spare;
	for (i = 0; i < SLOTS; i++)
	{
		NotifierSlot *slot = &notifiers->slots[i];

		if (IsUnused(slot) &&
			(spare == NULL || pg_atomic_read_u64(&slot->tried_at) <
								  pg_atomic_read_u64(&spare->tried_at)))
			spare = slot;
	}
	return spare;
}

/*
 * HaveSlot finds the slot of a database, or makes a spare one its own.  The lock is
 * held.
 */
static NotifierSlot *
HaveSlot(Oid database)
{
	NotifierSlot *slot = FindSlot(database);

	if (slot != NULL)
		return slot;
	slot = FindSpareSlot();
	if (slot != NULL)
		InitSlot(slot, database);
	return slot;
}

/*
 * IsMine tells whether the slot that was found is still that of this database.
 */
static bool
IsMine(void)
{
	return my_slot != NULL &&
		   pg_atomic_read_u32(&my_slot->database) == MyDatabaseId;
}

/*
 * Warn says once in a session why writers announce their events themselves.
 */
static void
Warn(const char *detail, const char *hint)
{
	if (warned)
		return;
	warned = true;
	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("txplan has no notifier in this database"),
			 errdetail("%s Writers announce their events themselves, as with "
					   "txplan.notify = commit.",
					   detail),
			 errhint("%s", hint)));
}

/*
 * AttachSafely attaches within a subtransaction, so that a server without shared
 * memory to spare costs the writer a warning and no more.
 */
static void
AttachSafely(void)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		Attach();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		if (geterrcode() == ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		cannot_attach = true;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (cannot_attach)
		Warn("The server has no shared memory left for it.",
			 "Add txplan to shared_preload_libraries before other libraries.");
}

/*
 * DescribeNotifier fills in what the server must know of the worker for a
 * database.
 */
void
DescribeNotifier(BackgroundWorker *worker, Oid database, const char *name)
{
	memset(worker, 0, sizeof(BackgroundWorker));
	worker->bgw_flags =
		BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = NOTIFIER_RESTART_SECONDS;
	worker->bgw_main_arg = ObjectIdGetDatum(database);
	strlcpy(worker->bgw_library_name, "txplan",
			sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, "txplan_notifier_main",
			sizeof(worker->bgw_function_name));
	strlcpy(worker->bgw_type, "txplan notifier", sizeof(worker->bgw_type));
	snprintf(worker->bgw_name, sizeof(worker->bgw_name),
			 "txplan notifier for %s", name);
}

/*
 * OldestRunning is the oldest transaction that runs at this moment: whatever
 * becomes visible from now on is of that one or a later one.
 */
static uint64
OldestRunning(void)
{
	TransactionId oldest = GetLatestSnapshot()->xmin;
	uint64 next = U64FromFullTransactionId(ReadNextFullTransactionId());

	/* It is less than a half turn of the numbers behind. */
	return next - (uint32) ((TransactionId) next - oldest);
}

/*
 * GiveUpStart counts a start that led to nothing.  The lock is held.
 */
static void
GiveUpStart(NotifierSlot *slot)
{
	(void) pg_atomic_fetch_add_u32(&slot->failed_starts, 1);
	(void) pg_atomic_fetch_add_u64(&slot->errors, 1);
	pg_atomic_write_u32(&slot->state, NOTIFIER_ABSENT);
}

/*
 * ClaimStart decides whether this backend is the one to start the worker, and
 * from where that is to tell.  Only one tries at a time, and not too often.
 *
 * A worker that the server started by itself may be on its way, and tells from
 * when it comes to work, unless a writer wants more before.
 */
static bool
ClaimStart(NotifierSlot *slot)
{
	TimestampTz now = GetCurrentTimestamp();
	uint64 oldest = OldestRunning();
	TimestampTz tried;
	int pause;
	bool claimed = false;

	SpinLockAcquire(&notifiers->lock);
	tried = (TimestampTz) pg_atomic_read_u64(&slot->tried_at);
	if (pg_atomic_read_u32(&slot->state) == NOTIFIER_STARTING &&
		TimestampDifferenceExceeds(tried, now, PATIENCE_MS))
		GiveUpStart(slot);
	pause = pg_atomic_read_u32(&slot->failed_starts) > 0 ? RETRY_MS : CLAIM_MS;
	if (pg_atomic_read_u32(&slot->database) == MyDatabaseId &&
		pg_atomic_read_u32(&slot->state) == NOTIFIER_ABSENT &&
		(tried > now || TimestampDifferenceExceeds(tried, now, pause) ||
		 pg_atomic_read_u32(&slot->pid) != 0))
	{
		pg_atomic_write_u64(&slot->tried_at, (uint64) now);
		if (pg_atomic_read_u64(&slot->told_from) == 0)
			pg_atomic_write_u64(&slot->told_from, oldest);
		claimed = pg_atomic_read_u32(&slot->pid) == 0;
		if (!claimed)
			pg_atomic_write_u32(&slot->state, NOTIFIER_STARTING);
	}
	SpinLockRelease(&notifiers->lock);
	return claimed;
}

/*
 * SettleStart notes whether the server took the order for a worker.  The worker
 * may have come to work, or be gone again, before.
 */
static void
SettleStart(NotifierSlot *slot, bool registered)
{
	SpinLockAcquire(&notifiers->lock);
	if (pg_atomic_read_u32(&slot->database) == MyDatabaseId &&
		pg_atomic_read_u32(&slot->state) == NOTIFIER_ABSENT)
	{
		if (registered)
			pg_atomic_write_u32(&slot->state, NOTIFIER_STARTING);
		else
		{
			(void) pg_atomic_fetch_add_u32(&slot->failed_starts, 1);
			if (pg_atomic_read_u64(&slot->told_before) == 0)
				pg_atomic_write_u64(&slot->told_from, 0);
		}
	}
	SpinLockRelease(&notifiers->lock);
}

/*
 * StartNotifier asks the server for the worker of this database.
 */
static void
StartNotifier(NotifierSlot *slot)
{
	BackgroundWorker worker;
	char *name = get_database_name(MyDatabaseId);
	bool registered;

	if (name == NULL || !ClaimStart(slot))
		return;
	DescribeNotifier(&worker, MyDatabaseId, name);
	registered = RegisterDynamicBackgroundWorker(&worker, NULL);
	SettleStart(slot, registered);
}

/*
 * WantNotifier sees to it that a worker tells of this database's events, or will
 * soon.  It is called when an event is written, since it may do what a commit may
 * not; it raises nothing but what any allocation may raise.
 */
void
WantNotifier(void)
{
	if (cannot_attach)
		return;
	if (notifiers == NULL)
		AttachSafely();
	if (notifiers == NULL)
		return;
	if (!IsMine())
	{
		SpinLockAcquire(&notifiers->lock);
		my_slot = HaveSlot(MyDatabaseId);
		SpinLockRelease(&notifiers->lock);
		if (my_slot == NULL)
		{
			Warn("The notifiers of " CppAsString2(SLOTS) " databases are at "
														 "work already.",
				 "Set txplan.notify to commit.");
			return;
		}
	}
	if (pg_atomic_read_u32(&my_slot->state) == NOTIFIER_WORKING)
		return;
	StartNotifier(my_slot);
	if (pg_atomic_read_u32(&my_slot->failed_starts) > 0)
		Warn("No background worker is free, or the one that was started failed.",
			 "Increase max_worker_processes, look into the server's log, or set "
			 "txplan.notify to commit.");
}

/*
 * NotifierTells tells whether what this transaction commits will be told by a
 * worker.  A first start is trusted, a start after one that failed is not.
 */
bool
NotifierTells(void)
{
	if (!IsMine())
		return false;
	switch ((NotifierState) pg_atomic_read_u32(&my_slot->state))
	{
		case NOTIFIER_WORKING:
			return true;
		case NOTIFIER_STARTING:
			return pg_atomic_read_u32(&my_slot->failed_starts) == 0;
		case NOTIFIER_ABSENT:
			return false;
	}
	return false;
}

/*
 * CountFallback counts a transaction that announces its own events because nobody
 * else would.
 */
void
CountFallback(void)
{
	if (IsMine())
		(void) pg_atomic_fetch_add_u64(&my_slot->fallbacks, 1);
}

/*
 * WakeNotifier says that events were committed.  It runs after the commit: it
 * raises nothing, waits for nothing and allocates nothing.
 *
 * Who finds that there is news already leaves it at that: the worker has not
 * looked since, and whoever brought the news sets the latch.  A process that is
 * gone may have left its place to another, which is then woken for nothing.
 */
void
WakeNotifier(void)
{
	uint32 process;

	if (!IsMine() || pg_atomic_exchange_u32(&my_slot->news, 1) != 0)
		return;
	process = pg_atomic_read_u32(&my_slot->process);
	if (process != 0)
		SetLatch(&ProcGlobal->allProcs[process - 1].procLatch);
}

/*
 * OccupySlot makes the process at hand the worker of a database, unless there is
 * one, or no slot is left; then it returns NULL.  Writers rely on it already when
 * it is said from where it is to tell.
 */
NotifierSlot *
OccupySlot(Oid database)
{
	TimestampTz now = GetCurrentTimestamp();
	NotifierSlot *slot;

	Attach();
	SpinLockAcquire(&notifiers->lock);
	slot = HaveSlot(database);
	if (slot != NULL && pg_atomic_read_u32(&slot->pid) != 0)
		slot = NULL;
	if (slot != NULL)
	{
		pg_atomic_write_u32(&slot->pid, (uint32) MyProcPid);
		pg_atomic_write_u64(&slot->tried_at, (uint64) now);
		if (pg_atomic_read_u64(&slot->told_from) != 0)
			pg_atomic_write_u32(&slot->state, NOTIFIER_STARTING);
	}
	SpinLockRelease(&notifiers->lock);
	return slot;
}

/*
 * BeginWork lets writers rely on the worker and wake it.  It returns the first
 * transaction whose events are to be told, 0 where nobody has said so; then that
 * is the one given, and what was taken before from a snapshot.
 */
uint64
BeginWork(NotifierSlot *slot, uint64 oldest)
{
	TimestampTz now = GetCurrentTimestamp();
	uint64 told_from;

	SpinLockAcquire(&notifiers->lock);
	told_from = pg_atomic_read_u64(&slot->told_from);
	if (told_from == 0)
		pg_atomic_write_u64(&slot->told_from, oldest);
	pg_atomic_write_u32(&slot->process, (uint32) MyProcNumber + 1);
	pg_atomic_write_u32(&slot->failed_starts, 0);
	pg_atomic_write_u64(&slot->since, (uint64) now);
	pg_atomic_write_u32(&slot->state, NOTIFIER_WORKING);
	SpinLockRelease(&notifiers->lock);
	return told_from;
}

/*
 * LeaveSlot ends the work of the process at hand.  The slot keeps how far it has
 * told, for whoever comes next; left forever, it is free for another database.
 */
void
LeaveSlot(NotifierSlot *slot, bool failed, bool forever)
{
	SpinLockAcquire(&notifiers->lock);
	if (pg_atomic_read_u32(&slot->pid) == (uint32) MyProcPid)
	{
		pg_atomic_write_u32(&slot->process, 0);
		pg_atomic_write_u32(&slot->pid, 0);
		pg_atomic_write_u32(&slot->state, NOTIFIER_ABSENT);
		if (failed)
			GiveUpStart(slot);
		if (forever)
			pg_atomic_write_u32(&slot->database, InvalidOid);
	}
	SpinLockRelease(&notifiers->lock);
}

/*
 * NotifierWorks tells whether the worker of a database has come to work.
 */
bool
NotifierWorks(Oid database)
{
	NotifierSlot *slot;
	bool works;

	Attach();
	SpinLockAcquire(&notifiers->lock);
	slot = FindSlot(database);
	works =
		slot != NULL && pg_atomic_read_u32(&slot->state) == NOTIFIER_WORKING;
	SpinLockRelease(&notifiers->lock);
	return works;
}

/*
 * CopyNotifier copies what is known of this database, all zero when nothing is.
 */
void
CopyNotifier(NotifierView *view)
{
	NotifierSlot *slot;

	memset(view, 0, sizeof(NotifierView));
	Attach();
	SpinLockAcquire(&notifiers->lock);
	slot = FindSlot(MyDatabaseId);
	if (slot != NULL)
	{
		if (pg_atomic_read_u32(&slot->state) == NOTIFIER_WORKING)
			view->pid = (int32) pg_atomic_read_u32(&slot->pid);
		view->failed_starts = pg_atomic_read_u32(&slot->failed_starts);
		view->since = (TimestampTz) pg_atomic_read_u64(&slot->since);
		view->told_before = pg_atomic_read_u64(&slot->told_before);
		view->events = (int64) pg_atomic_read_u64(&slot->events);
		view->notifications = (int64) pg_atomic_read_u64(&slot->notifications);
		view->rounds = (int64) pg_atomic_read_u64(&slot->rounds);
		view->last_event = (int64) pg_atomic_read_u64(&slot->last_event);
		view->errors = (int64) pg_atomic_read_u64(&slot->errors);
		view->fallbacks = (int64) pg_atomic_read_u64(&slot->fallbacks);
	}
	else if (FindSpareSlot() == NULL)
		view->failed_starts = 1;
	SpinLockRelease(&notifiers->lock);
}
