# Tools that read the write-ahead log (logical replication, change data capture)
# find the events as they are: a table with a primary key, rows that are only ever
# inserted, in the order in which transactions committed.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;

my $publisher = new_server('publisher', init => { allows_streaming => 'logical' });
my $sink = new_server('sink', init => { allows_streaming => 'logical' });

make_record($publisher, 'record');

# What such a tool asks of a table first.
is( $publisher->safe_psql(
		'record', q{
		SELECT c.relkind, c.relreplident, array_agg(a.attname ORDER BY a.attnum)
		FROM pg_class AS c
		JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
		JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
		WHERE c.oid IN (SELECT t.relid FROM pg_partition_tree('txplan.events') AS t)
		GROUP BY c.oid, c.relkind, c.relreplident
		ORDER BY c.relkind DESC LIMIT 2}),
	"r|d|{id,clinic_id,occurred_at}\np|d|{id,clinic_id,occurred_at}",
	'the table and its partitions have a primary key, which is their identity');

# test_decoding sees all that is written; of events only that they are inserted.
$publisher->safe_psql('record',
	"SELECT pg_create_logical_replication_slot('$_->[0]', '$_->[1]')")
  foreach [ 'text', 'test_decoding' ], [ 'protocol', 'pgoutput' ];
$publisher->safe_psql(
	'record', q{
	CREATE PUBLICATION by_root FOR TABLE txplan.events WITH (publish_via_partition_root = true);
	CREATE PUBLICATION by_partition FOR TABLE txplan.events WITH (publish_via_partition_root = false)});
fill_record($publisher, 'record');

my $decoded = q{
	SELECT c.data FROM pg_logical_slot_peek_changes('text', NULL, NULL,
		'include-xids', 'off', 'skip-empty-xacts', 'on') AS c
	WHERE c.data ~ '^table txplan[.]events'};

is( $publisher->safe_psql(
		'record', qq{
		SELECT string_agg(DISTINCT split_part(d.data, ': ', 2), ' '),
			count(*) = (SELECT count(*) FROM txplan.events)
		FROM ($decoded) AS d}),
	'INSERT|t',
	'test_decoding: every event is an INSERT, and nothing else is');
is( $publisher->safe_psql(
		'record', qq{
		SELECT count(*) FROM (
			SELECT substring(d.data FROM ' id[[]bigint[]]:([0-9]+)')::bigint AS id,
				substring(d.data FROM 'payload[[]jsonb[]]:''(.*)''') AS payload
			FROM ($decoded) AS d) AS d
		JOIN txplan.events AS e ON e.id = d.id
			AND e.payload = replace(d.payload, '''''', '''')::jsonb}),
	$publisher->safe_psql('record', 'SELECT count(*) FROM txplan.events'),
	'test_decoding: each with its id and its payload');
is( $publisher->safe_psql(
		'record', q{
		SELECT string_agg(DISTINCT chr(get_byte(c.data, 0)), '' ORDER BY chr(get_byte(c.data, 0)))
		FROM pg_logical_slot_peek_binary_changes('protocol', NULL, NULL,
			'proto_version', '1', 'publication_names', 'by_root') AS c}),
	'BCIR',
	'pgoutput: Begin, Relation, Insert, Commit; no Update and no Delete');

# inserted_into - the tables that the Inserts of a publication name.
sub inserted_into
{
	my ($publication) = @_;

	return $publisher->safe_psql(
		'record', qq{
		SELECT DISTINCT c.relname
		FROM pg_logical_slot_peek_binary_changes('protocol', NULL, NULL,
			'proto_version', '1', 'publication_names', '$publication') AS m
		-- I, and the table's oid
		JOIN pg_class AS c
			ON c.oid::int = ('x' || encode(substring(m.data FROM 2 FOR 4), 'hex'))::bit(32)::int
		WHERE get_byte(m.data, 0) = ascii('I')
		ORDER BY c.relname});
}

is(inserted_into('by_root'), 'events',
	'publish_via_partition_root on: one table, whatever its partitions');
is( inserted_into('by_partition'),
	$publisher->safe_psql(
		'record', q{
		SELECT DISTINCT c.relname
		FROM txplan.events AS e
		JOIN pg_class AS c ON c.oid = e.tableoid
		ORDER BY c.relname}),
	'publish_via_partition_root off: the partitions that were written');

# Three databases that take the events: one that knows nothing of txplan, with a
# table of its own, and two that have a record.
$sink->safe_psql('postgres', 'CREATE DATABASE warehouse');
$sink->safe_psql(
	'warehouse', q{
	CREATE SCHEMA txplan;
	CREATE TABLE txplan.events (
		id bigint NOT NULL,
		xid xid8 NOT NULL,
		clinic_id uuid NOT NULL,
		plan_id uuid NOT NULL,
		plan_version bigint NOT NULL,
		type text NOT NULL,
		actor text NOT NULL,
		occurred_at timestamptz NOT NULL,
		payload jsonb NOT NULL,
		arrived bigint GENERATED ALWAYS AS IDENTITY,
		PRIMARY KEY (id, clinic_id, occurred_at))});
make_record($sink, $_) foreach qw(whole parts);

my %publication_of = (warehouse => 'by_root', whole => 'by_root', parts => 'by_partition');

foreach my $database (sort keys %publication_of)
{
	$sink->safe_psql($database,
		"CREATE SUBSCRIPTION $database CONNECTION '"
		  . $publisher->connstr('record') =~ s/'/''/gr
		  . "' PUBLICATION $publication_of{$database}");
}

# events_of - all events of a database, in the order of ids, but for the transaction,
# which where txplan is installed is the one that brought the event.
sub events_of
{
	my ($node, $database) = @_;

	return $node->safe_psql(
		$database, q{
		SELECT id, clinic_id, plan_id, plan_version, type, actor, occurred_at, payload
		FROM txplan.events ORDER BY id});
}

# arrived - every subscriber has the same events; three tests.
sub arrived
{
	my ($name) = @_;
	my $wanted = events_of($publisher, 'record');

	foreach my $database (sort keys %publication_of)
	{
		$sink->poll_query_until($database,
			q{SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')})
		  or die "$database does not get its first copy";
		$publisher->wait_for_catchup($database);
		ok(events_of($sink, $database) eq $wanted,
			"$name: $database, $publication_of{$database}: the same events");
	}
}

arrived('the first copy');

# Two transactions that overlap: ids are in the order of the writes, and events come
# in the order of the commits.
my ($first, $second) = split /\n/, $publisher->safe_psql(
	'record', q{
	SELECT id FROM txplan.plans WHERE status = 'draft' AND items_total > 0 ORDER BY id LIMIT 2});
my ($slow, $quick) = map { $publisher->background_psql('record') } 1 .. 2;
my $before = $publisher->safe_psql('record', 'SELECT max(id) FROM txplan.events');

$slow->query_safe("BEGIN; SELECT txplan.add_item('$first', NULL, 'slow', 10)");
$quick->query_safe("SELECT txplan.add_item('$second', NULL, 'quick', 10)");
$slow->query_safe(
	"UPDATE txplan.plans SET title = 'slow', status = 'pending' WHERE id = '$first'");
$quick->query_safe("UPDATE txplan.plans SET title = 'quick' WHERE id = '$second'");
$slow->query_safe('COMMIT');
$_->quit foreach $slow, $quick;

my $committed = join "\n", "$second|treatment_added", "$second|updated",
  map { "$first|$_" } qw(treatment_added updated confirmed status_changed);

arrived('two transactions at once');
is( $sink->safe_psql(
		'warehouse', qq{
		SELECT plan_id, split_part(type, '.', 2) FROM txplan.events
		WHERE id > $before ORDER BY arrived}),
	$committed,
	'they arrive in the order of the commits, within one in that of the facts');
is( $publisher->safe_psql(
		'record', qq{
		SELECT e.plan_id, split_part(e.type, '.', 2)
		FROM (SELECT substring(d.data FROM ' id[[]bigint[]]:([0-9]+)')::bigint AS id,
				row_number() OVER () AS place
			FROM ($decoded) AS d) AS d
		JOIN txplan.events AS e ON e.id = d.id
		WHERE e.id > $before
		ORDER BY d.place}),
	$committed,
	'test_decoding: in the same order');
isnt(
	$publisher->safe_psql(
		'record', qq{
		SELECT plan_id, split_part(type, '.', 2) FROM txplan.events
		WHERE id > $before ORDER BY id}),
	$committed,
	'which is not that of the ids');

# What was rolled back does not come.
$publisher->safe_psql(
	'record', qq{
	BEGIN;
	UPDATE txplan.plans SET title = 'gone' WHERE id = '$second';
	ROLLBACK;
	BEGIN;
	SAVEPOINT a;
	UPDATE txplan.plans SET title = 'gone, too' WHERE id = '$second';
	ROLLBACK TO a;
	UPDATE txplan.plans SET title = 'kept' WHERE id = '$second';
	COMMIT;
	DELETE FROM txplan.plans WHERE id = '$second'});
is(error_of($publisher, 'record', $_), 'TX007', "nobody may: $_")
  foreach (
	q{UPDATE txplan.events SET actor = 'x'},
	q{DELETE FROM txplan.events},
	q{TRUNCATE txplan.events});
arrived('after a rollback and a deleted plan');
is( $publisher->safe_psql(
		'record',
		qq{SELECT DISTINCT split_part(d.data, ': ', 2) FROM ($decoded) AS d}),
	'INSERT',
	'still there are only INSERTs');

is( $sink->safe_psql('warehouse', 'SELECT id, xid FROM txplan.events ORDER BY id'),
	$publisher->safe_psql('record', 'SELECT id, xid FROM txplan.events ORDER BY id'),
	'a table that is no record gets xid as it was');

# The rules of a record that receives events sleep: nothing follows from them.
is( $sink->safe_psql(
		$_, q{
		SELECT (SELECT count(*) FROM txplan.plans), (SELECT count(*) FROM txplan.history),
			(SELECT count(*) FROM txplan.clinics)}),
	'0|0|0',
	"$_: nothing but events")
  foreach qw(whole parts);
unlike(slurp_file($sink->logfile), qr/ ERROR:/, 'nothing that came was refused');

$sink->safe_psql($_, "DROP SUBSCRIPTION $_") foreach sort keys %publication_of;
fits_together($publisher, 'record', 'after all');
log_is_clean($_) foreach $publisher, $sink;
done_testing();
