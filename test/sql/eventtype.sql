-- eventtype: the catalogue of events: every type, and what its payload must be.

SELECT txplan.install() IS NOT NULL AS installed;

-- What txplan publishes by itself.
SELECT type, summary FROM txplan.event_types() WHERE type LIKE 'treatment_plan.%';
-- What all events say.
CREATE TEMP VIEW keys AS
SELECT e.type, k.key, e.schema -> 'required' ? k.key AS required, k.value - 'description' AS schema,
	k.value ->> 'description' AS what
FROM txplan.event_types() AS e, jsonb_each(e.schema -> 'properties') AS k;
CREATE TEMP VIEW common AS
SELECT key, required, schema, what FROM keys WHERE type LIKE 'treatment_plan.%'
GROUP BY key, required, schema, what HAVING count(*) >= 18;
SELECT key, required, schema FROM common ORDER BY key COLLATE "C";
-- What each type says beyond that; of a list of objects without their keys.
SELECT replace(type, 'treatment_plan.', '') AS type, key, required, schema #- '{items,properties}' AS schema FROM keys
WHERE type LIKE 'treatment_plan.%' AND key NOT IN (SELECT key FROM common)
ORDER BY type COLLATE "C", key COLLATE "C";
-- One schema as it is, and what all of them have.
SELECT jsonb_pretty(schema) FROM txplan.event_types() WHERE type = 'treatment_plan.updated';
SELECT schema - '{title,description,properties,required,oneOf}'::text[] AS schema,
	bool_and(schema ->> 'title' = type AND schema ->> 'description' = summary) AS titled
FROM txplan.event_types() GROUP BY 1;
SELECT count(*) AS without_meaning FROM keys WHERE coalesce(what, '') = '';

-- A transition may name an event: one of the plan's that transitions have, one among
-- the plan's that nobody knows, or one of the workflow's own.
SET txplan.actor = 'reception';
INSERT INTO txplan.workflows (name, label) VALUES ('types', 'Types');
INSERT INTO txplan.workflow_states (workflow, state, kind, items_editable, treatable)
VALUES ('types', 'asked', 'initial', true, false), ('types', 'waiting', 'open', true, false),
	('types', 'begun', 'open', true, true), ('types', 'over', 'final', false, false);
INSERT INTO txplan.workflow_transitions (workflow, action, from_state, to_state, reasons, event)
VALUES ('types', 'wait', 'asked', 'waiting', '{}', 'treatment_plan.paused'),
	('types', 'begin', 'asked', 'begun', '{}', 'types.begun'), ('types', 'begin', 'waiting', 'begun', '{}', 'types.begun'),
	('types', 'go_on', 'over', 'begun', '{}', 'types.begun'), ('types', 'stop', 'begun', 'over', '{done,left}', 'treatment_plan.closed'),
	('types', 'rest', 'begun', 'waiting', '{}', NULL);
SELECT type, summary FROM txplan.event_types() WHERE type IN ('treatment_plan.paused', 'types.begun', 'treatment_plan.closed');
SELECT type, key, required, schema FROM keys
WHERE type IN ('treatment_plan.paused', 'types.begun') AND key NOT IN (SELECT key FROM common)
ORDER BY type COLLATE "C", key COLLATE "C";
SELECT txplan.create_clinic('Types clinic', 'UTC') AS clinic \gset
SELECT txplan.create_patient(:'clinic', 'Iman', 'Rahimi') AS patient \gset
SELECT txplan.create_plan(:'clinic', :'patient', NULL, NULL, 'types') AS plan \gset
SELECT txplan.transition_plan(:'plan', 'wait'), txplan.transition_plan(:'plan', 'begin', NULL, 'at last');
SELECT txplan.transition_plan(:'plan', 'stop', 'left'), txplan.transition_plan(:'plan', 'go_on');
SELECT e.type, e.payload - (SELECT array_agg(key) FROM common) AS says,
	(SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(e.payload) AS k)
		= (SELECT array_agg(k ORDER BY k) FROM jsonb_array_elements_text(t.schema -> 'required') AS k) AS fits
FROM txplan.events AS e LEFT JOIN txplan.event_types() AS t USING (type)
WHERE e.plan_id = :'plan' ORDER BY e.id;

-- A type is known as long as a transition names it.
BEGIN;
UPDATE txplan.workflow_transitions SET event = NULL WHERE event = 'types.begun';
SELECT count(*) FROM txplan.event_types() WHERE type = 'types.begun';
ROLLBACK;

-- It is read with the caller's rights.
CREATE ROLE regress_txplan_listener NOLOGIN;
GRANT USAGE ON SCHEMA txplan TO regress_txplan_listener;
SET ROLE regress_txplan_listener;
SELECT count(*) FROM txplan.event_types();
RESET ROLE;
GRANT SELECT ON txplan.workflow_transitions TO regress_txplan_listener;
SET ROLE regress_txplan_listener;
SELECT count(*) >= 18 AS types FROM txplan.event_types();
RESET ROLE;
REVOKE ALL ON txplan.workflow_transitions FROM regress_txplan_listener;
REVOKE ALL ON SCHEMA txplan FROM regress_txplan_listener;
DROP ROLE regress_txplan_listener;

SELECT fault, detail FROM txplan.audit(:'clinic');
