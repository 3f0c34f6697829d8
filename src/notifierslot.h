/*
 * notifierslot.h
 *		Where writers and the notifier of their database find each other.
 */
#ifndef TXPLAN_NOTIFIERSLOT_H
#define TXPLAN_NOTIFIERSLOT_H

#include "compat.h"

#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "utils/timestamp.h"

/* After an exit that was not asked for, a worker is restarted so soon. */
#define NOTIFIER_RESTART_SECONDS 5

typedef enum NotifierState
{
	NOTIFIER_ABSENT,
	NOTIFIER_STARTING, /* registered, and not yet at work */
	NOTIFIER_WORKING,
} NotifierState;

/*
 * A database and its notifier.  Database, state, pid and process change together
 * under the lock of all slots; everything is read without it.
 */
typedef struct NotifierSlot
{
	pg_atomic_uint32 database; /* InvalidOid: the slot is free */
	pg_atomic_uint32 state;
	pg_atomic_uint32 pid;
	pg_atomic_uint32 process;		/* its MyProcNumber plus 1; 0: none */
	pg_atomic_uint32 news;			/* a writer committed events */
	pg_atomic_uint32 failed_starts; /* since it was last at work */
	pg_atomic_uint64 tried_at;		/* when a start was last tried */
	pg_atomic_uint64 since;			/* when it came to work */

	/* Events of transactions before told_from were told, of those from
	 * told_before on were not.  0: nobody has begun. */
	pg_atomic_uint64 told_from;
	pg_atomic_uint64 told_before;

	pg_atomic_uint64 events;
	pg_atomic_uint64 notifications;
	pg_atomic_uint64 rounds; /* transactions that sent them */
	pg_atomic_uint64 last_event;
	pg_atomic_uint64 errors;
	pg_atomic_uint64 fallbacks;
} NotifierSlot;

/* What a session is shown of the slot of its database */
typedef struct NotifierView
{
	int32 pid; /* 0: none is at work */
	uint32 failed_starts;
	TimestampTz since;
	uint64 told_before;
	int64 events;
	int64 notifications;
	int64 rounds;
	int64 last_event;
	int64 errors;
	int64 fallbacks;
} NotifierView;

/* for writers */
extern void WantNotifier(void);
extern bool NotifierTells(void);
extern void CountFallback(void);
extern void WakeNotifier(void);

/* for the notifier */
extern void DescribeNotifier(BackgroundWorker *worker, Oid database,
							 const char *name);
extern NotifierSlot *OccupySlot(Oid database);
extern uint64 BeginWork(NotifierSlot *slot, uint64 oldest);
extern void LeaveSlot(NotifierSlot *slot, bool failed, bool forever);
extern bool NotifierWorks(Oid database);

/* for the view */
extern void CopyNotifier(NotifierView *view);

#endif /* TXPLAN_NOTIFIERSLOT_H */
