-- id: identifiers of version 7, which sort by the time they were made.

SELECT txplan.install() IS NOT NULL AS installed;

-- Version and variant as RFC 9562 has them, and the time in front: within a second
-- of now.
SELECT id::text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' AS version_7,
	abs(('x' || translate(left(id::text, 13), '-', ''))::bit(48)::bigint - extract(epoch FROM clock_timestamp()) * 1000) < 1000 AS now
FROM txplan.new_id() AS id;
-- 100,000 in one session: each of its own, all of that form, each above the one
-- before, as uuid and as text.
CREATE TEMP TABLE made AS SELECT n, txplan.new_id() AS id FROM generate_series(1, 100000) AS n;
SELECT count(DISTINCT id) AS "distinct",
	count(*) FILTER (WHERE id::text ~ '^.{14}7.{4}[89ab]') AS version_7
FROM made;
SELECT count(*) AS out_of_order
FROM (SELECT id, lag(id) OVER (ORDER BY n) AS before FROM made) AS m
WHERE id <= before OR id::text COLLATE "C" <= before::text COLLATE "C";
-- The random part is random: each of its bits is set about as often as not.
SELECT count(*) FILTER (WHERE share NOT BETWEEN 0.45 AND 0.55) AS skewed, count(*) AS bits
FROM (SELECT b, avg(substr(('x' || right(replace(id::text, '-', ''), 15))::bit(60)::text, b, 1)::integer) AS share
	FROM made, generate_series(1, 60) AS b WHERE n <= 5000 GROUP BY b) AS s;
-- They go on rising across statements and transactions, and after a rollback.
BEGIN;
SELECT txplan.new_id() AS first \gset
ROLLBACK;
SELECT txplan.new_id() AS second \gset
SELECT :'second'::uuid > :'first'::uuid AS rises, :'first'::uuid > (SELECT max(id::text)::uuid FROM made) AS rose;
-- It is volatile, so a row each; and the default of every id of the record.
SELECT count(DISTINCT txplan.new_id()) FROM generate_series(1, 10);
SELECT c.relname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'id' AND a.atttypid = 'uuid'::regtype
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'txplan'::regnamespace AND c.relkind IN ('r', 'p') AND pg_get_expr(d.adbin, d.adrelid) IS DISTINCT FROM 'txplan.new_id()';
