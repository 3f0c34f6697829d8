# Eight people make plans at New Year's midnight of the clinic: the numbers of the
# old year and of the new have no gaps and no duplicates, and each clinic has its
# own midnight.  So has it the day on which a treatment was completed: recalls are due
# by its calendar, whose months have 28 to 31 days.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;
use Time::Local qw(timegm);

my ($library) = glob '/usr/lib/*/faketime/libfaketime.so.1 '
  . '/usr/lib/faketime/libfaketime.so.1 /usr/lib64/faketime/libfaketime.so.1 '
  . '/usr/local/lib/faketime/libfaketime.so.1';

plan skip_all => 'libfaketime is not installed (Debian package faketime)'
  unless defined $library && -e $library;

# Midnight in Madrid is 23:00 in UTC.
my $midnight = timegm(0, 0, 23, 31, 11, 2026);
my $node = new_server('main', settings => "max_connections = 50\nsynchronous_commit = off");

make_record($node, 'record');
$node->safe_psql(
	'record', q{
	CREATE TABLE clinics (place serial PRIMARY KEY, id uuid, patient uuid);
	INSERT INTO clinics (id, patient)
	SELECT c.id, txplan.create_patient(c.id, 'Ana', 'Ruiz')
	FROM (SELECT txplan.create_clinic(zone, zone) AS id
		FROM unnest(ARRAY['Europe/Madrid', 'Atlantic/Canary', 'Pacific/Auckland']) AS zone
		OFFSET 0) AS c});
is($node->safe_psql('record', 'SELECT count(*) FROM txplan.number_counters'),
	0, 'no number is issued yet');
$node->stop;

# start_at - starts the server at a moment.  Its clock goes on from there.
sub start_at
{
	my ($moment) = @_;

	local $ENV{LD_PRELOAD} = $library;
	local $ENV{FAKETIME} = sprintf '+%d', $moment - time;
	local $ENV{FAKETIME_DONT_FAKE_MONOTONIC} = 1;
	local $ENV{TZ} = 'UTC';

	delete local $ENV{FAKETIME_SHARED};
	$node->start;
}

# start_before - starts the server so many seconds before midnight, and returns
# how many are left.
sub start_before
{
	my ($seconds) = @_;

	start_at($midnight - $seconds);
	return $node->safe_psql(
		'record', qq{
		SELECT round(extract(epoch FROM to_timestamp($midnight) - clock_timestamp()))});
}

my $left = start_before(6);

if ($left < 3)
{
	# A busy machine.
	$node->stop('fast');
	$left = start_before(30);
}
note("$left seconds to midnight");
cmp_ok($left, '>', 0, 'it is before midnight');
cmp_ok($left, '<', 60, 'it is just before midnight');

# Some make one plan, some several at once, some think again, some take their time.
$node->pgbench(
	'--client=8 --jobs=2 --no-vacuum --rate=250 --time=' . ($left + 5),
	0,
	[qr/number of failed transactions: 0|number of transactions actually processed/],
	[qr/^(?!.*ERROR)/s],
	'eight connections make plans over midnight',
	{
		'one@5' => q{
			\set place random(1, 3)
			SELECT txplan.create_plan(id, patient) FROM clinics WHERE place = :place;},
		'madrid@5' => q{
			SELECT txplan.create_plan(id, patient) FROM clinics WHERE place = 1;},
		'several@1' => q{
			INSERT INTO txplan.plans (clinic_id, patient_id)
			SELECT id, patient FROM clinics, generate_series(1, 7) WHERE place = 1;},
		'both@1' => q{
			BEGIN;
			SELECT txplan.create_plan(id, patient) FROM clinics WHERE place = 1;
			SELECT txplan.create_plan(id, patient) FROM clinics WHERE place = 3;
			COMMIT;},
		'again@2' => q{
			BEGIN;
			SELECT txplan.create_plan(id, patient) FROM clinics WHERE place = 1;
			ROLLBACK;},
		'savepoint@1' => q{
			BEGIN;
			SAVEPOINT s;
			SELECT txplan.create_plan(id, patient) FROM clinics WHERE place = 1;
			ROLLBACK TO s;
			SELECT txplan.create_plan(id, patient) FROM clinics WHERE place = 1;
			COMMIT;},
		'slow@1' => q{
			BEGIN;
			SELECT txplan.create_plan(id, patient) FROM clinics WHERE place = 1;
			SELECT pg_sleep(0.03);
			SELECT txplan.create_plan(id, patient) FROM clinics WHERE place = 1;
			COMMIT;},
	},
	'record');

note($node->safe_psql(
		'record', q{
		SELECT string_agg(format('%s %s: %s', c.name, n.year, n.last_number), ', ' ORDER BY c.name, n.year)
		FROM txplan.number_counters AS n JOIN txplan.clinics AS c ON c.id = n.clinic_id}));
is( $node->safe_psql(
		'record', q{
		SELECT c.name, n.year
		FROM txplan.number_counters AS n JOIN txplan.clinics AS c ON c.id = n.clinic_id
		ORDER BY 1, 2}),
	"Atlantic/Canary|2026\nEurope/Madrid|2026\nEurope/Madrid|2027\nPacific/Auckland|2027",
	'each clinic numbers by its own midnight');
is( $node->safe_psql(
		'record', q{
		WITH numbers AS (
			SELECT p.clinic_id, substr(p.number, 6, 4)::integer AS year,
				substr(p.number, 11)::bigint AS number
			FROM txplan.plans AS p
		)
		SELECT n.clinic_id, n.year, count(*), count(DISTINCT n.number), min(n.number),
			max(n.number), max(c.last_number)
		FROM numbers AS n
		LEFT JOIN txplan.number_counters AS c ON c.clinic_id = n.clinic_id AND c.year = n.year
		GROUP BY n.clinic_id, n.year
		HAVING min(n.number) <> 1 OR count(*) <> max(n.number)
			OR count(*) <> count(DISTINCT n.number)
			OR count(*) IS DISTINCT FROM max(c.last_number)}),
	'',
	'numbers have no gaps and no duplicates');
is( $node->safe_psql(
		'record', qq{
		SELECT number, status_changed_at FROM txplan.plans
		WHERE clinic_id = (SELECT id FROM clinics WHERE place = 1)
			AND number LIKE 'PLAN-2026-%' AND status_changed_at > to_timestamp($midnight)}),
	'',
	'no plan of the new year has a number of the old');
is( $node->safe_psql(
		'record', qq{
		SELECT number, status_changed_at FROM txplan.plans
		WHERE clinic_id = (SELECT id FROM clinics WHERE place = 1)
			AND number LIKE 'PLAN-2027-%'
			AND status_changed_at < to_timestamp($midnight) - interval '2 seconds'}),
	'',
	'only a plan that waited for its turn has a number of the new year before it');
fits_together($node, 'record', 'after midnight');

# Half past eleven in the evening in London, on the last of January: in Madrid and in
# Auckland it is February.
foreach my $case ([ 2027, 28 ], [ 2028, 29 ])
{
	my ($year, $last) = @$case;

	$node->stop;
	start_at(timegm(0, 30, 23, 31, 0, $year));
	$node->safe_psql(
		'record', q{
		SET TimeZone = 'America/Los_Angeles';
		DO $$
		DECLARE
			c record;
			the_plan uuid;
		BEGIN
			FOR c IN SELECT * FROM clinics LOOP
				the_plan := txplan.create_plan(c.id, c.patient);
				INSERT INTO txplan.items (clinic_id, plan_id, description, price, category_key)
				VALUES (c.id, the_plan, 'Extraction', 60, 'surgery'), (c.id, the_plan, 'Cleaning', 40, 'preventive');
				PERFORM txplan.confirm_plan(the_plan), txplan.accept_plan(the_plan);
				PERFORM txplan.complete_item(i.id) FROM txplan.items AS i WHERE i.plan_id = the_plan;
			END LOOP;
		END $$});
	is( $node->safe_psql(
			'record', qq{
			SELECT c.name, r.reason, r.due_on
			FROM txplan.recall_suggestions AS r JOIN txplan.clinics AS c ON c.id = r.clinic_id
			WHERE r.due_on >= '$year-01-01'
			ORDER BY 1, 2}),
		join("\n",
			"Atlantic/Canary|hygiene|$year-07-31", "Atlantic/Canary|post-op|$year-02-$last",
			"Europe/Madrid|hygiene|$year-08-01", "Europe/Madrid|post-op|$year-03-01",
			"Pacific/Auckland|hygiene|$year-08-01", "Pacific/Auckland|post-op|$year-03-01"),
		"$year: recalls are due by the clinic's calendar");
	is( $node->safe_psql(
			'record', qq{
			SET TimeZone = 'America/Los_Angeles';
			SELECT c.name, m.month, m.amount
			FROM txplan.earned_by_month AS m JOIN txplan.clinics AS c ON c.id = m.clinic_id
			WHERE m.month >= '$year-01-01' AND m.category_key = 'surgery'
			ORDER BY 1}),
		"Atlantic/Canary|$year-01-01|60.00\nEurope/Madrid|$year-02-01|60.00\nPacific/Auckland|$year-02-01|60.00",
		"$year: and what was earned belongs to its months");
}
fits_together($node, 'record', 'in February');
log_is_clean($node);
$node->stop;
done_testing();
