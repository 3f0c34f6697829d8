-- helpers.sql: what the statements of several contenders spell out alike.
--
-- Each is one expression, so the planner writes it into the statement that
-- calls it: nothing of them is left when it runs.  (In a script of pgbench they
-- could not stand: it takes every :word for a variable, also in a literal.)

CREATE SCHEMA bench;

-- A field of a row of history as its hash sees it: a netstring, as in
-- sql/history.sql.
CREATE FUNCTION bench.field(value text)
RETURNS text LANGUAGE sql IMMUTABLE
RETURN coalesce(octet_length(value)::text || ':' || value || ',', '-,');

CREATE FUNCTION bench.field(value uuid)
RETURNS text LANGUAGE sql IMMUTABLE
RETURN coalesce('36:' || value::text || ',', '-,');

-- The hash of a row of history, in a database whose encoding is UTF8.
CREATE FUNCTION bench.history_hash(
	head bytea, plan_id uuid, clinic_id uuid, sequence bigint, at timestamptz,
	actor text, what text, item_id uuid, session_id uuid, from_value text,
	to_value text, action text, reason text DEFAULT NULL)
RETURNS bytea LANGUAGE sql STABLE
RETURN sha256(coalesce(head, '') || convert_to(
	bench.field(plan_id) || bench.field(clinic_id) || bench.field(sequence::text)
	|| bench.field((extract(epoch FROM at) * 1000000)::bigint::text)
	|| bench.field(actor) || bench.field(current_user::text) || bench.field(what)
	|| bench.field(item_id) || bench.field(session_id)
	|| bench.field(from_value) || bench.field(to_value) || bench.field(action)
	|| bench.field(reason) || '-,', 'UTF8'));

-- A time of a payload, by RFC 3339.
CREATE FUNCTION bench.rfc3339(at timestamptz)
RETURNS text LANGUAGE sql STABLE
RETURN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- The hash of each row of a chain, as a window aggregate over its rows.
CREATE FUNCTION bench.chain_step(state bytea, head bytea, fields text)
RETURNS bytea LANGUAGE sql STABLE
RETURN sha256(coalesce(state, head) || convert_to(fields, 'UTF8'));
CREATE AGGREGATE bench.chain(head bytea, fields text) (
	SFUNC = bench.chain_step,
	STYPE = bytea
);

-- The payload of an event: what every event says, and its own facts.
CREATE FUNCTION bench.payload(
	event_id bigint, plan_id uuid, number text, clinic_id uuid, patient_id uuid,
	actor text, at timestamptz, facts jsonb)
RETURNS jsonb LANGUAGE sql STABLE
RETURN jsonb_build_object('event_id', event_id::text, 'plan_id', plan_id,
	'plan_number', number, 'clinic_id', clinic_id, 'patient_id', patient_id,
	'actor', actor, 'occurred_at', bench.rfc3339(at)) || facts;
