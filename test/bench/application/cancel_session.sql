-- cancel_session(session)
BEGIN;
SELECT i.id AS item_id, i.clinic_id, i.plan_id, i.sessions_total,
	coalesce(i.professional_id::text, '') AS professional_id
FROM application.items AS i
JOIN application.sessions AS s ON s.item_id = i.id AND s.clinic_id = i.clinic_id
WHERE s.id = @1@
\gset
SELECT p.number, p.patient_id, p.status, p.version, p.history_length, p.history_head
FROM application.plans AS p
WHERE p.id = :plan_id AND p.clinic_id = :clinic_id
FOR NO KEY UPDATE
\gset
SELECT s.status AS session_status, s.sequence, coalesce(s.label, '') AS label,
	s.amount
FROM application.sessions AS s
WHERE s.id = @1@ AND s.clinic_id = :clinic_id
\gset
UPDATE application.sessions
SET status = 'cancelled', cancelled_at = clock_timestamp(), updated_at = now()
WHERE id = @1@ AND clinic_id = :clinic_id AND status = 'pending'
RETURNING cancelled_at AS at, session_user AS actor
\gset
-- is no session of the item pending any more?  (On this day one always is.)
SELECT count(*) FILTER (WHERE s.status = 'cancelled') AS sessions_cancelled,
	count(*) FILTER (WHERE s.status = 'pending') = 0 AS item_done
FROM application.sessions AS s
WHERE s.item_id = :item_id AND s.clinic_id = :clinic_id
\gset
UPDATE application.items
SET sessions_cancelled = :sessions_cancelled, updated_at = now()
WHERE id = :item_id AND clinic_id = :clinic_id;
INSERT INTO application.events (id, clinic_id, plan_id, plan_version, type, actor,
	occurred_at, payload)
SELECT e.id, :clinic_id, :plan_id, :version + 1, 'treatment_plan.item_session_cancelled',
	:actor, :at, bench.payload(e.id, :plan_id, :number, :clinic_id, :patient_id, :actor,
		:at, jsonb_build_object('item_id', :item_id::text, 'session_id', @1@::text,
			'sequence', :sequence::integer, 'label', nullif(:label::text, ''),
			'amount', :amount::text,
			'professional_id', nullif(:professional_id::text, ''),
			'sessions_total', :sessions_total::integer,
			'sessions_cancelled', :sessions_cancelled::integer))
FROM (SELECT nextval('application.events_id_seq') AS id) AS e;
INSERT INTO application.history (clinic_id, plan_id, sequence, at, actor, role_name,
	what, item_id, session_id, from_value, to_value, hash)
VALUES (:clinic_id, :plan_id, :history_length + 1, :at, :actor, current_user,
	'session_status', :item_id, @1@, 'pending', 'cancelled',
	bench.history_hash(:history_head, :plan_id, :clinic_id, :history_length + 1, :at,
		:actor, 'session_status', :item_id, @1@, 'pending', 'cancelled', NULL))
RETURNING hash
\gset
UPDATE application.plans
SET version = version + 1, history_length = history_length + 1, history_head = :hash,
	updated_at = now()
WHERE id = :plan_id AND clinic_id = :clinic_id;
COMMIT;
