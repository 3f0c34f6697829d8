# Several workers read while others write, and they, their connections and the
# server die under it all the time: what a consumer does inside the database
# happens exactly once, one outside gets each event at least once, and each plan's
# order is kept.

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;
use Time::HiRes qw(time usleep);

my $seconds_of_kills = $ENV{TXPLAN_KILLS} // 30;
my $seconds_of_load = $ENV{TXPLAN_LOAD} // 15;

my $node = new_server('main',
	settings => "restart_after_crash = on\nmax_connections = 60");
my $files = PostgreSQL::Test::Utils::tempdir;

make_record($node, 'record');
$node->safe_psql(
	'record', q{
	CREATE TABLE control (stopped boolean NOT NULL);
	INSERT INTO control VALUES (false);
	CREATE TABLE done (place bigint GENERATED ALWAYS AS IDENTITY, consumer text NOT NULL,
		worker integer NOT NULL DEFAULT pg_backend_pid(), batch bigint, event_id bigint NOT NULL,
		plan_id uuid NOT NULL, plan_version bigint NOT NULL);
	SELECT txplan.create_patient(txplan.create_clinic('Clinic', 'UTC'), 'Ana', 'Ruiz') IS NOT NULL;
	INSERT INTO txplan.plans (clinic_id, patient_id)
	SELECT clinic_id, id FROM txplan.patients, generate_series(1, 60);

	-- Work goes on until it is stopped.
	CREATE FUNCTION goes_on() RETURNS boolean LANGUAGE sql
	AS $$ SELECT NOT stopped FROM control $$;

	-- Writes on a few plans, in the order of their ids; some transactions take
	-- their time between the one and the other, and some roll back.
	CREATE PROCEDURE write() LANGUAGE plpgsql AS $$
	DECLARE
		the_plan uuid;
		slow boolean;
	BEGIN
		WHILE goes_on() LOOP
			slow := random() < 0.1;
			FOR the_plan IN
				SELECT p.id FROM (SELECT id FROM txplan.plans ORDER BY random() LIMIT 1 + 2 * random()) AS p
				ORDER BY p.id
			LOOP
				UPDATE txplan.plans SET title = random()::text WHERE id = the_plan;
				IF slow THEN
					PERFORM pg_sleep(random() * 0.2);
				END IF;
			END LOOP;
			IF random() < 0.05 THEN
				ROLLBACK;
			ELSE
				COMMIT;
			END IF;
			PERFORM pg_sleep(random() * 0.01);
		END LOOP;
	END $$;

	-- Reads in one transaction a batch, or in two.
	CREATE PROCEDURE work(consumer text, transactions integer, max_events integer, until_empty boolean DEFAULT false)
	LANGUAGE plpgsql AS $$
	DECLARE
		batch bigint;
	BEGIN
		LOOP
			IF transactions = 2 THEN
				PERFORM * FROM txplan.next_events(consumer, max_events);
				COMMIT;
			END IF;
			WITH written AS (
				INSERT INTO done (consumer, batch, event_id, plan_id, plan_version)
				SELECT work.consumer, n.batch_id, n.event_id, n.plan_id, n.plan_version
				FROM txplan.next_events(consumer, max_events) AS n
				RETURNING done.batch
			)
			SELECT max(w.batch) INTO batch FROM written AS w;
			IF batch IS NULL THEN
				COMMIT;
				EXIT WHEN until_empty OR NOT goes_on();
				PERFORM pg_sleep(0.005);
				CONTINUE;
			END IF;
			PERFORM txplan.finish_events(consumer, batch);
			COMMIT;
		END LOOP;
	END $$;

	-- The same, but now and then an event fails, and is put back with those of its
	-- plan that come after it.
	CREATE PROCEDURE work_badly(consumer text, max_events integer)
	LANGUAGE plpgsql AS $$
	DECLARE
		batch bigint;
		e record;
		failed uuid[];
	BEGIN
		WHILE goes_on() LOOP
			batch := NULL;
			failed := '{}';
			FOR e IN SELECT * FROM txplan.next_events(consumer, max_events) LOOP
				batch := e.batch_id;
				IF e.plan_id = ANY (failed) OR random() < 0.1 THEN
					PERFORM txplan.retry_event(consumer, e.event_id, '0.01 s', 'failed');
					failed := failed || e.plan_id;
				ELSE
					INSERT INTO done (consumer, event_id, plan_id, plan_version)
					VALUES (consumer, e.event_id, e.plan_id, e.plan_version);
				END IF;
			END LOOP;
			IF batch IS NULL THEN
				COMMIT;
				PERFORM pg_sleep(0.005);
				CONTINUE;
			END IF;
			PERFORM txplan.finish_events(consumer, batch);
			COMMIT;
		END LOOP;
	END $$});

# repeat - calls one of them again and again until the work is stopped, in a
# process of its own; whatever happens to its connection.
my @running;

sub repeat
{
	my ($command) = @_;
	my $out = '';

	push @running,
	  IPC::Run::start(
		[
			'bash', '-c',
			'while [ ! -e "$1" ]; do psql -X -q -d "$2" -c "$3" > /dev/null 2>&1 || sleep 0.05; done',
			'repeat', "$files/stop", $node->connstr('record'), $command
		],
		'<', \undef, '>', \$out, '2>&1');
}

# The consumer outside reads in a file what it is handed out, and then says that
# it is done.  What it was told twice it has twice.
my $outside = "$files/outside";

sub repeat_outside
{
	my $out = '';

	append_to_file("$files/outside.sql", <<'EOS' x 5000);
SELECT 'got', event_id, plan_id, plan_version, batch_id AS batch FROM txplan.next_events('outside', 10);
SELECT txplan.finish_events('outside', b.batch_id)
FROM txplan.consumer_batches AS b JOIN txplan.consumers AS c ON c.id = b.consumer
WHERE c.name = 'outside' AND b.worker = pg_backend_pid() AND goes_on() \g /dev/null
SELECT pg_sleep(0.005) \g /dev/null
EOS
	push @running,
	  IPC::Run::start(
		[
			'bash', '-c',
			'while [ ! -e "$1" ]; do psql -X -A -t -q -v ON_ERROR_STOP=1 -d "$2" -f "$3" >> "$4" 2> /dev/null || sleep 0.05; done',
			'outside', "$files/stop", $node->connstr('record'),
			"$files/outside.sql", $outside
		],
		'<', \undef, '>', \$out, '2>&1');
}

# start_work, stop_work - around a time of work.
sub start_work
{
	unlink "$files/stop", "$files/outside.sql", $outside;
	append_to_file($outside, '');
	$node->safe_psql('record', 'UPDATE control SET stopped = false');
}

sub stop_work
{
	append_to_file("$files/stop", '');
	back_again($node, 'record') or die 'no server';
	$node->safe_psql('record', 'UPDATE control SET stopped = true');

	# The one outside does not look at the table.
	$node->safe_psql('record',
		q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE query ~ 'outside|pg_sleep.0.005' AND pid <> pg_backend_pid()});
	IPC::Run::finish($_) foreach @running;
	@running = ();
}

# exactly_once - what a consumer did is what was published since it was made:
# nothing lost, nothing twice, each plan in its order; four tests.
sub exactly_once
{
	my ($consumer, $from, $name) = @_;
	my ($events, $done, $different, $lost, $strange) = split /\|/,
	  $node->safe_psql(
		'record', qq{
		SELECT (SELECT count(*) FROM txplan.events WHERE id > $from),
			count(*), count(DISTINCT event_id),
			(SELECT count(*) FROM txplan.events AS e WHERE e.id > $from
				AND NOT EXISTS (SELECT FROM done AS d WHERE d.consumer = '$consumer' AND d.event_id = e.id)),
			count(*) FILTER (WHERE NOT EXISTS (SELECT FROM txplan.events AS e WHERE e.id > $from
				AND e.id = done.event_id AND e.plan_id = done.plan_id AND e.plan_version = done.plan_version))
		FROM done WHERE consumer = '$consumer'});

	is($lost, 0, "$name: nothing of $events events is lost");
	is($done, $different, "$name: nothing is done twice");
	is($strange, 0, "$name: nothing is done that was not published");
	is( $node->safe_psql(
			'record', qq{
			SELECT count(*) FROM (
				SELECT plan_version - lag(plan_version) OVER (PARTITION BY plan_id ORDER BY place) AS step
				FROM done WHERE consumer = '$consumer') AS d
			WHERE step <> 1}),
		0,
		"$name: each plan is in its order");
}

# A worker that dies gives its plans back at once, whether its transaction was open
# or not, and a client that vanishes does so too.
my $from = $node->safe_psql('record', 'SELECT max(id) FROM txplan.events');
$node->safe_psql(
	'record', q{
	SELECT txplan.create_consumer('deaths');
	UPDATE txplan.plans SET title = 'x'});
foreach my $death (
	[ 'a session that is terminated',
		q{SELECT count(*) FROM txplan.next_events('deaths', 10); SELECT pg_sleep(1000);},
		'terminate' ],
	[ 'a session that is terminated in its transaction',
		q{BEGIN; SELECT count(*) FROM txplan.next_events('deaths', 10); SELECT pg_sleep(1000);},
		'terminate' ],
	[ 'a session that is killed with all others',
		q{SELECT count(*) FROM txplan.next_events('deaths', 10); SELECT pg_sleep(1000);},
		'KILL' ],
	[ 'a client that vanishes',
		q{SELECT count(*) FROM txplan.next_events('deaths', 10);}, 'client' ])
{
	my ($name, $sql, $how) = @$death;
	my ($in, $out, $err) = ("$sql\n", '', '');
	my $run = IPC::Run::start(
		[ 'psql', '-X', '-q', '-A', '-t', $node->connstr('record') ],
		'<', \$in, '>', \$out, '2>', \$err);
	my $first = q{SELECT string_agg(event_id::text, ' ' ORDER BY event_id) FROM txplan.next_events('deaths', 10)};
	my $pid;

	$run->pump until $out =~ /^10$/m;
	$pid = $node->safe_psql(
		'record', q{
		SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 7801
		ORDER BY pid LIMIT 1});
	if ($how ne 'KILL')
	{
		my $batch = $node->safe_psql('record', $first);

		isnt($batch, '', "$name: another gets other plans before");
		is($node->safe_psql('record', $first), $batch, "$name: which are given back as that one ends");
	}
	if ($how eq 'terminate')
	{
		$node->safe_psql('record', "SELECT pg_terminate_backend($pid, 10000)");
	}
	elsif ($how eq 'KILL')
	{
		kill 'KILL', $pid;
		$run->pump until $err =~ /server closed|terminating connection|was lost/;
		back_again($node, 'record') or die 'no server';
	}
	else
	{
		$run->kill_kill;
		$node->poll_query_until('record',
			"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid");
	}
	is( $node->safe_psql(
			'record', q{
			SELECT min(event_id) = (SELECT min(id) FROM txplan.events WHERE type = 'treatment_plan.updated')
				AND count(*) = 10
			FROM txplan.next_events('deaths', 10)}),
		't',
		"$name: its events are handed out at once");
	$in = '';
	eval { $run->finish };
}
$node->safe_psql('record', q{CALL work('deaths', 1, 100, true)});
exactly_once('deaths', $from, 'after the deaths');
$node->safe_psql('record', q{SELECT txplan.drop_consumer('deaths')});

# Everybody dies, all the time.
$from = $node->safe_psql('record', 'SELECT max(id) FROM txplan.events');
start_work();
$node->safe_psql(
	'record', qq{
	SELECT txplan.create_consumer(name, max_retries => 1000)
	FROM unnest('{inside,inside_two,failing,outside}'::text[]) AS name});
repeat('CALL write()') foreach 1 .. 3;
repeat(q{CALL work('inside', 1, 10)}) foreach 1 .. 3;
repeat(q{CALL work('inside_two', 2, 10)}) foreach 1 .. 3;
repeat(q{CALL work_badly('failing', 10)}) foreach 1 .. 2;
repeat_outside();

my %deaths = (terminate => 0, KILL => 0, immediate => 0);
my $end = time + $seconds_of_kills;
while (time < $end)
{
	my $dice = rand;

	usleep(100_000 + rand 400_000);
	if ($dice < 0.1)
	{
		$node->stop('immediate');
		$node->start;
		$deaths{immediate}++;
		next;
	}
	my $pid = answer(
		$node, 'record', q{
		SELECT pid FROM pg_stat_activity
		WHERE query ~ 'CALL|outside' AND pid <> pg_backend_pid() AND state <> 'idle'
		ORDER BY random() LIMIT 1});
	next if $pid eq '';
	if ($dice < 0.6)
	{
		answer($node, 'record', "SELECT pg_terminate_backend($pid)");
		$deaths{terminate}++;
	}
	else
	{
		$deaths{KILL}++ if kill 'KILL', $pid;
		back_again($node, 'record') or die 'no server';
	}
}
stop_work();
note(join ', ', map { "$_: $deaths{$_}" } sort keys %deaths);
cmp_ok($deaths{$_}, '>', 0, "there were deaths by $_") foreach sort keys %deaths;
note('batches: '
	  . $node->safe_psql('record', 'SELECT last_value FROM txplan.consumer_batches_batch_id_seq'));
$node->safe_psql(
	'record', q{
	CALL work('inside', 1, 1000, true);
	CALL work('inside_two', 2, 1000, true)});
$node->safe_psql(
	'record', q{
	SELECT pg_sleep(0.05);
	CALL work('failing', 1, 1000, true)});
exactly_once('inside', $from, 'in one transaction');
exactly_once('inside_two', $from, 'in two transactions');
exactly_once('failing', $from, 'with retries');
is($node->safe_psql('record', 'SELECT count(*) FROM txplan.dead_events'), 0, 'there is no dead letter');

# What the one outside was told, and what it was still to be told.
my $rest = '';
while (1)
{
	my $batch = $node->safe_psql(
		'record', q{
		SELECT 'got', event_id, plan_id, plan_version, batch_id FROM txplan.next_events('outside', 1000);
		SELECT txplan.finish_events('outside', batch_id) FROM txplan.consumer_batches \g /dev/null
	});
	last if $batch eq '';
	$rest .= "$batch\n";
}
my (%got, %last, $again, $disorders);
$again = $disorders = 0;
foreach (split /\n/, slurp_file($outside) . "\n" . $rest)
{
	my ($event, $plan, $version) = /^got\|(\d+)\|([^|]+)\|(\d+)/ or next;

	if ($got{$event}++)
	{
		$again++;
		next;
	}
	$disorders++ if defined $last{$plan} && $version != $last{$plan} + 1;
	$last{$plan} = $version;
}
# A worker's last lines may have been cut by its end in the middle of one.
my @missing = grep { !$got{$_} } split /\n/,
  $node->safe_psql('record', "SELECT id FROM txplan.events WHERE id > $from");
is("@missing", '', 'the one outside was told of each event');
is($disorders, 0, 'and of those of a plan in their order');
note("it was told twice of $again events");
fits_together($node, 'record', 'after all the deaths');
$node->safe_psql('record', 'SELECT txplan.drop_consumer(name) FROM txplan.consumers');

# Nobody dies, and many work: 8 writers, some of them slowly, and several workers.
$from = $node->safe_psql('record', 'SELECT max(id) FROM txplan.events');
start_work();
$node->safe_psql(
	'record', q{
	TRUNCATE done;
	SELECT txplan.create_consumer(name, max_retries => 1000) FROM unnest('{many,single,failing}'::text[]) AS name});
repeat('CALL write()') foreach 1 .. 8;
repeat(q{CALL work('many', 1, 50)}) foreach 1 .. 3;
repeat(q{CALL work('many', 2, 50)});
repeat(q{CALL work('single', 1, 500)});
repeat(q{CALL work_badly('failing', 50)}) foreach 1 .. 2;
sleep $seconds_of_load;
stop_work();
$node->safe_psql('record', qq{SELECT pg_sleep(0.05); CALL work('$_', 1, 1000, true)})
  foreach qw(many single failing);
exactly_once('many', $from, 'many workers');
exactly_once('single', $from, 'one worker');
exactly_once('failing', $from, 'many retries');
cmp_ok(
	$node->safe_psql(
		'record', q{SELECT count(DISTINCT worker) FROM done WHERE consumer = 'many'}),
	'>=', 4, 'all workers had something to do');
is( $node->safe_psql(
		'record', 'SELECT count(*) FROM txplan.consumer_lag WHERE pending_events > 0'),
	0, 'nothing is left');
fits_together($node, 'record', 'after the work');

# The backends that were killed are in the log; nothing else is.
unlike(
	slurp_file($node->logfile),
	qr/PANIC|TRAP:| XX\w{3} .*(ERROR|FATAL):|terminated by signal (?!9\b)/,
	'nothing crashed by itself');
done_testing();
