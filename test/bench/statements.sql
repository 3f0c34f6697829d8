-- statements.sql: the statements behind :runs completions (or rows), from
-- pg_stat_statements: calls and microseconds for each of them, how often each was planned, and its
-- text.  Statements that others call count in their callers' time too.
SELECT round(s.calls::numeric / :runs, 3) AS calls,
	round((s.total_exec_time * 1000 / :runs)::numeric, 1) AS microseconds,
	s.plans,
	s.toplevel,
	left(regexp_replace(s.query, '\s+', ' ', 'g'), 110) AS statement
FROM pg_stat_statements AS s
WHERE s.total_exec_time * 1000 >= 0.5 * :runs
	AND s.query !~ 'pg_stat_|^(BEGIN|COMMIT|VACUUM|CHECKPOINT|SET|DEALLOCATE)'
	AND s.dbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
ORDER BY s.total_exec_time DESC
LIMIT 30;
