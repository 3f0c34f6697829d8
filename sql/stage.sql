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

CREATE OR REPLACE VIEW txplan.misattributed_plans WITH (security_invoker = on) AS
SELECT p.id, p.clinic_id, p.stage, p.professional_ids, e.expected
FROM txplan.plans AS p
CROSS JOIN LATERAL (
	SELECT pg_catalog.array_agg(d.id ORDER BY d.id) AS expected
	FROM (
		SELECT p.professional_id AS id
		UNION
		SELECT i.professional_id
		FROM txplan.items AS i
		WHERE i.plan_id = p.id AND i.clinic_id = p.clinic_id AND i.status <> 'cancelled'
	) AS d
	WHERE d.id IS NOT NULL
) AS e
WHERE p.professional_ids IS DISTINCT FROM e.expected;
COMMENT ON VIEW txplan.misattributed_plans IS 'Plans whose professional_ids are not who is involved; none when all is well';
COMMENT ON COLUMN txplan.misattributed_plans.id IS 'The plan';
COMMENT ON COLUMN txplan.misattributed_plans.clinic_id IS 'Its clinic';
COMMENT ON COLUMN txplan.misattributed_plans.stage IS 'Its stage';
COMMENT ON COLUMN txplan.misattributed_plans.professional_ids IS 'Who is involved, as it says';
COMMENT ON COLUMN txplan.misattributed_plans.expected IS 'Its doctor and those of its items that are not cancelled';

CREATE TABLE IF NOT EXISTS txplan.plan_count_changes (
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	stage text NOT NULL,
	change bigint NOT NULL,
	CONSTRAINT plan_count_changes_pkey PRIMARY KEY (clinic_id, stage, id)
);
ALTER TABLE txplan.plan_count_changes ALTER COLUMN id SET DEFAULT txplan.new_id();
ALTER TABLE txplan.plan_count_changes ADD COLUMN IF NOT EXISTS professional_id uuid;
COMMENT ON TABLE txplan.plan_count_changes IS 'By how many plans the stages of each clinic, and of each professional, changed: their sums count the plans';
COMMENT ON COLUMN txplan.plan_count_changes.id IS 'The row';
COMMENT ON COLUMN txplan.plan_count_changes.clinic_id IS 'The clinic';
COMMENT ON COLUMN txplan.plan_count_changes.stage IS 'The stage, as plans.stage has it';
COMMENT ON COLUMN txplan.plan_count_changes.professional_id IS 'The professional whose plans these are; NULL: all plans of the clinic';
COMMENT ON COLUMN txplan.plan_count_changes.change IS 'Plans that came to it less those that left it';
COMMENT ON CONSTRAINT plan_count_changes_pkey ON txplan.plan_count_changes IS 'A row is there once';
PERFORM txplan.ensure_constraint('plan_count_changes', 'plan_count_changes_of_a_clinic',
	'FOREIGN KEY (clinic_id) REFERENCES txplan.clinics (id)',
	'The clinic exists');
PERFORM txplan.ensure_constraint('plan_count_changes', 'plan_count_changes_stage_known',
	'CHECK (stage = ANY (ARRAY[''draft'', ''pending'', ''active'', ''completed'', ''closed'']))',
	'A stage is draft, pending, active, completed or closed');

CREATE OR REPLACE VIEW txplan.miscounted_plans WITH (security_invoker = on) AS
SELECT v.clinic_id, v.professional_id, v.stage,
	pg_catalog.sum(v.plans)::bigint AS plans,
	pg_catalog.sum(v.change)::bigint AS added_up
FROM (
	SELECT p.clinic_id, d.id AS professional_id, p.stage, 1 AS plans, 0::bigint AS change
	FROM txplan.plans AS p
	CROSS JOIN LATERAL pg_catalog.unnest(NULL::uuid || p.professional_ids) AS d (id)
	WHERE p.stage IS NOT NULL
	UNION ALL
	SELECT c.clinic_id, c.professional_id, c.stage, 0, c.change
	FROM txplan.plan_count_changes AS c
) AS v
GROUP BY v.clinic_id, v.professional_id, v.stage
HAVING pg_catalog.sum(v.plans) <> pg_catalog.sum(v.change);
COMMENT ON VIEW txplan.miscounted_plans IS 'Stages whose changes do not add up to their plans; none when all is well';
COMMENT ON COLUMN txplan.miscounted_plans.clinic_id IS 'The clinic';
COMMENT ON COLUMN txplan.miscounted_plans.professional_id IS 'The professional; NULL: all plans of the clinic';
COMMENT ON COLUMN txplan.miscounted_plans.stage IS 'The stage';
COMMENT ON COLUMN txplan.miscounted_plans.plans IS 'How many plans there are';
COMMENT ON COLUMN txplan.miscounted_plans.added_up IS 'How many the changes add up to';

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
IF EXISTS (SELECT FROM txplan.misattributed_plans) THEN
	ALTER TABLE txplan.plans DISABLE TRIGGER USER;
	UPDATE txplan.plans AS p
	SET professional_ids = m.expected
	FROM txplan.misattributed_plans AS m
	WHERE m.id = p.id AND m.clinic_id = p.clinic_id;
	ALTER TABLE txplan.plans ENABLE TRIGGER USER;
END IF;
IF EXISTS (SELECT FROM txplan.miscounted_plans) THEN
	ALTER TABLE txplan.plan_count_changes DISABLE TRIGGER USER;
	INSERT INTO txplan.plan_count_changes (clinic_id, professional_id, stage, change)
	SELECT m.clinic_id, m.professional_id, m.stage, m.plans - m.added_up
	FROM txplan.miscounted_plans AS m;
	ALTER TABLE txplan.plan_count_changes ENABLE TRIGGER USER;
END IF;

CREATE INDEX IF NOT EXISTS plans_by_stage
	ON txplan.plans (clinic_id, stage, status_changed_at DESC, id DESC);
COMMENT ON INDEX txplan.plans_by_stage IS 'A clinic''s plans of a stage, the last moved first';
CREATE INDEX IF NOT EXISTS plans_by_last_move
	ON txplan.plans (clinic_id, status_changed_at DESC, id DESC);
COMMENT ON INDEX txplan.plans_by_last_move IS 'A clinic''s plans, the last moved first';
CREATE INDEX IF NOT EXISTS plans_by_professional
	ON txplan.plans USING gin (professional_ids);
COMMENT ON INDEX txplan.plans_by_professional IS 'The plans in which a professional is involved';

CREATE OR REPLACE TRIGGER plan_count_changes_engine_only
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.plan_count_changes
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.engine_only();
CREATE OR REPLACE TRIGGER workflow_states_restage
	AFTER UPDATE ON txplan.workflow_states
	FOR EACH ROW
	WHEN (OLD.kind IS DISTINCT FROM NEW.kind OR OLD.treatable IS DISTINCT FROM NEW.treatable)
	EXECUTE FUNCTION txplan.workflow_states_restage();
