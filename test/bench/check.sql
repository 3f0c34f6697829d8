-- check.sql: do the contenders write what txplan writes?
--
-- psql -v title=check [-v contenders=bare,...] -f check.sql: compares the rows of
-- the plans of that title, table by table, but for what must differ: ids that were
-- made, times, hashes.  Prints contender, table, rows, and same or different.

\set QUIET 1
\if :{?contenders}
\else
\set contenders bare,rules_in_plpgsql,application
\endif

SELECT format($$
	WITH ours AS (
		SELECT %3$s AS fact FROM txplan.%2$I AS r
		JOIN txplan.plans AS p ON p.id = %4$s WHERE p.title LIKE %5$L
	), theirs AS (
		SELECT %3$s AS fact FROM %1$I.%2$I AS r
		JOIN txplan.plans AS p ON p.id = %4$s WHERE p.title LIKE %5$L
	)
	SELECT %1$L, %2$L, (SELECT count(*) FROM theirs),
		coalesce('different: txplan ' || (SELECT string_agg(d.fact::text, ' | ') FROM (
				TABLE ours EXCEPT ALL TABLE theirs LIMIT 1) AS d), 'same')
		|| coalesce(' different: ' || %1$L || ' ' || (SELECT string_agg(d.fact::text, ' | ') FROM (
				TABLE theirs EXCEPT ALL TABLE ours LIMIT 1) AS d), '')
	$$, c.schema, t.name, t.fact, t.plan, :'title' || '%')
FROM unnest(string_to_array(:'contenders', ',')) AS c (schema)
CROSS JOIN (VALUES
	('plans', 'r.id', '(to_jsonb(r) || jsonb_build_object(''completed'', r.completed_at IS NOT NULL))
		- ''{history_head,updated_at,completed_at,status_changed_at,stage,search_text,professional_ids}''::text[]'),
	('items', 'r.plan_id', 'to_jsonb(r) - ''{created_at,updated_at,completed_at}''::text[]'),
	('sessions', 'r.plan_id', 'to_jsonb(r) - ''{id,created_at,updated_at,completed_at}''::text[]'),
	('earned_entries', 'r.plan_id', 'to_jsonb(r) - ''{id,created_at,updated_at,earned_at}''::text[]'),
	('events', 'r.plan_id', 'to_jsonb(r) - ''{id,xid,occurred_at,payload}''::text[]
		|| r.payload - ''{event_id,occurred_at}''::text[]'),
	('history', 'r.plan_id', 'to_jsonb(r) - ''{id,at,hash,created_at,updated_at}''::text[]')
) AS t (name, plan, fact)
ORDER BY c.schema, t.name
\gexec
