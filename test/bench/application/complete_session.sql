-- complete_session(session): 13 round trips, BEGIN and COMMIT among them
-- 1
BEGIN;
-- 2  the item: is it there?
SELECT i.id AS item_id, i.clinic_id, i.plan_id, s.id AS session_id,
	coalesce(i.professional_id::text, '') AS professional_id
FROM application.items AS i
JOIN application.sessions AS s ON s.item_id = i.id AND s.clinic_id = i.clinic_id
WHERE s.id = @1@
\gset
-- 3  the plan: is it active?
SELECT p.number, p.patient_id, p.status AS plan_status, p.version, p.history_length,
	p.history_head
FROM application.plans AS p
WHERE p.id = :plan_id AND p.clinic_id = :clinic_id
FOR NO KEY UPDATE
\gset
-- 4  the session: is it pending?
SELECT s.status AS session_status, s.sequence, coalesce(s.label, '') AS label,
	s.amount
FROM application.sessions AS s
WHERE s.id = :session_id AND s.clinic_id = :clinic_id
\gset
-- 5
UPDATE application.sessions
SET status = 'completed', completed_at = clock_timestamp(),
	completed_by = session_user, updated_at = now()
WHERE id = :session_id AND clinic_id = :clinic_id AND status = 'pending'
RETURNING completed_at AS at, completed_by AS actor
\gset
-- 6
INSERT INTO application.earned_entries (clinic_id, patient_id, plan_id, item_id,
	session_id, professional_id, description, amount, earned_at)
SELECT i.clinic_id, :patient_id, i.plan_id, i.id, :session_id,
	i.professional_id, i.description || coalesce(': ' || nullif(:label, ''), ''),
	:amount, :at
FROM application.items AS i
WHERE i.id = :item_id AND i.clinic_id = :clinic_id
ON CONFLICT (session_id, clinic_id) DO NOTHING;
-- 7  is no session of the item pending any more?
SELECT count(*) FILTER (WHERE s.status = 'completed') AS sessions_completed,
	count(*) AS sessions_total,
	count(*) FILTER (WHERE s.status = 'pending') = 0 AS item_done
FROM application.sessions AS s
WHERE s.item_id = :item_id AND s.clinic_id = :clinic_id
\gset
-- 8
UPDATE application.items
SET sessions_completed = :sessions_completed,
	status = CASE WHEN :item_done THEN 'completed' ELSE status END,
	completed_at = CASE WHEN :item_done THEN :at::timestamptz END,
	completed_by = CASE WHEN :item_done THEN :actor END,
	completed_via = CASE WHEN :item_done THEN 'session' END,
	updated_at = now()
WHERE id = :item_id AND clinic_id = :clinic_id;
-- 9  is no item of the plan pending any more?  And the hashes, to have them.
SELECT c.items_completed, c.items_pending = 0 AS plan_done,
	a.hash AS session_hash, b.hash AS item_hash, d.hash AS plan_hash
FROM (
	SELECT count(*) FILTER (WHERE i.status = 'completed') AS items_completed,
		count(*) FILTER (WHERE i.status = 'pending') AS items_pending
	FROM application.items AS i
	WHERE i.plan_id = :plan_id AND i.clinic_id = :clinic_id
) AS c
CROSS JOIN LATERAL (SELECT bench.history_hash(:history_head, :plan_id, :clinic_id,
	:history_length + 1, :at, :actor, 'session_status', :item_id, :session_id,
	'pending', 'completed', NULL) AS hash OFFSET 0) AS a
CROSS JOIN LATERAL (SELECT CASE WHEN :item_done THEN
	bench.history_hash(a.hash, :plan_id, :clinic_id,
	:history_length + 2, :at, :actor, 'item_status', :item_id, NULL,
	'pending', 'completed', 'session') END AS hash OFFSET 0) AS b
CROSS JOIN LATERAL (SELECT CASE WHEN c.items_pending = 0 THEN
	bench.history_hash(b.hash, :plan_id, :clinic_id,
	:history_length + 3, :at, :actor, 'status', NULL, NULL,
	'active', 'completed', 'complete') END AS hash OFFSET 0) AS d
\gset
-- 10  what happened, in one INSERT
INSERT INTO application.events (id, clinic_id, plan_id, plan_version, type, actor,
	occurred_at, payload)
SELECT e.id, :clinic_id, :plan_id, :version + e.step, e.type, :actor, :at,
	jsonb_build_object('event_id', e.id::text, 'plan_id', :plan_id::text,
		'plan_number', :number::text, 'clinic_id', :clinic_id::text,
		'patient_id', :patient_id::text, 'actor', :actor::text,
		'occurred_at', bench.rfc3339(:at)) || e.facts
FROM (
	SELECT nextval('application.events_id_seq') AS id, 1 AS step,
		'treatment_plan.item_session_completed' AS type,
		jsonb_build_object('item_id', :item_id::text, 'session_id', :session_id::text,
			'sequence', :sequence::integer, 'label', nullif(:label::text, ''),
			'amount', :amount::text,
			'professional_id', nullif(:professional_id::text, ''),
			'completed_by', :actor::text,
			'sessions_completed', :sessions_completed::integer,
			'sessions_total', :sessions_total::integer) AS facts
	UNION ALL
	SELECT nextval('application.events_id_seq'), 2, 'treatment_plan.treatment_completed',
		jsonb_build_object('item_id', i.id, 'treatment_ref', i.treatment_ref,
			'description', i.description, 'treatment_category_key', i.category_key,
			'professional_id', i.professional_id, 'completed_by', i.completed_by,
			'completed_via', i.completed_via)
	FROM application.items AS i
	WHERE i.id = :item_id AND i.clinic_id = :clinic_id AND :item_done
	UNION ALL
	SELECT nextval('application.events_id_seq'), 3, 'treatment_plan.completed', '{}'
	WHERE :plan_done
	UNION ALL
	SELECT nextval('application.events_id_seq'), 4, 'treatment_plan.status_changed',
		jsonb_build_object('old_status', 'active', 'new_status', 'completed',
			'action', 'complete')
	WHERE :plan_done
) AS e;
-- 11  the history, in one INSERT
INSERT INTO application.history (clinic_id, plan_id, sequence, at, actor, role_name,
	what, item_id, session_id, from_value, to_value, action, hash)
SELECT :clinic_id, :plan_id, :history_length + h.step, :at, :actor, current_user,
	h.what, h.item_id, h.session_id, h.from_value, 'completed', h.action, h.hash
FROM (VALUES
	(1, 'session_status', :item_id::uuid, :session_id::uuid, 'pending', NULL,
		:session_hash::bytea),
	(2, 'item_status', :item_id, NULL, 'pending', 'session', :item_hash),
	(3, 'status', NULL, NULL, 'active', 'complete', :plan_hash)
) AS h (step, what, item_id, session_id, from_value, action, hash)
WHERE h.step <= 1 + (:item_done::boolean)::integer + (:plan_done::boolean)::integer;
-- 12
UPDATE application.plans
SET items_completed = :items_completed,
	status = CASE WHEN :plan_done THEN 'completed' ELSE status END,
	completed_at = CASE WHEN :plan_done THEN :at::timestamptz END,
	status_changed_at = CASE WHEN :plan_done THEN :at ELSE status_changed_at END,
	version = version + 1 + (:item_done::boolean)::integer + 2 * (:plan_done::boolean)::integer,
	history_length = history_length + 1 + (:item_done::boolean)::integer + (:plan_done::boolean)::integer,
	history_head = CASE WHEN :plan_done THEN :plan_hash::bytea WHEN :item_done THEN :item_hash
		ELSE :session_hash END,
	updated_at = now()
WHERE id = :plan_id AND clinic_id = :clinic_id;
-- 13
COMMIT;
