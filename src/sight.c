/*
 * sight.c
 *		What a snapshot sees of transactions, as consumers keep it.
 */
#include "sight.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"

/*
 * ReadSight takes a pg_snapshot apart.  Its text is the documented form,
 * xmin:xmax:running,running; what is inside is PostgreSQL's own.
 */
Sight *
ReadSight(Datum snapshot)
{
	char *written =
		DatumGetCString(DirectFunctionCall1(pg_snapshot_out, snapshot));
	char *next = written;
	int room = 0;
	Sight *sight;

	for (next = written; *next != '\0'; next++)
		if (*next == ',' || *next == ':')
			room++;
	sight = (Sight *) palloc(offsetof(Sight, running) + sizeof(uint64) * room);
	sight->xmin = strtou64(written, &next, 10);
	sight->xmax = strtou64(next + 1, &next, 10);
	for (sight->nrunning = 0; next[0] != '\0' && next[1] != '\0';)
		sight->running[sight->nrunning++] = strtou64(next + 1, &next, 10);
	pfree(written);
	return sight;
}

/*
 * WriteSight makes a pg_snapshot.
 */
Datum
WriteSight(const Sight *sight)
{
	StringInfoData written;
	int i;

	initStringInfo(&written);
	appendStringInfo(&written, UINT64_FORMAT ":" UINT64_FORMAT ":", sight->xmin,
					 sight->xmax);
	for (i = 0; i < sight->nrunning; i++)
		appendStringInfo(&written, "%s" UINT64_FORMAT, i == 0 ? "" : ",",
						 sight->running[i]);
	return DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(written.data));
}

/*
 * SightOf sees all transactions below xmin, and none from xmax on.
 */
Sight *
SightOf(uint64 xmin, uint64 xmax)
{
	Sight *sight = (Sight *) palloc(offsetof(Sight, running));

	sight->xmin = xmin;
	sight->xmax = xmax;
	sight->nrunning = 0;
	return sight;
}

/*
 * SightNow is what can be seen now, whatever the isolation level.  The
 * transaction at hand counts as running: it can still write.
 */
Sight *
SightNow(void)
{
	FullTransactionId mine = GetTopFullTransactionIdIfAny();
	Sight *now;
	Sight *sight;
	int i;

	PushActiveSnapshot(GetLatestSnapshot());
	now = ReadSight(DirectFunctionCall1(pg_current_snapshot, (Datum) 0));
	PopActiveSnapshot();
	if (!FullTransactionIdIsValid(mine) ||
		!Sees(now, U64FromFullTransactionId(mine)))
		return now;

	sight = (Sight *) palloc(offsetof(Sight, running) +
							 sizeof(uint64) * (now->nrunning + 1));
	memcpy(sight, now,
		   offsetof(Sight, running) + sizeof(uint64) * now->nrunning);
	for (i = now->nrunning;
		 i > 0 && sight->running[i - 1] > U64FromFullTransactionId(mine); i--)
		sight->running[i] = sight->running[i - 1];
	sight->running[i] = U64FromFullTransactionId(mine);
	sight->nrunning++;
	sight->xmin = Min(sight->xmin, U64FromFullTransactionId(mine));
	return sight;
}

/*
 * Sees tells whether a transaction had ended.
 */
bool
Sees(const Sight *sight, uint64 xid)
{
	int low = 0;
	int high = sight->nrunning;

	if (xid < sight->xmin)
		return true;
	if (xid >= sight->xmax)
		return false;
	while (low < high)
	{
		int middle = (low + high) / 2;

		if (sight->running[middle] == xid)
			return false;
		if (sight->running[middle] < xid)
			low = middle + 1;
		else
			high = middle;
	}
	return true;
}
