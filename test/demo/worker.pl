# worker.pl - what one connection wants of the day, as a script for psql.
#
# usage: worker.pl SEED CALLS ACTOR
#
# Each call is two statements, as an application would make them: one looks at the
# record and finds on what to act (demo.next_call() in day.sql), the other does
# it, in a transaction of its own, and is timed.  In between others act, on purpose often on the
# same plan.  After each call psql prints how it ended, for demo.calls.

use strict;
use warnings;

@ARGV == 3 or die "usage: worker.pl SEED CALLS ACTOR\n";
my ($seed, $calls, $actor) = @ARGV;

# How often each is wanted.
my @wanted = (
	[ complete_session => 28 ],
	[ cancel_session => 5 ],
	[ complete_item => 5 ],
	[ record_performed => 2 ],
	[ confirm => 11 ],
	[ accept => 6 ],
	[ reopen => 2 ],
	[ close => 4 ],
	[ reactivate => 5 ],
	[ new_plan => 6 ],
	[ add_item => 8 ],
	[ add_session => 1 ],
	[ remove_item => 3 ],
	[ reorder => 3 ],
	[ assign => 6 ],
	[ change_professional => 4 ],
	[ two_plans => 3 ],
	[ rename => 4 ],
	[ mistake => 2 ],
);
my @names = map { ($_->[0]) x $_->[1] } @wanted;

srand $seed;
print <<"END";
\\set VERBOSITY verbose
\\o /dev/null
SET txplan.actor = '$actor';
END
for (1 .. $calls)
{
	my $name = $names[ rand @names ];
	my $hot = rand() < 0.35 ? 'true' : 'false';

	printf <<'END', $name, $hot, rand, rand, rand, $actor;
SELECT what, command FROM demo.next_call('%s', %s, %.6f, %.6f, %.6f) \gset
\timing on
:command;
\timing off
\echo '%s\t':what'\t':SQLSTATE'\t':ROW_COUNT
END
}
