# refusals.pl - the errors that psql printed, as rows for demo.refusals.
#
# usage: refusals.pl FILE ...
#
# psql prints them with \set VERBOSITY verbose; out come sqlstate, message, detail
# and hint.

use strict;
use warnings;

my @error;

# finish - prints the error that has been read.
sub finish
{
	return unless @error;
	print join("\t", map {
		my $field = $_;

		defined $field ? $field =~ s/([\\\t])/\\$1/gr : '\N'
	} @error[ 0 .. 3 ]), "\n";
	@error = ();
}

while (<>)
{
	chomp;
	if (/^(?:psql:\S+ )?(?:ERROR|FATAL):  (\w{5}): (.*)/)
	{
		finish();
		@error = ($1, $2, undef, undef);
	}
	elsif (/^DETAIL:  (.*)/) { $error[2] = $1 }
	elsif (/^HINT:  (.*)/) { $error[3] = $1 }
}
finish();
