-- earned: money is booked by completed sessions and by nothing else, and taken back
-- by a void beside it.

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

SET txplan.actor = 'cashier';
SELECT txplan.create_clinic('Earned clinic', 'UTC') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada') AS ada \gset
SELECT txplan.create_patient(:'clinic', 'Pavel', 'Novák') AS patient \gset
SELECT txplan.create_catalog_item(:'clinic', 'CROWN', 'Crown', 600, NULL,
	'[{"label": "Preparation", "price": 200}, {"price": 400}]') AS crown \gset
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS plan \gset
SELECT txplan.add_item(:'plan', :'crown', NULL, 100.01) AS crown_item \gset
SELECT txplan.add_item(:'plan', NULL, 'Free control', 0) AS free_item \gset
SELECT txplan.add_item(:'plan', NULL, 'X-ray', 15, professional_id => NULL) AS xray_item \gset
SELECT txplan.add_item(:'plan', NULL, 'Splint', 120) AS splint_item \gset
UPDATE txplan.items SET professional_id = NULL WHERE id = :'xray_item';
SELECT txplan.confirm_plan(:'plan'), txplan.accept_plan(:'plan');
-- Nothing so far.
SELECT count(*) AS entries FROM txplan.earned_entries WHERE plan_id = :'plan';

-- One entry a completed session: what, how much, whose, when.
SELECT txplan.complete_item(:'crown_item');
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE item_id = :'free_item';
UPDATE txplan.sessions SET status = 'completed' WHERE item_id = :'xray_item';
SELECT txplan.cancel_session(id) FROM txplan.sessions WHERE item_id = :'splint_item';
SELECT e.description, e.amount, d.name AS doctor, e.patient_id = :'patient' AS patient, e.clinic_id = :'clinic' AS clinic,
	e.plan_id = s.plan_id AND e.item_id = s.item_id AS of_session, s.status, abs(extract(epoch FROM e.earned_at - s.completed_at)) < 1 AS then
FROM txplan.earned_entries AS e JOIN txplan.sessions AS s ON s.id = e.session_id
LEFT JOIN txplan.professionals AS d ON d.id = e.professional_id
WHERE e.plan_id = :'plan' ORDER BY e.description, e.amount;
SELECT p.status, sum(e.amount) AS earned, (SELECT sum(amount) FROM txplan.sessions AS s WHERE s.plan_id = p.id AND s.status = 'completed') AS completed
FROM txplan.plans AS p JOIN txplan.earned_entries AS e ON e.plan_id = p.id WHERE p.id = :'plan' GROUP BY p.id, p.clinic_id;
-- What was refused or rolled back booked nothing.
SELECT pg_temp.brief('SELECT txplan.complete_item(%L)', :'crown_item');
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS plan \gset
SELECT txplan.add_item(:'plan', :'crown') AS crown_item \gset
SELECT pg_temp.brief('SELECT txplan.complete_item(%L)', :'crown_item');
SELECT txplan.confirm_plan(:'plan'), txplan.accept_plan(:'plan');
BEGIN;
SELECT txplan.complete_item(:'crown_item');
SELECT count(*) AS entries FROM txplan.earned_entries WHERE plan_id = :'plan';
ROLLBACK;
SELECT count(*) AS entries FROM txplan.earned_entries WHERE plan_id = :'plan';
-- A later change of name or price leaves the entry as it was booked.
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE item_id = :'crown_item' AND sequence = 1;
UPDATE txplan.items SET description = 'Zirconia crown', price = 800 WHERE id = :'crown_item';
SELECT txplan.complete_item(:'crown_item');
SELECT description, amount FROM txplan.earned_entries WHERE plan_id = :'plan' ORDER BY amount;

-- Entries are the engine's.
SELECT pg_temp.attempt('UPDATE txplan.earned_entries SET amount = 1 WHERE plan_id = %L', :'plan');
SELECT pg_temp.brief('DELETE FROM txplan.earned_entries WHERE plan_id = %L', :'plan');
SELECT pg_temp.brief('INSERT INTO txplan.earned_entries SELECT * FROM txplan.earned_entries WHERE plan_id = %L', :'plan');
SELECT pg_temp.brief('COPY txplan.earned_entries FROM PROGRAM ''true''');
SELECT pg_temp.brief('MERGE INTO txplan.earned_entries AS e USING (SELECT 1) AS o ON e.plan_id = %L WHEN MATCHED THEN DELETE', :'plan');
SELECT pg_temp.brief('UPDATE txplan.number_counters SET last_number = 99 WHERE clinic_id = %L', :'clinic');
-- Not from a trigger or a rule of the user's either.
CREATE FUNCTION public.steal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE txplan.earned_entries SET amount = 0; RETURN NULL; END $$;
CREATE TRIGGER steal AFTER UPDATE ON txplan.sessions FOR EACH ROW EXECUTE FUNCTION public.steal();
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS third \gset
SELECT txplan.add_item(:'third', NULL, 'Filling', 80) AS filling \gset
SELECT txplan.confirm_plan(:'third'), txplan.accept_plan(:'third');
SELECT pg_temp.brief('SELECT txplan.complete_item(%L)', :'filling');
DROP TRIGGER steal ON txplan.sessions;
CREATE TRIGGER steal AFTER INSERT ON txplan.events_default FOR EACH ROW EXECUTE FUNCTION public.steal();
SELECT pg_temp.brief('SELECT txplan.complete_item(%L)', :'filling');
DROP TRIGGER steal ON txplan.events_default;
DROP FUNCTION public.steal;
SELECT txplan.complete_item(:'filling');
-- What has earned stays: session, item, plan, patient.
SELECT t, pg_temp.brief('DELETE FROM txplan.%I WHERE %s', t, w)
FROM (VALUES ('sessions', format('plan_id = %L', :'plan')), ('items', format('plan_id = %L', :'plan')), ('plans', format('id = %L', :'plan'))) AS v (t, w);


-- A record of before there were voids is brought up to date.
BEGIN;
SET LOCAL session_replication_role = replica;
CREATE TEMP TABLE voided ON COMMIT DROP AS SELECT DISTINCT clinic_id FROM txplan.earned_entries WHERE voids_id IS NOT NULL;
SELECT format('DELETE FROM txplan.%I WHERE clinic_id IN (SELECT clinic_id FROM voided)', c.relname)
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'clinic_id'
WHERE c.relnamespace = 'txplan'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname \gexec
SET LOCAL session_replication_role = origin;
ALTER TABLE txplan.earned_entries DROP COLUMN voids_id, DROP COLUMN reason;
ALTER TABLE txplan.earned_entries ADD CONSTRAINT earned_entries_once_per_session UNIQUE (session_id, clinic_id);
ALTER TABLE txplan.earned_entries ADD CONSTRAINT earned_entries_amount_in_range CHECK (amount BETWEEN 0 AND 9999999999.99);
SET LOCAL client_min_messages = error;
SELECT txplan.install() = txplan.version() AS installed;
SELECT pg_get_indexdef('txplan.earned_entries_once_per_session'::regclass) AS once;
SELECT conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE conrelid = 'txplan.earned_entries'::regclass AND contype <> 'n' AND (conname LIKE '%void%' OR conname LIKE '%amount%') ORDER BY 1;
SELECT txplan.void_earned(id, 'As ever') IS NOT NULL AS void FROM txplan.earned_entries WHERE item_id = :'free_item';
ROLLBACK;

-- Voiding books the opposite and keeps both; the session stays completed.
CREATE TEMP VIEW entries AS
	SELECT i.plan_id, e.description, e.amount, e.voids_id IS NOT NULL AS void, e.reason, d.name AS doctor
	FROM txplan.earned_entries AS e JOIN txplan.items AS i ON i.id = e.item_id
	LEFT JOIN txplan.professionals AS d ON d.id = e.professional_id
	ORDER BY e.description, e.created_at, e.id;
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS void_plan \gset
SELECT txplan.add_item(:'void_plan', :'crown', NULL, 500) AS void_item \gset
SELECT txplan.add_item(:'void_plan', NULL, 'Other', 10) AS other_item \gset
SELECT txplan.confirm_plan(:'void_plan'), txplan.accept_plan(:'void_plan');
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE item_id = :'void_item' AND sequence = 1;
SELECT id AS entry, session_id FROM txplan.earned_entries WHERE item_id = :'void_item' \gset
SELECT txplan.void_earned(:'entry', 'Done by mistake') AS void \gset
SELECT description, amount, void, reason, doctor FROM entries WHERE plan_id = :'void_plan';
SELECT e.voids_id = :'entry' AS voids, e.session_id = :'session_id' AS of_session, abs(extract(epoch FROM e.earned_at - clock_timestamp())) < 60 AS now
FROM txplan.earned_entries AS e WHERE e.id = :'void';
SELECT s.status, s.amount, i.status AS item, i.price, i.sessions_completed FROM txplan.sessions AS s JOIN txplan.items AS i ON i.id = s.item_id WHERE s.id = :'session_id';
SELECT payload ->> 'changed' AS changed, payload ->> 'item_id' = :'void_item' AS item, payload ->> 'session_id' = :'session_id' AS session, payload ->> 'entry_id' = :'void' AS entry
FROM txplan.events WHERE plan_id = :'void_plan' ORDER BY id DESC LIMIT 1;
SELECT what, from_value, to_value, reason, item_id = :'void_item' AS item, session_id = :'session_id' AS session FROM txplan.history WHERE plan_id = :'void_plan' ORDER BY sequence DESC LIMIT 1;
-- Once, and not what voids; with a reason.
SELECT pg_temp.attempt('SELECT txplan.void_earned(%L, ''again'')', :'entry');
SELECT pg_temp.attempt('SELECT txplan.void_earned(%L, ''back'')', :'void');
SELECT pg_temp.attempt('SELECT txplan.void_earned(%L, NULL)', :'entry');
SELECT pg_temp.brief('SELECT txplan.void_earned(%L, ''  '')', :'entry');
SELECT pg_temp.brief('SELECT txplan.void_earned(txplan.new_id(), ''x'')');
SELECT pg_temp.brief('SELECT txplan.void_earned(%L, ''x'', txplan.new_id())', :'entry');
SELECT pg_temp.brief('INSERT INTO txplan.earned_entries SELECT * FROM txplan.earned_entries WHERE id = %L', :'void');
-- What is void counts as earned by nothing: the price can fall below it, and what
-- is left goes to the pending session.
UPDATE txplan.items SET price = 120 WHERE id = :'void_item';
SELECT sequence, status, amount FROM txplan.sessions WHERE item_id = :'void_item' ORDER BY 1;
-- A session for what is to be done anew raises the price, as always.
SELECT txplan.add_session(:'void_item', 'Preparation, again', 60) IS NOT NULL AS added;
SELECT price FROM txplan.items WHERE id = :'void_item';
SELECT txplan.complete_item(:'void_item');
SELECT i.price, sum(e.amount) AS earned FROM txplan.items AS i JOIN txplan.earned_entries AS e ON e.item_id = i.id WHERE i.id = :'void_item' GROUP BY i.id, i.clinic_id;
SELECT d ->> 'label' AS label, d ->> 'amount' AS amount, d ->> 'voided_at' IS NOT NULL AS voided, d ->> 'void_reason' AS reason
FROM jsonb_array_elements(txplan.plan_detail(:'void_plan') -> 'executions') AS d;
SELECT txplan.plan_detail(:'void_plan') -> 'plan' ->> 'earned' AS earned;
-- A budget whose line is below what was earned is accepted once that is void.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS quoted \gset
SELECT txplan.add_item(:'quoted', :'crown', NULL, 500) AS quoted_item \gset
SELECT txplan.confirm_plan(:'quoted'), txplan.accept_plan(:'quoted');
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE item_id = :'quoted_item' AND sequence = 1;
SELECT txplan.generate_budget(:'quoted') AS budget \gset
UPDATE txplan.budget_lines SET unit_price = 100 WHERE budget_id = :'budget';
SELECT pg_temp.brief('SELECT txplan.accept_budget(%L)', :'budget');
SELECT txplan.void_earned(id, 'Price was agreed anew') IS NOT NULL AS void FROM txplan.earned_entries WHERE item_id = :'quoted_item';
SELECT txplan.accept_budget(:'budget');
SELECT i.price, s.sequence, s.status, s.amount FROM txplan.items AS i JOIN txplan.sessions AS s ON s.item_id = i.id WHERE i.id = :'quoted_item' ORDER BY 2;
-- Also when item and plan are completed; rolled back, nothing is void.
SELECT txplan.complete_item(:'other_item');
SELECT status FROM txplan.plans WHERE id = :'void_plan';
SELECT id AS other_entry FROM txplan.earned_entries WHERE item_id = :'other_item' \gset
BEGIN;
SELECT txplan.void_earned(:'other_entry', 'Wrong patient') IS NOT NULL AS void;
ROLLBACK;
SELECT amount, void FROM entries WHERE plan_id = :'void_plan' AND description = 'Other';
SELECT txplan.void_earned(:'other_entry', 'Wrong patient') IS NOT NULL AS void;
SELECT amount, void FROM entries WHERE plan_id = :'void_plan' AND description = 'Other';
SELECT p.status, i.status AS item, i.price FROM txplan.plans AS p JOIN txplan.items AS i ON i.plan_id = p.id WHERE i.id = :'other_item';
-- An entry of nothing can be voided too.
SELECT txplan.void_earned(e.id, 'Not even that') IS NOT NULL AS void FROM txplan.earned_entries AS e WHERE e.item_id = :'free_item';
SELECT amount, voids_id IS NOT NULL AS void FROM txplan.earned_entries WHERE item_id = :'free_item' ORDER BY 2;
-- Who may: those to whom INSERT on the entries was granted.
CREATE ROLE regress_txplan_cashier;
GRANT USAGE ON SCHEMA txplan TO regress_txplan_cashier;
GRANT SELECT, UPDATE, DELETE ON ALL TABLES IN SCHEMA txplan TO regress_txplan_cashier;
SELECT id AS xray_entry FROM txplan.earned_entries WHERE item_id = :'xray_item' \gset
SET ROLE regress_txplan_cashier;
SELECT pg_temp.brief('SELECT txplan.void_earned(%L, ''x'')', :'xray_entry');
RESET ROLE;
GRANT INSERT ON txplan.earned_entries TO regress_txplan_cashier;
SET ROLE regress_txplan_cashier;
SELECT txplan.void_earned(:'xray_entry', 'Taken back') IS NOT NULL AS void;
RESET ROLE;
DROP OWNED BY regress_txplan_cashier;
DROP ROLE regress_txplan_cashier;
SELECT fault, detail FROM txplan.audit(:'clinic');

-- What was earned, by doctor, category and month of the clinic's calendar: in
-- Auckland the first of March has begun when it is noon of the last of February in
-- London, in daylight-saving time an hour earlier.
SELECT txplan.create_clinic('Auckland clinic', 'Pacific/Auckland') AS auckland \gset
SELECT txplan.create_professional(:'auckland', 'Dr. Tui') AS tui \gset
SELECT txplan.create_plan(:'auckland', txplan.create_patient(:'auckland', 'Ana', 'Ngata'), :'tui') AS far_plan \gset
INSERT INTO txplan.items (clinic_id, plan_id, description, price, category_key, professional_id)
SELECT :'auckland', :'far_plan', 'Item ' || n, 10 * n, CASE WHEN n < 4 THEN 'surgery' END, CASE WHEN n <> 3 THEN :'tui'::uuid END FROM generate_series(1, 5) AS n;
UPDATE txplan.items SET professional_id = NULL WHERE plan_id = :'far_plan' AND description = 'Item 3';
SELECT txplan.confirm_plan(:'far_plan'), txplan.accept_plan(:'far_plan');
SELECT count(txplan.complete_item(id)) AS completed FROM txplan.items WHERE plan_id = :'far_plan';
SET session_replication_role = replica;
UPDATE txplan.earned_entries SET earned_at = CASE description
	WHEN 'Item 1' THEN '2024-02-29 10:59:59.999999+00' WHEN 'Item 2' THEN '2024-02-29 11:00+00'
	WHEN 'Item 3' THEN '2024-02-29 11:00+00' WHEN 'Item 4' THEN '2024-06-30 11:59:59+00' ELSE '2024-06-30 12:00+00' END::timestamptz
WHERE plan_id = :'far_plan';
RESET session_replication_role;
SELECT txplan.void_earned(id, 'Broke') IS NOT NULL AS void FROM txplan.earned_entries WHERE plan_id = :'far_plan' AND description = 'Item 2';
SET session_replication_role = replica;
UPDATE txplan.earned_entries SET earned_at = '2024-06-30 12:00+00' WHERE plan_id = :'far_plan' AND voids_id IS NOT NULL;
RESET session_replication_role;
SET TimeZone = 'America/Los_Angeles';
SELECT professional_name, category_key, month, entries, amount FROM txplan.earned_by_month WHERE clinic_id = :'auckland' ORDER BY 3, 1, 2, 5;
RESET TimeZone;
SELECT sum(amount) AS earned, (SELECT sum(m.amount) FROM txplan.earned_by_month AS m WHERE m.clinic_id = :'auckland') AS by_month FROM txplan.earned_entries WHERE clinic_id = :'auckland';
-- Whoever is responsible and what was done is known of every entry of a session, so
-- nothing is missing in the report but what the item itself does not say.
SELECT count(*) AS entries, count(*) FILTER (WHERE e.professional_id IS NOT DISTINCT FROM i.professional_id) AS with_its_doctor
FROM txplan.earned_entries AS e JOIN txplan.items AS i ON i.id = e.item_id WHERE e.clinic_id = :'auckland';
-- A reader sees by it what he sees of the tables, and no more.
CREATE ROLE regress_txplan_reader;
GRANT USAGE ON SCHEMA txplan TO regress_txplan_reader;
GRANT SELECT ON txplan.earned_by_month TO regress_txplan_reader;
SET ROLE regress_txplan_reader;
SELECT pg_temp.brief('SELECT count(*) FROM txplan.earned_by_month');
RESET ROLE;
DROP OWNED BY regress_txplan_reader;
DROP ROLE regress_txplan_reader;

-- Whatever is done at random, an item never earns more than its price, and audit
-- finds nothing.
CREATE FUNCTION pg_temp.at_random(clinic uuid, patient uuid, crown uuid, steps integer)
RETURNS TABLE (violations integer, kinds_that_worked text)
LANGUAGE plpgsql
AS $$
DECLARE
	the_plan uuid := txplan.create_plan(clinic, patient);
	the_item uuid;
	the_session uuid;
	dice double precision;
	kind text;
	worked text[] := '{}';
	n integer;
BEGIN
	violations := 0;
	FOR n IN 1..4 LOOP
		PERFORM txplan.add_item(the_plan, crown, NULL, 100 * n + 0.01);
	END LOOP;
	PERFORM txplan.add_item(the_plan, NULL, 'Never done', 1);
	PERFORM txplan.confirm_plan(the_plan), txplan.accept_plan(the_plan);
	FOR n IN 1..steps LOOP
		dice := random();
		SELECT i.id INTO the_item FROM txplan.items AS i
		WHERE i.plan_id = the_plan AND i.description <> 'Never done' ORDER BY random() LIMIT 1;
		SELECT s.id INTO the_session FROM txplan.sessions AS s WHERE s.item_id = the_item ORDER BY random() LIMIT 1;
		BEGIN
			CASE
				WHEN dice < 0.25 THEN kind := 'complete'; PERFORM txplan.complete_session(the_session);
				WHEN dice < 0.35 THEN kind := 'cancel'; PERFORM txplan.cancel_session(the_session);
				WHEN dice < 0.50 THEN kind := 'add'; PERFORM txplan.add_session(the_item, 'More', round((random() * 50)::numeric, 2));
				WHEN dice < 0.55 THEN kind := 'delete'; DELETE FROM txplan.sessions WHERE id = the_session;
				WHEN dice < 0.70 THEN kind := 'price'; UPDATE txplan.items SET price = round((random() * 400)::numeric, 2) WHERE id = the_item;
				WHEN dice < 0.80 THEN kind := 'amount'; UPDATE txplan.sessions SET amount = round((random() * 100)::numeric, 2) WHERE id = the_session;
				WHEN dice < 0.90 THEN kind := 'void';
					PERFORM txplan.void_earned(e.id, 'at random') FROM txplan.earned_entries AS e WHERE e.session_id = the_session AND e.voids_id IS NULL;
				ELSE kind := 'new item'; PERFORM txplan.add_item(the_plan, crown, NULL, round((random() * 300)::numeric, 2));
			END CASE;
			worked := worked || kind;
		EXCEPTION WHEN OTHERS THEN
			IF SQLSTATE NOT LIKE 'TX%' THEN
				RAISE;
			END IF;
		END;
		violations := violations + (
			SELECT count(*) FROM txplan.items AS i
			WHERE i.plan_id = the_plan AND i.price < (
				SELECT coalesce(sum(e.amount), 0) FROM txplan.earned_entries AS e WHERE e.item_id = i.id))
			+ CASE WHEN n % 50 = 0 THEN (SELECT count(*) FROM txplan.audit(clinic)) ELSE 0 END;
	END LOOP;
	kinds_that_worked := (SELECT string_agg(DISTINCT k, ', ' ORDER BY k) FROM unnest(worked) AS k);
	RETURN NEXT;
END
$$;
SELECT setseed(0.25);
SELECT * FROM pg_temp.at_random(:'clinic', :'patient', :'crown', 250);
SELECT setseed(0.75);
SELECT * FROM pg_temp.at_random(:'clinic', :'patient', :'crown', 250);
SELECT * FROM txplan.verify_history();
