-- catalog.sql: what a clinic offers, with the steps a treatment takes.
-- after: registry

-- == extension ==

CREATE FUNCTION txplan.create_catalog_item(
	clinic_id uuid,
	code text,
	name text,
	price numeric,
	category_key text DEFAULT NULL,
	sessions jsonb DEFAULT NULL)
RETURNS uuid
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_create_catalog_item';

COMMENT ON FUNCTION txplan.create_catalog_item(uuid, text, text, numeric, text, jsonb) IS
'Creates a catalog item, with the template of its sessions, and returns its id.

code: 1 to 60 characters, unique in the clinic. name: 1 to 200 characters.
price: 0 to 9999999999.99 with at most two decimals, in the clinic''s currency.
category_key: what the treatment is for recalls and reports.
sessions: NULL for one session, else an array of 1 to 500 steps such as
[{"label": "Preparation", "price": "200.00"}], whose prices add up to price.
Errors: 22004, 22023, 22001, 22003 for an amount out of range, 23505 for a code
that is taken, 22P02 for a price of a step that is no number, P0002 for an unknown
clinic, TX009 when the prices of the steps do not add up, 42501 without the
tables'' privileges, TX008 before install().';

CREATE FUNCTION txplan.catalog_items_check()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_catalog_items_check';

COMMENT ON FUNCTION txplan.catalog_items_check() IS
'Trigger: checks a catalog item as registry_check() does a row of the registry.';

CREATE FUNCTION txplan.catalog_sessions_check()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_catalog_sessions_check';

COMMENT ON FUNCTION txplan.catalog_sessions_check() IS
'Trigger: locks the catalog item before a step of its template changes.

So two people who edit one template wait for each other, and the sum is
checked over what both wrote. Errors: TX007 for a change of identity.';

CREATE FUNCTION txplan.catalog_sum_check()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_catalog_sum_check';

COMMENT ON FUNCTION txplan.catalog_sum_check() IS
'Trigger: at commit the prices of a template add up to the item''s price.

Errors: TX009 with both sums.';

-- == record ==

CREATE TABLE IF NOT EXISTS txplan.catalog_items (
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	code text NOT NULL,
	name text NOT NULL,
	category_key text,
	price numeric(12,2) NOT NULL,
	active boolean NOT NULL DEFAULT true,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT catalog_items_pkey PRIMARY KEY (id, clinic_id)
);
ALTER TABLE txplan.catalog_items ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.catalog_items IS 'The treatments that a clinic offers';
COMMENT ON COLUMN txplan.catalog_items.id IS 'The catalog item';
COMMENT ON COLUMN txplan.catalog_items.clinic_id IS 'The clinic that offers it';
COMMENT ON COLUMN txplan.catalog_items.code IS 'Short code, unique in the clinic';
COMMENT ON COLUMN txplan.catalog_items.name IS 'Name as the patient reads it';
COMMENT ON COLUMN txplan.catalog_items.category_key IS 'Kind of treatment, for recalls and reports';
COMMENT ON COLUMN txplan.catalog_items.price IS 'Price in the clinic''s currency';
COMMENT ON COLUMN txplan.catalog_items.active IS 'Whether it can be added to a plan';
COMMENT ON COLUMN txplan.catalog_items.created_at IS 'When the row was made';
COMMENT ON COLUMN txplan.catalog_items.updated_at IS 'When the row was last changed';
COMMENT ON CONSTRAINT catalog_items_pkey ON txplan.catalog_items IS 'A catalog item belongs to one clinic';
PERFORM txplan.ensure_constraint('catalog_items', 'catalog_items_of_a_clinic',
	'FOREIGN KEY (clinic_id) REFERENCES txplan.clinics (id)',
	'The clinic exists');
PERFORM txplan.ensure_constraint('catalog_items', 'catalog_items_code_unique_per_clinic',
	'UNIQUE (clinic_id, code)',
	'A code names one catalog item of the clinic');
PERFORM txplan.ensure_constraint('catalog_items', 'catalog_items_texts_length',
	'CHECK (pg_catalog.char_length(code) BETWEEN 1 AND 60 AND pg_catalog.btrim(code) <> '''' AND pg_catalog.char_length(name) BETWEEN 1 AND 200 AND pg_catalog.btrim(name) <> '''' AND pg_catalog.char_length(category_key) BETWEEN 1 AND 60)',
	'Code 1 to 60, name 1 to 200, category 1 to 60 characters');
PERFORM txplan.ensure_constraint('catalog_items', 'catalog_items_price_in_range',
	'CHECK (price BETWEEN 0 AND 9999999999.99)',
	'A price is zero or more, and a number');

CREATE TABLE IF NOT EXISTS txplan.catalog_sessions (
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	catalog_item_id uuid NOT NULL,
	sequence integer NOT NULL,
	label text,
	price numeric(12,2) NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT catalog_sessions_pkey PRIMARY KEY (id, clinic_id)
);
ALTER TABLE txplan.catalog_sessions ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.catalog_sessions IS 'The template of a catalog item: the sessions that it takes';
COMMENT ON COLUMN txplan.catalog_sessions.id IS 'The step';
COMMENT ON COLUMN txplan.catalog_sessions.clinic_id IS 'The clinic of the catalog item';
COMMENT ON COLUMN txplan.catalog_sessions.catalog_item_id IS 'The catalog item whose template it is';
COMMENT ON COLUMN txplan.catalog_sessions.sequence IS 'Place of the step, from 1';
COMMENT ON COLUMN txplan.catalog_sessions.label IS 'What is done in the session';
COMMENT ON COLUMN txplan.catalog_sessions.price IS 'Share of the item''s price; all shares add up to it';
COMMENT ON COLUMN txplan.catalog_sessions.created_at IS 'When the row was made';
COMMENT ON COLUMN txplan.catalog_sessions.updated_at IS 'When the row was last changed';
COMMENT ON CONSTRAINT catalog_sessions_pkey ON txplan.catalog_sessions IS 'A step belongs to one clinic';
PERFORM txplan.ensure_constraint('catalog_sessions', 'catalog_sessions_sequence_unique_per_item',
	'UNIQUE (catalog_item_id, sequence, clinic_id) DEFERRABLE INITIALLY IMMEDIATE',
	'No two steps of a template stand at one place');
PERFORM txplan.ensure_constraint('catalog_sessions', 'catalog_sessions_of_a_catalog_item',
	'FOREIGN KEY (catalog_item_id, clinic_id) REFERENCES txplan.catalog_items (id, clinic_id) ON DELETE CASCADE',
	'The catalog item exists in the same clinic');
PERFORM txplan.ensure_constraint('catalog_sessions', 'catalog_sessions_sequence_in_range',
	'CHECK (sequence BETWEEN 1 AND 500)',
	'A template has at most 500 steps');
PERFORM txplan.ensure_constraint('catalog_sessions', 'catalog_sessions_label_length',
	'CHECK (pg_catalog.char_length(label) BETWEEN 1 AND 200)',
	'A label has 1 to 200 characters');
PERFORM txplan.ensure_constraint('catalog_sessions', 'catalog_sessions_price_in_range',
	'CHECK (price BETWEEN 0 AND 9999999999.99)',
	'A price is zero or more, and a number');

CREATE OR REPLACE TRIGGER catalog_items_check
	BEFORE INSERT OR UPDATE ON txplan.catalog_items
	FOR EACH ROW EXECUTE FUNCTION txplan.catalog_items_check();
CREATE OR REPLACE TRIGGER catalog_sessions_check
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.catalog_sessions
	FOR EACH ROW EXECUTE FUNCTION txplan.catalog_sessions_check();
IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS t
		WHERE t.tgrelid = 'txplan.catalog_items'::pg_catalog.regclass
			AND t.tgname = 'catalog_items_sum') THEN
	CREATE CONSTRAINT TRIGGER catalog_items_sum
		AFTER INSERT OR UPDATE OF price ON txplan.catalog_items
		DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION txplan.catalog_sum_check();
END IF;
IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS t
		WHERE t.tgrelid = 'txplan.catalog_sessions'::pg_catalog.regclass
			AND t.tgname = 'catalog_sessions_sum') THEN
	CREATE CONSTRAINT TRIGGER catalog_sessions_sum
		AFTER INSERT OR UPDATE OR DELETE ON txplan.catalog_sessions
		DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION txplan.catalog_sum_check();
END IF;
COMMENT ON CONSTRAINT catalog_items_sum ON txplan.catalog_items IS
'The steps of a template add up to the price, when the transaction commits';
COMMENT ON CONSTRAINT catalog_sessions_sum ON txplan.catalog_sessions IS
'The steps of a template add up to the price, when the transaction commits';
