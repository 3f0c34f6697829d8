-- event.sql: every fact about a plan, one row each, in the order of the facts.
-- after: registry

-- == extension ==

CREATE FUNCTION txplan.engine_only()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_engine_only';

COMMENT ON FUNCTION txplan.engine_only() IS
'Trigger: only the engine writes this table.

Errors: TX007 for anyone else.';

CREATE FUNCTION txplan.refuse_truncate()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_refuse_truncate';

COMMENT ON FUNCTION txplan.refuse_truncate() IS
'Trigger: no table of the record is truncated.

Errors: TX007.';

-- == record ==

CREATE SEQUENCE IF NOT EXISTS txplan.events_id_seq AS bigint;
COMMENT ON SEQUENCE txplan.events_id_seq IS 'The numbers of events; after a crash or a rollback some are missing';

CREATE TABLE IF NOT EXISTS txplan.events (
	id bigint NOT NULL,
	xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
	clinic_id uuid NOT NULL,
	plan_id uuid NOT NULL,
	plan_version bigint NOT NULL,
	type text NOT NULL,
	actor text NOT NULL,
	occurred_at timestamptz NOT NULL,
	payload jsonb NOT NULL,
	CONSTRAINT events_pkey PRIMARY KEY (id, clinic_id, occurred_at),
	CONSTRAINT events_version_once_per_plan UNIQUE (plan_id, plan_version, clinic_id, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE TABLE IF NOT EXISTS txplan.events_default
	PARTITION OF txplan.events DEFAULT;

CREATE INDEX IF NOT EXISTS events_by_xid ON txplan.events (xid, id);

COMMENT ON TABLE txplan.events IS 'What happened to the plans, append-only; listeners read it after a notification';
COMMENT ON TABLE txplan.events_default IS 'Events that no other partition takes';
COMMENT ON COLUMN txplan.events.id IS 'Number of the event; within a plan it rises with plan_version';
COMMENT ON COLUMN txplan.events.xid IS 'The transaction that wrote it, in this cluster';
COMMENT ON COLUMN txplan.events.clinic_id IS 'The clinic of the plan';
COMMENT ON COLUMN txplan.events.plan_id IS 'The plan; no foreign key, since the event outlives it';
COMMENT ON COLUMN txplan.events.plan_version IS 'The plan''s version by this event: from 1, without gaps';
COMMENT ON COLUMN txplan.events.type IS 'What happened, such as treatment_plan.confirmed';
COMMENT ON COLUMN txplan.events.actor IS 'Who did it: txplan.actor, else the session''s user';
COMMENT ON COLUMN txplan.events.occurred_at IS 'When it happened, by the clock, while the plan was locked';
COMMENT ON COLUMN txplan.events.payload IS 'The facts; its keys are on the reference page of events';
COMMENT ON INDEX txplan.events_by_xid IS 'The events of transactions, for consumers and the notifier';
COMMENT ON CONSTRAINT events_pkey ON txplan.events IS 'Each event has its number';
COMMENT ON CONSTRAINT events_version_once_per_plan ON txplan.events IS 'Each version of a plan is one event';

-- A sequence that was made anew goes on behind the events that are there.
PERFORM pg_catalog.setval('txplan.events_id_seq', m.last)
FROM (SELECT pg_catalog.max(e.id) AS last FROM txplan.events AS e) AS m,
	txplan.events_id_seq AS q
WHERE m.last > q.last_value;

CREATE OR REPLACE TRIGGER events_engine_only
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.events
	FOR EACH ROW EXECUTE FUNCTION txplan.engine_only();
