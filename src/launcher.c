/*
 * launcher.c
 *		Starting notifiers with the server, where the library is preloaded.
 *
 * Only a process of a database can see whether there is a record in it.  So the
 * launcher starts a notifier in one database after another; those that find
 * nothing to do end at once.  Then it ends itself.
 */
#include "launcher.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "notifierslot.h"

/* How long it waits for a notifier to come to work or to end */
#define PATIENCE_MS 10000
#define LOOK_MS 20

/* What pg_database.datconnlimit says of a database that DROP DATABASE left half
 * dropped */
#define CONNECTION_LIMIT_INVALID (-2)

typedef struct LaunchedDatabase
{
	Oid id;
	char *name;
} LaunchedDatabase;

PGDLLEXPORT void txplan_launcher_main(Datum argument);

/*
 * InitLauncher orders the launcher when the library is preloaded by the server.
 * It starts where the server takes writes: on a standby, after its promotion.
 */
void
InitLauncher(void)
{
	BackgroundWorker worker;

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	DescribeNotifier(&worker, InvalidOid, "");
	strlcpy(worker.bgw_function_name, "txplan_launcher_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_type, "txplan launcher", sizeof(worker.bgw_type));
	strlcpy(worker.bgw_name, "txplan launcher", sizeof(worker.bgw_name));
	RegisterBackgroundWorker(&worker);
}

/*
 * IsLaunched tells a notifier whether the launcher started it, and no writer.
 */
bool
IsLaunched(void)
{
	return MyBgworkerEntry->bgw_extra[0] != '\0';
}

/*
 * ConnectableDatabases lists the databases that take connections, in the memory
 * context at hand.
 */
static List *
ConnectableDatabases(void)
{
	MemoryContext context = CurrentMemoryContext;
	List *databases = NIL;
	Relation relation;
	TableScanDesc scan;
	HeapTuple tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database row = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old;
		LaunchedDatabase *database;

		if (!row->datallowconn || row->datconnlimit == CONNECTION_LIMIT_INVALID)
			continue;
		old = MemoryContextSwitchTo(context);
		database = (LaunchedDatabase *) palloc(sizeof(LaunchedDatabase));
		database->id = row->oid;
		database->name = pstrdup(NameStr(row->datname));
		databases = lappend(databases, database);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return databases;
}

/*
 * Launch starts a notifier and waits until it is at work or has ended.  It
 * returns false when the server has no worker to spare.
 */
static bool
Launch(const LaunchedDatabase *database)
{
	TimestampTz begin = GetCurrentTimestamp();
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;

	DescribeNotifier(&worker, database->id, database->name);
	worker.bgw_extra[0] = 'l';
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		return false;
	while (!NotifierWorks(database->id) &&
		   !TimestampDifferenceExceeds(begin, GetCurrentTimestamp(),
									   PATIENCE_MS))
	{
		pid_t pid;

		if (GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED)
			break;
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOOK_MS, WaitEventExtensionNew("TxplanLauncher"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	pfree(handle);
	return true;
}

/*
 * txplan_launcher_main goes through the databases once.
 */
void
txplan_launcher_main(Datum argument)
{
	List *databases;
	ListCell *cell;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	MemoryContextSwitchTo(TopMemoryContext);
	databases = ConnectableDatabases();
	foreach(cell, databases)
	{
		const LaunchedDatabase *database = lfirst(cell);

		if (!Launch(database))
		{
			ereport(LOG,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("txplan started no notifier in database \"%s\" and "
							"those after it",
							database->name),
					 errdetail("All background workers of the server are in "
							   "use."),
					 errhint("Increase max_worker_processes. Writers try again "
							 "meanwhile.")));
			break;
		}
	}
	proc_exit(0);
}
