-- recall.sql: when a treated patient should come again.
-- after: appointment

-- == extension ==

CREATE FUNCTION txplan.recall_rules_changed()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_recall_rules_changed';

COMMENT ON FUNCTION txplan.recall_rules_changed() IS
'Trigger: tells every session to read the recall rules again once this commits.';

CREATE FUNCTION txplan.recall_suggestions_check()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_recall_suggestions_check';

COMMENT ON FUNCTION txplan.recall_suggestions_check() IS
'Trigger: only the engine writes recall suggestions (TX007); they go with their items.';

-- == record ==

-- The rules are shipped with their table, or with the record when only its schema was
-- restored; what a DBA makes of them afterwards stays.
IF pg_catalog.to_regclass('txplan.recall_rules') IS NULL
	OR NOT EXISTS (SELECT FROM txplan.record_versions) THEN
	CREATE TABLE IF NOT EXISTS txplan.recall_rules (
		category_key text NOT NULL,
		reason text NOT NULL,
		months integer NOT NULL,
		CONSTRAINT recall_rules_pkey PRIMARY KEY (category_key)
	);
	INSERT INTO txplan.recall_rules (category_key, reason, months)
	VALUES
		('preventive', 'hygiene', 6),
		('diagnosis', 'checkup', 12),
		('orthodontics', 'ortho review', 1),
		('implants', 'implant review', 6),
		('surgery', 'post-op', 1)
	ON CONFLICT DO NOTHING;
END IF;
COMMENT ON TABLE txplan.recall_rules IS 'After which treatments a patient should come again, shared by all clinics';
COMMENT ON COLUMN txplan.recall_rules.category_key IS 'Kind of treatment, as items.category_key has it';
COMMENT ON COLUMN txplan.recall_rules.reason IS 'What for, 1 to 60 characters';
COMMENT ON COLUMN txplan.recall_rules.months IS 'How many months later, 1 to 120';
COMMENT ON CONSTRAINT recall_rules_pkey ON txplan.recall_rules IS 'A kind of treatment has one rule';
PERFORM txplan.ensure_constraint('recall_rules', 'recall_rules_in_range',
	'CHECK (months BETWEEN 1 AND 120 AND pg_catalog.char_length(category_key) BETWEEN 1 AND 60 AND pg_catalog.char_length(reason) BETWEEN 1 AND 60)',
	'1 to 120 months, texts of 1 to 60 characters');

CREATE TABLE IF NOT EXISTS txplan.recall_suggestions (
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	patient_id uuid NOT NULL,
	item_id uuid NOT NULL,
	category_key text NOT NULL,
	reason text NOT NULL,
	due_on date NOT NULL,
	closed_at timestamptz,
	appointment_id uuid,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT recall_suggestions_pkey PRIMARY KEY (id, clinic_id)
);
ALTER TABLE txplan.recall_suggestions ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.recall_suggestions IS 'Patients who should come again, and when: one for each completed item that a rule names';
COMMENT ON COLUMN txplan.recall_suggestions.id IS 'The suggestion';
COMMENT ON COLUMN txplan.recall_suggestions.clinic_id IS 'The clinic of the item';
COMMENT ON COLUMN txplan.recall_suggestions.patient_id IS 'The patient';
COMMENT ON COLUMN txplan.recall_suggestions.item_id IS 'The completed item';
COMMENT ON COLUMN txplan.recall_suggestions.category_key IS 'Kind of treatment, as the item had it';
COMMENT ON COLUMN txplan.recall_suggestions.reason IS 'What for, as the rule had it';
COMMENT ON COLUMN txplan.recall_suggestions.due_on IS 'The day, in the clinic''s calendar';
COMMENT ON COLUMN txplan.recall_suggestions.closed_at IS 'When an appointment closed it';
COMMENT ON COLUMN txplan.recall_suggestions.appointment_id IS 'The appointment that closed it';
COMMENT ON COLUMN txplan.recall_suggestions.created_at IS 'When it was made';
COMMENT ON COLUMN txplan.recall_suggestions.updated_at IS 'When it was last changed';
COMMENT ON CONSTRAINT recall_suggestions_pkey ON txplan.recall_suggestions IS 'A suggestion belongs to one clinic';
PERFORM txplan.ensure_constraint('recall_suggestions', 'recall_suggestions_once_per_item',
	'UNIQUE (item_id, clinic_id)',
	'An item is followed by one suggestion');
PERFORM txplan.ensure_constraint('recall_suggestions', 'recall_suggestions_of_an_item',
	'FOREIGN KEY (item_id, clinic_id) REFERENCES txplan.items (id, clinic_id) ON DELETE CASCADE',
	'The item is one of the same clinic; the suggestion goes with it');
PERFORM txplan.ensure_constraint('recall_suggestions', 'recall_suggestions_of_a_patient',
	'FOREIGN KEY (patient_id, clinic_id) REFERENCES txplan.patients (id, clinic_id)',
	'The patient is one of the same clinic');
PERFORM txplan.ensure_constraint('recall_suggestions', 'recall_suggestions_closed_by_an_appointment',
	'FOREIGN KEY (appointment_id, clinic_id) REFERENCES txplan.appointments (id, clinic_id)',
	'The appointment is one of the same clinic');
PERFORM txplan.ensure_constraint('recall_suggestions', 'recall_suggestions_closed_with_time',
	'CHECK ((closed_at IS NULL) = (appointment_id IS NULL))',
	'What is closed names the appointment that closed it');
CREATE INDEX IF NOT EXISTS recall_suggestions_by_patient
	ON txplan.recall_suggestions (patient_id, clinic_id)
	WHERE closed_at IS NULL;
COMMENT ON INDEX txplan.recall_suggestions_by_patient IS 'What is open for a patient';
CREATE INDEX IF NOT EXISTS recall_suggestions_due
	ON txplan.recall_suggestions (clinic_id, due_on)
	WHERE closed_at IS NULL;
COMMENT ON INDEX txplan.recall_suggestions_due IS 'What is due in a clinic';
PERFORM txplan.ensure_constraint('appointments', 'appointments_of_a_recall',
	'FOREIGN KEY (recall_id, clinic_id) REFERENCES txplan.recall_suggestions (id, clinic_id) ON DELETE SET NULL (recall_id)',
	'The recall suggestion is one of the same clinic');
CREATE INDEX IF NOT EXISTS appointments_by_recall
	ON txplan.appointments (recall_id, clinic_id)
	WHERE recall_id IS NOT NULL;
COMMENT ON INDEX txplan.appointments_by_recall IS 'The appointments that were booked for a recall suggestion';

CREATE OR REPLACE TRIGGER recall_rules_changed
	AFTER INSERT OR UPDATE OR DELETE ON txplan.recall_rules
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.recall_rules_changed();
CREATE OR REPLACE TRIGGER recall_suggestions_check
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.recall_suggestions
	FOR EACH ROW EXECUTE FUNCTION txplan.recall_suggestions_check();
