-- actor: who did it: the person by the setting txplan.actor, and the role.

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

SELECT name, context, vartype, boot_val FROM pg_settings WHERE name = 'txplan.actor';
SELECT txplan.create_clinic('Actor clinic', 'UTC') AS clinic \gset
SELECT txplan.create_patient(:'clinic', 'Ana', 'Silva') AS patient \gset
CREATE ROLE regress_txplan_one NOLOGIN;
CREATE ROLE regress_txplan_two NOLOGIN;
GRANT USAGE ON SCHEMA txplan TO regress_txplan_one, regress_txplan_two;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA txplan TO regress_txplan_one, regress_txplan_two;

-- last() tells what the record says of the last thing that was done to a plan.
CREATE FUNCTION pg_temp.last(plan uuid)
RETURNS TABLE (event text, event_actor text, payload_actor text, history_actor text, history_role text)
LANGUAGE sql
BEGIN ATOMIC
	SELECT e.type, replace(e.actor, session_user, '<session user>'), replace(e.payload ->> 'actor', session_user, '<session user>'),
		replace(h.actor, session_user, '<session user>'), replace(h.role_name, session_user, '<session user>')
	FROM (SELECT * FROM txplan.events WHERE plan_id = plan ORDER BY id DESC LIMIT 1) AS e,
		(SELECT * FROM txplan.history WHERE plan_id = plan ORDER BY sequence DESC LIMIT 1) AS h;
END;
-- Without the setting the session's user acts.
SHOW txplan.actor;
SELECT txplan.create_plan(:'clinic', :'patient') AS plan \gset
SELECT created_by = session_user AS by_session_user FROM txplan.plans WHERE id = :'plan';
SELECT * FROM pg_temp.last(:'plan');
-- SET ROLE changes the role, not the person.
SET ROLE regress_txplan_one;
SELECT txplan.add_item(:'plan', NULL, 'Filling', 80) AS item \gset
RESET ROLE;
SELECT * FROM pg_temp.last(:'plan');
-- With the setting, its value acts, whatever the role.
SET txplan.actor = 'Dr. Silva <silva@example.org>';
SET ROLE regress_txplan_two;
UPDATE txplan.plans SET title = 'x' WHERE id = :'plan';
RESET ROLE;
SELECT * FROM pg_temp.last(:'plan');
-- For one transaction, as a connection pool does it.
BEGIN;
SET LOCAL txplan.actor = 'user 42';
SELECT txplan.confirm_plan(:'plan');
COMMIT;
SELECT * FROM pg_temp.last(:'plan');
SELECT txplan.accept_plan(:'plan');
SELECT * FROM pg_temp.last(:'plan');
-- Two actors in one transaction, each by its statement.
BEGIN;
SET LOCAL txplan.actor = 'nurse';
SELECT txplan.add_session(:'item', 'second', 5) IS NOT NULL AS added;
SET LOCAL txplan.actor = 'dentist';
SELECT txplan.complete_item(:'item');
COMMIT;
SELECT type, actor, payload ->> 'completed_by' AS completed_by FROM txplan.events WHERE plan_id = :'plan' AND plan_version > 7 ORDER BY id;
SELECT DISTINCT s.completed_by AS session, i.completed_by AS item FROM txplan.sessions AS s JOIN txplan.items AS i ON i.id = s.item_id WHERE s.item_id = :'item';
-- A function of another's leaves the session's user who acts; its role is told.
RESET txplan.actor;
CREATE FUNCTION public.as_one(plan uuid) RETURNS void LANGUAGE sql SECURITY DEFINER AS 'UPDATE txplan.plans SET title = ''y'' WHERE id = plan';
ALTER FUNCTION public.as_one OWNER TO regress_txplan_one;
SELECT public.as_one(:'plan');
SELECT event, event_actor, history_actor FROM pg_temp.last(:'plan');
DROP FUNCTION public.as_one;
-- An empty setting says nothing; one too long is refused; any script will do.
SET txplan.actor = '';
UPDATE txplan.plans SET title = 'z' WHERE id = :'plan';
SELECT * FROM pg_temp.last(:'plan');
SELECT regexp_replace(pg_temp.attempt('SET txplan.actor = %L', repeat('x', 201)), 'x{20,}', 'x...') AS attempt;
SELECT pg_temp.brief('SET txplan.actor = %L', repeat('ü', 200));
SET txplan.actor = 'Dr. 山田 "x" \ '' 🦷';
UPDATE txplan.plans SET title = 'q' WHERE id = :'plan';
SELECT * FROM pg_temp.last(:'plan');
SELECT * FROM txplan.verify_history(:'plan');
RESET txplan.actor;

DROP OWNED BY regress_txplan_one, regress_txplan_two;
DROP ROLE regress_txplan_one;
DROP ROLE regress_txplan_two;
