-- morning.sql: every plan of the clinics goes its way, many in one statement.
-- run.sh runs each statement and prints the line above it, and the number that
-- the statement returns.

-- = plans get their lot, so that every run is the same
CREATE TABLE demo.lots AS
SELECT p.id, p.clinic_id, (row_number() OVER (ORDER BY md5(p.id::text)) % 100)::integer AS lot
FROM txplan.plans AS p;
SELECT count(*) FROM demo.lots;

-- = confirmed: SELECT txplan.confirm_plan(id) FROM ...
SELECT count(txplan.confirm_plan(l.id)) FROM demo.lots AS l WHERE l.lot < 45;

-- = confirmed: UPDATE txplan.plans SET status = 'pending'
WITH moved AS (
	UPDATE txplan.plans AS p SET status = 'pending'
	FROM demo.lots AS l
	WHERE l.id = p.id AND l.lot BETWEEN 45 AND 84
	RETURNING 1
)
SELECT count(*) FROM moved;

-- = accepted: SELECT txplan.accept_plan(id) FROM ...
SELECT count(txplan.accept_plan(l.id)) FROM demo.lots AS l WHERE l.lot < 65;

-- = items done as a whole, and their plans complete by themselves
SELECT count(txplan.complete_item(i.id))
FROM txplan.items AS i
JOIN demo.lots AS l ON l.id = i.plan_id
WHERE l.lot < 10;

-- = first sessions done: UPDATE txplan.sessions SET status = 'completed'
WITH done AS (
	UPDATE txplan.sessions AS s SET status = 'completed'
	FROM demo.lots AS l
	WHERE l.id = s.plan_id AND l.lot BETWEEN 10 AND 29 AND s.sequence = 1
	RETURNING 1
)
SELECT count(*) FROM done;

-- = sessions cancelled: the last ones of long items
SELECT count(txplan.cancel_session(s.id, 'not needed'))
FROM txplan.sessions AS s
JOIN txplan.items AS i ON i.id = s.item_id AND i.clinic_id = s.clinic_id
JOIN demo.lots AS l ON l.id = s.plan_id
WHERE l.lot BETWEEN 20 AND 44 AND s.sequence = i.sessions_total AND s.sequence > 2;

-- = treatments performed outside their plan
SELECT count(txplan.record_performed(i.id, 'seen in the chart'))
FROM txplan.items AS i
JOIN demo.lots AS l ON l.id = i.plan_id
WHERE l.lot IN (45, 46) AND i.position = 1;

-- = closed, for one reason or another
SELECT count(txplan.close_plan(l.id,
	(ARRAY['rejected', 'expired', 'cancelled', 'abandoned', 'other'])[1 + l.lot % 5]))
FROM demo.lots AS l
WHERE l.lot BETWEEN 55 AND 59 OR l.lot BETWEEN 76 AND 80 OR l.lot >= 97;

-- = reactivated
SELECT count(txplan.reactivate_plan(l.id)) FROM demo.lots AS l WHERE l.lot IN (59, 80);

-- = reopened, to be edited again
SELECT count(txplan.reopen_plan(l.id)) FROM demo.lots AS l WHERE l.lot IN (70, 71);

-- = items that change hands as a doctor leaves: change_professional(.., true)
WITH doctors AS (
	SELECT
		(SELECT d.id FROM txplan.professionals AS d WHERE d.external_id = 'staff-04'
			AND d.clinic_id = demo.clinic()) AS leaves,
		(SELECT d.id FROM txplan.professionals AS d WHERE d.external_id = 'staff-07'
			AND d.clinic_id = demo.clinic()) AS comes
)
SELECT coalesce(sum(txplan.change_professional(p.id, d.comes, true)), 0)
FROM txplan.plans AS p
JOIN doctors AS d ON d.leaves = p.professional_id
WHERE p.status IN ('draft', 'pending', 'active');
