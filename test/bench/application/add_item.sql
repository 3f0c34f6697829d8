-- add_item(plan, catalog item, description, price)
BEGIN;
@plan@
-- the catalog: of the clinic? active?
SELECT coalesce(@3@::text, c.name) AS description,
	coalesce(c.category_key, '') AS category_key,
	coalesce(@4@::numeric, c.price)::numeric(12,2) AS unit_price
FROM (VALUES (@2@::uuid)) AS given (id)
LEFT JOIN application.catalog_items AS c
	ON c.id = given.id AND c.clinic_id = :clinic_id AND c.active
\gset
-- the doctor: active?
SELECT d.active
FROM application.professionals AS d
WHERE d.id = :plan_professional_id AND d.clinic_id = :clinic_id
\gset
INSERT INTO application.items (clinic_id, plan_id, position, catalog_item_id,
	description, category_key, price, professional_id, sessions_total)
SELECT :clinic_id, @1@, :items_total + 1, @2@, :description,
	nullif(:category_key, ''), :unit_price, :plan_professional_id,
	greatest(1, (SELECT count(*) FROM application.catalog_sessions AS t
		WHERE t.catalog_item_id = @2@ AND t.clinic_id = :clinic_id))
RETURNING id AS @as@
\gset
INSERT INTO application.sessions (clinic_id, plan_id, item_id, sequence, label, amount)
SELECT :clinic_id, @1@, :@as@, coalesce(t.sequence, 1), t.label,
	coalesce(t.price, :unit_price)
FROM (VALUES (@2@::uuid)) AS given (id)
LEFT JOIN application.catalog_sessions AS t
	ON t.catalog_item_id = given.id AND t.clinic_id = :clinic_id;
INSERT INTO application.events (id, clinic_id, plan_id, plan_version, type, actor,
	occurred_at, payload)
SELECT e.id, :clinic_id, @1@, :version + 1, 'treatment_plan.treatment_added', :actor,
	:at, bench.payload(e.id, @1@, :number, :clinic_id, :patient_id, :actor, :at,
		jsonb_build_object('item_id', :@as@::text, 'catalog_item_id', @2@::text,
			'treatment_ref', NULL, 'tooth', NULL, 'surfaces', NULL,
			'unit_price', :unit_price::text,
			'professional_id', :plan_professional_id::text, 'budget_id', NULL))
FROM (SELECT nextval('application.events_id_seq') AS id) AS e;
INSERT INTO application.history (clinic_id, plan_id, sequence, at, actor, role_name,
	what, item_id, to_value, hash)
VALUES (:clinic_id, @1@, :history_length + 1, :at, :actor, current_user,
	'item_added', :@as@, :description, bench.history_hash(:history_head, @1@,
		:clinic_id, :history_length + 1, :at, :actor, 'item_added', :@as@, NULL,
		NULL, :description, NULL))
RETURNING hash
\gset
UPDATE application.plans
SET items_total = items_total + 1, version = version + 1,
	history_length = history_length + 1, history_head = :hash, updated_at = now()
WHERE id = @1@ AND clinic_id = :clinic_id;
COMMIT;
