-- history.sql: who changed what, as a chain that shows when it was tampered with.
-- after: event

-- == extension ==

-- Without SET, and with all names qualified, it becomes part of the query that
-- calls it, which is several times as fast.
CREATE FUNCTION txplan.history_field(value text)
RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
	SELECT CASE WHEN value IS NULL THEN pg_catalog.convert_to('-,', 'UTF8')
		ELSE pg_catalog.convert_to(pg_catalog.concat(pg_catalog.octet_length(
				pg_catalog.convert_to(value, 'UTF8')), ':'), 'UTF8')
			OPERATOR(pg_catalog.||) pg_catalog.convert_to(value, 'UTF8')
			OPERATOR(pg_catalog.||) pg_catalog.convert_to(',', 'UTF8') END
$$;

COMMENT ON FUNCTION txplan.history_field(text) IS
'Writes one field of a row of history as its hash sees it.

The value in UTF-8, its length in bytes and a colon before it, a comma behind
it; NULL is "-,". So no two rows read the same. Source: D. J. Bernstein, Netstrings.';

CREATE FUNCTION txplan.history_faults(wanted uuid)
RETURNS TABLE (plan uuid, sequence bigint, fault text, detail text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH chain AS (
		SELECT h.plan_id, h.clinic_id, h.sequence, h.hash,
			lag(h.sequence) OVER w AS sequence_before,
			sha256(coalesce(lag(h.hash) OVER w, ''::bytea)
				|| txplan.history_field(h.plan_id::text)
				|| txplan.history_field(h.clinic_id::text)
				|| txplan.history_field(h.sequence::text)
				|| txplan.history_field((extract(epoch FROM h.at) * 1000000)::bigint::text)
				|| txplan.history_field(h.actor)
				|| txplan.history_field(h.role_name)
				|| txplan.history_field(h.what)
				|| txplan.history_field(h.item_id::text)
				|| txplan.history_field(h.session_id::text)
				|| txplan.history_field(h.from_value)
				|| txplan.history_field(h.to_value)
				|| txplan.history_field(h.action)
				|| txplan.history_field(h.reason)
				|| txplan.history_field(h.note)) AS computed,
			h.what,
			lead(h.sequence) OVER w IS NULL AS is_last
		FROM txplan.history AS h
		WHERE h.plan_id BETWEEN coalesce(wanted, '00000000-0000-0000-0000-000000000000')
			AND coalesce(wanted, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
		WINDOW w AS (PARTITION BY h.plan_id, h.clinic_id ORDER BY h.sequence)
	)
	SELECT c.plan_id, c.sequence, 'row missing',
		format('Rows %s to %s of the chain are missing.',
			coalesce(c.sequence_before, 0) + 1, c.sequence - 1)
	FROM chain AS c
	WHERE c.sequence <> coalesce(c.sequence_before, 0) + 1
	UNION ALL
	SELECT c.plan_id, c.sequence, 'row changed',
		'The hash is not that of the row and the row before it.'
	FROM chain AS c
	WHERE c.hash <> c.computed
	UNION ALL
	SELECT p.id, p.history_length, 'head differs',
		format('The plan says that its chain has %s rows and ends otherwise.', p.history_length)
	FROM txplan.plans AS p
	LEFT JOIN chain AS c ON c.plan_id = p.id AND c.clinic_id = p.clinic_id AND c.is_last
	WHERE p.id BETWEEN coalesce(wanted, '00000000-0000-0000-0000-000000000000')
			AND coalesce(wanted, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
		AND (c.sequence IS DISTINCT FROM p.history_length
			OR c.hash IS DISTINCT FROM p.history_head)
	UNION ALL
	SELECT c.plan_id, c.sequence, 'end missing',
		'The plan is gone, and the chain does not end with its deletion.'
	FROM chain AS c
	WHERE c.is_last AND c.what <> 'deleted'
		AND NOT EXISTS (SELECT FROM txplan.plans AS p
			WHERE p.id = c.plan_id AND p.clinic_id = c.clinic_id)
	ORDER BY 1, 2, 3
$$;

COMMENT ON FUNCTION txplan.history_faults(uuid) IS
'What verify_history() returns, without its checks: call verify_history().';

CREATE FUNCTION txplan.verify_history(plan_id uuid DEFAULT NULL)
RETURNS TABLE (plan uuid, sequence bigint, fault text, detail text)
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'txplan_verify_history';

COMMENT ON FUNCTION txplan.verify_history(uuid) IS
'Lists the rows of history that do not fit; no row when all is well.

plan_id: one plan, also a deleted one; NULL checks all.
fault: row changed (its hash is not that of the row and its predecessor), row
missing, head differs (the plan names another end of its chain), end missing.
Errors: P0002 for a plan without history, 42501 without the tables'' privileges,
TX008 before install(). Source: SHA-256 of FIPS 180-4 over the form that
docs/history.md describes.';

-- == record ==

CREATE TABLE IF NOT EXISTS txplan.history (
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	plan_id uuid NOT NULL,
	sequence bigint NOT NULL,
	at timestamptz NOT NULL,
	actor text NOT NULL,
	role_name text NOT NULL,
	what text NOT NULL,
	item_id uuid,
	session_id uuid,
	from_value text,
	to_value text,
	action text,
	reason text,
	note text,
	hash bytea NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT history_pkey PRIMARY KEY (id, clinic_id)
);
ALTER TABLE txplan.history ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.history IS 'Who changed what of a plan, append-only, each row chained to the one before';
COMMENT ON COLUMN txplan.history.id IS 'The row';
COMMENT ON COLUMN txplan.history.clinic_id IS 'The clinic of the plan';
COMMENT ON COLUMN txplan.history.plan_id IS 'The plan; no foreign key, since its history outlives it';
COMMENT ON COLUMN txplan.history.sequence IS 'Place in the plan''s chain, from 1';
COMMENT ON COLUMN txplan.history.at IS 'When it happened, by the clock, while the plan was locked';
COMMENT ON COLUMN txplan.history.actor IS 'Who did it: txplan.actor, else the session''s user';
COMMENT ON COLUMN txplan.history.role_name IS 'The database role that the session acted as';
COMMENT ON COLUMN txplan.history.what IS 'What changed, such as status or item_professional';
COMMENT ON COLUMN txplan.history.item_id IS 'The item that it concerns';
COMMENT ON COLUMN txplan.history.session_id IS 'The session that it concerns';
COMMENT ON COLUMN txplan.history.from_value IS 'The value before';
COMMENT ON COLUMN txplan.history.to_value IS 'The value after';
COMMENT ON COLUMN txplan.history.action IS 'The action of the workflow, how an item came to its end, the channel of a contact, or an appointment';
COMMENT ON COLUMN txplan.history.reason IS 'The reason given';
COMMENT ON COLUMN txplan.history.note IS 'The note given';
COMMENT ON COLUMN txplan.history.hash IS 'SHA-256 over the hash of the row before and this row';
COMMENT ON COLUMN txplan.history.created_at IS 'When the transaction that wrote the row began';
COMMENT ON COLUMN txplan.history.updated_at IS 'As created_at: rows of history never change';
COMMENT ON CONSTRAINT history_pkey ON txplan.history IS 'Each row has its id';
PERFORM txplan.ensure_constraint('history', 'history_sequence_once_per_plan',
	'UNIQUE (plan_id, sequence, clinic_id)',
	'Each place of a chain is taken once');
PERFORM txplan.ensure_constraint('history', 'history_hash_is_sha256',
	'CHECK (pg_catalog.octet_length(hash) = 32)',
	'A hash has 32 bytes');

CREATE OR REPLACE TRIGGER history_engine_only
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.history
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.engine_only();
