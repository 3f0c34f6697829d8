-- waits.sql: what the clients wait for, 50 times a second, until it is ended.
SELECT coalesce(wait_event_type || ': ' || wait_event, 'working'), count(*)
FROM pg_stat_activity
WHERE application_name = 'pgbench'
GROUP BY 1
\watch 0.02
