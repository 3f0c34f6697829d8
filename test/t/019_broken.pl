# Ten thousand transactions, a third of them rolled back and half with a savepoint
# that is, while a writer, the notifier, a consumer and the server itself are killed
# again and again: the events are exactly the facts that were committed, consumers
# see each exactly once, or with one id outside the database, and who listens is
# woken.
#
# TXPLAN_TRANSACTIONS says how many transactions are tried.

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;
use Time::HiRes qw(time usleep);

my $transactions = $ENV{TXPLAN_TRANSACTIONS} // 10000;
my $patience = 180;

my $node = new_server('main',
	settings => "restart_after_crash = on\nmax_connections = 60");
my $files = PostgreSQL::Test::Utils::tempdir;

make_record($node, 'record');
$node->safe_psql(
	'record', q{
	CREATE TABLE control (stopped boolean NOT NULL);
	INSERT INTO control VALUES (false);
	CREATE SEQUENCE tries;
	CREATE SEQUENCE tags;
	-- What was done, written beside it: in the same subtransaction.
	CREATE TABLE facts (what text NOT NULL, tag text NOT NULL, PRIMARY KEY (what, tag));
	CREATE TABLE done (event_id bigint NOT NULL, plan_id uuid NOT NULL, plan_version bigint NOT NULL,
		place bigint GENERATED ALWAYS AS IDENTITY);
	SELECT txplan.create_patient(txplan.create_clinic('Clinic', 'UTC'), 'Ana', 'Ruiz') IS NOT NULL;
	INSERT INTO txplan.plans (clinic_id, patient_id)
	SELECT clinic_id, id FROM txplan.patients, generate_series(1, 60);

	-- One fact: an item is added, or one that was added before is removed.
	CREATE PROCEDURE do_something(the_plan uuid) LANGUAGE plpgsql AS $$
	DECLARE
		the_item record;
	BEGIN
		IF random() < 0.2 THEN
			SELECT id, treatment_ref INTO the_item FROM txplan.items
			WHERE plan_id = the_plan ORDER BY random() LIMIT 1;
			IF FOUND THEN
				INSERT INTO facts VALUES ('treatment_removed', the_item.treatment_ref);
				PERFORM txplan.remove_item(the_item.id);
				RETURN;
			END IF;
		END IF;
		INSERT INTO facts VALUES ('treatment_added', nextval('tags'));
		PERFORM txplan.add_item(the_plan, NULL, 'Item', 1, treatment_ref => currval('tags')::text);
	END $$;

	CREATE PROCEDURE write(most bigint) LANGUAGE plpgsql AS $$
	DECLARE
		the_plan uuid;
	BEGIN
		WHILE nextval('tries') <= most LOOP
			SELECT id INTO the_plan FROM txplan.plans ORDER BY random() LIMIT 1;
			PERFORM txplan.lock_plan(the_plan);
			CALL do_something(the_plan);
			IF random() < 0.5 THEN
				BEGIN
					CALL do_something(the_plan);
					IF random() < 0.5 THEN
						RAISE division_by_zero;
					END IF;
				EXCEPTION WHEN division_by_zero THEN
					NULL;
				END;
			END IF;
			IF random() < 0.3 THEN
				CALL do_something(the_plan);
			END IF;
			IF random() < 0.3333 THEN
				ROLLBACK;
			ELSE
				COMMIT;
			END IF;
		END LOOP;
	END $$;

	-- A consumer within the database: what it did and that it is done are one
	-- transaction.
	CREATE PROCEDURE work(until_empty boolean DEFAULT false) LANGUAGE plpgsql AS $$
	DECLARE
		batch bigint;
	BEGIN
		LOOP
			WITH read AS (SELECT * FROM txplan.next_events('inside', 200)),
			written AS (
				INSERT INTO done (event_id, plan_id, plan_version)
				SELECT r.event_id, r.plan_id, r.plan_version FROM read AS r
			)
			SELECT max(r.batch_id) INTO batch FROM read AS r;
			IF batch IS NULL THEN
				COMMIT;
				EXIT WHEN until_empty OR (SELECT stopped FROM control);
				PERFORM pg_sleep(0.01);
				CONTINUE;
			END IF;
			PERFORM txplan.finish_events('inside', batch);
			COMMIT;
		END LOOP;
	END $$;
	SELECT txplan.create_consumer('inside', start => 'beginning');
	SELECT txplan.create_consumer('outside', start => 'beginning')});

# What a process does again and again until it is stopped, whatever happens to its
# connection: calls something, or runs a file, and keeps what it prints.
my @running;

sub repeat
{
	my ($output, @arguments) = @_;

	push @running,
	  IPC::Run::start(
		[
			'bash', '-c',
			'stop=$1 output=$2; shift 2
			while [ ! -e "$stop" ]; do
				psql -X -A -t -q -v ON_ERROR_STOP=1 "$@" >> "$output" 2> /dev/null || sleep 0.05
			done',
			'repeat', "$files/stop", $output,
			'-d', $node->connstr('record'), @arguments
		],
		'<', \undef);
}

# One outside the database writes down what it is handed out, and then says that it
# is done.
append_to_file("$files/outside.sql", <<'EOS' x 3000);
SELECT 'got', event_id, batch_id AS batch FROM txplan.next_events('outside', 50);
SELECT txplan.finish_events('outside', b.batch_id)
FROM txplan.consumer_batches AS b JOIN txplan.consumers AS c ON c.id = b.consumer
WHERE c.name = 'outside' AND b.worker = pg_backend_pid() \g /dev/null
SELECT pg_sleep(0.01) \g /dev/null
EOS

# One listens: psql tells of notifications behind each statement.
append_to_file("$files/listen.sql",
	"LISTEN txplan;\n" . "SELECT pg_sleep(0.05) \\g /dev/null\n" x 20000);

my ($outside, $heard) = ("$files/outside", "$files/heard");
append_to_file($_, '') foreach $outside, $heard;
repeat('/dev/null', '-c', "CALL write($transactions)") foreach 1 .. 4;
repeat('/dev/null', '-c', 'CALL work()') foreach 1 .. 2;
repeat($outside, '-f', "$files/outside.sql");
repeat($heard, '-f', "$files/listen.sql");

# wait_for - waits until something is so, on a server that may be away; false when
# it does not come to be.
sub wait_for
{
	my ($so) = @_;
	my $end = time + $patience;

	while (time < $end)
	{
		return 1 if $so->();
		usleep(20_000);
	}
	return 0;
}

# ask - the answer to a query, '' when the server does not give one.
sub ask
{
	my ($sql) = @_;

	return answer($node, 'record', $sql);
}

sub tries { return ask('SELECT last_value FROM tries') || 0 }

sub notifications
{
	return scalar(() = slurp_file($heard) =~ /Asynchronous notification/g);
}

# kill_one - kills -9 a process of the server that a query finds.
sub kill_one
{
	my ($query) = @_;

	return wait_for(
		sub {
			my $pid = ask($query);

			return $pid =~ /^\d+$/ && kill('KILL', $pid);
		});
}

# start_again - starts the server when the last of its processes let go.
sub start_again
{
	return wait_for(
		sub {
			$node->{_pid} = undef;
			return $node->start(fail_ok => 1);
		}) && back_again($node, 'record');
}

my $busy = q{SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query ~ '%s'
	ORDER BY random() LIMIT 1};
my @deaths = (
	[ 'a writer' => sub { kill_one(sprintf $busy, 'CALL write') && back_again($node, 'record') } ],
	[ 'the notifier' => sub { kill_one('SELECT pid FROM txplan.notifier') && back_again($node, 'record') } ],
	[ 'a consumer' => sub { kill_one(sprintf $busy, 'CALL work') && back_again($node, 'record') } ],
	[ 'the consumer outside' => sub { kill_one(sprintf $busy, q{''outside''}) && back_again($node, 'record') } ],
	[ 'the listener' => sub { kill_one(sprintf $busy, 'pg_sleep.0.05') && back_again($node, 'record') } ],
	[
		'the postmaster' => sub {
			my $postmaster = $node->{_pid};

			$node->kill9;
			return wait_for(sub { !kill(0, $postmaster) }) && start_again();
		}
	],
	[
		'all, at once' => sub {
			$node->stop('immediate');
			return start_again();
		}
	]);
my @order = (@deaths, @deaths);

foreach my $i (0 .. $#order)
{
	my ($who, $kill) = @{ $order[$i] };
	my $from = $transactions * ($i + 1) / (@order + 2);

	wait_for(sub { tries() >= $from })
	  or die 'the writers do not go on';
	my $before = notifications();
	ok($kill->(), "the server is back after $who was killed");
	# Backends that outlived their postmaster may have gone on to the end of their
	# work: nothing is left to tell of then, until the last word.
	ok(wait_for(sub { notifications() > $before || tries() >= $transactions }),
		"who listens is woken after $who was killed");
	last if tries() >= $transactions;
}

ok(wait_for(sub { tries() >= $transactions }), 'all transactions were tried');

# The writers come to their end by themselves; then the others are told.
ok(wait_for(sub { ask(q{SELECT count(*) FROM pg_stat_activity
		WHERE pid <> pg_backend_pid() AND query ~ 'CALL write' AND state <> 'idle'}) eq '0' }),
	'the writers come to an end');
my $before = notifications();
$node->safe_psql('record', 'UPDATE txplan.plans SET title = \'the last word\'');
ok(wait_for(sub { notifications() > $before }), 'who listens hears the last word');
ok(wait_for(sub { ask(q{SELECT sum(pending_events) FROM txplan.consumer_lag}) eq '0' }),
	'the consumers come to the end');
append_to_file("$files/stop", '');
$node->safe_psql('record', 'UPDATE control SET stopped = true');
$node->safe_psql('record', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE query ~ 'outside|pg_sleep' AND pid <> pg_backend_pid()});
IPC::Run::finish($_) foreach @running;

# The events are the facts, no more and no less.
my $facts = $node->safe_psql('record', 'SELECT count(*) FROM facts');

cmp_ok($facts, '>', $transactions / 4, "$facts facts were committed");
is( $node->safe_psql(
		'record', q{
		WITH told AS (
			SELECT split_part(type, '.', 2) AS what, payload ->> 'treatment_ref' AS tag
			FROM txplan.events WHERE type IN ('treatment_plan.treatment_added', 'treatment_plan.treatment_removed')
		)
		(TABLE facts EXCEPT ALL TABLE told) UNION ALL (TABLE told EXCEPT ALL TABLE facts) LIMIT 10}),
	'',
	'the events are exactly the facts');
is( $node->safe_psql(
		'record', q{
		SELECT count(*) FROM (
			SELECT plan_version - lag(plan_version, 1, 0::bigint) OVER (PARTITION BY plan_id ORDER BY id) AS step
			FROM txplan.events) AS e
		WHERE step <> 1}),
	0,
	'the versions of each plan have no gap');

# The consumers saw them.
is( $node->safe_psql(
		'record', q{
		(SELECT id, plan_id, plan_version FROM txplan.events
			EXCEPT ALL SELECT event_id, plan_id, plan_version FROM done)
		UNION ALL
		(SELECT event_id, plan_id, plan_version FROM done
			EXCEPT ALL SELECT id, plan_id, plan_version FROM txplan.events)
		LIMIT 10}),
	'',
	'the consumer inside did each exactly once');
is( $node->safe_psql(
		'record', q{
		SELECT count(*) FROM (
			SELECT plan_version - lag(plan_version, 1, 0::bigint) OVER (PARTITION BY plan_id ORDER BY place) AS step
			FROM done) AS d
		WHERE step <> 1}),
	0,
	'and each plan in its order');

my %got = map { $_ => 1 } slurp_file($outside) =~ /^got\|(\d+)\|/mg;
my %events = map { $_ => 1 } split /\n/,
  $node->safe_psql('record', 'SELECT id FROM txplan.events');
is(join(' ', grep { !$got{$_} } sort keys %events),
	'', 'the consumer outside got each at least once');
is(join(' ', grep { !$events{$_} } sort keys %got),
	'', 'and none that there is not');

fits_together($node, 'record', 'at the end');
unlike(
	slurp_file($node->logfile),
	qr/PANIC|TRAP:| XX\w{3} .*(ERROR|FATAL):|terminated by signal (?!9\b)/,
	'nothing crashed by itself');
done_testing();
