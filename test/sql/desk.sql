-- desk: what other systems let happen at the front desk, and what comes of it here.
-- Each part is named by the hole that it shows closed.

SELECT txplan.install() IS NOT NULL AS installed;

-- brief() runs a statement and returns what it raised, without ids and years.
CREATE FUNCTION pg_temp.brief(statement text)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	message text;
	state text;
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, state = RETURNED_SQLSTATE;
	RETURN state || ': ' || regexp_replace(regexp_replace(message,
		'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<id>', 'g'), '(PLAN|BUDGET)-\d{4}-', '\1-YYYY-', 'g');
END
$$;

-- A plan of two items, a crown in two sessions and a filling, in some state.
CREATE FUNCTION pg_temp.plan_of(patient uuid, wanted text)
RETURNS uuid
LANGUAGE plpgsql
AS $$
DECLARE
	clinic uuid := (SELECT t.clinic_id FROM txplan.patients AS t WHERE t.id = patient);
	plan uuid := txplan.create_plan(clinic, patient, (SELECT d.id FROM txplan.professionals AS d WHERE d.clinic_id = clinic));
BEGIN
	PERFORM txplan.add_item(plan, (SELECT c.id FROM txplan.catalog_items AS c WHERE c.clinic_id = clinic));
	PERFORM txplan.add_item(plan, NULL, 'Filling', 80);
	IF wanted <> 'draft' THEN
		PERFORM txplan.confirm_plan(plan);
	END IF;
	IF wanted = 'active' THEN
		PERFORM txplan.accept_plan(plan);
	END IF;
	RETURN plan;
END
$$;

-- What a plan and its last budget are, and what it has earned.
CREATE FUNCTION pg_temp.state_of(plan uuid)
RETURNS text
LANGUAGE sql
RETURN (SELECT concat_ws(' ', p.status, p.closure_reason, '| budget', coalesce(p.budget_status, 'none'), '| items',
		p.items_completed || '/' || p.items_total, '| earned',
		(SELECT coalesce(sum(e.amount), 0) FROM txplan.earned_entries AS e WHERE e.plan_id = p.id), '| actions',
		(SELECT string_agg(a.action, ' ' ORDER BY a.action) FROM txplan.available_actions(p.id) AS a
			WHERE a.kind = 'transition' AND a.blockers = '{}'))
	FROM txplan.plans AS p WHERE p.id = plan);

BEGIN;
SELECT txplan.create_clinic('Desk', 'Europe/Madrid') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Ada') AS ada \gset
SELECT txplan.create_patient(:'clinic', 'Luis', 'Desk') AS luis \gset
SELECT txplan.create_catalog_item(:'clinic', 'CROWN', 'Crown', 500, 'prosthetics', '[{"label": "Preparation", "price": "200"}, {"label": "Cementation", "price": "300"}]') AS crown \gset

-- An appointment completes an item without its sessions and without money.
SELECT pg_temp.plan_of(:'luis', 'active') AS plan \gset
SELECT txplan.book_appointment(:'luis', now() + interval '1 hour', now() + interval '2 hours', item_id => i.id, professional_id => :'ada') AS visit
FROM txplan.items AS i WHERE i.plan_id = :'plan' AND description = 'Filling' \gset
SELECT txplan.complete_appointment(:'visit', true);
SELECT pg_temp.state_of(:'plan');
SELECT s.status, count(*) FROM txplan.sessions AS s JOIN txplan.items AS i ON i.id = s.item_id
WHERE i.plan_id = :'plan' AND i.description = 'Filling' GROUP BY 1;

-- A plan that was closed and comes back is quoted, and nothing of it can be done.
SELECT pg_temp.plan_of(:'luis', 'pending') AS plan \gset
SELECT txplan.close_plan(:'plan', 'abandoned'), txplan.reactivate_plan(:'plan'), txplan.confirm_plan(:'plan');
SELECT txplan.accept_budget(txplan.generate_budget(:'plan'));
SELECT txplan.complete_item(i.id) FROM txplan.items AS i WHERE i.plan_id = :'plan' ORDER BY position;
SELECT pg_temp.state_of(:'plan');

-- A plan that the clinic closed is revived by a late acceptance.
SELECT pg_temp.plan_of(:'luis', 'pending') AS plan \gset
SELECT txplan.generate_budget(:'plan') AS budget \gset
SELECT txplan.send_budget(:'budget'), txplan.close_plan(:'plan', 'rejected');
SELECT pg_temp.brief(format('SELECT txplan.accept_budget(%L)', :'budget')), pg_temp.brief(format('SELECT txplan.resend_budget(%L)', :'budget'));
SELECT pg_temp.state_of(:'plan');

-- A closed or deleted plan leaves a budget that can be accepted.
SELECT pg_temp.plan_of(:'luis', 'draft') AS plan \gset
SELECT txplan.generate_budget(:'plan') AS budget \gset
DELETE FROM txplan.plans WHERE id = :'plan';
SELECT count(*) AS left_behind FROM txplan.budgets WHERE id = :'budget';
SELECT pg_temp.plan_of(:'luis', 'draft') AS plan \gset
SELECT txplan.generate_budget(:'plan') AS budget \gset
SELECT txplan.send_budget(:'budget');
SELECT pg_temp.brief(format('DELETE FROM txplan.plans WHERE id = %L', :'plan'));
SELECT pg_temp.state_of(:'plan');

-- A budget that is accepted while the plan is a draft strands it.
SELECT pg_temp.plan_of(:'luis', 'draft') AS plan \gset
SELECT txplan.accept_budget(txplan.generate_budget(:'plan'));
SELECT pg_temp.state_of(:'plan');
SELECT txplan.confirm_plan(:'plan');
SELECT pg_temp.state_of(:'plan');

-- A cancelled budget leaves a plan in treatment that nobody quotes again.
SELECT txplan.cancel_budget(p.budget_id, 'Another way') FROM txplan.plans AS p WHERE p.id = :'plan';
SELECT r.column_key FROM txplan.pipeline_rows AS r WHERE r.plan_id = :'plan' ORDER BY 1;
SELECT txplan.add_item(:'plan', NULL, 'Veneer', 300) IS NOT NULL AS added;
SELECT txplan.accept_budget(txplan.generate_budget(:'plan'));
SELECT l.description, l.net_amount, i.price FROM txplan.budget_lines AS l JOIN txplan.plans AS p ON p.budget_id = l.budget_id
JOIN txplan.items AS i ON i.id = l.item_id WHERE p.id = :'plan' ORDER BY l.position;

-- A new quote has what is done already, and its price falls below what was paid.
SELECT pg_temp.plan_of(:'luis', 'active') AS plan \gset
SELECT txplan.complete_item(i.id) FROM txplan.items AS i WHERE i.plan_id = :'plan' AND description = 'Filling';
SELECT txplan.complete_session(s.id) FROM txplan.sessions AS s WHERE s.plan_id = :'plan' AND s.label = 'Preparation';
SELECT txplan.generate_budget(:'plan') AS budget \gset
SELECT description, net_amount FROM txplan.budget_lines WHERE budget_id = :'budget';
UPDATE txplan.budgets SET discount_amount = 400 WHERE id = :'budget';
SELECT pg_temp.brief(format('SELECT txplan.accept_budget(%L)', :'budget'));
SELECT txplan.void_earned(e.id, 'Paid back') IS NOT NULL AS void FROM txplan.earned_entries AS e JOIN txplan.sessions AS s ON s.id = e.session_id
WHERE e.plan_id = :'plan' AND s.label = 'Preparation';
SELECT txplan.accept_budget(:'budget');
SELECT pg_temp.state_of(:'plan');

-- Sessions change what was agreed; an item whose last pending one goes stays open.
SELECT i.id AS item FROM txplan.items AS i WHERE i.plan_id = :'plan' AND description = 'Crown' \gset
SELECT s.id AS session FROM txplan.sessions AS s WHERE s.item_id = :'item' AND s.status = 'pending' \gset
SELECT pg_temp.brief(format('SELECT txplan.add_session(%L, ''One more'', 50)', :'item')),
	pg_temp.brief(format('UPDATE txplan.sessions SET amount = 1 WHERE id = %L', :'session')),
	pg_temp.brief(format('DELETE FROM txplan.sessions WHERE id = %L', :'session'));
SELECT txplan.cancel_budget(:'budget', 'Another way');
DELETE FROM txplan.sessions WHERE id = :'session';
SELECT pg_temp.state_of(:'plan');
SELECT pg_temp.brief(format('SELECT txplan.add_session(%L, ''One more'', 50)', :'item'));

-- What was earned is missing in the report by professional.
SELECT r.professional, r.category_key, sum(r.amount) AS amount FROM (
	SELECT d.name AS professional, m.category_key, m.amount FROM txplan.earned_by_month AS m
	LEFT JOIN txplan.professionals AS d ON d.id = m.professional_id WHERE m.clinic_id = :'clinic') AS r
GROUP BY 1, 2 ORDER BY 1, 2;
SELECT sum(amount) AS entries FROM txplan.earned_entries WHERE clinic_id = :'clinic';

-- A budget that is sent again has a last day that is over, and can be sent so once.
SELECT pg_temp.plan_of(:'luis', 'pending') AS plan \gset
SELECT txplan.generate_budget(:'plan') AS budget \gset
SELECT txplan.send_budget(:'budget');
SELECT name ~ 'v1' AS version, outcome FROM txplan.maintain(now() + interval '31 days') WHERE kind = 'budget' AND name = (SELECT number || ' v1' FROM txplan.budgets WHERE id = :'budget');
SELECT txplan.resend_budget(:'budget') AS second \gset
SELECT b.version, b.status, b.valid_until - (now() AT TIME ZONE 'Europe/Madrid')::date AS days FROM txplan.budgets AS b WHERE b.id = :'second';
SELECT txplan.send_budget(:'second');
SELECT txplan.resend_budget(:'second') AS third \gset
SELECT b.version, b.status FROM txplan.budgets AS b WHERE b.plan_id = :'plan' ORDER BY b.version;

-- A plan is closed since a draft expired that the patient never saw.
SELECT kind, outcome FROM txplan.maintain(now() + interval '31 days') WHERE kind = 'budget' AND name = (SELECT number || ' v3' FROM txplan.budgets WHERE id = :'third');
SELECT count(*) AS closed FROM txplan.maintain(now() + interval '1 year') AS m WHERE m.kind = 'plan' AND m.name = (SELECT number FROM txplan.plans WHERE id = :'plan');
SELECT pg_temp.state_of(:'plan');

-- A treatment of a closed plan can be in no other.
SELECT txplan.create_plan(:'clinic', :'luis') AS one, txplan.create_plan(:'clinic', :'luis') AS other \gset
SELECT txplan.add_item(:'one', NULL, 'Crown', 500, treatment_ref => 'desk:1') IS NOT NULL AS added;
SELECT pg_temp.brief(format('SELECT txplan.add_item(%L, NULL, ''Crown'', 500, treatment_ref => ''desk:1'')', :'other'));
SELECT txplan.close_plan(:'one', 'other');
SELECT txplan.add_item(:'other', NULL, 'Crown', 500, treatment_ref => 'desk:1') IS NOT NULL AS added;

-- Who may write plans goes past the rules by setting the status.
SELECT pg_temp.plan_of(:'luis', 'pending') AS plan \gset
SELECT txplan.send_budget(txplan.generate_budget(:'plan'));
SELECT pg_temp.brief(format('UPDATE txplan.plans SET status = %L WHERE id = %L', status, :'plan'))
FROM (VALUES ('active'), ('completed'), ('closed')) AS s (status);
SELECT pg_temp.state_of(:'plan');
SELECT count(*) AS faults FROM txplan.audit(:'clinic');
ROLLBACK;

-- A plan that a guard keeps from closing keeps those behind it waiting.
BEGIN;
CREATE FUNCTION public.desk_decides(plan_id uuid, clinic_id uuid) RETURNS text
LANGUAGE sql STABLE
RETURN (SELECT 'the doctor decides' FROM txplan.plans AS p WHERE p.id = plan_id AND p.title = 'held');
UPDATE txplan.workflow_transitions SET guards = '{public.desk_decides}'
WHERE workflow = 'dental' AND action = 'close' AND from_state = 'pending';
SELECT txplan.create_clinic('Desk', 'UTC') AS clinic \gset
UPDATE txplan.clinics SET plan_number_format = 'HELD-{YYYY}-{NNNN}', budget_number_format = 'HELD-{YYYY}-{NNNN}' WHERE id = :'clinic';
UPDATE txplan.clinics SET close_after_budget_expiry_days = 3650;
SELECT txplan.create_patient(:'clinic', 'Luis', 'Desk') AS luis \gset
SELECT count(txplan.create_plan(:'clinic', :'luis', title => title)) FROM (VALUES ('held'), ('free'), ('held'), ('free')) AS t (title);
CREATE TEMP TABLE desk_plans AS SELECT id, number, title FROM txplan.plans WHERE clinic_id = :'clinic';
SELECT count(txplan.add_item(id, NULL, 'Crown', 100)) FROM desk_plans;
SELECT count(txplan.confirm_plan(id)) FROM desk_plans;
SELECT count(txplan.send_budget(txplan.generate_budget(id))) FROM desk_plans;
SELECT count(*) AS expired FROM txplan.maintain(now() + interval '70 days') AS m JOIN txplan.budgets AS b ON m.name = b.number || ' v1'
WHERE m.kind = 'budget' AND b.clinic_id = :'clinic' AND m.outcome = 'expired';
UPDATE txplan.clinics SET close_after_budget_expiry_days = 30 WHERE id = :'clinic';
SELECT title, outcome, detail FROM txplan.maintain(now() + interval '70 days', 1) AS m JOIN desk_plans AS p ON p.number = m.name AND m.kind = 'plan' ORDER BY p.number;
SELECT title, outcome, detail FROM txplan.maintain(now() + interval '70 days', 1) AS m JOIN desk_plans AS p ON p.number = m.name AND m.kind = 'plan' ORDER BY p.number;
SELECT title, outcome, detail FROM txplan.maintain(now() + interval '70 days', 1) AS m JOIN desk_plans AS p ON p.number = m.name AND m.kind = 'plan' ORDER BY p.number;
ROLLBACK;
