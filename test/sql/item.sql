-- item: adding, changing, ordering and removing the treatments of a plan, by
-- functions and by every statement that SQL has for it.

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

SET txplan.actor = 'dentist';
SELECT txplan.create_clinic('Item clinic', 'UTC') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada') AS ada \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ben') AS ben \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Left') AS dr_left \gset
SELECT txplan.create_patient(:'clinic', 'Zoë', 'Ångström') AS patient \gset
SELECT txplan.create_catalog_item(:'clinic', 'CLEAN', 'Cleaning', 60, 'preventive') AS cleaning \gset
SELECT txplan.create_catalog_item(:'clinic', 'CROWN', 'Crown', 600, 'prosthetics',
	'[{"label": "Preparation", "price": 200}, {"label": "Fitting", "price": 400}]') AS crown \gset
SELECT txplan.create_catalog_item(:'clinic', 'FREE', 'Warranty', 0, NULL,
	'[{"price": 0}, {"price": 0}, {"price": 0}]') AS free \gset
SELECT txplan.create_catalog_item(:'clinic', 'OLD', 'Amalgam', 40) AS old \gset
UPDATE txplan.catalog_items SET active = false WHERE id = :'old';
SELECT txplan.create_clinic('Other item clinic', 'UTC') AS other_clinic \gset
SELECT txplan.create_patient(:'other_clinic', 'Other', 'Patient') AS other_patient \gset
SELECT txplan.create_professional(:'other_clinic', 'Dr. Other') AS other_doctor \gset
SELECT txplan.create_catalog_item(:'other_clinic', 'CLEAN', 'Cleaning', 60) AS other_cleaning \gset
SELECT txplan.create_plan(:'other_clinic', :'other_patient') AS other_plan \gset

-- What a plan's items and sessions look like.
CREATE FUNCTION pg_temp.items(plan uuid)
RETURNS TABLE ("position" integer, description text, category text, price numeric,
	doctor text, status text, sessions text)
LANGUAGE sql
BEGIN ATOMIC
	SELECT i.position, i.description, i.category_key, i.price, d.name, i.status,
		i.sessions_completed || '/' || i.sessions_total || ': ' || (
			SELECT string_agg(concat_ws(' ', s.label, s.amount), ', ' ORDER BY s.sequence)
			FROM txplan.sessions AS s WHERE s.item_id = i.id)
	FROM txplan.items AS i
	LEFT JOIN txplan.professionals AS d ON d.id = i.professional_id
	WHERE i.plan_id = plan
	ORDER BY i.position;
END;

-- From the catalog: name, category and price as they are now; a session for each
-- step of the template, else one of the whole price; the plan's doctor.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS plan \gset
SELECT txplan.add_item(:'plan', :'cleaning') AS first \gset
SELECT txplan.add_item(:'plan', :'crown') AS second \gset
SELECT txplan.add_item(:'plan', :'free') AS third \gset
-- With a price of its own, split as the template splits; another text and doctor.
SELECT txplan.add_item(:'plan', :'crown', 'Ceramic crown', 100.01, professional_id => :'ben') AS fourth \gset
-- Without the catalog.
SELECT txplan.add_item(plan_id => :'plan', description => 'Consultation', price => 0,
	notes => 'by phone', clinic_id => :'clinic') AS fifth \gset
SELECT * FROM pg_temp.items(:'plan');
-- The plan counts them; each was told once.
SELECT items_total, items_completed, items_cancelled, version FROM txplan.plans WHERE id = :'plan';
SELECT plan_version, type, payload ->> 'unit_price' AS price FROM txplan.events WHERE plan_id = :'plan' ORDER BY id;
-- A snapshot: what the catalog becomes later does not change it.
BEGIN;
UPDATE txplan.catalog_items SET name = 'Crown, zirconia', price = 900, category_key = 'new' WHERE id = :'crown';
UPDATE txplan.catalog_sessions SET price = 450 WHERE catalog_item_id = :'crown';
COMMIT;
SELECT description, category, price, sessions FROM pg_temp.items(:'plan') WHERE position = 2;
SELECT txplan.add_item(:'plan', :'crown') AS sixth \gset
SELECT description, category, price, sessions FROM pg_temp.items(:'plan') WHERE position = 6;
-- A plan without a doctor gives none.
SELECT txplan.create_plan(:'clinic', :'patient') AS no_doctor \gset
SELECT txplan.add_item(:'no_doctor', :'cleaning') IS NOT NULL AS added;
SELECT doctor FROM pg_temp.items(:'no_doctor');

-- What cannot be added.
SELECT pg_temp.attempt('SELECT txplan.add_item(NULL)');
SELECT pg_temp.attempt('SELECT txplan.add_item(%L)', :'plan');
SELECT pg_temp.attempt('SELECT txplan.add_item(%L, NULL, ''x'')', :'plan');
SELECT pg_temp.attempt('SELECT txplan.add_item(%L, NULL, NULL, 5)', :'plan');
SELECT pg_temp.brief('SELECT txplan.add_item(%L, %L)', gen_random_uuid()::text, :'cleaning');
SELECT pg_temp.brief('SELECT txplan.add_item(%L, %L)', :'plan', gen_random_uuid()::text);
SELECT pg_temp.attempt('SELECT txplan.add_item(%L, %L)', :'plan', :'old');
SELECT pg_temp.attempt('SELECT txplan.add_item(%L, %L)', :'plan', :'other_cleaning');
UPDATE txplan.professionals SET active = false WHERE id = :'dr_left';
SELECT pg_temp.brief('SELECT txplan.add_item(%L, %L, professional_id => %L)', :'plan', :'cleaning', :'dr_left');
SELECT pg_temp.brief('SELECT txplan.add_item(%L, %L, professional_id => %L)', :'plan', :'cleaning', :'other_doctor');
SELECT pg_temp.brief('SELECT txplan.add_item(%L, %L, professional_id => %L)', :'plan', :'cleaning', gen_random_uuid()::text);
SELECT pg_temp.brief('SELECT txplan.add_item(%L, %L, clinic_id => %L)', :'plan', :'cleaning', :'other_clinic');
SELECT pg_temp.attempt('SELECT txplan.add_item(%L, NULL, ''x'', -0.01)', :'plan');
SELECT p AS price, pg_temp.brief('SELECT txplan.add_item(%L, NULL, ''x'', %L)', :'plan', p)
FROM unnest(ARRAY['-1', '0.001', '1.999', 'NaN', 'Infinity', '-Infinity', '10000000000', '9999999999.991', '1e300']) AS p;
SELECT pg_temp.attempt('SELECT txplan.add_item(%L, NULL, repeat(''x'', 501), 1)', :'plan');
SELECT pg_temp.brief('SELECT txplan.add_item(%L, NULL, ''   '', 1)', :'plan');
SELECT pg_temp.brief('SELECT txplan.add_item(%L, NULL, ''x'', 1, treatment_ref => repeat(''x'', 201))', :'plan');
SELECT pg_temp.brief('SELECT txplan.add_item(%L, NULL, ''x'', 1, treatment_ref => '''')', :'plan');
SELECT pg_temp.brief('SELECT txplan.add_item(%L, NULL, ''x'', 1, notes => repeat(''x'', 100001))', :'plan');
SELECT txplan.add_item(:'plan', NULL, repeat('é', 500), 9999999999.99) IS NOT NULL AS added;

-- Teeth are those of ISO 3950.
SELECT count(*) AS teeth, min(t) AS lowest, max(t) AS highest
FROM generate_series(-5, 120) AS t
WHERE pg_temp.attempt('DO $d$ BEGIN PERFORM txplan.add_item(%L, NULL, ''x'', 1, %s); RAISE EXCEPTION USING ERRCODE = ''ZZ000''; END $d$', :'plan', t::text) LIKE 'ZZ000%';
SELECT pg_temp.attempt('SELECT txplan.add_item(%L, NULL, ''x'', 1, 19)', :'plan');
SELECT pg_temp.brief('SELECT txplan.add_item(%L, NULL, ''x'', 1, 2147483647)', :'plan');
SELECT pg_temp.attempt('INSERT INTO txplan.items (clinic_id, plan_id, description, price, tooth) VALUES (%L, %L, ''x'', 1, 86)', :'clinic', :'plan');
-- Surfaces are those that the tooth has: function and table agree.
SELECT t.tooth, t.surfaces, f.said = 'done' AS fits, (f.said = 'done') = (d.said = 'done') AS agree
FROM (VALUES (16, 'MOD'), (16, 'BLPMDO'), (16, 'I'), (11, 'MIDFP'), (11, 'O'), (11, 'B'),
	(36, 'P'), (36, 'L'), (46, 'MODBLV'), (31, 'I'), (31, 'P'), (54, 'O'), (53, 'I'), (53, 'O'),
	(75, 'P'), (65, 'P'), (16, 'MM'), (16, 'm'), (16, 'X'), (16, ''), (NULL, 'M')) AS t (tooth, surfaces),
LATERAL (SELECT pg_temp.brief('SELECT txplan.add_item(%L, NULL, ''x'', 1, %L, %L)', :'no_doctor', t.tooth::text, t.surfaces) AS said) AS f,
LATERAL (SELECT pg_temp.brief('INSERT INTO txplan.items (clinic_id, plan_id, description, price, tooth, surfaces) VALUES (%L, %L, ''x'', 1, %L, %L)', :'clinic', :'no_doctor', t.tooth::text, t.surfaces) AS said) AS d;
SELECT s, pg_temp.attempt('SELECT txplan.add_item(%L, NULL, ''x'', 1, %L, %L)', :'plan', tooth, s)
FROM (VALUES ('16', 'XY'), ('16', 'MOM'), ('11', 'O'), ('16', 'F'), ('36', 'P'), (NULL, 'M'), ('16', '')) AS t (tooth, s);
SELECT pg_temp.attempt('UPDATE txplan.items SET tooth = 36, surfaces = ''MOP'' WHERE id = %L', :'first');

-- By INSERT: the same, and RETURNING shows what the engine filled in.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS dml \gset
INSERT INTO txplan.items (clinic_id, plan_id, catalog_item_id)
VALUES (:'clinic', :'dml', :'cleaning'), (:'clinic', :'dml', :'crown')
RETURNING position, description, category_key, price, professional_id = :'ada' AS ada,
	status, live, sessions_total, sessions_completed;
INSERT INTO txplan.items (clinic_id, plan_id, catalog_item_id, price, position)
VALUES (:'clinic', :'dml', :'crown', 99.99, 10), (:'clinic', :'dml', :'crown', 0, NULL);
-- An ORM that writes all columns writes the defaults, too.
INSERT INTO txplan.items (clinic_id, plan_id, description, price, status, live,
	sessions_total, sessions_completed, sessions_cancelled, completed_at)
VALUES (:'clinic', :'dml', 'Splint', 120, 'pending', true, 0, 0, 0, NULL);
SELECT * FROM pg_temp.items(:'dml');
SELECT items_total, version FROM txplan.plans WHERE id = :'dml';
-- COPY is an INSERT like any other; here with ids that the client chose.
INSERT INTO txplan.clinics (id, name, time_zone)
VALUES ('c0000000-0000-7000-8000-000000000001', 'Copy clinic', 'UTC');
INSERT INTO txplan.patients (id, clinic_id, first_name, last_name)
VALUES ('a0000000-0000-7000-8000-000000000001', 'c0000000-0000-7000-8000-000000000001', 'Copy', 'Patient');
COPY txplan.plans (id, clinic_id, patient_id, title) FROM stdin;
b0000000-0000-7000-8000-000000000001	c0000000-0000-7000-8000-000000000001	a0000000-0000-7000-8000-000000000001	One
b0000000-0000-7000-8000-000000000002	c0000000-0000-7000-8000-000000000001	a0000000-0000-7000-8000-000000000001	Two
\.
COPY txplan.items (clinic_id, plan_id, description, price, tooth) FROM stdin;
c0000000-0000-7000-8000-000000000001	b0000000-0000-7000-8000-000000000001	Filling	80.00	16
c0000000-0000-7000-8000-000000000001	b0000000-0000-7000-8000-000000000002	Filling	90.00	26
c0000000-0000-7000-8000-000000000001	b0000000-0000-7000-8000-000000000001	Root canal	300.10	36
\.
SELECT regexp_replace(p.number, '\d{4}', 'YYYY') AS number, p.title, p.items_total, p.version, i.*
FROM txplan.plans AS p, LATERAL pg_temp.items(p.id) AS i
WHERE p.clinic_id = 'c0000000-0000-7000-8000-000000000001' ORDER BY p.number, i.position;
-- One bad line refuses all of it.
\set VERBOSITY terse
COPY txplan.items (clinic_id, plan_id, description, price, tooth) FROM stdin;
c0000000-0000-7000-8000-000000000001	b0000000-0000-7000-8000-000000000001	Filling	80.00	16
c0000000-0000-7000-8000-000000000001	b0000000-0000-7000-8000-000000000001	Filling	80.00	99
\.
COPY txplan.items (clinic_id, plan_id, description, price, sessions_total) FROM stdin;
c0000000-0000-7000-8000-000000000001	b0000000-0000-7000-8000-000000000001	Filling	80.00	3
\.
\set VERBOSITY default
SELECT sum(items_total) AS items FROM txplan.plans WHERE clinic_id = 'c0000000-0000-7000-8000-000000000001';

-- A client cannot bring what the engine gives.
SELECT c.name, pg_temp.brief('INSERT INTO txplan.items (clinic_id, plan_id, description, price, %I) VALUES (%L, %L, ''x'', 1, %L)',
	c.name, :'clinic', :'dml', c.value)
FROM (VALUES ('status', 'completed'), ('live', 'false'), ('sessions_total', '2'), ('sessions_completed', '1'),
	('sessions_cancelled', '1'), ('completed_at', '2026-01-01'), ('completed_by', 'me'), ('completed_via', 'session')) AS c (name, value);
SELECT c.name, pg_temp.brief('UPDATE txplan.items SET %I = %L WHERE plan_id = %L', c.name, c.value, :'dml')
FROM (VALUES ('status', 'completed'), ('status', 'cancelled'), ('live', 'false'), ('sessions_total', '2'), ('sessions_completed', '1'),
	('sessions_cancelled', '1'), ('completed_at', '2026-01-01'), ('completed_by', 'me'), ('completed_via', 'session'),
	('created_at', '2026-01-01'), ('id', :'plan'), ('clinic_id', :'other_clinic'), ('plan_id', :'plan'), ('catalog_item_id', :'free')) AS c (name, value);
SELECT pg_temp.attempt('UPDATE txplan.items SET status = ''completed'' WHERE id = %L', :'first');
-- Nor put an item into a plan of another clinic, or into none.
SELECT pg_temp.attempt('INSERT INTO txplan.items (clinic_id, plan_id, description, price) VALUES (%L, %L, ''x'', 1)', :'clinic', :'other_plan');
SELECT pg_temp.brief('INSERT INTO txplan.items (clinic_id, plan_id, description, price) VALUES (%L, %L, ''x'', 1)', :'clinic', gen_random_uuid()::text);
SELECT pg_temp.brief('INSERT INTO txplan.items (clinic_id, plan_id, description, price) VALUES (%L, %L, ''x'', %s)', :'clinic', :'dml', p)
FROM unnest(ARRAY['-1', '''NaN''', '10000000000', 'NULL']) AS p;
SELECT pg_temp.attempt('INSERT INTO txplan.items (clinic_id, plan_id, price) VALUES (%L, %L, 1)', :'clinic', :'dml');
SELECT pg_temp.brief('INSERT INTO txplan.items (clinic_id, plan_id, description, price) VALUES (%L, %L, ''x'', -1)', :'clinic', :'dml');

-- Changing a pending item: one event for each column, and none for nothing.
BEGIN;
UPDATE txplan.items SET description = 'Deep cleaning', tooth = 16, surfaces = 'MO', category_key = 'perio',
	treatment_ref = 'chart-1', notes = 'soft'
WHERE id = :'first';
UPDATE txplan.items SET notes = notes, description = description, price = price, status = status WHERE plan_id = :'plan';
SELECT payload -> 'changed' AS changed FROM txplan.events
WHERE plan_id = :'plan' AND type = 'treatment_plan.updated' ORDER BY id;
SELECT what, from_value, to_value FROM txplan.history
WHERE item_id = :'first' AND what <> 'item_added' ORDER BY sequence;
SELECT * FROM txplan.verify_history(:'plan');
ROLLBACK;

-- A new price is split over the sessions by what they were.
UPDATE txplan.items SET price = 1000.01 WHERE id = :'second';
SELECT price, sessions FROM pg_temp.items(:'plan') WHERE position = 2;
UPDATE txplan.items SET price = 0 WHERE id = :'second';
UPDATE txplan.items SET price = 0.03 WHERE id = :'second';
SELECT price, sessions FROM pg_temp.items(:'plan') WHERE position = 2;
SELECT pg_temp.brief('UPDATE txplan.items SET price = %s WHERE id = %L', p, :'second')
FROM unnest(ARRAY['-1', '''NaN''', '10000000000', 'NULL']) AS p;

-- Removing: the item goes with its sessions, and the plan counts one less.
SELECT txplan.remove_item(:'third');
DELETE FROM txplan.items WHERE id = :'sixth';
SELECT items_total FROM txplan.plans WHERE id = :'plan';
SELECT count(*) AS sessions FROM txplan.sessions WHERE item_id IN (:'third', :'sixth');
SELECT type, payload ->> 'item_id' IN (:'third', :'sixth') AS which, payload ->> 'unit_price' AS price
FROM txplan.events WHERE plan_id = :'plan' ORDER BY id DESC LIMIT 2;
SELECT pg_temp.brief('SELECT txplan.remove_item(%L)', :'third');
SELECT pg_temp.attempt('SELECT txplan.remove_item(NULL)');
SELECT pg_temp.brief('SELECT txplan.remove_item(%L, %L)', :'first', :'other_clinic');

-- Ordering names each item of the plan once.
SELECT array_agg(id ORDER BY position) AS present, array_agg(id ORDER BY position DESC) AS backwards
FROM txplan.items WHERE plan_id = :'dml' \gset
SELECT txplan.reorder_items(:'dml', :'backwards');
SELECT position, description, price FROM pg_temp.items(:'dml');
-- The same order again is no change.
SELECT txplan.reorder_items(:'dml', :'backwards');
SELECT count(*) AS told FROM txplan.events WHERE plan_id = :'dml' AND type = 'treatment_plan.items_reordered';
SELECT pg_temp.attempt('SELECT txplan.reorder_items(%L, %L)', :'dml', (:'present'::uuid[])[2:]::text);
SELECT pg_temp.attempt('SELECT txplan.reorder_items(%L, %L)', :'dml', (:'present'::uuid[] || (:'present'::uuid[])[1])::text);
SELECT pg_temp.attempt('SELECT txplan.reorder_items(%L, %L)', :'dml', (:'present'::uuid[] || :'first'::uuid)::text);
SELECT pg_temp.attempt('SELECT txplan.reorder_items(%L, %L)', :'dml', (:'present'::uuid[] || NULL::uuid)::text);
SELECT pg_temp.attempt('SELECT txplan.reorder_items(%L, %L)', :'dml', ARRAY[:'present'::uuid[], :'present'::uuid[]]::text);
SELECT pg_temp.brief('SELECT txplan.reorder_items(%L, ''{}'')', :'dml');
SELECT pg_temp.brief('SELECT txplan.reorder_items(%L, NULL)', :'dml');
SELECT txplan.create_plan(:'clinic', :'patient') AS nothing \gset
SELECT txplan.reorder_items(:'nothing', '{}');
-- By UPDATE: a swap in one statement, told once.
UPDATE txplan.items SET position = 3 - position WHERE plan_id = :'dml' AND position IN (1, 2);
SELECT position, description, price FROM pg_temp.items(:'dml') WHERE position < 3;
SELECT count(*) AS told FROM txplan.events WHERE plan_id = :'dml' AND type = 'treatment_plan.items_reordered';
SELECT pg_temp.attempt('UPDATE txplan.items SET position = 1 WHERE plan_id = %L AND position = 2', :'dml');

-- A treatment of the chart is in one live item of the clinic.
SELECT txplan.create_plan(:'clinic', :'patient') AS a \gset
SELECT txplan.create_plan(:'clinic', :'patient') AS b \gset
SELECT txplan.add_item(:'a', :'cleaning', treatment_ref => 'T-1') AS a1 \gset
SELECT txplan.add_item(:'a', :'cleaning', treatment_ref => 'T-2') AS a2 \gset
SELECT pg_temp.attempt('SELECT txplan.add_item(%L, %L, treatment_ref => ''T-1'')', :'b', :'cleaning');
SELECT pg_temp.brief('SELECT txplan.add_item(%L, %L, treatment_ref => ''T-1'')', :'a', :'cleaning');
-- Another clinic has its own chart.
SELECT txplan.add_item(:'other_plan', :'other_cleaning', treatment_ref => 'T-1') IS NOT NULL AS added;
-- Removed, or its plan closed, it lets go.
SELECT txplan.close_plan(:'a', 'rejected');
SELECT treatment_ref, live FROM txplan.items WHERE plan_id = :'a' ORDER BY position;
SELECT txplan.add_item(:'b', :'cleaning', treatment_ref => 'T-1') AS b1 \gset
SELECT txplan.add_item(:'b', :'cleaning', treatment_ref => 'T-2') AS b2 \gset
-- So the closed plan cannot come back; the user reads which plan holds what.
SELECT pg_temp.attempt('SELECT txplan.reactivate_plan(%L)', :'a');
SELECT pg_temp.attempt('UPDATE txplan.plans SET status = ''draft'' WHERE id = %L', :'a');
SELECT status FROM txplan.plans WHERE id = :'a';
SELECT txplan.remove_item(:'b2');
SELECT pg_temp.attempt('SELECT txplan.reactivate_plan(%L)', :'a');
UPDATE txplan.items SET treatment_ref = NULL WHERE id = :'b1';
SELECT txplan.reactivate_plan(:'a');
SELECT treatment_ref, live FROM txplan.items WHERE plan_id = :'a' ORDER BY position;
SELECT pg_temp.brief('UPDATE txplan.items SET treatment_ref = ''T-1'' WHERE id = %L', :'b1');
-- Two closed plans with one treatment, taken up again in one statement: the
-- second finds the first.
SELECT txplan.close_plan(:'a', 'rejected');
UPDATE txplan.items SET treatment_ref = 'T-1' WHERE id = :'b1';
SELECT txplan.close_plan(:'b', 'rejected');
SELECT regexp_replace(pg_temp.brief('UPDATE txplan.plans SET status = ''draft'' WHERE id IN (%L, %L)', :'a', :'b'), '-000\d', '-NNNN');
SELECT txplan.reactivate_plan(:'a');
-- A cancelled item holds nothing.
SELECT txplan.confirm_plan(:'a'), txplan.accept_plan(:'a');
SELECT txplan.cancel_session(id) FROM txplan.sessions WHERE item_id = :'a1';
SELECT status, live FROM txplan.items WHERE id = :'a1';
SELECT txplan.reactivate_plan(:'b');
SELECT treatment_ref, live FROM txplan.items WHERE id = :'b1';
-- A completed item holds its treatment.
SELECT txplan.complete_item(:'a2');
SELECT status FROM txplan.plans WHERE id = :'a';
SELECT pg_temp.brief('SELECT txplan.add_item(%L, %L, treatment_ref => ''T-2'')', :'b', :'cleaning');

-- A completed item is history: only its notes change.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS done \gset
SELECT txplan.add_item(:'done', :'crown', treatment_ref => 'done-1') AS done_item \gset
SELECT txplan.add_item(:'done', :'cleaning') AS open_item \gset
SELECT txplan.add_item(:'done', :'crown') AS part_item \gset
SELECT txplan.add_item(:'done', :'cleaning') AS gone_item \gset
SELECT txplan.confirm_plan(:'done'), txplan.accept_plan(:'done');
SET txplan.actor = 'assistant';
SELECT txplan.complete_item(:'done_item');
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE item_id = :'part_item' AND sequence = 1;
SELECT txplan.cancel_session(id) FROM txplan.sessions WHERE item_id = :'gone_item';
SET txplan.actor = 'dentist';
SELECT c.name, pg_temp.brief('UPDATE txplan.items SET %I = %L WHERE id = %L', c.name, c.value, i.id::text)
FROM (VALUES ('description', 'Other'), ('price', '1'), ('treatment_ref', 'x'), ('tooth', '11'), ('category_key', 'x'),
	('professional_id', :'ben'), ('status', 'pending'), ('completed_by', 'me'), ('notes', 'healed well')) AS c (name, value),
LATERAL (SELECT :'done_item'::uuid AS id) AS i;
SELECT pg_temp.attempt('UPDATE txplan.items SET price = 1 WHERE id = %L', :'done_item');
SELECT pg_temp.attempt('UPDATE txplan.items SET status = ''pending'' WHERE id = %L', :'gone_item');
SELECT pg_temp.attempt('DELETE FROM txplan.items WHERE id = %L', :'done_item');
SELECT pg_temp.attempt('SELECT txplan.remove_item(%L)', :'gone_item');
-- Nor does one go of which a part was done.
SELECT pg_temp.attempt('SELECT txplan.remove_item(%L)', :'part_item');
SELECT left(pg_temp.brief('DELETE FROM txplan.items WHERE plan_id = %L', :'done'), 5) AS brief;
-- Its price cannot fall below what was earned.
SELECT pg_temp.attempt('UPDATE txplan.items SET price = 449.99 WHERE id = %L', :'part_item');
UPDATE txplan.items SET price = 450.50 WHERE id = :'part_item';
SELECT * FROM pg_temp.items(:'done');
-- All can be ordered, the finished ones too.
SELECT txplan.reorder_items(:'done', ARRAY[:'gone_item', :'open_item', :'done_item', :'part_item']::uuid[]);
SELECT position, description, status FROM pg_temp.items(:'done');

-- INSERT ... ON CONFLICT: what is there stays, and nothing is told.
SELECT version FROM txplan.plans WHERE id = :'done' \gset
INSERT INTO txplan.items (id, clinic_id, plan_id, description, price)
VALUES (:'open_item', :'clinic', :'done', 'again', 1) ON CONFLICT DO NOTHING;
INSERT INTO txplan.items (clinic_id, plan_id, description, price, treatment_ref)
VALUES (:'clinic', :'done', 'again', 1, 'done-1')
ON CONFLICT (clinic_id, treatment_ref) WHERE live AND treatment_ref IS NOT NULL DO NOTHING;
SELECT items_total, version - :version AS steps FROM txplan.plans WHERE id = :'done';
-- DO UPDATE changes what is there, by the same rules.
INSERT INTO txplan.items (id, clinic_id, plan_id, description, price)
VALUES (:'open_item', :'clinic', :'done', 'Polishing', 70), (txplan.new_id(), :'clinic', :'done', 'Fluoride', 20)
ON CONFLICT (id, clinic_id) DO UPDATE SET description = excluded.description, price = excluded.price
RETURNING description, price, sessions_total;
SELECT * FROM pg_temp.items(:'done');
SELECT items_total, version - :version AS steps FROM txplan.plans WHERE id = :'done';
SELECT pg_temp.brief('INSERT INTO txplan.items (id, clinic_id, plan_id, description, price) VALUES (%L, %L, %L, ''x'', 1) ON CONFLICT (id, clinic_id) DO UPDATE SET price = excluded.price',
	:'done_item', :'clinic', :'done');

-- MERGE inserts, changes and deletes in one statement.
MERGE INTO txplan.items AS i
USING (VALUES ('Fluoride', 25), ('Polishing', NULL), ('X-ray', 15)) AS w (description, price)
ON i.plan_id = :'done' AND i.description = w.description
WHEN MATCHED AND w.price IS NULL THEN DELETE
WHEN MATCHED THEN UPDATE SET price = w.price
WHEN NOT MATCHED THEN INSERT (clinic_id, plan_id, description, price) VALUES (:'clinic', :'done', w.description, w.price);
SELECT * FROM pg_temp.items(:'done');
SELECT items_total FROM txplan.plans WHERE id = :'done';

-- Writable CTEs: items, sessions and their plan in one statement.
BEGIN;
WITH added AS (
	INSERT INTO txplan.items (clinic_id, plan_id, description, price)
	VALUES (:'clinic', :'done', 'Night guard', 200) RETURNING plan_id
), removed AS (
	DELETE FROM txplan.items WHERE plan_id = :'done' AND description = 'X-ray' RETURNING plan_id
)
UPDATE txplan.plans AS p SET title = 'all at once' FROM added JOIN removed USING (plan_id)
WHERE p.id = plan_id
RETURNING p.title;
SELECT items_total, (SELECT count(*) FROM txplan.items WHERE plan_id = :'done') AS counted,
	title FROM txplan.plans WHERE id = :'done';
-- The last sessions and the plan's notes: the plan completes.
WITH completed AS (
	UPDATE txplan.sessions SET status = 'completed' WHERE plan_id = :'done' AND status = 'pending' RETURNING plan_id
)
UPDATE txplan.plans AS p SET internal_notes = 'done' FROM (SELECT DISTINCT plan_id FROM completed) AS c
WHERE p.id = c.plan_id
RETURNING p.internal_notes;
SELECT status, items_total, items_completed, items_cancelled, internal_notes FROM txplan.plans WHERE id = :'done';
SELECT fault, detail FROM txplan.audit(:'clinic');
ROLLBACK;

-- A plan whose last pending item is completed or removed by a statement that also
-- adds one is not done.
BEGIN;
SELECT txplan.create_plan(:'clinic', :'patient') AS more \gset
SELECT txplan.add_item(:'more', NULL, 'Filling', 80) IS NOT NULL AS added;
SELECT txplan.confirm_plan(:'more'), txplan.accept_plan(:'more');
WITH completed AS (
	UPDATE txplan.sessions SET status = 'completed' WHERE plan_id = :'more' RETURNING plan_id
)
INSERT INTO txplan.items (clinic_id, plan_id, description, price)
SELECT :'clinic', plan_id, 'Sealing', 30 FROM completed;
SELECT status, items_total, items_completed FROM txplan.plans WHERE id = :'more';
MERGE INTO txplan.items AS i USING (VALUES ('Sealing'), ('Polishing')) AS w (description)
ON i.plan_id = :'more' AND i.description = w.description
WHEN MATCHED THEN DELETE
WHEN NOT MATCHED THEN INSERT (clinic_id, plan_id, description, price) VALUES (:'clinic', :'more', w.description, 20);
SELECT status, items_total, items_completed FROM txplan.plans WHERE id = :'more';
SELECT description, status FROM pg_temp.items(:'more');
SELECT fault, detail FROM txplan.audit(:'clinic');
ROLLBACK;

-- One statement over many plans: each counts its own.
CREATE TEMP TABLE many AS
SELECT n, txplan.create_plan(:'clinic', :'patient', :'ada', 'many ' || n) AS id FROM generate_series(1, 5) AS n;
INSERT INTO txplan.items (clinic_id, plan_id, catalog_item_id)
SELECT :'clinic', m.id, CASE k % 2 WHEN 0 THEN :'cleaning' ELSE :'crown' END::uuid
FROM many AS m, generate_series(1, 6) AS k WHERE k <= m.n ORDER BY k, m.n DESC;
SELECT p.title, p.items_total, p.version, count(i.id) AS items, sum(i.sessions_total) AS sessions,
	string_agg(i.position::text, ' ' ORDER BY i.position) AS positions
FROM many AS m JOIN txplan.plans AS p USING (id) LEFT JOIN txplan.items AS i ON i.plan_id = p.id
GROUP BY p.id, p.clinic_id ORDER BY p.title;
UPDATE txplan.items SET price = price + 0.01 FROM many WHERE plan_id = many.id;
DELETE FROM txplan.items USING many WHERE plan_id = many.id AND position > 2;
SELECT p.title, p.items_total, sum(i.price) AS price,
	(SELECT sum(amount) FROM txplan.sessions AS s WHERE s.plan_id = p.id) AS amounts
FROM many AS m JOIN txplan.plans AS p USING (id) LEFT JOIN txplan.items AS i ON i.plan_id = p.id
GROUP BY p.id, p.clinic_id ORDER BY p.title;
-- 1,000 items in one statement.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS large \gset
INSERT INTO txplan.items (clinic_id, plan_id, catalog_item_id)
SELECT :'clinic', :'large', :'crown' FROM generate_series(1, 1000);
SELECT p.items_total, p.version, count(*) AS sessions, sum(s.amount) AS amounts
FROM txplan.plans AS p JOIN txplan.sessions AS s ON s.plan_id = p.id WHERE p.id = :'large'
GROUP BY p.id, p.clinic_id;
DELETE FROM txplan.plans WHERE id = :'large';

SELECT fault, detail FROM txplan.audit(:'clinic');
SELECT fault, detail FROM txplan.audit(:'other_clinic');
