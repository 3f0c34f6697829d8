-- pipeline.sql: the plans that wait for somebody at the front desk.
-- after: inbox

-- == extension ==

CREATE FUNCTION txplan.pipeline(
	clinic_id uuid,
	column_key text,
	search text DEFAULT NULL,
	professional_id uuid DEFAULT NULL,
	created_from date DEFAULT NULL,
	created_to date DEFAULT NULL,
	page_size integer DEFAULT 50,
	after text DEFAULT NULL)
RETURNS TABLE (column_key text, since timestamptz, next_step text,
	plan_id uuid, number text, title text, status text, closure_reason text,
	status_changed_at timestamptz, days_in_status integer, patient_id uuid,
	patient_name text, patient_phone text, professional_id uuid,
	professional_name text, professionals jsonb, items_total integer,
	items_completed integer, total numeric, budget_id uuid, budget_status text,
	budget_total numeric, budget_valid_until date, last_contact_at timestamptz,
	last_contact_channel text, next_appointment_at timestamptz,
	created_at timestamptz, cursor text)
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'txplan_pipeline';

COMMENT ON FUNCTION txplan.pipeline(uuid, text, text, uuid, date, date, integer, text) IS
'Lists the plans of a clinic in a column of the pipeline, those that wait longest first, a page at a time.

column_key: to_quote, awaiting_patient, no_recent_contact, follow_up_due,
budget_expired, no_appointment, no_next_appointment, without_budget or
ready_to_close; a plan may stand in several. since: from when it waits. next_step:
what is to be done. The other arguments and columns are those of inbox();
docs/pipeline.md has the predicate of each column.
Errors: as inbox(), 22023 for another column.';

CREATE FUNCTION txplan.pipeline_totals(
	clinic_id uuid,
	search text DEFAULT NULL,
	professional_id uuid DEFAULT NULL,
	created_from date DEFAULT NULL,
	created_to date DEFAULT NULL)
RETURNS TABLE (column_key text, plans bigint, amount numeric, oldest timestamptz)
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'txplan_pipeline_totals';

COMMENT ON FUNCTION txplan.pipeline_totals(uuid, text, uuid, date, date) IS
'Counts the plans of a clinic in each column of the pipeline, one row a column.

amount: the sum of what inbox() shows as total; oldest: the first since, NULL
where the column is empty. It reads the open plans of the clinic and no others.
Errors: as inbox_counts().';

-- == record ==

CREATE INDEX IF NOT EXISTS plans_by_follow_up
	ON txplan.plans (clinic_id, next_contact_at)
	WHERE next_contact_at IS NOT NULL AND stage <> 'completed' AND stage <> 'closed';
COMMENT ON INDEX txplan.plans_by_follow_up IS 'Which patients are to be contacted again, and when';

-- Each column looks only at what its own predicate needs.
CREATE OR REPLACE VIEW txplan.pipeline_rows WITH (security_invoker = on) AS
WITH
	pending AS NOT MATERIALIZED (
		SELECT p.clinic_id, p.id AS plan_id, p.patient_id, p.professional_id, p.created_at,
			p.search_text, p.professional_ids, p.status_changed_at, p.budget_id, b.status AS budget_status,
			b.sent_at, b.decided_at, b.valid_until,
			coalesce(b.status IN ('draft', 'sent')
				AND b.valid_until < (pg_catalog.statement_timestamp() AT TIME ZONE c.time_zone)::date,
				false) AS is_late,
			(b.valid_until + 1)::timestamp AT TIME ZONE c.time_zone AS late_since,
			GREATEST(coalesce(p.confirmed_at, p.status_changed_at), b.sent_at, p.last_contact_at) AS heard_at,
			c.contact_stale_days
		FROM txplan.plans AS p
		JOIN txplan.clinics AS c ON c.id = p.clinic_id
		LEFT JOIN txplan.budgets AS b ON b.id = p.budget_id AND b.clinic_id = p.clinic_id
		WHERE p.stage = 'pending'
	),
	active AS NOT MATERIALIZED (
		SELECT p.clinic_id, p.id AS plan_id, p.patient_id, p.professional_id, p.created_at,
			p.search_text, p.professional_ids, coalesce(p.activated_at, p.status_changed_at) AS active_since,
			p.status_changed_at, p.budget_id, p.budget_status,
			p.items_total, p.items_completed + p.items_cancelled AS items_final
		FROM txplan.plans AS p
		WHERE p.stage = 'active'
	),
	unbooked AS NOT MATERIALIZED (
		SELECT a.*,
			EXISTS (SELECT FROM txplan.items AS i
				WHERE i.plan_id = a.plan_id AND i.clinic_id = a.clinic_id
					AND i.sessions_completed > 0) AS is_begun
		FROM active AS a
		WHERE NOT EXISTS (SELECT FROM txplan.appointments AS b
			WHERE b.plan_id = a.plan_id AND b.clinic_id = a.clinic_id
				AND b.status = 'booked'
				AND b.starts_at > pg_catalog.statement_timestamp())
	)
SELECT p.clinic_id, p.plan_id, 'to_quote' AS column_key,
	GREATEST(p.status_changed_at, p.decided_at) AS since,
	CASE WHEN p.budget_status = 'draft' AND p.is_late THEN 'extend_budget'
		WHEN p.budget_status = 'draft' THEN 'send_budget'
		WHEN p.budget_status IN ('rejected', 'expired') THEN 'resend_budget'
		ELSE 'generate_budget' END AS next_step,
	p.patient_id, p.professional_id, p.created_at, p.search_text, p.professional_ids
FROM pending AS p
WHERE p.budget_status IS NULL OR p.budget_status NOT IN ('sent', 'accepted')
UNION ALL
SELECT p.clinic_id, p.plan_id, 'awaiting_patient',
	coalesce(p.decided_at, p.sent_at, p.status_changed_at),
	CASE WHEN p.budget_status = 'accepted' THEN 'accept_plan' ELSE 'decide_budget' END,
	p.patient_id, p.professional_id, p.created_at, p.search_text, p.professional_ids
FROM pending AS p
WHERE p.budget_status = 'accepted' OR p.budget_status = 'sent' AND NOT p.is_late
UNION ALL
SELECT p.clinic_id, p.plan_id, 'no_recent_contact', p.heard_at, 'log_contact',
	p.patient_id, p.professional_id, p.created_at, p.search_text, p.professional_ids
FROM pending AS p
WHERE p.heard_at < pg_catalog.statement_timestamp() - p.contact_stale_days * interval '24 hours'
UNION ALL
SELECT p.clinic_id, p.id, 'follow_up_due', p.next_contact_at, 'log_contact',
	p.patient_id, p.professional_id, p.created_at, p.search_text, p.professional_ids
FROM txplan.plans AS p
WHERE p.next_contact_at <= pg_catalog.statement_timestamp()
	AND p.stage <> 'completed' AND p.stage <> 'closed'
UNION ALL
SELECT p.clinic_id, p.plan_id, 'budget_expired',
	coalesce(p.late_since, p.decided_at, p.status_changed_at),
	CASE WHEN p.budget_status = 'draft' THEN 'extend_budget' ELSE 'resend_budget' END,
	p.patient_id, p.professional_id, p.created_at, p.search_text, p.professional_ids
FROM pending AS p
WHERE p.budget_status = 'expired' OR p.is_late
UNION ALL
SELECT p.clinic_id, p.plan_id, 'no_appointment', p.active_since, 'book_appointment',
	p.patient_id, p.professional_id, p.created_at, p.search_text, p.professional_ids
FROM unbooked AS p
WHERE NOT p.is_begun
UNION ALL
SELECT p.clinic_id, p.plan_id, 'no_next_appointment',
	coalesce((SELECT pg_catalog.max(s.completed_at)
		FROM txplan.items AS i
		JOIN txplan.sessions AS s ON s.item_id = i.id AND s.clinic_id = i.clinic_id
		WHERE i.plan_id = p.plan_id AND i.clinic_id = p.clinic_id
			AND i.sessions_completed > 0), p.active_since),
	'book_appointment',
	p.patient_id, p.professional_id, p.created_at, p.search_text, p.professional_ids
FROM unbooked AS p
WHERE p.is_begun AND p.items_final < p.items_total
UNION ALL
SELECT p.clinic_id, p.plan_id, 'without_budget',
	GREATEST(p.active_since, b.decided_at), 'generate_budget',
	p.patient_id, p.professional_id, p.created_at, p.search_text, p.professional_ids
FROM active AS p
JOIN txplan.clinics AS c ON c.id = p.clinic_id
LEFT JOIN txplan.budgets AS b ON b.id = p.budget_id AND b.clinic_id = p.clinic_id
WHERE p.budget_status = 'cancelled'
	OR c.budget_on_confirm
		AND (p.budget_status IS NULL OR p.budget_status NOT IN ('draft', 'sent', 'accepted'))
UNION ALL
SELECT p.clinic_id, p.plan_id, 'ready_to_close',
	coalesce((SELECT pg_catalog.max(GREATEST(s.completed_at, s.cancelled_at))
		FROM txplan.items AS i
		JOIN txplan.sessions AS s ON s.item_id = i.id AND s.clinic_id = i.clinic_id
		WHERE i.plan_id = p.plan_id AND i.clinic_id = p.clinic_id), p.active_since),
	'close_plan',
	p.patient_id, p.professional_id, p.created_at, p.search_text, p.professional_ids
FROM active AS p
WHERE p.items_total > 0 AND p.items_final = p.items_total;
COMMENT ON VIEW txplan.pipeline_rows IS 'Which plans stand in which columns of the pipeline';
COMMENT ON COLUMN txplan.pipeline_rows.clinic_id IS 'The clinic';
COMMENT ON COLUMN txplan.pipeline_rows.plan_id IS 'The plan';
COMMENT ON COLUMN txplan.pipeline_rows.column_key IS 'to_quote: pending, its budget is a draft or none is live; awaiting_patient: pending, its budget is sent and still valid, or accepted; no_recent_contact: pending, neither confirmed, sent nor contacted in contact_stale_days; follow_up_due: not ended, the next contact was due; budget_expired: pending, its budget has expired or its last day has passed; no_appointment: active, nothing booked ahead, no session completed; no_next_appointment: active, nothing booked ahead, a session completed and items pending; without_budget: active, its budget cancelled, or none is live though budget_on_confirm; ready_to_close: active, every item completed or cancelled';
COMMENT ON COLUMN txplan.pipeline_rows.since IS 'From when it waits there';
COMMENT ON COLUMN txplan.pipeline_rows.next_step IS 'generate_budget, send_budget, extend_budget, resend_budget, decide_budget, accept_plan, log_contact, book_appointment or close_plan';
COMMENT ON COLUMN txplan.pipeline_rows.patient_id IS 'The patient';
COMMENT ON COLUMN txplan.pipeline_rows.professional_id IS 'The plan''s doctor';
COMMENT ON COLUMN txplan.pipeline_rows.created_at IS 'When the plan was made';
COMMENT ON COLUMN txplan.pipeline_rows.search_text IS 'What the plan is found by';
COMMENT ON COLUMN txplan.pipeline_rows.professional_ids IS 'Who is involved in the plan';
