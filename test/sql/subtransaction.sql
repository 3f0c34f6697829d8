-- subtransaction: exceptions that are caught and savepoints that are rolled back in
-- the middle of everything; what was taken back is told nowhere.

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

SET txplan.actor = 'tester';
SELECT txplan.create_clinic('Subtransaction clinic', 'UTC') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada') AS ada \gset
SELECT txplan.create_patient(:'clinic', 'Leo', 'Costa') AS patient \gset
SELECT txplan.create_catalog_item(:'clinic', 'CROWN', 'Crown', 600, NULL,
	'[{"label": "Preparation", "price": 200}, {"label": "Fitting", "price": 400}]') AS crown \gset
CREATE FUNCTION pg_temp.facts(plan uuid)
RETURNS TABLE (status text, items text, versions boolean, chain boolean, entries bigint, events text)
LANGUAGE sql
BEGIN ATOMIC
	SELECT p.status, format('%s+%s/%s', p.items_completed, p.items_cancelled, p.items_total),
		p.version = (SELECT count(*) FROM txplan.events AS e WHERE e.plan_id = p.id),
		NOT EXISTS (SELECT FROM txplan.verify_history(p.id)),
		(SELECT count(*) FROM txplan.earned_entries AS e WHERE e.plan_id = p.id),
		(SELECT string_agg(replace(e.type, 'treatment_plan.', ''), ' ' ORDER BY e.id) FROM txplan.events AS e WHERE e.plan_id = p.id)
	FROM txplan.plans AS p WHERE p.id = plan;
END;

-- Within one statement of the client: some done, some taken back, in turn.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada', 'one statement') AS plan \gset
CREATE FUNCTION pg_temp.in_turn(plan uuid, crown uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	said text := '';
BEGIN
	FOR n IN 1 .. 6 LOOP
		BEGIN
			PERFORM txplan.add_item(plan, crown, 'item ' || n);
			IF n % 2 = 0 THEN
				RAISE EXCEPTION 'no';
			END IF;
			said := said || ' kept';
		EXCEPTION WHEN raise_exception THEN
			said := said || ' undone';
		END;
	END LOOP;
	PERFORM txplan.confirm_plan(plan);
	BEGIN
		PERFORM txplan.accept_plan(plan);
		RAISE EXCEPTION 'no';
	EXCEPTION WHEN raise_exception THEN
		said := said || ' ' || (SELECT status FROM txplan.plans WHERE id = plan);
	END;
	PERFORM txplan.accept_plan(plan);
	BEGIN
		PERFORM txplan.complete_item(id) FROM txplan.items WHERE plan_id = plan;
		said := said || ' ' || (SELECT status FROM txplan.plans WHERE id = plan);
		RAISE EXCEPTION 'no';
	EXCEPTION WHEN raise_exception THEN
		said := said || ' ' || (SELECT status FROM txplan.plans WHERE id = plan);
	END;
	PERFORM txplan.complete_session(s.id) FROM txplan.sessions AS s JOIN txplan.items AS i ON i.id = s.item_id WHERE s.plan_id = plan AND i.position = 1;
	RETURN said;
END
$$;
SELECT pg_temp.in_turn(:'plan', :'crown');
SELECT position, description, status FROM txplan.items WHERE plan_id = :'plan' ORDER BY position;
SELECT * FROM pg_temp.facts(:'plan');

-- Errors of the engine itself, caught: what came before them in the block is
-- undone, what comes after goes on from there.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada', 'errors') AS plan \gset
CREATE FUNCTION pg_temp.catch(plan uuid, crown uuid) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	item uuid;
BEGIN
	item := txplan.add_item(plan, crown, treatment_ref => 'sub-1');
	BEGIN
		UPDATE txplan.plans SET title = 'undone' WHERE id = plan;
		PERFORM txplan.add_item(plan, crown, treatment_ref => 'sub-1');
	EXCEPTION WHEN unique_violation THEN
		RETURN NEXT 'unique_violation';
	END;
	BEGIN
		PERFORM txplan.add_item(plan, crown);
		PERFORM txplan.complete_item(item);
	EXCEPTION WHEN SQLSTATE 'TX002' THEN
		RETURN NEXT 'TX002';
	END;
	BEGIN
		UPDATE txplan.items SET price = 700 WHERE id = item;
		UPDATE txplan.items SET price = -1 WHERE id = item;
	EXCEPTION WHEN check_violation THEN
		RETURN NEXT 'check_violation';
	END;
	PERFORM txplan.confirm_plan(plan), txplan.accept_plan(plan);
	BEGIN
		PERFORM txplan.complete_session(id) FROM txplan.sessions WHERE item_id = item AND sequence = 1;
		PERFORM txplan.complete_session(id) FROM txplan.sessions WHERE item_id = item AND sequence = 1;
	EXCEPTION WHEN SQLSTATE 'TX004' THEN
		RETURN NEXT 'TX004';
	END;
	PERFORM txplan.complete_session(id) FROM txplan.sessions WHERE item_id = item AND sequence = 1;
	BEGIN
		PERFORM txplan.close_plan(plan, 'other');
		PERFORM txplan.complete_session(id) FROM txplan.sessions WHERE item_id = item AND sequence = 2;
	EXCEPTION WHEN SQLSTATE 'TX002' THEN
		RETURN NEXT 'TX002';
	END;
	PERFORM txplan.complete_session(id) FROM txplan.sessions WHERE item_id = item AND sequence = 2;
	RETURN NEXT (SELECT status FROM txplan.plans WHERE id = plan);
END
$$;
SELECT pg_temp.catch(:'plan', :'crown');
SELECT title, items_total FROM txplan.plans WHERE id = :'plan';
SELECT price, (SELECT string_agg(amount::text, ' ' ORDER BY sequence) FROM txplan.sessions AS s WHERE s.item_id = i.id) AS amounts FROM txplan.items AS i WHERE plan_id = :'plan';
SELECT * FROM pg_temp.facts(:'plan');

-- Savepoints of a client, one in another, released and rolled back.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada', 'savepoints') AS plan \gset
BEGIN;
SELECT txplan.add_item(:'plan', :'crown', 'first') IS NOT NULL AS added;
SAVEPOINT a;
SELECT txplan.add_item(:'plan', :'crown', 'second') IS NOT NULL AS added;
SAVEPOINT b;
SELECT txplan.add_item(:'plan', :'crown', 'third') IS NOT NULL AS added;
RELEASE b;
SELECT items_total FROM txplan.plans WHERE id = :'plan';
ROLLBACK TO a;
SELECT items_total FROM txplan.plans WHERE id = :'plan';
SELECT txplan.add_item(:'plan', :'crown', 'fourth') IS NOT NULL AS added;
SAVEPOINT c;
SELECT txplan.confirm_plan(:'plan'), txplan.accept_plan(:'plan');
ROLLBACK TO c;
SELECT txplan.confirm_plan(:'plan');
SAVEPOINT d;
SELECT txplan.accept_plan(:'plan');
RELEASE d;
COMMIT;
SELECT position, description FROM txplan.items WHERE plan_id = :'plan' ORDER BY position;
SELECT * FROM pg_temp.facts(:'plan');
-- A plan made and deleted in a savepoint that is rolled back; its lock, too.
BEGIN;
SAVEPOINT a;
SELECT txplan.lock_plan(:'plan');
UPDATE txplan.sessions SET status = 'completed' WHERE plan_id = :'plan';
SELECT status FROM txplan.plans WHERE id = :'plan';
ROLLBACK TO a;
SELECT txplan.lock_plan(:'plan', (SELECT version FROM txplan.plans WHERE id = :'plan'));
UPDATE txplan.sessions SET status = 'completed' WHERE plan_id = :'plan' AND sequence = 1;
COMMIT;
SELECT * FROM pg_temp.facts(:'plan');

-- A trigger of the user's that catches its own errors, amid what the engine does.
CREATE FUNCTION public.meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		UPDATE txplan.plans SET title = 'meddled' WHERE id = NEW.plan_id;
		RAISE EXCEPTION 'no';
	EXCEPTION WHEN raise_exception THEN
		NULL;
	END;
	RETURN NULL;
END
$$;
CREATE TRIGGER meddle AFTER UPDATE ON txplan.items FOR EACH ROW EXECUTE FUNCTION public.meddle();
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE plan_id = :'plan' AND sequence = 2;
DROP TRIGGER meddle ON txplan.items;
SELECT title FROM txplan.plans WHERE id = :'plan';
SELECT * FROM pg_temp.facts(:'plan');
-- One that changes the plan in earnest while the engine is at it.
CREATE OR REPLACE FUNCTION public.meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE txplan.plans SET internal_notes = concat_ws(' ', internal_notes, NEW.description || ' ' || NEW.status) WHERE id = NEW.plan_id;
	RETURN NULL;
END
$$;
SELECT txplan.create_plan(:'clinic', :'patient', :'ada', 'meddled') AS plan \gset
SELECT txplan.add_item(:'plan', :'crown', 'first') AS first \gset
SELECT txplan.add_item(:'plan', :'crown', 'second') AS second \gset
SELECT txplan.confirm_plan(:'plan'), txplan.accept_plan(:'plan');
CREATE TRIGGER meddle AFTER UPDATE OF status ON txplan.items FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION public.meddle();
SELECT txplan.complete_item(:'first');
UPDATE txplan.sessions SET status = 'completed' WHERE item_id = :'second';
DROP TRIGGER meddle ON txplan.items;
DROP FUNCTION public.meddle;
SELECT internal_notes FROM txplan.plans WHERE id = :'plan';
SELECT * FROM pg_temp.facts(:'plan');

-- Everything in a transaction that is rolled back is as if it never was.
SELECT version FROM txplan.plans WHERE id = :'plan' \gset
SELECT count(*) AS events FROM txplan.events \gset
BEGIN;
UPDATE txplan.plans SET title = 'gone' WHERE id = :'plan';
SELECT txplan.create_plan(:'clinic', :'patient') IS NOT NULL AS created;
ROLLBACK;
SELECT version = :version AS same_version FROM txplan.plans WHERE id = :'plan';
SELECT count(*) = :events AS same_events FROM txplan.events;
SELECT fault, detail FROM txplan.audit(:'clinic');
