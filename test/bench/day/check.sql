-- day/check.sql: do the contenders' days leave the same behind?
--
-- Ids differ, since each made its own, so what is compared is how many plans,
-- events, rows of history and entries there are of each kind, each plan's versions
-- and sums, and which keys the payloads have.  Prints contender, what, and same or
-- different.

\set QUIET 1

SELECT format($$
	CREATE TEMPORARY VIEW facts_%1$s AS
	SELECT 'plan' AS what, concat_ws(' ', p.status, p.items_total, p.items_completed,
		p.items_cancelled, p.version, p.history_length, p.confirmed_at IS NULL,
		p.activated_at IS NULL, p.completed_at IS NULL, p.closed_at IS NULL,
		p.closure_reason) AS fact
	FROM %1$s.plans AS p WHERE p.title = 'day'
	UNION ALL
	SELECT 'item', concat_ws(' ', i.position, i.description, i.price, i.status, i.live,
		i.sessions_total, i.sessions_completed, i.sessions_cancelled)
	FROM %1$s.plans AS p JOIN %1$s.items AS i ON i.plan_id = p.id WHERE p.title = 'day'
	UNION ALL
	SELECT 'session', concat_ws(' ', s.sequence, s.label, s.amount, s.status)
	FROM %1$s.plans AS p JOIN %1$s.sessions AS s ON s.plan_id = p.id WHERE p.title = 'day'
	UNION ALL
	SELECT 'entry', concat_ws(' ', e.description, e.amount)
	FROM %1$s.plans AS p JOIN %1$s.earned_entries AS e ON e.plan_id = p.id WHERE p.title = 'day'
	UNION ALL
	SELECT 'event', concat_ws(' ', e.plan_version, e.type,
		(SELECT string_agg(k, ',' ORDER BY k) FROM jsonb_object_keys(e.payload) AS k),
		e.payload ->> 'amount', e.payload ->> 'total', e.payload ->> 'unit_price',
		e.payload ->> 'items_reassigned', e.payload ->> 'label')
	FROM %1$s.plans AS p JOIN %1$s.events AS e ON e.plan_id = p.id WHERE p.title = 'day'
	UNION ALL
	SELECT 'history', concat_ws(' ', h.sequence, h.what, h.action, h.reason,
		CASE WHEN h.what LIKE '%%status' THEN h.from_value || h.to_value END)
	FROM %1$s.plans AS p JOIN %1$s.history AS h ON h.plan_id = p.id WHERE p.title = 'day'
	$$, c.schema)
FROM (VALUES ('txplan'), ('rules_in_plpgsql'), ('application')) AS c (schema)
\gexec

SELECT format($$
	SELECT %1$L, 'day: all facts', (SELECT count(*) FROM facts_%1$s),
		coalesce('different: txplan ' || (SELECT string_agg(d::text, ' | ') FROM (
			TABLE facts_txplan EXCEPT ALL TABLE facts_%1$s LIMIT 3) AS d), 'same')
		|| coalesce(' different: ' || %1$L || ' ' || (SELECT string_agg(d::text, ' | ') FROM (
			TABLE facts_%1$s EXCEPT ALL TABLE facts_txplan LIMIT 3) AS d), '')
	$$, c.schema)
FROM (VALUES ('rules_in_plpgsql'), ('application')) AS c (schema)
\gexec
