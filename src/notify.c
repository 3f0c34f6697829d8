/*
 * notify.c
 *		Telling listeners of events, once their transaction commits.
 *
 * Events are noted while the transaction runs and announced as it commits: one
 * notification each, or a single one for a transaction of many.  What a
 * savepoint rolled back is forgotten.
 */
#include "notify.h"

#include "access/xact.h"
#include "commands/async.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "error.h"

#define CHANNEL "txplan"

/* A transaction of more events gives one notification for all. */
#define EVENTS_TOLD_SINGLY 64

typedef enum NotifyMode
{
	NOTIFY_OFF,
	NOTIFY_COMMIT,
} NotifyMode;

typedef struct NotedEvent
{
	int64 id;
	SubTransactionId subtransaction;
	pg_uuid_t plan_id;
	pg_uuid_t clinic_id;
	char *type;
} NotedEvent;

typedef struct NotedEvents
{
	int count;
	int room;
	NotedEvent *events;
} NotedEvents;

static const struct config_enum_entry notify_modes[] = {
	{ "off", NOTIFY_OFF, false },
	{ "commit", NOTIFY_COMMIT, false },
	{ NULL, 0, false }
};

static int notify_mode = NOTIFY_COMMIT;

/* Of the transaction at hand, in its memory; NULL when nothing is noted */
static NotedEvents *noted = NULL;

/*
 * AnnounceOne sends the notification of one event.
 */
static void
AnnounceOne(const NotedEvent *event)
{
	StringInfoData payload;

	initStringInfo(&payload);
	appendStringInfo(&payload, "{\"id\":" INT64_FORMAT ",\"type\":", event->id);
	escape_json(&payload, event->type);
	appendStringInfo(&payload, ",\"plan_id\":\"%s\",\"clinic_id\":\"%s\"}",
					 UuidText(&event->plan_id), UuidText(&event->clinic_id));
	Async_Notify(CHANNEL, payload.data);
}

/*
 * Announce sends what the transaction has to tell.
 */
static void
Announce(void)
{
	int i;

	if (noted->count <= EVENTS_TOLD_SINGLY)
	{
		for (i = 0; i < noted->count; i++)
			AnnounceOne(&noted->events[i]);
	}
	else
	{
		int64 from = noted->events[0].id;
		int64 to = noted->events[0].id;

		for (i = 1; i < noted->count; i++)
		{
			from = Min(from, noted->events[i].id);
			to = Max(to, noted->events[i].id);
		}
		Async_Notify(CHANNEL,
					 psprintf("{\"type\":\"batch\",\"from\":" INT64_FORMAT
							  ",\"to\":" INT64_FORMAT ",\"count\":%d}",
							  from, to, noted->count));
	}
}

/*
 * EndOfTransaction announces before the commit, and forgets after any end.
 */
static void
EndOfTransaction(XactEvent event, void *argument)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
			if (noted != NULL && noted->count > 0 &&
				notify_mode == NOTIFY_COMMIT)
				Announce();
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (noted != NULL && noted->count > 0 &&
				notify_mode == NOTIFY_COMMIT)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot prepare a transaction that notifies of "
								"events"),
						 errdetail("PostgreSQL sends no notification from a "
								   "prepared transaction."),
						 errhint("Set txplan.notify to off for this "
								 "transaction; its events are in the table all "
								 "the same.")));
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
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
		noted->count--;
}

/*
 * InitNotify defines the setting and registers the callbacks.
 */
void
InitNotify(void)
{
	DefineCustomEnumVariable("txplan.notify",
							 "How listeners of channel txplan are told of events.",
							 "off: not at all; commit: by the writer, as it commits.",
							 &notify_mode, NOTIFY_COMMIT, notify_modes,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	RegisterXactCallback(EndOfTransaction, NULL);
	RegisterSubXactCallback(EndOfSubtransaction, NULL);
}

/*
 * NotifyOfEvent notes an event for the end of the transaction.
 */
void
NotifyOfEvent(int64 id, const char *type, const pg_uuid_t *plan_id,
			  const pg_uuid_t *clinic_id)
{
	MemoryContext old;
	NotedEvent *event;

	if (notify_mode == NOTIFY_OFF)
		return;
	old = MemoryContextSwitchTo(TopTransactionContext);
	if (noted == NULL)
		noted = (NotedEvents *) palloc0(sizeof(NotedEvents));
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
	event->id = id;
	event->subtransaction = GetCurrentSubTransactionId();
	event->plan_id = *plan_id;
	event->clinic_id = *clinic_id;

	/* Beyond so many, only the numbers are told. */
	event->type = noted->count <= EVENTS_TOLD_SINGLY ? pstrdup(type) : NULL;
	MemoryContextSwitchTo(old);
}
