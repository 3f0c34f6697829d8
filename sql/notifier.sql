-- notifier.sql: who tells listeners of events, and how far it has come.
-- after: event

-- == extension ==

CREATE FUNCTION txplan.notifier_state(
	OUT pid integer,
	OUT since timestamptz,
	OUT mode text,
	OUT events_sent bigint,
	OUT notifications_sent bigint,
	OUT rounds bigint,
	OUT last_event bigint,
	OUT errors bigint,
	OUT fallbacks bigint,
	OUT told_before xid8)
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'txplan_notifier_state';

COMMENT ON FUNCTION txplan.notifier_state() IS
'What view txplan.notifier shows, without how far the notifier is behind.

told_before: events of transactions from this one on were not told yet, but for
those that are visible since; NULL while no notifier is at work.
Returns one row for the database at hand. Errors: 53200 where the server has no
shared memory left.';

CREATE FUNCTION txplan.event_replicated()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_event_replicated';

COMMENT ON FUNCTION txplan.event_replicated() IS
'Trigger: an event that comes from another cluster is news here, of a transaction of here.

Fires for logical replication, and whoever else sets session_replication_role to
replica, and lets listeners be told. For logical replication alone it puts the
transaction that brings the event into column xid.';

-- == record ==

CREATE OR REPLACE VIEW txplan.notifier AS
SELECT s.pid,
	s.since,
	s.mode,
	s.events_sent,
	s.notifications_sent,
	s.rounds,
	s.last_event,
	CASE WHEN s.told_before IS NOT NULL THEN l.events END AS lag_events,
	CASE WHEN s.told_before IS NOT NULL
		THEN coalesce(extract(epoch FROM clock_timestamp() - l.oldest), 0)
	END AS lag_seconds,
	s.errors,
	s.fallbacks
FROM txplan.notifier_state() AS s
CROSS JOIN LATERAL (
	-- The second bound holds for all that is visible.  It tells the planner that
	-- few events wait, of many that are kept.
	SELECT count(*) AS events, min(e.occurred_at) AS oldest
	FROM txplan.events AS e
	WHERE e.xid >= s.told_before
		AND e.xid < pg_snapshot_xmax(pg_current_snapshot())
) AS l;

COMMENT ON VIEW txplan.notifier IS 'The notifier of this database: whether it is at work, what it has sent since the server was started, and how far it is behind; one row';
COMMENT ON COLUMN txplan.notifier.pid IS 'Its process; NULL while none is at work';
COMMENT ON COLUMN txplan.notifier.since IS 'Since when it is at work';
COMMENT ON COLUMN txplan.notifier.mode IS 'How listeners are told of this session''s events: as txplan.notify says, but commit where that is worker and no worker could be started';
COMMENT ON COLUMN txplan.notifier.events_sent IS 'Events that it told of';
COMMENT ON COLUMN txplan.notifier.notifications_sent IS 'Notifications that it took: one tells of one event, or of more than 64';
COMMENT ON COLUMN txplan.notifier.rounds IS 'Transactions that sent them; each wakes every listener once';
COMMENT ON COLUMN txplan.notifier.last_event IS 'The highest number of an event that it told of; NULL before the first';
COMMENT ON COLUMN txplan.notifier.lag_events IS 'Events that this session sees and that were not told yet; NULL while no notifier is at work';
COMMENT ON COLUMN txplan.notifier.lag_seconds IS 'The age of the oldest of them, 0 when there is none';
COMMENT ON COLUMN txplan.notifier.errors IS 'Rounds that failed and are tried again, and starts that failed; the server''s log has them';
COMMENT ON COLUMN txplan.notifier.fallbacks IS 'Transactions that announced their own events, since no notifier was there to rely on';

-- Rows that are replicated come with the number of another cluster's transaction.
CREATE OR REPLACE TRIGGER events_replicated
	BEFORE INSERT ON txplan.events
	FOR EACH ROW EXECUTE FUNCTION txplan.event_replicated();
ALTER TABLE txplan.events ENABLE REPLICA TRIGGER events_replicated;
