-- appointment: a patient comes for a plan, an item or a session, and nobody is
-- booked twice at a time.

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
SELECT txplan.create_clinic('Appointment clinic', 'Europe/Madrid') AS clinic \gset
SELECT txplan.create_clinic('Other appointment clinic', 'UTC') AS other \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada') AS ada \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ben') AS ben \gset
SELECT txplan.create_professional(:'other', 'Dr. Zed') AS zed \gset
SELECT txplan.create_patient(:'clinic', 'Pavel', 'Novák') AS pavel \gset
SELECT txplan.create_patient(:'clinic', 'Mary', 'Major') AS mary \gset
SELECT txplan.create_patient(:'other', 'Zoé', 'Öz') AS zoe \gset
SELECT txplan.create_catalog_item(:'clinic', 'CROWN', 'Crown', 500, NULL,
	'[{"label": "Preparation", "price": 200}, {"label": "Cementation", "price": 300}]') AS crown \gset
SELECT txplan.create_plan(:'clinic', :'pavel', :'ada') AS plan \gset
SELECT txplan.add_item(:'plan', :'crown') AS item \gset
SELECT txplan.add_item(:'plan', NULL, 'Filling', 80) AS filling \gset
SELECT id AS preparation FROM txplan.sessions WHERE item_id = :'item' AND sequence = 1 \gset
SELECT id AS cementation FROM txplan.sessions WHERE item_id = :'item' AND sequence = 2 \gset
SELECT txplan.create_plan(:'clinic', :'mary') AS marys \gset
SELECT txplan.add_item(:'marys', NULL, 'Filling', 80) AS marys_item \gset
CREATE FUNCTION pg_temp.name_of(id uuid) RETURNS text LANGUAGE sql
RETURN coalesce((SELECT p.title FROM txplan.plans AS p WHERE p.id = $1),
	(SELECT i.description FROM txplan.items AS i WHERE i.id = $1), (SELECT coalesce(s.label, 'session') FROM txplan.sessions AS s WHERE s.id = $1));
UPDATE txplan.plans SET title = 'Pavel''s' WHERE id = :'plan';
UPDATE txplan.plans SET title = 'Mary''s' WHERE id = :'marys';
CREATE TEMP VIEW appointments AS
	SELECT t.first_name AS patient, pg_temp.name_of(a.plan_id) AS plan, pg_temp.name_of(a.item_id) AS item,
		pg_temp.name_of(a.session_id) AS session, d.name AS professional, a.room, a.kind, a.starts_at, a.ends_at, a.status, a.note
	FROM txplan.appointments AS a
	JOIN txplan.patients AS t ON t.id = a.patient_id AND t.clinic_id = a.clinic_id
	LEFT JOIN txplan.professionals AS d ON d.id = a.professional_id
	WHERE a.clinic_id = :'clinic'
	ORDER BY a.starts_at, a.id;

-- For a session: item and plan follow.  A pending plan may be booked.
SELECT txplan.confirm_plan(:'plan');
SELECT txplan.book_appointment(:'pavel', '2031-03-03 10:00+01', '2031-03-03 11:00+01', session_id => :'preparation', professional_id => :'ada', room => '1', kind => 'surgery', note => 'Allergic to latex') AS first \gset
SELECT txplan.book_appointment(:'pavel', '2031-03-17 10:00+01', '2031-03-17 11:00+01', item_id => :'filling') AS second \gset
SELECT txplan.book_appointment(:'pavel', '2031-04-03 10:00+02', '2031-04-03 11:00+02', plan_id => :'plan') AS third \gset
SELECT txplan.book_appointment(:'mary', '2031-04-03 10:00+02', '2031-04-03 11:00+02') AS none \gset
SELECT * FROM appointments;
SELECT status, created_by, ended_at, ended_by FROM txplan.appointments WHERE id = :'first';
-- The plan is told, with an event each and a row of history.
SELECT type, payload -> 'changed' AS changed, payload ->> 'appointment_id' IN (:'first', :'second', :'third') AS appointment
FROM txplan.events WHERE plan_id = :'plan' AND payload ? 'appointment_id' ORDER BY id;
SELECT what, from_value, to_value, note, action = :'first' AS appointment, pg_temp.name_of(item_id) AS item, pg_temp.name_of(session_id) AS session
FROM txplan.history WHERE plan_id = :'plan' AND what LIKE 'appointment%' ORDER BY sequence;

-- What it is for must fit: patient, plan, item, session.
SELECT pg_temp.attempt('SELECT txplan.book_appointment(%L, ''2031-05-01 10:00'', ''2031-05-01 11:00'', plan_id => %L)', :'mary', :'plan');
SELECT pg_temp.attempt('SELECT txplan.book_appointment(%L, ''2031-05-01 10:00'', ''2031-05-01 11:00'', item_id => %L, session_id => %L)', :'pavel', :'filling', :'preparation');
SELECT pg_temp.brief('SELECT txplan.book_appointment(%L, ''2031-05-01 10:00'', ''2031-05-01 11:00'', plan_id => %L, item_id => %L)', :'pavel', :'marys', :'filling');
SELECT pg_temp.brief('SELECT txplan.book_appointment(%L, ''2031-05-01 10:00'', ''2031-05-01 11:00'', item_id => %L)', :'mary', :'filling');
SELECT pg_temp.brief('SELECT txplan.book_appointment(%L, ''2031-05-01 10:00'', ''2031-05-01 11:00'', item_id => %L)', :'zoe', :'filling');
SELECT pg_temp.brief('SELECT txplan.book_appointment(%L, ''2031-05-01 10:00'', ''2031-05-01 11:00'', plan_id => %L)', :'zoe', :'plan');
SELECT pg_temp.brief('SELECT txplan.book_appointment(%L, ''2031-05-01 10:00'', ''2031-05-01 11:00'', professional_id => %L)', :'pavel', :'zed');
SELECT pg_temp.brief('SELECT txplan.book_appointment(%L, ''2031-05-01 10:00'', ''2031-05-01 11:00'', clinic_id => %L)', :'pavel', :'other');
SELECT pg_temp.brief('INSERT INTO txplan.appointments (clinic_id, patient_id, starts_at, ends_at) VALUES (%L, %L, ''2031-05-01 10:00'', ''2031-05-01 11:00'')', :'other', :'pavel');
UPDATE txplan.professionals SET active = false WHERE id = :'ben';
SELECT pg_temp.brief('SELECT txplan.book_appointment(%L, ''2031-05-01 10:00'', ''2031-05-01 11:00'', professional_id => %L)', :'pavel', :'ben');
UPDATE txplan.professionals SET active = true WHERE id = :'ben';
UPDATE txplan.patients SET archived_at = now() WHERE id = :'mary';
SELECT pg_temp.attempt('SELECT txplan.book_appointment(%L, ''2031-05-01 10:00'', ''2031-05-01 11:00'')', :'mary');
UPDATE txplan.patients SET archived_at = NULL WHERE id = :'mary';
-- Times are a span.
SELECT pg_temp.attempt('SELECT txplan.book_appointment(%L, ''2031-05-01 10:00'', ''2031-05-01 10:00'')', :'pavel');
SELECT pg_temp.attempt('SELECT txplan.book_appointment(%L, ''2031-05-01 10:00'', ''infinity'')', :'pavel');
SELECT pg_temp.brief('INSERT INTO txplan.appointments (clinic_id, patient_id, starts_at, ends_at) VALUES (%L, %L, ''2031-05-01 10:00'', ''2031-05-01 09:00'')', :'clinic', :'pavel');

-- Neither a professional nor a room twice at a time, whoever writes.
SELECT pg_temp.attempt('SELECT txplan.book_appointment(%L, ''2031-03-03 10:30+01'', ''2031-03-03 10:45+01'', professional_id => %L)', :'mary', :'ada');
SELECT pg_temp.brief('SELECT txplan.book_appointment(%L, ''2031-03-03 09:30+01'', ''2031-03-03 12:45+01'', room => ''1'')', :'mary');
SELECT pg_temp.brief('INSERT INTO txplan.appointments (clinic_id, patient_id, professional_id, starts_at, ends_at) VALUES (%L, %L, %L, ''2031-03-03 10:59:59.999999+01'', ''2031-03-03 12:00+01'')', :'clinic', :'mary', :'ada');
SELECT pg_temp.brief('UPDATE txplan.appointments SET room = ''1'', starts_at = ''2031-03-03 09:00+01'', ends_at = ''2031-03-03 10:00:00.000001+01'' WHERE id = %L', :'second');
SELECT pg_temp.brief('SELECT txplan.move_appointment(%L, ''2031-03-03 10:30+01'', professional_id => %L)', :'second', :'ada');
-- One may begin when the other ends; another professional in another room is free;
-- and so are those of another clinic.
SELECT txplan.book_appointment(:'mary', '2031-03-03 11:00+01', '2031-03-03 11:30+01', professional_id => :'ada', room => '1') AS next \gset
SELECT txplan.book_appointment(:'mary', '2031-03-03 10:00+01', '2031-03-03 11:00+01', professional_id => :'ben', room => '2') AS beside \gset
SELECT txplan.book_appointment(:'zoe', '2031-03-03 10:00+01', '2031-03-03 11:00+01', professional_id => :'zed', room => '1') IS NOT NULL AS elsewhere;
-- A completed one still counts, a cancelled one and a no-show do not.
SELECT txplan.cancel_appointment(:'next', 'Has flu');
SELECT txplan.book_appointment(:'mary', '2031-03-03 11:00+01', '2031-03-03 11:30+01', professional_id => :'ada', room => '1') AS next \gset
SELECT txplan.mark_no_show(:'next');
SELECT txplan.book_appointment(:'mary', '2031-03-03 11:00+01', '2031-03-03 11:30+01', professional_id => :'ada', room => '1') AS next \gset
SELECT txplan.complete_appointment(:'next');
SELECT pg_temp.brief('SELECT txplan.book_appointment(%L, ''2031-03-03 11:00+01'', ''2031-03-03 11:30+01'', room => ''1'')', :'mary');
SELECT patient, professional, room, status, note FROM appointments WHERE starts_at = '2031-03-03 11:00+01';

-- The hour that daylight-saving time repeats is two hours, and the one that it
-- skips is none.
SET TimeZone = 'Europe/Madrid';
SELECT txplan.book_appointment(:'mary', '2031-10-26 02:00+02', '2031-10-26 02:30+02', room => '3') AS summer \gset
SELECT txplan.book_appointment(:'mary', '2031-10-26 02:00+01', '2031-10-26 02:30+01', room => '3') AS winter \gset
SELECT starts_at, ends_at - starts_at AS length FROM txplan.appointments WHERE id IN (:'summer', :'winter') ORDER BY 1;
SELECT txplan.book_appointment(:'mary', '2031-03-30 01:30', '2031-03-30 03:30', room => '3') AS skipped \gset
SELECT starts_at, ends_at, ends_at - starts_at AS length FROM txplan.appointments WHERE id = :'skipped';
SELECT pg_temp.brief('SELECT txplan.book_appointment(%L, ''2031-03-30 02:15'', ''2031-03-30 03:45'', room => ''3'')', :'mary');
-- Moved over the change it keeps its length, not its hands of the clock.
SELECT txplan.move_appointment(:'skipped', '2031-10-26 02:30+02', room => '4');
SELECT starts_at, ends_at, ends_at - starts_at AS length FROM txplan.appointments WHERE id = :'skipped';
RESET TimeZone;

-- Moving: time, professional and room; what is not given stays.
SELECT txplan.move_appointment(:'first', '2031-03-04 10:00+01');
SELECT txplan.move_appointment(:'first', '2031-03-04 12:00+01', '2031-03-04 12:45+01', :'ben', '2');
SELECT professional, room, starts_at, ends_at FROM appointments WHERE session = 'Preparation';
SELECT what, from_value, to_value FROM txplan.history WHERE plan_id = :'plan' AND what LIKE 'appointment%' AND action = :'first' AND what <> 'appointment_professional_id' ORDER BY sequence;
-- The same by UPDATE, together with what it is for.
UPDATE txplan.appointments SET session_id = :'cementation', room = NULL WHERE id = :'first';
UPDATE txplan.appointments SET item_id = :'item' WHERE id = :'third';
SELECT patient, plan, item, session, room FROM appointments WHERE plan IS NOT NULL;
SELECT pg_temp.brief('UPDATE txplan.appointments SET item_id = %L WHERE id = %L', :'filling', :'first');
SELECT pg_temp.brief('UPDATE txplan.appointments SET item_id = NULL WHERE id = %L', :'first');
SELECT pg_temp.brief('UPDATE txplan.appointments SET plan_id = NULL WHERE id = %L', :'first');
SELECT pg_temp.brief('UPDATE txplan.appointments SET plan_id = %L WHERE id = %L', :'marys', :'third');
UPDATE txplan.appointments SET session_id = NULL WHERE id = :'first';
UPDATE txplan.appointments SET item_id = NULL, plan_id = NULL WHERE id = :'third';
SELECT patient, plan, item, session FROM appointments WHERE starts_at IN ('2031-03-04 12:00+01', '2031-04-03 10:00+02') AND patient = 'Pavel';
UPDATE txplan.appointments SET session_id = :'preparation' WHERE id = :'first';
-- An appointment comes to another plan of the patient: both plans are told.
SELECT txplan.create_plan(:'clinic', :'pavel', NULL, 'Pavel''s next') AS next_plan \gset
SELECT txplan.book_appointment(:'pavel', '2031-07-03 10:00+02', '2031-07-03 11:00+02', plan_id => :'plan') AS moving \gset
UPDATE txplan.appointments SET plan_id = :'next_plan' WHERE id = :'moving';
SELECT pg_temp.name_of(plan_id) AS plan, what, from_value = :'plan' AS from_plan, to_value = :'next_plan' AS to_plan FROM txplan.history WHERE what = 'appointment_plan_id' AND action = :'moving' ORDER BY 1;
SELECT pg_temp.name_of(plan_id) AS plan, payload -> 'changed' AS changed FROM txplan.events WHERE payload ->> 'appointment_id' = :'moving' ORDER BY id;
-- What never changes, and what is the engine's.
SELECT c, pg_temp.brief('UPDATE txplan.appointments SET %I = %s WHERE id = %L', c, v, :'first')
FROM (VALUES ('id', 'txplan.new_id()'), ('patient_id', quote_literal(:'mary')), ('clinic_id', quote_literal(:'other')), ('created_by', '''x'''), ('ended_at', 'now()'), ('ended_by', '''x'''), ('status', '''kept'''), ('status', 'NULL')) AS v (c, v);
SELECT pg_temp.brief('INSERT INTO txplan.appointments (clinic_id, patient_id, starts_at, ends_at, status) VALUES (%L, %L, ''2031-05-01 10:00'', ''2031-05-01 11:00'', ''completed'')', :'clinic', :'pavel');
SELECT pg_temp.brief('INSERT INTO txplan.appointments (clinic_id, patient_id, starts_at, ends_at, created_by) VALUES (%L, %L, ''2031-05-01 10:00'', ''2031-05-01 11:00'', ''x'')', :'clinic', :'pavel');
SELECT pg_temp.attempt('DELETE FROM txplan.appointments WHERE id = %L', :'first');
-- A mapper that writes back what it read changes nothing.
SELECT version FROM txplan.plans WHERE id = :'plan' \gset
UPDATE txplan.appointments SET status = status, room = room, starts_at = starts_at WHERE clinic_id = :'clinic';
SELECT version - :version AS events FROM txplan.plans WHERE id = :'plan';

-- Completing it alone leaves the session; the session may be completed along, with
-- the rules of sessions.
SELECT txplan.complete_appointment(:'second', note => 'Came late');
SELECT status, note, ended_by FROM txplan.appointments WHERE id = :'second';
SELECT status FROM txplan.items WHERE id = :'filling';
SELECT pg_temp.attempt('SELECT txplan.complete_appointment(%L, true)', :'first');
SELECT status FROM txplan.appointments WHERE id = :'first';
SELECT txplan.accept_plan(:'plan');
SELECT txplan.complete_appointment(:'first', true, 'No pain') AS item_status;
SELECT a.status, a.note, s.status AS session, s.note AS session_note, (SELECT sum(e.amount) FROM txplan.earned_entries AS e WHERE e.session_id = s.id) AS earned
FROM txplan.appointments AS a JOIN txplan.sessions AS s ON s.id = a.session_id WHERE a.id = :'first';
-- Once; the function says so, and an UPDATE too.
SELECT pg_temp.attempt('SELECT txplan.complete_appointment(%L)', :'first');
SELECT pg_temp.brief('SELECT txplan.cancel_appointment(%L)', :'first');
SELECT pg_temp.brief('SELECT txplan.mark_no_show(%L)', :'second');
SELECT pg_temp.brief('SELECT txplan.move_appointment(%L, ''2031-06-01'')', :'second');
SELECT pg_temp.brief('UPDATE txplan.appointments SET status = ''booked'' WHERE id = %L', :'first');
SELECT pg_temp.brief('UPDATE txplan.appointments SET room = ''9'' WHERE id = %L', :'first');
UPDATE txplan.appointments SET note = 'Allergic to latex and nuts' WHERE id = :'first';
-- What is completed with an appointment has its money, its times and its sessions as
-- anything that is completed.  An item's only pending session is meant; of several
-- none is.  The item that is finished by it says how.
SELECT txplan.book_appointment(:'pavel', '2031-05-02 10:00+02', '2031-05-02 11:00+02', item_id => :'item') AS last \gset
SELECT txplan.complete_appointment(:'last', true) AS item_status;
SELECT status, completed_via, completed_by FROM txplan.items WHERE id = :'item';
SELECT what, to_value, action FROM txplan.history WHERE item_id = :'item' AND what = 'item_status';
SELECT payload ->> 'completed_via' AS via FROM txplan.events WHERE plan_id = :'plan' AND type = 'treatment_plan.treatment_completed';
SELECT replace(type, 'treatment_plan.', '') AS event, payload -> 'changed' AS changed FROM txplan.events WHERE plan_id = :'plan' ORDER BY id DESC LIMIT 3;
SELECT txplan.create_plan(:'clinic', :'mary', NULL, 'Two sessions') AS two \gset
SELECT txplan.add_item(:'two', :'crown') AS two_item \gset
SELECT txplan.confirm_plan(:'two'), txplan.accept_plan(:'two');
SELECT txplan.book_appointment(:'mary', '2031-05-03 10:00+02', '2031-05-03 11:00+02', item_id => :'two_item') AS two_appointment \gset
SELECT pg_temp.attempt('SELECT txplan.complete_appointment(%L, true)', :'two_appointment');
SELECT pg_temp.brief('SELECT txplan.complete_appointment(%L, true)', :'none');
-- A session that was completed before is not completed twice.
SELECT txplan.book_appointment(:'mary', '2031-05-04 10:00+02', '2031-05-04 11:00+02', session_id => s.id) AS done_before FROM txplan.sessions AS s WHERE s.item_id = :'two_item' AND s.sequence = 1 \gset
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE item_id = :'two_item' AND sequence = 1;
SELECT pg_temp.brief('SELECT txplan.complete_appointment(%L, true)', :'done_before');
SELECT txplan.complete_appointment(:'done_before') AS item_status;
SELECT count(*) AS entries FROM txplan.earned_entries WHERE item_id = :'two_item';
-- Also while a budget locks the plan: what was agreed stays.
SELECT txplan.create_plan(:'clinic', :'mary', NULL, 'Locked') AS locked \gset
SELECT txplan.add_item(:'locked', NULL, 'Filling', 80) AS locked_item \gset
SELECT txplan.confirm_plan(:'locked');
SELECT txplan.generate_budget(:'locked') AS budget \gset
SELECT txplan.send_budget(:'budget');
SELECT pg_temp.brief('SELECT txplan.remove_item(%L)', :'locked_item');
SELECT txplan.book_appointment(:'mary', '2031-05-07 10:00+02', '2031-05-07 11:00+02', item_id => :'locked_item') AS while_locked \gset
SELECT txplan.move_appointment(:'while_locked', '2031-05-07 12:00+02');
SELECT txplan.accept_budget(:'budget');
SELECT txplan.complete_appointment(:'while_locked', true) AS item_status;
-- Nothing is booked for what has ended.
SELECT pg_temp.attempt('SELECT txplan.book_appointment(%L, ''2031-05-05 10:00'', ''2031-05-05 11:00'', session_id => %L)', :'pavel', :'preparation');
SELECT pg_temp.brief('SELECT txplan.book_appointment(%L, ''2031-05-05 10:00'', ''2031-05-05 11:00'', item_id => %L)', :'pavel', :'item');
SELECT txplan.complete_item(:'filling');
SELECT status FROM txplan.plans WHERE id = :'plan';
SELECT pg_temp.attempt('SELECT txplan.book_appointment(%L, ''2031-05-05 10:00'', ''2031-05-05 11:00'', plan_id => %L)', :'pavel', :'plan');
-- What was booked before stays: it can be moved, completed and cancelled.
SELECT txplan.close_plan(:'two', 'other');
SELECT txplan.move_appointment(:'two_appointment', '2031-05-06 10:00+02');
SELECT txplan.cancel_appointment(:'two_appointment', 'Plan was closed');
SELECT patient, plan, status, note FROM appointments WHERE item = 'Crown' AND plan = 'Two sessions';

-- Session, item and plan go; the appointment stays for the patient.
SELECT txplan.create_plan(:'clinic', :'mary', NULL, 'To go') AS gone \gset
SELECT txplan.add_item(:'gone', :'crown') AS gone_item \gset
SELECT txplan.book_appointment(:'mary', '2031-06-01 10:00+02', '2031-06-01 11:00+02', session_id => s.id) IS NOT NULL AS booked FROM txplan.sessions AS s WHERE s.item_id = :'gone_item';
DELETE FROM txplan.sessions WHERE item_id = :'gone_item' AND sequence = 1;
SELECT plan, item, session, status FROM appointments WHERE starts_at = '2031-06-01 10:00+02';
SELECT txplan.remove_item(:'gone_item');
SELECT plan, item, session, status FROM appointments WHERE starts_at = '2031-06-01 10:00+02';
SELECT replace(type, 'treatment_plan.', '') AS event, payload -> 'changed' AS changed FROM txplan.events WHERE plan_id = :'gone' ORDER BY id;
DELETE FROM txplan.plans WHERE id = :'gone';
SELECT plan, item, session, status FROM appointments WHERE starts_at = '2031-06-01 10:00+02';
-- With all that is below it at once; ended ones too.
SELECT txplan.create_plan(:'clinic', :'mary', NULL, 'To go') AS gone \gset
SELECT txplan.add_item(:'gone', :'crown') AS gone_item \gset
SELECT txplan.book_appointment(:'mary', '2031-06-02 10:00+02', '2031-06-02 11:00+02', session_id => s.id) AS gone_1 FROM txplan.sessions AS s WHERE s.item_id = :'gone_item' AND s.sequence = 1 \gset
SELECT txplan.book_appointment(:'mary', '2031-06-03 10:00+02', '2031-06-03 11:00+02', item_id => :'gone_item') AS gone_2 \gset
SELECT txplan.mark_no_show(:'gone_1');
DELETE FROM txplan.plans WHERE id = :'gone';
SELECT plan, item, session, status FROM appointments WHERE starts_at::date IN ('2031-06-02', '2031-06-03');

-- What goes lets nothing else be changed beside it in the same statement.
SELECT txplan.create_plan(:'clinic', :'mary', NULL, 'To go') AS gone \gset
SELECT txplan.add_item(:'gone', :'crown') AS gone_item \gset
SELECT txplan.book_appointment(:'mary', '2031-06-04 10:00+02', '2031-06-04 11:00+02', item_id => :'gone_item') AS gone_3 \gset
SELECT txplan.book_appointment(:'mary', '2031-06-05 10:00+02', '2031-06-05 11:00+02', item_id => :'gone_item') AS gone_4 \gset
SELECT txplan.mark_no_show(:'gone_4');
SELECT v.status, c.change, pg_temp.brief('WITH i AS (DELETE FROM txplan.items WHERE id = %L) UPDATE txplan.appointments SET item_id = NULL, ' || c.change || ' WHERE id = ' || quote_literal(v.id), :'gone_item')
FROM (VALUES (:'gone_3', 'booked'), (:'gone_4', 'no_show')) AS v (id, status),
	(VALUES ('created_by = ''x'''), ('ended_by = ''x'''), ('ended_at = now() + ''1 h'''), ('created_at = now() + ''1 h'''), ('patient_id = txplan.new_id()'), ('status = ''completed'''), ('room = ''9''')) AS c (change)
WHERE (v.status, c.change) <> ('booked', 'room = ''9''') AND (v.status, c.change) <> ('booked', 'status = ''completed''');
SELECT plan, item, status FROM appointments WHERE starts_at::date IN ('2031-06-04', '2031-06-05');
DELETE FROM txplan.plans WHERE id = :'gone';

-- Both notes together are a note.
SELECT txplan.book_appointment(:'mary', '2031-06-06 10:00+02', '2031-06-06 11:00+02', note => repeat('é', 5000)) AS noted \gset
SELECT pg_temp.brief('SELECT txplan.cancel_appointment(%L, repeat(''é'', 5000))', :'noted');
SELECT txplan.cancel_appointment(:'noted', repeat('é', 4999));
SELECT char_length(note) AS chars, status FROM txplan.appointments WHERE id = :'noted';

-- On the plan's page: the next to come first, then the others, the latest first.
SELECT d ->> 'starts_at' AS starts_at, d ->> 'status' AS status, d -> 'professional' ->> 'name' AS professional, d ->> 'room' AS room
FROM jsonb_array_elements(txplan.plan_detail(:'plan') -> 'appointments') AS d;

-- Who may.
CREATE ROLE regress_txplan_desk;
GRANT USAGE ON SCHEMA txplan TO regress_txplan_desk;
SET ROLE regress_txplan_desk;
SELECT f, pg_temp.brief('SELECT txplan.' || f, :'mary') FROM (VALUES ('book_appointment(%L, ''2031-08-01'', ''2031-08-02'')'), ('complete_appointment(%L)'), ('cancel_appointment(%L)'), ('mark_no_show(%L)'), ('move_appointment(%L, ''2031-08-01'')')) AS v (f);
RESET ROLE;
GRANT SELECT, INSERT, UPDATE ON txplan.appointments TO regress_txplan_desk;
SET ROLE regress_txplan_desk;
SELECT txplan.book_appointment(:'mary', '2031-08-01 10:00', '2031-08-01 11:00') AS by_desk \gset
SELECT txplan.complete_appointment(:'by_desk');
SELECT pg_temp.brief('SELECT txplan.complete_appointment(%L, true)', :'none');
RESET ROLE;
DROP OWNED BY regress_txplan_desk;
DROP ROLE regress_txplan_desk;

SELECT fault, detail FROM txplan.audit(:'clinic');
SELECT * FROM txplan.verify_history();
-- install() brings back what keeps a room from being taken twice.
BEGIN;
SET LOCAL client_min_messages = warning;
DROP EXTENSION btree_gist CASCADE;
SELECT pg_temp.brief('SELECT txplan.book_appointment(%L, ''2031-03-03 10:00+01'', ''2031-03-03 11:00+01'', room => ''2'')', :'mary');
ROLLBACK;
BEGIN;
SET LOCAL client_min_messages = warning;
DROP EXTENSION btree_gist CASCADE;
SELECT txplan.install() = txplan.version() AS installed;
SELECT pg_temp.brief('SELECT txplan.book_appointment(%L, ''2031-03-03 10:00+01'', ''2031-03-03 11:00+01'', room => ''2'')', :'mary');
SELECT conname, obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE contype = 'x' AND conrelid = 'txplan.appointments'::regclass ORDER BY 1;
ROLLBACK;
