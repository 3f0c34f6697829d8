-- history: who changed what of a plan, as a chain in which everything that was
-- tampered with shows.

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
SELECT txplan.create_clinic('History clinic', 'UTC') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada') AS ada \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ben') AS ben \gset
SELECT txplan.create_patient(:'clinic', 'Élise', 'Dupont') AS patient \gset
CREATE TEMP TABLE names (id text, name text);
INSERT INTO names VALUES (:'ada', 'ADA'), (:'ben', 'BEN');
-- story() shows a plan's history with names for ids.
CREATE FUNCTION pg_temp.story(plan uuid)
RETURNS TABLE (sequence bigint, actor text, what text, "on" text, from_value text, to_value text,
	action text, reason text, note text)
LANGUAGE sql
BEGIN ATOMIC
	SELECT h.sequence, h.actor, h.what,
		concat_ws(' ', CASE WHEN h.item_id IS NOT NULL THEN 'item' END, CASE WHEN h.session_id IS NOT NULL THEN 'session' END),
		coalesce(f.name, h.from_value), coalesce(t.name, h.to_value), h.action, h.reason, h.note
	FROM txplan.history AS h
	LEFT JOIN names AS f ON f.id = h.from_value
	LEFT JOIN names AS t ON t.id = h.to_value
	WHERE h.plan_id = plan
	ORDER BY h.sequence;
END;

-- The whole life of a plan, as its history tells it.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada', 'Histoire') AS plan \gset
SELECT txplan.add_item(:'plan', NULL, 'Détartrage', 60) AS item \gset
SELECT txplan.add_item(:'plan', NULL, 'Couronne', 600) AS crown \gset
SELECT txplan.add_item(:'plan', NULL, 'Radio', 15) AS xray \gset
SELECT txplan.add_session(:'crown', 'Pose', 150) IS NOT NULL AS added;
SELECT txplan.remove_item(:'xray');
UPDATE txplan.plans SET title = 'Histoire d''une dent 🦷' WHERE id = :'plan';
UPDATE txplan.plans SET title = NULL WHERE id = :'plan';
UPDATE txplan.items SET notes = 'sensible' WHERE id = :'item';
UPDATE txplan.items SET price = 70 WHERE id = :'item';
SELECT txplan.assign_professional(:'item', :'ben');
SELECT txplan.change_professional(:'plan', :'ben', true);
SELECT txplan.confirm_plan(:'plan');
SELECT txplan.transition_plan(:'plan', 'accept', NULL, 'signé');
SET txplan.actor = 'Dr. Ben';
SELECT txplan.complete_session(id, 'bien') FROM txplan.sessions WHERE item_id = :'item';
SELECT txplan.cancel_session(id) FROM txplan.sessions WHERE item_id = :'crown' AND sequence = 1;
SELECT txplan.complete_item(:'crown');
SELECT * FROM pg_temp.story(:'plan');
-- Role and time are there, and time never runs back.
SELECT bool_and(h.role_name = current_user) AS role, bool_and(h.at >= b.at) AS in_order, bool_and(octet_length(h.hash) = 32) AS sealed
FROM txplan.history AS h LEFT JOIN txplan.history AS b ON b.plan_id = h.plan_id AND b.sequence = h.sequence - 1
WHERE h.plan_id = :'plan' AND h.sequence > 1;
-- The plan keeps the length of its chain and its head.
SELECT p.history_length = count(*) AS length, p.history_head = (array_agg(h.hash ORDER BY h.sequence DESC))[1] AS head
FROM txplan.plans AS p JOIN txplan.history AS h ON h.plan_id = p.id WHERE p.id = :'plan' GROUP BY p.id, p.clinic_id;
-- All fits.
SELECT * FROM txplan.verify_history(:'plan');
SELECT count(*) FROM txplan.verify_history();
-- The form that is hashed, by hand for the first row.
SELECT hash = sha256(convert_to(string_agg(CASE WHEN f IS NULL THEN '-,' ELSE octet_length(f) || ':' || f || ',' END, '' ORDER BY n), 'UTF8')) AS as_documented
FROM txplan.history AS h, unnest(ARRAY[h.plan_id::text, h.clinic_id::text, h.sequence::text,
	(extract(epoch FROM h.at) * 1000000)::bigint::text, h.actor, h.role_name, h.what, h.item_id::text, h.session_id::text,
	h.from_value, h.to_value, h.action, h.reason, h.note]) WITH ORDINALITY AS f (f, n)
WHERE h.plan_id = :'plan' AND h.sequence = 1 GROUP BY h.hash;
-- NULL and an empty text do not hash alike, nor do fields that run together.
SELECT txplan.history_field(NULL), convert_from(txplan.history_field(''), 'UTF8') AS empty,
	convert_from(txplan.history_field('é,'), 'UTF8') AS text;
-- verify_history() gives the same in every time zone.
SET TimeZone = 'Asia/Kathmandu';
SET DateStyle = 'German';
SELECT count(*) FROM txplan.verify_history(:'plan');
RESET TimeZone;
RESET DateStyle;

-- Append-only, for its owner and superusers too.
SELECT pg_temp.attempt('UPDATE txplan.history SET note = ''x'' WHERE plan_id = %L', :'plan');
SELECT pg_temp.brief('DELETE FROM txplan.history WHERE plan_id = %L', :'plan');
SELECT pg_temp.brief('INSERT INTO txplan.history SELECT * FROM txplan.history');
SELECT pg_temp.brief('TRUNCATE txplan.history');
SELECT pg_temp.brief('DELETE FROM txplan.history WHERE false');

-- A superuser who turns the rules off can write, and is found out.
CREATE FUNCTION pg_temp.tamper(statement text, VARIADIC arguments text[])
RETURNS TABLE (sequence bigint, fault text, detail text)
LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM set_config('session_replication_role', 'replica', true);
	EXECUTE format(statement, VARIADIC arguments);
	PERFORM set_config('session_replication_role', 'origin', true);
	RETURN QUERY SELECT v.sequence, v.fault, v.detail FROM txplan.verify_history(arguments[1]::uuid) AS v;
END
$$;
-- A word changed; a value emptied; a time moved by a microsecond.
BEGIN;
SELECT * FROM pg_temp.tamper('UPDATE txplan.history SET actor = ''Dr. Ada'' WHERE plan_id = %L AND sequence = 18', :'plan');
ROLLBACK;
BEGIN;
SELECT * FROM pg_temp.tamper('UPDATE txplan.history SET note = '''' WHERE plan_id = %L AND sequence = 1', :'plan');
ROLLBACK;
BEGIN;
SELECT * FROM pg_temp.tamper('UPDATE txplan.history SET at = at + interval ''1 microsecond'' WHERE plan_id = %L AND sequence = 1', :'plan');
ROLLBACK;
-- Every column that tells something is under the seal.
CREATE FUNCTION pg_temp.sealed(plan uuid, column_name text, value text)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	faults text;
BEGIN
	SELECT string_agg(t.sequence || ' ' || t.fault, ', ') INTO faults
	FROM pg_temp.tamper('UPDATE txplan.history SET ' || column_name || ' = ' || value || ' WHERE plan_id = %L AND sequence = 3', plan::text) AS t;
	RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = coalesce(faults, 'nothing was found');
EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
	RETURN SQLERRM;
END
$$;
SELECT c.name, pg_temp.sealed(:'plan', c.name, c.value)
FROM (VALUES ('actor', '''x'''), ('role_name', '''x'''), ('what', '''x'''), ('item_id', 'txplan.new_id()'), ('session_id', 'txplan.new_id()'),
	('from_value', '''x'''), ('to_value', '''x'''), ('action', '''x'''), ('reason', '''x'''), ('note', '''x'''),
	('at', 'at - interval ''1 day'''), ('hash', 'sha256(''x'')')) AS c (name, value);
-- A row removed, from the middle, the beginning and the end; all of them.
BEGIN;
SELECT * FROM pg_temp.tamper('DELETE FROM txplan.history WHERE plan_id = %L AND sequence = 5', :'plan');
ROLLBACK;
BEGIN;
SELECT * FROM pg_temp.tamper('DELETE FROM txplan.history WHERE plan_id = %L AND sequence < 3', :'plan');
ROLLBACK;
BEGIN;
SELECT sequence IS NOT NULL AS last, fault, regexp_replace(detail, '\d+', '<n>') AS detail
FROM pg_temp.tamper('DELETE FROM txplan.history WHERE plan_id = %L AND sequence > 20', :'plan');
ROLLBACK;
BEGIN;
SELECT sequence IS NOT NULL AS last, fault, regexp_replace(detail, '\d+', '<n>') AS detail
FROM pg_temp.tamper('DELETE FROM txplan.history WHERE plan_id = %L', :'plan');
ROLLBACK;
-- Two rows that changed places.
BEGIN;
SELECT * FROM pg_temp.tamper('UPDATE txplan.history AS h SET what = o.what, from_value = o.from_value, to_value = o.to_value, hash = o.hash
	FROM txplan.history AS o WHERE h.plan_id = %L AND o.plan_id = h.plan_id AND h.sequence IN (7, 8) AND o.sequence = 15 - h.sequence', :'plan');
ROLLBACK;
-- A row put in at the end.
BEGIN;
SELECT sequence IS NOT NULL AS last, fault, regexp_replace(detail, '\d+', '<n>') AS detail
FROM pg_temp.tamper('INSERT INTO txplan.history (clinic_id, plan_id, sequence, at, actor, role_name, what, hash)
	SELECT clinic_id, plan_id, max(sequence) + 1, now(), ''me'', ''me'', ''title'', sha256(''x'') FROM txplan.history WHERE plan_id = %L GROUP BY 1, 2', :'plan');
ROLLBACK;
-- The plan removed, and its history not.
BEGIN;
SELECT sequence IS NOT NULL AS last, fault, detail
FROM pg_temp.tamper('DELETE FROM txplan.plans WHERE id = %L', :'plan');
ROLLBACK;
-- The plan's own note of its chain changed.
BEGIN;
SELECT sequence IS NOT NULL AS last, fault, regexp_replace(detail, '\d+', '<n>') AS detail
FROM pg_temp.tamper('UPDATE txplan.plans SET history_length = history_length - 1 WHERE id = %L', :'plan');
ROLLBACK;
-- Without rows, what verify_history() has to say is said of the whole record, too.
BEGIN;
SELECT count(*) FROM pg_temp.tamper('UPDATE txplan.history SET note = ''x'' WHERE plan_id = %L', :'plan');
SELECT count(*) = (SELECT count(*) FROM txplan.history WHERE plan_id = :'plan') AS each_row, count(DISTINCT plan) AS plans
FROM txplan.verify_history();
ROLLBACK;
SELECT count(*) FROM txplan.verify_history();

-- A deleted plan's chain ends with its deletion, and is verified as before.
SELECT txplan.create_plan(:'clinic', :'patient') AS draft \gset
DELETE FROM txplan.plans WHERE id = :'draft';
SELECT * FROM pg_temp.story(:'draft');
SELECT * FROM txplan.verify_history(:'draft');
BEGIN;
SELECT * FROM pg_temp.tamper('DELETE FROM txplan.history WHERE plan_id = %L AND sequence = 2', :'draft');
ROLLBACK;
-- A plan that never was.
SELECT pg_temp.attempt('SELECT txplan.verify_history(%L)', gen_random_uuid()::text);

-- What a rollback took back leaves no hole.
BEGIN;
UPDATE txplan.plans SET title = 'kept' WHERE id = :'plan';
SAVEPOINT a;
UPDATE txplan.plans SET title = 'gone' WHERE id = :'plan';
ROLLBACK TO a;
UPDATE txplan.plans SET title = 'kept, too' WHERE id = :'plan';
COMMIT;
SELECT from_value, to_value FROM txplan.history WHERE plan_id = :'plan' AND what = 'title' ORDER BY sequence DESC LIMIT 2;
SELECT * FROM txplan.verify_history(:'plan');
-- Values of any length and script.
UPDATE txplan.plans SET internal_notes = repeat('Ça va? 你好 مرحبا ', 5000) WHERE id = :'plan';
UPDATE txplan.plans SET internal_notes = E'\u0065\u0301\u200f\t\n\\' WHERE id = :'plan';
SELECT length(from_value) AS "from", length(to_value) AS "to" FROM txplan.history WHERE plan_id = :'plan' ORDER BY sequence DESC LIMIT 2;
SELECT * FROM txplan.verify_history(:'plan');
