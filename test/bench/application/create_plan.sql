-- create_plan(clinic, patient, professional, title)
BEGIN;
-- the patient: of the clinic? not archived?
SELECT a.archived_at IS NULL AS welcome, txplan.new_id() AS @as@,
	clock_timestamp() AS at, session_user AS actor
FROM application.patients AS a
WHERE a.id = @2@ AND a.clinic_id = @1@
\gset
-- the doctor: of the clinic? active?
SELECT d.active
FROM application.professionals AS d
WHERE d.id = @3@ AND d.clinic_id = @1@
\gset
-- the year, where the clinic is
SELECT extract(year FROM clock_timestamp() AT TIME ZONE c.time_zone) AS year
FROM application.clinics AS c
WHERE c.id = @1@
\gset
INSERT INTO application.number_counters AS n (clinic_id, kind, year, last_number)
VALUES (@1@, 'plan', :year, 1)
ON CONFLICT (clinic_id, kind, year) DO UPDATE SET last_number = n.last_number + 1
RETURNING format('PLAN-%s-%s', :year::text,
	lpad(n.last_number::text, greatest(4, length(n.last_number::text)), '0')) AS number
\gset
INSERT INTO application.plans (id, clinic_id, number, status, patient_id,
	professional_id, title, status_changed_at, version, history_length, history_head,
	created_by)
VALUES (:@as@, @1@, :number, 'draft', @2@, @3@, @4@, :at, 1, 1,
	bench.history_hash(NULL, :@as@, @1@, 1, :at, :actor, 'created', NULL, NULL, NULL,
		'draft', NULL), :actor)
RETURNING history_head
\gset
INSERT INTO application.events (id, clinic_id, plan_id, plan_version, type, actor,
	occurred_at, payload)
SELECT e.id, @1@, :@as@, 1, 'treatment_plan.created', :actor, :at,
	bench.payload(e.id, :@as@, :number, @1@, @2@, :actor, :at,
		jsonb_build_object('workflow', 'dental', 'status', 'draft',
			'title', @4@::text, 'professional_id', @3@::text))
FROM (SELECT nextval('application.events_id_seq') AS id) AS e;
INSERT INTO application.history (clinic_id, plan_id, sequence, at, actor, role_name,
	what, to_value, hash)
VALUES (@1@, :@as@, 1, :at, :actor, current_user, 'created', 'draft',
	:history_head);
COMMIT;
