/*
 * origin.h
 *		The cluster whose transaction numbers the events have.
 */
#ifndef TXPLAN_ORIGIN_H
#define TXPLAN_ORIGIN_H

#include "compat.h"

typedef struct Origin
{
	int64 first_event_id; /* events from this number on are of the cluster */
	int64 system_identifier;
} Origin;

extern void InitOrigin(void);
extern void EnsureOrigin(void);
extern void CurrentOrigin(Origin *origin);
extern void FirstOrigin(Origin *origin);
extern int64 OriginAfter(int64 first_event_id);

#endif /* TXPLAN_ORIGIN_H */
