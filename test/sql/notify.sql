-- notify: the setting that decides how listeners are told.

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

-- Superusers set it, and those they grant it to.
SHOW txplan.notify;
SELECT name, context, vartype, enumvals, boot_val FROM pg_settings WHERE name = 'txplan.notify';
SELECT pg_temp.attempt('SET txplan.notify = ''sometimes''');
CREATE ROLE regress_txplan_writer NOLOGIN;
SET ROLE regress_txplan_writer;
SELECT pg_temp.brief('SET txplan.notify = ''off''');
RESET ROLE;
GRANT SET ON PARAMETER txplan.notify TO regress_txplan_writer;
SET ROLE regress_txplan_writer;
SELECT pg_temp.brief('SET txplan.notify = ''off''');
RESET ROLE;
SHOW txplan.notify;
RESET txplan.notify;
SHOW txplan.notify;
REVOKE SET ON PARAMETER txplan.notify FROM regress_txplan_writer;
DROP ROLE regress_txplan_writer;

-- Here on, writers announce what they do.
SET txplan.notify = 'commit';
SET txplan.actor = 'tester';
SELECT txplan.create_clinic('Notify clinic', 'UTC') AS clinic \gset
SELECT txplan.create_patient(:'clinic', 'Lin', 'Wu') AS patient \gset
-- PostgreSQL sends no notification from a prepared transaction, so one with events
-- is refused, with what to change.
BEGIN;
SELECT txplan.create_plan(:'clinic', :'patient', NULL, 'prepared') IS NOT NULL AS created;
PREPARE TRANSACTION 'regress_txplan';
SELECT count(*) AS plans FROM txplan.plans WHERE clinic_id = :'clinic';
-- One without events is not.
BEGIN;
UPDATE txplan.plans SET title = 'x' WHERE clinic_id = :'clinic';
PREPARE TRANSACTION 'regress_txplan';
COMMIT PREPARED 'regress_txplan';
-- Nor one whose events were rolled back.
BEGIN;
SAVEPOINT a;
SELECT txplan.create_plan(:'clinic', :'patient') IS NOT NULL AS created;
ROLLBACK TO a;
PREPARE TRANSACTION 'regress_txplan';
ROLLBACK PREPARED 'regress_txplan';
-- With off it works, and the event is there once it commits.
SET txplan.notify = 'off';
BEGIN;
SELECT txplan.create_plan(:'clinic', :'patient', NULL, 'prepared') IS NOT NULL AS created;
PREPARE TRANSACTION 'regress_txplan';
SELECT count(*) AS events FROM txplan.events WHERE clinic_id = :'clinic';
COMMIT PREPARED 'regress_txplan';
SELECT e.type, e.plan_version, p.version FROM txplan.events AS e JOIN txplan.plans AS p ON p.id = e.plan_id WHERE e.clinic_id = :'clinic';
-- Rolled back, its number is given again.
BEGIN;
SELECT txplan.create_plan(:'clinic', :'patient') IS NOT NULL AS created;
PREPARE TRANSACTION 'regress_txplan';
ROLLBACK PREPARED 'regress_txplan';
INSERT INTO txplan.plans (clinic_id, patient_id) VALUES (:'clinic', :'patient') RETURNING regexp_replace(number, '\d{4}', 'YYYY') AS number;
SET txplan.notify = 'commit';
-- The setting counts as it is at the end of the transaction.
BEGIN;
SELECT txplan.create_plan(:'clinic', :'patient') IS NOT NULL AS created;
SET LOCAL txplan.notify = 'off';
PREPARE TRANSACTION 'regress_txplan';
ROLLBACK PREPARED 'regress_txplan';

-- Many events in one transaction are no trouble to whoever does not listen.
BEGIN;
INSERT INTO txplan.plans (clinic_id, patient_id) SELECT :'clinic', :'patient' FROM generate_series(1, 200);
COMMIT;
SELECT count(*) AS plans FROM txplan.plans WHERE clinic_id = :'clinic';
SELECT fault, detail FROM txplan.audit(:'clinic');
