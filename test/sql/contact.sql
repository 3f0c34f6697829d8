-- contact: contacts with patients, logged for good and never overwritten.

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

SET txplan.actor = 'reception';
SELECT txplan.create_clinic('Contact clinic', 'Europe/Madrid') AS clinic \gset
SELECT txplan.create_clinic('Other contact clinic', 'UTC') AS other \gset
SELECT txplan.create_patient(:'clinic', 'Pavel', 'Novák') AS patient \gset
SELECT txplan.create_plan(:'clinic', :'patient') AS plan \gset
SELECT txplan.create_plan(:'clinic', :'patient') AS second \gset
SELECT txplan.create_plan(:'other', txplan.create_patient(:'other', 'Zoé', 'Öz')) AS strange \gset
CREATE TEMP VIEW contacts AS
	SELECT p.number LIKE '%1' AS first, c.channel, c.outcome, c.note, c.contacted_at, c.contacted_by,
		c.next_contact_at, o.channel AS corrects
	FROM txplan.contacts AS c
	JOIN txplan.plans AS p ON p.id = c.plan_id
	LEFT JOIN txplan.contacts AS o ON o.id = c.corrects_id
	WHERE p.clinic_id = :'clinic'
	ORDER BY c.id;

-- Nobody was called yet.
SELECT last_contact_at, next_contact_at FROM txplan.plans WHERE id = :'plan';

-- One line of the front desk: what it keeps, and what the plan says afterwards.
SELECT txplan.log_contact(:'plan', 'call', 'no answer', 'Rang five times', '2031-05-02 09:00+02', contacted_at => '2024-03-01 10:00+01') AS first \gset
SELECT * FROM contacts;
SELECT last_contact_at, next_contact_at, version FROM txplan.plans WHERE id = :'plan';
-- The event and the history say the same.
SELECT payload - '{event_id,plan_id,clinic_id,patient_id,occurred_at,plan_number}'::text[] - 'contact_id' AS payload, payload ->> 'contact_id' = :'first' AS id
FROM txplan.events WHERE plan_id = :'plan' AND type = 'treatment_plan.contact_logged';
SELECT what, from_value, to_value = :'first' AS contact, action, reason, note FROM txplan.history WHERE plan_id = :'plan' AND what = 'contact';

-- Without a time it is now; without a next one there is none any more.
SELECT txplan.log_contact(:'plan', 'whatsapp') AS now_one \gset
SELECT channel, contacted_at BETWEEN now() - interval '1 hour' AND clock_timestamp() AS now FROM txplan.contacts WHERE id = :'now_one';
SELECT c.contacted_at = p.last_contact_at AS last, p.next_contact_at
FROM txplan.plans AS p JOIN txplan.contacts AS c ON c.id = :'now_one' WHERE p.id = :'plan';
-- What is logged late does not become the latest.
SELECT txplan.log_contact(:'plan', 'sms', contacted_at => '2024-02-01 10:00+01', next_contact_at => '2024-02-08 10:00+01') IS NOT NULL AS logged;
SELECT c.contacted_at = p.last_contact_at AS last, p.next_contact_at
FROM txplan.plans AS p JOIN txplan.contacts AS c ON c.id = :'now_one' WHERE p.id = :'plan';

-- A correction is another row: the one that it corrects counts no longer, and stays.
SELECT txplan.log_contact(:'plan', 'email', 'answered', corrects_id => :'now_one', contacted_at => '2024-02-20 10:00+01') AS correction \gset
SELECT last_contact_at, next_contact_at FROM txplan.plans WHERE id = :'plan';
SELECT pg_temp.attempt('SELECT txplan.log_contact(%L, ''call'', corrects_id => %L)', :'plan', :'now_one');
SELECT txplan.log_contact(:'plan', 'email', 'accepted', corrects_id => :'correction', contacted_at => '2024-03-02 10:00+01', next_contact_at => '2031-05-03 09:00+02') AS again \gset
SELECT last_contact_at, next_contact_at FROM txplan.plans WHERE id = :'plan';
SELECT channel, outcome, corrects FROM contacts WHERE first;
SELECT what, from_value = :'now_one' AS corrects, to_value = :'correction' AS contact, action FROM txplan.history
WHERE plan_id = :'plan' AND what = 'contact' AND from_value IS NOT NULL ORDER BY sequence;
-- Of the same plan, and one that is there.
SELECT pg_temp.attempt('SELECT txplan.log_contact(%L, ''call'', corrects_id => %L)', :'second', :'again');
SELECT pg_temp.brief('SELECT txplan.log_contact(%L, ''call'', corrects_id => %L)', :'strange', :'again');
SELECT pg_temp.brief('SELECT txplan.log_contact(%L, ''call'', corrects_id => txplan.new_id())', :'plan');

-- Nothing is overwritten, nothing goes.
SELECT pg_temp.attempt('UPDATE txplan.contacts SET note = ''x'' WHERE id = %L', :'first');
SELECT column_name, pg_temp.brief('UPDATE txplan.contacts SET %I = %s WHERE id = %L', column_name, value, :'first')
FROM (VALUES ('id', 'txplan.new_id()'), ('plan_id', quote_literal(:'second')), ('channel', '''sms'''), ('outcome', 'NULL'),
	('contacted_at', 'now()'), ('contacted_by', '''me'''), ('next_contact_at', 'NULL'), ('created_at', 'now()')) AS v (column_name, value);
SELECT pg_temp.attempt('DELETE FROM txplan.contacts WHERE id = %L', :'first');
SELECT pg_temp.brief('MERGE INTO txplan.contacts AS c USING (SELECT 1) AS o ON c.id = %L WHEN MATCHED THEN UPDATE SET note = ''x''', :'first');
SELECT pg_temp.brief('INSERT INTO txplan.contacts (id, clinic_id, plan_id, channel) VALUES (%L, %L, %L, ''call'') ON CONFLICT (id, clinic_id) DO UPDATE SET note = ''x''', :'first', :'clinic', :'plan');
-- A mapper that writes back what it read changes nothing.
UPDATE txplan.contacts SET channel = channel, note = note, updated_at = now() WHERE plan_id = :'plan';
SELECT count(*) AS events FROM txplan.events WHERE plan_id = :'plan' AND type = 'treatment_plan.contact_logged';
SELECT bool_and(updated_at = created_at) AS unchanged FROM txplan.contacts;
-- What the engine keeps on the plan is the engine's.
SELECT pg_temp.brief('UPDATE txplan.plans SET last_contact_at = now() WHERE id = %L', :'plan');
SELECT pg_temp.brief('UPDATE txplan.plans SET next_contact_at = NULL WHERE id = %L', :'plan');

-- INSERT and COPY obey the same rules; several rows of one statement are in order.
INSERT INTO txplan.contacts (clinic_id, plan_id, channel, outcome, contacted_at, next_contact_at) VALUES
	(:'clinic', :'second', 'in_person', 'thinks about it', '2024-04-01 10:00+02', '2031-06-01'),
	(:'clinic', :'plan', 'call', NULL, '2024-04-02 10:00+02', NULL),
	(:'clinic', :'second', 'other', 'fax', '2024-03-31 10:00+02', '2031-07-01');
SELECT number LIKE '%1' AS first, last_contact_at, next_contact_at FROM txplan.plans WHERE clinic_id = :'clinic' ORDER BY number;
SELECT p.number LIKE '%1' AS first, e.payload ->> 'channel' AS channel, e.plan_version FROM txplan.events AS e JOIN txplan.plans AS p ON p.id = e.plan_id
WHERE e.type = 'treatment_plan.contact_logged' AND p.clinic_id = :'clinic' ORDER BY e.id;
SELECT pg_temp.attempt('INSERT INTO txplan.contacts (clinic_id, plan_id, channel, contacted_by) VALUES (%L, %L, ''call'', ''somebody'')', :'clinic', :'plan');
SELECT pg_temp.brief('INSERT INTO txplan.contacts (clinic_id, plan_id, channel) VALUES (%L, %L, ''pigeon'')', :'clinic', :'plan');
SELECT pg_temp.brief('INSERT INTO txplan.contacts (clinic_id, plan_id, channel) VALUES (%L, %L, ''call'')', :'clinic', :'strange');
SELECT pg_temp.brief('INSERT INTO txplan.contacts (clinic_id, plan_id, channel, outcome) VALUES (%L, %L, ''call'', '''')', :'clinic', :'plan');
COPY txplan.contacts (clinic_id, plan_id, channel, contacted_at) FROM PROGRAM 'true';

-- Channels, and times: none in the future, none without end.
SELECT pg_temp.attempt('SELECT txplan.log_contact(%L, ''pigeon'')', :'plan');
SELECT regexp_replace(pg_temp.attempt('SELECT txplan.log_contact(%L, ''call'', contacted_at => clock_timestamp() + interval ''1 minute'')', :'plan'), ' is <time>.*\.\n', E' is <time>.\n');
SELECT pg_temp.brief('INSERT INTO txplan.contacts (clinic_id, plan_id, channel, contacted_at) VALUES (%L, %L, ''call'', clock_timestamp() + interval ''1 minute'')', :'clinic', :'plan');
SELECT pg_temp.attempt('SELECT txplan.log_contact(%L, ''call'', contacted_at => ''-infinity'')', :'plan');
SELECT pg_temp.brief('SELECT txplan.log_contact(%L, ''call'', next_contact_at => ''infinity'')', :'plan');
-- A transaction that began before the contact is no matter: the clock counts.
BEGIN;
SELECT now() < clock_timestamp() AS later;
SELECT txplan.log_contact(:'plan', 'call', contacted_at => clock_timestamp()) IS NOT NULL AS logged;
ROLLBACK;

-- A clinic can keep a list of outcomes.
UPDATE txplan.clinics SET contact_outcomes = '{accepted,"no answer"}' WHERE id = :'clinic';
SELECT txplan.log_contact(:'plan', 'call', 'no answer', contacted_at => '2024-04-03 10:00+02') IS NOT NULL AS logged;
SELECT txplan.log_contact(:'plan', 'call', contacted_at => '2024-04-03 11:00+02') IS NOT NULL AS logged;
SELECT pg_temp.attempt('SELECT txplan.log_contact(%L, ''call'', ''maybe'')', :'plan');
SELECT pg_temp.brief('INSERT INTO txplan.contacts (clinic_id, plan_id, channel, outcome) VALUES (%L, %L, ''call'', ''Accepted'')', :'clinic', :'plan');
SELECT txplan.log_contact(:'strange', 'call', 'maybe') IS NOT NULL AS elsewhere_any;
SELECT pg_temp.brief('UPDATE txplan.clinics SET contact_outcomes = %L WHERE id = %L', list, :'clinic') FROM (VALUES ('{}'), ('{NULL}'), ('{{a},{b}}')) AS v (list);
UPDATE txplan.clinics SET contact_outcomes = NULL WHERE id = :'clinic';

-- In every state; it moves nothing but the version.
SELECT txplan.create_plan(:'clinic', :'patient') AS moved \gset
SELECT txplan.add_item(:'moved', NULL, 'Filling', 80) AS filling \gset
SELECT txplan.confirm_plan(:'moved');
SELECT txplan.log_contact(:'moved', 'call') IS NOT NULL AS pending;
SELECT txplan.accept_plan(:'moved');
SELECT txplan.log_contact(:'moved', 'call') IS NOT NULL AS active;
SELECT txplan.complete_item(:'filling');
SELECT txplan.log_contact(:'moved', 'call') IS NOT NULL AS completed;
SELECT txplan.close_plan(:'second', 'rejected');
SELECT txplan.log_contact(:'second', 'call') IS NOT NULL AS closed;
SELECT status, items_total, items_completed, version FROM txplan.plans WHERE id = :'moved';

-- While a budget locks the plan, too.
SELECT txplan.create_plan(:'clinic', :'patient') AS locked \gset
SELECT txplan.add_item(:'locked', NULL, 'Filling', 80) AS locked_item \gset
SELECT txplan.confirm_plan(:'locked');
SELECT txplan.generate_budget(:'locked') AS budget \gset
SELECT txplan.send_budget(:'budget');
SELECT pg_temp.brief('SELECT txplan.add_item(%L, NULL, ''More'', 1)', :'locked');
SELECT txplan.log_contact(:'locked', 'call', 'thinks about it') IS NOT NULL AS logged;

-- Together with a change of the plan in one statement.
WITH c AS (INSERT INTO txplan.contacts (clinic_id, plan_id, channel, contacted_at) VALUES (:'clinic', :'plan', 'call', '2024-04-04 10:00+02') RETURNING plan_id)
UPDATE txplan.plans AS p SET title = 'Called' FROM c WHERE p.id = c.plan_id;
SELECT title, last_contact_at FROM txplan.plans WHERE id = :'plan';

-- They go with their plan.
SELECT txplan.create_plan(:'clinic', :'patient') AS gone \gset
SELECT txplan.log_contact(:'gone', 'call') AS gone_contact \gset
SELECT txplan.log_contact(:'gone', 'sms', corrects_id => :'gone_contact') IS NOT NULL AS logged;
DELETE FROM txplan.plans WHERE id = :'gone';
SELECT count(*) AS contacts FROM txplan.contacts WHERE plan_id = :'gone';

-- Who may: those who may insert contacts.
CREATE ROLE regress_txplan_desk;
GRANT USAGE ON SCHEMA txplan TO regress_txplan_desk;
SET ROLE regress_txplan_desk;
SELECT pg_temp.brief('SELECT txplan.log_contact(%L, ''call'')', :'plan');
RESET ROLE;
GRANT SELECT, INSERT ON txplan.contacts TO regress_txplan_desk;
SET ROLE regress_txplan_desk;
SELECT txplan.log_contact(:'plan', 'call') IS NOT NULL AS logged;
RESET ROLE;
DROP OWNED BY regress_txplan_desk;
DROP ROLE regress_txplan_desk;

SELECT fault, detail FROM txplan.audit(:'clinic');
SELECT * FROM txplan.verify_history();
