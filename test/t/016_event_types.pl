# docs/events.md says what the server publishes: its tables are the schemas of
# event_types(), its examples are events that are published here.  And events that
# do not fit their schemas are found.

use strict;
use warnings FATAL => 'all';

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;

# Each event that the page has an example of, once at least.
my $story = <<'EOT';
SET txplan.actor = 'Inés Vidal';
SELECT count(*) FROM txplan.maintain();
SELECT txplan.create_clinic('Clínica Sol', 'Europe/Madrid') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Inés Vidal') AS ines \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ben Roth') AS ben \gset
SELECT txplan.create_patient(:'clinic', 'Ada', 'Moreau') AS patient \gset
SELECT txplan.create_catalog_item(:'clinic', 'CROWN', 'Zirconia crown', 500, 'prosthetics',
	'[{"label": "Preparation", "price": "200.00"}, {"label": "Cementation", "price": "300.00"}]') AS crown \gset
SELECT txplan.create_catalog_item(:'clinic', 'FILLING', 'Composite filling', 80, 'restorative') AS filling \gset
SELECT txplan.create_plan(:'clinic', :'patient', :'ines', 'Crown on 26') AS plan \gset
SELECT txplan.add_item(:'plan', :'crown', tooth => 26, treatment_ref => 'odontogram:26:crown') AS item \gset
SELECT txplan.add_item(:'plan', :'filling', tooth => 36, surfaces => 'MO') AS item_36 \gset
SELECT txplan.add_item(:'plan', :'filling', tooth => 37, surfaces => 'O') AS item_37 \gset
UPDATE txplan.plans SET title = 'Crown and fillings' WHERE id = :'plan';
SELECT txplan.reorder_items(:'plan', ARRAY[:'item_36', :'item', :'item_37']::uuid[]);
SELECT txplan.remove_item(:'item_37');
SELECT txplan.assign_professional(:'item_36', :'ben');
SELECT txplan.change_professional(:'plan', :'ben', true);
SELECT txplan.add_session(:'item_36', 'Polish', 15);
SELECT txplan.confirm_plan(:'plan');
SELECT txplan.close_plan(:'plan', 'expired', 'No answer for 30 days');
SELECT txplan.reactivate_plan(:'plan');
SELECT txplan.confirm_plan(:'plan');
SELECT txplan.accept_plan(:'plan');
SELECT txplan.cancel_session(id) FROM txplan.sessions WHERE item_id = :'item_36' ORDER BY sequence;
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE item_id = :'item' ORDER BY sequence;
SELECT txplan.create_plan(:'clinic', :'patient') AS draft \gset
DELETE FROM txplan.plans WHERE id = :'draft';
INSERT INTO txplan.workflows (name, label) VALUES ('recall', 'Recall');
INSERT INTO txplan.workflow_states (workflow, state, kind, items_editable, treatable)
VALUES ('recall', 'due', 'initial', true, false), ('recall', 'invited', 'final', false, false);
INSERT INTO txplan.workflow_transitions (workflow, action, from_state, to_state, event)
VALUES ('recall', 'invite', 'due', 'invited', 'recall.invited');
SELECT txplan.create_plan(:'clinic', :'patient', NULL, 'Recall', 'recall') AS recall \gset
SELECT txplan.transition_plan(:'recall', 'invite', NULL, 'By letter');
SELECT txplan.log_contact(:'recall', 'call', 'accepted', 'Comes in November', '2031-11-03 09:00+01', contacted_at => '2024-10-01 10:00+02');
SELECT txplan.create_plan(:'clinic', :'patient', :'ines', 'Crown on 16') AS quoted \gset
SELECT txplan.add_item(:'quoted', :'crown', tooth => 16) AS item_16 \gset
SELECT txplan.confirm_plan(:'quoted');
SELECT txplan.generate_budget(:'quoted') AS budget \gset
UPDATE txplan.budgets SET discount_percent = 5 WHERE id = :'budget';
SELECT txplan.sync_budget(:'quoted');
SELECT txplan.send_budget(:'budget');
SELECT txplan.resend_budget(:'budget') AS second \gset
UPDATE txplan.budget_lines SET discount_amount = 50 WHERE budget_id = :'second';
SELECT txplan.accept_budget(:'second');
SELECT txplan.cancel_budget(:'second', 'Another clinic');
SELECT txplan.create_plan(:'clinic', :'patient') AS declined \gset
SELECT txplan.add_item(:'declined', :'filling') AS item_of_declined \gset
SELECT txplan.generate_budget(:'declined') AS budget \gset
SELECT txplan.reject_budget(:'budget', 'Too expensive');
SELECT txplan.generate_budget(:'declined') AS budget \gset
SELECT count(*) FROM txplan.maintain(now() + interval '40 days');
EOT

my $node = new_server('main', init => { allows_streaming => 'logical' });
my $json = JSON::PP->new->utf8->canonical->allow_nonref;

make_record($node, 'record');
$node->safe_psql('record',
	q{SELECT pg_create_logical_replication_slot('seen', 'test_decoding')});
$node->safe_psql('record', $story);

my %schemas = map {
	my $row = $json->decode($_);
	($row->{type} => $row)
} split /\n/, $node->safe_psql('record',
	'SELECT to_json(e) FROM txplan.event_types() AS e');
my @published = map { $json->decode($_) } split /\n/, $node->safe_psql('record',
	'SELECT to_json(e) FROM txplan.events AS e ORDER BY e.id');

# The page, by its headings.
my %sections;
my $heading = '';

foreach my $line (split /\n/, slurp_file("$FindBin::Bin/../../docs/events.md"))
{
	$heading = $1 if $line =~ /^##+ (.*)/;
	$sections{$heading} .= "$line\n";
}

# A workflow's own event stands for all of them.
$sections{'recall.invited'} = delete $sections{'Events of a workflow of your own'};

# rows - the rows of a section's table whose first column is a key: key, kind and
# meaning, without the marks of code.
sub rows
{
	my ($section) = @_;

	return map { tr/`//dr } $section =~ /^\| (`[^|]*` \| [^|]* \| [^|]*) \|$/mg;
}

# kind - how the page calls the kind of a value.
sub kind
{
	my ($schema, $required) = @_;
	my @types = ref $schema->{type} ? @{ $schema->{type} } : $schema->{type};
	my $kind =
	    ($schema->{format} // '') eq 'uuid' ? 'id'
	  : ($schema->{format} // '') eq 'date-time' ? 'time'
	  : ($schema->{format} // '') eq 'date' ? 'day'
	  : $types[0] eq 'array' ? 'list of ' . kind($schema->{items}, 1) . 's'
	  : $types[0] eq 'integer' ? 'number'
	  : $types[0] ne 'string' ? $types[0]
	  : ($schema->{pattern} // '') =~ /\{2\}/ ? 'amount'
	  : defined $schema->{pattern} ? 'digits'
	  : 'text';

	return
	    $kind
	  . (@types > 1 ? " or $types[1]" : '')
	  . ($required ? '' : ' or missing');
}

# keys_of - what the table of a schema should be.
sub keys_of
{
	my ($schema, $prefix) = @_;
	my %required = map { $_ => 1 } @{ $schema->{required} };
	my @rows;

	foreach my $key (sort keys %{ $schema->{properties} })
	{
		my $value = $schema->{properties}{$key};

		push @rows,
		  join ' | ', "$prefix$key", kind($value, $required{$key}), $value->{description};
		push @rows, keys_of($value->{items}, "$prefix$key\[].")
		  if ref $value->{items} && $value->{items}{properties};
	}
	return @rows;
}

# masked - JSON with names for ids, in the order in which they come, and without
# what differs from run to run.
sub masked
{
	my ($value, $ids) = @_;
	my $text = $json->encode($value);

	$text =~ s{"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"}
		{'"<id ' . ($ids->{$1} //= 1 + keys %$ids) . '>"'}ge;
	$text =~ s/"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"/"<time>"/g;
	$text =~ s/"\d{4}-\d\d-\d\d"/"<day>"/g;
	$text =~ s/"(PLAN|BUDGET)-\d{4}-/"$1-<year>-/g;
	return $text;
}

# What all events say is on the page once.
my %common = map { $_ => 1 } rows($sections{Payload});
my (%ids_here, %ids_there);

cmp_ok(scalar keys %common, '==', 7, 'what all events say is on the page');
is( join(' ', sort grep { /^\w+\.\w+$/ } keys %sections),
	join(' ', sort keys %schemas),
	'each type is on the page, and no other');
foreach my $type (sort { ($sections{$a} =~ /"event_id": "(\d+)"/)[0] <=>
		($sections{$b} =~ /"event_id": "(\d+)"/)[0] } grep { /^\w+\.\w+$/ } keys %sections)
{
	my ($row, $section) = ($schemas{$type}, $sections{$type});
	my @wanted = keys_of($row->{schema}, '');
	my ($text) = $section =~ /^#.*?\n\n(.*?)\n\n/s;
	my ($example) = $section =~ /^```json\n(.*?)^```$/ms;
	my $shown = $json->decode($example);
	my ($event) = grep { $_->{id} eq $shown->{event_id} } @published;

	is_deeply([ sort(rows($section), keys %common) ], [ sort @wanted ],
		"$type: the table is the schema's")
	  or diag(map { "| $_ |\n" } grep { !$common{$_} } @wanted);
	like($text =~ s/\s+/ /gr, qr/^\Q$row->{summary}\E\./, "$type: it begins with the summary")
	  unless $type eq 'recall.invited';
	is($event->{type}, $type, "$type: the example is one");
	is( masked($shown, \%ids_there), masked($event->{payload}, \%ids_here),
		"$type: the example is what is published")
	  or diag(JSON::PP->new->utf8->canonical->pretty->encode($event->{payload}));
}
is(scalar(grep { !$sections{ $_->{type} } } @published), 0,
	'nothing else was published');

# The schema that is shown as one.
my ($shown) = $sections{'The catalogue'} =~ /^```json\n(.*?)^```$/ms;

is_deeply($json->decode($shown), $schemas{'treatment_plan.accepted'}{schema},
	'the schema on the page is the one of event_types()');

# found - what validate_events says, behind its exit status.
sub found
{
	my (@options) = @_;

	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	my ($out, $err);

	IPC::Run::run(
		[ $ENV{PYTHON} || 'python3', "$FindBin::Bin/../validate_events", @options, 'record' ],
		'>', \$out, '2>', \$err);
	return ($? >> 8) . " $out$err";
}

# Events that do not fit are found: each of these is made of one that does.
is(found(), '0 record: ' . @published . " events, 0 do not fit\n",
	'all events fit');
is(found('--slot', 'seen'), found(), 'all that were committed fit');
foreach my $broken (
	[ 'created', q{payload - 'title'}, q{'title' is a required property} ],
	[ 'created', q{payload || '{"doctor": null}'}, q{'doctor' was unexpected} ],
	[ 'created', q{payload || '{"plan_number": null}'}, q{plan_number: None is not of type 'string'} ],
	[ 'created', q{payload || '{"professional_id": "Ben"}'}, q{professional_id: 'Ben' is not a 'uuid'} ],
	[ 'created', q{payload || jsonb_build_object('professional_id', upper(payload ->> 'plan_id'))}, q{is not a 'uuid'} ],
	[ 'created', q{payload || '{"occurred_at": "2026-02-30T10:00:00.000000Z"}'}, q{is not a 'date-time'} ],
	[ 'created', q{payload || '{"occurred_at": "2026-02-03T10:00:00.000000+01:00"}'}, q{does not match} ],
	[ 'created', q{payload || '{"occurred_at": "2026-02-03T10:00:00.000000Z"}'}, q{occurred_at is .* in the payload} ],
	[ 'created', q{payload || '{"actor": "Nobody"}'}, q{actor is 'Nobody' in the payload} ],
	[ 'created', q{payload || '{"event_id": "999"}'}, q{event_id is '999' in the payload} ],
	[ 'treatment_added', q{payload || '{"unit_price": 500.00}'}, q{unit_price: 500.0 is not of type 'string'} ],
	[ 'treatment_added', q{payload || '{"unit_price": "500.0"}'}, q{unit_price: '500.0' does not match} ],
	[ 'treatment_added', q{payload || '{"tooth": "26"}'}, q{tooth: '26' is not of type 'integer', 'null'} ],
	[ 'treatment_added', q{payload || '{"tooth": 9}'}, q{9 is less than the minimum of 11} ],
	[ 'confirmed', q{payload #- '{items,1,surfaces}'}, q{items: 1: 'surfaces' is a required property} ],
	[ 'confirmed', q{jsonb_set(payload, '{items,0,price}', '"1.00"')}, q{items: 0: .*'price' was unexpected} ],
	[ 'treatment_completed', q{payload || '{"completed_via": "magic"}'}, q{'magic' is not one of} ],
	[ 'updated', q{payload || '{"changed": []}'}, q{changed: \[\] (?:is too short|should be non-empty)} ],
	[ 'updated', q{payload || '{"changed": ["price"]}'}, q{is not valid under any of the given schemas} ],
	[ 'updated', q{payload || jsonb_build_object('session_id', plan_id)}, q{is not valid under any of the given schemas} ],
	[ 'updated', q{payload || '{"changed": ["title", "title"]}'}, q{has non-unique elements} ],
	[ 'accepted', q{'"accepted"'}, q{'accepted' is not of type 'object'} ],
	[ 'deleted', q{payload}, q{event_types\(\) does not know this type}, 'treatment_plan.gone' ],
	[ 'deleted', q{payload}, q{'action' is a required property}, 'recall.gone' ],
	[ 'deleted', q{payload}, q{event_types\(\) does not know this type}, 'budget.lost' ])
{
	my ($type, $payload, $fault, $other) = @$broken;

	$other ||= "treatment_plan.$type";
	$node->safe_psql(
		'record', qq{
		SET session_replication_role = replica;
		CREATE TABLE kept AS SELECT * FROM txplan.events
		WHERE type = 'treatment_plan.$type' ORDER BY id LIMIT 1;
		UPDATE txplan.events SET payload = $payload, type = '$other'
		WHERE id = (SELECT id FROM kept)});
	my $found = found();

	like($found, qr/^1 record: event \d+, \Q$other\E: .*$fault/, "$other, $fault: found");
	like($found, qr/, 1 do not fit$/m, "$other, $fault: in one event");
	$node->safe_psql(
		'record', q{
		SET session_replication_role = replica;
		UPDATE txplan.events AS e SET payload = k.payload, type = k.type
		FROM kept AS k WHERE e.id = k.id;
		DROP TABLE kept});
}

is(found(), '0 record: ' . @published . " events, 0 do not fit\n",
	'all events fit again');

# One that is gone is found by the slot.
$node->safe_psql(
	'record', q{
	SET session_replication_role = replica;
	WITH odd AS (
		INSERT INTO txplan.events (id, clinic_id, plan_id, plan_version, type, actor, occurred_at, payload)
		SELECT 1000, clinic_id, plan_id, 1000, type, E'O''Neill:\n"\\x"', occurred_at, payload
		FROM txplan.events WHERE id = 1
		RETURNING id)
	TABLE odd;
	DELETE FROM txplan.events WHERE id = 1000});
is(found(), '0 record: ' . @published . " events, 0 do not fit\n",
	'one that is gone is not there');
like(
	found('--slot', 'seen'),
	qr/^1 record: event 1000, .*event_id is '1' in the payload and '1000' in the table$/m,
	'one that is gone was committed');

fits_together($node, 'record', 'after all');
log_is_clean($node);
done_testing();
