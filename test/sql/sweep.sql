-- sweep: what days do to budgets and plans, whatever stands in the way of one of them.

SELECT txplan.install() IS NOT NULL AS installed;

SET txplan.actor = 'night';
SELECT txplan.create_clinic('Sweep clinic ' || n, (ARRAY['Europe/Madrid', 'Asia/Kathmandu', 'Pacific/Apia'])[n]) IS NOT NULL AS made FROM generate_series(1, 3) AS n;
SELECT txplan.create_patient(id, 'Ida', 'Sweep') IS NOT NULL AS made FROM txplan.clinics WHERE name LIKE 'Sweep clinic %';
CREATE TEMP TABLE swept AS
SELECT c.id AS clinic, c.name, n, txplan.create_plan(c.id, t.id, NULL, 'Swept') AS plan
FROM txplan.clinics AS c JOIN txplan.patients AS t ON t.clinic_id = c.id, generate_series(1, 3) AS n
WHERE c.name LIKE 'Sweep clinic %';
SELECT count(txplan.add_item(plan, NULL, 'Item', 50)) AS items FROM swept;
SELECT count(txplan.confirm_plan(plan)) AS confirmed FROM swept;
SELECT count(txplan.send_budget(txplan.generate_budget(plan))) AS sent FROM swept;
INSERT INTO txplan.budgets (clinic_id, patient_id)
SELECT DISTINCT s.clinic, t.id FROM swept AS s JOIN txplan.patients AS t ON t.clinic_id = s.clinic;
-- Numbers that do not differ from run to run.
SET session_replication_role = replica;
UPDATE txplan.plans AS p SET number = 'SWEPT' || right(s.name, 1) || s.n FROM swept AS s WHERE s.plan = p.id;
UPDATE txplan.budgets AS b SET number = 'QUOTE' || right(s.name, 1) || s.n FROM swept AS s WHERE s.plan = b.plan_id;
UPDATE txplan.budgets AS b SET number = 'QUOTE' || right(c.name, 1) || '0' FROM txplan.clinics AS c WHERE c.id = b.clinic_id AND c.name LIKE 'Sweep clinic %' AND b.plan_id IS NULL;
-- A server that does not know a clinic's time zone any more.
UPDATE txplan.clinics SET time_zone = 'US/Pacific-New' WHERE name = 'Sweep clinic 3';
RESET session_replication_role;

-- A trigger of the clinic's own that fails for one of them.
CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.number IN ('QUOTE12', 'QUOTE20') AND NEW.status = 'expired' THEN
		RAISE EXCEPTION 'not this one';
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER zz_refuse BEFORE UPDATE ON txplan.budgets FOR EACH ROW EXECUTE FUNCTION pg_temp.refuse();
CREATE FUNCTION pg_temp.maintained(days integer, plans integer DEFAULT NULL)
RETURNS TABLE (kind text, name text, outcome text, detail text)
LANGUAGE sql
BEGIN ATOMIC
	SELECT m.kind, m.name, m.outcome, regexp_replace(m.detail, '\d{4}-\d\d-\d\d', '<day>')
	FROM txplan.maintain(now() + days * interval '1 day', plans) AS m
	WHERE m.name ~ 'QUOTE|SWEPT|Sweep'
	ORDER BY m.kind COLLATE "C", m.name COLLATE "C", m.outcome COLLATE "C";
END;
SELECT * FROM pg_temp.maintained(40);
SELECT s.name, s.n, p.status, p.budget_status FROM swept AS s JOIN txplan.plans AS p ON p.id = s.plan ORDER BY 1, 2;
-- Once more: what is held is held, and keeps nothing from what is behind it.
SELECT * FROM pg_temp.maintained(41);
DROP TRIGGER zz_refuse ON txplan.budgets;
SET session_replication_role = replica;
UPDATE txplan.clinics SET time_zone = 'Pacific/Apia' WHERE name = 'Sweep clinic 3';
RESET session_replication_role;
SELECT count(*) AS plans FROM pg_temp.maintained(42, 2) AS m WHERE m.kind = 'budget' AND m.name !~ '0 v1';
SELECT count(*) AS plans FROM pg_temp.maintained(42) AS m WHERE m.kind = 'budget' AND m.name !~ '0 v1';

-- One plan that cannot be closed does not keep the others open.
CREATE FUNCTION pg_temp.refuse_plan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.number = 'SWEPT21' AND NEW.status = 'closed' THEN
		RAISE EXCEPTION 'nor this one';
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER zz_refuse BEFORE UPDATE ON txplan.plans FOR EACH ROW EXECUTE FUNCTION pg_temp.refuse_plan();
SELECT * FROM pg_temp.maintained(100);
DROP TRIGGER zz_refuse ON txplan.plans;
SELECT * FROM pg_temp.maintained(100);
SELECT * FROM pg_temp.maintained(100);

-- What is not of one plan stops it: a statement that is cancelled, a transaction that only reads.
BEGIN;
SET TRANSACTION READ ONLY;
SELECT * FROM txplan.maintain();
ROLLBACK;

SELECT a.fault, a.detail FROM swept AS s CROSS JOIN LATERAL txplan.audit(s.clinic) AS a;
SELECT fault FROM txplan.verify_history();
