-- inbox.sql: the plans of a clinic in tabs, searched and page by page.
-- after: stage, contact, appointment

-- == extension ==

CREATE FUNCTION txplan.inbox(
	clinic_id uuid,
	tab text,
	search text DEFAULT NULL,
	professional_id uuid DEFAULT NULL,
	created_from date DEFAULT NULL,
	created_to date DEFAULT NULL,
	closure_reason text DEFAULT NULL,
	page_size integer DEFAULT 50,
	after text DEFAULT NULL)
RETURNS TABLE (plan_id uuid, number text, title text, status text,
	closure_reason text, status_changed_at timestamptz, days_in_status integer,
	patient_id uuid, patient_name text, patient_phone text, professional_id uuid,
	professional_name text, professionals jsonb, items_total integer,
	items_completed integer, total numeric, budget_id uuid, budget_status text,
	budget_total numeric, budget_valid_until date, last_contact_at timestamptz,
	last_contact_channel text, next_appointment_at timestamptz,
	created_at timestamptz, cursor text)
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'txplan_inbox';

COMMENT ON FUNCTION txplan.inbox(uuid, text, text, uuid, date, date, text, integer, text) IS
'Lists the plans of a clinic in a tab, the last moved first, a page at a time.

tab: draft, pending, active, completed, closed, or all; they go by plans.stage.
search: words in any order, without case and accents, each inside a name or the
phone of the patient, the number of the plan or of its budget; at most 200
characters. professional_id: the plan''s doctor or that of an item that is not
cancelled. created_from, created_to: days in the clinic''s time zone, both included.
closure_reason: why it was closed. page_size: 1 to 1000. after: the cursor of the
last row, to go on behind it. A NULL filters nothing.
total: prices of the items that are not cancelled. docs/inbox.md has the columns.
Errors: 22004, 22001, 22008 for a day out of range, 22023 for another tab, a
page_size out of range or a cursor that is not of this clinic and tab, P0002 for an
unknown clinic, 42501 without the tables'' privileges, TX008 before install().';

CREATE FUNCTION txplan.inbox_counts(
	clinic_id uuid,
	search text DEFAULT NULL,
	professional_id uuid DEFAULT NULL,
	created_from date DEFAULT NULL,
	created_to date DEFAULT NULL,
	closure_reason text DEFAULT NULL)
RETURNS TABLE (tab text, plans bigint)
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'txplan_inbox_counts';

COMMENT ON FUNCTION txplan.inbox_counts(uuid, text, uuid, date, date, text) IS
'Counts the plans of a clinic in each tab of the inbox, one row a tab.

The arguments are those of inbox(). Without filters it adds up
plan_count_changes and reads no plan.
Errors: 22004, 22001, 22008, P0002, 42501 without the tables'' privileges, TX008
before install().';

CREATE FUNCTION txplan.inbox_faults(wanted_clinic uuid)
RETURNS TABLE (clinic_id uuid, plan_id uuid, row_id uuid, fault text, detail text, hint text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT m.clinic_id, m.id, m.id, 'stage differs',
		format('The plan is %s, which means %s; its stage says %s.',
			m.status, m.expected, coalesce(m.stage, 'nothing')),
		'SELECT txplan.install() mends it.'
	FROM txplan.misplaced_plans AS m
	WHERE wanted_clinic IS NULL OR m.clinic_id = wanted_clinic
	UNION ALL
	SELECT m.clinic_id, m.id, m.id, 'professionals differ',
		format('Involved are %s; the plan says %s.',
			coalesce(array_to_string(m.expected, ', '), 'nobody'),
			coalesce(array_to_string(m.professional_ids, ', '), 'nobody')),
		'SELECT txplan.install() mends it.'
	FROM txplan.misattributed_plans AS m
	WHERE wanted_clinic IS NULL OR m.clinic_id = wanted_clinic
	UNION ALL
	SELECT p.clinic_id, p.id, p.id, 'search text differs',
		format('The plan is searched as %s instead of %s.',
			coalesce(quote_literal(p.search_text), 'nothing'), quote_literal(e.expected)),
		'SELECT txplan.install() mends it.'
	FROM txplan.plans AS p
	LEFT JOIN txplan.budgets AS b ON b.id = p.budget_id AND b.clinic_id = p.clinic_id
	CROSS JOIN LATERAL (
		SELECT txplan.fold_text(concat_ws(' ', p.number, b.number)) AS expected
	) AS e
	WHERE p.search_text IS DISTINCT FROM e.expected
		AND (wanted_clinic IS NULL OR p.clinic_id = wanted_clinic)
	UNION ALL
	SELECT t.clinic_id, NULL, t.id, 'search text differs',
		format('The patient is searched as %s instead of %s.',
			coalesce(quote_literal(t.search_text), 'nothing'), quote_literal(e.expected)),
		'SELECT txplan.install() mends it.'
	FROM txplan.patients AS t
	CROSS JOIN LATERAL (
		SELECT txplan.fold_patient(t.first_name, t.last_name, t.phone) AS expected
	) AS e
	WHERE t.search_text IS DISTINCT FROM e.expected
		AND (wanted_clinic IS NULL OR t.clinic_id = wanted_clinic)
	UNION ALL
	SELECT m.clinic_id, NULL, NULL, 'plan count differs',
		format('The changes of %s plans%s add up to %s; there are %s.', m.stage,
			' of professional ' || m.professional_id, m.added_up, m.plans),
		'SELECT txplan.install() mends it.'
	FROM txplan.miscounted_plans AS m
	WHERE wanted_clinic IS NULL OR m.clinic_id = wanted_clinic
$$;

COMMENT ON FUNCTION txplan.inbox_faults(uuid) IS
'What audit() finds of stages, counts and what is searched: call audit().';

-- == record ==

-- What is searched of rows that an older version or nobody's trigger wrote.
IF EXISTS (SELECT FROM txplan.patients AS t
		WHERE t.search_text IS DISTINCT FROM
			txplan.fold_patient(t.first_name, t.last_name, t.phone)) THEN
	ALTER TABLE txplan.patients DISABLE TRIGGER USER;
	UPDATE txplan.patients AS t
	SET search_text = txplan.fold_patient(t.first_name, t.last_name, t.phone)
	WHERE t.search_text IS DISTINCT FROM
		txplan.fold_patient(t.first_name, t.last_name, t.phone);
	ALTER TABLE txplan.patients ENABLE TRIGGER USER;
END IF;
IF EXISTS (SELECT FROM txplan.plans AS p
		LEFT JOIN txplan.budgets AS b ON b.id = p.budget_id AND b.clinic_id = p.clinic_id
		WHERE p.search_text IS DISTINCT FROM
			txplan.fold_text(pg_catalog.concat_ws(' ', p.number, b.number))) THEN
	ALTER TABLE txplan.plans DISABLE TRIGGER USER;
	UPDATE txplan.plans AS p
	SET search_text = e.expected
	FROM (
		SELECT q.id, q.clinic_id,
			txplan.fold_text(pg_catalog.concat_ws(' ', q.number, b.number)) AS expected
		FROM txplan.plans AS q
		LEFT JOIN txplan.budgets AS b ON b.id = q.budget_id AND b.clinic_id = q.clinic_id
	) AS e
	WHERE e.id = p.id AND e.clinic_id = p.clinic_id
		AND p.search_text IS DISTINCT FROM e.expected;
	ALTER TABLE txplan.plans ENABLE TRIGGER USER;
END IF;

-- Indexes for words need btree_gin, and pg_trgm for parts of words; both come with
-- PostgreSQL.  Where they cannot be had, a search reads the clinic's patients and
-- plans.
DECLARE
	the_need text;
	the_schema text;
BEGIN
	FOREACH the_need IN ARRAY ARRAY['btree_gin', 'pg_trgm']
	LOOP
		IF EXISTS (SELECT FROM pg_catalog.pg_available_extensions AS a
				WHERE a.name = the_need AND a.installed_version IS NULL) THEN
			BEGIN
				EXECUTE pg_catalog.format('CREATE EXTENSION %I SCHEMA %I', the_need,
					CASE WHEN pg_catalog.to_regnamespace('public') IS NULL THEN 'txplan' ELSE 'public' END);
			EXCEPTION WHEN OTHERS THEN
				NULL;
			END;
		END IF;
	END LOOP;
	IF EXISTS (SELECT FROM pg_catalog.pg_extension AS e WHERE e.extname = 'btree_gin') THEN
		CREATE INDEX IF NOT EXISTS patients_by_letter
			ON txplan.patients USING gin (clinic_id, pg_catalog.string_to_array(search_text COLLATE "C", NULL));
		COMMENT ON INDEX txplan.patients_by_letter IS 'A clinic''s patients by letters of their names and phones';
		CREATE INDEX IF NOT EXISTS plans_by_letter
			ON txplan.plans USING gin (clinic_id, pg_catalog.string_to_array(search_text COLLATE "C", NULL));
		COMMENT ON INDEX txplan.plans_by_letter IS 'A clinic''s plans by letters of their numbers';
		the_schema := (SELECT n.nspname
			FROM pg_catalog.pg_extension AS e
			JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
			WHERE e.extname = 'pg_trgm');
	END IF;
	IF the_schema IS NOT NULL THEN
		EXECUTE pg_catalog.format('CREATE INDEX IF NOT EXISTS patients_by_word '
			'ON txplan.patients USING gin (clinic_id, search_text %I.gin_trgm_ops)', the_schema);
		COMMENT ON INDEX txplan.patients_by_word IS 'A clinic''s patients by words of their names and phones';
		EXECUTE pg_catalog.format('CREATE INDEX IF NOT EXISTS plans_by_word '
			'ON txplan.plans USING gin (clinic_id, search_text %I.gin_trgm_ops)', the_schema);
		COMMENT ON INDEX txplan.plans_by_word IS 'A clinic''s plans by parts of their numbers';
	END IF;
END;

CREATE OR REPLACE VIEW txplan.inbox_rows WITH (security_invoker = on) AS
SELECT p.clinic_id,
	p.id AS plan_id,
	p.number,
	p.title,
	p.status,
	p.stage,
	p.closure_reason,
	p.status_changed_at,
	GREATEST(0, (pg_catalog.statement_timestamp() AT TIME ZONE c.time_zone)::date
		- (p.status_changed_at AT TIME ZONE c.time_zone)::date) AS days_in_status,
	p.patient_id,
	pg_catalog.btrim(t.first_name || ' ' || t.last_name) AS patient_name,
	t.phone AS patient_phone,
	p.professional_id,
	d.name AS professional_name,
	coalesce((
		SELECT pg_catalog.jsonb_agg(
			pg_catalog.jsonb_build_object('id', a.id, 'name', a.name)
			ORDER BY a.id IS DISTINCT FROM p.professional_id, a.name, a.id)
		FROM txplan.professionals AS a
		WHERE a.clinic_id = p.clinic_id
			AND a.id = ANY (i.professional_ids || p.professional_id)), '[]') AS professionals,
	p.items_total,
	p.items_completed,
	coalesce(i.total, 0.00) AS total,
	p.budget_id,
	p.budget_status,
	b.total AS budget_total,
	b.valid_until AS budget_valid_until,
	p.last_contact_at,
	n.channel AS last_contact_channel,
	(SELECT pg_catalog.min(a.starts_at)
		FROM txplan.appointments AS a
		WHERE a.plan_id = p.id AND a.clinic_id = p.clinic_id
			AND a.status = 'booked'
			AND a.starts_at > pg_catalog.statement_timestamp()) AS next_appointment_at,
	p.created_at
FROM txplan.plans AS p
LEFT JOIN txplan.clinics AS c ON c.id = p.clinic_id
LEFT JOIN txplan.patients AS t ON t.id = p.patient_id AND t.clinic_id = p.clinic_id
LEFT JOIN txplan.professionals AS d ON d.id = p.professional_id AND d.clinic_id = p.clinic_id
LEFT JOIN txplan.budgets AS b ON b.id = p.budget_id AND b.clinic_id = p.clinic_id
LEFT JOIN LATERAL (
	SELECT pg_catalog.sum(i.price) AS total,
		pg_catalog.array_agg(i.professional_id) AS professional_ids
	FROM txplan.items AS i
	WHERE i.plan_id = p.id AND i.clinic_id = p.clinic_id AND i.status <> 'cancelled'
) AS i ON true
LEFT JOIN LATERAL (
	SELECT k.channel
	FROM txplan.contacts AS k
	WHERE k.plan_id = p.id AND k.clinic_id = p.clinic_id
		AND NOT EXISTS (SELECT FROM txplan.contacts AS l
			WHERE l.corrects_id = k.id AND l.clinic_id = k.clinic_id)
	ORDER BY k.contacted_at DESC, k.id DESC
	LIMIT 1
) AS n ON true;
COMMENT ON VIEW txplan.inbox_rows IS 'What inbox() and pipeline() show of a plan; give clinic_id and plan_id';
COMMENT ON COLUMN txplan.inbox_rows.clinic_id IS 'The clinic';
COMMENT ON COLUMN txplan.inbox_rows.plan_id IS 'The plan';
COMMENT ON COLUMN txplan.inbox_rows.number IS 'Its number';
COMMENT ON COLUMN txplan.inbox_rows.title IS 'Its title';
COMMENT ON COLUMN txplan.inbox_rows.status IS 'Its status';
COMMENT ON COLUMN txplan.inbox_rows.stage IS 'What the status means: draft, pending, active, completed or closed';
COMMENT ON COLUMN txplan.inbox_rows.closure_reason IS 'Why it was closed';
COMMENT ON COLUMN txplan.inbox_rows.status_changed_at IS 'When it came to its status';
COMMENT ON COLUMN txplan.inbox_rows.days_in_status IS 'Days since then in the clinic''s time zone: 0 on the same day';
COMMENT ON COLUMN txplan.inbox_rows.patient_id IS 'The patient';
COMMENT ON COLUMN txplan.inbox_rows.patient_name IS 'First and last name of the patient';
COMMENT ON COLUMN txplan.inbox_rows.patient_phone IS 'Phone number of the patient';
COMMENT ON COLUMN txplan.inbox_rows.professional_id IS 'The plan''s doctor';
COMMENT ON COLUMN txplan.inbox_rows.professional_name IS 'Name of the plan''s doctor';
COMMENT ON COLUMN txplan.inbox_rows.professionals IS 'All involved, [{id, name}]: the plan''s doctor first, then those of items that are not cancelled, by name';
COMMENT ON COLUMN txplan.inbox_rows.items_total IS 'Items of the plan, the cancelled ones too';
COMMENT ON COLUMN txplan.inbox_rows.items_completed IS 'Items that are completed';
COMMENT ON COLUMN txplan.inbox_rows.total IS 'Sum of the prices of items that are not cancelled';
COMMENT ON COLUMN txplan.inbox_rows.budget_id IS 'The budget that is live, else the last that was';
COMMENT ON COLUMN txplan.inbox_rows.budget_status IS 'Its status';
COMMENT ON COLUMN txplan.inbox_rows.budget_total IS 'Its total';
COMMENT ON COLUMN txplan.inbox_rows.budget_valid_until IS 'Its last day';
COMMENT ON COLUMN txplan.inbox_rows.last_contact_at IS 'When the patient was last contacted about the plan';
COMMENT ON COLUMN txplan.inbox_rows.last_contact_channel IS 'By which channel that was';
COMMENT ON COLUMN txplan.inbox_rows.next_appointment_at IS 'When the next booked appointment for the plan begins';
COMMENT ON COLUMN txplan.inbox_rows.created_at IS 'When the plan was made';
