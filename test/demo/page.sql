-- page.sql: what happened, for a person to read.  run.sh gives it to psql, with
-- tables drawn in ASCII.

\set QUIET on
\pset tuples_only off

\echo
\echo '== Where the plans are now'
\echo
WITH plans AS (
	SELECT w.kind, w.state, coalesce(w.label, w.state) AS label, p.id,
		p.items_total - p.items_cancelled AS items, p.items_completed
	FROM txplan.workflow_states AS w
	LEFT JOIN txplan.plans AS p ON p.workflow = w.workflow AND p.status = w.state
	WHERE w.workflow = 'dental'
),
items AS (
	SELECT i.plan_id, sum(i.price) FILTER (WHERE i.status <> 'cancelled') AS price,
		sum(i.sessions_total - i.sessions_cancelled) AS sessions,
		sum(i.sessions_completed) AS done
	FROM txplan.items AS i
	GROUP BY i.plan_id
),
earned AS (
	SELECT e.plan_id, sum(e.amount) AS amount
	FROM txplan.earned_entries AS e
	GROUP BY e.plan_id
)
SELECT coalesce(p.state, 'all') AS status,
	CASE grouping(p.state) WHEN 0 THEN max(p.label) ELSE '' END AS "what it is",
	count(p.id) AS plans,
	lpad(format('%s / %s', coalesce(sum(p.items_completed), 0), coalesce(sum(p.items), 0)),
		11) AS "items done",
	lpad(format('%s / %s', coalesce(sum(i.done), 0), coalesce(sum(i.sessions), 0)),
		13) AS "sessions done",
	lpad(to_char(coalesce(sum(i.price), 0), 'FM9,999,990.00'), 12) AS price,
	lpad(to_char(coalesce(sum(e.amount), 0), 'FM9,999,990.00'), 12) AS earned
FROM plans AS p
LEFT JOIN items AS i ON i.plan_id = p.id
LEFT JOIN earned AS e ON e.plan_id = p.id
GROUP BY ROLLUP ((p.kind, p.state))
ORDER BY grouping(p.state),
	array_position(ARRAY['draft', 'pending', 'active', 'completed', 'closed'], p.state), p.state;

\echo '(What is cancelled is not counted in items, sessions and price.)'
\echo
\echo '== The ways they went: txplan.workflow_transitions, and how often each was taken'
\echo
\pset format unaligned
\pset tuples_only on
-- The picture is drawn by hand; a way that it lacks is named below it.
WITH RECURSIVE taken AS (
	SELECT e.payload ->> 'action' AS action, e.payload ->> 'old_status' AS from_state,
		count(*) AS times
	FROM txplan.events AS e
	WHERE e.type = 'treatment_plan.status_changed'
	GROUP BY 1, 2
),
marks AS (
	SELECT row_number() OVER () AS place, m.mark, m.number
	FROM (
		SELECT w.mark, coalesce(t.times, 0) AS number
		FROM (VALUES
			('{cf}', 'confirm', 'draft'),
			('{ac}', 'accept', 'pending'),
			('{co}', 'complete', 'active'),
			('{ro}', 'reopen', 'pending'),
			('{cd}', 'close', 'draft'),
			('{cp}', 'close', 'pending'),
			('{ca}', 'close', 'active'),
			('{re}', 'reactivate', 'closed')) AS w (mark, action, from_state)
		LEFT JOIN taken AS t USING (action, from_state)
		UNION ALL
		SELECT '{cr}', count(*)
		FROM txplan.events AS e WHERE e.type = 'treatment_plan.created'
		UNION ALL
		SELECT s.mark, (SELECT count(*) FROM txplan.plans AS p WHERE p.status = s.state)
		FROM (VALUES
			('{nd}', 'draft'),
			('{np}', 'pending'),
			('{na}', 'active'),
			('{nf}', 'completed'),
			('{nc}', 'closed')) AS s (mark, state)
	) AS m
),
drawn (place, drawing) AS (
	SELECT 0::bigint, $picture$   o  created {cr}
   |
   v
 .--------. confirm {cf}  .---------. accept {ac}   .--------.  complete {co}   .===========.
 | draft  |-------------->| pending |-------------->| active |. . . . . . . . .>| completed |
 |  {nd}  |<--------------|   {np}  |               |  {na}  |    by itself     |    {nf}   |
 '--------'  reopen {ro}  '---------'               '--------'                  '==========='
   ^    |                      |                        |
   |    |  close {cd}          |  close {cp}            |  close {ca}
   |    |                      v                        |
   |    |                 .=========.                   |
   |    '---------------->|  closed |<------------------'
   |                      |   {nc}  |
   |                      '========='
   |    reactivate {re}        |
   '---------------------------'
$picture$
	UNION ALL
	SELECT m.place, replace(d.drawing, m.mark,
		CASE WHEN m.mark LIKE '{n%' THEN lpad(m.number::text, 4) ELSE rpad(m.number::text, 4) END)
	FROM drawn AS d
	JOIN marks AS m ON m.place = d.place + 1
)
SELECT regexp_replace(d.drawing, ' +$', '', 'gn') FROM drawn AS d ORDER BY d.place DESC LIMIT 1;

SELECT format('   besides: %s, from %s to %s%s', t.action, t.from_state, t.to_state,
	CASE WHEN t.automatic THEN ', by itself' ELSE '' END)
FROM txplan.workflow_transitions AS t
WHERE t.workflow = 'dental'
	AND (t.action, t.from_state) NOT IN (
		('confirm', 'draft'), ('accept', 'pending'), ('complete', 'active'),
		('reopen', 'pending'), ('close', 'draft'), ('close', 'pending'),
		('close', 'active'), ('reactivate', 'closed'));

\echo '   For Mermaid, SELECT txplan.workflow_diagram(''dental''):'
\echo
SELECT regexp_replace(txplan.workflow_diagram('dental'), '^', '   ', 'gn');

\echo
\echo '== What the four connections called'
\echo
\pset format aligned
\pset tuples_only off
SELECT c.what AS call,
	count(*) AS made,
	count(*) FILTER (WHERE c.sqlstate = '00000') AS done,
	coalesce((
		SELECT string_agg(CASE WHEN r.place < 7 THEN r.sqlstate || ' ' || r.times ELSE '...' END,
			', ' ORDER BY r.place)
		FROM (
			SELECT d.sqlstate, count(*) AS times,
				row_number() OVER (ORDER BY count(*) DESC, d.sqlstate) AS place
			FROM demo.calls AS d
			WHERE d.what = c.what AND d.sqlstate <> '00000'
			GROUP BY d.sqlstate
		) AS r
		WHERE r.place < 8), '') AS refused
FROM demo.calls AS c
GROUP BY c.what
ORDER BY count(*) DESC, c.what;

\echo '(Calls are functions as well as plain UPDATE, INSERT and DELETE: the rules are the same.)'
\echo
\echo '== What was refused, and how a client sees it'
\echo
\pset format unaligned
\pset tuples_only on
WITH codes AS (
	SELECT t.sqlstate, t.condition_name, t.summary FROM txplan.error_codes() AS t
	UNION ALL
	VALUES
		('40001', 'serialization_failure', 'the plan has changed since a repeatable read began: try again'),
		('40P01', 'deadlock_detected', 'two transactions waited for each other: try again'),
		('23505', 'unique_violation', 'the treatment of the chart stands in another plan already'),
		('22023', 'invalid_parameter_value', 'the items of the plan are others by now'),
		('P0002', 'no_data_found', 'somebody else has removed it')
),
-- The shortest message stands for all.
examples AS (
	SELECT DISTINCT ON (r.sqlstate) r.sqlstate, r.message, r.detail, r.hint
	FROM demo.refusals AS r
	ORDER BY r.sqlstate, r.hint IS NULL, length(r.message), r.message, r.detail
)
SELECT format(E'%s %s  %s: %s\n%s', lpad(c.times::text, 6), c.sqlstate,
	coalesce(k.condition_name, 'UNEXPECTED'), k.summary,
	(SELECT string_agg(
		regexp_replace(regexp_replace(l.line, '(.{1,82})( |$)', E'               \\1\n', 'g'),
			'\n$', ''), E'\n' ORDER BY l.place)
	FROM (VALUES
		(1, e.message),
		(2, 'DETAIL: ' || e.detail),
		(3, 'HINT: ' || e.hint)) AS l (place, line)
	WHERE l.line IS NOT NULL))
FROM (
	SELECT d.sqlstate, count(*) AS times
	FROM demo.calls AS d
	WHERE d.sqlstate <> '00000'
	GROUP BY d.sqlstate
) AS c
LEFT JOIN codes AS k USING (sqlstate)
LEFT JOIN examples AS e USING (sqlstate)
ORDER BY c.sqlstate NOT LIKE 'TX%', c.sqlstate;

SELECT '  Not met today: ' || string_agg(t.sqlstate || ' ' || t.condition_name, ', '
	ORDER BY t.sqlstate)
FROM txplan.error_codes() AS t
WHERE t.sqlstate NOT IN (SELECT c.sqlstate FROM demo.calls AS c);

-- The plan that has most to show, and still fits on a page.
SELECT p.id AS plan
FROM txplan.plans AS p
CROSS JOIN LATERAL (
	SELECT count(*) AS items, coalesce(sum(i.sessions_total), 0) AS sessions,
		count(DISTINCT i.professional_id) AS doctors, count(DISTINCT i.status) AS statuses,
		coalesce(sum(i.sessions_cancelled), 0) AS cancelled
	FROM txplan.items AS i
	WHERE i.plan_id = p.id AND i.clinic_id = p.clinic_id
) AS i
CROSS JOIN LATERAL (
	SELECT count(DISTINCT e.type) AS types
	FROM txplan.events AS e
	WHERE e.plan_id = p.id AND e.clinic_id = p.clinic_id
) AS e
JOIN txplan.patients AS t ON t.id = p.patient_id AND t.clinic_id = p.clinic_id
WHERE p.version <= 30 AND i.items > 0
ORDER BY (i.items BETWEEN 2 AND 5)::integer + (i.sessions BETWEEN 5 AND 12)::integer
	+ (i.doctors > 1)::integer + (i.statuses > 1)::integer + (i.cancelled > 0)::integer
	+ (p.status = 'active')::integer + (t.last_name !~ '[A-Za-z]')::integer
	+ (p.professional_id IS NOT NULL)::integer DESC,
	e.types DESC, p.id
LIMIT 1 \gset

\echo
\echo '== One plan, as txplan.plan_detail() tells it'
\echo
WITH detail AS (
	SELECT txplan.plan_detail(:'plan') AS d
),
items AS (
	SELECT i.value AS item, i.ordinality AS place,
		i.ordinality = jsonb_array_length(d.d -> 'items') AS is_last
	FROM detail AS d
	CROSS JOIN jsonb_array_elements(d.d -> 'items') WITH ORDINALITY AS i
),
lines (place, below, line) AS (
	SELECT 0, 0, format('  %s  %s  [%s]', d #>> '{plan,number}',
		coalesce('"' || (d #>> '{plan,title}') || '"', ''), d #>> '{plan,status_label}')
	FROM detail
	UNION ALL
	SELECT 0, 1, format('  |   patient  %s %s, born %s', d #>> '{patient,first_name}',
		d #>> '{patient,last_name}', coalesce(d #>> '{patient,birth_date}', '-'))
	FROM detail
	UNION ALL
	SELECT 0, 2, format('  |   doctor   %s%s', coalesce(d #>> '{professional,name}', 'none'),
		CASE WHEN (d ->> 'several_professionals')::boolean THEN ', and others for some items'
			ELSE '' END)
	FROM detail
	UNION ALL
	SELECT 0, 3, format('  |   worth    %s, of which %s is earned', d #>> '{plan,total}',
		d #>> '{plan,earned}')
	FROM detail
	UNION ALL
	SELECT 0, 4, '  |   next     ' || coalesce((
		SELECT string_agg((a ->> 'action') || CASE WHEN jsonb_array_length(a -> 'blockers') > 0
			THEN ' (not yet: ' || (a #>> '{blockers,0}') || ')' ELSE '' END, ', ')
		FROM jsonb_array_elements(d -> 'actions') AS a), 'nothing')
	FROM detail
	UNION ALL
	SELECT 0, 5, format('  |   %s %s %s %s', 'tooth ', rpad('treatment', 36), '    price',
		'state     sessions, doctor')
	UNION ALL
	SELECT 0, 6, '  |'
	UNION ALL
	SELECT i.place, 0, format('  %s %s %s %s %s  %s',
		CASE WHEN i.is_last THEN '`--' ELSE '+--' END,
		rpad(coalesce(concat_ws(' ', i.item ->> 'tooth', i.item ->> 'surfaces'), ''), 6)
			|| ' ' || rpad(left(i.item ->> 'description', 36), 36),
		lpad(i.item ->> 'price', 9),
		rpad(i.item ->> 'status', 9),
		format('%s/%s', i.item #>> '{progress,done}', i.item #>> '{progress,total}'),
		left(coalesce(i.item #>> '{professional,name}', 'no doctor'), 24))
	FROM items AS i
	UNION ALL
	SELECT i.place, s.ordinality, format('  %s   %s %s %s %s %s',
		CASE WHEN i.is_last THEN ' ' ELSE '|' END,
		CASE WHEN s.ordinality = jsonb_array_length(i.item -> 'sessions') THEN '`--' ELSE '+--' END,
		rpad(left(coalesce(s.value ->> 'label', 'Session ' || (s.value ->> 'sequence')), 39), 39),
		lpad(s.value ->> 'amount', 9),
		rpad(s.value ->> 'status', 9),
		coalesce(substr(s.value ->> 'completed_at', 12, 8) || ' by ' || (s.value ->> 'completed_by'),
			substr(s.value ->> 'cancelled_at', 12, 8), ''))
	FROM items AS i
	CROSS JOIN jsonb_array_elements(i.item -> 'sessions') WITH ORDINALITY AS s
	UNION ALL
	SELECT i.place, 1000, '  |'
	FROM items AS i
	WHERE NOT i.is_last
)
SELECT rtrim(l.line) FROM lines AS l ORDER BY l.place, l.below;

\echo
\echo '   Its events, in order (txplan.events):'
\echo
SELECT rtrim(format('  %s  %s  %s %s %s', lpad(e.plan_version::text, 3),
	to_char(e.occurred_at, 'HH24:MI:SS.MS'),
	rpad(replace(e.type, 'treatment_plan.', ''), 23),
	rpad(e.actor, 10),
	left(concat_ws(' ',
		(e.payload ->> 'old_status') || ' -> ' || (e.payload ->> 'new_status'),
		'because ' || (e.payload ->> 'closure_reason'),
		'was ' || (e.payload ->> 'previous_closure_reason'),
		coalesce(e.payload ->> 'label', e.payload ->> 'description',
			i.description, c.name),
		'tooth ' || (e.payload ->> 'tooth'),
		coalesce(e.payload ->> 'amount', e.payload ->> 'unit_price', e.payload ->> 'total'),
		'now ' || d.name,
		'via ' || (e.payload ->> 'completed_via'),
		CASE WHEN e.type = 'treatment_plan.updated' THEN e.payload ->> 'changed' END), 44)))
FROM txplan.events AS e
LEFT JOIN txplan.items AS i ON i.id = (e.payload ->> 'item_id')::uuid
	AND i.clinic_id = e.clinic_id
LEFT JOIN txplan.catalog_items AS c ON c.id = (e.payload ->> 'catalog_item_id')::uuid
	AND c.clinic_id = e.clinic_id
LEFT JOIN txplan.professionals AS d ON d.id = (e.payload ->> 'new_professional_id')::uuid
	AND d.clinic_id = e.clinic_id
WHERE e.plan_id = :'plan'
ORDER BY e.plan_version;

\echo
\echo '== Does it all agree'
\echo
\pset recordsep ''
SELECT format(E'  %s  %s\n%s%s', CASE WHEN c.ok THEN ' ok ' ELSE 'FAIL' END,
	CASE WHEN c.ok AND length(c.found) <= 26
		THEN rpad(c.what || ' ', 64, '.') || ' ' || c.found ELSE c.what END,
	CASE WHEN c.ok AND length(c.found) > 26 THEN '         ' || c.found || E'\n' ELSE '' END,
	CASE WHEN c.ok THEN '' ELSE format(E'         found    %s\n         expected %s\n',
		c.found, c.expected) END) AS line
FROM demo.checks AS c
ORDER BY c.place;
\pset recordsep '\n'
\echo '== How fast'
\echo
WITH day AS (
	SELECT extract(epoch FROM d.ended_at - d.started_at) AS seconds,
		(SELECT count(*) FROM demo.calls) AS calls,
		(SELECT count(*) FROM demo.calls AS c WHERE c.sqlstate <> '00000') AS refused,
		(SELECT count(*) FROM txplan.events AS e
		WHERE e.id BETWEEN d.first_event AND d.last_event) AS events,
		(SELECT count(*) FROM txplan.events AS e
		WHERE e.id BETWEEN d.first_event AND d.last_event
			AND e.type = 'treatment_plan.item_session_completed') AS sessions,
		(SELECT count(*) FROM demo.heard AS h WHERE h.id IS NOT NULL) AS singly,
		(SELECT count(*) FROM demo.heard AS h WHERE h.type = 'batch') AS batches,
		(SELECT sum(h.events) FROM demo.heard AS h WHERE h.type = 'batch') AS in_batches,
		(SELECT count(DISTINCT c.connection) FROM demo.calls AS c) AS connections,
		(SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY c.milliseconds)
		FROM demo.calls AS c) AS times
	FROM demo.day AS d
)
SELECT format(E'  %s calls on %s connections at once in %s s: %s calls/s (%s of them refused),\n'
	'  %s events/s, %s sessions completed/s.  Before each call came a look at the record, which\n'
	'  is in that time.  Of 100 calls 50 took less than %s ms, 95 less than %s ms, 99 less than\n'
	'  %s ms: waiting for the others included, on a machine that all of them share.\n'
	'  Notifications: %s of one event each, and %s for the %s events of large statements.',
	demo.figures(d.calls), d.connections, round(d.seconds, 1), demo.figures(round(d.calls / d.seconds)),
	demo.figures(d.refused), demo.figures(round(d.events / d.seconds)),
	demo.figures(round(d.sessions / d.seconds)),
	round(d.times[1]::numeric, 2), round(d.times[2]::numeric, 1), round(d.times[3]::numeric, 1),
	demo.figures(d.singly), d.batches,
	demo.figures(d.in_batches))
FROM day AS d;
