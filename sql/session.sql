-- session.sql: the sessions in which an item is treated, and what completing them books.
-- after: item

-- == extension ==

CREATE FUNCTION txplan.sessions_check()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_sessions_check';

COMMENT ON FUNCTION txplan.sessions_check() IS
'Trigger: lets a session be added, completed, cancelled, changed and deleted only as its rules allow.

Locks the plan first. Errors: TX002, TX004, TX007, TX010, P0002.';

CREATE FUNCTION txplan.sessions_settle()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_sessions_settle';

COMMENT ON FUNCTION txplan.sessions_settle() IS
'Trigger: books what was earned, counts sessions, finishes items and publishes what happened.';

CREATE FUNCTION txplan.add_session(
	item_id uuid,
	label text,
	amount numeric,
	clinic_id uuid DEFAULT NULL)
RETURNS uuid
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_add_session';

COMMENT ON FUNCTION txplan.add_session(uuid, text, numeric, uuid) IS
'Adds a session at the end of a pending item and returns its id.

label: 1 to 200 characters. amount: 0 to 9999999999.99, at most two decimals;
the item''s price rises by it. Publishes treatment_plan.updated.
Errors: 22004, 22001, 22003, 22023, P0002, TX002 for a state that lets items not
be edited, TX004 for an item that is completed or cancelled, 42501 without the
tables'' privileges, TX008.';

CREATE FUNCTION txplan.complete_session(
	session_id uuid,
	note text DEFAULT NULL,
	clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_complete_session';

COMMENT ON FUNCTION txplan.complete_session(uuid, text, uuid) IS
'Completes a session and returns the item''s status.

note: at most 10000 characters, kept with the session. Books one earned entry.
Publishes treatment_plan.item_session_completed and, with the item''s last session,
treatment_completed, and what follows for the plan.
Errors: 22004, 22001, P0002, TX002 for a state in which nothing is treated, TX004
for a session that is completed or cancelled, 42501 without the tables''
privileges, TX008.';

CREATE FUNCTION txplan.cancel_session(
	session_id uuid,
	note text DEFAULT NULL,
	clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_cancel_session';

COMMENT ON FUNCTION txplan.cancel_session(uuid, text, uuid) IS
'Cancels a session, of which nothing is booked, and returns the item''s status.

Publishes treatment_plan.item_session_cancelled and, with the item''s last
session, treatment_completed or treatment_cancelled.
Errors: as complete_session().';

CREATE FUNCTION txplan.complete_item(
	item_id uuid,
	note text DEFAULT NULL,
	clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_complete_item';

COMMENT ON FUNCTION txplan.complete_item(uuid, text, uuid) IS
'Completes every pending session of an item, in their order, and returns the item''s status.

note: at most 10000 characters, kept with each of these sessions.
Errors: 22004, 22001, P0002, TX002 for a state in which nothing is treated, TX004
for an item that is completed or cancelled, 42501 without the tables'' privileges,
TX008.';

CREATE FUNCTION txplan.record_performed(
	item_id uuid,
	note text DEFAULT NULL,
	clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_record_performed';

COMMENT ON FUNCTION txplan.record_performed(uuid, text, uuid) IS
'Records that an item was performed outside the plan, and returns its status.

As complete_item(), with completed_via performed. Errors: as complete_item().';

-- == record ==

CREATE TABLE IF NOT EXISTS txplan.sessions (
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	plan_id uuid NOT NULL,
	item_id uuid NOT NULL,
	sequence integer NOT NULL,
	label text,
	amount numeric(12,2) NOT NULL,
	status text NOT NULL DEFAULT 'pending',
	completed_at timestamptz,
	completed_by text,
	cancelled_at timestamptz,
	note text,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT sessions_pkey PRIMARY KEY (id, clinic_id)
) WITH (fillfactor = 85);
ALTER TABLE txplan.sessions ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.sessions IS 'The sessions of the items';
COMMENT ON COLUMN txplan.sessions.id IS 'The session';
COMMENT ON COLUMN txplan.sessions.clinic_id IS 'The clinic of the plan';
COMMENT ON COLUMN txplan.sessions.plan_id IS 'The plan of the item';
COMMENT ON COLUMN txplan.sessions.item_id IS 'The item; it never changes';
COMMENT ON COLUMN txplan.sessions.sequence IS 'Place in the item, from 1; a new session comes last';
COMMENT ON COLUMN txplan.sessions.label IS 'What is done in it';
COMMENT ON COLUMN txplan.sessions.amount IS 'Share of the item''s price that completing it earns';
COMMENT ON COLUMN txplan.sessions.status IS 'pending, completed or cancelled; the last two are final';
COMMENT ON COLUMN txplan.sessions.completed_at IS 'When it was completed';
COMMENT ON COLUMN txplan.sessions.completed_by IS 'Who completed it, which need not be the doctor';
COMMENT ON COLUMN txplan.sessions.cancelled_at IS 'When it was cancelled';
COMMENT ON COLUMN txplan.sessions.note IS 'The note given with it, at most 10000 characters';
COMMENT ON COLUMN txplan.sessions.created_at IS 'When it was made';
COMMENT ON COLUMN txplan.sessions.updated_at IS 'When it was last changed';
COMMENT ON CONSTRAINT sessions_pkey ON txplan.sessions IS 'A session belongs to one clinic';
PERFORM txplan.ensure_constraint('sessions', 'sessions_sequence_unique_per_item',
	'UNIQUE (item_id, sequence, clinic_id) DEFERRABLE INITIALLY IMMEDIATE',
	'No two sessions of an item stand at one place');
PERFORM txplan.ensure_constraint('sessions', 'sessions_of_an_item',
	'FOREIGN KEY (item_id, clinic_id) REFERENCES txplan.items (id, clinic_id) ON DELETE CASCADE',
	'The item is one of the same clinic');
PERFORM txplan.ensure_constraint('sessions', 'sessions_status_known',
	'CHECK (status = ''pending'' OR status = ''completed'' OR status = ''cancelled'')',
	'A session is pending, completed or cancelled');
PERFORM txplan.ensure_constraint('sessions', 'sessions_final_with_time',
	'CHECK ((status = ''completed'') = (completed_at IS NOT NULL) AND (completed_at IS NULL) = (completed_by IS NULL) AND (status = ''cancelled'') = (cancelled_at IS NOT NULL))',
	'A final session, and no other, says when it ended');
PERFORM txplan.ensure_constraint('sessions', 'sessions_sequence_in_range',
	'CHECK (sequence BETWEEN 1 AND 1000000)',
	'Counting begins at one and ends at a million');
PERFORM txplan.ensure_constraint('sessions', 'sessions_amount_in_range',
	'CHECK (amount BETWEEN 0 AND 9999999999.99)',
	'An amount is zero or more, and a number');
PERFORM txplan.ensure_constraint('sessions', 'sessions_texts_length',
	'CHECK (pg_catalog.char_length(label) BETWEEN 1 AND 200 AND pg_catalog.char_length(note) <= 10000)',
	'Label 1 to 200, note at most 10000 characters');

CREATE OR REPLACE TRIGGER sessions_check
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.sessions
	FOR EACH ROW EXECUTE FUNCTION txplan.sessions_check();
CREATE OR REPLACE TRIGGER sessions_inserted
	AFTER INSERT ON txplan.sessions
	REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.sessions_settle();
CREATE OR REPLACE TRIGGER sessions_updated
	AFTER UPDATE ON txplan.sessions
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.sessions_settle();
CREATE OR REPLACE TRIGGER sessions_deleted
	AFTER DELETE ON txplan.sessions
	REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.sessions_settle();
