-- notifier: what is told of the worker that tells listeners, and who may ask.

SELECT txplan.install() IS NOT NULL AS installed;

-- The view has one row, whether a notifier is at work or not.
SELECT count(*) AS rows FROM txplan.notifier;
SELECT a.attname AS "column", a.atttypid::regtype AS type, col_description(a.attrelid, a.attnum) AS summary
FROM pg_attribute AS a
WHERE a.attrelid = 'txplan.notifier'::regclass AND a.attnum > 0
ORDER BY a.attnum;

-- The mode is the session's.
SELECT mode FROM txplan.notifier;
SET txplan.notify = 'commit';
SELECT mode FROM txplan.notifier;
SET txplan.notify = 'off';
SELECT mode FROM txplan.notifier;
RESET txplan.notify;

-- A writer starts it, and it tells of what the writer does.
CREATE PROCEDURE await_notifier(wanted bigint)
LANGUAGE plpgsql
AS $$
BEGIN
	FOR i IN 1..1000 LOOP
		EXIT WHEN (SELECT n.pid IS NOT NULL AND n.events_sent >= wanted AND n.lag_events = 0
			FROM txplan.notifier AS n);
		COMMIT;
		PERFORM pg_sleep(0.01);
	END LOOP;
END
$$;
SELECT txplan.create_clinic('Notifier clinic', 'UTC') AS clinic \gset
SELECT txplan.create_patient(:'clinic', 'Lin', 'Wu') AS patient \gset
SELECT coalesce(n.events_sent, 0) AS before FROM txplan.notifier AS n \gset
SELECT txplan.create_plan(:'clinic', :'patient') AS plan \gset
CALL await_notifier(:before + 1);
SELECT n.pid IS NOT NULL AS at_work, n.since <= clock_timestamp() AS since_a_while, n.mode,
	n.events_sent > :before AS sent_events, n.notifications_sent > 0 AS sent_notifications,
	n.rounds > 0 AS in_rounds, n.last_event = (SELECT max(e.id) FROM txplan.events AS e) AS sent_the_last,
	n.lag_events, n.lag_seconds, n.errors, n.fallbacks
FROM txplan.notifier AS n;
SELECT a.application_name, a.state, a.backend_xid IS NULL AND a.backend_xmin IS NULL AS holds_nothing
FROM txplan.notifier AS n JOIN pg_stat_activity AS a ON a.pid = n.pid AND a.backend_type = 'txplan notifier';

-- In worker mode, transactions with events can be prepared.
BEGIN;
UPDATE txplan.plans SET title = 'Prepared' WHERE id = :'plan';
PREPARE TRANSACTION 'regress_txplan_notifier';
SELECT count(*) AS events FROM txplan.events WHERE clinic_id = :'clinic';
COMMIT PREPARED 'regress_txplan_notifier';
CALL await_notifier(:before + 2);
SELECT n.events_sent >= :before + 2 AS told FROM txplan.notifier AS n;

-- It needs the privileges that a view needs.
CREATE ROLE regress_txplan_reader NOLOGIN;
SET ROLE regress_txplan_reader;
SELECT pid FROM txplan.notifier;
RESET ROLE;
GRANT USAGE ON SCHEMA txplan TO regress_txplan_reader;
GRANT SELECT ON txplan.notifier TO regress_txplan_reader;
SET ROLE regress_txplan_reader;
SELECT pid IS NOT NULL AS at_work FROM txplan.notifier;
RESET ROLE;
DROP OWNED BY regress_txplan_reader;
DROP ROLE regress_txplan_reader;

-- An event that logical replication brings gets the number of the transaction that
-- brings it; one of a dump keeps its own, which consumers' places fit.
SELECT t.tgrelid::regclass AS "table", t.tgenabled FROM pg_trigger AS t WHERE t.tgname = 'events_replicated' ORDER BY 1;
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO txplan.events (id, xid, clinic_id, plan_id, plan_version, type, actor, occurred_at, payload)
VALUES (nextval('txplan.events_id_seq'), '7', :'clinic', :'plan', 1000, 'treatment_plan.updated', 'elsewhere', now(), '{}')
RETURNING xid = pg_current_xact_id() AS is_ours, type, plan_version;
ROLLBACK;

-- The trigger's function serves nothing else.
SELECT txplan.event_replicated();
CREATE TABLE strange (id bigint, xid xid8, type text, plan_id text, clinic_id uuid);
CREATE TRIGGER strange BEFORE INSERT ON strange FOR EACH ROW EXECUTE FUNCTION txplan.event_replicated();
INSERT INTO strange VALUES (1, '1', 'x', 'y', NULL);
DROP TRIGGER strange ON strange;
CREATE TRIGGER strange AFTER INSERT ON strange FOR EACH ROW EXECUTE FUNCTION txplan.event_replicated();
INSERT INTO strange VALUES (1, '1', 'x', 'y', NULL);
DROP TABLE strange;
DROP PROCEDURE await_notifier(bigint);
