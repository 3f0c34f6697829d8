-- contact.sql: when the front desk spoke with a patient about a plan.
-- after: plan

-- == record ==

CREATE TABLE IF NOT EXISTS txplan.contacts (
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	plan_id uuid NOT NULL,
	channel text NOT NULL,
	outcome text,
	note text,
	contacted_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	contacted_by text NOT NULL,
	next_contact_at timestamptz,
	corrects_id uuid,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT contacts_pkey PRIMARY KEY (id, clinic_id)
);
ALTER TABLE txplan.contacts ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.contacts IS 'Contacts with patients about their plans, append-only: a correction is a new row';
COMMENT ON COLUMN txplan.contacts.id IS 'The contact';
COMMENT ON COLUMN txplan.contacts.clinic_id IS 'The clinic of the plan';
COMMENT ON COLUMN txplan.contacts.plan_id IS 'The plan';
COMMENT ON COLUMN txplan.contacts.channel IS 'call, whatsapp, sms, email, in_person or other';
COMMENT ON COLUMN txplan.contacts.outcome IS 'What came of it, 1 to 200 characters; one of clinics.contact_outcomes where the clinic has such a list';
COMMENT ON COLUMN txplan.contacts.note IS 'What was said, at most 10000 characters';
COMMENT ON COLUMN txplan.contacts.contacted_at IS 'When; not in the future';
COMMENT ON COLUMN txplan.contacts.contacted_by IS 'Who did it: txplan.actor, else the session''s user';
COMMENT ON COLUMN txplan.contacts.next_contact_at IS 'When to contact the patient again';
COMMENT ON COLUMN txplan.contacts.corrects_id IS 'The contact of the same plan that this row corrects';
COMMENT ON COLUMN txplan.contacts.created_at IS 'When it was logged';
COMMENT ON COLUMN txplan.contacts.updated_at IS 'As created_at: contacts never change';
COMMENT ON CONSTRAINT contacts_pkey ON txplan.contacts IS 'A contact belongs to one clinic';
PERFORM txplan.ensure_constraint('contacts', 'contacts_of_a_plan',
	'FOREIGN KEY (plan_id, clinic_id) REFERENCES txplan.plans (id, clinic_id) ON DELETE CASCADE',
	'The plan is one of the same clinic');
PERFORM txplan.ensure_constraint('contacts', 'contacts_correct_one',
	'FOREIGN KEY (corrects_id, clinic_id) REFERENCES txplan.contacts (id, clinic_id) ON DELETE CASCADE',
	'The contact that it corrects is one of the same clinic');
PERFORM txplan.ensure_constraint('contacts', 'contacts_corrected_once',
	'UNIQUE (corrects_id, clinic_id)',
	'A contact is corrected once; then its correction can be corrected');
PERFORM txplan.ensure_constraint('contacts', 'contacts_channel_known',
	'CHECK (channel = ANY (ARRAY[''call'', ''whatsapp'', ''sms'', ''email'', ''in_person'', ''other'']))',
	'The channels of a contact');
PERFORM txplan.ensure_constraint('contacts', 'contacts_times_finite',
	'CHECK (pg_catalog.isfinite(contacted_at) AND pg_catalog.isfinite(next_contact_at))',
	'Times are finite');
PERFORM txplan.ensure_constraint('contacts', 'contacts_texts_length',
	'CHECK (pg_catalog.char_length(outcome) BETWEEN 1 AND 200 AND pg_catalog.char_length(note) <= 10000)',
	'Outcome 1 to 200, note at most 10000 characters');
CREATE INDEX IF NOT EXISTS contacts_by_plan
	ON txplan.contacts (plan_id, clinic_id, contacted_at);
COMMENT ON INDEX txplan.contacts_by_plan IS 'The contacts of a plan';
