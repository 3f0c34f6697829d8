# No statement of the engine reads a large table from end to end: not in a new
# session, not after many calls, and not in a session that made its plans while
# the tables were empty.
#
# TXPLAN_PLANS says how many plans the record is filled with, 50,000 without it;
# a million was tried as well.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;

my $plans = $ENV{TXPLAN_PLANS} || 50_000;

# Without autovacuum nobody makes the old session plan anew.
my $node = new_server(
	'main', settings => q{
	autovacuum = off
	shared_buffers = 256MB
	maintenance_work_mem = 256MB
	synchronous_commit = off
	max_wal_size = 4GB
});
make_record($node, 'record');
$node->safe_psql(
	'record', q{
	-- Runs a statement so many times, each taken back, and lists the large tables
	-- of the record that were read from end to end meanwhile.
	CREATE FUNCTION scanned(sql text, times integer) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		before jsonb;
	BEGIN
		SELECT jsonb_object_agg(s.relname, s.seq_scan) INTO before
		FROM pg_stat_xact_user_tables AS s WHERE s.schemaname = 'txplan';
		FOR i IN 1..times LOOP
			BEGIN
				EXECUTE sql;
				SET CONSTRAINTS ALL IMMEDIATE;
				RAISE EXCEPTION USING ERRCODE = 'ZZ000';
			EXCEPTION WHEN SQLSTATE 'ZZ000' THEN NULL;
			END;
		END LOOP;
		RETURN (SELECT string_agg(s.relname, ' ' ORDER BY s.relname)
			FROM pg_stat_xact_user_tables AS s
			WHERE s.schemaname = 'txplan'
				AND s.seq_scan > coalesce((before ->> s.relname)::bigint, 0)
				AND (s.relname IN ('plans', 'items', 'sessions', 'history', 'earned_entries',
						'patients', 'catalog_sessions', 'budgets', 'budget_lines',
						'contacts', 'appointments', 'recall_suggestions')
					OR s.relname LIKE 'events%'));
	END $$;
	SELECT txplan.create_consumer('reader');
	SELECT txplan.create_consumer('mourner', max_retries => 0);
	CREATE TABLE ids (name text PRIMARY KEY, id uuid);
	INSERT INTO ids VALUES ('clinic', txplan.create_clinic('Clinic', 'UTC'));
	INSERT INTO ids SELECT 'doctor', txplan.create_professional(id, 'Dr. A')
	FROM ids WHERE name = 'clinic';
	INSERT INTO ids SELECT 'other_doctor', txplan.create_professional(id, 'Dr. B')
	FROM ids WHERE name = 'clinic'});

# The statements, by the functions that they call; NAME stands for an id.
my %calls = (
	create_clinic => q{SELECT txplan.create_clinic('X', 'UTC')},
	create_professional => q{SELECT txplan.create_professional('<clinic>', 'X', NULL, 'x')},
	create_patient => q{SELECT txplan.create_patient('<clinic>', 'X', 'Y', external_id => 'x')},
	create_catalog_item => q{SELECT txplan.create_catalog_item('<clinic>', 'X', 'X', 10,
		NULL, '[{"price": 5}, {"price": 5}]')},
	create_plan => q{SELECT txplan.create_plan('<clinic>', '<patient>', '<doctor>', 'X')},
	lock_plan => q{SELECT txplan.lock_plan('<draft>')},
	confirm_plan => q{SELECT txplan.confirm_plan('<draft>')},
	reopen_plan => q{SELECT txplan.reopen_plan('<pending>')},
	accept_plan => q{SELECT txplan.accept_plan('<pending>')},
	close_plan => q{SELECT txplan.close_plan('<active>', 'other')},
	reactivate_plan => q{SELECT txplan.reactivate_plan('<closed>')},
	transition_plan => q{SELECT txplan.transition_plan('<draft>', 'confirm')},
	advance_plan => q{SELECT txplan.advance_plan('<active>')},
	available_actions => q{SELECT txplan.available_actions('<active>')},
	plan_detail => q{SELECT txplan.plan_detail('<active>')},
	plan_document => q{SELECT txplan.plan_document('<active>', '<clinic>')},
	plan_has_item => q{SELECT txplan.plan_has_item('<active>', '<clinic>')},
	plan_is_done => q{SELECT txplan.plan_is_done('<active>', '<clinic>')},
	add_item => q{SELECT txplan.add_item('<active>', '<catalog>', treatment_ref => 'x')},
	remove_item => q{SELECT txplan.remove_item('<draft_item>')},
	reorder_items => q{SELECT txplan.reorder_items('<draft>', ARRAY['<draft_item_2>',
		'<draft_item>']::uuid[])},
	assign_professional => q{SELECT txplan.assign_professional('<draft_item>', '<other_doctor>')},
	change_professional => q{SELECT txplan.change_professional('<draft>', '<other_doctor>', true)},
	add_session => q{SELECT txplan.add_session('<draft_item>', 'More', 1)},
	complete_session => q{SELECT txplan.complete_session('<active_session>')},
	cancel_session => q{SELECT txplan.cancel_session('<active_session>')},
	complete_item => q{SELECT txplan.complete_item('<active_item>')},
	record_performed => q{SELECT txplan.record_performed('<active_item>')},
	log_contact => q{SELECT txplan.log_contact('<active>', 'call')},
	book_appointment => q{SELECT txplan.book_appointment('<patient>', '2032-01-01 10:00',
		'2032-01-01 11:00', session_id => '<active_session>', professional_id => '<doctor>', room => '1')},
	complete_appointment => q{SELECT txplan.complete_appointment('<appointment>', true)},
	cancel_appointment => q{SELECT txplan.cancel_appointment('<appointment>')},
	mark_no_show => q{SELECT txplan.mark_no_show('<appointment>')},
	move_appointment => q{SELECT txplan.move_appointment('<appointment>', '2032-01-02 10:00')},
	void_earned => q{SELECT txplan.void_earned((SELECT e.id FROM txplan.earned_entries AS e
		WHERE e.session_id = '<completed_session>'), 'x')},
	check_workflow => q{SELECT txplan.check_workflow('dental')},
	workflow_faults => q{SELECT txplan.workflow_faults('dental')},
	workflow_diagram => q{SELECT txplan.workflow_diagram('dental')},
	workflow_picture => q{SELECT txplan.workflow_picture('dental', 'dot')},
	event_types => q{SELECT txplan.event_types()},
	event_type_rows => q{SELECT txplan.event_type_rows()},
	verify_history => q{SELECT txplan.verify_history('<active>')},
	history_faults => q{SELECT txplan.history_faults('<active>')},

	generate_budget => q{SELECT txplan.generate_budget('<draft>')},
	link_budget => q{WITH b AS (INSERT INTO txplan.budgets (clinic_id, patient_id)
		VALUES ('<clinic>', '<patient>') RETURNING id)
		SELECT txplan.link_budget('<draft>', b.id) FROM b},
	(map { $_ => "SELECT txplan.$_(txplan.generate_budget('<pending>'))" }
		qw(send_budget accept_budget reject_budget cancel_budget)),
	sync_budget => q{SELECT txplan.sync_budget('<draft>')
		FROM (SELECT txplan.generate_budget('<draft>') OFFSET 0) AS b},
	resend_budget => q{SELECT txplan.resend_budget(b.id)
		FROM (SELECT b.id, txplan.send_budget(b.id)
			FROM (SELECT txplan.generate_budget('<pending>') AS id OFFSET 0) AS b OFFSET 0) AS b},
	(map { $_ => "SELECT txplan.$_('<active>', '<clinic>')" }
		qw(budget_is_accepted no_budget_waits budget_revives)),

	inbox => q{SELECT txplan.inbox('<clinic>', 'active', after => i.cursor), txplan.inbox('<clinic>', 'all', 'ruiz 0001'),
		txplan.inbox('<clinic>', 'all', 'nobody') FROM txplan.inbox('<clinic>', 'active', page_size => 1) AS i},
	inbox_counts => q{SELECT txplan.inbox_counts('<clinic>'), txplan.inbox_counts('<clinic>', 'nobody')},
	pipeline => q{SELECT txplan.pipeline('<clinic>', 'to_quote'), txplan.pipeline('<clinic>', 'no_next_appointment'),
		txplan.pipeline('<clinic>', 'follow_up_due')},
	pipeline_totals => q{SELECT txplan.pipeline_totals('<clinic>', 'nobody')},

	create_consumer => q{SELECT txplan.create_consumer('another', '{treatment_plan.created}',
		'beginning', '<clinic>', '<draft>')},
	next_events => q{SELECT txplan.next_events('reader')},
	pass_events => q{SELECT txplan.pass_events('reader')},
	finish_events => q{SELECT txplan.finish_events('reader',
		(SELECT max(n.batch_id) FROM txplan.next_events('reader') AS n))},
	retry_event => q{SELECT txplan.retry_event('reader',
		(SELECT min(n.event_id) FROM txplan.next_events('reader') AS n))},
	revive_event => q{SELECT txplan.revive_event('mourner', (SELECT max(d.event_id)
		FROM (SELECT n.event_id, txplan.retry_event('mourner', n.event_id)
			FROM txplan.next_events('mourner', 1) AS n OFFSET 0) AS d))},
	drop_consumer => q{SELECT txplan.drop_consumer('reader')},

	# Nothing of the record is read.
	(map { $_ => q{SELECT 0} }
		  qw(new_id version error_codes split_amount history_field time_text
		  notifier_state consumer_slot fold_text fold_patient time_zone_fault)),

	# These read the whole record, since that is what they are for.
	(map { $_ => undef }
		  qw(install ensure_constraint ensure_table_is_ours audit audit_faults budget_faults inbox_faults
		  consumer_state maintain archive_events list_event_partitions)),

	# Statements of clients, with what follows from them.
	'SELECT of the notifier' => q{SELECT * FROM txplan.notifier},
	'INSERT of a plan' => q{INSERT INTO txplan.plans (clinic_id, patient_id)
		VALUES ('<clinic>', '<patient>')},
	'INSERT of a plan that is there' => q{INSERT INTO txplan.plans (id, clinic_id, patient_id)
		VALUES ('<draft>', '<clinic>', '<patient>') ON CONFLICT DO NOTHING},
	'UPDATE of a status' => q{UPDATE txplan.plans SET status = 'pending'
		WHERE id = '<draft>' AND clinic_id = '<clinic>'},
	'UPDATE of a title' => q{UPDATE txplan.plans SET title = 'Y'
		WHERE id = '<completed>' AND clinic_id = '<clinic>'},
	'DELETE of a plan' => q{DELETE FROM txplan.plans
		WHERE id = '<draft>' AND clinic_id = '<clinic>'},
	'INSERT of items' => q{INSERT INTO txplan.items (plan_id, clinic_id, catalog_item_id)
		VALUES ('<draft>', '<clinic>', '<catalog>'), ('<active>', '<clinic>', '<catalog>')},
	'UPDATE of a price' => q{UPDATE txplan.items SET price = price + 1
		WHERE id = '<draft_item>' AND clinic_id = '<clinic>'},
	'DELETE of an item' => q{DELETE FROM txplan.items
		WHERE id = '<draft_item>' AND clinic_id = '<clinic>'},
	'UPDATE that completes sessions' => q{UPDATE txplan.sessions SET status = 'completed'
		WHERE item_id = '<active_item>' AND clinic_id = '<clinic>'},
	'UPDATE of an amount' => q{UPDATE txplan.sessions SET amount = amount + 1
		WHERE id = '<draft_session>' AND clinic_id = '<clinic>'},
	'UPDATE of a patient' => q{UPDATE txplan.patients SET phone = '1'
		WHERE id = '<patient>' AND clinic_id = '<clinic>'},
	'UPDATE of a step' => q{UPDATE txplan.catalog_sessions SET label = 'Y'
		WHERE catalog_item_id = '<catalog>' AND clinic_id = '<clinic>' AND sequence = 1},
);

my @unknown = grep { !exists $calls{$_} } split /\n/, $node->safe_psql(
	'record', q{
	SELECT DISTINCT p.proname FROM pg_proc AS p
	WHERE p.pronamespace = 'txplan'::regnamespace AND p.prorettype <> 'trigger'::regtype});
is("@unknown", '', 'every function of the schema is tried here');

# A few plans that are made by the functions, for the session that is early.
sub make_plans
{
	my ($prefix) = @_;

	$node->safe_psql(
		'record', qq{
		DO \$\$
		DECLARE
			the_clinic uuid := (SELECT id FROM ids WHERE name = 'clinic');
			the_doctor uuid := (SELECT id FROM ids WHERE name = 'doctor');
			the_patient uuid := txplan.create_patient(the_clinic, 'Ana', 'Ruiz');
			the_catalog uuid := txplan.create_catalog_item(the_clinic, '$prefix', 'X', 100, 'surgery',
				'[{"label": "one", "price": 40}, {"label": "two", "price": 60}]');
			the_state text;
			the_plan uuid;
			the_items uuid[];
		BEGIN
			INSERT INTO ids VALUES ('$prefix:patient', the_patient), ('$prefix:catalog', the_catalog);
			FOREACH the_state IN ARRAY ARRAY['draft', 'pending', 'active', 'completed', 'closed']
			LOOP
				the_plan := txplan.create_plan(the_clinic, the_patient, the_doctor);
				the_items := ARRAY[txplan.add_item(the_plan, the_catalog, treatment_ref => '$prefix' || the_state),
					txplan.add_item(the_plan, the_catalog)];
				INSERT INTO ids VALUES ('$prefix:' || the_state, the_plan),
					('$prefix:' || the_state || '_item', the_items[1]),
					('$prefix:' || the_state || '_item_2', the_items[2]);
				INSERT INTO ids
				SELECT '$prefix:' || the_state || '_session', s.id
				FROM txplan.sessions AS s WHERE s.item_id = the_items[1] AND s.sequence = 1;
				CONTINUE WHEN the_state = 'draft';
				PERFORM txplan.confirm_plan(the_plan);
				IF the_state = 'closed' THEN
					PERFORM txplan.close_plan(the_plan, 'other');
				END IF;
				CONTINUE WHEN the_state IN ('pending', 'closed');
				PERFORM txplan.accept_plan(the_plan);
				CONTINUE WHEN the_state = 'active';
				PERFORM txplan.complete_item(the_items[1]);
				PERFORM txplan.complete_item(the_items[2]);
			END LOOP;
			INSERT INTO ids
			SELECT '$prefix:appointment', txplan.book_appointment(the_patient, '2031-01-01 10:00',
				'2031-01-01 11:00', session_id => i.id)
			FROM ids AS i WHERE i.name = '$prefix:active_session';
		END \$\$});
}

# statement - a call with the ids of some plans put in.
my %ids;

sub statement
{
	my ($name, $prefix) = @_;

	return $calls{$name} =~ s{<(\w+)>}{
		$ids{"$prefix:$1"} // $ids{$1} // die "there is no id $prefix:$1"}ger;
}

sub read_ids
{
	%ids = map { split /\|/ } split /\n/,
	  $node->safe_psql('record', 'SELECT name, id FROM ids');
}

my @tried = grep { defined $calls{$_} } sort keys %calls;

# The early session: it has done everything, many times, while next to nothing
# was in the tables.
make_plans('early');
read_ids();
my $early = $node->background_psql('record');
$early->set_query_timer_restart;

foreach my $name (@tried)
{
	$early->query_safe(
		"SELECT scanned(\$call\$" . statement($name, 'early') . "\$call\$, 12)");
}

# The record is filled: half of the plans before those that are tried, half after.
# Rules are off, so each row is written as the rules would have left it.
sub fill
{
	my ($count) = @_;

	$node->safe_psql(
		'record', qq{
		SET session_replication_role = replica;
		SET work_mem = '256MB';
		CREATE TEMPORARY TABLE c AS SELECT id FROM ids WHERE name = 'clinic';
		CREATE TEMPORARY TABLE a AS SELECT id FROM ids WHERE name = 'early:catalog';
		INSERT INTO txplan.patients (clinic_id, first_name, last_name)
		SELECT c.id, 'Ana', 'Ruiz ' || n FROM c, generate_series(1, $count / 10 + 1) AS n;
		INSERT INTO txplan.catalog_items (clinic_id, code, name, price)
		SELECT c.id, 'K' || n || '-' || txplan.new_id(), 'Item', 10
		FROM c, generate_series(1, 2000) AS n;
		INSERT INTO txplan.catalog_sessions (clinic_id, catalog_item_id, sequence, price)
		SELECT k.clinic_id, k.id, n, 5 FROM txplan.catalog_items AS k, generate_series(1, 2) AS n
		WHERE NOT EXISTS (SELECT FROM txplan.catalog_sessions AS s WHERE s.catalog_item_id = k.id);
		CREATE TEMPORARY TABLE p AS
		SELECT txplan.new_id() AS id, c.id AS clinic_id, t.id AS patient_id,
			(ARRAY['draft', 'pending', 'active', 'completed', 'closed'])[1 + n % 5] AS status
		FROM generate_series(1, $count) AS n
		CROSS JOIN c
		JOIN (SELECT id, row_number() OVER () AS place FROM txplan.patients) AS t
			ON t.place = 1 + n / 10;
		INSERT INTO txplan.plans (id, clinic_id, number, status, patient_id, closed_at, completed_at,
			confirmed_at, activated_at, status_changed_at, items_total, items_completed, version,
			history_length, history_head, created_by)
		SELECT p.id, p.clinic_id, p.id, p.status, p.patient_id,
			CASE WHEN p.status = 'closed' THEN now() END,
			CASE WHEN p.status = 'completed' THEN now() END,
			CASE WHEN p.status <> 'draft' THEN now() END,
			CASE WHEN p.status IN ('active', 'completed') THEN now() END,
			now(), 2, CASE WHEN p.status = 'completed' THEN 2 ELSE 0 END, 1, 1, sha256(''), 'x'
		FROM p;
		CREATE TEMPORARY TABLE i AS
		SELECT txplan.new_id() AS id, p.id AS plan_id, p.clinic_id, p.patient_id, n AS position,
			p.status = 'completed' AS done, p.status <> 'closed' AS live
		FROM p, generate_series(1, 2) AS n;
		INSERT INTO txplan.items (id, clinic_id, plan_id, position, catalog_item_id, treatment_ref,
			description, price, status, live, sessions_total, sessions_completed,
			completed_at, completed_by, completed_via)
		SELECT i.id, i.clinic_id, i.plan_id, i.position, a.id, i.id, 'Item', 100,
			CASE WHEN i.done THEN 'completed' ELSE 'pending' END, i.live, 2,
			CASE WHEN i.done THEN 2 ELSE 0 END, CASE WHEN i.done THEN now() END,
			CASE WHEN i.done THEN 'x' END, CASE WHEN i.done THEN 'session' END
		FROM i, a;
		CREATE TEMPORARY TABLE s AS
		SELECT txplan.new_id() AS id, n AS sequence, i.id AS item_id, i.plan_id, i.clinic_id,
			i.patient_id, i.done
		FROM i, generate_series(1, 2) AS n;
		INSERT INTO txplan.sessions (id, clinic_id, plan_id, item_id, sequence, amount, status,
			completed_at, completed_by)
		SELECT s.id, s.clinic_id, s.plan_id, s.item_id, s.sequence, 50,
			CASE WHEN s.done THEN 'completed' ELSE 'pending' END, CASE WHEN s.done THEN now() END,
			CASE WHEN s.done THEN 'x' END
		FROM s;
		INSERT INTO txplan.earned_entries (clinic_id, patient_id, plan_id, item_id, session_id,
			description, amount, earned_at)
		SELECT s.clinic_id, s.patient_id, s.plan_id, s.item_id, s.id, 'Item', 50, now()
		FROM s WHERE s.done;
		INSERT INTO txplan.budgets (id, clinic_id, plan_id, patient_id, number, status, sent_at,
			decided_at, decided_by, created_by, subtotal, total)
		SELECT p.id, p.clinic_id, p.id, p.patient_id, p.id, 'rejected', now(), now(), 'x', 'x', 10, 10
		FROM p WHERE p.status = 'closed';
		INSERT INTO txplan.budget_lines (clinic_id, budget_id, position, description, unit_price, net_amount)
		SELECT p.clinic_id, p.id, 1, 'Item', 10, 10 FROM p WHERE p.status = 'closed';
		UPDATE txplan.plans AS q SET budget_id = q.id, budget_status = 'rejected'
		FROM p WHERE p.id = q.id AND p.status = 'closed';
		INSERT INTO txplan.contacts (clinic_id, plan_id, channel, contacted_by)
		SELECT p.clinic_id, p.id, 'call', 'x' FROM p;
		INSERT INTO txplan.appointments (clinic_id, patient_id, plan_id, item_id, starts_at, ends_at,
			professional_id, created_by)
		SELECT i.clinic_id, i.patient_id, i.plan_id, i.id,
			timestamptz '2000-01-01' + interval '1 hour' * row_number() OVER (),
			timestamptz '2000-01-01' + interval '1 hour' * (1 + row_number() OVER ()), txplan.new_id(), 'x'
		FROM i WHERE i.position = 1;
		INSERT INTO txplan.recall_suggestions (clinic_id, patient_id, item_id, category_key, reason, due_on)
		SELECT i.clinic_id, i.patient_id, i.id, 'surgery', 'post-op', '2031-01-01' FROM i WHERE i.done;
		INSERT INTO txplan.events (id, clinic_id, plan_id, plan_version, type, actor, occurred_at, payload)
		SELECT p.event_id, p.clinic_id, p.id, 1, 'treatment_plan.created', 'x', now(),
			jsonb_build_object('event_id', p.event_id::text, 'plan_id', p.id, 'plan_number', p.id,
				'clinic_id', p.clinic_id, 'patient_id', p.patient_id, 'actor', 'x',
				'occurred_at', txplan.time_text(now()), 'workflow', 'dental', 'status', p.status,
				'title', NULL, 'professional_id', NULL)
		FROM (SELECT p.*, nextval('txplan.events_id_seq') AS event_id FROM p) AS p;
		INSERT INTO txplan.history (clinic_id, plan_id, sequence, at, actor, role_name, what, hash)
		SELECT p.clinic_id, p.id, 1, now(), 'x', 'x', 'created', sha256('')
		FROM p});
}

fill($plans / 2);
make_plans('late');
fill($plans / 2);
read_ids();
is( $node->safe_psql('record', 'SELECT count(*) >= ' . $plans . ' FROM txplan.plans'),
	't',
	"the record has $plans plans");

# tried_in - every statement, in what runs a statement; one test.
sub tried_in
{
	my ($name, $times, $run) = @_;
	my @scans;

	foreach my $call (@tried)
	{
		my $scanned = $run->("SELECT scanned(\$call\$"
			  . statement($call, 'late')
			  . "\$call\$, $times)");

		push @scans, "$call: $scanned" if $scanned =~ /\S/;
	}
	is(join("\n", @scans), '', "$name: no large table is scanned");
}

tried_in('a session that made its plans when the tables were empty',
	1, sub { $early->query_safe($_[0]) });

my $one = sub { $node->safe_psql('record', $_[0]) };

tried_in('new sessions, tables not analyzed', 1, $one);
$node->safe_psql('record', 'ANALYZE');
tried_in('new sessions', 1, $one);
tried_in('the early session, after ANALYZE', 12, sub { $early->query_safe($_[0]) });

my $many = $node->background_psql('record');

tried_in('one session, many calls', 12, sub { $many->query_safe($_[0]) });
$_->quit foreach $early, $many;

# The look at scans itself sees them.
like(
	$one->(q{SELECT scanned('SELECT count(*) FROM txplan.sessions', 1)}),
	qr/sessions/,
	'a scan would have been seen');

log_is_clean($node);
done_testing();
