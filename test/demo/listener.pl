# listener.pl - listens on channel txplan and writes down all that it hears.
#
# usage: listener.pl FILE
#
# psql prints notifications after a command, so it is given one after another.
# FILE gets a line for each notification: id, type, plan, and for a batch the
# first and last id, and the number of events.  Once there is a file "show"
# beside FILE, some events are looked up and printed: a notification is a hint to
# read, the table is the truth.  A notification on channel demo ends it.
#
# Works on bytes: they are UTF-8 all the way.

use strict;
use warnings;
use IPC::Open2;

my $file = $ARGV[0] or die "usage: listener.pl FILE\n";
(my $show = $file) =~ s{[^/]*$}{show};

my $psql = open2(my $from, my $to, 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1');
$SIG{TERM} = sub { kill 'TERM', $psql; exit 143 };

# What happened to a plan, in words, on one line.
my $look_up = <<'END';
SELECT format('  %s  %-14s  %-23s %s', to_char(e.occurred_at, 'HH24:MI:SS'),
	e.payload ->> 'plan_number',
	replace(e.type, 'treatment_plan.', ''),
	left(concat_ws(', ',
		'by ' || e.actor,
		coalesce(e.payload ->> 'label', e.payload ->> 'description',
			(e.payload ->> 'old_status') || ' -> ' || (e.payload ->> 'new_status'),
			e.payload ->> 'closure_reason'),
		e.payload ->> 'amount',
		'of ' || t.first_name || ' ' || t.last_name), 44))
FROM txplan.events AS e
LEFT JOIN txplan.patients AS t ON t.id = (e.payload ->> 'patient_id')::uuid
	AND t.clinic_id = e.clinic_id
WHERE e.id = ANY ('{IDS}')
ORDER BY e.id;
END

# The notifications that have come and were not looked at yet: channel, payload.
my @notifications;

# command - gives psql a command, and returns the lines it prints of itself.
sub command
{
	my @lines;

	print $to "$_[0]\n\\echo =done=\n";
	$to->flush;
	while (my $line = <$from>)
	{
		chomp $line;
		return @lines if $line eq '=done=';
		if ($line =~ /^Asynchronous notification "(\w+)" with payload "(.*)" received from/)
		{
			push @notifications, [$1, $2];
		}
		else
		{
			push @lines, $line;
		}
	}
	die "listener: psql ended\n";
}

command('LISTEN txplan; LISTEN demo;');
open my $heard, '>', $file or die "$file: $!\n";

my ($count, $shown_at, $closing) = (0, 0, 0);
until ($closing)
{
	my @ids;

	command('SELECT pg_sleep(0.1);');
	while (my $notification = shift @notifications)
	{
		my ($channel, $payload) = @$notification;

		if ($channel eq 'demo')
		{
			$closing = 1;
		}
		elsif ($payload =~
			/^\{"type":"batch","from":(\d+),"to":(\d+),"count":(\d+)\}$/)
		{
			print $heard join("\t", '\N', 'batch', '\N', $1, $2, $3), "\n";
			$count += $3;
		}
		elsif ($payload =~
			/^\{"id":(\d+),"type":"([\w.]+)","plan_id":"([\w-]+)","clinic_id":"[\w-]+"\}$/)
		{
			print $heard join("\t", $1, $2, $3, '\N', '\N', 1), "\n";
			$count++;
			push @ids, $1;
		}
		else
		{
			# Not to be understood: the checks must see it.
			print $heard join("\t", '\N', 'unknown', '\N', '\N', '\N', 0), "\n";
		}
	}

	# Some lines, about once a second.
	if (@ids && !$closing && time != $shown_at && -e $show)
	{
		my $ids = join ',', map { $ids[ $_ * @ids / 3 ] } 0 .. 2;

		(my $query = $look_up) =~ s/IDS/$ids/;
		print "$_\n" for command($query);
		printf "  ... %d events heard of so far\n", $count;
		STDOUT->flush;
		$shown_at = time;
	}
}
close $heard or die "$file: $!\n";
close $to;
waitpid $psql, 0;
