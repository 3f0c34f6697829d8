# Whatever a function or a table is given, it answers with an error that says what
# is wrong and what to do, and the record stays byte for byte as it was.
#
# Each case runs twice: in a block of its own in one long transaction of one
# backend, and as a statement of its own.  Either must end as the case says, with
# '' for one that must succeed; that is rolled back.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Record;
use Test::More;

# A crash is a failure of one test, not of all that follow.
my $node = new_server('main', settings => 'restart_after_crash = on');

make_record($node, 'record');

# Clinic a has everything in every state, clinic b a plan that is not a's.
$node->safe_psql(
	'record', q{
	CREATE TABLE ids (name text PRIMARY KEY, id uuid);
	CREATE FUNCTION id(wanted text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
	BEGIN
		RETURN (SELECT i.id FROM public.ids AS i WHERE i.name = wanted);
	END $$;
	CREATE FUNCTION keep(wanted text, value uuid) RETURNS void LANGUAGE sql
	AS $$ INSERT INTO public.ids VALUES (wanted, value) $$;

	SELECT keep('a', txplan.create_clinic('Clinic A', 'Europe/Madrid', 'clinic-a'));
	SELECT keep('b', txplan.create_clinic('Clinic B', 'Europe/Madrid'));
	SELECT keep('patient', txplan.create_patient(id('a'), 'Ana', 'Ruiz', NULL, NULL, NULL, 'p-1'));
	SELECT keep('archived', txplan.create_patient(id('a'), 'Old', 'Ruiz'));
	UPDATE txplan.patients SET archived_at = now() WHERE id = id('archived');
	SELECT keep('b_patient', txplan.create_patient(id('b'), 'Bea', 'Ruiz'));
	SELECT keep('doctor', txplan.create_professional(id('a'), 'Dr. A', NULL, 'd-1'));
	SELECT keep('other_doctor', txplan.create_professional(id('a'), 'Dr. O'));
	SELECT keep('inactive', txplan.create_professional(id('a'), 'Dr. I'));
	UPDATE txplan.professionals SET active = false WHERE id = id('inactive');
	SELECT keep('b_doctor', txplan.create_professional(id('b'), 'Dr. B'));
	SELECT keep('crown', txplan.create_catalog_item(id('a'), 'CROWN', 'Crown', 100, 'crown',
		'[{"label": "one", "price": "33.33"}, {"label": "two", "price": 66.67}]'));
	SELECT keep('retired', txplan.create_catalog_item(id('a'), 'OLD', 'Old', 1));
	UPDATE txplan.catalog_items SET active = false WHERE id = id('retired');
	SELECT keep('b_crown', txplan.create_catalog_item(id('b'), 'CROWN', 'Crown', 100));

	DO $$
	DECLARE
		the_state text;
		the_plan uuid;
		the_item uuid;
	BEGIN
		FOREACH the_state IN ARRAY ARRAY['draft', 'pending', 'active', 'completed', 'closed', 'b']
		LOOP
			the_plan := CASE the_state
				WHEN 'b' THEN txplan.create_plan(id('b'), id('b_patient'))
				ELSE txplan.create_plan(id('a'), id('patient'), id('doctor'), 'Plan ' || the_state) END;
			PERFORM keep(CASE the_state WHEN 'b' THEN 'b_plan' ELSE the_state END, the_plan);
			-- Two items that stay pending; of the first, what can be done in a state is tried.
			FOR i IN 1..2 LOOP
				the_item := txplan.add_item(the_plan, NULL, 'Item ' || i, 10, 36, 'MO',
					format('chart-%s-%s', the_state, i));
				PERFORM keep(format('%s_item_%s', the_state, i), the_item);
				PERFORM keep(format('%s_session_%s', the_state, i), s.id)
				FROM txplan.sessions AS s WHERE s.item_id = the_item;
			END LOOP;
			CONTINUE WHEN the_state IN ('draft', 'b');
			PERFORM txplan.confirm_plan(the_plan);
			CONTINUE WHEN the_state = 'pending';
			IF the_state = 'closed' THEN
				PERFORM txplan.close_plan(the_plan, 'rejected', 'too much');
				CONTINUE;
			END IF;
			PERFORM txplan.accept_plan(the_plan);
			IF the_state = 'completed' THEN
				PERFORM txplan.complete_item(i.id) FROM txplan.items AS i WHERE i.plan_id = the_plan;
				CONTINUE;
			END IF;
			-- Items that are completed, cancelled and partly done.
			the_item := txplan.add_item(the_plan, NULL, 'Done', 10);
			PERFORM keep('done_item', the_item);
			PERFORM keep('done_session', s.id) FROM txplan.sessions AS s WHERE s.item_id = the_item;
			PERFORM txplan.complete_item(the_item);
			the_item := txplan.add_item(the_plan, NULL, 'Cancelled', 10);
			PERFORM keep('cancelled_item', the_item);
			PERFORM keep('cancelled_session', s.id) FROM txplan.sessions AS s WHERE s.item_id = the_item;
			PERFORM txplan.cancel_session(id('cancelled_session'));
			the_item := txplan.add_item(the_plan, id('crown'));
			PERFORM keep('partly_item', the_item);
			PERFORM keep('partly_session', s.id) FROM txplan.sessions AS s
			WHERE s.item_id = the_item AND s.sequence = 1;
			PERFORM txplan.complete_session(id('partly_session'));
		END LOOP;
		PERFORM keep('empty', txplan.create_plan(id('a'), id('patient')));
	END
	$$;

	-- A plan whose budget is a draft, one whose budget is sent, and a budget that no
	-- plan has.
	DO $$
	DECLARE
		the_plan uuid;
	BEGIN
		FOR i IN 1..2 LOOP
			the_plan := txplan.create_plan(id('a'), id('patient'));
			PERFORM txplan.add_item(the_plan, NULL, 'Quoted', 100);
			PERFORM txplan.confirm_plan(the_plan);
			PERFORM keep((ARRAY['quoted', 'sent'])[i], the_plan);
			PERFORM keep((ARRAY['draft_budget', 'sent_budget'])[i], txplan.generate_budget(the_plan));
		END LOOP;
		PERFORM txplan.send_budget(id('sent_budget'));
		INSERT INTO txplan.budgets (clinic_id, patient_id, external_ref)
		VALUES (id('a'), id('patient'), 'loose'), (id('b'), id('b_patient'), 'b');
		PERFORM keep('loose', b.id) FROM txplan.budgets AS b WHERE b.external_ref = 'loose';
		PERFORM keep('b_budget', b.id) FROM txplan.budgets AS b WHERE b.external_ref = 'b';
	END
	$$;
	-- Contacts, one of them corrected; appointments; a recall, and one that is closed;
	-- what was earned, and what of it is void.
	SELECT keep('talked', txplan.create_plan(id('a'), id('patient')));
	SELECT keep('contact', txplan.log_contact(id('talked'), 'call', contacted_at => '2024-01-01'));
	SELECT keep('corrected', txplan.log_contact(id('talked'), 'call', contacted_at => '2024-01-02'));
	SELECT keep('correction', txplan.log_contact(id('talked'), 'sms', corrects_id => id('corrected'),
		contacted_at => '2024-01-02'));
	SELECT keep('other_contact', txplan.log_contact(id('pending'), 'call', contacted_at => '2024-01-01'));
	SELECT keep('b_contact', txplan.log_contact(id('b_plan'), 'call', contacted_at => '2024-01-01'));
	SELECT keep('recalled', txplan.create_plan(id('a'), id('patient')));
	INSERT INTO txplan.items (plan_id, clinic_id, description, price, category_key)
	SELECT id('recalled'), id('a'), 'Extraction', 10, 'surgery' FROM generate_series(1, 3);
	SELECT txplan.confirm_plan(id('recalled')), txplan.accept_plan(id('recalled'));
	SELECT txplan.complete_item(i.id) FROM txplan.items AS i WHERE i.plan_id = id('recalled') AND i.position < 3;
	SELECT keep(CASE i.position WHEN 1 THEN 'recall' ELSE 'closed_recall' END, r.id)
	FROM txplan.recall_suggestions AS r JOIN txplan.items AS i ON i.id = r.item_id;
	SELECT keep('b_patients_appointment', txplan.book_appointment(id('b_patient'), '2031-01-01 10:00', '2031-01-01 11:00'));
	SELECT keep('booked', txplan.book_appointment(id('patient'), '2031-01-01 10:00', '2031-01-01 11:00',
		session_id => id('active_session_1'), professional_id => id('doctor'), room => '1'));
	SELECT keep('of_none', txplan.book_appointment(id('patient'), '2031-01-01 12:00', '2031-01-01 13:00',
		recall_id => id('closed_recall'), room => '1'));
	SELECT keep(s || '_appointment', txplan.book_appointment(id('patient'), '2031-01-02 10:00', '2031-01-02 11:00'))
	FROM unnest(ARRAY['completed', 'cancelled', 'no_show']) AS s;
	SELECT txplan.complete_appointment(id('completed_appointment'));
	SELECT txplan.cancel_appointment(id('cancelled_appointment'));
	SELECT txplan.mark_no_show(id('no_show_appointment'));
	SELECT keep('entry', e.id) FROM txplan.earned_entries AS e WHERE e.session_id = id('done_session');
	SELECT keep('voided', e.id) FROM txplan.earned_entries AS e WHERE e.session_id = id('completed_session_1');
	SELECT keep('void', txplan.void_earned(id('voided'), 'mistake'));

	-- A consumer with an open batch and a dead letter; the session that made them
	-- has ended.
	SELECT txplan.create_consumer('reader', start => 'beginning', max_retries => 0);
	SELECT count(*) FROM txplan.next_events('reader', 10);
	SELECT txplan.retry_event('reader', event_ids[10], '0', 'no') FROM txplan.consumer_batches;
	UPDATE txplan.consumers SET max_retries = 5;

	-- The items of a plan as reorder_items wants them, and a text of N characters.
	CREATE FUNCTION items_of(wanted text) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
	BEGIN
		RETURN (SELECT array_agg(i.id ORDER BY i.position DESC)
			FROM txplan.items AS i WHERE i.plan_id = public.id(wanted));
	END $$;
	CREATE FUNCTION steps(count integer, price text, label text DEFAULT 'step') RETURNS jsonb
	LANGUAGE sql AS $$
		SELECT jsonb_agg(jsonb_build_object('label', label, 'price', price))
		FROM generate_series(1, count)
	$$;

	CREATE TABLE cases (number serial PRIMARY KEY, name text, wanted text, sql text);
	CREATE TABLE outcomes (number integer, name text, wanted text, sql text, state text,
		message text, detail text, hint text, constraint_name text);
	CREATE FUNCTION outcome(sql text, OUT state text, OUT message text, OUT detail text,
		OUT hint text, OUT constraint_name text)
	LANGUAGE plpgsql AS $$
	BEGIN
		RAISE LOG 'case %', left(sql, 200);
		EXECUTE sql;
		SET CONSTRAINTS ALL IMMEDIATE;
		RAISE EXCEPTION USING ERRCODE = 'ZZ000';
	EXCEPTION
		WHEN SQLSTATE 'ZZ000' THEN
			state := '';
		WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
				detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
				constraint_name = CONSTRAINT_NAME;
	END $$});

# The kinds of arguments, and what is wrong with a value of each: a name, the
# expression, and the SQLSTATE that must come of it.
my $ten_megabytes = q{repeat('x', 10 * 1024 * 1024)};
my %mixed_ids = (
	unknown => q{'0193a000-0000-7000-8000-000000000000'},
	zero => q{'00000000-0000-0000-0000-000000000000'},
	ones => q{'ffffffff-ffff-ffff-ffff-ffffffffffff'},
	'of something else' => q{id('crown')});

# texts - what a text of so many characters may and may not be; BLANK and LONG are
# the errors of one that is.
sub texts
{
	my ($length, $blank, $long) = @_;

	$long //= '22001';
	return [
		[ 'empty', q{''}, $blank ],
		[ 'blank', q{'    '}, $blank ],
		[ '10 MB', $ten_megabytes, $long ],
		[ '10 MB of four bytes each', q{repeat('𝕏', 2621440)}, $long ],
		[ 'one too long', "repeat('x', $length + 1)", $long ],
		[ 'one too long, four bytes each', "repeat('𝕏', $length + 1)", $long ],
		[ 'just as long, four bytes each', "repeat('𝕏', $length)", '' ],
		[ 'combining, too long', "repeat(U&'e\\0301', $length)", $long ],
		[ 'combining', q{U&'e\0301\0308\20DD'}, '' ],
		[ 'escapes', q{'\x00\0\u0000 \\\\ %s %n $1 {} '' " \.'}, '' ],
		[ 'control characters', q{E'\x01\x02\t\x7f'}, '' ],
		[ 'line breaks', q{E'a\r\nb'}, '' ],
		[ 'right to left', q{U&'\202E שלום العربية \202C'}, '' ],
		[ 'SQL', q{'''); DROP TABLE txplan.plans; --'}, '' ],
	];
}

# ids - what is wrong with an id of a row that must be there.
sub ids
{
	return [ map { [ $_, $mixed_ids{$_}, 'P0002' ] } sort keys %mixed_ids ];
}

my %kinds = (
	name => texts(200, '22023'),
	code => texts(60, '22023'),
	title => texts(500, '22023'),
	phone => texts(60, '22023'),
	email => texts(320, '22023'),
	note => texts(10000, ''),
	notes => texts(100000, ''),
	color => [
		[ 'empty', q{''}, '22023' ],
		[ 'a word', q{'red'}, '22023' ],
		[ 'no digit', q{'#12345g'}, '22023' ],
		[ '10 MB', $ten_megabytes, '22023' ],
		[ 'right to left', q{'שלום'}, '22023' ],
	],
	time_zone => [
		[ 'empty', q{''}, '22023' ],
		[ 'blank', q{'  '}, '22023' ],
		[ 'another planet', q{'Mars/Olympus_Mons'}, '22023' ],
		[ 'a path', q{'../../../../etc/passwd'}, '22023' ],
		[ '10 MB', $ten_megabytes, '22001' ],
		[ '200 characters', q{repeat('x', 200)}, '22023' ],
		[ 'right to left', q{'שלום'}, '22023' ],
	],
	clinic => ids(),
	plan => ids(),
	item => ids(),
	session => ids(),
	budget => ids(),
	linked_budget => [
		@{ ids() },
		[ 'of another clinic', q{id('b_budget')}, 'TX010' ],
		[ 'of another plan', q{id('draft_budget')}, 'TX002' ],
	],
	of_clinic => [ @{ ids() }, [ 'another', q{id('b')}, 'P0002' ] ],
	patient => [
		@{ ids() },
		[ 'of another clinic', q{id('b_patient')}, 'TX010' ],
		[ 'archived', q{id('archived')}, 'TX002' ],
	],
	own_patient => [
		@{ ids() },
		[ 'of another clinic', q{id('b_patient')}, 'P0002' ],
		[ 'archived', q{id('archived')}, 'TX002' ],
	],
	professional => [
		@{ ids() },
		[ 'of another clinic', q{id('b_doctor')}, 'TX010' ],
		[ 'inactive', q{id('inactive')}, 'TX002' ],
	],
	catalog => [
		( map { [ $_, $mixed_ids{$_}, 'P0002' ] }
			  grep { !/else/ } sort keys %mixed_ids),
		[ 'of something else', q{id('doctor')}, 'P0002' ],
		[ 'of another clinic', q{id('b_crown')}, 'TX010' ],
		[ 'retired', q{id('retired')}, 'TX002' ],
	],
	amount => [
		( map { [ $_, "'$_'::numeric", '22003' ] }
			  qw(-0.01 -1 NaN Infinity -Infinity 0.001 0.005 1e10 1e1000 -1e1000 1e-1000
			  9999999999.991 10000000000)),
		( map { [ $_, "'$_'::numeric", '' ] } qw(0 -0 0.0000 10.1 9999999999.99 1e9)),
	],
	tooth => [
		( map { [ $_, $_, '22023' ] }
			  qw(0 9 10 19 20 49 50 56 66 86 90 -11 -18 111 2147483647 -2147483648)),
		( map { [ $_, $_, '' ] } qw(16 48 85)),
	],
	surfaces => [
		( map { [ "<$_>", "'$_'", '22023' ] }
			  ('', ' ', 'mo', 'MM', 'I', 'F', 'P', 'M O', 'X', 'MODBLVX', 'שלום')),
		[ '10 MB', $ten_megabytes, '22023' ],
		[ 'all of a molar', q{'MODBLV'}, '' ],
	],
	date => [
		[ 'infinity', q{'infinity'}, '22008' ],
		[ '-infinity', q{'-infinity'}, '22008' ],
		[ 'before Christ', q{'0001-01-01 BC'}, '' ],
	],
	steps => [
		( map { [ $_, "'$_'", '22023' ] } (
				'{}', '[]', '"x"', '1', 'null', '[1]', '[null]', '[[]]', '[{}]',
				'[{"price": null}]', '[{"price": true}]', '[{"price": {}}]',
				'[{"price": []}]', '[{"label": 1, "price": 100}]',
				'[{"label": {}, "price": 100}]',
				'[{"label": ["x"], "price": 100}]', '[{"label": "no price"}]',
				'{"price": 100}', '[{"Price": 100}]', '[[{"price": 100}]]')),
		( map { [ $_, qq{'[{"price": "$_"}]'}, '22P02' ] } ('', 'abc', '1,5', '100 €', '0x')),
		( map { [ $_, qq{'[{"price": "$_"}]'}, '22003' ] }
			  qw(NaN Infinity -Infinity -1 0.001 1e10 1e1000 1e200000)),
		( map { [ "number $_", qq{'[{"price": $_}]'}, '22003' ] } qw(-1 0.001 1e10 1e1000)),
		( map { [ $_, "'$_'", 'TX009' ] } (
				'[{"price": 99.99}]', '[{"price": 100}, {"price": 0.01}]',
				'[{"price": 9999999999.99}, {"price": 9999999999.99}]')),
		[ '10,000 steps', q{steps(10000, '0.01')}, '22023' ],
		[ '501 steps', q{steps(501, '0.20')}, '22023' ],
		[ '500 steps', q{steps(500, '0.20')}, '' ],
		[ 'empty label', q{steps(1, '100', '')}, '2(2023|3514)' ],
		[ 'label too long', q{steps(1, '100', repeat('x', 201))}, '2(2001|3514)' ],
		[ 'label of 10 MB', qq{steps(1, '100', $ten_megabytes)}, '2(2001|3514)' ],
		[ 'deep', q{(repeat('[', 1000) || repeat(']', 1000))::jsonb}, '22023' ],
		[ 'a key twice', q{'[{"price": 1, "price": "100.00", "more": [1]}]'}, '' ],
	],
	order => [
		[ 'empty', q{'{}'}, '22023' ],
		[ 'a NULL', q{ARRAY[NULL]::uuid[]}, '22004' ],
		[ 'a NULL among the ids', q{items_of('draft') || NULL::uuid}, '22004' ],
		[ 'two dimensions', q{ARRAY[items_of('draft'), items_of('draft')]}, '2202E' ],
		[ 'two dimensions, empty', q{ARRAY[ARRAY[]::uuid[]]}, '22(023|02E)' ],
		[ 'one missing', q{(items_of('draft'))[1:1]}, '22023' ],
		[ 'one twice', q{items_of('draft') || items_of('draft')}, '22023' ],
		[ 'those of another plan', q{items_of('pending')}, '22023' ],
		[ 'one of another clinic', q{items_of('draft') || id('b_item_1')}, '22023' ],
		[ '10,000 unknown', q{(SELECT array_agg(txplan.new_id()) FROM generate_series(1, 10000))}, '22023' ],
		[ '10,000 times the same', q{array_fill(id('draft_item_1'), ARRAY[10000])}, '22023' ],
		[ 'counted from -5', q{array_fill(id('draft_item_1'), ARRAY[1], ARRAY[-5]) || id('draft_item_2')}, '' ],
	],
	weights => [
		[ 'empty', q{'{}'}, '22023' ],
		[ 'a NULL', q{ARRAY[1, NULL]}, '22004' ],
		[ 'two dimensions', q{'{{1,2},{3,4}}'}, '2202E' ],
		[ '501', q{array_fill(1::numeric, ARRAY[501])}, '22023' ],
		[ '10,000', q{array_fill(1::numeric, ARRAY[10000])}, '22023' ],
		( map { [ $_, "ARRAY['$_'::numeric]", '22003' ] } qw(-1 NaN Infinity -Infinity 1e10 1e1000)),
		[ 'all zero', q{'{0,0,0}'}, '' ],
		[ 'as large as can be', q{array_fill(9999999999.99, ARRAY[500])}, '' ],
	],
	version => [ map { [ $_, $_, 'TX006' ] } qw(0 -1 999 9223372036854775807 -9223372036854775808) ],
	action => [
		( map { [ $_, "'$_'", 'TX001' ] } ('', ' ', 'fly', 'CONFIRM', 'complete', 'accept', 'שלום')),
		[ '10 MB', $ten_megabytes, 'TX001' ],
	],
	reason => [
		[ 'NULL', 'NULL', 'TX005' ],
		( map { [ $_, "'$_'", 'TX005' ] } ('', ' ', 'bored', 'REJECTED', 'שלום')),
		[ '10 MB', $ten_megabytes, 'TX005' ],
	],
	no_reason => [
		[ 'one', q{'rejected'}, 'TX005' ],
		[ '10 MB', $ten_megabytes, 'TX005' ],
	],
	channel => [
		( map { [ "<$_>", "'$_'", '22023' ] } ('', ' ', 'CALL', 'pigeon', 'in person', 'שלום')),
		[ '10 MB', $ten_megabytes, '22023' ],
		( map { [ $_, "'$_'", '' ] } qw(call whatsapp sms email in_person other)),
	],
	corrects => [
		@{ ids() },
		[ 'corrected already', q{id('corrected')}, 'TX004' ],
		[ 'a correction', q{id('correction')}, '' ],
		[ 'of another plan', q{id('other_contact')}, 'TX010' ],
		[ 'of another clinic', q{id('b_contact')}, 'TX010' ],
	],
	next_time => [
		( map { [ $_, "'$_'", '22008' ] } qw(infinity -infinity)),
		[ 'long ago', q{'2000-01-01'}, '' ],
		[ 'far ahead', q{'9999-12-31 23:59:59.999999'}, '' ],
	],
	past_time => [
		( map { [ $_, "'$_'", '22008' ] } qw(infinity -infinity)),
		[ 'in a minute', q{clock_timestamp() + interval '1 minute'}, '22008' ],
		[ 'far ahead', q{'9999-12-31'}, '22008' ],
		[ 'before Christ', q{'0044-03-15 BC'}, '' ],
	],
	starts => [
		( map { [ $_, "'$_'", '22008' ] } qw(infinity -infinity)),
		[ 'when it ends', q{'2031-02-01 11:00'}, '22023' ],
		[ 'after it ends', q{'2031-02-01 11:00:00.000001'}, '22023' ],
		[ 'just before it ends', q{'2031-02-01 10:59:59.999999'}, '' ],
		[ 'before Christ', q{'0044-03-15 BC'}, '(23P01)?' ],
	],
	ends => [
		( map { [ $_, "'$_'", '22008' ] } qw(infinity -infinity)),
		[ 'when it begins', q{'2031-02-01 10:00'}, '22023' ],
		[ 'before it begins', q{'2031-02-01 09:00'}, '22023' ],
		[ 'far ahead', q{'290000-01-01'}, '' ],
	],
	moved_to => [
		( map { [ $_, "'$_'", '22008' ] } qw(infinity -infinity)),
		[ 'at the end of time', q{'294276-12-31 23:59:59.999999'}, '22008' ],
		[ 'before Christ', q{'0044-03-15 BC'}, '' ],
	],
	booked_plan => [
		@{ ids() },
		[ 'of another clinic', q{id('b_plan')}, 'TX010' ],
		[ 'that is pending', q{id('pending')}, '' ],
		[ 'that is completed', q{id('completed')}, 'TX002' ],
		[ 'that is closed', q{id('closed')}, 'TX002' ],
	],
	booked_item => [
		@{ ids() },
		[ 'of another clinic', q{id('b_item_1')}, 'TX010' ],
		[ 'that is completed', q{id('done_item')}, 'TX004' ],
		[ 'that is cancelled', q{id('cancelled_item')}, 'TX004' ],
	],
	booked_session => [
		@{ ids() },
		[ 'of another clinic', q{id('b_session_1')}, 'TX010' ],
		[ 'that is completed', q{id('done_session')}, 'TX004' ],
		[ 'that is cancelled', q{id('cancelled_session')}, 'TX004' ],
		[ 'of a closed plan', q{id('closed_session_1')}, 'TX002' ],
	],
	recall => [
		@{ ids() },
		[ 'that is closed', q{id('closed_recall')}, 'TX004' ],
	],
	appointment => [
		@{ ids() },
		( map { [ "that is $_", "id('${_}_appointment')", 'TX004' ] } qw(completed cancelled no_show)),
	],
	entry => [
		@{ ids() },
		[ 'that is void', q{id('voided')}, 'TX004' ],
		[ 'that voids', q{id('void')}, 'TX004' ],
	],
	void_reason => [
		[ 'NULL', 'NULL', 'TX005' ],
		@{ texts(10000, 'TX005') },
	],
	workflow => [
		( map { [ "<$_>", "'$_'", 'P0002' ] } ('', ' ', 'Dental', 'veterinary', 'שלום')),
		[ '10 MB', $ten_megabytes, 'P0002' ],
	],
	picture => [
		( map { [ "<$_>", "'$_'", '22023' ] } ('', 'svg', 'MERMAID')),
		[ '10 MB', $ten_megabytes, '22023' ],
		[ 'dot', q{'dot'}, '' ],
	],
	flag => [],
	anything => [
		[ '10 MB', $ten_megabytes, '' ],
		[ 'right to left', q{'שלום'}, '' ],
	],
	new_consumer => [
		@{ texts(200, '22023') },
		[ 'taken', q{'reader'}, '42710' ],
	],
	consumer => [
		( map { [ "<$_>", "'$_'", 'P0002' ] } ('', ' ', 'READER', 'nobody', 'שלום')),
		[ '10 MB', $ten_megabytes, 'P0002' ],
		[ '10 MB of four bytes each', q{repeat('𝕏', 2621440)}, 'P0002' ],
	],
	types => [
		[ 'empty', q{'{}'}, '22023' ],
		[ 'a NULL', q{ARRAY[NULL]::text[]}, '22004' ],
		[ 'a NULL among them', q{'{treatment_plan.created,NULL}'}, '22004' ],
		[ 'that nobody publishes', q{'{treatment_plan.created,treatment_plan.flown}'}, '22023' ],
		[ 'an empty one', q{'{""}'}, '22023' ],
		[ 'one of 10 MB', "ARRAY[$ten_megabytes]", '22023' ],
		[ 'one twice', q{'{treatment_plan.created,treatment_plan.created}'}, '' ],
		[ 'two dimensions', q{'{{treatment_plan.created},{treatment_plan.closed}}'}, '2202E' ],
		[ '10,000', q{array_fill('treatment_plan.created'::text, ARRAY[10000])}, '' ],
	],
	start => [
		( map { [ "<$_>", "'$_'", '22023' ] } ('', ' ', 'NOW', 'then', 'שלום')),
		[ '10 MB', $ten_megabytes, '22023' ],
		[ 'the beginning', q{'beginning'}, '' ],
	],
	max_retries => [
		( map { [ $_, $_, '22023' ] } qw(-1 1001 2147483647 -2147483648)),
		( map { [ $_, $_, '' ] } qw(0 1000)),
	],
	max_events => [
		( map { [ $_, $_, '22023' ] } qw(-1 0 10001 2147483647 -2147483648)),
		( map { [ $_, $_, '' ] } qw(1 10000)),
	],
	batch => [
		map { [ $_, $_, 'P0002' ] }
		  qw(-1 0 9223372036854775807 -9223372036854775808) ],
	event => [
		map { [ $_, $_, 'P0002' ] }
		  qw(-1 0 9223372036854775807 -9223372036854775808) ],
	delay => [
		( map { [ $_, "'$_'::interval", '22023' ] }
			  ('-1 microsecond', '-1 year', '1 month -31 days', '1 day -25 hours',
			  '101 years', '178000000 years', '-178000000 years')),
		( map { [ $_, "'$_'::interval", '' ] } ('0', '-1 month 30 days', '100 years')),
	],
	any_id => [ map { [ $_, $mixed_ids{$_}, '' ] } sort keys %mixed_ids ],
	any_time => [ [ 'infinity', q{'infinity'}, '' ] ],
	tab => [
		( map { [ "<$_>", "'$_'", '22023' ] } ('', ' ', 'ALL', 'open', 'שלום')),
		[ '10 MB', $ten_megabytes, '22023' ],
		[ 'active', q{'active'}, '' ],
	],
	column => [
		( map { [ "<$_>", "'$_'", '22023' ] } ('', ' ', 'TO_QUOTE', 'all', 'שלום')),
		[ '10 MB', $ten_megabytes, '22023' ],
		[ 'ready_to_close', q{'ready_to_close'}, '' ],
	],
	search => [
		[ '10 MB', $ten_megabytes, '22001' ],
		[ '201 characters', q{repeat('é', 201)}, '22001' ],
		( map { [ "<$_>", "'$_'", '' ] } ('', ' ', '%', '_', '\\', '%_\\', 'שלום', "''")),
		[ '100 words', q{repeat('a ', 100)}, '' ],
		[ 'accents alone', q{repeat(chr(769), 200)}, '' ],
		[ 'a letter of 18', q{repeat(chr(65018), 200)}, '' ],
	],
	day => [
		( map { [ $_, "'$_'", '' ] } ('infinity', '-infinity', '0001-01-01 BC')),
		[ 'the first', q{'4714-11-24 BC'}, '22008' ],
		[ 'the last', q{'5874897-12-31'}, '22008' ],
	],
	page_size => [
		( map { [ $_, $_, '22023' ] } qw(0 -1 1001 2147483647 -2147483648)),
		( map { [ $_, $_, '' ] } qw(1 1000)),
	],
	cursor => [
		( map { [ "<$_>", "'$_'", '22023' ] } ('', ' ', 'x', '00', 'שלום', '%')),
		[ '10 MB', $ten_megabytes, '22023' ],
		[ 'zeros', q{repeat('0', 56)}, '22023' ],
		[ 'of another clinic', q{(SELECT cursor FROM txplan.inbox(id('b'), 'all') LIMIT 1)}, '22023' ],
		[ 'of another list', q{(SELECT cursor FROM txplan.inbox(id('a'), 'draft') LIMIT 1)}, '22023' ],
	],
	upkeep_time => [
		( map { [ $_, "'$_'", '22008' ] } qw(infinity -infinity)),
		[ 'before Christ', q{'0044-03-15 BC'}, '22008' ],
		[ 'far ahead', q{'290000-01-01'}, '22008' ],
	],
	archive_time => [
		( map { [ $_, "'$_'", '22008' ] } qw(infinity -infinity)),
		[ 'before Christ', q{'0044-03-15 BC'}, '' ],
		[ 'far ahead', q{'290000-01-01'}, '' ],
	],
	max_plans => [
		( map { [ $_, $_, '22023' ] } qw(0 -1 -2147483648)),
		[ 'as many as can be', '2147483647', '' ],
	],
);

# The functions: each argument's name, kind, a value that is good, and whether
# the function can do without it.
my $clinic = [ 'clinic_id', 'of_clinic', q{id('a')}, 'optional' ];
my %functions = (
	create_clinic => [
		[ 'name', 'name', q{'Clinic'} ],
		[ 'time_zone', 'time_zone', q{'UTC'} ],
		[ 'external_id', 'name', q{'x'}, 'optional' ]
	],
	create_professional => [
		[ 'clinic_id', 'clinic', q{id('a')} ],
		[ 'name', 'name', q{'Dr. X'} ],
		[ 'color', 'color', q{'#a0B1c2'}, 'optional' ],
		[ 'external_id', 'name', q{'x'}, 'optional' ]
	],
	create_patient => [
		[ 'clinic_id', 'clinic', q{id('a')} ],
		[ 'first_name', 'name', q{'X'} ],
		[ 'last_name', 'name', q{'Y'} ],
		[ 'birth_date', 'date', q{'2000-02-29'}, 'optional' ],
		[ 'phone', 'phone', q{'1'}, 'optional' ],
		[ 'email', 'email', q{'x@example.org'}, 'optional' ],
		[ 'external_id', 'name', q{'x'}, 'optional' ]
	],
	create_catalog_item => [
		[ 'clinic_id', 'clinic', q{id('a')} ],
		[ 'code', 'code', q{'NEW'} ],
		[ 'name', 'name', q{'New'} ],
		[ 'price', 'amount', '100', undef, 'without sessions' ],
		[ 'category_key', 'code', q{'new'}, 'optional' ],
		[ 'sessions', 'steps', q{'[{"price": 100}]'}, 'optional' ]
	],
	create_plan => [
		[ 'clinic_id', 'clinic', q{id('a')} ],
		[ 'patient_id', 'patient', q{id('patient')} ],
		[ 'professional_id', 'professional', q{id('doctor')}, 'optional' ],
		[ 'title', 'title', q{'Title'}, 'optional' ],
		[ 'workflow', 'workflow', q{'dental'}, 'optional' ]
	],
	lock_plan => [
		[ 'plan_id', 'plan', q{id('draft')} ],
		[ 'version', 'version', '3', 'optional' ], $clinic
	],
	transition_plan => [
		[ 'plan_id', 'plan', q{id('draft')} ],
		[ 'action', 'action', q{'confirm'} ],
		[ 'reason', 'no_reason', 'NULL', 'optional' ],
		[ 'note', 'note', q{'note'}, 'optional' ], $clinic
	],
	confirm_plan => [ [ 'plan_id', 'plan', q{id('draft')} ], $clinic ],
	reopen_plan => [ [ 'plan_id', 'plan', q{id('pending')} ], $clinic ],
	accept_plan => [ [ 'plan_id', 'plan', q{id('pending')} ], $clinic ],
	close_plan => [
		[ 'plan_id', 'plan', q{id('active')} ],
		[ 'reason', 'reason', q{'other'}, 'says NULL itself' ],
		[ 'note', 'note', q{'note'}, 'optional' ], $clinic
	],
	reactivate_plan => [ [ 'plan_id', 'plan', q{id('closed')} ], $clinic ],
	advance_plan => [ [ 'plan_id', 'plan', q{id('active')} ], $clinic ],
	available_actions => [ [ 'plan_id', 'plan', q{id('active')} ], $clinic ],
	plan_detail => [ [ 'plan_id', 'plan', q{id('active')} ], $clinic ],
	add_item => [
		[ 'plan_id', 'plan', q{id('draft')} ],
		[ 'catalog_item_id', 'catalog', q{id('crown')}, 'optional' ],
		[ 'description', 'title', q{'Item'}, 'optional' ],
		[ 'price', 'amount', '10', 'optional' ],
		[ 'tooth', 'tooth', '36', 'optional', 'without surfaces' ],
		[ 'surfaces', 'surfaces', q{'MO'}, 'optional' ],
		[ 'treatment_ref', 'name', q{'chart-x'}, 'optional' ],
		[ 'professional_id', 'professional', q{id('doctor')}, 'optional' ],
		[ 'notes', 'notes', q{'notes'}, 'optional' ], $clinic
	],
	remove_item => [ [ 'item_id', 'item', q{id('draft_item_1')} ], $clinic ],
	reorder_items => [
		[ 'plan_id', 'plan', q{id('draft')} ],
		[ 'item_ids', 'order', q{items_of('draft')} ], $clinic
	],
	assign_professional => [
		[ 'item_id', 'item', q{id('draft_item_1')} ],
		[ 'professional_id', 'professional', q{id('other_doctor')} ], $clinic
	],
	change_professional => [
		[ 'plan_id', 'plan', q{id('draft')} ],
		[ 'professional_id', 'professional', q{id('other_doctor')} ],
		[ 'reassign_pending', 'flag', 'true', 'optional' ], $clinic
	],
	add_session => [
		[ 'item_id', 'item', q{id('draft_item_1')} ],
		[ 'label', 'name', q{'More'} ],
		[ 'amount', 'amount', '5', undef, 'on an item of no price' ], $clinic
	],
	(
		map {
			$_ => [
				[ 'session_id', 'session', q{id('active_session_1')} ],
				[ 'note', 'note', q{'note'}, 'optional' ], $clinic
			  ]
		} qw(complete_session cancel_session)),
	(
		map {
			$_ => [
				[ 'item_id', 'item', q{id('active_item_1')} ],
				[ 'note', 'note', q{'note'}, 'optional' ], $clinic
			  ]
		} qw(complete_item record_performed)),
	generate_budget => [ [ 'plan_id', 'plan', q{id('draft')} ], $clinic ],
	link_budget => [
		[ 'plan_id', 'plan', q{id('draft')} ],
		[ 'budget_id', 'linked_budget', q{id('loose')} ], $clinic
	],
	sync_budget => [ [ 'plan_id', 'plan', q{id('quoted')} ], $clinic ],
	(
		map { $_ => [ [ 'budget_id', 'budget', q{id('draft_budget')} ], $clinic ] }
		  qw(send_budget accept_budget)),
	(
		map {
			$_ => [
				[ 'budget_id', 'budget', q{id('sent_budget')} ],
				[ 'note', 'note', q{'note'}, 'optional' ], $clinic
			  ]
		} qw(reject_budget cancel_budget)),
	resend_budget => [ [ 'budget_id', 'budget', q{id('sent_budget')} ], $clinic ],
	void_earned => [
		[ 'entry_id', 'entry', q{id('entry')} ],
		[ 'reason', 'void_reason', q{'mistake'}, 'says NULL itself' ], $clinic
	],
	log_contact => [
		[ 'plan_id', 'plan', q{id('talked')} ],
		[ 'channel', 'channel', q{'call'} ],
		[ 'outcome', 'name', q{'answered'}, 'optional' ],
		[ 'note', 'note', q{'note'}, 'optional' ],
		[ 'next_contact_at', 'next_time', q{'2031-01-01'}, 'optional' ],
		[ 'corrects_id', 'corrects', q{id('contact')}, 'optional' ],
		[ 'contacted_at', 'past_time', q{'2024-01-01'}, 'optional' ], $clinic
	],
	book_appointment => [
		[ 'patient_id', 'own_patient', q{id('patient')}, undef, 'alone' ],
		[ 'starts_at', 'starts', q{'2031-02-01 10:00'} ],
		[ 'ends_at', 'ends', q{'2031-02-01 11:00'} ],
		[ 'plan_id', 'booked_plan', q{id('active')}, 'optional', 'alone' ],
		[ 'item_id', 'booked_item', q{id('active_item_1')}, 'optional', 'alone' ],
		[ 'session_id', 'booked_session', q{id('active_session_1')}, 'optional', 'alone' ],
		[ 'professional_id', 'professional', q{id('doctor')}, 'optional' ],
		[ 'room', 'code', q{'2'}, 'optional' ],
		[ 'kind', 'code', q{'kind'}, 'optional' ],
		[ 'note', 'note', q{'note'}, 'optional' ],
		[ 'recall_id', 'recall', q{id('recall')}, 'optional' ], $clinic
	],
	complete_appointment => [
		[ 'appointment_id', 'appointment', q{id('booked')} ],
		[ 'complete_session', 'flag', 'true', 'optional' ],
		[ 'note', 'note', q{'note'}, 'optional' ], $clinic
	],
	(
		map {
			$_ => [
				[ 'appointment_id', 'appointment', q{id('booked')} ],
				[ 'note', 'note', q{'note'}, 'optional' ], $clinic
			  ]
		} qw(cancel_appointment mark_no_show)),
	move_appointment => [
		[ 'appointment_id', 'appointment', q{id('booked')} ],
		[ 'starts_at', 'moved_to', q{'2031-02-01 10:00'}, undef, 'as long as before' ],
		[ 'ends_at', 'ends', q{'2031-02-01 11:00'}, 'optional' ],
		[ 'professional_id', 'professional', q{id('other_doctor')}, 'optional' ],
		[ 'room', 'code', q{'2'}, 'optional' ], $clinic
	],
	workflow_diagram => [
		[ 'workflow', 'workflow', q{'dental'} ],
		[ 'format', 'picture', q{'mermaid'} ]
	],
	check_workflow => [ [ 'name', 'workflow', q{'dental'} ] ],
	verify_history => [ [ 'plan_id', 'plan', q{id('draft')}, 'optional' ] ],
	audit => [ [ 'clinic_id', 'clinic', q{id('a')}, 'optional' ] ],
	inbox => [
		[ 'clinic_id', 'clinic', q{id('a')} ],
		[ 'tab', 'tab', q{'all'} ],
		[ 'search', 'search', q{'ruiz'}, 'optional' ],
		[ 'professional_id', 'any_id', q{id('doctor')}, 'optional' ],
		[ 'created_from', 'day', q{'2020-01-01'}, 'optional' ],
		[ 'created_to', 'day', q{'2100-01-01'}, 'optional' ],
		[ 'closure_reason', 'anything', q{'rejected'}, 'optional' ],
		[ 'page_size', 'page_size', '10', 'optional' ],
		[ 'after', 'cursor', 'NULL', 'optional' ]
	],
	inbox_counts => [
		[ 'clinic_id', 'clinic', q{id('a')} ],
		[ 'search', 'search', q{'ruiz'}, 'optional' ],
		[ 'professional_id', 'any_id', q{id('doctor')}, 'optional' ],
		[ 'created_from', 'day', q{'2020-01-01'}, 'optional' ],
		[ 'created_to', 'day', q{'2100-01-01'}, 'optional' ],
		[ 'closure_reason', 'anything', q{'rejected'}, 'optional' ]
	],
	pipeline => [
		[ 'clinic_id', 'clinic', q{id('a')} ],
		[ 'column_key', 'column', q{'to_quote'} ],
		[ 'search', 'search', q{'ruiz'}, 'optional' ],
		[ 'professional_id', 'any_id', q{id('doctor')}, 'optional' ],
		[ 'created_from', 'day', q{'2020-01-01'}, 'optional' ],
		[ 'created_to', 'day', q{'2100-01-01'}, 'optional' ],
		[ 'page_size', 'page_size', '10', 'optional' ],
		[ 'after', 'cursor', 'NULL', 'optional' ]
	],
	pipeline_totals => [
		[ 'clinic_id', 'clinic', q{id('a')} ],
		[ 'search', 'search', q{'ruiz'}, 'optional' ],
		[ 'professional_id', 'any_id', q{id('doctor')}, 'optional' ],
		[ 'created_from', 'day', q{'2020-01-01'}, 'optional' ],
		[ 'created_to', 'day', q{'2100-01-01'}, 'optional' ]
	],
	split_amount => [
		[ 'total', 'amount', '10' ],
		[ 'weights', 'weights', 'ARRAY[1, 2]' ]
	],
	new_id => [],
	version => [],
	install => [],
	error_codes => [],
	event_types => [],
	event_type_rows => [],

	create_consumer => [
		[ 'name', 'new_consumer', q{'new'} ],
		[ 'types', 'types', q{'{treatment_plan.created}'}, 'optional' ],
		[ 'start', 'start', q{'now'}, 'optional' ],
		[ 'clinic_id', 'clinic', q{id('a')}, 'optional', 'without a plan' ],
		[ 'plan_id', 'plan', q{id('draft')}, 'optional' ],
		[ 'max_retries', 'max_retries', '5', 'optional' ]
	],
	drop_consumer => [ [ 'name', 'consumer', q{'reader'} ] ],
	next_events => [
		[ 'consumer', 'consumer', q{'reader'} ],
		[ 'max_events', 'max_events', '500', 'optional' ]
	],
	pass_events => [ [ 'consumer', 'consumer', q{'reader'} ] ],
	finish_events => [
		[ 'consumer', 'consumer', q{'reader'} ],
		[ 'batch_id', 'batch', '(SELECT batch_id FROM txplan.consumer_batches)' ]
	],
	retry_event => [
		[ 'consumer', 'consumer', q{'reader'} ],
		[ 'event_id', 'event', '(SELECT event_ids[1] FROM txplan.consumer_batches)' ],
		[ 'after', 'delay', q{'1 second'}, 'optional' ],
		[ 'error', 'note', q{'error'}, 'optional' ]
	],
	revive_event => [
		[ 'consumer', 'consumer', q{'reader'} ],
		[ 'event_id', 'event', '(SELECT event_id FROM txplan.consumer_dead)' ]
	],

	maintain => [
		[ 'at', 'upkeep_time', 'now()' ],
		[ 'max_plans', 'max_plans', '10', 'optional' ]
	],
	archive_events => [ [ 'before', 'archive_time', q{'2020-01-01'} ] ],
	list_event_partitions => [],

	# Parts of the others: anybody can call them, so they bear anything.
	consumer_slot => [ [ 'plan_id', 'any_id', q{id('draft')}, 'optional' ] ],
	consumer_state => [ [ 'wanted', 'anything', q{'reader'}, 'optional' ] ],
	plan_has_item => [
		[ 'plan_id', 'any_id', q{id('draft')}, 'optional' ],
		[ 'clinic_id', 'any_id', q{id('a')}, 'optional' ]
	],
	(
		map {
			$_ => [
				[ 'plan_id', 'any_id', q{id('draft')}, 'optional' ],
				[ 'clinic_id', 'any_id', q{id('a')}, 'optional' ]
			  ]
		} qw(plan_is_done budget_is_accepted no_budget_waits budget_revives)),
	budget_faults => [ [ 'wanted_clinic', 'any_id', q{id('a')}, 'optional' ] ],
	plan_document => [
		[ 'wanted_plan', 'any_id', q{id('draft')}, 'optional' ],
		[ 'wanted_clinic', 'any_id', q{id('a')}, 'optional' ]
	],
	workflow_faults => [ [ 'wanted', 'anything', q{'dental'}, 'optional' ] ],
	workflow_picture => [
		[ 'wanted', 'anything', q{'dental'}, 'optional' ],
		[ 'format', 'anything', q{'dot'}, 'optional' ]
	],
	history_faults => [ [ 'wanted', 'any_id', q{id('draft')}, 'optional' ] ],
	audit_faults => [ [ 'wanted_clinic', 'any_id', q{id('a')}, 'optional' ] ],
	inbox_faults => [ [ 'wanted_clinic', 'any_id', q{id('a')}, 'optional' ] ],
	fold_text => [ [ 'value', 'anything', q{'x'}, 'optional' ] ],
	time_zone_fault => [ [ 'time_zone', 'anything', q{'UTC'}, 'optional' ] ],
	fold_patient => [
		[ 'first_name', 'anything', q{'x'}, 'optional' ],
		[ 'last_name', 'anything', q{'x'}, 'optional' ],
		[ 'phone', 'anything', q{'1'}, 'optional' ]
	],
	history_field => [ [ 'value', 'anything', q{'x'}, 'optional' ] ],
	time_text => [ [ 'moment', 'any_time', 'now()', 'optional' ] ],
);

my @cases;

sub case
{
	my ($name, $wanted, $sql) = @_;

	push @cases, [ $name, $wanted, $sql ];
}

sub call
{
	my ($function, @arguments) = @_;

	return "SELECT txplan.$function(" . join(', ', @arguments) . ')';
}

# Each function with all good, then with one argument that is not.
foreach my $function (sort keys %functions)
{
	my @arguments = @{ $functions{$function} };
	my @good = map { $_->[2] } @arguments;

	case("$function: all good", '', call($function, @good));
	foreach my $place (0 .. $#arguments)
	{
		my ($name, $kind, $good, $optional, $companion) = @{ $arguments[$place] };
		my @values = @{ $kinds{$kind} };
		my @others = @good;

		push @values, [ 'NULL', 'NULL', $optional ? '' : '22004' ]
		  unless ($optional // '') eq 'says NULL itself';
		if (($companion // '') eq 'without sessions')
		{
			$others[5] = 'NULL';
		}
		elsif (($companion // '') eq 'without a plan')
		{
			$others[4] = 'NULL';
		}
		elsif (($companion // '') eq 'alone')
		{
			# What it is for, by this argument alone.
			@others[3 .. 5] = ('NULL') x 3;
		}
		elsif (($companion // '') eq 'as long as before')
		{
			$others[2] = 'NULL';
		}
		elsif (($companion // '') eq 'without surfaces')
		{
			$others[5] = 'NULL';
		}
		elsif (($companion // '') eq 'on an item of no price')
		{
			# The largest amount fits only where nothing is yet.
			@values = grep { $_->[0] ne '9999999999.99' } @values;
		}
		foreach my $value (@values)
		{
			my @now = @others;

			$now[$place] = $value->[1];
			case("$function: $name $value->[0]", $value->[2], call($function, @now));
		}
	}
}

# The same in every state.
my %by_state = (
	confirm_plan => [ '', 'TX001', 'TX001', 'TX001', 'TX001', 'TX002' ],
	reopen_plan => [ 'TX001', '', 'TX001', 'TX001', 'TX001', 'TX001' ],
	accept_plan => [ 'TX001', '', 'TX001', 'TX001', 'TX001', 'TX001' ],
	close_plan => [ '', '', '', 'TX001', 'TX001', '' ],
	reactivate_plan => [ 'TX001', 'TX001', 'TX001', 'TX001', '', 'TX001' ],
	advance_plan => [ ('') x 6 ],
	lock_plan => [ ('') x 6 ],
	available_actions => [ ('') x 6 ],
	generate_budget => [ '', '', '', 'TX002', 'TX002', 'TX002' ],
	sync_budget => [ ('TX002') x 6 ],
	plan_detail => [ ('') x 6 ],
	change_professional => [ ('') x 6 ],
	add_item => [ '', '', '', 'TX002', 'TX002', '' ],
	reorder_items => [ '', '', '', 'TX002', 'TX002', '22004' ],
);
my %arguments = (
	close_plan => q{, 'other'},
	change_professional => q{, id('other_doctor'), true},
	add_item => q{, id('crown')});
foreach my $function (sort keys %by_state)
{
	my @wanted = @{ $by_state{$function} };

	foreach my $state (qw(draft pending active completed closed empty))
	{
		my $more = $arguments{$function} // '';

		$more = ", items_of('$state')" if $function eq 'reorder_items';
		case("$function: a plan that is $state", shift @wanted,
			call($function, "id('$state')$more"));
	}
}
foreach my $state (qw(draft pending active completed closed))
{
	my $editable = $state =~ /draft|pending|active/;
	my $treatable = $state eq 'active';
	my $final = $state eq 'completed';

	foreach my $function (qw(complete_session cancel_session))
	{
		case("$function: a plan that is $state",
			$final ? 'TX004' : $treatable ? '' : 'TX002',
			call($function, "id('${state}_session_1')"));
	}
	foreach my $function (qw(complete_item record_performed))
	{
		case("$function: a plan that is $state",
			$final ? 'TX004' : $treatable ? '' : 'TX002',
			call($function, "id('${state}_item_1')"));
	}
	case("remove_item: a plan that is $state",
		$final ? 'TX004' : $editable ? '' : 'TX002',
		call('remove_item', "id('${state}_item_1')"));
	case("add_session: a plan that is $state",
		$final ? 'TX004' : $editable ? '' : 'TX002',
		call('add_session', "id('${state}_item_1')", q{'More'}, 1));
	case("assign_professional: a plan that is $state", $final ? 'TX004' : '',
		call('assign_professional', "id('${state}_item_1')", q{id('other_doctor')}));
	case("DELETE: a plan that is $state", $state eq 'draft' ? '' : 'TX004',
		"DELETE FROM txplan.plans WHERE id = id('$state')");
}
foreach my $state (qw(done cancelled))
{
	case("$_: a session that is $state", 'TX004', call($_, "id('${state}_session')"))
	  foreach qw(complete_session cancel_session);
	case("$_: an item that is $state", 'TX004', call($_, "id('${state}_item')"))
	  foreach qw(complete_item record_performed remove_item);
	case("add_session: an item that is $state", 'TX004',
		call('add_session', "id('${state}_item')", q{'More'}, 1));
	case("assign_professional: an item that is $state", 'TX004',
		call('assign_professional', "id('${state}_item')", q{id('other_doctor')}));
}
case('remove_item: partly done', 'TX004', call('remove_item', q{id('partly_item')}));
case('complete_session: done, with a NUL-like note', 'TX004',
	call('complete_session', q{id('partly_session')}, q{'\0'}));
case('add_item: neither catalog nor description', '22004',
	call('add_item', q{id('draft')}, 'NULL', 'NULL', '10'));
case('add_item: neither catalog nor price', '22004',
	call('add_item', q{id('draft')}, 'NULL', q{'Item'}));
case('add_item: surfaces without a tooth', '22023',
	call('add_item', q{id('draft')}, q{id('crown')}, 'NULL', 'NULL', 'NULL', q{'M'}));
case('add_item: occlusal of an incisor', '22023',
	call('add_item', q{id('draft')}, q{id('crown')}, 'NULL', 'NULL', '11', q{'O'}));
case('add_item: palatal of a lower deciduous tooth', '22023',
	call('add_item', q{id('draft')}, q{id('crown')}, 'NULL', 'NULL', '75', q{'P'}));
case('add_item: palatal of an upper incisor', '',
	call('add_item', q{id('draft')}, q{id('crown')}, 'NULL', 'NULL', '11', q{'MIP'}));
case('add_item: a treatment that is taken', '23505',
	call('add_item', q{id('draft')}, q{id('crown')}, 'NULL', 'NULL', 'NULL', 'NULL',
		q{'chart-active-1'}));
case('create_catalog_item: a code that is taken', '23505',
	call('create_catalog_item', q{id('a')}, q{'CROWN'}, q{'x'}, 1));
case('create_patient: an external_id that is taken', '23505',
	call('create_patient', q{id('a')}, q{'x'}, q{'y'}, ('NULL') x 3, q{'p-1'}));
case('create_professional: an external_id that is taken', '23505',
	call('create_professional', q{id('a')}, q{'x'}, 'NULL', q{'d-1'}));
case('create_patient: names that are blank together', '22023',
	call('create_patient', q{id('a')}, q{' '}, q{' '}));
case('add_session: the price would be too large', '22003',
	call('add_session', q{id('draft_item_1')}, q{'More'}, '9999999999.99'));
foreach my $action (qw(confirm reopen accept reactivate))
{
	case("transition_plan: $action takes no reason", 'TX0(01|05)',
		call('transition_plan', q{id('draft')}, "'$action'", q{'other'}));
}
case('transition_plan: close without a reason', 'TX005',
	call('transition_plan', q{id('draft')}, q{'close'}));

# What appointments are for, in every state of the plan; what they exclude.
foreach my $state (qw(draft pending active completed closed))
{
	my $final = $state =~ /completed|closed/;
	my $wanted = $state eq 'completed' ? 'TX004' : $final ? 'TX002' : '';

	case("log_contact: a plan that is $state", '', call('log_contact', "id('$state')", q{'call'}));
	case("book_appointment: a plan that is $state", $final ? 'TX002' : '',
		call('book_appointment', q{id('patient')}, q{'2031-02-01'}, q{'2031-02-02'}, "id('$state')"));
	case("book_appointment: an item of a plan that is $state", $wanted,
		call('book_appointment', q{id('patient')}, q{'2031-02-01'}, q{'2031-02-02'}, 'NULL', "id('${state}_item_1')"));
	case("book_appointment: a session of a plan that is $state", $wanted,
		call('book_appointment', q{id('patient')}, q{'2031-02-01'}, q{'2031-02-02'}, ('NULL') x 2, "id('${state}_session_1')"));
}
case('book_appointment: a plan of another patient', 'TX010',
	call('book_appointment', q{id('b_patient')}, q{'2031-02-01'}, q{'2031-02-02'}, q{id('b_plan')})
	  =~ s/b_patient/patient/r);
case('book_appointment: an item of another plan', 'TX010',
	call('book_appointment', q{id('patient')}, q{'2031-02-01'}, q{'2031-02-02'}, q{id('draft')}, q{id('active_item_1')}));
case('book_appointment: a session of another item', 'TX010',
	call('book_appointment', q{id('patient')}, q{'2031-02-01'}, q{'2031-02-02'}, 'NULL', q{id('active_item_2')}, q{id('active_session_1')}));
case('book_appointment: a doctor who is taken', '23P01',
	call('book_appointment', q{id('patient')}, q{'2031-01-01 10:30'}, q{'2031-01-01 12:00'}, ('NULL') x 3, q{id('doctor')}));
case('book_appointment: a room that is taken', '23P01',
	call('book_appointment', q{id('patient')}, q{'2031-01-01 09:00'}, q{'2031-01-01 14:00'}, ('NULL') x 4, q{'1'}));
case('move_appointment: to where the room is taken', '23P01',
	call('move_appointment', q{id('booked')}, q{'2031-01-01 12:59'}));
case('complete_appointment: a session of none', 'TX002',
	call('complete_appointment', q{id('of_none')}, 'true'));
case('cancel_appointment: it grows too long', '22001|23514',
	call('cancel_appointment', q{id('booked')}, q{repeat('x', 10000)})
	  . q{; UPDATE txplan.appointments SET note = repeat('x', 10001) WHERE id = id('booked')});
case("appointments: UPDATE $_->[0]", $_->[1], update('appointments', 'booked', $_->[0]))
  foreach (
	[ q{status = ''}, '23514' ], [ q{status = 'BOOKED'}, '23514' ], [ 'status = NULL', '23502' ],
	[ q{status = 'no_show'}, '' ], [ q{starts_at = 'infinity'}, '23514' ], [ 'ends_at = starts_at', '23514|22000' ],
	[ 'starts_at = NULL', '23502' ], [ q{room = ''}, '23514' ], [ "kind = $ten_megabytes", '23514' ],
	[ "note = $ten_megabytes", '23514' ], [ q{patient_id = id('b_patient')}, 'TX007' ], [ q{clinic_id = id('b')}, 'TX007' ],
	[ q{created_by = 'x'}, 'TX007' ], [ 'ended_at = now()', 'TX007' ], [ q{plan_id = id('draft')}, 'TX010' ],
	[ q{session_id = txplan.new_id()}, 'P0002' ], [ q{recall_id = txplan.new_id()}, 'P0002' ],
	[ q{recall_id = id('closed_recall')}, 'TX004' ], [ q{professional_id = id('b_doctor')}, 'TX010' ]);
case('appointments: DELETE', 'TX007', q{DELETE FROM txplan.appointments WHERE id = id('booked')});
case('appointments: INSERT without a patient', '23502',
	q{INSERT INTO txplan.appointments (clinic_id, starts_at, ends_at) VALUES (id('a'), '2031-01-01', '2031-01-02')});
case('appointments: INSERT without a clinic', '23502',
	q{INSERT INTO txplan.appointments (patient_id, starts_at, ends_at) VALUES (id('patient'), '2031-01-01', '2031-01-02')});
case("contacts: UPDATE $_", 'TX007', update('contacts', 'contact', $_))
  foreach (q{channel = 'sms'}, 'contacted_at = NULL', q{note = ''}, 'plan_id = NULL', 'id = txplan.new_id()');
case('contacts: DELETE', 'TX007', q{DELETE FROM txplan.contacts WHERE id = id('contact')});
case("contacts: INSERT $_->[0]", $_->[1],
	"INSERT INTO txplan.contacts (clinic_id, plan_id, channel, $_->[0]) VALUES (id('a'), id('draft'), 'call', $_->[2])")
  foreach (
	[ 'contacted_at', '22008', q{'infinity'} ], [ 'next_contact_at', '22008', q{'-infinity'} ],
	[ 'contacted_at', '', 'NULL' ], [ 'outcome', '23514', $ten_megabytes ], [ 'note', '23514', $ten_megabytes ],
	[ 'corrects_id', 'P0002', 'txplan.new_id()' ], [ 'contacted_by', 'TX007', q{'x'} ]);
case('contacts: INSERT without a plan', '23502',
	q{INSERT INTO txplan.contacts (clinic_id, channel) VALUES (id('a'), 'call')});
case('contacts: INSERT into a plan of another clinic', 'TX010',
	q{INSERT INTO txplan.contacts (clinic_id, plan_id, channel) VALUES (id('a'), id('b_plan'), 'call')});
case("recall_suggestions: $_", 'TX007', $_)
  foreach ('UPDATE txplan.recall_suggestions SET due_on = NULL', 'DELETE FROM txplan.recall_suggestions');
case("recall_rules: $_->[0]", $_->[1], "INSERT INTO txplan.recall_rules VALUES ($_->[0])")
  foreach ([ q{'k', 'x', 0}, '23514' ], [ q{'k', 'x', 121}, '23514' ], [ q{'k', 'x', NULL}, '23502' ], [ q{'', 'x', 1}, '23514' ],
	[ "$ten_megabytes, 'x', 1", '23514|54000' ], [ "'k', $ten_megabytes, 1", '23514' ], [ q{'שלום', ' ', 120}, '' ]);

# Tables: values by INSERT, UPDATE, DELETE, COPY-like statements.

sub insert_item
{
	my ($column, $value) = @_;

	return
	  "INSERT INTO txplan.items (plan_id, clinic_id, description, price, $column) "
	  . "VALUES (id('draft'), id('a'), 'Item', 10, $value)";
}

sub update
{
	my ($table, $row, $set) = @_;

	return "UPDATE txplan.$table SET $set WHERE id = id('$row')";
}

foreach my $value (qw(-0.01 NaN Infinity -Infinity 1e10 1e1000))
{
	my $error = $value =~ /Inf|1e/ ? '22003' : '23514';
	my $literal = "'$value'::numeric";

	case("items: INSERT a price of $value", $error,
		"INSERT INTO txplan.items (plan_id, clinic_id, description, price) "
		  . "VALUES (id('draft'), id('a'), 'Item', $literal)");
	case("items: UPDATE the price to $value", $error,
		update('items', 'draft_item_1', "price = $literal"));
	case("sessions: UPDATE the amount to $value", $error,
		update('sessions', 'draft_session_1', "amount = $literal"));
	case("sessions: INSERT an amount of $value", $error,
		"INSERT INTO txplan.sessions (item_id, clinic_id, label, amount) "
		  . "VALUES (id('draft_item_1'), id('a'), 'More', $literal)");
	case("catalog_items: UPDATE the price to $value", $error,
		update('catalog_items', 'retired', "price = $literal"));
	case("catalog_sessions: UPDATE the price to $value", $error,
		"UPDATE txplan.catalog_sessions SET price = $literal "
		  . "WHERE catalog_item_id = id('crown') AND sequence = 1");
}
case('items: a price of three decimals is rounded, and its session with it', '',
	q{INSERT INTO txplan.items (plan_id, clinic_id, description, price)
	  VALUES (id('draft'), id('a'), 'Item', 10.005)});
case('items: a price below what is earned', 'TX009',
	update('items', 'partly_item', 'price = 33.32'));
case('items: a price of NULL', '23502', update('items', 'draft_item_1', 'price = NULL'));
case('sessions: an amount of NULL', '23502',
	update('sessions', 'draft_session_1', 'amount = NULL'));
case('sessions: amounts that are too much together', '22003',
	update('sessions', 'partly_session', 'amount = 1') =~ s/partly_session/draft_session_1/r
	  =~ s/amount = 1/amount = 9999999999.99, label = repeat('x', 200)/r
	  . q{; INSERT INTO txplan.sessions (item_id, clinic_id, label, amount)
	  VALUES (id('draft_item_1'), id('a'), 'More', 9999999999.99)});
foreach my $tooth (qw(0 9 10 19 49 56 86 -11 111))
{
	case("items: INSERT tooth $tooth", '23514', insert_item('tooth', $tooth));
	case("items: UPDATE to tooth $tooth", '23514',
		update('items', 'draft_item_1', "surfaces = NULL, tooth = $tooth"));
}
foreach my $surfaces ('', ' ', 'mo', 'MM', 'I', 'P', 'X', 'שלום')
{
	case("items: surfaces <$surfaces> of a molar", '23514',
		update('items', 'draft_item_1', "surfaces = '$surfaces'"));
}
case('items: surfaces of no tooth', '23514', update('items', 'draft_item_1', 'tooth = NULL'));
case('items: surfaces of 10 MB', '23514',
	update('items', 'draft_item_1', "surfaces = $ten_megabytes"));
foreach my $text ([ 'description', 500 ], [ 'treatment_ref', 200 ], [ 'category_key', 60 ],
	[ 'notes', 100000 ])
{
	my ($column, $length) = @$text;

	case("items: $column of 10 MB", '23514|54000',
		update('items', 'draft_item_1', "$column = $ten_megabytes"));
	case("items: $column one too long", '23514|54000',
		update('items', 'draft_item_1', "$column = repeat('𝕏', $length + 1)"));
	case("items: $column empty", $column eq 'notes' ? '' : '23514',
		update('items', 'draft_item_1', "$column = ''"));
	case("items: $column right to left, escapes", '',
		update('items', 'draft_item_1', qq{$column = 'שלום \\x00 ''"'}));
}
case('items: description NULL', '23502', update('items', 'draft_item_1', 'description = NULL'));
case('items: a treatment that is taken', '23505',
	update('items', 'draft_item_1', q{treatment_ref = 'chart-active-1'}));
case('items: a doctor of another clinic', 'TX010',
	update('items', 'draft_item_1', q{professional_id = id('b_doctor')}));
case('items: an unknown doctor', 'P0002',
	update('items', 'draft_item_1', q{professional_id = txplan.new_id()}));
case('items: the doctor of a completed item', 'TX004',
	update('items', 'done_item', q{professional_id = id('other_doctor')}));
case('items: into a plan of another clinic', 'TX010',
	q{INSERT INTO txplan.items (plan_id, clinic_id, description, price)
	  VALUES (id('b_plan'), id('a'), 'Item', 10)});
case('items: into an unknown plan', 'P0002',
	q{INSERT INTO txplan.items (plan_id, clinic_id, description, price)
	  VALUES (txplan.new_id(), id('a'), 'Item', 10)});
case('items: into no plan', '23502',
	q{INSERT INTO txplan.items (clinic_id, description, price) VALUES (id('a'), 'Item', 10)});
case('items: into no clinic', '23502',
	q{INSERT INTO txplan.items (plan_id, description, price) VALUES (id('draft'), 'Item', 10)});
case('items: one that is there', '23505', insert_item('id', q{id('draft_item_1')}));
case('items: a position that is taken', '23505',
	update('items', 'draft_item_1', 'position = 2'));
case('items: the last position there is, and one behind it', '22003|23514',
	q{INSERT INTO txplan.items (plan_id, clinic_id, description, price, position)
	  VALUES (id('draft'), id('a'), 'Item', 10, 2147483647), (id('draft'), id('a'), 'Item', 10, NULL)});
case('items: the last position there is, and then one more', '22003|23514',
	update('items', 'draft_item_2', 'position = 2147483647')
	  . q{; SELECT txplan.add_item(id('draft'), NULL, 'Item', 10)});
case('items: position NULL', '23502', update('items', 'draft_item_1', 'position = NULL'));
case('sessions: the last sequence there is, and one behind it', '22003|23514',
	q{INSERT INTO txplan.sessions (item_id, clinic_id, label, amount, sequence)
	  VALUES (id('draft_item_1'), id('a'), 'x', 1, 2147483647);
	  SELECT txplan.add_session(id('draft_item_1'), 'x', 1)});
case('sessions: sequence 0', '23514', update('sessions', 'draft_session_1', 'sequence = 0'));
case('sessions: a label of 10 MB', '23514',
	update('sessions', 'draft_session_1', "label = $ten_megabytes"));
case('sessions: a note of 10 MB', '23514',
	update('sessions', 'draft_session_1', "note = $ten_megabytes"));
case('sessions: another plan', 'TX007',
	update('sessions', 'draft_session_1', q{plan_id = id('pending')}));
case('sessions: of another clinic', 'TX010',
	q{INSERT INTO txplan.sessions (item_id, clinic_id, label, amount)
	  VALUES (id('b_item_1'), id('a'), 'More', 1)});
case('sessions: of no item', '23502',
	q{INSERT INTO txplan.sessions (clinic_id, label, amount) VALUES (id('a'), 'More', 1)});
case('sessions: of an unknown item', 'P0002',
	q{INSERT INTO txplan.sessions (item_id, clinic_id, label, amount)
	  VALUES (txplan.new_id(), id('a'), 'More', 1)});
case('sessions: the last of an item', 'TX002',
	q{DELETE FROM txplan.sessions WHERE id = id('draft_session_1')});
case('sessions: DELETE a completed one', 'TX004',
	q{DELETE FROM txplan.sessions WHERE id = id('done_session')});
foreach my $status ('', 'done', 'COMPLETED', 'pending ')
{
	case("sessions: status <$status>", '23514|TX00[27]',
		update('sessions', 'active_session_1', "status = '$status'"));
	case("items: status <$status>", 'TX007',
		update('items', 'active_item_1', "status = '$status'"));
	case("plans: status <$status>", 'TX001', update('plans', 'active', "status = '$status'"));
}
case('sessions: status NULL', '23502|TX007', update('sessions', 'active_session_1', 'status = NULL'));
case('items: status NULL', '23502|TX007', update('items', 'active_item_1', 'status = NULL'));
case('plans: status NULL', '23502|TX007', update('plans', 'active', 'status = NULL'));
case('sessions: back from completed', 'TX004',
	update('sessions', 'done_session', q{status = 'pending'}));
case('sessions: completed in a draft', 'TX002',
	update('sessions', 'draft_session_1', q{status = 'completed'}));
foreach my $time ('infinity', '-infinity', 'NULL', '2000-01-01')
{
	my $value = $time eq 'NULL' ? 'NULL' : "'$time'";
	my $clear = $time eq 'NULL';

	case("plans: $_ $time", 'TX007', update('plans', 'completed', "$_ = $value"))
	  foreach qw(confirmed_at activated_at completed_at status_changed_at created_at);
	case("items: completed_at $time", 'TX00[47]',
		update('items', 'done_item', "completed_at = $value"));
	case("sessions: completed_at $time", 'TX00[47]',
		update('sessions', 'done_session', "completed_at = $value"));
	next if $clear || $time eq '2000-01-01';
	case("patients: birth_date $time", '23514', update('patients', 'patient', "birth_date = $value"));
	case("patients: archived_at $time", '23514', update('patients', 'patient', "archived_at = $value"));
}
case("plans: $_", 'TX007', update('plans', 'draft', $_))
  foreach (
	q{number = 'PLAN-1'}, 'number = NULL', 'items_total = 99', 'items_completed = -1',
	'history_length = 0', q{history_head = '\x00'}, q{created_by = 'x'},
	q{patient_id = id('b_patient')}, q{clinic_id = id('b')}, q{workflow = 'x'},
	'id = txplan.new_id()', 'version = NULL', q{closure_reason = 'other'}, q{closure_note = 'x'});
case("plans: version $_", 'TX006', update('plans', 'draft', "version = $_"))
  foreach qw(0 -1 99 9223372036854775807 -9223372036854775808);
case('plans: closed by UPDATE without a reason', 'TX005',
	update('plans', 'draft', q{status = 'closed'}));
case('plans: closed by UPDATE for an odd reason', 'TX005',
	update('plans', 'draft', qq{status = 'closed', closure_reason = $ten_megabytes}));
case('plans: closed by UPDATE with a note of 10 MB', '23514',
	update('plans', 'draft',
		qq{status = 'closed', closure_reason = 'other', closure_note = $ten_megabytes}));
case('plans: closed by UPDATE', '',
	update('plans', 'draft', q{status = 'closed', closure_reason = 'other'}));
foreach my $text ([ 'title', 500 ], [ 'diagnosis_notes', 100000 ], [ 'internal_notes', 100000 ])
{
	my ($column, $length) = @$text;

	case("plans: $column of 10 MB", '23514', update('plans', 'draft', "$column = $ten_megabytes"));
	case("plans: $column one too long", '23514',
		update('plans', 'draft', "$column = repeat('𝕏', $length + 1)"));
	case("plans: $column just as long", '',
		update('plans', 'draft', "$column = repeat('𝕏', $length)"));
	case("plans: $column empty", $column eq 'title' ? '23514' : '',
		update('plans', 'draft', "$column = ''"));
}
case('plans: INSERT in another state', 'TX001',
	q{INSERT INTO txplan.plans (clinic_id, patient_id, status)
	  VALUES (id('a'), id('patient'), 'active')});
case('plans: INSERT with a number', 'TX007',
	q{INSERT INTO txplan.plans (clinic_id, patient_id, number)
	  VALUES (id('a'), id('patient'), 'PLAN-1')});
case("plans: INSERT without $_->[0]", '23502|P0002',
	qq{INSERT INTO txplan.plans (clinic_id, patient_id, workflow)
	  VALUES ($_->[1])})
  foreach (
	[ 'a clinic', q{NULL, id('patient'), 'dental'} ],
	[ 'a patient', q{id('a'), NULL, 'dental'} ],
	[ 'a workflow', q{id('a'), id('patient'), NULL} ]);
case('plans: INSERT an id that is there', '23505',
	q{INSERT INTO txplan.plans (id, clinic_id, patient_id)
	  VALUES (id('draft'), id('a'), id('patient'))});
case('plans: INSERT for a patient of another clinic', 'TX010',
	q{INSERT INTO txplan.plans (clinic_id, patient_id) VALUES (id('a'), id('b_patient'))});
foreach my $table (
	qw(events events_default history earned_entries number_counters))
{
	case("$table: DELETE", 'TX007', "DELETE FROM txplan.$table");
	case("$table: UPDATE", 'TX007', "UPDATE txplan.$table SET clinic_id = id('b')");
	case("$table: INSERT", 'TX007', "INSERT INTO txplan.$table SELECT * FROM txplan.$table LIMIT 1");
}
case('events: INSERT a row of nothing', 'TX007',
	q{INSERT INTO txplan.events (id, clinic_id, plan_id, plan_version, type, actor, occurred_at, payload)
	  VALUES (0, id('a'), id('a'), 1, 'x', 'x', 'infinity', 'null')});
case("$_: TRUNCATE", 'TX007', "TRUNCATE txplan.$_ CASCADE")
  foreach qw(clinics professionals patients catalog_items catalog_sessions plans items
  sessions events history earned_entries number_counters workflows workflow_states
  workflow_transitions record_versions);
case("clinics: $_->[0]", $_->[1], update('clinics', 'a', $_->[0]))
  foreach (
	[ q{name = ''}, '23514' ],
	[ q{name = '   '}, '23514' ],
	[ "name = $ten_megabytes", '23514' ],
	[ 'name = NULL', '23502' ],
	[ q{time_zone = ''}, '22023' ],
	[ q{time_zone = 'Mars/Olympus_Mons'}, '22023' ],
	[ 'time_zone = NULL', '23502' ],
	[ "time_zone = $ten_megabytes", '22023' ],
	[ q{external_id = ''}, '23514' ],
	[ 'budget_valid_days = 0', '23514' ],
	[ 'contact_stale_days = 2147483647', '23514' ],
	[ 'close_after_budget_expiry_days = -1', '23514' ],
	[ q{plan_number_format = ''}, '23514' ],
	[ q{plan_number_format = '{YYYY}'}, '23514' ],
	[ q{plan_number_format = '{NNNN}-{YYYY}'}, '23514' ],
	[ q{plan_number_format = '{YYYY}{N}{N}'}, '23514' ],
	[ q{plan_number_format = '%s%n{YYYY}{NNNNNNNNNN}'}, '23514' ],
	[ "plan_number_format = '{YYYY}{N}' || $ten_megabytes", '23514' ],
	[ 'id = txplan.new_id()', 'TX007' ],
	[ q{created_at = 'infinity'}, 'TX007' ]);
case('clinics: a number format with percent signs', '',
	update('clinics', 'a', q{plan_number_format = '%s%n {YYYY} % שלום {NNNNNNNNN} %d'})
	  . q{; SELECT txplan.create_plan(id('a'), id('patient'))});
case('clinics: DELETE', '23503', q{DELETE FROM txplan.clinics WHERE id = id('a')});
case('patients: DELETE', '23503', q{DELETE FROM txplan.patients WHERE id = id('patient')});
case('patients: another clinic', 'TX007', update('patients', 'patient', q{clinic_id = id('b')}));
case('professionals: DELETE', '23503',
	q{DELETE FROM txplan.professionals WHERE id = id('doctor')});
case('professionals: an odd color', '23514', update('professionals', 'doctor', q{color = 'red'}));
case('catalog_items: DELETE', '23503', q{DELETE FROM txplan.catalog_items WHERE id = id('crown')});
case('catalog_items: a price without its steps', 'TX009',
	update('catalog_items', 'crown', 'price = 99'));
case('catalog_sessions: a step without the price', 'TX009',
	q{DELETE FROM txplan.catalog_sessions WHERE catalog_item_id = id('crown') AND sequence = 1});
case('catalog_sessions: sequence 501', '23514',
	q{UPDATE txplan.catalog_sessions SET sequence = 501
	  WHERE catalog_item_id = id('crown') AND sequence = 1});
case('catalog_sessions: of another clinic', '23503|TX010',
	q{INSERT INTO txplan.catalog_sessions (clinic_id, catalog_item_id, sequence, price)
	  VALUES (id('a'), id('b_crown'), 1, 100)});
case("workflow_states: $_->[0]", $_->[1],
	"UPDATE txplan.workflow_states SET $_->[0] WHERE workflow = 'dental' AND state = 'draft'")
  foreach (
	[ q{kind = 'odd'}, '23514' ],
	[ 'kind = NULL', '23502' ],
	[ q{state = 'other'}, '23503' ],
	[ q{fhir_status = 'odd'}, '23514' ],
	[ q{workflow = 'other'}, '23503' ]);
case('workflow_states: a state that plans are in', '23503',
	q{DELETE FROM txplan.workflow_states WHERE workflow = 'dental' AND state = 'active'});
case('workflow_states: a second initial state', '23505',
	q{UPDATE txplan.workflow_states SET kind = 'initial'
	  WHERE workflow = 'dental' AND state = 'pending'});
case("workflow_transitions: $_->[0]", $_->[1],
	"UPDATE txplan.workflow_transitions SET $_->[0] "
	  . "WHERE workflow = 'dental' AND action = 'confirm'")
  foreach (
	[ q{guards = '{NULL}'}, '23514' ],
	[ 'guards = NULL', '23502' ],
	[ q{guards = '{{a.b,c.d},{e.f,g.h}}'}, '23514' ],
	[ q{reasons = '{{a,b},{c,d}}'}, '23514' ],
	[ q{reasons = '{""}'}, '23514' ],
	[ q{event = ''}, '23514' ],
	[ q{event = 'Odd Event'}, '23514' ],
	[ qq{event = $ten_megabytes}, '23514' ],
	[ q{action = ''}, '23514' ],
	[ q{to_state = 'draft'}, '23514' ],
	[ q{to_state = 'nowhere'}, '23503' ],
	[ 'from_state = NULL', '23502' ]);
foreach my $guards ('noschema', 'txplan.missing', '.', 'a.b.c', 'txplan.', '"x".y', 'pg_catalog.now',
	'txplan.plans_check', 'שלום.x', '')
{
	case("workflow_transitions: a plan meets the guard <$guards>", '42883',
		"UPDATE txplan.workflow_transitions SET guards = ARRAY['$guards'] "
		  . "WHERE workflow = 'dental' AND action = 'confirm'; "
		  . "SELECT txplan.confirm_plan(id('draft'))");
}

# Budgets and their lines.
foreach my $value (
	[ 'discount_percent', '-1', '2(2003|3514)' ], [ 'discount_percent', q{'NaN'}, '2(2003|3514)' ],
	[ 'discount_percent', '100.01', '23514' ], [ 'discount_percent', '1000', '22003' ],
	[ 'discount_amount', '-0.01', '2(2003|3514)' ], [ 'discount_amount', '100.01', 'TX009' ],
	[ 'discount_amount', q{'NaN'}, '2(2003|3514)' ], [ 'discount_amount', '1e10', '22003' ],
	[ 'valid_until', q{'infinity'}, '22008' ], [ 'valid_until', q{'-infinity'}, '22008' ],
	[ 'valid_until', q{'0044-03-15 BC'}, '22008' ], [ 'valid_until', q{'5874897-12-31'}, '22008' ],
	[ 'valid_until', q{'0001-01-01'}, '' ], [ 'valid_until', q{'9999-12-31'}, '' ],
	[ 'external_ref', q{''}, '23514' ], [ 'external_ref', $ten_megabytes, '23514' ],
	[ 'status', q{''}, 'TX001' ], [ 'status', $ten_megabytes, 'TX001' ],
	[ 'status', q{'expired'}, 'TX001' ], [ 'status', 'NULL', 'TX007' ],
	[ 'plan_id', q{id('sent')}, 'TX007' ], [ 'plan_id', q{id('b_plan')}, 'TX010' ],
	[ 'plan_id', 'NULL', 'TX007' ], [ 'total', '1', 'TX007' ], [ 'id', 'txplan.new_id()', 'TX007' ],
	[ 'clinic_id', q{id('b')}, 'TX007' ])
{
	my ($column, $new, $wanted) = @$value;

	case('UPDATE of a draft: ' . $column . ' ' . substr($new, 0, 20), $wanted,
		"UPDATE txplan.budgets SET $column = $new WHERE id = id('draft_budget')");
}
foreach my $value (
	[ 'unit_price', '-1', '2(2003|3514)' ], [ 'unit_price', q{'NaN'}, '2(2003|3514)' ],
	[ 'unit_price', q{'Infinity'}, '22003' ], [ 'unit_price', '1e10', '22003' ],
	[ 'unit_price', 'NULL', '23502' ], [ 'quantity', '0', '23514' ],
	[ 'quantity', '-1', '2(2003|3514)' ], [ 'quantity', '1001', '23514' ],
	[ 'quantity', 'NULL', '23502' ], [ 'discount_percent', '100.01', '2(2003|3514)' ],
	[ 'discount_amount', '100.01', 'TX009' ], [ 'description', q{''}, '23514' ],
	[ 'description', $ten_megabytes, '23514' ], [ 'position', '0', '23514' ],
	[ 'net_amount', '1', 'TX007' ], [ 'item_removed', 'true', 'TX007' ],
	[ 'budget_id', q{id('loose')}, 'TX007' ],
	[ 'item_id', q{id('draft_item_1')}, 'TX010' ], [ 'item_id', q{id('b_item_1')}, 'TX010' ],
	[ 'item_id', 'txplan.new_id()', 'P0002' ])
{
	my ($column, $new, $wanted) = @$value;

	case('UPDATE of a line: ' . $column . ' ' . substr($new, 0, 20), $wanted,
		"UPDATE txplan.budget_lines SET $column = $new WHERE budget_id = id('draft_budget')");
}
case('a budget of another patient\'s plan', 'TX010',
	q{INSERT INTO txplan.budgets (clinic_id, plan_id, patient_id) VALUES (id('a'), id('draft'), id('archived'))});
case('a budget of an archived patient', 'TX002',
	q{INSERT INTO txplan.budgets (clinic_id, patient_id) VALUES (id('a'), id('archived'))});
case('a budget of nobody', '23502', q{INSERT INTO txplan.budgets (clinic_id) VALUES (id('a'))});
case('a second live budget', 'TX002',
	q{INSERT INTO txplan.budgets (clinic_id, plan_id) VALUES (id('a'), id('sent'))});
case('a next version of another clinic\'s', 'TX010',
	q{INSERT INTO txplan.budgets (clinic_id, supersedes_id) VALUES (id('a'), id('b_budget'))});
case('a line of a sent budget', 'TX003',
	q{INSERT INTO txplan.budget_lines (clinic_id, budget_id, description, unit_price)
	VALUES (id('a'), id('sent_budget'), 'x', 1)});
case('10,000 lines', '',
	q{INSERT INTO txplan.budget_lines (clinic_id, budget_id, description, unit_price)
	SELECT id('a'), id('draft_budget'), 'x', 0.01 FROM generate_series(1, 10000)});

# Settings.
case('txplan.actor of 10 MB', '22023', "SELECT set_config('txplan.actor', $ten_megabytes, true)");
case('txplan.notify of 10 MB', '22023', "SELECT set_config('txplan.notify', $ten_megabytes, true)");
case('txplan.actor with escapes', '',
	q{SELECT set_config('txplan.actor', E'שלום \\\\ " '' \\n', true);
	  SELECT txplan.confirm_plan(id('draft'))});

# What install() calls, and triggers, in anybody's hands.
my @nulls = ('NULL') x 4;
foreach my $place (0 .. 3)
{
	my @arguments = (q{'plans'}, q{'plans_pkey'}, q{'CHECK (true)'}, q{'x'});

	$arguments[$place] = 'NULL';
	case("ensure_constraint: argument $place NULL", '22004|TX008',
		call('ensure_constraint', @arguments));
}
case('ensure_constraint: all NULL', '22004', call('ensure_constraint', @nulls));
case('ensure_constraint: an unknown table', '42P01|P0002',
	call('ensure_constraint', q{'nothing'}, q{'x'}, q{'CHECK (true)'}, q{'x'}));
case('ensure_constraint: no definition', '42601',
	call('ensure_constraint', q{'plans'}, q{'x'}, q{'('}, q{'x'}));
case('ensure_table_is_ours: NULL', '22004', call('ensure_table_is_ours', 'NULL', q{'{}'}));
case('ensure_table_is_ours: NULL columns', '22004', call('ensure_table_is_ours', q{'plans'}, 'NULL'));
case('ensure_table_is_ours: a NULL among the columns', '22004|42P07',
	call('ensure_table_is_ours', q{'plans'}, q{'{NULL}'}));
case('ensure_table_is_ours: two dimensions', '2202E|42P07|',
	call('ensure_table_is_ours', q{'plans'}, q{'{{a,b},{c,d}}'}));
case('notifier_state', '', call('notifier_state'));
$functions{ensure_constraint} = $functions{ensure_table_is_ours} =
  $functions{notifier_state} = [];

# Every function is tried; a trigger function says that it is none.
my @all = split /\n/, $node->safe_psql(
	'record', q{
	SELECT DISTINCT p.proname FROM pg_proc AS p
	WHERE p.pronamespace = 'txplan'::regnamespace AND p.prorettype <> 'trigger'::regtype
	ORDER BY 1});
is_deeply([ grep { !$functions{$_} } @all ], [], 'every function of the schema is tried here');
is_deeply([ grep { my $name = $_; !grep { $_ eq $name } @all } sort keys %functions ],
	[], 'every function that is tried is there');
case("$_: called as a function", '39P01|0A000', "SELECT txplan.$_()")
  foreach split /\n/, $node->safe_psql(
	'record', q{
	SELECT p.proname FROM pg_proc AS p
	WHERE p.pronamespace = 'txplan'::regnamespace AND p.prorettype = 'trigger'::regtype
	ORDER BY 1});

# The cases run by the thousand, so what they find is one test each way.
my $before = rows_of($node, 'record');
my $schema = schema_of($node, 'record');

note(scalar @cases . ' cases');
$node->safe_psql(
	'record', join '',
	map {
		my ($name, $wanted, $sql) = @$_;

		"INSERT INTO cases (name, wanted, sql) VALUES "
		  . "(\$case\$$name\$case\$, '^($wanted)\$', \$case\$$sql\$case\$);\n"
	} @cases);

my ($status, $out, $err) = $node->psql(
	'record', q{
	SET txplan.actor = 'tester';
	SET client_min_messages = warning;
	INSERT INTO outcomes
	SELECT c.number, c.name, c.wanted, c.sql, o.* FROM cases AS c CROSS JOIN LATERAL outcome(c.sql) AS o ORDER BY c.number});
is($status, 0, 'the backend survives all of them')
  or diag($err, (grep { /case / } split /^/, slurp_file($node->logfile))[-1]);
back_again($node, 'postgres') if $status != 0;
is($node->safe_psql('record', 'SELECT count(*) FROM outcomes'), scalar @cases,
	'each case has an outcome');
is( $node->safe_psql(
		'record', q{
		SELECT format('%s: [%s] %s', name, state, message) FROM outcomes
		WHERE state !~ wanted ORDER BY number}),
	'',
	'each case ends as it should');
is( $node->safe_psql(
		'record', q{
		SELECT format('%s: [%s] %s', name, state, message) FROM outcomes
		WHERE state <> '' AND state !~ '^(22|23|42|TX)...$' AND state <> 'P0002'
			AND name !~ 'called as a function'
		ORDER BY number}),
	'',
	'errors are of the classes 22, 23, 42, TX, or P0002');
is( $node->safe_psql(
		'record', q{
		SELECT format('%s: [%s] %s', name, state, message) FROM outcomes
		WHERE state <> '' AND (message = '' OR (detail = '' AND hint = '' AND constraint_name = ''))
			AND name !~ 'called as a function|ensure_constraint: no definition'
		ORDER BY number}),
	'',
	'each error has a message, and a detail, a hint or the name of a constraint');
is( $node->safe_psql(
		'record', q{
		SELECT format('%s: [%s] %s', name, state, left(message, 200)) FROM outcomes
		WHERE octet_length(message) + octet_length(detail) + octet_length(hint) > 3000
			AND name !~ '^txplan[.]'
		ORDER BY number}),
	'',
	'no error repeats megabytes, but PostgreSQL\'s own of a setting');
is_same_record(rows_of($node, 'record'), $before, 'the record is as it was',
	but => ['events_id_seq']);
fits_together($node, 'record', 'after all');

# The same, each in a transaction of its own, in one backend.
($status, $out, $err) = $node->psql(
	'record',
	"\\set VERBOSITY verbose\nSET client_min_messages = warning;\n" . join('',
		map {
			my $sql = $_->[2] =~ s/^/  /mgr;

			"\\warn ==== case\nBEGIN;\n$sql;\nSET CONSTRAINTS ALL IMMEDIATE;\nROLLBACK;\n"
		} @cases)
	  . "\\warn ==== the end\n",
	on_error_stop => 0);
my @blocks = split /^==== .*\n/m, $err;
shift @blocks;
my @wrong;
foreach my $case (@cases)
{
	my $block = shift @blocks // 'nothing';
	my ($state) = $block =~ /(?:ERROR|FATAL|PANIC):  (\w{5}):/;

	$state = $block =~ /\S/ ? $block : '' unless defined $state;
	push @wrong, "$case->[0]: " . substr($state, 0, 300) if $state !~ /^($case->[1])$/;
}
is(join("\n", @wrong), '', 'each case ends so as a statement of its own');
is_same_record(rows_of($node, 'record'), $before, 'the record is still as it was',
	but => ['events_id_seq']);
is_same_schema(schema_of($node, 'record'), $schema, 'so is its schema');

# A backend that has had all these errors goes on working.
$node->safe_psql(
	'record', q{
	DO $$
	DECLARE
		the_case record;
	BEGIN
		FOR the_case IN SELECT sql FROM cases ORDER BY number LOOP
			PERFORM outcome(the_case.sql);
		END LOOP;
	END $$;
	SELECT txplan.confirm_plan(id('draft'));
	SELECT txplan.accept_plan(id('draft'));
	SELECT txplan.complete_item(id('draft_item_1'));
	SELECT txplan.complete_item(id('draft_item_2'))});
is( $node->safe_psql('record', q{SELECT status FROM txplan.plans WHERE id = id('draft')}),
	'completed',
	'a backend that has met all these errors goes on working');
fits_together($node, 'record', 'at the end');
log_is_clean($node);
done_testing();
