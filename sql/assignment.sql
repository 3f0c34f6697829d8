-- assignment.sql: which doctor is responsible, inherited and reassigned by one rule.
-- after: item

-- == extension ==

CREATE FUNCTION txplan.assign_professional(
	item_id uuid,
	professional_id uuid,
	clinic_id uuid DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_assign_professional';

COMMENT ON FUNCTION txplan.assign_professional(uuid, uuid, uuid) IS
'Makes a professional responsible for a pending item.

Publishes treatment_plan.item_reassigned, unless it is the same professional.
Errors: 22004, P0002, TX002 for an inactive professional, TX004 for an item that
is completed or cancelled, TX010 for one of another clinic, 42501 without the
tables'' privileges, TX008.';

CREATE FUNCTION txplan.change_professional(
	plan_id uuid,
	professional_id uuid,
	reassign_pending boolean DEFAULT false,
	clinic_id uuid DEFAULT NULL)
RETURNS integer
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_change_professional';

COMMENT ON FUNCTION txplan.change_professional(uuid, uuid, boolean, uuid) IS
'Changes the plan''s doctor and returns how many items moved along.

reassign_pending: whether the pending items whose doctor was the plan''s old one
move to the new one; others, completed and unassigned items never do.
Publishes treatment_plan.professional_changed and an item_reassigned for each item.
Errors: 22004, P0002, TX002 for an inactive professional, TX010 for one of another
clinic, 42501 without the tables'' privileges, TX008.';
