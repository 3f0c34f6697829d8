-- inbox: the plans of a clinic in tabs, searched and page by page.

SELECT txplan.install() IS NOT NULL AS installed;

-- attempt() runs a statement, with its %L filled in, and returns what it raised:
-- SQLSTATE and message, detail and hint; brief() returns the first line of that.
CREATE FUNCTION pg_temp.mask(value text)
RETURNS text
LANGUAGE sql
RETURN regexp_replace(regexp_replace(value,
		'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<id>', 'g'),
		'(PLAN|BUDGET)-\d{4}-', '\1-YYYY-', 'gi');
CREATE FUNCTION pg_temp.attempt(statement text, VARIADIC arguments text[] DEFAULT '{}')
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE format(statement, VARIADIC arguments);
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
		hint = PG_EXCEPTION_HINT;
	RETURN pg_temp.mask(concat_ws(E'\n', SQLSTATE || ': ' || message,
		nullif(detail, ''), nullif(hint, '')));
END
$$;
CREATE FUNCTION pg_temp.brief(statement text, VARIADIC arguments text[] DEFAULT '{}')
RETURNS text
LANGUAGE sql
RETURN split_part(pg_temp.attempt(statement, VARIADIC arguments), E'\n', 1);

SET txplan.actor = 'reception';
SELECT txplan.create_clinic('Inbox clinic', 'Europe/Madrid') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada') AS ada \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Bo') AS bo \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Cy') AS cy \gset
SELECT txplan.create_clinic('Other inbox clinic', 'UTC') AS other_clinic \gset

-- made() makes a plan of a new patient, with two items, and moves it to a status.
CREATE FUNCTION pg_temp.made(first_name text, last_name text, wanted text, phone text DEFAULT NULL)
RETURNS uuid
LANGUAGE plpgsql
AS $$
DECLARE
	the_clinic uuid := (SELECT id FROM txplan.clinics WHERE name = 'Inbox clinic');
	the_plan uuid;
BEGIN
	the_plan := txplan.create_plan(the_clinic,
		txplan.create_patient(the_clinic, first_name, last_name, NULL, phone),
		(SELECT id FROM txplan.professionals WHERE clinic_id = the_clinic AND name = 'Dr. Ada'));
	PERFORM txplan.add_item(the_plan, NULL, 'Filling', 60);
	PERFORM txplan.add_item(the_plan, NULL, 'Crown', 400);
	IF wanted <> 'draft' THEN
		PERFORM txplan.confirm_plan(the_plan);
	END IF;
	IF wanted IN ('active', 'completed') THEN
		PERFORM txplan.accept_plan(the_plan);
	END IF;
	IF wanted = 'completed' THEN
		PERFORM txplan.complete_item(i.id) FROM txplan.items AS i WHERE i.plan_id = the_plan;
	ELSIF wanted = 'closed' THEN
		PERFORM txplan.close_plan(the_plan, 'abandoned');
	END IF;
	RETURN the_plan;
END
$$;
-- names() are the patients of a page.
CREATE FUNCTION pg_temp.names(tab text, search text DEFAULT NULL, professional uuid DEFAULT NULL)
RETURNS text
LANGUAGE sql
RETURN (SELECT string_agg(i.patient_name, ', ' ORDER BY i.patient_name COLLATE "C")
	FROM txplan.clinics AS c
	CROSS JOIN LATERAL txplan.inbox(c.id, tab, search, professional) AS i
	WHERE c.name = 'Inbox clinic');

SELECT pg_temp.made('Luis', 'García Núñez', 'draft', '+34 600-123 456') AS luis \gset
SELECT pg_temp.made('Łukasz', 'Straße', 'pending') AS lukasz \gset
SELECT pg_temp.made('Δημήτρης', 'Παπαδόπουλος', 'active') AS dimitris \gset
SELECT pg_temp.made('Олёна', 'Йовович', 'completed') AS olena \gset
SELECT pg_temp.made('小明', '王', 'closed') AS wang \gset
SELECT pg_temp.made('مُحَمَّد', 'علي', 'draft') AS muhammad \gset
SELECT pg_temp.made('Ana', '100%_Ruiz\', 'pending') AS ana \gset

-- Tabs and their counts; the last moved stand first.
SELECT tab, pg_temp.names(tab), plans
FROM txplan.inbox_counts(:'clinic');
SELECT number = lag(number, 1, number) OVER () OR status_changed_at < lag(status_changed_at) OVER () AS later_first
FROM txplan.inbox(:'clinic', 'all');
SELECT * FROM txplan.inbox_counts(:'other_clinic');

-- Searching.
SELECT search, pg_temp.names('all', search) AS found
FROM (VALUES ('garcia luis'), ('GARCÍA'), ('nun arc'), ('garcia lukasz'), ('lukasz'), ('ŁUK strasse'), ('STRASSE'),
	('δημητρησ'), ('ΔΗΜΉΤΡΗΣ'), ('ΠΑΠΑΔ'), ('олена'), ('ЙОВОВИЧ'), ('王'), ('明 王'), ('محمد'), ('مُحَمَّد علي'),
	('600-123'), ('600123456'), ('34600'), ('%'), ('0%_r'), ('_'), ('\'), ('100%'), ('a_a'),
	('  luis' || chr(160) || chr(12288)), (''), ('   '), ('0001'), ('plan- luis'), ('0001 luis'), ('0002 luis'), ('LUİS'), ('ｌｕｉｓ')) AS s (search);
SELECT count(*) AS plans FROM txplan.inbox(:'clinic', 'pending', 'a');
SELECT * FROM txplan.inbox_counts(:'clinic', 'a');
-- What is searched follows the names.
UPDATE txplan.patients SET last_name = 'Müller', search_text = 'nonsense' WHERE id = (SELECT patient_id FROM txplan.plans WHERE id = :'luis');
SELECT pg_temp.names('all', 'garcia') AS before, pg_temp.names('all', 'muller') AS after;

-- All that a row shows.
SELECT txplan.generate_budget(:'lukasz') AS budget \gset
SELECT txplan.assign_professional(i.id, :'bo') FROM txplan.items AS i WHERE i.plan_id = :'lukasz' AND i.description = 'Crown';
SELECT txplan.add_item(:'lukasz', NULL, 'Gone', 1000, professional_id => :'cy') AS gone \gset
SET session_replication_role = replica;
UPDATE txplan.items SET status = 'cancelled', live = false, sessions_cancelled = 1 WHERE id = :'gone';
UPDATE txplan.sessions SET status = 'cancelled', cancelled_at = now() WHERE item_id = :'gone';
UPDATE txplan.plans AS p SET items_cancelled = 1, professional_ids = m.expected
FROM txplan.misattributed_plans AS m WHERE p.id = :'lukasz' AND m.id = p.id;
DELETE FROM txplan.plan_count_changes WHERE professional_id = :'cy';
UPDATE txplan.budgets SET valid_until = '2031-05-06' WHERE id = :'budget';
INSERT INTO txplan.contacts (id, clinic_id, plan_id, channel, contacted_at, contacted_by, corrects_id)
VALUES ('c0000000-0000-0000-0000-000000000001', :'clinic', :'lukasz', 'call', '2026-01-05 10:00Z', 'x', NULL),
	('c0000000-0000-0000-0000-000000000002', :'clinic', :'lukasz', 'sms', '2026-01-06 10:00Z', 'x', NULL),
	('c0000000-0000-0000-0000-000000000003', :'clinic', :'lukasz', 'email', '2026-01-06 09:00Z', 'x', 'c0000000-0000-0000-0000-000000000002');
UPDATE txplan.plans SET last_contact_at = '2026-01-06 09:00Z', title = 'Molar' WHERE id = :'lukasz';
INSERT INTO txplan.appointments (clinic_id, patient_id, plan_id, starts_at, ends_at, status, ended_at, ended_by, created_by)
SELECT :'clinic', p.patient_id, p.id, a.day::timestamptz, a.day::timestamptz + interval '1 hour', a.status,
	CASE a.status WHEN 'cancelled' THEN now() END, CASE a.status WHEN 'cancelled' THEN 'x' END, 'x'
FROM txplan.plans AS p, (VALUES ('2020-01-01 10:00Z', 'booked'), ('2200-03-01 10:00Z', 'booked'), ('2200-02-01 10:00Z', 'booked'),
	('2200-01-01 10:00Z', 'cancelled')) AS a (day, status)
WHERE p.id = :'lukasz';
RESET session_replication_role;
\x on
SELECT pg_temp.mask(number) AS number, title, status, closure_reason, days_in_status, patient_name, patient_phone, professional_name,
	pg_temp.mask(professionals::text) AS professionals, items_total, items_completed, total, budget_id = :'budget' AS budget,
	budget_status, budget_total, budget_valid_until, last_contact_at, last_contact_channel, next_appointment_at,
	plan_id = :'lukasz' AS plan, professional_id = :'ada' AS professional, created_at <= now() AS created, length(cursor) AS cursor
FROM txplan.inbox(:'clinic', 'pending', 'lukasz');
\x off
SELECT pg_temp.names('all', 'budget 0001') AS by_budget, pg_temp.names('all', 'budget strasse 0002 0001') AS by_both;

-- Days are the clinic's: a plan of 00:30 in Madrid is of that day.
SET session_replication_role = replica;
UPDATE txplan.plans SET status_changed_at = (((now() AT TIME ZONE 'Europe/Madrid')::date - 3) + time '00:30') AT TIME ZONE 'Europe/Madrid'
WHERE id = :'lukasz';
UPDATE txplan.plans SET created_at = '2026-03-09 23:30Z' WHERE id = :'ana';
RESET session_replication_role;
SELECT days_in_status FROM txplan.inbox(:'clinic', 'pending', 'lukasz');
SELECT a.day_from, a.day_to, count(i.plan_id)
FROM (VALUES ('2026-03-10'::date, '2026-03-10'::date), ('2026-03-09', '2026-03-09'), (NULL, '2026-03-10'), ('-infinity', '2026-03-09'),
	('2026-03-10', 'infinity'), ('2026-03-11', '2026-03-10')) AS a (day_from, day_to)
LEFT JOIN LATERAL txplan.inbox(:'clinic', 'pending', NULL, NULL, a.day_from, a.day_to) AS i ON true
GROUP BY a.day_from, a.day_to
ORDER BY a.day_from NULLS FIRST, a.day_to;

-- Doctors of the plan and of its items count, not those of what was cancelled.
SELECT pg_temp.names('all', NULL, :'bo') AS bo, pg_temp.names('all', NULL, :'cy') AS cy, pg_temp.names('draft', NULL, :'ada') AS ada;
SELECT * FROM txplan.inbox_counts(:'clinic', professional_id => :'bo');
SELECT patient_name FROM txplan.inbox(:'clinic', 'all', closure_reason => 'abandoned');
SELECT * FROM txplan.inbox_counts(:'clinic', closure_reason => 'rejected');

-- Who is involved follows every change of doctors, and so do the counts by doctor.
CREATE FUNCTION pg_temp.involved(wanted uuid)
RETURNS TABLE (involved text, counts text)
LANGUAGE sql
BEGIN ATOMIC
	SELECT (SELECT string_agg(d.name, ', ' ORDER BY d.name) FROM txplan.professionals AS d WHERE d.id = ANY (p.professional_ids)),
		(SELECT string_agg(d.name || ' ' || (SELECT string_agg(c.plans::text, ' ') FROM txplan.inbox_counts(p.clinic_id, professional_id => d.id) AS c),
				', ' ORDER BY d.name)
			FROM txplan.professionals AS d WHERE d.clinic_id = p.clinic_id)
	FROM txplan.plans AS p
	WHERE p.id = wanted;
END;
BEGIN;
SELECT * FROM pg_temp.involved(:'dimitris');
SELECT txplan.create_plan(:'clinic', (SELECT patient_id FROM txplan.plans WHERE id = :'luis')) AS shared \gset
SELECT * FROM pg_temp.involved(:'shared');
INSERT INTO txplan.items (clinic_id, plan_id, description, price, professional_id)
VALUES (:'clinic', :'shared', 'By Bo', 10, :'bo'), (:'clinic', :'shared', 'By Cy', 10, :'cy'), (:'clinic', :'shared', 'By Cy, too', 10, :'cy');
SELECT * FROM pg_temp.involved(:'shared');
SELECT txplan.change_professional(:'shared', :'ada');
SELECT * FROM pg_temp.involved(:'shared');
SELECT txplan.remove_item(i.id) FROM txplan.items AS i WHERE i.plan_id = :'shared' AND i.description = 'By Cy, too';
SELECT * FROM pg_temp.involved(:'shared');
SELECT txplan.confirm_plan(:'shared'), txplan.accept_plan(:'shared');
SELECT txplan.cancel_session(s.id) FROM txplan.sessions AS s JOIN txplan.items AS i ON i.id = s.item_id
WHERE i.plan_id = :'shared' AND i.description = 'By Cy';
SELECT * FROM pg_temp.involved(:'shared');
SELECT txplan.change_professional(:'shared', :'bo');
SELECT * FROM pg_temp.involved(:'shared');
SELECT txplan.change_professional(:'shared', :'cy', reassign_pending => true);
SELECT * FROM pg_temp.involved(:'shared');
-- Items and plan in one statement.
WITH i AS (UPDATE txplan.items SET professional_id = :'ada' WHERE plan_id = :'shared' AND status = 'pending')
UPDATE txplan.plans SET professional_id = :'bo' WHERE id = :'shared';
SELECT * FROM pg_temp.involved(:'shared');
SELECT txplan.complete_item(i.id) FROM txplan.items AS i WHERE i.plan_id = :'shared' AND i.status = 'pending';
SELECT * FROM pg_temp.involved(:'shared');
UPDATE txplan.plans SET professional_id = NULL WHERE id = :'shared';
SELECT * FROM pg_temp.involved(:'shared');
SAVEPOINT before;
DELETE FROM txplan.plans WHERE id = :'luis';
SELECT fault, detail FROM txplan.audit(:'clinic') WHERE fault <> 'search text differs';
ROLLBACK TO before;
SELECT * FROM pg_temp.involved(:'shared');
SELECT * FROM txplan.misattributed_plans WHERE clinic_id = :'clinic';
SELECT * FROM txplan.miscounted_plans WHERE clinic_id = :'clinic';
ROLLBACK;
DROP FUNCTION pg_temp.involved;
SELECT tab, c.plans, (SELECT count(*) FROM txplan.inbox(:'clinic', c.tab, professional_id => :'ada', search => '1')) AS listed
FROM txplan.inbox_counts(:'clinic', '1', :'ada') AS c;

-- Pages: each row once, in the order of one large page.
WITH RECURSIVE pages AS (
	SELECT 1 AS page, array_agg(i.plan_id) AS plans, (array_agg(i.cursor))[3] AS last
	FROM txplan.inbox(:'clinic', 'all', page_size => 3) AS i
	UNION ALL
	SELECT p.page + 1, n.plans, n.last
	FROM pages AS p
	CROSS JOIN LATERAL (
		SELECT array_agg(i.plan_id) AS plans, (array_agg(i.cursor))[3] AS last
		FROM txplan.inbox(:'clinic', 'all', page_size => 3, after => p.last) AS i
	) AS n
	WHERE p.last IS NOT NULL
)
SELECT p.page, cardinality(p.plans) AS plans,
	(SELECT array_agg(plan) FROM (SELECT unnest(q.plans) AS plan FROM pages AS q ORDER BY q.page) AS u)
		= (SELECT array_agg(i.plan_id) FROM txplan.inbox(:'clinic', 'all') AS i) AS same
FROM pages AS p;
-- Plans that moved at the same moment are told apart by their ids.
SET session_replication_role = replica;
UPDATE txplan.plans SET status_changed_at = '2026-01-01' WHERE clinic_id = :'clinic' AND stage = 'draft';
RESET session_replication_role;
SELECT cursor AS first FROM txplan.inbox(:'clinic', 'draft', page_size => 1) \gset
SELECT count(*) AS others FROM txplan.inbox(:'clinic', 'draft', after => :'first') WHERE cursor <> :'first';

-- What is refused.
SELECT pg_temp.attempt(statement, :'clinic')
FROM (VALUES ('SELECT txplan.inbox(NULL, ''all'')'), ('SELECT txplan.inbox(%L, NULL)'), ('SELECT txplan.inbox(%L, ''open'')'),
	('SELECT txplan.inbox(%L, ''all'', page_size => 0)'), ('SELECT txplan.inbox(%L, ''all'', page_size => 1001)'),
	('SELECT txplan.inbox(%L, ''all'', after => ''no cursor'')'), ('SELECT txplan.inbox(%L, ''all'', after => '''')'),
	('SELECT txplan.inbox(%L, ''all'', repeat(''x'', 201))'), ('SELECT txplan.inbox(''00000000-0000-0000-0000-000000000000'', ''all'')'),
	('SELECT txplan.inbox(%L, ''all'', created_to => ''5874897-12-31'')'), ('SELECT txplan.inbox_counts(NULL)'),
	('SELECT txplan.inbox_counts(''00000000-0000-0000-0000-000000000000'')')) AS s (statement);
SELECT pg_temp.brief('SELECT txplan.inbox(%L, ''all'', after => %L)', :'clinic', :'first');
SELECT pg_temp.brief('SELECT txplan.inbox(%L, ''draft'', after => %L)', :'other_clinic', :'first');
SELECT pg_temp.brief('SELECT txplan.inbox(%L, ''draft'', after => %L)', :'clinic', translate(:'first', '0123456789', '1234567890'));
SELECT pg_temp.brief('UPDATE txplan.plans SET stage = ''active'' WHERE id = %L', :'luis');
SELECT pg_temp.brief('UPDATE txplan.plans SET search_text = ''x'' WHERE id = %L', :'luis');
SELECT pg_temp.brief('UPDATE txplan.plans SET professional_ids = NULL WHERE id = %L', :'luis');
SELECT pg_temp.brief('INSERT INTO txplan.plan_count_changes (clinic_id, stage, change) VALUES (%L, ''draft'', 1)', :'clinic');
SELECT pg_temp.brief('DELETE FROM txplan.plan_count_changes');
SELECT pg_temp.brief('TRUNCATE txplan.plan_count_changes');

-- A workflow of one's own: its states stand in the tab of what they mean.
INSERT INTO txplan.workflows (name) VALUES ('inbox_implant');
INSERT INTO txplan.workflow_states (workflow, state, kind, treatable, fhir_status)
VALUES ('inbox_implant', 'NEW', 'initial', false, NULL), ('inbox_implant', 'HEALING', 'open', false, NULL),
	('inbox_implant', 'LOADING', 'open', true, NULL), ('inbox_implant', 'DONE', 'final', false, NULL),
	('inbox_implant', 'LOST', 'final', false, 'revoked');
INSERT INTO txplan.workflow_transitions (workflow, action, from_state, to_state)
VALUES ('inbox_implant', 'place', 'NEW', 'HEALING'), ('inbox_implant', 'load', 'HEALING', 'LOADING'),
	('inbox_implant', 'finish', 'LOADING', 'DONE'), ('inbox_implant', 'lose', 'HEALING', 'LOST');
SELECT txplan.create_patient(:'other_clinic', 'Other', 'Patient') AS other_patient \gset
SELECT txplan.create_plan(:'other_clinic', :'other_patient', workflow => 'inbox_implant') AS plan \gset
SELECT status, stage FROM txplan.plans WHERE id = :'plan';
UPDATE txplan.plans SET status = 'HEALING' WHERE id = :'plan' RETURNING status, stage;
UPDATE txplan.workflow_states SET treatable = true WHERE workflow = 'inbox_implant' AND state = 'HEALING';
SELECT status, stage, version FROM txplan.plans WHERE id = :'plan';
SELECT tab, plans FROM txplan.inbox_counts(:'other_clinic') WHERE plans > 0;
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE txplan.workflow_states SET treatable = false WHERE workflow = 'inbox_implant' AND state = 'HEALING';
COMMIT;
UPDATE txplan.workflow_states SET label = 'Healing' WHERE workflow = 'inbox_implant' AND state = 'HEALING';
SELECT tab, plans FROM txplan.inbox_counts(:'other_clinic') WHERE plans > 0;
UPDATE txplan.plans SET status = 'LOST' WHERE id = :'plan' RETURNING stage;
SELECT txplan.create_plan(:'other_clinic', :'other_patient', workflow => 'inbox_implant') AS plan \gset
SELECT txplan.transition_plan(:'plan', 'place'), txplan.transition_plan(:'plan', 'load'), txplan.transition_plan(:'plan', 'finish');
SELECT tab, plans FROM txplan.inbox_counts(:'other_clinic') WHERE plans > 0;
DELETE FROM txplan.plans WHERE id = :'muhammad';
SELECT plans FROM txplan.inbox_counts(:'clinic') WHERE tab = 'draft';

-- A session that leaves the plan where it is counts nothing.
SELECT count(*) AS before FROM txplan.plan_count_changes WHERE clinic_id = :'clinic' \gset
SELECT txplan.complete_item(i.id) FROM txplan.items AS i WHERE i.plan_id = :'dimitris' AND i.description = 'Filling';
SELECT count(*) - :before AS added FROM txplan.plan_count_changes WHERE clinic_id = :'clinic';
SELECT txplan.complete_item(i.id) FROM txplan.items AS i WHERE i.plan_id = :'dimitris' AND i.description = 'Crown';
SELECT count(*) - :before AS added FROM txplan.plan_count_changes WHERE clinic_id = :'clinic';
-- maintain() leaves one row for each stage that has plans, and no count differs.
BEGIN;
SELECT count(*) >= 0 AS maintained FROM txplan.maintain();
SELECT d.name, c.stage, c.change FROM txplan.plan_count_changes AS c
LEFT JOIN txplan.professionals AS d ON d.id = c.professional_id
WHERE c.clinic_id = :'clinic' ORDER BY d.name NULLS FIRST, c.stage;
SELECT tab, plans FROM txplan.inbox_counts(:'clinic');
ROLLBACK;

-- What does not fit is found, and install() mends it.
SELECT fault, detail FROM txplan.audit(:'clinic');
SELECT fault FROM txplan.audit(:'other_clinic');
SET session_replication_role = replica;
UPDATE txplan.plans SET stage = 'closed', search_text = NULL WHERE id = :'luis';
UPDATE txplan.plans SET search_text = 'another', professional_ids = ARRAY[:'cy']::uuid[] WHERE id = :'olena';
UPDATE txplan.patients SET search_text = NULL WHERE clinic_id = :'other_clinic';
DELETE FROM txplan.plan_count_changes WHERE clinic_id = :'clinic' AND stage = 'pending';
RESET session_replication_role;
SELECT fault, pg_temp.mask(detail) AS detail, hint FROM txplan.audit(:'clinic');
SELECT fault, detail FROM txplan.audit(:'other_clinic');
SELECT txplan.install() IS NOT NULL AS installed;
SELECT fault, detail FROM txplan.audit(:'clinic');
SELECT fault FROM txplan.audit(:'other_clinic');
SELECT stage, search_text ~ '^plan-\d{4}-0001$' AS found FROM txplan.plans WHERE id = :'luis';

-- A record of before there were stages is brought up to date.
DROP VIEW txplan.inbox_rows, txplan.pipeline_rows, txplan.misplaced_plans, txplan.misattributed_plans, txplan.miscounted_plans;
DROP TABLE txplan.plan_count_changes;
DROP TRIGGER workflow_states_restage ON txplan.workflow_states;
ALTER TABLE txplan.plans DROP COLUMN stage, DROP COLUMN search_text, DROP COLUMN professional_ids;
ALTER TABLE txplan.patients DROP COLUMN search_text;
SELECT pg_temp.brief('SELECT txplan.inbox_counts(%L)', :'clinic');
SELECT txplan.install() IS NOT NULL AS installed;
SELECT tab, plans, pg_temp.names(tab) FROM txplan.inbox_counts(:'clinic');
SELECT pg_temp.names('all', 'budget 0001') AS by_budget, pg_temp.names('all', 'muller') AS by_name;
SELECT fault, detail FROM txplan.audit(:'clinic');
SELECT indexname FROM pg_indexes WHERE indexname IN ('plans_by_stage', 'plans_by_word', 'patients_by_word', 'plans_by_letter', 'patients_by_letter',
	'plans_by_professional', 'plans_by_follow_up') ORDER BY indexname;

-- And one of before counts were a doctor's.
DROP VIEW txplan.pipeline_rows, txplan.misattributed_plans, txplan.miscounted_plans;
DROP INDEX txplan.plans_by_letter, txplan.patients_by_letter;
ALTER TABLE txplan.plans DROP COLUMN professional_ids;
SET session_replication_role = replica;
DELETE FROM txplan.plan_count_changes WHERE professional_id IS NOT NULL;
RESET session_replication_role;
ALTER TABLE txplan.plan_count_changes DROP COLUMN professional_id;
SELECT txplan.install() IS NOT NULL AS installed;
SELECT tab, plans, pg_temp.names(tab, NULL, :'ada') FROM txplan.inbox_counts(:'clinic', professional_id => :'ada');
SELECT fault, detail FROM txplan.audit(:'clinic');

-- Words that many have are looked for along the list, with the same results.
SELECT txplan.create_clinic('Large clinic', 'UTC') AS large \gset
INSERT INTO txplan.patients (clinic_id, first_name, last_name, phone)
SELECT :'large', CASE WHEN k % 100 = 0 THEN 'Rare' WHEN k % 2 = 0 THEN 'Zed' ELSE 'Odd' END, 'Cómmon' || k,
	CASE WHEN k % 10 = 0 THEN '555 ' || k END
FROM generate_series(1, 1400) AS k;
INSERT INTO txplan.plans (clinic_id, patient_id)
SELECT clinic_id, id FROM txplan.patients WHERE clinic_id = :'large' ORDER BY length(last_name), last_name;
ANALYZE txplan.patients, txplan.plans;
SELECT s.search, (SELECT count(*) FROM txplan.inbox(:'large', 'all', s.search, page_size => 1000)) AS in_all,
	(SELECT count(*) FROM txplan.inbox(:'large', 'draft', s.search, page_size => 1000)) AS in_draft,
	(SELECT count(*) FROM txplan.inbox(:'large', 'closed', s.search)) AS in_closed,
	(SELECT c.plans FROM txplan.inbox_counts(:'large', s.search) AS c WHERE c.tab = 'all') AS counted,
	(SELECT count(*) FROM txplan.plans AS p JOIN txplan.patients AS t ON t.id = p.patient_id
		WHERE p.clinic_id = :'large' AND NOT EXISTS (SELECT FROM regexp_split_to_table(lower(s.search), ' ') AS w
			WHERE position(w IN lower(t.search_text || ' ' || p.number)) = 0)) AS expected
FROM (VALUES ('common'), ('zed common'), ('zed plan common'), ('plan common'), ('rare'), ('common rare'), ('555'), ('common 555'),
	('plan 555 rare'), ('0006'), ('common nobody'), ('zed odd'), ('odd 1'), ('o d'), ('z'), ('ze'), ('q'), ('zq'), ('ez'), ('ra'),
	('a 7'), ('7'), ('5 55 r'), ('王'), ('5-'), ('-00'), ('r z'), ('n 0007')) AS s (search);
-- Page by page as well.
WITH RECURSIVE pages AS (
	SELECT s.search, 1 AS page, array_agg(i.plan_id) AS plans, (array_agg(i.cursor))[40] AS last
	FROM (VALUES ('zed'), ('z'), ('odd common'), ('r'), ('a 7'), ('5 plan')) AS s (search)
	CROSS JOIN LATERAL txplan.inbox(:'large', 'all', s.search, page_size => 40) AS i
	GROUP BY s.search
	UNION ALL
	SELECT p.search, p.page + 1, n.plans, n.last
	FROM pages AS p
	CROSS JOIN LATERAL (
		SELECT array_agg(i.plan_id) AS plans, (array_agg(i.cursor))[40] AS last
		FROM txplan.inbox(:'large', 'all', p.search, page_size => 40, after => p.last) AS i
	) AS n
	WHERE p.last IS NOT NULL
)
SELECT p.search, max(p.page) AS pages, sum(cardinality(p.plans)) AS plans,
	(SELECT array_agg(u.plan ORDER BY q.page, u.n) FROM pages AS q CROSS JOIN unnest(q.plans) WITH ORDINALITY AS u (plan, n) WHERE q.search = p.search)
		= (SELECT array_agg(i.plan_id) FROM txplan.inbox(:'large', 'all', p.search, page_size => 1000) AS i) AS same
FROM pages AS p
GROUP BY p.search
ORDER BY p.search COLLATE "C";

-- Row security: who sees some plans counts those.
CREATE ROLE inbox_reader;
GRANT USAGE ON SCHEMA txplan TO inbox_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA txplan TO inbox_reader;
SET ROLE inbox_reader;
SELECT tab, plans FROM txplan.inbox_counts(:'clinic') WHERE plans > 0;
RESET ROLE;
ALTER TABLE txplan.plans ENABLE ROW LEVEL SECURITY;
CREATE POLICY inbox_some ON txplan.plans FOR SELECT TO inbox_reader USING (stage = 'pending');
SET ROLE inbox_reader;
SELECT tab, plans FROM txplan.inbox_counts(:'clinic') WHERE plans > 0;
SELECT count(*) AS plans FROM txplan.inbox(:'clinic', 'all');
RESET ROLE;
-- Notes need not be seen.
REVOKE SELECT ON txplan.plans FROM inbox_reader;
SELECT format('GRANT SELECT (%s) ON txplan.plans TO inbox_reader', string_agg(quote_ident(attname), ', '))
FROM pg_attribute
WHERE attrelid = 'txplan.plans'::regclass AND attnum > 0 AND NOT attisdropped AND attname !~ 'notes$' \gexec
SET ROLE inbox_reader;
SELECT count(*) AS plans FROM txplan.inbox(:'clinic', 'all', 'a');
SELECT count(*) AS plans FROM txplan.inbox(:'clinic', 'pending', 'lukasz', :'ada');
SELECT count(*) AS plans FROM txplan.inbox(:'clinic', 'all', NULL, :'ada');
SELECT tab, plans FROM txplan.inbox_counts(:'clinic', NULL, :'ada', '2000-01-01') WHERE plans > 0;
RESET ROLE;
REVOKE SELECT ON txplan.contacts FROM inbox_reader;
SET ROLE inbox_reader;
SELECT pg_temp.brief('SELECT txplan.inbox(%L, ''all'')', :'clinic');
RESET ROLE;
DROP POLICY inbox_some ON txplan.plans;
ALTER TABLE txplan.plans DISABLE ROW LEVEL SECURITY;
DROP OWNED BY inbox_reader;
DROP ROLE inbox_reader;

-- Folding.
SELECT value, txplan.fold_text(value) FROM (VALUES ('Ægir Þór Œuvre'), ('İSTANBUL ışık'), ('ẞ'), ('O’Connor'), ('ﬁn'), ('Ǆ'), ('Đặng'),
	('Ծովինար'), ('ქართული'), ('日本ガ'), ('김민수'), ('अनिल'), (E'tab\tline\n')) AS v (value);
SELECT txplan.fold_text(NULL) IS NULL AS nothing, txplan.fold_patient(NULL, NULL, NULL) AS nobody;
