-- retention.sql: the months of events: made ahead, dropped when they are old,
-- archived.
-- after: consumer

-- == extension ==

CREATE FUNCTION txplan.maintain(
	at timestamptz DEFAULT pg_catalog.now(),
	max_plans integer DEFAULT NULL)
RETURNS TABLE (kind text, name text, outcome text, detail text)
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_maintain';

COMMENT ON FUNCTION txplan.maintain(timestamptz, integer) IS
'Does the upkeep of the record, and returns what it did, one row each.

Call it once a day, in a transaction of its own. It makes the partitions of events
for the month of at and the next two, and for months of which events wait in
events_default, which it moves; it drops the months that are older than
txplan.events_keep and that every consumer has passed. Before that it lets draft and
sent budgets expire whose last day has passed in their clinic''s time zone, and
closes, as expired, plans that wait for a budget which was sent and expired more
than clinics.close_after_budget_expiry_days ago. Two calls at once share the plans.
at: the time to do it for; max_plans: at most so many plans (NULL: no limit).
kind: budget, plan, partition, consumer, or record; outcome: expired, closed, made,
dropped, moved; later, when others were in the way and it is to be called again;
held, when something has to be done first, which detail says.
Nobody waits for it longer than moments. Errors: 42501 for who is no member of the
record''s owner, 22004, 22008 and 22023 for arguments that make no sense, 25006 on
a standby, TX008 before install().';

CREATE FUNCTION txplan.archive_events(before timestamptz)
RETURNS TABLE (table_name text, starts_at timestamptz, ends_at timestamptz)
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_archive_events';

COMMENT ON FUNCTION txplan.archive_events(timestamptz) IS
'Detaches the months of events that end by a time, and returns their tables.

before: months that end at it or earlier go, up to the first that a consumer has
not passed, of which it warns. Each is then an ordinary table of schema txplan
that belongs to the record''s owner, to be copied and dropped.
Errors: 55P03 when events are in use, to be tried again; 42501 for who is no
member of the record''s owner, 22004 for NULL, 22008 for infinity, 25006 on a
standby, TX008 before install().';

CREATE FUNCTION txplan.list_event_partitions()
RETURNS TABLE (partition text, starts_at timestamptz, ends_at timestamptz, rows bigint,
	bytes bigint, is_default boolean, held_by text[])
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'txplan_list_event_partitions';

COMMENT ON FUNCTION txplan.list_event_partitions() IS
'The partitions of events, one row each; view event_partitions shows it.

Errors: 42501 for who may not read events and consumers, TX008 before install().';

-- == record ==

CREATE TABLE IF NOT EXISTS txplan.event_removals (
	id uuid NOT NULL,
	partition text NOT NULL,
	starts_at timestamptz NOT NULL,
	ends_at timestamptz NOT NULL,
	last_event_id bigint,
	archived_as text,
	removed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	removed_by text NOT NULL,
	CONSTRAINT event_removals_pkey PRIMARY KEY (id)
);
ALTER TABLE txplan.event_removals ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.event_removals IS 'Months of events that were dropped or archived; audit() does not miss them';
COMMENT ON COLUMN txplan.event_removals.id IS 'The row';
COMMENT ON COLUMN txplan.event_removals.partition IS 'What the partition was called';
COMMENT ON COLUMN txplan.event_removals.starts_at IS 'It took events from then on';
COMMENT ON COLUMN txplan.event_removals.ends_at IS 'It took events before then';
COMMENT ON COLUMN txplan.event_removals.last_event_id IS 'The highest number of its events; NULL when it had none';
COMMENT ON COLUMN txplan.event_removals.archived_as IS 'The table that archive_events() made of it; NULL when it was dropped';
COMMENT ON COLUMN txplan.event_removals.removed_at IS 'When that was';
COMMENT ON COLUMN txplan.event_removals.removed_by IS 'The role that did it';
COMMENT ON CONSTRAINT event_removals_pkey ON txplan.event_removals IS 'A row is there once';
PERFORM txplan.ensure_constraint('event_removals', 'event_removals_end_after_they_start',
	'CHECK (ends_at > starts_at)',
	'A month ends after it starts');

CREATE OR REPLACE TRIGGER event_removals_engine_only
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.event_removals
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.engine_only();

CREATE OR REPLACE VIEW txplan.event_partitions AS SELECT * FROM txplan.list_event_partitions();
COMMENT ON VIEW txplan.event_partitions IS 'The partitions of events: what is in them, and who still needs it';
COMMENT ON COLUMN txplan.event_partitions.partition IS 'The table';
COMMENT ON COLUMN txplan.event_partitions.starts_at IS 'It takes events from then on; NULL for the default partition';
COMMENT ON COLUMN txplan.event_partitions.ends_at IS 'It takes events before then; NULL for the default partition';
COMMENT ON COLUMN txplan.event_partitions.rows IS 'How many events it has, estimated, NULL when that is not known; of events_default counted, up to 100000';
COMMENT ON COLUMN txplan.event_partitions.bytes IS 'What it takes on the disk, with its indexes';
COMMENT ON COLUMN txplan.event_partitions.is_default IS 'Whether it takes what no other does: call maintain() when that has rows';
COMMENT ON COLUMN txplan.event_partitions.held_by IS 'The consumers that have not passed it';

-- Numbers of events that are gone are not used again.
PERFORM pg_catalog.setval('txplan.events_id_seq', m.last)
FROM (SELECT pg_catalog.max(r.last_event_id) AS last FROM txplan.event_removals AS r) AS m,
	txplan.events_id_seq AS q
WHERE m.last > q.last_value;
