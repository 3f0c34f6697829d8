-- budget: quoting a plan, sending, deciding, and what becomes of the plan.

SELECT txplan.install() IS NOT NULL AS installed;

-- attempt() runs a statement, with its %L filled in, and returns what it raised:
-- SQLSTATE and message, detail, hint, and the constraint where there is one.
-- Ids, times and the year of numbers differ from run to run, so they are masked.
-- brief() returns the first line of that.
CREATE FUNCTION pg_temp.mask(value text)
RETURNS text
LANGUAGE sql
RETURN regexp_replace(regexp_replace(regexp_replace(value,
		'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<id>', 'g'),
		'(PLAN|BUDGET)-\d{4}-', '\1-YYYY-', 'g'),
		'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? ?[A-Z]*', '<time>', 'g');
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
	RETURN pg_temp.mask(
		concat_ws(E'\n', SQLSTATE || ': ' || message,
			CASE WHEN detail NOT LIKE 'Failing row contains%' THEN nullif(detail, '') END,
			nullif(hint, ''), 'Constraint: ' || nullif(constraint_name, '')));
END
$$;
CREATE FUNCTION pg_temp.brief(statement text, VARIADIC arguments text[] DEFAULT '{}')
RETURNS text
LANGUAGE sql
RETURN split_part(pg_temp.attempt(statement, VARIADIC arguments), E'\n', 1);

SET txplan.actor = 'reception';
SELECT txplan.create_clinic('Budget clinic', 'Europe/Madrid') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada') AS ada \gset
SELECT txplan.create_patient(:'clinic', 'Zoë', 'Ångström') AS patient \gset
SELECT txplan.create_patient(:'clinic', 'Li', 'Wei') AS other_patient \gset
SELECT txplan.create_clinic('Other budget clinic', 'UTC') AS other_clinic \gset
SELECT txplan.create_patient(:'other_clinic', 'Other', 'Patient') AS stranger \gset
SELECT txplan.create_catalog_item(:'clinic', 'CROWN', 'Crown', 600, 'prosthetics',
	'[{"label": "Preparation", "price": 200}, {"label": "Fitting", "price": 400}]') AS crown \gset
SELECT txplan.create_catalog_item(:'clinic', 'CLEAN', 'Cleaning', 60, 'hygiene') AS cleaning \gset

-- What a budget and its plan look like, and what the plan told of late.
CREATE FUNCTION pg_temp.budgets(plan uuid)
RETURNS TABLE (budget text, status text, subtotal numeric, total numeric, lines text)
LANGUAGE sql
BEGIN ATOMIC
	SELECT pg_temp.mask(b.number) || ' v' || b.version, b.status, b.subtotal, b.total, (
		SELECT string_agg(concat_ws(' ', l.description, l.quantity || 'x', l.unit_price,
			'-' || l.discount_percent || '%', '-' || l.discount_amount, '=', l.net_amount),
			', ' ORDER BY l.position)
		FROM txplan.budget_lines AS l WHERE l.budget_id = b.id)
	FROM txplan.budgets AS b
	WHERE b.plan_id = plan
	ORDER BY b.number, b.version;
END;
CREATE FUNCTION pg_temp.plan(plan uuid)
RETURNS TABLE (status text, reason text, budget text, prices text)
LANGUAGE sql
BEGIN ATOMIC
	SELECT p.status, p.closure_reason, p.budget_status, (
		SELECT string_agg(concat_ws(' ', i.price, i.status, s.sessions), '; ' ORDER BY i.position)
		FROM txplan.items AS i
		CROSS JOIN LATERAL (
			SELECT string_agg(concat_ws(' ', s.amount, s.status), ', ' ORDER BY s.sequence) AS sessions
			FROM txplan.sessions AS s WHERE s.item_id = i.id) AS s
		WHERE i.plan_id = plan)
	FROM txplan.plans AS p
	WHERE p.id = plan;
END;
CREATE FUNCTION pg_temp.events(plan uuid, since bigint)
RETURNS TABLE (event text)
LANGUAGE sql
BEGIN ATOMIC
	SELECT e.type || coalesce(' ' || (e.payload ->> 'changed'), '')
	FROM txplan.events AS e
	WHERE e.plan_id = plan AND e.plan_version > since
	ORDER BY e.plan_version;
END;
CREATE FUNCTION pg_temp.made(until text DEFAULT 'draft') RETURNS uuid
LANGUAGE plpgsql
AS $$
DECLARE
	plan uuid;
BEGIN
	SELECT txplan.create_plan(p.clinic_id, p.id) INTO plan
	FROM txplan.patients AS p WHERE p.first_name = 'Zoë' AND p.last_name = 'Ångström'
		AND p.clinic_id = (SELECT id FROM txplan.clinics WHERE name = 'Budget clinic');
	PERFORM txplan.add_item(plan, c.id)
	FROM txplan.catalog_items AS c
	WHERE c.clinic_id = (SELECT id FROM txplan.clinics WHERE name = 'Budget clinic')
	ORDER BY c.code DESC;
	IF until <> 'draft' THEN
		PERFORM txplan.confirm_plan(plan);
	END IF;
	IF until = 'active' THEN
		PERFORM txplan.accept_plan(plan);
	END IF;
	RETURN plan;
END
$$;

-- From the draft to the last session.
SELECT pg_temp.made('pending') AS plan \gset
SELECT version AS since FROM txplan.plans WHERE id = :'plan' \gset
SELECT txplan.generate_budget(:'plan') AS budget \gset
SELECT * FROM pg_temp.budgets(:'plan');
SELECT valid_until - (now() AT TIME ZONE 'Europe/Madrid')::date AS days, created_by, version,
	supersedes_id IS NULL AS first
FROM txplan.budgets WHERE id = :'budget';
SELECT txplan.add_item(:'plan', NULL, 'Night guard', 250.00) AS guard \gset
UPDATE txplan.items SET price = 80 WHERE plan_id = :'plan' AND description = 'Cleaning';
UPDATE txplan.items SET description = 'Zirconia crown' WHERE plan_id = :'plan' AND description = 'Crown';
SELECT txplan.add_session(id, 'Second visit', 20) IS NOT NULL AS added
FROM txplan.items WHERE plan_id = :'plan' AND description = 'Cleaning';
SELECT txplan.reorder_items(:'plan', array_agg(id ORDER BY description)) FROM txplan.items WHERE plan_id = :'plan';
SELECT * FROM pg_temp.budgets(:'plan');
SELECT txplan.remove_item(:'guard');
SELECT * FROM pg_temp.budgets(:'plan');

-- Discounts: on a line, on the whole, and both.
UPDATE txplan.budget_lines SET discount_percent = 12.5 WHERE budget_id = :'budget' AND description = 'Zirconia crown';
UPDATE txplan.budgets SET discount_amount = 33.33 WHERE id = :'budget' RETURNING subtotal, total;
SELECT * FROM pg_temp.budgets(:'plan');
UPDATE txplan.budgets SET discount_amount = NULL, discount_percent = 33.33 WHERE id = :'budget' RETURNING subtotal, total;
SELECT *, (SELECT sum(l.net_amount) FROM txplan.budget_lines AS l WHERE l.budget_id = :'budget') AS net
FROM pg_temp.budgets(:'plan');
SELECT pg_temp.attempt('UPDATE txplan.budgets SET discount_percent = NULL, discount_amount = 5000 WHERE id = %L', :'budget');
SELECT pg_temp.brief('UPDATE txplan.budgets SET discount_percent = 100.01 WHERE id = %L', :'budget');
SELECT pg_temp.brief('UPDATE txplan.budgets SET discount_percent = -1 WHERE id = %L', :'budget');
SELECT pg_temp.brief('UPDATE txplan.budgets SET discount_amount = 1 WHERE id = %L', :'budget');
SELECT pg_temp.attempt('UPDATE txplan.budget_lines SET discount_percent = NULL, discount_amount = 600.01 WHERE budget_id = %L AND description = ''Zirconia crown''', :'budget');
SELECT pg_temp.brief('UPDATE txplan.budget_lines SET quantity = 0 WHERE budget_id = %L', :'budget');
SELECT pg_temp.brief('UPDATE txplan.budget_lines SET quantity = 1000, unit_price = 9999999999.99 WHERE budget_id = %L', :'budget');
UPDATE txplan.budgets SET discount_percent = 10 WHERE id = :'budget';

-- A line of no item; lines of the client's own price and quantity.
INSERT INTO txplan.budget_lines (clinic_id, budget_id, description, unit_price, quantity)
VALUES (:'clinic', :'budget', 'Toothbrush', 5.55, 3);
SELECT * FROM pg_temp.budgets(:'plan');
SELECT * FROM pg_temp.events(:'plan', :since);

-- Sending locks.
SELECT version AS since FROM txplan.plans WHERE id = :'plan' \gset
SELECT txplan.send_budget(:'budget');
SELECT pg_temp.attempt('SELECT txplan.add_item(%L, %L)', :'plan', :'cleaning');
SELECT pg_temp.brief('SELECT txplan.remove_item(id) FROM txplan.items WHERE plan_id = %L', :'plan');
SELECT pg_temp.brief('SELECT txplan.reorder_items(%L, array_agg(id ORDER BY description DESC)) FROM txplan.items WHERE plan_id = %L', :'plan', :'plan');
SELECT pg_temp.brief('UPDATE txplan.items SET price = 1 WHERE plan_id = %L', :'plan');
SELECT pg_temp.brief('SELECT txplan.add_session(id, ''More'', 1) FROM txplan.items WHERE plan_id = %L LIMIT 1', :'plan');
SELECT pg_temp.brief('UPDATE txplan.sessions SET amount = 1 WHERE plan_id = %L', :'plan');
SELECT pg_temp.brief('DELETE FROM txplan.sessions WHERE plan_id = %L', :'plan');
SELECT pg_temp.brief('SELECT txplan.sync_budget(%L)', :'plan');
SELECT pg_temp.attempt('INSERT INTO txplan.budget_lines (clinic_id, budget_id, description, unit_price) VALUES (%L, %L, ''x'', 1)', :'clinic', :'budget');
SELECT pg_temp.brief('DELETE FROM txplan.budget_lines WHERE budget_id = %L', :'budget');
SELECT pg_temp.brief('UPDATE txplan.budgets SET discount_percent = 0 WHERE id = %L', :'budget');
SELECT pg_temp.attempt('SELECT txplan.accept_plan(%L)', :'plan');
SELECT pg_temp.attempt('SELECT txplan.send_budget(%L)', :'budget');
SELECT pg_temp.brief('UPDATE txplan.budgets SET status = ''draft'' WHERE id = %L', :'budget');
SELECT pg_temp.attempt('UPDATE txplan.budgets SET status = ''expired'' WHERE id = %L', :'budget');
-- Doctor, notes and what is no treatment stay free.
UPDATE txplan.items SET notes = 'Sensitive', professional_id = :'ada' WHERE plan_id = :'plan';
UPDATE txplan.budgets SET external_ref = 'INV-7' WHERE id = :'budget';

-- Accepting reprices and activates.
SELECT txplan.accept_budget(:'budget');
SELECT * FROM pg_temp.budgets(:'plan');
SELECT * FROM pg_temp.plan(:'plan');
SELECT * FROM pg_temp.events(:'plan', :since);
SELECT pg_temp.attempt('SELECT txplan.accept_budget(%L)', :'budget');
SELECT pg_temp.brief('SELECT txplan.reject_budget(%L)', :'budget');
SELECT pg_temp.brief('SELECT txplan.resend_budget(%L)', :'budget');
SELECT pg_temp.brief('SELECT txplan.add_item(%L, %L)', :'plan', :'cleaning');
SELECT version AS since FROM txplan.plans WHERE id = :'plan' \gset
SELECT txplan.complete_item(id) FROM txplan.items WHERE plan_id = :'plan' ORDER BY position;
SELECT * FROM pg_temp.plan(:'plan');
SELECT sum(amount) AS earned FROM txplan.earned_entries WHERE plan_id = :'plan';
SELECT pg_temp.attempt('SELECT txplan.cancel_budget(%L)', :'budget');

-- A rejection closes a pending plan, and a later version revives it.
SELECT pg_temp.made('pending') AS plan \gset
SELECT txplan.generate_budget(:'plan') AS budget \gset
SELECT txplan.send_budget(:'budget');
SELECT version AS since FROM txplan.plans WHERE id = :'plan' \gset
SELECT txplan.reject_budget(:'budget', 'Too expensive');
SELECT closure_note, closed_at IS NOT NULL AS closed FROM txplan.plans WHERE id = :'plan';
SELECT decision_note, decided_by FROM txplan.budgets WHERE id = :'budget';
SELECT txplan.resend_budget(:'budget') AS second \gset
SELECT pg_temp.brief('SELECT txplan.resend_budget(%L)', :'budget');
SELECT pg_temp.brief('SELECT txplan.generate_budget(%L)', :'plan');
UPDATE txplan.budgets SET discount_percent = 50 WHERE id = :'second';
SELECT txplan.send_budget(:'second');
SELECT txplan.resend_budget(:'second') AS third \gset
SELECT * FROM pg_temp.budgets(:'plan');
SELECT txplan.accept_budget(:'third');
SELECT * FROM pg_temp.plan(:'plan');
SELECT * FROM pg_temp.events(:'plan', :since);

-- Closed for another reason, nothing comes of a budget.
SELECT pg_temp.made('pending') AS plan \gset
SELECT txplan.generate_budget(:'plan') AS budget \gset
SELECT txplan.send_budget(:'budget');
SELECT version AS since FROM txplan.plans WHERE id = :'plan' \gset
SELECT txplan.close_plan(:'plan', 'abandoned');
SELECT * FROM pg_temp.plan(:'plan');
SELECT * FROM pg_temp.events(:'plan', :since);
SELECT pg_temp.attempt('SELECT txplan.accept_budget(%L)', :'budget');
SELECT pg_temp.brief('SELECT txplan.resend_budget(%L)', :'budget');
SELECT pg_temp.attempt('SELECT txplan.generate_budget(%L)', :'plan');

-- Cancelling reopens what waits, and unlocks what is under way.
SELECT pg_temp.made('pending') AS plan \gset
SELECT txplan.generate_budget(:'plan') AS budget \gset
SELECT version AS since FROM txplan.plans WHERE id = :'plan' \gset
SELECT txplan.cancel_budget(:'budget', 'Wrong items');
SELECT * FROM pg_temp.events(:'plan', :since);
SELECT txplan.generate_budget(:'plan') AS budget \gset
SELECT txplan.accept_budget(:'budget');
SELECT * FROM pg_temp.plan(:'plan');
SELECT txplan.confirm_plan(:'plan');
SELECT * FROM pg_temp.plan(:'plan');
SELECT txplan.cancel_budget(:'budget');
SELECT txplan.add_item(:'plan', :'cleaning') IS NOT NULL AS unlocked;

-- Reopening cancels what was sent and leaves a draft.
SELECT pg_temp.made('pending') AS plan \gset
SELECT txplan.generate_budget(:'plan') AS budget \gset
SELECT txplan.reopen_plan(:'plan');
SELECT * FROM pg_temp.plan(:'plan');
SELECT txplan.confirm_plan(:'plan');
SELECT txplan.send_budget(:'budget');
SELECT version AS since FROM txplan.plans WHERE id = :'plan' \gset
SELECT txplan.reopen_plan(:'plan');
SELECT * FROM pg_temp.events(:'plan', :since);

-- Part of it was earned before: what is left is split over what is pending.
SELECT pg_temp.made('active') AS plan \gset
SELECT txplan.complete_session(s.id)
FROM txplan.sessions AS s JOIN txplan.items AS i ON i.id = s.item_id
WHERE i.plan_id = :'plan' AND i.description = 'Crown' AND s.sequence = 1;
SELECT txplan.generate_budget(:'plan') AS budget \gset
UPDATE txplan.budget_lines SET discount_amount = 400.01 WHERE budget_id = :'budget' AND description = 'Crown';
SELECT pg_temp.attempt('SELECT txplan.accept_budget(%L)', :'budget');
UPDATE txplan.budget_lines SET discount_amount = 250 WHERE budget_id = :'budget' AND description = 'Crown';
SELECT txplan.accept_budget(:'budget');
SELECT * FROM pg_temp.plan(:'plan');

-- What ends is no longer on a draft; what is empty is neither sent nor accepted.
SELECT pg_temp.made('active') AS plan \gset
SELECT txplan.generate_budget(:'plan') AS budget \gset
SELECT txplan.complete_item(id) FROM txplan.items WHERE plan_id = :'plan' AND description = 'Cleaning';
SELECT * FROM pg_temp.budgets(:'plan');
SELECT txplan.cancel_session(id) FROM txplan.sessions WHERE plan_id = :'plan' AND status = 'pending';
SELECT * FROM pg_temp.plan(:'plan');
SELECT * FROM pg_temp.budgets(:'plan');
SELECT txplan.create_plan(:'clinic', :'patient') AS plan \gset
SELECT pg_temp.attempt('SELECT txplan.generate_budget(%L)', :'plan');
INSERT INTO txplan.budgets (clinic_id, plan_id) VALUES (:'clinic', :'plan') RETURNING id AS budget \gset
SELECT pg_temp.attempt('SELECT txplan.send_budget(%L)', :'budget');
SELECT pg_temp.brief('SELECT txplan.accept_budget(%L)', :'budget');

-- A budget that no plan has, and linking.
SELECT pg_temp.made('pending') AS plan \gset
INSERT INTO txplan.budgets (clinic_id, patient_id) VALUES (:'clinic', :'patient') RETURNING id AS loose \gset
INSERT INTO txplan.budget_lines (clinic_id, budget_id, description, unit_price)
VALUES (:'clinic', :'loose', 'Everything', 500);
SELECT pg_temp.brief('INSERT INTO txplan.budget_lines (clinic_id, budget_id, item_id) SELECT %L, %L, id FROM txplan.items WHERE plan_id = %L LIMIT 1', :'clinic', :'loose', :'plan');
SELECT txplan.accept_budget(:'loose') IS NULL AS no_plan;
SELECT version AS since FROM txplan.plans WHERE id = :'plan' \gset
SELECT txplan.link_budget(:'plan', :'loose');
SELECT txplan.link_budget(:'plan', :'loose');
SELECT * FROM pg_temp.events(:'plan', :since);
SELECT pg_temp.made('pending') AS second \gset
SELECT pg_temp.attempt('SELECT txplan.link_budget(%L, %L)', :'second', :'loose');
SELECT txplan.create_plan(:'clinic', :'other_patient') AS others \gset
INSERT INTO txplan.budgets (clinic_id, patient_id) VALUES (:'clinic', :'patient') RETURNING id AS draft \gset
SELECT pg_temp.attempt('SELECT txplan.link_budget(%L, %L)', :'others', :'draft');
SELECT txplan.create_plan(:'other_clinic', :'stranger') AS foreign_plan \gset
SELECT pg_temp.brief('SELECT txplan.link_budget(%L, %L)', :'foreign_plan', :'draft');
SELECT txplan.generate_budget(:'second') IS NOT NULL AS has_one;
SELECT pg_temp.brief('SELECT txplan.link_budget(%L, %L)', :'second', :'draft');
SELECT pg_temp.brief('SELECT txplan.generate_budget(%L)', :'second');
SELECT pg_temp.brief('UPDATE txplan.budgets SET plan_id = NULL WHERE plan_id = %L', :'second');
SELECT txplan.cancel_budget(:'draft');
SELECT pg_temp.brief('SELECT txplan.link_budget(%L, %L)', pg_temp.made()::text, :'draft');

-- Confirming makes one where the clinic wants it so.
UPDATE txplan.clinics SET budget_on_confirm = true, budget_valid_days = 10 WHERE id = :'clinic';
SELECT pg_temp.made() AS plan \gset
SELECT version AS since FROM txplan.plans WHERE id = :'plan' \gset
SELECT txplan.confirm_plan(:'plan');
SELECT * FROM pg_temp.budgets(:'plan');
SELECT * FROM pg_temp.events(:'plan', :since);
UPDATE txplan.clinics SET budget_on_confirm = false WHERE id = :'clinic';

-- By plain statements, many at once.
CREATE TEMP TABLE several AS SELECT pg_temp.made('pending') AS plan FROM generate_series(1, 3);
INSERT INTO txplan.budgets (clinic_id, plan_id) SELECT :'clinic', plan FROM several;
INSERT INTO txplan.budget_lines (clinic_id, budget_id, item_id)
SELECT b.clinic_id, b.id, i.id
FROM several AS s
JOIN txplan.budgets AS b ON b.plan_id = s.plan
JOIN txplan.items AS i ON i.plan_id = s.plan;
UPDATE txplan.budgets SET status = 'accepted' WHERE plan_id IN (SELECT plan FROM several);
SELECT p.status, p.budget_status, b.total
FROM several AS s JOIN txplan.plans AS p ON p.id = s.plan JOIN txplan.budgets AS b ON b.id = p.budget_id;
SELECT count(DISTINCT number) = count(*) AS distinct_numbers, max(right(number, 4)::integer) = count(*) AS no_gap
FROM txplan.budgets WHERE clinic_id = :'clinic' AND version = 1;

-- What only the engine writes, what never changes, and what cannot go.
SELECT pg_temp.brief('UPDATE txplan.budgets SET %s WHERE id = %L', change, :'draft')
FROM (VALUES ('total = 1'), ('subtotal = 1'), ('number = ''x'''), ('version = 7'), ('sent_at = now()'),
	('decided_at = now()'), ('decided_by = ''x'''), ('created_by = ''x'''), ('patient_id = ' || quote_literal(:'other_patient')),
	('supersedes_id = id'), ('decision_note = ''x'''), ('status = NULL'), ('status = ''nonsense''')) AS c (change);
SELECT pg_temp.brief('INSERT INTO txplan.budgets (clinic_id, patient_id, %s) VALUES (%L, %L, %s)', col, :'clinic', :'patient', val)
FROM (VALUES ('number', '''x'''), ('status', '''sent'''), ('total', '5'), ('version', '2'), ('sent_at', 'now()'),
	('decision_note', '''x'''), ('valid_until', '''infinity'''), ('discount_percent', '101')) AS c (col, val);
SELECT pg_temp.brief('UPDATE txplan.budget_lines SET net_amount = 1 WHERE budget_id = %L', :'loose');
SELECT pg_temp.brief('UPDATE txplan.plans SET budget_status = NULL WHERE id = %L', :'plan');
SELECT pg_temp.brief('UPDATE txplan.plans SET budget_id = NULL WHERE id = %L', :'plan');
SELECT pg_temp.attempt('DELETE FROM txplan.budgets WHERE id = %L', :'draft');
SELECT pg_temp.brief('TRUNCATE txplan.budget_lines');
INSERT INTO txplan.budgets (clinic_id, patient_id) VALUES (:'clinic', :'patient') RETURNING id AS gone \gset
DELETE FROM txplan.budgets WHERE id = :'gone';
SELECT pg_temp.made() AS plan \gset
SELECT txplan.generate_budget(:'plan') IS NOT NULL AS quoted;
DELETE FROM txplan.plans WHERE id = :'plan';
SELECT count(*) AS left_over FROM txplan.budgets WHERE plan_id = :'plan';
SELECT pg_temp.made() AS plan \gset
SELECT txplan.generate_budget(:'plan') AS budget \gset
SELECT txplan.send_budget(:'budget');
SELECT pg_temp.attempt('DELETE FROM txplan.plans WHERE id = %L', :'plan');

-- A statement that changes nothing tells nothing.
SELECT version AS since FROM txplan.plans WHERE id = :'plan' \gset
UPDATE txplan.budgets SET status = status, discount_percent = discount_percent WHERE id = :'budget';
UPDATE txplan.budget_lines SET unit_price = unit_price WHERE budget_id = :'budget';
SELECT count(*) AS events FROM pg_temp.events(:'plan', :since);

-- A next version: nothing happens to the one before unless the new one is there.
SELECT pg_temp.made('pending') AS plan \gset
SELECT txplan.generate_budget(:'plan') AS sent \gset
SELECT txplan.send_budget(:'sent');
SELECT txplan.new_id() AS next \gset
CREATE FUNCTION pg_temp.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER swallow BEFORE INSERT ON txplan.budgets FOR EACH ROW EXECUTE FUNCTION pg_temp.swallow();
INSERT INTO txplan.budgets (id, clinic_id, supersedes_id) VALUES (:'next', :'clinic', :'sent');
SELECT txplan.resend_budget(:'sent');
DROP TRIGGER swallow ON txplan.budgets;
INSERT INTO txplan.budgets (id, clinic_id, supersedes_id) VALUES (:'sent', :'clinic', :'sent') ON CONFLICT DO NOTHING;
SELECT * FROM pg_temp.budgets(:'plan');
SELECT pg_temp.brief('INSERT INTO txplan.budgets (clinic_id, supersedes_id, patient_id) VALUES (%L, %L, %L)', :'clinic', :'sent', :'other_patient');
SELECT pg_temp.attempt('INSERT INTO txplan.budgets (clinic_id, supersedes_id, plan_id) VALUES (%L, %L, %L)', :'clinic', :'sent', pg_temp.made()::text);
SELECT pg_temp.brief('WITH n AS (INSERT INTO txplan.budgets (clinic_id, supersedes_id) VALUES (%L, %L)) UPDATE txplan.budgets SET status = ''%s'' WHERE id = %2$L', :'clinic', :'sent', s)
FROM (VALUES ('accepted'), ('rejected'), ('cancelled')) AS v (s);
SELECT status, budget_status FROM txplan.plans WHERE id = :'plan';
INSERT INTO txplan.budgets (id, clinic_id, supersedes_id, plan_id, patient_id) VALUES (:'next', :'clinic', :'sent', :'plan', :'patient');
SELECT * FROM pg_temp.budgets(:'plan');
SELECT * FROM pg_temp.plan(:'plan');
-- Once more: it is there.
INSERT INTO txplan.budgets (id, clinic_id, supersedes_id) VALUES (:'next', :'clinic', :'sent') ON CONFLICT DO NOTHING;
INSERT INTO txplan.budgets (id, clinic_id, plan_id) VALUES (:'next', :'clinic', :'plan') ON CONFLICT DO NOTHING;
INSERT INTO txplan.budgets (id, clinic_id, plan_id) VALUES (:'next', :'clinic', :'plan') ON CONFLICT (id, clinic_id) DO UPDATE SET external_ref = 'again';
SELECT pg_temp.brief('INSERT INTO txplan.budgets (id, clinic_id, supersedes_id) VALUES (%L, %L, %L)', :'next', :'clinic', :'sent');
SELECT pg_temp.brief('INSERT INTO txplan.budgets (id, clinic_id, plan_id) VALUES (%L, %L, %L)', :'next', :'clinic', :'plan');
SELECT * FROM pg_temp.budgets(:'plan');
SELECT external_ref FROM txplan.budgets WHERE id = :'next';
-- One of no plan.
INSERT INTO txplan.budgets (clinic_id, patient_id) VALUES (:'clinic', :'patient') RETURNING id AS sent \gset
INSERT INTO txplan.budget_lines (clinic_id, budget_id, description, unit_price) VALUES (:'clinic', :'sent', 'Brush', 5);
SELECT txplan.send_budget(:'sent');
SELECT pg_temp.attempt('INSERT INTO txplan.budgets (clinic_id, supersedes_id, plan_id) VALUES (%L, %L, %L)', :'clinic', :'sent', pg_temp.made()::text);
SELECT txplan.resend_budget(:'sent') AS next \gset
SELECT version, status, total, plan_id FROM txplan.budgets WHERE id IN (:'sent', :'next') ORDER BY version;
SELECT txplan.cancel_budget(:'next');

-- What was removed from the plan is in no next version; lines of no item are.
SELECT pg_temp.made('pending') AS plan \gset
SELECT txplan.generate_budget(:'plan') AS budget \gset
INSERT INTO txplan.budget_lines (clinic_id, budget_id, description, unit_price) VALUES (:'clinic', :'budget', 'Brush', 5);
SELECT txplan.send_budget(:'budget');
SELECT txplan.reject_budget(:'budget');
SELECT txplan.reactivate_plan(:'plan');
SELECT txplan.remove_item(id) IS NOT NULL AS removed FROM txplan.items WHERE plan_id = :'plan' ORDER BY position LIMIT 1;
SELECT l.description, l.item_id IS NULL AS of_no_item, l.item_removed FROM txplan.budget_lines AS l WHERE l.budget_id = :'budget' ORDER BY l.position;
SELECT pg_temp.brief('UPDATE txplan.budget_lines SET item_removed = NOT item_removed WHERE budget_id = %L', :'budget');
SELECT txplan.resend_budget(:'budget') AS next \gset
SELECT * FROM pg_temp.budgets(:'plan');
SELECT pg_temp.brief('INSERT INTO txplan.budget_lines (clinic_id, budget_id, description, unit_price, item_removed) VALUES (%L, %L, ''x'', 1, true)', :'clinic', :'next');

-- The last place of all is no end: lines close up.
UPDATE txplan.budget_lines SET position = 1000000 WHERE budget_id = :'next' AND item_id IS NULL;
SELECT txplan.add_item(:'plan', :'cleaning') IS NOT NULL AS added;
SELECT position, description FROM txplan.budget_lines WHERE budget_id = :'next' ORDER BY position;
UPDATE txplan.budget_lines SET position = 1000000 WHERE budget_id = :'next' AND item_id IS NULL;
INSERT INTO txplan.budget_lines (clinic_id, budget_id, description, unit_price) VALUES (:'clinic', :'next', 'Floss', 3), (:'clinic', :'next', 'Paste', 4);
SELECT position, description FROM txplan.budget_lines WHERE budget_id = :'next' ORDER BY position;

-- The last day is one that people can write.
SELECT d, pg_temp.brief('UPDATE txplan.budgets SET valid_until = %2$L WHERE id = %1$L', :'next', d)
FROM (VALUES ('infinity'), ('10000-01-01'), ('5874897-12-31'), ('0001-12-31 BC'), ('9999-12-31')) AS v (d);
SELECT txplan.send_budget(:'next');
SELECT payload ->> 'valid_until' AS valid_until FROM txplan.events WHERE plan_id = :'plan' AND type = 'budget.sent' ORDER BY id DESC LIMIT 1;
SELECT s, pg_temp.brief('UPDATE txplan.budgets SET status = %2$L WHERE id = %1$L', :'next', s)
FROM (VALUES ('a next version'), ('')) AS v (s);

-- What can be done.
SELECT action, to_status, permitted, blockers FROM txplan.available_actions(:'plan') WHERE kind = 'budget';
SELECT action, to_status, permitted, blockers FROM txplan.available_actions(pg_temp.made('pending')) WHERE kind = 'budget';

SELECT fault, detail FROM txplan.audit(:'clinic');
SELECT fault FROM txplan.verify_history();
