-- record: what a user sees before, during and after install(): the record is made
-- of ordinary tables, which DROP EXTENSION leaves behind and install() mends.

-- attempt() runs a statement, with its %L filled in, and returns what it raised:
-- SQLSTATE and message, detail, hint, and the constraint where there is one.
-- Ids, times and the year of plan numbers differ from run to run, so they are
-- masked.  brief() returns the first line of that.
CREATE FUNCTION pg_temp.attempt(statement text, VARIADIC arguments text[] DEFAULT '{}')
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	message text;
	detail text;
	hint text;
	constraint_name text;
BEGIN
	EXECUTE format(statement, VARIADIC arguments);
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
		hint = PG_EXCEPTION_HINT, constraint_name = CONSTRAINT_NAME;
	RETURN regexp_replace(regexp_replace(regexp_replace(
		concat_ws(E'\n', SQLSTATE || ': ' || message,
			CASE WHEN detail NOT LIKE 'Failing row contains%' THEN nullif(detail, '') END,
			nullif(hint, ''), 'Constraint: ' || nullif(constraint_name, '')),
		'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<id>', 'g'),
		'PLAN-\d{4}-', 'PLAN-YYYY-', 'g'),
		'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? ?[A-Z]*', '<time>', 'g');
END
$$;
CREATE FUNCTION pg_temp.brief(statement text, VARIADIC arguments text[] DEFAULT '{}')
RETURNS text
LANGUAGE sql
RETURN split_part(pg_temp.attempt(statement, VARIADIC arguments), E'\n', 1);

-- Before install() every function says so, with what to do.  Trigger functions and
-- those that need no record are not among them.
SELECT txplan.version() = extversion AS version FROM pg_extension WHERE extname = 'txplan';
SELECT pg_temp.attempt('SELECT txplan.create_clinic(''Early'', ''UTC'')');
SELECT f.call, pg_temp.brief('SELECT ' || f.call)
FROM (VALUES
	('txplan.create_professional(txplan.new_id(), ''x'')'),
	('txplan.create_patient(txplan.new_id(), ''x'', ''x'')'),
	('txplan.create_catalog_item(txplan.new_id(), ''x'', ''x'', 1)'),
	('txplan.create_plan(txplan.new_id(), txplan.new_id())'),
	('txplan.lock_plan(txplan.new_id())'),
	('txplan.add_item(txplan.new_id(), txplan.new_id())'),
	('txplan.remove_item(txplan.new_id())'),
	('txplan.reorder_items(txplan.new_id(), ''{}'')'),
	('txplan.assign_professional(txplan.new_id(), txplan.new_id())'),
	('txplan.change_professional(txplan.new_id(), txplan.new_id())'),
	('txplan.add_session(txplan.new_id(), ''x'', 1)'),
	('txplan.complete_session(txplan.new_id())'),
	('txplan.cancel_session(txplan.new_id())'),
	('txplan.complete_item(txplan.new_id())'),
	('txplan.record_performed(txplan.new_id())'),
	('txplan.void_earned(txplan.new_id(), ''x'')'),
	('txplan.log_contact(txplan.new_id(), ''call'')'),
	('txplan.book_appointment(txplan.new_id(), now(), now() + interval ''1 hour'')'),
	('txplan.complete_appointment(txplan.new_id())'),
	('txplan.cancel_appointment(txplan.new_id())'),
	('txplan.mark_no_show(txplan.new_id())'),
	('txplan.move_appointment(txplan.new_id(), now())'),
	('txplan.confirm_plan(txplan.new_id())'),
	('txplan.reopen_plan(txplan.new_id())'),
	('txplan.accept_plan(txplan.new_id())'),
	('txplan.close_plan(txplan.new_id(), ''other'')'),
	('txplan.reactivate_plan(txplan.new_id())'),
	('txplan.transition_plan(txplan.new_id(), ''x'')'),
	('txplan.advance_plan(txplan.new_id())'),
	('txplan.available_actions(txplan.new_id())'),
	('txplan.plan_detail(txplan.new_id())'),
	('txplan.workflow_diagram(''dental'')'),
	('txplan.check_workflow(''dental'')'),
	('txplan.event_types()'),
	('txplan.verify_history()'),
	('txplan.audit()'),
	('txplan.maintain()'),
	('txplan.archive_events(now())'),
	('txplan.list_event_partitions()'),
	('txplan.plan_has_item(txplan.new_id(), txplan.new_id())'),
	('txplan.plan_is_done(txplan.new_id(), txplan.new_id())')
) AS f (call);
-- These two need no record.
SELECT txplan.new_id() IS NOT NULL AS id, txplan.split_amount(1, '{1,1,1}') AS parts;
SELECT * FROM txplan.error_codes();

-- Something of that name in the way: install() refuses, and makes nothing.
CREATE VIEW txplan.plans AS SELECT 1 AS id;
SELECT pg_temp.attempt('SELECT txplan.install()');
DROP VIEW txplan.plans;
CREATE TABLE txplan.sessions (id integer);
SELECT pg_temp.attempt('SELECT txplan.install()');
DROP TABLE txplan.sessions;
CREATE SEQUENCE txplan.items;
SELECT pg_temp.attempt('SELECT txplan.install()');
DROP SEQUENCE txplan.items;
CREATE FOREIGN DATA WRAPPER regress_txplan_wrapper;
CREATE SERVER regress_txplan_server FOREIGN DATA WRAPPER regress_txplan_wrapper;
CREATE FOREIGN TABLE txplan.events (id bigint) SERVER regress_txplan_server;
SELECT pg_temp.attempt('SELECT txplan.install()');
SET client_min_messages = warning;
DROP FOREIGN DATA WRAPPER regress_txplan_wrapper CASCADE;
RESET client_min_messages;
SELECT count(*) AS tables FROM pg_class WHERE relnamespace = 'txplan'::regnamespace AND relkind IN ('r', 'v', 'S', 'f', 'p', 'i');

-- install() says the version that it brought; again, it changes nothing.
SELECT txplan.install() = txplan.version() AS installed;
CREATE TEMP TABLE first AS SELECT oid, relname, relkind, relfilenode FROM pg_class WHERE relnamespace = 'txplan'::regnamespace;
CREATE TEMP TABLE first_constraints AS SELECT oid, conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE connamespace = 'txplan'::regnamespace;
CREATE TEMP TABLE first_triggers AS SELECT t.oid, tgname, tgrelid FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid WHERE relnamespace = 'txplan'::regnamespace AND NOT tgisinternal;
SELECT txplan.install() = txplan.version() AS installed;
SELECT count(*) AS new FROM pg_class WHERE relnamespace = 'txplan'::regnamespace AND (oid, relname, relkind, relfilenode) NOT IN (SELECT oid, relname, relkind, relfilenode FROM first);
SELECT count(*) AS new FROM pg_constraint WHERE connamespace = 'txplan'::regnamespace AND (oid, conname) NOT IN (SELECT oid, conname FROM first_constraints);
SELECT count(*) AS versions FROM txplan.record_versions;
SELECT c.relname, c.relkind FROM pg_class AS c
WHERE c.relnamespace = 'txplan'::regnamespace AND c.relkind NOT IN ('i', 'I') ORDER BY 1;
-- The extension owns functions only: no table, no type.
SELECT DISTINCT d.classid::regclass AS class FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'txplan' ORDER BY 1;

-- Everything in the schema is commented.
SELECT c.relname FROM pg_class AS c
WHERE c.relnamespace = 'txplan'::regnamespace AND c.relkind IN ('r', 'p', 'S', 'v') AND obj_description(c.oid, 'pg_class') IS NULL;
SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = 'txplan'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
	AND a.attnum > 0 AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL;
SELECT conrelid::regclass, conname FROM pg_constraint
WHERE connamespace = 'txplan'::regnamespace AND conparentid = 0 AND contype <> 'n' AND obj_description(oid, 'pg_constraint') IS NULL;
SELECT oid::regprocedure FROM pg_proc
WHERE pronamespace = 'txplan'::regnamespace AND coalesce(obj_description(oid, 'pg_proc'), '') = '';
SELECT t.typname FROM pg_type AS t WHERE typnamespace = 'txplan'::regnamespace AND typtype IN ('d', 'e') AND obj_description(t.oid, 'pg_type') IS NULL;
-- An index that is no constraint's, too; and the schema.
SELECT c.relname FROM pg_class AS c
WHERE c.relnamespace = 'txplan'::regnamespace AND c.relkind IN ('i', 'I') AND NOT c.relispartition AND obj_description(c.oid, 'pg_class') IS NULL
	AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = c.oid);
SELECT obj_description('txplan'::regnamespace, 'pg_namespace') IS NOT NULL AS commented;
-- A comment opens with one line that says what it is.
SELECT oid::regprocedure FROM pg_proc
WHERE pronamespace = 'txplan'::regnamespace AND length(split_part(obj_description(oid, 'pg_proc'), E'\n', 1)) NOT BETWEEN 10 AND 110;
-- Signatures use base types, nothing runs as its definer, everything is named.
SELECT p.oid::regprocedure FROM pg_proc AS p
WHERE p.pronamespace = 'txplan'::regnamespace AND (p.prosecdef OR EXISTS (SELECT FROM unnest(p.proargtypes) AS a (t) JOIN pg_type AS y ON y.oid = a.t WHERE y.typtype <> 'b'));
-- No CHECK, domain, column default but the id's, or index calls a function of ours.
SELECT conname FROM pg_constraint WHERE connamespace = 'txplan'::regnamespace AND pg_get_constraintdef(oid) ~ 'txplan\.[a-z_]+\s*\(' AND contype = 'c';
SELECT indexrelid::regclass FROM pg_index JOIN pg_class AS c ON c.oid = indrelid WHERE c.relnamespace = 'txplan'::regnamespace AND pg_get_indexdef(indexrelid) ~ 'txplan\.[a-z_]+\(.*\(';

-- No table of the record is truncated, by anyone.
SET client_min_messages = warning;
SELECT c.relname, pg_temp.brief('TRUNCATE txplan.%I CASCADE', c.relname)
FROM pg_class AS c WHERE c.relnamespace = 'txplan'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1;
SELECT pg_temp.attempt('TRUNCATE txplan.clinics, txplan.record_versions CASCADE');
RESET client_min_messages;

-- What a DBA made of the shipped rows stays.
UPDATE txplan.workflow_states SET label = 'In Behandlung' WHERE workflow = 'dental' AND state = 'active';
UPDATE txplan.workflow_transitions SET reasons = '{other}' WHERE workflow = 'dental' AND action = 'close' AND from_state = 'active';
DELETE FROM txplan.workflow_transitions WHERE workflow = 'dental' AND action = 'reopen';
INSERT INTO txplan.workflow_states (workflow, state, kind) VALUES ('dental', 'paused', 'open');
SELECT txplan.install() = txplan.version() AS installed;
SELECT label FROM txplan.workflow_states WHERE workflow = 'dental' AND state = 'active';
SELECT action, reasons FROM txplan.workflow_transitions WHERE workflow = 'dental' AND from_state IN ('active', 'pending') ORDER BY 1, 2;
SELECT count(*) AS states FROM txplan.workflow_states WHERE workflow = 'dental';
UPDATE txplan.workflow_states SET label = 'In treatment' WHERE workflow = 'dental' AND state = 'active';
UPDATE txplan.workflow_transitions SET reasons = '{rejected,expired,cancelled,abandoned,other}' WHERE workflow = 'dental' AND action = 'close';
INSERT INTO txplan.workflow_transitions (workflow, action, from_state, to_state, permission) VALUES ('dental', 'reopen', 'pending', 'draft', 'write');
DELETE FROM txplan.workflow_states WHERE workflow = 'dental' AND state = 'paused';

-- Some rows to lose.
SET txplan.actor = 'admin';
SELECT txplan.create_clinic('Record clinic', 'UTC') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada') AS ada \gset
SELECT txplan.create_patient(:'clinic', 'Ada', 'Lovelace') AS patient \gset
SELECT txplan.create_catalog_item(:'clinic', 'CROWN', 'Crown', 600, NULL,
	'[{"label": "Preparation", "price": 200}, {"label": "Fitting", "price": 400}]') AS crown \gset
SELECT txplan.create_plan(:'clinic', :'patient', :'ada', 'Kept') AS plan \gset
SELECT txplan.add_item(:'plan', :'crown', treatment_ref => 'kept') AS item \gset
SELECT txplan.confirm_plan(:'plan'), txplan.accept_plan(:'plan');
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE item_id = :'item' AND sequence = 1;
-- A user's own index, column, trigger and policy stay as well.
CREATE INDEX plans_by_title ON txplan.plans (title);
ALTER TABLE txplan.plans ADD COLUMN colour text DEFAULT 'red';
CREATE POLICY mine ON txplan.plans USING (true);

-- What is missing comes back: constraints of each kind, an index, a trigger, a
-- default, a comment.
ALTER TABLE txplan.items DROP CONSTRAINT items_price_in_range, DROP CONSTRAINT items_of_a_catalog_item, ALTER COLUMN id DROP DEFAULT;
ALTER TABLE txplan.plans DROP CONSTRAINT plans_number_unique_per_clinic;
ALTER TABLE txplan.sessions DROP CONSTRAINT sessions_of_an_item;
DROP INDEX txplan.items_treatment_ref_unique_while_live, txplan.plans_by_patient;
DROP TRIGGER sessions_check ON txplan.sessions;
DROP TRIGGER plans_updated ON txplan.plans;
DROP TRIGGER catalog_sessions_sum ON txplan.catalog_sessions;
DROP TRIGGER plans_not_truncated ON txplan.plans;
-- PostgreSQL locks partitions before their table here, and the notifier reads them
-- the other way round.
BEGIN;
LOCK TABLE txplan.events;
DROP TRIGGER events_engine_only ON txplan.events;
COMMIT;
DROP TABLE txplan.number_counters;
COMMENT ON TABLE txplan.plans IS NULL;
SELECT pg_temp.brief('SELECT txplan.create_plan(%L, %L)', :'clinic', :'patient');
\set VERBOSITY terse
SELECT txplan.install() = txplan.version() AS installed;
\set VERBOSITY default
SELECT f.relname AS missing FROM first AS f WHERE f.relname NOT IN (SELECT relname FROM pg_class WHERE relnamespace = 'txplan'::regnamespace);
SELECT f.conname AS missing FROM first_constraints AS f
WHERE (f.conname, f.definition) NOT IN (SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'txplan'::regnamespace);
SELECT f.tgname AS missing FROM first_triggers AS f WHERE tgname NOT IN (SELECT tgname FROM pg_trigger);
SELECT obj_description('txplan.plans'::regclass, 'pg_class') AS comment, pg_get_expr(adbin, adrelid) AS default_id
FROM pg_attrdef WHERE adrelid = 'txplan.items'::regclass AND adnum = 1;
-- The table of numbers that was dropped came back empty: audit() tells, and so did
-- install().
SELECT fault, regexp_replace(regexp_replace(detail, '\d{4}', 'YYYY'), '[0-9a-f-]{36}', '<id>') AS detail FROM txplan.audit();
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO txplan.number_counters SELECT :'clinic', 'plan', substr(number, 6, 4)::integer, 1 FROM txplan.plans WHERE id = :'plan';
COMMIT;
SELECT txplan.install() = txplan.version() AS installed;

-- Rows that broke a rule while its constraint was away are named, and do not stop
-- the rest; the constraint then holds for new rows.
\set VERBOSITY terse
ALTER TABLE txplan.professionals DROP CONSTRAINT professionals_color_is_rgb;
ALTER TABLE txplan.items DROP CONSTRAINT items_completed_via_known;
INSERT INTO txplan.professionals (clinic_id, name, color) VALUES (:'clinic', 'Dr. Green', 'green');
SELECT txplan.install() = txplan.version() AS installed;
SELECT pg_temp.brief('INSERT INTO txplan.professionals (clinic_id, name, color) VALUES (%L, ''Dr. Blue'', ''blue'')', :'clinic');
SELECT conname, convalidated FROM pg_constraint WHERE conname IN ('professionals_color_is_rgb', 'items_completed_via_known') ORDER BY 1;
UPDATE txplan.professionals SET color = '#00ff00' WHERE name = 'Dr. Green';
SELECT txplan.install() = txplan.version() AS installed;
SELECT conname, convalidated FROM pg_constraint WHERE conname IN ('professionals_color_is_rgb', 'items_completed_via_known') ORDER BY 1;
-- So are rows that do not fit together.
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE txplan.plans SET items_total = 7 WHERE id = :'plan';
SET LOCAL session_replication_role = origin;
SELECT txplan.install() = txplan.version() AS installed;
ROLLBACK;
\set VERBOSITY default

-- DROP EXTENSION refuses while the record stands on it.
SELECT pg_temp.brief('DROP EXTENSION txplan');
-- With CASCADE it takes triggers and defaults, and not one table, column or row.
CREATE TEMP TABLE counted (relname name, rows bigint, sum text);
CREATE FUNCTION pg_temp.digest() RETURNS SETOF counted LANGUAGE plpgsql AS $$
DECLARE
	t name;
	result counted;
BEGIN
	FOR t IN SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'txplan'::regnamespace AND c.relkind = 'r' ORDER BY 1 LOOP
		EXECUTE format('SELECT %L, count(*), md5(string_agg(t::text, '','' ORDER BY t::text)) FROM txplan.%I AS t', t, t) INTO result;
		RETURN NEXT result;
	END LOOP;
END
$$;
INSERT INTO counted SELECT * FROM pg_temp.digest();
SELECT relname, rows > 0 AS has_rows FROM counted ORDER BY 1;
CREATE TEMP TABLE columns_before AS SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = 'txplan'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped;
SET client_min_messages = error;
DROP EXTENSION txplan CASCADE;
RESET client_min_messages;
SELECT count(*) AS differ FROM (TABLE counted EXCEPT SELECT * FROM pg_temp.digest()) AS d;
SELECT count(*) AS triggers FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid WHERE c.relnamespace = 'txplan'::regnamespace AND NOT tgisinternal;
SELECT count(*) AS columns_lost FROM columns_before AS b WHERE NOT EXISTS (SELECT FROM pg_attribute AS a
	WHERE a.attrelid = format('txplan.%I', b.relname)::regclass AND a.attname = b.attname AND NOT a.attisdropped AND format_type(a.atttypid, a.atttypmod) = b.type);
SELECT count(*) AS constraints_lost FROM first_constraints AS f
WHERE f.definition NOT LIKE 'TRIGGER%' AND f.conname NOT IN (SELECT conname FROM pg_constraint WHERE connamespace = 'txplan'::regnamespace);
-- CREATE EXTENSION and install() bring all of it back, and no event twice.
CREATE EXTENSION txplan;
SELECT txplan.install() = txplan.version() AS installed;
SELECT count(*) AS differ FROM (TABLE counted EXCEPT SELECT * FROM pg_temp.digest()) AS d;
SELECT f.tgname AS missing FROM first_triggers AS f WHERE tgname NOT IN (SELECT tgname FROM pg_trigger);
SELECT f.conname AS missing FROM first_constraints AS f
WHERE (f.conname, f.definition) NOT IN (SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'txplan'::regnamespace);
SELECT title, colour, status FROM txplan.plans WHERE id = :'plan';
SELECT count(*) AS own FROM pg_class WHERE relname = 'plans_by_title';
SELECT count(*) AS own FROM pg_policy WHERE polname = 'mine';
-- CREATE EXTENSION alone brings no trigger, so until install() ran no function goes
-- on: it would write past every rule.
BEGIN;
SET LOCAL client_min_messages = error;
DROP EXTENSION txplan CASCADE;
CREATE EXTENSION txplan;
SELECT f.call, pg_temp.brief('SELECT ' || f.call, f.id)
FROM (VALUES ('txplan.complete_item(%L)', :'item'), ('txplan.add_session(%L, ''x'', 1)', :'item'), ('txplan.remove_item(%L)', :'item'),
	('txplan.assign_professional(%L, txplan.new_id())', :'item'), ('txplan.close_plan(%L, ''other'')', :'plan'),
	('txplan.lock_plan(%L)', :'plan'), ('txplan.create_professional(%L, ''Dr. Late'')', :'clinic')) AS f (call, id);
ROLLBACK;
-- The record goes on where it stopped.
SELECT txplan.complete_item(:'item');
SELECT status FROM txplan.plans WHERE id = :'plan';
SELECT txplan.create_plan(:'clinic', :'patient', NULL, 'Next') AS next \gset
SELECT regexp_replace(number, '\d{4}', 'YYYY') AS number FROM txplan.plans WHERE id = :'next';
SELECT fault, detail FROM txplan.audit();
DROP INDEX txplan.plans_by_title;
DROP POLICY mine ON txplan.plans;
ALTER TABLE txplan.plans DROP COLUMN colour;

-- A record that an older or newer version brought is not used.
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE txplan.record_versions SET version = '0.0.1';
SET LOCAL session_replication_role = origin;
SELECT pg_temp.attempt('SELECT txplan.confirm_plan(%L)', :'next');
SELECT txplan.install() = txplan.version() AS installed;
SELECT pg_temp.brief('SELECT txplan.confirm_plan(%L)', :'next');
ROLLBACK;
-- A rolled-back install() is none.
BEGIN;
DROP TABLE txplan.earned_entries CASCADE;
SELECT pg_temp.attempt('SELECT txplan.confirm_plan(%L)', :'next');
ROLLBACK;
SELECT pg_temp.brief('SELECT txplan.confirm_plan(%L)', :'next');

-- Who may not create in the schema, or does not own the record, is refused.
CREATE ROLE regress_txplan_nobody NOLOGIN;
SET ROLE regress_txplan_nobody;
SELECT pg_temp.brief('SELECT txplan.install()');
RESET ROLE;
GRANT USAGE, CREATE ON SCHEMA txplan TO regress_txplan_nobody;
SET ROLE regress_txplan_nobody;
SELECT pg_temp.brief('SELECT txplan.install()');
-- Nor do our triggers serve a table that is none of the record's.
CREATE TABLE pg_temp.mine (id uuid);
SELECT pg_temp.attempt('CREATE TRIGGER t BEFORE INSERT ON pg_temp.mine FOR EACH ROW EXECUTE FUNCTION txplan.plans_check()');
SELECT pg_temp.attempt('INSERT INTO pg_temp.mine VALUES (NULL)');
RESET ROLE;
REVOKE ALL ON SCHEMA txplan FROM regress_txplan_nobody;
DROP OWNED BY regress_txplan_nobody;
DROP ROLE regress_txplan_nobody;
SELECT DISTINCT regexp_replace(pg_temp.brief('SELECT txplan.%I()', proname), '"[a-z_]+"', '<name>') AS called FROM pg_proc
WHERE pronamespace = 'txplan'::regnamespace AND prorettype = 'trigger'::regtype;
