# Two years of three clinics' calendars, day by day: maintain() lets budgets expire
# and closes the plans that waited for them, each on its day in its clinic's time zone,
# once, and nothing else.  What is due when is reckoned here by the C library's time
# zones.  The calls come at the hours at which daylight saving decides the day.

use strict;
use warnings FATAL => 'all';

use POSIX qw(strftime tzset);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;
use Time::Local qw(timegm);

my %close_after = ('Europe/Madrid' => 30, 'Pacific/Auckland' => 0, 'America/New_York' => 7);
my @hours = (4.5, 11.5, 22.5);
my $days = 730;
my $plans = 60;

# day_in - the day in a time zone at a moment, counted from 1970.
sub day_in
{
	my ($zone, $moment) = @_;

	local $ENV{TZ} = $zone;
	tzset();
	my @at = localtime $moment;

	return timegm(0, 0, 0, @at[ 3 .. 5 ]) / 86400;
}

my $today = int(time / 86400);
my $begin = $today * 86400;
my $node = new_server('main', settings => 'synchronous_commit = off');

make_record($node, 'record');
foreach my $zone (sort keys %close_after)
{
	# Every third budget stays a draft; some plans are drafts, some are in
	# treatment; one budget in ten is no plan's.
	$node->safe_psql(
		'record', qq{
		SELECT txplan.create_clinic('$zone', '$zone') AS clinic \\gset
		UPDATE txplan.clinics SET close_after_budget_expiry_days = $close_after{$zone},
			budget_number_format = '$zone {YYYY} {NNNN}', plan_number_format = '$zone {YYYY} {NNNN}'
		WHERE id = :'clinic';
		SELECT txplan.create_patient(:'clinic', 'Ana', 'Ruiz') AS patient \\gset
		CREATE TEMP TABLE chosen AS
		SELECT k, txplan.create_plan(:'clinic', :'patient') AS id FROM generate_series(1, $plans) AS k;
		SELECT count(txplan.add_item(id, NULL, 'Crown', 100)) FROM chosen;
		SELECT count(txplan.confirm_plan(id)) FROM chosen WHERE k % 4 <> 3;
		SELECT count(txplan.accept_plan(id)) FROM chosen WHERE k % 4 = 2;
		SELECT count(txplan.generate_budget(id)) FROM chosen WHERE k % 10 <> 0;
		INSERT INTO txplan.budgets (clinic_id, patient_id) SELECT :'clinic', :'patient' FROM chosen WHERE k % 10 = 0;
		INSERT INTO txplan.budget_lines (clinic_id, budget_id, description, unit_price)
		SELECT clinic_id, id, 'Crown', 100 FROM txplan.budgets WHERE clinic_id = :'clinic' AND plan_id IS NULL;
		UPDATE txplan.budgets AS b SET valid_until = DATE '1970-01-01' + $today + (n * 37 % 760)::integer
		FROM (SELECT id, row_number() OVER (ORDER BY number) AS n FROM txplan.budgets WHERE clinic_id = :'clinic') AS o
		WHERE b.id = o.id;
		UPDATE txplan.budgets AS b SET status = 'sent'
		FROM (SELECT id, row_number() OVER (ORDER BY number) AS n FROM txplan.budgets WHERE clinic_id = :'clinic') AS o
		WHERE b.id = o.id AND n % 3 <> 0;
		DROP TABLE chosen});
}

# What must come, by the rows as they are now.
my @moments = map { $begin + $_ * 86400 + $hours[ $_ % 3 ] * 3600 } 1 .. $days;
my %days_in;
my (@expected, %kinds);

foreach my $row (
	split /\n/,
	$node->safe_psql(
		'record', q{
	SELECT c.time_zone, b.number, b.valid_until - DATE '1970-01-01', b.sent_at IS NOT NULL,
		coalesce(p.number, ''), coalesce(p.status, '')
	FROM txplan.budgets AS b JOIN txplan.clinics AS c ON c.id = b.clinic_id
	LEFT JOIN txplan.plans AS p ON p.id = b.plan_id AND p.clinic_id = b.clinic_id}))
{
	my ($zone, $budget, $last, $sent, $plan, $status) = split /\|/, $row, -1;
	my $days_in = $days_in{$zone} ||= [ map { day_in($zone, $_) } @moments ];
	my ($expires) = grep { $days_in->[$_] > $last } 0 .. $#moments;
	my ($closes) = grep { $days_in->[$_] > $last + $close_after{$zone} } 0 .. $#moments;

	push @expected, sprintf '%03d|budget|%s v1|expired', $expires + 1, $budget
	  if defined $expires;
	push @expected, sprintf '%03d|plan|%s|closed', $closes + 1, $plan
	  if defined $closes && $sent eq 't' && $status eq 'pending';
	$kinds{ $status . $sent }++;
}
is(join(' ', sort keys %kinds),
	'activef activet draftf draftt f pendingf pendingt t',
	'there is a budget of each kind');

# The days pass.  On some, two calls share the work, or the second finds none.
my $calls = 'CREATE TABLE public.done (call integer, kind text, name text, outcome text);';

foreach my $call (1 .. $days)
{
	my $at = strftime('%Y-%m-%d %H:%M:%S+00', gmtime $moments[ $call - 1 ]);

	foreach my $limit ($call % 10 ? ('NULL') : (1, 'NULL', 'NULL'))
	{
		$calls .= qq{
			INSERT INTO public.done SELECT $call, m.kind, m.name, m.outcome
			FROM txplan.maintain('$at', $limit) AS m WHERE m.kind <> 'partition';};
	}
}
$node->safe_psql('record', $calls);

my @done = split /\n/,
  $node->safe_psql('record',
	q{SELECT to_char(call, 'FM000'), kind, name, outcome FROM public.done});

is_deeply([ sort @done ], [ sort @expected ], 'each expires and closes on its day');
cmp_ok(scalar(grep { /\|plan\|/ } @expected), '>', 40, 'many plans were to be closed');
is( $node->safe_psql(
		'record', q{
		SELECT count(*) FILTER (WHERE type = 'budget.expired')
				- (SELECT count(*) FROM txplan.budgets WHERE status = 'expired' AND plan_id IS NOT NULL),
			count(*) FILTER (WHERE type = 'treatment_plan.closed')
				- (SELECT count(*) FROM txplan.plans WHERE closure_reason = 'expired')
		FROM txplan.events}),
	'0|0',
	'each was told once');
is( $node->safe_psql(
		'record', q{
		SELECT count(*) FROM txplan.event_partitions WHERE NOT is_default}),
	27,
	'so many months were made');
fits_together($node, 'record', 'two years later');
$node->stop;
done_testing();
