-- session: completing and cancelling sessions, and what follows from it for the
-- item, the plan and the money.

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
SELECT txplan.create_clinic('Session clinic', 'UTC') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada') AS ada \gset
SELECT txplan.create_patient(:'clinic', 'Olu', 'Adeyemi') AS patient \gset
SELECT txplan.create_catalog_item(:'clinic', 'CROWN', 'Crown', 600, 'prosthetics',
	'[{"label": "Preparation", "price": 200}, {"label": "Fitting", "price": 400}]') AS crown \gset
SELECT txplan.create_catalog_item(:'clinic', 'ROOT', 'Root canal', 300, 'endodontics',
	'[{"label": "Opening", "price": 100}, {"label": "Cleaning", "price": 100}, {"label": "Filling", "price": 100}]') AS root \gset
SELECT txplan.create_clinic('Other session clinic', 'UTC') AS other_clinic \gset

-- active_plan() makes a plan in treatment with these catalog items.
CREATE FUNCTION pg_temp.active_plan(VARIADIC catalog_items uuid[])
RETURNS uuid
LANGUAGE plpgsql
AS $$
DECLARE
	plan uuid;
BEGIN
	SELECT txplan.create_plan(c.clinic_id, t.id, d.id) INTO plan
	FROM txplan.catalog_items AS c
	JOIN txplan.patients AS t ON t.clinic_id = c.clinic_id
	JOIN txplan.professionals AS d ON d.clinic_id = c.clinic_id
	WHERE c.id = catalog_items[1];
	PERFORM txplan.add_item(plan, c.id) FROM unnest(catalog_items) WITH ORDINALITY AS c (id, n) ORDER BY c.n;
	PERFORM txplan.confirm_plan(plan), txplan.accept_plan(plan);
	RETURN plan;
END
$$;
CREATE FUNCTION pg_temp.item(plan uuid, place integer) RETURNS uuid LANGUAGE sql STABLE
RETURN (SELECT id FROM txplan.items WHERE plan_id = plan AND position = place);
CREATE FUNCTION pg_temp.session(plan uuid, place integer, step integer) RETURNS uuid LANGUAGE sql STABLE
RETURN (SELECT id FROM txplan.sessions WHERE item_id = pg_temp.item(plan, place) AND sequence = step);
-- show() draws a plan: its state, its items, their sessions and what they earned.
CREATE FUNCTION pg_temp.show(plan uuid)
RETURNS TABLE (what text, status text, done text, price numeric, earned numeric, completed text)
LANGUAGE sql
BEGIN ATOMIC
	SELECT x.what, x.status, x.done, x.price, x.earned, x.completed
	FROM (
		SELECT 0 AS a, 0 AS b, 'plan' AS what, p.status,
			format('%s+%s/%s', p.items_completed, p.items_cancelled, p.items_total) AS done,
			(SELECT sum(i.price) FROM txplan.items AS i WHERE i.plan_id = p.id) AS price,
			(SELECT sum(e.amount) FROM txplan.earned_entries AS e WHERE e.plan_id = p.id) AS earned,
			NULL AS completed
		FROM txplan.plans AS p WHERE p.id = plan
		UNION ALL
		SELECT i.position, 0, '  ' || i.description, i.status,
			format('%s+%s/%s', i.sessions_completed, i.sessions_cancelled, i.sessions_total), i.price,
			(SELECT sum(e.amount) FROM txplan.earned_entries AS e WHERE e.item_id = i.id),
			i.completed_by || ' via ' || i.completed_via
		FROM txplan.items AS i WHERE i.plan_id = plan
		UNION ALL
		SELECT i.position, s.sequence, '    ' || coalesce(s.label, '(whole)'), s.status,
			s.note, s.amount, e.amount, s.completed_by
		FROM txplan.sessions AS s JOIN txplan.items AS i ON i.id = s.item_id
		LEFT JOIN txplan.earned_entries AS e ON e.session_id = s.id
		WHERE s.plan_id = plan
	) AS x
	ORDER BY x.a, x.b;
END;

-- A session is completed: it says when and by whom, and books what it earns.
SELECT pg_temp.active_plan(:'crown', :'root') AS plan \gset
SET txplan.actor = 'hygienist';
SELECT txplan.complete_session(pg_temp.session(:'plan', 1, 1), 'no pain');
SELECT * FROM pg_temp.show(:'plan');
SELECT completed_at IS NOT NULL AS at, cancelled_at, completed_at = updated_at AS updated
FROM txplan.sessions WHERE id = pg_temp.session(:'plan', 1, 1);
-- With its last session the item is completed.
SELECT txplan.complete_session(pg_temp.session(:'plan', 1, 2));
SELECT completed_at IS NOT NULL AS at, completed_at = updated_at AS updated
FROM txplan.items WHERE id = pg_temp.item(:'plan', 1);
-- Some cancelled, one completed: the item is completed at what is left of it,
-- and with the last item the plan.
SELECT txplan.complete_session(pg_temp.session(:'plan', 2, 2));
SELECT txplan.cancel_session(pg_temp.session(:'plan', 2, 1), 'not needed');
SELECT txplan.cancel_session(pg_temp.session(:'plan', 2, 3));
SELECT * FROM pg_temp.show(:'plan');
SELECT cancelled_at IS NOT NULL AS at, completed_at, completed_by
FROM txplan.sessions WHERE id = pg_temp.session(:'plan', 2, 1);
SET txplan.actor = 'dentist';

-- Both ends are final, and the second caller reads who was first.
SELECT pg_temp.attempt('SELECT txplan.complete_session(%L)', pg_temp.session(:'plan', 1, 1)::text);
SELECT pg_temp.attempt('SELECT txplan.cancel_session(%L)', pg_temp.session(:'plan', 1, 1)::text);
SELECT pg_temp.attempt('SELECT txplan.complete_session(%L)', pg_temp.session(:'plan', 2, 1)::text);
SELECT pg_temp.attempt('SELECT txplan.complete_item(%L)', pg_temp.item(:'plan', 1)::text);
SELECT pg_temp.brief('SELECT txplan.record_performed(%L)', pg_temp.item(:'plan', 2)::text);
SELECT pg_temp.attempt('UPDATE txplan.sessions SET status = ''pending'' WHERE id = %L', pg_temp.session(:'plan', 1, 1)::text);
SELECT pg_temp.brief('UPDATE txplan.sessions SET status = ''cancelled'' WHERE id = %L', pg_temp.session(:'plan', 1, 1)::text);
SELECT c.name, pg_temp.brief('UPDATE txplan.sessions SET %I = %L WHERE id = %L', c.name, c.value, pg_temp.session(:'plan', 1, 1)::text)
FROM (VALUES ('amount', '1'), ('label', 'x'), ('sequence', '9')) AS c (name, value);
SELECT pg_temp.attempt('DELETE FROM txplan.sessions WHERE id = %L', pg_temp.session(:'plan', 1, 1)::text);
SELECT pg_temp.attempt('SELECT txplan.add_session(%L, ''more'', 1)', pg_temp.item(:'plan', 1)::text);
-- Only the note of a final session can be mended.
UPDATE txplan.sessions SET note = 'a little pain' WHERE id = pg_temp.session(:'plan', 1, 1) RETURNING note;
-- An ORM that writes all columns back changes nothing.
SELECT version FROM txplan.plans WHERE id = :'plan' \gset
UPDATE txplan.sessions SET status = status, label = label, amount = amount, note = note, completed_at = completed_at
WHERE plan_id = :'plan';
UPDATE txplan.sessions SET status = 'completed' WHERE id = pg_temp.session(:'plan', 1, 1);
SELECT version - :version AS steps FROM txplan.plans WHERE id = :'plan';

-- Nothing is treated before the plan is accepted, nor after it is closed; what
-- is final says so first.
SELECT pg_temp.active_plan(:'crown') AS closed \gset
SELECT txplan.complete_session(pg_temp.session(:'closed', 1, 1));
SELECT txplan.close_plan(:'closed', 'abandoned');
SELECT pg_temp.attempt('SELECT txplan.complete_session(%L)', pg_temp.session(:'closed', 1, 2)::text);
SELECT pg_temp.attempt('SELECT txplan.cancel_session(%L)', pg_temp.session(:'closed', 1, 2)::text);
SELECT pg_temp.attempt('SELECT txplan.complete_item(%L)', pg_temp.item(:'closed', 1)::text);
SELECT pg_temp.brief('UPDATE txplan.sessions SET status = ''completed'' WHERE id = %L', pg_temp.session(:'closed', 1, 2)::text);
SELECT pg_temp.brief('SELECT txplan.complete_session(%L)', pg_temp.session(:'closed', 1, 1)::text);
SELECT pg_temp.brief('UPDATE txplan.sessions SET status = ''pending'' WHERE id = %L', pg_temp.session(:'closed', 1, 1)::text);
SELECT pg_temp.attempt('SELECT txplan.add_session(%L, ''more'', 1)', pg_temp.item(:'closed', 1)::text);
SELECT pg_temp.attempt('UPDATE txplan.sessions SET amount = 1 WHERE id = %L', pg_temp.session(:'closed', 1, 2)::text);
SELECT pg_temp.attempt('DELETE FROM txplan.sessions WHERE id = %L', pg_temp.session(:'closed', 1, 2)::text);

-- All cancelled: the item is cancelled, and nothing was earned.
SELECT pg_temp.active_plan(:'crown', :'root') AS plan \gset
SELECT txplan.cancel_session(pg_temp.session(:'plan', 1, 1));
SELECT txplan.cancel_session(pg_temp.session(:'plan', 1, 2));
SELECT * FROM pg_temp.show(:'plan') WHERE what !~ '^    ';
-- A plan of which everything was cancelled is not completed.
UPDATE txplan.sessions SET status = 'cancelled' WHERE plan_id = :'plan' AND status = 'pending';
SELECT * FROM pg_temp.show(:'plan');
SELECT txplan.advance_plan(:'plan');
-- Something completed afterwards completes it.
SELECT txplan.add_item(:'plan', NULL, 'Check-up', 30) AS checkup \gset
SELECT txplan.complete_item(:'checkup');
SELECT status, items_completed, items_cancelled, items_total FROM txplan.plans WHERE id = :'plan';

-- complete_item(): every pending session in order, an entry and an event each.
SELECT pg_temp.active_plan(:'root', :'crown', :'crown') AS plan \gset
SELECT txplan.complete_session(pg_temp.session(:'plan', 1, 2));
SELECT txplan.complete_item(pg_temp.item(:'plan', 1), 'in one go');
SELECT txplan.record_performed(item_id => pg_temp.item(:'plan', 2), note => 'at the hospital', clinic_id => :'clinic');
SELECT * FROM pg_temp.show(:'plan');
SELECT type, payload ->> 'sequence' AS sequence, payload ->> 'amount' AS amount,
	payload ->> 'sessions_completed' AS completed, payload ->> 'sessions_total' AS total, payload ->> 'completed_via' AS via
FROM txplan.events WHERE plan_id = :'plan' AND type ~ 'session|treatment_completed' ORDER BY plan_version;

-- By UPDATE, many at once and of many plans: each item and plan is counted once.
SELECT pg_temp.active_plan(:'root', :'crown') AS one, pg_temp.active_plan(:'crown') AS two \gset
UPDATE txplan.sessions SET status = 'completed', note = 'batch'
WHERE plan_id IN (:'one', :'two', :'plan') AND status = 'pending' AND sequence < 3;
SELECT * FROM pg_temp.show(:'one');
SELECT * FROM pg_temp.show(:'two') WHERE what !~ '^    ';
SELECT * FROM pg_temp.show(:'plan') WHERE what !~ '^    ';
-- Some completed and some cancelled by one UPDATE.
SELECT pg_temp.active_plan(:'root', :'crown') AS mixed \gset
UPDATE txplan.sessions SET status = CASE sequence WHEN 2 THEN 'cancelled' ELSE 'completed' END
WHERE plan_id = :'mixed';
SELECT * FROM pg_temp.show(:'mixed');
-- One that cannot be completed refuses them all.
SELECT pg_temp.active_plan(:'crown') AS plan \gset
SELECT pg_temp.brief('UPDATE txplan.sessions SET status = ''completed'' WHERE plan_id IN (%L, %L) AND status = ''pending''', :'plan', :'closed');
SELECT * FROM pg_temp.show(:'plan') WHERE what !~ '^    ';
SELECT pg_temp.brief('UPDATE txplan.sessions SET status = ''done'' WHERE plan_id = %L', :'plan');
SELECT pg_temp.brief('UPDATE txplan.sessions SET status = NULL WHERE plan_id = %L', :'plan');

-- A session more: last in its item, whose price rises by it.
SELECT txplan.add_session(pg_temp.item(:'plan', 1), 'Polishing', 49.95) IS NOT NULL AS added;
INSERT INTO txplan.sessions (clinic_id, item_id, label, amount)
VALUES (:'clinic', pg_temp.item(:'plan', 1), 'Photo', 0.05)
RETURNING plan_id = :'plan' AS plan_filled, sequence, status;
SELECT * FROM pg_temp.show(:'plan');
-- Changing amounts and deleting sessions moves the price along.
UPDATE txplan.sessions SET amount = amount + 10 WHERE plan_id = :'plan' AND sequence IN (1, 2);
DELETE FROM txplan.sessions WHERE id = pg_temp.session(:'plan', 1, 3);
SELECT * FROM pg_temp.show(:'plan');
SELECT type, payload -> 'changed' AS changed, payload ? 'session_id' AS session
FROM txplan.events WHERE plan_id = :'plan' AND type = 'treatment_plan.updated' ORDER BY id;
-- The label and the place of a pending session, too.
UPDATE txplan.sessions SET label = 'Photos', sequence = 9 WHERE id = pg_temp.session(:'plan', 1, 4);
SELECT what, from_value, to_value FROM txplan.history WHERE plan_id = :'plan' AND what ~ 'session|price' ORDER BY sequence;
-- With the last pending session deleted the item is completed.
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE plan_id = :'plan' AND label <> 'Photos';
DELETE FROM txplan.sessions WHERE id = pg_temp.session(:'plan', 1, 9);
SELECT * FROM pg_temp.show(:'plan');
-- With the last pending one deleted and only cancelled ones left, cancelled.
SELECT pg_temp.active_plan(:'crown', :'crown') AS plan \gset
SELECT txplan.cancel_session(pg_temp.session(:'plan', 1, 1));
DELETE FROM txplan.sessions WHERE id = pg_temp.session(:'plan', 1, 2);
SELECT * FROM pg_temp.show(:'plan');
-- An item keeps at least one session.
SELECT pg_temp.attempt('DELETE FROM txplan.sessions WHERE item_id = %L', pg_temp.item(:'plan', 2)::text);
SELECT count(*) FROM txplan.sessions WHERE item_id = pg_temp.item(:'plan', 2);
-- A draft's sessions can be edited as well; then the price follows at once.
SELECT txplan.create_plan(:'clinic', :'patient') AS draft \gset
SELECT txplan.add_item(:'draft', :'root') IS NOT NULL AS added;
UPDATE txplan.sessions SET amount = 33.33 WHERE plan_id = :'draft';
SELECT * FROM pg_temp.show(:'draft');
-- A session whose amount and status change together earns the new amount.
SELECT txplan.confirm_plan(:'draft'), txplan.accept_plan(:'draft');
UPDATE txplan.sessions SET amount = 66.66, status = 'completed' WHERE id = pg_temp.session(:'draft', 1, 1);
SELECT * FROM pg_temp.show(:'draft');

-- What the engine owns, and what never changes.
SELECT c.name, pg_temp.brief('UPDATE txplan.sessions SET %I = %L WHERE id = %L', c.name, c.value, pg_temp.session(:'draft', 1, 2)::text)
FROM (VALUES ('completed_at', '2026-01-01'), ('completed_by', 'me'), ('cancelled_at', '2026-01-01'), ('created_at', '2026-01-01'),
	('id', :'plan'), ('clinic_id', :'other_clinic'), ('plan_id', :'plan'), ('item_id', :'plan')) AS c (name, value);
SELECT c.name, pg_temp.brief('INSERT INTO txplan.sessions (clinic_id, item_id, label, amount, %I) VALUES (%L, %L, ''x'', 1, %L)', c.name, :'clinic', pg_temp.item(:'draft', 1)::text, c.value)
FROM (VALUES ('status', 'completed'), ('completed_at', '2026-01-01'), ('completed_by', 'me'), ('cancelled_at', '2026-01-01'), ('plan_id', :'plan'), ('sequence', '2'), ('sequence', '0')) AS c (name, value);
-- Bad input.
SELECT f, pg_temp.brief('SELECT txplan.%I(NULL)', f), pg_temp.brief('SELECT txplan.%I(%L)', f, gen_random_uuid()::text),
	pg_temp.brief('SELECT txplan.%I(%L, repeat(''n'', 10001))', f, pg_temp.session(:'draft', 1, 2)::text)
FROM unnest(ARRAY['complete_session', 'cancel_session', 'complete_item', 'record_performed']) AS f;
SELECT pg_temp.brief('SELECT txplan.complete_session(%L, NULL, %L)', pg_temp.session(:'draft', 1, 2)::text, :'other_clinic');
SELECT pg_temp.brief('SELECT txplan.add_session(%s)', a)
FROM unnest(ARRAY['NULL, ''x'', 1', quote_literal(pg_temp.item(:'draft', 1)) || ', NULL, 1', quote_literal(pg_temp.item(:'draft', 1)) || ', ''x'', NULL',
	quote_literal(pg_temp.item(:'draft', 1)) || ', '''', 1', quote_literal(pg_temp.item(:'draft', 1)) || ', ''x'', -1',
	quote_literal(pg_temp.item(:'draft', 1)) || ', ''x'', 0.001', quote_literal(pg_temp.item(:'draft', 1)) || ', ''x'', ''NaN''',
	quote_literal(pg_temp.item(:'draft', 1)) || ', repeat(''x'', 201), 1', quote_literal(gen_random_uuid()) || ', ''x'', 1']) AS a;
-- Beyond what a price can hold.
SELECT pg_temp.brief('SELECT txplan.add_session(%L, ''x'', 9999999999.99)', pg_temp.item(:'draft', 1)::text);
SELECT pg_temp.brief('INSERT INTO txplan.sessions (clinic_id, item_id, amount) VALUES (%L, %L, 1)', :'other_clinic', pg_temp.item(:'draft', 1)::text);
SELECT pg_temp.brief('INSERT INTO txplan.sessions (clinic_id, item_id, amount) VALUES (%L, %L, %s)', :'clinic', pg_temp.item(:'draft', 1)::text, a)
FROM unnest(ARRAY['-1', '''NaN''', 'NULL']) AS a;
SELECT * FROM pg_temp.show(:'draft');

-- COPY, ON CONFLICT and MERGE are no other way in.
INSERT INTO txplan.sessions (id, clinic_id, item_id, label, amount)
VALUES (pg_temp.session(:'draft', 1, 2), :'clinic', pg_temp.item(:'draft', 1), 'again', 5)
ON CONFLICT (id, clinic_id) DO UPDATE SET status = 'completed', note = excluded.label
RETURNING status, note, amount;
-- The item that lost its last pending session and got another goes on.
BEGIN;
MERGE INTO txplan.sessions AS s USING (VALUES ('Filling'), ('Extra')) AS w (label)
ON s.plan_id = :'draft' AND s.label = w.label
WHEN MATCHED THEN UPDATE SET status = 'cancelled'
WHEN NOT MATCHED THEN INSERT (clinic_id, item_id, label, amount) VALUES (:'clinic', pg_temp.item(:'draft', 1), w.label, 12);
SELECT * FROM pg_temp.show(:'draft');

SELECT pg_temp.active_plan(:'crown') AS plan \gset
WITH completed AS (
	UPDATE txplan.sessions SET status = 'completed' WHERE plan_id = :'plan' RETURNING item_id
)
INSERT INTO txplan.sessions (clinic_id, item_id, label, amount)
SELECT :'clinic', item_id, 'Control', 5 FROM (SELECT DISTINCT item_id FROM completed) AS c;
SELECT * FROM pg_temp.show(:'plan');
-- Price and amounts changed by one statement: refused, since each would have to
-- follow the other.
SELECT pg_temp.active_plan(:'crown', :'root') AS plan \gset
SELECT pg_temp.attempt(format('WITH changed AS (
	UPDATE txplan.sessions SET amount = 70 WHERE plan_id = %L AND sequence = 1 RETURNING item_id
)
UPDATE txplan.items AS i SET price = 500 FROM changed AS c WHERE i.id = c.item_id', :'plan'));
SELECT i.description, i.price = sum(s.amount) AS adds_up
FROM txplan.items AS i JOIN txplan.sessions AS s ON s.item_id = i.id
WHERE i.plan_id = :'plan' GROUP BY i.description, i.price ORDER BY 1;
SELECT fault, detail FROM txplan.audit(:'clinic');
ROLLBACK;

SELECT fault, detail FROM txplan.audit(:'clinic');
