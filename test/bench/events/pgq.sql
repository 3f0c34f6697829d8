-- pgq.sql: the same events in a queue of PgQ, cut into batches of a size.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pgq CASCADE;
CREATE EXTENSION pgq;
SELECT pgq.create_queue('bench');
SELECT pgq.set_queue_config('bench', 'ticker_max_count', '1');
SELECT pgq.set_queue_config('bench', 'ticker_max_lag', '0');
SELECT pgq.ticker();
SELECT pgq.register_consumer('bench', 'reader');
CREATE TEMPORARY TABLE e AS
SELECT row_number() OVER (ORDER BY e.id) - 1 AS n, e.type, e.payload::text AS data,
	e.plan_id::text AS plan, e.clinic_id::text AS clinic
FROM txplan.events AS e
ORDER BY e.id LIMIT :events;
CREATE INDEX ON e (n);
CREATE PROCEDURE pg_temp.fill(size bigint, total bigint) LANGUAGE plpgsql AS $$
BEGIN
	FOR batch IN 0 .. total / size - 1 LOOP
		PERFORM pgq.insert_event('bench', e.type, e.data, e.plan, e.clinic, NULL, NULL)
		FROM e WHERE e.n BETWEEN batch * size AND batch * size + size - 1;
		COMMIT;
		PERFORM pgq.force_tick('bench');
		PERFORM pgq.ticker('bench');
		COMMIT;
	END LOOP;
END $$;
CALL pg_temp.fill(:size, :events);
ANALYZE;
