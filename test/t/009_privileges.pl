# The record belongs to a role that is no superuser.  Others do what they were
# granted, and the engine does the rest for them; nobody gets the engine to do
# more, whatever stands in their search_path, temporary tables or triggers.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;

my $node = new_server('main');

$node->safe_psql(
	'postgres', q{
	CREATE ROLE clinic_owner LOGIN;
	CREATE ROLE app LOGIN;
	CREATE ROLE reader LOGIN;
	CREATE ROLE stranger LOGIN;
	CREATE ROLE mallory LOGIN});
make_record($node, 'record', 'clinic_owner');
psql_as($node, 'clinic_owner', 'record', q{
	GRANT USAGE ON SCHEMA txplan TO app, reader, mallory;
	GRANT SELECT ON ALL TABLES IN SCHEMA txplan TO app, reader;
	GRANT INSERT, UPDATE, DELETE ON txplan.plans, txplan.items, txplan.sessions TO app;
	GRANT INSERT, UPDATE ON txplan.patients, txplan.professionals, txplan.catalog_items,
		txplan.catalog_sessions TO app;
	CREATE SCHEMA helpers;
	GRANT USAGE, CREATE ON SCHEMA helpers TO PUBLIC;
	CREATE TABLE helpers.ids (name text PRIMARY KEY, id uuid);
	GRANT SELECT, INSERT ON helpers.ids TO PUBLIC;
	INSERT INTO helpers.ids VALUES ('clinic', txplan.create_clinic('Clinic', 'UTC'))});

# The whole of the work, as a role that owns nothing.  Names are qualified and
# operators written out, for it runs under a search_path that lies.
my $work = q{
	DO $work$
	DECLARE
		clinic uuid := (SELECT c.id FROM helpers.ids AS c WHERE c.name OPERATOR(pg_catalog.=) 'clinic');
		doctor uuid := txplan.create_professional(clinic, 'Dr. A');
		other_doctor uuid := txplan.create_professional(clinic, 'Dr. B');
		patient uuid := txplan.create_patient(clinic, 'Ana', 'Ruiz', '1980-01-01'::pg_catalog.date);
		crown uuid := txplan.create_catalog_item(clinic, pg_catalog.concat('C', txplan.new_id()), 'Crown',
			100.00, 'crown', '[{"label": "one", "price": "33.33"}, {"label": "two", "price": 66.67}]');
		the_plan uuid := txplan.create_plan(clinic, patient, doctor, 'Title');
		the_items uuid[];
		a_session uuid;
		the_state text;
	BEGIN
		the_items := ARRAY[
			txplan.add_item(the_plan, crown, price => 99.99, tooth => 11, surfaces => 'MIP',
				treatment_ref => pg_catalog.concat(txplan.new_id(), '')),
			txplan.add_item(the_plan, NULL, 'Filling', 50)];
		INSERT INTO txplan.items (plan_id, clinic_id, catalog_item_id)
		VALUES (the_plan, clinic, crown), (the_plan, clinic, crown);
		SELECT pg_catalog.array_agg(i.id ORDER BY i.position DESC) INTO the_items
		FROM txplan.items AS i WHERE i.plan_id OPERATOR(pg_catalog.=) the_plan;
		PERFORM txplan.reorder_items(the_plan, the_items);
		PERFORM txplan.remove_item(the_items[1]);
		PERFORM txplan.add_session(the_items[2], 'More', 10);
		UPDATE txplan.items SET price = 120.01 WHERE id OPERATOR(pg_catalog.=) the_items[2];
		PERFORM txplan.assign_professional(the_items[3], other_doctor);
		PERFORM txplan.change_professional(the_plan, other_doctor, true);
		UPDATE txplan.plans SET title = 'Another', diagnosis_notes = 'Notes'
		WHERE id OPERATOR(pg_catalog.=) the_plan;
		PERFORM txplan.lock_plan(the_plan);
		PERFORM txplan.confirm_plan(the_plan);
		PERFORM txplan.reopen_plan(the_plan);
		PERFORM txplan.close_plan(the_plan, 'other', 'note');
		PERFORM txplan.reactivate_plan(the_plan);
		PERFORM txplan.transition_plan(the_plan, 'confirm');
		PERFORM txplan.available_actions(the_plan);
		PERFORM txplan.accept_plan(the_plan);
		SELECT s.id INTO a_session FROM txplan.sessions AS s
		WHERE s.item_id OPERATOR(pg_catalog.=) the_items[2] AND s.sequence OPERATOR(pg_catalog.=) 1;
		PERFORM txplan.complete_session(a_session, 'note');
		BEGIN
			PERFORM txplan.complete_session(a_session);
			RAISE EXCEPTION 'completed twice';
		EXCEPTION WHEN SQLSTATE 'TX004' THEN
			IF current_user OPERATOR(pg_catalog.<>) session_user THEN
				RAISE EXCEPTION 'still somebody else';
			END IF;
		END;
		PERFORM txplan.cancel_session(s.id, 'note') FROM txplan.sessions AS s
		WHERE s.item_id OPERATOR(pg_catalog.=) the_items[2] AND s.sequence OPERATOR(pg_catalog.=) 2;
		PERFORM txplan.plan_detail(the_plan);
		PERFORM txplan.advance_plan(the_plan);
		PERFORM txplan.complete_item(the_items[2]);
		PERFORM txplan.record_performed(the_items[3]);
		the_state := txplan.complete_item(the_items[4]);
		SELECT p.status INTO the_state FROM txplan.plans AS p WHERE p.id OPERATOR(pg_catalog.=) the_plan;
		IF the_state OPERATOR(pg_catalog.<>) 'completed' THEN
			RAISE EXCEPTION 'the plan is %', the_state;
		END IF;
		PERFORM txplan.check_workflow('dental');
		PERFORM txplan.workflow_diagram('dental');
		PERFORM txplan.workflow_diagram('dental', 'dot');
		PERFORM txplan.event_types();
		PERFORM txplan.verify_history();
		PERFORM txplan.verify_history(the_plan);
		PERFORM txplan.audit();
		PERFORM txplan.audit(clinic);
		PERFORM txplan.split_amount(100, ARRAY[1, 2, 3]);
		PERFORM txplan.error_codes();
		the_plan := txplan.create_plan(clinic, patient);
		DELETE FROM txplan.plans WHERE id OPERATOR(pg_catalog.=) the_plan;
	END
	$work$};

# works - a role does all of it; two tests.
sub works
{
	my ($role, $name, $setting) = @_;
	my ($sqlstate, $message) =
	  error_of($node, 'record', ($setting // '') . $work, '--username', $role);

	is($sqlstate, '', "$name: all of the work is done") or diag($message);
	is( $node->safe_psql('record', 'SELECT fault, detail FROM txplan.audit() LIMIT 3'),
		'',
		"$name: audit() finds nothing");
}

works('clinic_owner', 'the owner');
works('app', 'a role with the tables of plans granted');
works($node->safe_psql('record', 'SELECT current_user'), 'a superuser');

# denied - SQL fails with 42501 and changes nothing.
sub denied
{
	my ($role, $name, $sql, $wanted) = @_;
	my ($sqlstate, $message) =
	  error_of($node, 'record', $sql, '--username', $role);

	$wanted //= '42501';
	like($sqlstate, qr/^(?:$wanted)$/, $name) or diag($message);
}

my $before = rows_of($node, 'record');

denied('app', "app: $_", $_) foreach (
	q{INSERT INTO txplan.events (id, clinic_id, plan_id, plan_version, type, actor, occurred_at, payload)
		SELECT 0, clinic_id, plan_id, 99, type, actor, occurred_at, payload FROM txplan.events LIMIT 1},
	'DELETE FROM txplan.events',
	'UPDATE txplan.history SET actor = actor',
	'DELETE FROM txplan.earned_entries',
	'UPDATE txplan.number_counters SET last_number = 0',
	'UPDATE txplan.workflow_transitions SET guards = DEFAULT',
	'UPDATE txplan.clinics SET name = name',
	q{SELECT txplan.create_clinic('X', 'UTC')},
	q{SELECT setval('txplan.events_id_seq', 1)},
	q{SELECT nextval('txplan.events_id_seq')},
	'TRUNCATE txplan.events',
	'DROP TABLE txplan.events',
	'ALTER TABLE txplan.plans DISABLE TRIGGER ALL',
	'ALTER TABLE txplan.plans DISABLE TRIGGER plans_check',
	'DROP TRIGGER plans_check ON txplan.plans',
	'SET session_replication_role = replica',
	'SET ROLE clinic_owner',
	q{SELECT txplan.ensure_constraint('plans', 'x', 'CHECK (true)', 'x')},
	'CREATE TABLE txplan.mine (id integer)',
	'SELECT txplan.install()');
denied('clinic_owner', "the owner: $_->[0]", @$_) foreach (
	[ 'DELETE FROM txplan.events', 'TX007' ],
	[ 'UPDATE txplan.history SET actor = actor', 'TX007' ],
	[ 'UPDATE txplan.number_counters SET last_number = 0', 'TX007' ],
	[ 'SET session_replication_role = replica', '42501' ]);

foreach my $role (qw(reader mallory stranger))
{
	my ($plan, $item, $session) = split /\|/, $node->safe_psql(
		'record', q{
		SELECT s.plan_id, s.item_id, s.id FROM txplan.sessions AS s ORDER BY id LIMIT 1});
	my $clinic = $node->safe_psql('record', 'SELECT id FROM txplan.clinics');

	denied($role, "$role: $_", "SELECT txplan.$_") foreach (
		"create_plan('$clinic', '$plan')",
		"create_patient('$clinic', 'X', 'Y')",
		"create_professional('$clinic', 'X')",
		"create_catalog_item('$clinic', 'X', 'X', 1)",
		"lock_plan('$plan')", "confirm_plan('$plan')",
		"close_plan('$plan', 'other')", "transition_plan('$plan', 'fly')",
		"advance_plan('$plan')", "add_item('$plan', NULL, 'X', 1)",
		"remove_item('$item')", "reorder_items('$plan', '{}')",
		"assign_professional('$item', '$plan')",
		"change_professional('$plan', '$plan')",
		"add_session('$item', 'X', 1)", "complete_session('$session')",
		"cancel_session('$session')", "complete_item('$item')",
		"record_performed('$item')", 'install()');
	next if $role eq 'reader';
	denied($role, "$role: $_", "SELECT txplan.$_")
	  foreach (
		"plan_detail('$plan')", "available_actions('$plan')",
		'verify_history()', 'audit()', 'event_types()');
}
is_same_record(rows_of($node, 'record'), $before, 'none of that left a trace',
	but => ['events_id_seq']);

# Rights to columns.
$node->safe_psql('postgres', 'CREATE ROLE desk LOGIN');
psql_as($node, 'clinic_owner', 'record', q{
	GRANT USAGE ON SCHEMA txplan TO desk;
	GRANT SELECT ON ALL TABLES IN SCHEMA txplan TO desk;
	GRANT UPDATE (title) ON txplan.plans TO desk;
	INSERT INTO helpers.ids
	SELECT 'draft', txplan.create_plan(c.id, (SELECT id FROM txplan.patients LIMIT 1))
	FROM helpers.ids AS c WHERE c.name = 'clinic';
	SELECT txplan.add_item(id, NULL, 'Item', 1) FROM helpers.ids WHERE name = 'draft'});
my $draft = $node->safe_psql('record', q{SELECT id FROM helpers.ids WHERE name = 'draft'});
psql_as($node, 'desk', 'record', "UPDATE txplan.plans SET title = 'By the desk' WHERE id = '$draft'");
is( $node->safe_psql('record', "SELECT title FROM txplan.plans WHERE id = '$draft'"),
	'By the desk',
	'who may write the title writes the title');
denied('desk', 'but does not move the plan', "SELECT txplan.confirm_plan('$draft')");
denied('desk', 'nor by UPDATE', "UPDATE txplan.plans SET status = 'pending' WHERE id = '$draft'");

# Who acts is the session's user, whatever role is set; the role is recorded too.
$node->safe_psql('postgres', 'GRANT app TO desk');
psql_as($node, 'desk', 'record', "SET ROLE app; UPDATE txplan.plans SET title = 'By app' WHERE id = '$draft'");
is( $node->safe_psql(
		'record', "SELECT actor, role_name FROM txplan.history WHERE plan_id = '$draft' ORDER BY sequence DESC LIMIT 1"),
	'desk|app',
	'history tells the session\'s user and the role');

# Our trigger functions on a table of somebody else's, that says what it likes.
$before = rows_of($node, 'record');
psql_as($node, 'mallory', 'record', q{
	CREATE TABLE helpers.trap AS SELECT * FROM (SELECT
		NULL::uuid AS id, NULL::uuid AS clinic_id, NULL::uuid AS plan_id, NULL::uuid AS item_id,
		NULL::uuid AS patient_id, NULL::uuid AS professional_id, NULL::uuid AS catalog_item_id,
		'x'::text AS number, 'dental'::text AS workflow, 'draft'::text AS status,
		1 AS position, 1 AS sequence, 1::numeric AS amount, 1::numeric AS price,
		'x'::text AS description, 1::bigint AS version) AS t});
foreach my $function (
	split /\n/,
	$node->safe_psql(
		'record', q{
		SELECT proname FROM pg_proc
		WHERE pronamespace = 'txplan'::regnamespace AND prorettype = 'trigger'::regtype
		ORDER BY 1}))
{
	foreach my $kind (
		'BEFORE INSERT ON helpers.trap FOR EACH ROW',
		'AFTER INSERT ON helpers.trap FOR EACH ROW',
		'AFTER INSERT ON helpers.trap REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT',
		'BEFORE UPDATE OR DELETE ON helpers.trap FOR EACH ROW',
		'AFTER UPDATE ON helpers.trap REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT',
		'BEFORE TRUNCATE ON helpers.trap FOR EACH STATEMENT')
	{
		my $statement =
			$kind =~ /INSERT/ ? 'INSERT INTO helpers.trap SELECT * FROM helpers.trap'
		  : $kind =~ /TRUNCATE/ ? 'TRUNCATE helpers.trap'
		  : q{UPDATE helpers.trap SET status = 'pending'};
		my ($sqlstate, $message) = error_of(
			$node, 'record', qq{
			BEGIN;
			CREATE TRIGGER trap $kind EXECUTE FUNCTION txplan.$function('plans');
			$statement;
			ROLLBACK}, '--username', 'mallory');

		# These make sessions read the workflows, or the recall rules, again, no more.
		like($sqlstate,
			$function =~ /^(workflow|recall_rules)_changed$/ ? qr/^(39P01)?$/ : qr/^39P01$/,
			"trigger function $function, $kind")
		  or diag($message);
	}
}
is_same_record(rows_of($node, 'record'), $before,
	'our trigger functions do nothing for the tables of others');
denied('clinic_owner', 'nor for a table of the owner in another schema', q{
	CREATE TABLE helpers.plans (LIKE txplan.plans);
	CREATE TRIGGER trap BEFORE INSERT ON helpers.plans FOR EACH ROW
		EXECUTE FUNCTION txplan.plans_check();
	INSERT INTO helpers.plans DEFAULT VALUES}, '39P01|23502');

# A search_path that lies: operators, functions, types and tables of the names
# that everybody uses, which raise when they are called.
$node->safe_psql(
	'record', q{
	CREATE SCHEMA evil AUTHORIZATION mallory;
	GRANT USAGE ON SCHEMA evil TO PUBLIC});
psql_as($node, 'mallory', 'record', q{
	SET search_path = pg_catalog;
	DO $evil$
	DECLARE
		the_type text;
		the_name text;
		the_operator text;
		raises text := 'LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION ''shadowed''; END $$';
	BEGIN
		FOREACH the_type IN ARRAY ARRAY['uuid', 'text', 'integer', 'bigint', 'numeric', 'boolean',
			'timestamptz', 'jsonb', 'date', 'bytea', 'xid8']
		LOOP
			the_name := 'op_' || the_type;
			EXECUTE format('CREATE FUNCTION evil.%I(a %s, b %s) RETURNS boolean %s',
				the_name, the_type, the_type, raises);
			EXECUTE format('CREATE FUNCTION evil.%I(a %s, b %s) RETURNS %s %s',
				the_name || '_sum', the_type, the_type, the_type, raises);
			FOREACH the_operator IN ARRAY ARRAY['=', '<>', '<', '>', '<=', '>=', '~', '!~',
				'+', '-', '||', '/', '%', '*']
			LOOP
				EXECUTE format('CREATE OPERATOR evil.%s (FUNCTION = evil.%I, LEFTARG = %s, RIGHTARG = %s)',
					the_operator,
					the_name || CASE WHEN the_operator ~ '^[-+/%*|]' THEN '_sum' ELSE '' END,
					the_type, the_type);
			END LOOP;
		END LOOP;
		FOREACH the_name IN ARRAY ARRAY['max', 'min', 'sum', 'count', 'lower', 'upper', 'char_length',
			'octet_length', 'btrim', 'concat', 'to_char', 'timezone', 'date_part', 'abs', 'isfinite',
			'coalesce', 'array_position', 'sha256', 'to_jsonb', 'now', 'clock_timestamp', 'current_user',
			'unnest', 'array_agg', 'jsonb_agg', 'jsonb_build_object', 'row_number', 'format', 'starts_with']
		LOOP
			EXECUTE format('CREATE FUNCTION evil.%I() RETURNS text %s', the_name, raises);
			FOREACH the_type IN ARRAY ARRAY['uuid', 'text', 'integer', 'bigint', 'numeric', 'timestamptz',
				'jsonb', 'bytea', 'uuid[]', 'text[]', 'numeric[]', 'date']
			LOOP
				EXECUTE format('CREATE FUNCTION evil.%I(a %s) RETURNS text %s', the_name,
					the_type, raises);
			END LOOP;
			EXECUTE format('CREATE FUNCTION evil.%I(VARIADIC a text[]) RETURNS text %s',
				the_name || '_many', raises);
		END LOOP;
		FOREACH the_name IN ARRAY ARRAY['clinics', 'professionals', 'patients', 'catalog_items',
			'catalog_sessions', 'workflows', 'workflow_states', 'workflow_transitions', 'events',
			'history', 'number_counters', 'plans', 'items', 'sessions', 'earned_entries', 'record_versions']
		LOOP
			EXECUTE format('CREATE TABLE evil.%I (trap text)', the_name);
			EXECUTE format('GRANT ALL ON evil.%I TO PUBLIC', the_name);
		END LOOP;
		EXECUTE 'CREATE DOMAIN evil.uuid AS pg_catalog.text CHECK (false)';
		EXECUTE 'CREATE DOMAIN evil.text AS pg_catalog.int4 CHECK (false)';
		EXECUTE 'CREATE DOMAIN evil.numeric AS pg_catalog.text CHECK (false)';
		EXECUTE 'CREATE DOMAIN evil.jsonb AS pg_catalog.text CHECK (false)';
		EXECUTE 'CREATE DOMAIN evil.timestamptz AS pg_catalog.text CHECK (false)';
	END
	$evil$});
like(
	(error_of(
			$node, 'record',
			q{SET search_path = evil, pg_catalog; SELECT 'a'::pg_catalog.text = 'a'::pg_catalog.text},
			'--username', 'app'))[1],
	qr/shadowed/,
	'the search_path lies');

# What plpgsql itself does with names is not ours: the work declares its own.
my $honest = $work;
$work =~ s/\b(uuid\[\]|uuid|text)(?=;| :=)/pg_catalog.$1/g;
works('app', 'under a search_path that lies', 'SET search_path = evil, pg_catalog;');
my $temporary = join '', map { "CREATE TEMPORARY TABLE $_ (trap pg_catalog.text);" }
  qw(clinics professionals patients catalog_items catalog_sessions workflows workflow_states
  workflow_transitions events history number_counters plans items sessions earned_entries
  record_versions);
works('app', 'beside temporary tables of the same names', $temporary);
works('app', 'with both', $temporary . 'SET search_path = pg_temp, evil, pg_catalog;');
works('clinic_owner', 'the owner, under a search_path that lies',
	'SET search_path = evil, pg_catalog;');
is( error_of(
		$node, 'record', 'SET search_path = evil, pg_catalog; SELECT txplan.install()',
		'--username', 'clinic_owner'),
	'',
	'install() under a search_path that lies');
is($node->safe_psql('record',
		'SELECT ' . join(' + ', map { "(SELECT count(*) FROM evil.$_)" } qw(plans items events history))),
	0,
	'nothing went into the wrong tables');
$work = $honest;

# A function that runs within a client's statement is a client.
psql_as($node, 'app', 'record', q{
	CREATE FUNCTION helpers.meddle() RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		UPDATE txplan.items SET sessions_completed = 99;
		RETURN 'x';
	END $$});
denied('app', 'a function in an UPDATE is no engine',
	"UPDATE txplan.plans SET title = helpers.meddle() WHERE id = '$draft'", 'TX007');

# Guards run as the owner of the record, restricted, and under a search_path that
# nobody chose; whose they are counts at every call.
psql_as($node, 'clinic_owner', 'record', q{
	CREATE FUNCTION helpers.who(plan_id uuid, clinic_id uuid) RETURNS text
	LANGUAGE plpgsql AS $$
	BEGIN
		RETURN format('%s, %s', current_user, current_setting('search_path'));
	END $$;
	CREATE FUNCTION helpers.greedy(plan_id uuid, clinic_id uuid) RETURNS text
	LANGUAGE plpgsql AS $$
	BEGIN
		CREATE TEMPORARY TABLE loot (x integer);
		RETURN NULL;
	END $$});
psql_as($node, 'mallory', 'record', q{
	CREATE FUNCTION helpers.sneaky(plan_id uuid, clinic_id uuid) RETURNS text
	LANGUAGE plpgsql AS $$
	BEGIN
		UPDATE helpers.ids SET name = current_user || random();
		RETURN NULL;
	END $$;
	GRANT EXECUTE ON FUNCTION helpers.sneaky TO PUBLIC});

# guarded - confirms the draft under a guard, as app.
sub guarded
{
	my ($guard, $setting) = @_;

	psql_as($node, 'clinic_owner', 'record',
		"UPDATE txplan.workflow_transitions SET guards = '{$guard}' WHERE action = 'confirm'");
	return error_of($node, 'record', ($setting // '') . "SELECT txplan.confirm_plan('$draft')",
		'--username', 'app');
}

my ($sqlstate, $message) = guarded('helpers.who', 'SET search_path = evil, pg_catalog;');
is($sqlstate, 'TX002', 'a guard refuses');
like($message, qr/Reasons: clinic_owner, pg_catalog, pg_temp\./,
	'it ran as the owner, under a search_path that is safe');
like(
	(error_of(
			$node, 'record', qq{
			BEGIN;
			SET search_path = evil;
			SAVEPOINT s;
			SELECT txplan.confirm_plan('$draft');
			ROLLBACK TO s;
			SELECT pg_catalog.set_config('txplan.actor', pg_catalog.concat(current_user, pg_catalog.current_setting('search_path')), true);
			DO \$\$ BEGIN RAISE EXCEPTION 'I am % under %', current_user, pg_catalog.current_setting('search_path'); END \$\$},
			'--username', 'app', '--set', 'ON_ERROR_STOP=0'))[1],
	qr/I am app under evil/,
	'afterwards the caller is the caller, under the caller\'s search_path');
($sqlstate, $message) = guarded('helpers.greedy');
is($sqlstate, '42501', 'a guard is restricted: no temporary tables');
like($message, qr/guard "helpers\.greedy"/, 'the error names the guard');
($sqlstate, $message) = guarded('helpers.sneaky');
is($sqlstate, '42883', 'a guard of another role is refused');
like($message, qr/helpers\.sneaky.*belongs neither/s, 'by name');
is($node->safe_psql('record', q{SELECT count(*) FROM helpers.ids WHERE name ~ 'owner'}),
	0, 'and did not run');
is( $node->safe_psql('record', q{SELECT fault, state, action FROM txplan.check_workflow('dental')}),
	'guard of another owner|draft|confirm',
	'check_workflow() finds it');
$node->safe_psql('record', 'ALTER FUNCTION helpers.who OWNER TO mallory');
is((guarded('helpers.who'))[0], '42883', 'so is one that was given to another role');
$node->safe_psql('record',
	'ALTER FUNCTION helpers.who OWNER TO ' . $node->safe_psql('record', 'SELECT current_user'));
is((guarded('helpers.who'))[0], 'TX002', 'that of a superuser runs');
is((guarded(''))[0], '', 'without guards the plan passes');

# The record changes hands.
$node->safe_psql(
	'record', q{
	DO $$
	DECLARE
		the_table regclass;
	BEGIN
		CREATE ROLE new_owner LOGIN;
		GRANT CREATE, USAGE ON SCHEMA txplan TO new_owner;
		FOR the_table IN SELECT c.oid FROM pg_class AS c
			WHERE c.relnamespace = 'txplan'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')
				AND NOT EXISTS (SELECT FROM pg_depend AS d
					WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
						AND d.deptype = 'i' AND c.relkind = 'S')
		LOOP
			EXECUTE format('ALTER TABLE %s OWNER TO new_owner', the_table);
		END LOOP;
		ALTER DOMAIN txplan.tooth OWNER TO new_owner;
		GRANT SELECT, INSERT ON helpers.ids TO new_owner;
	END $$});
works('app', 'after the record changed hands');
works('new_owner', 'the new owner');

fits_together($node, 'record', 'after all');
log_is_clean($node);
done_testing();
