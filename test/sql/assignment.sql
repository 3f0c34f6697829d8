-- assignment: which doctor is responsible, inherited, given and reassigned.

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

SELECT txplan.create_clinic('Assignment clinic', 'UTC') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Ada') AS ada \gset
SELECT txplan.create_professional(:'clinic', 'Ben') AS ben \gset
SELECT txplan.create_professional(:'clinic', 'Cleo') AS cleo \gset
SELECT txplan.create_professional(:'clinic', 'Left') AS dr_left \gset
SELECT txplan.create_patient(:'clinic', 'Sam', 'Lee') AS patient \gset
SELECT txplan.create_clinic('Other assignment clinic', 'UTC') AS other \gset
SELECT txplan.create_professional(:'other', 'Foreign') AS foreigner \gset
SET txplan.actor = 'assistant';

-- doctors() shows who is responsible for what.
CREATE FUNCTION pg_temp.doctors(plan uuid)
RETURNS TABLE (what text, status text, doctor text, done_by text)
LANGUAGE sql
BEGIN ATOMIC
	SELECT x.what, x.status, d.name, x.done_by
	FROM (
		SELECT 0 AS n, 'plan' AS what, p.status, p.professional_id, NULL AS done_by FROM txplan.plans AS p WHERE p.id = plan
		UNION ALL
		SELECT i.position, i.description, i.status, i.professional_id, i.completed_by FROM txplan.items AS i WHERE i.plan_id = plan
	) AS x
	LEFT JOIN txplan.professionals AS d ON d.id = x.professional_id
	ORDER BY x.n;
END;

-- A plan of Ada's: items inherit her, unless they name another; one was done, one
-- cancelled, one has nobody, and of one half was done.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS plan \gset
SELECT txplan.add_item(:'plan', NULL, 'inherited', 10) AS inherited \gset
SELECT txplan.add_item(:'plan', NULL, 'given to Ben', 10, professional_id => :'ben') AS given \gset
SELECT txplan.add_item(:'plan', NULL, 'done', 10) AS done \gset
SELECT txplan.add_item(:'plan', NULL, 'cancelled', 10) AS cancelled \gset
SELECT txplan.add_item(:'plan', NULL, 'nobody''s', 10) AS nobodys \gset
SELECT txplan.add_item(:'plan', NULL, 'half done', 10) AS half \gset
SELECT txplan.add_session(:'half', 'second', 10) IS NOT NULL AS added;
UPDATE txplan.items SET professional_id = NULL WHERE id = :'nobodys';
SELECT txplan.confirm_plan(:'plan'), txplan.accept_plan(:'plan');
SELECT txplan.complete_item(:'done');
SELECT txplan.cancel_session(id) FROM txplan.sessions WHERE item_id = :'cancelled';
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE item_id = :'half' AND sequence = 1;
SELECT * FROM pg_temp.doctors(:'plan');

-- The plan's doctor changes, and nothing moves.
BEGIN;
SELECT txplan.change_professional(:'plan', :'cleo');
SELECT * FROM pg_temp.doctors(:'plan');
-- A new item has the new doctor.
SELECT txplan.add_item(:'plan', NULL, 'new', 10) IS NOT NULL AS added;
SELECT doctor FROM pg_temp.doctors(:'plan') WHERE what = 'new';
-- Reassigning after that moves nothing of Ada's: she is not the plan's doctor.
SELECT txplan.change_professional(:'plan', :'ben', true);
SELECT * FROM pg_temp.doctors(:'plan');
ROLLBACK;
-- With reassign_pending exactly the pending items of the old doctor move.
SELECT plan_version AS seen FROM txplan.events WHERE plan_id = :'plan' ORDER BY id DESC LIMIT 1 \gset
SELECT txplan.change_professional(plan_id => :'plan', professional_id => :'cleo', reassign_pending => true, clinic_id => :'clinic');
SELECT * FROM pg_temp.doctors(:'plan');
SELECT type, payload -> 'items_reassigned' AS items, i.description FROM txplan.events AS e LEFT JOIN txplan.items AS i ON i.id::text = e.payload ->> 'item_id'
WHERE e.plan_id = :'plan' AND e.plan_version > :seen ORDER BY e.id;
-- What was earned stays with who was responsible then, and so does what was
-- done of an item that moved.
SELECT e.description, d.name FROM txplan.earned_entries AS e JOIN txplan.professionals AS d ON d.id = e.professional_id
WHERE e.plan_id = :'plan' ORDER BY e.description;
SELECT txplan.complete_item(:'half');
SELECT e.description, d.name FROM txplan.earned_entries AS e JOIN txplan.professionals AS d ON d.id = e.professional_id
WHERE e.item_id = :'half' ORDER BY e.description;
-- To whom the plan has already: no change, nothing moves, nothing is told.
SELECT max(plan_version) AS seen FROM txplan.events WHERE plan_id = :'plan' \gset
SELECT txplan.change_professional(:'plan', :'cleo', true);
SELECT txplan.assign_professional(:'given', :'ben');
SELECT count(*) AS events FROM txplan.events WHERE plan_id = :'plan' AND plan_version > :seen;
-- A plan without a doctor has no items to move.
SELECT txplan.create_plan(:'clinic', :'patient') AS free \gset
SELECT txplan.add_item(:'free', NULL, 'free', 10) IS NOT NULL AS added;
SELECT txplan.change_professional(:'free', :'ada', true);
SELECT * FROM pg_temp.doctors(:'free');

-- One item at a time.
SELECT txplan.assign_professional(:'nobodys', :'ada');
SELECT txplan.assign_professional(item_id => :'inherited', professional_id => :'ben', clinic_id => :'clinic');
SELECT * FROM pg_temp.doctors(:'plan');
-- What is done, or cancelled, keeps its doctor.
SELECT pg_temp.attempt('SELECT txplan.assign_professional(%L, %L)', :'done', :'ben');
SELECT pg_temp.attempt('SELECT txplan.assign_professional(%L, %L)', :'cancelled', :'ben');
SELECT pg_temp.attempt('SELECT txplan.assign_professional(%L, %L)', :'done', :'ada');
SELECT pg_temp.attempt('UPDATE txplan.items SET professional_id = %2$L WHERE id = %1$L', :'done', :'ben');
SELECT pg_temp.brief('UPDATE txplan.items SET professional_id = NULL WHERE id = %L', :'cancelled');
-- A doctor is an active professional of the clinic.
UPDATE txplan.professionals SET active = false WHERE id = :'dr_left';
SELECT f, pg_temp.brief('SELECT txplan.' || f, :'inherited', :'plan', d)
FROM unnest(ARRAY['assign_professional(%1$L, %3$L)', 'change_professional(%2$L, %3$L)', 'change_professional(%2$L, %3$L, true)']) AS f,
	unnest(ARRAY[:'dr_left', :'foreigner', gen_random_uuid()::text, NULL]) WITH ORDINALITY AS d (d, n) ORDER BY f, n;
SELECT pg_temp.brief('SELECT txplan.assign_professional(%L, %L)', gen_random_uuid()::text, :'ada');
SELECT pg_temp.brief('SELECT txplan.assign_professional(NULL, %L)', :'ada');
SELECT pg_temp.brief('SELECT txplan.assign_professional(%L, %L, %L)', :'inherited', :'ada', :'other');
SELECT pg_temp.brief('SELECT txplan.change_professional(%L, %L)', gen_random_uuid()::text, :'ada');
SELECT pg_temp.brief('SELECT txplan.change_professional(%L, %L, NULL, %L)', :'plan', :'ada', :'other');
SELECT txplan.change_professional(:'plan', :'ada', NULL);
-- Somebody who left while responsible stays responsible; new items want another.
UPDATE txplan.professionals SET active = false WHERE id = :'ada';
SELECT pg_temp.attempt('SELECT txplan.add_item(%L, NULL, ''x'', 1)', :'plan');
SELECT txplan.add_item(:'plan', NULL, 'other hands', 1, professional_id => :'ben') IS NOT NULL AS added;
UPDATE txplan.items SET notes = 'kept' WHERE id = :'nobodys';
SELECT txplan.complete_item(:'nobodys');
SELECT * FROM pg_temp.doctors(:'plan');
-- In every state: also in a closed and a completed plan the plan's doctor changes,
-- and a pending item's of a closed one.
SELECT txplan.close_plan(:'plan', 'other');
SELECT txplan.assign_professional(:'inherited', :'cleo');
SELECT txplan.change_professional(:'plan', :'cleo');
SELECT * FROM pg_temp.doctors(:'plan') WHERE what IN ('plan', 'inherited');
-- One UPDATE over items of two plans.
UPDATE txplan.items SET professional_id = :'ben' WHERE plan_id IN (:'plan', :'free') AND status = 'pending';
SELECT p.status, e.type, count(*) FROM txplan.events AS e JOIN txplan.plans AS p ON p.id = e.plan_id
WHERE e.clinic_id = :'clinic' AND e.xid = (SELECT xid FROM txplan.events WHERE clinic_id = :'clinic' ORDER BY id DESC LIMIT 1) GROUP BY 1, 2 ORDER BY 1;

SELECT fault, detail FROM txplan.audit(:'clinic');
