# The months of events on whole servers: dumps that have them, a restored consumer
# that holds them, archives, a standby, a default partition that has grown large,
# a thousand months, and servers that die while events are moved under readers.

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_server('main',
	init => { allows_streaming => 1 },
	settings => "max_connections = 50\nmax_locks_per_transaction = 512");
my $other = new_server('other');
my $files = PostgreSQL::Test::Utils::tempdir;

# old_events makes events of a time that is over, as only a superuser can.
my $old_events = q{
	CREATE FUNCTION public.old_events(first timestamptz, n integer, step interval, padding integer DEFAULT 0)
	RETURNS void LANGUAGE sql SET session_replication_role = replica AS $$
		INSERT INTO txplan.events (id, clinic_id, plan_id, plan_version, type, actor, occurred_at, payload)
		SELECT e.id, c.id, e.plan_id, 1, 'treatment_plan.deleted', 'old', e.at,
			jsonb_build_object('event_id', e.id::text, 'plan_id', e.plan_id, 'plan_number', 'OLD' || repeat('-', padding),
				'clinic_id', c.id, 'patient_id', e.plan_id, 'actor', 'old',
				'occurred_at', to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
		FROM (SELECT id FROM txplan.clinics ORDER BY id LIMIT 1) AS c,
			(SELECT nextval('txplan.events_id_seq') AS id, txplan.new_id() AS plan_id, first + i * step AS at
			FROM generate_series(0, n - 1) AS i) AS e
	$$};

# upkeep - what maintain() did with partitions, a line each.
sub upkeep
{
	my ($server, $database, $at, @options) = @_;

	return $server->safe_psql($database,
		'SELECT name, outcome FROM txplan.maintain('
		  . (defined $at ? "'$at'" : '')
		  . ") WHERE kind = 'partition'",
		extra_params => [@options]);
}

# default_rows - how many events are in no month.
sub default_rows
{
	my ($server, $database) = @_;

	return $server->safe_psql($database,
		'SELECT rows FROM txplan.event_partitions WHERE is_default');
}

# ------------------------------------------------------------------ dumps

# The record belongs to a role that is no superuser, and so do its months.
$_->safe_psql('postgres', 'CREATE ROLE clinic_owner LOGIN') foreach $node, $other;
make_record($node, 'record', 'clinic_owner');
fill_record($node, 'record', 'clinic_owner');
$node->safe_psql('record', $old_events);
$node->safe_psql('record', q{SELECT old_events('2020-01-10 12:00+00', 100, '10 hours')});
is( join(' ',
		grep { /^events_2020/ }
		  split(/\n/, upkeep($node, 'record', '2020-04-15', '--username', 'clinic_owner'))),
	join(' ', map { "events_2020_0$_|made" } 1, 2, 4, 5, 6),
	'the owner makes the months that events wait for, and those ahead');
is(default_rows($node, 'record'), 0, 'nothing is left in the default partition');
upkeep($node, 'record', undef, '--username', 'clinic_owner');
is( $node->safe_psql(
		'record', q{
		SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class
		WHERE relnamespace = 'txplan'::regnamespace AND relname ~ '^events_'}),
	'clinic_owner',
	'they are the owner\'s');
is( $node->safe_psql(
		'record', q{SELECT table_name FROM txplan.archive_events('2020-02-01')},
		extra_params => [ '--username', 'clinic_owner' ]),
	'events_2020_01_archived',
	'the owner archives');
fits_together($node, 'record', 'with months');

my $rows = rows_of($node, 'record');
my $schema = schema_of($node, 'record');

command_ok([ 'pg_dump', '--file', "$files/plain.sql", $node->connstr('record') ],
	'plain dump');
command_ok(
	[
		'pg_dump', '--format', 'custom', '--file', "$files/custom.dump",
		$node->connstr('record')
	],
	'dump in custom format');
foreach my $server ($node, $other)
{
	my $where = $server->name;

	$server->safe_psql('postgres', "CREATE DATABASE plain OWNER clinic_owner");
	$server->safe_psql('postgres', "CREATE DATABASE custom OWNER clinic_owner");
	command_ok(
		[
			'psql', '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1',
			'--output', '/dev/null', '--file', "$files/plain.sql",
			$server->connstr('plain')
		],
		"$where: psql restores the dump");
	command_ok(
		[
			'pg_restore', '--exit-on-error', '--dbname',
			$server->connstr('custom'), "$files/custom.dump"
		],
		"$where: pg_restore restores it");
	foreach my $database ('plain', 'custom')
	{
		is_same_record(rows_of($server, $database), $rows,
			"$where, $database: the same rows in the same months");
		is_same_schema(schema_of($server, $database), $schema,
			"$where, $database: the same months");
		$server->safe_psql($database, 'SELECT txplan.install()');
		is_same_schema(schema_of($server, $database), $schema,
			"$where, $database: install() changes none");
		is_same_record(rows_of($server, $database), $rows,
			"$where, $database: and no row");
		goes_on($server, $database, "$where, $database");
		is(default_rows($server, $database), 0,
			"$where, $database: what is new goes to its month");
		is(upkeep($server, $database), '', "$where, $database: there is nothing to do");
	}
}

# DROP EXTENSION takes the triggers of months, and install() brings them.
$node->safe_psql('plain', 'DROP EXTENSION txplan CASCADE');
is( $node->safe_psql(
		'plain', q{
		SELECT count(*) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
		WHERE c.relnamespace = 'txplan'::regnamespace AND NOT t.tgisinternal}),
	0,
	'DROP EXTENSION: no trigger is left');
$node->safe_psql('plain', 'CREATE EXTENSION txplan; SELECT txplan.install()',
	extra_params => [ '--username', 'clinic_owner' ]);
is( schema_of($node, 'plain') =~ tr/\n//,
	$schema =~ tr/\n//,
	'install(): as many lines of definitions as before');
is( $node->safe_psql(
		'plain', q{
		SELECT min(n), max(n) FROM (
			SELECT count(*) AS n FROM pg_trigger AS t JOIN pg_inherits AS i ON i.inhrelid = t.tgrelid
			WHERE i.inhparent = 'txplan.events'::regclass GROUP BY i.inhrelid) AS t}),
	'3|3',
	'install(): each month has its triggers');

# --------------------------------------------- consumers, also after a restore

make_record($node, 'consumed');
fill_record($node, 'consumed');
$node->safe_psql('consumed', $old_events);
$node->safe_psql('consumed', q{ALTER DATABASE consumed SET txplan.events_keep = 30});
$node->safe_psql(
	'consumed', q{
	SELECT txplan.create_consumer('stays', start => 'beginning');
	SELECT txplan.create_consumer('leaves', start => 'beginning');
	SELECT old_events('2020-01-10 12:00+00', 60, '1 day')});

# read_all - how many events a consumer gets until none is left.
sub read_all
{
	my ($server, $database, $consumer) = @_;

	return $server->safe_psql(
		$database, qq{
		CREATE TEMP TABLE got (id bigint);
		DO \$\$
		DECLARE
			the_batch bigint;
			empty integer := 0;
		BEGIN
			WHILE empty < 3 LOOP
				WITH n AS (SELECT * FROM txplan.next_events('$consumer', 50)),
				i AS (INSERT INTO got SELECT event_id FROM n)
				SELECT min(batch_id) INTO the_batch FROM n;
				IF the_batch IS NULL THEN
					empty := empty + 1;
				ELSE
					PERFORM txplan.finish_events('$consumer', the_batch);
				END IF;
				COMMIT;
			END LOOP;
		END \$\$;
		SELECT count(DISTINCT id) || CASE WHEN count(DISTINCT id) = count(*) THEN '' ELSE ' some twice' END FROM got});
}

my $events = $node->safe_psql('consumed', 'SELECT count(*) FROM txplan.events');

is(read_all($node, 'consumed', 'leaves'), $events, 'one consumer reads all events');
unlike(upkeep($node, 'consumed', '2020-07-01'), qr/dropped/,
	'what the other has not read is kept');
like(upkeep($node, 'consumed', '2020-07-01'), qr/^events_2020_01\|held$/m, 'and maintain() says so');
is( $node->safe_psql('consumed', 'SELECT count(*) FROM txplan.events'),
	$events, 'no event is lost');
command_ok(
	[
		'pg_dump', '--format', 'custom', '--create', '--file', "$files/consumed.dump",
		$node->connstr('consumed')
	],
	'a dump with consumers');
command_ok(
	[
		'pg_restore', '--exit-on-error', '--create', '--dbname',
		$other->connstr('postgres'), "$files/consumed.dump"
	],
	'restored in another cluster');
is($other->safe_psql('consumed', 'SELECT txplan.version() IS NULL; SHOW txplan.events_keep'), "f\n30",
	'restored: the setting came along');
like(upkeep($other, 'consumed', '2020-07-01'), qr/^events_2020_01\|held$/m,
	'restored: all consumers hold, since their places are of the other cluster');
is( $other->safe_psql('consumed',
		q{SELECT held_by FROM txplan.event_partitions WHERE partition = 'events_2020_01'}),
	'{leaves,stays}',
	'restored: the view names them');
is(read_all($other, 'consumed', 'stays'), $events, 'restored: who had read nothing reads all');
is(read_all($other, 'consumed', 'leaves'), 0, 'restored: who had read all reads nothing');
like(upkeep($other, 'consumed', '2020-07-01'), qr/^events_2020_01\|dropped\nevents_2020_02\|dropped\nevents_2020_03\|dropped$/m,
	'restored: then the months are dropped');
is(read_all($node, 'consumed', 'stays'), $events, 'the consumer that hung behind reads all');
like(upkeep($node, 'consumed', '2020-07-01'), qr/^events_2020_01\|dropped$/m, 'then the months are dropped');
is( $node->safe_psql('consumed', 'SELECT count(*) FROM txplan.events WHERE occurred_at < \'2020-04-01\''),
	0, 'they are gone');
like(slurp_file($node->logfile), qr/WARNING:  "events_2020_01" and later events are kept for consumers/,
	'the log had said who held them');

# ---------------------------------------------------------------- archives

$node->safe_psql('record', q{SELECT old_events('2021-05-10 12:00+00', 50, '1 day')});
upkeep($node, 'record', '2021-05-10');
my $archived = $node->safe_psql('record',
	q{SELECT md5(string_agg(e::text, '|' ORDER BY id)), count(*) FROM txplan.events AS e WHERE occurred_at < '2021-07-01' AND occurred_at > '2021-01-01'});
is( $node->safe_psql('record', q{SELECT table_name FROM txplan.archive_events('2021-07-01')}) =~ s/^events_2020.*\n//gmr,
	"events_2021_05_archived\nevents_2021_06_archived",
	'months are archived');
$node->safe_psql(
	'record', qq{
	\\copy txplan.events_2021_05_archived TO '$files/events_2021_05.copy'
	\\copy txplan.events_2021_06_archived TO '$files/events_2021_06.copy'
	DROP TABLE txplan.events_2021_05_archived, txplan.events_2021_06_archived;});
$node->safe_psql(
	'record', qq{
	CREATE TABLE public.old (LIKE txplan.events);
	\\copy public.old FROM '$files/events_2021_05.copy'
	\\copy public.old FROM '$files/events_2021_06.copy'
	});
is( $node->safe_psql('record', q{SELECT md5(string_agg(e::text, '|' ORDER BY id)), count(*) FROM public.old AS e}),
	$archived, 'copied to files and read again, they are the same');
is( $node->safe_psql('record', q{SELECT count(*) FROM txplan.audit()}), 0,
	'audit() does not miss them');

# --------------------------------------------------------------- a standby

$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
my ($sqlstate, $message) = error_of($standby, 'record', 'SELECT * FROM txplan.maintain()');
is($sqlstate, '25006', 'on a standby maintain() is refused');
like($message, qr/the upkeep of events is done on the primary only.*event_partitions/s, 'with what to do');
is(error_of($standby, 'record', q{SELECT * FROM txplan.archive_events('2021-01-01')}), '25006',
	'so is archive_events()');
is( $standby->safe_psql('record', 'SELECT count(*) FROM txplan.event_partitions'),
	$node->safe_psql('record', 'SELECT count(*) FROM txplan.event_partitions'),
	'the view can be read there');
$standby->stop;
$node->safe_psql('postgres', 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');

# ------------------------------------------- a default partition that is large

make_record($node, 'large');
fill_record($node, 'large');
$node->safe_psql('large', $old_events);
$node->safe_psql(
	'large', q{
	SELECT old_events('2020-01-01 00:00+00', 70000, '1 minute', 1200);
	SELECT txplan.create_consumer('reader', start => 'beginning');
	CREATE TABLE public.before AS SELECT * FROM txplan.events});
cmp_ok($node->safe_psql('large', q{SELECT pg_relation_size('txplan.events_default')}),
	'>', 64 * 1024 * 1024, 'the default partition is large');

# While it is taken apart, a writer and a reader never wait long.
my $writer = "$files/writer.sql";
append_to_file($writer, q{
	SELECT txplan.create_plan(clinic_id, id) FROM txplan.patients ORDER BY id LIMIT 1;
	SELECT count(*) FROM txplan.events WHERE id = 1 AND occurred_at > '2020-01-01';
});
my ($bench_out, $bench_err) = ('', '');
my $bench = IPC::Run::start(
	[
		'pgbench', '--no-vacuum', '--client', '2', '--time', '60',
		'--file', $writer, '--log', '--log-prefix', "$files/writes",
		$node->connstr('large')
	],
	'<', \undef, '>', \$bench_out, '2>', \$bench_err);
my %seen;

foreach my $call (1 .. 30)
{
	my $did = upkeep($node, 'large', '2020-06-01');

	$seen{$_}++ foreach split /\n/, $did;
	last if $did =~ /^events_2020_02\|made$/m;
	sleep 0.2;
}
ok($seen{'events_2020_01|later'}, 'large: a month is prepared first');
ok($seen{'events_2020_01|made'}, 'large: and then made');
ok($seen{'events_2020_02|made'}, 'large: and the next');
ok($seen{'events_2020_06|later'}, 'large: months ahead wait until it is small');
is( $node->safe_psql('large',
		q{SELECT count(*) FROM pg_constraint WHERE conrelid = 'txplan.events_default'::regclass AND contype = 'c'}),
	0, 'large: no fence is left');
kill 'INT', $bench->{KIDS}[0]{PID};
IPC::Run::finish($bench);
# The last line of a log may be cut off.
my ($worst) = sort { $b <=> $a }
  map { slurp_file($_) =~ /^\d+ \d+ (\d+) \d+ \d+ \d+$/mg } glob "$files/writes.*";
cmp_ok($worst, '<', 15_000_000, 'large: nobody waited for long');
note("the longest that a writer or reader took: $worst microseconds");
is($bench_err =~ s/^pgbench:.*\n|^\s*$//gmr, '', 'large: no writer failed');
is( $node->safe_psql(
		'large', q{
		SELECT count(*) FROM ((TABLE public.before EXCEPT ALL TABLE txplan.events)) AS d}),
	0, 'large: every event is there as it was');
is( $node->safe_psql('large', q{SELECT count(*) - count(DISTINCT id) FROM txplan.events}),
	0, 'large: and once');
is( read_all($node, 'large', 'reader'),
	$node->safe_psql('large', 'SELECT count(*) FROM txplan.events'),
	'large: a consumer reads each once');

# ------------------------------------------------------------ many months

make_record($node, 'many');
fill_record($node, 'many');
$node->safe_psql('many', join ';', map { "SELECT FROM txplan.maintain(now() - interval '$_ months')" } map { 3 * $_ } 0 .. 39);
is( $node->safe_psql('many', 'SELECT count(*) FROM txplan.event_partitions'), 121, 'there are 120 months');
goes_on($node, 'many', '120 months');
fits_together($node, 'many', '120 months');
is(default_rows($node, 'many'), 0, '120 months: the default partition is empty');
$node->safe_psql('many', q{SELECT txplan.create_consumer('reader', start => 'beginning')});
is( read_all($node, 'many', 'reader'),
	$node->safe_psql('many', 'SELECT count(*) FROM txplan.events'),
	'120 months: a consumer reads all');
my $keep = 'SET txplan.events_keep = 365; SELECT outcome, count(*) FROM txplan.maintain() GROUP BY 1 ORDER BY 1';
like($node->safe_psql('many', $keep), qr/^dropped\|60\nlater\|\d+(\nmoved\|1)?$/, '60 of them are dropped at once');
like($node->safe_psql('many', $keep), qr/^dropped\|\d+(\nmoved\|1)?$/, 'and then the others');
cmp_ok($node->safe_psql('many', 'SELECT count(*) FROM txplan.event_partitions'), '<=', 16, 'a year of them is kept');
fits_together($node, 'many', 'a year of months');

# ------------------------------------------------------------------ crashes

# Writers write to the default partition, a consumer reads, each event once, while
# the month is made again and again and the server dies under all of them.
my $crash = new_server('crash', settings => 'restart_after_crash = on');

make_record($crash, 'record');
fill_record($crash, 'record');
$crash->safe_psql(
	'record', q{
	CREATE TABLE public.taken (id bigint PRIMARY KEY);
	SELECT txplan.create_consumer('reader', start => 'beginning');
	CREATE PROCEDURE public.read(for_ever boolean) LANGUAGE plpgsql AS $$
	DECLARE
		the_batch bigint;
		empty integer := 0;
	BEGIN
		WHILE for_ever OR empty < 3 LOOP
			WITH n AS (SELECT * FROM txplan.next_events('reader', 20)),
			i AS (INSERT INTO public.taken SELECT event_id FROM n)
			SELECT min(batch_id) INTO the_batch FROM n;
			IF the_batch IS NULL THEN
				empty := empty + 1;
			ELSE
				PERFORM txplan.finish_events('reader', the_batch);
			END IF;
			COMMIT;
		END LOOP;
	END $$;
	-- puts all events back to the default partition, as if nobody had ever called
	CREATE FUNCTION public.put_back() RETURNS void LANGUAGE plpgsql SET session_replication_role = replica AS $$
	DECLARE
		the_month regclass;
	BEGIN
		LOCK TABLE txplan.events IN ACCESS EXCLUSIVE MODE;
		FOR the_month IN SELECT inhrelid FROM pg_inherits
			WHERE inhparent = 'txplan.events'::regclass AND inhrelid <> 'txplan.events_default'::regclass
		LOOP
			EXECUTE format('ALTER TABLE txplan.events DETACH PARTITION %s', the_month);
			EXECUTE format('INSERT INTO txplan.events SELECT * FROM %s', the_month);
			EXECUTE format('DROP TABLE %s', the_month);
		END LOOP;
	END $$});

# started - a psql at work in the background.
sub started
{
	my ($sql) = @_;

	return IPC::Run::start(
		[ 'psql', '--no-psqlrc', '--quiet', '--output', '/dev/null', '--command', $sql, $crash->connstr('record') ],
		'<', \undef, '2>', "$files/crash.err");
}

my ($made, $later) = (0, 0);

foreach my $round (1 .. 4)
{
	my @runs = map { started($_) } (
		'CALL public.read(true)',
		map {
			q{DO $$ DECLARE p uuid; BEGIN LOOP
				SELECT txplan.create_plan(clinic_id, id) INTO p FROM txplan.patients ORDER BY random() LIMIT 1;
				PERFORM txplan.add_item(p, NULL, 'Item', 1);
				COMMIT;
			END LOOP; END $$}
		} 1 .. 2);

	foreach my $time (1 .. 4)
	{
		sleep 0.1;
		my $did = upkeep($crash, 'record');

		$made++ if $did =~ /made/;
		$later++ if $did =~ /later/;
		$crash->safe_psql('record', 'SELECT public.put_back()');
	}

	# It dies with the move done and not committed, and writers at work.
	my $mover = IPC::Run::start(
		[
			'psql', '--no-psqlrc', '--quiet', '--output', '/dev/null',
			( map { ('--command', $_) } 'BEGIN',
				'SELECT * FROM txplan.maintain()', 'SELECT pg_sleep(100)'),
			$crash->connstr('record')
		],
		'<', \undef, '2>', "$files/crash.err");

	my $pid = '';

	foreach my $try (1 .. 200)
	{
		$pid = $crash->safe_psql(
			'record', q{
			SELECT pid FROM pg_stat_activity
			WHERE query ~ '^SELECT (.*maintain|pg_sleep)' AND pid <> pg_backend_pid()});
		last if $pid ne '';
	}
	isnt($pid, '', "crash $round: somebody moves events");
	sleep rand(0.3);
	if ($round % 2)
	{
		$crash->stop('immediate');
	}
	else
	{
		kill 'KILL', $pid;
	}
	IPC::Run::finish($_) foreach $mover, @runs;
	$crash->start if $round % 2;
	back_again($crash, 'record');

	is( $crash->safe_psql('record', 'SELECT count(*) - count(DISTINCT id) FROM txplan.events'), 0,
		"crash $round: no event is there twice");
	is( $crash->safe_psql('record', q{SELECT count(*) FROM pg_class AS c WHERE c.relnamespace = 'txplan'::regnamespace
			AND c.relname ~ '^events_2' AND c.relkind = 'r' AND NOT c.relispartition}), 0,
		"crash $round: no table is left over");
	fits_together($crash, 'record', "crash $round");
}
cmp_ok($made, '>', 0, "crash: the month was made under writers ($made times, $later times later)");
upkeep($crash, 'record');
$crash->safe_psql('record', 'CALL public.read(false)');
is( $crash->safe_psql(
		'record', q{
		SELECT (SELECT count(*) FROM public.taken AS t FULL JOIN txplan.events AS e ON e.id = t.id
			WHERE t.id IS NULL OR e.id IS NULL),
			(SELECT count(*) FROM txplan.consumer_batches)}),
	'0|0',
	'crash: the consumer has taken every event, once');

unlike(
	slurp_file($crash->logfile),
	qr/PANIC|TRAP:| (?:XX\w{3}|23\w{3}) .*(ERROR|FATAL):|terminated by signal (?!9\b)/,
	'crash: nothing crashed by itself, no writer was refused, nothing was taken twice');
log_is_clean($_) foreach $node, $other;
done_testing();
