-- earned: money is booked by completed sessions and by nothing else.

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

SET txplan.actor = 'cashier';
SELECT txplan.create_clinic('Earned clinic', 'UTC') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada') AS ada \gset
SELECT txplan.create_patient(:'clinic', 'Pavel', 'Novák') AS patient \gset
SELECT txplan.create_catalog_item(:'clinic', 'CROWN', 'Crown', 600, NULL,
	'[{"label": "Preparation", "price": 200}, {"price": 400}]') AS crown \gset
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS plan \gset
SELECT txplan.add_item(:'plan', :'crown', NULL, 100.01) AS crown_item \gset
SELECT txplan.add_item(:'plan', NULL, 'Free control', 0) AS free_item \gset
SELECT txplan.add_item(:'plan', NULL, 'X-ray', 15, professional_id => NULL) AS xray_item \gset
SELECT txplan.add_item(:'plan', NULL, 'Splint', 120) AS splint_item \gset
UPDATE txplan.items SET professional_id = NULL WHERE id = :'xray_item';
SELECT txplan.confirm_plan(:'plan'), txplan.accept_plan(:'plan');
-- Nothing so far.
SELECT count(*) AS entries FROM txplan.earned_entries WHERE plan_id = :'plan';

-- One entry a completed session: what, how much, whose, when.
SELECT txplan.complete_item(:'crown_item');
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE item_id = :'free_item';
UPDATE txplan.sessions SET status = 'completed' WHERE item_id = :'xray_item';
SELECT txplan.cancel_session(id) FROM txplan.sessions WHERE item_id = :'splint_item';
SELECT e.description, e.amount, d.name AS doctor, e.patient_id = :'patient' AS patient, e.clinic_id = :'clinic' AS clinic,
	e.plan_id = s.plan_id AND e.item_id = s.item_id AS of_session, s.status, abs(extract(epoch FROM e.earned_at - s.completed_at)) < 1 AS then
FROM txplan.earned_entries AS e JOIN txplan.sessions AS s ON s.id = e.session_id
LEFT JOIN txplan.professionals AS d ON d.id = e.professional_id
WHERE e.plan_id = :'plan' ORDER BY e.description, e.amount;
SELECT p.status, sum(e.amount) AS earned, (SELECT sum(amount) FROM txplan.sessions AS s WHERE s.plan_id = p.id AND s.status = 'completed') AS completed
FROM txplan.plans AS p JOIN txplan.earned_entries AS e ON e.plan_id = p.id WHERE p.id = :'plan' GROUP BY p.id, p.clinic_id;
-- What was refused or rolled back booked nothing.
SELECT pg_temp.brief('SELECT txplan.complete_item(%L)', :'crown_item');
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS plan \gset
SELECT txplan.add_item(:'plan', :'crown') AS crown_item \gset
SELECT pg_temp.brief('SELECT txplan.complete_item(%L)', :'crown_item');
SELECT txplan.confirm_plan(:'plan'), txplan.accept_plan(:'plan');
BEGIN;
SELECT txplan.complete_item(:'crown_item');
SELECT count(*) AS entries FROM txplan.earned_entries WHERE plan_id = :'plan';
ROLLBACK;
SELECT count(*) AS entries FROM txplan.earned_entries WHERE plan_id = :'plan';
-- A later change of name or price leaves the entry as it was booked.
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE item_id = :'crown_item' AND sequence = 1;
UPDATE txplan.items SET description = 'Zirconia crown', price = 800 WHERE id = :'crown_item';
SELECT txplan.complete_item(:'crown_item');
SELECT description, amount FROM txplan.earned_entries WHERE plan_id = :'plan' ORDER BY amount;

-- Entries are the engine's.
SELECT pg_temp.attempt('UPDATE txplan.earned_entries SET amount = 1 WHERE plan_id = %L', :'plan');
SELECT pg_temp.brief('DELETE FROM txplan.earned_entries WHERE plan_id = %L', :'plan');
SELECT pg_temp.brief('INSERT INTO txplan.earned_entries SELECT * FROM txplan.earned_entries WHERE plan_id = %L', :'plan');
SELECT pg_temp.brief('COPY txplan.earned_entries FROM PROGRAM ''true''');
SELECT pg_temp.brief('MERGE INTO txplan.earned_entries AS e USING (SELECT 1) AS o ON e.plan_id = %L WHEN MATCHED THEN DELETE', :'plan');
SELECT pg_temp.brief('UPDATE txplan.number_counters SET last_number = 99 WHERE clinic_id = %L', :'clinic');
-- Not from a trigger or a rule of the user's either.
CREATE FUNCTION public.steal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE txplan.earned_entries SET amount = 0; RETURN NULL; END $$;
CREATE TRIGGER steal AFTER UPDATE ON txplan.sessions FOR EACH ROW EXECUTE FUNCTION public.steal();
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS third \gset
SELECT txplan.add_item(:'third', NULL, 'Filling', 80) AS filling \gset
SELECT txplan.confirm_plan(:'third'), txplan.accept_plan(:'third');
SELECT pg_temp.brief('SELECT txplan.complete_item(%L)', :'filling');
DROP TRIGGER steal ON txplan.sessions;
CREATE TRIGGER steal AFTER INSERT ON txplan.events_default FOR EACH ROW EXECUTE FUNCTION public.steal();
SELECT pg_temp.brief('SELECT txplan.complete_item(%L)', :'filling');
DROP TRIGGER steal ON txplan.events_default;
DROP FUNCTION public.steal;
SELECT txplan.complete_item(:'filling');
-- What has earned stays: session, item, plan, patient.
SELECT t, pg_temp.brief('DELETE FROM txplan.%I WHERE %s', t, w)
FROM (VALUES ('sessions', format('plan_id = %L', :'plan')), ('items', format('plan_id = %L', :'plan')), ('plans', format('id = %L', :'plan'))) AS v (t, w);

SELECT fault, detail FROM txplan.audit(:'clinic');
