-- eventtype.sql: what events say, as rows: each type with a JSON Schema.
-- after: event, workflow

-- == extension ==

CREATE FUNCTION txplan.event_type_rows()
RETURNS TABLE (type text, summary text, schema jsonb)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	-- A payload is made of groups of keys: "event", which all events have, and
	-- those of its type.
	WITH types (type, summary, groups) AS (
		VALUES
			('treatment_plan.created', 'A plan was made', '{plan}'::text[]),
			('treatment_plan.updated', 'Something changed that has no event of its own', '{change}'),
			('treatment_plan.confirmed', 'The plan was confirmed', '{confirmation}'),
			('treatment_plan.accepted', 'The plan was accepted', '{}'),
			('treatment_plan.completed', 'The plan was completed', '{}'),
			('treatment_plan.closed', 'The plan was closed', '{closure}'),
			('treatment_plan.reactivated', 'A closed plan was taken up again', '{reactivation}'),
			('treatment_plan.status_changed', 'The plan came to another state', '{transition}'),
			('treatment_plan.deleted', 'A plan was deleted, with its items and sessions', '{}'),
			('treatment_plan.treatment_added', 'An item was added', '{item,item alone}'),
			('treatment_plan.treatment_removed', 'An item was removed, with its sessions', '{item,item alone}'),
			('treatment_plan.treatment_completed', 'The last session of an item ended, and at least one was completed', '{ended item,completed item}'),
			('treatment_plan.treatment_cancelled', 'The last session of an item was cancelled, and none was completed', '{ended item}'),
			('treatment_plan.items_reordered', 'The order of the items changed', '{order}'),
			('treatment_plan.item_reassigned', 'An item got another doctor', '{new doctor,reassigned item}'),
			('treatment_plan.professional_changed', 'The plan got another doctor', '{new doctor,reassigned plan}'),
			('treatment_plan.item_session_completed', 'A session was completed', '{ended session,completed session}'),
			('treatment_plan.item_session_cancelled', 'A session was cancelled', '{ended session,cancelled session}'),
			('treatment_plan.contact_logged', 'A contact with the patient was logged', '{contact}'),
			('treatment_plan.budget_sync_requested', 'The draft of the budget was made to follow the plan', '{sync}'),
			('budget.created', 'A budget was made for the plan, or linked to it', '{budget,new budget,offer}'),
			('budget.sent', 'The budget was sent to the patient', '{budget,offer}'),
			('budget.accepted', 'The patient accepted the budget', '{budget,offer}'),
			('budget.rejected', 'The patient declined the budget', '{budget,decision}'),
			('budget.expired', 'The last day of the budget passed without a decision', '{budget}'),
			('budget.cancelled', 'The budget was taken back, by somebody or by what became of the plan', '{budget,decision}'),
			('budget.superseded', 'The sent budget was cancelled for its next version', '{budget,successor}')
		UNION ALL
		-- Transitions may name events of their own.  Among the plan's these say
		-- only what all events say.
		SELECT t.event,
			'A transition was taken: ' || string_agg(DISTINCT
				format('%s of workflow %s', t.action, t.workflow), ', '),
			CASE WHEN starts_with(t.event, 'treatment_plan.') THEN '{}'::text[]
				ELSE '{transition,reason}' END
		FROM txplan.workflow_transitions AS t
		WHERE t.event <> ALL (ARRAY['treatment_plan.confirmed',
			'treatment_plan.accepted', 'treatment_plan.completed',
			'treatment_plan.closed', 'treatment_plan.reactivated'])
		GROUP BY t.event
	),
	-- The keys of a group, each with the kind of its value.  A kind can be
	-- followed by "or null", and by "or missing" when the key need not be there.
	keys (in_group, key, kind, what) AS (
		VALUES
			('event', 'event_id', 'digits', 'id of the event in table events'),
			('event', 'plan_id', 'id', 'the plan'),
			('event', 'plan_number', 'text', 'its number for people'),
			('event', 'clinic_id', 'id', 'its clinic'),
			('event', 'patient_id', 'id', 'its patient'),
			('event', 'actor', 'text', 'who did it: txplan.actor, else the session''s user'),
			('event', 'occurred_at', 'time', 'when, by the clock, while the plan was locked'),
			('plan', 'workflow', 'text', 'the workflow that it follows'),
			('plan', 'status', 'text', 'the state in which it begins'),
			('plan', 'title', 'text or null', 'its title'),
			('plan', 'professional_id', 'id or null', 'its doctor'),
			('change', 'changed', 'changes', 'what changed'),
			('change', 'item_id', 'id or missing', 'the item; missing when the plan itself changed'),
			('change', 'session_id', 'id or missing', 'the session; missing when no session changed'),
			('change', 'budget_id', 'id or missing', 'the budget; missing when no budget changed'),
			('change', 'entry_id', 'id or missing', 'the earned entry that voids another; missing when none was voided'),
			('change', 'appointment_id', 'id or missing', 'the appointment; missing when none was booked or changed'),
			('confirmation', 'items', 'list of items', 'the items that are not cancelled, in their order'),
			('confirmation', 'total', 'amount', 'sum of their prices'),
			('closure', 'closure_reason', 'text or null', 'the reason given'),
			('closure', 'closure_note', 'text or null', 'the note given'),
			('closure', 'previous_status', 'text', 'the state that it left'),
			('reactivation', 'previous_closure_reason', 'text or null', 'the reason for which it had been closed'),
			('transition', 'action', 'text', 'the action that was done'),
			('transition', 'old_status', 'text', 'the state that it left'),
			('transition', 'new_status', 'text', 'the state that it came to'),
			('reason', 'reason', 'text or null', 'the reason given'),
			('reason', 'note', 'text or null', 'the note given'),
			('item', 'item_id', 'id', 'the item'),
			('item', 'catalog_item_id', 'id or null', 'the catalog item that it was made from'),
			('item', 'treatment_ref', 'text or null', 'the treatment in the application''s chart'),
			('item', 'tooth', 'tooth or null', 'the tooth, by ISO 3950'),
			('item', 'surfaces', 'text or null', 'surfaces of the tooth'),
			('item', 'unit_price', 'amount', 'its price'),
			('item', 'professional_id', 'id or null', 'its doctor'),
			('item alone', 'budget_id', 'id or null', 'the draft of a budget that follows the plan, and so quotes the item or does no longer'),
			('item in a list', 'description', 'text', 'what is done'),
			('ended item', 'item_id', 'id', 'the item'),
			('ended item', 'treatment_ref', 'text or null', 'the treatment in the application''s chart'),
			('ended item', 'description', 'text', 'what is done'),
			('ended item', 'treatment_category_key', 'text or null', 'kind of treatment'),
			('ended item', 'professional_id', 'id or null', 'the doctor who is responsible'),
			('completed item', 'completed_by', 'text', 'who completed it; as actor'),
			('completed item', 'completed_via', 'way', 'session: its last session ended; item: by complete_item(); performed: by record_performed(); appointment: by complete_appointment()'),
			('order', 'item_ids', 'ids', 'all items of the plan in their order'),
			('new doctor', 'old_professional_id', 'id or null', 'the doctor before'),
			('new doctor', 'new_professional_id', 'id or null', 'the doctor after'),
			('reassigned item', 'item_id', 'id', 'the item'),
			('reassigned plan', 'items_reassigned', 'number', 'how many items move along, each with its item_reassigned behind this; 0 for a change by UPDATE'),
			('ended session', 'item_id', 'id', 'the item'),
			('ended session', 'session_id', 'id', 'the session'),
			('ended session', 'sequence', 'number', 'its place in the item'),
			('ended session', 'label', 'text or null', 'what is done in it'),
			('ended session', 'amount', 'amount', 'its share of the price'),
			('ended session', 'professional_id', 'id or null', 'the item''s doctor'),
			('ended session', 'sessions_total', 'number', 'sessions of the item, the cancelled ones too'),
			('completed session', 'completed_by', 'text', 'who completed it; as actor'),
			('completed session', 'sessions_completed', 'number', 'completed sessions of the item, with this one'),
			('cancelled session', 'sessions_cancelled', 'number', 'cancelled sessions of the item, with this one'),
			('budget', 'budget_id', 'id', 'the budget'),
			('budget', 'budget_number', 'text', 'its number for people'),
			('budget', 'version', 'number', 'its version'),
			('budget', 'status', 'budget status', 'its status by this event'),
			('budget', 'subtotal', 'amount', 'sum of its lines after their own discounts'),
			('budget', 'total', 'amount', 'what the patient pays'),
			('budget', 'valid_until', 'day or null', 'the last day of its validity, in the clinic''s time zone'),
			('new budget', 'supersedes_id', 'id or null', 'the version before it'),
			('offer', 'lines', 'list of lines', 'its lines in their order'),
			('decision', 'note', 'text or null', 'the note given'),
			('successor', 'superseded_by', 'id', 'the next version'),
			('line', 'line_id', 'id', 'the line'),
			('line', 'item_id', 'id or null', 'the item that it quotes'),
			('line', 'description', 'text', 'what is quoted'),
			('line', 'unit_price', 'amount', 'price of one'),
			('line', 'quantity', 'number', 'how many'),
			('line', 'net_amount', 'amount', 'what it costs less all discounts'),
			('sync', 'budget_id', 'id', 'the budget'),
			('sync', 'items', 'list of quoted items', 'the items that it now quotes, in their order'),
			('quoted item', 'item_id', 'id', 'the item'),
			('quoted item', 'description', 'text', 'what is quoted'),
			('quoted item', 'unit_price', 'amount', 'price of one'),
			('quoted item', 'net_amount', 'amount', 'what it costs less all discounts'),
			('contact', 'contact_id', 'id', 'the contact'),
			('contact', 'channel', 'channel', 'call, whatsapp, sms, email, in_person or other'),
			('contact', 'outcome', 'text or null', 'what came of it'),
			('contact', 'note', 'text or null', 'what was said'),
			('contact', 'contacted_at', 'time', 'when it was'),
			('contact', 'next_contact_at', 'time or null', 'when to contact the patient again'),
			('contact', 'corrects_id', 'id or null', 'the contact that it corrects')
	),
	kinds (kind, schema) AS (
		VALUES
			('id', '{"type": "string", "format": "uuid"}'::jsonb),
			('ids', '{"type": "array", "items": {"type": "string", "format": "uuid"}}'),
			('digits', '{"type": "string", "pattern": "^[1-9][0-9]*$"}'),
			('text', '{"type": "string"}'),
			('amount', '{"type": "string", "pattern": "^(0|[1-9][0-9]*)[.][0-9]{2}$"}'),
			('time', '{"type": "string", "format": "date-time", "pattern": "[.][0-9]{6}Z$"}'),
			('number', '{"type": "integer", "minimum": 0}'),
			('tooth', '{"type": "integer", "minimum": 11, "maximum": 85}'),
			('day', '{"type": "string", "format": "date"}'),
			('budget status', '{"type": "string", "enum": ["draft", "sent", "accepted", "rejected", "expired", "cancelled"]}'),
			('way', '{"type": "string", "enum": ["session", "item", "performed", "appointment"]}'),
			('channel', '{"type": "string", "enum": ["call", "whatsapp", "sms", "email", "in_person", "other"]}'),
			('changes', '{"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": true}')
	),
	-- What changed decides which ids are there.
	shapes (in_group, rules) AS (
		VALUES
			('change', '{"oneOf": [
				{"properties": {"item_id": false, "session_id": false, "entry_id": false, "budget_id": false,
					"appointment_id": false,
					"changed": {"items": {"enum": ["title", "diagnosis_notes", "internal_notes"]}}}},
				{"required": ["budget_id"],
				 "properties": {"item_id": false, "session_id": false,
					"changed": {"items": {"enum": ["budget", "budget_lines"]}}}},
				{"required": ["item_id"],
				 "properties": {"session_id": false, "entry_id": false, "appointment_id": false, "budget_id": false,
					"changed": {"items": {"enum": ["treatment_ref", "tooth", "surfaces", "description",
						"category_key", "price", "notes"]}}}},
				{"required": ["item_id", "session_id"],
				 "properties": {"entry_id": false, "appointment_id": false, "budget_id": false,
					"changed": {"items": {"enum": ["sessions", "amount", "price", "label", "sequence", "note"]}}}},
				{"required": ["item_id", "session_id", "entry_id"],
				 "properties": {"appointment_id": false, "budget_id": false,
					"changed": {"items": {"enum": ["earned"]}}}},
				{"required": ["appointment_id"],
				 "properties": {"item_id": false, "session_id": false, "entry_id": false, "budget_id": false,
					"changed": {"items": {"enum": ["appointments"]}}}}]}'::jsonb)
	),
	-- The schema of each key.
	parts AS (
		SELECT k.in_group, k.key, k.kind NOT LIKE '%or missing' AS required,
			CASE WHEN k.kind LIKE '%or null'
				THEN s.schema || jsonb_build_object('type', jsonb_build_array(s.schema -> 'type', 'null'))
				ELSE s.schema
			END || jsonb_build_object('description', k.what) AS schema
		FROM keys AS k
		JOIN kinds AS s ON s.kind = split_part(k.kind, ' or ', 1)
	),
	item_lists AS (
		SELECT k.in_group, k.key, true AS required,
			jsonb_build_object(
				'type', 'array',
				'items', jsonb_build_object(
					'type', 'object',
					'properties', jsonb_object_agg(p.key, p.schema),
					'required', jsonb_agg(p.key ORDER BY p.key COLLATE "C"),
					'additionalProperties', false),
				'description', k.what) AS schema
		FROM keys AS k
		JOIN (VALUES
			('list of items', 'item'),
			('list of items', 'item in a list'),
			('list of lines', 'line'),
			('list of quoted items', 'quoted item')
		) AS l (kind, in_group) ON l.kind = k.kind
		JOIN parts AS p ON p.in_group = l.in_group
		GROUP BY k.in_group, k.key, k.what
	)
	SELECT t.type, t.summary,
		jsonb_build_object(
			'$schema', 'https://json-schema.org/draft/2020-12/schema',
			'title', t.type,
			'description', t.summary,
			'type', 'object',
			'properties', jsonb_object_agg(p.key, p.schema),
			'required', jsonb_agg(p.key ORDER BY p.key COLLATE "C") FILTER (WHERE p.required),
			'additionalProperties', false)
		|| coalesce((SELECT s.rules FROM shapes AS s WHERE s.in_group = ANY (t.groups)), '{}')
	FROM types AS t
	JOIN (TABLE parts UNION ALL TABLE item_lists) AS p
		ON p.in_group = ANY (t.groups || 'event'::text)
	GROUP BY t.type, t.summary, t.groups
	ORDER BY t.type COLLATE "C"
$$;

COMMENT ON FUNCTION txplan.event_type_rows() IS
'What event_types() returns, without its checks: call event_types().';

CREATE FUNCTION txplan.event_types()
RETURNS TABLE (type text, summary text, schema jsonb)
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'txplan_event_types';

COMMENT ON FUNCTION txplan.event_types() IS
'Lists the types of events, each with a JSON Schema (draft 2020-12) of its payload.

Those that txplan itself publishes, and those that transitions of the workflows
name now. A schema lists all keys and lets no other pass; format, pattern and
description say what a value is.
Errors: 42501 without SELECT on txplan.workflow_transitions, TX008 before
install().';
