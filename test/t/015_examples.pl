# The programs in examples/: each prints every event at least once, also those that
# are committed while it is away or the server is, and ends politely.

use strict;
use warnings FATAL => 'all';

use File::Copy;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;

my $examples = "$FindBin::Bin/../../examples";
my $work = PostgreSQL::Test::Utils::tempdir;
my $node = new_server('main');

make_record($node, 'record');
my ($clinic, $patient) = split /\|/, $node->safe_psql(
	'record', q{
	SELECT txplan.create_clinic('Clínica Sol', 'Europe/Madrid') AS clinic \gset
	SELECT :'clinic', txplan.create_patient(:'clinic', 'Ada', 'Moreau')});

# publish - so many events of a new plan.
sub publish
{
	my ($count) = @_;

	$node->safe_psql(
		'record', qq{
		SELECT txplan.create_plan('$clinic', '$patient') AS plan \\gset
		SELECT format('UPDATE txplan.plans SET title = %L WHERE id = %L', n, :'plan')
		FROM generate_series(2, $count) AS n \\gexec});
}

# published - the events behind an id, as the programs print them.
sub published
{
	my ($after) = @_;

	return split /\n/, $node->safe_psql(
		'record', qq{
		SELECT concat_ws(' ', id, type, plan_id) FROM txplan.events
		WHERE id > $after ORDER BY id});
}

# lines - how often a file has each line.
sub lines
{
	my ($file) = @_;
	my %lines;

	$lines{$_}++ foreach split /\n/, slurp_file($file);
	return \%lines;
}

# comes - waits a minute for something to be so.
sub comes
{
	my ($so) = @_;

	foreach (1 .. 60 * 20)
	{
		return 1 if $so->();
		select(undef, undef, undef, 0.05);
	}
	return 0;
}

# printed - whether a program prints what it should.
sub printed
{
	my ($file, @wanted) = @_;

	return comes(sub {
		my $lines = lines($file);

		return !grep { !$lines->{$_} } @wanted;
	});
}

# ended - the exit status of a program after a signal.
sub ended
{
	my ($program, $signal) = @_;

	$program->signal($signal);
	IPC::Run::finish($program);
	return $program->full_result(0);
}

# The programs, each with what is needed beside it; it is the environment's to say
# that something is missing.
my %missing = (
	C => $ENV{WITHOUT_LIBPQ}, Python => $ENV{WITHOUT_PSYCOPG2},
	Node => $ENV{WITHOUT_NODE_PG});
my %command_of = (
	C => ["$work/listener"],
	Python => [ $ENV{PYTHON} || 'python3', "$examples/listener.py" ],
	Node => [ 'node', "$examples/listener.js" ]);

foreach my $language (qw(C Python Node))
{
  SKIP:
	{
		skip "the example in $language: $missing{$language}", 1 if $missing{$language};
		if ($language eq 'C')
		{
			my ($headers, $libraries) = map {
				(run_command([ $ENV{PG_CONFIG} || 'pg_config', $_ ]))[0]
			} qw(--includedir --libdir);

			ok( run_log(
					[ 'cc', '-Wall', '-Wextra', '-Werror', '-o', "$work/listener",
						"$examples/listener.c", "-I$headers", "-L$libraries", '-lpq' ]),
				'C: it compiles without a warning');
		}

		local $ENV{PGHOST} = $node->host;
		local $ENV{PGPORT} = $node->port;
		local $ENV{PGDATABASE} = 'record';
		my $out = "$work/$language.out";
		my $err = "$work/$language.err";
		my @command = (@{ $command_of{$language} }, lc $language);
		my $start = sub {
			return IPC::Run::start([@command], '<', \undef, '>>', $out, '2>>', $err);
		};

		publish(3);
		my $program = $start->();

		ok(printed($out, published(0)), "$language: what was there before it came");
		publish(1200);
		ok(printed($out, published(0)), "$language: what comes while it listens");

		# The server dies, and comes back.
		$node->stop('immediate');
		$node->start;
		publish(2);
		ok(printed($out, published(0)), "$language: what comes after a crash");
		like(slurp_file($err), qr/^connection lost: /m,
			"$language: it says that it lost the connection");
		$node->safe_psql('record', q{
			SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = 'record' AND pid <> pg_backend_pid()});
		publish(2);
		ok(printed($out, published(0)), "$language: what comes after it was thrown out");

		$node->safe_psql('postgres', 'ALTER DATABASE record SET txplan.notify = off');
		publish(2);
		ok(printed($out, published(0)), "$language: what nobody told it of");
		$node->safe_psql('postgres', 'ALTER DATABASE record RESET txplan.notify');

		is(ended($program, 'TERM'), 0, "$language: it ends by SIGTERM");
		is( $node->safe_psql('record',
				"SELECT count(*) FROM txplan.next_events('\L$language\E')"),
			0,
			"$language: nothing was left");

		# Away.
		my $seen = $node->safe_psql('record', 'SELECT max(id) FROM txplan.events');
		my %before = %{ lines($out) };
		publish(700);
		$program = $start->();
		ok(printed($out, published($seen)), "$language: what came while it was away");
		is(ended($program, 'INT'), 0, "$language: it ends by SIGINT");

		# Told to end while there is much to do: it ends behind a batch.
		publish(5000);
		my @much = published($seen + 700);
		$program = $start->();
		comes(sub { lines($out)->{ $much[0] } });
		is(ended($program, 'TERM'), 0, "$language: it ends in the midst of work");
		my $done = lines($out);
		is((grep { $done->{$_} } @much) % 500, 0,
			"$language: the batch at hand was finished");
		# One more, so that there is something to wait for when all was done: a
		# program that has not begun yet cannot be told to end well.
		publish(1);
		$program = $start->();
		ok(printed($out, published($seen + 700)),
			"$language: it goes on where it was");
		is(ended($program, 'TERM'), 0, "$language: it ends again");
		my %after = %{ lines($out) };
		is_deeply([ grep { $after{$_} > ($before{$_} || 1) } sort keys %after ],
			[], "$language: nothing that was finished came again");

		# Without a server it waits, and can be told to end.
		$node->stop;
		my $losses = () = slurp_file($err) =~ /^connection lost: /mg;
		$program = $start->();
		comes(sub { $losses < (() = slurp_file($err) =~ /^connection lost: /mg) });
		is(ended($program, 'TERM'), 0, "$language: it ends while it waits for a server");
		$node->start;

		# What the server refuses for good ends it.
		local $ENV{PGDATABASE} = 'postgres';
		$program = $start->();
		IPC::Run::finish($program);
		isnt($program->full_result(0), 0, "$language: it ends where there is no txplan");
	}
}

fits_together($node, 'record', 'after all');
log_is_clean($node);
done_testing();
