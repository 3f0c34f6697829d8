-- data.sql: so many plans (variable "plans") in 100 clinics, the same in each run.
--
-- Clinics are of unequal size: the largest has about a tenth of all plans, the
-- smallest 0.4 %; where the variable "largest" is given, the largest has that part
-- of them.  A clinic has 40 open plans at least (but no more than 40 % of its plans),
-- and 4 % of what it ever had: its history grows, its open work hardly.  Of nine
-- doctors eight share the plans, the last has one in a thousand and one item in
-- another one.  Items have sessions where the plan is open; nothing here reads others.

\if :{?largest}
\else
\set largest 0
\endif

SET session_replication_role = replica;
SET client_min_messages = warning;
SELECT setseed(0.42) \g /dev/null

CREATE SCHEMA bench;
CREATE TABLE bench.clinics AS
SELECT n, txplan.new_id() AS id, greatest(20, (:plans * w / sum(w) OVER ())::integer) AS plans
FROM (SELECT n, CASE WHEN n > 1 OR :largest = 0 THEN n ^ -0.7
		ELSE :largest / (1 - :largest::numeric) * (SELECT sum(m ^ -0.7) FROM generate_series(2, 100) AS m) END AS w
	FROM generate_series(1, 100) AS n) AS c;
INSERT INTO txplan.clinics (id, name, time_zone, budget_on_confirm)
SELECT id, 'Clinic ' || n, 'Europe/Madrid', n % 2 = 0 FROM bench.clinics;
INSERT INTO txplan.professionals (id, clinic_id, name)
SELECT txplan.new_id(), id, 'Dr. ' || d FROM bench.clinics, generate_series(1, 9) AS d;

-- Names are taken unequally often, as names are.
CREATE TABLE bench.names AS
SELECT ARRAY['Luis', 'María', 'José', 'Ana', 'Łukasz', 'Zoë', 'Jürgen', 'Søren', 'François', 'Inés', 'Çağla', 'Björn',
		'Νίκος', 'Олег', '伟', 'محمد', 'Carmen', 'Pablo', 'Lucía', 'Hugo'] AS firsts,
	ARRAY['García', 'Núñez', 'Rodríguez', 'López', 'Müller', 'Ødegård', 'Şahin', 'Dvořák', 'Papadopoulos', 'Иванов'] AS lasts,
	ARRAY['', 'son', 'ez', 'ov', 'mann', 'ski', 'berg', 'etti', 'ides', 'dóttir', 'quist', 'escu', 'aga', 'ier', 'onte', 'ura', 'ado', 'ini', 'ell', 'ard'] AS ends,
	ARRAY['Bar', 'Cal', 'Dom', 'Est', 'Fer', 'Gal', 'Her', 'Ibá', 'Jim', 'Kov', 'Lar', 'Mor', 'Nav', 'Ort', 'Per', 'Qui', 'Riv', 'San', 'Tor', 'Urr', 'Veg', 'Wag', 'Xim', 'Yag', 'Zap'] AS starts,
	ARRAY['ta', 'mo', 'li', 're', 'nu', 'ca', 'di', 'po', 'gu', 'sa'] AS middles;
CREATE TABLE bench.patients AS
SELECT c.id AS clinic_id, row_number() OVER (PARTITION BY c.n) AS k, txplan.new_id() AS id,
	n.firsts[1 + (20 * random() ^ 2)::integer % 20] AS first_name,
	CASE WHEN random() < 0.3 THEN n.lasts[1 + (10 * random() ^ 2)::integer % 10]
		ELSE n.starts[1 + (random() * 24)::integer] || n.middles[1 + (random() * 9)::integer]
			|| n.ends[1 + (random() * 19)::integer] END
	|| ' ' || n.starts[1 + (random() * 24)::integer] || n.ends[1 + (random() * 19)::integer] AS last_name,
	'+34 6' || lpad((random() * 99999999)::integer::text, 8, '0') AS phone
FROM bench.clinics AS c, bench.names AS n, generate_series(1, greatest(1, c.plans * 8 / 10));
INSERT INTO txplan.patients (id, clinic_id, first_name, last_name, phone, search_text)
SELECT id, clinic_id, first_name, last_name, phone, txplan.fold_patient(first_name, last_name, phone)
FROM bench.patients;
CREATE INDEX ON bench.patients (clinic_id, k);

-- The plans, the newest first in their order k.
CREATE TABLE bench.plans AS
SELECT p.*, txplan.new_id() AS id,
	CASE WHEN p.stage IN ('completed', 'closed') THEN CASE WHEN p.r < 0.6 THEN 'accepted' WHEN p.r < 0.7 THEN 'rejected' END
		WHEN p.stage = 'pending' THEN CASE WHEN p.r < 0.2 THEN 'draft' WHEN p.r < 0.55 THEN 'sent' WHEN p.r < 0.7 THEN 'expired' END
		WHEN p.stage = 'active' THEN CASE WHEN p.r < 0.7 THEN 'accepted' WHEN p.r < 0.8 THEN 'cancelled' END
	END AS budget_status,
	txplan.new_id() AS budget_id,
	now() - p.k * interval '3000 days' / p.plans - random() * interval '1 hour' AS at,
	1 + (random() * 4)::integer AS items
FROM (
	SELECT c.n, c.id AS clinic_id, c.plans, k, random() AS r,
		CASE WHEN k > least(c.plans * 0.4, 40 + c.plans * 0.04)
			THEN CASE WHEN random() < 0.7 THEN 'completed' ELSE 'closed' END
			WHEN random() < 0.15 THEN 'draft' WHEN random() < 0.4 THEN 'pending' ELSE 'active' END AS stage
	FROM bench.clinics AS c, generate_series(1, c.plans) AS k
) AS p;
INSERT INTO txplan.budgets (id, clinic_id, plan_id, patient_id, number, status, valid_until, subtotal, total,
	sent_at, decided_at, decided_by, created_by)
SELECT b.budget_id, b.clinic_id, b.id, t.id, format('BUDGET-2026-%s', to_char(b.k, 'FM000000')), b.budget_status,
	(now() + (random() * 40 - 10) * interval '1 day')::date, 300, 300,
	CASE WHEN b.budget_status <> 'draft' THEN b.at END,
	CASE WHEN b.budget_status NOT IN ('draft', 'sent') THEN b.at END,
	CASE WHEN b.budget_status NOT IN ('draft', 'sent') THEN 'bench' END, 'bench'
FROM bench.plans AS b
JOIN bench.patients AS t ON t.clinic_id = b.clinic_id AND t.k = 1 + b.k % greatest(1, b.plans * 8 / 10)
WHERE b.budget_status IS NOT NULL;
INSERT INTO txplan.plans (id, clinic_id, number, status, stage, patient_id, professional_id, title, closure_reason,
	confirmed_at, activated_at, completed_at, closed_at, status_changed_at, last_contact_at, next_contact_at,
	items_total, items_completed, budget_id, budget_status, search_text, created_by, created_at)
SELECT b.id, b.clinic_id, n.number, b.stage, b.stage, t.id, d.id, 'Plan ' || b.k,
	CASE WHEN b.stage = 'closed' THEN 'abandoned' END,
	CASE WHEN b.stage <> 'draft' THEN b.at END, CASE WHEN b.stage IN ('active', 'completed') THEN b.at END,
	CASE WHEN b.stage = 'completed' THEN b.at END, CASE WHEN b.stage = 'closed' THEN b.at END, b.at,
	CASE WHEN b.r < 0.5 THEN b.at + interval '1 hour' END,
	CASE WHEN b.r < 0.2 THEN b.at + interval '20 days' END,
	b.items, CASE WHEN b.stage = 'completed' THEN b.items ELSE 0 END,
	CASE WHEN b.budget_status IS NOT NULL THEN b.budget_id END, b.budget_status,
	txplan.fold_text(n.number || CASE WHEN b.budget_status IS NOT NULL
		THEN format(' BUDGET-2026-%s', to_char(b.k, 'FM000000')) ELSE '' END),
	'bench', b.at - interval '1 day'
FROM bench.plans AS b
CROSS JOIN LATERAL (SELECT format('PLAN-2026-%s', to_char(b.k, 'FM000000')) AS number) AS n
JOIN bench.patients AS t ON t.clinic_id = b.clinic_id AND t.k = 1 + b.k % greatest(1, b.plans * 8 / 10)
JOIN LATERAL (SELECT d.id FROM txplan.professionals AS d WHERE d.clinic_id = b.clinic_id
	ORDER BY d.id OFFSET CASE WHEN b.k % 1000 = 500 THEN 8 ELSE b.k % 8 END LIMIT 1) AS d ON true;
INSERT INTO txplan.items (clinic_id, id, plan_id, position, description, price, professional_id, status,
	sessions_total, sessions_completed, completed_at, completed_by, completed_via, live)
SELECT b.clinic_id, txplan.new_id(), b.id, i, 'Item', 100,
	CASE WHEN b.k % 1000 = 700 AND i = 1 THEN (SELECT d.id FROM txplan.professionals AS d
		WHERE d.clinic_id = b.clinic_id AND d.name = 'Dr. 9') ELSE p.professional_id END,
	CASE WHEN b.stage = 'completed' THEN 'completed' ELSE 'pending' END, 2,
	CASE WHEN b.stage = 'completed' THEN 2 WHEN b.stage = 'active' AND i = 1 AND b.r < 0.6 THEN 1 ELSE 0 END,
	CASE WHEN b.stage = 'completed' THEN b.at END, CASE WHEN b.stage = 'completed' THEN 'bench' END,
	CASE WHEN b.stage = 'completed' THEN 'session' END, b.stage <> 'closed'
FROM bench.plans AS b
JOIN txplan.plans AS p ON p.id = b.id AND p.clinic_id = b.clinic_id
CROSS JOIN LATERAL generate_series(1, b.items) AS i;
UPDATE txplan.plans AS p SET professional_ids = m.expected
FROM txplan.misattributed_plans AS m WHERE m.id = p.id AND m.clinic_id = p.clinic_id;
INSERT INTO txplan.sessions (clinic_id, plan_id, item_id, sequence, amount, status, completed_at, completed_by)
SELECT i.clinic_id, i.plan_id, i.id, s, 50, CASE WHEN s <= i.sessions_completed THEN 'completed' ELSE 'pending' END,
	CASE WHEN s <= i.sessions_completed THEN p.status_changed_at END, CASE WHEN s <= i.sessions_completed THEN 'bench' END
FROM txplan.items AS i
JOIN txplan.plans AS p ON p.id = i.plan_id AND p.clinic_id = i.clinic_id AND p.stage IN ('draft', 'pending', 'active')
CROSS JOIN generate_series(1, 2) AS s;
INSERT INTO txplan.contacts (clinic_id, plan_id, channel, contacted_at, contacted_by, next_contact_at)
SELECT p.clinic_id, p.id, 'call', p.last_contact_at, 'bench', p.next_contact_at
FROM txplan.plans AS p
WHERE p.last_contact_at IS NOT NULL;
INSERT INTO txplan.appointments (clinic_id, patient_id, plan_id, starts_at, ends_at, status, created_by)
SELECT p.clinic_id, p.patient_id, p.id, s.at, s.at + interval '30 minutes', 'booked', 'bench'
FROM txplan.plans AS p
CROSS JOIN LATERAL (SELECT now() + (random() * 30 - 10) * interval '1 day' AS at) AS s
WHERE p.stage = 'active' AND random() < 0.8;
INSERT INTO txplan.plan_count_changes (clinic_id, professional_id, stage, change)
SELECT clinic_id, professional_id, stage, plans - added_up FROM txplan.miscounted_plans;

RESET session_replication_role;
VACUUM (ANALYZE);

-- For each clinic a rare and a frequent search, where its tenth page begins, and a
-- doctor of many plans and one of few.
ALTER TABLE bench.clinics ADD COLUMN rare text, ADD COLUMN tenth text, ADD COLUMN busy uuid, ADD COLUMN seldom uuid;
UPDATE bench.clinics AS c
SET rare = (SELECT left(t.first_name, 3) || ' ' || split_part(t.last_name, ' ', 2) || ' ' || right(t.phone, 4)
		FROM bench.patients AS t WHERE t.clinic_id = c.id AND t.k = 1 + c.n % greatest(1, c.plans * 8 / 10)),
	tenth = (SELECT i.cursor FROM txplan.inbox(c.id, 'all', page_size => 450) AS i OFFSET 449),
	busy = (SELECT d.id FROM txplan.professionals AS d WHERE d.clinic_id = c.id AND d.name = 'Dr. 1'),
	seldom = (SELECT d.id FROM txplan.professionals AS d WHERE d.clinic_id = c.id AND d.name = 'Dr. 9');
ALTER TABLE bench.clinics ADD PRIMARY KEY (n);
