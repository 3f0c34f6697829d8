-- earned.sql: the money that completed sessions earn, booked once each.
-- after: session

-- == extension ==

CREATE FUNCTION txplan.void_earned(
	entry_id uuid,
	reason text,
	clinic_id uuid DEFAULT NULL)
RETURNS uuid
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_void_earned';

COMMENT ON FUNCTION txplan.void_earned(uuid, text, uuid) IS
'Voids an earned entry: books its opposite, keeps both, and returns the new one''s id.

reason: why it was not earned, 1 to 10000 characters. The opposite is earned now,
by the same doctor. The session stays completed and counts as having earned
nothing. Publishes treatment_plan.updated. Needs INSERT on earned_entries, which
nobody has but the owner and those it is granted to.
Errors: 22004, 22001, P0002, TX004 for an entry that is void already or a void
itself, TX005 without a reason, 42501, TX008.';

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

COMMENT ON TABLE txplan.earned_entries IS 'What completed sessions earned: one entry each, and one more for each that was voided';
COMMENT ON COLUMN txplan.earned_entries.id IS 'The entry';
COMMENT ON COLUMN txplan.earned_entries.clinic_id IS 'The clinic of the plan';
COMMENT ON COLUMN txplan.earned_entries.patient_id IS 'The patient of the plan';
COMMENT ON COLUMN txplan.earned_entries.plan_id IS 'The plan';
COMMENT ON COLUMN txplan.earned_entries.item_id IS 'The item';
COMMENT ON COLUMN txplan.earned_entries.session_id IS 'The session whose completion earned it';
COMMENT ON COLUMN txplan.earned_entries.professional_id IS 'The doctor who was responsible for the item';
COMMENT ON COLUMN txplan.earned_entries.description IS 'The item''s description and the session''s label';
COMMENT ON COLUMN txplan.earned_entries.amount IS 'The session''s amount in the clinic''s currency; its opposite for a void';
COMMENT ON COLUMN txplan.earned_entries.earned_at IS 'When the session was completed, or the entry voided';
COMMENT ON COLUMN txplan.earned_entries.created_at IS 'When the transaction that booked it began';
COMMENT ON COLUMN txplan.earned_entries.updated_at IS 'As created_at: entries never change';
COMMENT ON CONSTRAINT earned_entries_pkey ON txplan.earned_entries IS 'An entry belongs to one clinic';
-- What later versions added.
ALTER TABLE txplan.earned_entries ADD COLUMN IF NOT EXISTS voids_id uuid;
ALTER TABLE txplan.earned_entries ADD COLUMN IF NOT EXISTS reason text;
COMMENT ON COLUMN txplan.earned_entries.voids_id IS 'The entry that this one voids; NULL for what a session earned';
COMMENT ON COLUMN txplan.earned_entries.reason IS 'Why it was voided, 1 to 10000 characters; of voids only';
-- Before there were voids, a constraint had the name of the index below.
IF EXISTS (SELECT FROM pg_catalog.pg_constraint AS k
		WHERE k.conrelid = 'txplan.earned_entries'::pg_catalog.regclass
			AND k.conname = 'earned_entries_once_per_session') THEN
	ALTER TABLE txplan.earned_entries
		DROP CONSTRAINT earned_entries_once_per_session,
		DROP CONSTRAINT IF EXISTS earned_entries_amount_in_range;
END IF;
-- One index for both, since sessions that go are looked up in it, too.
CREATE UNIQUE INDEX IF NOT EXISTS earned_entries_once_per_session
	ON txplan.earned_entries (session_id, clinic_id, (voids_id IS NULL));
COMMENT ON INDEX txplan.earned_entries_once_per_session IS 'A session earns once, and what it earned is voided once';
CREATE UNIQUE INDEX IF NOT EXISTS earned_entries_voided_once
	ON txplan.earned_entries (voids_id, clinic_id)
	WHERE voids_id IS NOT NULL;
COMMENT ON INDEX txplan.earned_entries_voided_once IS 'An entry is voided once';
PERFORM txplan.ensure_constraint('earned_entries', 'earned_entries_void_one',
	'FOREIGN KEY (voids_id, clinic_id) REFERENCES txplan.earned_entries (id, clinic_id)',
	'The entry that it voids is one of the same clinic, and stays');
PERFORM txplan.ensure_constraint('earned_entries', 'earned_entries_void_with_reason',
	'CHECK ((voids_id IS NULL) = (reason IS NULL) AND pg_catalog.char_length(reason) BETWEEN 1 AND 10000)',
	'A void, and no other entry, has a reason of 1 to 10000 characters');
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
	'CHECK (CASE WHEN voids_id IS NULL THEN amount BETWEEN 0 AND 9999999999.99 ELSE amount BETWEEN -9999999999.99 AND 0 END)',
	'An amount is a number: zero or more, of a void zero or less');
CREATE INDEX IF NOT EXISTS earned_entries_by_item
	ON txplan.earned_entries (item_id, clinic_id);
COMMENT ON INDEX txplan.earned_entries_by_item IS 'What an item has earned';
CREATE INDEX IF NOT EXISTS earned_entries_by_plan
	ON txplan.earned_entries (plan_id, clinic_id);
COMMENT ON INDEX txplan.earned_entries_by_plan IS 'What a plan has earned';

CREATE OR REPLACE VIEW txplan.earned_by_month WITH (security_invoker = true) AS
	SELECT e.clinic_id, e.professional_id, d.name AS professional_name, i.category_key,
		pg_catalog.date_trunc('month', e.earned_at AT TIME ZONE c.time_zone)::pg_catalog.date AS month,
		pg_catalog.count(*) AS entries, pg_catalog.sum(e.amount) AS amount
	FROM txplan.earned_entries AS e
	JOIN txplan.clinics AS c ON c.id = e.clinic_id
	JOIN txplan.items AS i ON i.id = e.item_id AND i.clinic_id = e.clinic_id
	LEFT JOIN txplan.professionals AS d ON d.id = e.professional_id AND d.clinic_id = e.clinic_id
	GROUP BY e.clinic_id, e.professional_id, d.name, i.category_key, 5;
COMMENT ON VIEW txplan.earned_by_month IS 'What was earned, by professional, category and month of the clinic''s calendar';
COMMENT ON COLUMN txplan.earned_by_month.clinic_id IS 'The clinic';
COMMENT ON COLUMN txplan.earned_by_month.professional_id IS 'The doctor who was responsible; NULL: none was';
COMMENT ON COLUMN txplan.earned_by_month.professional_name IS 'The doctor''s name as the clinic shows it';
COMMENT ON COLUMN txplan.earned_by_month.category_key IS 'Kind of treatment; NULL: none is given';
COMMENT ON COLUMN txplan.earned_by_month.month IS 'The first day of the month, in the clinic''s time zone';
COMMENT ON COLUMN txplan.earned_by_month.entries IS 'Entries of that month, voids among them';
COMMENT ON COLUMN txplan.earned_by_month.amount IS 'Their sum; a void takes off in the month in which it was made';

CREATE OR REPLACE TRIGGER earned_entries_engine_only
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.earned_entries
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.engine_only();
