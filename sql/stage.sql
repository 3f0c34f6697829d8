-- stage.sql: what a plan's status means in any workflow, and how many plans are
-- where.
-- after: plan, budget

-- == extension ==

CREATE FUNCTION txplan.workflow_states_restage()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_workflow_states_restage';

COMMENT ON FUNCTION txplan.workflow_states_restage() IS
'Trigger: gives the plans in a state another stage when its kind or treatable changes.

Locks plans against other writers until the transaction ends.';

-- == record ==

CREATE OR REPLACE VIEW txplan.misplaced_plans WITH (security_invoker = on) AS
SELECT p.id, p.clinic_id, p.workflow, p.status, p.stage, e.expected
FROM txplan.plans AS p
JOIN txplan.workflow_states AS s ON s.workflow = p.workflow AND s.state = p.status
CROSS JOIN LATERAL (
	SELECT CASE WHEN s.kind = 'initial' THEN 'draft'
		WHEN s.kind = 'final' AND p.closed_at IS NULL THEN 'completed'
		WHEN s.kind = 'final' THEN 'closed'
		WHEN s.treatable THEN 'active'
		ELSE 'pending' END AS expected
) AS e
WHERE p.stage IS DISTINCT FROM e.expected;
COMMENT ON VIEW txplan.misplaced_plans IS 'Plans whose stage is not what their status means; none when all is well';
COMMENT ON COLUMN txplan.misplaced_plans.id IS 'The plan';
COMMENT ON COLUMN txplan.misplaced_plans.clinic_id IS 'Its clinic';
COMMENT ON COLUMN txplan.misplaced_plans.workflow IS 'Its workflow';
COMMENT ON COLUMN txplan.misplaced_plans.status IS 'Its status';
COMMENT ON COLUMN txplan.misplaced_plans.stage IS 'The stage that it has';
COMMENT ON COLUMN txplan.misplaced_plans.expected IS 'The stage that its status means: draft for an initial state; pending for an open one, active when it is treatable; closed for a final one when it was closed, else completed';

CREATE TABLE IF NOT EXISTS txplan.plan_count_changes (
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	stage text NOT NULL,
	change bigint NOT NULL,
	CONSTRAINT plan_count_changes_pkey PRIMARY KEY (clinic_id, stage, id)
);
ALTER TABLE txplan.plan_count_changes ALTER COLUMN id SET DEFAULT txplan.new_id();
COMMENT ON TABLE txplan.plan_count_changes IS 'By how many plans each clinic''s stages changed: their sums count the plans';
COMMENT ON COLUMN txplan.plan_count_changes.id IS 'The row';
COMMENT ON COLUMN txplan.plan_count_changes.clinic_id IS 'The clinic';
COMMENT ON COLUMN txplan.plan_count_changes.stage IS 'The stage, as plans.stage has it';
COMMENT ON COLUMN txplan.plan_count_changes.change IS 'Plans that came to it less those that left it';
COMMENT ON CONSTRAINT plan_count_changes_pkey ON txplan.plan_count_changes IS 'A row is there once';
PERFORM txplan.ensure_constraint('plan_count_changes', 'plan_count_changes_of_a_clinic',
	'FOREIGN KEY (clinic_id) REFERENCES txplan.clinics (id)',
	'The clinic exists');
PERFORM txplan.ensure_constraint('plan_count_changes', 'plan_count_changes_stage_known',
	'CHECK (stage = ANY (ARRAY[''draft'', ''pending'', ''active'', ''completed'', ''closed'']))',
	'A stage is draft, pending, active, completed or closed');

-- An older record, and one that was written while its triggers were away, gets
-- what the engine keeps by itself otherwise.
IF EXISTS (SELECT FROM txplan.misplaced_plans) THEN
	ALTER TABLE txplan.plans DISABLE TRIGGER USER;
	UPDATE txplan.plans AS p
	SET stage = m.expected
	FROM txplan.misplaced_plans AS m
	WHERE m.id = p.id AND m.clinic_id = p.clinic_id;
	ALTER TABLE txplan.plans ENABLE TRIGGER USER;
END IF;
IF EXISTS (
	SELECT FROM (
		SELECT p.clinic_id, p.stage, count(*) AS plans
		FROM txplan.plans AS p
		GROUP BY p.clinic_id, p.stage
	) AS p
	FULL JOIN (
		SELECT c.clinic_id, c.stage, sum(c.change) AS plans
		FROM txplan.plan_count_changes AS c
		GROUP BY c.clinic_id, c.stage
	) AS c ON c.clinic_id = p.clinic_id AND c.stage = p.stage
	WHERE coalesce(p.plans, 0) <> coalesce(c.plans, 0)) THEN
	ALTER TABLE txplan.plan_count_changes DISABLE TRIGGER USER;
	DELETE FROM txplan.plan_count_changes;
	INSERT INTO txplan.plan_count_changes (clinic_id, stage, change)
	SELECT p.clinic_id, p.stage, count(*)
	FROM txplan.plans AS p
	WHERE p.stage IS NOT NULL
	GROUP BY p.clinic_id, p.stage;
	ALTER TABLE txplan.plan_count_changes ENABLE TRIGGER USER;
END IF;

CREATE INDEX IF NOT EXISTS plans_by_stage
	ON txplan.plans (clinic_id, stage, status_changed_at DESC, id DESC);
COMMENT ON INDEX txplan.plans_by_stage IS 'A clinic''s plans of a stage, the last moved first';
CREATE INDEX IF NOT EXISTS plans_by_last_move
	ON txplan.plans (clinic_id, status_changed_at DESC, id DESC);
COMMENT ON INDEX txplan.plans_by_last_move IS 'A clinic''s plans, the last moved first';

CREATE OR REPLACE TRIGGER plan_count_changes_engine_only
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.plan_count_changes
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.engine_only();
CREATE OR REPLACE TRIGGER workflow_states_restage
	AFTER UPDATE ON txplan.workflow_states
	FOR EACH ROW
	WHEN (OLD.kind IS DISTINCT FROM NEW.kind OR OLD.treatable IS DISTINCT FROM NEW.treatable)
	EXECUTE FUNCTION txplan.workflow_states_restage();
