-- budget.sql: what a plan is quoted at, and what the patient decides.
-- after: session, earned

-- == extension ==

CREATE FUNCTION txplan.budgets_check()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_budgets_check';

COMMENT ON FUNCTION txplan.budgets_check() IS
'Trigger: lets a budget be made, linked, changed, sent and decided only as its rules allow.

Locks the plan first. Errors: 22008, TX001, TX002, TX003, TX004, TX007, TX009, TX010,
P0002.';

CREATE FUNCTION txplan.budgets_settle()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_budgets_settle';

COMMENT ON FUNCTION txplan.budgets_settle() IS
'Trigger: fills new budgets, reprices what was accepted, publishes what happened, and lets the plan follow.

Errors: TX009 for a line below what its item has earned, TX004 and 27000 for a budget
that the statement, or a trigger, moved on meanwhile.';

CREATE FUNCTION txplan.budget_lines_check()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_budget_lines_check';

COMMENT ON FUNCTION txplan.budget_lines_check() IS
'Trigger: lets the lines of a draft be added, changed and deleted.

Locks the plan first, then the budget. Errors: TX003 for a budget that is sent or
accepted, TX004 for one that is decided or an item that has ended, TX007, TX009,
TX010, P0002.';

CREATE FUNCTION txplan.budget_lines_settle()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'txplan_budget_lines_settle';

COMMENT ON FUNCTION txplan.budget_lines_settle() IS
'Trigger: adds up the budgets whose lines changed, and publishes that they did.

Each line less its own discount makes the subtotal; the discount on the whole is
split over the lines by the method of the largest remainder, so that net amounts
add up to the total. Source: as txplan.split_amount().
Errors: TX003 and TX004 for a budget that the same statement sent or decided.';

CREATE FUNCTION txplan.generate_budget(plan_id uuid, clinic_id uuid DEFAULT NULL)
RETURNS uuid
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_generate_budget';

COMMENT ON FUNCTION txplan.generate_budget(uuid, uuid) IS
'Makes the draft of a budget with a line for each pending item of a plan, and returns its id.

It is valid through the day that clinics.budget_valid_days says, counted in the
clinic''s time zone. Publishes budget.created.
Errors: 22004, P0002, TX002 for a plan that has ended, has a live budget or no
pending item, 42501 without the tables'' privileges, TX008.';

CREATE FUNCTION txplan.link_budget(
	plan_id uuid,
	budget_id uuid,
	clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_link_budget';

COMMENT ON FUNCTION txplan.link_budget(uuid, uuid, uuid) IS
'Links a live budget of the patient to a plan, and returns the plan''s status.

What is linked decides at once: a sent one locks the plan, an accepted one
activates a plan that waits for it. To link the same again does nothing. Publishes
budget.created, and what follows.
Errors: 22004, P0002, TX002 for a budget that is decided or another plan''s, a plan
that has ended or has a live budget, TX010 for another clinic or patient, 42501
without the tables'' privileges, TX008.';

CREATE FUNCTION txplan.sync_budget(plan_id uuid, clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_sync_budget';

COMMENT ON FUNCTION txplan.sync_budget(uuid, uuid) IS
'Makes the draft of a plan''s budget follow the plan, and returns the plan''s status.

Pending items without a line get one, lines of items that have ended go, prices,
names and order are the items''; discounts and lines of no item stay. Publishes
treatment_plan.budget_sync_requested.
Errors: 22004, P0002, TX002 for a plan without a live budget, TX003 when it is sent
or accepted, 42501 without UPDATE on budget_lines, TX008.';

CREATE FUNCTION txplan.send_budget(budget_id uuid, clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_send_budget';

COMMENT ON FUNCTION txplan.send_budget(uuid, uuid) IS
'Notes that a draft was sent to the patient, which locks its plan, and returns the plan''s status.

NULL for a budget that no plan has. Publishes budget.sent.
Errors: 22004, P0002, TX001 from a status that it does not leave this way, TX002
for an empty budget, one whose last day has passed, or a plan that has ended, TX004
when it is sent or decided already, TX009 for a discount above the subtotal, 42501
without the tables'' privileges, TX008.';

CREATE FUNCTION txplan.accept_budget(budget_id uuid, clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_accept_budget';

COMMENT ON FUNCTION txplan.accept_budget(uuid, uuid) IS
'Notes that the patient accepted a sent budget, or a draft at the desk, and returns the plan''s status.

Each item that it quotes gets its line''s net amount as its price; what is left of
it beyond what was earned is split over the pending sessions. A pending plan
becomes active, a draft will as soon as it is confirmed, and one that was closed as
rejected comes back when this is a later version. Publishes budget.accepted, and
what follows.
Errors: as send_budget(), and TX009 for a line below what its item has earned.';

CREATE FUNCTION txplan.reject_budget(
	budget_id uuid,
	note text DEFAULT NULL,
	clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_reject_budget';

COMMENT ON FUNCTION txplan.reject_budget(uuid, text, uuid) IS
'Notes that the patient declined a draft or sent budget, and returns the plan''s status.

note: at most 10000 characters. A pending plan is closed as rejected. Publishes
budget.rejected, and what follows.
Errors: 22004, 22001, P0002, TX004 when it is decided already, 42501 without the
tables'' privileges, TX008.';

CREATE FUNCTION txplan.cancel_budget(
	budget_id uuid,
	reason text DEFAULT NULL,
	clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_cancel_budget';

COMMENT ON FUNCTION txplan.cancel_budget(uuid, text, uuid) IS
'Takes a live budget back, and returns the plan''s status.

reason: at most 10000 characters. A pending plan goes back to draft, an active one
stays and is no longer locked. Publishes budget.cancelled, and what follows.
Errors: 22004, 22001, P0002, TX004 when it is decided already or its plan is
completed, 42501 without the tables'' privileges, TX008.';

CREATE FUNCTION txplan.resend_budget(budget_id uuid, clinic_id uuid DEFAULT NULL)
RETURNS uuid
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_resend_budget';

COMMENT ON FUNCTION txplan.resend_budget(uuid, uuid) IS
'Makes a draft of the next version of a budget that was sent, rejected or has expired, and returns its id.

It has the lines and discounts of the one before, as far as their items are
pending, at the plan''s prices, and a new last day. A sent one is cancelled.
Publishes budget.superseded for that, and budget.created.
Errors: 22004, P0002, 23505 when there is a next version, TX001 from draft and
accepted, TX002 for a plan that has ended (unless it was closed as rejected) or has
another live budget, TX004 for one that is cancelled, 42501 without the tables''
privileges, TX008.';

CREATE FUNCTION txplan.budget_faults(wanted_clinic uuid)
RETURNS TABLE (clinic_id uuid, plan_id uuid, row_id uuid, fault text, detail text, hint text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH lines AS MATERIALIZED (
		SELECT l.budget_id, l.clinic_id, l.net_amount,
			l.unit_price * l.quantity - coalesce(
				round(l.unit_price * l.quantity * l.discount_percent / 100, 2),
				l.discount_amount, 0) AS part
		FROM txplan.budget_lines AS l
		WHERE wanted_clinic IS NULL OR l.clinic_id = wanted_clinic
	),
	sums AS MATERIALIZED (
		SELECT l.budget_id, l.clinic_id, sum(l.part) AS subtotal, sum(l.net_amount) AS total
		FROM lines AS l
		GROUP BY l.budget_id, l.clinic_id
	),
	reckoned AS (
		SELECT b.id, b.clinic_id, b.plan_id, b.subtotal, b.total,
			coalesce(s.subtotal, 0.00) AS line_subtotal,
			coalesce(s.total, 0.00) AS line_total,
			coalesce(s.subtotal, 0.00) - coalesce(
				round(s.subtotal * b.discount_percent / 100, 2),
				CASE WHEN b.discount_amount > coalesce(s.subtotal, 0) THEN coalesce(s.subtotal, 0)
					ELSE b.discount_amount END, 0) AS expected
		FROM txplan.budgets AS b
		LEFT JOIN sums AS s ON s.budget_id = b.id AND s.clinic_id = b.clinic_id
		WHERE wanted_clinic IS NULL OR b.clinic_id = wanted_clinic
	)
	SELECT r.clinic_id, r.plan_id, r.id, 'budget sums differ',
		format('The budget says %s and %s; its lines less their discounts are %s, less that on the whole %s, and their net amounts add up to %s.',
			r.subtotal, r.total, r.line_subtotal, r.expected, r.line_total),
		'Set unit_price of a line of the draft to itself plus 0.01 and back; what was sent is mended as a superuser with session_replication_role = replica.'
	FROM reckoned AS r
	WHERE r.subtotal <> r.line_subtotal OR r.total <> r.expected OR r.total <> r.line_total
	UNION ALL
	SELECT p.clinic_id, p.id, p.id, 'plan''s budget differs',
		format('The plan says budget %s, %s; its live budget is %s, %s.',
			coalesce(p.budget_id::text, 'none'), coalesce(p.budget_status, 'none'),
			coalesce(l.id::text, 'none'), coalesce(l.status, 'none')),
		'Set budget_id and budget_status of the plan to those of its live budget, else of the last that was live, as a superuser with session_replication_role = replica.'
	FROM txplan.plans AS p
	LEFT JOIN txplan.budgets AS b ON b.id = p.budget_id AND b.clinic_id = p.clinic_id
		AND b.plan_id = p.id
	LEFT JOIN txplan.budgets AS l ON l.plan_id = p.id AND l.clinic_id = p.clinic_id
		AND l.status IN ('draft', 'sent', 'accepted')
	WHERE (wanted_clinic IS NULL OR p.clinic_id = wanted_clinic)
		AND (b.id IS DISTINCT FROM p.budget_id
			OR b.status IS DISTINCT FROM p.budget_status
			OR l.id <> p.budget_id
			OR l.id IS NOT NULL AND p.budget_id IS NULL)
	UNION ALL
	SELECT b.clinic_id, b.plan_id, b.id, 'several live budgets',
		'The plan has more than one budget that is draft, sent or accepted.',
		'Cancel all but one with txplan.cancel_budget().'
	FROM (
		SELECT b.*, count(*) OVER (PARTITION BY b.plan_id, b.clinic_id) AS live
		FROM txplan.budgets AS b
		WHERE b.plan_id IS NOT NULL
			AND b.status IN ('draft', 'sent', 'accepted')
			AND (wanted_clinic IS NULL OR b.clinic_id = wanted_clinic)
	) AS b
	WHERE b.live > 1
	UNION ALL
	SELECT b.clinic_id, b.plan_id, b.id, 'budget of another patient',
		format('The budget is for patient %s, its plan for %s.', b.patient_id, p.patient_id),
		'Set patient_id of the budget to that of its plan, as a superuser with session_replication_role = replica.'
	FROM txplan.budgets AS b
	JOIN txplan.plans AS p ON p.id = b.plan_id AND p.clinic_id = b.clinic_id
	WHERE p.patient_id <> b.patient_id
		AND (wanted_clinic IS NULL OR b.clinic_id = wanted_clinic)
	UNION ALL
	SELECT l.clinic_id, b.plan_id, l.id, 'line of another plan',
		format('The line quotes item %s, which is none of the budget''s plan.', l.item_id),
		'Set item_id of the line to NULL, as a superuser with session_replication_role = replica.'
	FROM txplan.budget_lines AS l
	JOIN txplan.budgets AS b ON b.id = l.budget_id AND b.clinic_id = l.clinic_id
	JOIN txplan.items AS i ON i.id = l.item_id AND i.clinic_id = l.clinic_id
	WHERE i.plan_id IS DISTINCT FROM b.plan_id
		AND (wanted_clinic IS NULL OR l.clinic_id = wanted_clinic)
	UNION ALL
	SELECT b.clinic_id, b.plan_id, b.id, 'version differs',
		format('The budget is %s v%s; the version before it is %s.', b.number, b.version,
			coalesce(v.number || ' v' || v.version, 'missing')),
		'Set number, version and supersedes_id so that each version follows the one before, as a superuser with session_replication_role = replica.'
	FROM txplan.budgets AS b
	LEFT JOIN txplan.budgets AS v ON v.id = b.supersedes_id AND v.clinic_id = b.clinic_id
	WHERE b.supersedes_id IS NOT NULL
		AND (v.number, v.version + 1) IS DISTINCT FROM (b.number, b.version)
		AND (wanted_clinic IS NULL OR b.clinic_id = wanted_clinic)
	UNION ALL
	SELECT b.clinic_id, b.plan_id, i.id, 'accepted price differs',
		format('The item costs %s, and the budget that was accepted has it at %s.',
			i.price, coalesce(l.net_amount::text, 'nothing')),
		'Ask what was agreed on; set the price of the item to it, and the amounts of its sessions, as a superuser with session_replication_role = replica.'
	FROM txplan.budgets AS b
	JOIN txplan.items AS i ON i.plan_id = b.plan_id AND i.clinic_id = b.clinic_id
	LEFT JOIN txplan.budget_lines AS l ON l.budget_id = b.id AND l.item_id = i.id
		AND l.clinic_id = b.clinic_id
	WHERE b.status = 'accepted' AND i.status = 'pending'
		AND l.net_amount <> i.price
		AND (wanted_clinic IS NULL OR b.clinic_id = wanted_clinic)
	UNION ALL
	SELECT b.clinic_id, b.plan_id, b.id, 'budget empty',
		format('The budget is %s and has no line.', b.status),
		'Restore its lines from a backup, or cancel it with txplan.cancel_budget().'
	FROM txplan.budgets AS b
	WHERE b.status IN ('sent', 'accepted')
		AND NOT EXISTS (SELECT FROM txplan.budget_lines AS l
			WHERE l.budget_id = b.id AND l.clinic_id = b.clinic_id)
		AND (wanted_clinic IS NULL OR b.clinic_id = wanted_clinic)
	UNION ALL
	SELECT p.clinic_id, p.id, p.id, 'plan stuck',
		format('The plan is %s, and its budget is accepted, which the engine does not let it wait with.',
			p.status),
		format('SELECT txplan.advance_plan(%L) lets it go on.', p.id)
	FROM txplan.plans AS p
	WHERE p.budget_status = 'accepted'
		AND EXISTS (SELECT FROM txplan.workflow_transitions AS t
			WHERE t.workflow = p.workflow AND t.from_state = p.status AND t.automatic
				AND t.guards = '{txplan.budget_is_accepted}')
		AND (wanted_clinic IS NULL OR p.clinic_id = wanted_clinic)
$$;

COMMENT ON FUNCTION txplan.budget_faults(uuid) IS
'What audit() finds of budgets: call audit().';

-- == record ==

-- A record that had plans before it had budgets gets the ways that budgets open;
-- what a DBA has made of the workflow since stays.
IF pg_catalog.to_regclass('txplan.budgets') IS NULL
		AND EXISTS (SELECT FROM txplan.workflow_states AS s
			WHERE s.workflow = 'dental' AND s.state = 'active') THEN
	UPDATE txplan.workflow_transitions AS t
	SET guards = '{txplan.no_budget_waits}'
	WHERE t.workflow = 'dental' AND t.action = 'accept'
		AND t.from_state = 'pending' AND t.guards = '{}';
	INSERT INTO txplan.workflow_transitions
		(workflow, action, from_state, to_state, automatic, guards, event)
	SELECT 'dental', w.action, w.from_state, 'active', true, w.guards, w.event
	FROM (VALUES
		('accept_by_budget', 'pending', '{txplan.budget_is_accepted}'::text[],
			'treatment_plan.accepted'),
		('revive', 'closed', '{txplan.budget_revives}',
			'treatment_plan.reactivated')
	) AS w (action, from_state, guards, event)
	WHERE EXISTS (SELECT FROM txplan.workflow_states AS s
		WHERE s.workflow = 'dental' AND s.state = w.from_state)
	ON CONFLICT DO NOTHING;
END IF;

CREATE TABLE IF NOT EXISTS txplan.budgets (
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	plan_id uuid,
	patient_id uuid NOT NULL,
	number text NOT NULL,
	version integer NOT NULL DEFAULT 1,
	supersedes_id uuid,
	status text NOT NULL DEFAULT 'draft',
	valid_until date,
	discount_percent numeric(5,2),
	discount_amount numeric(12,2),
	subtotal numeric(12,2) NOT NULL DEFAULT 0,
	total numeric(12,2) NOT NULL DEFAULT 0,
	external_ref text,
	sent_at timestamptz,
	decided_at timestamptz,
	decided_by text,
	decision_note text,
	created_by text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT budgets_pkey PRIMARY KEY (id, clinic_id)
);
ALTER TABLE txplan.budgets ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.budgets IS 'What plans are quoted at; one budget of a plan at most is live';
COMMENT ON COLUMN txplan.budgets.id IS 'The budget';
COMMENT ON COLUMN txplan.budgets.clinic_id IS 'The clinic; it never changes';
COMMENT ON COLUMN txplan.budgets.plan_id IS 'The plan that it is linked to; once set it never changes';
COMMENT ON COLUMN txplan.budgets.patient_id IS 'The patient, who is the plan''s; it never changes';
COMMENT ON COLUMN txplan.budgets.number IS 'Number for people; the engine issues it, and later versions keep it';
COMMENT ON COLUMN txplan.budgets.version IS 'Version of the number: 1, and one more for each that was sent again';
COMMENT ON COLUMN txplan.budgets.supersedes_id IS 'The version before it';
COMMENT ON COLUMN txplan.budgets.status IS 'draft, sent, accepted, rejected, expired or cancelled; live are the first three';
COMMENT ON COLUMN txplan.budgets.valid_until IS 'Last day of its validity, in the clinic''s time zone';
COMMENT ON COLUMN txplan.budgets.discount_percent IS 'Discount on the whole in percent of the subtotal, 0 to 100';
COMMENT ON COLUMN txplan.budgets.discount_amount IS 'Discount on the whole as an amount, at most the subtotal';
COMMENT ON COLUMN txplan.budgets.subtotal IS 'Sum of the lines after their own discounts; the engine writes it';
COMMENT ON COLUMN txplan.budgets.total IS 'What the patient pays: subtotal less the discount on the whole, sum of the lines'' net amounts; the engine writes it';
COMMENT ON COLUMN txplan.budgets.external_ref IS 'What an accounting program knows it by, 1 to 200 characters';
COMMENT ON COLUMN txplan.budgets.sent_at IS 'When it was sent to the patient';
COMMENT ON COLUMN txplan.budgets.decided_at IS 'When it was accepted, rejected, cancelled, or expired';
COMMENT ON COLUMN txplan.budgets.decided_by IS 'Who noted the decision: txplan.actor, else the session''s user';
COMMENT ON COLUMN txplan.budgets.decision_note IS 'What was said at the decision, at most 10000 characters';
COMMENT ON COLUMN txplan.budgets.created_by IS 'Who made it: txplan.actor, else the session''s user';
COMMENT ON COLUMN txplan.budgets.created_at IS 'When it was made';
COMMENT ON COLUMN txplan.budgets.updated_at IS 'When it was last changed';
COMMENT ON CONSTRAINT budgets_pkey ON txplan.budgets IS 'A budget belongs to one clinic';
PERFORM txplan.ensure_constraint('budgets', 'budgets_number_unique_per_clinic',
	'UNIQUE (clinic_id, number, version)',
	'A number and version mean one budget of the clinic');
PERFORM txplan.ensure_constraint('budgets', 'budgets_of_a_clinic',
	'FOREIGN KEY (clinic_id) REFERENCES txplan.clinics (id)',
	'The clinic exists');
PERFORM txplan.ensure_constraint('budgets', 'budgets_of_a_plan',
	'FOREIGN KEY (plan_id, clinic_id) REFERENCES txplan.plans (id, clinic_id) ON DELETE CASCADE',
	'The plan is one of the same clinic');
PERFORM txplan.ensure_constraint('budgets', 'budgets_of_a_patient',
	'FOREIGN KEY (patient_id, clinic_id) REFERENCES txplan.patients (id, clinic_id)',
	'The patient is one of the same clinic');
PERFORM txplan.ensure_constraint('budgets', 'budgets_supersede_one',
	'FOREIGN KEY (supersedes_id, clinic_id) REFERENCES txplan.budgets (id, clinic_id)',
	'The version before is one of the same clinic');
PERFORM txplan.ensure_constraint('budgets', 'budgets_superseded_once',
	'UNIQUE (supersedes_id, clinic_id)',
	'A version is followed by one');
PERFORM txplan.ensure_constraint('budgets', 'budgets_status_known',
	'CHECK (status = ANY (ARRAY[''draft'', ''sent'', ''accepted'', ''rejected'', ''expired'', ''cancelled'']))',
	'A budget is draft, sent, accepted, rejected, expired or cancelled');
PERFORM txplan.ensure_constraint('budgets', 'budgets_version_follows',
	'CHECK (version >= 1 AND (version = 1) = (supersedes_id IS NULL))',
	'The first version follows none, every other follows one');
PERFORM txplan.ensure_constraint('budgets', 'budgets_discount_in_range',
	'CHECK (discount_percent BETWEEN 0 AND 100 AND discount_amount BETWEEN 0 AND 9999999999.99 AND (discount_percent IS NULL OR discount_amount IS NULL))',
	'A discount is a percentage from 0 to 100 or an amount, not both');
PERFORM txplan.ensure_constraint('budgets', 'budgets_totals_in_range',
	'CHECK (total BETWEEN 0 AND subtotal AND subtotal <= 9999999999.99)',
	'The total is at most the subtotal');
PERFORM txplan.ensure_constraint('budgets', 'budgets_times_fit_the_status',
	'CHECK ((status <> ''draft'' OR sent_at IS NULL) AND (status <> ''sent'' OR sent_at IS NOT NULL) AND (decided_at IS NULL) = (status = ''draft'' OR status = ''sent'') AND (decided_at IS NULL) = (decided_by IS NULL))',
	'A budget says when it was sent, and when and by whom it was decided');
PERFORM txplan.ensure_constraint('budgets', 'budgets_valid_until_finite',
	'CHECK (valid_until BETWEEN ''0001-01-01'' AND ''9999-12-31'')',
	'Its last day is a day of the years 1 to 9999');
PERFORM txplan.ensure_constraint('budgets', 'budgets_texts_length',
	'CHECK (pg_catalog.char_length(external_ref) BETWEEN 1 AND 200 AND pg_catalog.char_length(decision_note) <= 10000)',
	'External reference 1 to 200, note at most 10000 characters');
CREATE UNIQUE INDEX IF NOT EXISTS budgets_one_live_per_plan
	ON txplan.budgets (plan_id, clinic_id)
	WHERE status IN ('draft', 'sent', 'accepted') AND plan_id IS NOT NULL;
COMMENT ON INDEX txplan.budgets_one_live_per_plan IS 'A plan has one live budget at most';
CREATE INDEX IF NOT EXISTS budgets_by_plan
	ON txplan.budgets (plan_id, clinic_id, created_at);
COMMENT ON INDEX txplan.budgets_by_plan IS 'The budgets of a plan';
CREATE INDEX IF NOT EXISTS budgets_by_patient
	ON txplan.budgets (patient_id, clinic_id);
COMMENT ON INDEX txplan.budgets_by_patient IS 'The budgets of a patient';

CREATE TABLE IF NOT EXISTS txplan.budget_lines (
	id uuid NOT NULL,
	clinic_id uuid NOT NULL,
	budget_id uuid NOT NULL,
	item_id uuid,
	position integer NOT NULL,
	description text NOT NULL,
	unit_price numeric(12,2) NOT NULL,
	quantity integer NOT NULL DEFAULT 1,
	discount_percent numeric(5,2),
	discount_amount numeric(12,2),
	net_amount numeric(12,2) NOT NULL DEFAULT 0,
	item_removed boolean NOT NULL DEFAULT false,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT budget_lines_pkey PRIMARY KEY (id, clinic_id)
);
ALTER TABLE txplan.budget_lines ADD COLUMN IF NOT EXISTS item_removed boolean NOT NULL DEFAULT false;
ALTER TABLE txplan.budget_lines ALTER COLUMN id SET DEFAULT txplan.new_id();

COMMENT ON TABLE txplan.budget_lines IS 'The lines of the budgets';
COMMENT ON COLUMN txplan.budget_lines.id IS 'The line';
COMMENT ON COLUMN txplan.budget_lines.clinic_id IS 'The clinic of the budget';
COMMENT ON COLUMN txplan.budget_lines.budget_id IS 'The budget; it never changes';
COMMENT ON COLUMN txplan.budget_lines.item_id IS 'The item that it quotes, one of the budget''s plan; NULL for what is no item';
COMMENT ON COLUMN txplan.budget_lines.position IS 'Place in the budget, from 1; a new line comes last';
COMMENT ON COLUMN txplan.budget_lines.description IS 'What is quoted, 1 to 500 characters; the item''s when it is left out';
COMMENT ON COLUMN txplan.budget_lines.unit_price IS 'Price of one; the item''s when it is left out';
COMMENT ON COLUMN txplan.budget_lines.quantity IS 'How many, 1 to 1000';
COMMENT ON COLUMN txplan.budget_lines.discount_percent IS 'Discount on the line in percent of price times quantity, 0 to 100';
COMMENT ON COLUMN txplan.budget_lines.discount_amount IS 'Discount on the line as an amount, at most price times quantity';
COMMENT ON COLUMN txplan.budget_lines.net_amount IS 'What the line costs less its discount and its share of that on the whole; the engine writes it';
COMMENT ON COLUMN txplan.budget_lines.item_removed IS 'Whether it quoted an item that was removed since; no next version has such a line. The engine writes it';
COMMENT ON COLUMN txplan.budget_lines.created_at IS 'When it was made';
COMMENT ON COLUMN txplan.budget_lines.updated_at IS 'When it was last changed';
COMMENT ON CONSTRAINT budget_lines_pkey ON txplan.budget_lines IS 'A line belongs to one clinic';
PERFORM txplan.ensure_constraint('budget_lines', 'budget_lines_of_a_budget',
	'FOREIGN KEY (budget_id, clinic_id) REFERENCES txplan.budgets (id, clinic_id) ON DELETE CASCADE',
	'The budget is one of the same clinic');
PERFORM txplan.ensure_constraint('budget_lines', 'budget_lines_of_an_item',
	'FOREIGN KEY (item_id, clinic_id) REFERENCES txplan.items (id, clinic_id) ON DELETE SET NULL (item_id)',
	'The item is one of the same clinic; a line outlives it');
PERFORM txplan.ensure_constraint('budget_lines', 'budget_lines_item_once_per_budget',
	'UNIQUE (budget_id, item_id, clinic_id)',
	'A budget quotes an item once');
PERFORM txplan.ensure_constraint('budget_lines', 'budget_lines_position_unique_per_budget',
	'UNIQUE (budget_id, position, clinic_id) DEFERRABLE INITIALLY IMMEDIATE',
	'No two lines of a budget stand at one place');
PERFORM txplan.ensure_constraint('budget_lines', 'budget_lines_position_in_range',
	'CHECK (position BETWEEN 1 AND 1000000)',
	'A place is a number up to a million');
PERFORM txplan.ensure_constraint('budget_lines', 'budget_lines_amounts_in_range',
	'CHECK (unit_price BETWEEN 0 AND 9999999999.99 AND quantity BETWEEN 1 AND 1000 AND net_amount BETWEEN 0 AND unit_price * quantity)',
	'Price and net amount are zero or more, quantity 1 to 1000');
PERFORM txplan.ensure_constraint('budget_lines', 'budget_lines_discount_in_range',
	'CHECK (discount_percent BETWEEN 0 AND 100 AND discount_amount BETWEEN 0 AND unit_price * quantity AND (discount_percent IS NULL OR discount_amount IS NULL))',
	'A discount is a percentage from 0 to 100 or an amount that the line has, not both');
PERFORM txplan.ensure_constraint('budget_lines', 'budget_lines_description_length',
	'CHECK (pg_catalog.char_length(description) BETWEEN 1 AND 500 AND pg_catalog.btrim(description) <> '''')',
	'A description has 1 to 500 characters');
CREATE INDEX IF NOT EXISTS budget_lines_by_item
	ON txplan.budget_lines (item_id, clinic_id)
	WHERE item_id IS NOT NULL;
COMMENT ON INDEX txplan.budget_lines_by_item IS 'The lines that quote an item';
CREATE INDEX IF NOT EXISTS budgets_by_last_day
	ON txplan.budgets (valid_until)
	WHERE status IN ('draft', 'sent');
COMMENT ON INDEX txplan.budgets_by_last_day IS 'Which budgets will expire';

CREATE INDEX IF NOT EXISTS plans_whose_budget_expired
	ON txplan.plans (id)
	WHERE budget_status = 'expired' AND closed_at IS NULL;
COMMENT ON INDEX txplan.plans_whose_budget_expired IS 'Plans that may be closed since nobody answered';

CREATE OR REPLACE TRIGGER budgets_check
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.budgets
	FOR EACH ROW EXECUTE FUNCTION txplan.budgets_check();
CREATE OR REPLACE TRIGGER budgets_inserted
	AFTER INSERT ON txplan.budgets
	REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.budgets_settle();
CREATE OR REPLACE TRIGGER budgets_updated
	AFTER UPDATE ON txplan.budgets
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.budgets_settle();
CREATE OR REPLACE TRIGGER budget_lines_check
	BEFORE INSERT OR UPDATE OR DELETE ON txplan.budget_lines
	FOR EACH ROW EXECUTE FUNCTION txplan.budget_lines_check();
CREATE OR REPLACE TRIGGER budget_lines_inserted
	AFTER INSERT ON txplan.budget_lines
	REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.budget_lines_settle();
CREATE OR REPLACE TRIGGER budget_lines_updated
	AFTER UPDATE ON txplan.budget_lines
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.budget_lines_settle();
CREATE OR REPLACE TRIGGER budget_lines_deleted
	AFTER DELETE ON txplan.budget_lines
	REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION txplan.budget_lines_settle();
