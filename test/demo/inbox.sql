-- inbox.sql: the inbox and the pipeline of the clinic, as the front desk sees them.

\set QUIET on
\pset tuples_only off

SELECT demo.clinic() AS clinic \gset

\echo
\echo '== The inbox: txplan.inbox_counts(), and the first of each tab by txplan.inbox()'
\echo
\pset tuples_only on
\pset format unaligned
SELECT '  ' || string_agg(format('[ %s %s ]', c.tab, c.plans), '  '
	ORDER BY array_position(ARRAY['draft', 'pending', 'active', 'completed', 'closed', 'all'], c.tab))
FROM txplan.inbox_counts(:'clinic') AS c;
\echo
\pset tuples_only off
\pset format aligned
SELECT t.tab, i.number, left(i.patient_name, 22) AS patient, left(i.professional_name, 18) AS doctor,
	format('%s/%s', i.items_completed, i.items_total) AS done,
	to_char(i.total, 'FM999,990.00') AS total, coalesce(i.budget_status, '') AS budget,
	coalesce(i.last_contact_channel, '') AS contact,
	coalesce(to_char(i.next_appointment_at, 'Mon DD HH24:MI'), '') AS next
FROM unnest(ARRAY['draft', 'pending', 'active', 'completed', 'closed']) WITH ORDINALITY AS t (tab, place)
CROSS JOIN LATERAL txplan.inbox(:'clinic', t.tab, page_size => 4) WITH ORDINALITY AS i
ORDER BY t.place, i.ordinality;

SELECT split_part(lower(t.last_name), ' ', 1) AS word FROM txplan.patients AS t
JOIN txplan.plans AS p ON p.patient_id = t.id AND p.clinic_id = t.clinic_id
WHERE t.clinic_id = :'clinic' AND t.last_name ~ '[áéíóúñ]'
GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1 \gset
\set word `printf %s :'word' | sed 'y/áéíóúñ/aeioun/'`
\echo
\echo '   Searched for' :word
\echo
SELECT i.number, i.patient_name AS patient, i.patient_phone AS phone, i.status
FROM txplan.inbox(:'clinic', 'all', :'word', page_size => 5) AS i;

\echo
\echo '== The pipeline: txplan.pipeline_totals(), and the longest waiting of each column by txplan.pipeline()'
\echo
SELECT t.column_key AS "column", t.plans, to_char(t.amount, 'FM9,999,990.00') AS amount,
	coalesce(r.number, '') AS first, left(coalesce(r.patient_name, ''), 22) AS patient,
	coalesce(r.next_step, '') AS "next step"
FROM txplan.pipeline_totals(:'clinic') WITH ORDINALITY AS t
LEFT JOIN LATERAL txplan.pipeline(:'clinic', t.column_key, page_size => 1) AS r ON true
ORDER BY t.ordinality;

INSERT INTO demo.checks (what, found, expected)
SELECT 'audit() finds nothing after the desk''s evening', (SELECT count(*) FROM txplan.audit())::text, '0';
INSERT INTO demo.checks (what, found, expected)
SELECT 'pending and active plans are in a column, or a visit is booked (no)',
	(SELECT count(*) FROM txplan.plans AS p
	WHERE p.clinic_id = :'clinic' AND p.status IN ('pending', 'active')
		AND NOT EXISTS (SELECT FROM txplan.pipeline_rows AS r WHERE r.plan_id = p.id)
		AND NOT EXISTS (SELECT FROM txplan.appointments AS a
			WHERE a.plan_id = p.id AND a.status = 'booked' AND a.starts_at > now()))::text, '0';
INSERT INTO demo.checks (what, found, expected)
SELECT 'the tabs count what they list',
	(SELECT demo.figures(VARIADIC array_agg(c.plans::numeric ORDER BY c.tab))
	FROM txplan.inbox_counts(:'clinic') AS c),
	(SELECT demo.figures(VARIADIC array_agg((SELECT count(*)::numeric FROM txplan.plans AS p
		WHERE p.clinic_id = :'clinic' AND c.tab IN ('all', p.status)) ORDER BY c.tab))
	FROM txplan.inbox_counts(:'clinic') AS c);
\echo
\pset tuples_only on
\pset format unaligned
SELECT format('  %s  %s', CASE WHEN c.ok THEN ' ok ' ELSE 'FAIL' END,
	CASE WHEN c.ok THEN rpad(c.what || ' ', 70, '.') || ' ' || c.found
		ELSE format('%s: %s, expected %s', c.what, c.found, c.expected) END)
FROM (SELECT * FROM demo.checks ORDER BY place DESC LIMIT 3) AS c ORDER BY c.place;
