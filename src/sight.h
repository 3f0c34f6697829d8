/*
 * sight.h
 *		What a snapshot sees of transactions, as consumers keep it.
 */
#ifndef TXPLAN_SIGHT_H
#define TXPLAN_SIGHT_H

#include "compat.h"

/*
 * A pg_snapshot taken apart: transactions below xmin have ended, those from xmax
 * on have not begun, and between them all have ended but the running ones.
 */
typedef struct Sight
{
	uint64 xmin;
	uint64 xmax;
	int nrunning;
	uint64 running[FLEXIBLE_ARRAY_MEMBER]; /* in order */
} Sight;

extern Sight *ReadSight(Datum snapshot);
extern Datum WriteSight(const Sight *sight);
extern Sight *SightOf(uint64 xmin, uint64 xmax);
extern Sight *SightNow(void);
extern bool Sees(const Sight *sight, uint64 xid);

#endif /* TXPLAN_SIGHT_H */
