-- rules_in_plpgsql.sql: the rules of txplan as triggers and functions in PL/pgSQL,
-- written for the tables of schema rules_in_plpgsql as a team would write them that
-- knows its trade: every rule in a trigger, so that plain DML obeys it too, the plan
-- locked before anything is looked at, one UPDATE of the plan for a statement, saved
-- plans everywhere, transition tables where many rows come at once.
--
-- What the measured work needs is here: making plans and items, the workflow with
-- its guards and automatic transitions, doctors, completing and cancelling sessions,
-- earned entries, events, history, engine-owned columns and tables.  What it does not
-- need is not: removing, reordering and repricing, optimistic versions, treatment_ref
-- of closed plans, permissions, notifications.

\set ON_ERROR_STOP 1
SET search_path = rules_in_plpgsql, pg_catalog;

-- ---------------------------------------------------------------- events, history

CREATE FUNCTION rules_in_plpgsql.actor()
RETURNS text LANGUAGE sql STABLE
RETURN coalesce(nullif(current_setting('txplan.actor', true), ''), session_user);

-- publish - writes one event of the plan and counts its version on.
CREATE FUNCTION rules_in_plpgsql.publish(
	INOUT plan rules_in_plpgsql.plans, type text, at timestamptz, facts jsonb DEFAULT '{}')
LANGUAGE plpgsql AS $$
DECLARE
	event_id bigint := nextval('rules_in_plpgsql.events_id_seq');
BEGIN
	plan.version := plan.version + 1;
	INSERT INTO rules_in_plpgsql.events (id, clinic_id, plan_id, plan_version, type,
		actor, occurred_at, payload)
	VALUES (event_id, plan.clinic_id, plan.id, plan.version, publish.type,
		rules_in_plpgsql.actor(), publish.at,
		jsonb_build_object('event_id', event_id::text, 'plan_id', plan.id,
			'plan_number', plan.number, 'clinic_id', plan.clinic_id,
			'patient_id', plan.patient_id, 'actor', rules_in_plpgsql.actor(),
			'occurred_at', to_char(publish.at AT TIME ZONE 'UTC',
				'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) || facts);
END
$$;

CREATE FUNCTION rules_in_plpgsql.field(value text)
RETURNS text LANGUAGE sql IMMUTABLE
RETURN coalesce(octet_length(value)::text || ':' || value || ',', '-,');

-- remember - adds one row to the plan's chain of history.
CREATE FUNCTION rules_in_plpgsql.remember(
	INOUT plan rules_in_plpgsql.plans, what text, at timestamptz, from_value text, to_value text,
	action text DEFAULT NULL, item_id uuid DEFAULT NULL, session_id uuid DEFAULT NULL,
	reason text DEFAULT NULL, note text DEFAULT NULL)
LANGUAGE plpgsql AS $$
DECLARE
	actor text := rules_in_plpgsql.actor();
BEGIN
	plan.history_length := plan.history_length + 1;
	plan.history_head := sha256(coalesce(plan.history_head, '') || convert_to(
		rules_in_plpgsql.field(plan.id::text)
		|| rules_in_plpgsql.field(plan.clinic_id::text)
		|| rules_in_plpgsql.field(plan.history_length::text)
		|| rules_in_plpgsql.field((extract(epoch FROM at) * 1000000)::bigint::text)
		|| rules_in_plpgsql.field(actor)
		|| rules_in_plpgsql.field(current_user)
		|| rules_in_plpgsql.field(what)
		|| rules_in_plpgsql.field(item_id::text)
		|| rules_in_plpgsql.field(session_id::text)
		|| rules_in_plpgsql.field(from_value)
		|| rules_in_plpgsql.field(to_value)
		|| rules_in_plpgsql.field(action)
		|| rules_in_plpgsql.field(reason)
		|| rules_in_plpgsql.field(note), 'UTF8'));
	INSERT INTO rules_in_plpgsql.history (clinic_id, plan_id, sequence, at, actor, role_name,
		what, item_id, session_id, from_value, to_value, action, reason, note, hash)
	VALUES (plan.clinic_id, plan.id, plan.history_length, remember.at, actor,
		current_user, remember.what, remember.item_id, remember.session_id,
		remember.from_value, remember.to_value, remember.action, remember.reason,
		remember.note, plan.history_head);
END
$$;

-- engine_only - refuses those who write a table of the engine themselves.  The
-- triggers that call it are asked only outside of triggers.
CREATE FUNCTION rules_in_plpgsql.engine_only()
RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'only the engine writes table "%"', TG_TABLE_NAME
		USING ERRCODE = 'TX007';
END
$$;

-- ------------------------------------------------------------------------- plans

-- lock_plan - locks a plan for a change of it or of anything below it.
CREATE FUNCTION rules_in_plpgsql.lock_plan(plan_id uuid, clinic_id uuid)
RETURNS rules_in_plpgsql.plans LANGUAGE plpgsql AS $$
DECLARE
	plan rules_in_plpgsql.plans;
BEGIN
	SELECT * INTO plan
	FROM rules_in_plpgsql.plans AS p
	WHERE p.id = lock_plan.plan_id AND p.clinic_id = lock_plan.clinic_id
	FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no plan %', plan_id USING ERRCODE = 'P0002';
	END IF;
	RETURN plan;
END
$$;

CREATE FUNCTION rules_in_plpgsql.plan_has_item(plan_id uuid, clinic_id uuid)
RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
	IF EXISTS (SELECT FROM rules_in_plpgsql.plans AS p
			WHERE p.id = plan_has_item.plan_id AND p.clinic_id = plan_has_item.clinic_id
				AND p.items_total > p.items_cancelled) THEN
		RETURN NULL;
	END IF;
	RETURN 'The plan has no item.';
END
$$;

CREATE FUNCTION rules_in_plpgsql.plan_is_done(plan_id uuid, clinic_id uuid)
RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
	IF EXISTS (SELECT FROM rules_in_plpgsql.plans AS p
			WHERE p.id = plan_is_done.plan_id AND p.clinic_id = plan_is_done.clinic_id
				AND p.items_completed > 0
				AND p.items_completed + p.items_cancelled = p.items_total) THEN
		RETURN NULL;
	END IF;
	RETURN 'Not every item of the plan is completed.';
END
$$;

UPDATE rules_in_plpgsql.workflow_transitions
SET guards = ARRAY(SELECT replace(g, 'txplan.', 'rules_in_plpgsql.') FROM unnest(guards) AS g);

-- blockers - what the guards of a transition have against it.
CREATE FUNCTION rules_in_plpgsql.blockers(guards text[], plan_id uuid, clinic_id uuid)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	guard text;
	blocker text;
	found text[] := '{}';
BEGIN
	FOREACH guard IN ARRAY guards
	LOOP
		EXECUTE format('SELECT %I.%I($1, $2)', split_part(guard, '.', 1),
			split_part(guard, '.', 2))
			INTO blocker USING plan_id, clinic_id;
		IF blocker IS NOT NULL THEN
			found := found || blocker;
		END IF;
	END LOOP;
	RETURN found;
END
$$;

-- next_number - the next number of the clinic's year; the counter's row is locked
-- until the end, so none is lost and none is given twice.
CREATE FUNCTION rules_in_plpgsql.next_number(clinic_id uuid)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	clinic rules_in_plpgsql.clinics;
	this_year integer;
	next bigint;
	digits integer;
BEGIN
	SELECT * INTO clinic FROM rules_in_plpgsql.clinics AS c WHERE c.id = next_number.clinic_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no clinic %', clinic_id USING ERRCODE = 'P0002';
	END IF;
	this_year := extract(year FROM clock_timestamp() AT TIME ZONE clinic.time_zone);
	INSERT INTO rules_in_plpgsql.number_counters AS n (clinic_id, kind, year, last_number)
	VALUES (clinic.id, 'plan', this_year, 1)
	ON CONFLICT ON CONSTRAINT number_counters_pkey
		DO UPDATE SET last_number = n.last_number + 1
	RETURNING n.last_number INTO next;
	digits := length(substring(clinic.plan_number_format FROM '{(N+)}'));
	RETURN regexp_replace(replace(clinic.plan_number_format, '{YYYY}', this_year::text),
		'{N+}', lpad(next::text, greatest(digits, length(next::text)), '0'));
END
$$;

-- check_professional - refuses a doctor who is none of the clinic, or inactive.
CREATE FUNCTION rules_in_plpgsql.check_professional(professional_id uuid, clinic_id uuid)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	is_active boolean;
BEGIN
	IF professional_id IS NULL THEN
		RETURN;
	END IF;
	SELECT d.active INTO is_active
	FROM rules_in_plpgsql.professionals AS d
	WHERE d.id = professional_id AND d.clinic_id = check_professional.clinic_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'professional % is none of the clinic', professional_id
			USING ERRCODE = 'TX010';
	ELSIF NOT is_active THEN
		RAISE EXCEPTION 'professional % is not active', professional_id
			USING ERRCODE = 'TX002';
	END IF;
END
$$;

-- plans_insert - completes a new plan.
CREATE FUNCTION rules_in_plpgsql.plans_insert()
RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	archived timestamptz;
BEGIN
	SELECT a.archived_at INTO archived
	FROM rules_in_plpgsql.patients AS a
	WHERE a.id = NEW.patient_id AND a.clinic_id = NEW.clinic_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'patient % is none of the clinic', NEW.patient_id
			USING ERRCODE = 'TX010';
	ELSIF archived IS NOT NULL THEN
		RAISE EXCEPTION 'patient % is archived', NEW.patient_id USING ERRCODE = 'TX002';
	END IF;
	PERFORM rules_in_plpgsql.check_professional(NEW.professional_id, NEW.clinic_id);
	SELECT s.state INTO NEW.status
	FROM rules_in_plpgsql.workflow_states AS s
	WHERE s.workflow = NEW.workflow AND s.kind = 'initial';
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no workflow "%"', NEW.workflow USING ERRCODE = 'P0002';
	END IF;
	NEW.number := rules_in_plpgsql.next_number(NEW.clinic_id);
	NEW.status_changed_at := clock_timestamp();
	NEW.created_by := rules_in_plpgsql.actor();
	NEW.items_total := 0;
	NEW.items_completed := 0;
	NEW.items_cancelled := 0;
	NEW.version := 0;
	NEW.history_length := 0;
	NEW := rules_in_plpgsql.publish(NEW, 'treatment_plan.created', NEW.status_changed_at,
		jsonb_build_object('workflow', NEW.workflow, 'status', NEW.status,
			'title', NEW.title, 'professional_id', NEW.professional_id));
	NEW := rules_in_plpgsql.remember(NEW, 'created', NEW.status_changed_at, NULL, NEW.status);
	RETURN NEW;
END
$$;

-- plans_update - moves a plan along its workflow, and lets its doctor change.
CREATE FUNCTION rules_in_plpgsql.plans_update()
RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	edge rules_in_plpgsql.workflow_transitions;
	state rules_in_plpgsql.workflow_states;
	reasons text[];
	at timestamptz := clock_timestamp();
	by_engine boolean := pg_trigger_depth() > 1;
BEGIN
	IF (NEW.id, NEW.clinic_id, NEW.patient_id, NEW.workflow, NEW.number, NEW.created_at)
		IS DISTINCT FROM
		(OLD.id, OLD.clinic_id, OLD.patient_id, OLD.workflow, OLD.number, OLD.created_at)
		OR (NOT by_engine AND
			(NEW.items_total, NEW.items_completed, NEW.items_cancelled,
				NEW.history_length, NEW.history_head, NEW.version, NEW.confirmed_at,
				NEW.activated_at, NEW.completed_at, NEW.closed_at, NEW.status_changed_at)
			IS DISTINCT FROM
			(OLD.items_total, OLD.items_completed, OLD.items_cancelled,
				OLD.history_length, OLD.history_head, OLD.version, OLD.confirmed_at,
				OLD.activated_at, OLD.completed_at, OLD.closed_at, OLD.status_changed_at))
	THEN
		RAISE EXCEPTION 'only the engine writes these columns' USING ERRCODE = 'TX007';
	END IF;
	NEW.updated_at := now();

	IF NEW.professional_id IS DISTINCT FROM OLD.professional_id THEN
		PERFORM rules_in_plpgsql.check_professional(NEW.professional_id, NEW.clinic_id);
		NEW := rules_in_plpgsql.remember(NEW, 'professional', at,
			OLD.professional_id::text, NEW.professional_id::text);
		NEW := rules_in_plpgsql.publish(NEW, 'treatment_plan.professional_changed', at,
			jsonb_build_object('old_professional_id', OLD.professional_id,
				'new_professional_id', NEW.professional_id, 'items_reassigned',
				coalesce(nullif(current_setting('rules_in_plpgsql.items_reassigned', true), ''),
					'0')::integer));
	END IF;

	IF NEW.status <> OLD.status THEN
		SELECT * INTO edge
		FROM rules_in_plpgsql.workflow_transitions AS t
		WHERE t.workflow = OLD.workflow AND t.from_state = OLD.status
			AND t.to_state = NEW.status AND t.automatic = by_engine;
		IF NOT FOUND THEN
			RAISE EXCEPTION 'a plan cannot go from "%" to "%"', OLD.status, NEW.status
				USING ERRCODE = 'TX001',
					HINT = (SELECT 'Its actions: ' || string_agg(t.action, ', ')
						FROM rules_in_plpgsql.workflow_transitions AS t
						WHERE t.workflow = OLD.workflow AND t.from_state = OLD.status);
		END IF;
		IF edge.reasons <> '{}' AND (NEW.closure_reason IS NULL
			OR NEW.closure_reason <> ALL (edge.reasons)) THEN
			RAISE EXCEPTION 'action "%" wants a reason', edge.action
				USING ERRCODE = 'TX005',
					HINT = 'Its reasons: ' || array_to_string(edge.reasons, ', ');
		END IF;
		-- Who moves it automatically has asked the guards just now.
		IF NOT by_engine AND edge.guards <> '{}' THEN
			reasons := rules_in_plpgsql.blockers(edge.guards, OLD.id, OLD.clinic_id);
			IF reasons <> '{}' THEN
				RAISE EXCEPTION 'action "%" is not possible', edge.action
					USING ERRCODE = 'TX002', DETAIL = array_to_string(reasons, ' ');
			END IF;
		END IF;

		SELECT * INTO state
		FROM rules_in_plpgsql.workflow_states AS s
		WHERE s.workflow = NEW.workflow AND s.state = NEW.status;
		NEW.status_changed_at := at;
		IF state.kind = 'initial' THEN
			NEW.confirmed_at := NULL;
			NEW.activated_at := NULL;
		ELSIF NEW.confirmed_at IS NULL AND edge.reasons = '{}' THEN
			NEW.confirmed_at := at;
		END IF;
		IF state.treatable AND NEW.activated_at IS NULL THEN
			NEW.activated_at := at;
		END IF;
		IF state.kind = 'final' AND edge.reasons = '{}' THEN
			NEW.completed_at := at;
		ELSIF state.kind = 'final' THEN
			NEW.closed_at := at;
			UPDATE rules_in_plpgsql.items AS i
			SET live = false
			WHERE i.plan_id = NEW.id AND i.clinic_id = NEW.clinic_id
				AND i.status <> 'cancelled';
		ELSE
			NEW.closed_at := NULL;
			NEW.closure_reason := NULL;
			NEW.closure_note := NULL;
		END IF;

		IF edge.event IS NOT NULL THEN
			NEW := rules_in_plpgsql.publish(NEW, edge.event, at, CASE edge.event
				WHEN 'treatment_plan.confirmed' THEN (
					SELECT jsonb_build_object('items', jsonb_agg(jsonb_build_object(
							'item_id', i.id, 'catalog_item_id', i.catalog_item_id,
							'treatment_ref', i.treatment_ref, 'tooth', i.tooth,
							'surfaces', i.surfaces, 'description', i.description,
							'unit_price', i.price::text,
							'professional_id', i.professional_id) ORDER BY i.position),
						'total', sum(i.price)::text)
					FROM rules_in_plpgsql.items AS i
					WHERE i.plan_id = NEW.id AND i.clinic_id = NEW.clinic_id)
				WHEN 'treatment_plan.closed' THEN
					jsonb_build_object('closure_reason', NEW.closure_reason,
						'closure_note', NEW.closure_note, 'previous_status', OLD.status)
				WHEN 'treatment_plan.reactivated' THEN
					jsonb_build_object('previous_closure_reason', OLD.closure_reason)
				ELSE '{}' END);
		END IF;
		NEW := rules_in_plpgsql.publish(NEW, 'treatment_plan.status_changed', at,
			jsonb_build_object('old_status', OLD.status, 'new_status', NEW.status,
				'action', edge.action));
		NEW := rules_in_plpgsql.remember(NEW, 'status', at, OLD.status, NEW.status,
			edge.action, NULL, NULL, NEW.closure_reason, NEW.closure_note);
	END IF;
	RETURN NEW;
END
$$;

CREATE TRIGGER plans_insert BEFORE INSERT ON rules_in_plpgsql.plans
	FOR EACH ROW EXECUTE FUNCTION rules_in_plpgsql.plans_insert();
-- The engine's own counting needs no check, and no trigger.
CREATE TRIGGER plans_update BEFORE UPDATE ON rules_in_plpgsql.plans
	FOR EACH ROW
	WHEN (pg_trigger_depth() = 0 OR OLD.status <> NEW.status)
	EXECUTE FUNCTION rules_in_plpgsql.plans_update();

-- store_plan - writes what was counted for a plan below it, then takes the
-- automatic transitions that are possible now.
CREATE FUNCTION rules_in_plpgsql.store_plan(plan rules_in_plpgsql.plans)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	edge record;
	state text := plan.status;
	rounds integer := 0;
BEGIN
	UPDATE rules_in_plpgsql.plans AS p
	SET items_total = plan.items_total,
		items_completed = plan.items_completed,
		items_cancelled = plan.items_cancelled,
		version = plan.version,
		history_length = plan.history_length,
		history_head = plan.history_head,
		updated_at = now()
	WHERE p.id = plan.id AND p.clinic_id = plan.clinic_id;

	<<again>>
	LOOP
		FOR edge IN
			SELECT t.to_state, t.guards
			FROM rules_in_plpgsql.workflow_transitions AS t
			WHERE t.workflow = plan.workflow AND t.from_state = state AND t.automatic
			ORDER BY t.action
		LOOP
			IF rules_in_plpgsql.blockers(edge.guards, plan.id, plan.clinic_id) = '{}' THEN
				rounds := rounds + 1;
				IF rounds > 100 THEN
					RAISE EXCEPTION 'automatic transitions go in a circle'
						USING ERRCODE = 'TX002';
				END IF;
				UPDATE rules_in_plpgsql.plans AS p
				SET status = edge.to_state
				WHERE p.id = plan.id AND p.clinic_id = plan.clinic_id;
				state := edge.to_state;
				CONTINUE again;
			END IF;
		END LOOP;
		EXIT;
	END LOOP;
END
$$;

-- ------------------------------------------------------------------------- items

-- items_insert - completes a new item from the catalog and its plan.
CREATE FUNCTION rules_in_plpgsql.items_insert()
RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	plan record;
	offer rules_in_plpgsql.catalog_items;
BEGIN
	SELECT p.status, p.professional_id, s.items_editable INTO plan
	FROM rules_in_plpgsql.plans AS p
	JOIN rules_in_plpgsql.workflow_states AS s ON s.workflow = p.workflow AND s.state = p.status
	WHERE p.id = NEW.plan_id AND p.clinic_id = NEW.clinic_id
	FOR NO KEY UPDATE OF p;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no plan %', NEW.plan_id USING ERRCODE = 'P0002';
	ELSIF NOT plan.items_editable THEN
		RAISE EXCEPTION 'a plan that is "%" takes no items', plan.status
			USING ERRCODE = 'TX002';
	END IF;
	NEW.sessions_total := 1;
	IF NEW.catalog_item_id IS NOT NULL THEN
		SELECT * INTO offer
		FROM rules_in_plpgsql.catalog_items AS c
		WHERE c.id = NEW.catalog_item_id AND c.clinic_id = NEW.clinic_id;
		IF NOT FOUND THEN
			RAISE EXCEPTION 'catalog item % is none of the clinic', NEW.catalog_item_id
				USING ERRCODE = 'TX010';
		ELSIF NOT offer.active THEN
			RAISE EXCEPTION 'catalog item % is not active', NEW.catalog_item_id
				USING ERRCODE = 'TX002';
		END IF;
		NEW.description := coalesce(NEW.description, offer.name);
		NEW.category_key := coalesce(NEW.category_key, offer.category_key);
		NEW.price := coalesce(NEW.price, offer.price);
		SELECT greatest(count(*), 1) INTO NEW.sessions_total
		FROM rules_in_plpgsql.catalog_sessions AS t
		WHERE t.catalog_item_id = NEW.catalog_item_id AND t.clinic_id = NEW.clinic_id;
	END IF;
	IF NEW.professional_id IS NULL THEN
		NEW.professional_id := plan.professional_id;
	END IF;
	PERFORM rules_in_plpgsql.check_professional(NEW.professional_id, NEW.clinic_id);
	SELECT coalesce(max(i.position), 0) + 1 INTO NEW.position
	FROM rules_in_plpgsql.items AS i
	WHERE i.plan_id = NEW.plan_id AND i.clinic_id = NEW.clinic_id;
	NEW.status := 'pending';
	NEW.live := true;
	NEW.sessions_completed := 0;
	NEW.sessions_cancelled := 0;
	RETURN NEW;
END
$$;

-- split_amount - splits an amount by weights, by the largest remainder.
CREATE FUNCTION rules_in_plpgsql.split_amount(total numeric, weights numeric[])
RETURNS numeric[] LANGUAGE sql IMMUTABLE AS $$
	WITH share AS (
		SELECT w.n, CASE WHEN s.total = 0 THEN $1 / cardinality($2)
			ELSE $1 * w.weight / s.total END AS exact
		FROM unnest($2) WITH ORDINALITY AS w (weight, n)
		CROSS JOIN (SELECT sum(u) AS total FROM unnest($2) AS u) AS s
	),
	ranked AS (
		SELECT s.n, trunc(s.exact, 2) AS part,
			row_number() OVER (ORDER BY s.exact - trunc(s.exact, 2) DESC, s.n DESC) AS place,
			($1 - sum(trunc(s.exact, 2)) OVER ()) * 100 AS cents
		FROM share AS s
	)
	SELECT array_agg(r.part + CASE WHEN r.place <= r.cents THEN 0.01 ELSE 0 END ORDER BY r.n)
	FROM ranked AS r
$$;

-- items_inserted - makes the sessions of new items, counts and publishes them.
CREATE FUNCTION rules_in_plpgsql.items_inserted()
RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	plan rules_in_plpgsql.plans;
	item rules_in_plpgsql.items;
	at timestamptz;
BEGIN
	INSERT INTO rules_in_plpgsql.sessions (clinic_id, plan_id, item_id, sequence, label, amount)
	SELECT n.clinic_id, n.plan_id, n.id, coalesce(t.place, 1), t.label,
		coalesce(t.amount, n.price)
	FROM new_rows AS n
	LEFT JOIN LATERAL (
		SELECT w.place, w.label, CASE WHEN w.total = n.price THEN w.price
			ELSE (rules_in_plpgsql.split_amount(n.price, w.prices))[w.place] END AS amount
		FROM (
			SELECT row_number() OVER (ORDER BY s.sequence) AS place, s.label, s.price,
				sum(s.price) OVER () AS total, array_agg(s.price) OVER (ORDER BY s.sequence
					ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS prices
			FROM rules_in_plpgsql.catalog_sessions AS s
			WHERE s.catalog_item_id = n.catalog_item_id AND s.clinic_id = n.clinic_id
		) AS w
	) AS t ON true;

	FOR item IN
		SELECT n.* FROM new_rows AS n ORDER BY n.plan_id, n.clinic_id, n.position
	LOOP
		IF (item.plan_id, item.clinic_id) IS DISTINCT FROM (plan.id, plan.clinic_id) THEN
			IF plan.id IS NOT NULL THEN
				PERFORM rules_in_plpgsql.store_plan(plan);
			END IF;
			plan := rules_in_plpgsql.lock_plan(item.plan_id, item.clinic_id);
		END IF;
		at := clock_timestamp();
		plan.items_total := plan.items_total + 1;
		plan := rules_in_plpgsql.publish(plan, 'treatment_plan.treatment_added', at,
			jsonb_build_object('item_id', item.id,
				'catalog_item_id', item.catalog_item_id,
				'treatment_ref', item.treatment_ref, 'tooth', item.tooth,
				'surfaces', item.surfaces, 'unit_price', item.price::text,
				'professional_id', item.professional_id, 'budget_id', NULL));
		plan := rules_in_plpgsql.remember(plan, 'item_added', at, NULL,
			item.description, NULL, item.id);
	END LOOP;
	IF plan.id IS NOT NULL THEN
		PERFORM rules_in_plpgsql.store_plan(plan);
	END IF;
	RETURN NULL;
END
$$;

-- items_update - lets the doctor and the notes of an item change, as far as they may.
CREATE FUNCTION rules_in_plpgsql.items_update()
RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	allowed rules_in_plpgsql.items := NEW;
BEGIN
	allowed.professional_id := OLD.professional_id;
	allowed.notes := OLD.notes;
	allowed.updated_at := OLD.updated_at;
	IF allowed IS DISTINCT FROM OLD THEN
		RAISE EXCEPTION 'only the engine writes these columns' USING ERRCODE = 'TX007';
	END IF;
	IF NEW.professional_id IS DISTINCT FROM OLD.professional_id THEN
		IF OLD.status <> 'pending' THEN
			RAISE EXCEPTION 'an item that is % keeps its doctor', OLD.status
				USING ERRCODE = 'TX004';
		END IF;
		PERFORM rules_in_plpgsql.lock_plan(OLD.plan_id, OLD.clinic_id);
		PERFORM rules_in_plpgsql.check_professional(NEW.professional_id, NEW.clinic_id);
	END IF;
	NEW.updated_at := now();
	RETURN NEW;
END
$$;

-- items_updated - publishes the items that have another doctor.
CREATE FUNCTION rules_in_plpgsql.items_updated()
RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	plan rules_in_plpgsql.plans;
	item record;
	at timestamptz := clock_timestamp();
BEGIN
	FOR item IN
		SELECT n.id, n.clinic_id, n.plan_id, o.professional_id AS old_professional,
			n.professional_id AS new_professional
		FROM new_rows AS n
		JOIN old_rows AS o ON o.id = n.id AND o.clinic_id = n.clinic_id
		WHERE n.professional_id IS DISTINCT FROM o.professional_id
		ORDER BY n.plan_id, n.clinic_id, n.position
	LOOP
		IF (item.plan_id, item.clinic_id) IS DISTINCT FROM (plan.id, plan.clinic_id) THEN
			IF plan.id IS NOT NULL THEN
				PERFORM rules_in_plpgsql.store_plan(plan);
			END IF;
			plan := rules_in_plpgsql.lock_plan(item.plan_id, item.clinic_id);
		END IF;
		plan := rules_in_plpgsql.publish(plan, 'treatment_plan.item_reassigned', at,
			jsonb_build_object('item_id', item.id,
				'old_professional_id', item.old_professional,
				'new_professional_id', item.new_professional));
		plan := rules_in_plpgsql.remember(plan, 'item_professional', at,
			item.old_professional::text, item.new_professional::text, NULL, item.id);
	END LOOP;
	IF plan.id IS NOT NULL THEN
		PERFORM rules_in_plpgsql.store_plan(plan);
	END IF;
	RETURN NULL;
END
$$;

CREATE TRIGGER items_insert BEFORE INSERT ON rules_in_plpgsql.items
	FOR EACH ROW EXECUTE FUNCTION rules_in_plpgsql.items_insert();
CREATE TRIGGER items_inserted AFTER INSERT ON rules_in_plpgsql.items
	REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION rules_in_plpgsql.items_inserted();
CREATE TRIGGER items_update BEFORE UPDATE ON rules_in_plpgsql.items
	FOR EACH ROW WHEN (pg_trigger_depth() = 0)
	EXECUTE FUNCTION rules_in_plpgsql.items_update();
CREATE TRIGGER items_updated AFTER UPDATE ON rules_in_plpgsql.items
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0)
	EXECUTE FUNCTION rules_in_plpgsql.items_updated();

-- ---------------------------------------------------------------------- sessions

-- sessions_update - lets a pending session be completed or cancelled, once, in a
-- plan that is treated.
CREATE FUNCTION rules_in_plpgsql.sessions_update()
RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	plan_status text;
	plan_treatable boolean;
	allowed rules_in_plpgsql.sessions := NEW;
BEGIN
	allowed.status := OLD.status;
	allowed.note := OLD.note;
	allowed.label := OLD.label;
	allowed.updated_at := OLD.updated_at;
	IF allowed IS DISTINCT FROM OLD THEN
		RAISE EXCEPTION 'only the engine writes these columns' USING ERRCODE = 'TX007';
	END IF;
	NEW.updated_at := now();
	IF NEW.status = OLD.status THEN
		RETURN NEW;
	END IF;
	SELECT p.status, s.treatable INTO plan_status, plan_treatable
	FROM rules_in_plpgsql.plans AS p
	JOIN rules_in_plpgsql.workflow_states AS s ON s.workflow = p.workflow AND s.state = p.status
	WHERE p.id = OLD.plan_id AND p.clinic_id = OLD.clinic_id
	FOR NO KEY UPDATE OF p;
	IF OLD.status <> 'pending' THEN
		RAISE EXCEPTION 'the session is %', OLD.status
			USING ERRCODE = 'TX004', DETAIL = format('By %s at %s.',
				OLD.completed_by, coalesce(OLD.completed_at, OLD.cancelled_at));
	END IF;
	IF NOT plan_treatable THEN
		RAISE EXCEPTION 'nothing is treated in a plan that is "%"', plan_status
			USING ERRCODE = 'TX002';
	END IF;
	IF NEW.status = 'completed' THEN
		NEW.completed_at := clock_timestamp();
		NEW.completed_by := rules_in_plpgsql.actor();
	ELSE
		NEW.cancelled_at := clock_timestamp();
	END IF;
	RETURN NEW;
END
$$;

-- sessions_updated - books what was earned, counts, finishes items and plans, and
-- publishes it all in the order of the facts.
CREATE FUNCTION rules_in_plpgsql.sessions_updated()
RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	plan rules_in_plpgsql.plans;
	item rules_in_plpgsql.items;
	session record;
	at timestamptz;
BEGIN
	FOR session IN
		SELECT n.*
		FROM new_rows AS n
		JOIN old_rows AS o ON o.id = n.id AND o.clinic_id = n.clinic_id
		WHERE n.status <> o.status
		ORDER BY n.plan_id, n.clinic_id, n.item_id, n.sequence
	LOOP
		IF (session.plan_id, session.clinic_id) IS DISTINCT FROM (plan.id, plan.clinic_id) THEN
			IF plan.id IS NOT NULL THEN
				PERFORM rules_in_plpgsql.store_plan(plan);
			END IF;
			plan := rules_in_plpgsql.lock_plan(session.plan_id, session.clinic_id);
		END IF;
		at := coalesce(session.completed_at, session.cancelled_at);

		SELECT i.* INTO item
		FROM rules_in_plpgsql.items AS i
		WHERE i.id = session.item_id AND i.clinic_id = session.clinic_id;
		IF session.status = 'completed' THEN
			item.sessions_completed := item.sessions_completed + 1;
		ELSE
			item.sessions_cancelled := item.sessions_cancelled + 1;
		END IF;
		IF item.sessions_completed + item.sessions_cancelled = item.sessions_total THEN
			IF item.sessions_completed > 0 THEN
				item.status := 'completed';
				item.completed_at := at;
				item.completed_by := rules_in_plpgsql.actor();
				item.completed_via := 'session';
			ELSE
				item.status := 'cancelled';
				item.live := false;
			END IF;
		END IF;
		UPDATE rules_in_plpgsql.items AS i
		SET sessions_completed = item.sessions_completed,
			sessions_cancelled = item.sessions_cancelled,
			status = item.status, live = item.live,
			completed_at = item.completed_at, completed_by = item.completed_by,
			completed_via = item.completed_via, updated_at = now()
		WHERE i.id = item.id AND i.clinic_id = item.clinic_id;

		IF session.status = 'completed' THEN
			INSERT INTO rules_in_plpgsql.earned_entries (clinic_id, patient_id, plan_id, item_id,
				session_id, professional_id, description, amount, earned_at)
			VALUES (session.clinic_id, plan.patient_id, plan.id, item.id, session.id,
				item.professional_id,
				item.description || coalesce(': ' || session.label, ''),
				session.amount, at);
			plan := rules_in_plpgsql.publish(plan, 'treatment_plan.item_session_completed', at,
				jsonb_build_object('item_id', item.id, 'session_id', session.id,
					'sequence', session.sequence, 'label', session.label,
					'amount', session.amount::text,
					'professional_id', item.professional_id,
					'completed_by', session.completed_by,
					'sessions_completed', item.sessions_completed,
					'sessions_total', item.sessions_total));
		ELSE
			plan := rules_in_plpgsql.publish(plan, 'treatment_plan.item_session_cancelled', at,
				jsonb_build_object('item_id', item.id, 'session_id', session.id,
					'sequence', session.sequence, 'label', session.label,
					'amount', session.amount::text,
					'professional_id', item.professional_id,
					'sessions_total', item.sessions_total,
					'sessions_cancelled', item.sessions_cancelled));
		END IF;
		plan := rules_in_plpgsql.remember(plan, 'session_status', at, 'pending',
			session.status, NULL, item.id, session.id, NULL, session.note);

		IF item.status <> 'pending' THEN
			IF item.status = 'completed' THEN
				plan.items_completed := plan.items_completed + 1;
				plan := rules_in_plpgsql.publish(plan, 'treatment_plan.treatment_completed', at,
					jsonb_build_object('item_id', item.id,
						'treatment_ref', item.treatment_ref,
						'description', item.description,
						'treatment_category_key', item.category_key,
						'professional_id', item.professional_id,
						'completed_by', item.completed_by,
						'completed_via', item.completed_via));
			ELSE
				plan.items_cancelled := plan.items_cancelled + 1;
				plan := rules_in_plpgsql.publish(plan, 'treatment_plan.treatment_cancelled', at,
					jsonb_build_object('item_id', item.id));
			END IF;
			plan := rules_in_plpgsql.remember(plan, 'item_status', at, 'pending', item.status,
				item.completed_via, item.id);
		END IF;
	END LOOP;
	IF plan.id IS NOT NULL THEN
		PERFORM rules_in_plpgsql.store_plan(plan);
	END IF;
	RETURN NULL;
END
$$;

CREATE TRIGGER sessions_insert BEFORE INSERT ON rules_in_plpgsql.sessions
	FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0)
	EXECUTE FUNCTION rules_in_plpgsql.engine_only();
CREATE TRIGGER sessions_update BEFORE UPDATE ON rules_in_plpgsql.sessions
	FOR EACH ROW EXECUTE FUNCTION rules_in_plpgsql.sessions_update();
CREATE TRIGGER sessions_updated AFTER UPDATE ON rules_in_plpgsql.sessions
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION rules_in_plpgsql.sessions_updated();

CREATE TRIGGER events_engine_only
	BEFORE INSERT OR UPDATE OR DELETE ON rules_in_plpgsql.events
	FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0)
	EXECUTE FUNCTION rules_in_plpgsql.engine_only();
CREATE TRIGGER history_engine_only
	BEFORE INSERT OR UPDATE OR DELETE ON rules_in_plpgsql.history
	FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0)
	EXECUTE FUNCTION rules_in_plpgsql.engine_only();
CREATE TRIGGER earned_entries_engine_only
	BEFORE INSERT OR UPDATE OR DELETE ON rules_in_plpgsql.earned_entries
	FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0)
	EXECUTE FUNCTION rules_in_plpgsql.engine_only();

-- --------------------------------------------------------------------- functions

CREATE FUNCTION rules_in_plpgsql.create_plan(
	clinic_id uuid, patient_id uuid, professional_id uuid DEFAULT NULL,
	title text DEFAULT NULL)
RETURNS uuid LANGUAGE sql AS $$
	INSERT INTO rules_in_plpgsql.plans (clinic_id, patient_id, professional_id, title)
	VALUES ($1, $2, $3, $4)
	RETURNING id
$$;

CREATE FUNCTION rules_in_plpgsql.add_item(
	plan_id uuid, catalog_item_id uuid, description text DEFAULT NULL, price numeric DEFAULT NULL)
RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
	clinic uuid;
	item uuid;
BEGIN
	SELECT p.clinic_id INTO clinic FROM rules_in_plpgsql.plans AS p WHERE p.id = add_item.plan_id;
	PERFORM rules_in_plpgsql.lock_plan(plan_id, clinic);
	INSERT INTO rules_in_plpgsql.items (clinic_id, plan_id, catalog_item_id, description, price)
	VALUES (clinic, add_item.plan_id, add_item.catalog_item_id, add_item.description,
		add_item.price)
	RETURNING id INTO item;
	RETURN item;
END
$$;

-- transition_plan - does an action of the plan's workflow.
CREATE FUNCTION rules_in_plpgsql.transition_plan(
	plan_id uuid, action text, reason text DEFAULT NULL, note text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan rules_in_plpgsql.plans;
	target text;
BEGIN
	SELECT * INTO plan
	FROM rules_in_plpgsql.plans AS p
	WHERE p.id = transition_plan.plan_id
	FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no plan %', plan_id USING ERRCODE = 'P0002';
	END IF;
	SELECT t.to_state INTO target
	FROM rules_in_plpgsql.workflow_transitions AS t
	WHERE t.workflow = plan.workflow AND t.from_state = plan.status
		AND t.action = transition_plan.action AND NOT t.automatic;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'a plan that is "%" has no action "%"', plan.status, action
			USING ERRCODE = 'TX001';
	END IF;
	UPDATE rules_in_plpgsql.plans AS p
	SET status = target, closure_reason = reason, closure_note = note
	WHERE p.id = plan.id AND p.clinic_id = plan.clinic_id
	RETURNING p.status INTO target;
	RETURN target;
END
$$;

CREATE FUNCTION rules_in_plpgsql.confirm_plan(plan_id uuid)
RETURNS text LANGUAGE sql AS $$ SELECT rules_in_plpgsql.transition_plan($1, 'confirm') $$;
CREATE FUNCTION rules_in_plpgsql.accept_plan(plan_id uuid)
RETURNS text LANGUAGE sql AS $$ SELECT rules_in_plpgsql.transition_plan($1, 'accept') $$;
CREATE FUNCTION rules_in_plpgsql.close_plan(plan_id uuid, reason text, note text DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$ SELECT rules_in_plpgsql.transition_plan($1, 'close', $2, $3) $$;

-- finish_session - completes or cancels a session; the plan is locked first.
CREATE FUNCTION rules_in_plpgsql.finish_session(session_id uuid, outcome text, note text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	session rules_in_plpgsql.sessions;
	item_status text;
BEGIN
	SELECT * INTO session FROM rules_in_plpgsql.sessions AS s WHERE s.id = finish_session.session_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no session %', session_id USING ERRCODE = 'P0002';
	END IF;
	PERFORM FROM rules_in_plpgsql.plans AS p
	WHERE p.id = session.plan_id AND p.clinic_id = session.clinic_id
	FOR NO KEY UPDATE;
	UPDATE rules_in_plpgsql.sessions AS s
	SET status = outcome, note = coalesce(finish_session.note, s.note)
	WHERE s.id = session.id AND s.clinic_id = session.clinic_id AND s.status = 'pending';
	IF NOT FOUND THEN
		RAISE EXCEPTION 'the session is completed or cancelled' USING ERRCODE = 'TX004';
	END IF;
	SELECT i.status INTO item_status
	FROM rules_in_plpgsql.items AS i
	WHERE i.id = session.item_id AND i.clinic_id = session.clinic_id;
	RETURN item_status;
END
$$;

CREATE FUNCTION rules_in_plpgsql.complete_session(session_id uuid, note text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN rules_in_plpgsql.finish_session(session_id, 'completed', note);
END
$$;

CREATE FUNCTION rules_in_plpgsql.cancel_session(session_id uuid, note text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN rules_in_plpgsql.finish_session(session_id, 'cancelled', note);
END
$$;

CREATE FUNCTION rules_in_plpgsql.change_professional(
	plan_id uuid, professional_id uuid, reassign_pending boolean DEFAULT false)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	plan rules_in_plpgsql.plans;
	old_professional uuid;
	moved integer := 0;
BEGIN
	SELECT * INTO plan
	FROM rules_in_plpgsql.plans AS p
	WHERE p.id = change_professional.plan_id
	FOR NO KEY UPDATE;
	old_professional := plan.professional_id;
	IF reassign_pending THEN
		SELECT count(*) INTO moved
		FROM rules_in_plpgsql.items AS i
		WHERE i.plan_id = plan.id AND i.clinic_id = plan.clinic_id
			AND i.status = 'pending' AND i.professional_id = old_professional;
	END IF;
	PERFORM set_config('rules_in_plpgsql.items_reassigned', moved::text, true);
	UPDATE rules_in_plpgsql.plans AS p
	SET professional_id = change_professional.professional_id
	WHERE p.id = plan.id AND p.clinic_id = plan.clinic_id
		AND p.professional_id IS DISTINCT FROM change_professional.professional_id;
	PERFORM set_config('rules_in_plpgsql.items_reassigned', '', true);
	IF moved > 0 THEN
		UPDATE rules_in_plpgsql.items AS i
		SET professional_id = change_professional.professional_id
		WHERE i.plan_id = plan.id AND i.clinic_id = plan.clinic_id
			AND i.status = 'pending' AND i.professional_id = old_professional;
	END IF;
	RETURN moved;
END
$$;
