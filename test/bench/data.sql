-- data.sql: the clinics, plans and sessions that the contenders work on.
--
-- psql -v source=txplan -v plans=20000 -v repeats=15 -f data.sql
--
-- The rows are made in schema :source by a few statements of many rows, under
-- its rules; run.sh copies them to the other contenders afterwards, so all
-- begin alike.  What is random here is so by a fixed seed.
--
-- plans titled        are
-- 'work'              active, 5 items of 2 sessions: complete_session
-- 'check'             the same, few: the check that contenders write the same
-- 'small' and 'big'   active, 5 and 500 items of 2 sessions: size of a plan
-- 'bulk', 'bulk one'  empty drafts: INSERT of 1,000 items

\set ON_ERROR_STOP 1
\set QUIET 1
SET synchronous_commit = off;
SELECT setseed(0.5) \g /dev/null

INSERT INTO :source.clinics (name, time_zone)
SELECT 'Clinic ' || n, 'Europe/Madrid'
FROM generate_series(1, 20) AS n;

INSERT INTO :source.professionals (clinic_id, name, color)
SELECT c.id, 'Doctor ' || n, '#336699'
FROM :source.clinics AS c
CROSS JOIN generate_series(1, 10) AS n;

INSERT INTO :source.patients (clinic_id, first_name, last_name, birth_date, phone)
SELECT c.id, 'First ' || n, 'Last ' || n,
	date '1940-01-01' + (random() * 29000)::integer, '+34 600 000 ' || n
FROM :source.clinics AS c
CROSS JOIN generate_series(1, 250) AS n;

-- Five treatments of two sessions and one without a template.  A template is
-- checked against its price at commit.
BEGIN;
INSERT INTO :source.catalog_items (clinic_id, code, name, category_key, price)
SELECT c.id, 'T-' || n, 'Treatment ' || n, 'category_' || n, 100 * n + 0.01
FROM :source.clinics AS c
CROSS JOIN generate_series(1, 6) AS n;
INSERT INTO :source.catalog_sessions
	(clinic_id, catalog_item_id, sequence, label, price)
SELECT i.clinic_id, i.id, n, 'Step ' || n,
	CASE n WHEN 1 THEN 40 ELSE i.price - 40 END
FROM :source.catalog_items AS i
CROSS JOIN generate_series(1, 2) AS n
WHERE i.code <> 'T-6';
COMMIT;

CREATE TEMPORARY TABLE people AS
SELECT row_number() OVER () - 1 AS n, d.*
FROM (
	SELECT a.clinic_id, a.id AS patient_id, f.id AS professional_id
	FROM :source.patients AS a
	JOIN LATERAL (
		SELECT d.id
		FROM :source.professionals AS d
		WHERE d.clinic_id = a.clinic_id
		ORDER BY hashtext(d.id::text || a.id::text)
		LIMIT 1
	) AS f ON true
	ORDER BY random()
) AS d;
CREATE INDEX ON people (n);
ANALYZE people;

INSERT INTO :source.plans (clinic_id, patient_id, professional_id, title)
SELECT d.clinic_id, d.patient_id, d.professional_id, k.title
FROM (VALUES
		('work', :plans),
		('check', 8),
		('small', 125 * 7),
		('big', 7),
		('bulk', 200 * :repeats),
		('bulk one', :repeats)) AS k (title, wanted)
CROSS JOIN LATERAL generate_series(1, k.wanted) AS w (n)
JOIN people AS d ON d.n = w.n % (SELECT count(*) FROM people);

ANALYZE :source.plans;
INSERT INTO :source.items (clinic_id, plan_id, catalog_item_id)
SELECT p.clinic_id, p.id, c.id
FROM :source.plans AS p
CROSS JOIN LATERAL generate_series(1,
	CASE WHEN p.title = 'big' THEN 500 WHEN p.title LIKE 'bulk%' THEN 0 ELSE 5 END) AS n
JOIN :source.catalog_items AS c
	ON c.clinic_id = p.clinic_id AND c.code = 'T-' || (n - 1) % 5 + 1
ORDER BY p.id, n;

UPDATE :source.plans SET status = 'pending' WHERE title NOT LIKE 'bulk%';
UPDATE :source.plans SET status = 'active' WHERE title NOT LIKE 'bulk%';

-- The tables as if they had just been restored, as the copies will be.
VACUUM (FULL, ANALYZE) :source.plans, :source.items, :source.sessions,
	:source.earned_entries, :source.history, :source.events_default,
	:source.number_counters;

-- The sessions in the order in which they are completed: of 64 plans the first
-- ones, then the second ones and so on, then the next 64 plans.  So clients that
-- take one after another work on different plans, and every 640 sessions there
-- are 320 that leave their item open, 256 that finish an item and 64 that finish
-- a plan.
CREATE TABLE bench.pool (
	n bigint NOT NULL,
	session_id uuid NOT NULL,
	PRIMARY KEY (n) INCLUDE (session_id)
);
WITH numbered AS (
	SELECT s.id, p.title, i.position,
		dense_rank() OVER (PARTITION BY p.title ORDER BY p.id) - 1 AS plan,
		row_number() OVER (PARTITION BY p.id ORDER BY i.position, s.sequence) - 1 AS step
	FROM :source.plans AS p
	JOIN :source.items AS i ON i.plan_id = p.id AND i.clinic_id = p.clinic_id
	JOIN :source.sessions AS s ON s.item_id = i.id AND s.clinic_id = i.clinic_id
)
INSERT INTO bench.pool
SELECT plan / 64 * 640 + step * 64 + plan % 64 + 1, id
FROM numbered WHERE title = 'work' AND plan < :plans / 64 * 64
UNION ALL
SELECT 1000000000 + plan * 10 + step + 1, id
FROM numbered WHERE title = 'check'
UNION ALL
-- Of the small plans only the first four items: as in the big ones, half of
-- these sessions finish an item, and none a plan.
SELECT 2000000000 + plan * 8 + step + 1, id
FROM numbered WHERE title = 'small' AND step < 8
UNION ALL
SELECT 3000000000 + plan * 1000 + step + 1, id
FROM numbered WHERE title = 'big';
VACUUM (ANALYZE) bench.pool;

-- Items for INSERTs of 1,000: five to each of 200 plans in the repetitions 1 to
-- :repeats, all to one plan in as many more.  The ids are given, so that the
-- contenders' rows can be compared.
CREATE TABLE bench.new_items (
	repetition integer NOT NULL,
	n integer NOT NULL,
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	plan_id uuid NOT NULL,
	description text NOT NULL,
	price numeric(12,2) NOT NULL,
	PRIMARY KEY (repetition, n)
);
INSERT INTO bench.new_items
SELECT CASE p.title WHEN 'bulk' THEN (p.n - 1) / 200 + 1 ELSE :repeats + p.n END,
	row_number() OVER (PARTITION BY p.title, CASE p.title WHEN 'bulk' THEN (p.n - 1) / 200 ELSE p.n END
		ORDER BY p.n, k),
	txplan.new_id(), p.clinic_id, p.id, 'Treatment ' || k, 10 + k
FROM (
	SELECT q.id, q.clinic_id, q.title,
		row_number() OVER (PARTITION BY q.title ORDER BY q.id) AS n
	FROM :source.plans AS q
	WHERE q.title LIKE 'bulk%'
) AS p
CROSS JOIN LATERAL generate_series(1, CASE p.title WHEN 'bulk' THEN 5 ELSE 1000 END) AS k;
VACUUM (ANALYZE) bench.new_items;

-- Who comes to the desk on the day that is measured.
CREATE TABLE bench.desk (
	n integer PRIMARY KEY,
	clinic_id uuid NOT NULL,
	patient_id uuid NOT NULL,
	professional_id uuid NOT NULL,
	other_professional_id uuid NOT NULL,
	catalog_a uuid NOT NULL,
	catalog_b uuid NOT NULL
);
INSERT INTO bench.desk
SELECT d.n, d.clinic_id, d.patient_id, d.professional_id, o.id, a.id, b.id
FROM people AS d
CROSS JOIN LATERAL (SELECT f.id FROM :source.professionals AS f
	WHERE f.clinic_id = d.clinic_id AND f.id <> d.professional_id
	ORDER BY f.name LIMIT 1) AS o
JOIN :source.catalog_items AS a
	ON a.clinic_id = d.clinic_id AND a.code = 'T-' || d.n % 5 + 1
JOIN :source.catalog_items AS b
	ON b.clinic_id = d.clinic_id AND b.code = 'T-' || (d.n + 1) % 5 + 1;
VACUUM (ANALYZE) bench.desk;

CREATE SEQUENCE bench.next_txplan;
CREATE SEQUENCE bench.next_bare;
CREATE SEQUENCE bench.next_rules_in_plpgsql;
CREATE SEQUENCE bench.next_application;
