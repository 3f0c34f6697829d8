-- record.sql: install() makes the record: ordinary tables that pg_dump keeps.

-- == extension ==

CREATE FUNCTION txplan.ensure_constraint(
	table_name text,
	constraint_name text,
	definition text,
	summary text)
RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_ensure_constraint';

COMMENT ON FUNCTION txplan.ensure_constraint(text, text, text, text) IS
'Adds a constraint to a table of the record when it is missing, and comments it.

Rows that break it are reported by a warning; the constraint then holds for new
rows only until they are mended and install() runs again. Called by install(),
with the rights of its caller.';

CREATE FUNCTION txplan.ensure_table_is_ours(table_name text, columns text[])
RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_ensure_table_is_ours';

COMMENT ON FUNCTION txplan.ensure_table_is_ours(text, text[]) IS
'Refuses to go on when something that is no table of the record has its name.

Called by install(). Errors: 42P07.';

CREATE FUNCTION txplan.version()
RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txplan_version';

COMMENT ON FUNCTION txplan.version() IS
'The version of the extension''s code, which is that of the record it installs.';

CREATE FUNCTION txplan.install()
RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
SET check_function_bodies = off
SET standard_conforming_strings = on
AS $install$
DECLARE
	the_table text;
	the_partition record;
	the_column record;
	the_fault record;
	was_there boolean;
BEGIN
	-- Two installations at once wait for each other.
	PERFORM pg_catalog.pg_advisory_xact_lock(7898410, 1);
	PERFORM pg_catalog.pg_advisory_xact_lock(7898410, 2);
	was_there := pg_catalog.to_regclass('txplan.record_versions') IS NOT NULL;

	PERFORM txplan.ensure_table_is_ours(t.name, t.columns)
	FROM (VALUES
		('record_versions', '{version,installed_at}'::text[]),
		('clinics', '{id,name,time_zone,plan_number_format}'),
		('professionals', '{id,clinic_id,name,active}'),
		('patients', '{id,clinic_id,first_name,last_name,archived_at}'),
		('catalog_items', '{id,clinic_id,code,name,category_key,price,active}'),
		('catalog_sessions', '{id,clinic_id,catalog_item_id,sequence,label,price}'),
		('workflows', '{name,label}'),
		('workflow_states', '{workflow,state,kind,items_editable,treatable}'),
		('workflow_transitions', '{workflow,action,from_state,to_state,guards,reasons}'),
		('events', '{id,xid,clinic_id,plan_id,plan_version,type,payload}'),
		('events_default', '{id,xid,clinic_id,plan_id,plan_version,type,payload}'),
		('history', '{id,clinic_id,plan_id,sequence,what,hash}'),
		('number_counters', '{clinic_id,kind,year,last_number}'),
		('plans', '{id,clinic_id,number,workflow,status,version,history_head}'),
		('items', '{id,clinic_id,plan_id,position,status,live,price}'),
		('sessions', '{id,clinic_id,plan_id,item_id,sequence,status,amount}'),
		('earned_entries', '{id,clinic_id,session_id,amount,earned_at}'),
		('event_origins', '{id,first_event_id,system_identifier}'),
		('consumers', '{id,name,types,origin,system_identifier}'),
		('consumer_slots', '{consumer,slot,turn,done,seen,last_id}'),
		('consumer_batches', '{batch_id,consumer,slots,event_ids}'),
		('consumer_retries', '{consumer,event_id,retry_count,due_at}'),
		('consumer_dead', '{consumer,event_id,retry_count,died_at}'),
		('event_removals', '{id,partition,starts_at,ends_at}'),
		('budgets', '{id,clinic_id,plan_id,number,version,status,total}'),
		('budget_lines', '{id,clinic_id,budget_id,item_id,unit_price,net_amount}'),
		('contacts', '{id,clinic_id,plan_id,channel,contacted_at}'),
		('appointments', '{id,clinic_id,patient_id,starts_at,ends_at,status}'),
		('recall_rules', '{category_key,reason,months}'),
		('recall_suggestions', '{id,clinic_id,item_id,due_on}'),
		('plan_count_changes', '{id,clinic_id,stage,change}')
	) AS t (name, columns);

	-- @record sections@

	FOREACH the_table IN ARRAY ARRAY['record_versions', 'clinics',
		'professionals', 'patients', 'catalog_items', 'catalog_sessions',
		'workflows', 'workflow_states', 'workflow_transitions', 'events',
		'history', 'number_counters', 'plans', 'items',
		'sessions', 'earned_entries', 'event_origins', 'consumers',
		'consumer_slots', 'consumer_batches', 'consumer_retries',
		'consumer_dead', 'event_removals', 'budgets', 'budget_lines', 'contacts',
		'appointments', 'recall_rules', 'recall_suggestions',
		'plan_count_changes']
	LOOP
		EXECUTE pg_catalog.format(
			'CREATE OR REPLACE TRIGGER %I BEFORE TRUNCATE ON txplan.%I '
			'FOR EACH STATEMENT EXECUTE FUNCTION txplan.refuse_truncate()',
			the_table || '_not_truncated', the_table);
	END LOOP;

	IF (SELECT pg_catalog.pg_has_role(n.nspowner, 'USAGE')
			FROM pg_catalog.pg_namespace AS n
			WHERE n.nspname = 'txplan') THEN
		COMMENT ON SCHEMA txplan IS 'Treatment plans of clinics, with their rules';
	END IF;

	-- A partition has a trigger and columns of its own, but nothing else to say of
	-- them.
	FOR the_partition IN
		SELECT c.oid, c.relname
		FROM pg_catalog.pg_inherits AS i
		JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'txplan.events'::pg_catalog.regclass
			AND c.relnamespace = 'txplan'::pg_catalog.regnamespace
			AND c.relkind = 'r'
	LOOP
		EXECUTE pg_catalog.format(
			'CREATE OR REPLACE TRIGGER %I BEFORE TRUNCATE ON txplan.%I '
			'FOR EACH STATEMENT EXECUTE FUNCTION txplan.refuse_truncate()',
			the_partition.relname || '_not_truncated', the_partition.relname);
		FOR the_column IN
			SELECT a.attname, pg_catalog.col_description(a.attrelid, a.attnum) AS summary
			FROM pg_catalog.pg_attribute AS a
			JOIN pg_catalog.pg_attribute AS b
				ON b.attrelid = the_partition.oid AND b.attname = a.attname
			WHERE a.attrelid = 'txplan.events'::pg_catalog.regclass
				AND a.attnum > 0
				AND NOT a.attisdropped
				AND pg_catalog.col_description(b.attrelid, b.attnum)
					IS DISTINCT FROM pg_catalog.col_description(a.attrelid, a.attnum)
		LOOP
			EXECUTE pg_catalog.format('COMMENT ON COLUMN txplan.%I.%I IS %L',
				the_partition.relname, the_column.attname, the_column.summary);
		END LOOP;
	END LOOP;

	IF NOT EXISTS (SELECT FROM txplan.record_versions AS v
			WHERE v.version = txplan.version()) THEN
		INSERT INTO txplan.record_versions (version) VALUES (txplan.version());
	END IF;

	-- While its triggers were away, rows may have come to break its rules.
	IF was_there THEN
		FOR the_fault IN SELECT * FROM txplan.audit_faults(NULL) LIMIT 100
		LOOP
			RAISE WARNING 'a row of the record breaks a rule'
				USING DETAIL = pg_catalog.format('%s: %s', the_fault.fault, the_fault.detail),
					HINT = 'SELECT * FROM txplan.audit() lists all of them.';
		END LOOP;
	END IF;
	RETURN txplan.version();
END
$install$;

COMMENT ON FUNCTION txplan.install() IS
'Makes the record in schema txplan, or mends it, and returns its version.

Creates the tables, constraints, indexes and triggers that are missing, ships the
dental workflow when no workflow of that name is there, brings an older record up
to this version, and warns of rows that break a rule. What is there stays as it
is; to run it again does no harm.
Errors: 42P07 when something else has a name of the record, 42501 when the caller
may not create in schema txplan or does not own the record.';

-- == record ==

CREATE TABLE IF NOT EXISTS txplan.record_versions (
	version text NOT NULL,
	installed_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	installed_by text NOT NULL DEFAULT CURRENT_USER,
	CONSTRAINT record_versions_pkey PRIMARY KEY (version)
);
COMMENT ON TABLE txplan.record_versions IS 'The versions that this record has had';
COMMENT ON COLUMN txplan.record_versions.version IS 'The version of txplan';
COMMENT ON COLUMN txplan.record_versions.installed_at IS 'When install() brought it';
COMMENT ON COLUMN txplan.record_versions.installed_by IS 'The role that called install()';
COMMENT ON CONSTRAINT record_versions_pkey ON txplan.record_versions IS 'A version is brought once';
