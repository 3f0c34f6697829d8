-- item.sql: the treatments of a plan.
-- after: plan, catalog

-- == extension ==

CREATE FUNCTION txplan.items_check()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_items_check';

COMMENT ON FUNCTION txplan.items_check() IS
'Trigger: lets an item be added, changed and removed only as its rules allow.

Locks the plan first. Errors: TX002, TX004, TX007, TX010, P0002.';

CREATE FUNCTION txplan.items_settle()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_items_settle';

COMMENT ON FUNCTION txplan.items_settle() IS
'Trigger: makes the sessions of new items, counts them on their plans and publishes what happened.

Errors: TX009 for a price below what the item has earned.';

CREATE FUNCTION txplan.add_item(
	plan_id uuid,
	catalog_item_id uuid DEFAULT NULL,
	description text DEFAULT NULL,
	price numeric DEFAULT NULL,
	tooth integer DEFAULT NULL,
	surfaces text DEFAULT NULL,
	treatment_ref text DEFAULT NULL,
	professional_id uuid DEFAULT NULL,
	notes text DEFAULT NULL,
	clinic_id uuid DEFAULT NULL)
RETURNS uuid
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_add_item';

COMMENT ON FUNCTION txplan.add_item(uuid, uuid, text, numeric, integer, text, text, uuid, text, uuid) IS
'Adds an item at the end of a plan, with its sessions, and returns its id.

catalog_item_id: gives description, category, price and template; without it
description and price are wanted. price: 0 to 9999999999.99, at most two
decimals. tooth: a number of ISO 3950, 11 to 48 permanent, 51 to 85 deciduous.
surfaces: letters of M D O I B F V L P, each once, that the tooth has.
treatment_ref: the treatment in the application''s chart, 1 to 200 characters; two
live items of a clinic never share one. professional_id: an active professional;
the plan''s when NULL. notes: at most 100000 characters.
Publishes treatment_plan.treatment_added.
Errors: 22004, 22001, 22003, 22023, 23505 for a treatment_ref that is taken,
P0002, TX002 for a state that takes no items, an inactive catalog item or
professional, TX010 for a reference of another clinic, 42501 without the tables''
privileges, TX008.';

CREATE FUNCTION txplan.remove_item(item_id uuid, clinic_id uuid DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_remove_item';

COMMENT ON FUNCTION txplan.remove_item(uuid, uuid) IS
'Removes a pending item, of which nothing was done, with its sessions.

Publishes treatment_plan.treatment_removed.
Errors: 22004, P0002, TX002 for a state that lets no items go, TX004 for an item
that is completed or cancelled or has a completed session, 42501 without the
tables'' privileges, TX008.';

CREATE FUNCTION txplan.reorder_items(
	plan_id uuid,
	item_ids uuid[],
	clinic_id uuid DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_reorder_items';

COMMENT ON FUNCTION txplan.reorder_items(uuid, uuid[], uuid) IS
'Puts the items of a plan into an order.

item_ids: every item of the plan once.
Publishes treatment_plan.items_reordered, unless the order is as it was.
Errors: 22004 also for a NULL among the ids, 22023 when an item is missing, named
twice or none of the plan, P0002, TX002 for a state that lets items not be edited,
2202E for an array of more than one dimension, 42501 without the tables''
privileges, TX008.';

-- == record ==

IF pg_catalog.to_regtype('txplan.tooth') IS NULL THEN
	CREATE DOMAIN txplan.tooth AS integer
		CONSTRAINT tooth_of_iso_3950 CHECK (
			(VALUE / 10 BETWEEN 1 AND 4 AND VALUE % 10 BETWEEN 1 AND 8)
			OR (VALUE / 10 BETWEEN 5 AND 8 AND VALUE % 10 BETWEEN 1 AND 5));
END IF;
COMMENT ON DOMAIN txplan.tooth IS
'A tooth: quadrant and place, 11 to 48 permanent, 51 to 85 deciduous.

Source: ISO 3950, Designation system for teeth and areas of the oral cavity.';
COMMENT ON CONSTRAINT tooth_of_iso_3950 ON DOMAIN txplan.tooth IS
'Quadrants 1 to 4 have eight teeth, quadrants 5 to 8 five';

CREATE TABLE IF NOT EXISTS txplan.items (
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	plan_id uuid NOT NULL,
	position integer NOT NULL,
	catalog_item_id uuid,
	treatment_ref text,
	tooth txplan.tooth,
	surfaces text,
	description text NOT NULL,
	category_key text,
	price numeric(12,2) NOT NULL,
	professional_id uuid,
	status text NOT NULL DEFAULT 'pending',
	live boolean NOT NULL DEFAULT true,
	sessions_total integer NOT NULL DEFAULT 0,
	sessions_completed integer NOT NULL DEFAULT 0,
	sessions_cancelled integer NOT NULL DEFAULT 0,
	completed_at timestamptz,
	completed_by text,
	completed_via text,
	notes text,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT items_pkey PRIMARY KEY (id, clinic_id)
) WITH (fillfactor = 85);
ALTER TABLE txplan.items ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.items IS 'The treatments of the plans';
COMMENT ON COLUMN txplan.items.id IS 'The item';
COMMENT ON COLUMN txplan.items.clinic_id IS 'The clinic of the plan';
COMMENT ON COLUMN txplan.items.plan_id IS 'The plan; it never changes';
COMMENT ON COLUMN txplan.items.position IS 'Place in the plan; a new item comes last';
COMMENT ON COLUMN txplan.items.catalog_item_id IS 'The catalog item that it was made from';
COMMENT ON COLUMN txplan.items.treatment_ref IS 'The treatment in the application''s chart, 1 to 200 characters';
COMMENT ON COLUMN txplan.items.tooth IS 'The tooth, by ISO 3950';
COMMENT ON COLUMN txplan.items.surfaces IS 'Surfaces of the tooth, one letter each: M mesial, D distal, O occlusal, I incisal, B buccal, F facial, V vestibular, L lingual, P palatal';
COMMENT ON COLUMN txplan.items.description IS 'What is done, as the catalog named it at the time, 1 to 500 characters';
COMMENT ON COLUMN txplan.items.category_key IS 'Kind of treatment, as the catalog had it at the time';
COMMENT ON COLUMN txplan.items.price IS 'Price in the clinic''s currency';
COMMENT ON COLUMN txplan.items.professional_id IS 'The doctor who is responsible for it';
COMMENT ON COLUMN txplan.items.status IS 'pending, completed or cancelled; the engine sets it when its last session ends';
COMMENT ON COLUMN txplan.items.live IS 'Whether it holds its treatment_ref: not cancelled, and its plan not closed';
COMMENT ON COLUMN txplan.items.sessions_total IS 'Sessions of the item, the cancelled ones too';
COMMENT ON COLUMN txplan.items.sessions_completed IS 'Sessions that are completed';
COMMENT ON COLUMN txplan.items.sessions_cancelled IS 'Sessions that are cancelled';
COMMENT ON COLUMN txplan.items.completed_at IS 'When it was completed';
COMMENT ON COLUMN txplan.items.completed_by IS 'Who completed it, which need not be the doctor';
COMMENT ON COLUMN txplan.items.completed_via IS 'session: its last session was; item: the item as a whole; performed: outside the plan; appointment: with an appointment';
COMMENT ON COLUMN txplan.items.notes IS 'Notes, at most 100000 characters';
COMMENT ON COLUMN txplan.items.created_at IS 'When it was added';
COMMENT ON COLUMN txplan.items.updated_at IS 'When it was last changed';
COMMENT ON CONSTRAINT items_pkey ON txplan.items IS 'An item belongs to one clinic';
PERFORM txplan.ensure_constraint('items', 'items_position_unique_per_plan',
	'UNIQUE (plan_id, position, clinic_id) DEFERRABLE INITIALLY IMMEDIATE',
	'No two items of a plan stand at one place');
PERFORM txplan.ensure_constraint('items', 'items_of_a_plan',
	'FOREIGN KEY (plan_id, clinic_id) REFERENCES txplan.plans (id, clinic_id) ON DELETE CASCADE',
	'The plan is one of the same clinic');
PERFORM txplan.ensure_constraint('items', 'items_of_a_catalog_item',
	'FOREIGN KEY (catalog_item_id, clinic_id) REFERENCES txplan.catalog_items (id, clinic_id)',
	'The catalog item is one of the same clinic');
PERFORM txplan.ensure_constraint('items', 'items_of_a_professional',
	'FOREIGN KEY (professional_id, clinic_id) REFERENCES txplan.professionals (id, clinic_id)',
	'The doctor is one of the same clinic');
PERFORM txplan.ensure_constraint('items', 'items_status_known',
	'CHECK (status = ''pending'' OR status = ''completed'' OR status = ''cancelled'')',
	'An item is pending, completed or cancelled');
PERFORM txplan.ensure_constraint('items', 'items_completed_with_time',
	'CHECK ((status = ''completed'') = (completed_at IS NOT NULL) AND (completed_at IS NULL) = (completed_by IS NULL) AND (completed_at IS NULL) = (completed_via IS NULL))',
	'A completed item, and no other, says when, by whom and how');
PERFORM txplan.ensure_constraint('items', 'items_completed_via_known',
	'CHECK (completed_via = ANY (ARRAY[''session'', ''item'', ''performed'', ''appointment'']))',
	'The ways an item is completed');
PERFORM txplan.ensure_constraint('items', 'items_price_in_range',
	'CHECK (price BETWEEN 0 AND 9999999999.99)',
	'A price is zero or more, and a number');
PERFORM txplan.ensure_constraint('items', 'items_position_in_range',
	'CHECK (position BETWEEN 0 AND 1000000)',
	'A place is a number up to a million');
PERFORM txplan.ensure_constraint('items', 'items_counters_fit',
	'CHECK (sessions_completed >= 0 AND sessions_cancelled >= 0 AND sessions_completed + sessions_cancelled <= sessions_total)',
	'Completed and cancelled sessions are sessions');
PERFORM txplan.ensure_constraint('items', 'items_texts_length',
	'CHECK (pg_catalog.char_length(description) BETWEEN 1 AND 500 AND pg_catalog.btrim(description) <> '''' AND pg_catalog.char_length(category_key) BETWEEN 1 AND 60 AND pg_catalog.char_length(treatment_ref) BETWEEN 1 AND 200 AND pg_catalog.char_length(notes) <= 100000)',
	'Description 1 to 500, category 1 to 60, treatment_ref 1 to 200, notes at most 100000 characters');
PERFORM txplan.ensure_constraint('items', 'items_surfaces_known',
	'CHECK (surfaces ~ ''^[MDOIBFVLP]+$'' AND surfaces !~ ''(.).*\1'')',
	'Surfaces are letters of M D O I B F V L P, each once');
PERFORM txplan.ensure_constraint('items', 'items_surfaces_of_the_tooth',
	'CHECK (surfaces IS NULL OR (tooth IS NOT NULL AND (tooth % 10 >= 4 OR surfaces !~ ''[OB]'') AND (tooth % 10 <= 3 OR surfaces !~ ''[IF]'') AND (tooth / 10 = ANY (ARRAY[1, 2, 5, 6]) OR surfaces !~ ''P'')))',
	'Occlusal and buccal are surfaces of premolars and molars, incisal and facial of incisors and canines, palatal of upper teeth');
CREATE UNIQUE INDEX IF NOT EXISTS items_treatment_ref_unique_while_live
	ON txplan.items (clinic_id, treatment_ref)
	WHERE live AND treatment_ref IS NOT NULL;
COMMENT ON INDEX txplan.items_treatment_ref_unique_while_live IS 'Two live items of a clinic never share a treatment';

CREATE OR REPLACE TRIGGER items_check
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.items
	FOR EACH ROW EXECUTE FUNCTION txplan.items_check();
CREATE OR REPLACE TRIGGER items_inserted
	AFTER INSERT ON txplan.items
	REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.items_settle();
CREATE OR REPLACE TRIGGER items_updated
	AFTER UPDATE ON txplan.items
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.items_settle();
CREATE OR REPLACE TRIGGER items_deleted
	AFTER DELETE ON txplan.items
	REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.items_settle();
