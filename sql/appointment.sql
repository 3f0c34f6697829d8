-- appointment.sql: when a patient comes, to whom and where.
-- after: session

-- == record ==

CREATE TABLE IF NOT EXISTS txplan.appointments (
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	patient_id uuid NOT NULL,
	plan_id uuid,
	item_id uuid,
	session_id uuid,
	professional_id uuid,
	kind text,
	room text,
	starts_at timestamptz NOT NULL,
	ends_at timestamptz NOT NULL,
	status text NOT NULL DEFAULT 'booked',
	note text,
	created_by text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT appointments_pkey PRIMARY KEY (id, clinic_id)
);
ALTER TABLE txplan.appointments ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.appointments IS 'Appointments of patients';
COMMENT ON COLUMN txplan.appointments.id IS 'The appointment';
COMMENT ON COLUMN txplan.appointments.clinic_id IS 'The clinic; it never changes';
COMMENT ON COLUMN txplan.appointments.patient_id IS 'The patient; it never changes';
COMMENT ON COLUMN txplan.appointments.plan_id IS 'The plan that it is for, one of the patient''s';
COMMENT ON COLUMN txplan.appointments.item_id IS 'The item of the plan that it is for';
COMMENT ON COLUMN txplan.appointments.session_id IS 'The session of the item that it is for';
COMMENT ON COLUMN txplan.appointments.professional_id IS 'Who treats';
COMMENT ON COLUMN txplan.appointments.kind IS 'What kind it is, 1 to 60 characters, such as hygiene or surgery';
COMMENT ON COLUMN txplan.appointments.room IS 'Where, 1 to 60 characters';
COMMENT ON COLUMN txplan.appointments.starts_at IS 'When it begins';
COMMENT ON COLUMN txplan.appointments.ends_at IS 'When it ends, later than it begins; the next one may begin then';
COMMENT ON COLUMN txplan.appointments.status IS 'booked, completed, cancelled or no_show; the first two occupy room and professional';
COMMENT ON COLUMN txplan.appointments.note IS 'What to know of it, at most 10000 characters';
COMMENT ON COLUMN txplan.appointments.created_by IS 'Who booked it: txplan.actor, else the session''s user';
COMMENT ON COLUMN txplan.appointments.created_at IS 'When it was booked';
COMMENT ON COLUMN txplan.appointments.updated_at IS 'When it was last changed';
COMMENT ON CONSTRAINT appointments_pkey ON txplan.appointments IS 'An appointment belongs to one clinic';
PERFORM txplan.ensure_constraint('appointments', 'appointments_of_a_clinic',
	'FOREIGN KEY (clinic_id) REFERENCES txplan.clinics (id)',
	'The clinic exists');
PERFORM txplan.ensure_constraint('appointments', 'appointments_of_a_patient',
	'FOREIGN KEY (patient_id, clinic_id) REFERENCES txplan.patients (id, clinic_id)',
	'The patient is one of the same clinic');
PERFORM txplan.ensure_constraint('appointments', 'appointments_of_a_plan',
	'FOREIGN KEY (plan_id, clinic_id) REFERENCES txplan.plans (id, clinic_id) ON DELETE SET NULL (plan_id)',
	'The plan is one of the same clinic');
PERFORM txplan.ensure_constraint('appointments', 'appointments_of_an_item',
	'FOREIGN KEY (item_id, clinic_id) REFERENCES txplan.items (id, clinic_id) ON DELETE SET NULL (item_id)',
	'The item is one of the same clinic');
PERFORM txplan.ensure_constraint('appointments', 'appointments_of_a_session',
	'FOREIGN KEY (session_id, clinic_id) REFERENCES txplan.sessions (id, clinic_id) ON DELETE SET NULL (session_id)',
	'The session is one of the same clinic');
PERFORM txplan.ensure_constraint('appointments', 'appointments_of_a_professional',
	'FOREIGN KEY (professional_id, clinic_id) REFERENCES txplan.professionals (id, clinic_id)',
	'The professional is one of the same clinic');
PERFORM txplan.ensure_constraint('appointments', 'appointments_status_known',
	'CHECK (status = ANY (ARRAY[''booked'', ''completed'', ''cancelled'', ''no_show'']))',
	'An appointment is booked, completed, cancelled or no_show');
PERFORM txplan.ensure_constraint('appointments', 'appointments_end_after_start',
	'CHECK (pg_catalog.isfinite(starts_at) AND pg_catalog.isfinite(ends_at) AND starts_at < ends_at)',
	'An appointment ends after it begins, and both are finite');
PERFORM txplan.ensure_constraint('appointments', 'appointments_texts_length',
	'CHECK (pg_catalog.char_length(kind) BETWEEN 1 AND 60 AND pg_catalog.char_length(room) BETWEEN 1 AND 60 AND pg_catalog.char_length(note) <= 10000)',
	'Kind and room 1 to 60, note at most 10000 characters');
CREATE INDEX IF NOT EXISTS appointments_by_plan
	ON txplan.appointments (plan_id, clinic_id, starts_at)
	WHERE plan_id IS NOT NULL;
COMMENT ON INDEX txplan.appointments_by_plan IS 'The appointments of a plan';
CREATE INDEX IF NOT EXISTS appointments_by_patient
	ON txplan.appointments (patient_id, clinic_id, starts_at);
COMMENT ON INDEX txplan.appointments_by_patient IS 'The appointments of a patient';
CREATE INDEX IF NOT EXISTS appointments_by_item
	ON txplan.appointments (item_id, clinic_id)
	WHERE item_id IS NOT NULL;
COMMENT ON INDEX txplan.appointments_by_item IS 'The appointments for an item';
CREATE INDEX IF NOT EXISTS appointments_by_session
	ON txplan.appointments (session_id, clinic_id)
	WHERE session_id IS NOT NULL;
COMMENT ON INDEX txplan.appointments_by_session IS 'The appointments for a session';
