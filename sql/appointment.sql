-- appointment.sql: when a patient comes, to whom and where.
-- after: session

-- == extension ==

CREATE FUNCTION txplan.appointments_check()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_appointments_check';

COMMENT ON FUNCTION txplan.appointments_check() IS
'Trigger: lets an appointment be booked, changed and ended only as its rules allow.

Fills in item and plan from what it is for, and locks the plan first. Errors:
P0002, TX001, TX002, TX004, TX007, TX010.';

CREATE FUNCTION txplan.appointments_settle()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_appointments_settle';

COMMENT ON FUNCTION txplan.appointments_settle() IS
'Trigger: closes and opens recalls, and tells the plans of their appointments.';

CREATE FUNCTION txplan.book_appointment(
	patient_id uuid,
	starts_at timestamptz,
	ends_at timestamptz,
	plan_id uuid DEFAULT NULL,
	item_id uuid DEFAULT NULL,
	session_id uuid DEFAULT NULL,
	professional_id uuid DEFAULT NULL,
	room text DEFAULT NULL,
	kind text DEFAULT NULL,
	note text DEFAULT NULL,
	recall_id uuid DEFAULT NULL,
	clinic_id uuid DEFAULT NULL)
RETURNS uuid
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_book_appointment';

COMMENT ON FUNCTION txplan.book_appointment(uuid, timestamptz, timestamptz, uuid, uuid, uuid, uuid, text, text, text, uuid, uuid) IS
'Books an appointment of a patient and returns its id.

ends_at: later than starts_at; the next one may begin then. session_id, item_id,
plan_id: what it is for; of them the narrowest is enough. professional_id: an
active professional; none is taken from the item. room, kind: 1 to 60
characters. note: at most 10000 characters. recall_id: a suggestion for the
patient, which the appointment closes. Publishes treatment_plan.updated when it
is for a plan.
Errors: 22004, 22001, 22008, 22023, 23P01 when the professional or the room is
taken then, P0002, TX002 for a plan in a final state, an archived patient or an
inactive professional, TX004 for a session, an item or a recall that has ended,
TX010 for what is another patient''s or clinic''s, or does not fit together,
42501, TX008.';

CREATE FUNCTION txplan.complete_appointment(
	appointment_id uuid,
	complete_session boolean DEFAULT false,
	note text DEFAULT NULL,
	clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_complete_appointment';

COMMENT ON FUNCTION txplan.complete_appointment(uuid, boolean, text, uuid) IS
'Completes an appointment, and the session that it was for when complete_session is true.

The session is the one that it names, else the only pending one of its item; it is
completed as by complete_session(), and an item that it finishes has
completed_via appointment. Returns the item''s status, NULL when no session was
completed. note: at most 10000 characters, kept with the session if one is
completed, else added to the appointment''s.
Errors: 22004, 22001, P0002, TX002 when nothing is treated in the plan''s state,
or no session is named, TX004 for an appointment or a session that has ended,
42501, TX008.';

CREATE FUNCTION txplan.cancel_appointment(
	appointment_id uuid,
	note text DEFAULT NULL,
	clinic_id uuid DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_cancel_appointment';

COMMENT ON FUNCTION txplan.cancel_appointment(uuid, text, uuid) IS
'Cancels an appointment: its time is free again, and the recall that it closed is open.

note: at most 10000 characters, added to the appointment''s.
Errors: 22004, 22001, P0002, TX004 for one that has ended, 42501, TX008.';

CREATE FUNCTION txplan.mark_no_show(
	appointment_id uuid,
	note text DEFAULT NULL,
	clinic_id uuid DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_mark_no_show';

COMMENT ON FUNCTION txplan.mark_no_show(uuid, text, uuid) IS
'Notes that a patient did not come to an appointment, as cancel_appointment().

Errors: as cancel_appointment().';

CREATE FUNCTION txplan.move_appointment(
	appointment_id uuid,
	starts_at timestamptz,
	ends_at timestamptz DEFAULT NULL,
	professional_id uuid DEFAULT NULL,
	room text DEFAULT NULL,
	clinic_id uuid DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_move_appointment';

COMMENT ON FUNCTION txplan.move_appointment(uuid, timestamptz, timestamptz, uuid, text, uuid) IS
'Moves a booked appointment to another time, professional or room.

ends_at: as long as before when NULL. professional_id, room: as before when NULL.
Errors: 22004, 22001, 22008, 22023, 23P01 when the professional or the room is
taken then, P0002, TX002 for an inactive professional, TX004 for one that has
ended, TX010, 42501, TX008.';

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
	recall_id uuid,
	created_by text NOT NULL,
	ended_at timestamptz,
	ended_by text,
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
COMMENT ON COLUMN txplan.appointments.recall_id IS 'The recall suggestion for which it was booked; it closes it while booked or completed';
COMMENT ON COLUMN txplan.appointments.created_by IS 'Who booked it: txplan.actor, else the session''s user';
COMMENT ON COLUMN txplan.appointments.ended_at IS 'When it was completed, cancelled or marked as no-show';
COMMENT ON COLUMN txplan.appointments.ended_by IS 'Who did that: txplan.actor, else the session''s user';
COMMENT ON COLUMN txplan.appointments.created_at IS 'When it was booked';
COMMENT ON COLUMN txplan.appointments.updated_at IS 'When it was last changed';
COMMENT ON CONSTRAINT appointments_pkey ON txplan.appointments IS 'An appointment belongs to one clinic';
PERFORM txplan.ensure_constraint('appointments', 'appointments_of_a_clinic',
	'FOREIGN KEY (clinic_id) REFERENCES txplan.clinics (id)',
	'The clinic exists');
PERFORM txplan.ensure_constraint('appointments', 'appointments_of_a_patient',
	'FOREIGN KEY (patient_id, clinic_id) REFERENCES txplan.patients (id, clinic_id)',
	'The patient is one of the same clinic');
-- Deferred, since a deleted plan takes item and session along, and until all three
-- are NULL one of them is missing.
PERFORM txplan.ensure_constraint('appointments', 'appointments_of_a_plan',
	'FOREIGN KEY (plan_id, clinic_id) REFERENCES txplan.plans (id, clinic_id) ON DELETE SET NULL (plan_id) DEFERRABLE INITIALLY DEFERRED',
	'The plan is one of the same clinic');
PERFORM txplan.ensure_constraint('appointments', 'appointments_of_an_item',
	'FOREIGN KEY (item_id, clinic_id) REFERENCES txplan.items (id, clinic_id) ON DELETE SET NULL (item_id) DEFERRABLE INITIALLY DEFERRED',
	'The item is one of the same clinic');
PERFORM txplan.ensure_constraint('appointments', 'appointments_of_a_session',
	'FOREIGN KEY (session_id, clinic_id) REFERENCES txplan.sessions (id, clinic_id) ON DELETE SET NULL (session_id) DEFERRABLE INITIALLY DEFERRED',
	'The session is one of the same clinic');
PERFORM txplan.ensure_constraint('appointments', 'appointments_of_a_professional',
	'FOREIGN KEY (professional_id, clinic_id) REFERENCES txplan.professionals (id, clinic_id)',
	'The professional is one of the same clinic');
PERFORM txplan.ensure_constraint('appointments', 'appointments_status_known',
	'CHECK (status = ANY (ARRAY[''booked'', ''completed'', ''cancelled'', ''no_show'']))',
	'An appointment is booked, completed, cancelled or no_show');
PERFORM txplan.ensure_constraint('appointments', 'appointments_ended_with_time',
	'CHECK ((status = ''booked'') = (ended_at IS NULL) AND (ended_at IS NULL) = (ended_by IS NULL))',
	'One that is no longer booked, and no other, says when it ended and by whom');
PERFORM txplan.ensure_constraint('appointments', 'appointments_end_after_start',
	'CHECK (pg_catalog.isfinite(starts_at) AND pg_catalog.isfinite(ends_at) AND starts_at < ends_at)',
	'An appointment ends after it begins, and both are finite');
PERFORM txplan.ensure_constraint('appointments', 'appointments_texts_length',
	'CHECK (pg_catalog.char_length(kind) BETWEEN 1 AND 60 AND pg_catalog.char_length(room) BETWEEN 1 AND 60 AND pg_catalog.char_length(note) <= 10000)',
	'Kind and room 1 to 60, note at most 10000 characters');
-- That nothing is taken twice at a time is kept by an index over spans of time and
-- ids, for which PostgreSQL brings an extension of its own.
IF NOT EXISTS (SELECT FROM pg_catalog.pg_extension AS e WHERE e.extname = 'btree_gist') THEN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_available_extensions AS e WHERE e.name = 'btree_gist') THEN
		RAISE EXCEPTION 'the record needs the extension btree_gist, which this server does not have'
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'It keeps appointments from taking a professional or a room twice at a time.',
				HINT = 'Install PostgreSQL''s own extensions (package postgresql-contrib on many systems), then run SELECT txplan.install() again.';
	END IF;
	BEGIN
		IF EXISTS (SELECT FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'public') THEN
			CREATE EXTENSION btree_gist SCHEMA public;
		ELSE
			CREATE EXTENSION btree_gist SCHEMA txplan;
		END IF;
	EXCEPTION WHEN insufficient_privilege THEN
		RAISE EXCEPTION 'the record needs the extension btree_gist, which % may not create', CURRENT_USER
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = 'It keeps appointments from taking a professional or a room twice at a time.',
				HINT = 'Let the owner of the database run CREATE EXTENSION btree_gist, then run SELECT txplan.install() again.';
	END;
END IF;
PERFORM txplan.ensure_constraint('appointments', 'appointments_professional_once_at_a_time',
	'EXCLUDE USING gist (clinic_id WITH =, professional_id WITH =, pg_catalog.tstzrange(starts_at, ends_at) WITH &&) WHERE (status = ANY (ARRAY[''booked'', ''completed'']))',
	'A professional is at one appointment at a time');
PERFORM txplan.ensure_constraint('appointments', 'appointments_room_once_at_a_time',
	'EXCLUDE USING gist (clinic_id WITH =, room WITH =, pg_catalog.tstzrange(starts_at, ends_at) WITH &&) WHERE (status = ANY (ARRAY[''booked'', ''completed'']))',
	'A room has one appointment at a time');
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

CREATE OR REPLACE TRIGGER appointments_check
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.appointments
	FOR EACH ROW EXECUTE FUNCTION txplan.appointments_check();
CREATE OR REPLACE TRIGGER appointments_inserted
	AFTER INSERT ON txplan.appointments
	REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.appointments_settle();
CREATE OR REPLACE TRIGGER appointments_updated
	AFTER UPDATE ON txplan.appointments
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.appointments_settle();
