# A dump holds the whole record: restored anywhere, it has the same rows, and goes
# on working.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;

my $node = new_server('main');
my $other = new_server('other');
my $dumps = PostgreSQL::Test::Utils::tempdir;

# A role that the record is granted to, in both clusters.
$_->safe_psql('postgres', 'CREATE ROLE clinic_app') foreach $node, $other;
make_record($node, 'record');
fill_record($node, 'record');
$node->safe_psql(
	'record', q{
	GRANT USAGE ON SCHEMA txplan TO clinic_app;
	GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA txplan TO clinic_app});
is( $node->safe_psql(
		'record', q{
		SELECT string_agg(DISTINCT workflow || ' ' || status, ', ') FROM txplan.plans}
	),
	'dental active, dental closed, dental completed, dental draft, '
	  . 'dental pending, recall done, recall invited',
	'the record has plans in all states');
fits_together($node, 'record', 'before');

my $rows = rows_of($node, 'record');
my $schema = schema_of($node, 'record');

# restored - what must be true of a restored database.
sub restored
{
	my ($server, $database, $name) = @_;

	is_same_record(rows_of($server, $database), $rows, "$name: the same rows");
	is_same_schema(schema_of($server, $database),
		$schema, "$name: the same tables, triggers, defaults, comments, rights");
	fits_together($server, $database, $name);
	is( $server->safe_psql(
			$database, 'SELECT txplan.install() = txplan.version()'),
		't',
		"$name: install() is content");
	is_same_record(rows_of($server, $database),
		$rows, "$name: install() changes no row");
	goes_on($server, $database, $name);
	fits_together($server, $database, "$name, after work");
}

sub load_plain
{
	my ($server, $database, $file) = @_;

	command_ok(
		[
			'psql', '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1',
			'--output', '/dev/null', '--file', $file,
			$server->connstr($database)
		],
		"$database: psql restores without an error");
}

$node->command_ok(
	[ 'pg_dump', '--file', "$dumps/plain.sql", $node->connstr('record') ],
	'plain dump');
$node->command_ok(
	[
		'pg_dump', '--format', 'custom', '--file', "$dumps/custom.dump",
		$node->connstr('record')
	],
	'dump in custom format');
$node->command_ok(
	[
		'pg_dump', '--format', 'directory', '--jobs', '2', '--file',
		"$dumps/directory", $node->connstr('record')
	],
	'dump in directory format');

foreach my $server ($node, $other)
{
	my $where = $server->name;

	$server->safe_psql('postgres', 'CREATE DATABASE plain');
	load_plain($server, 'plain', "$dumps/plain.sql");
	restored($server, 'plain', "plain, $where");
}

$other->safe_psql('postgres', 'CREATE DATABASE custom');
$other->command_ok(
	[
		'pg_restore', '--exit-on-error', '--dbname',
		$other->connstr('custom'), "$dumps/custom.dump"
	],
	'pg_restore of custom format');
restored($other, 'custom', 'custom');

$node->safe_psql('postgres', 'CREATE DATABASE directory');
$node->command_ok(
	[
		'pg_restore', '--exit-on-error', '--jobs', '2', '--dbname',
		$node->connstr('directory'), "$dumps/directory"
	],
	'pg_restore of directory format with two jobs');
restored($node, 'directory', 'directory');

# The database that was dumped was not changed by it.
is_same_record(rows_of($node, 'record'), $rows, 'the dumped record is as it was');

# The schema alone is a record that install() has yet to fill with its version.
$node->safe_psql('postgres', 'CREATE DATABASE schema_alone');
$node->command_ok(
	[
		'pg_dump', '--schema-only', '--file', "$dumps/schema.sql",
		$node->connstr('record')
	],
	'dump of the schema alone');
load_plain($node, 'schema_alone', "$dumps/schema.sql");
my ($sqlstate, $message) = error_of($node, 'schema_alone',
	q{SELECT txplan.create_clinic('A', 'UTC')});
is($sqlstate, 'TX008', 'schema alone: not installed yet');
like($message, qr/txplan\.install\(\)/, 'schema alone: the hint says what to do');
$node->safe_psql('schema_alone', 'SELECT txplan.install()');
fill_record_again($node, 'schema_alone');
fits_together($node, 'schema_alone', 'schema alone, installed and filled');
is_same_schema(schema_of($node, 'schema_alone'),
	$schema, 'schema alone: the same schema');

# fill_record makes a schema that is here already.
sub fill_record_again
{
	my ($server, $database) = @_;

	$server->safe_psql($database, 'DROP SCHEMA clinic_rules CASCADE');
	fill_record($server, $database);
}

# The data alone, into a record that is installed: the rules stand in the way
# until the dump disables them, and what install() brought is there already.
make_record($node, 'data_alone');
$node->safe_psql(
	'data_alone', q{
	CREATE SCHEMA clinic_rules;
	BEGIN;
	SET LOCAL session_replication_role = replica;
	DELETE FROM txplan.workflow_transitions;
	DELETE FROM txplan.workflow_states;
	DELETE FROM txplan.workflows;
	DELETE FROM txplan.recall_rules;
	DELETE FROM txplan.record_versions;
	COMMIT});
$node->command_ok(
	[
		'pg_dump', '--data-only', '--file', "$dumps/data.sql",
		$node->connstr('record')
	],
	'dump of the data alone');
$node->command_ok(
	[
		'pg_dump', '--data-only', '--disable-triggers', '--file',
		"$dumps/data_disabled.sql", $node->connstr('record')
	],
	'dump of the data alone that disables triggers');
my $empty = rows_of($node, 'data_alone');
my ($status, $out, $err) = (0, '', '');
IPC::Run::run(
	[
		'psql', '--no-psqlrc', '--quiet', '--single-transaction', '--set',
		'ON_ERROR_STOP=1', '--file', "$dumps/data.sql",
		$node->connstr('data_alone')
	],
	'>', \$out, '2>', \$err);
isnt($?, 0, 'data alone: the rules refuse it while they are awake');
is_same_record(rows_of($node, 'data_alone'), $empty, 'data alone: nothing is left of the attempt',
	but => ['events_id_seq']);
load_plain($node, 'data_alone', "$dumps/data_disabled.sql");
is_same_record(rows_of($node, 'data_alone'), $rows, 'data alone: the same rows');
fits_together($node, 'data_alone', 'data alone');
goes_on($node, 'data_alone', 'data alone');
fits_together($node, 'data_alone', 'data alone, after work');

# A database owner who is no superuser makes, dumps and restores a record.
$_->safe_psql('postgres', 'CREATE ROLE clinic_owner LOGIN') foreach $node, $other;
make_record($node, 'owned', 'clinic_owner');
fill_record($node, 'owned', 'clinic_owner');
fits_together($node, 'owned', 'owned');
$rows = rows_of($node, 'owned');
$schema = schema_of($node, 'owned');
$node->command_ok(
	[
		'pg_dump', '--username', 'clinic_owner', '--file',
		"$dumps/owned.sql", $node->connstr('owned')
	],
	'the owner dumps the record');
foreach my $server ($node, $other)
{
	my $database = 'owned_again';

	$server->safe_psql('postgres',
		"CREATE DATABASE $database OWNER clinic_owner");
	$server->command_ok(
		[
			'psql', '--no-psqlrc', '--quiet', '--username', 'clinic_owner',
			'--set', 'ON_ERROR_STOP=1', '--output', '/dev/null',
			'--file', "$dumps/owned.sql", $server->connstr($database)
		],
		'the owner restores the record');
	restored($server, $database, 'owner, ' . $server->name);
}

# Upkeep has made months of events.  A dump of the data names them, so they are made
# before they are restored; a whole dump brings them along.
make_record($node, 'months');
fill_record($node, 'months');
$node->safe_psql('months', q{SELECT count(*) FROM txplan.maintain(now() - interval '2 months')});
is($node->safe_psql('months', 'SELECT count(*) > 2 FROM txplan.event_partitions'),
	't', 'months: there are some');
$rows = rows_of($node, 'months');
$schema = schema_of($node, 'months');
$node->command_ok(
	[ 'pg_dump', '--format=custom', '--file', "$dumps/months.dump", $node->connstr('months') ],
	'months: dump');
$other->safe_psql('postgres', 'CREATE DATABASE months');
$other->command_ok([ 'pg_restore', '--dbname', $other->connstr('months'), "$dumps/months.dump" ],
	'months: restored whole');
restored($other, 'months', 'months');
make_record($other, 'months_alone');
$other->safe_psql(
	'months_alone', q{
	CREATE SCHEMA clinic_rules;
	SELECT count(*)
	FROM generate_series(now() - interval '3 months', now() + interval '3 months', '1 month') AS t,
		txplan.maintain(t) AS m;
	BEGIN;
	SET LOCAL session_replication_role = replica;
	DELETE FROM txplan.workflow_transitions;
	DELETE FROM txplan.workflow_states;
	DELETE FROM txplan.workflows;
	DELETE FROM txplan.recall_rules;
	DELETE FROM txplan.record_versions;
	COMMIT});
$other->command_ok(
	[
		'pg_restore', '--data-only', '--disable-triggers', '--dbname',
		$other->connstr('months_alone'), "$dumps/months.dump"
	],
	'months: the data alone');
is( $other->safe_psql('months_alone', 'SELECT count(*) FROM txplan.events'),
	$node->safe_psql('months', 'SELECT count(*) FROM txplan.events'),
	'months: all events');
fits_together($other, 'months_alone', 'months, the data alone');
goes_on($other, 'months_alone', 'months, the data alone');
fits_together($other, 'months_alone', 'months, the data alone, after work');

log_is_clean($_) foreach $node, $other;
done_testing();
