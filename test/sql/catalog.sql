-- catalog: what a clinic offers; the steps of a treatment add up to its price.

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

SELECT txplan.create_clinic('Catalog clinic', 'UTC') AS clinic \gset
SELECT txplan.create_clinic('Other catalog clinic', 'UTC') AS other \gset
CREATE FUNCTION pg_temp.catalog(clinic uuid)
RETURNS TABLE (code text, name text, category_key text, price numeric, active boolean, steps text)
LANGUAGE sql
BEGIN ATOMIC
	SELECT c.code, c.name, c.category_key, c.price, c.active,
		(SELECT string_agg(concat_ws(' ', s.sequence, s.label, s.price), ', ' ORDER BY s.sequence)
		FROM txplan.catalog_sessions AS s WHERE s.catalog_item_id = c.id)
	FROM txplan.catalog_items AS c WHERE c.clinic_id = clinic ORDER BY c.code COLLATE "C";
END;

-- With and without a template; prices of steps as text or as numbers.
SELECT txplan.create_catalog_item(:'clinic', 'A1', 'Cleaning', 60) AS a1 \gset
SELECT txplan.create_catalog_item(:'clinic', 'A2', 'Crown', 600.50, 'prosthetics',
	'[{"label": "Preparation", "price": "200.00"}, {"label": "Fitting", "price": 400.5}]') AS a2 \gset
SELECT txplan.create_catalog_item(clinic_id => :'clinic', code => 'A3', name => 'Free', price => 0, sessions => '[{"price": 0}, {"label": null, "price": "0.00"}]') AS a3 \gset
SELECT txplan.create_catalog_item(:'clinic', 'A4', 'Long', 500, NULL,
	(SELECT jsonb_agg(jsonb_build_object('label', 'Step ' || n, 'price', 1)) FROM generate_series(1, 500) AS n)) IS NOT NULL AS made;
SELECT txplan.create_catalog_item(:'other', 'A1', 'Cleaning', 70) IS NOT NULL AS other_clinic;
SELECT code, name, category_key, price, active, left(steps, 60) AS steps FROM pg_temp.catalog(:'clinic');

-- A template that does not add up is refused at once.
SELECT pg_temp.attempt('SELECT txplan.create_catalog_item(%L, ''B'', ''B'', 600, NULL, ''[{"price": 200}, {"price": 399.99}]'')', :'clinic');
-- JSON of many shapes.
SELECT j AS sessions, pg_temp.attempt('SELECT txplan.create_catalog_item(%L, %L, ''B'', 10, NULL, %L)', :'clinic', 'B' || n, j)
FROM unnest(ARRAY['[]', '{}', '10', '"x"', 'null', 'true', '[10]', '["10"]', '[null]', '[[{"price": 10}]]', '[{}]', '[{"label": "x"}]',
	'[{"label": 1, "price": 10}]', '[{"label": {}, "price": 10}]', '[{"price": null}]', '[{"price": "ten"}]', 
	'[{"price": "1e1"}]', '[{"price": true}]', '[{"price": []}]', '[{"price": -10}]', '[{"price": "NaN"}]', '[{"price": "Infinity"}]', '[{"price": "10.001"}]',
	'[{"price": 99999999999}]', '[{"price": "10"}, {"price": "0"}, 7]', '[{"Price": 10}]', '[{"price": " 10 "}]', '[{"label": "x", "price": 10, "colour": "red"}]']) WITH ORDINALITY AS u (j, n);
SELECT * FROM pg_temp.catalog(:'clinic') WHERE code LIKE 'B%';
DELETE FROM txplan.catalog_items WHERE clinic_id = :'clinic' AND code LIKE 'B%';
SELECT pg_temp.brief('SELECT txplan.create_catalog_item(%L, ''B'', ''B'', 501, NULL, (SELECT jsonb_agg(''{"price": 1}''::jsonb) FROM generate_series(1, 501)))', :'clinic');
-- The other arguments.
SELECT c, pg_temp.brief('SELECT txplan.create_catalog_item(' || c || ')', :'clinic')
FROM unnest(ARRAY['NULL, ''B'', ''B'', 1', '%L, NULL, ''B'', 1', '%L, ''B'', NULL, 1', '%L, ''B'', ''B'', NULL', '%L, '''', ''B'', 1', '%L, ''B'', '' '', 1', '%L, repeat(''B'', 61), ''B'', 1', '%L, ''B'', repeat(''B'', 201), 1',
	'%L, ''B'', ''B'', -1', '%L, ''B'', ''B'', 1.001', '%L, ''B'', ''B'', ''NaN''', '%L, ''B'', ''B'', 10000000000', '%L, ''B'', ''B'', 1, ''''', '%L, ''B'', ''B'', 1, repeat(''c'', 61)', '%L, ''A1'', ''B'', 1', 'txplan.new_id(), ''B'', ''B'', 1']) AS c;
SELECT count(*) AS items FROM txplan.catalog_items WHERE clinic_id = :'clinic';

-- By plain SQL the sum is checked at commit, so price and steps can change in any
-- order, in one transaction.
BEGIN;
UPDATE txplan.catalog_items SET price = 700 WHERE id = :'a2';
UPDATE txplan.catalog_sessions SET price = 300 WHERE catalog_item_id = :'a2' AND sequence = 1;
UPDATE txplan.catalog_sessions SET price = 400 WHERE catalog_item_id = :'a2' AND sequence = 2;
COMMIT;
SELECT * FROM pg_temp.catalog(:'clinic') WHERE code = 'A2';
\set VERBOSITY terse
BEGIN;
UPDATE txplan.catalog_items SET price = 701 WHERE id = :'a2';
COMMIT;
BEGIN;
DELETE FROM txplan.catalog_sessions WHERE catalog_item_id = :'a2' AND sequence = 2;
COMMIT;
BEGIN;
INSERT INTO txplan.catalog_sessions (clinic_id, catalog_item_id, sequence, price) VALUES (:'clinic', :'a2', 3, 0.01);
COMMIT;
-- Asked earlier, it answers earlier.
BEGIN;
SET CONSTRAINTS txplan.catalog_items_sum, txplan.catalog_sessions_sum IMMEDIATE;
UPDATE txplan.catalog_items SET price = 701 WHERE id = :'a2';
ROLLBACK;
\set VERBOSITY default
SELECT pg_temp.attempt('DO $d$ BEGIN UPDATE txplan.catalog_items SET price = 701 WHERE id = %L; SET CONSTRAINTS ALL IMMEDIATE; END $d$', :'a2');
-- Without a step left there is no template, so any price goes.
BEGIN;
DELETE FROM txplan.catalog_sessions WHERE catalog_item_id = :'a2';
UPDATE txplan.catalog_items SET price = 1 WHERE id = :'a2';
COMMIT;
SELECT * FROM pg_temp.catalog(:'clinic') WHERE code = 'A2';
BEGIN;
INSERT INTO txplan.catalog_sessions (clinic_id, catalog_item_id, sequence, label, price)
VALUES (:'clinic', :'a2', 1, 'One', 0.5), (:'clinic', :'a2', 2, 'Two', 0.5);
COMMIT;
-- Steps can swap places in one statement.
UPDATE txplan.catalog_sessions SET sequence = 3 - sequence WHERE catalog_item_id = :'a2';
SELECT steps FROM pg_temp.catalog(:'clinic') WHERE code = 'A2';
SELECT t.statement, pg_temp.brief(t.statement, :'clinic', :'a2', :'a1', :'other')
FROM (VALUES ('INSERT INTO txplan.catalog_sessions (clinic_id, catalog_item_id, sequence, price) VALUES (%1$L, %2$L, 1, 0)'), ('INSERT INTO txplan.catalog_sessions (clinic_id, catalog_item_id, sequence, price) VALUES (%1$L, %2$L, 0, 0)'),
	('INSERT INTO txplan.catalog_sessions (clinic_id, catalog_item_id, sequence, price) VALUES (%1$L, %2$L, 501, 0)'), ('INSERT INTO txplan.catalog_sessions (clinic_id, catalog_item_id, sequence, price) VALUES (%1$L, %2$L, 3, -1)'),
	('INSERT INTO txplan.catalog_sessions (clinic_id, catalog_item_id, sequence, price) VALUES (%4$L, %2$L, 3, 0)'), ('UPDATE txplan.catalog_sessions SET clinic_id = %4$L WHERE catalog_item_id = %2$L'),
	('UPDATE txplan.catalog_items SET price = -1 WHERE id = %2$L'), ('UPDATE txplan.catalog_items SET price = ''NaN'' WHERE id = %3$L'), ('UPDATE txplan.catalog_items SET code = ''A1'' WHERE id = %2$L'),
	('UPDATE txplan.catalog_items SET clinic_id = %4$L WHERE id = %2$L'), ('UPDATE txplan.catalog_items SET active = false WHERE id = %2$L')) AS t (statement);
-- A step that moves to another item is counted there, and missed here.
SELECT pg_temp.attempt('DO $d$ BEGIN UPDATE txplan.catalog_sessions SET catalog_item_id = %2$L, sequence = 9 WHERE catalog_item_id = %1$L AND sequence = 2; SET CONSTRAINTS ALL IMMEDIATE; END $d$', :'a2', :'a3');
-- An item that a plan was made from stays; its template may go.
SELECT txplan.create_patient(:'clinic', 'a', 'b') AS patient \gset
SELECT txplan.create_plan(:'clinic', :'patient') AS plan \gset
SELECT txplan.add_item(:'plan', :'a1') IS NOT NULL AS added;
SELECT pg_temp.brief('DELETE FROM txplan.catalog_items WHERE id = %L', :'a1');
SELECT pg_temp.brief('DELETE FROM txplan.catalog_items WHERE id = %L', :'a3');
SELECT count(*) AS steps FROM txplan.catalog_sessions WHERE catalog_item_id = :'a3';
-- A template changed in a transaction counts for the next item of it, and a
-- rollback takes that back.
BEGIN;
UPDATE txplan.catalog_items SET price = 20 WHERE id = :'a1';
SELECT txplan.add_item(:'plan', :'a1') IS NOT NULL AS added;
SELECT i.price FROM txplan.items AS i WHERE i.plan_id = :'plan' ORDER BY position;
SAVEPOINT a;
UPDATE txplan.catalog_items SET price = 30 WHERE id = :'a1';
SELECT txplan.add_item(:'plan', :'a1') IS NOT NULL AS added;
ROLLBACK TO a;
SELECT txplan.add_item(:'plan', :'a1') IS NOT NULL AS added;
SELECT i.price FROM txplan.items AS i WHERE i.plan_id = :'plan' ORDER BY position;
COMMIT;

SELECT fault, detail FROM txplan.audit(:'clinic');
