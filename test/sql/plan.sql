-- plan: what a user sees who makes, changes and deletes plans, by functions and
-- by plain SQL: numbers, versions, what the engine owns, and what cannot go.

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

-- A clinic with two doctors, one of whom left, and two patients, one archived.
SELECT txplan.create_clinic('Plan clinic', 'UTC') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada') AS ada \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ben') AS ben \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Left') AS dr_left \gset
UPDATE txplan.professionals SET active = false WHERE id = :'dr_left';
SELECT txplan.create_patient(:'clinic', 'Nadia', 'Haddad') AS patient \gset
SELECT txplan.create_patient(:'clinic', 'Old', 'Patient') AS archived \gset
UPDATE txplan.patients SET archived_at = now() WHERE id = :'archived';
-- Another clinic, whose people are none of the first.
SELECT txplan.create_clinic('Other plan clinic', 'UTC') AS other_clinic \gset
SELECT txplan.create_professional(:'other_clinic', 'Dr. Other') AS other_doctor \gset
SELECT txplan.create_patient(:'other_clinic', 'Other', 'Patient') AS other_patient \gset

-- A plan begins as a draft, with the first number of its clinic and year.
SET txplan.actor = 'reception';
SELECT txplan.create_plan(:'clinic', :'patient', :'ada', 'Two crowns') AS plan \gset
SELECT regexp_replace(p.number, '\d{4}', 'YYYY') AS number,
	substr(p.number, 6, 4) = to_char(now() AT TIME ZONE 'UTC', 'YYYY') AS this_year,
	p.workflow, p.status, p.title, p.created_by, p.version,
	p.items_total, p.items_completed, p.items_cancelled,
	p.history_length, octet_length(p.history_head) AS head,
	p.patient_id = :'patient' AS patient, p.professional_id = :'ada' AS doctor,
	num_nulls(p.closure_reason, p.closure_note, p.confirmed_at, p.activated_at,
		p.completed_at, p.closed_at, p.last_contact_at) AS empty_stamps,
	p.status_changed_at IS NOT NULL AS since, p.updated_at >= p.created_at AS updated
FROM txplan.plans AS p
WHERE p.id = :'plan';

-- Only clinic and patient are wanted; RETURNING shows what the engine gave.
INSERT INTO txplan.plans (clinic_id, patient_id, title)
VALUES (:'clinic', :'patient', 'Second'), (:'clinic', :'patient', NULL)
RETURNING regexp_replace(number, '\d{4}', 'YYYY') AS number, workflow, status, title,
	version, created_by;

-- A client may bring the id, the initial state, the version of a new row as an
-- ORM writes it, and the time when the plan was made.
SELECT txplan.new_id() AS given \gset
INSERT INTO txplan.plans (id, clinic_id, patient_id, workflow, status, version,
	items_total, created_at)
VALUES (:'given', :'clinic', :'patient', 'dental', 'draft', 1, 0, '2020-02-29 10:00Z')
RETURNING id = :'given' AS id_kept, regexp_replace(number, '\d{4}', 'YYYY') AS number,
	status, version, created_at;

-- Numbers have no gaps: a conflict and a rollback take none.
INSERT INTO txplan.plans (id, clinic_id, patient_id)
VALUES (:'given', :'clinic', :'patient')
ON CONFLICT (id, clinic_id) DO NOTHING;
BEGIN;
SELECT txplan.create_plan(:'clinic', :'patient') IS NOT NULL AS created;
ROLLBACK;
BEGIN;
SAVEPOINT before;
SELECT txplan.create_plan(:'clinic', :'patient') IS NOT NULL AS created;
ROLLBACK TO SAVEPOINT before;
SELECT txplan.create_plan(:'clinic', :'patient', NULL, 'Fifth') IS NOT NULL AS created;
COMMIT;
SELECT regexp_replace(number, '\d{4}', 'YYYY') AS number, title, version
FROM txplan.plans WHERE clinic_id = :'clinic' ORDER BY plans.number;
-- An upsert that updates is a change like any other.
INSERT INTO txplan.plans (id, clinic_id, patient_id, title)
VALUES (:'given', :'clinic', :'patient', 'Third')
ON CONFLICT (id, clinic_id) DO UPDATE SET title = excluded.title
RETURNING regexp_replace(number, '\d{4}', 'YYYY') AS number, title, version;

-- Each clinic counts for itself, and chooses how its numbers look.
UPDATE txplan.clinics SET plan_number_format = 'T/{YYYY}/{N}#' WHERE id = :'other_clinic';
INSERT INTO txplan.plans (clinic_id, patient_id)
SELECT :'other_clinic', :'other_patient' FROM generate_series(1, 11);
SELECT string_agg(regexp_replace(number, '\d{4}', 'YYYY'), ' ' ORDER BY id)
FROM txplan.plans WHERE clinic_id = :'other_clinic';
UPDATE txplan.clinics SET plan_number_format = '{YYYY}{NNNNNN}' WHERE id = :'other_clinic';
INSERT INTO txplan.plans (clinic_id, patient_id) VALUES (:'other_clinic', :'other_patient')
RETURNING regexp_replace(number, '^\d{4}', 'YYYY') AS number;
SELECT f AS format, pg_temp.brief(
	'UPDATE txplan.clinics SET plan_number_format = %L WHERE id = %L', f, :'other_clinic')
FROM unnest(ARRAY['', 'PLAN', '{YYYY}', '{NNNN}', '{NNNN}-{YYYY}', '{YYYY}{YYYY}{N}',
	'{YYYY}-{X}', '{YYYY}-{NNNNNNNNNN}', '{yyyy}-{N}']) AS f;
-- The year is that of the clinic's time zone: these two differ in their date
-- at every moment, and at New Year in their year.
SELECT txplan.create_clinic('Kiritimati', 'Pacific/Kiritimati') AS early \gset
SELECT txplan.create_clinic('Niue', 'Pacific/Niue') AS late \gset
SELECT txplan.create_patient(:'early', 'A', 'B') AS early_patient \gset
SELECT txplan.create_patient(:'late', 'A', 'B') AS late_patient \gset
INSERT INTO txplan.plans (clinic_id, patient_id)
VALUES (:'early', :'early_patient'), (:'late', :'late_patient'), (:'late', :'late_patient');
SELECT c.name, count(*) AS plans,
	bool_and(substr(p.number, 6, 4) = to_char(now() AT TIME ZONE c.time_zone, 'YYYY')) AS this_year
FROM txplan.plans AS p JOIN txplan.clinics AS c ON c.id = p.clinic_id
WHERE c.id IN (:'early', :'late') GROUP BY c.name ORDER BY c.name;
SELECT c.name, k.kind, k.year = date_part('year', now() AT TIME ZONE c.time_zone) AS this_year,
	k.last_number
FROM txplan.number_counters AS k JOIN txplan.clinics AS c ON c.id = k.clinic_id
WHERE c.id IN (:'early', :'late') ORDER BY c.name;

-- What a new plan refuses: the function and the INSERT say the same.
SELECT pg_temp.attempt('SELECT txplan.create_plan(NULL, %L)', :'patient');
SELECT pg_temp.attempt('SELECT txplan.create_plan(%L, NULL)', :'clinic');
SELECT pg_temp.attempt('SELECT txplan.create_plan(%L, %L)', gen_random_uuid()::text, :'patient');
SELECT pg_temp.attempt('SELECT txplan.create_plan(%L, %L)', :'clinic', gen_random_uuid()::text);
SELECT pg_temp.attempt('SELECT txplan.create_plan(%L, %L)', :'clinic', :'archived');
SELECT pg_temp.attempt('SELECT txplan.create_plan(%L, %L)', :'clinic', :'other_patient');
SELECT pg_temp.attempt('SELECT txplan.create_plan(%L, %L, %L)', :'clinic', :'patient', gen_random_uuid()::text);
SELECT pg_temp.attempt('SELECT txplan.create_plan(%L, %L, %L)', :'clinic', :'patient', :'dr_left');
SELECT pg_temp.attempt('SELECT txplan.create_plan(%L, %L, %L)', :'clinic', :'patient', :'other_doctor');
SELECT pg_temp.attempt('SELECT txplan.create_plan(%L, %L, NULL, ''  '')', :'clinic', :'patient');
SELECT pg_temp.attempt('SELECT txplan.create_plan(%L, %L, NULL, repeat(''ü'', 501))', :'clinic', :'patient');
SELECT pg_temp.attempt('SELECT txplan.create_plan(%L, %L, NULL, NULL, ''orthodontic'')', :'clinic', :'patient');
SELECT pg_temp.attempt('INSERT INTO txplan.plans (clinic_id, patient_id) VALUES (%L, %L)', :'clinic', :'other_patient');
SELECT pg_temp.attempt('INSERT INTO txplan.plans (clinic_id, patient_id, professional_id) VALUES (%L, %L, %L)', :'clinic', :'patient', :'dr_left');
SELECT pg_temp.attempt('INSERT INTO txplan.plans (clinic_id, patient_id, status) VALUES (%L, %L, ''active'')', :'clinic', :'patient');
SELECT pg_temp.attempt('INSERT INTO txplan.plans (clinic_id, patient_id, workflow) VALUES (%L, %L, ''orthodontic'')', :'clinic', :'patient');
SELECT pg_temp.attempt('INSERT INTO txplan.plans (clinic_id, patient_id, version) VALUES (%L, %L, 7)', :'clinic', :'patient');
SELECT pg_temp.attempt('INSERT INTO txplan.plans (clinic_id, patient_id, title) VALUES (%L, %L, '''')', :'clinic', :'patient');
-- A plan whose id is taken, or that lacks a column, gets the server's own error.
SELECT pg_temp.attempt('INSERT INTO txplan.plans (id, clinic_id, patient_id) VALUES (%L, %L, %L)', :'given', :'clinic', :'patient');
SELECT pg_temp.brief('INSERT INTO txplan.plans (patient_id) VALUES (%L)', :'patient');

-- A new plan cannot bring what the engine gives it.
SELECT c.name, pg_temp.brief(
	'INSERT INTO txplan.plans (clinic_id, patient_id, %I) VALUES (%L, %L, %L)',
	c.name, :'clinic', :'patient', c.value)
FROM (VALUES ('number', 'PLAN-1'), ('closure_reason', 'other'), ('closure_note', 'n'),
	('confirmed_at', '2026-01-01'), ('activated_at', '2026-01-01'),
	('completed_at', '2026-01-01'), ('closed_at', '2026-01-01'),
	('status_changed_at', '2026-01-01'), ('last_contact_at', '2026-01-01'),
	('items_total', '1'), ('items_completed', '1'), ('items_cancelled', '1'),
	('history_length', '1'), ('history_head', '\x00'), ('created_by', 'me')) AS c (name, value);

-- Nothing of all that took a number.
SELECT count(*) AS plans, max(substr(number, 11)::integer) AS highest,
	(SELECT last_number FROM txplan.number_counters WHERE clinic_id = :'clinic') AS counter
FROM txplan.plans WHERE clinic_id = :'clinic';

-- Title and notes: one version and one event for all that one UPDATE changes,
-- and RETURNING shows the version.
UPDATE txplan.plans SET title = 'Three crowns', diagnosis_notes = 'caries 16, 26',
	internal_notes = 'calls at noon'
WHERE id = :'plan' RETURNING title, version;
SELECT type, plan_version, payload -> 'changed' AS changed
FROM txplan.events WHERE plan_id = :'plan' ORDER BY plan_version;
SELECT sequence, what, from_value, to_value, actor
FROM txplan.history WHERE plan_id = :'plan' ORDER BY sequence;
-- An UPDATE that changes nothing is none: no event, no version, no time.
SELECT updated_at AS before FROM txplan.plans WHERE id = :'plan' \gset
UPDATE txplan.plans SET title = title, status = status, internal_notes = 'calls at noon',
	professional_id = professional_id, updated_at = now() + interval '1 day'
WHERE id = :'plan' RETURNING version, updated_at = :'before' AS time_kept;
-- Notes can be emptied.
UPDATE txplan.plans SET title = NULL, internal_notes = '' WHERE id = :'plan'
RETURNING title, internal_notes, version;
SELECT pg_temp.attempt('UPDATE txplan.plans SET title = repeat(''x'', 500) WHERE id = %L', :'plan');
SELECT pg_temp.attempt('UPDATE txplan.plans SET title = repeat(''x'', 501) WHERE id = %L', :'plan');
SELECT pg_temp.attempt('UPDATE txplan.plans SET diagnosis_notes = repeat(''x'', 100001) WHERE id = %L', :'plan');

-- An UPDATE may carry the version that it read, or that plus one; the engine's
-- own takes its place.  Any other is stale.
SELECT version, version + 1 AS next, version - 1 AS stale, version + 2 AS beyond
FROM txplan.plans WHERE id = :'plan' \gset
UPDATE txplan.plans SET title = 'a', version = :version WHERE id = :'plan'
RETURNING version - :version AS steps;
UPDATE txplan.plans SET title = 'b', version = :version + 2 WHERE id = :'plan'
RETURNING version - :version AS steps;
UPDATE txplan.plans SET version = version + 1 WHERE id = :'plan'
RETURNING version - :version AS steps;
SELECT pg_temp.attempt('UPDATE txplan.plans SET title = ''c'', version = version - 1 WHERE id = %L', :'plan');
SELECT pg_temp.attempt('UPDATE txplan.plans SET title = ''c'', version = version + 2 WHERE id = %L', :'plan');
SELECT pg_temp.brief('UPDATE txplan.plans SET title = ''c'', version = NULL WHERE id = %L', :'plan');
SELECT title FROM txplan.plans WHERE id = :'plan';

-- What a plan is about never changes.
SELECT c.name, pg_temp.attempt('UPDATE txplan.plans SET %I = %L WHERE id = %L',
	c.name, c.value, :'plan')
FROM (VALUES ('id', gen_random_uuid()::text), ('clinic_id', :'other_clinic'),
	('patient_id', :'archived'), ('workflow', 'surgical')) AS c (name, value);
-- What the engine owns is not the client's.
SELECT pg_temp.attempt('UPDATE txplan.plans SET items_total = 5 WHERE id = %L', :'plan');
SELECT c.name, pg_temp.brief('UPDATE txplan.plans SET %I = %L WHERE id = %L',
	c.name, c.value, :'plan')
FROM (VALUES ('number', 'PLAN-1'), ('closure_reason', 'other'), ('closure_note', 'n'),
	('confirmed_at', '2026-01-01'), ('activated_at', '2026-01-01'),
	('completed_at', '2026-01-01'), ('closed_at', '2026-01-01'),
	('status_changed_at', '2026-01-01'), ('last_contact_at', '2026-01-01'),
	('items_completed', '1'), ('items_cancelled', '1'),
	('history_length', '1'), ('history_head', '\x00'), ('created_by', 'me'),
	('created_at', '2026-01-01'), ('status', NULL)) AS c (name, value);
-- In an UPDATE of many plans one refusal refuses all.
SELECT pg_temp.attempt('UPDATE txplan.plans SET title = ''all'', items_total = CASE WHEN id = %L THEN 1 ELSE 0 END WHERE clinic_id = %L', :'given', :'clinic');
SELECT count(*) FROM txplan.plans WHERE title = 'all';

-- The plan's doctor is an active professional of the clinic.
UPDATE txplan.plans SET professional_id = :'ben' WHERE id = :'plan' RETURNING version;
SELECT pg_temp.attempt('UPDATE txplan.plans SET professional_id = %L WHERE id = %L', :'dr_left', :'plan');
SELECT pg_temp.attempt('UPDATE txplan.plans SET professional_id = %L WHERE id = %L', :'other_doctor', :'plan');
SELECT pg_temp.attempt('UPDATE txplan.plans SET professional_id = %L WHERE id = %L', gen_random_uuid()::text, :'plan');
UPDATE txplan.plans SET professional_id = NULL WHERE id = :'plan'
RETURNING professional_id IS NULL AS no_doctor;
SELECT type, payload -> 'items_reassigned' AS items,
	payload ->> 'old_professional_id' = :'ada' AS from_ada,
	payload ->> 'old_professional_id' = :'ben' AS from_ben,
	payload ->> 'new_professional_id' = :'ben' AS to_ben
FROM txplan.events WHERE plan_id = :'plan' ORDER BY plan_version DESC LIMIT 2;

-- Title, notes and doctor can change in every state.
CREATE TEMP TABLE made AS
SELECT s AS state, txplan.create_plan(:'clinic', :'patient', :'ada', s) AS id
FROM unnest(ARRAY['draft', 'pending', 'active', 'completed', 'closed']) AS s;
SELECT count(txplan.add_item(id, NULL, 'Cleaning', 60)) FROM made;
SELECT string_agg(txplan.confirm_plan(id), ' ') FROM made WHERE state <> 'draft';
SELECT string_agg(txplan.accept_plan(id), ' ') FROM made WHERE state IN ('active', 'completed');
SELECT txplan.complete_item(i.id) FROM txplan.items AS i JOIN made AS m ON m.id = i.plan_id
WHERE m.state = 'completed';
SELECT txplan.close_plan(id, 'other', 'moved away') FROM made WHERE state = 'closed';
UPDATE txplan.plans AS p SET title = 'changed', internal_notes = 'changed',
	professional_id = :'ben'
FROM made WHERE p.id = made.id;
SELECT m.state, p.status, p.title, d.name
FROM made AS m JOIN txplan.plans AS p ON p.id = m.id
JOIN txplan.professionals AS d ON d.id = p.professional_id
ORDER BY p.number;
-- Reason and note of a closing stay as they are while it is closed.
SELECT pg_temp.attempt('UPDATE txplan.plans SET closure_note = ''better'' WHERE id = %L',
	(SELECT id::text FROM made WHERE state = 'closed'));

-- Only a draft can be deleted.
SELECT m.state, pg_temp.attempt('DELETE FROM txplan.plans WHERE id = %L', m.id::text)
FROM made AS m JOIN txplan.plans AS p ON p.id = m.id ORDER BY p.number DESC;
-- With it go its items and sessions; its events and its history stay.
SELECT m.id AS draft FROM made AS m WHERE m.state = 'draft' \gset
SELECT count(*) AS plans FROM txplan.plans WHERE id = :'draft';
SELECT count(*) AS items FROM txplan.items WHERE plan_id = :'draft';
SELECT count(*) AS sessions FROM txplan.sessions WHERE plan_id = :'draft';
SELECT plan_version, type FROM txplan.events WHERE plan_id = :'draft' ORDER BY id;
SELECT sequence, what, from_value, to_value FROM txplan.history
WHERE plan_id = :'draft' AND what <> 'professional' ORDER BY sequence;
SELECT * FROM txplan.verify_history(:'draft');
-- Its number is gone for good.
SELECT regexp_replace(payload ->> 'plan_number', '\d{4}', 'YYYY') AS deleted
FROM txplan.events WHERE plan_id = :'draft' AND type = 'treatment_plan.deleted';
INSERT INTO txplan.plans (clinic_id, patient_id) VALUES (:'clinic', :'patient')
RETURNING regexp_replace(number, '\d{4}', 'YYYY') AS next;
SELECT pg_temp.attempt('SELECT txplan.confirm_plan(%L)', :'draft');

-- A draft is kept when anything of it was done: here one that was taken up
-- again with a completed item, and one with a single session that earned.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS done_item \gset
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS done_session \gset
SELECT txplan.create_catalog_item(:'clinic', 'CROWN', 'Crown', 600, 'prosthetics',
	'[{"label": "Preparation", "price": 200}, {"label": "Fitting", "price": 400}]') AS crown \gset
SELECT txplan.add_item(:'done_item', NULL, 'Cleaning', 60) AS cleaning \gset
SELECT txplan.add_item(:'done_item', :'crown') IS NOT NULL AS added;
SELECT txplan.add_item(:'done_session', :'crown') IS NOT NULL AS added;
SELECT p.plan, txplan.confirm_plan(p.id), txplan.accept_plan(p.id)
FROM (VALUES (1, :'done_item'::uuid), (2, :'done_session')) AS p (plan, id);
SELECT txplan.complete_item(:'cleaning');
SELECT txplan.complete_session(id) FROM txplan.sessions
WHERE plan_id = :'done_session' AND sequence = 1;
SELECT p.plan, txplan.close_plan(p.id, 'abandoned'), txplan.reactivate_plan(p.id)
FROM (VALUES (1, :'done_item'::uuid), (2, :'done_session')) AS p (plan, id);
SELECT pg_temp.attempt('DELETE FROM txplan.plans WHERE id = %L', :'done_item');
SELECT pg_temp.attempt('DELETE FROM txplan.plans WHERE id = %L', :'done_session');
-- One that must stay keeps all of the statement.
SELECT left(pg_temp.brief('DELETE FROM txplan.plans WHERE clinic_id = %L AND status = ''draft''', :'clinic'), 5);
SELECT count(*) AS drafts FROM txplan.plans WHERE clinic_id = :'clinic' AND status = 'draft';
-- Without them the statement deletes many at once.
WITH gone AS (
	DELETE FROM txplan.plans
	WHERE clinic_id = :'clinic' AND status = 'draft' AND id NOT IN (:'done_item', :'done_session')
	RETURNING id
)
SELECT count(*) AS deleted FROM gone;
SELECT count(*) AS told FROM txplan.events
WHERE clinic_id = :'clinic' AND type = 'treatment_plan.deleted';

-- lock_plan() holds the plan for the transaction, and says when it has moved.
BEGIN;
SELECT txplan.lock_plan(:'done_item');
SELECT version AS read FROM txplan.plans WHERE id = :'done_item' \gset
SELECT txplan.lock_plan(:'done_item', :'read');
SELECT txplan.lock_plan(plan_id => :'done_item', clinic_id => :'clinic');
UPDATE txplan.plans SET title = 'moved on' WHERE id = :'done_item';
SELECT regexp_replace(pg_temp.attempt('SELECT txplan.lock_plan(%L, %s)', :'done_item', :'read'), 'version \d+', 'version <n>', 'g');
COMMIT;
SELECT pg_temp.attempt('SELECT txplan.lock_plan(NULL)');
SELECT pg_temp.attempt('SELECT txplan.lock_plan(%L)', gen_random_uuid()::text);
SELECT pg_temp.attempt('SELECT txplan.lock_plan(%L, NULL, %L)', :'done_item', :'other_clinic');

-- Events of every plan are numbered without gaps, and all fits.
SELECT count(*) AS gaps FROM (
	SELECT plan_version, row_number() OVER (PARTITION BY plan_id ORDER BY id) AS n
	FROM txplan.events WHERE clinic_id IN (:'clinic', :'other_clinic')) AS e
WHERE plan_version <> n;
SELECT fault, detail FROM txplan.audit(:'clinic');
SELECT fault, detail FROM txplan.audit(:'other_clinic');
