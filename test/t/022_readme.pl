# What README shows is what happens: its SQL, run as it stands there, prints what
# it says.

use strict;
use warnings FATAL => 'all';

use FindBin;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;

my $readme = slurp_file("$FindBin::Bin/../../README.md");
my ($sql, $printed) = $readme =~ /^```sql\n(CREATE EXTENSION.*?)^```\n\nprints\n\n```\n(.*?)^```$/ms
  or die 'README shows no SQL that prints something';
my $node = new_server('main');

$node->safe_psql('postgres', 'CREATE DATABASE clinic');
$ENV{$_} = '' foreach qw(PGAPPNAME PSQLRC);

my $out = '';

IPC::Run::run(
	[ 'psql', '--no-psqlrc', '--dbname', $node->connstr('clinic') ],
	'<', \$sql, '>&', \$out, IPC::Run::timeout(60));
s/PLAN-\d{4}-/PLAN-YYYY-/g foreach $out, $printed;
s/\s+\z/\n/ foreach $out, $printed;
is($out, $printed, 'README prints what it says');
fits_together($node, 'clinic', 'the clinic');
log_is_clean($node);
done_testing();
