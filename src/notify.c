/*
 * notify.c
 *		Telling listeners of events, once their transaction commits.
 *
 * Events are noted while the transaction runs.  As it commits, either it wakes
 * the notifier, or it announces them itself: one notification each, or a single
 * one for a transaction of many.  What a savepoint rolled back is forgotten.
 */
#include "notify.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "replication/logicalworker.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/xid8.h"

#include "announce.h"
#include "error.h"
#include "notifierslot.h"
#include "origin.h"

typedef enum NotifyMode
{
	NOTIFY_OFF,
	NOTIFY_COMMIT,
	NOTIFY_WORKER,
} NotifyMode;

/* An event, or those that follow one another once there are too many to be told
 * singly */
typedef struct NotedEvent
{
	int64 from;
	int64 to;
	int64 count;
	SubTransactionId subtransaction;
	pg_uuid_t plan_id;
	pg_uuid_t clinic_id;
	char *type; /* NULL for several events */
} NotedEvent;

typedef struct NotedEvents
{
	int64 total;
	int count; /* of events, below */
	int room;
	NotedEvent *events;
} NotedEvents;

static const struct config_enum_entry notify_modes[] = {
	{ "off", NOTIFY_OFF, false },
	{ "commit", NOTIFY_COMMIT, false },
	{ "worker", NOTIFY_WORKER, false },
	{ NULL, 0, false }
};

static int notify_mode = NOTIFY_WORKER;

/* Of the transaction at hand, in its memory; NULL when nothing is noted */
static NotedEvents *noted = NULL;

/* Whether the transaction at hand wakes the notifier once it has committed */
static bool wakes_notifier = false;

PG_FUNCTION_INFO_V1(txplan_event_replicated);

/*
 * IsAnnouncedHere tells whether the transaction at hand has events that it must
 * announce itself.
 */
static bool
IsAnnouncedHere(void)
{
	if (noted == NULL || noted->total == 0)
		return false;
	switch ((NotifyMode) notify_mode)
	{
		case NOTIFY_OFF:
			return false;
		case NOTIFY_COMMIT:
			return true;
		case NOTIFY_WORKER:
			return !NotifierTells();
	}
	return false;
}

/*
 * Announce sends what the transaction has to tell.
 */
static void
Announce(void)
{
	int64 from = noted->events[0].from;
	int64 to = noted->events[0].to;
	int i;

	for (i = 0; i < noted->count; i++)
	{
		NotedEvent *event = &noted->events[i];

		if (noted->total <= EVENTS_TOLD_SINGLY)
			AnnounceEvent(event->from, event->type, &event->plan_id,
						  &event->clinic_id);
		from = Min(from, event->from);
		to = Max(to, event->to);
	}
	if (noted->total > EVENTS_TOLD_SINGLY)
		AnnounceBatch(from, to, noted->total);
}

/*
 * EndOfTransaction announces before the commit or wakes the notifier after it,
 * and forgets after any end.
 */
static void
EndOfTransaction(XactEvent event, void *argument)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
			if (IsAnnouncedHere())
			{
				if (notify_mode == NOTIFY_WORKER)
					CountFallback();
				Announce();
			}
			else if (noted != NULL && noted->total > 0)
				wakes_notifier = notify_mode == NOTIFY_WORKER;
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (IsAnnouncedHere())
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot prepare a transaction that notifies of "
								"events"),
						 errdetail("PostgreSQL sends no notification from a "
								   "prepared transaction."),
						 notify_mode == NOTIFY_WORKER ?
							 errhint("txplan.notify is worker, and no worker "
									 "could be started: increase "
									 "max_worker_processes, or set it to off "
									 "for this transaction.") :
							 errhint("Set txplan.notify to worker, or to off "
									 "for this transaction; its events are in "
									 "the table all the same.")));
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
			if (wakes_notifier)
				WakeNotifier();
			wakes_notifier = false;
			noted = NULL;
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			wakes_notifier = false;
			noted = NULL;
			break;
	}
}

/*
 * EndOfSubtransaction forgets what it noted, when it is rolled back.  Those that
 * began after it began within it, so their numbers are higher.
 */
static void
EndOfSubtransaction(SubXactEvent event, SubTransactionId mine,
					SubTransactionId parent, void *argument)
{
	if (event != SUBXACT_EVENT_ABORT_SUB || noted == NULL)
		return;
	while (noted->count > 0 &&
		   noted->events[noted->count - 1].subtransaction >= mine)
		noted->total -= noted->events[--noted->count].count;
}

/*
 * InitNotify defines the setting and registers the callbacks.
 */
void
InitNotify(void)
{
	DefineCustomEnumVariable("txplan.notify",
							 "How listeners of channel txplan are told of events.",
							 "off: not at all; commit: by the writer, as it "
							 "commits; worker: by a background worker, where one "
							 "can run, else as commit.",
							 &notify_mode, NOTIFY_WORKER, notify_modes,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	RegisterXactCallback(EndOfTransaction, NULL);
	RegisterSubXactCallback(EndOfSubtransaction, NULL);
}

/*
 * AddNoted makes room for one more, and begins it.
 */
static NotedEvent *
AddNoted(int64 id)
{
	NotedEvent *event;

	if (noted->count == noted->room)
	{
		noted->room = Max(16, noted->room * 2);
		noted->events =
			noted->events == NULL ?
				(NotedEvent *) palloc(sizeof(NotedEvent) * noted->room) :
				(NotedEvent *) repalloc_huge(noted->events,
											 sizeof(NotedEvent) * noted->room);
	}
	event = &noted->events[noted->count++];
	memset(event, 0, sizeof(NotedEvent));
	event->from = event->to = id;
	event->subtransaction = GetCurrentSubTransactionId();
	return event;
}

/*
 * NotifyOfEvent notes an event for the end of the transaction.  The first one
 * sees to it that there is a notifier, where one is wanted.
 *
 * Beyond so many, only the numbers are told, so those of one subtransaction are
 * noted together: a transaction of millions of events takes no more memory.
 */
void
NotifyOfEvent(int64 id, const char *type, const pg_uuid_t *plan_id,
			  const pg_uuid_t *clinic_id)
{
	MemoryContext old;
	NotedEvent *event;

	if (notify_mode == NOTIFY_OFF)
		return;
	if (notify_mode == NOTIFY_WORKER && noted == NULL)
		WantNotifier();
	old = MemoryContextSwitchTo(TopTransactionContext);
	if (noted == NULL)
		noted = (NotedEvents *) palloc0(sizeof(NotedEvents));
	event = noted->count == 0 ? NULL : &noted->events[noted->count - 1];
	if (noted->total < EVENTS_TOLD_SINGLY)
	{
		event = AddNoted(id);
		event->type = pstrdup(type);
		event->plan_id = *plan_id;
		event->clinic_id = *clinic_id;
	}
	else if (event == NULL || event->type != NULL ||
			 event->subtransaction != GetCurrentSubTransactionId())
		event = AddNoted(id);
	event->from = Min(event->from, id);
	event->to = Max(event->to, id);
	event->count++;
	noted->total++;
	MemoryContextSwitchTo(old);
}

/*
 * ColumnOf finds a column of the table that a trigger was called for, and raises
 * 39P01 when it is not there with its type.
 */
static int
ColumnOf(const TriggerData *trigger, const char *name, Oid type)
{
	TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);
	int column = SPI_fnumber(descriptor, name);

	if (column <= 0 || TupleDescAttr(descriptor, column - 1)->atttypid != type)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" serves only tables of the record",
						"event_replicated"),
				 errdetail("Table \"%s\" has no column \"%s\" of the type that "
						   "events have.",
						   RelationGetRelationName(trigger->tg_relation), name),
				 errhint("Drop the trigger.")));
	return column;
}

/*
 * txplan_event_replicated is the trigger for events that come from another
 * cluster.  They are news to listeners here.
 *
 * The other cluster's transaction numbers mean nothing here, so an event that
 * logical replication brings gets the transaction that brings it.  A dump that is
 * restored keeps its numbers: consumers' places are in it, and fit them.
 *
 * It asks for no installed record, since a record may be on its way as well.
 */
Datum
txplan_event_replicated(PG_FUNCTION_ARGS)
{
	const TriggerData *trigger = (const TriggerData *) fcinfo->context;
	static const char *const names[] = { "id", "type", "plan_id", "clinic_id" };
	static const Oid types[] = { INT8OID, TEXTOID, UUIDOID, UUIDOID };
	Datum values[lengthof(names)];
	TupleDesc descriptor;
	Datum xid;
	bool known = false;
	int column;
	int i;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function \"%s\" was not called as a trigger",
							   "event_replicated"),
						errhint("It serves BEFORE INSERT FOR EACH ROW.")));
	descriptor = RelationGetDescr(trigger->tg_relation);
	for (i = 0; i < (int) lengthof(names); i++)
	{
		bool isnull;

		column = ColumnOf(trigger, names[i], types[i]);
		values[i] =
			heap_getattr(trigger->tg_trigtuple, column, descriptor, &isnull);
		if (isnull)
			PG_RETURN_POINTER(trigger->tg_trigtuple);
	}
	NotifyOfEvent(DatumGetInt64(values[0]), TextDatumGetCString(values[1]),
				  DatumGetUUIDP(values[2]), DatumGetUUIDP(values[3]));
	if (!IsLogicalWorker())
		PG_RETURN_POINTER(trigger->tg_trigtuple);
	EnsureOrigin();
	column = ColumnOf(trigger, "xid", XID8OID);
	xid = FullTransactionIdGetDatum(GetTopFullTransactionId());
	PG_RETURN_POINTER(heap_modify_tuple_by_cols(trigger->tg_trigtuple,
												descriptor, 1, &column, &xid,
												&known));
}
