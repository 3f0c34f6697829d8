-- earned.sql: the money that completed sessions earn, booked once each.
-- after: session

-- == record ==

CREATE TABLE IF NOT EXISTS txplan.earned_entries (
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	patient_id uuid NOT NULL,
	plan_id uuid NOT NULL,
	item_id uuid NOT NULL,
	session_id uuid NOT NULL,
	professional_id uuid,
	description text NOT NULL,
	amount numeric(12,2) NOT NULL,
	earned_at timestamptz NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT earned_entries_pkey PRIMARY KEY (id, clinic_id)
);
ALTER TABLE txplan.earned_entries ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.earned_entries IS 'What completed sessions earned: exactly one entry each';
COMMENT ON COLUMN txplan.earned_entries.id IS 'The entry';
COMMENT ON COLUMN txplan.earned_entries.clinic_id IS 'The clinic of the plan';
COMMENT ON COLUMN txplan.earned_entries.patient_id IS 'The patient of the plan';
COMMENT ON COLUMN txplan.earned_entries.plan_id IS 'The plan';
COMMENT ON COLUMN txplan.earned_entries.item_id IS 'The item';
COMMENT ON COLUMN txplan.earned_entries.session_id IS 'The session whose completion earned it';
COMMENT ON COLUMN txplan.earned_entries.professional_id IS 'The doctor who was responsible for the item';
COMMENT ON COLUMN txplan.earned_entries.description IS 'The item''s description and the session''s label';
COMMENT ON COLUMN txplan.earned_entries.amount IS 'The session''s amount in the clinic''s currency';
COMMENT ON COLUMN txplan.earned_entries.earned_at IS 'When the session was completed';
COMMENT ON COLUMN txplan.earned_entries.created_at IS 'When the transaction that booked it began';
COMMENT ON COLUMN txplan.earned_entries.updated_at IS 'As created_at: entries never change';
COMMENT ON CONSTRAINT earned_entries_pkey ON txplan.earned_entries IS 'An entry belongs to one clinic';
PERFORM txplan.ensure_constraint('earned_entries', 'earned_entries_once_per_session',
	'UNIQUE (session_id, clinic_id)',
	'A session earns once');
PERFORM txplan.ensure_constraint('earned_entries', 'earned_entries_of_a_patient',
	'FOREIGN KEY (patient_id, clinic_id) REFERENCES txplan.patients (id, clinic_id)',
	'The patient is one of the same clinic');
PERFORM txplan.ensure_constraint('earned_entries', 'earned_entries_of_a_plan',
	'FOREIGN KEY (plan_id, clinic_id) REFERENCES txplan.plans (id, clinic_id)',
	'The plan is one of the same clinic, and stays while it has entries');
PERFORM txplan.ensure_constraint('earned_entries', 'earned_entries_of_an_item',
	'FOREIGN KEY (item_id, clinic_id) REFERENCES txplan.items (id, clinic_id)',
	'The item is one of the same clinic, and stays while it has entries');
PERFORM txplan.ensure_constraint('earned_entries', 'earned_entries_of_a_session',
	'FOREIGN KEY (session_id, clinic_id) REFERENCES txplan.sessions (id, clinic_id)',
	'The session is one of the same clinic, and stays while it has entries');
PERFORM txplan.ensure_constraint('earned_entries', 'earned_entries_of_a_professional',
	'FOREIGN KEY (professional_id, clinic_id) REFERENCES txplan.professionals (id, clinic_id)',
	'The doctor is one of the same clinic');
PERFORM txplan.ensure_constraint('earned_entries', 'earned_entries_amount_in_range',
	'CHECK (amount BETWEEN 0 AND 9999999999.99)',
	'An amount is zero or more, and a number');
CREATE INDEX IF NOT EXISTS earned_entries_by_item
	ON txplan.earned_entries (item_id, clinic_id);
COMMENT ON INDEX txplan.earned_entries_by_item IS 'What an item has earned';
CREATE INDEX IF NOT EXISTS earned_entries_by_plan
	ON txplan.earned_entries (plan_id, clinic_id);
COMMENT ON INDEX txplan.earned_entries_by_plan IS 'What a plan has earned';

CREATE OR REPLACE TRIGGER earned_entries_engine_only
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.earned_entries
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.engine_only();
