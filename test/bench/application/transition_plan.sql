-- @action@_plan(plan, reason)
BEGIN;
@plan@
-- the action: possible from here?
SELECT t.to_state, t.event
FROM application.workflow_transitions AS t
WHERE t.workflow = 'dental' AND t.from_state = :status AND t.action = '@action@'
\gset
-- the items: any?
SELECT count(*) AS items
FROM application.items AS i
WHERE i.plan_id = @1@ AND i.clinic_id = :clinic_id AND i.status <> 'cancelled'
\gset
INSERT INTO application.events (id, clinic_id, plan_id, plan_version, type, actor,
	occurred_at, payload)
SELECT e.id, :clinic_id, @1@, :version + e.step, e.type, :actor, :at,
	bench.payload(e.id, @1@, :number, :clinic_id, :patient_id, :actor, :at, e.facts)
FROM (
	SELECT nextval('application.events_id_seq') AS id, 1 AS step, :event AS type,
		CASE '@action@'
			WHEN 'confirm' THEN (
				SELECT jsonb_build_object('items', jsonb_agg(jsonb_build_object(
						'item_id', i.id, 'catalog_item_id', i.catalog_item_id,
						'treatment_ref', i.treatment_ref, 'tooth', i.tooth,
						'surfaces', i.surfaces, 'description', i.description,
						'unit_price', i.price::text,
						'professional_id', i.professional_id) ORDER BY i.position),
					'total', sum(i.price)::text)
				FROM application.items AS i
				WHERE i.plan_id = @1@ AND i.clinic_id = :clinic_id)
			WHEN 'close' THEN jsonb_build_object('closure_reason', @2@::text,
				'closure_note', NULL, 'previous_status', :status::text)
			ELSE '{}' END AS facts
	UNION ALL
	SELECT nextval('application.events_id_seq'), 2, 'treatment_plan.status_changed',
		jsonb_build_object('old_status', :status::text, 'new_status', :to_state::text,
			'action', '@action@')
) AS e;
INSERT INTO application.history (clinic_id, plan_id, sequence, at, actor, role_name,
	what, from_value, to_value, action, reason, hash)
VALUES (:clinic_id, @1@, :history_length + 1, :at, :actor, current_user, 'status',
	:status, :to_state, '@action@', @2@,
	bench.history_hash(:history_head, @1@, :clinic_id, :history_length + 1, :at,
		:actor, 'status', NULL, NULL, :status, :to_state, '@action@', @2@))
RETURNING hash
\gset
UPDATE application.plans
SET status = :to_state, status_changed_at = :at,
	confirmed_at = CASE '@action@' WHEN 'confirm' THEN :at ELSE confirmed_at END,
	activated_at = CASE '@action@' WHEN 'accept' THEN :at ELSE activated_at END,
	closed_at = CASE '@action@' WHEN 'close' THEN :at::timestamptz END,
	closure_reason = @2@, version = version + 2, history_length = history_length + 1,
	history_head = :hash, updated_at = now()
WHERE id = @1@ AND clinic_id = :clinic_id;
@close@-- a closed plan lets go of its treatments
@close@UPDATE application.items SET live = false
@close@WHERE plan_id = @1@ AND clinic_id = :clinic_id AND status <> 'cancelled';
COMMIT;
