# Where rows come from another record, or a superuser says so, the rules sleep:
# session_replication_role = replica, and logical replication.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;

my $publisher = new_server('publisher', init => { allows_streaming => 'logical' });
my $subscriber = new_server('subscriber', init => { allows_streaming => 'logical' });

make_record($publisher, 'record');
fill_record($publisher, 'record');
$publisher->safe_psql(
	'record', q{
	CREATE ROLE app LOGIN;
	GRANT USAGE ON SCHEMA txplan TO app;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA txplan TO app});

# A superuser who turns the rules off writes what he likes; nothing follows.
my $before = rows_of($publisher, 'record');

$publisher->safe_psql(
	'record', q{
	BEGIN;
	SET LOCAL session_replication_role = replica;
	UPDATE txplan.plans SET title = 'by hand', version = version, status = 'closed';
	DELETE FROM txplan.history;
	DO $$ BEGIN
		IF (SELECT count(*) FROM txplan.history) > 0
			OR (SELECT count(DISTINCT status) FROM txplan.plans) > 1 THEN
			RAISE EXCEPTION 'a rule was awake';
		END IF;
	END $$;
	SET CONSTRAINTS ALL IMMEDIATE;
	ROLLBACK});
is_same_record(rows_of($publisher, 'record'), $before,
	'a superuser may write without rules, and take it back');
is( error_of(
		$publisher, 'record',
		q{SET session_replication_role = replica; SET session_replication_role = origin;
		UPDATE txplan.plans SET status = 'draft' WHERE status = 'completed'}),
	'TX001',
	'the rules wake up again');
is( error_of(
		$publisher, 'record', "SET session_replication_role = $_", '--username',
		'app'),
	'42501',
	"a plain role cannot set it to $_")
  foreach qw(replica local);
is( error_of(
		$publisher, 'record',
		q{SET session_replication_role = local;
		UPDATE txplan.plans SET status = 'draft' WHERE status = 'completed'}),
	'TX001',
	'under local the rules are awake');
$publisher->safe_psql(
	'record', q{
	SET session_replication_role = replica;
	UPDATE txplan.items SET sessions_total = sessions_total + 1
	WHERE id = (SELECT id FROM txplan.items ORDER BY id LIMIT 1)});
like(
	$publisher->safe_psql('record', 'SELECT fault FROM txplan.audit()'),
	qr/item counters differ/,
	'audit() finds what was written without rules');
$publisher->safe_psql(
	'record', q{
	SET session_replication_role = replica;
	UPDATE txplan.items SET sessions_total = sessions_total - 1
	WHERE id = (SELECT id FROM txplan.items ORDER BY id LIMIT 1)});
fits_together($publisher, 'record', 'mended');

# Who may only read reads.
my ($plan, $session) = split /\|/, $publisher->safe_psql(
	'record', q{
	SELECT s.plan_id, s.id FROM txplan.sessions AS s
	JOIN txplan.plans AS p ON p.id = s.plan_id AND p.clinic_id = s.clinic_id
	WHERE p.status = 'active' AND s.status = 'pending' ORDER BY s.id LIMIT 1});
is( error_of($publisher, 'record', "BEGIN READ ONLY; SELECT txplan.$_; COMMIT"),
	'', "a transaction that only reads: $_")
  foreach (
	"plan_detail('$plan')", "available_actions('$plan')",
	"verify_history('$plan')", 'verify_history()',
	'audit()', "check_workflow('dental')",
	"workflow_diagram('dental')");
is( error_of($publisher, 'record', "BEGIN READ ONLY; SELECT txplan.$_; COMMIT"),
	'25006', "a transaction that only reads: $_ is refused")
  foreach ("complete_session('$session')", "lock_plan('$plan')");

# Logical replication into a record that is installed: its rules do not fire for
# what comes from the other, or each fact would be two events.  What install()
# shipped comes from the other as well.
make_record($subscriber, 'record');
$subscriber->safe_psql(
	'record', q{
	SET session_replication_role = replica;
	DELETE FROM txplan.workflow_transitions;
	DELETE FROM txplan.workflow_states;
	DELETE FROM txplan.workflows;
	DELETE FROM txplan.recall_rules;
	DELETE FROM txplan.record_versions});
$publisher->safe_psql('record', 'CREATE PUBLICATION record FOR ALL TABLES');
$subscriber->safe_psql('record',
	q{CREATE SUBSCRIPTION record CONNECTION '}
	  . $publisher->connstr('record') =~ s/'/''/gr
	  . q{' PUBLICATION record});

# catch_up - waits until the subscriber has what the publisher has.
sub catch_up
{
	$subscriber->poll_query_until('record',
		q{SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')})
	  or die 'the subscriber does not get its first copy';
	$publisher->wait_for_catchup('record');
}

# rows_to_compare - the rows of a record, but for the transaction of an event, which
# is each cluster's own.
sub rows_to_compare
{
	my ($node) = @_;
	my $rows = rows_of($node, 'record');

	$rows->{events_default} =~ s/^(\d+)\t\d+\t/$1\t/mg;
	return $rows;
}

catch_up();
is_same_record(rows_to_compare($subscriber), rows_to_compare($publisher),
	'the first copy has the same rows', but => [ 'events_id_seq', 'event_origins' ]);
is( $subscriber->safe_psql(
		'record', q{
		SELECT count(DISTINCT xid) FROM txplan.events
		WHERE xid < pg_current_xact_id() AND pg_xact_status(xid) = 'committed'}),
	1,
	'its events are of the transaction that brought them');

my $listener = $subscriber->background_psql('record');

$listener->query_safe('LISTEN txplan');

my $last_copied =
  $subscriber->safe_psql('record', 'SELECT max(id) FROM txplan.events');

# Work on the one side.
$publisher->safe_psql(
	'record', qq{
	SET txplan.actor = 'publisher';
	SELECT txplan.complete_session('$session');
	UPDATE txplan.plans SET title = 'Replicated' WHERE id = '$plan';
	SELECT txplan.close_plan('$plan', 'other', 'enough');
	SELECT txplan.reactivate_plan('$plan');
	SELECT txplan.add_item('$plan', NULL, 'More', 10);
	BEGIN;
	SELECT txplan.confirm_plan('$plan');
	ROLLBACK;
	SELECT txplan.create_plan(clinic_id, patient_id) AS made FROM txplan.plans WHERE id = '$plan' \\gset
	DELETE FROM txplan.plans WHERE id = :'made';
	UPDATE txplan.workflow_states SET label = 'Borrador' WHERE state = 'draft'});
$publisher->safe_psql(
	'record', q{
	DO $$
	DECLARE
		the_plan uuid;
	BEGIN
		FOR n IN 1..20 LOOP
			SELECT txplan.create_plan(p.clinic_id, p.id) INTO the_plan
			FROM txplan.patients AS p ORDER BY p.id LIMIT 1;
			PERFORM txplan.add_item(the_plan, NULL, 'Item', n);
			PERFORM txplan.confirm_plan(the_plan);
			PERFORM txplan.accept_plan(the_plan);
			PERFORM txplan.complete_item(i.id) FROM txplan.items AS i
			WHERE i.plan_id = the_plan AND n % 2 = 0;
		END LOOP;
	END $$});
fits_together($publisher, 'record', 'publisher');
catch_up();
is_same_record(rows_to_compare($subscriber), rows_to_compare($publisher),
	'what was done on the one side is on the other, once',
	but => [ 'events_id_seq', 'event_origins' ]);
fits_together($subscriber, 'record', 'subscriber');

# Who listens there is told of each event, by the worker or by a batch.
my %wanted = map { $_ => 1 } split /\n/, $subscriber->safe_psql(
	'record', "SELECT id FROM txplan.events WHERE id > $last_copied");

foreach (1 .. 500)
{
	foreach my $line (split /\n/, $listener->query('SELECT 0'))
	{
		delete $wanted{$1} if $line =~ /"\{"id":(\d+),/;
		delete @wanted{ $1 .. $2 }
		  if $line =~ /"\{"type":"batch","from":(\d+),"to":(\d+),/;
	}
	last if !%wanted;
	select undef, undef, undef, 0.02;
}
is(join(' ', sort keys %wanted), '', 'listeners of the subscriber are told');
$listener->quit;

# The subscriber takes over.  Sequences are not replicated, so it is told where
# events have come to.
$publisher->stop;
$subscriber->safe_psql(
	'record', q{
	ALTER SUBSCRIPTION record DISABLE;
	ALTER SUBSCRIPTION record SET (slot_name = NONE);
	DROP SUBSCRIPTION record});
$subscriber->safe_psql(
	'record', q{
	SELECT setval('txplan.events_id_seq', (SELECT max(id) FROM txplan.events));
	CREATE SCHEMA clinic_rules});
goes_on($subscriber, 'record', 'the subscriber takes over');
fits_together($subscriber, 'record', 'the subscriber, at work');

log_is_clean($_) foreach $publisher, $subscriber;
done_testing();
