/*
 * fault.c
 *		A library for tests, which lets something go wrong at a chosen step.
 *
 *		LOAD '.../fault.so';
 *		SET fault.how = 'cancel';	 -- or disk_full, or kill
 *		SET fault.at = 7;			 -- the seventh step from here; 0: none
 *
 * Steps are the beginnings and the ends of statements, also of those that
 * functions and triggers run, and what comes before a commit.  It goes wrong once.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

typedef enum Fault
{
	FAULT_CANCEL,
	FAULT_DISK_FULL,
	FAULT_KILL,
} Fault;

static const struct config_enum_entry faults[] = {
	{ "cancel", FAULT_CANCEL, false },
	{ "disk_full", FAULT_DISK_FULL, false },
	{ "kill", FAULT_KILL, false },
	{ NULL, 0, false }
};

static int fault = FAULT_CANCEL;
static int fault_at = 0;
static int steps_left = 0;
static bool under_way = false; /* not in the statement any more that chose */

static ExecutorStart_hook_type next_start;
static ExecutorRun_hook_type next_run;
static ExecutorFinish_hook_type next_finish;
static ExecutorEnd_hook_type next_end;

/*
 * Step counts a step, and if it is the chosen one, lets it go wrong.
 */
static void
Step(void)
{
	if (steps_left == 0 || --steps_left > 0)
		return;
	switch ((Fault) fault)
	{
		case FAULT_CANCEL:
			/* As if pg_cancel_backend() had come right now. */
			InterruptPending = true;
			QueryCancelPending = true;
			CHECK_FOR_INTERRUPTS();
			break;
		case FAULT_DISK_FULL:
			ereport(ERROR, (errcode(ERRCODE_DISK_FULL),
							errmsg("could not extend file: No space left")));
			break;
		case FAULT_KILL:
			(void) kill(MyProcPid, SIGKILL);
			break;
	}
}

static void
Start(QueryDesc *query, int flags)
{
	under_way = true;
	Step();
	if (next_start != NULL)
		next_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
}

#if PG_VERSION_NUM >= 180000
static void
Run(QueryDesc *query, ScanDirection direction, uint64 count)
{
	Step();
	if (next_run != NULL)
		next_run(query, direction, count);
	else
		standard_ExecutorRun(query, direction, count);
	Step();
}
#else
static void
Run(QueryDesc *query, ScanDirection direction, uint64 count, bool once)
{
	Step();
	if (next_run != NULL)
		next_run(query, direction, count, once);
	else
		standard_ExecutorRun(query, direction, count, once);
	Step();
}
#endif

static void
Finish(QueryDesc *query)
{
	if (next_finish != NULL)
		next_finish(query);
	else
		standard_ExecutorFinish(query);
	Step();
}

static void
End(QueryDesc *query)
{
	if (next_end != NULL)
		next_end(query);
	else
		standard_ExecutorEnd(query);
	Step();
}

static void
EndOfTransaction(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_PRE_COMMIT && under_way)
		Step();
}

static void
Choose(int value, void *extra)
{
	steps_left = value;
	under_way = false;
}

void
_PG_init(void)
{
	DefineCustomEnumVariable("fault.how", "What goes wrong.", NULL, &fault,
							 FAULT_CANCEL, faults, PGC_USERSET, 0, NULL, NULL,
							 NULL);
	DefineCustomIntVariable("fault.at", "At which step it goes wrong.", NULL,
							&fault_at, 0, 0, 1000000, PGC_USERSET, 0, NULL,
							Choose, NULL);
	next_start = ExecutorStart_hook;
	ExecutorStart_hook = Start;
	next_run = ExecutorRun_hook;
	ExecutorRun_hook = Run;
	next_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = Finish;
	next_end = ExecutorEnd_hook;
	ExecutorEnd_hook = End;
	RegisterXactCallback(EndOfTransaction, NULL);
}
