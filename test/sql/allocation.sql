-- allocation: splitting money so that the parts add up to the cent.

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

-- By hand.
SELECT v.total, v.weights, txplan.split_amount(v.total, v.weights) AS parts
FROM (VALUES
	(100, '{1,1,1}'::numeric[]), (100, '{1,1,1,1,1,1}'), (0.01, '{1,1,1}'), (0.02, '{1,1,1}'), (600, '{200,400}'),
	(100.01, '{200,400}'), (99.99, '{50,50}'), (10, '{1}'), (10, '{0}'), (0, '{1,2,3}'), (10, '{0,0,0}'), (0.05, '{0,0}'),
	(10, '{0,5,0}'), (0.01, '{0,5,0}'), (9999999999.99, '{1,1,1}'), (9999999999.99, '{9999999999.99,9999999999.99,0.01}'),
	(1, '{0.01,0.02,0.97}'), (0, '{0}'), (1.50, '{3.00,1.00,1}'), (7, '{1.0,1.00,1.000}')
) AS v (total, weights);
-- Where remainders tie, the later part takes the cent.
SELECT n, txplan.split_amount(n * 0.01, '{1,1,1,1,1}') AS parts FROM generate_series(0, 6) AS n;
SELECT txplan.split_amount(0.03, '{1,2,1,2}') AS later_first;

-- The same by SQL: floor of the exact share, then a cent each to the largest
-- remainders, the later part where they tie.
CREATE FUNCTION pg_temp.split(total numeric, weights numeric[])
RETURNS numeric[]
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
	WITH w AS (
		SELECT n, CASE WHEN (SELECT sum(x) FROM unnest(weights) AS x) = 0 THEN 1 ELSE x END AS weight
		FROM unnest(weights) WITH ORDINALITY AS u (x, n)
	), shares AS (
		SELECT n, div(total * 100 * weight, sum(weight) OVER ()) AS cents,
			mod(total * 100 * weight, sum(weight) OVER ()) AS rest
		FROM w
	), ranked AS (
		SELECT n, cents, row_number() OVER (ORDER BY rest DESC, n DESC) AS place,
			total * 100 - sum(cents) OVER () AS left_over
		FROM shares
	)
	SELECT array_agg(((cents + CASE WHEN place <= left_over THEN 1 ELSE 0 END) / 100)::numeric(12,2) ORDER BY n)
	FROM ranked;
END;
-- 4,000 random splits, the same at every run: small and large totals, few and many
-- parts, weights of all sizes, with zeros.
SELECT setseed(0.42);
CREATE TEMP TABLE cases AS
SELECT n, trunc((random() * power(10, (n % 11)))::numeric, 2) AS total,
	(SELECT array_agg(CASE WHEN random() < 0.2 THEN 0 ELSE trunc((random() * power(10, (k + n) % 11))::numeric, 2) END)
		FROM generate_series(1, 1 + n % 37) AS k) AS weights
FROM generate_series(1, 4000) AS n;
CREATE TEMP TABLE results AS SELECT *, txplan.split_amount(total, weights) AS parts FROM cases;
SELECT count(*) AS splits, count(DISTINCT cardinality(weights)) AS lengths,
	count(*) FILTER (WHERE parts <> pg_temp.split(total, weights)) AS differ,
	count(*) FILTER (WHERE (SELECT sum(p) FROM unnest(parts) AS p) <> total) AS do_not_add_up,
	count(*) FILTER (WHERE cardinality(parts) <> cardinality(weights)) AS lost,
	count(*) FILTER (WHERE (SELECT min(p) FROM unnest(parts) AS p) < 0) AS negative
FROM results;
-- Every part is within a cent of its exact share, and a weight of zero gets nothing
-- unless all are zero.
SELECT count(*) FILTER (WHERE abs(p - r.total * w / s.sum) >= 0.01) AS off,
	count(*) FILTER (WHERE w = 0 AND p > 0) AS for_nothing
FROM results AS r, LATERAL (SELECT sum(x) FROM unnest(r.weights) AS x) AS s (sum), LATERAL unnest(r.parts, r.weights) AS u (p, w)
WHERE s.sum > 0;
-- Every number of parts from 1 to 500.
SELECT count(*) AS lengths, bool_and((SELECT sum(p) FROM unnest(parts) AS p) = 1234.56) AS exact, bool_and(cardinality(parts) = n) AS all_parts
FROM (SELECT n, txplan.split_amount(1234.56, (SELECT array_agg(k % 7) FROM generate_series(1, n) AS k)) AS parts
	FROM generate_series(1, 500) AS n) AS s;
SELECT (SELECT sum(p) FROM unnest(parts) AS p) AS sum, parts[1], parts[500]
FROM txplan.split_amount(9999999999.99, array_fill(9999999999.99, ARRAY[500])) AS parts;

-- What cannot be split.
SELECT v.total, left(v.weights, 30) AS weights, pg_temp.attempt('SELECT txplan.split_amount(%s, %s)', v.total, v.weights)
FROM (VALUES ('NULL', '''{1}'''), ('1', 'NULL'), ('1', '''{}'''), ('1', '''{1,NULL}'''), ('1', '''{{1,2},{3,4}}'''), ('-0.01', '''{1}'''),
	('1.005', '''{1}'''), ('''NaN''', '''{1}'''), ('''Infinity''', '''{1}'''), ('10000000000', '''{1}'''), ('1', '''{1,-1}'''),
	('1', '''{NaN}'''), ('1', '''{Infinity}'''), ('1', '''{0.001}'''), ('1', '''{10000000000}'''), ('1', 'array_fill(1, ARRAY[501])')) AS v (total, weights);
