-- budgetaction: every pair of a plan's state and its budget's, with every action.
--
-- The pairs are found by doing all actions from a new plan on, until nothing new
-- comes.  Each row below is a pair; each column says what an action makes of it:
-- the pair that it leads to, or the SQLSTATE with which it is refused.

SELECT txplan.install() IS NOT NULL AS installed;

BEGIN;
SELECT txplan.create_clinic('Pairs', 'UTC') AS clinic \gset
SELECT txplan.create_patient(:'clinic', 'Pair', 'Patient') AS patient \gset
CREATE TEMP TABLE ids AS SELECT :'clinic'::uuid AS clinic, :'patient'::uuid AS patient;

CREATE TEMP TABLE actions (place integer, action text, statement text);
INSERT INTO actions VALUES
	(1, 'confirm', 'SELECT txplan.confirm_plan($1)'),
	(2, 'reopen', 'SELECT txplan.reopen_plan($1)'),
	(3, 'accept', 'SELECT txplan.accept_plan($1)'),
	(4, 'close rejected', 'SELECT txplan.close_plan($1, ''rejected'')'),
	(5, 'close other', 'SELECT txplan.close_plan($1, ''other'')'),
	(6, 'reactivate', 'SELECT txplan.reactivate_plan($1)'),
	(7, 'finish items', 'SELECT txplan.complete_item(id) FROM txplan.items WHERE plan_id = $1'),
	(8, 'generate', 'SELECT txplan.generate_budget($1)'),
	(9, 'send', 'SELECT txplan.send_budget(budget_id) FROM txplan.plans WHERE id = $1'),
	(10, 'accept budget', 'SELECT txplan.accept_budget(budget_id) FROM txplan.plans WHERE id = $1'),
	(11, 'reject budget', 'SELECT txplan.reject_budget(budget_id) FROM txplan.plans WHERE id = $1'),
	(12, 'cancel budget', 'SELECT txplan.cancel_budget(budget_id) FROM txplan.plans WHERE id = $1'),
	(13, 'resend', 'SELECT txplan.resend_budget(budget_id) FROM txplan.plans WHERE id = $1'),
	(14, 'expire', 'SELECT count(*) FROM txplan.maintain(now() + interval ''31 days'')
		WHERE $1 IS NOT NULL');

-- The pair that a plan is in; + says that the budget is a later version of one
-- that was rejected.
CREATE FUNCTION pg_temp.pair_of(plan uuid) RETURNS text
LANGUAGE sql
RETURN (SELECT concat_ws(' ', p.status, CASE WHEN p.closed_at IS NOT NULL
		THEN CASE p.closure_reason WHEN 'rejected' THEN 'rejected' ELSE 'other' END END, '|',
		coalesce(p.budget_status, 'none')) || CASE WHEN EXISTS (
			SELECT FROM txplan.budgets AS b
			JOIN txplan.budgets AS r ON r.number = b.number AND r.clinic_id = b.clinic_id
				AND r.version < b.version AND r.status = 'rejected'
			WHERE b.id = p.budget_id) THEN '+' ELSE '' END
	FROM txplan.plans AS p WHERE p.id = plan);

CREATE FUNCTION pg_temp.replay(path text[]) RETURNS uuid
LANGUAGE plpgsql
AS $$
DECLARE
	plan uuid;
	step text;
BEGIN
	SELECT txplan.create_plan(i.clinic, i.patient) INTO plan FROM ids AS i;
	PERFORM txplan.add_item(plan, NULL, 'Crown', 100);
	FOREACH step IN ARRAY path LOOP
		EXECUTE (SELECT a.statement FROM actions AS a WHERE a.action = step) USING plan;
	END LOOP;
	RETURN plan;
END
$$;

CREATE TEMP TABLE pairs (pair text PRIMARY KEY, path text[], done boolean DEFAULT false);
CREATE TEMP TABLE results (pair text, action text, result text);
INSERT INTO pairs VALUES ('draft | none', '{}');
DO $$
DECLARE
	here record;
	the record;
	plan uuid;
	result text;
BEGIN
	LOOP
		SELECT * INTO here FROM pairs WHERE NOT done ORDER BY cardinality(path), pair LIMIT 1;
		EXIT WHEN NOT FOUND;
		plan := pg_temp.replay(here.path);
		IF pg_temp.pair_of(plan) <> here.pair THEN
			RAISE 'path % leads to %, not to %', here.path, pg_temp.pair_of(plan), here.pair;
		END IF;
		FOR the IN SELECT * FROM actions ORDER BY place LOOP
			BEGIN
				EXECUTE the.statement USING plan;
				result := pg_temp.pair_of(plan);
				RAISE EXCEPTION USING ERRCODE = 'UNDO1';
			EXCEPTION WHEN OTHERS THEN
				IF SQLSTATE = 'UNDO1' THEN
					INSERT INTO pairs VALUES (result, here.path || the.action) ON CONFLICT DO NOTHING;
				ELSE
					result := SQLSTATE;
				END IF;
			END;
			INSERT INTO results VALUES (here.pair, the.action, result);
		END LOOP;
		UPDATE pairs SET done = true WHERE pair = here.pair;
	END LOOP;
END
$$;

SELECT pair,
	max(result) FILTER (WHERE action = 'confirm') AS confirm,
	max(result) FILTER (WHERE action = 'reopen') AS reopen,
	max(result) FILTER (WHERE action = 'accept') AS accept,
	max(result) FILTER (WHERE action = 'close rejected') AS "close rejected",
	max(result) FILTER (WHERE action = 'close other') AS "close other",
	max(result) FILTER (WHERE action = 'reactivate') AS reactivate,
	max(result) FILTER (WHERE action = 'finish items') AS "finish items"
FROM results
GROUP BY pair
ORDER BY pair COLLATE "C";
SELECT pair,
	max(result) FILTER (WHERE action = 'generate') AS generate,
	max(result) FILTER (WHERE action = 'send') AS send,
	max(result) FILTER (WHERE action = 'accept budget') AS accept,
	max(result) FILTER (WHERE action = 'reject budget') AS reject,
	max(result) FILTER (WHERE action = 'cancel budget') AS cancel,
	max(result) FILTER (WHERE action = 'resend') AS resend,
	max(result) FILTER (WHERE action = 'expire') AS expire
FROM results
GROUP BY pair
ORDER BY pair COLLATE "C";

-- No pair is stranded: from each some action leads on to a plan that is completed
-- or closed, or it is one.
WITH RECURSIVE ended (pair) AS (
	SELECT p.pair FROM pairs AS p WHERE p.pair LIKE 'completed %' OR p.pair LIKE 'closed %'
	UNION
	SELECT r.pair FROM ended AS e JOIN results AS r ON r.result = e.pair
)
SELECT p.pair AS stranded FROM pairs AS p WHERE NOT EXISTS (SELECT FROM ended AS e WHERE e.pair = p.pair);
WITH RECURSIVE treated (pair) AS (
	SELECT p.pair FROM pairs AS p WHERE p.pair LIKE 'completed %'
	UNION
	SELECT r.pair FROM treated AS e JOIN results AS r ON r.result = e.pair
)
SELECT p.pair AS never_treated FROM pairs AS p WHERE NOT EXISTS (SELECT FROM treated AS e WHERE e.pair = p.pair);

-- A locked plan is one whose budget is sent or accepted; a live one of a plan that
-- has ended is that of a completed plan, or the next version for one that was
-- closed as rejected.
SELECT pair FROM pairs
WHERE pair ~ '^completed .* (draft|sent)' OR pair ~ '^closed other .* (draft|sent|accepted)'
	OR pair ~ '^closed rejected .* accepted' OR pair ~ '^pending .* accepted';

-- What available_actions() offers is what can be done.
DO $$
DECLARE
	here record;
	offered text[];
	possible text[];
	plan uuid;
BEGIN
	FOR here IN SELECT * FROM pairs ORDER BY pair LOOP
		plan := pg_temp.replay(here.path);
		SELECT array_agg(a.action ORDER BY a.action) INTO offered
		FROM txplan.available_actions(plan) AS a
		WHERE a.kind = 'budget' AND a.blockers = '{}' AND a.action NOT IN ('link', 'sync');
		SELECT array_agg(split_part(r.action, ' ', 1) ORDER BY split_part(r.action, ' ', 1)) INTO possible
		FROM results AS r
		WHERE r.pair = here.pair AND length(r.result) > 5
			AND r.action IN ('generate', 'send', 'accept budget', 'reject budget', 'cancel budget', 'resend');
		IF offered IS DISTINCT FROM possible THEN
			RAISE WARNING '%: offered %, possible %', here.pair, offered, possible;
		END IF;
	END LOOP;
END
$$;
SELECT fault, detail FROM txplan.audit(:'clinic');
ROLLBACK;
