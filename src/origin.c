/*
 * origin.c
 *		The cluster whose transaction numbers the events have.
 *
 * A dump carries the numbers of transactions into a cluster where they mean
 * nothing.  So before a cluster writes its first event, it notes from which
 * number on the events are its own.
 */
#include "origin.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "replication/logicalworker.h"
#include "utils/builtins.h"

#include "spi.h"

/*
 * Two sessions may note the same at once: neither waits for the other, and they
 * note the same number, since neither sees an event of this cluster.  Who sees
 * one sees with the same snapshot that its origin is noted.
 */
SAVED_QUERY(insert_origin,
			"INSERT INTO txplan.event_origins (first_event_id, system_identifier) "
			"SELECT coalesce((SELECT pg_catalog.max(e.id) FROM txplan.events AS e), "
			"0)" PLUS "1, $1 "
			"WHERE coalesce((SELECT o.system_identifier" NE "$1 "
			"FROM txplan.event_origins AS o "
			"ORDER BY o.first_event_id DESC, o.since DESC LIMIT 1), true)",
			INT8OID);

SAVED_QUERY_OF_NOTHING(find_current,
					   "SELECT o.first_event_id, o.system_identifier "
					   "FROM txplan.event_origins AS o "
					   "ORDER BY o.first_event_id DESC, o.since DESC LIMIT 1");

SAVED_QUERY_OF_NOTHING(find_first,
					   "SELECT o.first_event_id, o.system_identifier "
					   "FROM txplan.event_origins AS o "
					   "ORDER BY o.first_event_id, o.since LIMIT 1");

SAVED_QUERY(find_next,
			"SELECT pg_catalog.min(o.first_event_id) "
			"FROM txplan.event_origins AS o WHERE o.first_event_id" GT "$1",
			INT8OID);

/* Whether the record says that this cluster writes its events */
static bool is_noted = false;

/*
 * Both callbacks forget what a rollback may have taken back.
 */
static void
EndOfTransaction(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		is_noted = false;
}

static void
EndOfSubtransaction(SubXactEvent event, SubTransactionId mine,
					SubTransactionId parent, void *argument)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		is_noted = false;
}

/*
 * InitOrigin registers the callbacks, once for each backend.
 */
void
InitOrigin(void)
{
	RegisterXactCallback(EndOfTransaction, NULL);
	RegisterSubXactCallback(EndOfSubtransaction, NULL);
}

/*
 * ReadOrigin runs one of the queries above; false when there is no row.
 */
static bool
ReadOrigin(SavedQuery *query, QueryUser user, Origin *origin)
{
	Datum values[2];
	bool nulls[2];

	if (!QueryRow(query, user, NULL, NULL, values, nulls))
		return false;
	origin->first_event_id = DatumGetInt64(values[0]);
	origin->system_identifier = DatumGetInt64(values[1]);
	return true;
}

/*
 * InsertOrigin notes this cluster.  A worker of logical replication does so with
 * its own rights: the record that it brings may be on its way as well.
 */
static void
InsertOrigin(Datum mine)
{
	if (!IsLogicalWorker())
	{
		(void) EngineWrite(&insert_origin, TABLE_EVENT_ORIGINS, &mine, NULL);
		return;
	}
	ConnectSpi();
	(void) RunQuery(&insert_origin, AS_CALLER, &mine, NULL);
	FinishSpi();
}

/*
 * EnsureOrigin makes the record say that this cluster writes its events, before
 * it does.
 */
void
EnsureOrigin(void)
{
	Origin origin;
	Datum mine;

	if (is_noted)
		return;
	mine = Int64GetDatum((int64) GetSystemIdentifier());
	if (!ReadOrigin(&find_current, IsLogicalWorker() ? AS_CALLER : AS_OWNER_NOW,
					&origin) ||
		origin.system_identifier != DatumGetInt64(mine))
		InsertOrigin(mine);
	is_noted = true;
}

/*
 * CurrentOrigin is that of this cluster, which EnsureOrigin has noted.
 */
void
CurrentOrigin(Origin *origin)
{
	if (!ReadOrigin(&find_current, AS_OWNER_NOW, origin))
		elog(ERROR, "no origin of events is noted");
}

/*
 * FirstOrigin is that of the first event that was ever written.
 */
void
FirstOrigin(Origin *origin)
{
	if (!ReadOrigin(&find_first, AS_OWNER_NOW, origin))
		elog(ERROR, "no origin of events is noted");
}

/*
 * OriginAfter is the first event of the origin that follows one; PG_INT64_MAX
 * when none does.
 */
int64
OriginAfter(int64 first_event_id)
{
	Datum argument = Int64GetDatum(first_event_id);
	Datum next;
	bool isnull;

	(void) QueryRow(&find_next, AS_OWNER_NOW, &argument, NULL, &next, &isnull);
	return isnull ? PG_INT64_MAX : DatumGetInt64(next);
}
