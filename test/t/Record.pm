# Record.pm - what the TAP tests share: servers that have txplan, a record filled
# in all states, its rows to compare, and checks that hold after everything.
package Record;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
	new_server make_record fill_record psql_as rows_of schema_of
	is_same_record is_same_schema fits_together goes_on log_is_clean error_of
	answer back_again
);

# The servers of a test, whose events are looked at when it is done.
my @servers;

# new_server - a running cluster.  Its log names the SQLSTATE of each error and
# not each statement; SETTINGS are lines of its configuration.
sub new_server
{
	my ($name, %params) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(%{ $params{init} || {} });
	$node->append_conf('postgresql.conf', "log_statement = none");
	$node->append_conf('postgresql.conf', "log_line_prefix = '%m [%p] %e %d '");
	$node->append_conf('postgresql.conf', $params{settings})
	  if defined $params{settings};
	push @servers, $node;
	$node->start unless $params{not_started};
	return $node;
}

# psql_as - runs SQL as a role and returns what it prints; an error ends the test.
sub psql_as
{
	my ($node, $role, $database, $sql) = @_;

	return $node->safe_psql($database, $sql,
		extra_params => [ '--username', $role ]);
}

# answer - what a query returns; '' where there is no server, or an error.  psql has
# it as an argument: where it finds no server it ends before it reads its input, and
# who is writing to it then would end with it.
sub answer
{
	my ($node, $database, $sql) = @_;
	my ($out, $err) = ('', '');

	return '' unless IPC::Run::run(
		[ 'psql', '-XAtq', '-d', $node->connstr($database), '-c', $sql ],
		'<', \undef, '>', \$out, '2>', \$err);
	chomp $out;
	return $out;
}

# back_again - waits until the server answers again, three times in a row: just after
# one of its processes was killed it still does, and goes down then.
sub back_again
{
	my ($node, $database) = @_;
	my $answers = 0;

	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		select undef, undef, undef, 0.1;
		$answers = answer($node, $database, 'SELECT true') eq 't' ? $answers + 1 : 0;
		return 1 if $answers == 3;
	}
	return 0;
}

# make_record - a database with the extension and an empty record, made by ROLE.
sub make_record
{
	my ($node, $database, $role) = @_;

	$role ||= 'postgres_is_superuser';
	my @user =
	  $role eq 'postgres_is_superuser' ? () : ('--username', $role);
	$node->safe_psql('postgres', "CREATE DATABASE $database"
		  . (@user ? " OWNER $role" : ''));
	$node->safe_psql(
		$database,
		'CREATE EXTENSION txplan; SELECT txplan.install()',
		extra_params => [@user]);
}

# A believable little record: two clinics; plans in every state, some of them
# closed and taken up again, one deleted; texts that are hard on a dump; prices
# that do not divide; a workflow of the clinic's own with a guard of its own.
my $filling = <<'EOT';
CREATE SCHEMA clinic_rules;
CREATE FUNCTION clinic_rules.has_title(plan_id uuid, clinic_id uuid)
RETURNS text LANGUAGE sql STABLE AS $$
	SELECT CASE WHEN p.title IS NULL THEN 'the plan has no title' END
	FROM txplan.plans AS p
	WHERE p.id = plan_id AND p.clinic_id = has_title.clinic_id
$$;
INSERT INTO txplan.workflows (name, label) VALUES ('recall', 'Recall');
INSERT INTO txplan.workflow_states (workflow, state, kind, items_editable, treatable)
VALUES ('recall', 'due', 'initial', true, false),
	('recall', 'invited', 'open', true, true),
	('recall', 'done', 'final', false, false);
INSERT INTO txplan.workflow_transitions
	(workflow, action, from_state, to_state, automatic, guards, event)
VALUES ('recall', 'invite', 'due', 'invited', false,
		'{txplan.plan_has_item,clinic_rules.has_title}', 'recall.invited'),
	('recall', 'finish', 'invited', 'done', true,
		'{txplan.plan_is_done}', 'recall.done');

DO $$
DECLARE
	the_clinic uuid;
	doctors uuid[];
	people uuid[];
	crown uuid;
	filling uuid;
	the_plan uuid;
	the_item uuid;
	the_session uuid;
	the_appointment uuid;
	the_budget uuid;
	clinic_number integer;
	n integer;
BEGIN
	FOR clinic_number IN 1..2 LOOP
		PERFORM set_config('txplan.actor', 'nurse ' || clinic_number, false);
		the_clinic := txplan.create_clinic('Clinic ' || clinic_number,
			CASE clinic_number WHEN 1 THEN 'Europe/Madrid' ELSE 'Pacific/Auckland' END);
		SELECT array_agg(txplan.create_professional(the_clinic, 'Dr. ' || i, '#00ff0' || i))
		INTO doctors FROM generate_series(1, 3) AS i;
		SELECT array_agg(txplan.create_patient(the_clinic, 'Ana ' || i, E'O\'Neill \\ ñ ' || i))
		INTO people FROM generate_series(1, 5) AS i;
		crown := txplan.create_catalog_item(the_clinic, 'CROWN', 'Crown', 100.00, 'crown',
			'[{"label": "Preparation", "price": "33.33"}, {"label": "Impression", "price": "33.33"},
			  {"label": "Cementing", "price": "33.34"}]');
		filling := txplan.create_catalog_item(the_clinic, 'FILLING', 'Filling', 55.55);
		FOR n IN 1..16 LOOP
			the_plan := txplan.create_plan(the_clinic, people[1 + n % 5], doctors[1 + n % 3],
				CASE n % 4
					WHEN 0 THEN E'tab\there, newline\nthere, \\N and \\. and a quote''s end'
					WHEN 1 THEN 'שלום عليكم e' || U&'\0301' || ' 渡邊'
					WHEN 2 THEN 'Plan ' || n END);
			PERFORM txplan.add_item(the_plan, crown, tooth => 11 + n % 8, price => 100.01 + n,
				treatment_ref => format('chart-%s-%s', clinic_number, n));
			the_item := txplan.add_item(the_plan, filling, tooth => 36, surfaces => 'MO', notes => '');
			PERFORM txplan.add_item(the_plan, NULL, 'Advice, "free"', 0);
			PERFORM txplan.add_session(the_item, 'Polish', 0.05);
			UPDATE txplan.plans SET diagnosis_notes = repeat('caries ', n * 300)
			WHERE id = the_plan AND clinic_id = the_clinic;
			CONTINUE WHEN n <= 2;
			PERFORM txplan.confirm_plan(the_plan);
			CONTINUE WHEN n <= 4;
			IF n = 5 THEN
				PERFORM txplan.reopen_plan(the_plan);
				CONTINUE;
			END IF;
			IF n <= 8 THEN
				PERFORM txplan.close_plan(the_plan,
					(ARRAY['rejected', 'abandoned', 'other'])[n - 5], E'said: "no"\n');
				IF n = 8 THEN
					PERFORM txplan.reactivate_plan(the_plan);
				END IF;
				CONTINUE;
			END IF;
			PERFORM txplan.accept_plan(the_plan);
			CONTINUE WHEN n = 9;
			SELECT s.id INTO the_session FROM txplan.sessions AS s
			WHERE s.plan_id = the_plan ORDER BY s.item_id, s.sequence LIMIT 1;
			PERFORM txplan.complete_session(the_session, 'first');
			CONTINUE WHEN n = 10;
			PERFORM txplan.complete_item(the_item);
			PERFORM txplan.change_professional(the_plan, doctors[1 + (n + 1) % 3], true);
			IF n = 11 THEN
				PERFORM txplan.close_plan(the_plan, 'cancelled');
				CONTINUE;
			END IF;
			CONTINUE WHEN n = 12;
			PERFORM txplan.cancel_session(s.id) FROM txplan.sessions AS s
			WHERE s.plan_id = the_plan AND s.status = 'pending' AND s.sequence = 2;
			CONTINUE WHEN n = 13;
			PERFORM txplan.record_performed(i.id) FROM txplan.items AS i
			WHERE i.plan_id = the_plan AND i.status = 'pending';
		END LOOP;

		the_plan := txplan.create_plan(the_clinic, people[1]);
		PERFORM txplan.add_item(the_plan, filling);
		DELETE FROM txplan.plans WHERE id = the_plan;

		-- Contacts, one of them corrected; what was earned by mistake; appointments,
		-- ended ones too; and a recall that one of them closes.
		the_plan := txplan.create_plan(the_clinic, people[3], doctors[1], 'Extraction');
		INSERT INTO txplan.items (clinic_id, plan_id, description, price, category_key)
		VALUES (the_clinic, the_plan, 'Extraction', 60, 'surgery'),
			(the_clinic, the_plan, 'Suture', 20, NULL);
		PERFORM txplan.log_contact(the_plan, 'sms', corrects_id => txplan.log_contact(
			the_plan, 'call', E'no "answer"\\', E'tab\there', '2031-05-01 10:00+02',
			contacted_at => '2024-03-01 10:00+01'));
		PERFORM txplan.confirm_plan(the_plan), txplan.accept_plan(the_plan);
		the_appointment := txplan.book_appointment(people[3], '2031-03-03 10:00+01', '2031-03-03 11:00+01',
			session_id => s.id, professional_id => doctors[1], room => '1', kind => 'surgery', note => 'ñ')
		FROM txplan.sessions AS s JOIN txplan.items AS i ON i.id = s.item_id
		WHERE s.plan_id = the_plan AND i.position = 1;
		PERFORM txplan.complete_appointment(the_appointment, true);
		PERFORM txplan.void_earned(e.id, E'wrong "patient"\n')
		FROM txplan.earned_entries AS e WHERE e.plan_id = the_plan;
		PERFORM txplan.cancel_appointment(txplan.book_appointment(people[3],
			'2031-03-03 11:00+01', '2031-03-03 12:00+01', the_plan, room => '1'), 'flu');
		PERFORM txplan.book_appointment(people[3], '2031-03-03 11:00+01', '2031-03-03 12:00+01',
			professional_id => doctors[1], room => '1', recall_id => r.id)
		FROM txplan.recall_suggestions AS r WHERE r.patient_id = people[3];

		-- A budget in every status but expired, with discounts, a line of no item and one whose
		-- item was removed since, next versions, and one of no plan.
		FOR n IN 1..6 LOOP
			the_plan := txplan.create_plan(the_clinic, people[4], doctors[2], 'Quoted ' || n);
			PERFORM txplan.add_item(the_plan, crown, tooth => 20 + n, price => 99.99);
			PERFORM txplan.add_item(the_plan, filling, tooth => 46, surfaces => 'OD');
			PERFORM txplan.confirm_plan(the_plan);
			the_budget := txplan.generate_budget(the_plan);
			INSERT INTO txplan.budget_lines (clinic_id, budget_id, description, unit_price, quantity, discount_percent)
			VALUES (the_clinic, the_budget, E'Brush, "soft"\n', 3.33, 3, 12.5);
			UPDATE txplan.budgets SET discount_percent = 7, external_ref = E'A\\' || n WHERE id = the_budget;
			CONTINUE WHEN n = 1;
			PERFORM txplan.send_budget(the_budget);
			CONTINUE WHEN n = 2;
			IF n = 3 THEN
				PERFORM txplan.accept_budget(the_budget);
				PERFORM txplan.complete_session(s.id) FROM txplan.sessions AS s
				WHERE s.plan_id = the_plan ORDER BY s.item_id, s.sequence LIMIT 1;
			ELSIF n = 4 THEN
				PERFORM txplan.reject_budget(the_budget, E'said: "no"\n');
				PERFORM txplan.reactivate_plan(the_plan);
				PERFORM txplan.remove_item(i.id) FROM txplan.items AS i
				WHERE i.plan_id = the_plan AND i.position = 2;
				PERFORM txplan.resend_budget(the_budget);
			ELSIF n = 5 THEN
				PERFORM txplan.cancel_budget(the_budget, 'ñ');
			ELSIF n = 6 THEN
				PERFORM txplan.send_budget(txplan.resend_budget(the_budget));
			END IF;
		END LOOP;
		INSERT INTO txplan.budgets (clinic_id, patient_id, discount_amount)
		VALUES (the_clinic, people[5], 0);

		the_plan := txplan.create_plan(the_clinic, people[2], NULL, 'Recall', 'recall');
		PERFORM txplan.add_item(the_plan, filling);
		PERFORM txplan.transition_plan(the_plan, 'invite');
		CONTINUE WHEN clinic_number = 1;
		PERFORM txplan.complete_item(i.id) FROM txplan.items AS i WHERE i.plan_id = the_plan;
	END LOOP;
END
$$;
EOT

# fill_record - fills a record by the functions, as a client does, as ROLE.
sub fill_record
{
	my ($node, $database, $role) = @_;
	my @user = defined $role ? ('--username', $role) : ();

	$node->safe_psql($database, $filling, extra_params => [@user]);
}

# rows_of - the rows of every table of the record as COPY prints them, in the
# order of their text, by the table's name; and where the sequence stands.
sub rows_of
{
	my ($node, $database) = @_;
	my @tables = split /\n/, $node->safe_psql(
		$database, q{
		SELECT c.relname FROM pg_class AS c
		WHERE c.relnamespace = 'txplan'::regnamespace AND c.relkind = 'r'
		ORDER BY c.relname});
	my %rows;

	my $sql = join '', map {
		"\\echo ==== $_\n"
		  . "COPY (SELECT t.* FROM txplan.$_ AS t "
		  . "ORDER BY t::text COLLATE \"C\") TO STDOUT;\n"
	} @tables;
	my $table;

	$sql .= "\\echo ==== events_id_seq\n"
	  . "SELECT last_value, is_called FROM txplan.events_id_seq;\n";
	foreach my $line (split /\n/, $node->safe_psql($database, $sql))
	{
		if ($line =~ /^==== (\w+)$/)
		{
			$table = $1;
			$rows{$table} = '';
		}
		else
		{
			$rows{$table} .= "$line\n";
		}
	}
	return \%rows;
}

# is_same_record - two results of rows_of are the same, table by table; one test.
sub is_same_record
{
	my ($got, $wanted, $name, %params) = @_;
	my @different;

	foreach my $table (sort keys %{ { %$got, %$wanted } })
	{
		next if $params{but} && grep { $_ eq $table } @{ $params{but} };
		next
		  if defined $got->{$table}
		  && defined $wanted->{$table}
		  && $got->{$table} eq $wanted->{$table};
		push @different, $table;
		my %seen = map { $_ => 1 } split /\n/, $wanted->{$table} // '';
		my @new = grep { !delete $seen{$_} } split /\n/, $got->{$table} // '';

		diag("$table, only now: $_") foreach splice @new, 0, 3;
		diag("$table, no more: $_") foreach splice @{ [ sort keys %seen ] }, 0, 3;
	}
	is("@different", '', $name);
}

# schema_of - the definitions of a database as pg_dump writes them, without what
# differs from run to run.
sub schema_of
{
	my ($node, $database) = @_;
	my ($schema, $errors) = run_command(
		[ 'pg_dump', '--schema-only', $node->connstr($database) ]);

	die $errors if $errors =~ /error/;
	$schema =~ s/^\\(un)?restrict .*\n//mg;

	# A condition that was written with BETWEEN loses some of its parentheses when
	# it is read again.
	$schema =~ s{^(.*\bCHECK )(.*)$}{ $1 . ($2 =~ tr/()//dr) }emg;
	return $schema;
}

# is_same_schema - two results of schema_of are the same; shows how they differ.
sub is_same_schema
{
	my ($got, $wanted, $name) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir;

	if ($got ne $wanted)
	{
		append_to_file("$directory/got", $got);
		append_to_file("$directory/wanted", $wanted);
		my ($difference) = run_command(
			[ 'diff', '--unified=1', "$directory/wanted", "$directory/got" ]);
		diag(substr $difference, 0, 4000);
	}
	ok($got eq $wanted, $name);
}

# fits_together - audit() and verify_history() find nothing; two tests.
sub fits_together
{
	my ($node, $database, $name) = @_;

	is( $node->safe_psql(
			$database, 'SELECT fault, detail FROM txplan.audit() LIMIT 20'),
		'',
		"$name: audit() finds nothing");
	is( $node->safe_psql(
			$database, 'SELECT * FROM txplan.verify_history() LIMIT 20'),
		'',
		"$name: verify_history() finds nothing");
}

# goes_on - the record works: numbers go on, a plan that was under way comes to
# its end, each fact is one event, and rules hold; six tests.
sub goes_on
{
	my ($node, $database, $name) = @_;

	is( $node->safe_psql(
			$database, q{
			SELECT count(*) FROM (
				SELECT right(p.number, 4)::integer - c.last_number AS step
				FROM (
					SELECT c.clinic_id, c.last_number,
						txplan.create_plan(c.clinic_id, (
							SELECT t.id FROM txplan.patients AS t
							WHERE t.clinic_id = c.clinic_id ORDER BY t.id LIMIT 1)) AS id
					FROM txplan.number_counters AS c
					WHERE c.kind = 'plan'
					ORDER BY c.clinic_id
					OFFSET 0
				) AS c
				JOIN LATERAL (
					SELECT txplan.plan_detail(c.id) #>> '{plan,number}' AS number
					OFFSET 0) AS p ON true
			) AS n WHERE n.step = 1}),
		2,
		"$name: plan numbers go on");

	is( $node->safe_psql(
			$database, q{
			CREATE TEMPORARY TABLE quoted AS
			SELECT c.last_number, txplan.create_plan(c.clinic_id, (
				SELECT t.id FROM txplan.patients AS t
				WHERE t.clinic_id = c.clinic_id ORDER BY t.id LIMIT 1)) AS plan_id
			FROM txplan.number_counters AS c WHERE c.kind = 'budget';
			DO $$
			BEGIN
				PERFORM txplan.add_item(q.plan_id, NULL, 'Quoted', 10.01) FROM quoted AS q;
				PERFORM txplan.confirm_plan(q.plan_id) FROM quoted AS q;
				PERFORM txplan.send_budget(txplan.generate_budget(q.plan_id)) FROM quoted AS q;
				UPDATE txplan.budgets SET status = 'accepted'
				WHERE plan_id IN (SELECT plan_id FROM quoted);
			END
			$$;
			SELECT string_agg(concat_ws(' ', right(b.number, 4)::integer - q.last_number,
				b.total, p.status, (SELECT e.type FROM txplan.events AS e
					WHERE e.plan_id = p.id ORDER BY e.id DESC OFFSET 2 LIMIT 1)), ', ')
			FROM quoted AS q
			JOIN txplan.plans AS p ON p.id = q.plan_id
			JOIN txplan.budgets AS b ON b.plan_id = p.id}),
		join(', ', ('1 10.01 active budget.accepted') x 2),
		"$name: budgets go on with the next number, and their plans follow");

	my $plan = $node->safe_psql(
		$database, q{
		SELECT p.id FROM txplan.plans AS p
		WHERE p.status = 'active' AND p.items_completed = 1
		ORDER BY p.number, p.id LIMIT 1});
	my $before = $node->safe_psql($database,
		'SELECT max(id) FROM txplan.events');

	$node->safe_psql(
		$database, qq{
		SELECT txplan.complete_item(i.id)
		FROM txplan.items AS i
		WHERE i.plan_id = '$plan' AND i.status = 'pending'
		ORDER BY i.position});
	is( $node->safe_psql(
			$database, "SELECT status FROM txplan.plans WHERE id = '$plan'"),
		'completed',
		"$name: a plan goes on to completion");
	is( $node->safe_psql(
			$database, qq{
			SELECT string_agg(split_part(e.type, '.', 2), ' ' ORDER BY e.id)
			FROM txplan.events AS e
			WHERE e.id > $before AND e.plan_id = '$plan'
				AND e.type <> 'treatment_plan.item_session_completed'}),
		join(' ',
			('treatment_completed')
			  x $node->safe_psql($database,
				"SELECT items_total - 1 FROM txplan.plans WHERE id = '$plan'"),
			'completed', 'status_changed'),
		"$name: each fact is one event");
	is( error_of(
			$node, $database,
			"UPDATE txplan.plans SET status = 'draft' WHERE id = '$plan'"),
		'TX001',
		"$name: the workflow holds");
	is( error_of(
			$node, $database,
			"UPDATE txplan.items SET status = 'cancelled' WHERE plan_id = '$plan'"
		),
		'TX004',
		"$name: a completed item stays");
}

# error_of - the SQLSTATE of the error that SQL raises, '' when it raises none;
# in a list also the message, with detail and hint as psql prints them.
sub error_of
{
	my ($node, $database, $sql, @options) = @_;
	my ($status, $out, $err) =
	  $node->psql($database, "\\set VERBOSITY verbose\n$sql",
		extra_params => [@options]);
	my ($sqlstate) = $err =~ /(?:ERROR|FATAL):  (\w{5}):/;

	$sqlstate = $status == 0 ? '' : $err unless defined $sqlstate;
	return wantarray ? ($sqlstate, $err) : $sqlstate;
}

# events_fit - every event in the databases of a server fits the schema of its
# type; one test.
sub events_fit
{
	my ($node) = @_;
	my ($out, $err);

	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	my $fit = IPC::Run::run(
		[ $ENV{PYTHON} || 'python3', "$FindBin::Bin/../validate_events" ],
		'>', \$out, '2>', \$err);
	ok($fit, $node->name . ': every event fits its schema') or diag("$out$err");
}

# No test is done before its events were looked at.
my $done_testing = \&Test::Builder::done_testing;

no warnings 'redefine';
*Test::Builder::done_testing = sub {
	foreach my $node (splice @servers)
	{
		$node->start unless defined $node->{_pid};
		events_fit($node);
	}
	goto &$done_testing;
};
use warnings 'redefine';

# log_is_clean - the server did not crash and met nothing that cannot happen; one
# test.
sub log_is_clean
{
	my ($node) = @_;
	my @bad = grep {
		/was terminated by signal|PANIC:|TRAP:| XX[0-9A-Z]{3} .*(ERROR|FATAL):/
	} split /\n/, slurp_file($node->logfile);

	is(join("\n", splice @bad, 0, 20), '', $node->name . ': the log is clean');
}

1;
