# A session that has called the functions a hundred thousand times holds no more
# memory than after the first ten thousand; nor does a long transaction grow with
# each call beyond what it has to remember.
#
# TXPLAN_CALLS says how many calls, 100,000 without it; a million was tried as well.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;

my $calls = $ENV{TXPLAN_CALLS} || 100_000;
my $batch = 1_000;

# What may come to a session late: an entry of a catalog cache, a plan.
my $growth_allowed = 256 * 1024;

# What a transaction has to remember of an event until it commits.
my $bytes_a_call_allowed = 400;

my $node = new_server('main', settings => 'synchronous_commit = off');

plan skip_all => 'memory contexts are no view in this version'
  if $node->safe_psql('postgres', 'SHOW server_version_num') < 140000;

make_record($node, 'record');
$node->safe_psql(
	'record', q{
	CREATE TABLE ids (name text PRIMARY KEY, id uuid);
	INSERT INTO ids VALUES ('clinic', txplan.create_clinic('Clinic', 'Europe/Madrid'));
	INSERT INTO ids SELECT 'doctor', txplan.create_professional(id, 'Dr. A')
	FROM ids WHERE name = 'clinic';
	INSERT INTO ids SELECT 'patient', txplan.create_patient(id, 'Ana', 'Ruiz')
	FROM ids WHERE name = 'clinic';
	INSERT INTO ids SELECT 'crown', txplan.create_catalog_item(id, 'CROWN', 'Crown', 100, NULL,
		'[{"label": "one", "price": 33.33}, {"label": "two", "price": 66.67}]')
	FROM ids WHERE name = 'clinic';

	-- A batch: a plan from its making to its end, and what people try meanwhile.
	-- It returns how many calls it made.
	CREATE FUNCTION batch(wanted integer) RETURNS integer LANGUAGE plpgsql AS $$
	DECLARE
		the_clinic uuid := (SELECT id FROM ids WHERE name = 'clinic');
		the_crown uuid := (SELECT id FROM ids WHERE name = 'crown');
		the_plan uuid;
		the_item uuid;
		done_session uuid;
		calls integer := 0;
		refused integer := 0;
		n integer := 0;
	BEGIN
		the_plan := txplan.create_plan(the_clinic, (SELECT id FROM ids WHERE name = 'patient'),
			(SELECT id FROM ids WHERE name = 'doctor'), 'Title');
		the_item := txplan.add_item(the_plan, the_crown);
		PERFORM txplan.add_item(the_plan, the_crown);
		PERFORM txplan.confirm_plan(the_plan);
		PERFORM txplan.accept_plan(the_plan);
		SELECT s.id INTO done_session FROM txplan.sessions AS s
		WHERE s.item_id = the_item AND s.clinic_id = the_clinic AND s.sequence = 1;
		PERFORM txplan.complete_session(done_session, 'done');
		calls := 6;
		WHILE calls < wanted - 2 LOOP
			n := n + 1;
			BEGIN
				PERFORM txplan.complete_session(done_session);
			EXCEPTION WHEN SQLSTATE 'TX004' THEN
				refused := refused + 1;
			END;
			PERFORM txplan.available_actions(the_plan, the_clinic);
			the_item := txplan.add_item(the_plan, the_crown, notes => 'more');
			PERFORM txplan.remove_item(the_item);
			UPDATE txplan.plans SET title = 'Title ' || n WHERE id = the_plan AND clinic_id = the_clinic;
			BEGIN
				PERFORM txplan.complete_session(txplan.new_id());
			EXCEPTION WHEN no_data_found THEN
				refused := refused + 1;
			END;
			calls := calls + 6;
			IF n % 50 = 0 THEN
				PERFORM txplan.plan_detail(the_plan);
				PERFORM txplan.lock_plan(the_plan);
				calls := calls + 2;
			END IF;
		END LOOP;
		IF refused <> 2 * n THEN
			RAISE EXCEPTION 'only % of % calls were refused', refused, 2 * n;
		END IF;
		PERFORM txplan.complete_item(i.id) FROM txplan.items AS i
		WHERE i.plan_id = the_plan AND i.clinic_id = the_clinic AND i.status = 'pending';
		RETURN calls + 2;
	END $$});

my $session = $node->background_psql('record');
$session->set_query_timer_restart;
my $memory = q{
	SELECT sum(total_bytes) || ' ' || sum(used_bytes) FROM pg_backend_memory_contexts};
my $contexts = q{
	SELECT string_agg(format('%s %s', name, bytes), ', ' ORDER BY bytes DESC)
	FROM (SELECT name, sum(total_bytes) AS bytes FROM pg_backend_memory_contexts
		GROUP BY name ORDER BY 2 DESC LIMIT 8) AS c};
my $own = q{
	SELECT string_agg(name, ', ' ORDER BY name) FROM pg_backend_memory_contexts
	WHERE name LIKE 'txplan %'};
my $made = 0;
my ($early, $early_used, $early_contexts, $early_own);

while ($made < $calls)
{
	$made += $session->query_safe("SELECT batch($batch)");
	next if defined $early || $made < $calls / 10;
	($early, $early_used) = split / /, $session->query_safe($memory);
	$early_contexts = $session->query_safe($contexts);
	$early_own = $session->query_safe($own);
	note("after $made calls: $early bytes in all contexts, $early_used used");
}
my ($late, $late_used) = split / /, $session->query_safe($memory);

note("after $made calls: $late bytes in all contexts, $late_used used");
cmp_ok($late - $early, '<=', $growth_allowed,
	"$made calls: the session holds no more memory than after a tenth of them")
  or diag("before: $early_contexts\nafter: " . $session->query_safe($contexts));
is($session->query_safe($own), $early_own,
	'nothing of a transaction is left when it has ended');

# Definitions of workflows that were read again replace those before.
my $workflows = q{
	SELECT count(*) || ' ' || sum(total_bytes) FROM pg_backend_memory_contexts
	WHERE name LIKE 'txplan %workflows'};
my $before = $session->query_safe($workflows);

foreach my $n (1 .. 300)
{
	$session->query_safe("UPDATE txplan.workflow_states SET label = 'Draft $n' WHERE state = 'draft'");
	$session->query_safe('SELECT batch(10)') if $n % 10 == 0;
}
is($session->query_safe($workflows), $before,
	'workflows that changed 300 times take the memory of one');

# One long transaction.
$session->query_safe('BEGIN');
$session->query_safe('SELECT batch(1000)') foreach 1 .. 2;
($early) = split / /, $session->query_safe($memory);
$early_contexts = $session->query_safe($contexts);
$session->query_safe('SELECT batch(1000)') foreach 1 .. 10;
($late) = split / /, $session->query_safe($memory);
note(sprintf 'one transaction: %.0f bytes a call', ($late - $early) / 10_000);
cmp_ok(($late - $early) / 10_000, '<=', $bytes_a_call_allowed,
	'a long transaction grows by no more than it has to remember')
  or diag("before: $early_contexts\nafter: " . $session->query_safe($contexts));
$session->query_safe('COMMIT');
$session->quit;

fits_together($node, 'record', 'after all');
log_is_clean($node);
done_testing();
