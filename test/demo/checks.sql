-- checks.sql: what must be true at the end of the day, as rows of demo.checks; what
-- was found stands beside what it is compared with.

CREATE TABLE demo.checks (
	place integer GENERATED ALWAYS AS IDENTITY,
	what text NOT NULL,
	found text,
	expected text,
	ok boolean GENERATED ALWAYS AS (found IS NOT NULL AND found = expected) STORED
);

CREATE FUNCTION demo.figures(VARIADIC numbers numeric[])
RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
	SELECT string_agg(btrim(to_char(n, CASE WHEN scale(n) = 0
		THEN 'FM999,999,999,990' ELSE 'FM999,999,999,990.00' END)), ' / ' ORDER BY place)
	FROM unnest(numbers) WITH ORDINALITY AS u (n, place)
$$;

-- Which event each kind of call publishes exactly once, for each row it returns or
-- changes.
CREATE VIEW demo.calls_and_events AS
SELECT k.kind, k.what, k.event,
	(SELECT coalesce(sum(c.row_count), 0) FROM demo.calls AS c
	WHERE c.what = ANY (k.calls) AND c.sqlstate = '00000') AS calls,
	(SELECT count(*) FROM txplan.events AS e CROSS JOIN demo.day AS d
	WHERE e.id >= d.first_event AND e.type = 'treatment_plan.' || k.event
		AND (k.action IS NULL OR e.payload ->> 'action' = k.action)) AS events
FROM (VALUES
	('transitions', 'confirm', 'confirmed', NULL, '{confirm}'::text[]),
	('transitions', 'accept', 'accepted', NULL, '{accept}'),
	('transitions', 'close', 'closed', NULL, '{close}'),
	('transitions', 'reactivate', 'reactivated', NULL, '{reactivate}'),
	('transitions', 'reopen', 'status_changed', 'reopen', '{reopen}'),
	('items', 'add', 'treatment_added', NULL, '{add_item,new_plan}'),
	('items', 'remove', 'treatment_removed', NULL, '{remove_item}'),
	('items', 'cancel session', 'item_session_cancelled', NULL, '{cancel_session}')
) AS k (kind, what, event, action, calls);

INSERT INTO demo.checks (what, found, expected)
SELECT 'plans count their items (all / completed / cancelled)',
	(SELECT demo.figures(sum(p.items_total), sum(p.items_completed), sum(p.items_cancelled))
	FROM txplan.plans AS p),
	(SELECT demo.figures(count(*), count(*) FILTER (WHERE i.status = 'completed'),
		count(*) FILTER (WHERE i.status = 'cancelled'))
	FROM txplan.items AS i);

INSERT INTO demo.checks (what, found, expected)
SELECT 'items count their sessions (all / completed / cancelled)',
	(SELECT demo.figures(sum(i.sessions_total), sum(i.sessions_completed),
		sum(i.sessions_cancelled))
	FROM txplan.items AS i),
	(SELECT demo.figures(count(*), count(*) FILTER (WHERE s.status = 'completed'),
		count(*) FILTER (WHERE s.status = 'cancelled'))
	FROM txplan.sessions AS s);

INSERT INTO demo.checks (what, found, expected)
SELECT 'sessions share the price of their item, where none is cancelled',
	(SELECT demo.figures(sum(i.price)) FROM txplan.items AS i WHERE i.sessions_cancelled = 0),
	(SELECT demo.figures(sum(s.amount))
	FROM txplan.sessions AS s
	JOIN txplan.items AS i ON i.id = s.item_id AND i.clinic_id = s.clinic_id
	WHERE i.sessions_cancelled = 0);

INSERT INTO demo.checks (what, found, expected)
SELECT 'earned entries are the completed sessions (number / amount)',
	(SELECT demo.figures(count(*), sum(e.amount)) FROM txplan.earned_entries AS e),
	(SELECT demo.figures(count(*), sum(s.amount)) FROM txplan.sessions AS s
	WHERE s.status = 'completed');

INSERT INTO demo.checks (what, found, expected)
SELECT 'events item_session_completed tell the same (number / amount)',
	(SELECT demo.figures(count(*), sum((e.payload ->> 'amount')::numeric))
	FROM txplan.events AS e
	WHERE e.type = 'treatment_plan.item_session_completed'),
	(SELECT demo.figures(count(*), sum(s.amount)) FROM txplan.sessions AS s
	WHERE s.status = 'completed');

INSERT INTO demo.checks (what, found, expected)
SELECT 'history knows each completion (sessions / items / plans)',
	(SELECT demo.figures(
		count(*) FILTER (WHERE h.what = 'session_status'),
		count(*) FILTER (WHERE h.what = 'item_status'),
		count(*) FILTER (WHERE h.what = 'status'))
	FROM txplan.history AS h
	WHERE h.to_value = 'completed'),
	(SELECT demo.figures(
		(SELECT count(*) FROM txplan.sessions AS s WHERE s.status = 'completed'),
		(SELECT count(*) FROM txplan.items AS i WHERE i.status = 'completed'),
		(SELECT count(*) FROM txplan.plans AS p WHERE p.status = 'completed')));

INSERT INTO demo.checks (what, found, expected)
SELECT 'events are the versions of the plans, none twice, none missing',
	(SELECT demo.figures(count(*)) FROM (SELECT DISTINCT e.plan_id, e.plan_version
		FROM txplan.events AS e
		JOIN txplan.plans AS p ON p.id = e.plan_id AND p.clinic_id = e.clinic_id
		WHERE e.plan_version BETWEEN 1 AND p.version) AS v),
	(SELECT demo.figures(sum(p.version)) FROM txplan.plans AS p);

INSERT INTO demo.checks (what, found, expected)
SELECT format('calls that worked, and events of theirs: %s', c.kind),
	string_agg(format('%s %s', c.what, demo.figures(c.calls)), ', ' ORDER BY c.what),
	string_agg(format('%s %s', c.what, demo.figures(c.events)), ', ' ORDER BY c.what)
FROM demo.calls_and_events AS c
GROUP BY c.kind
ORDER BY c.kind DESC;

INSERT INTO demo.checks (what, found, expected)
SELECT 'plan numbers: issued, and plans that bear one',
	(SELECT demo.figures(sum(n.last_number)) FROM txplan.number_counters AS n
	WHERE n.kind = 'plan'),
	(SELECT demo.figures(count(DISTINCT (p.clinic_id, p.number))) FROM txplan.plans AS p);

INSERT INTO demo.checks (what, found, expected)
SELECT 'events published, and heard of by the listener',
	(SELECT demo.figures(count(*)) FROM txplan.events),
	(SELECT demo.figures(sum(h.events)) FROM demo.heard AS h);

INSERT INTO demo.checks (what, found, expected)
SELECT 'events heard of one by one, and found in the table as told',
	(SELECT demo.figures(count(*)) FROM demo.heard AS h WHERE h.id IS NOT NULL),
	(SELECT demo.figures(count(DISTINCT e.id))
	FROM demo.heard AS h
	JOIN txplan.events AS e ON e.id = h.id AND e.type = h.type AND e.plan_id = h.plan_id);

INSERT INTO demo.checks (what, found, expected)
SELECT 'every call ended: done, or refused for a reason that is foreseen',
	(SELECT demo.figures(count(*) FILTER (WHERE c.sqlstate LIKE 'TX0__'
		OR c.sqlstate IN ('00000', '40001', '40P01', '23505', '22023', 'P0002')))
	FROM demo.calls AS c),
	demo.figures(:calls_made);

INSERT INTO demo.checks (what, found, expected)
SELECT 'txplan.audit() finds', count(*) || ' faults', '0 faults'
FROM txplan.audit();

INSERT INTO demo.checks (what, found, expected)
SELECT 'txplan.verify_history() finds', count(*) || ' faults', '0 faults'
FROM txplan.verify_history();

INSERT INTO demo.checks (what, found, expected)
SELECT 'txplan.check_workflow(''dental'') finds', count(*) || ' faults', '0 faults'
FROM txplan.check_workflow('dental');
