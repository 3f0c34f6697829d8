-- the plan, locked
SELECT p.clinic_id, p.number, p.patient_id, p.status,
	coalesce(p.professional_id::text, '') AS plan_professional_id,
	p.items_total, p.version, p.history_length, p.history_head,
	clock_timestamp() AS at, session_user AS actor
FROM application.plans AS p
WHERE p.id = @1@
FOR NO KEY UPDATE
\gset
