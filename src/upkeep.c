/*
 * upkeep.c
 *		What maintain() and its kin share: who may, one at a time, nobody waits.
 *
 * Upkeep gives way to everybody: a lock that is not to be had in a moment is left
 * for later, and what was begun for it is taken back.
 */
#include "upkeep.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "record.h"

/*
 * The locks that install() takes as well: pg_advisory_xact_lock(7898410, 1) is
 * upkeep's alone, and those who go over plans share the other.
 */
#define UPKEEP_KEY 7898410
#define UPKEEP_NUMBER 1
#define SWEEP_NUMBER 2
#define OF_TWO_NUMBERS 2

/*
 * RequireUpkeep raises unless this is a server, a transaction and a role for
 * upkeep.
 */
void
RequireUpkeep(void)
{
	RequireRecord();
	if (!has_privs_of_role(GetUserId(), RecordOwner()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be a member of the role that owns the record"),
				 errdetail("The record belongs to role \"%s\".",
						   GetUserNameFromId(RecordOwner(), false)),
				 errhint("Grant that role to who does the upkeep.")));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("the upkeep of events is done on the primary only"),
				 errdetail("This server is a standby, which gets it from there."),
				 errhint("Connect to the primary; the view event_partitions "
						 "can be read here.")));
	if (XactReadOnly)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("events cannot be kept up in a read-only transaction"),
				 errdetail("Partitions are made and dropped."),
				 errhint("Begin a transaction that may write.")));
}

/*
 * BeginUpkeep makes sure that nobody else does any until the transaction ends;
 * false when somebody does.
 */
bool
BeginUpkeep(void)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, UPKEEP_KEY, UPKEEP_NUMBER,
						 OF_TWO_NUMBERS);
	return LockAcquire(&tag, ExclusiveLock, false, true) !=
		   LOCKACQUIRE_NOT_AVAIL;
}

/*
 * BeginSweep makes sure that the record is not installed or mended until the
 * transaction ends; false when it is being.
 */
bool
BeginSweep(void)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, UPKEEP_KEY, SWEEP_NUMBER,
						 OF_TWO_NUMBERS);
	return LockAcquire(&tag, ShareLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * ShortenLocks makes waits for locks last so many milliseconds until RestoreLocks.
 * A caller who has less patience than a moment keeps it.
 */
int
ShortenLocks(int patience)
{
	int nest = NewGUCNestLevel();

	if (LockTimeout == 0 || LockTimeout >= PATIENCE)
		(void) set_config_option("lock_timeout", psprintf("%d", patience),
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
	return nest;
}

/*
 * RestoreLocks gives back the caller's own patience.
 */
void
RestoreLocks(int nest)
{
	AtEOXact_GUC(true, nest);
}

/*
 * IsForLater tells whether an error means no more than that it has to be done
 * later, that it need not be done, since what it was for is gone, or that
 * something of the user's stands in the way.
 */
static bool
IsForLater(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		   error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED ||
		   error->sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE ||
		   error->sqlerrcode == ERRCODE_NO_DATA_FOUND ||
		   error->sqlerrcode == ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST;
}

/*
 * IsOfOne tells whether an error is about what was worked on, not about the
 * session or the server: the rest can be gone on with.
 */
static bool
IsOfOne(const ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED)
		return true;
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INVALID_TRANSACTION_STATE:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_INTERNAL_ERROR:
			return false;
		default:
			return true;
	}
}

/*
 * Try does something in a subtransaction, and returns NULL, or the error that
 * undid it if that may be forgiven.
 */
static ErrorData *
Try(UpkeepWork work, void *argument, bool (*forgiven)(const ErrorData *))
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(argument);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (error != NULL && !forgiven(error))
		ReThrowError(error);
	return error;
}

/*
 * TryWork does something or, where others are in the way, nothing: it returns NULL
 * when it is done, else why not.
 */
ErrorData *
TryWork(UpkeepWork work, void *argument)
{
	return Try(work, argument, IsForLater);
}

/*
 * TryOne does something to one row of many or, where something of that row is in
 * the way, nothing: it returns NULL when it is done, else why not.
 */
ErrorData *
TryOne(UpkeepWork work, void *argument)
{
	return Try(work, argument, IsOfOne);
}

/*
 * LockForUpkeep locks a table; 55P03 when that cannot be had soon, or at once
 * where it may not wait.
 */
void
LockForUpkeep(Oid relation, LOCKMODE mode, bool may_wait)
{
	if (may_wait)
		LockRelationOid(relation, mode);
	else if (!ConditionalLockRelationOid(relation, mode))
		ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
						errmsg("could not obtain lock on relation \"%s\"",
							   get_rel_name(relation))));
}

/*
 * AddUpkeepRow adds a row to what maintain() tells.
 */
void
AddUpkeepRow(FunctionCallInfo fcinfo, const char *kind, const char *name,
			 const char *outcome, const char *detail)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum values[4];
	bool nulls[4] = { false };

	values[0] = CStringGetTextDatum(kind);
	values[1] = CStringGetTextDatum(name);
	values[2] = CStringGetTextDatum(outcome);
	values[3] = CStringGetTextDatum(detail);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}
