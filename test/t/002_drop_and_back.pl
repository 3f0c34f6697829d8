# The extension is code, the record is the clinic's: dropping the one loses no row
# and no column of the other, and with the extension back the rules are.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;

my $node = new_server('main');

# drop_and_back - the whole way, in a database that OWNER made.
sub drop_and_back
{
	my ($database, $owner) = @_;
	my @owner = defined $owner ? ('--username', $owner) : ();
	my $sql = sub { $node->safe_psql($database, $_[0], extra_params => [@owner]) };

	make_record($node, $database, $owner);
	fill_record($node, $database, $owner);

	# What users add to the record is theirs.
	$sql->(
		q{
		CREATE INDEX plans_by_title ON txplan.plans (title);
		ALTER TABLE txplan.patients ADD COLUMN blood_group text DEFAULT 'unknown';
		CREATE VIEW public.open_plans AS
			SELECT number, status FROM txplan.plans WHERE closed_at IS NULL;
		CREATE TABLE public.notes (plan_id uuid, clinic_id uuid, note text,
			FOREIGN KEY (plan_id, clinic_id) REFERENCES txplan.plans (id, clinic_id));
		INSERT INTO public.notes SELECT id, clinic_id, 'note' FROM txplan.plans});
	fits_together($node, $database, "$database: before");

	my $rows = rows_of($node, $database);
	my $schema = schema_of($node, $database);
	my $columns = q{
		SELECT string_agg(format('%s.%s %s %s', attrelid::regclass, attname,
			atttypid::regtype, attnotnull), ', ' ORDER BY attrelid::regclass::text, attnum)
		FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
		WHERE relnamespace = 'txplan'::regnamespace AND relkind IN ('r', 'p')
			AND attnum > 0 AND NOT attisdropped};
	my $columns_before = $sql->($columns);
	my $notes_before = $sql->('SELECT * FROM public.notes ORDER BY plan_id');
	my $constraints = q{
		SELECT string_agg(format('%s %s %s', conrelid::regclass, conname, convalidated),
			', ' ORDER BY conrelid::regclass::text, conname)
		FROM pg_constraint
		WHERE connamespace = 'txplan'::regnamespace AND contype <> 't'};
	my $constraints_before = $sql->($constraints);

	# Without CASCADE.
	my ($sqlstate, $message) =
	  error_of($node, $database, 'DROP EXTENSION txplan', @owner);
	is($sqlstate, '2BP01', "$database: DROP EXTENSION refuses");
	like($message, qr/depend/, "$database: and says that the record depends on it");
	is_same_record(rows_of($node, $database), $rows, "$database: nothing happened");
	is_same_schema(schema_of($node, $database), $schema, "$database: at all");

	# With it.
	$sql->('SET client_min_messages = warning; DROP EXTENSION txplan CASCADE');
	is_same_record(rows_of($node, $database), $rows,
		"$database: CASCADE keeps every row");
	is($sql->($columns), $columns_before, "$database: and every column");
	is($sql->($constraints), $constraints_before, "$database: and every constraint");
	is($sql->('SELECT * FROM public.notes ORDER BY plan_id'),
		$notes_before, "$database: and what refers to it");
	is($sql->(q{SELECT count(*) FROM public.open_plans}) > 0,
		1, "$database: and views upon it");
	is( $sql->(
			q{
			SELECT count(*) FROM pg_proc WHERE pronamespace = 'txplan'::regnamespace}),
		0,
		"$database: the functions are gone");
	is( $sql->(
			q{
			SELECT count(*) FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
			WHERE relnamespace = 'txplan'::regnamespace AND NOT tgisinternal}),
		0,
		"$database: so are the triggers");

	# A record without its extension is ordinary tables, and a dump of it restores.
	my $dumps = PostgreSQL::Test::Utils::tempdir;

	$node->command_ok(
		[
			'pg_dump', @owner, '--file', "$dumps/bare.sql",
			$node->connstr($database)
		],
		"$database: a dump of the bare record");
	$node->safe_psql('postgres',
		"CREATE DATABASE ${database}_bare" . (defined $owner ? " OWNER $owner" : ''));
	$node->command_ok(
		[
			'psql', '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1',
			@owner, '--output', '/dev/null', '--file', "$dumps/bare.sql",
			$node->connstr("${database}_bare")
		],
		"$database: restores");

	foreach my $again ($database, "${database}_bare")
	{
		my @again = @owner;

		($sqlstate, $message) = error_of($node, $again, 'CREATE EXTENSION txplan', @again);
		is($sqlstate, '', "$again: CREATE EXTENSION") or diag($message);
		($sqlstate, $message) = error_of($node, $again, 'SELECT txplan.install()', @again);
		is($sqlstate, '', "$again: install()");
		unlike($message, qr/WARNING/, "$again: install() has nothing to warn of");
		is_same_record(rows_of($node, $again), $rows, "$again: the rows are as before");
		is_same_schema(schema_of($node, $again), $schema,
			"$again: triggers, defaults and all are as before");
		fits_together($node, $again, "$again: back");
		goes_on($node, $again, $again);
		fits_together($node, $again, "$again: back and at work");
	}
}

$node->safe_psql('postgres', 'CREATE ROLE clinic_owner LOGIN');
drop_and_back('record');
drop_and_back('owned', 'clinic_owner');

# install() twice, and twice at once.
my $rows = rows_of($node, 'record');
my $schema = schema_of($node, 'record');
my $first = $node->background_psql('record');
my $second = $node->background_psql('record');

$first->query_safe('BEGIN; SELECT txplan.install()');
$second->query_until(qr/sent/, "\\echo sent\nSELECT txplan.install();\n");
$node->poll_query_until('record',
	q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted});
$first->query_safe('COMMIT');
$second->query_safe('SELECT 0');
$_->quit foreach $first, $second;
is_same_record(rows_of($node, 'record'), $rows,
	'two installations at once: the rows are as before');
is_same_schema(schema_of($node, 'record'), $schema,
	'two installations at once: and the schema');

# What a DBA took out comes back; what he changed of the shipped rows stays.
$node->safe_psql(
	'record', q{
	UPDATE txplan.workflow_states SET label = 'Borrador' WHERE state = 'draft';
	DELETE FROM txplan.workflow_transitions WHERE workflow = 'dental' AND action = 'reopen';
	INSERT INTO txplan.workflow_transitions (workflow, action, from_state, to_state)
	VALUES ('dental', 'shelve', 'draft', 'closed')});
$rows = rows_of($node, 'record');
$schema = schema_of($node, 'record');
$node->safe_psql(
	'record', q{
	DROP TRIGGER plans_check ON txplan.plans;
	DROP TRIGGER sessions_updated ON txplan.sessions;
	DROP TRIGGER events_not_truncated ON txplan.events;
	ALTER TABLE txplan.items DROP CONSTRAINT items_price_in_range;
	ALTER TABLE txplan.sessions DROP CONSTRAINT sessions_of_an_item;
	ALTER TABLE txplan.patients ALTER COLUMN id DROP DEFAULT;
	DROP INDEX txplan.plans_by_patient;
	COMMENT ON TABLE txplan.plans IS NULL;
	SELECT txplan.install()});
is_same_record(rows_of($node, 'record'), $rows,
	'install() keeps what a DBA made of the shipped rows');
is(join("\n", sort split /\n/, schema_of($node, 'record')),
	join("\n", sort split /\n/, $schema),
	'install() brings back what is missing');

# Rows that came to break a rule are named, and do not stop it.
$node->safe_psql(
	'record', q{
	SET session_replication_role = replica;
	ALTER TABLE txplan.items DROP CONSTRAINT items_price_in_range;
	UPDATE txplan.items SET price = -1 WHERE id = (
		SELECT id FROM txplan.items WHERE description LIKE 'Advice%' ORDER BY id LIMIT 1)});
my ($sqlstate, $message) = error_of($node, 'record', 'SELECT txplan.install()');
is($sqlstate, '', 'install() goes on when rows break a rule');
like($message, qr/WARNING:.*items_price_in_range/,
	'it says which rule, by name');
like($message, qr/WARNING:.*a row of the record breaks a rule/,
	'and which rows do not fit together');

# Something else in the way.
$node->safe_psql(
	'postgres', q{
	CREATE DATABASE strange;
	\c strange
	CREATE EXTENSION txplan;
	CREATE VIEW txplan.plans AS SELECT 1 AS id});
($sqlstate, $message) = error_of($node, 'strange', 'SELECT txplan.install()');
is($sqlstate, '42P07', 'install() refuses what stands in its way');
like($message, qr/txplan\.plans.*stands in the way/s, 'and names it');
is( $node->safe_psql(
		'strange', q{
		SELECT count(*) FROM pg_class
		WHERE relnamespace = 'txplan'::regnamespace AND relkind IN ('r', 'p')}),
	0,
	'and leaves nothing');
($sqlstate, $message) =
  error_of($node, 'strange', q{SELECT txplan.create_clinic('A', 'UTC')});
is($sqlstate, 'TX008', 'before install() functions say TX008');
like($message, qr/HINT:.*txplan\.install\(\)/, 'and what to do');

log_is_clean($node);
done_testing();
