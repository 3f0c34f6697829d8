-- registry: clinics, professionals and patients, as people register them.

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

-- A clinic brings settings, each with a default.
SELECT txplan.create_clinic('Clínica Sol', 'Europe/Madrid', 'ext-1') AS clinic \gset
SELECT name, time_zone, external_id, budget_on_confirm, budget_valid_days, close_after_budget_expiry_days,
	contact_stale_days, plan_number_format, created_at = updated_at AS new
FROM txplan.clinics WHERE id = :'clinic';
SELECT txplan.create_clinic(name => 'Second', time_zone => 'UTC') AS other \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada', '#0a1B2c', 'p-1') AS ada \gset
SELECT txplan.create_professional(clinic_id => :'clinic', name => 'Dr. Ben') AS ben \gset
SELECT name, color, external_id, active FROM txplan.professionals WHERE clinic_id = :'clinic' ORDER BY name;
SELECT txplan.create_patient(:'clinic', '美咲', '佐藤', '1987-02-28', '+81 3 1234', 'misaki@example.org', 'x-1') AS patient \gset
SELECT first_name, last_name, birth_date, phone, email, external_id, archived_at FROM txplan.patients WHERE id = :'patient';
-- Names of one word, of many scripts, and of 200 characters.
SELECT txplan.create_patient(:'clinic', n, l) IS NOT NULL AS made
FROM (VALUES ('عائشة', 'الزهراء'), ('Zoë', 'O''Brien–Łukasiewicz'), (repeat('あ', 200), repeat('é', 200)), ('Robert''); DROP TABLE patients;--', 'x')) AS v (n, l);
SELECT count(*) FROM txplan.patients WHERE clinic_id = :'clinic';

-- What is refused.
SELECT c, pg_temp.attempt('SELECT txplan.create_clinic(' || c || ')')
FROM unnest(ARRAY['NULL, ''UTC''', '''x'', NULL', ''''', ''UTC''', '''  '', ''UTC''', 'repeat(''é'', 201), ''UTC''', '''x'', ''Europe/Atlantis''', '''x'', ''UTC'', ''''',
	'''x'', ''UTC'', repeat(''x'', 201)']) AS c;
SELECT c, pg_temp.brief('SELECT txplan.create_professional(' || c || ')', :'clinic')
FROM unnest(ARRAY['NULL, ''x''', '%L, NULL', '%L, ''''', '%L, repeat(''x'', 201)', '%L, ''x'', ''#1234567''', '%L, ''x'', NULL, ''p-1''', 'txplan.new_id(), ''x''']) AS c;
SELECT c, pg_temp.brief('SELECT txplan.create_patient(' || c || ')', :'clinic')
FROM unnest(ARRAY['NULL, ''x'', ''y''', '%L, NULL, ''y''', '%L, ''x'', NULL', '%L, '''', ''y''', '%L, ''x'', ''  ''', '%L, repeat(''x'', 201), ''y''', '%L, ''x'', ''y'', ''infinity''', '%L, ''x'', ''y'', ''-infinity''',
	'%L, ''x'', ''y'', NULL, repeat(''0'', 61)', '%L, ''x'', ''y'', NULL, NULL, repeat(''m'', 321)', '%L, ''x'', ''y'', external_id => ''x-1''', 'txplan.new_id(), ''x'', ''y''']) AS c;
-- Another clinic may use the same keys.
SELECT txplan.create_professional(:'other', 'Dr. Ada', NULL, 'p-1') IS NOT NULL AS made;
SELECT txplan.create_patient(:'other', 'x', 'y', external_id => 'x-1') IS NOT NULL AS made;

-- By plain SQL the same holds.
INSERT INTO txplan.professionals (clinic_id, name) VALUES (:'clinic', 'Dr. Cy') RETURNING name, active;
SELECT t.statement, pg_temp.brief(t.statement, :'clinic')
FROM (VALUES ('INSERT INTO txplan.clinics (name, time_zone) VALUES (''x'', ''Mars'')'), ('UPDATE txplan.clinics SET time_zone = ''Mars'' WHERE id = %L'),
	('UPDATE txplan.clinics SET budget_valid_days = 0 WHERE id = %L'), ('UPDATE txplan.clinics SET contact_stale_days = 4000 WHERE id = %L'),
	('UPDATE txplan.clinics SET close_after_budget_expiry_days = -1 WHERE id = %L'), ('UPDATE txplan.clinics SET close_after_budget_expiry_days = 0 WHERE id = %L'),
	('UPDATE txplan.patients SET birth_date = ''infinity'' WHERE clinic_id = %L'), ('UPDATE txplan.patients SET first_name = '''' WHERE clinic_id = %L'),
	('INSERT INTO txplan.patients (clinic_id, first_name, last_name) VALUES (txplan.new_id(), ''a'', ''b'')'),
	('INSERT INTO txplan.professionals (clinic_id, name, color) VALUES (%L, ''x'', ''#fff'')')) AS t (statement);
-- A time zone is one, wherever it is named.  Not every server knows those of the old names.
SELECT left(z, 20) AS zone, left(pg_temp.brief('UPDATE txplan.clinics SET time_zone = ' || quote_literal(z) || ' WHERE id = %L', :'other'), 5) AS outcome, txplan.time_zone_fault(z) IS NULL AS fits
FROM unnest(ARRAY['CET', 'met', 'WET', 'EET', 'AAA-100', 'AAA-15:30', '+99', '', repeat('x', 300), 'America/Sao_Paulo', 'europe/madrid', 'Asia/Kathmandu', 'Pacific/Kiritimati', 'Etc/GMT+12', 'UTC']) AS z;
SELECT pg_temp.brief('UPDATE txplan.clinics SET time_zone = ''AAA-100'' WHERE id = %L', :'other');
-- One that it has from before keeps nothing else of the clinic from being changed.
SET session_replication_role = replica;
UPDATE txplan.clinics SET time_zone = 'CET' WHERE id = :'other';
RESET session_replication_role;
UPDATE txplan.clinics SET budget_valid_days = 31 WHERE id = :'other' RETURNING time_zone, budget_valid_days;
UPDATE txplan.clinics SET time_zone = 'UTC', budget_valid_days = 30 WHERE id = :'other' RETURNING time_zone;
SELECT txplan.time_zone_fault(NULL) IS NULL AS none;
-- Whose row it is never changes, and the time of the last change is the engine's.
SELECT t.statement, pg_temp.brief(t.statement, :'other', :'clinic')
FROM (VALUES ('UPDATE txplan.patients SET clinic_id = %L WHERE clinic_id = %L'), ('UPDATE txplan.professionals SET clinic_id = %L WHERE clinic_id = %L'),
	('UPDATE txplan.professionals SET id = %L WHERE clinic_id = %L'), ('UPDATE txplan.clinics SET id = %L WHERE id = %L'),
	('UPDATE txplan.patients SET created_at = now() - interval ''1 year'' WHERE clinic_id <> %L AND clinic_id = %L')) AS t (statement);
UPDATE txplan.patients SET phone = '1', updated_at = '2000-01-01' WHERE id = :'patient' RETURNING updated_at > created_at AS later;
-- A person whom a plan names cannot be deleted; a clinic with rows neither.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') IS NOT NULL AS made;
SELECT t.statement, regexp_replace(pg_temp.brief(t.statement, t.id), ' violates.*', '') AS brief
FROM (VALUES ('DELETE FROM txplan.patients WHERE id = %L', :'patient'), ('DELETE FROM txplan.professionals WHERE id = %L', :'ada'),
	('DELETE FROM txplan.clinics WHERE id = %L', :'clinic'), ('DELETE FROM txplan.professionals WHERE id = %L', :'ben')) AS t (statement, id);
