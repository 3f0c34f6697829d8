-- bulk/bare.sql: items are inserted with all that txplan writes for them, no rule
-- checked: the items with every column filled, a session for each, an event and a
-- row of history for each, and the counters of their plans.
--
-- The settings keep the planner from reading all plans for these few.
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_seqscan = off;
PREPARE insert_items (integer, integer) AS
WITH fresh AS MATERIALIZED (
	SELECT q.n, q.id, q.clinic_id, q.plan_id, q.description, q.price,
		p.number, p.patient_id, p.professional_id, p.version, p.history_length,
		p.history_head, p.items_total,
		row_number() OVER w AS place, clock.at, session_user AS actor
	FROM bench.new_items AS q
	JOIN bare.plans AS p ON p.id = q.plan_id AND p.clinic_id = q.clinic_id
	CROSS JOIN (SELECT clock_timestamp() AS at OFFSET 0) AS clock
	WHERE q.repetition = $1 AND q.n <= $2
	WINDOW w AS (PARTITION BY q.plan_id, q.clinic_id ORDER BY q.n)
),
chain AS MATERIALIZED (
	SELECT f.*, bench.chain(f.history_head,
		bench.field(f.plan_id) || bench.field(f.clinic_id)
		|| bench.field((f.history_length + f.place)::text)
		|| bench.field((extract(epoch FROM f.at) * 1000000)::bigint::text)
		|| bench.field(f.actor) || bench.field(current_user::text)
		|| '10:item_added,' || bench.field(f.id) || '-,-,'
		|| bench.field(f.description) || '-,-,-,')
		OVER (PARTITION BY f.plan_id, f.clinic_id ORDER BY f.place) AS hash
	FROM fresh AS f
),
inserted AS (
	INSERT INTO bare.items (id, clinic_id, plan_id, position, description, price,
		professional_id, sessions_total)
	SELECT f.id, f.clinic_id, f.plan_id, f.items_total + f.place, f.description,
		f.price, f.professional_id, 1
	FROM fresh AS f
),
made AS (
	INSERT INTO bare.sessions (clinic_id, plan_id, item_id, sequence, amount)
	SELECT f.clinic_id, f.plan_id, f.id, 1, f.price
	FROM fresh AS f
),
published AS (
	INSERT INTO bare.events (id, clinic_id, plan_id, plan_version, type, actor,
		occurred_at, payload)
	SELECT e.event_id, e.clinic_id, e.plan_id, e.version + e.place,
		'treatment_plan.treatment_added', e.actor, e.at,
		jsonb_build_object('event_id', e.event_id::text, 'plan_id', e.plan_id,
			'plan_number', e.number, 'clinic_id', e.clinic_id,
			'patient_id', e.patient_id, 'actor', e.actor,
			'occurred_at', bench.rfc3339(e.at),
			'item_id', e.id, 'catalog_item_id', NULL, 'treatment_ref', NULL,
			'tooth', NULL, 'surfaces', NULL, 'unit_price', e.price::text,
			'professional_id', e.professional_id, 'budget_id', NULL)
	FROM (SELECT f.*, nextval('bare.events_id_seq') AS event_id
		FROM fresh AS f) AS e
),
remembered AS (
	INSERT INTO bare.history (clinic_id, plan_id, sequence, at, actor, role_name,
		what, item_id, to_value, hash)
	SELECT c.clinic_id, c.plan_id, c.history_length + c.place, c.at, c.actor,
		current_user, 'item_added', c.id, c.description, c.hash
	FROM chain AS c
)
UPDATE bare.plans AS p
SET items_total = p.items_total + c.place,
	version = p.version + c.place,
	history_length = p.history_length + c.place,
	history_head = c.hash,
	updated_at = now()
FROM (
	SELECT DISTINCT ON (c.plan_id, c.clinic_id) c.plan_id, c.clinic_id, c.place, c.hash
	FROM chain AS c
	ORDER BY c.plan_id, c.clinic_id, c.place DESC
) AS c
WHERE p.id = c.plan_id AND p.clinic_id = c.clinic_id;
