-- pipeline: which plans wait for the front desk, and for what.

SELECT txplan.install() IS NOT NULL AS installed;

-- attempt() runs a statement, with its %L filled in, and returns what it raised:
-- SQLSTATE and message, detail and hint; brief() returns the first line of that.
CREATE FUNCTION pg_temp.mask(value text)
RETURNS text
LANGUAGE sql
RETURN regexp_replace(regexp_replace(value,
		'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<id>', 'g'),
		'(PLAN|BUDGET)-\d{4}-', '\1-YYYY-', 'g');
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
SELECT txplan.create_clinic('Pipeline clinic', 'Europe/Madrid') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada') AS ada \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Bo') AS bo \gset

-- made() makes a plan of a new patient, with two items, and moves it to a status.
CREATE FUNCTION pg_temp.made(last_name text, wanted text)
RETURNS uuid
LANGUAGE plpgsql
AS $$
DECLARE
	the_clinic uuid := (SELECT id FROM txplan.clinics WHERE name = 'Pipeline clinic');
	the_plan uuid;
BEGIN
	the_plan := txplan.create_plan(the_clinic, txplan.create_patient(the_clinic, 'Ana', last_name),
		(SELECT id FROM txplan.professionals WHERE clinic_id = the_clinic AND name = 'Dr. Ada'));
	PERFORM txplan.add_item(the_plan, NULL, 'Filling', 60);
	PERFORM txplan.add_item(the_plan, NULL, 'Crown', 400);
	IF wanted <> 'draft' THEN
		PERFORM txplan.confirm_plan(the_plan);
	END IF;
	IF wanted = 'active' THEN
		PERFORM txplan.accept_plan(the_plan);
	END IF;
	RETURN the_plan;
END
$$;
-- columns() are the columns in which a patient's plan stands, with the next step.
CREATE FUNCTION pg_temp.columns(last_name text)
RETURNS text
LANGUAGE sql
RETURN (SELECT string_agg(r.column_key || ' -> ' || r.next_step, ', ' ORDER BY t.ordinality)
	FROM txplan.clinics AS c
	CROSS JOIN LATERAL txplan.pipeline_totals(c.id) WITH ORDINALITY AS t
	CROSS JOIN LATERAL txplan.pipeline(c.id, t.column_key, last_name) AS r
	WHERE c.name = 'Pipeline clinic');

-- Nothing waits in an empty clinic.
SELECT * FROM txplan.pipeline_totals(:'clinic');

-- Pending: to be quoted, sent, decided, and to be asked.
SELECT pg_temp.made('Draft', 'draft') AS plan \gset
SELECT pg_temp.columns('draft') AS draft;
SELECT pg_temp.made('Pending', 'pending') AS plan \gset
SELECT pg_temp.columns('pending') AS without_budget;
SELECT txplan.generate_budget(:'plan') AS budget \gset
SELECT pg_temp.columns('pending') AS draft_budget;
SELECT txplan.send_budget(:'budget');
SELECT pg_temp.columns('pending') AS sent_budget;
SET session_replication_role = replica;
UPDATE txplan.plans SET confirmed_at = now() - interval '8 days' WHERE id = :'plan';
UPDATE txplan.budgets SET sent_at = now() - interval '6 days' WHERE id = :'budget';
SELECT pg_temp.columns('pending') AS sent_6_days_ago;
UPDATE txplan.budgets SET sent_at = now() - interval '7 days 1 minute' WHERE id = :'budget';
SELECT pg_temp.columns('pending') AS sent_7_days_ago;
RESET session_replication_role;
SELECT txplan.log_contact(:'plan', 'call', next_contact_at => now() + interval '1 day', contacted_at => now() - interval '6 days') AS contact \gset
SELECT pg_temp.columns('pending') AS contacted;
SET session_replication_role = replica;
UPDATE txplan.plans SET next_contact_at = now() - interval '1 minute' WHERE id = :'plan';
UPDATE txplan.contacts AS c SET next_contact_at = p.next_contact_at FROM txplan.plans AS p WHERE p.id = :'plan' AND c.id = :'contact';
SELECT pg_temp.columns('pending') AS call_due;
UPDATE txplan.budgets SET valid_until = (now() AT TIME ZONE 'Europe/Madrid')::date WHERE id = :'budget';
SELECT pg_temp.columns('pending') AS last_day;
UPDATE txplan.budgets SET valid_until = (now() AT TIME ZONE 'Europe/Madrid')::date - 1 WHERE id = :'budget';
SELECT pg_temp.columns('pending') AS day_after;
RESET session_replication_role;
BEGIN;
SELECT count(*) > 0 AS maintained FROM txplan.maintain() WHERE kind = 'budget';
SELECT pg_temp.columns('pending') AS expired;
ROLLBACK;
SELECT txplan.resend_budget(:'budget') AS budget \gset
SELECT pg_temp.columns('pending') AS sent_again;
UPDATE txplan.budgets SET valid_until = '2020-01-01' WHERE id = :'budget';
SELECT pg_temp.columns('pending') AS draft_too_late;
SELECT txplan.reject_budget(:'budget');
SELECT pg_temp.columns('pending') AS closed;

-- Active: to be booked, quoted and closed.
SELECT pg_temp.made('Active', 'active') AS plan \gset
SELECT pg_temp.columns('active') AS fresh;
SELECT patient_id AS patient FROM txplan.plans WHERE id = :'plan' \gset
SELECT txplan.book_appointment(:'patient', '2200-01-01 10:00Z', '2200-01-01 11:00Z', :'plan') AS appointment \gset
SELECT pg_temp.columns('active') AS booked;
SET session_replication_role = replica;
UPDATE txplan.appointments SET starts_at = '2020-01-01 10:00Z' WHERE id = :'appointment';
RESET session_replication_role;
SELECT pg_temp.columns('active') AS was_booked;
SELECT txplan.cancel_appointment(:'appointment');
SELECT txplan.complete_item(i.id) FROM txplan.items AS i WHERE i.plan_id = :'plan' AND i.description = 'Filling';
SELECT pg_temp.columns('active') AS begun;
SELECT txplan.book_appointment(:'patient', '2200-01-01 10:00Z', '2200-01-01 11:00Z', :'plan') AS appointment \gset
SELECT pg_temp.columns('active') AS booked_again;
UPDATE txplan.clinics SET budget_on_confirm = true WHERE id = :'clinic';
SELECT pg_temp.columns('active') AS clinic_quotes;
SELECT txplan.generate_budget(:'plan') AS budget \gset
SELECT pg_temp.columns('active') AS quoted;
UPDATE txplan.clinics SET budget_on_confirm = false WHERE id = :'clinic';
SELECT txplan.accept_budget(:'budget');
SELECT pg_temp.columns('active') AS accepted;
SELECT txplan.cancel_budget(:'budget');
SELECT pg_temp.columns('active') AS cancelled;
SELECT txplan.complete_item(i.id) FROM txplan.items AS i WHERE i.plan_id = :'plan' AND i.description = 'Crown';
SELECT pg_temp.columns('active') AS completed;
SELECT pg_temp.made('Nothing', 'active') AS plan \gset
SELECT txplan.cancel_session(s.id) FROM txplan.sessions AS s WHERE s.plan_id = :'plan';
SELECT pg_temp.columns('nothing') AS all_cancelled;

-- What a row shows before the columns of the inbox, and the sums.
SELECT pg_temp.made('Row', 'pending') AS plan \gset
SELECT r.column_key, r.since = p.status_changed_at AS since, r.next_step, r.plan_id = p.id AS plan, pg_temp.mask(r.number) AS number,
	r.status, r.patient_name, r.professional_name, r.items_total, r.total, length(r.cursor) AS cursor
FROM txplan.plans AS p
CROSS JOIN LATERAL txplan.pipeline(p.clinic_id, 'to_quote') AS r
WHERE p.id = :'plan' AND r.plan_id = p.id;
SELECT column_key, plans, amount, oldest <= now() AS oldest FROM txplan.pipeline_totals(:'clinic') WHERE plans > 0;
SELECT column_key, plans FROM txplan.pipeline_totals(:'clinic', 'nothing') WHERE plans > 0;
SELECT column_key, plans FROM txplan.pipeline_totals(:'clinic', professional_id => :'bo') WHERE plans > 0;
SELECT column_key, plans FROM txplan.pipeline_totals(:'clinic', created_to => 'yesterday') WHERE plans > 0;

-- What is refused.
SELECT pg_temp.attempt(statement, :'clinic')
FROM (VALUES ('SELECT txplan.pipeline(NULL, ''to_quote'')'), ('SELECT txplan.pipeline(%L, NULL)'), ('SELECT txplan.pipeline(%L, ''later'')'),
	('SELECT txplan.pipeline(%L, ''to_quote'', page_size => -1)'), ('SELECT txplan.pipeline(%L, ''to_quote'', after => ''x'')'),
	('SELECT txplan.pipeline_totals(NULL)'), ('SELECT txplan.pipeline_totals(''00000000-0000-0000-0000-000000000000'')')) AS s (statement);
SELECT cursor AS place FROM txplan.pipeline(:'clinic', 'to_quote') \gset
SELECT pg_temp.brief('SELECT txplan.pipeline(%L, ''no_appointment'', after => %L)', :'clinic', :'place');

-- A record made by chance: 600 plans of two workflows in two clinics, in all
-- states, with all kinds of budgets, contacts, appointments and sessions.
SELECT txplan.create_clinic('Chance 1', 'Asia/Kolkata') AS chance_1 \gset
SELECT txplan.create_clinic('Chance 2', 'America/New_York') AS chance_2 \gset
UPDATE txplan.clinics SET budget_on_confirm = true, contact_stale_days = 3 WHERE id = :'chance_2';
INSERT INTO txplan.workflows (name) VALUES ('pipeline_other');
INSERT INTO txplan.workflow_states (workflow, state, kind, treatable)
VALUES ('pipeline_other', 'A', 'initial', false), ('pipeline_other', 'B', 'open', false), ('pipeline_other', 'C', 'open', true),
	('pipeline_other', 'D', 'final', false);
SELECT setseed(0.7) \g /dev/null
SET session_replication_role = replica;
CREATE TEMP TABLE chance AS
SELECT k, CASE WHEN k % 2 = 0 THEN :'chance_1' ELSE :'chance_2' END::uuid AS clinic_id, txplan.new_id() AS id, txplan.new_id() AS patient_id,
	CASE WHEN random() < 0.7 THEN 'dental' ELSE 'pipeline_other' END AS workflow, (random() * 5)::integer AS state,
	(ARRAY['draft', 'sent', 'accepted', 'rejected', 'expired', 'cancelled', NULL, NULL])[1 + (random() * 7)::integer] AS budget,
	(random() * 3)::integer AS items
FROM generate_series(1, 600) AS k;
INSERT INTO txplan.patients (id, clinic_id, first_name, last_name, search_text)
SELECT patient_id, clinic_id, 'P', k::text, 'p ' || k FROM chance;
INSERT INTO txplan.budgets (id, clinic_id, plan_id, patient_id, number, status, valid_until, sent_at, decided_at, decided_by, created_by)
SELECT txplan.new_id(), clinic_id, id, patient_id, 'B' || k, budget,
	CASE WHEN random() < 0.9 THEN current_date - 3 + (random() * 6)::integer END,
	CASE WHEN budget <> 'draft' THEN now() - random() * interval '12 days' END,
	CASE WHEN budget NOT IN ('draft', 'sent') THEN now() - random() * interval '5 days' END,
	CASE WHEN budget NOT IN ('draft', 'sent') THEN 'x' END, 'x'
FROM chance WHERE budget IS NOT NULL;
INSERT INTO txplan.plans (id, clinic_id, number, workflow, status, patient_id, confirmed_at, activated_at, closed_at, status_changed_at,
	last_contact_at, next_contact_at, budget_id, budget_status, created_by)
SELECT c.id, c.clinic_id, 'N' || c.k, c.workflow,
	CASE c.workflow WHEN 'dental' THEN (ARRAY['draft', 'pending', 'pending', 'active', 'active', 'closed'])[1 + c.state]
		ELSE (ARRAY['A', 'B', 'B', 'C', 'C', 'D'])[1 + c.state] END,
	c.patient_id, CASE WHEN random() < 0.8 THEN now() - random() * interval '10 days' END,
	CASE WHEN c.state IN (3, 4) THEN now() - random() * interval '10 days' END,
	CASE WHEN c.workflow = 'dental' AND c.state = 5 THEN now() END, now() - random() * interval '20 days',
	CASE WHEN random() < 0.5 THEN now() - random() * interval '10 days' END,
	CASE WHEN random() < 0.3 THEN now() + (random() - 0.5) * interval '10 days' END, b.id, b.status, 'x'
FROM chance AS c
LEFT JOIN txplan.budgets AS b ON b.plan_id = c.id;
INSERT INTO txplan.items (id, clinic_id, plan_id, position, description, price, status, sessions_total, sessions_completed, sessions_cancelled,
	completed_at, completed_by, completed_via, live)
SELECT txplan.new_id(), i.clinic_id, i.id, i.n, 'Item', 10 * i.n, i.status, 2,
	CASE i.status WHEN 'completed' THEN 2 WHEN 'pending' THEN i.begun ELSE 0 END, CASE i.status WHEN 'cancelled' THEN 2 ELSE 0 END,
	CASE i.status WHEN 'completed' THEN now() END, CASE i.status WHEN 'completed' THEN 'x' END,
	CASE i.status WHEN 'completed' THEN 'item' END, i.status <> 'cancelled'
FROM (SELECT c.*, n, (ARRAY['pending', 'completed', 'cancelled', 'cancelled'])[1 + (random() * 3)::integer] AS status, (random())::integer AS begun
	FROM chance AS c CROSS JOIN LATERAL generate_series(1, c.items) AS n) AS i;
INSERT INTO txplan.sessions (clinic_id, plan_id, item_id, sequence, amount, status, completed_at, completed_by, cancelled_at)
SELECT i.clinic_id, i.plan_id, i.id, s, i.price / 2, CASE WHEN s <= i.sessions_completed THEN 'completed' WHEN i.sessions_cancelled > 0 THEN 'cancelled' ELSE 'pending' END,
	CASE WHEN s <= i.sessions_completed THEN now() - random() * interval '5 days' END, CASE WHEN s <= i.sessions_completed THEN 'x' END,
	CASE WHEN s > i.sessions_completed AND i.sessions_cancelled > 0 THEN now() - random() * interval '5 days' END
FROM txplan.items AS i JOIN chance AS c ON c.id = i.plan_id CROSS JOIN generate_series(1, 2) AS s;
INSERT INTO txplan.appointments (clinic_id, patient_id, plan_id, starts_at, ends_at, status, ended_at, ended_by, created_by)
SELECT a.clinic_id, a.patient_id, a.id, a.at, a.at + interval '1 hour', a.status, CASE WHEN a.status <> 'booked' THEN now() END,
	CASE WHEN a.status <> 'booked' THEN 'x' END, 'x'
FROM (SELECT c.*, now() + (random() - 0.6) * interval '10 days' AS at, (ARRAY['booked', 'booked', 'cancelled', 'completed'])[1 + (random() * 3)::integer] AS status
	FROM chance AS c, generate_series(1, 2)) AS a
WHERE random() < 0.4;
UPDATE txplan.plans AS p
SET items_total = w.total, items_completed = w.completed, items_cancelled = w.cancelled
FROM (SELECT c.id, count(i.id) AS total, count(i.id) FILTER (WHERE i.status = 'completed') AS completed, count(i.id) FILTER (WHERE i.status = 'cancelled') AS cancelled
	FROM chance AS c LEFT JOIN txplan.items AS i ON i.plan_id = c.id GROUP BY c.id) AS w
WHERE w.id = p.id;
UPDATE txplan.plans AS p
SET stage = CASE p.status WHEN 'A' THEN 'draft' WHEN 'B' THEN 'pending' WHEN 'C' THEN 'active' WHEN 'D' THEN 'completed' ELSE p.status END
WHERE p.clinic_id IN (:'chance_1', :'chance_2');
RESET session_replication_role;
SELECT count(*) AS misplaced FROM txplan.misplaced_plans WHERE clinic_id IN (:'chance_1', :'chance_2');

-- The predicates once more, in other words, from the rows alone.
CREATE TEMP TABLE facts AS
SELECT p.id, p.clinic_id, s.kind = 'open' AND NOT s.treatable AS pending, s.kind = 'open' AND s.treatable AS active, s.kind <> 'final' AS alive,
	coalesce(b.status, 'none') AS budget, b.valid_until < (now() AT TIME ZONE c.time_zone)::date AS past,
	EXISTS (SELECT FROM txplan.appointments AS a WHERE a.plan_id = p.id AND a.status = 'booked' AND a.starts_at > now()) AS booked,
	(SELECT count(*) FROM txplan.sessions AS x WHERE x.plan_id = p.id AND x.status = 'completed') AS done,
	(SELECT count(*) FROM txplan.items AS i WHERE i.plan_id = p.id) AS items,
	(SELECT count(*) FROM txplan.items AS i WHERE i.plan_id = p.id AND i.status = 'pending') AS items_pending,
	(SELECT coalesce(sum(i.price), 0) FROM txplan.items AS i WHERE i.plan_id = p.id AND i.status <> 'cancelled') AS amount,
	p.next_contact_at, c.budget_on_confirm,
	(SELECT max(t.at) FROM (VALUES (coalesce(p.confirmed_at, p.status_changed_at)), (b.sent_at), (p.last_contact_at)) AS t (at))
		< now() - make_interval(hours => 24 * c.contact_stale_days) AS stale
FROM txplan.plans AS p
JOIN txplan.clinics AS c ON c.id = p.clinic_id
JOIN txplan.workflow_states AS s ON s.workflow = p.workflow AND s.state = p.status
LEFT JOIN txplan.budgets AS b ON b.plan_id = p.id
WHERE p.clinic_id IN (:'chance_1', :'chance_2');
CREATE TEMP TABLE expected AS
SELECT f.clinic_id, f.id, f.amount, k.key
FROM facts AS f
CROSS JOIN LATERAL (VALUES
	('to_quote', f.pending AND f.budget IN ('none', 'draft', 'rejected', 'expired', 'cancelled')),
	('awaiting_patient', f.pending AND (f.budget = 'sent' AND coalesce(NOT f.past, true) OR f.budget = 'accepted')),
	('no_recent_contact', f.pending AND f.stale),
	('follow_up_due', f.alive AND f.next_contact_at <= now()),
	('budget_expired', f.pending AND (f.budget = 'expired' OR f.budget IN ('sent', 'draft') AND f.past)),
	('no_appointment', f.active AND NOT f.booked AND f.done = 0),
	('no_next_appointment', f.active AND NOT f.booked AND f.done > 0 AND f.items_pending > 0),
	('without_budget', f.active AND (f.budget = 'cancelled' OR f.budget_on_confirm AND f.budget IN ('none', 'rejected', 'expired'))),
	('ready_to_close', f.active AND f.items > 0 AND f.items_pending = 0)
) AS k (key, holds)
WHERE k.holds;
CREATE TEMP TABLE listed AS
SELECT c.id AS clinic_id, r.plan_id AS id, r.total AS amount, r.column_key AS key
FROM (VALUES (:'chance_1'::uuid), (:'chance_2')) AS c (id)
CROSS JOIN LATERAL txplan.pipeline_totals(c.id) AS t
CROSS JOIN LATERAL txplan.pipeline(c.id, t.column_key, page_size => 1000) AS r;
SELECT key, count(*) > 10 AS many FROM expected GROUP BY key ORDER BY key;
SELECT 'missing' AS what, * FROM (TABLE expected EXCEPT ALL TABLE listed) AS m
UNION ALL
SELECT 'too many', * FROM (TABLE listed EXCEPT ALL TABLE expected) AS m;
SELECT count(*) > 300 AS many_open, count(*) FILTER (WHERE NOT EXISTS (SELECT FROM listed AS l WHERE l.id = f.id) AND NOT f.booked) AS in_no_column
FROM facts AS f WHERE f.pending OR f.active;
SELECT count(*) AS sums_that_differ
FROM (VALUES (:'chance_1'::uuid), (:'chance_2')) AS c (id)
CROSS JOIN LATERAL txplan.pipeline_totals(c.id) AS t
CROSS JOIN LATERAL (SELECT count(*) AS plans, coalesce(sum(r.total), 0) AS amount, min(r.since) AS oldest
	FROM txplan.pipeline(c.id, t.column_key, page_size => 1000) AS r) AS s
WHERE (t.plans, t.amount, t.oldest) IS DISTINCT FROM (s.plans, s.amount, s.oldest);
-- Page by page it is the same list, those that wait longest first.
WITH RECURSIVE pages AS (
	SELECT 1 AS page, array_agg(r.plan_id) AS plans, (array_agg(r.cursor))[3] AS last
	FROM txplan.pipeline(:'chance_1', 'no_recent_contact', page_size => 3) AS r
	UNION ALL
	SELECT p.page + 1, n.plans, n.last
	FROM pages AS p
	CROSS JOIN LATERAL (
		SELECT array_agg(r.plan_id) AS plans, (array_agg(r.cursor))[3] AS last
		FROM txplan.pipeline(:'chance_1', 'no_recent_contact', page_size => 3, after => p.last) AS r
	) AS n
	WHERE p.last IS NOT NULL
)
SELECT max(page) > 2 AS several, (SELECT array_agg(plan) FROM (SELECT unnest(q.plans) AS plan FROM pages AS q ORDER BY q.page) AS u)
	= (SELECT array_agg(r.plan_id ORDER BY r.since, r.plan_id) FROM txplan.pipeline(:'chance_1', 'no_recent_contact', page_size => 1000) AS r) AS same
FROM pages;

-- The made-up rows leave, with what does not fit in them.
SET session_replication_role = replica;
DELETE FROM txplan.appointments WHERE clinic_id IN (:'chance_1', :'chance_2');
DELETE FROM txplan.sessions WHERE clinic_id IN (:'chance_1', :'chance_2');
DELETE FROM txplan.items WHERE clinic_id IN (:'chance_1', :'chance_2');
DELETE FROM txplan.budgets WHERE clinic_id IN (:'chance_1', :'chance_2');
DELETE FROM txplan.plans WHERE clinic_id IN (:'chance_1', :'chance_2');
RESET session_replication_role;
