-- registry.sql: clinics, the people who treat and the people who are treated.
-- after: fold

-- == extension ==

CREATE FUNCTION txplan.registry_check()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_registry_check';

COMMENT ON FUNCTION txplan.registry_check() IS
'Trigger: checks a row of clinics, professionals or patients.

Keeps id, clinic and creation time as they are (TX007), sets updated_at and what
a patient is found by, and refuses a time zone that the server does not know
(22023).';

CREATE FUNCTION txplan.create_clinic(
	name text,
	time_zone text,
	external_id text DEFAULT NULL)
RETURNS uuid
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_create_clinic';

COMMENT ON FUNCTION txplan.create_clinic(text, text, text) IS
'Creates a clinic and returns its id.

name: 1 to 200 characters. time_zone: a name the server knows, such as
Europe/Madrid; it decides the year of plan numbers. external_id: the clinic''s
key in another system.
Errors: 22004 for a missing name or time zone, 22023 for an empty name or
a time zone of which time_zone_fault() tells, 22001 for a text too long, 42501 without the tables''
privileges, TX008 before install().';

CREATE FUNCTION txplan.create_professional(
	clinic_id uuid,
	name text,
	color text DEFAULT NULL,
	external_id text DEFAULT NULL)
RETURNS uuid
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_create_professional';

COMMENT ON FUNCTION txplan.create_professional(uuid, text, text, text) IS
'Creates an active professional of a clinic and returns its id.

name: 1 to 200 characters. color: how the clinic paints the professional,
as #rrggbb. external_id: the key in another system, unique in the clinic.
Errors: 22004, 22023 also for a color of another form, 22001, 23505 for an
external_id that is taken, P0002 for an unknown clinic, 42501 without the tables''
privileges, TX008 before install().';

CREATE FUNCTION txplan.create_patient(
	clinic_id uuid,
	first_name text,
	last_name text,
	birth_date date DEFAULT NULL,
	phone text DEFAULT NULL,
	email text DEFAULT NULL,
	external_id text DEFAULT NULL)
RETURNS uuid
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_create_patient';

COMMENT ON FUNCTION txplan.create_patient(uuid, text, text, date, text, text, text) IS
'Creates a patient of a clinic and returns its id.

first_name, last_name: 1 to 200 characters, any script. birth_date: a finite
date. external_id: the key in another system, unique in the clinic.
Errors: 22004, 22023, 22001, 22008 for a date at infinity, 23505 for an
external_id that is taken, P0002 for an unknown clinic, 42501 without the tables''
privileges, TX008 before install().';

CREATE FUNCTION txplan.time_zone_fault(time_zone text)
RETURNS text
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txplan_time_zone_fault';

COMMENT ON FUNCTION txplan.time_zone_fault(text) IS
'Tells why a clinic cannot keep its calendar by a time zone; NULL when it can.

The server must know the name; it must mean the same in AT TIME ZONE, where
abbreviations come first, as in SET timezone, and be within 15 hours of UTC.';

-- == record ==

CREATE TABLE IF NOT EXISTS txplan.clinics (
	id uuid NOT NULL,
	name text NOT NULL,
	time_zone text NOT NULL,
	external_id text,
	budget_on_confirm boolean NOT NULL DEFAULT false,
	budget_valid_days integer NOT NULL DEFAULT 30,
	close_after_budget_expiry_days integer NOT NULL DEFAULT 30,
	contact_stale_days integer NOT NULL DEFAULT 7,
	plan_number_format text NOT NULL DEFAULT 'PLAN-{YYYY}-{NNNN}',
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT clinics_pkey PRIMARY KEY (id)
);
ALTER TABLE txplan.clinics ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.clinics IS 'The clinics that share this record, with their settings';
COMMENT ON COLUMN txplan.clinics.id IS 'The clinic; every other row names it as clinic_id';
COMMENT ON COLUMN txplan.clinics.name IS 'Name of the clinic';
COMMENT ON COLUMN txplan.clinics.time_zone IS 'Time zone by name; it decides dates and the year of plan numbers';
COMMENT ON COLUMN txplan.clinics.external_id IS 'Key of the clinic in another system';
COMMENT ON COLUMN txplan.clinics.budget_on_confirm IS 'Whether confirming a plan makes its budget';
COMMENT ON COLUMN txplan.clinics.budget_valid_days IS 'Days that a new budget is valid';
COMMENT ON COLUMN txplan.clinics.close_after_budget_expiry_days IS 'Days from a budget''s expiry to the closing of its pending plan';
COMMENT ON COLUMN txplan.clinics.contact_stale_days IS 'Days without contact after which a pending plan wants a call';
COMMENT ON COLUMN txplan.clinics.plan_number_format IS 'How plan numbers look: {YYYY} is the year, {NNNN} the count of the year with at least so many digits';
COMMENT ON COLUMN txplan.clinics.created_at IS 'When the row was made';
COMMENT ON COLUMN txplan.clinics.updated_at IS 'When the row was last changed';
COMMENT ON CONSTRAINT clinics_pkey ON txplan.clinics IS 'One row for each clinic';
-- What later versions added.
ALTER TABLE txplan.clinics ADD COLUMN IF NOT EXISTS budget_number_format text NOT NULL DEFAULT 'BUDGET-{YYYY}-{NNNN}';
ALTER TABLE txplan.clinics ADD COLUMN IF NOT EXISTS contact_outcomes text[];
COMMENT ON COLUMN txplan.clinics.budget_number_format IS 'How budget numbers look, as plan_number_format';
COMMENT ON COLUMN txplan.clinics.contact_outcomes IS 'The outcomes that a contact can have; any when NULL';
PERFORM txplan.ensure_constraint('clinics', 'clinics_name_length',
	'CHECK (pg_catalog.char_length(name) BETWEEN 1 AND 200 AND pg_catalog.btrim(name) <> '''')',
	'A name has 1 to 200 characters');
PERFORM txplan.ensure_constraint('clinics', 'clinics_external_id_length',
	'CHECK (pg_catalog.char_length(external_id) BETWEEN 1 AND 200)',
	'A foreign key has 1 to 200 characters');
PERFORM txplan.ensure_constraint('clinics', 'clinics_days_in_range',
	'CHECK (budget_valid_days BETWEEN 1 AND 3650 AND close_after_budget_expiry_days BETWEEN 0 AND 3650 AND contact_stale_days BETWEEN 1 AND 3650)',
	'Periods are 1 to 3650 days; closing may follow expiry at once');
PERFORM txplan.ensure_constraint('clinics', 'clinics_plan_number_format',
	'CHECK (pg_catalog.char_length(plan_number_format) <= 60 AND plan_number_format ~ ''^[^{}]*[{]YYYY[}][^{}]*[{]N{1,9}[}][^{}]*$'')',
	'A number has {YYYY} once and, behind it, {N} to {NNNNNNNNN} once');
PERFORM txplan.ensure_constraint('clinics', 'clinics_budget_number_format',
	'CHECK (pg_catalog.char_length(budget_number_format) <= 60 AND budget_number_format ~ ''^[^{}]*[{]YYYY[}][^{}]*[{]N{1,9}[}][^{}]*$'')',
	'A number has {YYYY} once and, behind it, {N} to {NNNNNNNNN} once');
PERFORM txplan.ensure_constraint('clinics', 'clinics_contact_outcomes_complete',
	'CHECK (CASE WHEN pg_catalog.array_ndims(contact_outcomes) > 1 THEN false ELSE pg_catalog.cardinality(contact_outcomes) > 0 AND pg_catalog.array_position(contact_outcomes, NULL) IS NULL END)',
	'Outcomes are a list of names');

CREATE TABLE IF NOT EXISTS txplan.professionals (
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	external_id text,
	name text NOT NULL,
	color text,
	active boolean NOT NULL DEFAULT true,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT professionals_pkey PRIMARY KEY (id, clinic_id)
);
ALTER TABLE txplan.professionals ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.professionals IS 'The people who treat: doctors, hygienists, therapists';
COMMENT ON COLUMN txplan.professionals.id IS 'The professional';
COMMENT ON COLUMN txplan.professionals.clinic_id IS 'The clinic the professional works at';
COMMENT ON COLUMN txplan.professionals.external_id IS 'Key of the professional in another system, unique in the clinic';
COMMENT ON COLUMN txplan.professionals.name IS 'Name as the clinic shows it';
COMMENT ON COLUMN txplan.professionals.color IS 'How the clinic paints the professional, as #rrggbb';
COMMENT ON COLUMN txplan.professionals.active IS 'Whether new plans and items can be given to the professional';
COMMENT ON COLUMN txplan.professionals.created_at IS 'When the row was made';
COMMENT ON COLUMN txplan.professionals.updated_at IS 'When the row was last changed';
COMMENT ON CONSTRAINT professionals_pkey ON txplan.professionals IS 'A professional belongs to one clinic';
PERFORM txplan.ensure_constraint('professionals', 'professionals_of_a_clinic',
	'FOREIGN KEY (clinic_id) REFERENCES txplan.clinics (id)',
	'The clinic exists');
PERFORM txplan.ensure_constraint('professionals', 'professionals_external_id_unique_per_clinic',
	'UNIQUE (clinic_id, external_id)',
	'A foreign key names one professional of the clinic');
PERFORM txplan.ensure_constraint('professionals', 'professionals_name_length',
	'CHECK (pg_catalog.char_length(name) BETWEEN 1 AND 200 AND pg_catalog.btrim(name) <> '''')',
	'A name has 1 to 200 characters');
PERFORM txplan.ensure_constraint('professionals', 'professionals_external_id_length',
	'CHECK (pg_catalog.char_length(external_id) BETWEEN 1 AND 200)',
	'A foreign key has 1 to 200 characters');
PERFORM txplan.ensure_constraint('professionals', 'professionals_color_is_rgb',
	'CHECK (color ~ ''^#[0-9A-Fa-f]{6}$'')',
	'A color is written #rrggbb');

CREATE TABLE IF NOT EXISTS txplan.patients (
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	external_id text,
	first_name text NOT NULL,
	last_name text NOT NULL,
	birth_date date,
	phone text,
	email text,
	archived_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT patients_pkey PRIMARY KEY (id, clinic_id)
);
ALTER TABLE txplan.patients ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.patients IS 'The people who are treated';
COMMENT ON COLUMN txplan.patients.id IS 'The patient';
COMMENT ON COLUMN txplan.patients.clinic_id IS 'The clinic whose patient it is';
COMMENT ON COLUMN txplan.patients.external_id IS 'Key of the patient in another system, unique in the clinic';
COMMENT ON COLUMN txplan.patients.first_name IS 'Given names';
COMMENT ON COLUMN txplan.patients.last_name IS 'Family names';
COMMENT ON COLUMN txplan.patients.birth_date IS 'Day of birth';
COMMENT ON COLUMN txplan.patients.phone IS 'Phone number as the clinic writes it';
COMMENT ON COLUMN txplan.patients.email IS 'Mail address';
COMMENT ON COLUMN txplan.patients.archived_at IS 'Since when the patient is archived: no new plans';
COMMENT ON COLUMN txplan.patients.created_at IS 'When the row was made';
COMMENT ON COLUMN txplan.patients.updated_at IS 'When the row was last changed';
COMMENT ON CONSTRAINT patients_pkey ON txplan.patients IS 'A patient belongs to one clinic';
-- What later versions added.
ALTER TABLE txplan.patients ADD COLUMN IF NOT EXISTS search_text text;
COMMENT ON COLUMN txplan.patients.search_text IS 'What the patient is found by: names and phone, as fold_patient() has them; the engine writes it';
PERFORM txplan.ensure_constraint('patients', 'patients_of_a_clinic',
	'FOREIGN KEY (clinic_id) REFERENCES txplan.clinics (id)',
	'The clinic exists');
PERFORM txplan.ensure_constraint('patients', 'patients_external_id_unique_per_clinic',
	'UNIQUE (clinic_id, external_id)',
	'A foreign key names one patient of the clinic');
PERFORM txplan.ensure_constraint('patients', 'patients_name_length',
	'CHECK (pg_catalog.char_length(first_name) BETWEEN 1 AND 200 AND pg_catalog.char_length(last_name) BETWEEN 1 AND 200 AND pg_catalog.btrim(first_name || last_name) <> '''')',
	'Each name has 1 to 200 characters');
PERFORM txplan.ensure_constraint('patients', 'patients_texts_length',
	'CHECK (pg_catalog.char_length(external_id) BETWEEN 1 AND 200 AND pg_catalog.char_length(phone) <= 60 AND pg_catalog.char_length(email) <= 320)',
	'External id 1 to 200, phone at most 60, mail at most 320 characters');
PERFORM txplan.ensure_constraint('patients', 'patients_dates_finite',
	'CHECK (pg_catalog.isfinite(birth_date) AND pg_catalog.isfinite(archived_at))',
	'Dates are finite');

CREATE OR REPLACE TRIGGER clinics_check
	BEFORE INSERT OR UPDATE ON txplan.clinics
	FOR EACH ROW EXECUTE FUNCTION txplan.registry_check();
CREATE OR REPLACE TRIGGER professionals_check
	BEFORE INSERT OR UPDATE ON txplan.professionals
	FOR EACH ROW EXECUTE FUNCTION txplan.registry_check();
CREATE OR REPLACE TRIGGER patients_check
	BEFORE INSERT OR UPDATE ON txplan.patients
	FOR EACH ROW EXECUTE FUNCTION txplan.registry_check();
