/*
 * reading.h
 *		What a session knows of a consumer while it looks for the next batch.
 *
 * A consumer divides the plans into slots and keeps its place in each: events
 * that snapshot done sees are handed out, and of those that snapshot seen sees,
 * the ones up to last_id.  What waits is what can be seen now and is neither.  So
 * an event that a slow transaction commits late is in a later batch, and nobody
 * waits for a transaction that is not done.
 */
#ifndef TXPLAN_READING_H
#define TXPLAN_READING_H

#include "compat.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "claim.h"
#include "consumer.h"
#include "sight.h"

/* A sight that sees every transaction there can be */
#define ALL_XIDS PG_INT64_MAX

typedef struct Slot
{
	bool free;		  /* no open batch has it */
	bool held;		  /* taken by this session */
	bool hands_out;	  /* the batch has events of it */
	bool passed_over; /* it has events that this batch leaves */
	int64 turn;
	int64 last_id;
	int64 until_id;
	Sight *done;
	Sight *seen; /* NULL when no window is open */
} Slot;

typedef struct Numbers
{
	int count;
	int room;
	Datum *ids;
} Numbers;

/*
 * Events that were read whole, and need not be read again to be handed out.  Their
 * columns are those of next_events() but for the first, which is event_id, the
 * second, xid, and the last, which is not there.
 */
#define WHOLE_EVENT_COLUMNS 9

typedef struct WholeEvent
{
	int64 id;
	HeapTuple tuple;
} WholeEvent;

typedef struct WholeEvents
{
	TupleDesc descriptor;
	int count;
	int room;
	WholeEvent *rows;
} WholeEvents;

typedef struct Reading
{
	MemoryContext context;
	Consumer consumer;
	int max_events;
	int share; /* slots that one session takes at most */
	int nheld;
	Slot slots[SLOT_COUNT];
	bool is_past;	   /* reading what another cluster wrote */
	int64 next_origin; /* from here on, done and seen say nothing */
	int64 past_end;	   /* the last number of what another cluster wrote */
	Sight *now;
	HTAB *waiting_plans; /* which have events that were put back */
	Numbers taken;
	Numbers retried;  /* of those taken, the ones that were put back */
	Numbers behind;	  /* events that must wait for others of their plan */
	WholeEvents rows; /* of those taken, the ones that were read whole */
	TimestampTz first_at;
	TimestampTz last_at;
} Reading;

/* place.c */
extern int SlotOf(const pg_uuid_t *plan_id);
extern void ReadSlots(Reading *reading);
extern void FindEpoch(Reading *reading);
extern bool IsRead(const Slot *slot, bool in_window);
extern bool IsThroughPast(const Reading *reading, const Slot *slot);
extern bool IsWaiting(const Reading *reading, const Slot *slot,
					  const Sight *sight, int64 id, uint64 xid);
extern bool Hold(Reading *reading, int number);
extern void MoveIdle(Reading *reading, bool in_window);
extern void ReleaseAll(Reading *reading);
extern bool IsStillSo(Reading *reading);
extern void WriteSlots(Reading *reading);

/* waiting.c */
extern void TakeRetries(Reading *reading);
extern void ReadWindow(Reading *reading);
extern bool ReadNew(Reading *reading);

/* handout.c */
extern int64 ReadBatches(Reading *reading, bool may_adopt);
extern bool Adopt(Reading *reading, int64 batch_id);
extern int64 Settle(Reading *reading);
extern uint64 ReturnBatch(FunctionCallInfo fcinfo, int consumer, int64 batch_id,
						  WholeEvents *rows);

#endif /* TXPLAN_READING_H */
