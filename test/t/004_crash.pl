# Four people work while the server dies under them, ten times: what they were
# told is done is done, what is half done is gone, and all fits together.

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;

my $rounds = 10;
my $clients = 4;

my $node = new_server('main', settings => 'restart_after_crash = on');
my $files = PostgreSQL::Test::Utils::tempdir;

make_record($node, 'record');
$node->safe_psql(
	'record', q{
	CREATE TABLE ids (name text PRIMARY KEY, id uuid);
	INSERT INTO ids VALUES ('clinic', txplan.create_clinic('Clinic', 'UTC'));
	INSERT INTO ids SELECT 'doctor', txplan.create_professional(id, 'Dr. A')
	FROM ids WHERE name = 'clinic';
	INSERT INTO ids SELECT 'patient', txplan.create_patient(id, 'Ana', 'Ruiz')
	FROM ids WHERE name = 'clinic';
	INSERT INTO ids SELECT 'crown', txplan.create_catalog_item(id, 'CROWN', 'Crown', 100, NULL,
		(SELECT jsonb_agg(jsonb_build_object('label', 'step ' || n, 'price', 10))
		FROM generate_series(1, 10) AS n))
	FROM ids WHERE name = 'clinic';
	CREATE FUNCTION make_plan(items integer) RETURNS uuid LANGUAGE plpgsql AS $$
	DECLARE
		the_plan uuid := txplan.create_plan((SELECT id FROM ids WHERE name = 'clinic'),
			(SELECT id FROM ids WHERE name = 'patient'), (SELECT id FROM ids WHERE name = 'doctor'));
	BEGIN
		FOR i IN 1..items LOOP
			PERFORM txplan.add_item(the_plan, (SELECT id FROM ids WHERE name = 'crown'));
		END LOOP;
		PERFORM txplan.confirm_plan(the_plan);
		PERFORM txplan.accept_plan(the_plan);
		RETURN the_plan;
	END $$});

my %ids = map { split /\|/ } split /\n/,
  $node->safe_psql('record', 'SELECT name, id FROM ids');

# write_script - what one person does in a round.  The sessions of a plan are
# shared out, so that everybody works on every plan, and now and then on the same
# session.  A line is printed once the server has said that it is done.
sub write_script
{
	my ($client, @sessions) = @_;
	my $file = "$files/client_$client.sql";
	my $n = 0;

	unlink $file;
	foreach my $session (@sessions)
	{
		my @statements = ("SELECT txplan.complete_session('$session');");

		push @statements, "SELECT txplan.create_plan('$ids{clinic}', '$ids{patient}');"
		  if ++$n % 5 == 0;
		push @statements, 'SELECT make_plan(2);' if $n % 20 == 0;
		append_to_file($file, "\\o /dev/null\n$statements[0]\n\\o\n"
			  . "\\if :ERROR \\else \\echo completed $session\n\\endif\n");
		append_to_file($file,
			"SELECT 'made', coalesce(id, id) FROM ("
			  . ($_ =~ s/;$//r =~ s/^SELECT (.*)$/SELECT $1 AS id/r)
			  . ") AS made;\n")
		  foreach @statements[ 1 .. $#statements ];
	}
	return $file;
}

my (%completed, %made);

foreach my $round (1 .. $rounds)
{
	my @sessions = split /\n/, $node->safe_psql(
		'record', q{
		WITH made AS MATERIALIZED (SELECT make_plan(5) AS id FROM generate_series(1, 20))
		SELECT count(*) FROM made;
		SELECT id FROM txplan.sessions WHERE status = 'pending' ORDER BY random()});
	my @work = map { [] } 1 .. $clients;
	my (@runs, @out, @err);

	shift @sessions;
	foreach my $i (0 .. $#sessions)
	{
		push @{ $work[ $i % $clients ] }, $sessions[$i];
		push @{ $work[ ($i + 1) % $clients ] }, $sessions[$i] if $i % 10 == 0;
	}
	foreach my $client (0 .. $clients - 1)
	{
		my $file = write_script($client, @{ $work[$client] });

		push @runs,
		  IPC::Run::start(
			[
				'psql', '--no-psqlrc', '--quiet', '--no-align',
				'--tuples-only', '--file', $file, $node->connstr('record')
			],
			'<', \undef,
			'>', \$out[$client],
			'2>', \$err[$client]);
	}

	# They are at work when something of theirs is in the table.
	my $before = $node->safe_psql('record', 'SELECT max(id) FROM txplan.events');

	$node->poll_query_until('record',
		"SELECT count(*) > 20 FROM txplan.events WHERE id > $before")
	  or die 'nobody works';
	select undef, undef, undef, rand(0.5);

	if ($round % 2 == 1)
	{
		# Whoever was picked may be done before the signal comes: pick again.
		my $killed = 0;

		foreach my $try (1 .. 100)
		{
			my $pid = $node->safe_psql(
				'record', q{
				SELECT pid FROM pg_stat_activity
				WHERE query ~ 'complete_session|create_plan|make_plan'
					AND pid <> pg_backend_pid()
				ORDER BY random() LIMIT 1});

			$killed = $pid ne '' && kill('KILL', $pid);
			last if $killed;
		}
		die 'nobody was there to be killed' if !$killed;
		IPC::Run::finish($_) foreach @runs;
		back_again($node, 'record');
	}
	else
	{
		$node->stop('immediate');
		IPC::Run::finish($_) foreach @runs;
		$node->start;
	}

	my $name = "round $round";
	my $told = 0;

	foreach my $client (0 .. $clients - 1)
	{
		$completed{$_} = 1, $told++ foreach $out[$client] =~ /^completed (\S+)$/mg;
		$made{$_} = 1 foreach $out[$client] =~ /^made\|(\S+)$/mg;
	}
	cmp_ok($told, '>', 0, "$name: they were told of $told sessions before the server died");
	like(join('', @err), qr/server closed the connection|terminating connection|connection to server was lost/,
		"$name: it died under them");
	is( $node->safe_psql(
			'record',
			'SELECT count(*) FROM txplan.sessions WHERE status = \'completed\' AND id IN ('
			  . join(', ', map { "'$_'" } sort keys %completed) . ')'),
		scalar keys %completed,
		"$name: what they were told is completed is completed");
	is( $node->safe_psql(
			'record',
			'SELECT count(*) FROM txplan.plans WHERE id IN (NULL'
			  . join('', map { ", '$_'" } sort keys %made) . ')'),
		scalar keys %made,
		"$name: what they were told is made is there");
	is( $node->safe_psql(
			'record', q{
			SELECT (SELECT count(*) FROM txplan.sessions WHERE status = 'completed')
				= ALL (ARRAY[
					(SELECT count(*) FROM txplan.earned_entries),
					(SELECT count(DISTINCT payload ->> 'session_id') FROM txplan.events
						WHERE type = 'treatment_plan.item_session_completed'),
					(SELECT count(*) FROM txplan.events
						WHERE type = 'treatment_plan.item_session_completed')])}),
		't',
		"$name: a session is one fact, one entry, one event");
	is( $node->safe_psql(
			'record', q{
			SELECT count(*) = max(right(number, -10)::integer)
				AND count(*) = count(DISTINCT number)
				AND count(*) = (SELECT last_number FROM txplan.number_counters)
			FROM txplan.plans}),
		't',
		"$name: plan numbers have no gap");
	fits_together($node, 'record', $name);
}

cmp_ok(scalar keys %made, '>', 0, 'they made plans meanwhile');

# What is left to do can be done.
$node->safe_psql(
	'record', q{
	SELECT txplan.complete_item(id) FROM txplan.items WHERE status = 'pending'
		AND plan_id IN (SELECT id FROM txplan.plans WHERE status = 'active')});
is( $node->safe_psql('record', q{SELECT count(*) FROM txplan.plans WHERE status = 'active'}),
	0,
	'all plans come to their end');
fits_together($node, 'record', 'at the end');

# The backends that were killed are in the log; nothing else is.
unlike(
	slurp_file($node->logfile),
	qr/PANIC|TRAP:| XX\w{3} .*(ERROR|FATAL):|terminated by signal (?!9\b)/,
	'nothing crashed by itself');
done_testing();
