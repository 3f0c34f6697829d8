-- transition: where a plan can go from each state of the dental workflow, by
-- function and by UPDATE, and what the user reads where it cannot.

SELECT txplan.install() IS NOT NULL AS installed;

-- attempt() runs a statement, with its %L filled in, and returns what it raised:
-- SQLSTATE and message, detail, hint, and the constraint where there is one.
-- Ids, times and the year of plan numbers differ from run to run, so they are
-- masked.  brief() returns the first line of that.
CREATE FUNCTION pg_temp.attempt(statement text, VARIADIC arguments text[] DEFAULT '{}')
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	message text;
	detail text;
	hint text;
	constraint_name text;
BEGIN
	EXECUTE format(statement, VARIADIC arguments);
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
		hint = PG_EXCEPTION_HINT, constraint_name = CONSTRAINT_NAME;
	RETURN regexp_replace(regexp_replace(regexp_replace(
		concat_ws(E'\n', SQLSTATE || ': ' || message,
			CASE WHEN detail NOT LIKE 'Failing row contains%' THEN nullif(detail, '') END,
			nullif(hint, ''), 'Constraint: ' || nullif(constraint_name, '')),
		'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<id>', 'g'),
		'PLAN-\d{4}-', 'PLAN-YYYY-', 'g'),
		'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? ?[A-Z]*', '<time>', 'g');
END
$$;
CREATE FUNCTION pg_temp.brief(statement text, VARIADIC arguments text[] DEFAULT '{}')
RETURNS text
LANGUAGE sql
RETURN split_part(pg_temp.attempt(statement, VARIADIC arguments), E'\n', 1);

-- outcome() does the same for a query with one value and then takes all of it
-- back, so that one plan serves for many questions.
CREATE FUNCTION pg_temp.outcome(statement text, VARIADIC arguments text[])
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format(statement, VARIADIC arguments) INTO result;
	RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = coalesce(result, 'nothing');
EXCEPTION
	WHEN SQLSTATE 'ZZ000' THEN
		RETURN SQLERRM;
	WHEN OTHERS THEN
		RETURN SQLSTATE;
END
$$;

SET txplan.actor = 'dentist';
SELECT txplan.create_clinic('Transition clinic', 'UTC') AS clinic \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada') AS ada \gset
SELECT txplan.create_patient(:'clinic', 'Jun', 'Tanaka') AS patient \gset

-- A plan in each state, with one item.
CREATE TEMP TABLE at AS
SELECT n, s AS state, txplan.create_plan(:'clinic', :'patient', :'ada', s) AS id
FROM unnest(ARRAY['draft', 'pending', 'active', 'completed', 'closed']) WITH ORDINALITY AS s (s, n);
SELECT count(txplan.add_item(id, NULL, 'Filling', 80)) FROM at;
SELECT string_agg(txplan.transition_plan(id, 'confirm'), ' ') FROM at WHERE state <> 'draft';
SELECT string_agg(txplan.transition_plan(id, 'accept'), ' ') FROM at WHERE state IN ('active', 'completed');
SELECT txplan.complete_item(i.id) FROM txplan.items AS i JOIN at ON at.id = i.plan_id
WHERE at.state = 'completed';
SELECT txplan.transition_plan(id, 'close', 'rejected') FROM at WHERE state = 'closed';
SELECT at.state, p.status FROM at JOIN txplan.plans AS p USING (id) ORDER BY at.n;

-- Every action from every state: where it leads, else the error.
SELECT at.state AS "from", a.action,
	pg_temp.outcome('SELECT txplan.transition_plan(%L, %L, %L)', at.id::text, a.action,
		CASE WHEN a.action = 'close' THEN 'other' END)
FROM at CROSS JOIN unnest(ARRAY['confirm', 'accept', 'complete', 'close',
	'reactivate', 'reopen', 'revive']) WITH ORDINALITY AS a (action, n)
ORDER BY at.n, a.n
\crosstabview "from" action
-- The functions named after an action.
SELECT at.state AS "from", a.action,
	pg_temp.outcome('SELECT txplan.' || a.call, at.id::text)
FROM at CROSS JOIN (VALUES (1, 'confirm', 'confirm_plan(%L)'), (2, 'accept', 'accept_plan(%L)'),
	(3, 'close', 'close_plan(%L, ''other'')'), (4, 'reactivate', 'reactivate_plan(%L)'),
	(5, 'reopen', 'reopen_plan(%L)'), (6, 'advance', 'advance_plan(%L)')) AS a (n, action, call)
ORDER BY at.n, a.n
\crosstabview "from" action
-- Every state to every state by UPDATE; to stay is no change.
SELECT at.state AS "from", t.state AS "to",
	pg_temp.outcome('UPDATE txplan.plans SET status = %L, closure_reason = CASE WHEN %L = ''closed'' AND status <> ''closed'' THEN ''other'' WHEN %L = ''closed'' THEN closure_reason END WHERE id = %L RETURNING status || '' '' || version - %s',
		t.state, t.state, t.state, at.id::text, p.version::text)
FROM at JOIN txplan.plans AS p USING (id) CROSS JOIN at AS t
ORDER BY at.n, t.n
\crosstabview "from" "to"
-- Nothing of all this remained.
SELECT bool_and(at.state = p.status) AS unchanged FROM at JOIN txplan.plans AS p USING (id);

-- What the user reads: the state, and what is possible instead.
SELECT at.state, pg_temp.attempt('SELECT txplan.reactivate_plan(%L)', at.id::text)
FROM at WHERE at.state <> 'closed' ORDER BY at.n;
SELECT at.state, pg_temp.attempt('SELECT txplan.confirm_plan(%L)', at.id::text)
FROM at WHERE at.state <> 'draft' ORDER BY at.n;
SELECT at.state, pg_temp.attempt('UPDATE txplan.plans SET status = ''active'' WHERE id = %L', at.id::text)
FROM at WHERE at.state IN ('draft', 'completed', 'closed') ORDER BY at.n;
-- What the engine does by itself, nobody does by hand.
SELECT pg_temp.attempt('SELECT txplan.transition_plan(%L, ''complete'')', id::text) FROM at WHERE state = 'active';
SELECT pg_temp.attempt('UPDATE txplan.plans SET status = ''completed'' WHERE id = %L', id::text) FROM at WHERE state = 'active';
-- A state that is none of the workflow's.
SELECT pg_temp.attempt('UPDATE txplan.plans SET status = ''archived'' WHERE id = %L', id::text) FROM at WHERE state = 'completed';
-- Missing arguments and rows.
SELECT pg_temp.attempt('SELECT txplan.transition_plan(NULL, ''confirm'')');
SELECT pg_temp.attempt('SELECT txplan.transition_plan(%L, NULL)', id::text) FROM at WHERE state = 'draft';
SELECT pg_temp.brief('SELECT txplan.transition_plan(%L, '''')', id::text) FROM at WHERE state = 'draft';
SELECT f, pg_temp.brief('SELECT txplan.%I(%L)', f, gen_random_uuid()::text)
FROM unnest(ARRAY['confirm_plan', 'accept_plan', 'reopen_plan', 'reactivate_plan', 'advance_plan', 'available_actions']) AS f;
SELECT f, pg_temp.brief('SELECT txplan.%I(NULL)', f)
FROM unnest(ARRAY['confirm_plan', 'accept_plan', 'reopen_plan', 'reactivate_plan', 'advance_plan', 'available_actions']) AS f;
SELECT pg_temp.brief('SELECT txplan.confirm_plan(%L, %L)', id::text, gen_random_uuid()::text) FROM at WHERE state = 'draft';

-- A plan without items is not confirmed: the guard says why.
SELECT txplan.create_plan(:'clinic', :'patient') AS empty \gset
SELECT pg_temp.attempt('SELECT txplan.confirm_plan(%L)', :'empty');
SELECT pg_temp.attempt('UPDATE txplan.plans SET status = ''pending'' WHERE id = %L', :'empty');

-- Closing wants one of its reasons.
SELECT id AS pending FROM at WHERE state = 'pending' \gset
SELECT pg_temp.attempt('SELECT txplan.close_plan(%L, NULL)', :'pending');
SELECT pg_temp.attempt('SELECT txplan.close_plan(%L, '''')', :'pending');
SELECT pg_temp.attempt('SELECT txplan.close_plan(%L, ''no money'')', :'pending');
SELECT pg_temp.attempt('UPDATE txplan.plans SET status = ''closed'' WHERE id = %L', :'pending');
SELECT pg_temp.brief('UPDATE txplan.plans SET status = ''closed'', closure_reason = ''Rejected'' WHERE id = %L', :'pending');
SELECT r AS reason, pg_temp.outcome('SELECT txplan.close_plan(%L, %L)', :'pending', r)
FROM unnest(ARRAY['rejected', 'expired', 'cancelled', 'abandoned', 'other']) AS r;
-- An action without reasons takes none.
SELECT pg_temp.attempt('SELECT txplan.transition_plan(%L, ''accept'', ''other'')', :'pending');
SELECT pg_temp.attempt('UPDATE txplan.plans SET status = ''active'', closure_reason = ''other'' WHERE id = %L', :'pending');
SELECT pg_temp.brief('UPDATE txplan.plans SET status = ''active'', closure_note = ''so he said'' WHERE id = %L', :'pending');
-- A note is a text of at most 10000 characters.
SELECT pg_temp.attempt('SELECT txplan.close_plan(%L, ''other'', repeat(''n'', 10001))', :'pending');
SELECT length(pg_temp.outcome('SELECT txplan.close_plan(%L, ''other'', repeat(''n'', 10000))', :'pending'));
-- It goes to the plan when that is closed, else to its history.
SELECT txplan.transition_plan(:'pending', 'accept', NULL, 'signed on paper');
SELECT txplan.transition_plan(:'pending', 'close', 'abandoned', 'moved to Lyon');
SELECT status, closure_reason, closure_note FROM txplan.plans WHERE id = :'pending';
SELECT from_value, to_value, action, reason, note FROM txplan.history
WHERE plan_id = :'pending' AND what = 'status' ORDER BY sequence;
-- By UPDATE likewise.
SELECT txplan.reactivate_plan(:'pending');
UPDATE txplan.plans SET status = 'closed', closure_reason = 'expired', closure_note = 'three months'
WHERE id = :'pending'
RETURNING status, closure_reason, closure_note, closed_at IS NOT NULL AS closed_at;
-- Who takes it up again may write the old reason back, as an ORM does.
UPDATE txplan.plans SET status = 'draft', closure_reason = 'expired', closure_note = 'three months'
WHERE id = :'pending'
RETURNING status, closure_reason, closure_note, closed_at;
SELECT txplan.confirm_plan(:'pending');

-- The life of a plan: the time stamps that are set and cleared on the way.
-- A capital letter: set by this step; small: kept; dot: empty.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS life \gset
SELECT txplan.add_item(:'life', NULL, 'Root canal', 300) AS item \gset
CREATE FUNCTION pg_temp.step(plan uuid, action text)
RETURNS TABLE (status text, stamps text, versions bigint, reason text)
LANGUAGE plpgsql
AS $$
DECLARE
	b txplan.plans;
	a txplan.plans;
BEGIN
	SELECT * INTO b FROM txplan.plans WHERE id = plan;
	IF action = 'complete' THEN
		PERFORM txplan.complete_item(id) FROM txplan.items WHERE plan_id = plan;
	ELSE
		PERFORM txplan.transition_plan(plan, action, CASE action WHEN 'close' THEN 'abandoned' END);
	END IF;
	SELECT * INTO a FROM txplan.plans WHERE id = plan;
	RETURN QUERY SELECT a.status, string_agg(
			CASE WHEN s.now IS NULL THEN '.' || s.name WHEN s.now IS DISTINCT FROM s.before THEN upper(s.name)
				ELSE s.name END, ' ' ORDER BY s.n),
		a.version - b.version, a.closure_reason
	FROM (VALUES (1, 'confirmed', a.confirmed_at, b.confirmed_at),
		(2, 'activated', a.activated_at, b.activated_at),
		(3, 'completed', a.completed_at, b.completed_at),
		(4, 'closed', a.closed_at, b.closed_at),
		(5, 'changed', a.status_changed_at, b.status_changed_at)) AS s (n, name, now, before);
END
$$;
SELECT a.action, s.* FROM unnest(ARRAY['confirm', 'reopen', 'confirm', 'accept', 'close',
	'reactivate', 'close', 'reactivate', 'confirm', 'close', 'reactivate', 'confirm', 'accept',
	'complete']) WITH ORDINALITY AS a (action, n), LATERAL pg_temp.step(:'life', a.action) AS s
ORDER BY a.n;
-- Stamps of one step are one time, and it is the event's.
SELECT p.completed_at = p.status_changed_at AS one_time, p.updated_at = p.completed_at AS updated,
	e.occurred_at = p.completed_at AS event
FROM txplan.plans AS p JOIN txplan.events AS e ON e.plan_id = p.id AND e.type = 'treatment_plan.completed'
WHERE p.id = :'life';
-- Nothing leaves completed, for anyone.
SELECT pg_temp.attempt('SELECT txplan.close_plan(%L, ''other'')', :'life');
SELECT pg_temp.attempt('UPDATE txplan.plans SET status = ''draft'' WHERE id = %L', :'life');

-- A second confirmation is refused, and tells nobody anything.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada') AS twice \gset
SELECT txplan.add_item(:'twice', NULL, 'Sealing', 30) IS NOT NULL AS added;
SELECT txplan.confirm_plan(:'twice');
SELECT pg_temp.brief('SELECT txplan.confirm_plan(%L)', :'twice');
-- An UPDATE that leaves the status as it is changes nothing.
UPDATE txplan.plans SET status = 'pending' WHERE id = :'twice' RETURNING status, version;
SELECT plan_version, type, payload ->> 'action' AS action FROM txplan.events WHERE plan_id = :'twice' ORDER BY id;

-- One UPDATE moves many plans, or none.
CREATE TEMP TABLE batch AS
SELECT n, txplan.create_plan(:'clinic', :'patient', NULL, 'batch ' || n) AS id FROM generate_series(1, 4) AS n;
SELECT count(txplan.add_item(id, NULL, 'Filling', 80)) FROM batch WHERE n < 4;
SELECT pg_temp.brief('UPDATE txplan.plans SET status = ''pending'' WHERE title LIKE ''batch %%''');
SELECT p.title, p.status FROM batch JOIN txplan.plans AS p USING (id) ORDER BY n;
WITH moved AS (
	UPDATE txplan.plans AS p SET status = 'pending' FROM batch WHERE p.id = batch.id AND n < 4
	RETURNING p.title, p.status, p.version, p.confirmed_at IS NOT NULL AS confirmed
)
SELECT * FROM moved ORDER BY title;
-- A CASE moves them into different states at once.
WITH moved AS (
	UPDATE txplan.plans SET status = CASE title WHEN 'batch 1' THEN 'active' WHEN 'batch 2' THEN 'closed' ELSE 'draft' END,
		closure_reason = CASE title WHEN 'batch 2' THEN 'rejected' END
	WHERE title IN ('batch 1', 'batch 2', 'batch 3')
	RETURNING title, status
)
SELECT * FROM moved ORDER BY title;
SELECT p.title, string_agg(replace(e.type, 'treatment_plan.', ''), ' ' ORDER BY e.id) AS events
FROM batch JOIN txplan.plans AS p USING (id) JOIN txplan.events AS e ON e.plan_id = p.id
GROUP BY p.title ORDER BY p.title;

-- available_actions(): what can be done, and what stands in the way.
SELECT at.state, a.* FROM at, LATERAL txplan.available_actions(at.id) AS a
WHERE at.state <> 'pending' ORDER BY at.n, a.action;
SELECT * FROM txplan.available_actions(:'twice') ORDER BY action;
SELECT * FROM txplan.available_actions(plan_id => :'empty', clinic_id => :'clinic') ORDER BY action;
-- What it lists is what can be done.
SELECT count(*) AS differ
FROM at CROSS JOIN unnest(ARRAY['confirm', 'accept', 'complete', 'close', 'reactivate', 'reopen']) AS a (action)
LEFT JOIN LATERAL (SELECT v.to_status, v.blockers FROM txplan.available_actions(at.id) AS v
	WHERE v.action = a.action) AS v ON true
WHERE CASE WHEN v.blockers = '{}' THEN v.to_status ELSE 'TX001' END
	<> pg_temp.outcome('SELECT txplan.transition_plan(%L, %L, %L)', at.id::text, a.action,
		CASE WHEN a.action = 'close' THEN 'other' END);

-- Items and sessions can be edited and treated only where the state lets them.
SELECT at.state AS "from", d.what, pg_temp.outcome(d.statement, i.id::text, s.id::text, at.id::text, i.position::text)
FROM at JOIN txplan.items AS i ON i.plan_id = at.id JOIN txplan.sessions AS s ON s.item_id = i.id
CROSS JOIN (VALUES
	(1, 'add', 'SELECT CASE WHEN txplan.add_item(%3$L, NULL, ''x'', 1) IS NOT NULL THEN ''yes'' END'),
	(2, 'remove', 'DELETE FROM txplan.items WHERE id = %1$L RETURNING ''yes'''),
	(3, 'reprice', 'UPDATE txplan.items SET price = 90 WHERE id = %1$L RETURNING ''yes'''),
	(4, 'order', 'UPDATE txplan.items SET position = 7 WHERE id = %1$L RETURNING ''yes'''),
	(5, 'session', 'SELECT CASE WHEN txplan.add_session(%1$L, ''more'', 1) IS NOT NULL THEN ''yes'' END'),
	(6, 'complete', 'SELECT txplan.complete_session(%2$L)'),
	(7, 'cancel', 'SELECT txplan.cancel_session(%2$L)'),
	(8, 'notes', 'UPDATE txplan.items SET notes = ''n'' WHERE id = %1$L RETURNING ''yes'''),
	(9, 'doctor', 'UPDATE txplan.items SET professional_id = NULL WHERE id = %1$L RETURNING ''yes''')
) AS d (n, what, statement)
ORDER BY at.n, d.n
\crosstabview "from" what

SELECT fault, detail FROM txplan.audit(:'clinic');
