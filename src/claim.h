/*
 * claim.h
 *		The slots of consumers that this session holds, and its open batches.
 */
#ifndef TXPLAN_CLAIM_H
#define TXPLAN_CLAIM_H

#include "compat.h"

/* The parts into which a consumer divides the plans; consumer_slot() knows too */
#define SLOT_COUNT 128

extern void InitClaim(void);
extern bool ClaimSlot(int consumer, int slot);
extern void ReleaseSlot(int consumer, int slot);
extern void ReleaseSlotAtEnd(int consumer, int slot);
extern void LockConsumer(int consumer, bool to_drop);
extern int CountWorkers(int consumer);

extern void KeepBatch(int consumer, int64 batch_id, const int16 *slots,
					  int nslots);
extern int64 OwnBatch(int consumer);
extern bool IsOwnBatch(int consumer, int64 batch_id);
extern void ForgetBatch(int consumer, int64 batch_id);
extern void BatchIsFinished(int consumer, int64 batch_id);

#endif /* TXPLAN_CLAIM_H */
