/*
 * compat.h
 *		The one place that knows which server the code is built for.
 *
 * Names are those of the newest server; older ones are taught them here.
 */
#ifndef TXPLAN_COMPAT_H
#define TXPLAN_COMPAT_H

#include "postgres.h"

#include "fmgr.h"
#include "storage/lock.h"
#include "utils/guc.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM < 150000
#error "txplan needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM >= 170000
#include "storage/dsm_registry.h"
#else
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#endif

#if PG_VERSION_NUM >= 180000
#define TXPLAN_MODULE_MAGIC \
	PG_MODULE_MAGIC_EXT(.name = "txplan", .version = TXPLAN_VERSION)
#else
#define TXPLAN_MODULE_MAGIC PG_MODULE_MAGIC
#define pg_noreturn pg_attribute_noreturn()
#endif

/*
 * TryLockAcquire takes a lock if it is free; it raises nothing when there is no
 * room for one more.
 */
#if PG_VERSION_NUM >= 180000
#define TryLockAcquire(tag, mode, of_session) \
	LockAcquireExtended(tag, mode, of_session, true, false, NULL, false)
#else
#define TryLockAcquire(tag, mode, of_session) \
	LockAcquireExtended(tag, mode, of_session, true, false, NULL)
#endif

#if PG_VERSION_NUM < 170000

#define LockHeldByMe(tag, mode, or_stronger) LockHeldByMe(tag, mode)
#define MyProcNumber (MyProc->pgprocno)

/*
 * GetNamedDSMSegment finds or makes a piece of shared memory.  It is taken from
 * what the server keeps in reserve for libraries that are loaded late, some
 * 100 kB, so it must be small.
 */
static inline void *
GetNamedDSMSegment(const char *name, size_t size,
				   void (*init_callback)(void *ptr), bool *found)
{
	void *segment;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	segment = ShmemInitStruct(name, size, found);
	if (!*found)
		init_callback(segment);
	LWLockRelease(AddinShmemInitLock);
	return segment;
}

/*
 * WaitEventExtensionNew would name what a process waits for; here all libraries
 * share one name.
 */
static inline uint32
WaitEventExtensionNew(const char *wait_event_name)
{
	return PG_WAIT_EXTENSION;
}

#endif

#endif /* TXPLAN_COMPAT_H */
