-- day.sql: what the demonstration keeps beside the record, and how a connection
-- finds its next call.  Schema demo is no part of txplan.

CREATE SCHEMA demo;

CREATE TABLE demo.day (
	started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	ended_at timestamptz,
	first_event bigint NOT NULL,
	last_event bigint
);

-- How each call ended.
CREATE TABLE demo.calls (
	connection text NOT NULL,
	what text NOT NULL,
	sqlstate text NOT NULL,
	row_count bigint NOT NULL,
	milliseconds numeric NOT NULL
);

-- What the listener heard: single events, and batches.
CREATE TABLE demo.heard (
	id bigint,
	type text NOT NULL,
	plan_id uuid,
	first_id bigint,
	last_id bigint,
	events bigint NOT NULL
);

-- The errors as a client saw them.
CREATE TABLE demo.refusals (
	sqlstate text NOT NULL,
	message text NOT NULL,
	detail text,
	hint text
);

-- The clinic of the day: the one that has most plans.
CREATE FUNCTION demo.clinic()
RETURNS uuid
LANGUAGE sql STABLE
AS $$ SELECT c.id FROM txplan.clinics AS c WHERE c.external_id = 'clinic-olmo' $$;

-- A plan at which all meet, or any plan in a state; NULL when there is none.  They
-- meet at the twelve open plans with most left to do.
CREATE FUNCTION demo.some_plan(hot boolean, wanted_status text, dice double precision)
RETURNS uuid
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	IF hot THEN
		RETURN (
			SELECT p.id FROM txplan.plans AS p
			WHERE p.clinic_id = demo.clinic()
				AND p.status IN ('draft', 'pending', 'active')
			ORDER BY p.items_total - p.items_completed - p.items_cancelled DESC, p.id
			OFFSET floor(dice * 12)
			LIMIT 1);
	END IF;
	RETURN (
		SELECT p.id FROM txplan.plans AS p
		WHERE p.clinic_id = demo.clinic() AND p.status = wanted_status
		ORDER BY p.status_changed_at
		OFFSET floor(dice * (
			SELECT count(*) FROM txplan.plans AS q
			WHERE q.clinic_id = demo.clinic() AND q.status = wanted_status))
		LIMIT 1);
END
$$;

-- An item of a plan: a pending one, as a rule.
CREATE FUNCTION demo.some_item(wanted_plan uuid, dice double precision)
RETURNS uuid
LANGUAGE sql STABLE
AS $$
	SELECT i.id
	FROM txplan.items AS i
	WHERE i.plan_id = wanted_plan
	ORDER BY (i.status = 'pending') = (dice < 0.9) DESC, md5(i.id::text || dice)
	LIMIT 1
$$;

-- A session of a plan: the next pending one of an item, as a rule.
CREATE FUNCTION demo.some_session(wanted_plan uuid, dice double precision)
RETURNS uuid
LANGUAGE sql STABLE
AS $$
	SELECT s.id
	FROM txplan.items AS i
	JOIN txplan.sessions AS s ON s.item_id = i.id AND s.clinic_id = i.clinic_id
	WHERE i.plan_id = wanted_plan
	ORDER BY (s.status = 'pending') = (dice < 0.9) DESC, md5(i.id::text || dice), s.sequence
	LIMIT 1
$$;

-- A doctor of the clinic.
CREATE FUNCTION demo.some_professional(dice double precision)
RETURNS uuid
LANGUAGE sql STABLE
AS $$
	SELECT d.id
	FROM txplan.professionals AS d
	WHERE d.clinic_id = demo.clinic() AND d.active
	ORDER BY md5(d.id::text || dice)
	LIMIT 1
$$;

-- What a connection does next: the statement, ready to be run, and a word for it.
-- Rules can be met by functions and by plain DML, so the day is made of both.
CREATE FUNCTION demo.next_call(
	wanted text, hot boolean,
	dice double precision, other double precision, third double precision,
	OUT what text, OUT command text)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	plan uuid;
	second uuid;
	session uuid;
	the_version bigint;
	by_dml boolean := third < 0.5;
BEGIN
	what := wanted;
	plan := demo.some_plan(hot, CASE wanted
		WHEN 'confirm' THEN 'draft'
		WHEN 'accept' THEN 'pending'
		WHEN 'reopen' THEN 'pending'
		WHEN 'reactivate' THEN 'closed'
		WHEN 'remove_item' THEN 'draft'
		WHEN 'close' THEN CASE WHEN other < 0.3 THEN 'draft' ELSE 'pending' END
		WHEN 'add_item' THEN CASE WHEN other < 0.5 THEN 'draft' ELSE 'pending' END
		ELSE 'active' END, dice);
	IF plan IS NULL THEN
		plan := demo.some_plan(true, NULL, dice);
	END IF;

	CASE wanted
	WHEN 'complete_session', 'cancel_session' THEN
		session := demo.some_session(plan, other);
		IF by_dml THEN
			command := format('UPDATE txplan.sessions SET status = %L WHERE id = %L AND status <> %1$L',
				CASE wanted WHEN 'cancel_session' THEN 'cancelled' ELSE 'completed' END,
				session);
		ELSE
			command := format('SELECT txplan.%I(%L)', wanted, session);
		END IF;
	WHEN 'complete_item', 'record_performed', 'remove_item' THEN
		command := format('SELECT txplan.%I(%L)', wanted, demo.some_item(plan, other));
	WHEN 'confirm', 'accept' THEN
		IF by_dml THEN
			command := format('UPDATE txplan.plans SET status = %L WHERE id = %L AND status <> %1$L',
				CASE wanted WHEN 'confirm' THEN 'pending' ELSE 'active' END, plan);
		ELSE
			command := format('SELECT txplan.%I(%L)', wanted || '_plan', plan);
		END IF;
	WHEN 'reopen', 'reactivate' THEN
		command := format('SELECT txplan.%I(%L)', wanted || '_plan', plan);
	WHEN 'close' THEN
		command := format('SELECT txplan.close_plan(%L, %L, %L)', plan,
			(ARRAY['rejected', 'expired', 'cancelled', 'abandoned', 'other'])[1 + floor(other * 5)],
			CASE WHEN by_dml THEN 'told us by telephone' END);
	WHEN 'new_plan' THEN
		-- A plan and its first items, in one statement.
		SELECT format('WITH new_plan AS MATERIALIZED ('
				'SELECT txplan.create_plan(%L, %L, %L, %L) AS id) '
				'SELECT txplan.add_item(n.id, c.id) '
				'FROM new_plan AS n CROSS JOIN unnest(%L::uuid[]) AS c (id)',
				t.clinic_id, t.id, demo.some_professional(other), 'Walk-in',
				(SELECT array_agg(c.id) FROM (
					SELECT c.id FROM txplan.catalog_items AS c
					WHERE c.clinic_id = t.clinic_id AND c.active
					ORDER BY md5(c.id::text || dice)
					LIMIT 1 + floor(other * 4)) AS c))
			INTO command
		FROM txplan.patients AS t
		WHERE t.clinic_id = demo.clinic() AND t.archived_at IS NULL
		ORDER BY md5(t.id::text || dice)
		LIMIT 1;
	WHEN 'add_item' THEN
		SELECT CASE
				-- A treatment of the chart that stands in some plan already.
				WHEN third < 0.2 THEN format(
					'SELECT txplan.add_item(%L, %L, treatment_ref => %L)', plan, c.id,
					(SELECT i.treatment_ref FROM txplan.items AS i
					WHERE i.clinic_id = c.clinic_id AND i.treatment_ref IS NOT NULL AND i.live
					ORDER BY i.id OFFSET floor(other * 100) LIMIT 1))
				WHEN by_dml THEN format(
					'INSERT INTO txplan.items (clinic_id, plan_id, catalog_item_id) '
					'VALUES (%L, %L, %L)', c.clinic_id, plan, c.id)
				ELSE format('SELECT txplan.add_item(%L, %L, price => %L, tooth => %L)',
					plan, c.id, 30 + round(dice::numeric * 200, 2), 11 + floor(dice * 8))
			END
			INTO command
		FROM txplan.catalog_items AS c
		WHERE c.clinic_id = demo.clinic() AND c.active
		ORDER BY md5(c.id::text || other)
		LIMIT 1;
	WHEN 'add_session' THEN
		command := format('SELECT txplan.add_session(%L, %L, %L)',
			demo.some_item(plan, other), 'Extra check', 5 + round(third::numeric * 10, 2));
	WHEN 'reorder' THEN
		command := format('SELECT txplan.reorder_items(%L, %L)', plan,
			(SELECT array_agg(i.id ORDER BY md5(i.id::text || other))
			FROM txplan.items AS i WHERE i.plan_id = plan));
	WHEN 'assign' THEN
		IF by_dml THEN
			command := format('UPDATE txplan.items SET professional_id = %L WHERE id = %L',
				demo.some_professional(third), demo.some_item(plan, other));
		ELSE
			command := format('SELECT txplan.assign_professional(%L, %L)',
				demo.some_item(plan, other), demo.some_professional(third));
		END IF;
	WHEN 'change_professional' THEN
		command := format('SELECT txplan.change_professional(%L, %L, %L)',
			plan, demo.some_professional(other), by_dml);
	WHEN 'two_plans' THEN
		-- Two plans in one transaction, in any order, with a pause: a deadlock at times.
		plan := demo.some_plan(true, NULL, floor(dice * 2) / 12);
		second := demo.some_plan(true, NULL, (1 - floor(dice * 2)) / 12);
		command := format('SELECT txplan.change_professional(%L, %L, true), pg_sleep(0.01), '
			'txplan.change_professional(%L, %2$L, true)',
			plan, demo.some_professional(third), second);
	WHEN 'rename' THEN
		-- As an ORM with optimistic locking does: the version it read goes along.
		SELECT p.version INTO the_version FROM txplan.plans AS p WHERE p.id = plan;
		command := format('UPDATE txplan.plans SET title = %L, version = %s WHERE id = %L',
			'Plan, revised ' || floor(other * 1000),
			the_version - CASE WHEN third < 0.1 THEN 3 ELSE 0 END, plan);
	WHEN 'mistake' THEN
		-- What a client gets wrong, or tries on.
		command := CASE floor(other * 8)::integer
			WHEN 0 THEN format('UPDATE txplan.plans SET items_completed = 99 WHERE id = %L', plan)
			WHEN 1 THEN format('DELETE FROM txplan.plans WHERE id = %L AND status <> %L',
				plan, 'draft')
			WHEN 2 THEN format('SELECT txplan.close_plan(%L, %L)', plan, 'bored')
			WHEN 3 THEN format('UPDATE txplan.plans SET professional_id = %L WHERE id = %L',
				(SELECT d.id FROM txplan.professionals AS d
				WHERE d.clinic_id <> demo.clinic() LIMIT 1), plan)
			WHEN 4 THEN format('UPDATE txplan.earned_entries SET amount = 0 WHERE plan_id = %L', plan)
			WHEN 5 THEN format('UPDATE txplan.plans SET status = %L WHERE id = %L',
				'completed', plan)
			WHEN 6 THEN format('UPDATE txplan.catalog_items SET price = price + 1 WHERE id IN '
				'(SELECT s.catalog_item_id FROM txplan.catalog_sessions AS s LIMIT 1)')
			ELSE 'TRUNCATE txplan.events'
		END;
	END CASE;

	-- Somebody else may have left nothing to do.
	IF command IS NULL OR plan IS NULL OR command LIKE '%(NULL%' OR command LIKE '%= NULL%' THEN
		what := 'nothing to do';
		command := 'SELECT';
	END IF;
END
$$;
