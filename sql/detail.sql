-- detail.sql: one plan as one document, all that its page shows.
-- after: transition, session, earned, contact, appointment

-- == extension ==

CREATE FUNCTION txplan.time_text(moment timestamptz)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
	SELECT pg_catalog.to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

COMMENT ON FUNCTION txplan.time_text(timestamptz) IS
'Writes a time as documents do: RFC 3339, in UTC, with microseconds.

It has no search_path of its own so that the planner puts its body in place of
the call; for that its body names what it calls in full.';

CREATE FUNCTION txplan.plan_document(wanted_plan uuid, wanted_clinic uuid)
RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- Every table is read by an index.  How many items a plan has is not to be
	-- guessed, so nothing that is read here is joined to another part of it:
	-- sessions are gathered item by item, and doctors looked up by their id.
	WITH the_items AS MATERIALIZED (
		SELECT i.id, i.position, i.catalog_item_id, i.treatment_ref, i.tooth,
			i.surfaces, i.description, i.category_key, i.price,
			i.professional_id, i.status, i.sessions_total,
			i.sessions_completed, i.sessions_cancelled, i.completed_at,
			i.completed_by, i.completed_via, i.notes, g.sessions
		FROM txplan.items AS i
		CROSS JOIN LATERAL (
			SELECT jsonb_agg(jsonb_build_object(
				'session_id', s.id,
				'sequence', s.sequence,
				'label', s.label,
				'amount', s.amount::text,
				'status', s.status,
				'completed_at', txplan.time_text(s.completed_at),
				'completed_by', s.completed_by,
				'cancelled_at', txplan.time_text(s.cancelled_at),
				'note', s.note) ORDER BY s.sequence) AS sessions
			FROM txplan.sessions AS s
			WHERE s.item_id = i.id AND s.clinic_id = wanted_clinic
		) AS g
		WHERE i.plan_id = wanted_plan AND i.clinic_id = wanted_clinic
	),
	the_entries AS MATERIALIZED (
		SELECT e.professional_id, e.amount
		FROM txplan.earned_entries AS e
		WHERE e.plan_id = wanted_plan AND e.clinic_id = wanted_clinic
	),
	the_appointments AS MATERIALIZED (
		SELECT a.id, a.item_id, a.session_id, a.professional_id, a.kind, a.room,
			a.starts_at, a.ends_at, a.status, a.note, a.recall_id, a.created_by,
			a.created_at, a.ended_at, a.ended_by
		FROM txplan.appointments AS a
		WHERE a.plan_id = wanted_plan AND a.clinic_id = wanted_clinic
	),
	-- Who is responsible for the plan, an item, what was done or an appointment.
	doctors AS MATERIALIZED (
		SELECT jsonb_object_agg(d.id, jsonb_build_object(
			'professional_id', d.id,
			'name', d.name,
			'color', d.color,
			'active', d.active)) AS documents
		FROM (
			SELECT p.professional_id
			FROM txplan.plans AS p
			WHERE p.id = wanted_plan AND p.clinic_id = wanted_clinic
			UNION
			SELECT i.professional_id FROM the_items AS i
			UNION
			SELECT e.professional_id FROM the_entries AS e
			UNION
			SELECT a.professional_id FROM the_appointments AS a
		) AS named (id)
		JOIN txplan.professionals AS d ON d.id = named.id AND d.clinic_id = wanted_clinic
	),
	items_part AS (
		SELECT jsonb_agg(jsonb_build_object(
			'item_id', i.id,
			'position', i.position,
			'catalog_item_id', i.catalog_item_id,
			'treatment_ref', i.treatment_ref,
			'tooth', i.tooth,
			'surfaces', i.surfaces,
			'description', i.description,
			'category_key', i.category_key,
			'price', i.price::text,
			'status', i.status,
			'professional', d.documents -> i.professional_id::text,
			'progress', jsonb_build_object(
				'done', i.sessions_completed,
				'total', i.sessions_total - i.sessions_cancelled),
			'sessions_cancelled', i.sessions_cancelled,
			'completed_at', txplan.time_text(i.completed_at),
			'completed_by', i.completed_by,
			'completed_via', i.completed_via,
			'notes', i.notes,
			'sessions', coalesce(i.sessions, '[]')) ORDER BY i.position) AS document,
			sum(i.price) FILTER (WHERE i.status <> 'cancelled') AS total
		FROM the_items AS i
		CROSS JOIN doctors AS d
	),
	-- The doctor of what was done is the entry's: a pending item may have
	-- another by now.
	executions_part AS (
		SELECT jsonb_agg(jsonb_build_object(
			'session_id', s.id,
			'item_id', s.item_id,
			'description', i.description,
			'label', s.label,
			'amount', s.amount::text,
			'professional', d.documents -> e.professional_id::text,
			'completed_at', txplan.time_text(s.completed_at),
			'completed_by', s.completed_by,
			'note', s.note,
			'voided_at', txplan.time_text(v.earned_at),
			'void_reason', v.reason)
			ORDER BY s.completed_at DESC, i.position DESC, s.sequence DESC) AS document
		FROM the_items AS i
		JOIN txplan.sessions AS s ON s.item_id = i.id AND s.clinic_id = wanted_clinic
			AND s.status = 'completed'
		LEFT JOIN txplan.earned_entries AS e ON e.session_id = s.id
			AND e.clinic_id = wanted_clinic AND e.voids_id IS NULL
		LEFT JOIN txplan.earned_entries AS v ON v.session_id = s.id
			AND v.clinic_id = wanted_clinic AND v.voids_id IS NOT NULL
		CROSS JOIN doctors AS d
	),
	contacts_part AS (
		SELECT jsonb_agg(jsonb_build_object(
			'contact_id', c.id,
			'channel', c.channel,
			'outcome', c.outcome,
			'note', c.note,
			'contacted_at', txplan.time_text(c.contacted_at),
			'contacted_by', c.contacted_by,
			'next_contact_at', txplan.time_text(c.next_contact_at),
			'corrects_id', c.corrects_id,
			'corrected', EXISTS (SELECT FROM txplan.contacts AS x
				WHERE x.corrects_id = c.id AND x.clinic_id = wanted_clinic))
			ORDER BY c.contacted_at DESC, c.created_at DESC, c.id DESC) AS document
		FROM txplan.contacts AS c
		WHERE c.plan_id = wanted_plan AND c.clinic_id = wanted_clinic
	),
	-- What is to come, the next first; then the others, the latest first.
	appointments_part AS (
		SELECT jsonb_agg(jsonb_build_object(
			'appointment_id', a.id,
			'item_id', a.item_id,
			'session_id', a.session_id,
			'recall_id', a.recall_id,
			'professional', d.documents -> a.professional_id::text,
			'kind', a.kind,
			'room', a.room,
			'starts_at', txplan.time_text(a.starts_at),
			'ends_at', txplan.time_text(a.ends_at),
			'status', a.status,
			'note', a.note,
			'created_by', a.created_by,
			'created_at', txplan.time_text(a.created_at),
			'ended_at', txplan.time_text(a.ended_at),
			'ended_by', a.ended_by)
			ORDER BY a.status <> 'booked' OR a.ends_at < now(),
				CASE WHEN a.status = 'booked' AND a.ends_at >= now() THEN a.starts_at END,
				a.starts_at DESC, a.id DESC) AS document
		FROM the_appointments AS a
		CROSS JOIN doctors AS d
	),
	history_part AS (
		SELECT jsonb_agg(jsonb_build_object(
			'sequence', h.sequence,
			'at', txplan.time_text(h.at),
			'actor', h.actor,
			'role_name', h.role_name,
			'what', h.what,
			'item_id', h.item_id,
			'session_id', h.session_id,
			'from_value', h.from_value,
			'to_value', h.to_value,
			'action', h.action,
			'reason', h.reason,
			'note', h.note) ORDER BY h.sequence DESC) AS document
		FROM txplan.history AS h
		WHERE h.plan_id = wanted_plan AND h.clinic_id = wanted_clinic
	),
	budget_part AS (
		SELECT jsonb_build_object(
			'budget_id', b.id,
			'number', b.number,
			'version', b.version,
			'status', b.status,
			'locks', b.status IN ('sent', 'accepted'),
			'valid_until', b.valid_until,
			'discount_percent', b.discount_percent::text,
			'discount_amount', b.discount_amount::text,
			'subtotal', b.subtotal::text,
			'total', b.total::text,
			'external_ref', b.external_ref,
			'sent_at', txplan.time_text(b.sent_at),
			'decided_at', txplan.time_text(b.decided_at),
			'decided_by', b.decided_by,
			'decision_note', b.decision_note,
			'lines', coalesce((
				SELECT jsonb_agg(jsonb_build_object(
					'line_id', l.id,
					'item_id', l.item_id,
					'position', l.position,
					'description', l.description,
					'unit_price', l.unit_price::text,
					'quantity', l.quantity,
					'discount_percent', l.discount_percent::text,
					'discount_amount', l.discount_amount::text,
					'net_amount', l.net_amount::text) ORDER BY l.position)
				FROM txplan.budget_lines AS l
				WHERE l.budget_id = b.id AND l.clinic_id = b.clinic_id), '[]'),
			'earlier', coalesce((
				SELECT jsonb_agg(jsonb_build_object(
					'budget_id', e.id,
					'number', e.number,
					'version', e.version,
					'status', e.status,
					'total', e.total::text) ORDER BY e.created_at DESC, e.version DESC)
				FROM txplan.budgets AS e
				WHERE e.plan_id = wanted_plan AND e.clinic_id = wanted_clinic
					AND e.id <> b.id), '[]')) AS document
		FROM txplan.plans AS p
		JOIN txplan.budgets AS b ON b.id = p.budget_id AND b.clinic_id = p.clinic_id
		WHERE p.id = wanted_plan AND p.clinic_id = wanted_clinic
	),
	actions_part AS (
		SELECT jsonb_agg(jsonb_build_object(
			'kind', a.kind,
			'action', a.action,
			'to_status', a.to_status,
			'permitted', a.permitted,
			'blockers', coalesce(to_jsonb(a.blockers), '[]'))
			ORDER BY a.kind COLLATE "C", a.action COLLATE "C") AS document
		-- Of a plan that is not there it would raise P0002.
		FROM txplan.plans AS q
		CROSS JOIN LATERAL txplan.available_actions(q.id, q.clinic_id) AS a
		WHERE q.id = wanted_plan AND q.clinic_id = wanted_clinic
	)
	SELECT jsonb_build_object(
		'plan', jsonb_build_object(
			'plan_id', p.id,
			'clinic_id', p.clinic_id,
			'number', p.number,
			'version', p.version,
			'workflow', p.workflow,
			'status', p.status,
			'status_label', coalesce(w.label, p.status),
			'title', p.title,
			'diagnosis_notes', p.diagnosis_notes,
			'internal_notes', p.internal_notes,
			'closure_reason', p.closure_reason,
			'closure_note', p.closure_note,
			'confirmed_at', txplan.time_text(p.confirmed_at),
			'activated_at', txplan.time_text(p.activated_at),
			'completed_at', txplan.time_text(p.completed_at),
			'closed_at', txplan.time_text(p.closed_at),
			'status_changed_at', txplan.time_text(p.status_changed_at),
			'last_contact_at', txplan.time_text(p.last_contact_at),
			'next_contact_at', txplan.time_text(p.next_contact_at),
			'items_total', p.items_total,
			'items_completed', p.items_completed,
			'items_cancelled', p.items_cancelled,
			'total', coalesce(i.total, 0.00)::text,
			'earned', (SELECT coalesce(sum(e.amount), 0.00)::text FROM the_entries AS e),
			'created_by', p.created_by,
			'created_at', txplan.time_text(p.created_at),
			'updated_at', txplan.time_text(p.updated_at)),
		'patient', jsonb_build_object(
			'patient_id', p.patient_id,
			'first_name', t.first_name,
			'last_name', t.last_name,
			'birth_date', t.birth_date,
			'phone', t.phone,
			'email', t.email,
			'archived', t.archived_at IS NOT NULL),
		'professional', d.documents -> p.professional_id::text,
		'actions', coalesce(a.document, '[]'),
		'reassignable_items', (
			SELECT count(*)
			FROM the_items AS r
			WHERE r.status = 'pending' AND r.professional_id = p.professional_id),
		'several_professionals', (
			SELECT count(*) > 1
			FROM (
				SELECT p.professional_id
				UNION
				SELECT m.professional_id FROM the_items AS m WHERE m.status <> 'cancelled'
			) AS named (id)
			WHERE named.id IS NOT NULL),
		'items', coalesce(i.document, '[]'),
		'executions', coalesce(x.document, '[]'),
		'budget', (SELECT b.document FROM budget_part AS b),
		'contacts', coalesce(c.document, '[]'),
		'appointments', coalesce(b.document, '[]'),
		'history', coalesce(h.document, '[]'))
	FROM txplan.plans AS p
	CROSS JOIN doctors AS d
	CROSS JOIN items_part AS i
	CROSS JOIN executions_part AS x
	CROSS JOIN contacts_part AS c
	CROSS JOIN appointments_part AS b
	CROSS JOIN history_part AS h
	CROSS JOIN actions_part AS a
	LEFT JOIN txplan.workflow_states AS w ON w.workflow = p.workflow AND w.state = p.status
	LEFT JOIN txplan.patients AS t ON t.id = p.patient_id AND t.clinic_id = wanted_clinic
	WHERE p.id = wanted_plan AND p.clinic_id = wanted_clinic
$$;

COMMENT ON FUNCTION txplan.plan_document(uuid, uuid) IS
'What plan_detail() returns, without its checks: call plan_detail().';

CREATE FUNCTION txplan.plan_detail(plan_id uuid, clinic_id uuid DEFAULT NULL)
RETURNS jsonb
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_plan_detail';

COMMENT ON FUNCTION txplan.plan_detail(uuid, uuid) IS
'Returns all that a plan''s page shows, as one document.

Its keys are plan, patient, professional, actions (what can be done, and what
stands in the way), reassignable_items, several_professionals, items with their
sessions, executions (what was done, latest first), budget (the live one, else the
last that was; null without), contacts (latest first), appointments (the next first)
and history (latest first); docs/detail.md explains each. Ids are strings, amounts decimal strings in the
clinic''s currency, times RFC 3339 in UTC.
Errors: 22004, P0002 for an unknown plan, 42501 without the tables'' privileges,
TX008 before install().';
