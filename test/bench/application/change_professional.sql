-- change_professional(plan, professional): with the pending items of the old one
BEGIN;
@plan@
SELECT d.active
FROM application.professionals AS d
WHERE d.id = @2@ AND d.clinic_id = :clinic_id
\gset
-- the items that move
SELECT count(*) AS items, coalesce(array_agg(i.id ORDER BY i.position), '{}') AS item_ids
FROM application.items AS i
WHERE i.plan_id = @1@ AND i.clinic_id = :clinic_id AND i.status = 'pending'
	AND i.professional_id = :plan_professional_id
\gset
UPDATE application.items
SET professional_id = @2@, updated_at = now()
WHERE id = ANY (:item_ids) AND clinic_id = :clinic_id;
INSERT INTO application.events (id, clinic_id, plan_id, plan_version, type, actor,
	occurred_at, payload)
SELECT e.id, :clinic_id, @1@, :version + e.step, e.type, :actor, :at,
	bench.payload(e.id, @1@, :number, :clinic_id, :patient_id, :actor, :at, e.facts)
FROM (
	SELECT nextval('application.events_id_seq') AS id, 1 AS step,
		'treatment_plan.professional_changed' AS type,
		jsonb_build_object('old_professional_id', :plan_professional_id::text,
			'new_professional_id', @2@::text, 'items_reassigned', :items::integer) AS facts
	UNION ALL
	SELECT nextval('application.events_id_seq'), q.step + 1,
		'treatment_plan.item_reassigned',
		jsonb_build_object('item_id', q.id, 'old_professional_id',
			:plan_professional_id::text, 'new_professional_id', @2@::text)
	FROM unnest(:item_ids::uuid[]) WITH ORDINALITY AS q (id, step)
) AS e;
INSERT INTO application.history (clinic_id, plan_id, sequence, at, actor, role_name,
	what, item_id, from_value, to_value, hash)
SELECT :clinic_id, @1@, :history_length + h.step, :at, :actor, current_user, h.what,
	h.item_id, :plan_professional_id, @2@,
	bench.chain(:history_head, bench.field(@1@::uuid) || bench.field(:clinic_id::uuid)
		|| bench.field((:history_length + h.step)::text)
		|| bench.field((extract(epoch FROM :at::timestamptz) * 1000000)::bigint::text)
		|| bench.field(:actor::text) || bench.field(current_user::text)
		|| bench.field(h.what) || bench.field(h.item_id) || '-,'
		|| bench.field(:plan_professional_id::text) || bench.field(@2@::text)
		|| '-,-,-,') OVER (ORDER BY h.step)
FROM (
	SELECT 1 AS step, 'professional' AS what, NULL::uuid AS item_id
	UNION ALL
	SELECT q.step + 1, 'item_professional', q.id
	FROM unnest(:item_ids::uuid[]) WITH ORDINALITY AS q (id, step)
) AS h;
UPDATE application.plans
SET professional_id = @2@, version = version + :items::bigint + 1,
	history_length = history_length + :items::bigint + 1,
	history_head = (SELECT h.hash FROM application.history AS h
		WHERE h.plan_id = @1@ AND h.clinic_id = :clinic_id
			AND h.sequence = :history_length::bigint + :items::bigint + 1),
	updated_at = now()
WHERE id = @1@ AND clinic_id = :clinic_id;
COMMIT;
