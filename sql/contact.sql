-- contact.sql: when the front desk spoke with a patient about a plan.
-- after: plan

-- == extension ==

CREATE FUNCTION txplan.contacts_check()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_contacts_check';

COMMENT ON FUNCTION txplan.contacts_check() IS
'Trigger: lets a contact be logged as its rules allow, and never be changed.

Locks the plan first. Errors: 22008, 22023, TX004, TX007, TX010, P0002.';

CREATE FUNCTION txplan.contacts_settle()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_contacts_settle';

COMMENT ON FUNCTION txplan.contacts_settle() IS
'Trigger: writes to the plan when its patient was last contacted, and publishes the contact.';

CREATE FUNCTION txplan.log_contact(
	plan_id uuid,
	channel text,
	outcome text DEFAULT NULL,
	note text DEFAULT NULL,
	next_contact_at timestamptz DEFAULT NULL,
	corrects_id uuid DEFAULT NULL,
	contacted_at timestamptz DEFAULT NULL,
	clinic_id uuid DEFAULT NULL)
RETURNS uuid
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_log_contact';

COMMENT ON FUNCTION txplan.log_contact(uuid, text, text, text, timestamptz, uuid, timestamptz, uuid) IS
'Logs a contact with the patient about a plan and returns its id.

channel: call, whatsapp, sms, email, in_person or other. outcome: 1 to 200
characters; one of clinics.contact_outcomes where the clinic has such a list.
note: at most 10000 characters. next_contact_at: when to contact the patient
again. corrects_id: a contact of the same plan that this one corrects.
contacted_at: when it was, not in the future; now when NULL. A plan takes
contacts in any state, locked or not. Publishes treatment_plan.contact_logged.
Errors: 22004, 22001, 22008 for a time that is infinite or in the future, 22023
for another channel or outcome, P0002, TX004 for a contact that is corrected
already, TX010 for one of another plan, 42501 without the tables'' privileges,
TX008.';

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
	'CHECK (pg_catalog.isfinite(contacted_at) AND pg_catalog.isfinite(next_contact_at) AND pg_catalog.isfinite(created_at))',
	'Times are finite');
PERFORM txplan.ensure_constraint('contacts', 'contacts_texts_length',
	'CHECK (pg_catalog.char_length(outcome) BETWEEN 1 AND 200 AND pg_catalog.char_length(note) <= 10000)',
	'Outcome 1 to 200, note at most 10000 characters');
CREATE INDEX IF NOT EXISTS contacts_by_plan
	ON txplan.contacts (plan_id, clinic_id, contacted_at);
COMMENT ON INDEX txplan.contacts_by_plan IS 'The contacts of a plan';

CREATE OR REPLACE TRIGGER contacts_check
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.contacts
	FOR EACH ROW EXECUTE FUNCTION txplan.contacts_check();
CREATE OR REPLACE TRIGGER contacts_inserted
	AFTER INSERT ON txplan.contacts
	REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.contacts_settle();
