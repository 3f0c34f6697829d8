-- recall: a completed item suggests that its patient come again, once.

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
SELECT txplan.create_clinic('Recall clinic', 'Europe/Madrid') AS clinic \gset
SELECT txplan.create_clinic('Far clinic', 'Pacific/Auckland') AS far \gset
SELECT txplan.create_patient(:'clinic', 'Pavel', 'Novák') AS pavel \gset
SELECT txplan.create_patient(:'clinic', 'Mary', 'Major') AS mary \gset
SELECT txplan.create_patient(:'far', 'Ana', 'Ngata') AS ana \gset
CREATE TEMP VIEW suggestions AS
	SELECT t.first_name AS patient, i.description AS item, r.category_key, r.reason,
		r.due_on - (i.completed_at AT TIME ZONE c.time_zone)::date BETWEEN 28 AND 366 AS later,
		r.due_on = ((i.completed_at AT TIME ZONE c.time_zone)::date + make_interval(months => u.months))::date AS due_by_rule,
		r.closed_at IS NOT NULL AS closed
	FROM txplan.recall_suggestions AS r
	JOIN txplan.items AS i ON i.id = r.item_id
	JOIN txplan.patients AS t ON t.id = r.patient_id
	JOIN txplan.clinics AS c ON c.id = r.clinic_id
	LEFT JOIN txplan.recall_rules AS u ON u.category_key = r.category_key
	WHERE r.clinic_id = :'clinic'
	ORDER BY i.plan_id, i.position;
-- plan_of() makes an active plan with one item for each category.
CREATE FUNCTION pg_temp.plan_of(clinic uuid, patient uuid, VARIADIC categories text[])
RETURNS uuid
LANGUAGE plpgsql
AS $$
DECLARE
	the_plan uuid := txplan.create_plan(clinic, patient);
BEGIN
	INSERT INTO txplan.items (clinic_id, plan_id, description, price, category_key)
	SELECT clinic, the_plan, 'Item ' || n, 50, nullif(c, '') FROM unnest(categories) WITH ORDINALITY AS u (c, n);
	PERFORM txplan.confirm_plan(the_plan), txplan.accept_plan(the_plan);
	RETURN the_plan;
END
$$;

-- The rules that are shipped.
SELECT * FROM txplan.recall_rules ORDER BY category_key;

-- A completed item is followed by one suggestion, when a rule names its category,
-- however it was completed.
SELECT pg_temp.plan_of(:'clinic', :'pavel', 'preventive', 'surgery', 'diagnosis', 'implants', 'orthodontics', 'prosthetics', '', 'surgery', 'surgery') AS plan \gset
SELECT id AS item_1 FROM txplan.items WHERE plan_id = :'plan' AND position = 1 \gset
SELECT * FROM suggestions;
SELECT txplan.complete_item(id) FROM txplan.items WHERE plan_id = :'plan' AND position = 1;
UPDATE txplan.sessions SET status = 'completed' WHERE item_id IN (SELECT id FROM txplan.items WHERE plan_id = :'plan' AND position IN (2, 3));
SELECT txplan.record_performed(id) FROM txplan.items WHERE plan_id = :'plan' AND position BETWEEN 4 AND 7 ORDER BY position;
SELECT txplan.cancel_session(s.id) FROM txplan.sessions AS s JOIN txplan.items AS i ON i.id = s.item_id WHERE i.plan_id = :'plan' AND i.position = 8;
SELECT * FROM suggestions;
-- The last session decides, and one that is cancelled last completes it as well.
SELECT txplan.add_session(id, 'Stitches out', 5) AS stitches FROM txplan.items WHERE plan_id = :'plan' AND position = 9 \gset
SELECT txplan.complete_session(s.id) FROM txplan.sessions AS s WHERE s.item_id = (SELECT id FROM txplan.items WHERE plan_id = :'plan' AND position = 9) AND s.sequence = 1;
SELECT count(*) AS suggestions FROM suggestions WHERE item = 'Item 9';
SELECT txplan.cancel_session(:'stitches');
SELECT * FROM suggestions WHERE item = 'Item 9';
SELECT status FROM txplan.plans WHERE id = :'plan';
-- What was rolled back suggests nothing.
SELECT pg_temp.plan_of(:'clinic', :'mary', 'surgery', 'surgery', 'checks', 'checks', 'checks') AS marys \gset
BEGIN;
SELECT txplan.complete_item(id) FROM txplan.items WHERE plan_id = :'marys' AND position = 1;
ROLLBACK;
SELECT count(*) AS suggestions FROM suggestions WHERE patient = 'Mary';

-- Rules are a DBA's rows.  A change counts at once, and one that is rolled back not.
BEGIN;
INSERT INTO txplan.recall_rules VALUES ('checks', 'checks', 3);
SELECT txplan.complete_item(id) FROM txplan.items WHERE plan_id = :'marys' AND position = 3;
SELECT patient, item, reason, due_by_rule FROM suggestions WHERE patient = 'Mary';
ROLLBACK;
SELECT txplan.complete_item(id) FROM txplan.items WHERE plan_id = :'marys' AND position = 3;
SELECT count(*) AS suggestions FROM suggestions WHERE patient = 'Mary';
INSERT INTO txplan.recall_rules VALUES ('checks', 'checks', 3);
SELECT txplan.complete_item(id) FROM txplan.items WHERE plan_id = :'marys' AND position = 4;
UPDATE txplan.recall_rules SET months = 4, reason = 'more checks' WHERE category_key = 'checks';
SELECT txplan.complete_item(id) FROM txplan.items WHERE plan_id = :'marys' AND position = 5;
DELETE FROM txplan.recall_rules WHERE category_key = 'surgery';
SELECT txplan.complete_item(id) FROM txplan.items WHERE plan_id = :'marys' AND position = 1;
SELECT patient, item, reason, due_by_rule FROM suggestions WHERE patient = 'Mary';
-- install() leaves them as they are, an empty table too.
SELECT txplan.install() = txplan.version() AS installed;
SELECT * FROM txplan.recall_rules ORDER BY category_key;
BEGIN;
DELETE FROM txplan.recall_rules;
SELECT txplan.install() = txplan.version() AS installed;
SELECT count(*) AS rules FROM txplan.recall_rules;
ROLLBACK;
INSERT INTO txplan.recall_rules VALUES ('surgery', 'post-op', 1);
SELECT pg_temp.brief('INSERT INTO txplan.recall_rules VALUES (%L, %L, %s)', k, r, m)
FROM (VALUES ('', 'x', '1'), ('k', '', '1'), ('k', 'x', '0'), ('k', 'x', '121'), ('surgery', 'x', '1'), (repeat('k', 61), 'x', '1'), ('k', NULL, '1')) AS v (k, r, m);

-- The day is that of the clinic's calendar, and months are those of calendars.
CREATE FUNCTION pg_temp.due(completed timestamptz, zone text, months integer)
RETURNS date
LANGUAGE sql
RETURN ((completed AT TIME ZONE zone)::date + make_interval(months => months))::date;
SELECT pg_temp.due('2031-01-31 12:00+00', 'UTC', 1) AS no_leap, pg_temp.due('2032-01-31 12:00+00', 'UTC', 1) AS leap,
	pg_temp.due('2031-01-30 23:30+00', 'Europe/Madrid', 1) AS madrid, pg_temp.due('2031-01-31 23:30+00', 'America/New_York', 1) AS new_york,
	pg_temp.due('2031-08-31 12:00+00', 'UTC', 6) AS half_a_year;
SELECT pg_temp.plan_of(:'far', :'ana', 'surgery') AS fars \gset
SELECT txplan.complete_item(id) FROM txplan.items WHERE plan_id = :'fars';
SET TimeZone = 'America/Los_Angeles';
SELECT r.due_on = pg_temp.due(i.completed_at, 'Pacific/Auckland', 1) AS of_the_clinic FROM txplan.recall_suggestions AS r JOIN txplan.items AS i ON i.id = r.item_id WHERE i.plan_id = :'fars';
RESET TimeZone;

-- Suggestions are the engine's.
SELECT pg_temp.attempt('UPDATE txplan.recall_suggestions SET due_on = due_on + 1 WHERE clinic_id = %L', :'clinic');
SELECT pg_temp.brief('DELETE FROM txplan.recall_suggestions WHERE clinic_id = %L', :'clinic');
SELECT pg_temp.brief('INSERT INTO txplan.recall_suggestions (clinic_id, patient_id, item_id, category_key, reason, due_on) SELECT clinic_id, patient_id, item_id, ''x'', ''x'', due_on FROM txplan.recall_suggestions WHERE clinic_id = %L', :'clinic');

-- An appointment that names a suggestion closes it; cancelled, or not kept, it opens
-- it again.
SELECT id AS recall FROM txplan.recall_suggestions WHERE item_id = :'item_1' \gset
SELECT txplan.book_appointment(:'pavel', '2031-03-03 10:00', '2031-03-03 10:30', recall_id => :'recall') AS first \gset
SELECT closed_at IS NOT NULL AS closed, appointment_id = :'first' AS by_first FROM txplan.recall_suggestions WHERE id = :'recall';
SELECT pg_temp.attempt('SELECT txplan.book_appointment(%L, ''2031-03-04 10:00'', ''2031-03-04 10:30'', recall_id => %L)', :'pavel', :'recall');
SELECT txplan.cancel_appointment(:'first');
SELECT closed_at, appointment_id FROM txplan.recall_suggestions WHERE id = :'recall';
SELECT txplan.book_appointment(:'pavel', '2031-03-05 10:00', '2031-03-05 10:30', recall_id => :'recall') AS second \gset
SELECT txplan.mark_no_show(:'second');
SELECT closed_at, appointment_id FROM txplan.recall_suggestions WHERE id = :'recall';
SELECT txplan.book_appointment(:'pavel', '2031-03-06 10:00', '2031-03-06 10:30', recall_id => :'recall') AS third \gset
SELECT txplan.complete_appointment(:'third');
SELECT closed_at IS NOT NULL AS closed, appointment_id = :'third' AS by_third FROM txplan.recall_suggestions WHERE id = :'recall';
SELECT count(*) AS appointments FROM txplan.appointments WHERE recall_id = :'recall';
-- By INSERT and UPDATE too; another suggestion takes the place of the one before.
SELECT id AS other_recall FROM txplan.recall_suggestions WHERE patient_id = :'pavel' AND id <> :'recall' AND reason = 'post-op' ORDER BY id LIMIT 1 \gset
SELECT id AS third_recall FROM txplan.recall_suggestions WHERE patient_id = :'pavel' AND reason = 'checkup' \gset
INSERT INTO txplan.appointments (clinic_id, patient_id, starts_at, ends_at, recall_id) VALUES (:'clinic', :'pavel', '2031-03-07 10:00', '2031-03-07 10:30', :'other_recall') RETURNING id AS by_insert \gset
UPDATE txplan.appointments SET recall_id = :'third_recall' WHERE id = :'by_insert';
SELECT reason, closed_at IS NOT NULL AS closed FROM txplan.recall_suggestions WHERE id IN (:'other_recall', :'third_recall') ORDER BY reason;
UPDATE txplan.appointments SET status = 'cancelled' WHERE id = :'by_insert';
SELECT reason, closed_at IS NOT NULL AS closed FROM txplan.recall_suggestions WHERE id IN (:'other_recall', :'third_recall') ORDER BY reason;
SELECT pg_temp.brief('INSERT INTO txplan.appointments (clinic_id, patient_id, starts_at, ends_at, recall_id) SELECT %1$L, %2$L, ''2031-03-08'', ''2031-03-09'', %3$L FROM generate_series(1, 2)', :'clinic', :'pavel', :'other_recall');
-- The patient's own only.
SELECT pg_temp.attempt('SELECT txplan.book_appointment(%L, ''2031-03-10'', ''2031-03-11'', recall_id => %L)', :'mary', :'other_recall');
SELECT pg_temp.brief('SELECT txplan.book_appointment(%L, ''2031-03-10'', ''2031-03-11'', recall_id => %L)', :'ana', :'other_recall');
SELECT pg_temp.brief('SELECT txplan.book_appointment(%L, ''2031-03-10'', ''2031-03-11'', recall_id => txplan.new_id())', :'mary');
SELECT reason, closed_at IS NOT NULL AS closed FROM txplan.recall_suggestions WHERE id = :'other_recall';

-- They go with their plan, which only a superuser can delete with a completed item.
BEGIN;
SELECT txplan.book_appointment(:'pavel', '2031-03-12', '2031-03-13', recall_id => :'other_recall') AS kept \gset
SET LOCAL session_replication_role = replica;
UPDATE txplan.plans SET status = 'draft', items_completed = 0 WHERE id = :'plan';
DELETE FROM txplan.earned_entries WHERE plan_id = :'plan';
SET LOCAL session_replication_role = origin;
DELETE FROM txplan.plans WHERE id = :'plan';
SELECT count(*) AS suggestions FROM txplan.recall_suggestions WHERE patient_id = :'pavel';
SELECT status, recall_id FROM txplan.appointments WHERE id = :'kept';
ROLLBACK;

SELECT fault, detail FROM txplan.audit(:'clinic');
SELECT * FROM txplan.verify_history();
