-- privileges: what a role may do by its grants; the engine writes the rest for it.

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
SELECT txplan.create_clinic('Privilege clinic', 'UTC') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada') AS ada \gset
SELECT txplan.create_patient(:'clinic', 'Mia', 'Koch') AS patient \gset
SELECT txplan.create_catalog_item(:'clinic', 'CLEAN', 'Cleaning', 60) AS cleaning \gset
CREATE TEMP TABLE plan_ids AS SELECT n, txplan.create_plan(:'clinic', :'patient', :'ada') AS id FROM generate_series(1, 4) AS n;
SELECT count(txplan.add_item(id, NULL, 'Filling', 80)) FROM plan_ids, generate_series(1, 2);
SELECT string_agg(txplan.confirm_plan(id), ' '), string_agg(txplan.accept_plan(id), ' ') FROM plan_ids WHERE n < 4;
SELECT id AS plan FROM plan_ids WHERE n = 1 \gset
SELECT id AS draft FROM plan_ids WHERE n = 4 \gset
SELECT min(id::text) AS item, max(id::text) AS item2 FROM txplan.items WHERE plan_id = :'plan' \gset
SELECT id AS session FROM txplan.sessions WHERE item_id = :'item' \gset
SELECT id AS session2 FROM txplan.sessions WHERE item_id = :'item2' \gset
CREATE ROLE regress_txplan_nobody NOLOGIN;
CREATE ROLE regress_txplan_reader NOLOGIN;
CREATE ROLE regress_txplan_hygienist NOLOGIN;
CREATE ROLE regress_txplan_dentist NOLOGIN;
GRANT USAGE ON SCHEMA txplan TO regress_txplan_reader, regress_txplan_hygienist, regress_txplan_dentist;
GRANT SELECT ON ALL TABLES IN SCHEMA txplan TO regress_txplan_reader;
GRANT SELECT, UPDATE (status, note) ON txplan.sessions TO regress_txplan_hygienist;
GRANT SELECT ON ALL TABLES IN SCHEMA txplan TO regress_txplan_dentist;
GRANT INSERT, UPDATE, DELETE ON txplan.plans, txplan.items, txplan.sessions TO regress_txplan_dentist;

-- calls() calls every function as a role and takes all of it back.
CREATE FUNCTION pg_temp.calls(role_name text, plan uuid, draft uuid, item uuid, session uuid)
RETURNS TABLE (call text, said text)
LANGUAGE plpgsql
AS $$
DECLARE
	c record;
BEGIN
	FOR c IN SELECT * FROM (VALUES
		(1, 'create_clinic(''x'', ''UTC'')'), (2, 'create_plan((SELECT %5$L::uuid), %6$L)'), (3, 'lock_plan(%1$L)'), (4, 'add_item(%1$L, NULL, ''x'', 1)'),
		(5, 'add_session(%3$L, ''x'', 1)'), (6, 'remove_item(%3$L)'), (7, 'reorder_items(%1$L, (SELECT array_agg(id ORDER BY id DESC) FROM unnest(%7$L::uuid[]) AS id))'),
		(8, 'assign_professional(%3$L, %8$L)'), (9, 'change_professional(%1$L, %8$L, true)'), (10, 'complete_session(%4$L)'), (11, 'cancel_session(%4$L)'),
		(12, 'complete_item(%3$L)'), (13, 'confirm_plan(%2$L)'), (14, 'close_plan(%1$L, ''other'')'), (15, 'transition_plan(%2$L, ''confirm'')'),
		(16, 'advance_plan(%1$L)'), (17, 'available_actions(%1$L)'), (18, 'plan_detail(%1$L)'), (19, 'verify_history(%1$L)'), (20, 'audit()'),
		(21, 'check_workflow(''dental'')'), (22, 'workflow_diagram(''dental'')'), (23, 'install()')) AS v (n, call)
	LOOP
		call := regexp_replace(c.call, '\(.*', '()');
		BEGIN
			DECLARE
				statement text := format('SELECT txplan.' || c.call, plan, draft, item, session,
					(SELECT clinic_id FROM txplan.plans WHERE id = plan), (SELECT patient_id FROM txplan.plans WHERE id = plan),
					(SELECT array_agg(id) FROM txplan.items WHERE plan_id = plan),
					(SELECT min(id::text) FROM txplan.professionals WHERE clinic_id = (SELECT clinic_id FROM txplan.plans WHERE id = plan)));
			BEGIN
				PERFORM set_config('role', role_name, true);
				EXECUTE statement;
				RAISE EXCEPTION USING ERRCODE = 'ZZ000';
			END;
		EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
			said := 'yes';
		WHEN OTHERS THEN
			said := SQLSTATE || ': ' || regexp_replace(SQLERRM, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<id>');
		END;
		RETURN NEXT;
	END LOOP;
END
$$;
SELECT n.call, n.said AS nobody, r.said AS reader FROM pg_temp.calls('regress_txplan_nobody', :'plan', :'draft', :'item', :'session') WITH ORDINALITY AS n (call, said, n)
JOIN pg_temp.calls('regress_txplan_reader', :'plan', :'draft', :'item', :'session') WITH ORDINALITY AS r (call, said, n) USING (n) ORDER BY n;
SELECT h.call, h.said AS hygienist, d.said AS dentist FROM pg_temp.calls('regress_txplan_hygienist', :'plan', :'draft', :'item', :'session') WITH ORDINALITY AS h (call, said, n)
JOIN pg_temp.calls('regress_txplan_dentist', :'plan', :'draft', :'item', :'session') WITH ORDINALITY AS d (call, said, n) USING (n) ORDER BY n;

-- Grants on two columns let the hygienist complete sessions; item, plan, money,
-- events and history follow, though nobody granted those.
SET ROLE regress_txplan_hygienist;
SELECT txplan.complete_session(:'session', 'by function');
UPDATE txplan.sessions SET status = 'completed', note = 'by UPDATE' WHERE id = :'session2';
SELECT pg_temp.brief('UPDATE txplan.sessions SET amount = 1 WHERE plan_id = %L', :'plan');
SELECT pg_temp.brief('SELECT * FROM txplan.plans');
SELECT pg_temp.brief('SELECT * FROM txplan.events');
RESET ROLE;
SELECT p.status, p.items_completed, (SELECT count(*) FROM txplan.earned_entries AS e WHERE e.plan_id = p.id) AS entries FROM txplan.plans AS p WHERE id = :'plan';
SELECT DISTINCT role_name FROM txplan.history WHERE plan_id = :'plan' AND what = 'session_status';
-- What the engine writes is nobody's to write, with or without a grant.
GRANT ALL ON ALL TABLES IN SCHEMA txplan TO regress_txplan_dentist;
SET ROLE regress_txplan_dentist;
SELECT t, pg_temp.brief('DELETE FROM txplan.%I', t), pg_temp.brief('TRUNCATE txplan.%I CASCADE', t)
FROM unnest(ARRAY['events', 'history', 'earned_entries', 'number_counters']) AS t;
SELECT pg_temp.brief('UPDATE txplan.plans SET items_total = 9 WHERE id = %L', :'draft');
SELECT pg_temp.brief('SET session_replication_role = replica');
SELECT pg_temp.brief('ALTER TABLE txplan.plans DISABLE TRIGGER ALL');
RESET ROLE;

-- Row security that a DBA sets up holds for functions: what a role cannot see is
-- not there.
ALTER TABLE txplan.sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY nothing ON txplan.sessions USING (plan_id = '00000000-0000-0000-0000-000000000000');
SELECT s.id AS hidden FROM txplan.sessions AS s JOIN plan_ids AS p ON p.id = s.plan_id WHERE p.n = 2 LIMIT 1 \gset
SET ROLE regress_txplan_hygienist;
SELECT pg_temp.attempt('SELECT txplan.complete_session(%L)', :'hidden');
UPDATE txplan.sessions SET status = 'completed' WHERE id = :'hidden';
RESET ROLE;
SELECT status FROM txplan.sessions WHERE id = :'hidden';
-- The engine itself, which writes as the record's owner, is not held up by it.
CREATE POLICY by_hygienist ON txplan.sessions TO regress_txplan_hygienist USING (true);
SET ROLE regress_txplan_hygienist;
SELECT txplan.complete_session(:'hidden');
RESET ROLE;
DROP POLICY nothing ON txplan.sessions;
DROP POLICY by_hygienist ON txplan.sessions;
ALTER TABLE txplan.sessions DISABLE ROW LEVEL SECURITY;

-- Operators and functions that a role puts in front of the server's are not taken.
GRANT CREATE ON DATABASE :"DBNAME" TO regress_txplan_dentist;
SET ROLE regress_txplan_dentist;
CREATE SCHEMA regress_txplan_evil;
CREATE FUNCTION regress_txplan_evil.never(uuid, uuid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'taken in'; END $$;
CREATE FUNCTION regress_txplan_evil.never(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'taken in'; END $$;
CREATE FUNCTION regress_txplan_evil.never(integer, integer) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'taken in'; END $$;
CREATE OPERATOR regress_txplan_evil.= (FUNCTION = regress_txplan_evil.never, LEFTARG = uuid, RIGHTARG = uuid);
CREATE OPERATOR regress_txplan_evil.<> (FUNCTION = regress_txplan_evil.never, LEFTARG = uuid, RIGHTARG = uuid);
CREATE OPERATOR regress_txplan_evil.= (FUNCTION = regress_txplan_evil.never, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR regress_txplan_evil.<> (FUNCTION = regress_txplan_evil.never, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR regress_txplan_evil.+ (FUNCTION = regress_txplan_evil.never, LEFTARG = integer, RIGHTARG = integer);
CREATE FUNCTION regress_txplan_evil.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'taken in'; END $$;
CREATE TEMP TABLE plans (id uuid);
SET search_path = regress_txplan_evil, pg_temp, pg_catalog;
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS evil \gset
SELECT txplan.add_item(:'evil', :'cleaning') AS evil_item \gset
SELECT txplan.add_item(:'evil', NULL, 'Filling', 80) AS evil_item2 \gset
SELECT txplan.reorder_items(:'evil', ARRAY[:'evil_item2', :'evil_item']::uuid[]);
SELECT txplan.change_professional(:'evil', :'ada', true);
SELECT txplan.confirm_plan(:'evil'), txplan.accept_plan(:'evil');
SELECT txplan.complete_item(:'evil_item'), txplan.complete_item(:'evil_item2');
SELECT txplan.plan_detail(:'evil') #>> '{plan,status}' AS status;
SELECT count(*) FROM txplan.available_actions(:'evil');
SELECT count(*) FROM txplan.check_workflow('dental');
SELECT count(*) FROM txplan.verify_history(:'evil');
RESET search_path;
DROP TABLE pg_temp.plans;
RESET ROLE;

SELECT fault, detail FROM txplan.audit(:'clinic');
SET client_min_messages = warning;
DROP OWNED BY regress_txplan_nobody, regress_txplan_reader, regress_txplan_hygienist, regress_txplan_dentist CASCADE;
DROP ROLE regress_txplan_nobody, regress_txplan_reader, regress_txplan_hygienist, regress_txplan_dentist;
