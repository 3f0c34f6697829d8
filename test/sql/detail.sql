-- detail: the page of a plan as one document.

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
SELECT txplan.create_clinic('Detail clinic', 'UTC') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada', '#ff0000') AS ada \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ben') AS ben \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Cleo') AS cleo \gset
SELECT txplan.create_patient(:'clinic', 'Noor', 'Aziz', '1990-05-17', '+31 6', 'noor@example.org') AS patient \gset
SELECT txplan.create_catalog_item(:'clinic', 'CROWN', 'Crown', 600, 'prosthetics',
	'[{"label": "Preparation", "price": 200}, {"label": "Temporary", "price": 100}, {"label": "Fitting", "price": 300}]') AS crown \gset
INSERT INTO names VALUES (:'clinic', 'CLINIC'), (:'ada', 'ADA'), (:'ben', 'BEN'), (:'cleo', 'CLEO'), (:'patient', 'PATIENT'), (:'crown', 'CROWN');

INSERT INTO names VALUES ('"role_name": "' || current_user || '"', '"role_name": "ROLE"');

-- A plan with nothing in it: every key is there.
SELECT txplan.create_plan(:'clinic', :'patient') AS empty \gset
INSERT INTO names VALUES (:'empty', 'EMPTY');
\pset format unaligned
\pset tuples_only on
SELECT pg_temp.masked(jsonb_pretty(txplan.plan_detail(:'empty')));
-- A plan under way: a crown of which one session was done and one cancelled, a
-- cleaning that was completed, and an X-ray of another doctor's.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada', 'Crown 16') AS plan \gset
SELECT txplan.add_item(:'plan', :'crown', NULL, NULL, 16, 'MOD', 'chart-1', NULL, 'fragile') AS crown_item \gset
SELECT txplan.add_item(:'plan', NULL, 'Cleaning', 60.5) AS cleaning_item \gset
SELECT txplan.add_item(:'plan', NULL, 'X-ray', 15, professional_id => :'ben') AS xray_item \gset
INSERT INTO names VALUES (:'plan', 'PLAN'), (:'crown_item', 'CROWN-ITEM'), (:'cleaning_item', 'CLEANING-ITEM'), (:'xray_item', 'XRAY-ITEM');
INSERT INTO names SELECT s.id, i.name || '-' || s.sequence FROM txplan.sessions AS s JOIN names AS i ON i.id = s.item_id::text;
UPDATE txplan.plans SET diagnosis_notes = 'caries', internal_notes = 'calls' WHERE id = :'plan';
SELECT txplan.confirm_plan(:'plan');
SELECT txplan.transition_plan(:'plan', 'accept', NULL, 'by phone');
SET txplan.actor = 'hygienist';
SELECT txplan.complete_session(id, 'ok') FROM txplan.sessions WHERE item_id = :'crown_item' AND sequence = 1;
SELECT txplan.cancel_session(id, 'not needed') FROM txplan.sessions WHERE item_id = :'crown_item' AND sequence = 2;
SELECT txplan.complete_item(:'cleaning_item');
SELECT txplan.change_professional(:'plan', :'cleo');
SELECT pg_temp.masked(jsonb_pretty(txplan.plan_detail(plan_id => :'plan', clinic_id => :'clinic')));
\pset format aligned
\pset tuples_only off

-- Reassigning would move nothing now: the pending items are Ada's and Ben's.
SELECT txplan.plan_detail(:'plan') -> 'reassignable_items' AS items;
SELECT txplan.change_professional(:'plan', :'ben');
SELECT txplan.plan_detail(:'plan') -> 'reassignable_items' AS items;
SELECT txplan.change_professional(:'plan', :'cleo', true);
-- One doctor of all that is left is not several; what was cancelled counts not.
SELECT txplan.plan_detail(:'plan') -> 'several_professionals' AS several, txplan.plan_detail(:'empty') -> 'several_professionals' AS none;
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS one \gset
SELECT txplan.add_item(:'one', NULL, 'Filling', 80) IS NOT NULL AS added;
SELECT txplan.plan_detail(:'one') -> 'several_professionals' AS several;
-- Blockers are with the actions; a closed plan shows why; times are UTC in every
-- time zone.
SELECT txplan.plan_detail(:'empty') -> 'actions' AS actions;
SELECT txplan.close_plan(:'one', 'abandoned', 'moved');
SELECT p ->> 'status_label' AS label, p ->> 'closure_reason' AS reason, p ->> 'closure_note' AS note, p ->> 'closed_at' = p ->> 'status_changed_at' AS closed
FROM (SELECT txplan.plan_detail(:'one') -> 'plan') AS d (p);
SET TimeZone = 'America/Caracas';
SELECT (d #>> '{plan,created_at}')::timestamptz = p.created_at AS same, d #>> '{plan,created_at}' LIKE '%Z' AS utc
FROM (SELECT txplan.plan_detail(:'one')) AS x (d), txplan.plans AS p WHERE p.id = :'one';
RESET TimeZone;
-- What is done comes latest first; history too.
SELECT jsonb_path_query_array(d, '$.executions[*].description') AS executions, jsonb_path_query_array(d, '$.history[*].sequence') = (
	SELECT jsonb_agg(sequence ORDER BY sequence DESC) FROM txplan.history WHERE plan_id = :'plan') AS latest_first
FROM (SELECT txplan.plan_detail(:'plan')) AS x (d);
-- The sums are those of the rows.
SELECT d #>> '{plan,total}' AS total, d #>> '{plan,earned}' AS earned,
	(SELECT sum(price) FROM txplan.items WHERE plan_id = :'plan' AND status <> 'cancelled') AS prices, (SELECT sum(amount) FROM txplan.earned_entries WHERE plan_id = :'plan') AS entries
FROM (SELECT txplan.plan_detail(:'plan')) AS x (d);
-- Contacts, the latest first, and which of them others correct; appointments, the next
-- to come first, then what is over.
SELECT txplan.log_contact(:'plan', 'call', 'no answer', contacted_at => '2024-03-01 10:00+01', next_contact_at => '2031-05-01 10:00+02') AS contact \gset
SELECT txplan.log_contact(:'plan', 'sms', contacted_at => '2024-02-01 10:00+01') IS NOT NULL AS logged;
SELECT txplan.log_contact(:'plan', 'call', 'answered', 'Comes on Monday', corrects_id => :'contact', contacted_at => '2024-03-01 10:05+01') IS NOT NULL AS logged;
SELECT d -> 'channel' AS channel, d -> 'outcome' AS outcome, d -> 'note' AS note, d -> 'contacted_at' AS contacted_at, d -> 'contacted_by' AS contacted_by, d -> 'next_contact_at' AS next, d ->> 'corrects_id' = :'contact' AS corrects, d -> 'corrected' AS corrected
FROM jsonb_array_elements(txplan.plan_detail(:'plan') -> 'contacts') AS d;
SELECT p -> 'last_contact_at' AS last, p -> 'next_contact_at' AS next FROM (SELECT txplan.plan_detail(:'plan') -> 'plan') AS d (p);
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS booked \gset
SELECT txplan.add_item(:'booked', :'crown') AS booked_item \gset
SELECT txplan.book_appointment(:'patient', '2031-03-17 10:00+01', '2031-03-17 11:00+01', item_id => :'booked_item', professional_id => :'ben', room => '1', kind => 'crown', note => 'Second') IS NOT NULL AS booked;
SELECT txplan.book_appointment(:'patient', '2031-03-03 10:00+01', '2031-03-03 11:00+01', plan_id => :'booked') IS NOT NULL AS booked;
SELECT txplan.book_appointment(:'patient', '2024-03-04 10:00+01', '2024-03-04 11:00+01', plan_id => :'booked') AS past \gset
SELECT txplan.book_appointment(:'patient', '2024-03-18 10:00+01', '2024-03-18 11:00+01', plan_id => :'booked') IS NOT NULL AS booked;
SELECT txplan.complete_appointment(:'past');
SELECT d -> 'starts_at' AS starts_at, d -> 'ends_at' AS ends_at, d -> 'status' AS status, d ->> 'item_id' = :'booked_item' AS item, d -> 'session_id' AS session, d -> 'recall_id' AS recall, d -> 'professional' ->> 'name' AS professional, d -> 'room' AS room, d -> 'kind' AS kind, d -> 'note' AS note, d -> 'created_by' AS created_by, d -> 'ended_by' AS ended_by
FROM jsonb_array_elements(txplan.plan_detail(:'booked') -> 'appointments') AS d;
-- 500 items.
SELECT txplan.create_plan(:'clinic', :'patient') AS large \gset
INSERT INTO txplan.items (clinic_id, plan_id, catalog_item_id) SELECT :'clinic', :'large', :'crown' FROM generate_series(1, 500);
SELECT jsonb_array_length(d -> 'items') AS items, jsonb_array_length(jsonb_path_query_array(d, '$.items[*].sessions[*]')) AS sessions
FROM (SELECT txplan.plan_detail(:'large')) AS x (d);
-- What is not there.
SELECT pg_temp.attempt('SELECT txplan.plan_detail(NULL)');
SELECT pg_temp.attempt('SELECT txplan.plan_detail(%L)', gen_random_uuid()::text);
SELECT pg_temp.brief('SELECT txplan.plan_detail(%L, %L)', :'plan', gen_random_uuid()::text);
