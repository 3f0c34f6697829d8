-- consumer.sql: durable readers of the events, which miss none and wait for nobody.
-- after: event, workflow

-- == extension ==

CREATE FUNCTION txplan.create_consumer(
	name text,
	types text[] DEFAULT NULL,
	start text DEFAULT 'now',
	clinic_id uuid DEFAULT NULL,
	plan_id uuid DEFAULT NULL,
	max_retries integer DEFAULT 5)
RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_create_consumer';

COMMENT ON FUNCTION txplan.create_consumer(text, text[], text, uuid, uuid, integer) IS
'Makes a durable reader of events.

name: 1 to 200 characters; types: the types of events that it reads (NULL: all);
start: now (events that are committed from here on) or beginning (all that are
kept); clinic_id, plan_id: only events of these (NULL: of all); max_retries: how
often retry_event puts an event back before it becomes a dead letter, 0 to 1000.
Errors: 42710 when the name is taken, 22023 for a type that no workflow
publishes, another start or a max_retries out of range, P0002 for an unknown
clinic or plan, TX010 for a plan of another clinic, 42501, 25006 on a standby.';

CREATE FUNCTION txplan.drop_consumer(name text)
RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_drop_consumer';

COMMENT ON FUNCTION txplan.drop_consumer(text) IS
'Removes a consumer, its open batches, its retries and its dead letters.

It waits for transactions that are reading through it. The events themselves stay.
Errors: P0002 when there is none of the name, 42501, 25006 on a standby.';

CREATE FUNCTION txplan.next_events(consumer text, max_events integer DEFAULT 500)
RETURNS TABLE (batch_id bigint, event_id bigint, clinic_id uuid, plan_id uuid,
	plan_version bigint, type text, actor text, occurred_at timestamptz, payload jsonb,
	retry_count integer)
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_next_events';

COMMENT ON FUNCTION txplan.next_events(text, integer) IS
'Hands out the next batch of a consumer''s events, in the order of their numbers.

The same batch again until finish_events; no row when nothing waits. Within a plan
events come in the order of the facts, across batches too, and never to two
sessions at a time. max_events: the most that a batch takes, 1 to 10000.
retry_count: how often retry_event put the event back.
Errors: P0002 for an unknown consumer, 22023 for max_events out of range, 25006 on
a standby and in a read-only transaction, 40001 at repeatable read when another
session was there meanwhile, 42501.';

CREATE FUNCTION txplan.pass_events(consumer text)
RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_pass_events';

COMMENT ON FUNCTION txplan.pass_events(text) IS
'Moves a consumer''s places past events that it does not read; called by maintain().

Errors: as next_events.';

CREATE FUNCTION txplan.finish_events(consumer text, batch_id bigint)
RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_finish_events';

COMMENT ON FUNCTION txplan.finish_events(text, bigint) IS
'Ends a batch of next_events: its events do not come again.

In the transaction of a consumer''s own writes it makes them happen exactly once.
A batch whose session is gone may be finished by another.
Errors: P0002 for an unknown consumer and for a batch that is not open, as after it
was finished; 55006 for one that another session is working on; 42501, 25006.';

CREATE FUNCTION txplan.retry_event(
	consumer text,
	event_id bigint,
	after interval DEFAULT NULL,
	error text DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_retry_event';

COMMENT ON FUNCTION txplan.retry_event(text, bigint, interval, text) IS
'Takes an event out of its batch, to hand it out again later.

after: how much later, up to 100 years (NULL: 1 second, twice as long each time, an
hour at most); error: why, up to 10000 characters. Later events of the same plan
that are not handed out yet wait behind it; other plans go on.
Returns false when the event was put back max_retries times already: it is then a
dead letter with this error, and its plan goes on.
Errors: P0002 for an unknown consumer and for an event that is in no open batch of
it, 55006 for one of another session''s batch, 22023 for an interval that is negative or
too long, 42501, 25006.';

CREATE FUNCTION txplan.revive_event(consumer text, event_id bigint)
RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_revive_event';

COMMENT ON FUNCTION txplan.revive_event(text, bigint) IS
'Makes a dead letter an event that is handed out again, with all its retries.

It comes after what its plan has handed out meanwhile.
Errors: P0002 for an unknown consumer and for an event that is no dead letter of
it, 42501, 25006.';

CREATE FUNCTION txplan.consumer_slot(plan_id uuid)
RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
	SELECT (pg_catalog.get_byte(pg_catalog.uuid_send(plan_id), 3)
			OPERATOR(pg_catalog.#) pg_catalog.get_byte(pg_catalog.uuid_send(plan_id), 15))
		OPERATOR(pg_catalog.&) 127
$$;

COMMENT ON FUNCTION txplan.consumer_slot(uuid) IS
'The slot, 0 to 127, in which a consumer keeps its place among a plan''s events.';

CREATE FUNCTION txplan.consumer_state(wanted text DEFAULT NULL)
RETURNS TABLE (consumer text, types text[], clinic_id uuid, plan_id uuid,
	pending_events bigint, open_events bigint, retry_events bigint, dead_events bigint,
	oldest_event timestamptz, oldest_age interval, rate double precision, last_batch_at timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
	SELECT c.name, c.types, c.clinic_id, c.plan_id,
		w.waiting + b.open + r.retries, b.open, r.retries, d.dead,
		least(w.oldest, b.oldest, r.oldest),
		clock_timestamp() - least(w.oldest, b.oldest, r.oldest),
		s.rate, s.last_batch_at
	FROM txplan.consumers AS c
	CROSS JOIN LATERAL (
		SELECT min(pg_snapshot_xmin(k.done)::text::numeric)::text::xid8 AS low,
			coalesce(sum(k.rate * exp(-extract(epoch FROM clock_timestamp() - k.rate_at) / 60.0)), 0)
				AS rate,
			max(k.rate_at) AS last_batch_at
		FROM txplan.consumer_slots AS k
		WHERE k.consumer = c.id
	) AS s
	CROSS JOIN LATERAL (
		SELECT coalesce((SELECT min(o.first_event_id) FROM txplan.event_origins AS o
				WHERE o.first_event_id > c.origin), 9223372036854775807) AS next_origin
	) AS n
	CROSS JOIN LATERAL (
		SELECT count(*) AS waiting, min(e.occurred_at) AS oldest
		FROM (
			SELECT * FROM txplan.events AS e WHERE e.xid >= s.low AND e.id < n.next_origin
			UNION ALL
			SELECT * FROM txplan.events AS e WHERE e.id >= n.next_origin
		) AS e
		JOIN txplan.consumer_slots AS k
			ON k.consumer = c.id AND k.slot = txplan.consumer_slot(e.plan_id)
		WHERE e.id >= c.origin
			AND NOT (e.id < n.next_origin AND pg_visible_in_snapshot(e.xid, k.done))
			AND NOT (k.seen IS NOT NULL AND e.id <= k.last_id
				AND pg_visible_in_snapshot(e.xid, k.seen))
			AND NOT (k.seen IS NULL AND e.id >= n.next_origin AND e.id <= k.until_id)
			AND (c.types IS NULL OR e.type = ANY (c.types))
			AND (c.clinic_id IS NULL OR e.clinic_id = c.clinic_id)
			AND (c.plan_id IS NULL OR e.plan_id = c.plan_id)
	) AS w
	CROSS JOIN LATERAL (
		SELECT coalesce(sum(cardinality(o.event_ids)), 0) AS open, min(o.first_at) AS oldest
		FROM txplan.consumer_batches AS o
		WHERE o.consumer = c.id AND o.event_ids <> '{}'
	) AS b
	CROSS JOIN LATERAL (
		SELECT count(*) FILTER (WHERE q.batch_id IS NULL) AS retries, min(q.occurred_at) AS oldest
		FROM txplan.consumer_retries AS q
		WHERE q.consumer = c.id
	) AS r
	CROSS JOIN LATERAL (
		SELECT count(*) AS dead FROM txplan.consumer_dead AS x WHERE x.consumer = c.id
	) AS d
	WHERE wanted IS NULL OR c.name = wanted
$$;

COMMENT ON FUNCTION txplan.consumer_state(text) IS
'How far the consumers are behind, one row each; view consumer_lag shows it.

wanted: only this consumer (NULL: all). It counts the events that wait, so it takes
longer the more these are.';

-- == record ==

CREATE TABLE IF NOT EXISTS txplan.event_origins (
	id uuid NOT NULL,
	first_event_id bigint NOT NULL,
	system_identifier bigint NOT NULL,
	since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	CONSTRAINT event_origins_pkey PRIMARY KEY (id)
);
ALTER TABLE txplan.event_origins ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.event_origins IS 'The clusters whose transactions wrote the events: after a restore another than before';
COMMENT ON COLUMN txplan.event_origins.id IS 'The row';
COMMENT ON COLUMN txplan.event_origins.first_event_id IS 'Events from this number on have transaction numbers of the cluster';
COMMENT ON COLUMN txplan.event_origins.system_identifier IS 'The cluster, as pg_control_system() names it';
COMMENT ON COLUMN txplan.event_origins.since IS 'When its first event was written; rows may stand twice';
CREATE INDEX IF NOT EXISTS event_origins_by_event
	ON txplan.event_origins (first_event_id, since);
COMMENT ON INDEX txplan.event_origins_by_event IS 'The origin of an event, and the last one';
COMMENT ON CONSTRAINT event_origins_pkey ON txplan.event_origins IS 'A row is there once';

CREATE TABLE IF NOT EXISTS txplan.consumers (
	id integer NOT NULL GENERATED ALWAYS AS IDENTITY,
	name text NOT NULL,
	types text[],
	clinic_id uuid,
	plan_id uuid,
	max_retries integer NOT NULL DEFAULT 5,
	origin bigint NOT NULL,
	system_identifier bigint NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	created_by text NOT NULL,
	CONSTRAINT consumers_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE txplan.consumers IS 'Durable readers of events; create_consumer makes them, of all clinics or of one';
COMMENT ON COLUMN txplan.consumers.id IS 'The consumer; never used again for another';
COMMENT ON COLUMN txplan.consumers.name IS 'What its functions call it';
COMMENT ON COLUMN txplan.consumers.types IS 'The types of events that it reads; NULL: all';
COMMENT ON COLUMN txplan.consumers.clinic_id IS 'The clinic whose events it reads; NULL: all';
COMMENT ON COLUMN txplan.consumers.plan_id IS 'The plan whose events it reads; NULL: all';
COMMENT ON COLUMN txplan.consumers.max_retries IS 'How often an event is put back before it becomes a dead letter; may be updated';
COMMENT ON COLUMN txplan.consumers.origin IS 'The first event of the cluster whose transaction numbers its places have';
COMMENT ON COLUMN txplan.consumers.system_identifier IS 'That cluster, as pg_control_system() names it';
COMMENT ON COLUMN txplan.consumers.created_at IS 'When the transaction that made it began';
COMMENT ON COLUMN txplan.consumers.created_by IS 'The role that made it';
COMMENT ON CONSTRAINT consumers_pkey ON txplan.consumers IS 'A consumer is there once';
PERFORM txplan.ensure_constraint('consumers', 'consumers_name_unique',
	'UNIQUE (name)',
	'Two consumers never share a name');
PERFORM txplan.ensure_constraint('consumers', 'consumers_max_retries_in_range',
	'CHECK (max_retries BETWEEN 0 AND 1000)',
	'An event is retried 0 to 1000 times');

CREATE TABLE IF NOT EXISTS txplan.consumer_slots (
	consumer integer NOT NULL,
	slot smallint NOT NULL,
	turn bigint NOT NULL DEFAULT 0,
	done pg_snapshot NOT NULL,
	seen pg_snapshot,
	last_id bigint NOT NULL DEFAULT 0,
	until_id bigint NOT NULL DEFAULT 0,
	rate double precision NOT NULL DEFAULT 0,
	rate_at timestamptz,
	CONSTRAINT consumer_slots_pkey PRIMARY KEY (consumer, slot)
) WITH (fillfactor = 50);
COMMENT ON TABLE txplan.consumer_slots IS 'How far a consumer is, for each 128th of the plans: what is handed out';
COMMENT ON COLUMN txplan.consumer_slots.consumer IS 'The consumer';
COMMENT ON COLUMN txplan.consumer_slots.slot IS 'The part of the plans, by consumer_slot()';
COMMENT ON COLUMN txplan.consumer_slots.turn IS 'How often it was handed to a session';
COMMENT ON COLUMN txplan.consumer_slots.done IS 'Events that this snapshot sees are handed out';
COMMENT ON COLUMN txplan.consumer_slots.seen IS 'Of the events that this snapshot sees, those up to last_id are, too; NULL when none is left of them';
COMMENT ON COLUMN txplan.consumer_slots.last_id IS 'The last event that was handed out of those that seen sees';
COMMENT ON COLUMN txplan.consumer_slots.until_id IS 'No event that seen sees has a higher number';
COMMENT ON COLUMN txplan.consumer_slots.rate IS 'Events a second at rate_at, averaged over a minute; it stands with the first slot of a batch';
COMMENT ON COLUMN txplan.consumer_slots.rate_at IS 'When a batch last began with this slot';
COMMENT ON CONSTRAINT consumer_slots_pkey ON txplan.consumer_slots IS 'A consumer has each slot once';
PERFORM txplan.ensure_constraint('consumer_slots', 'consumer_slots_of_a_consumer',
	'FOREIGN KEY (consumer) REFERENCES txplan.consumers (id)',
	'A slot is one of a consumer');

CREATE TABLE IF NOT EXISTS txplan.consumer_batches (
	batch_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
	consumer integer NOT NULL,
	slots smallint[] NOT NULL,
	event_ids bigint[] NOT NULL,
	first_at timestamptz NOT NULL,
	last_at timestamptz NOT NULL,
	worker integer NOT NULL,
	opened_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	CONSTRAINT consumer_batches_pkey PRIMARY KEY (batch_id)
);
-- A batch is open for moments: its numbers are not worth compressing.
IF EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
		WHERE a.attrelid = 'txplan.consumer_batches'::pg_catalog.regclass
			AND a.attname = 'event_ids' AND a.attstorage <> 'e') THEN
	ALTER TABLE txplan.consumer_batches ALTER COLUMN event_ids SET STORAGE EXTERNAL;
END IF;
COMMENT ON TABLE txplan.consumer_batches IS 'Batches that were handed out and are not finished';
COMMENT ON COLUMN txplan.consumer_batches.batch_id IS 'The batch; never used again for another';
COMMENT ON COLUMN txplan.consumer_batches.consumer IS 'The consumer';
COMMENT ON COLUMN txplan.consumer_batches.slots IS 'The slots that it holds until it is finished';
COMMENT ON COLUMN txplan.consumer_batches.event_ids IS 'Its events; retry_event takes them out';
COMMENT ON COLUMN txplan.consumer_batches.first_at IS 'No event of it occurred before';
COMMENT ON COLUMN txplan.consumer_batches.last_at IS 'No event of it occurred later';
COMMENT ON COLUMN txplan.consumer_batches.worker IS 'The process of the session that has it, or had it when it ended';
COMMENT ON COLUMN txplan.consumer_batches.opened_at IS 'When it was handed out first';
COMMENT ON CONSTRAINT consumer_batches_pkey ON txplan.consumer_batches IS 'A batch is there once';
PERFORM txplan.ensure_constraint('consumer_batches', 'consumer_batches_of_a_consumer',
	'FOREIGN KEY (consumer) REFERENCES txplan.consumers (id)',
	'A batch is one of a consumer');
CREATE INDEX IF NOT EXISTS consumer_batches_by_consumer
	ON txplan.consumer_batches (consumer, batch_id);
COMMENT ON INDEX txplan.consumer_batches_by_consumer IS 'The open batches of a consumer';

CREATE TABLE IF NOT EXISTS txplan.consumer_retries (
	consumer integer NOT NULL,
	event_id bigint NOT NULL,
	clinic_id uuid NOT NULL,
	plan_id uuid NOT NULL,
	plan_version bigint NOT NULL,
	type text NOT NULL,
	actor text NOT NULL,
	occurred_at timestamptz NOT NULL,
	payload jsonb NOT NULL,
	retry_count integer NOT NULL,
	due_at timestamptz NOT NULL,
	last_error text,
	batch_id bigint,
	CONSTRAINT consumer_retries_pkey PRIMARY KEY (consumer, event_id)
);
COMMENT ON TABLE txplan.consumer_retries IS 'Events that a consumer put back, and later ones of their plans that wait behind them';
COMMENT ON COLUMN txplan.consumer_retries.consumer IS 'The consumer';
COMMENT ON COLUMN txplan.consumer_retries.event_id IS 'The number of the event; the next columns are its own';
COMMENT ON COLUMN txplan.consumer_retries.clinic_id IS 'The clinic of the plan';
COMMENT ON COLUMN txplan.consumer_retries.plan_id IS 'The plan';
COMMENT ON COLUMN txplan.consumer_retries.plan_version IS 'The plan''s version by this event';
COMMENT ON COLUMN txplan.consumer_retries.type IS 'What happened';
COMMENT ON COLUMN txplan.consumer_retries.actor IS 'Who did it';
COMMENT ON COLUMN txplan.consumer_retries.occurred_at IS 'When it happened';
COMMENT ON COLUMN txplan.consumer_retries.payload IS 'The facts';
COMMENT ON COLUMN txplan.consumer_retries.retry_count IS 'How often it was put back; 0 for one that waits behind another';
COMMENT ON COLUMN txplan.consumer_retries.due_at IS 'When it comes again, if none of its plan is before it';
COMMENT ON COLUMN txplan.consumer_retries.last_error IS 'Why it was put back';
COMMENT ON COLUMN txplan.consumer_retries.batch_id IS 'The open batch that it came again in; NULL while it waits';
COMMENT ON CONSTRAINT consumer_retries_pkey ON txplan.consumer_retries IS 'An event waits once for a consumer';
PERFORM txplan.ensure_constraint('consumer_retries', 'consumer_retries_of_a_consumer',
	'FOREIGN KEY (consumer) REFERENCES txplan.consumers (id)',
	'A retry is one of a consumer');

CREATE TABLE IF NOT EXISTS txplan.consumer_dead (
	consumer integer NOT NULL,
	event_id bigint NOT NULL,
	clinic_id uuid NOT NULL,
	plan_id uuid NOT NULL,
	plan_version bigint NOT NULL,
	type text NOT NULL,
	actor text NOT NULL,
	occurred_at timestamptz NOT NULL,
	payload jsonb NOT NULL,
	retry_count integer NOT NULL,
	last_error text,
	died_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	CONSTRAINT consumer_dead_pkey PRIMARY KEY (consumer, event_id)
);
COMMENT ON TABLE txplan.consumer_dead IS 'Dead letters: events that a consumer put back too often, kept with all they say';
COMMENT ON COLUMN txplan.consumer_dead.consumer IS 'The consumer';
COMMENT ON COLUMN txplan.consumer_dead.event_id IS 'The number of the event; the next columns are its own';
COMMENT ON COLUMN txplan.consumer_dead.clinic_id IS 'The clinic of the plan';
COMMENT ON COLUMN txplan.consumer_dead.plan_id IS 'The plan';
COMMENT ON COLUMN txplan.consumer_dead.plan_version IS 'The plan''s version by this event';
COMMENT ON COLUMN txplan.consumer_dead.type IS 'What happened';
COMMENT ON COLUMN txplan.consumer_dead.actor IS 'Who did it';
COMMENT ON COLUMN txplan.consumer_dead.occurred_at IS 'When it happened';
COMMENT ON COLUMN txplan.consumer_dead.payload IS 'The facts';
COMMENT ON COLUMN txplan.consumer_dead.retry_count IS 'How often it was put back before';
COMMENT ON COLUMN txplan.consumer_dead.last_error IS 'Why it was given up';
COMMENT ON COLUMN txplan.consumer_dead.died_at IS 'When it was given up';
COMMENT ON CONSTRAINT consumer_dead_pkey ON txplan.consumer_dead IS 'An event is one dead letter of a consumer';
PERFORM txplan.ensure_constraint('consumer_dead', 'consumer_dead_of_a_consumer',
	'FOREIGN KEY (consumer) REFERENCES txplan.consumers (id)',
	'A dead letter is one of a consumer');

CREATE OR REPLACE VIEW txplan.consumer_lag AS SELECT * FROM txplan.consumer_state();
COMMENT ON VIEW txplan.consumer_lag IS 'How far each consumer is behind';
COMMENT ON COLUMN txplan.consumer_lag.consumer IS 'The consumer''s name';
COMMENT ON COLUMN txplan.consumer_lag.types IS 'The types of events that it reads; NULL: all';
COMMENT ON COLUMN txplan.consumer_lag.clinic_id IS 'The clinic whose events it reads; NULL: all';
COMMENT ON COLUMN txplan.consumer_lag.plan_id IS 'The plan whose events it reads; NULL: all';
COMMENT ON COLUMN txplan.consumer_lag.pending_events IS 'Events that are not finished: waiting, in open batches, and put back';
COMMENT ON COLUMN txplan.consumer_lag.open_events IS 'Of these, the ones in open batches';
COMMENT ON COLUMN txplan.consumer_lag.retry_events IS 'Of these, the ones that were put back or wait behind one that was';
COMMENT ON COLUMN txplan.consumer_lag.dead_events IS 'Dead letters, which are not pending';
COMMENT ON COLUMN txplan.consumer_lag.oldest_event IS 'When the oldest pending event occurred';
COMMENT ON COLUMN txplan.consumer_lag.oldest_age IS 'How long ago that was';
COMMENT ON COLUMN txplan.consumer_lag.rate IS 'Events a second that are handed out, averaged over about a minute';
COMMENT ON COLUMN txplan.consumer_lag.last_batch_at IS 'When a batch was last handed out';

CREATE OR REPLACE VIEW txplan.dead_events AS
	SELECT c.name AS consumer, d.event_id, d.clinic_id, d.plan_id, d.plan_version, d.type,
		d.actor, d.occurred_at, d.payload, d.retry_count, d.last_error, d.died_at
	FROM txplan.consumer_dead AS d
	JOIN txplan.consumers AS c ON c.id = d.consumer;
COMMENT ON VIEW txplan.dead_events IS 'Dead letters: events that a consumer put back too often; revive_event tries one again';
COMMENT ON COLUMN txplan.dead_events.consumer IS 'The consumer''s name';
COMMENT ON COLUMN txplan.dead_events.event_id IS 'The number of the event';
COMMENT ON COLUMN txplan.dead_events.clinic_id IS 'The clinic of the plan';
COMMENT ON COLUMN txplan.dead_events.plan_id IS 'The plan';
COMMENT ON COLUMN txplan.dead_events.plan_version IS 'The plan''s version by this event';
COMMENT ON COLUMN txplan.dead_events.type IS 'What happened';
COMMENT ON COLUMN txplan.dead_events.actor IS 'Who did it';
COMMENT ON COLUMN txplan.dead_events.occurred_at IS 'When it happened';
COMMENT ON COLUMN txplan.dead_events.payload IS 'The facts';
COMMENT ON COLUMN txplan.dead_events.retry_count IS 'How often it was put back before';
COMMENT ON COLUMN txplan.dead_events.last_error IS 'Why it was given up';
COMMENT ON COLUMN txplan.dead_events.died_at IS 'When it was given up';

CREATE OR REPLACE TRIGGER event_origins_engine_only
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.event_origins
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.engine_only();
CREATE OR REPLACE TRIGGER consumers_engine_only
	BEFORE INSERT OR DELETE OR UPDATE OF id, name, types, clinic_id, plan_id, origin,
		system_identifier, created_at, created_by
	ON txplan.consumers
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.engine_only();
CREATE OR REPLACE TRIGGER consumer_slots_engine_only
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.consumer_slots
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.engine_only();
CREATE OR REPLACE TRIGGER consumer_batches_engine_only
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.consumer_batches
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.engine_only();
CREATE OR REPLACE TRIGGER consumer_retries_engine_only
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.consumer_retries
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.engine_only();
CREATE OR REPLACE TRIGGER consumer_dead_engine_only
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.consumer_dead
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.engine_only();

COMMENT ON SEQUENCE txplan.consumers_id_seq IS 'The numbers of consumers';
COMMENT ON SEQUENCE txplan.consumer_batches_batch_id_seq IS 'The numbers of batches; after a rollback some are missing';
