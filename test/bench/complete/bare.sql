-- complete/bare.sql: one session is completed by one statement, no rule checked.
--
-- It writes exactly the rows that txplan writes: the session, the item and the
-- plan with their counters, the earned entry, one event and one row of history
-- for the session, the same for an item that it finishes, two events and one
-- row for a plan that it finishes.
WITH done AS (
	UPDATE bare.sessions AS s
	SET status = 'completed',
		completed_at = clock_timestamp(),
		completed_by = session_user,
		updated_at = now()
	WHERE s.id = (SELECT q.session_id FROM bench.pool AS q
		WHERE q.n = (SELECT nextval('bench.next_bare')))
	RETURNING s.id, s.clinic_id, s.plan_id, s.item_id, s.sequence, s.label,
		s.amount, s.completed_at, s.completed_by
),
counted AS (
	UPDATE bare.items AS i
	SET sessions_completed = i.sessions_completed + 1,
		status = CASE WHEN i.sessions_completed + i.sessions_cancelled + 1 = i.sessions_total
			THEN 'completed' ELSE i.status END,
		completed_at = CASE WHEN i.sessions_completed + i.sessions_cancelled + 1 = i.sessions_total
			THEN d.completed_at END,
		completed_by = CASE WHEN i.sessions_completed + i.sessions_cancelled + 1 = i.sessions_total
			THEN d.completed_by END,
		completed_via = CASE WHEN i.sessions_completed + i.sessions_cancelled + 1 = i.sessions_total
			THEN 'session' END,
		updated_at = now()
	FROM done AS d
	WHERE i.id = d.item_id AND i.clinic_id = d.clinic_id
	RETURNING i.id, i.clinic_id, i.plan_id, i.status, i.treatment_ref, i.description,
		i.category_key, i.professional_id, i.sessions_completed, i.sessions_total,
		d.id AS session_id, d.sequence, d.label, d.amount, d.completed_at AS at,
		d.completed_by AS actor
),
facts AS MATERIALIZED (
	SELECT c.*, p.number, p.patient_id, p.version, p.history_length,
		c.status = 'completed' AS item_done,
		c.status = 'completed'
			AND p.items_completed + p.items_cancelled + 1 = p.items_total AS plan_done,
		bench.history_hash(p.history_head, c.plan_id, c.clinic_id,
			p.history_length + 1, c.at, c.actor, 'session_status', c.id, c.session_id,
			'pending', 'completed', NULL) AS session_hash
	FROM counted AS c
	JOIN bare.plans AS p ON p.id = c.plan_id AND p.clinic_id = c.clinic_id
),
item_facts AS MATERIALIZED (
	SELECT f.*, CASE WHEN f.item_done THEN
		bench.history_hash(f.session_hash, f.plan_id, f.clinic_id,
			f.history_length + 2, f.at, f.actor, 'item_status', f.id, NULL,
			'pending', 'completed', 'session') END AS item_hash
	FROM facts AS f
),
plan_facts AS MATERIALIZED (
	SELECT f.*, CASE WHEN f.plan_done THEN
		bench.history_hash(f.item_hash, f.plan_id, f.clinic_id,
			f.history_length + 3, f.at, f.actor, 'status', NULL, NULL,
			'active', 'completed', 'complete') END AS plan_hash
	FROM item_facts AS f
),
earned AS (
	INSERT INTO bare.earned_entries (clinic_id, patient_id, plan_id, item_id,
		session_id, professional_id, description, amount, earned_at)
	SELECT f.clinic_id, f.patient_id, f.plan_id, f.id, f.session_id,
		f.professional_id, f.description || coalesce(': ' || f.label, ''),
		f.amount, f.at
	FROM plan_facts AS f
),
published AS (
	INSERT INTO bare.events (id, clinic_id, plan_id, plan_version, type, actor,
		occurred_at, payload)
	SELECT e.event_id, e.clinic_id, e.plan_id, e.version + 1,
		'treatment_plan.item_session_completed', e.actor, e.at,
		jsonb_build_object('event_id', e.event_id::text, 'plan_id', e.plan_id,
			'plan_number', e.number, 'clinic_id', e.clinic_id,
			'patient_id', e.patient_id, 'actor', e.actor,
			'occurred_at', bench.rfc3339(e.at),
			'item_id', e.id, 'session_id', e.session_id, 'sequence', e.sequence,
			'label', e.label, 'amount', e.amount::text,
			'professional_id', e.professional_id, 'completed_by', e.actor,
			'sessions_completed', e.sessions_completed,
			'sessions_total', e.sessions_total)
	FROM (SELECT f.*, nextval('bare.events_id_seq') AS event_id
		FROM plan_facts AS f) AS e
	UNION ALL
	SELECT e.event_id, e.clinic_id, e.plan_id, e.version + 2,
		'treatment_plan.treatment_completed', e.actor, e.at,
		jsonb_build_object('event_id', e.event_id::text, 'plan_id', e.plan_id,
			'plan_number', e.number, 'clinic_id', e.clinic_id,
			'patient_id', e.patient_id, 'actor', e.actor,
			'occurred_at', bench.rfc3339(e.at),
			'item_id', e.id, 'treatment_ref', e.treatment_ref,
			'description', e.description, 'treatment_category_key', e.category_key,
			'professional_id', e.professional_id, 'completed_by', e.actor,
			'completed_via', 'session')
	FROM (SELECT f.*, nextval('bare.events_id_seq') AS event_id
		FROM plan_facts AS f WHERE f.item_done) AS e
	UNION ALL
	SELECT e.event_id, e.clinic_id, e.plan_id, e.version + 3,
		'treatment_plan.completed', e.actor, e.at,
		jsonb_build_object('event_id', e.event_id::text, 'plan_id', e.plan_id,
			'plan_number', e.number, 'clinic_id', e.clinic_id,
			'patient_id', e.patient_id, 'actor', e.actor,
			'occurred_at', bench.rfc3339(e.at))
	FROM (SELECT f.*, nextval('bare.events_id_seq') AS event_id
		FROM plan_facts AS f WHERE f.plan_done) AS e
	UNION ALL
	SELECT e.event_id, e.clinic_id, e.plan_id, e.version + 4,
		'treatment_plan.status_changed', e.actor, e.at,
		jsonb_build_object('event_id', e.event_id::text, 'plan_id', e.plan_id,
			'plan_number', e.number, 'clinic_id', e.clinic_id,
			'patient_id', e.patient_id, 'actor', e.actor,
			'occurred_at', bench.rfc3339(e.at),
			'old_status', 'active', 'new_status', 'completed', 'action', 'complete')
	FROM (SELECT f.*, nextval('bare.events_id_seq') AS event_id
		FROM plan_facts AS f WHERE f.plan_done) AS e
),
remembered AS (
	INSERT INTO bare.history (clinic_id, plan_id, sequence, at, actor, role_name,
		what, item_id, session_id, from_value, to_value, action, hash)
	SELECT f.clinic_id, f.plan_id, f.history_length + 1, f.at, f.actor, current_user,
		'session_status', f.id, f.session_id, 'pending', 'completed', NULL,
		f.session_hash
	FROM plan_facts AS f
	UNION ALL
	SELECT f.clinic_id, f.plan_id, f.history_length + 2, f.at, f.actor, current_user,
		'item_status', f.id, NULL, 'pending', 'completed', 'session', f.item_hash
	FROM plan_facts AS f WHERE f.item_done
	UNION ALL
	SELECT f.clinic_id, f.plan_id, f.history_length + 3, f.at, f.actor, current_user,
		'status', NULL, NULL, 'active', 'completed', 'complete', f.plan_hash
	FROM plan_facts AS f WHERE f.plan_done
),
moved AS (
	UPDATE bare.plans AS p
	SET items_completed = p.items_completed + f.item_done::integer,
		status = CASE WHEN f.plan_done THEN 'completed' ELSE p.status END,
		completed_at = CASE WHEN f.plan_done THEN f.at END,
		status_changed_at = CASE WHEN f.plan_done THEN f.at ELSE p.status_changed_at END,
		version = p.version + CASE WHEN f.plan_done THEN 4 WHEN f.item_done THEN 2 ELSE 1 END,
		history_length = p.history_length
			+ CASE WHEN f.plan_done THEN 3 WHEN f.item_done THEN 2 ELSE 1 END,
		history_head = coalesce(f.plan_hash, f.item_hash, f.session_hash),
		updated_at = now()
	FROM plan_facts AS f
	WHERE p.id = f.plan_id AND p.clinic_id = f.clinic_id
)
SELECT f.status FROM plan_facts AS f;
