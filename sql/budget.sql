-- budget.sql: what a plan is quoted at, and what the patient decides.
-- after: session, earned

-- == record ==

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
	'CHECK ((status <> ''draft'' OR sent_at IS NULL) AND (status <> ''sent'' OR sent_at IS NOT NULL) AND (decided_at IS NULL) = (status = ''draft'' OR status = ''sent''))',
	'A budget says when it was sent and decided');
PERFORM txplan.ensure_constraint('budgets', 'budgets_valid_until_finite',
	'CHECK (pg_catalog.isfinite(valid_until))',
	'Its last day is a day');
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
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT budget_lines_pkey PRIMARY KEY (id, clinic_id)
);
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
