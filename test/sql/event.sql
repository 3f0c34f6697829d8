-- event: what listeners read: one event for each fact, in the order of the facts,
-- none for what changed nothing or was rolled back.

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

-- What ids mean, so that payloads can be shown without them.
CREATE TEMP TABLE names (id text PRIMARY KEY, name text NOT NULL);
-- masked() writes a document with names for ids, and a mark for what differs from
-- run to run.
CREATE FUNCTION pg_temp.masked(document text)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	n record;
BEGIN
	FOR n IN SELECT * FROM names LOOP
		document := replace(document, n.id, n.name);
	END LOOP;
	RETURN regexp_replace(regexp_replace(regexp_replace(document,
		'PLAN-\d{4}-', 'PLAN-YYYY-', 'g'),
		'"event_id": "\d+"', '"event_id": "<n>"', 'g'),
		'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z', '<time>', 'g');
END
$$;

SET txplan.actor = 'reception';
SELECT txplan.create_clinic('Event clinic', 'UTC') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada') AS ada \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ben') AS ben \gset
SELECT txplan.create_patient(:'clinic', 'Iman', 'Rahimi') AS patient \gset
SELECT txplan.create_catalog_item(:'clinic', 'CROWN', 'Crown', 600, 'prosthetics',
	'[{"label": "Preparation", "price": 200}, {"label": "Fitting", "price": 400}]') AS crown \gset
INSERT INTO names VALUES (:'clinic', 'CLINIC'), (:'ada', 'ADA'), (:'ben', 'BEN'),
	(:'patient', 'PATIENT'), (:'crown', 'CROWN');

-- One of each kind of event, with all that it says.  What every event says comes
-- once, here; after that it is left out.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada', 'Events') AS plan \gset
INSERT INTO names VALUES (:'plan', 'PLAN');
SELECT plan_version, type, actor, pg_temp.masked(jsonb_pretty(payload))
FROM txplan.events WHERE plan_id = :'plan';
SELECT payload ->> 'event_id' = id::text AS id, (payload ->> 'occurred_at')::timestamptz = occurred_at AS time,
	payload ->> 'occurred_at' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$' AS rfc_3339, xid IS NOT NULL AS xid
FROM txplan.events WHERE plan_id = :'plan';

-- since() shows the events of a plan behind a version.
CREATE FUNCTION pg_temp.since(plan uuid, seen bigint)
RETURNS TABLE (plan_version bigint, type text, actor text, says text)
LANGUAGE sql
BEGIN ATOMIC
	SELECT e.plan_version, e.type, e.actor, pg_temp.masked(jsonb_pretty(
		e.payload - '{event_id,plan_id,plan_number,clinic_id,patient_id,actor,occurred_at}'::text[]))
	FROM txplan.events AS e
	WHERE e.plan_id = plan AND e.plan_version > seen
	ORDER BY e.id;
END;
SELECT txplan.add_item(:'plan', :'crown', NULL, NULL, 16, 'MOD', 'chart-7', :'ben', 'n') AS crown_item \gset
SELECT txplan.add_item(:'plan', NULL, 'Cleaning', 60.5) AS cleaning_item \gset
SELECT txplan.add_item(:'plan', NULL, 'X-ray', 15) AS xray_item \gset
INSERT INTO names VALUES (:'crown_item', 'CROWN-ITEM'), (:'cleaning_item', 'CLEANING-ITEM'), (:'xray_item', 'XRAY-ITEM');
INSERT INTO names SELECT id, 'CROWN-' || upper(label) FROM txplan.sessions WHERE item_id = :'crown_item';
INSERT INTO names SELECT id, 'CLEANING-SESSION' FROM txplan.sessions WHERE item_id = :'cleaning_item';
SELECT txplan.reorder_items(:'plan', ARRAY[:'xray_item', :'crown_item', :'cleaning_item']::uuid[]);
SELECT txplan.remove_item(:'xray_item');
SELECT * FROM pg_temp.since(:'plan', 1);
UPDATE txplan.plans SET title = 'All events', internal_notes = 'n' WHERE id = :'plan';
UPDATE txplan.items SET notes = 'soft' WHERE id = :'cleaning_item';
SELECT txplan.assign_professional(:'cleaning_item', :'ben');
SELECT txplan.change_professional(:'plan', :'ben', true);
SELECT txplan.change_professional(:'plan', :'ada', true);
SELECT * FROM pg_temp.since(:'plan', 6);
SELECT version AS seen FROM txplan.plans WHERE id = :'plan' \gset
SELECT txplan.confirm_plan(:'plan');
SELECT txplan.reopen_plan(:'plan');
SELECT txplan.close_plan(:'plan', 'rejected', 'too dear');
SELECT txplan.reactivate_plan(:'plan');
SELECT * FROM pg_temp.since(:'plan', :seen);
SELECT version AS seen FROM txplan.plans WHERE id = :'plan' \gset
SELECT txplan.confirm_plan(:'plan'), txplan.accept_plan(:'plan');
SELECT type, says FROM pg_temp.since(:'plan', :seen) WHERE type <> 'treatment_plan.confirmed';
-- The order of the facts: session, item, plan, status.
SELECT version AS seen FROM txplan.plans WHERE id = :'plan' \gset
SET txplan.actor = 'hygienist';
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE item_id = :'cleaning_item';
SELECT txplan.cancel_session(id) FROM txplan.sessions WHERE item_id = :'crown_item' AND sequence = 1;
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE item_id = :'crown_item' AND sequence = 2;
SELECT * FROM pg_temp.since(:'plan', :seen);
SET txplan.actor = 'reception';
-- All of an item cancelled; and the end of a draft.
SELECT txplan.create_plan(:'clinic', :'patient') AS other \gset
SELECT txplan.add_item(:'other', NULL, 'Splint', 120) AS splint_item \gset
INSERT INTO names VALUES (:'other', 'OTHER'), (:'splint_item', 'SPLINT-ITEM');
INSERT INTO names SELECT id, 'SPLINT-SESSION' FROM txplan.sessions WHERE item_id = :'splint_item';
SELECT txplan.confirm_plan(:'other'), txplan.accept_plan(:'other');
SELECT version AS seen FROM txplan.plans WHERE id = :'other' \gset
SELECT txplan.cancel_session(id) FROM txplan.sessions WHERE item_id = :'splint_item';
SELECT txplan.close_plan(:'other', 'other');
SELECT txplan.reactivate_plan(:'other');
DELETE FROM txplan.plans WHERE id = :'other';
SELECT * FROM pg_temp.since(:'other', :seen);

-- Every event says the same seven things.
SELECT count(*) AS events, count(*) FILTER (WHERE e.payload ?& '{event_id,plan_id,plan_number,clinic_id,patient_id,actor,occurred_at}'::text[]
	AND e.payload ->> 'event_id' = e.id::text AND e.payload ->> 'plan_id' = e.plan_id::text
	AND e.payload ->> 'clinic_id' = e.clinic_id::text AND e.payload ->> 'patient_id' = :'patient'
	AND e.payload ->> 'actor' = e.actor AND (e.payload ->> 'occurred_at')::timestamptz = e.occurred_at) AS complete
FROM txplan.events AS e WHERE e.clinic_id = :'clinic';
-- Ids and amounts are strings, counts are numbers; no payload has a float.
SELECT k.key, jsonb_typeof(k.value) AS type, count(*) > 0 AS seen
FROM txplan.events AS e, jsonb_each(e.payload) AS k
WHERE e.clinic_id = :'clinic' GROUP BY 1, 2 ORDER BY k.key COLLATE "C", 2;
-- Versions rise by one in the order of the ids; the plan has the last.
SELECT count(*) FILTER (WHERE plan_version <> n) AS gaps, max(plan_version) = (SELECT version FROM txplan.plans WHERE id = :'plan') AS last
FROM (SELECT plan_version, row_number() OVER (ORDER BY id) AS n FROM txplan.events WHERE plan_id = :'plan') AS e;

-- Nothing for a statement that changed nothing.
SELECT count(*) AS before FROM txplan.events \gset
SELECT updated_at AS updated FROM txplan.plans WHERE id = :'plan' \gset
UPDATE txplan.plans SET status = status, title = title, version = version WHERE clinic_id = :'clinic';
UPDATE txplan.items SET price = price, notes = notes, status = status, professional_id = professional_id WHERE clinic_id = :'clinic';
UPDATE txplan.sessions SET status = status, note = note, amount = amount WHERE clinic_id = :'clinic';
UPDATE txplan.plans SET title = 'x' WHERE false;
DELETE FROM txplan.items WHERE false;
SELECT txplan.advance_plan(:'plan');
SELECT txplan.change_professional(:'plan', :'ada', true);
SELECT count(*) - :before AS events FROM txplan.events;
SELECT updated_at = :'updated' AS untouched FROM txplan.plans WHERE id = :'plan';
SELECT version AS seen FROM txplan.plans WHERE id = :'plan' \gset
-- Nor for what failed or was rolled back: no event, no version, no hole.
SELECT pg_temp.brief('SELECT txplan.close_plan(%L, ''other'')', :'plan');
BEGIN;
UPDATE txplan.plans SET internal_notes = 'gone' WHERE id = :'plan';
ROLLBACK;
BEGIN;
UPDATE txplan.plans SET internal_notes = 'kept' WHERE id = :'plan' RETURNING version - :seen AS steps;
SAVEPOINT a;
UPDATE txplan.plans SET internal_notes = 'gone' WHERE id = :'plan';
ROLLBACK TO a;
UPDATE txplan.plans SET internal_notes = 'kept, too' WHERE id = :'plan' RETURNING version - :seen AS steps;
COMMIT;
DO $$
BEGIN
	FOR n IN 1 .. 3 LOOP
		BEGIN
			UPDATE txplan.plans SET internal_notes = 'loop ' || n WHERE title = 'All events';
			IF n = 2 THEN
				RAISE EXCEPTION 'no';
			END IF;
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
	END LOOP;
END
$$;
SELECT internal_notes, version = (SELECT count(*) FROM txplan.events WHERE plan_id = :'plan') AS gapless
FROM txplan.plans WHERE id = :'plan';
SELECT count(*) - :before AS events FROM txplan.events;

-- A statement over many plans tells each plan's facts, each plan gapless.
INSERT INTO txplan.plans (clinic_id, patient_id, title) SELECT :'clinic', :'patient', 'bulk' FROM generate_series(1, 20);
INSERT INTO txplan.items (clinic_id, plan_id, catalog_item_id)
SELECT clinic_id, id, :'crown' FROM txplan.plans, generate_series(1, 3) WHERE title = 'bulk';
UPDATE txplan.plans SET status = 'pending', internal_notes = 'go' WHERE title = 'bulk';
SELECT string_agg(replace(type, 'treatment_plan.', ''), ' ' ORDER BY id) AS events, count(DISTINCT plan_id) AS plans FROM (
	SELECT e.*, row_number() OVER (PARTITION BY plan_id ORDER BY e.id) AS n, dense_rank() OVER (ORDER BY plan_id) AS p
	FROM txplan.events AS e JOIN txplan.plans AS p ON p.id = e.plan_id WHERE p.title = 'bulk') AS e
GROUP BY p HAVING count(*) FILTER (WHERE n = plan_version) = count(*) LIMIT 1;
SELECT count(*) AS plans, sum(version) AS versions, (SELECT count(*) FROM txplan.events AS e JOIN txplan.plans AS p ON p.id = e.plan_id WHERE p.title = 'bulk') AS events
FROM txplan.plans WHERE title = 'bulk';

-- Events are the engine's.
SELECT pg_temp.attempt('INSERT INTO txplan.events (id, clinic_id, plan_id, plan_version, type, actor, occurred_at, payload) VALUES (1, %L, %L, 1, ''x.y'', ''me'', now(), ''{}'')', :'clinic', :'plan');
SELECT pg_temp.brief('UPDATE txplan.events SET payload = ''{}'' WHERE plan_id = %L', :'plan');
SELECT pg_temp.brief('DELETE FROM txplan.events WHERE plan_id = %L', :'plan');
SELECT pg_temp.brief('TRUNCATE txplan.events');
SELECT pg_temp.brief('DELETE FROM txplan.events_default WHERE plan_id = %L', :'plan');

SELECT fault, detail FROM txplan.audit(:'clinic');
