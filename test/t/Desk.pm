# Desk.pm - what plans, budgets and money should be after each thing that is done
# with them: the rules of the reference pages once more, written for reading.
#
# A model knows a few plans.  Each of its methods does a thing to one of them and
# returns '' or the SQLSTATE with which it is refused; picture() shows a plan as
# the server's rows can be shown.  Amounts are in cents, percentages in hundredths.
package Desk;

use strict;
use warnings FATAL => 'all';

sub new { return bless { plans => [] }, shift }

sub add_plan
{
	my ($self, $id) = @_;

	push @{ $self->{plans} },
	  { id => $id, status => 'draft', reason => '', items => [], budgets => [], entries => [] };
	return $self->{plans}[-1];
}

# split_amount - by the largest remainder; the later part wins a tie.
sub split_amount
{
	my ($total, @weights) = @_;
	my $sum = 0;

	$sum += $_ foreach @weights;
	@weights = (1) x @weights if $sum == 0;
	$sum = @weights if $sum == 0;
	my @parts = map { int($total * $_ / $sum) } @weights;
	my @rest = map { $total * $weights[$_] - $parts[$_] * $sum } 0 .. $#weights;
	my $left = $total;

	$left -= $_ foreach @parts;
	foreach my $i (sort { $rest[$b] <=> $rest[$a] || $b <=> $a } 0 .. $#weights)
	{
		last if $left-- <= 0;
		$parts[$i]++;
	}
	return @parts;
}

sub percent_of { return int(($_[0] * $_[1] + 5000) / 10000) }

sub least { return $_[0] < $_[1] ? $_[0] : $_[1] }

# ------------------------------------------------------------ what a plan is

sub live
{
	my ($plan) = @_;
	my ($live) = grep { $_->{status} =~ /^(draft|sent|accepted)$/ } @{ $plan->{budgets} };

	return $live;
}

sub has_draft { my $live = live($_[0]); return $live && $live->{status} eq 'draft' }
sub locked { my $live = live($_[0]); return $live && $live->{status} ne 'draft' }
sub editable { return $_[0]{status} =~ /^(draft|pending|active)$/ }
sub final { return $_[0]{status} =~ /^(completed|closed)$/ }

sub pending { return grep { $_->{status} eq 'pending' } @{ $_[0] } }

sub earned
{
	my ($plan, $item) = @_;
	my $sum = 0;

	$sum += $_->{amount} foreach grep { $_->{item} == $item } @{ $plan->{entries} };
	return $sum;
}

# is_revision - a later version of a budget that was rejected.
sub is_revision
{
	my ($plan, $budget) = @_;

	return grep { $_->{number} == $budget->{number} && $_->{version} < $budget->{version}
		  && $_->{status} eq 'rejected' } @{ $plan->{budgets} };
}

sub open_for
{
	my ($plan, $revises) = @_;

	return !final($plan)
	  || ($revises && $plan->{status} eq 'closed' && $plan->{reason} eq 'rejected');
}

# ------------------------------------------------------------- what follows

# reckon - adds a budget up.
sub reckon
{
	my ($budget) = @_;
	my @parts;
	my $subtotal = 0;

	foreach my $line (@{ $budget->{lines} })
	{
		my $whole = $line->{unit} * $line->{quantity};

		push @parts, $whole - (
			defined $line->{percent} ? percent_of($whole, $line->{percent})
			: defined $line->{amount} ? least($line->{amount}, $whole) : 0);
		$subtotal += $parts[-1];
	}
	my $discount = defined $budget->{percent} ? percent_of($subtotal, $budget->{percent})
	  : defined $budget->{amount} ? least($budget->{amount}, $subtotal) : 0;
	my @shares = @parts ? split_amount($discount, @parts) : ();

	$budget->{lines}[$_]{net} = $parts[$_] - $shares[$_] foreach 0 .. $#parts;
	($budget->{subtotal}, $budget->{total}) = ($subtotal, $subtotal - $discount);
}

# place_of - where an item stands in its plan; behind all for none.
sub place_of
{
	my ($plan, $item) = @_;

	return 1_000_000 unless defined $item;
	my ($place) = grep { $plan->{items}[$_] == $item } 0 .. $#{ $plan->{items} };
	return $place // 1_000_000;
}

# follow - makes a draft quote what is pending, in the plan's order.
sub follow
{
	my ($plan, $budget) = @_;
	my %quoted = map { $_->{item} => 1 } grep { $_->{item} } @{ $budget->{lines} };

	@{ $budget->{lines} } =
	  grep { !$_->{item} || $_->{item}{status} eq 'pending' } @{ $budget->{lines} };
	push @{ $budget->{lines} },
	  map { { item => $_, unit => $_->{price}, quantity => 1 } }
	  grep { !$quoted{$_} } pending($plan->{items});
	my $n = 0;
	my %order = map { $_ => $n++ } @{ $budget->{lines} };

	@{ $budget->{lines} } = sort { place_of($plan, $a->{item}) <=> place_of($plan, $b->{item})
		  || $order{$a} <=> $order{$b} } @{ $budget->{lines} };
	reckon($budget);
}

# requote - a line takes its item's price.
sub requote
{
	my ($plan, @items) = @_;
	my $budget = live($plan);

	foreach my $item (@items)
	{
		foreach my $line (grep { $_->{item} && $_->{item} == $item } @{ $budget->{lines} })
		{
			$line->{unit} = $item->{price};
			$line->{amount} = least($line->{amount}, $item->{price} * $line->{quantity})
			  if defined $line->{amount};
		}
	}
	reckon($budget);
}

# cancel_live - what closing, completing or going back does to the budget.
sub cancel_live
{
	my ($plan, @statuses) = @_;
	my $live = live($plan);

	$live->{status} = 'cancelled' if $live && grep { $_ eq $live->{status} } @statuses;
}

# advance - what the engine does by itself.
sub advance
{
	my ($plan) = @_;
	my $live = live($plan);
	my $accepted = $live && $live->{status} eq 'accepted';
	my @items = @{ $plan->{items} };

	if ($plan->{status} eq 'pending' && $accepted
		|| $plan->{status} eq 'closed' && $accepted && $plan->{reason} eq 'rejected'
		&& is_revision($plan, $live))
	{
		@$plan{qw(status reason)} = ('active', '');
	}
	if ($plan->{status} eq 'active' && !pending(\@items)
		&& grep { $_->{status} eq 'completed' } @items)
	{
		$plan->{status} = 'completed';
		cancel_live($plan, qw(draft sent));
	}
}

# reprice - an item's new price, over what is pending.
sub reprice
{
	my ($plan, $item, $price) = @_;
	my $left = $price;
	my @open = pending($item->{sessions});

	$left -= $_->{amount}
	  foreach grep { $_->{status} eq 'completed' && !$_->{voided} } @{ $item->{sessions} };
	return 'TX009' if $left < 0;
	my @parts = split_amount($left, map { $_->{amount} } @open);

	$open[$_]{amount} = $parts[$_] foreach 0 .. $#open;
	$item->{price} = $price;
	return '';
}

# end_item - what the last session means for its item, the budget and the plan.
sub end_item
{
	my ($plan, $item) = @_;

	return if pending($item->{sessions});
	$item->{status} =
	  (grep { $_->{status} eq 'completed' } @{ $item->{sessions} }) ? 'completed' : 'cancelled';
	if (has_draft($plan))
	{
		my $live = live($plan);

		@{ $live->{lines} } = grep { !$_->{item} || $_->{item} != $item } @{ $live->{lines} };
		reckon($live);
	}
	advance($plan);
}

# --------------------------------------------------------------- what is done

sub add_item
{
	my ($plan, $item) = @_;

	return 'TX002' unless editable($plan);
	return 'TX003' if locked($plan);
	$item->{status} = 'pending';
	$_->{status} = 'pending' foreach @{ $item->{sessions} };
	push @{ $plan->{items} }, $item;
	follow($plan, live($plan)) if has_draft($plan);
	return '';
}

sub remove_item
{
	my ($plan, $item) = @_;

	return 'TX004' if $item->{status} ne 'pending';
	return 'TX004' if grep { $_->{status} eq 'completed' } @{ $item->{sessions} };
	return 'TX002' unless editable($plan);
	return 'TX003' if locked($plan);
	@{ $plan->{items} } = grep { $_ != $item } @{ $plan->{items} };
	foreach my $budget (@{ $plan->{budgets} })
	{
		if ($budget->{status} eq 'draft')
		{
			@{ $budget->{lines} } = grep { !$_->{item} || $_->{item} != $item } @{ $budget->{lines} };
			reckon($budget);
		}
		else
		{
			@$_{qw(item removed)} = (undef, 1)
			  foreach grep { $_->{item} && $_->{item} == $item } @{ $budget->{lines} };
		}
	}
	advance($plan);
	return '';
}

sub reorder_items
{
	my ($plan, @order) = @_;

	return 'TX002' unless editable($plan);
	return 'TX003' if locked($plan);
	@{ $plan->{items} } = @{ $plan->{items} }[@order];
	follow($plan, live($plan)) if has_draft($plan);
	return '';
}

sub set_price
{
	my ($plan, $item, $price) = @_;

	return '' if $price == $item->{price};
	return 'TX004' if $item->{status} ne 'pending';
	return 'TX002' unless editable($plan);
	return 'TX003' if locked($plan);
	my $refused = reprice($plan, $item, $price);

	requote($plan, $item) if !$refused && has_draft($plan);
	return $refused;
}

sub add_session
{
	my ($plan, $item, $session) = @_;

	return 'TX004' if $item->{status} ne 'pending';
	return 'TX002' unless editable($plan);
	return 'TX003' if locked($plan);
	$session->{status} = 'pending';
	push @{ $item->{sessions} }, $session;
	$item->{price} += $session->{amount};
	requote($plan, $item) if has_draft($plan);
	return '';
}

# end_sessions - completes or cancels sessions of an item that are pending.
sub end_sessions
{
	my ($plan, $item, $status, @sessions) = @_;

	return 'TX002' if $plan->{status} ne 'active';
	foreach my $session (@sessions)
	{
		$session->{status} = $status;
		push @{ $plan->{entries} },
		  { item => $item, session => $session, amount => $session->{amount} }
		  if $status eq 'completed';
	}
	end_item($plan, $item);
	return '';
}

sub end_session
{
	my ($plan, $item, $session, $status, $by_update) = @_;

	return '' if $by_update && $session->{status} eq $status;
	return 'TX004' if $session->{status} ne 'pending';
	return end_sessions($plan, $item, $status, $session);
}

sub complete_item
{
	my ($plan, $item) = @_;

	return 'TX004' if $item->{status} ne 'pending';
	return end_sessions($plan, $item, 'completed', pending($item->{sessions}));
}

sub void_earned
{
	my ($plan, $entry) = @_;

	return 'TX004' if $entry->{void} || $entry->{session}{voided};
	$entry->{session}{voided} = 1;
	push @{ $plan->{entries} }, { %$entry, amount => -$entry->{amount}, void => 1 };
	return '';
}

my %ways = (
	confirm => { draft => 'pending' },
	reopen => { pending => 'draft' },
	accept => { pending => 'active' },
	close => { map { $_ => 'closed' } qw(draft pending active) },
	reactivate => { closed => 'draft' });

sub move
{
	my ($plan, $action, $reason) = @_;
	my $to = $ways{$action}{ $plan->{status} } or return 'TX001';
	my $live = live($plan);

	return 'TX002'
	  if $action eq 'confirm' && !grep { $_->{status} ne 'cancelled' } @{ $plan->{items} };
	return 'TX002' if $action eq 'accept' && $live && $live->{status} =~ /draft|sent/;
	@$plan{qw(status reason)} = ($to, $action eq 'close' ? $reason : '');
	cancel_live($plan, qw(draft sent accepted)) if $to eq 'closed';
	cancel_live($plan, 'sent') if $to eq 'draft';
	advance($plan);
	return '';
}

sub generate
{
	my ($plan, $budget) = @_;

	return 'TX002' if final($plan) || live($plan) || !pending($plan->{items});
	%$budget = (%$budget, status => 'draft', version => 1, number => 1 + @{ $plan->{budgets} }, lines => []);
	push @{ $plan->{budgets} }, $budget;
	follow($plan, $budget);
	return '';
}

sub not_draft
{
	my ($budget) = @_;

	return $budget->{status} eq 'draft' ? '' : $budget->{status} =~ /sent|accepted/ ? 'TX003' : 'TX004';
}

# discount - on a line or on the whole: a percentage, an amount, or none.
sub discount
{
	my ($budget, $what, $percent, $amount) = @_;
	my $same = sub { return ($_[0] // 'none') eq ($_[1] // 'none') };

	return '' if $same->($what->{percent}, $percent) && $same->($what->{amount}, $amount);
	return not_draft($budget) if not_draft($budget);
	my $most = $what == $budget ? $budget->{subtotal} : $what->{unit} * $what->{quantity};

	return 'TX009' if defined $amount && $amount > $most && ($what != $budget || $most > 0);
	@$what{qw(percent amount)} = ($percent, $amount);
	reckon($budget);
	return '';
}

sub sync_budget
{
	my ($plan) = @_;
	my $live = live($plan) or return 'TX002';

	return 'TX003' if locked($plan);
	requote($plan, @{ $plan->{items} });
	follow($plan, $live);
	return '';
}

sub decide
{
	my ($plan, $budget, $to, $by_update) = @_;
	my $from = $budget->{status};

	return '' if $by_update && $from eq $to;
	return 'TX004' if $from eq $to || $from =~ /rejected|expired|cancelled/;
	return 'TX004' if $from eq 'accepted' && $to ne 'cancelled';
	if ($to =~ /sent|accepted/)
	{
		return 'TX002' unless open_for($plan, is_revision($plan, $budget));
		return 'TX002' unless @{ $budget->{lines} };
		return 'TX009' if defined $budget->{amount} && $budget->{amount} > $budget->{subtotal};
	}
	return 'TX004' if $from eq 'accepted' && final($plan);
	if ($to eq 'accepted')
	{
		my @quoted = grep { $_->{item} } @{ $budget->{lines} };

		foreach my $line (@quoted)
		{
			return 'TX009' if $line->{net} < earned($plan, $line->{item});
		}
		foreach my $line (grep { $_->{item}{status} eq 'pending' && $_->{net} != $_->{item}{price} } @quoted)
		{
			my $refused = reprice($plan, $line->{item}, $line->{net});

			return $refused if $refused;
		}
	}
	$budget->{status} = $to;
	$budget->{was_sent} = 1 if $to eq 'sent';
	@$plan{qw(status reason)} = ('closed', 'rejected')
	  if $to eq 'rejected' && $plan->{status} eq 'pending';
	$plan->{status} = 'draft' if $to eq 'cancelled' && $plan->{status} eq 'pending';
	advance($plan);
	return '';
}

sub resend
{
	my ($plan, $before, $budget) = @_;

	return 'TX004' if $before->{status} eq 'cancelled';
	return 'TX001' if $before->{status} =~ /draft|accepted/;
	return 'TX002'
	  unless open_for($plan, $before->{status} eq 'rejected' || is_revision($plan, $before));
	return 'TX002' if $before->{status} ne 'sent' && live($plan);
	return '23505' if grep { $_->{number} == $before->{number} && $_->{version} > $before->{version} }
		@{ $plan->{budgets} };
	$before->{status} = 'cancelled' if $before->{status} eq 'sent';
	%$budget = (
		%$budget,
		status => 'draft', version => $before->{version} + 1, number => $before->{number},
		percent => $before->{percent}, amount => $before->{amount},
		lines => [ map { { %$_ } } grep { !$_->{removed} } @{ $before->{lines} } ]);
	push @{ $plan->{budgets} }, $budget;
	follow($plan, $budget);
	requote($plan, @{ $plan->{items} });
	return '';
}

# expire - so many days pass: all that is undecided expires, and pending plans whose
# budget had been sent are closed.  Of all plans.
sub expire
{
	my ($self) = @_;

	foreach my $plan (@{ $self->{plans} })
	{
		my $live = live($plan);

		$live->{status} = 'expired' if $live && $live->{status} =~ /draft|sent/;
		my $last = $plan->{budgets}[-1];

		@$plan{qw(status reason)} = ('closed', 'expired')
		  if $plan->{status} eq 'pending' && $last && $last->{status} eq 'expired' && $last->{was_sent};
	}
	return '';
}

# picture - a plan in words, as Desk::query() has it.
sub picture
{
	my ($plan) = @_;
	my $money = sub { return sprintf '%d.%02d', int($_[0] / 100), $_[0] % 100 };
	my $last = $plan->{budgets}[-1];
	my $earned = 0;

	$earned += $_->{amount} foreach @{ $plan->{entries} };
	return join "\n",
	  join(' ', $plan->{status}, $plan->{reason} || '-', $last ? $last->{status} : '-',
		scalar @{ $plan->{items} },
		scalar(grep { $_->{status} eq 'completed' } @{ $plan->{items} }), $money->($earned)),
	  (
		map {
			join ' ', 'item', $money->($_->{price}), $_->{status},
			  map { $money->($_->{amount}) . '/' . $_->{status} } @{ $_->{sessions} }
		} @{ $plan->{items} }),
	  (
		map {
			join ' ', 'budget', $_->{status}, 'v' . $_->{version}, $money->($_->{subtotal}),
			  $money->($_->{total}), map { $money->($_->{net}) } @{ $_->{lines} }
		} sort { $a->{number} <=> $b->{number} || $a->{version} <=> $b->{version} } @{ $plan->{budgets} });
}

# query - the same from the rows of the server.
sub query
{
	my ($id) = @_;

	return qq{
	SELECT concat_ws(E'\\n',
		concat_ws(' ', p.status, coalesce(p.closure_reason, '-'), coalesce(p.budget_status, '-'),
			p.items_total, p.items_completed, coalesce((SELECT sum(e.amount)
				FROM txplan.earned_entries AS e WHERE e.plan_id = p.id), 0.00)),
		(SELECT string_agg(concat_ws(' ', 'item', i.price, i.status, (
				SELECT string_agg(s.amount || '/' || s.status, ' ' ORDER BY s.sequence)
				FROM txplan.sessions AS s WHERE s.item_id = i.id)), E'\\n' ORDER BY i.position)
			FROM txplan.items AS i WHERE i.plan_id = p.id),
		(SELECT string_agg(concat_ws(' ', 'budget', b.status, 'v' || b.version, b.subtotal, b.total, (
				SELECT string_agg(l.net_amount::text, ' ' ORDER BY l.position)
				FROM txplan.budget_lines AS l WHERE l.budget_id = b.id)), E'\\n' ORDER BY b.number, b.version)
			FROM txplan.budgets AS b WHERE b.plan_id = p.id))
	FROM txplan.plans AS p WHERE p.id = '$id'};
}

1;
