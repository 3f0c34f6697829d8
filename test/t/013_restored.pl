# A consumer half way through what it reads goes on behind what it has finished:
# in another cluster that a dump was restored into, whose transaction numbers are
# lower, and in the next one after that; on a standby that was promoted; and each
# subscriber of logical replication has its own.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;

my $dumps = PostgreSQL::Test::Utils::tempdir;
my $node = new_server('main',
	init => { allows_streaming => 'logical' },
	settings => 'max_prepared_transactions = 10');

# What each consumer of a database has been handed out, by SERVER DATABASE CONSUMER
my %taken;

# take - what a consumer is handed out, as PLAN.VERSION, plan by plan, each in the
# order in which it came, batch by batch, until nothing is left or so many batches.
# It finishes them.
sub take
{
	my ($server, $database, $consumer, $max_events, $batches) = @_;
	my $limit = $batches // 1000;

	my $result = $server->safe_psql(
		$database, qq{
		CREATE TEMP TABLE taken (place serial, plan text, text text);
		DO \$\$
		DECLARE
			batch bigint;
			rest integer := $limit;
		BEGIN
			WHILE rest > 0 LOOP
				WITH written AS (
					INSERT INTO taken (plan, text)
					SELECT p.title, concat(p.title, '.', n.plan_version)
					FROM txplan.next_events('$consumer', $max_events) AS n
					JOIN txplan.plans AS p ON p.id = n.plan_id AND p.clinic_id = n.clinic_id
					ORDER BY n.event_id
					RETURNING 1
				)
				SELECT count(*) INTO batch FROM written;
				EXIT WHEN batch = 0;
				PERFORM txplan.finish_events('$consumer', b.batch_id)
				FROM (SELECT DISTINCT batch_id FROM txplan.next_events('$consumer', $max_events)) AS b;
				rest := rest - 1;
			END LOOP;
		END \$\$;
		SELECT string_agg(text, ' ' ORDER BY plan, place) FROM taken});

	$taken{ join ' ', $server->name, $database, $consumer } .= " $result";
	return $result;
}

# in_order - names of events, plan by plan.
sub in_order
{
	return join ' ', sort {
		my ($plan, $version) = $a =~ /(\w)\.(\d+)/;
		my ($other, $later) = $b =~ /(\w)\.(\d+)/;

		$plan cmp $other || $version <=> $later
	} map { split / / } @_;
}

# all_but - names of events but for some.
sub all_but
{
	my ($all, @but) = @_;
	my %but = map { $_ => 1 } map { split / / } @but;

	return in_order(grep { !$but{$_} } split / /, $all);
}

# add - makes events of plans, named by their titles.
sub add
{
	my ($server, $database, @titles) = @_;

	$server->safe_psql(
		$database,
		join '',
		map {
			"SELECT txplan.add_item(id, NULL, 'Item', 10) IS NOT NULL FROM txplan.plans WHERE title = '$_';\n"
		} @titles);
}

# pending - what a consumer still has to do: all, in open batches, put back, dead.
sub pending
{
	my ($server, $database, $consumer) = @_;

	return $server->safe_psql(
		$database, qq{
		SELECT concat_ws(' ', pending_events, open_events, retry_events, dead_events)
		FROM txplan.consumer_lag WHERE consumer = '$consumer'});
}

# What there was before and after the restore.
my $before = 'A.2 B.2 C.2 C.3 D.2 D.3 C.4 E.2 A.3 A.4 A.5 A.6 A.7 H.2';
my $finished = 'A.2 B.2 C.2 C.3 D.2';

make_record($node, 'record');
$node->safe_psql(
	'record', q{
	SELECT txplan.create_patient(txplan.create_clinic('Clinic', 'UTC'), 'Ana', 'Ruiz') IS NOT NULL;
	INSERT INTO txplan.plans (clinic_id, patient_id, title)
	SELECT clinic_id, id, chr(64 + n) FROM txplan.patients, generate_series(1, 8) AS n});

# The transaction numbers of the first cluster are far ahead.
$node->stop;
command_ok(
	[
		'pg_resetwal', '--next-transaction-id', '100000000', '--pgdata',
		$node->data_dir
	],
	'transaction numbers go ahead');
append_to_file(
	sprintf('%s/pg_xact/%04X', $node->data_dir, 100000000 / (8192 * 4 * 32)),
	"\0" x 262144);
$node->start;

# One consumer half way: some finished, one of it after it was put back, one a
# dead letter, and one batch open; another that has read nothing yet, one that has
# read all, and one in the middle of what waits.
$node->safe_psql(
	'record', q{
	SELECT txplan.create_consumer(name)
	FROM unnest('{half,fresh,through,window}'::text[]) AS name;
	UPDATE txplan.consumers SET max_retries = 1 WHERE name = 'half'});
add($node, 'record', qw(A B));

# A slow transaction writes before what is read now, and commits later.
$node->safe_psql(
	'record', q{
	SET txplan.notify = off;
	BEGIN;
	SELECT txplan.add_item(id, NULL, 'Late', 10) IS NOT NULL FROM txplan.plans WHERE title = 'H';
	PREPARE TRANSACTION 'late'});
is(take($node, 'record', 'half', 100), 'A.2 B.2', 'read and finished');
add($node, 'record', qw(C C D D));

foreach my $time ('first', 'second')
{
	$node->safe_psql(
		'record', q{
		SELECT count(*) FROM txplan.next_events('half', 2);
		SELECT txplan.retry_event('half', e.id, '0', 'no') FROM txplan.events AS e
		JOIN txplan.plans AS p ON p.id = e.plan_id WHERE p.title = 'C' AND e.plan_version = 2;
		SELECT txplan.finish_events('half', batch_id)
		FROM (SELECT DISTINCT batch_id FROM txplan.next_events('half')) AS b});
}
add($node, 'record', qw(C E));
$node->safe_psql(
	'record', q{
	UPDATE txplan.consumers SET max_retries = 5;
	SELECT count(*) FROM txplan.next_events('half', 1)});
is(pending($node, 'record', 'half'), '3 1 0 1', 'half way: one open, one dead letter');
add($node, 'record', 'A') foreach 1 .. 5;
is(take($node, 'record', 'through', 100), all_but($before, 'H.2'), 'one is through');
is(split(/ /, take($node, 'record', 'window', 3, 2)), 6, 'one is in the middle');
my $window = $taken{'main record window'};
$node->safe_psql('record', q{COMMIT PREPARED 'late'});
is(pending($node, 'record', 'half'), '9 1 0 1', 'the late event waits');

sub dump_of
{
	my ($server, $database, $name) = @_;

	$server->command_ok(
		[ 'pg_dump', '--file', "$dumps/$name.sql", $server->connstr($database) ],
		"$name: dump");
}

sub restore
{
	my ($server, $database, $name) = @_;

	$server->safe_psql('postgres', "CREATE DATABASE $database");
	command_ok(
		[
			'psql', '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1',
			'--output', '/dev/null', '--file', "$dumps/$name.sql",
			$server->connstr($database)
		],
		"$name: restored in " . $server->name . " as $database");
}

# goes_on_reading - what must come of it in another place, with new events from
# there on.
sub goes_on_reading
{
	my ($server, $database, $name) = @_;
	my $all = "$before F.2 A.8";

	is(pending($server, $database, 'half'), '9 1 0 1', "$name: what waits, waits");
	is(pending($server, $database, 'through'), '1 0 0 0', "$name: only the late event for one");
	add($server, $database, qw(F A));
	is(pending($server, $database, 'half'), '11 1 0 1', "$name: what is new waits, too");
	is(take($server, $database, 'half', 100), all_but($all, $finished),
		"$name: half way goes on behind what it has finished");
	is(take($server, $database, 'through', 100), 'A.8 F.2 H.2', "$name: so does the one that was through");
	is(take($server, $database, 'window', 2), all_but($all, $window), "$name: and the one in the middle");
	is(take($server, $database, 'fresh', 4), in_order($all), "$name: and the one that had read nothing");
	$server->safe_psql($database,
		q{SELECT txplan.revive_event('half', event_id) FROM txplan.dead_events});
	is(take($server, $database, 'half', 100), 'C.2', "$name: the dead letter can be revived");
	add($server, $database, 'G');
	is(take($server, $database, $_, 100), 'G.2', "$name: $_ goes on")
	  foreach qw(half through window fresh);
	$server->safe_psql(
		$database, q{
		SELECT txplan.create_consumer('early', start => 'beginning');
		SELECT txplan.create_consumer('now')});
	is( take($server, $database, 'early', 3),
		in_order("$all G.2", map { "$_.1" } 'A' .. 'H'),
		"$name: a new one from the beginning reads all");
	add($server, $database, 'H');
	is(take($server, $database, $_, 100), 'H.3', "$name: $_ reads what is new")
	  foreach qw(early now half);
	is(pending($server, $database, $_), '0 0 0 0', "$name: nothing is left for $_")
	  foreach qw(early now half);
	fits_together($server, $database, $name);
}

dump_of($node, 'record', 'first');
my $other = new_server('other', init => { allows_streaming => 1 });
cmp_ok($other->safe_psql('postgres', 'SELECT pg_current_xact_id()'),
	'<', 100000, 'the other cluster is at a low transaction number');
restore($other, 'record', 'first');
goes_on_reading($other, 'record', 'restored elsewhere');
restore($node, 'again', 'first');
goes_on_reading($node, 'again', 'restored in the same cluster');

# Restored half way, a bit read there, a batch open there, and restored again.
restore($other, 'twice', 'first');
is(split(/ /, take($other, 'twice', 'half', 1, 2)), 2, 'twice: a bit is read');
is(split(/ /, take($other, 'twice', 'window', 2, 1)), 2, 'twice: and a bit by another');
is(take($other, 'twice', 'through', 100), 'H.2', 'twice: one is through again');
add($other, 'twice', qw(F A));
$other->safe_psql('twice', q{SELECT count(*) FROM txplan.next_events('half', 2)});
dump_of($other, 'twice', 'second');
my $third = new_server('third');
foreach my $server ($third, $node)
{
	my $name = 'twice, now in ' . $server->name;
	my $all = "$before F.2 A.8 G.2";

	restore($server, 'twice', 'second');
	add($server, 'twice', 'G');
	is(pending($server, 'twice', 'through'), '3 0 0 0', "$name: what waits, waits");
	is(pending($server, 'twice', 'half'), '10 2 0 1', "$name: what waits, waits");
	is( take($server, 'twice', 'half', 3),
		all_but($all, $finished, $taken{'other twice half'}),
		"$name: half way goes on");
	is(take($server, 'twice', 'through', 100), 'A.8 F.2 G.2', "$name: so does the one that was through");
	is( take($server, 'twice', 'window', 3),
		all_but($all, $window, $taken{'other twice window'}),
		"$name: and the one in the middle");
	is(take($server, 'twice', 'fresh', 4), in_order($all), "$name: and the one that had read nothing");
	add($server, 'twice', 'G');
	is(take($server, 'twice', $_, 100), 'G.3', "$name: $_ goes on")
	  foreach qw(half through window fresh);
	is(pending($server, 'twice', $_), '0 0 0 0', "$name: nothing is left for $_")
	  foreach qw(through window fresh);
	fits_together($server, 'twice', $name);
}

# A standby says where to read; promoted it goes on with what was committed.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
is(split(/ /, take($node, 'record', 'window', 2, 1)), 2, 'primary: a bit is read');
$node->safe_psql('record', q{SELECT count(*) FROM txplan.next_events('half', 100)});
add($node, 'record', qw(F A));
$node->wait_for_catchup($standby);
is(pending($standby, 'record', 'half'), '11 1 0 1', 'standby: the lag can be read');
is($standby->safe_psql('record', 'SELECT count(*) FROM txplan.dead_events'),
	1, 'standby: so can dead letters');
foreach my $call (
	"next_events('half')", "finish_events('half', 1)",
	"retry_event('half', 1)", "revive_event('half', 1)",
	"pass_events('half')", "create_consumer('x')",
	"drop_consumer('half')")
{
	my ($sqlstate, $message) = error_of($standby, 'record', "SELECT txplan.$call");

	is($sqlstate, '25006', "standby: $call is refused");
	like($message, qr/ERROR: .*consumers read events on the primary only.*DETAIL: .*HINT: .*primary/s,
		"standby: and says where to go");
}

# What was not committed when the primary went away is not there any more, neither
# the event nor the batch.
$node->safe_psql(
	'record', q{
	BEGIN;
	SELECT txplan.add_item(id, NULL, 'Lost', 10) IS NOT NULL FROM txplan.plans WHERE title = 'B';
	SELECT count(*) FROM txplan.next_events('through', 100)});
$node->wait_for_catchup($standby);
$node->stop('immediate');
$standby->promote;
my $all = "$before F.2 A.8 G.2";
add($standby, 'record', 'G');
is(take($standby, 'record', 'half', 100), all_but($all, $finished), 'promoted: half way goes on');
is( take($standby, 'record', 'window', 3),
	all_but($all, $taken{'main record window'}),
	'promoted: so does the one in the middle');
is(take($standby, 'record', 'through', 3), 'A.8 F.2 G.2 H.2', 'promoted: and the one that was through');
is(take($standby, 'record', 'fresh', 100), in_order($all), 'promoted: and the one that had read nothing');
fits_together($standby, 'record', 'promoted');

# A subscriber of logical replication has the events, with its own transactions,
# and its own consumers; what comes late comes late there, too.
my $publisher = new_server('publisher',
	init => { allows_streaming => 'logical' },
	settings => 'max_prepared_transactions = 10');
my $subscriber = new_server('subscriber');
make_record($_, 'record') foreach $publisher, $subscriber;
$subscriber->safe_psql(
	'record', q{
	SET session_replication_role = replica;
	DELETE FROM txplan.workflow_transitions;
	DELETE FROM txplan.workflow_states;
	DELETE FROM txplan.workflows;
	DELETE FROM txplan.recall_rules;
	DELETE FROM txplan.record_versions});
$publisher->safe_psql(
	'record', q{
	SELECT txplan.create_patient(txplan.create_clinic('Clinic', 'UTC'), 'Ana', 'Ruiz') IS NOT NULL;
	INSERT INTO txplan.plans (clinic_id, patient_id, title)
	SELECT clinic_id, id, chr(64 + n) FROM txplan.patients, generate_series(1, 3) AS n;
	SELECT txplan.create_consumer('published', start => 'beginning');
	DO $$
	BEGIN
		EXECUTE 'CREATE PUBLICATION record FOR TABLE ' || (
			SELECT string_agg(c.oid::regclass::text, ', ')
			FROM pg_class AS c
			WHERE c.relnamespace = 'txplan'::regnamespace AND c.relkind IN ('r', 'p')
				AND NOT c.relispartition
				AND c.relname !~ '^(consumer|event_origins)');
	END $$});
$subscriber->safe_psql('record',
	q{CREATE SUBSCRIPTION record CONNECTION '}
	  . $publisher->connstr('record') =~ s/'/''/gr
	  . q{' PUBLICATION record});
$subscriber->poll_query_until('record',
	q{SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')})
  or die 'the subscriber does not get its first copy';
$publisher->wait_for_catchup('record');
$subscriber->safe_psql(
	'record', q{
	SELECT txplan.create_consumer('early', start => 'beginning');
	SELECT txplan.create_consumer('now')});
is(take($subscriber, 'record', 'early', 2), 'A.1 B.1 C.1', 'subscriber: the first copy is read');
$publisher->safe_psql(
	'record', q{
	SET txplan.notify = off;
	BEGIN;
	SELECT txplan.add_item(id, NULL, 'Late', 10) IS NOT NULL FROM txplan.plans WHERE title = 'A';
	PREPARE TRANSACTION 'late'});
add($publisher, 'record', ('B') x 10);
$publisher->wait_for_catchup('record');
is(pending($subscriber, 'record', 'now'), '10 0 0 0', 'subscriber: the lag is its own');
is(take($subscriber, 'record', 'now', 3, 2), join(' ', map { "B.$_" } 2 .. 7), 'subscriber: what comes is read');
$publisher->safe_psql('record', q{COMMIT PREPARED 'late'});
$publisher->wait_for_catchup('record');
is(take($subscriber, 'record', 'now', 3), 'A.2 B.8 B.9 B.10 B.11', 'subscriber: what comes late, later');
is(take($subscriber, 'record', 'early', 4), join(' ', 'A.2', map { "B.$_" } 2 .. 11), 'subscriber: each has its own place');
is(take($publisher, 'record', 'published', 100), in_order('A.1 B.1 C.1 A.2', map { "B.$_" } 2 .. 11), 'publisher: and so it has there');
is($subscriber->safe_psql('record', 'SELECT string_agg(name, \' \' ORDER BY name) FROM txplan.consumers'), 'early now',
	'subscriber: the consumers of the publisher are not there');

# It takes over.
$publisher->stop;
$subscriber->safe_psql(
	'record', q{
	ALTER SUBSCRIPTION record DISABLE;
	ALTER SUBSCRIPTION record SET (slot_name = NONE);
	DROP SUBSCRIPTION record;
	SELECT setval('txplan.events_id_seq', (SELECT max(id) FROM txplan.events))});
add($subscriber, 'record', 'C');
is(take($subscriber, 'record', $_, 100), 'C.2', "subscriber: $_ goes on when it takes over") foreach qw(early now);
fits_together($subscriber, 'record', 'subscriber');

log_is_clean($_) foreach $node, $other, $third, $standby, $subscriber;
done_testing();
