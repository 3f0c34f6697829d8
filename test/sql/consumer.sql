-- consumer: durable readers of the events, as one session uses them.

SELECT txplan.install() IS NOT NULL AS installed;

-- What helps is kept in a schema, since this test ends its session in between.
CREATE SCHEMA consumer_test;

-- attempt() runs a statement, with its %L filled in, and returns what it raised:
-- SQLSTATE and message, detail, hint, and the constraint where there is one.
-- Ids, numbers of events, batches and processes differ from run to run, so they
-- are masked.  brief() returns the first line of that.
CREATE FUNCTION consumer_test.attempt(statement text, VARIADIC arguments text[] DEFAULT '{}')
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
	RETURN regexp_replace(regexp_replace(
		concat_ws(E'\n', SQLSTATE || ': ' || message,
			CASE WHEN detail NOT LIKE 'Failing row contains%' THEN nullif(detail, '') END,
			nullif(hint, ''), 'Constraint: ' || nullif(constraint_name, '')),
		'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<id>', 'g'),
		'(batch|event|Process) \d+', '\1 <n>', 'g');
END
$$;
CREATE FUNCTION consumer_test.brief(statement text, VARIADIC arguments text[] DEFAULT '{}')
RETURNS text
LANGUAGE sql
RETURN split_part(consumer_test.attempt(statement, VARIADIC arguments), E'\n', 1);

-- next() shows what next_events() hands out, with the names of plans; batch()
-- is the batch that it came in, event() the number of one of the plans' events.
CREATE FUNCTION consumer_test.next(consumer text, max_events integer DEFAULT 500)
RETURNS TABLE (plan text, version bigint, type text, retries integer)
LANGUAGE plpgsql
AS $$
DECLARE
	e record;
BEGIN
	FOR e IN SELECT * FROM txplan.next_events(consumer, max_events) LOOP
		PERFORM set_config('consumer_test.batch', e.batch_id::text, false);
		plan := (SELECT p.title FROM txplan.plans AS p WHERE p.id = e.plan_id);
		version := e.plan_version;
		type := replace(e.type, 'treatment_plan.', '');
		retries := e.retry_count;
		RETURN NEXT;
	END LOOP;
END
$$;
CREATE FUNCTION consumer_test.batch()
RETURNS bigint
LANGUAGE sql
RETURN current_setting('consumer_test.batch')::bigint;
CREATE FUNCTION consumer_test.event(of_plan text, of_version bigint)
RETURNS bigint
LANGUAGE sql
BEGIN ATOMIC
	SELECT e.id
	FROM txplan.events AS e JOIN txplan.plans AS p ON p.id = e.plan_id
	WHERE p.title = of_plan AND e.plan_version = of_version;
END;

-- plan() makes a plan with so many items, all in one event each.
CREATE FUNCTION consumer_test.plan(title text, items integer DEFAULT 0, clinic text DEFAULT 'Consumer clinic')
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
	made uuid;
BEGIN
	SELECT txplan.create_plan(c.id, p.id, NULL, plan.title) INTO made
	FROM txplan.clinics AS c JOIN txplan.patients AS p ON p.clinic_id = c.id
	WHERE c.name = clinic;
	INSERT INTO txplan.items (plan_id, clinic_id, description, price)
	SELECT made, c.id, 'Filling', 10 FROM txplan.clinics AS c, generate_series(1, items)
	WHERE c.name = clinic;
END
$$;

-- lag() shows of consumer_lag what is the same in each run.
CREATE FUNCTION consumer_test.lag(wanted text)
RETURNS TABLE (pending bigint, open bigint, retry bigint, dead bigint, has_oldest boolean,
	age_fits boolean, moves boolean)
LANGUAGE sql
BEGIN ATOMIC
	SELECT l.pending_events, l.open_events, l.retry_events, l.dead_events,
		l.oldest_event IS NOT NULL,
		coalesce(l.oldest_age BETWEEN '0' AND clock_timestamp() - l.oldest_event, true),
		l.rate > 0
	FROM txplan.consumer_lag AS l
	WHERE l.consumer = wanted;
END;

-- all_due() lets the time pass that events wait which were put back.
CREATE FUNCTION consumer_test.all_due()
RETURNS void
LANGUAGE sql
SET session_replication_role = replica
AS $$ UPDATE txplan.consumer_retries SET due_at = '-infinity' $$;

-- alone() waits until the session before this one has ended.
CREATE FUNCTION consumer_test.alone()
RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
	LOOP
		PERFORM pg_stat_clear_snapshot();
		EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity AS a
			WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
				AND a.backend_type = 'client backend');
		PERFORM pg_sleep(0.01);
	END LOOP;
	RETURN true;
END
$$;

SELECT txplan.create_clinic('Consumer clinic', 'UTC') AS clinic \gset
SELECT txplan.create_clinic('Other clinic', 'UTC') AS other_clinic \gset
SELECT txplan.create_patient(id, 'Noa', 'Levi') IS NOT NULL AS made FROM txplan.clinics WHERE id IN (:'clinic', :'other_clinic');
SELECT consumer_test.plan('Before', 1);

-- From now on, or from the beginning.
SELECT txplan.create_consumer('reader');
SELECT txplan.create_consumer('historian', start => 'beginning', clinic_id => :'clinic');
SELECT name, types, clinic_id = :'clinic' AS clinic, plan_id, max_retries, created_by = current_user AS created_by
FROM txplan.consumers ORDER BY name;
SELECT * FROM consumer_test.next('reader');
SELECT * FROM consumer_test.next('historian');
SELECT txplan.finish_events('historian', consumer_test.batch());
SELECT * FROM consumer_test.lag('reader');

-- All that is handed out with an event is that of the event.
SELECT consumer_test.plan('A', 2);
SELECT e.id = n.event_id AS id, e.clinic_id = n.clinic_id AS clinic, e.plan_id = n.plan_id AS plan,
	e.plan_version = n.plan_version AS version, e.type = n.type AS type, e.actor = n.actor AS actor,
	e.occurred_at = n.occurred_at AS time, e.payload = n.payload AS payload, n.retry_count AS retries
FROM txplan.next_events('reader') AS n JOIN txplan.events AS e ON e.id = n.event_id;

-- The same batch again until it is finished, whatever came meanwhile and however
-- many are asked for.
SELECT consumer_test.plan('B');
SELECT * FROM consumer_test.next('reader');
SELECT * FROM consumer_test.next('reader', 1);
SELECT count(DISTINCT batch_id) AS batches FROM (
	SELECT batch_id FROM txplan.next_events('reader') UNION ALL SELECT consumer_test.batch()) AS b;
SELECT * FROM consumer_test.lag('reader');
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT * FROM consumer_test.next('reader');
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT * FROM consumer_test.next('reader');
SELECT * FROM consumer_test.lag('reader');

-- So many at a time, in the order of the facts across batches.
SELECT consumer_test.plan('C', 2);
SELECT consumer_test.plan('D', 1);
SELECT * FROM consumer_test.next('reader', 2);
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT consumer_test.plan('E');
SELECT * FROM consumer_test.next('reader', 2);
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT * FROM consumer_test.next('reader', 2);
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT * FROM consumer_test.next('reader', 2);

-- Only some types, only a clinic, only a plan; each reads for itself.
SELECT txplan.create_consumer('of types', types => '{treatment_plan.created,treatment_plan.closed}');
SELECT txplan.create_consumer('of clinic', clinic_id => :'other_clinic');
SELECT id AS plan_c FROM txplan.plans WHERE title = 'C' AND clinic_id = :'clinic' \gset
SELECT txplan.create_consumer('of plan', plan_id => :'plan_c');
SELECT txplan.create_consumer('of all', '{treatment_plan.created}', 'beginning', :'clinic', :'plan_c', 0);
SELECT txplan.create_consumer('of nothing', types => '{treatment_plan.reactivated}');
SELECT consumer_test.plan('F', 1);
SELECT consumer_test.plan('G', 1, 'Other clinic');
SELECT txplan.close_plan(:'plan_c', 'other');
SELECT * FROM consumer_test.next('of types');
SELECT * FROM consumer_test.next('of clinic');
SELECT * FROM consumer_test.next('of plan');
SELECT * FROM consumer_test.next('of all');
SELECT * FROM consumer_test.next('of nothing');
SELECT consumer, types, clinic_id = :'clinic' AS clinic, plan_id = :'plan_c' AS plan, pending_events
FROM txplan.consumer_lag ORDER BY consumer;
SELECT txplan.drop_consumer(name) FROM txplan.consumers WHERE name LIKE 'of %';
SELECT count(*) FROM txplan.consumer_batches AS b LEFT JOIN txplan.consumers AS c ON c.id = b.consumer WHERE c.id IS NULL;
SELECT count(*) AS events FROM consumer_test.next('reader');
SELECT txplan.finish_events('reader', consumer_test.batch());

-- An event is put back: later ones of its plan that are not handed out wait for
-- it, those of other plans do not.
SELECT consumer_test.plan('H', 2);
SELECT * FROM consumer_test.next('reader', 2);
SELECT txplan.retry_event('reader', consumer_test.event('H', 2), '1 hour', 'no connection');
SELECT * FROM consumer_test.next('reader');
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT consumer_test.plan('I');
SELECT * FROM consumer_test.next('reader');
SELECT * FROM consumer_test.lag('reader');
SELECT r.plan_version, r.retry_count, r.last_error, r.due_at > now() AS later, r.batch_id IS NULL AS waits
FROM txplan.consumer_retries AS r ORDER BY r.event_id;
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT * FROM consumer_test.next('reader');
SELECT consumer_test.all_due();
SELECT * FROM consumer_test.next('reader');
SELECT * FROM consumer_test.lag('reader');
SELECT l.oldest_event = e.occurred_at AS is_that_of_the_oldest
FROM txplan.consumer_lag AS l, txplan.events AS e
WHERE l.consumer = 'reader' AND e.id = consumer_test.event('H', 2);
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT count(*) AS retries FROM txplan.consumer_retries;

-- Later ones that are in the same batch are in the worker's hands already.
SELECT consumer_test.plan('J', 2);
SELECT * FROM consumer_test.next('reader');
SELECT txplan.retry_event('reader', consumer_test.event('J', 1), '0', 'first');
SELECT * FROM consumer_test.next('reader');
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT * FROM consumer_test.next('reader');
-- Nothing is left of a batch when all of it was put back.
SELECT txplan.retry_event('reader', consumer_test.event('J', 1), '0', 'second');
SELECT * FROM consumer_test.lag('reader');
SELECT * FROM consumer_test.next('reader');
SELECT txplan.finish_events('reader', consumer_test.batch());

-- Many wait behind one that was put back: who asks for few gets those of others
-- at once.
SELECT consumer_test.plan('K');
SELECT * FROM consumer_test.next('reader', 1);
SELECT txplan.retry_event('reader', consumer_test.event('K', 1), '1 hour'),
	txplan.finish_events('reader', consumer_test.batch());
INSERT INTO txplan.items (plan_id, clinic_id, description, price)
SELECT id, clinic_id, 'More', 1 FROM txplan.plans, generate_series(1, 30) WHERE title = 'K';
SELECT consumer_test.plan('L');
SELECT * FROM consumer_test.next('reader', 1);
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT consumer_test.all_due();
SELECT count(*), min(version), max(version), array_agg(version ORDER BY place) = array_agg(version ORDER BY version) AS in_order
FROM consumer_test.next('reader') WITH ORDINALITY AS n (plan, version, type, retries, place);
SELECT txplan.finish_events('reader', consumer_test.batch());

-- How much later: 1 second, and twice as long each time, an hour at most.
SELECT txplan.create_consumer('patient', max_retries => 20);
SELECT consumer_test.plan('M');
DO $$
BEGIN
	FOR n IN 1 .. 14 LOOP
		PERFORM consumer_test.all_due();
		PERFORM * FROM consumer_test.next('patient');
		PERFORM txplan.retry_event('patient', consumer_test.event('M', 1));
		RAISE NOTICE 'retry %: after % s', n,
			round(extract(epoch FROM (SELECT r.due_at FROM txplan.consumer_retries AS r) - clock_timestamp()));
	END LOOP;
END
$$;
SELECT txplan.drop_consumer('patient');
SELECT count(*) FROM consumer_test.next('reader');
SELECT txplan.finish_events('reader', consumer_test.batch());

-- Put back too often: a dead letter with its last error.  The plan goes on.
SELECT txplan.create_consumer('mailer', max_retries => 2);
SELECT consumer_test.plan('N', 1);
SELECT * FROM consumer_test.next('mailer', 1);
SELECT txplan.retry_event('mailer', consumer_test.event('N', 1), '0', 'one');
SELECT * FROM consumer_test.next('mailer', 1);
SELECT txplan.retry_event('mailer', consumer_test.event('N', 1), '0', 'two');
SELECT * FROM consumer_test.next('mailer', 1);
SELECT txplan.retry_event('mailer', consumer_test.event('N', 1), '0', 'three') AS comes_again;
SELECT d.consumer, d.plan_version, replace(d.type, 'treatment_plan.', '') AS type, d.retry_count, d.last_error,
	e.clinic_id = d.clinic_id AND e.plan_id = d.plan_id AND e.actor = d.actor
		AND e.occurred_at = d.occurred_at AND e.payload = d.payload AS is_the_event,
	d.died_at > d.occurred_at AS died_later
FROM txplan.dead_events AS d JOIN txplan.events AS e ON e.id = d.event_id;
SELECT * FROM consumer_test.lag('mailer');
SELECT * FROM consumer_test.next('mailer', 1);
SELECT txplan.finish_events('mailer', consumer_test.batch());
-- Revived it has all its retries again; what comes later waits for it.
SELECT txplan.revive_event('mailer', consumer_test.event('N', 1));
SELECT txplan.add_item(id, NULL, 'After', 1) IS NOT NULL AS added FROM txplan.plans WHERE title = 'N';
SELECT * FROM consumer_test.lag('mailer');
SELECT count(*) AS dead FROM txplan.dead_events;
SELECT * FROM consumer_test.next('mailer');
SELECT txplan.retry_event('mailer', consumer_test.event('N', 1), '0', 'four') AS comes_again;
SELECT txplan.finish_events('mailer', consumer_test.batch());
SELECT * FROM consumer_test.next('mailer');
-- max_retries may be changed, and counts at once.
UPDATE txplan.consumers SET max_retries = 1 WHERE name = 'mailer';
SELECT txplan.retry_event('mailer', consumer_test.event('N', 1), '0', 'five') AS comes_again;
SELECT consumer_test.attempt('UPDATE txplan.consumers SET max_retries = -1');
UPDATE txplan.consumers SET max_retries = 0 WHERE name = 'mailer';
SELECT consumer_test.plan('O');
SELECT * FROM consumer_test.next('mailer');
SELECT txplan.retry_event('mailer', consumer_test.event('O', 1)) AS comes_again;
SELECT plan_version, retry_count, last_error FROM txplan.dead_events ORDER BY event_id;
SELECT * FROM consumer_test.next('mailer');
SELECT txplan.drop_consumer('mailer');
SELECT count(*) AS dead FROM txplan.dead_events;
SELECT count(*) FROM consumer_test.next('reader');
SELECT txplan.finish_events('reader', consumer_test.batch());

-- What was handed out in a transaction that rolls back comes again.
SELECT consumer_test.plan('P', 1);
BEGIN;
SELECT * FROM consumer_test.next('reader', 1);
ROLLBACK;
SELECT count(*) AS batches FROM txplan.consumer_batches;
BEGIN;
SELECT * FROM consumer_test.next('reader', 1);
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT * FROM consumer_test.next('reader', 1);
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT * FROM consumer_test.next('reader', 1);
ROLLBACK;
BEGIN;
SAVEPOINT a;
SELECT * FROM consumer_test.next('reader', 1);
ROLLBACK TO a;
SELECT * FROM consumer_test.next('reader', 1);
SAVEPOINT b;
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT * FROM consumer_test.next('reader', 1);
ROLLBACK TO b;
SELECT * FROM consumer_test.next('reader', 1);
SAVEPOINT c;
SELECT txplan.retry_event('reader', consumer_test.event('P', 1), '1 hour');
ROLLBACK TO c;
SAVEPOINT d;
SELECT txplan.finish_events('reader', consumer_test.batch());
RELEASE d;
COMMIT;
SELECT * FROM consumer_test.next('reader', 1);
-- A finish that rolls back leaves the batch with its session.
BEGIN;
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT * FROM consumer_test.next('reader');
ROLLBACK;
SELECT * FROM consumer_test.next('reader');
BEGIN;
SELECT txplan.retry_event('reader', consumer_test.event('P', 2), '1 hour');
SELECT * FROM consumer_test.next('reader');
ROLLBACK;
SELECT * FROM consumer_test.next('reader');
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT * FROM consumer_test.next('reader');
-- Caught errors leave nothing behind.
SELECT consumer_test.plan('Q');
DO $$
BEGIN
	FOR n IN 1 .. 3 LOOP
		BEGIN
			PERFORM * FROM consumer_test.next('reader');
			PERFORM txplan.finish_events('reader', consumer_test.batch());
			PERFORM txplan.finish_events('reader', consumer_test.batch());
		EXCEPTION WHEN no_data_found THEN
			RAISE NOTICE 'taken back';
		END;
	END LOOP;
END
$$;
SELECT * FROM consumer_test.next('reader');
SELECT txplan.finish_events('reader', consumer_test.batch());

-- A transaction's own events are handed out when it has committed.
BEGIN;
SELECT consumer_test.plan('R');
SELECT * FROM consumer_test.next('reader');
COMMIT;
SELECT * FROM consumer_test.next('reader');
SELECT txplan.finish_events('reader', consumer_test.batch());
BEGIN;
SELECT consumer_test.plan('S');
SELECT txplan.create_consumer('in between');
SELECT consumer_test.plan('T');
COMMIT;
SELECT * FROM consumer_test.next('in between');
SELECT txplan.drop_consumer('in between');
SELECT count(*) FROM consumer_test.next('reader');
SELECT txplan.finish_events('reader', consumer_test.batch());

-- Isolation levels.
SELECT consumer_test.plan('U', 1);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM consumer_test.next('reader', 1);
SELECT txplan.finish_events('reader', consumer_test.batch());
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT * FROM consumer_test.next('reader', 1);
SELECT txplan.retry_event('reader', consumer_test.event('U', 2), '0');
SELECT * FROM consumer_test.next('reader', 1);
SELECT txplan.finish_events('reader', consumer_test.batch());
COMMIT;
SELECT * FROM consumer_test.next('reader');

-- A session that ends, or gives back its locks, leaves its batch to whoever comes.
SELECT consumer_test.plan('V', 1);
SELECT * FROM consumer_test.next('reader');
SELECT pg_advisory_unlock_all();
SELECT * FROM consumer_test.next('reader');
SELECT pg_advisory_unlock_all();
SELECT txplan.retry_event('reader', consumer_test.event('V', 1), '0');
DISCARD ALL;
SELECT * FROM consumer_test.next('reader');
SELECT worker AS process FROM txplan.consumer_batches \gset
\c -
SELECT consumer_test.alone();
SELECT * FROM consumer_test.next('reader');
SELECT worker = pg_backend_pid() AS mine, worker <> :process AS another FROM txplan.consumer_batches;
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT * FROM consumer_test.next('reader');
SELECT batch_id AS batch FROM txplan.consumer_batches \gset
\c -
SELECT consumer_test.alone();
SELECT txplan.finish_events('reader', :batch);
SELECT * FROM consumer_test.next('reader');

-- What a consumer holds belongs to its session, so it cannot be prepared.
SELECT consumer_test.plan('W');
BEGIN;
SELECT * FROM consumer_test.next('reader');
PREPARE TRANSACTION 'read';
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM consumer_test.next('reader');
BEGIN;
SELECT txplan.finish_events('reader', consumer_test.batch());
PREPARE TRANSACTION 'finished';
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM consumer_test.next('reader');
-- Whoever has a batch from before may prepare other work.
BEGIN;
SELECT count(*) > 0 AS some FROM txplan.clinics;
PREPARE TRANSACTION 'other';
COMMIT PREPARED 'other';
SELECT txplan.finish_events('reader', consumer_test.batch());
BEGIN;
SELECT * FROM consumer_test.next('reader');
PREPARE TRANSACTION 'nothing';
COMMIT PREPARED 'nothing';

-- More than 20,000 events at once, 10,500 of one transaction: read_all() takes
-- them batch by batch, and tells what came.
CREATE TABLE consumer_test.got (place integer GENERATED ALWAYS AS IDENTITY, batch bigint, event_id bigint, plan_id uuid, plan_version bigint);
CREATE FUNCTION consumer_test.read_all(consumer text, max_events integer)
RETURNS TABLE (batches bigint, events bigint, different bigint, disorders bigint, missing bigint)
LANGUAGE plpgsql
AS $$
DECLARE
	this bigint;
BEGIN
	DELETE FROM consumer_test.got;
	LOOP
		INSERT INTO consumer_test.got (batch, event_id, plan_id, plan_version)
		SELECT n.batch_id, n.event_id, n.plan_id, n.plan_version FROM txplan.next_events(consumer, max_events) AS n;
		EXIT WHEN NOT FOUND;
		SELECT max(g.batch) INTO this FROM consumer_test.got AS g;
		PERFORM txplan.finish_events(consumer, this);
	END LOOP;
	RETURN QUERY
	SELECT count(DISTINCT g.batch), count(*), count(DISTINCT g.event_id),
		count(*) FILTER (WHERE g.plan_version <> g.before + 1),
		(SELECT count(*) FROM txplan.events AS e JOIN txplan.consumers AS c ON c.name = consumer
			WHERE e.id > (SELECT min(o.event_id) FROM consumer_test.got AS o)
				AND (c.clinic_id IS NULL OR c.clinic_id = e.clinic_id)
				AND (c.types IS NULL OR e.type = ANY (c.types))
				AND NOT EXISTS (SELECT FROM consumer_test.got AS o WHERE o.event_id = e.id))
	FROM (SELECT o.*, lag(o.plan_version) OVER (PARTITION BY o.plan_id ORDER BY o.place) AS before
		FROM consumer_test.got AS o) AS g;
END
$$;
-- read_twice() asks for each batch twice: the same rows, in the order of their
-- numbers, that say what the events say.
CREATE FUNCTION consumer_test.read_twice(consumer text, max_events integer)
RETURNS TABLE (batches bigint, events bigint, others bigint)
LANGUAGE plpgsql
AS $$
DECLARE
	this bigint;
	first text[];
	again text[];
	wanted text[];
BEGIN
	batches := 0;
	events := 0;
	others := 0;
	LOOP
		SELECT array_agg(n::text), max(n.batch_id) INTO first, this
		FROM txplan.next_events(consumer, max_events) AS n;
		EXIT WHEN this IS NULL;
		SELECT array_agg(n::text) INTO again FROM txplan.next_events(consumer, max_events) AS n;
		SELECT array_agg(ROW(this, e.id, e.clinic_id, e.plan_id, e.plan_version, e.type, e.actor,
			e.occurred_at, e.payload, 0)::text ORDER BY e.id) INTO wanted
		FROM txplan.consumer_batches AS b JOIN txplan.events AS e ON e.id = ANY (b.event_ids)
		WHERE b.batch_id = this;
		batches := batches + 1;
		events := events + cardinality(first);
		IF first <> again OR first <> wanted THEN
			others := others + 1;
		END IF;
		PERFORM txplan.finish_events(consumer, this);
	END LOOP;
	RETURN NEXT;
END
$$;
SELECT txplan.create_consumer('twice');
SELECT txplan.create_consumer('one clinic', clinic_id => :'other_clinic');
SELECT txplan.create_consumer('nothing', types => '{treatment_plan.reactivated}');
SELECT txplan.create_consumer('at once');
BEGIN;
SELECT consumer_test.plan('large', 5000);
UPDATE txplan.items SET notes = 'x' FROM txplan.plans AS p WHERE p.id = items.plan_id AND p.title = 'large';
SELECT consumer_test.plan('small ' || n, 4) IS NULL AS made FROM generate_series(1, 100) AS n OFFSET 99;
COMMIT;
UPDATE txplan.items SET notes = 'y' FROM txplan.plans AS p WHERE p.id = items.plan_id AND p.title = 'large';
UPDATE txplan.items SET notes = 'z' FROM txplan.plans AS p WHERE p.id = items.plan_id AND p.title = 'large';
SELECT consumer_test.plan('elsewhere', 3, 'Other clinic');
SELECT pending_events FROM txplan.consumer_lag WHERE consumer = 'at once';
-- Half way, something new comes, and something is put back.
DO $$
BEGIN
	FOR n IN 1 .. 5 LOOP
		PERFORM * FROM consumer_test.next('reader', 1000);
		PERFORM txplan.finish_events('reader', consumer_test.batch());
	END LOOP;
	PERFORM * FROM consumer_test.next('reader', 1000);
END
$$;
SELECT plan, min(version), max(version), count(*) FROM consumer_test.next('reader') GROUP BY plan;
SELECT txplan.retry_event('reader', consumer_test.event('large', 6000), '1 hour', 'later'),
	txplan.finish_events('reader', consumer_test.batch());
SELECT consumer_test.plan('new', 1);
SELECT txplan.add_item(id, NULL, 'After', 1) IS NOT NULL AS added FROM txplan.plans WHERE title = 'large';
SELECT pending_events, retry_events FROM txplan.consumer_lag WHERE consumer = 'reader';
SELECT * FROM consumer_test.read_all('reader', 1000);
SELECT pending_events, retry_events FROM txplan.consumer_lag WHERE consumer = 'reader';
SELECT consumer_test.all_due();
SELECT * FROM consumer_test.read_all('reader', 3000);
SELECT pending_events, retry_events FROM txplan.consumer_lag WHERE consumer = 'reader';
-- All from the first to the last, and nothing twice.
SELECT * FROM consumer_test.read_all('at once', 10000);
SELECT * FROM consumer_test.read_all('one clinic', 2);
SELECT * FROM consumer_test.read_all('nothing', 10);
SELECT consumer, pending_events FROM txplan.consumer_lag ORDER BY consumer;
-- maintain() moves places past what a consumer does not read.
SELECT txplan.pass_events('one clinic'), txplan.pass_events('nothing');
SELECT c.name, count(*) FILTER (WHERE s.seen IS NOT NULL) AS windows, count(*) FILTER (
	WHERE NOT pg_visible_in_snapshot((SELECT max(e.xid::text::bigint)::text::xid8 FROM txplan.events AS e), s.done)) AS behind
FROM txplan.consumers AS c JOIN txplan.consumer_slots AS s ON s.consumer = c.id
WHERE c.name IN ('one clinic', 'nothing')
GROUP BY c.name ORDER BY c.name;
SELECT txplan.drop_consumer(name) FROM txplan.consumers WHERE name IN ('one clinic', 'nothing', 'at once');
-- The last batch begins with what was there when the first was read, and ends with
-- what is new: a note that is kept apart from its row.
SELECT count(*) > 0 AS some FROM txplan.next_events('twice', 1);
SELECT txplan.close_plan(id, 'other', (SELECT string_agg(md5(n::text), ' ') FROM generate_series(1, 250) AS n))
FROM txplan.plans WHERE title = 'new';
SELECT * FROM consumer_test.read_twice('twice', 7000);
SELECT txplan.drop_consumer('twice');
SELECT * FROM consumer_test.read_all('reader', 10);

-- Nothing is handed out by that.
SELECT txplan.create_consumer('selective', types => '{treatment_plan.created}');
SELECT consumer_test.plan('X', 3);
SELECT txplan.pass_events('selective'), txplan.pass_events('selective');
SELECT * FROM consumer_test.next('selective');
SELECT txplan.pass_events('selective');
SELECT * FROM consumer_test.next('selective');
SELECT txplan.finish_events('selective', consumer_test.batch());
SELECT txplan.pass_events('selective');
SELECT * FROM consumer_test.next('selective');
SELECT txplan.drop_consumer('selective');

-- Bad input.
SELECT consumer_test.attempt('SELECT txplan.create_consumer(''reader'')');
SELECT consumer_test.attempt('SELECT txplan.create_consumer(NULL)');
SELECT consumer_test.attempt('SELECT txplan.create_consumer('' '')');
SELECT consumer_test.brief('SELECT txplan.create_consumer(repeat(''x'', 201))');
SELECT consumer_test.attempt('SELECT txplan.create_consumer(''x'', ''{}'')');
SELECT consumer_test.attempt('SELECT txplan.create_consumer(''x'', ''{treatment_plan.created,NULL}'')');
SELECT consumer_test.attempt('SELECT txplan.create_consumer(''x'', ''{treatment_plan.created,treatment_plan.flown}'')');
SELECT consumer_test.attempt('SELECT txplan.create_consumer(''x'', ''{{treatment_plan.created},{treatment_plan.closed}}'')');
SELECT consumer_test.attempt('SELECT txplan.create_consumer(''x'', start => ''yesterday'')');
SELECT consumer_test.brief('SELECT txplan.create_consumer(''x'', start => '''')');
SELECT consumer_test.attempt('SELECT txplan.create_consumer(''x'', max_retries => -1)');
SELECT consumer_test.brief('SELECT txplan.create_consumer(''x'', max_retries => 1001)');
SELECT consumer_test.attempt('SELECT txplan.create_consumer(''x'', clinic_id => txplan.new_id())');
SELECT consumer_test.attempt('SELECT txplan.create_consumer(''x'', plan_id => txplan.new_id())');
SELECT consumer_test.attempt('SELECT txplan.create_consumer(''x'', clinic_id => %L, plan_id => %L)', :'other_clinic', :'plan_c');
SELECT consumer_test.attempt('SELECT txplan.drop_consumer(''nobody'')');
SELECT consumer_test.attempt('SELECT txplan.drop_consumer(NULL)');
SELECT consumer_test.attempt('SELECT txplan.next_events(''nobody'')');
SELECT consumer_test.attempt('SELECT txplan.next_events(NULL)');
SELECT consumer_test.attempt('SELECT txplan.next_events(''reader'', 0)');
SELECT consumer_test.brief('SELECT txplan.next_events(''reader'', -1)');
SELECT consumer_test.brief('SELECT txplan.next_events(''reader'', 10001)');
SELECT count(*) FROM txplan.next_events('reader', NULL);
SELECT txplan.finish_events('reader', batch_id) FROM (SELECT DISTINCT batch_id FROM txplan.next_events('reader')) AS b;
SELECT consumer_test.attempt('SELECT txplan.finish_events(''nobody'', 1)');
SELECT consumer_test.brief('SELECT txplan.finish_events(NULL, 1)');
SELECT consumer_test.attempt('SELECT txplan.finish_events(''reader'', NULL)');
SELECT consumer_test.attempt('SELECT txplan.finish_events(''reader'', %s)', consumer_test.batch()::text);
SELECT n, consumer_test.brief('SELECT txplan.finish_events(''reader'', %s)', n::text)
FROM unnest('{0,-1,9223372036854775807,-9223372036854775808}'::bigint[]) AS n;
SELECT consumer_test.attempt('SELECT txplan.retry_event(''nobody'', 1)');
SELECT consumer_test.attempt('SELECT txplan.retry_event(''reader'', NULL)');
SELECT consumer_test.attempt('SELECT txplan.retry_event(''reader'', %s)', consumer_test.event('X', 1)::text);
SELECT consumer_test.attempt('SELECT txplan.revive_event(''nobody'', 1)');
SELECT consumer_test.attempt('SELECT txplan.revive_event(''reader'', NULL)');
SELECT consumer_test.attempt('SELECT txplan.revive_event(''reader'', %s)', consumer_test.event('X', 1)::text);
SELECT consumer_test.brief('SELECT txplan.pass_events(''nobody'')');
SELECT consumer_test.brief('SELECT txplan.pass_events(NULL)');
-- While a batch is open, and of another consumer.
SELECT consumer_test.plan('Z', 1);
SELECT * FROM consumer_test.next('reader');
SELECT txplan.create_consumer('another');
SELECT consumer_test.attempt('SELECT txplan.finish_events(''another'', %s)', consumer_test.batch()::text);
SELECT consumer_test.attempt('SELECT txplan.retry_event(''another'', %s)', consumer_test.event('Z', 1)::text);
SELECT consumer_test.attempt('SELECT txplan.retry_event(''reader'', %s, ''-1 second'')', consumer_test.event('Z', 1)::text);
SELECT consumer_test.brief('SELECT txplan.retry_event(''reader'', %s, ''1 month -31 days'')', consumer_test.event('Z', 1)::text);
SELECT consumer_test.brief('SELECT txplan.retry_event(''reader'', %s, NULL, repeat(''x'', 10001))', consumer_test.event('Z', 1)::text);
SELECT consumer_test.attempt('SELECT txplan.retry_event(''reader'', %s, ''101 years'')', consumer_test.event('Z', 1)::text);
SELECT txplan.retry_event('reader', consumer_test.event('Z', 1), '1 hour');
SELECT consumer_test.attempt('SELECT txplan.retry_event(''reader'', %s)', consumer_test.event('Z', 1)::text);
SELECT consumer_test.attempt('SELECT txplan.revive_event(''reader'', %s)', consumer_test.event('Z', 1)::text);
SELECT txplan.finish_events('reader', consumer_test.batch());
SELECT consumer_test.attempt('SELECT txplan.finish_events(''reader'', %s)', consumer_test.batch()::text);
-- Dropped while it was read.
SELECT consumer_test.plan('Y');
SELECT count(*) FROM consumer_test.next('another');
SELECT txplan.drop_consumer('another');
SELECT consumer_test.brief('SELECT txplan.finish_events(''another'', %s)', consumer_test.batch()::text);
SELECT txplan.create_consumer('another');
SELECT consumer_test.brief('SELECT txplan.finish_events(''another'', %s)', consumer_test.batch()::text);
SELECT * FROM consumer_test.next('another');
-- Where nothing can be written.
BEGIN READ ONLY;
SELECT consumer_test.attempt('SELECT txplan.next_events(''reader'')');
SELECT consumer_test.brief('SELECT txplan.finish_events(''reader'', 1)');
SELECT consumer_test.brief('SELECT txplan.create_consumer(''x'')');
SELECT consumer_test.brief('SELECT txplan.drop_consumer(''reader'')');
SELECT pending_events, retry_events FROM txplan.consumer_lag WHERE consumer = 'reader';
SELECT count(*) FROM txplan.dead_events;
COMMIT;

-- The tables are the engine's.
SELECT consumer_test.attempt('UPDATE txplan.consumers SET name = ''x''');
SELECT consumer_test.attempt('DELETE FROM txplan.event_origins');
SELECT consumer_test.brief('INSERT INTO txplan.consumers (name, origin, system_identifier, created_by) VALUES (''x'', 1, 1, ''x'')');
SELECT consumer_test.brief('DELETE FROM txplan.consumers');
SELECT consumer_test.brief(format(statement, t)) FROM
	unnest('{consumer_slots,consumer_batches,consumer_retries,consumer_dead}'::text[]) AS t,
	unnest(ARRAY['DELETE FROM txplan.%I', 'UPDATE txplan.%I SET consumer = consumer', 'TRUNCATE txplan.%I']) AS statement
ORDER BY 1;

-- Who may do what: SELECT to see, UPDATE to read, INSERT and DELETE to make and drop.
CREATE ROLE regress_txplan_worker NOLOGIN;
GRANT USAGE ON SCHEMA txplan, consumer_test TO regress_txplan_worker;
SET ROLE regress_txplan_worker;
SELECT consumer_test.attempt('SELECT txplan.next_events(''reader'')');
SELECT consumer_test.brief('SELECT txplan.finish_events(''reader'', 1)');
SELECT consumer_test.brief('SELECT txplan.retry_event(''reader'', 1)');
SELECT consumer_test.brief('SELECT txplan.revive_event(''reader'', 1)');
SELECT consumer_test.brief('SELECT txplan.create_consumer(''x'')');
SELECT consumer_test.brief('SELECT txplan.drop_consumer(''reader'')');
SELECT consumer_test.brief('TABLE txplan.consumer_lag');
RESET ROLE;
GRANT SELECT ON txplan.plans, txplan.consumers TO regress_txplan_worker;
SET ROLE regress_txplan_worker;
SELECT consumer_test.brief('SELECT txplan.next_events(''reader'')');
RESET ROLE;
GRANT UPDATE ON txplan.consumers TO regress_txplan_worker;
SET ROLE regress_txplan_worker;
SELECT * FROM consumer_test.next('reader');
SELECT txplan.finish_events('reader', consumer_test.batch());
RESET ROLE;
DROP OWNED BY regress_txplan_worker;
DROP ROLE regress_txplan_worker;

SELECT fault, detail FROM txplan.audit(:'clinic');
SELECT txplan.drop_consumer(name) FROM txplan.consumers ORDER BY name;
SELECT count(*) FROM txplan.consumer_slots;
SET client_min_messages = warning;
DROP SCHEMA consumer_test CASCADE;
