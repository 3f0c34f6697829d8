-- workflow.sql: the states a plan can be in and the ways between them, as rows.
-- after: registry

-- == extension ==

CREATE FUNCTION txplan.workflow_changed()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_workflow_changed';

COMMENT ON FUNCTION txplan.workflow_changed() IS
'Trigger: tells every session to read the workflows again once this commits.';

CREATE FUNCTION txplan.plan_has_item(plan_id uuid, clinic_id uuid)
RETURNS text
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'txplan_plan_has_item';

COMMENT ON FUNCTION txplan.plan_has_item(uuid, uuid) IS
'Guard: the plan has an item that is not cancelled.

Returns NULL when it has, else the reason for which the plan cannot pass.';

CREATE FUNCTION txplan.plan_is_done(plan_id uuid, clinic_id uuid)
RETURNS text
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'txplan_plan_is_done';

COMMENT ON FUNCTION txplan.plan_is_done(uuid, uuid) IS
'Guard: every item of the plan is completed or cancelled, and one is completed.

Returns NULL when it is so, else the reason for which the plan cannot pass.';

CREATE FUNCTION txplan.budget_is_accepted(plan_id uuid, clinic_id uuid)
RETURNS text
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'txplan_budget_is_accepted';

COMMENT ON FUNCTION txplan.budget_is_accepted(uuid, uuid) IS
'Guard: the plan''s budget is accepted.

An automatic transition with this guard leads out of a state that waits for the
budget. Returns NULL when it is so, else the reason for which the plan cannot pass.';

CREATE FUNCTION txplan.no_budget_waits(plan_id uuid, clinic_id uuid)
RETURNS text
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'txplan_no_budget_waits';

COMMENT ON FUNCTION txplan.no_budget_waits(uuid, uuid) IS
'Guard: no budget of the plan is a draft or sent, which would have to be accepted itself.

Returns NULL when it is so, else the reason for which the plan cannot pass.';

CREATE FUNCTION txplan.budget_revives(plan_id uuid, clinic_id uuid)
RETURNS text
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'txplan_budget_revives';

COMMENT ON FUNCTION txplan.budget_revives(uuid, uuid) IS
'Guard: the plan was closed as rejected, and a later version of the rejected budget is accepted.

Returns NULL when it is so, else the reason for which the plan cannot pass.';

CREATE FUNCTION txplan.workflow_faults(wanted text)
RETURNS TABLE (fault text, state text, action text, detail text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE
	states AS (
		SELECT s.state, s.kind
		FROM txplan.workflow_states AS s
		WHERE s.workflow = wanted
	),
	edges AS (
		SELECT t.action, t.from_state, t.to_state, t.automatic, t.guards,
			t.permission
		FROM txplan.workflow_transitions AS t
		WHERE t.workflow = wanted
	),
	reachable (state) AS (
		SELECT s.state FROM states AS s WHERE s.kind = 'initial'
		UNION
		SELECT e.to_state
		FROM reachable AS r
		JOIN edges AS e ON e.from_state = r.state
	),
	automatic_path (origin, state) AS (
		SELECT e.from_state, e.to_state FROM edges AS e WHERE e.automatic
		UNION
		SELECT p.origin, e.to_state
		FROM automatic_path AS p
		JOIN edges AS e ON e.from_state = p.state AND e.automatic
	),
	named_guards AS (
		SELECT e.action, e.from_state, g.name,
			split_part(g.name, '.', 1) AS schema_name,
			split_part(g.name, '.', 2) AS function_name
		FROM edges AS e
		CROSS JOIN LATERAL unnest(e.guards) AS g (name)
	),
	found_guards AS (
		SELECT g.action, g.from_state, g.name, p.oid, p.proowner,
			p.prorettype = 'text'::regtype AND NOT p.proretset AS returns_text
		FROM named_guards AS g
		LEFT JOIN pg_namespace AS n ON n.nspname = g.schema_name
		LEFT JOIN pg_proc AS p ON p.pronamespace = n.oid
			AND p.proname = g.function_name
			AND p.pronargs = 2
			AND p.proargtypes[0] = 'uuid'::regtype
			AND p.proargtypes[1] = 'uuid'::regtype
			AND p.prokind = 'f'
	)
	SELECT 'no initial state', NULL::text, NULL::text,
		format('Workflow %s has no state of kind initial, so no plan can be made.', wanted)
	WHERE NOT EXISTS (SELECT FROM states AS s WHERE s.kind = 'initial')
	UNION ALL
	SELECT 'unreachable state', s.state, NULL,
		format('No way leads from the initial state to %s.', s.state)
	FROM states AS s
	WHERE NOT EXISTS (SELECT FROM reachable AS r WHERE r.state = s.state)
	UNION ALL
	SELECT 'dead end', s.state, NULL,
		format('Nothing leads out of %s, and its kind is not final.', s.state)
	FROM states AS s
	WHERE s.kind <> 'final'
		AND NOT EXISTS (SELECT FROM edges AS e WHERE e.from_state = s.state)
	UNION ALL
	SELECT 'ambiguous automatic transitions', e.from_state,
		string_agg(e.action, ', ' ORDER BY e.action),
		format('%s automatic transitions without guards leave %s.', count(*), e.from_state)
	FROM edges AS e
	WHERE e.automatic AND e.guards = '{}'
	GROUP BY e.from_state
	HAVING count(*) > 1
	UNION ALL
	SELECT 'automatic circle', p.origin, NULL,
		format('Automatic transitions lead from %s back to it.', p.origin)
	FROM automatic_path AS p
	WHERE p.origin = p.state
	UNION ALL
	SELECT 'unknown guard', g.from_state, g.action,
		format('There is no function %s(uuid, uuid) that returns text.', g.name)
	FROM found_guards AS g
	WHERE g.oid IS NULL OR NOT g.returns_text
	UNION ALL
	SELECT 'guard of another owner', g.from_state, g.action,
		format('Function %s belongs to %s, who is neither the record''s owner nor a superuser.',
			g.name, pg_get_userbyid(g.proowner))
	FROM found_guards AS g
	JOIN pg_roles AS r ON r.oid = g.proowner
	JOIN pg_class AS c ON c.oid = 'txplan.plans'::regclass
	WHERE NOT r.rolsuper AND g.proowner <> c.relowner
	UNION ALL
	SELECT 'unknown permission', e.from_state, e.action,
		format('Permission %s is none of read, write, confirm, close, reactivate, admin, patient, events.', e.permission)
	FROM edges AS e
	WHERE e.permission NOT IN ('read', 'write', 'confirm', 'close',
		'reactivate', 'admin', 'patient', 'events')
	UNION ALL
	SELECT 'automatic transition wants a reason', e.from_state, e.action,
		format('Nobody is there to give the reason that %s asks for.', e.action)
	FROM txplan.workflow_transitions AS e
	WHERE e.workflow = wanted AND e.automatic AND e.reasons <> '{}'
	ORDER BY 1, 2 NULLS FIRST, 3 NULLS FIRST
$$;

COMMENT ON FUNCTION txplan.workflow_faults(text) IS
'What check_workflow() returns, without its checks: call check_workflow().';

CREATE FUNCTION txplan.check_workflow(workflow text)
RETURNS TABLE (fault text, state text, action text, detail text)
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'txplan_check_workflow';

COMMENT ON FUNCTION txplan.check_workflow(text) IS
'Lists the faults of a workflow; no row when there is none.

Finds a missing initial state, unreachable states, dead ends that are not
final, several automatic transitions without guards from one state, circles of
automatic transitions, guards that are missing or of another owner, unknown
permissions, and automatic transitions that want a reason.
Errors: 22004, P0002 for an unknown workflow, TX008 before install().';

CREATE FUNCTION txplan.workflow_picture(wanted text, format text)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET standard_conforming_strings = on
AS $$
	WITH states AS (
		SELECT s.state, s.kind, coalesce(s.label, s.state) AS label,
			's' || row_number() OVER (ORDER BY
				array_position(ARRAY['initial', 'open', 'final'], s.kind), s.state) AS node
		FROM txplan.workflow_states AS s
		WHERE s.workflow = wanted
	),
	edges AS (
		SELECT f.node AS from_node, g.node AS to_node,
			t.action || CASE WHEN t.automatic THEN ' (automatic)' ELSE '' END AS label,
			t.automatic
		FROM txplan.workflow_transitions AS t
		JOIN states AS f ON f.state = t.from_state
		JOIN states AS g ON g.state = t.to_state
		WHERE t.workflow = wanted
	),
	mermaid (place, part, line) AS (
		SELECT 0, '', 'stateDiagram-v2'
		UNION ALL
		SELECT 1, s.node, format('    state "%s" as %s',
			translate(s.label, E'"\n\r', ''''), s.node)
		FROM states AS s
		UNION ALL
		SELECT 2, s.node, format('    [*] --> %s', s.node)
		FROM states AS s WHERE s.kind = 'initial'
		UNION ALL
		SELECT 3, e.from_node || ' ' || e.to_node || ' ' || e.label,
			format('    %s --> %s: %s', e.from_node, e.to_node,
				translate(e.label, E'\n\r:;', ''))
		FROM edges AS e
		UNION ALL
		SELECT 4, s.node, format('    %s --> [*]', s.node)
		FROM states AS s
		WHERE s.kind = 'final'
			AND NOT EXISTS (SELECT FROM edges AS e WHERE e.from_node = s.node)
	),
	dot (place, part, line) AS (
		SELECT 0, '', format('digraph "%s" {', replace(replace(wanted, '\', '\\'), '"', '\"'))
		UNION ALL
		SELECT 1, s.node, format('  %s [label="%s", shape=%s];', s.node,
			replace(replace(s.label, '\', '\\'), '"', '\"'),
			CASE s.kind WHEN 'initial' THEN 'circle' WHEN 'final' THEN 'doublecircle' ELSE 'box' END)
		FROM states AS s
		UNION ALL
		SELECT 2, e.from_node || ' ' || e.to_node || ' ' || e.label,
			format('  %s -> %s [label="%s", style=%s];', e.from_node, e.to_node,
				replace(replace(e.label, '\', '\\'), '"', '\"'),
				CASE WHEN e.automatic THEN 'dashed' ELSE 'solid' END)
		FROM edges AS e
		UNION ALL
		SELECT 3, '', '}'
	)
	SELECT string_agg(l.line, E'\n' ORDER BY l.place, l.part COLLATE "C")
	FROM (
		SELECT m.place, m.part, m.line FROM mermaid AS m WHERE format = 'mermaid'
		UNION ALL
		SELECT d.place, d.part, d.line FROM dot AS d WHERE format = 'dot'
	) AS l
$$;

COMMENT ON FUNCTION txplan.workflow_picture(text, text) IS
'What workflow_diagram() returns, without its checks: call workflow_diagram().';

CREATE FUNCTION txplan.workflow_diagram(workflow text, format text DEFAULT 'mermaid')
RETURNS text
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'txplan_workflow_diagram';

COMMENT ON FUNCTION txplan.workflow_diagram(text, text) IS
'Draws a workflow as text, for Mermaid or Graphviz.

format: mermaid (a stateDiagram-v2) or dot.
Errors: 22004, 22023 for another format, P0002 for an unknown workflow, TX008
before install().';

-- == record ==

CREATE TABLE IF NOT EXISTS txplan.workflows (
	name text NOT NULL,
	label text,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT workflows_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE txplan.workflows IS 'The workflows that plans can follow, shared by all clinics';
COMMENT ON COLUMN txplan.workflows.name IS 'Name that plans refer to';
COMMENT ON COLUMN txplan.workflows.label IS 'Name for people';
COMMENT ON COLUMN txplan.workflows.created_at IS 'When the row was made';
COMMENT ON CONSTRAINT workflows_pkey ON txplan.workflows IS 'A name means one workflow';
PERFORM txplan.ensure_constraint('workflows', 'workflows_name_length',
	'CHECK (pg_catalog.char_length(name) BETWEEN 1 AND 60)',
	'A name has 1 to 60 characters');

CREATE TABLE IF NOT EXISTS txplan.workflow_states (
	workflow text NOT NULL,
	state text NOT NULL,
	kind text NOT NULL,
	items_editable boolean NOT NULL DEFAULT false,
	treatable boolean NOT NULL DEFAULT false,
	label text,
	fhir_status text,
	CONSTRAINT workflow_states_pkey PRIMARY KEY (workflow, state)
);
COMMENT ON TABLE txplan.workflow_states IS 'The states of each workflow';
COMMENT ON COLUMN txplan.workflow_states.workflow IS 'The workflow';
COMMENT ON COLUMN txplan.workflow_states.state IS 'The state, as plans.status has it';
COMMENT ON COLUMN txplan.workflow_states.kind IS 'initial: plans begin here; open: work goes on; final: it has ended';
COMMENT ON COLUMN txplan.workflow_states.items_editable IS 'Whether items can be added, removed, reordered and repriced';
COMMENT ON COLUMN txplan.workflow_states.treatable IS 'Whether sessions can be completed and cancelled';
COMMENT ON COLUMN txplan.workflow_states.label IS 'Name for people';
COMMENT ON COLUMN txplan.workflow_states.fhir_status IS 'The status of a CarePlan in HL7 FHIR R5 (value set request-status) that this state means';
COMMENT ON CONSTRAINT workflow_states_pkey ON txplan.workflow_states IS 'A workflow has a state once';
PERFORM txplan.ensure_constraint('workflow_states', 'workflow_states_of_a_workflow',
	'FOREIGN KEY (workflow) REFERENCES txplan.workflows (name)',
	'The workflow exists');
PERFORM txplan.ensure_constraint('workflow_states', 'workflow_states_state_length',
	'CHECK (pg_catalog.char_length(state) BETWEEN 1 AND 60)',
	'A state has 1 to 60 characters');
PERFORM txplan.ensure_constraint('workflow_states', 'workflow_states_kind_known',
	'CHECK (kind = ''initial'' OR kind = ''open'' OR kind = ''final'')',
	'A state is initial, open or final');
PERFORM txplan.ensure_constraint('workflow_states', 'workflow_states_fhir_status_known',
	'CHECK (fhir_status = ANY (ARRAY[''draft'', ''active'', ''on-hold'', ''revoked'', ''completed'', ''entered-in-error'', ''unknown'']))',
	'A status of FHIR request-status');
CREATE UNIQUE INDEX IF NOT EXISTS workflow_states_one_initial
	ON txplan.workflow_states (workflow)
	WHERE kind = 'initial';
COMMENT ON INDEX txplan.workflow_states_one_initial IS 'A workflow has one initial state';

CREATE TABLE IF NOT EXISTS txplan.workflow_transitions (
	workflow text NOT NULL,
	action text NOT NULL,
	from_state text NOT NULL,
	to_state text NOT NULL,
	permission text,
	automatic boolean NOT NULL DEFAULT false,
	guards text[] NOT NULL DEFAULT '{}',
	reasons text[] NOT NULL DEFAULT '{}',
	event text,
	CONSTRAINT workflow_transitions_pkey PRIMARY KEY (workflow, action, from_state)
);
COMMENT ON TABLE txplan.workflow_transitions IS 'The ways between the states of each workflow';
COMMENT ON COLUMN txplan.workflow_transitions.workflow IS 'The workflow';
COMMENT ON COLUMN txplan.workflow_transitions.action IS 'What somebody does, such as confirm';
COMMENT ON COLUMN txplan.workflow_transitions.from_state IS 'The state it leaves';
COMMENT ON COLUMN txplan.workflow_transitions.to_state IS 'The state it leads to';
COMMENT ON COLUMN txplan.workflow_transitions.permission IS 'The permission it asks for, such as confirm; NULL asks for none';
COMMENT ON COLUMN txplan.workflow_transitions.automatic IS 'Whether the engine takes it by itself as soon as its guards pass';
COMMENT ON COLUMN txplan.workflow_transitions.guards IS 'Functions schema.name(plan_id uuid, clinic_id uuid) RETURNS text: NULL lets the plan pass, else the reason';
COMMENT ON COLUMN txplan.workflow_transitions.reasons IS 'The reasons of which one must be given; none when empty';
COMMENT ON COLUMN txplan.workflow_transitions.event IS 'The event that it publishes before status_changed';
COMMENT ON CONSTRAINT workflow_transitions_pkey ON txplan.workflow_transitions IS 'An action leads from a state one way';
PERFORM txplan.ensure_constraint('workflow_transitions', 'workflow_transitions_from_a_state',
	'FOREIGN KEY (workflow, from_state) REFERENCES txplan.workflow_states (workflow, state)',
	'The state it leaves exists');
PERFORM txplan.ensure_constraint('workflow_transitions', 'workflow_transitions_to_a_state',
	'FOREIGN KEY (workflow, to_state) REFERENCES txplan.workflow_states (workflow, state)',
	'The state it leads to exists');
PERFORM txplan.ensure_constraint('workflow_transitions', 'workflow_transitions_action_length',
	'CHECK (pg_catalog.char_length(action) BETWEEN 1 AND 60)',
	'An action has 1 to 60 characters');
PERFORM txplan.ensure_constraint('workflow_transitions', 'workflow_transitions_moves',
	'CHECK (from_state <> to_state)',
	'A transition changes the state');
PERFORM txplan.ensure_constraint('workflow_transitions', 'workflow_transitions_lists_complete',
	'CHECK (CASE WHEN pg_catalog.array_ndims(guards) > 1 OR pg_catalog.array_ndims(reasons) > 1 THEN false ELSE pg_catalog.array_position(guards, NULL) IS NULL AND pg_catalog.array_position(reasons, NULL) IS NULL AND pg_catalog.array_position(reasons, '''') IS NULL END)',
	'Guards and reasons are lists of names');
PERFORM txplan.ensure_constraint('workflow_transitions', 'workflow_transitions_event_named',
	'CHECK (pg_catalog.char_length(event) <= 100 AND event ~ ''^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*)+$'')',
	'An event is named like treatment_plan.confirmed');
PERFORM txplan.ensure_constraint('workflow_transitions', 'workflow_transitions_event_not_the_engines',
	'CHECK (event !~ ''^budget[.]'' AND event <> ALL (ARRAY[''treatment_plan.created'', ''treatment_plan.updated'', ''treatment_plan.status_changed'', ''treatment_plan.deleted'', ''treatment_plan.treatment_added'', ''treatment_plan.treatment_removed'', ''treatment_plan.treatment_completed'', ''treatment_plan.treatment_cancelled'', ''treatment_plan.items_reordered'', ''treatment_plan.item_reassigned'', ''treatment_plan.professional_changed'', ''treatment_plan.item_session_completed'', ''treatment_plan.item_session_cancelled'', ''treatment_plan.budget_sync_requested'', ''treatment_plan.contact_logged'']))',
	'No transition publishes an event that tells of something else, or is reserved');

-- The dental workflow is shipped once; what a DBA makes of it afterwards stays.
IF NOT EXISTS (SELECT FROM txplan.workflows AS w WHERE w.name = 'dental') THEN
	INSERT INTO txplan.workflows (name, label)
	VALUES ('dental', 'Dental treatment plan');
	INSERT INTO txplan.workflow_states
		(workflow, state, kind, items_editable, treatable, label, fhir_status)
	VALUES
		('dental', 'draft', 'initial', true, false, 'Draft', 'draft'),
		('dental', 'pending', 'open', true, false, 'Pending acceptance', 'draft'),
		('dental', 'active', 'open', true, true, 'In treatment', 'active'),
		('dental', 'completed', 'final', false, false, 'Completed', 'completed'),
		('dental', 'closed', 'final', false, false, 'Closed', 'revoked');
	INSERT INTO txplan.workflow_transitions
		(workflow, action, from_state, to_state, permission, automatic, guards, reasons, event)
	VALUES
		('dental', 'confirm', 'draft', 'pending', 'confirm', false,
			'{txplan.plan_has_item}', '{}', 'treatment_plan.confirmed'),
		('dental', 'accept', 'pending', 'active', 'write', false,
			'{txplan.no_budget_waits}', '{}', 'treatment_plan.accepted'),
		('dental', 'accept_by_budget', 'pending', 'active', NULL, true,
			'{txplan.budget_is_accepted}', '{}', 'treatment_plan.accepted'),
		('dental', 'revive', 'closed', 'active', NULL, true,
			'{txplan.budget_revives}', '{}', 'treatment_plan.reactivated'),
		('dental', 'complete', 'active', 'completed', NULL, true,
			'{txplan.plan_is_done}', '{}', 'treatment_plan.completed'),
		('dental', 'close', 'draft', 'closed', 'close', false, '{}',
			'{rejected,expired,cancelled,abandoned,other}', 'treatment_plan.closed'),
		('dental', 'close', 'pending', 'closed', 'close', false, '{}',
			'{rejected,expired,cancelled,abandoned,other}', 'treatment_plan.closed'),
		('dental', 'close', 'active', 'closed', 'close', false, '{}',
			'{rejected,expired,cancelled,abandoned,other}', 'treatment_plan.closed'),
		('dental', 'reactivate', 'closed', 'draft', 'reactivate', false,
			'{}', '{}', 'treatment_plan.reactivated'),
		('dental', 'reopen', 'pending', 'draft', 'write', false,
			'{}', '{}', NULL);
END IF;

CREATE OR REPLACE TRIGGER workflows_changed
	AFTER INSERT OR UPDATE OR DELETE ON txplan.workflows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.workflow_changed();
CREATE OR REPLACE TRIGGER workflow_states_changed
	AFTER INSERT OR UPDATE OR DELETE ON txplan.workflow_states
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.workflow_changed();
CREATE OR REPLACE TRIGGER workflow_transitions_changed
	AFTER INSERT OR UPDATE OR DELETE ON txplan.workflow_transitions
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.workflow_changed();
