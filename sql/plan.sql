-- plan.sql: the treatment plan, its number, its counters and its lock.
-- after: registry, workflow, event, history

-- == extension ==

CREATE FUNCTION txplan.plans_check()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_plans_check';

COMMENT ON FUNCTION txplan.plans_check() IS
'Trigger: lets a plan be made, changed and deleted only as its rules allow.

Numbers it, moves it along its workflow, sets its time stamps, version and
history. Errors: TX001, TX002, TX004 also for the id of a deleted plan, TX005,
TX006, TX007, TX010, P0002.';

CREATE FUNCTION txplan.plans_settle()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_plans_settle';

COMMENT ON FUNCTION txplan.plans_settle() IS
'Trigger: publishes what a statement did to plans, and lets them advance.';

CREATE FUNCTION txplan.create_plan(
	clinic_id uuid,
	patient_id uuid,
	professional_id uuid DEFAULT NULL,
	title text DEFAULT NULL,
	workflow text DEFAULT NULL)
RETURNS uuid
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_create_plan';

COMMENT ON FUNCTION txplan.create_plan(uuid, uuid, uuid, text, text) IS
'Creates a plan in its workflow''s initial state and returns its id.

professional_id: the plan''s doctor, an active professional of the clinic.
title: 1 to 500 characters. workflow: dental when NULL.
Publishes treatment_plan.created.
Errors: 22004, 22001, 22023 for an empty title, P0002 for an unknown clinic,
patient, professional or workflow, TX001 for a workflow without initial state,
TX002 for an archived patient or an inactive professional, TX010 for a patient or
professional of another clinic, 42501 without the tables'' privileges, TX008
before install().';

CREATE FUNCTION txplan.lock_plan(
	plan_id uuid,
	version bigint DEFAULT NULL,
	clinic_id uuid DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_lock_plan';

COMMENT ON FUNCTION txplan.lock_plan(uuid, bigint, uuid) IS
'Locks a plan until the transaction ends, so that nobody else changes it or anything below it.

version: the plans.version that the caller read; NULL takes any.
Errors: 22004, P0002 for an unknown plan, TX006 when the plan has moved past that
version, TX008 before install(), 40001 at repeatable read when the plan has
changed since the transaction began.';

-- == record ==

CREATE TABLE IF NOT EXISTS txplan.number_counters (
	clinic_id uuid NOT NULL,
	kind text NOT NULL,
	year integer NOT NULL,
	last_number bigint NOT NULL,
	CONSTRAINT number_counters_pkey PRIMARY KEY (clinic_id, kind, year)
);
COMMENT ON TABLE txplan.number_counters IS 'The last number issued of each kind, for each clinic and year';
COMMENT ON COLUMN txplan.number_counters.clinic_id IS 'The clinic';
COMMENT ON COLUMN txplan.number_counters.kind IS 'What is numbered: plan or budget';
COMMENT ON COLUMN txplan.number_counters.year IS 'The year in the clinic''s time zone';
COMMENT ON COLUMN txplan.number_counters.last_number IS 'The last number issued';
COMMENT ON CONSTRAINT number_counters_pkey ON txplan.number_counters IS 'One count for each clinic, kind and year';
PERFORM txplan.ensure_constraint('number_counters', 'number_counters_of_a_clinic',
	'FOREIGN KEY (clinic_id) REFERENCES txplan.clinics (id)',
	'The clinic exists');
ALTER TABLE txplan.number_counters DROP CONSTRAINT IF EXISTS number_counters_kind_known;
PERFORM txplan.ensure_constraint('number_counters', 'number_counters_kinds',
	'CHECK (kind = ''plan'' OR kind = ''budget'')',
	'What can be numbered');
PERFORM txplan.ensure_constraint('number_counters', 'number_counters_count_from_zero',
	'CHECK (last_number >= 0)',
	'Counting begins at zero');

CREATE TABLE IF NOT EXISTS txplan.plans (
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	number text NOT NULL,
	workflow text NOT NULL DEFAULT 'dental',
	status text NOT NULL,
	patient_id uuid NOT NULL,
	professional_id uuid,
	title text,
	diagnosis_notes text,
	internal_notes text,
	closure_reason text,
	closure_note text,
	confirmed_at timestamptz,
	activated_at timestamptz,
	completed_at timestamptz,
	closed_at timestamptz,
	status_changed_at timestamptz NOT NULL,
	last_contact_at timestamptz,
	items_total integer NOT NULL DEFAULT 0,
	items_completed integer NOT NULL DEFAULT 0,
	items_cancelled integer NOT NULL DEFAULT 0,
	version bigint NOT NULL DEFAULT 0,
	history_length bigint NOT NULL DEFAULT 0,
	history_head bytea,
	created_by text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT plans_pkey PRIMARY KEY (id, clinic_id)
) WITH (fillfactor = 80);
ALTER TABLE txplan.plans ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.plans IS 'The treatment plans';
COMMENT ON COLUMN txplan.plans.id IS 'The plan';
COMMENT ON COLUMN txplan.plans.clinic_id IS 'The clinic; it never changes';
COMMENT ON COLUMN txplan.plans.number IS 'Number for people, unique in the clinic; the engine issues it';
COMMENT ON COLUMN txplan.plans.workflow IS 'The workflow that it follows; it never changes';
COMMENT ON COLUMN txplan.plans.status IS 'The state of the workflow that it is in';
COMMENT ON COLUMN txplan.plans.patient_id IS 'The patient; it never changes';
COMMENT ON COLUMN txplan.plans.professional_id IS 'The plan''s doctor, whom new items inherit';
COMMENT ON COLUMN txplan.plans.title IS 'Title, 1 to 500 characters';
COMMENT ON COLUMN txplan.plans.diagnosis_notes IS 'What was found, at most 100000 characters';
COMMENT ON COLUMN txplan.plans.internal_notes IS 'Notes of the clinic, not for the patient, at most 100000 characters';
COMMENT ON COLUMN txplan.plans.closure_reason IS 'Why it was closed; given together with the closing status';
COMMENT ON COLUMN txplan.plans.closure_note IS 'What was said when it was closed, at most 10000 characters';
COMMENT ON COLUMN txplan.plans.confirmed_at IS 'When it left its initial state for an open one; empty again when it goes back there';
COMMENT ON COLUMN txplan.plans.activated_at IS 'When it first came to a treatable state since its initial one';
COMMENT ON COLUMN txplan.plans.completed_at IS 'When it came to a final state that is no closing';
COMMENT ON COLUMN txplan.plans.closed_at IS 'When it was closed; empty again when it leaves the final state';
COMMENT ON COLUMN txplan.plans.status_changed_at IS 'When it came to its state';
COMMENT ON COLUMN txplan.plans.last_contact_at IS 'When the patient was last contacted about it';
COMMENT ON COLUMN txplan.plans.items_total IS 'Items of the plan, the cancelled ones too';
COMMENT ON COLUMN txplan.plans.items_completed IS 'Items that are completed';
COMMENT ON COLUMN txplan.plans.items_cancelled IS 'Items that are cancelled';
COMMENT ON COLUMN txplan.plans.version IS 'The number of its last event; it rises by one with each';
COMMENT ON COLUMN txplan.plans.history_length IS 'Rows in its chain of history';
COMMENT ON COLUMN txplan.plans.history_head IS 'Hash of the last row of its chain of history';
COMMENT ON COLUMN txplan.plans.created_by IS 'Who made it: txplan.actor, else the session''s user';
COMMENT ON COLUMN txplan.plans.created_at IS 'When it was made';
COMMENT ON COLUMN txplan.plans.updated_at IS 'When it or anything below it was last changed';
COMMENT ON CONSTRAINT plans_pkey ON txplan.plans IS 'A plan belongs to one clinic';
-- What later versions added.
ALTER TABLE txplan.plans ADD COLUMN IF NOT EXISTS budget_id uuid;
ALTER TABLE txplan.plans ADD COLUMN IF NOT EXISTS budget_status text;
ALTER TABLE txplan.plans ADD COLUMN IF NOT EXISTS next_contact_at timestamptz;
ALTER TABLE txplan.plans ADD COLUMN IF NOT EXISTS stage text;
ALTER TABLE txplan.plans ADD COLUMN IF NOT EXISTS search_text text;
ALTER TABLE txplan.plans ADD COLUMN IF NOT EXISTS professional_ids uuid[];
COMMENT ON COLUMN txplan.plans.budget_id IS 'The budget that is live, else the last that was';
COMMENT ON COLUMN txplan.plans.budget_status IS 'The status of that budget; sent or accepted locks the plan';
COMMENT ON COLUMN txplan.plans.next_contact_at IS 'When to contact the patient again, as the latest contact says';
COMMENT ON COLUMN txplan.plans.stage IS 'draft, pending, active, completed or closed: what its status means in any workflow';
COMMENT ON COLUMN txplan.plans.search_text IS 'What it is found by: its number and that of its budget, as fold_text() has them';
COMMENT ON COLUMN txplan.plans.professional_ids IS 'Who is involved: its doctor and those of its items that are not cancelled, each once; NULL when nobody is';
PERFORM txplan.ensure_constraint('plans', 'plans_number_unique_per_clinic',
	'UNIQUE (clinic_id, number)',
	'A number means one plan of the clinic');
PERFORM txplan.ensure_constraint('plans', 'plans_of_a_clinic',
	'FOREIGN KEY (clinic_id) REFERENCES txplan.clinics (id)',
	'The clinic exists');
PERFORM txplan.ensure_constraint('plans', 'plans_in_a_state_of_the_workflow',
	'FOREIGN KEY (workflow, status) REFERENCES txplan.workflow_states (workflow, state)',
	'The state is one of the workflow, which cannot lose it meanwhile');
PERFORM txplan.ensure_constraint('plans', 'plans_of_a_patient',
	'FOREIGN KEY (patient_id, clinic_id) REFERENCES txplan.patients (id, clinic_id)',
	'The patient is one of the same clinic');
PERFORM txplan.ensure_constraint('plans', 'plans_of_a_professional',
	'FOREIGN KEY (professional_id, clinic_id) REFERENCES txplan.professionals (id, clinic_id)',
	'The doctor is one of the same clinic');
PERFORM txplan.ensure_constraint('plans', 'plans_texts_length',
	'CHECK (pg_catalog.char_length(title) BETWEEN 1 AND 500 AND pg_catalog.char_length(diagnosis_notes) <= 100000 AND pg_catalog.char_length(internal_notes) <= 100000 AND pg_catalog.char_length(closure_note) <= 10000)',
	'Title 1 to 500, notes at most 100000, closure note at most 10000 characters');
PERFORM txplan.ensure_constraint('plans', 'plans_closed_with_time',
	'CHECK (closed_at IS NOT NULL OR (closure_reason IS NULL AND closure_note IS NULL))',
	'Only a closed plan has a closure reason and note');
PERFORM txplan.ensure_constraint('plans', 'plans_counters_fit',
	'CHECK (items_completed >= 0 AND items_cancelled >= 0 AND items_completed + items_cancelled <= items_total)',
	'Completed and cancelled items are items');
PERFORM txplan.ensure_constraint('plans', 'plans_history_head_is_sha256',
	'CHECK (history_length >= 0 AND (history_length = 0) = (history_head IS NULL) AND pg_catalog.octet_length(history_head) = 32)',
	'A chain that has rows has a head of 32 bytes');
PERFORM txplan.ensure_constraint('plans', 'plans_stage_known',
	'CHECK (stage = ANY (ARRAY[''draft'', ''pending'', ''active'', ''completed'', ''closed'']))',
	'A plan is draft, pending, active, completed or closed');
CREATE INDEX IF NOT EXISTS plans_by_clinic_and_status
	ON txplan.plans (clinic_id, status, status_changed_at);
COMMENT ON INDEX txplan.plans_by_clinic_and_status IS 'A clinic''s plans by state';
CREATE INDEX IF NOT EXISTS plans_by_patient
	ON txplan.plans (patient_id, clinic_id);
COMMENT ON INDEX txplan.plans_by_patient IS 'A patient''s plans';

CREATE OR REPLACE TRIGGER number_counters_engine_only
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.number_counters
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.engine_only();
CREATE OR REPLACE TRIGGER plans_check
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.plans
	FOR EACH ROW EXECUTE FUNCTION txplan.plans_check();
CREATE OR REPLACE TRIGGER plans_inserted
	AFTER INSERT ON txplan.plans
	REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.plans_settle();
CREATE OR REPLACE TRIGGER plans_updated
	AFTER UPDATE ON txplan.plans
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.plans_settle();
CREATE OR REPLACE TRIGGER plans_deleted
	AFTER DELETE ON txplan.plans
	REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.plans_settle();
