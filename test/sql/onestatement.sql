-- onestatement: a statement that does two things at once, by functions that it calls, by
-- writable CTEs, by triggers of the clinic's own.  Either both are right, or it is refused.

SELECT txplan.install() IS NOT NULL AS installed;

-- tried() runs a statement on a fresh plan, which %1$L is, with its budget %2$L, that
-- one's first line %3$L and the plan's first item %4$L, and returns what it raised, or
-- what became of the plan.  What it did is undone.
CREATE FUNCTION pg_temp.mask(value text)
RETURNS text
LANGUAGE sql
RETURN regexp_replace(regexp_replace(value,
		'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<id>', 'g'),
		'(PLAN|BUDGET)-\d{4}-\d+', '\1', 'g');
CREATE FUNCTION pg_temp.picture(plan uuid)
RETURNS text
LANGUAGE sql
BEGIN ATOMIC
	SELECT concat_ws(' ', p.status, 'with', p.budget_status, 'and items of', (
		SELECT sum(i.price) FROM txplan.items AS i WHERE i.plan_id = p.id),
		(SELECT string_agg(concat(', v', b.version, ' ', b.status, ' ', b.total, ' in ', (
			SELECT count(*) FROM txplan.budget_lines AS l WHERE l.budget_id = b.id)), ' '
			ORDER BY b.version)
		FROM txplan.budgets AS b WHERE b.plan_id = p.id))
	FROM txplan.plans AS p WHERE p.id = plan;
END;
CREATE FUNCTION pg_temp.tried(statement text, status text DEFAULT 'draft')
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	clinic uuid;
	plan uuid;
	budget uuid;
	result text;
BEGIN
	SELECT c.id, txplan.create_plan(c.id, t.id, NULL, 'Tried') INTO clinic, plan
	FROM txplan.clinics AS c JOIN txplan.patients AS t ON t.clinic_id = c.id
	WHERE c.name = 'Statement clinic';
	PERFORM txplan.add_item(plan, NULL, 'Item ' || n, 100 * n) FROM generate_series(1, 2) AS n;
	PERFORM txplan.confirm_plan(plan);
	budget := txplan.generate_budget(plan);
	IF status <> 'draft' THEN
		PERFORM txplan.send_budget(budget);
	END IF;
	BEGIN
		EXECUTE format(statement, plan, budget,
			(SELECT l.id FROM txplan.budget_lines AS l WHERE l.budget_id = budget ORDER BY l.position LIMIT 1),
			(SELECT i.id FROM txplan.items AS i WHERE i.plan_id = plan ORDER BY i.position LIMIT 1));
		RAISE EXCEPTION USING ERRCODE = 'OK000', MESSAGE = concat(pg_temp.picture(plan), (
			SELECT string_agg('; ' || a.fault, '' ORDER BY a.fault) FROM txplan.audit(clinic) AS a));
	EXCEPTION
		WHEN SQLSTATE 'OK000' THEN
			result := SQLERRM;
		WHEN OTHERS THEN
			result := SQLSTATE || ': ' || SQLERRM;
	END;
	IF pg_temp.picture(plan) <> 'pending with ' || status || ' and items of 300.00 , v1 ' || status || ' 300.00 in 2' THEN
		result := result || E'\nleft: ' || pg_temp.picture(plan);
	END IF;
	RETURN pg_temp.mask(result);
END
$$;

SELECT txplan.create_clinic('Statement clinic', 'America/Sao_Paulo') AS clinic \gset
SELECT txplan.create_patient(:'clinic', 'Ana', 'Braga') AS patient \gset

-- A budget is sent or decided, and a function in the same statement goes on with it.
CREATE TEMP TABLE moves (n serial, statement text);
INSERT INTO moves (statement) VALUES
	('WITH s AS (UPDATE txplan.budgets SET status = ''sent'' WHERE id = %2$L RETURNING id) SELECT txplan.accept_budget(id) FROM s'),
	('WITH s AS (UPDATE txplan.budgets SET status = ''sent'' WHERE id = %2$L RETURNING id) SELECT txplan.resend_budget(id) FROM s'),
	('WITH s AS (UPDATE txplan.budgets SET status = ''rejected'' WHERE id = %2$L RETURNING plan_id) SELECT txplan.close_plan(plan_id, ''other'') FROM s'),
	('WITH s AS (UPDATE txplan.budgets SET status = ''sent'' WHERE id = %2$L RETURNING plan_id) SELECT txplan.close_plan(plan_id, ''other'') FROM s'),
	('WITH s AS (UPDATE txplan.budgets SET status = ''sent'' WHERE id = %2$L RETURNING id) SELECT count(*) FROM s, txplan.maintain(now() + ''40 days'')'),
	('WITH s AS (UPDATE txplan.budgets SET discount_percent = 50 WHERE id = %2$L RETURNING id) SELECT txplan.accept_budget(id) FROM s'),
	('WITH s AS (UPDATE txplan.budgets SET external_ref = ''x'' WHERE id = %2$L RETURNING id) SELECT txplan.send_budget(id) FROM s');
SELECT n, pg_temp.tried(statement) FROM moves ORDER BY n;

-- Likewise with a next version.
TRUNCATE moves;
INSERT INTO moves (statement) VALUES
	('WITH s AS (INSERT INTO txplan.budgets (clinic_id, supersedes_id) SELECT clinic_id, id FROM txplan.budgets WHERE id = %2$L RETURNING id) SELECT txplan.reject_budget(id) FROM s'),
	('WITH s AS (INSERT INTO txplan.budgets (clinic_id, supersedes_id) SELECT clinic_id, id FROM txplan.budgets WHERE id = %2$L RETURNING id) SELECT txplan.accept_budget(%2$L) FROM s'),
	('WITH s AS (INSERT INTO txplan.budgets (clinic_id, supersedes_id) SELECT clinic_id, id FROM txplan.budgets WHERE id = %2$L RETURNING id) SELECT txplan.link_budget(%1$L, id) FROM s'),
	('WITH s AS (INSERT INTO txplan.budgets (clinic_id, supersedes_id) SELECT clinic_id, id FROM txplan.budgets WHERE id = %2$L RETURNING id) SELECT txplan.close_plan(%1$L, ''other'') FROM s'),
	('WITH s AS (INSERT INTO txplan.budgets (clinic_id, supersedes_id) SELECT clinic_id, id FROM txplan.budgets WHERE id = %2$L RETURNING id, clinic_id) INSERT INTO txplan.budget_lines (clinic_id, budget_id, description, unit_price) SELECT clinic_id, id, ''Fee'', 5 FROM s');
SELECT n, pg_temp.tried(statement, 'sent') FROM moves ORDER BY n;

-- Sending locks the plan, also for what stands beside it.
TRUNCATE moves;
INSERT INTO moves (statement)
SELECT format(f, s) FROM unnest(ARRAY['sent', 'accepted']) AS s, unnest(ARRAY[
	'WITH s AS (UPDATE txplan.budgets SET status = ''%s'' WHERE id = %%2$L RETURNING plan_id, clinic_id) INSERT INTO txplan.items (clinic_id, plan_id, description, price) SELECT clinic_id, plan_id, ''x'', 77 FROM s',
	'WITH s AS (UPDATE txplan.budgets SET status = ''%s'' WHERE id = %%2$L RETURNING plan_id) DELETE FROM txplan.items WHERE id = %%4$L AND plan_id = (SELECT plan_id FROM s)',
	'WITH s AS (UPDATE txplan.budgets SET status = ''%s'' WHERE id = %%2$L RETURNING plan_id) UPDATE txplan.items SET price = 1 WHERE id = %%4$L AND plan_id = (SELECT plan_id FROM s)',
	'WITH s AS (UPDATE txplan.budgets SET status = ''%s'' WHERE id = %%2$L RETURNING plan_id) UPDATE txplan.items SET position = 9 WHERE id = %%4$L AND plan_id = (SELECT plan_id FROM s)',
	'WITH s AS (UPDATE txplan.budgets SET status = ''%s'' WHERE id = %%2$L RETURNING clinic_id) INSERT INTO txplan.sessions (clinic_id, item_id, label, amount) SELECT clinic_id, %%4$L, ''s'', 9 FROM s',
	'WITH s AS (UPDATE txplan.budgets SET status = ''%s'' WHERE id = %%2$L RETURNING plan_id) SELECT txplan.add_item(plan_id, NULL, ''x'', 3) FROM s',
	'WITH s AS (UPDATE txplan.budgets SET status = ''%s'' WHERE id = %%2$L RETURNING clinic_id, id) INSERT INTO txplan.budget_lines (clinic_id, budget_id, description, unit_price) SELECT clinic_id, id, ''x'', 9 FROM s']) AS f;
SELECT n, pg_temp.tried(statement) FROM moves ORDER BY n;

-- The other way round: the plan changes, and its budget is sent or decided beside it.
TRUNCATE moves;
INSERT INTO moves (statement)
SELECT format(f, s) FROM unnest(ARRAY['send', 'accept', 'reject']) AS s, unnest(ARRAY[
	'WITH s AS (INSERT INTO txplan.items (clinic_id, plan_id, description, price) SELECT clinic_id, id, ''x'', 77 FROM txplan.plans WHERE id = %%1$L RETURNING 1) SELECT txplan.%s_budget(%%2$L) FROM s',
	'WITH s AS (DELETE FROM txplan.items WHERE id = %%4$L RETURNING 1) SELECT txplan.%s_budget(%%2$L) FROM s',
	'WITH s AS (UPDATE txplan.items SET price = 1 WHERE id = %%4$L RETURNING 1) SELECT txplan.%s_budget(%%2$L) FROM s',
	'WITH s AS (UPDATE txplan.sessions SET amount = 1 WHERE item_id = %%4$L RETURNING 1) SELECT txplan.%s_budget(%%2$L) FROM s',
	'WITH s AS (UPDATE txplan.budget_lines SET discount_percent = 50 WHERE id = %%3$L RETURNING 1) SELECT txplan.%s_budget(%%2$L) FROM s']) AS f;
SELECT n, pg_temp.tried(statement) FROM moves ORDER BY n;

-- Both by statements of the clinic's own.
TRUNCATE moves;
INSERT INTO moves (statement) VALUES
	('WITH s AS (UPDATE txplan.budget_lines SET discount_percent = 50 WHERE id = %3$L) UPDATE txplan.budgets SET status = ''accepted'' WHERE id = %2$L'),
	('WITH s AS (UPDATE txplan.budgets SET status = ''accepted'' WHERE id = %2$L) UPDATE txplan.budget_lines SET discount_percent = 50 WHERE id = %3$L'),
	('UPDATE txplan.budgets SET discount_percent = 10, status = ''accepted'' WHERE id = %2$L');
SELECT n, pg_temp.tried(statement) FROM moves ORDER BY n;

-- A trigger of the clinic's own that goes on after each row.
CREATE FUNCTION pg_temp.go_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.status = 'sent' THEN
		PERFORM txplan.accept_budget(NEW.id);
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER go_on AFTER UPDATE ON txplan.budgets FOR EACH ROW EXECUTE FUNCTION pg_temp.go_on();
SELECT pg_temp.tried('SELECT txplan.send_budget(%2$L)');
DROP TRIGGER go_on ON txplan.budgets;

-- An appointment that closes a recall, and is cancelled in the same statement.
SELECT txplan.create_plan(:'clinic', :'patient') AS plan \gset
INSERT INTO txplan.items (clinic_id, plan_id, description, price, category_key)
VALUES (:'clinic', :'plan', 'Cleaning', 10, 'preventive'), (:'clinic', :'plan', 'Cleaning', 10, 'preventive'), (:'clinic', :'plan', 'More', 10, NULL);
SELECT txplan.confirm_plan(:'plan'), txplan.accept_plan(:'plan');
SELECT txplan.complete_item(id) FROM txplan.items WHERE plan_id = :'plan' AND category_key = 'preventive';
SELECT min(id::text) AS recall, max(id::text) AS other FROM txplan.recall_suggestions WHERE patient_id = :'patient' \gset
WITH s AS (INSERT INTO txplan.appointments (clinic_id, patient_id, starts_at, ends_at, recall_id)
	VALUES (:'clinic', :'patient', '2031-01-02 10:00-03', '2031-01-02 11:00-03', :'recall') RETURNING id)
SELECT txplan.cancel_appointment(id) FROM s;
SELECT txplan.book_appointment(:'patient', '2031-01-03 10:00-03', '2031-01-03 11:00-03', recall_id => :'recall') AS a \gset
SELECT txplan.book_appointment(:'patient', '2031-01-04 10:00-03', '2031-01-04 11:00-03', recall_id => :'other') AS b \gset
-- Two change theirs for each other's; one takes what the other lets go.
UPDATE txplan.appointments SET recall_id = CASE WHEN id = :'a' THEN :'other'::uuid ELSE :'recall' END WHERE id IN (:'a', :'b');
SELECT a.starts_at::date AS day, r.id = :'recall' AS first FROM txplan.recall_suggestions AS r JOIN txplan.appointments AS a ON a.id = r.appointment_id WHERE r.patient_id = :'patient' ORDER BY 1;
UPDATE txplan.appointments SET status = CASE WHEN id = :'a' THEN 'cancelled' ELSE 'booked' END,
	recall_id = :'other' WHERE id IN (:'a', :'b');
UPDATE txplan.appointments SET status = CASE WHEN id = :'b' THEN 'cancelled' ELSE status END WHERE id IN (:'a', :'b');
SELECT count(*) FILTER (WHERE closed_at IS NULL) AS open FROM txplan.recall_suggestions WHERE patient_id = :'patient';

-- An INSERT that is sent once more does nothing, whatever happened since.
SELECT txplan.create_plan(:'clinic', :'patient', NULL, 'Tried') AS plan \gset
SELECT txplan.add_item(:'plan', NULL, 'Item', 40) AS item \gset
SELECT txplan.new_id() AS a, txplan.new_id() AS b, txplan.new_id() AS c, txplan.new_id() AS d, txplan.generate_budget(:'plan') AS budget \gset
CREATE FUNCTION pg_temp.send(appointment uuid, line uuid, contact uuid, correction uuid, budget uuid, clinic uuid, plan uuid, patient uuid) RETURNS void LANGUAGE sql AS $$
	INSERT INTO txplan.appointments (id, clinic_id, patient_id, plan_id, starts_at, ends_at) VALUES (appointment, clinic, patient, plan, '2031-02-02 10:00-03', '2031-02-02 11:00-03') ON CONFLICT DO NOTHING;
	INSERT INTO txplan.budget_lines (id, clinic_id, budget_id, description, unit_price) VALUES (line, clinic, budget, 'Fee', 5) ON CONFLICT ON CONSTRAINT budget_lines_pkey DO NOTHING;
	INSERT INTO txplan.contacts (id, clinic_id, plan_id, channel) VALUES (contact, clinic, plan, 'call') ON CONFLICT DO NOTHING;
	INSERT INTO txplan.contacts (id, clinic_id, plan_id, channel, corrects_id) VALUES (correction, clinic, plan, 'sms', contact) ON CONFLICT DO NOTHING;
$$;
SELECT pg_temp.send(:'a', :'b', :'c', :'d', :'budget', :'clinic', :'plan', :'patient');
SELECT txplan.confirm_plan(:'plan'), txplan.send_budget(:'budget');
SELECT pg_temp.send(:'a', :'b', :'c', :'d', :'budget', :'clinic', :'plan', :'patient');
SELECT txplan.close_plan(:'plan', 'other');
SELECT pg_temp.send(:'a', :'b', :'c', :'d', :'budget', :'clinic', :'plan', :'patient');
SELECT (SELECT count(*) FROM txplan.appointments WHERE plan_id = :'plan') AS appointments, (SELECT count(*) FROM txplan.contacts WHERE plan_id = :'plan') AS contacts,
	(SELECT count(*) FROM txplan.budget_lines WHERE budget_id = :'budget') AS lines;

-- What is said to be possible is.
SELECT txplan.create_plan(:'clinic', :'patient', NULL, 'Tried') AS plan \gset
SELECT txplan.add_item(:'plan', NULL, 'Item', 40, treatment_ref => 'chart-9') AS item \gset
SELECT txplan.confirm_plan(:'plan');
SELECT txplan.generate_budget(:'plan') AS budget \gset
SELECT txplan.send_budget(:'budget');
SET session_replication_role = replica;
UPDATE txplan.budgets SET valid_until = '2020-01-01' WHERE id = :'budget';
RESET session_replication_role;
SELECT action, to_status, blockers FROM txplan.available_actions(:'plan') WHERE kind = 'budget';
SELECT txplan.reject_budget(:'budget');
SELECT txplan.resend_budget(:'budget') AS second \gset
SELECT action, to_status, blockers FROM txplan.available_actions(:'plan');
SELECT txplan.create_plan(:'clinic', :'patient', NULL, 'Tried') AS other \gset
SELECT txplan.add_item(:'other', NULL, 'Item', 40, treatment_ref => 'chart-9') IS NOT NULL AS added;
SELECT action, to_status, regexp_replace(blockers::text, '-\d{4}-\d+', '', 'g') AS blockers FROM txplan.available_actions(:'plan');
DELETE FROM txplan.plans WHERE id = :'other';
SELECT txplan.accept_budget(:'second');

-- A budget that no plan has is linked by the statement that makes it.
SELECT txplan.create_plan(:'clinic', :'patient', NULL, 'Tried') AS plan \gset
WITH b AS (INSERT INTO txplan.budgets (clinic_id, patient_id) VALUES (:'clinic', :'patient') RETURNING id)
SELECT txplan.link_budget(:'plan', id) FROM b;
SELECT pg_temp.picture(:'plan');

-- No budget is left to expire.
SELECT count(txplan.close_plan(id, 'other')) AS closed FROM txplan.plans WHERE clinic_id = :'clinic' AND title = 'Tried' AND closed_at IS NULL;

SELECT fault, detail FROM txplan.audit(:'clinic');
SELECT fault FROM txplan.verify_history();
