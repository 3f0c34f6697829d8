# Whoever listens on channel txplan hears of each event once its transaction has
# committed, and of nothing else.

use strict;
use warnings FATAL => 'all';

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;

# Writers announce their events themselves, also those whose setting is not
# heeded: there is no worker to be had.
my $node = new_server('main',
	settings => "txplan.notify = commit\nmax_worker_processes = 0");
my $listener;
my $last_event = 0;
my $sentinel = 0;

make_record($node, 'record');
$node->safe_psql(
	'record', q{
	CREATE TABLE ids (name text PRIMARY KEY, id uuid NOT NULL);
	INSERT INTO ids VALUES ('clinic', txplan.create_clinic('Clinic', 'UTC'));
	INSERT INTO ids SELECT 'patient', txplan.create_patient(id, 'Ana', 'Ruiz')
	FROM ids WHERE name = 'clinic';
	CREATE FUNCTION id_of(wanted text) RETURNS uuid LANGUAGE sql STABLE
	RETURN (SELECT id FROM public.ids WHERE name = wanted);
	INSERT INTO ids VALUES ('plan', txplan.create_plan(id_of('clinic'), id_of('patient')));
	CREATE ROLE assistant LOGIN;
	GRANT SELECT ON ids TO assistant;
	GRANT USAGE ON SCHEMA txplan TO assistant;
	GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA txplan TO assistant});

$listener = $node->background_psql('record');
$listener->query_safe('LISTEN txplan');

# heard - the payloads that came since it was last asked, in their order.  What
# was sent before the sentinel has come when the sentinel has.
sub heard
{
	my $end = 'end ' . ++$sentinel;
	my @payloads;
	my $found = 0;

	$node->safe_psql('record', "NOTIFY txplan, '$end'");
	foreach (1 .. 1000)
	{
		foreach my $line (split /\n/, $listener->query('SELECT 0'))
		{
			next
			  unless $line =~
			  /^Asynchronous notification "txplan" with payload "(.*)" received/;
			$found = 1 if $1 eq $end;
			push @payloads, $1 unless $1 eq $end;
		}
		return @payloads if $found;
		select undef, undef, undef, 0.01;
	}
	die 'the listener hears nothing';
}

# written - what one notification an event would say of the events written since
# it was last asked.
sub written
{
	my @payloads = split /\n/, $node->safe_psql(
		'record', qq{
		SELECT format('{"id":%s,"type":"%s","plan_id":"%s","clinic_id":"%s"}',
			id, type, plan_id, clinic_id)
		FROM txplan.events WHERE id > $last_event ORDER BY id});

	$last_event = $node->safe_psql('record',
		"SELECT coalesce(max(id), $last_event) FROM txplan.events");
	return @payloads;
}

# hears_each - SQL is told of event by event: so many, of these types.
sub hears_each
{
	my ($name, $count, $sql, @options) = @_;
	my ($status, $out, $err) =
	  $node->psql('record', $sql, on_error_stop => 0, extra_params => [@options]);
	my @heard = heard();
	my @written = written();

	is(scalar @written, $count, "$name: $count events are written")
	  or diag($err);
	is("@heard", "@written", "$name: each is told of once, in their order");
	return $err;
}

written();

my @types;

hears_each('one call', 1,
	"SELECT txplan.add_item(id_of('plan'), NULL, 'Filling', 10)");
hears_each(
	'one statement of several facts', 2,
	"SELECT txplan.confirm_plan(id_of('plan'))");
hears_each(
	'a transaction', 4, q{
	BEGIN;
	SELECT txplan.reopen_plan(id_of('plan'));
	UPDATE txplan.plans SET title = 'A title' WHERE id = id_of('plan');
	SELECT txplan.confirm_plan(id_of('plan'));
	COMMIT});
hears_each('an UPDATE that changes nothing', 0,
	"UPDATE txplan.plans SET title = title WHERE id = id_of('plan')");
hears_each(
	'a rollback', 0, q{
	BEGIN;
	SELECT txplan.reopen_plan(id_of('plan'));
	ROLLBACK});
like(
	hears_each(
		'an error', 0, q{
		BEGIN;
		SELECT txplan.reopen_plan(id_of('plan'));
		SELECT 1 / 0;
		COMMIT}),
	qr/division by zero/,
	'an error: it was the one meant');

my $payload = decode_json(
	$node->safe_psql(
		'record', q{
		SELECT payload FROM txplan.events ORDER BY id DESC LIMIT 1}));
is($payload->{event_id}, $last_event, 'the id of a notification is the event\'s');

# Savepoints and exceptions.
my $retitle = q{UPDATE txplan.plans SET title = '%s' WHERE id = id_of('plan');};

sub retitle
{
	return join "\n", map { sprintf $retitle, $_ } @_;
}

hears_each('savepoints', 3, join "\n",
	'BEGIN;',
	retitle('s1'),
	'SAVEPOINT a;',
	retitle('s2'),
	'SAVEPOINT b;',
	retitle('s3'),
	'RELEASE b;',
	retitle('s4'),
	'ROLLBACK TO a;',
	retitle('s5'),
	'SAVEPOINT c;',
	retitle('s6'),
	'RELEASE c;',
	'SAVEPOINT d;',
	retitle('s7'),
	'ROLLBACK TO d;',
	'COMMIT;');
hears_each('a savepoint whose parent is rolled back', 1, join "\n",
	'BEGIN;',
	'SAVEPOINT a;',
	'SAVEPOINT b;',
	retitle('p1'),
	'RELEASE b;',
	'ROLLBACK TO a;',
	retitle('p2'),
	'COMMIT;');
hears_each(
	'caught exceptions', 20, q{
	DO $$
	BEGIN
		FOR i IN 1..40 LOOP
			BEGIN
				UPDATE txplan.plans SET title = 'e' || i WHERE id = id_of('plan');
				IF i % 2 = 0 THEN
					PERFORM txplan.complete_session(txplan.new_id());
				END IF;
			EXCEPTION WHEN no_data_found THEN NULL;
			END;
		END LOOP;
	END $$});
hears_each(
	'many events, most of them rolled back', 64, q{
	DO $$
	BEGIN
		FOR i IN 1..60 LOOP
			UPDATE txplan.plans SET title = 'm' || i WHERE id = id_of('plan');
		END LOOP;
		BEGIN
			FOR i IN 1..200 LOOP
				UPDATE txplan.plans SET title = 'n' || i WHERE id = id_of('plan');
			END LOOP;
			RAISE EXCEPTION 'back';
		EXCEPTION WHEN raise_exception THEN NULL;
		END;
		FOR i IN 1..4 LOOP
			UPDATE txplan.plans SET title = 'o' || i WHERE id = id_of('plan');
		END LOOP;
	END $$});

# More than 64 events.
my $many = q{
	DO $$ BEGIN
		FOR i IN 1..%d LOOP
			UPDATE txplan.plans SET title = 'b' || i WHERE id = id_of('plan');
		END LOOP;
	END $$};

hears_each('64 events', 64, sprintf $many, 64);
foreach my $count (65, 1000)
{
	$node->safe_psql('record', sprintf $many, $count);
	my @heard = heard();
	my @written = written();

	is(scalar @written, $count, "$count events are written");
	is(scalar @heard, 1, "$count events: one notification");
	is( $heard[0],
		sprintf(
			'{"type":"batch","from":%d,"to":%d,"count":%d}',
			decode_json($written[0])->{id},
			decode_json($written[-1])->{id}, $count),
		"$count events: it says which");
}

# Off.
foreach my $off (
	[ 'SET', "SET txplan.notify = off;" ],
	[ 'SET LOCAL', "BEGIN; SET LOCAL txplan.notify = off;" ])
{
	my ($name, $set) = @$off;

	$node->safe_psql('record',
		$set . retitle("off by $name") . ($name eq 'SET' ? '' : 'COMMIT'));
	is(scalar heard(), 0, "$name txplan.notify = off: nothing is told");
	is(scalar written(), 1, "$name txplan.notify = off: the event is there");
}
hears_each('on again after SET LOCAL', 1,
		'BEGIN; SET LOCAL txplan.notify = off; ROLLBACK;'
	  . retitle('on again'));

# Two-phase commit.
my ($sqlstate, $message) = error_of($node, 'record',
	'BEGIN;' . retitle('prepared') . "PREPARE TRANSACTION 'first'");
is($sqlstate, '0A000', 'PREPARE TRANSACTION: refused while notify is commit');
like($message, qr/HINT:.*txplan\.notify.*off/,
	'PREPARE TRANSACTION: the hint names the setting');
is($node->safe_psql('record', 'SELECT count(*) FROM pg_prepared_xacts'),
	0, 'PREPARE TRANSACTION: nothing is prepared');
is(scalar written() + scalar heard(),
	0, 'PREPARE TRANSACTION: nothing is written or told');
is( error_of(
		$node, 'record',
		"BEGIN; SELECT count(*) FROM txplan.plans; PREPARE TRANSACTION 'read'; COMMIT PREPARED 'read'"
	),
	'',
	'PREPARE TRANSACTION: one without events is not refused');

# The session that prepared goes on with another transaction.
$node->safe_psql('record', join "\n",
	'BEGIN;',
	'SET LOCAL txplan.notify = off;',
	"SELECT txplan.create_plan(id_of('clinic'), id_of('patient'), NULL, 'two phases');",
	"PREPARE TRANSACTION 'second';",
	retitle('after the preparation'));
is(scalar heard(), 1, 'prepared: only the other transaction is told of');
is(scalar written(), 1, 'prepared: its events are not seen yet');
is( $node->safe_psql(
		'record', "SELECT count(*) FROM txplan.plans WHERE title = 'two phases'"),
	0,
	'prepared: nor is its plan');
$node->restart;
$listener->quit;
$listener = $node->background_psql('record');
$listener->query_safe('LISTEN txplan');
$node->safe_psql('record', "COMMIT PREPARED 'second'");
is( $node->safe_psql(
		'record', q{
		SELECT number, version FROM txplan.plans WHERE title = 'two phases'}),
	$node->safe_psql(
		'record',
		q{SELECT format('PLAN-%s-0002|1', extract(year FROM now() AT TIME ZONE 'UTC'))}
	),
	'COMMIT PREPARED: the plan is there, also after a restart in between');
is( $node->safe_psql(
		'record', q{
		SELECT e.type FROM txplan.events AS e JOIN txplan.plans AS p ON p.id = e.plan_id
		WHERE p.title = 'two phases'}),
	'treatment_plan.created',
	'COMMIT PREPARED: and its event');
is(scalar heard(), 0, 'COMMIT PREPARED: nothing is told');
written();
$node->safe_psql('record', join "\n",
	'BEGIN;',
	'SET LOCAL txplan.notify = off;',
	retitle('never'),
	"PREPARE TRANSACTION 'third';",
	"ROLLBACK PREPARED 'third';");
is(scalar written() + scalar heard(),
	0, 'ROLLBACK PREPARED: nothing is written or told');

# Who may silence it: superusers, and those they let.
my @assistant = ('--username', 'assistant');

hears_each('a plain role', 1, retitle('by the assistant'), @assistant);
is( error_of(
		$node, 'record',
		"SELECT txplan.version(); SET txplan.notify = off", @assistant),
	'42501',
	'a plain role may not set txplan.notify');
is( error_of(
		$node, 'record',
		"SELECT txplan.version(); SELECT set_config('txplan.notify', 'off', false)",
		@assistant),
	'42501',
	'nor by set_config()');

# Before the library is loaded the setting has no owner yet.
hears_each('set by a plain role before the library is loaded',
	1, 'SET txplan.notify = off;' . retitle('silenced?'), @assistant);
{
	local $ENV{PGOPTIONS} = '-c txplan.notify=off';

	hears_each('set by a plain role when it connects',
		1, retitle('silenced again?'), @assistant);
}
hears_each(
	'set by a plain role in the midst of a transaction',
	2, 'BEGIN; SET LOCAL txplan.notify = off;'
	  . retitle('a', 'b')
	  . 'SET LOCAL txplan.notify = off; COMMIT',
	@assistant, '--set', 'ON_ERROR_STOP=0', '--set', 'ON_ERROR_ROLLBACK=on');

$node->safe_psql('record', 'ALTER ROLE assistant SET txplan.notify = off');
$node->safe_psql('record', retitle('by a role that is silent'),
	extra_params => [@assistant]);
is(scalar heard(), 0, 'a superuser may silence a role');
is(scalar written(), 1, 'its event is there');
$node->safe_psql('record', 'ALTER ROLE assistant RESET txplan.notify');
SKIP:
{
	skip 'a setting cannot be granted in this version', 2
	  if $node->safe_psql('record', 'SHOW server_version_num') < 150000;
	$node->safe_psql('record', 'GRANT SET ON PARAMETER txplan.notify TO assistant');
	is( error_of(
			$node, 'record',
			'SELECT txplan.version(); SET txplan.notify = off;'
			  . retitle('by a role that was let'),
			@assistant),
		'',
		'a superuser may let a role set it');
	is(scalar heard(), 0, 'which is heeded');
}
is( error_of($node, 'record', "SELECT txplan.version(); SET txplan.notify = 'loud'"),
	'22023',
	'an unknown mode is refused');

$listener->quit;
fits_together($node, 'record', 'after all');
log_is_clean($node);
done_testing();
