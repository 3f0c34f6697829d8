# The notifier tells listeners of what became visible, whoever made it visible and
# however: each event at least once, soon, and in nobody's way.

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;
use Time::HiRes qw(sleep time);

# What no commit told the notifier is told within about a second; a busy machine
# is allowed much more, and still less than what nobody looks at would take.
my $bound = 30;
my $patience = 180;

# By node and database: the session, the events that it was told of, the payloads
# that came last.
my %listeners;

# listen_to - opens a listener; from here on it must be told of each event.
sub listen_to
{
	my ($node, $database) = @_;
	my $session = $node->background_psql($database);

	$session->query_safe('LISTEN txplan');
	$listeners{ $node->name . " $database" } = {
		session => $session,
		begin => $node->safe_psql($database,
			'SELECT coalesce(max(id), 0) FROM txplan.events'),
		told => {},
		payloads => [] };
}

# leave - closes a listener, whose server may be gone.
sub leave
{
	my ($node, $database) = @_;
	my $listener = delete $listeners{ $node->name . " $database" };

	eval { $listener->{session}->quit };
}

# collect - takes what has come.
sub collect
{
	my ($listener) = @_;

	foreach my $line (split /\n/, $listener->{session}->query('SELECT 0'))
	{
		push @{ $listener->{payloads} }, $1
		  if $line =~
		  /^Asynchronous notification "txplan" with payload "(.*)" received/;
	}
}

# untold - those of some events that no payload covers.
sub untold
{
	my ($listener, @ids) = @_;
	my %left = map { $_ => 1 } @ids;

	foreach (@{ $listener->{payloads} })
	{
		delete $left{$1} if /^\{"id":(\d+),/;
		next unless /^\{"type":"batch","from":(\d+),"to":(\d+),/;
		my ($from, $to) = ($1, $2);

		delete @left{ grep { $from <= $_ && $_ <= $to } keys %left };
	}
	return sort { $a <=> $b } keys %left;
}

# hears - COUNT events were written since it was last asked, and each is told; one
# test.  Returns how long that took.
sub hears
{
	my ($node, $database, $count, $name) = @_;
	my $listener = $listeners{ $node->name . " $database" };
	my $asked = time;
	my @ids = grep { !$listener->{told}{$_} } split /\n/,
	  $node->safe_psql($database,
		"SELECT id FROM txplan.events WHERE id > $listener->{begin}");
	my @left = @ids;

	die "$name: there are " . @ids . " events, not $count" if @ids != $count;
	$listener->{payloads} = [];
	while (@left && time - $asked < $patience)
	{
		collect($listener);
		@left = untold($listener, @left);
		sleep 0.003 if @left;
	}
	is("@left", '', $name);
	$listener->{told}{$_} = 1 foreach @ids;
	return time - $asked;
}

# heard - the payloads that came while it was last asked.
sub heard
{
	my ($node, $database) = @_;

	return @{ $listeners{ $node->name . " $database" }{payloads} };
}

# hears_nothing - nothing comes within the time in which it would; one test.
sub hears_nothing
{
	my ($node, $database, $name) = @_;
	my $listener = $listeners{ $node->name . " $database" };

	sleep 1.2;
	$listener->{payloads} = [];
	collect($listener);
	is(join(' ', heard($node, $database)), '', $name);
}

# notifier - a column of the view.
sub notifier
{
	my ($node, $database, $column) = @_;

	return $node->safe_psql($database, "SELECT $column FROM txplan.notifier");
}

# wait_for_workers - until the server's notifiers are those of these databases; one
# test.  Returns how long that took.
sub wait_for_workers
{
	my ($node, $wanted, $name) = @_;
	my $asked = time;
	my $got;

	do
	{
		$got = $node->safe_psql(
			'postgres', q{
			SELECT string_agg(coalesce(datname, '?'), ' ' ORDER BY datname)
			FROM pg_stat_activity WHERE backend_type = 'txplan notifier'});
	} while ($got ne $wanted && time - $asked < $patience && sleep 0.02);
	is($got, $wanted, $name);
	return time - $asked;
}

# takes_less - something takes no longer than so many seconds; one test.
sub takes_less
{
	my ($seconds, $name, $do) = @_;
	my $begin = time;

	$do->();
	my $took = time - $begin;

	cmp_ok($took, '<', $seconds, "$name, soon");
	note sprintf '%s: %.2f s', $name, $took;
}

# make_plans - a record with two plans, made by ROLE.
sub make_plans
{
	my ($node, $database, $role) = @_;

	make_record($node, $database, $role);
	$node->safe_psql(
		$database, q{
		CREATE TABLE public.ids (clinic uuid, patient uuid, first uuid, second uuid);
		INSERT INTO public.ids (clinic) VALUES (txplan.create_clinic('Clinic', 'UTC'));
		UPDATE public.ids SET patient = txplan.create_patient(clinic, 'Ana', 'Ruiz');
		UPDATE public.ids SET first = txplan.create_plan(clinic, patient),
			second = txplan.create_plan(clinic, patient)},
		defined $role ? (extra_params => [ '--username', $role ]) : ());
}

# retitle - a statement that makes one event.
my $titles = 0;

sub retitle
{
	my ($plan) = @_;

	return sprintf "UPDATE txplan.plans SET title = 'Title %d' "
	  . "WHERE id = (SELECT %s FROM public.ids);\n", ++$titles, $plan // 'first';
}

# many - one that makes so many in one transaction.
sub many
{
	my ($count) = @_;

	return join '', "BEGIN;\n", (map { retitle() } 1 .. $count), "COMMIT;\n";
}

my $node = new_server('main',
	settings => "restart_after_crash = on\nmax_prepared_transactions = 5");

# ---- The very first event, in the transaction that makes the record.

$node->safe_psql('postgres', 'CREATE DATABASE record');
my $early = $node->background_psql('record');
$early->query_safe('LISTEN txplan');
$node->safe_psql(
	'record', q{
	BEGIN;
	CREATE EXTENSION txplan;
	SELECT txplan.install();
	CREATE TABLE public.ids (clinic uuid, patient uuid, first uuid, second uuid);
	INSERT INTO public.ids (clinic) VALUES (txplan.create_clinic('Clinic', 'UTC'));
	UPDATE public.ids SET patient = txplan.create_patient(clinic, 'Ana', 'Ruiz');
	UPDATE public.ids SET first = txplan.create_plan(clinic, patient),
		second = txplan.create_plan(clinic, patient);
	SELECT pg_sleep(0.5);
	COMMIT});
$listeners{'main record'} =
  { session => $early, begin => 0, told => {}, payloads => [] };
hears($node, 'record', 2, 'the very first events are told');
is( (heard($node, 'record'))[0],
	$node->safe_psql(
		'record', q{
		SELECT format('{"id":%s,"type":"treatment_plan.created","plan_id":"%s","clinic_id":"%s"}',
			e.id, e.plan_id, e.clinic_id)
		FROM txplan.events AS e ORDER BY e.id LIMIT 1}),
	'they say what a writer would say');
wait_for_workers($node, 'record', 'by a worker of the database');
is(notifier($node, 'record', q{concat_ws(' ', mode, lag_events, errors)}),
	'worker 0 0', 'the view agrees');

# ---- Who holds the events is let go first: no deadlock is his, and none is logged.

my $holder = $node->background_psql('record');

$holder->query_safe('BEGIN; LOCK TABLE txplan.events IN ACCESS EXCLUSIVE MODE');
$node->safe_psql('record', 'CREATE TABLE public.moved ()');
$node->poll_query_until('postgres', q{
	SELECT count(*) = 1 FROM pg_stat_activity
	WHERE application_name = 'txplan notifier' AND wait_event_type = 'Lock'})
  or die 'it does not wait';
ok( $node->poll_query_until('postgres', q{
	SELECT count(*) = 0 FROM pg_stat_activity
	WHERE application_name = 'txplan notifier' AND wait_event_type = 'Lock'}),
	'it gives way to who holds the events');
$holder->query_safe('COMMIT');
$holder->quit;
$node->safe_psql('record', retitle());
hears($node, 'record', 1, 'and goes on afterwards');
is(notifier($node, 'record', 'errors'), '0', 'which is no error');

# ---- What was rolled back is not told.

$node->safe_psql('record', join '',
	'BEGIN;', retitle(), 'SAVEPOINT a;', retitle('second'), 'ROLLBACK TO a;',
	retitle(), 'COMMIT;', 'BEGIN;', retitle(), 'ROLLBACK;');
hears($node, 'record', 2, 'events around a savepoint that was rolled back');
is(scalar heard($node, 'record'), 2, 'and no others');

# ---- Many events at once, and many transactions.

$node->safe_psql('record', many(64));
hears($node, 'record', 64, '64 events of one transaction');
is(scalar grep({ /^\{"id":/ } heard($node, 'record')),
	64, 'are told one by one');
$node->safe_psql('record', many(65));
hears($node, 'record', 65, '65 events');
is_deeply(
	[ map { s/:\d+/:N/gr } heard($node, 'record') ],
	['{"type":"batch","from":N,"to":N,"count":N}'],
	'are told at once');

my $script = PostgreSQL::Test::Utils::tempdir . '/retitle.sql';

append_to_file($script, q{
\set which :client_id % 2
UPDATE txplan.plans SET title = random()::text
WHERE id = (SELECT CASE :which WHEN 0 THEN first ELSE second END FROM public.ids);
});
my $rounds = notifier($node, 'record', 'rounds');
my $begin = time;

$node->command_ok(
	[
		'pgbench', '--no-vacuum', '--client', 4, '--transactions', 500,
		'--file', $script, $node->connstr('record')
	],
	'2,000 small transactions');
my $took = time - $begin;

hears($node, 'record', 2000, 'each of their events is covered');
$rounds = notifier($node, 'record', 'rounds') - $rounds;
note sprintf '2,000 transactions in %.2f s: %d wake-ups, %d notifications',
  $took, $rounds, scalar heard($node, 'record');
cmp_ok($rounds, '<=', 1000, 'listeners are woken far less often');
cmp_ok($rounds, '<=', 200 * $took + 20, 'and at most 200 times a second');

# ---- How soon, on an idle server.

my $writer = $node->background_psql('record');
my @latencies;

foreach (1 .. 40)
{
	my $listener = $listeners{'main record'};

	sleep 0.02;
	$writer->query_safe(retitle());
	my $committed = time;

	$listener->{payloads} = [];
	while (!@{ $listener->{payloads} })
	{
		collect($listener);
		die 'nothing is heard' if time - $committed > $patience;
	}
	push @latencies, time - $committed;
	$listener->{told}{$1} = 1 if $listener->{payloads}[0] =~ /"id":(\d+)/;
}
@latencies = sort { $a <=> $b } @latencies;
note sprintf 'from commit to listener, by way of psql: p50 %.1f ms, max %.1f ms',
  1000 * $latencies[20], 1000 * $latencies[-1];
cmp_ok($latencies[20], '<', 0.5, 'an event is told long before the next poll');

# ---- A long transaction keeps nobody waiting.  When it ends it is told, though
# later events were told before.

my $long = $node->background_psql('record');

$long->query_safe('BEGIN;' . retitle());
$writer->query_safe(retitle('second')) foreach 1 .. 3;
cmp_ok(hears($node, 'record', 3, 'while a transaction runs, others are told'),
	'<', $bound, 'soon');
is(notifier($node, 'record', 'lag_events'), 0, 'nothing is late');
is( $node->safe_psql(
		'record', q{
		SELECT count(*) FROM pg_stat_activity
		WHERE backend_type = 'txplan notifier' AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)}),
	0,
	'the worker holds nothing that vacuum would wait for');
$long->query_safe('COMMIT');
hears($node, 'record', 1, 'then the long transaction is told');
$long->quit;

# ---- What no commit of a writer tells: it polls.

$node->safe_psql('record',
	'BEGIN;' . retitle() . retitle('second') . "PREPARE TRANSACTION 'first'");
hears_nothing($node, 'record', 'a prepared transaction is not told');
$node->safe_psql('record', "COMMIT PREPARED 'first'");
cmp_ok(hears($node, 'record', 2, 'COMMIT PREPARED is told'),
	'<', $bound, 'within the bound');
$node->safe_psql('record',
	'BEGIN;' . retitle() . "PREPARE TRANSACTION 'second'; ROLLBACK PREPARED 'second'");
hears_nothing($node, 'record', 'ROLLBACK PREPARED is not');

# A writer that is silent tells the worker nothing, but the worker polls.
$node->safe_psql('record', 'SET txplan.notify = off;' . retitle());
cmp_ok(hears($node, 'record', 1, 'who is silent is found by the poll'),
	'<', $bound, 'within the bound');

# Rows of another cluster, whose transactions' numbers are still to come here.
$node->safe_psql(
	'record', q{
	BEGIN;
	ALTER TABLE txplan.events DISABLE TRIGGER events_replicated;
	SET LOCAL session_replication_role = replica;
	INSERT INTO txplan.events (id, xid, clinic_id, plan_id, plan_version, type, actor, occurred_at, payload)
	SELECT -n, (pg_current_xact_id()::text::bigint + n)::text::xid8, clinic, first, 1000 + n, 'x.restored', 'x', now(), '{}'
	FROM public.ids, generate_series(1, 100) AS n;
	ALTER TABLE txplan.events ENABLE REPLICA TRIGGER events_replicated;
	COMMIT;
	DO $$ BEGIN FOR n IN 1..120 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$});
hears_nothing($node, 'record', 'events of another cluster are not told by accident');
$node->safe_psql('record',
	'SET session_replication_role = replica; DELETE FROM txplan.events WHERE id < 0');

# ---- The worker ends, and comes back.

my $pid = notifier($node, 'record', 'pid');

$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
$node->safe_psql('record', retitle());
hears($node, 'record', 1, 'pg_cancel_backend() ends nothing');
is(notifier($node, 'record', 'pid'), $pid, 'it is the same worker');

# What is written while it is away by someone who starts no other is told by the
# one that the server starts.
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
$node->safe_psql('record', 'SET txplan.notify = off;' . retitle());
cmp_ok(hears($node, 'record', 1, 'pg_terminate_backend(): the server restarts it'),
	'>', 0, 'and what came meanwhile is told');
isnt(notifier($node, 'record', 'pid'), $pid, 'it is another worker');

# A writer does not wait for that.
$pid = notifier($node, 'record', 'pid');
sleep 1;
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
$writer->query_safe(retitle()) foreach 1 .. 20;
hears($node, 'record', 20, 'pg_terminate_backend(): a writer starts it');
sleep 6;
wait_for_workers($node, 'record', 'there is one worker, not two');
$node->safe_psql('record', retitle());
hears($node, 'record', 1, 'and it is at work');

# Again and again, under writers.
my $pgbench = IPC::Run::start(
	[
		'pgbench', '--no-vacuum', '--client', 4, '--time', 4,
		'--file', $script, $node->connstr('record')
	],
	'>', \my $bench_out, '2>', \my $bench_err);

foreach (1 .. 8)
{
	sleep 0.4;
	$node->safe_psql(
		'postgres', q{
		SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE backend_type = 'txplan notifier'});
}
IPC::Run::finish($pgbench);
my ($transactions) =
  $bench_out =~ /transactions actually processed: (\d+)/ or die $bench_err;
hears($node, 'record', $transactions,
	'the worker is ended again and again, and no event is lost');
wait_for_workers($node, 'record', 'it is back');

# kill -9: the whole server starts anew, and the worker with it.
$pid = notifier($node, 'record', 'pid');
leave($node, 'record');
eval { $writer->quit };
kill 'KILL', $pid;
$node->poll_query_until('postgres',
	"SELECT pg_postmaster_start_time() < now() AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)"
) or die 'the server does not come back';
wait_for_workers($node, 'record', 'kill -9: the worker comes back with the server');
listen_to($node, 'record');
$node->safe_psql('record', retitle());
hears($node, 'record', 1, 'kill -9: and tells');

# ---- An error in a round is survived.  The worker reads as the table's owner.

$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN; CREATE ROLE app LOGIN');
make_plans($node, 'owned', 'owner');
listen_to($node, 'owned');
$node->safe_psql('owned', retitle());
hears($node, 'owned', 1, 'a record of a plain role');
wait_for_workers($node, 'owned record', 'two databases have two workers');
$node->safe_psql(
	'owned', q{
	REVOKE SELECT ON txplan.events FROM owner;
	GRANT SELECT ON txplan.events TO PUBLIC});
$node->safe_psql('owned', 'REVOKE SELECT ON txplan.events FROM PUBLIC');
$node->safe_psql('owned', retitle());
$node->poll_query_until('owned', q{
	SELECT errors > 0 FROM txplan.notifier_state()}) or die 'no error';
$node->safe_psql('owned', 'GRANT SELECT ON txplan.events TO owner');
hears($node, 'owned', 1, 'an error is survived, and nothing is lost by it');
is(notifier($node, 'owned', 'pid IS NOT NULL'), 't', 'the worker is there');

# A trap for a superuser: a view in the place of the table.
$node->safe_psql(
	'owned', q{
	CREATE TABLE public.caught (who text);
	GRANT INSERT ON public.caught TO PUBLIC;
	CREATE FUNCTION public.trap(id bigint) RETURNS bigint LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.caught VALUES (current_user);
		RETURN id;
	END $$;
	BEGIN;
	ALTER TABLE txplan.events RENAME TO kept_events;
	CREATE VIEW txplan.events AS
		SELECT public.trap(e.id) AS id, e.xid, e.type, e.plan_id, e.clinic_id, e.xmin FROM txplan.kept_events AS e;
	COMMIT},
	extra_params => [ '--username', 'owner' ]);
wait_for_workers($node, 'record', 'a view in the place of events ends the worker');
is($node->safe_psql('owned', 'SELECT count(*) FROM public.caught'),
	0, 'and it ran no function of the view');
$node->safe_psql(
	'owned', q{
	DROP VIEW txplan.events;
	ALTER TABLE txplan.kept_events RENAME TO events});
$node->safe_psql('owned', retitle());
hears($node, 'owned', 1, 'the next writer starts another');

# ---- However the library comes into the session.

{
	local $ENV{PGOPTIONS} = '-c session_preload_libraries=txplan';

	$node->safe_psql('record', retitle());
}
$node->safe_psql('record', "LOAD 'txplan';" . retitle());
hears($node, 'record', 2, 'preloaded by the session, or by LOAD');

# ---- DROP EXTENSION ends it, and so does whoever wants the database.

$node->safe_psql('owned',
	'SET client_min_messages = warning; DROP EXTENSION txplan CASCADE');
cmp_ok(wait_for_workers($node, 'record', 'DROP EXTENSION ends the worker'),
	'<', $bound, 'within the bound');
$node->safe_psql('owned', 'CREATE EXTENSION txplan; SELECT txplan.install();' . retitle());
hears($node, 'owned', 1, 'with the extension it is back');
leave($node, 'owned');
wait_for_workers($node, 'owned record', 'nobody but the worker is connected');
takes_less($bound, 'CREATE DATABASE of a template',
	sub { $node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE owned') });
listen_to($node, 'copy');
$node->safe_psql('copy', retitle());
hears($node, 'copy', 1, 'the copy has a worker of its own');
leave($node, 'copy');
takes_less($bound, 'ALTER DATABASE RENAME',
	sub { $node->safe_psql('postgres', 'ALTER DATABASE copy RENAME TO renamed') });
$node->safe_psql('renamed', retitle());
wait_for_workers($node, 'record renamed', 'it is back for the next writer');
takes_less($bound, 'DROP DATABASE',
	sub { $node->safe_psql('postgres', 'DROP DATABASE renamed') });
$node->safe_psql('owned', retitle());
wait_for_workers($node, 'owned record', 'and there');
takes_less($bound, 'DROP DATABASE WITH (FORCE)',
	sub { $node->safe_psql('postgres', 'DROP DATABASE owned WITH (FORCE)') });
wait_for_workers($node, 'record', 'their workers are gone');
sleep 6;
unlike(slurp_file($node->logfile), qr/FATAL:  database \d+ does not exist/,
	'nobody tries to come back to them');

# Somebody else is connected, so the database stays, and the worker comes back.
isnt( error_of($node, 'postgres', 'DROP DATABASE record'),
	'', 'DROP DATABASE of one that is in use fails');
wait_for_workers($node, 'record', 'its worker comes back');
$node->safe_psql('record', retitle());
hears($node, 'record', 1, 'and tells');

# ---- The setting, and the end of the server.

$node->append_conf('postgresql.conf', 'txplan.notify = commit');
$node->reload;
wait_for_workers($node, '', 'a configuration without a worker ends it');
$node->safe_psql('record', retitle());
hears($node, 'record', 1, 'the writer tells');
wait_for_workers($node, '', 'and starts none');
$node->append_conf('postgresql.conf', 'txplan.notify = worker');
$node->reload;
$node->safe_psql('record', retitle());
hears($node, 'record', 1, 'with a worker again');
wait_for_workers($node, 'record', 'it is there');
$node->safe_psql('record', 'BEGIN;' . retitle() . "PREPARE TRANSACTION 'third'");
leave($node, 'record');
takes_less($bound, 'a restart', sub { $node->restart });
wait_for_workers($node, '', 'without preload nobody starts it yet');
listen_to($node, 'record');
$node->safe_psql('record', retitle('second'));
hears($node, 'record', 1, 'the first writer does');
$node->safe_psql('record', "COMMIT PREPARED 'third'");
hears($node, 'record', 1, 'it tells also what was prepared before the restart');
leave($node, 'record');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:| XX\w{3} .*(ERROR|FATAL):/,
	'nothing happened that cannot');

# ---- No worker to be had.

my $small = new_server('small',
	settings => "max_worker_processes = 1\nmax_logical_replication_workers = 0\n"
	  . "max_prepared_transactions = 5");

make_plans($small, 'one');
wait_for_workers($small, 'one', 'the only worker there is');
make_record($small, 'three');
$small->safe_psql(
	'three', q{
	CREATE TABLE public.ids (clinic uuid, patient uuid, first uuid, second uuid);
	INSERT INTO public.ids (clinic) VALUES (txplan.create_clinic('Clinic', 'UTC'));
	UPDATE public.ids SET patient = txplan.create_patient(clinic, 'Ana', 'Ruiz')});
listen_to($small, 'three');
my ($status, $out, $err) = $small->psql('three',
	  'UPDATE public.ids SET first = txplan.create_plan(clinic, patient);'
	  . retitle() . retitle());

is($status, 0, 'without a worker to spare, writers write');
is(scalar(() = $err =~ /WARNING:  txplan has no notifier/g),
	1, 'and are warned once');
hears($small, 'three', 3, 'they tell of their events themselves');
is(notifier($small, 'three', q{concat_ws(' ', pid, mode, fallbacks)}),
	'commit 3', 'the view shows that');
is( error_of($small, 'three', 'BEGIN;' . retitle() . "PREPARE TRANSACTION 'x'"),
	'0A000', 'so they cannot be prepared');
$small->safe_psql('postgres', 'DROP DATABASE one');
sleep 1.1;
($status, $out, $err) = $small->psql('three', retitle());
wait_for_workers($small, 'three', 'once there is a worker to spare, it is used');
hears($small, 'three', 1, 'nothing was missed');
is(notifier($small, 'three', 'mode'), 'worker', 'the view shows that');
$small->safe_psql('three', retitle());
hears($small, 'three', 1, 'it tells');
leave($small, 'three');
log_is_clean($small);
$small->stop;

# ---- Preloaded, and on a standby.

my $primary = new_server('primary',
	init => { allows_streaming => 1 },
	settings => "shared_preload_libraries = 'txplan'\nmax_prepared_transactions = 5");

make_plans($primary, 'record');
make_plans($primary, 'other');
make_record($primary, 'silent');
$primary->safe_psql('postgres',
	'CREATE DATABASE empty; ALTER DATABASE silent SET txplan.notify = commit');
$primary->safe_psql('record', 'BEGIN;' . retitle() . "PREPARE TRANSACTION 'first'");

my $log = -s $primary->logfile;

takes_less($bound, 'a restart of a server that starts workers', sub { $primary->restart });
wait_for_workers($primary, 'other record',
	'preloaded, it starts workers in the databases that have a record');
listen_to($primary, 'record');
$primary->safe_psql('record', "COMMIT PREPARED 'first'");
cmp_ok( hears($primary, 'record', 1, 'what was prepared before is told, without a writer'),
	'<', $bound, 'within the bound');
unlike(slurp_file($primary->logfile, $log), qr/ERROR|WARNING|FATAL(?!.*(starting up|administrator command))/,
	'no database without a record makes noise');
is( $primary->safe_psql(
		'postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'txplan launcher'}),
	0,
	'the launcher ends when it is done');

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');

$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->safe_psql('record', retitle());
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
wait_for_workers($standby, '', 'on a standby there is no worker');
is(notifier($standby, 'record', q{concat_ws(' ', pid, mode)}),
	'worker', 'and the view can be read');
leave($primary, 'record');
$primary->stop;
$standby->promote;
wait_for_workers($standby, 'other record', 'promoted, it has its workers');
listen_to($standby, 'record');
$standby->safe_psql('record', retitle());
hears($standby, 'record', 1, 'and they tell');
leave($standby, 'record');

log_is_clean($primary);
log_is_clean($standby);
done_testing();
