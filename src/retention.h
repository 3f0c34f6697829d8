/*
 * retention.h
 *		How long events are kept, and who still needs them.
 */
#ifndef TXPLAN_RETENTION_H
#define TXPLAN_RETENTION_H

#include "compat.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* Months of events that go, the oldest first */
typedef struct Removal
{
	bool archive;  /* detached instead of dropped */
	bool may_wait; /* for locks, a moment */
	int count;	   /* of months, those that went */
	List *months;  /* of EventPartition */
	List *rest;	   /* of EventPartition, too many for one call */
	List *names;   /* of those that went, what they are called now */
	char *held_by; /* consumers that have not passed the first that is held */
	List *held;	   /* of EventPartition: it, and those behind it */
	ErrorData *error; /* why the next of months did not go */
} Removal;

extern void InitRetention(void);
extern bool KeepsUntil(TimestampTz at, TimestampTz *until);
extern void FindRemovable(TimestampTz until, Removal *removal);
extern void RemoveMonths(Removal *removal);
extern void WarnOfHolders(const Removal *removal);

#endif /* TXPLAN_RETENTION_H */
