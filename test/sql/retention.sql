-- retention: the months of events are made ahead, dropped when they are old and
-- nobody needs them, or archived; and nothing is lost in silence.

SELECT txplan.install() IS NOT NULL AS installed;

-- attempt() runs a statement, with its %L filled in, and returns what it raised:
-- SQLSTATE and message, detail, hint, and the constraint where there is one.
-- Ids, times and the year of plan numbers differ from run to run, so they are
-- masked.  brief() returns the first line of that.
CREATE FUNCTION pg_temp.attempt(statement text, VARIADIC arguments text[] DEFAULT '{}')
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	message text;
	detail text;
	hint text;
	constraint_name text;
BEGIN
	EXECUTE format(statement, VARIADIC arguments);
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
		hint = PG_EXCEPTION_HINT, constraint_name = CONSTRAINT_NAME;
	RETURN regexp_replace(regexp_replace(regexp_replace(
		concat_ws(E'\n', SQLSTATE || ': ' || message,
			CASE WHEN detail NOT LIKE 'Failing row contains%' THEN nullif(detail, '') END,
			nullif(hint, ''), 'Constraint: ' || nullif(constraint_name, '')),
		'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<id>', 'g'),
		'PLAN-\d{4}-', 'PLAN-YYYY-', 'g'),
		'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? ?[A-Z]*', '<time>', 'g');
END
$$;
CREATE FUNCTION pg_temp.brief(statement text, VARIADIC arguments text[] DEFAULT '{}')
RETURNS text
LANGUAGE sql
RETURN split_part(pg_temp.attempt(statement, VARIADIC arguments), E'\n', 1);

-- What other tests left is put into this month, so that it is not in the way here.
-- Months of now are named by their distance from this one, those of long ago as
-- they are; the numbers of events of this month are masked.
CREATE FUNCTION pg_temp.relative(name text)
RETURNS text
LANGUAGE sql
RETURN CASE WHEN name ~ '^events_20(1\d|2[01])_' OR name !~ '^events_\d{4}_\d\d' THEN name
	ELSE 'this month + ' || (12 * (substr(name, 8, 4)::integer - extract(year FROM now() AT TIME ZONE 'UTC')::integer)
		+ substr(name, 13, 2)::integer - extract(month FROM now() AT TIME ZONE 'UTC')::integer) END;
SELECT kind, pg_temp.relative(name) AS name, outcome, regexp_replace(detail, '\d[-\d]*', '<n>', 'g') AS detail
FROM txplan.maintain() WHERE kind = 'partition';
SELECT count(*) AS again FROM txplan.maintain() WHERE kind = 'partition';
SELECT count(*) AS waiting FROM ONLY txplan.events_default;

SET txplan.actor = 'dba';
SELECT txplan.create_clinic('Retention clinic', 'UTC') AS clinic \gset
SELECT txplan.create_patient(:'clinic', 'Iman', 'Rahimi') AS patient \gset
-- A new event goes to the partition of this month.
SELECT txplan.create_plan(:'clinic', :'patient') AS plan \gset
SELECT pg_temp.relative(c.relname) AS partition
FROM txplan.events AS e JOIN pg_class AS c ON c.oid = e.tableoid WHERE e.plan_id = :'plan';

-- old_events() makes events of a time that is over, which only a superuser can.
CREATE FUNCTION pg_temp.old_events(clinic uuid, at timestamptz, n integer)
RETURNS void
LANGUAGE sql
SET session_replication_role = replica
AS $$
	INSERT INTO txplan.events (id, clinic_id, plan_id, plan_version, type, actor, occurred_at, payload)
	SELECT e.id, clinic, e.plan_id, 1, 'treatment_plan.deleted', 'old', e.at,
		jsonb_build_object('event_id', e.id::text, 'plan_id', e.plan_id, 'plan_number', 'OLD-1', 'clinic_id', clinic,
			'patient_id', e.plan_id, 'actor', 'old', 'occurred_at', to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
	FROM (SELECT nextval('txplan.events_id_seq') AS id, txplan.new_id() AS plan_id, at + i * interval '1 day' AS at
		FROM generate_series(0, n - 1) AS i) AS e
$$;
CREATE FUNCTION pg_temp.partitions() RETURNS TABLE (partition text, from_day text, to_day text, events bigint, held_by text[])
LANGUAGE sql
BEGIN ATOMIC
	SELECT p.partition, to_char(p.starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), to_char(p.ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'),
		(SELECT count(*) FROM txplan.events AS e WHERE e.occurred_at >= p.starts_at AND e.occurred_at < p.ends_at), p.held_by
	FROM txplan.event_partitions AS p
	WHERE p.ends_at < '2022-01-01';
END;

-- No partition fits: the default one takes it, and the view says so.
SELECT pg_temp.old_events(:'clinic', '2020-01-30 23:59:59.999999+00', 4);
SELECT rows, is_default, bytes > 0 AS bytes, starts_at, ends_at FROM txplan.event_partitions WHERE is_default;
-- maintain() makes the months that they are of, and the month at hand with two more;
-- the bounds are those of UTC, whatever the session says.
SET TimeZone = 'Pacific/Auckland';
SET DateStyle = 'German, DMY';
CREATE TEMP TABLE moved AS SELECT * FROM txplan.events;
SELECT kind, name, outcome, detail FROM txplan.maintain('2020-04-01 12:00+14');
RESET TimeZone;
RESET DateStyle;
SELECT * FROM pg_temp.partitions();
SELECT tableoid::regclass, occurred_at FROM txplan.events WHERE clinic_id = :'clinic' AND actor = 'old' ORDER BY id;
-- They are what they were, each once.
SELECT count(*) AS differ FROM ((TABLE moved EXCEPT ALL TABLE txplan.events) UNION ALL (TABLE txplan.events EXCEPT ALL TABLE moved)) AS d;
SELECT rows FROM txplan.event_partitions WHERE is_default;
-- A partition has all that the default one has.
SELECT string_agg(concat(tgname, ' ', tgenabled), ', ' ORDER BY tgname) AS triggers FROM pg_trigger WHERE tgrelid = 'txplan.events_2020_02'::regclass;
SELECT c.relowner = d.relowner AS owner, obj_description(c.oid, 'pg_class') AS comment,
	(SELECT count(*) FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND col_description(a.attrelid, a.attnum) IS NULL) AS uncommented,
	(SELECT string_agg(indisvalid::text || ' ' || indisunique::text, ', ' ORDER BY indexrelid) FROM pg_index WHERE indrelid = c.oid) AS indexes,
	(SELECT count(*) FROM pg_constraint WHERE conrelid = c.oid AND contype = 'c') AS checks
FROM pg_class AS c, pg_class AS d WHERE c.oid = 'txplan.events_2020_02'::regclass AND d.oid = 'txplan.events_default'::regclass;
SELECT pg_temp.brief('DELETE FROM txplan.events_2020_02');
SELECT pg_temp.brief('INSERT INTO txplan.events_2020_02 TABLE txplan.events_2020_02');
SELECT pg_temp.brief('TRUNCATE txplan.events_2020_02');
-- install() takes it as it is, and brings back what it lost.
DROP TRIGGER events_2020_02_not_truncated ON txplan.events_2020_02;
DROP TRIGGER events_engine_only ON txplan.events;
COMMENT ON COLUMN txplan.events_2020_02.xid IS NULL;
SELECT txplan.install() = txplan.version() AS installed;
SELECT string_agg(concat(tgname, ' ', tgenabled), ', ' ORDER BY tgname) AS triggers FROM pg_trigger WHERE tgrelid = 'txplan.events_2020_02'::regclass;
SELECT col_description('txplan.events_2020_02'::regclass, 2) AS comment;
-- A trigger of a stranger on a partition is seen as soon as it is there.
CREATE ROLE regress_txplan_stranger NOLOGIN;
CREATE FUNCTION public.strange() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
ALTER FUNCTION public.strange() OWNER TO regress_txplan_stranger;
SELECT pg_temp.brief('SELECT txplan.create_plan(%L, %L)', :'clinic', :'patient');
CREATE TRIGGER strange BEFORE INSERT ON txplan.events_2020_02 FOR EACH ROW EXECUTE FUNCTION public.strange();
SELECT pg_temp.brief('SELECT txplan.create_plan(%L, %L)', :'clinic', :'patient');
DROP TRIGGER strange ON txplan.events_2020_02;
SELECT pg_temp.brief('SELECT txplan.create_plan(%L, %L)', :'clinic', :'patient');
DROP FUNCTION public.strange();

-- For ever is the default, whatever at is.
SHOW txplan.events_keep;
SELECT kind, name, outcome FROM txplan.maintain('2020-12-31 23:59:59+00');
SELECT partition FROM pg_temp.partitions();
SELECT pg_temp.attempt('SET txplan.events_keep = 0');
SELECT pg_temp.brief('SET txplan.events_keep = -2');
SELECT pg_temp.brief('SET txplan.events_keep = ''two years''');
SELECT pg_temp.brief('SET txplan.events_keep = ''30 d''');

-- Only what is older goes: not a second before, and then the month that ended 30
-- days ago.
SET txplan.events_keep = 30;
SELECT kind, name, outcome FROM txplan.maintain('2020-03-01 23:59:59+00');
SELECT kind, name, outcome, detail FROM txplan.maintain('2020-03-02');
SELECT partition, to_char(starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS starts_at, to_char(ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS ends_at,
	last_event_id IS NOT NULL AS had_events, archived_as, removed_by = current_user AS by_me
FROM txplan.event_removals ORDER BY starts_at;
SELECT count(*) AS events FROM txplan.events WHERE actor = 'old' AND clinic_id = :'clinic';
-- The month that was dropped can come again.
SELECT kind, name, outcome FROM txplan.maintain('2020-01-01');
SELECT kind, name, outcome FROM txplan.maintain('2020-03-02');

-- Who hangs behind holds what it has not passed, and all behind it; it is named.
SELECT txplan.create_consumer('slow', start => 'beginning', clinic_id => :'clinic');
SELECT txplan.create_consumer('idle; %s "x"', types => '{treatment_plan.closed}', plan_id => :'plan', start => 'beginning');
SELECT kind, name, outcome, detail FROM txplan.maintain('2020-07-15');
SELECT * FROM pg_temp.partitions();
-- An open batch holds it as well.
SELECT DISTINCT batch_id AS batch FROM txplan.next_events('slow', 10000) \gset
SELECT kind, name, outcome, detail FROM txplan.maintain('2020-07-15') WHERE kind = 'partition';
SELECT txplan.finish_events('slow', :batch);
-- An event that was put back is a copy, so it holds nothing.
SELECT pg_temp.old_events(:'clinic', '2020-02-27', 1);
SELECT batch_id AS batch, event_id AS retried FROM txplan.next_events('slow') WHERE actor = 'old' \gset
SELECT txplan.retry_event('slow', :retried, '1 hour');
SELECT txplan.finish_events('slow', batch_id) FROM txplan.consumer_batches WHERE batch_id = :batch;
SELECT kind, name, outcome, detail FROM txplan.maintain('2020-07-15') WHERE kind = 'partition';
SELECT count(*) AS events, (SELECT count(*) FROM txplan.consumer_retries) AS retries FROM txplan.events WHERE id = :retried;
-- One whose places are of another cluster holds everything.
SELECT pg_temp.old_events(:'clinic', '2020-07-01', 1);
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE txplan.consumers SET system_identifier = 1 WHERE name = 'slow';
COMMIT;
SELECT kind, name, outcome, detail FROM txplan.maintain('2020-09-15') WHERE kind = 'partition' AND outcome <> 'made';
SELECT txplan.drop_consumer('slow'), txplan.drop_consumer('idle; %s "x"');
SELECT kind, name, outcome FROM txplan.maintain('2020-09-15');
RESET txplan.events_keep;

-- archive_events() detaches what is over; the tables are ordinary ones.
SELECT pg_temp.old_events(:'clinic', '2020-10-30', 4);
SELECT kind, name, outcome FROM txplan.maintain('2020-10-01');
SELECT txplan.create_consumer('behind', start => 'beginning', clinic_id => :'clinic');
SELECT table_name FROM txplan.archive_events('2020-12-01');
SELECT txplan.drop_consumer('behind');
BEGIN;
SELECT table_name, to_char(starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS starts_at, to_char(ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS ends_at
FROM txplan.archive_events('2020-11-30 23:59:59+00');
SELECT * FROM pg_temp.partitions();
SELECT count(*) AS events FROM txplan.events_2020_10_archived;
SELECT count(*) AS events FROM txplan.events WHERE actor = 'old' AND clinic_id = :'clinic';
SELECT tgname FROM pg_trigger WHERE tgrelid = 'txplan.events_2020_10_archived'::regclass;
SELECT obj_description('txplan.events_2020_10_archived'::regclass, 'pg_class') AS comment, relispartition
FROM pg_class WHERE oid = 'txplan.events_2020_10_archived'::regclass;
-- They confuse nobody.
SELECT txplan.install() = txplan.version() AS installed;
SELECT fault, detail FROM txplan.audit(:'clinic');
SELECT kind, name, outcome FROM txplan.maintain('2020-10-15');
SELECT table_name FROM txplan.archive_events('2020-11-01');
DELETE FROM txplan.events_2020_10_archived;
TRUNCATE txplan.events_2020_10_archived_2;
DROP TABLE txplan.events_2020_10_archived, txplan.events_2020_10_archived_2;
SELECT partition, archived_as FROM txplan.event_removals WHERE archived_as IS NOT NULL ORDER BY removed_at;
ROLLBACK;

-- A partition of one's own is left alone.
CREATE TABLE txplan.events_2021 PARTITION OF txplan.events FOR VALUES FROM ('2021-04-10 00:00:00+00') TO ('2021-07-01 00:00:00+00');
CREATE TABLE txplan.events_2021_08 PARTITION OF txplan.events FOR VALUES FROM ('2021-08-02 00:00:00+00') TO ('2021-08-03 00:00:00+00');
SELECT pg_temp.old_events(:'clinic', '2021-04-01', 2);
SELECT pg_temp.old_events(:'clinic', '2021-04-11', 1);
SELECT kind, name, outcome, detail FROM txplan.maintain('2021-05-01');
SELECT kind, name, outcome, detail FROM txplan.maintain('2021-08-01');
-- A call that has locked one thing waits for no other, so months are made before.
SELECT kind, name, outcome FROM txplan.maintain('2021-12-01');
SET txplan.events_keep = 1;
SELECT kind, name, outcome FROM txplan.maintain('2021-12-01');
RESET txplan.events_keep;
SELECT partition, from_day, to_day, events FROM pg_temp.partitions();
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM txplan.events WHERE actor = 'old';
COMMIT;
DROP TABLE txplan.events_2021, txplan.events_2021_08;
-- So is something else that has the name, and what depends on a partition.
CREATE TABLE txplan.events_2021_03 (mine integer);
SELECT kind, name, outcome, detail FROM txplan.maintain('2021-04-01');
CREATE VIEW pg_temp.mine AS SELECT count(*) FROM txplan.events_2021_06;
SELECT name, outcome FROM txplan.maintain('2021-11-01');
SET txplan.events_keep = 1;
SELECT name, outcome, detail FROM txplan.maintain('2021-11-01');
RESET txplan.events_keep;
SELECT kind, name, outcome, detail FROM txplan.maintain('2021-03-01');
DROP TABLE txplan.events_2021_03;
DROP VIEW pg_temp.mine;

-- Events whose move a publication would tell of are not moved.
SELECT pg_temp.old_events(:'clinic', '2019-05-01', 2);
SET client_min_messages = error;
CREATE PUBLICATION regress_txplan_events FOR TABLE txplan.events;
RESET client_min_messages;
SELECT name, outcome, detail FROM txplan.maintain('2019-05-05');
ALTER PUBLICATION regress_txplan_events SET (publish = 'insert');
BEGIN;
SELECT name, outcome, detail FROM txplan.maintain('2019-05-05');
ROLLBACK;
DROP PUBLICATION regress_txplan_events;
SELECT name, outcome, detail FROM txplan.maintain('2019-05-05');

-- Arguments.
SELECT pg_temp.attempt('SELECT * FROM txplan.maintain(NULL)');
SELECT pg_temp.attempt('SELECT * FROM txplan.maintain(''infinity'')');
SELECT pg_temp.brief('SELECT * FROM txplan.maintain(''-infinity'')');
SELECT pg_temp.brief('SELECT * FROM txplan.maintain(''0999-12-31 UTC'')');
SELECT pg_temp.brief('SELECT * FROM txplan.maintain(''9999-01-01 UTC'')');
SELECT pg_temp.brief('SELECT * FROM txplan.maintain(''4000-01-01 BC'')');
SELECT pg_temp.attempt('SELECT * FROM txplan.maintain(max_plans => 0)');
SELECT pg_temp.brief('SELECT * FROM txplan.maintain(max_plans => -1)');
SELECT pg_temp.attempt('SELECT * FROM txplan.archive_events(NULL)');
SELECT pg_temp.attempt('SELECT * FROM txplan.archive_events(''infinity'')');
SELECT pg_temp.brief('SELECT * FROM txplan.archive_events(''-infinity'')');
BEGIN READ ONLY;
SELECT pg_temp.attempt('SELECT * FROM txplan.maintain()');
SELECT pg_temp.brief('SELECT * FROM txplan.archive_events(now())');
SELECT count(*) > 0 AS seen FROM txplan.event_partitions;
ROLLBACK;
BEGIN;
SELECT name, outcome FROM txplan.maintain('9998-12-31 UTC') WHERE kind = 'partition';
SELECT name, outcome FROM txplan.maintain('1000-01-01 UTC');
ROLLBACK;
-- Only members of the record's owner.
GRANT USAGE ON SCHEMA txplan TO regress_txplan_stranger;
GRANT SELECT ON ALL TABLES IN SCHEMA txplan TO regress_txplan_stranger;
SET ROLE regress_txplan_stranger;
SELECT regexp_replace(pg_temp.attempt('SELECT * FROM txplan.maintain()'), '"[^"]*"', '<owner>');
SELECT pg_temp.brief('SELECT * FROM txplan.archive_events(now())');
SELECT pg_temp.brief('SET txplan.events_keep = 1');
SELECT count(*) > 0 AS seen FROM txplan.event_partitions;
RESET ROLE;
REVOKE SELECT ON txplan.consumers FROM regress_txplan_stranger;
SET ROLE regress_txplan_stranger;
SELECT pg_temp.brief('SELECT * FROM txplan.event_partitions');
RESET ROLE;
-- What was removed is written down by the engine alone.
SELECT pg_temp.brief('INSERT INTO txplan.event_removals (partition, starts_at, ends_at, removed_by) VALUES (''x'', now(), now() + ''1 day'', ''me'')');
SELECT pg_temp.brief('DELETE FROM txplan.event_removals');
-- Without its default partition the record is not whole.
BEGIN;
ALTER TABLE txplan.events DETACH PARTITION txplan.events_default;
SELECT pg_temp.attempt('SELECT * FROM txplan.maintain()');
ROLLBACK;

-- A column of one's own is moved along.
BEGIN;
SET LOCAL client_min_messages = error;
ALTER TABLE txplan.events ADD COLUMN "so, my "" own" text DEFAULT 'mine', ADD COLUMN twice bigint GENERATED ALWAYS AS (id * 2) STORED;
ALTER TABLE txplan.events DROP COLUMN actor CASCADE;
SET LOCAL session_replication_role = replica;
INSERT INTO txplan.events (id, clinic_id, plan_id, plan_version, type, occurred_at, payload, "so, my "" own")
VALUES (1, :'clinic', txplan.new_id(), 1, 'x.y', '2018-05-01', '{}', 'theirs');
SET LOCAL session_replication_role = origin;
SELECT name, outcome, detail FROM txplan.maintain('2018-05-01');
SELECT id, "so, my "" own", twice FROM txplan.events_2018_05;
ROLLBACK;
-- A trigger of one's own that keeps a row takes back all.
CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keep BEFORE DELETE ON txplan.events FOR EACH ROW EXECUTE FUNCTION public.keep();
SELECT pg_temp.old_events(:'clinic', '2018-05-01', 2);
SELECT pg_temp.brief('SELECT * FROM txplan.maintain(''2018-05-01'')');
SELECT count(*) AS waiting FROM ONLY txplan.events_default;
SET client_min_messages = error;
DROP FUNCTION public.keep() CASCADE;
RESET client_min_messages;

-- Nothing of this is left for the other tests.
SELECT name, outcome FROM txplan.maintain('2018-05-01');
SELECT table_name FROM txplan.archive_events('2023-01-01');
DO $$
DECLARE
	t regclass;
BEGIN
	FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'txplan'::regnamespace AND relname LIKE 'events\_%\_archived' LOOP
		EXECUTE format('DROP TABLE %s', t);
	END LOOP;
	SET LOCAL session_replication_role = replica;
	FOR t IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'txplan.events'::regclass AND inhrelid <> 'txplan.events_default'::regclass LOOP
		EXECUTE format('ALTER TABLE txplan.events DETACH PARTITION %s', t);
		EXECUTE format('INSERT INTO txplan.events SELECT * FROM %s', t);
		EXECUTE format('DROP TABLE %s', t);
	END LOOP;
	SET LOCAL session_replication_role = origin;
END
$$;
SELECT count(*) AS partitions FROM txplan.event_partitions;
SELECT * FROM pg_temp.partitions();
SELECT count(*) AS old FROM txplan.events WHERE actor = 'old';
SELECT fault, detail FROM txplan.audit(:'clinic');
DROP OWNED BY regress_txplan_stranger;
DROP ROLE regress_txplan_stranger;
