/*
 * upkeep.h
 *		What maintain() and its kin share: who may, one at a time, nobody waits.
 */
#ifndef TXPLAN_UPKEEP_H
#define TXPLAN_UPKEEP_H

#include "compat.h"

#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

/*
 * Milliseconds that upkeep waits for a lock: a moment, where others wait behind it;
 * longer, where nobody does, so that PostgreSQL ends an autovacuum for it.
 */
#define PATIENCE 200
#define PATIENCE_ASIDE 3000

typedef void (*UpkeepWork)(void *argument);

extern void RequireUpkeep(void);
extern bool BeginUpkeep(void);
extern bool BeginSweep(void);
extern int ShortenLocks(int patience);
extern void RestoreLocks(int nest);
extern ErrorData *TryWork(UpkeepWork work, void *argument);
extern ErrorData *TryOne(UpkeepWork work, void *argument);
extern void AddUpkeepRow(FunctionCallInfo fcinfo, const char *kind,
						 const char *name, const char *outcome,
						 const char *detail);
extern void LockForUpkeep(Oid relation, LOCKMODE mode, bool may_wait);

#endif /* TXPLAN_UPKEEP_H */
