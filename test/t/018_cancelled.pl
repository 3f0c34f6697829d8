# Every statement that changes a plan or reads events is cancelled, finds the disk
# full and is killed at one step after the other: what failed has left nothing
# behind, and once it is let through it happens once.

use strict;
use warnings FATAL => 'all';

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;
use Time::HiRes qw(time);

my $directory = PostgreSQL::Test::Utils::tempdir();
my $library = PostgreSQL::Test::Utils::tempdir_short() . '/fault.so';
my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
my $headers = qx("$pg_config" --includedir-server);

chomp $headers;
system('gcc', '-shared', '-fPIC', '-O1', "-I$headers", '-o', $library,
	"$FindBin::Bin/../fault.c") == 0
  or die 'fault.c does not compile';

my $node = new_server('main',
	settings => "restart_after_crash = on\nlog_min_error_statement = panic");

make_record($node, 'record');
$node->safe_psql(
	'record', q{
	CREATE ROLE app LOGIN;
	GRANT USAGE ON SCHEMA txplan TO app;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA txplan TO app;
	GRANT USAGE ON ALL SEQUENCES IN SCHEMA txplan TO app;
	CREATE TABLE ids (clinic uuid, patient uuid, doctor uuid, other uuid, crown uuid);
	GRANT SELECT ON ids TO app;
	INSERT INTO ids (clinic) VALUES (txplan.create_clinic('Clinic', 'UTC'));
	UPDATE ids SET patient = txplan.create_patient(clinic, 'Ana', 'Ruiz'),
		doctor = txplan.create_professional(clinic, 'Dr. A'),
		other = txplan.create_professional(clinic, 'Dr. B'),
		crown = txplan.create_catalog_item(clinic, 'CROWN', 'Crown', 100, NULL,
			'[{"label": "Preparation", "price": "66.66"}, {"label": "Cementing", "price": "33.34"}]');
	CREATE FUNCTION make_plan(until text) RETURNS uuid LANGUAGE plpgsql AS $$
	DECLARE
		the ids;
		plan uuid;
	BEGIN
		SELECT * INTO the FROM ids;
		plan := txplan.create_plan(the.clinic, the.patient, the.doctor);
		PERFORM txplan.add_item(plan, the.crown);
		PERFORM txplan.confirm_plan(plan) WHERE until <> 'draft';
		PERFORM txplan.accept_plan(plan) WHERE until <> 'draft';
		RETURN plan;
	END $$;
	-- What must be the same after a failure: the record, and what the session is
	-- and holds.  Consumers hold advisory locks whose last field is 7801.
	CREATE FUNCTION probe() RETURNS text LANGUAGE sql AS $$
		SELECT concat_ws(' ', current_user,
			'claims', (SELECT count(*) FROM pg_locks
				WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND objsubid = 7801),
			'events', (SELECT count(*) FROM txplan.events),
			'history', (SELECT count(*) FROM txplan.history),
			'earned', (SELECT count(*) FROM txplan.earned_entries),
			'plans', (SELECT md5(string_agg(p::text, '' ORDER BY p.id)) FROM txplan.plans AS p),
			'items', (SELECT md5(string_agg(i::text, '' ORDER BY i.id)) FROM txplan.items AS i),
			'sessions', (SELECT md5(string_agg(s::text, '' ORDER BY s.id)) FROM txplan.sessions AS s),
			'numbers', (SELECT sum(last_number) FROM txplan.number_counters),
			'consumers', (SELECT count(*) FROM txplan.consumers),
			'slots', (SELECT sum(turn) FROM txplan.consumer_slots),
			'batches', (SELECT string_agg(concat(batch_id, event_ids), ' ' ORDER BY batch_id)
				FROM txplan.consumer_batches),
			'retries', (SELECT string_agg(concat(event_id, ' ', retry_count, ' ', batch_id), ' '
				ORDER BY event_id) FROM txplan.consumer_retries),
			'dead', (SELECT count(*) FROM txplan.consumer_dead))
	$$;
	CREATE TABLE story AS SELECT make_plan('draft') AS plan;
	GRANT SELECT ON story TO app;
	DO $$ BEGIN
		FOR i IN 1..40 LOOP
			UPDATE txplan.plans SET title = i WHERE id = (SELECT plan FROM story);
		END LOOP;
	END $$});

# For each case: what is done beforehand, the statement, what is asked afterwards
# and its answer.  The reader reads the story, whose events are 1, 2, 3.
my $events = q{
SELECT string_agg(split_part(type, '.', 2), ' ' ORDER BY id) FROM txplan.events WHERE id > :before;};
my $first_ten = '1 2 3 4 5 6 7 8 9 10';
my $some_plan = q{SELECT make_plan('active') AS plan \gset};
my $a_consumer = q{
SELECT txplan.create_consumer('reader', start => 'beginning', plan_id => plan, max_retries => 1)
FROM story;};
my $a_batch = $a_consumer . q{
SELECT max(batch_id) AS batch, min(event_id) + 2 AS third FROM txplan.next_events('reader', 10) \gset};
my $read_on = q{
SELECT string_agg(concat(plan_version, CASE WHEN retry_count > 0 THEN ' again' END), ' ' ORDER BY event_id)
FROM txplan.next_events('reader', 10);};
my @cases = (
	[
		'complete_session() that completes the plan',
		$some_plan . q{
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE plan_id = :'plan' AND sequence = 1;
SELECT id AS session FROM txplan.sessions WHERE plan_id = :'plan' AND sequence = 2 \gset},
		q{SELECT txplan.complete_session(:'session')},
		$events,
		'item_session_completed treatment_completed completed status_changed'
	],
	[
		'UPDATE of a session',
		$some_plan,
		q{UPDATE txplan.sessions SET status = 'completed' WHERE plan_id = :'plan'},
		$events,
		'item_session_completed item_session_completed treatment_completed completed status_changed'
	],
	[
		'complete_item()',
		$some_plan . q{
SELECT txplan.add_item(:'plan', crown) AS item FROM ids \gset},
		q{SELECT txplan.complete_item(:'item')},
		$events,
		'item_session_completed item_session_completed treatment_completed'
	],
	[
		'cancel_session() of the last',
		$some_plan . q{
SELECT txplan.cancel_session(id) FROM txplan.sessions WHERE plan_id = :'plan' AND sequence = 1;
SELECT id AS session FROM txplan.sessions WHERE plan_id = :'plan' AND sequence = 2 \gset},
		q{SELECT txplan.cancel_session(:'session')},
		$events,
		'item_session_cancelled treatment_cancelled'
	],
	[
		'create_plan()',
		q{SELECT clinic, patient, doctor FROM ids \gset},
		q{SELECT txplan.create_plan(:'clinic', :'patient', :'doctor')},
		$events, 'created'
	],
	[
		'add_item()',
		$some_plan . q{
SELECT crown FROM ids \gset},
		q{SELECT txplan.add_item(:'plan', :'crown')},
		$events, 'treatment_added'
	],
	[
		'confirm_plan()',
		q{SELECT make_plan('draft') AS plan \gset},
		q{SELECT txplan.confirm_plan(:'plan')},
		$events,
		'confirmed status_changed'
	],
	[
		'close_plan()', $some_plan,
		q{SELECT txplan.close_plan(:'plan', 'other', 'moved')},
		$events, 'closed status_changed'
	],
	[
		'change_professional()',
		$some_plan . q{
SELECT other FROM ids \gset},
		q{SELECT txplan.change_professional(:'plan', :'other', true)},
		$events,
		'professional_changed item_reassigned'
	],
	[
		'DELETE of a draft',
		q{SELECT make_plan('draft') AS plan \gset},
		q{DELETE FROM txplan.plans WHERE id = :'plan'},
		$events, 'deleted'
	],
	[
		'create_consumer()', '',
		q{SELECT txplan.create_consumer('reader', start => 'beginning')},
		q{SELECT count(*) FROM txplan.consumer_slots;}, '128'
	],
	[
		'drop_consumer()',
		$a_batch,
		q{SELECT txplan.drop_consumer('reader')},
		q{SELECT txplan.create_consumer('reader');
SELECT count(*) FROM txplan.consumer_slots;},
		'128'
	],
	[
		'next_events()', $a_consumer, $read_on =~ s/;$//r, $read_on, $first_ten
	],
	[
		'finish_events()',
		$a_batch,
		q{SELECT txplan.finish_events('reader', :batch)},
		$read_on,
		'11 12 13 14 15 16 17 18 19 20'
	],
	[
		'retry_event()',
		$a_batch,
		q{SELECT txplan.retry_event('reader', :third, '0')},
		q{SELECT txplan.finish_events('reader', :batch);} . $read_on,
		'3 again 11 12 13 14 15 16 17 18 19'
	],
	[
		'retry_event() that gives it up',
		$a_batch . q{
SELECT txplan.retry_event('reader', :third, '0'), txplan.finish_events('reader', :batch);
SELECT max(batch_id) AS batch FROM txplan.next_events('reader', 10) \gset},
		q{SELECT txplan.retry_event('reader', :third)},
		q{SELECT string_agg(plan_version::text, ' ') FROM txplan.dead_events;}, '3'
	],
	[
		'revive_event()',
		$a_consumer =~ s/max_retries => 1/max_retries => 0/r . q{
SELECT max(batch_id) AS batch, min(event_id) + 2 AS third FROM txplan.next_events('reader', 10) \gset
SELECT txplan.retry_event('reader', :third), txplan.finish_events('reader', :batch);},
		q{SELECT txplan.revive_event('reader', :third)},
		$read_on,
		'3 11 12 13 14 15 16 17 18 19'
	]);

my $no_reader = q{
DO $$ BEGIN
	PERFORM txplan.drop_consumer('reader');
EXCEPTION WHEN no_data_found THEN
END $$;};
my $note_before = q{
SELECT max(id) AS before FROM txplan.events \gset};

# run_script - psql as the application; returns what it prints, and its errors.
sub run_script
{
	my ($script, @variables) = @_;
	my $file = "$directory/script.sql";
	my ($out, $err);

	unlink $file;
	append_to_file($file, "LOAD '$library';\nSET SESSION AUTHORIZATION app;\n"
		  . "\\set VERBOSITY sqlstate\n$script\n");
	IPC::Run::run(
		[
			'psql', '-qXAtf', $file, map({ ('-v', $_) } @variables),
			$node->connstr('record')
		],
		'<', \undef,
		'>', \$out,
		'2>', \$err);
	return ($out, $err);
}

# sweep - lets a statement fail at each step, each attempt a transaction or a
# savepoint of one, until it succeeds; of a great many steps each seventh.  Four
# tests.  Returns how often it failed.
sub sweep
{
	my ($how, $in_savepoints, $case) = @_;
	my ($what, $before, $statement, $after, $answer) = @$case;
	my $name = "$what, $how" . ($in_savepoints ? ' in a savepoint' : '');
	my $sqlstate = $how eq 'cancel' ? '57014' : '53100';
	my @script = ($no_reader, $before, $note_before, "SET fault.how = $how;");

	push @script, 'BEGIN;' if $in_savepoints;
	push @script, "SELECT 'probe', probe();";
	foreach my $step (1 .. 150, map({ 7 * $_ } 22 .. 300))
	{
		push @script, "SET fault.at = $step;";
		push @script, 'SAVEPOINT a;' if $in_savepoints;
		push @script, "$statement;", '\if :ERROR', '\else', 'SET fault.at = 0;', '\echo done';
		push @script, 'COMMIT;' if $in_savepoints;
		push @script, $after, 'INSERT INTO txplan.events DEFAULT VALUES;', '\q', '\endif';
		push @script, 'ROLLBACK TO a;' if $in_savepoints;
		push @script, 'SET fault.at = 0;', "SELECT 'probe', probe();";
	}
	my ($out, $err) = run_script(join "\n", @script);
	my ($tried, $done) = $out =~ /^(.*)^done\n(.*)/ms
	  or die "$name: it was never done: " . substr $err, 0, 2000;
	my @probes = $tried =~ /^probe\|(.*)$/mg;
	my @errors = $err =~ /ERROR:  (\w+)/g;
	my $failed = grep { $_ eq $sqlstate } @errors;

	is_deeply([ grep { $_ ne $probes[0] } @probes ],
		[], "$name: what failed leaves nothing");
	is((split /\n/, $done)[-1], $answer, "$name: then it happens, once");
	is(join(' ', grep { $_ ne $sqlstate } @errors), 'TX007',
		"$name: no other error, and the engine's tables are closed");
	cmp_ok($failed, '>', 10, "$name: it failed $failed times");
	return $failed;
}

# kill_at - the process is killed at a step, and with it the whole server; then the
# statement is run again.  Two tests.
sub kill_at
{
	my ($step, $case) = @_;
	my ($what, $before, $statement, $after, $answer) = @$case;
	my $name = "$what, kill at step $step";
	my ($out, $err) = run_script(
		join "\n", $no_reader, $before, $note_before,
		(map { "\\echo variable $_=:$_" } qw(before plan session batch)),
		"SELECT 'probe', probe();", 'SET fault.how = kill;', "SET fault.at = $step;",
		"$statement;", '\echo done');
	my @variables = grep { !/=:/ } $out =~ /^variable (.*)$/mg;
	my ($probe) = $out =~ /^probe\|(.*)$/m;

	# What the session held went with it.
	$probe =~ s/claims \d+/claims 0/;
	die "$name: it lives: $out $err" if $out =~ /^done$/m;
	back_again($node, 'record');
	($out) = run_script("SELECT probe();\n$statement;\n\\echo done\n$after", @variables);
	is((split /\n/, $out)[0], $probe, "$name: it leaves nothing");
	is(($out =~ s/.*^done\n//msr =~ s/\n\z//r), $answer, "$name: then it happens, once");
}

foreach my $case (@cases)
{
	my ($what) = @$case;
	my $steps = sweep('cancel', 0, $case);

	sweep('cancel', 1, $case);
	sweep('disk_full', 0, $case);
	next if $what !~ /completes the plan|next_events|finish_events/;
	kill_at($_, $case) foreach int($steps / 3), int($steps / 1.5);
}
fits_together($node, 'record', 'after all that');

# The backends that were killed are in the log; nothing else is.
unlike(
	slurp_file($node->logfile),
	qr/PANIC|TRAP:| XX\w{3} .*(ERROR|FATAL):|terminated by signal (?!9\b)/,
	'nothing crashed by itself');
done_testing();
