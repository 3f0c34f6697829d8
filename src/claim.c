/*
 * claim.c
 *		The slots of consumers that this session holds, and its open batches.
 *
 * A slot is held by an advisory lock of the session.  Others see it at once,
 * before the transaction that took it commits, and PostgreSQL gives it back when
 * the connection ends, however it ends.  A batch that was handed out keeps its
 * slots until the transaction commits that finishes it, or the one aborts that
 * opened it.
 *
 * pg_advisory_unlock_all() and DISCARD ALL give the slots back as well: to others
 * it is as if the session had ended.
 */
#include "claim.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/memutils.h"

/*
 * What a lock is for stands in its last field; PostgreSQL's own functions use
 * 1 and 2 there, so no lock of an application's meets one of ours.
 */
#define LOCK_SLOT 7801
#define LOCK_SEAT 7802
#define LOCK_CONSUMER 7803

/* So many sessions of a consumer are counted; more share as if they were so many */
#define SEAT_COUNT 32

/* What is kept in the place of a batch */
#define UNTIL_END 0	 /* slots that are held until the transaction ends */
#define UNSETTLED -1 /* slots that were taken; an error gives them back */

typedef struct KeptBatch
{
	int consumer;
	int64 batch_id;				  /* or one of the above */
	SubTransactionId opened_in;	  /* 0 once that has committed */
	SubTransactionId finished_in; /* 0 while it is open */
	int nslots;
	int16 slots[SLOT_COUNT];
	struct KeptBatch *next;
} KeptBatch;

static KeptBatch *kept = NULL;

static void
SlotTag(LOCKTAG *tag, int kind, int consumer, int slot)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, (uint32) consumer, (uint32) slot,
						 kind);
}

/*
 * TakeLock takes a lock of the session if it is free.  A lock table that is full
 * counts as taken: the batch gets smaller.
 */
static bool
TakeLock(int kind, int consumer, int number)
{
	LOCKTAG tag;

	SlotTag(&tag, kind, consumer, number);
	return TryLockAcquire(&tag, ExclusiveLock, true) != LOCKACQUIRE_NOT_AVAIL;
}

static bool
HoldsLock(int kind, int consumer, int number)
{
	LOCKTAG tag;

	SlotTag(&tag, kind, consumer, number);
	return LockHeldByMe(&tag, ExclusiveLock, false);
}

static void
GiveLock(int kind, int consumer, int number)
{
	LOCKTAG tag;

	SlotTag(&tag, kind, consumer, number);
	if (LockHeldByMe(&tag, ExclusiveLock, false))
		(void) LockRelease(&tag, ExclusiveLock, true);
}

/*
 * IsKept tells whether anything that is kept has a slot.
 */
static bool
IsKept(int consumer, int slot)
{
	KeptBatch *batch;
	int i;

	for (batch = kept; batch != NULL; batch = batch->next)
		for (i = 0; i < batch->nslots; i++)
			if (batch->consumer == consumer && batch->slots[i] == slot)
				return true;
	return false;
}

/*
 * Keep adds slots to what this session holds.
 */
static KeptBatch *
Keep(int consumer, int64 batch_id)
{
	KeptBatch *batch = (KeptBatch *) MemoryContextAllocZero(TopMemoryContext,
															sizeof(KeptBatch));

	batch->consumer = consumer;
	batch->batch_id = batch_id;
	batch->opened_in = GetCurrentSubTransactionId();
	batch->next = kept;
	kept = batch;
	return batch;
}

/*
 * KeepSlots finds or makes what has slots of a consumer for one of the reasons
 * above, with room for one more.  It goes with the (sub)transaction.
 */
static KeptBatch *
KeepSlots(int consumer, int64 reason)
{
	KeptBatch *batch;

	for (batch = kept; batch != NULL; batch = batch->next)
		if (batch->batch_id == reason && batch->consumer == consumer &&
			batch->opened_in == GetCurrentSubTransactionId() &&
			batch->nslots < SLOT_COUNT)
			return batch;
	batch = Keep(consumer, reason);
	batch->finished_in = batch->opened_in;
	return batch;
}

/*
 * ClaimSlot takes a slot; false when another session has it.  One that this
 * session has already is not taken twice.  Whatever error comes before it is
 * settled what becomes of the slot, it is given back.
 */
bool
ClaimSlot(int consumer, int slot)
{
	KeptBatch *unsettled;

	if (HoldsLock(LOCK_SLOT, consumer, slot))
		return true;
	unsettled = KeepSlots(consumer, UNSETTLED);
	if (!TakeLock(LOCK_SLOT, consumer, slot))
		return false;
	unsettled->slots[unsettled->nslots++] = slot;
	return true;
}

/*
 * Unsettle takes a slot out of those that were taken.
 */
static void
Unsettle(int consumer, int slot)
{
	KeptBatch *batch;
	int i;

	for (batch = kept; batch != NULL; batch = batch->next)
		for (i = 0; batch->batch_id == UNSETTLED && i < batch->nslots; i++)
			if (batch->consumer == consumer && batch->slots[i] == slot)
				batch->slots[i--] = batch->slots[--batch->nslots];
}

/*
 * ReleaseSlot gives a slot back, unless a batch has it.
 */
void
ReleaseSlot(int consumer, int slot)
{
	Unsettle(consumer, slot);
	if (!IsKept(consumer, slot))
		GiveLock(LOCK_SLOT, consumer, slot);
}

/*
 * ReleaseSlotAtEnd gives a slot back when the transaction ends: its place was
 * moved, which others do not see before.
 */
void
ReleaseSlotAtEnd(int consumer, int slot)
{
	KeptBatch *batch = KeepSlots(consumer, UNTIL_END);

	batch->slots[batch->nslots++] = slot;
}

/*
 * HoldsSlot tells whether this session has a slot.
 */
static bool
HoldsSlot(int consumer, int slot)
{
	return HoldsLock(LOCK_SLOT, consumer, slot);
}

/*
 * LockConsumer keeps a consumer from being dropped until the transaction ends, or
 * for the one who drops it, from being read.
 */
void
LockConsumer(int consumer, bool to_drop)
{
	LOCKTAG tag;

	SlotTag(&tag, LOCK_CONSUMER, consumer, 0);
	(void) LockAcquire(&tag, to_drop ? ExclusiveLock : ShareLock, false, false);
}

/*
 * CountWorkers tells how many sessions read through a consumer.  Each takes the
 * first free seat at its first call and keeps it while the session lasts, so the
 * seats that cannot be had are theirs.
 */
int
CountWorkers(int consumer)
{
	int workers = 1;
	int own = -1;
	int seat;

	for (seat = 0; seat < SEAT_COUNT && own < 0; seat++)
		if (HoldsLock(LOCK_SEAT, consumer, seat))
			own = seat;
	for (seat = 0; seat < SEAT_COUNT; seat++)
	{
		if (seat == own)
			continue;
		if (!TakeLock(LOCK_SEAT, consumer, seat))
			workers++;
		else if (own < 0)
			own = seat;
		else
			GiveLock(LOCK_SEAT, consumer, seat);
	}
	return workers;
}

/*
 * KeepBatch notes a batch whose slots this session has taken.
 */
void
KeepBatch(int consumer, int64 batch_id, const int16 *slots, int nslots)
{
	KeptBatch *batch = Keep(consumer, batch_id);

	batch->nslots = nslots;
	memcpy(batch->slots, slots, sizeof(int16) * nslots);
}

/*
 * HoldsBatch tells whether a batch that was noted still has its slots.
 */
static bool
HoldsBatch(const KeptBatch *batch)
{
	int i;

	for (i = 0; i < batch->nslots; i++)
		if (!HoldsSlot(batch->consumer, batch->slots[i]))
			return false;
	return true;
}

/*
 * OwnBatch is the batch of a consumer that this session has open; 0 when none.
 */
int64
OwnBatch(int consumer)
{
	KeptBatch *batch;

	for (batch = kept; batch != NULL; batch = batch->next)
		if (batch->consumer == consumer && batch->batch_id != 0 &&
			batch->finished_in == 0 && HoldsBatch(batch))
			return batch->batch_id;
	return 0;
}

/*
 * IsOwnBatch tells whether a batch is this session's.
 */
bool
IsOwnBatch(int consumer, int64 batch_id)
{
	KeptBatch *batch;

	for (batch = kept; batch != NULL; batch = batch->next)
		if (batch->consumer == consumer && batch->batch_id == batch_id &&
			batch->finished_in == 0)
			return HoldsBatch(batch);
	return false;
}

/*
 * Drop forgets a batch and gives back its slots, but those that another batch has
 * taken over in the same transaction.
 */
static void
Drop(KeptBatch **place)
{
	KeptBatch *batch = *place;
	int i;

	*place = batch->next;
	for (i = 0; i < batch->nslots; i++)
		ReleaseSlot(batch->consumer, batch->slots[i]);
	pfree(batch);
}

/*
 * ForgetBatch gives back the slots of a batch that is not there any more.  One
 * that was finished in this transaction keeps them until it ends.
 */
void
ForgetBatch(int consumer, int64 batch_id)
{
	KeptBatch **place = &kept;

	while (*place != NULL)
	{
		if ((*place)->consumer == consumer && (*place)->batch_id == batch_id &&
			(*place)->finished_in == 0)
			Drop(place);
		else
			place = &(*place)->next;
	}
}

/*
 * BatchIsFinished lets a batch go as soon as the transaction commits.
 */
void
BatchIsFinished(int consumer, int64 batch_id)
{
	KeptBatch *batch;

	for (batch = kept; batch != NULL; batch = batch->next)
		if (batch->consumer == consumer && batch->batch_id == batch_id)
			batch->finished_in = GetCurrentSubTransactionId();
}

/*
 * EndOfTransaction lets go what was finished, or what was never opened.
 */
static void
EndOfTransaction(XactEvent event, void *argument)
{
	KeptBatch **place = &kept;
	bool committed = event == XACT_EVENT_COMMIT;

	if (event == XACT_EVENT_PRE_PREPARE)
	{
		for (; *place != NULL; place = &(*place)->next)
			if ((*place)->batch_id != UNSETTLED &&
				((*place)->opened_in != 0 || (*place)->finished_in != 0))
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot prepare a transaction that has read or "
								"finished events"),
						 errdetail("What a consumer holds belongs to its "
								   "session."),
						 errhint("Commit it instead.")));
		return;
	}
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	while (*place != NULL)
	{
		KeptBatch *batch = *place;

		if (committed ? batch->finished_in != 0 : batch->opened_in != 0)
			Drop(place);
		else
		{
			batch->opened_in = batch->finished_in = 0;
			place = &batch->next;
		}
	}
}

/*
 * EndOfSubtransaction does the same for a savepoint.
 */
static void
EndOfSubtransaction(SubXactEvent event, SubTransactionId mine,
					SubTransactionId parent, void *argument)
{
	KeptBatch **place = &kept;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (*place != NULL)
	{
		KeptBatch *batch = *place;

		if (event == SUBXACT_EVENT_ABORT_SUB && batch->opened_in == mine)
		{
			Drop(place);
			continue;
		}
		if (batch->opened_in == mine)
			batch->opened_in = parent;
		if (batch->finished_in == mine)
			batch->finished_in = event == SUBXACT_EVENT_COMMIT_SUB ? parent : 0;
		place = &batch->next;
	}
}

/*
 * InitClaim registers the callbacks, once for each backend.
 */
void
InitClaim(void)
{
	RegisterXactCallback(EndOfTransaction, NULL);
	RegisterSubXactCallback(EndOfSubtransaction, NULL);
}
