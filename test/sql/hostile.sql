-- hostile.sql: statements that write several tables at once, triggers of a
-- user's own, and what must stay true under them.
SELECT txplan.install() IS NOT NULL AS installed;
\set VERBOSITY sqlstate
SET txplan.notify = off;
CREATE SCHEMA hostile;

SELECT txplan.create_clinic('Hostile', 'UTC') AS clinic \gset
SELECT txplan.create_patient(:'clinic', 'Ana', 'Ruiz') AS patient \gset
SELECT txplan.create_professional(:'clinic', 'Dr Sol') AS doctor \gset
SELECT txplan.create_catalog_item(:'clinic', 'TWO', 'In two', 100, NULL,
	'[{"label": "one", "price": 50}, {"label": "two", "price": 50}]') AS two \gset
CREATE FUNCTION hostile.plan(items integer, OUT plan_id uuid)
LANGUAGE plpgsql AS $$
BEGIN
	SELECT txplan.create_plan(c.id, p.id, d.id, 'A plan') INTO plan_id
	FROM txplan.clinics AS c
	JOIN txplan.patients AS p ON p.clinic_id = c.id
	JOIN txplan.professionals AS d ON d.clinic_id = c.id
	WHERE c.name = 'Hostile';
	PERFORM txplan.add_item(plan_id, k.id)
	FROM txplan.catalog_items AS k, generate_series(1, items)
	WHERE k.code = 'TWO';
END $$;
CREATE FUNCTION hostile.faults()
RETURNS TABLE (fault text, detail text)
LANGUAGE sql AS $$
	SELECT a.fault, a.detail
	FROM txplan.clinics AS c, LATERAL txplan.audit(c.id) AS a
	WHERE c.name = 'Hostile'
$$;

-- Many columns of many items in one statement: each change keeps its name.
SELECT hostile.plan(3) AS plan \gset
UPDATE txplan.items
SET notes = repeat('n', 3000), price = price + 1, description = 'long ' || position
WHERE plan_id = :'plan';
SELECT what, count(*) FROM txplan.history WHERE plan_id = :'plan' GROUP BY what ORDER BY what;
SELECT * FROM hostile.faults();

-- Price and sessions of an item in one statement: which should follow which?
SELECT hostile.plan(1) AS plan \gset
WITH s AS (
	UPDATE txplan.sessions SET amount = 80
	WHERE plan_id = :'plan' AND sequence = 1
	RETURNING item_id
)
UPDATE txplan.items AS i SET price = 500 FROM s WHERE i.id = s.item_id;
WITH i AS (
	UPDATE txplan.items SET price = 500 WHERE plan_id = :'plan' RETURNING id
)
UPDATE txplan.sessions AS s SET amount = 80 FROM i WHERE s.item_id = i.id AND s.sequence = 1;
SELECT price FROM txplan.items WHERE plan_id = :'plan';
SELECT * FROM hostile.faults();

-- The guard wants an item, and the same statement takes it away.
WITH d AS (DELETE FROM txplan.items WHERE plan_id = :'plan' RETURNING plan_id)
UPDATE txplan.plans SET status = 'pending' WHERE id = :'plan';
WITH d AS (UPDATE txplan.plans SET status = 'pending' WHERE id = :'plan' RETURNING id)
DELETE FROM txplan.items USING d WHERE plan_id = d.id;
SELECT status, items_total FROM txplan.plans WHERE id = :'plan';

-- A plan and its sessions in one statement, each way round.
SELECT hostile.plan(1) AS plan \gset
SELECT txplan.confirm_plan(:'plan'), txplan.accept_plan(:'plan');
WITH s AS (
	UPDATE txplan.sessions SET status = 'completed'
	WHERE plan_id = :'plan' AND sequence = 1
	RETURNING plan_id
)
UPDATE txplan.plans AS p SET title = 'Renamed'
FROM (SELECT DISTINCT plan_id FROM s) AS s
WHERE p.id = s.plan_id;
WITH p AS (
	UPDATE txplan.plans SET title = 'Renamed again' WHERE id = :'plan' RETURNING id
)
UPDATE txplan.sessions AS s SET status = 'completed'
FROM p WHERE s.plan_id = p.id AND s.status = 'pending';
SELECT status, title, items_completed FROM txplan.plans WHERE id = :'plan';
SELECT plan_version, type FROM txplan.events WHERE plan_id = :'plan' ORDER BY id;
SELECT * FROM hostile.faults();

-- A trigger that moves the plan on while it is being moved: events keep the
-- order of versions.
CREATE FUNCTION hostile.move_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.status = 'pending' AND OLD.status = 'draft' THEN
		UPDATE txplan.plans SET status = 'active' WHERE id = NEW.id;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER zz AFTER UPDATE ON txplan.plans
	FOR EACH ROW EXECUTE FUNCTION hostile.move_on();
SELECT hostile.plan(1) AS plan \gset
SELECT txplan.confirm_plan(:'plan');
SELECT plan_version, type FROM txplan.events WHERE plan_id = :'plan' ORDER BY id;
SELECT * FROM hostile.faults();
DROP TRIGGER zz ON txplan.plans;

-- A trigger that catches an exception, or writes the plan, in the middle.
CREATE FUNCTION hostile.catch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM 1 / 0;
	RETURN NULL;
EXCEPTION WHEN division_by_zero THEN
	RETURN NULL;
END $$;
CREATE FUNCTION hostile.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE txplan.plans SET internal_notes = NEW.id WHERE id = NEW.plan_id;
	RETURN NULL;
END $$;
CREATE TRIGGER zz AFTER INSERT OR UPDATE ON txplan.sessions
	FOR EACH ROW EXECUTE FUNCTION hostile.catch();
CREATE TRIGGER zz AFTER INSERT ON txplan.earned_entries
	FOR EACH ROW EXECUTE FUNCTION hostile.note();
CREATE TRIGGER zz AFTER UPDATE ON txplan.items
	FOR EACH ROW EXECUTE FUNCTION hostile.note();
SELECT hostile.plan(3) AS plan \gset
UPDATE txplan.items SET price = 300 WHERE plan_id = :'plan';
SELECT txplan.confirm_plan(:'plan'), txplan.accept_plan(:'plan');
SELECT txplan.complete_item((SELECT id FROM txplan.items WHERE plan_id = :'plan' AND position = 1));
UPDATE txplan.sessions SET status = 'completed' WHERE plan_id = :'plan' AND status = 'pending';
SELECT status, items_completed FROM txplan.plans WHERE id = :'plan';
SELECT * FROM hostile.faults();
DROP TRIGGER zz ON txplan.sessions;
DROP TRIGGER zz ON txplan.earned_entries;
DROP TRIGGER zz ON txplan.items;

-- A trigger that swallows what the engine writes is an error, never a loss.
CREATE FUNCTION hostile.swallow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RETURN NULL; END $$;
SELECT hostile.plan(1) AS plan \gset
SELECT txplan.confirm_plan(:'plan'), txplan.accept_plan(:'plan');
SELECT id AS session FROM txplan.sessions WHERE plan_id = :'plan' AND sequence = 1 \gset
\set VERBOSITY sqlstate
CREATE TRIGGER zz BEFORE UPDATE ON txplan.items
	FOR EACH ROW EXECUTE FUNCTION hostile.swallow();
SELECT txplan.complete_session(:'session');
DROP TRIGGER zz ON txplan.items;
CREATE TRIGGER zz BEFORE INSERT ON txplan.earned_entries
	FOR EACH ROW EXECUTE FUNCTION hostile.swallow();
SELECT txplan.complete_session(:'session');
DROP TRIGGER zz ON txplan.earned_entries;
SELECT txplan.complete_session(:'session');

-- A trigger whose function belongs to a stranger does not run as the owner.
CREATE ROLE hostile_stranger;
CREATE TRIGGER zz BEFORE INSERT ON txplan.earned_entries
	FOR EACH ROW EXECUTE FUNCTION hostile.swallow();
ALTER FUNCTION hostile.swallow() OWNER TO hostile_stranger;
SELECT id AS session FROM txplan.sessions WHERE plan_id = :'plan' AND sequence = 2 \gset
SELECT txplan.complete_session(:'session');
DROP TRIGGER zz ON txplan.earned_entries;
SELECT txplan.complete_session(:'session');
DROP FUNCTION hostile.swallow();
DROP ROLE hostile_stranger;

-- The usual trigger that sets updated_at disturbs nothing.
CREATE FUNCTION hostile.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.updated_at := now(); RETURN NEW; END $$;
CREATE TRIGGER set_updated_at BEFORE INSERT OR UPDATE ON txplan.plans
	FOR EACH ROW EXECUTE FUNCTION hostile.touch();
SELECT hostile.plan(1) AS plan \gset
UPDATE txplan.plans SET title = 'Touched' WHERE id = :'plan';
SELECT txplan.confirm_plan(:'plan');
SELECT * FROM hostile.faults();
DROP TRIGGER set_updated_at ON txplan.plans;

-- Numbers have no gap where a part of a statement was rolled back.
CREATE FUNCTION hostile.three() RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
	patient uuid := (SELECT p.id FROM txplan.patients AS p
		JOIN txplan.clinics AS c ON c.id = p.clinic_id WHERE c.name = 'Hostile');
BEGIN
	BEGIN
		INSERT INTO txplan.plans (clinic_id, patient_id)
		SELECT p.clinic_id, p.id FROM txplan.patients AS p, generate_series(1, 3)
		WHERE p.id = patient;
		PERFORM 1 / 0;
	EXCEPTION WHEN division_by_zero THEN
		NULL;
	END;
	RETURN patient;
END $$;
INSERT INTO txplan.plans (clinic_id, patient_id)
SELECT :'clinic', CASE WHEN g = 2 THEN hostile.three() ELSE :'patient' END
FROM generate_series(1, 4) AS g;
SELECT max(right(number, 4)::integer) = count(*) AS no_gap
FROM txplan.plans WHERE clinic_id = :'clinic';

-- An id in two clinics names no row by itself.
SELECT txplan.create_clinic('Hostile neighbour', 'UTC') AS neighbour \gset
SELECT txplan.create_patient(:'neighbour', 'Eva', 'Gil') AS other \gset
INSERT INTO txplan.plans (id, clinic_id, patient_id) VALUES (:'plan', :'neighbour', :'other');
SELECT txplan.close_plan(:'plan', 'other');
SELECT txplan.close_plan(:'plan', 'other', clinic_id => :'neighbour');
SELECT status FROM txplan.plans WHERE id = :'plan' ORDER BY status;

-- Removing the last pending session finishes an item only where one is treated.
SELECT hostile.plan(1) AS plan \gset
SELECT txplan.confirm_plan(:'plan'), txplan.accept_plan(:'plan');
SELECT txplan.complete_session((SELECT id FROM txplan.sessions WHERE plan_id = :'plan' AND sequence = 1));
SELECT txplan.close_plan(:'plan', 'other'), txplan.reactivate_plan(:'plan');
DELETE FROM txplan.sessions WHERE plan_id = :'plan' AND status = 'pending';
SELECT txplan.confirm_plan(:'plan'), txplan.accept_plan(:'plan');
DELETE FROM txplan.sessions WHERE plan_id = :'plan' AND status = 'pending';
SELECT p.status, i.status, i.price FROM txplan.plans AS p JOIN txplan.items AS i ON i.plan_id = p.id WHERE p.id = :'plan';
SELECT * FROM hostile.faults();
\set VERBOSITY default
SET client_min_messages = warning;
DROP SCHEMA hostile CASCADE;
