# A walk at random over all that is done with plans, items, sessions, budgets and
# money, by functions and by plain statements: after each step the server has what
# the model of Desk.pm says, and refuses what it refuses.
#
# TXPLAN_STEPS says how many steps, TXPLAN_SEED from where; both are printed.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use Desk;
use List::Util qw(shuffle);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;

my $steps = $ENV{TXPLAN_STEPS} // 4000;
my $seed = $ENV{TXPLAN_SEED} // 7;

srand($seed);
note "seed $seed, $steps steps";

my $node = new_server('main');

make_record($node, 'record');
$node->safe_psql(
	'record', q{
	CREATE TABLE ids (name text PRIMARY KEY, id uuid);
	INSERT INTO ids VALUES ('clinic', txplan.create_clinic('Clinic', 'UTC'));
	INSERT INTO ids SELECT 'patient', txplan.create_patient(id, 'Ana', 'Ruiz') FROM ids WHERE name = 'clinic';
	INSERT INTO ids SELECT 'crown', txplan.create_catalog_item(id, 'CROWN', 'Crown', 600, 'crown',
		'[{"price": 200}, {"price": 400}]') FROM ids WHERE name = 'clinic';
	CREATE FUNCTION id(wanted text) RETURNS uuid LANGUAGE sql STABLE
	AS $$ SELECT i.id FROM public.ids AS i WHERE i.name = wanted $$;
	-- Things by their places, from 0.
	CREATE FUNCTION item(plan uuid, n integer) RETURNS uuid LANGUAGE sql STABLE
	AS $$ SELECT i.id FROM txplan.items AS i WHERE i.plan_id = plan ORDER BY i.position OFFSET n LIMIT 1 $$;
	CREATE FUNCTION session(plan uuid, n integer, m integer) RETURNS uuid LANGUAGE sql STABLE
	AS $$ SELECT s.id FROM txplan.sessions AS s WHERE s.item_id = public.item(plan, n)
		ORDER BY s.sequence OFFSET m LIMIT 1 $$;
	CREATE FUNCTION budget(plan uuid, n integer) RETURNS uuid LANGUAGE sql STABLE
	AS $$ SELECT b.id FROM txplan.budgets AS b WHERE b.plan_id = plan
		ORDER BY b.number, b.version OFFSET n LIMIT 1 $$;
	CREATE FUNCTION line(plan uuid, n integer, m integer) RETURNS uuid LANGUAGE sql STABLE
	AS $$ SELECT l.id FROM txplan.budget_lines AS l WHERE l.budget_id = public.budget(plan, n)
		ORDER BY l.position OFFSET m LIMIT 1 $$;
	CREATE FUNCTION attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE statement;
		SET CONSTRAINTS ALL IMMEDIATE;
		RETURN '';
	EXCEPTION WHEN OTHERS THEN
		RETURN SQLSTATE;
	END $$;
	-- The months that upkeep wants, so that it has only the plans to do.
	SELECT count(*) FROM txplan.maintain(now() + interval '62 days');
	SELECT count(*) FROM txplan.maintain()});

my $session = $node->background_psql('record');
my $desk = Desk->new;
my $can_void = $node->safe_psql('record',
	q{SELECT count(*) FROM pg_proc WHERE proname = 'void_earned'});

$session->set_query_timer_restart;
$session->query_safe(q{SET txplan.actor = 'reception'});

sub new_plan
{
	return $desk->add_plan($session->query_safe(
			q{SELECT txplan.create_plan(id('clinic'), id('patient'))}));
}

sub one_of { return $_[ int rand @_ ] }

sub some_cents
{
	return one_of(0, 1, 2, 3, 100, 333, 10000, 12345, 99999, int rand 50000);
}

sub money { return sprintf '%d.%02d', int($_[0] / 100), $_[0] % 100 }

sub place
{
	my ($thing, @all) = @_;
	my ($place) = grep { $all[$_] == $thing } 0 .. $#all;

	return $place;
}

sub budgets
{
	return sort { $a->{number} <=> $b->{number} || $a->{version} <=> $b->{version} }
	  @{ $_[0]{budgets} };
}

# some_budget - mostly the last, which is the one that lives.
sub some_budget
{
	my ($plan) = @_;
	my @all = @{ $plan->{budgets} };

	return @all && rand() < 0.8 ? $all[-1] : one_of(@all);
}

# What can be done: how often, and a function of a plan that returns the statement
# and what the model does; nothing when there is nothing to do it with.
my $id;
my @deeds = (
	[ 12, sub {
		my ($plan) = @_;
		my $price = some_cents();
		my $crown = rand() < 0.5;
		my @parts = $crown ? Desk::split_amount($price, 20000, 40000) : $price;

		return (
			$crown
			? "SELECT txplan.add_item('$id', id('crown'), price => " . money($price) . ')'
			: "INSERT INTO txplan.items (clinic_id, plan_id, description, price) VALUES (id('clinic'), '$id', 'Item', "
			  . money($price) . ')',
			sub { Desk::add_item($plan, { price => $price, sessions => [ map { { amount => $_ } } @parts ] }) });
	} ],
	[ 4, sub {
		my ($plan) = @_;
		my $item = one_of(@{ $plan->{items} }) or return;
		my $n = place($item, @{ $plan->{items} });

		return (
			one_of("SELECT txplan.remove_item(item('$id', $n))",
				"DELETE FROM txplan.items WHERE id = item('$id', $n)"),
			sub { Desk::remove_item($plan, $item) });
	} ],
	[ 3, sub {
		my ($plan) = @_;
		my @order = shuffle 0 .. $#{ $plan->{items} };

		return unless @order;
		return (
			"SELECT txplan.reorder_items('$id', ARRAY["
			  . join(', ', map { "item('$id', $_)" } @order) . '])',
			sub { Desk::reorder_items($plan, @order) });
	} ],
	[ 6, sub {
		my ($plan) = @_;
		my $item = one_of(@{ $plan->{items} }) or return;
		my $n = place($item, @{ $plan->{items} });
		my $price = some_cents();

		return (
			"UPDATE txplan.items SET price = " . money($price) . " WHERE id = item('$id', $n)",
			sub { Desk::set_price($plan, $item, $price) });
	} ],
	[ 4, sub {
		my ($plan) = @_;
		my $item = one_of(@{ $plan->{items} }) or return;
		my $n = place($item, @{ $plan->{items} });
		my $amount = some_cents();

		return (
			"SELECT txplan.add_session(item('$id', $n), 'More', " . money($amount) . ')',
			sub { Desk::add_session($plan, $item, { amount => $amount }) });
	} ],
	(map {
		my ($often, $status, $function) = @$_;

		[ $often, sub {
			my ($plan) = @_;
			my $item = one_of(@{ $plan->{items} }) or return;
			my $n = place($item, @{ $plan->{items} });
			my $session = one_of(@{ $item->{sessions} });
			my $m = place($session, @{ $item->{sessions} });
			my $by_update = rand() < 0.3;

			return (
				$by_update
				? "UPDATE txplan.sessions SET status = '$status' WHERE id = session('$id', $n, $m)"
				: "SELECT txplan.$function(session('$id', $n, $m))",
				sub { Desk::end_session($plan, $item, $session, $status, $by_update) });
		} ];
	} [ 14, 'completed', 'complete_session' ], [ 5, 'cancelled', 'cancel_session' ]),
	[ 4, sub {
		my ($plan) = @_;
		my $item = one_of(@{ $plan->{items} }) or return;
		my $n = place($item, @{ $plan->{items} });

		return ("SELECT txplan.complete_item(item('$id', $n))",
			sub { Desk::complete_item($plan, $item) });
	} ],
	[ $can_void ? 3 : 0, sub {
		my ($plan) = @_;
		my @first = grep { !$_->{void} } @{ $plan->{entries} };
		my $entry = one_of(@first) or return;
		my $n = place($entry->{item}, @{ $plan->{items} });
		my $m = place($entry->{session}, @{ $entry->{item}{sessions} });

		return (
			"SELECT txplan.void_earned((SELECT id FROM txplan.earned_entries WHERE voids_id IS NULL AND session_id = session('$id', $n, $m)), 'By mistake')",
			sub { Desk::void_earned($plan, $entry) });
	} ],
	(map {
		my ($often, $action, $to) = @$_;

		[ $often, sub {
			my ($plan) = @_;

			return ("SELECT txplan.${action}_plan('$id')", sub { Desk::move($plan, $action) });
		} ];
	} [ 10, 'confirm' ], [ 3, 'reopen' ], [ 5, 'accept' ], [ 6, 'reactivate' ]),
	[ 4, sub {
		my ($plan) = @_;
		my $reason = one_of(qw(rejected expired other));

		return ("SELECT txplan.close_plan('$id', '$reason')",
			sub { Desk::move($plan, 'close', $reason) });
	} ],
	[ 10, sub {
		my ($plan) = @_;

		return ("SELECT txplan.generate_budget('$id')", sub { Desk::generate($plan, {}) });
	} ],
	[ 10, sub {
		my ($plan) = @_;
		my $budget = some_budget($plan) or return;
		my $n = place($budget, budgets($plan));
		my $on_whole = rand() < 0.5;
		my $what = $on_whole ? $budget : one_of(@{ $budget->{lines} });

		return unless $what;
		my $m = $on_whole ? 0 : place($what, @{ $budget->{lines} });
		my ($percent, $amount) = @{ one_of([ int rand 10001, undef ], [ 3333, undef ],
				[ undef, some_cents() ], [ undef, undef ]) };

		return (
			sprintf(
				'UPDATE txplan.%s SET discount_percent = %s, discount_amount = %s WHERE id = %s',
				$on_whole ? 'budgets' : 'budget_lines',
				defined $percent ? money($percent) : 'NULL',
				defined $amount ? money($amount) : 'NULL',
				$on_whole ? "budget('$id', $n)" : "line('$id', $n, $m)"),
			sub { Desk::discount($budget, $what, $percent, $amount) });
	} ],
	[ 2, sub {
		my ($plan) = @_;

		return ("SELECT txplan.sync_budget('$id')", sub { Desk::sync_budget($plan) });
	} ],
	(map {
		my ($often, $function, $to) = @$_;

		[ $often, sub {
			my ($plan) = @_;
			my $budget = some_budget($plan) or return;
			my $n = place($budget, budgets($plan));
			my $by_update = rand() < 0.3;

			return (
				$by_update
				? "UPDATE txplan.budgets SET status = '$to' WHERE id = budget('$id', $n)"
				: "SELECT txplan.${function}_budget(budget('$id', $n))",
				sub { Desk::decide($plan, $budget, $to, $by_update) });
		} ];
	} [ 8, 'send', 'sent' ], [ 10, 'accept', 'accepted' ], [ 5, 'reject', 'rejected' ],
		[ 4, 'cancel', 'cancelled' ]),
	[ 6, sub {
		my ($plan) = @_;
		my $budget = some_budget($plan) or return;
		my $n = place($budget, budgets($plan));

		return ("SELECT txplan.resend_budget(budget('$id', $n))",
			sub { Desk::resend($plan, $budget, {}) });
	} ],
	[ 0.5, sub {
		return (q{SELECT count(*) FROM txplan.maintain(now() + interval '62 days')},
			sub { $desk->expire });
	} ]);
my $all = 0;

$all += $_->[0] foreach @deeds;

# deed - one of them, as often as it says.
sub deed
{
	my $at = rand $all;

	foreach my $deed (@deeds)
	{
		return $deed->[1] if ($at -= $deed->[0]) < 0;
	}
	return $deeds[0][1];
}

my @plans = map { new_plan() } 1 .. 6;
my (%outcomes, @story, $wrong);

STEP: foreach my $step (1 .. $steps)
{
	my $place = int rand @plans;

	$plans[$place] = new_plan() if Desk::final($plans[$place]) && rand() < 0.1;
	my $plan = $plans[$place];

	$id = $plan->{id};
	my ($statement, $model) = deed()->($plan);

	next unless defined $statement;
	push @story, $statement;
	my $got = $session->query_safe("SELECT attempt(\$s\$$statement\$s\$)");
	my $wanted = $model->();

	$outcomes{ $wanted || 'done' }++;
	if ($got ne $wanted)
	{
		$wrong = "step $step: $statement\ngot '$got', wanted '$wanted'";
		last STEP;
	}
	foreach my $shown ($statement =~ /maintain/ ? @plans : $plan)
	{
		my $there = $session->query_safe(Desk::query($shown->{id}));
		my $here = Desk::picture($shown);

		next if $there eq $here;
		$wrong = "step $step: $statement ('$got')\nthe server has\n$there\nthe model has\n$here";
		last STEP;
	}
}
is($wrong // '', '', "seed $seed: the server does what the model does")
  or diag('the last steps were', map { "\n$_;" } grep { /\Q$id\E|maintain/ } @story[ -60 .. -1 ]);
note join ', ', map { "$_: $outcomes{$_}" } sort keys %outcomes;
cmp_ok($outcomes{done} // 0, '>', $steps / 8, 'much of it was done');

# No plan is stranded: each is final, or something leads on.
is( $node->safe_psql(
		'record', q{
		SELECT string_agg(p.number, ' ') FROM txplan.plans AS p
		WHERE p.status NOT IN ('completed') AND NOT EXISTS (
			SELECT FROM txplan.available_actions(p.id) AS a WHERE a.blockers = '{}')}),
	'',
	'from every plan some action leads on');
is( $node->safe_psql(
		'record', q{
		SELECT count(*) FROM txplan.items AS i
		WHERE i.price < (SELECT sum(e.amount) FROM txplan.earned_entries AS e WHERE e.item_id = i.id)}),
	0,
	'no item has earned more than its price');
fits_together($node, 'record', 'after the walk');
$session->quit;
log_is_clean($node);
done_testing();
