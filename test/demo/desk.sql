-- desk.sql: the front desk's evening, on the plans as the day left them.  run.sh
-- runs each statement as those of morning.sql.

-- = drafts confirmed, to be quoted
SELECT count(txplan.confirm_plan(d.id))
FROM (SELECT p.id, row_number() OVER (ORDER BY p.number) AS place
	FROM txplan.plans AS p
	WHERE p.clinic_id = demo.clinic() AND p.status = 'draft'
		AND p.items_total > p.items_completed + p.items_cancelled) AS d
WHERE d.place % 5 <> 0;

-- = the clinic's pending and active plans get their place in line
CREATE TABLE demo.line AS
SELECT p.id, p.clinic_id, p.patient_id, p.status, p.professional_id,
	row_number() OVER (PARTITION BY p.status ORDER BY p.number) AS place
FROM txplan.plans AS p
WHERE p.clinic_id = demo.clinic() AND p.status IN ('pending', 'active')
	AND p.items_total > p.items_completed + p.items_cancelled;
SELECT count(*) FROM demo.line;

-- = budgets made: SELECT txplan.generate_budget(id) FROM ...
SELECT count(txplan.generate_budget(l.id))
FROM demo.line AS l WHERE l.status = 'pending' AND l.place % 4 <> 0;

-- = a tenth less: UPDATE txplan.budgets SET discount_percent = 10
WITH reduced AS (
	UPDATE txplan.budgets AS b SET discount_percent = 10
	FROM demo.line AS l
	WHERE b.plan_id = l.id AND b.clinic_id = l.clinic_id AND l.place % 3 = 1
	RETURNING 1
)
SELECT count(*) FROM reduced;

-- = some hold for today only
WITH short AS (
	UPDATE txplan.budgets AS b SET valid_until = current_date
	FROM demo.line AS l
	WHERE b.plan_id = l.id AND b.clinic_id = l.clinic_id AND l.place % 9 = 2
	RETURNING 1
)
SELECT count(*) FROM short;

-- = sent: UPDATE txplan.budgets SET status = 'sent'
WITH sent AS (
	UPDATE txplan.budgets AS b SET status = 'sent'
	FROM demo.line AS l
	WHERE b.plan_id = l.id AND b.clinic_id = l.clinic_id AND l.place % 4 > 1
	RETURNING 1
)
SELECT count(*) FROM sent;

-- = accepted: their plans are in treatment at once
SELECT count(txplan.accept_budget(b.id))
FROM txplan.budgets AS b JOIN demo.line AS l ON l.id = b.plan_id AND l.clinic_id = b.clinic_id
WHERE b.status = 'sent' AND l.place % 7 = 3;

-- = rejected: their plans are closed
SELECT count(txplan.reject_budget(b.id, 'Too dear'))
FROM txplan.budgets AS b JOIN demo.line AS l ON l.id = b.plan_id AND l.clinic_id = b.clinic_id
WHERE b.status = 'sent' AND l.place % 7 = 5;

-- = calls made, and when to call again
SELECT count(txplan.log_contact(l.id, 'call', 'No answer',
	contacted_at => now() - interval '3 days',
	next_contact_at => now() - interval '1 day' + l.place % 3 * interval '1 day'))
FROM demo.line AS l WHERE l.status = 'pending' AND l.place % 5 = 0;

-- = appointments booked, half an hour each
SELECT count(txplan.book_appointment(l.patient_id, s.starts_at, s.starts_at + interval '30 minutes',
	plan_id => l.id, professional_id => l.professional_id, kind => 'treatment'))
FROM demo.line AS l
CROSS JOIN LATERAL (SELECT date_trunc('day', now()) + interval '1 day 9 hours'
	+ l.place / 14 * interval '1 day' + l.place % 14 * interval '30 minutes' AS starts_at) AS s
WHERE l.status = 'active' AND l.place % 3 <> 0;

-- = two days later: budgets whose last day was today have expired
SELECT count(*) FROM txplan.maintain(now() + interval '2 days') AS m WHERE m.kind = 'budget';
