-- transition.sql: moving a plan along its workflow.
-- after: plan

-- == extension ==

CREATE FUNCTION txplan.transition_plan(
	plan_id uuid,
	action text,
	reason text DEFAULT NULL,
	note text DEFAULT NULL,
	clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_transition_plan';

COMMENT ON FUNCTION txplan.transition_plan(uuid, text, text, text, uuid) IS
'Does an action of the plan''s workflow and returns the state the plan is in afterwards.

reason: one of the transition''s reasons, when it has any. note: at most 10000
characters. Publishes the transition''s event and treatment_plan.status_changed.
Errors: 22004, 22001, P0002, TX001 when the plan''s state has no such action, or
only the engine takes it, TX002 when guards refuse, TX005 for a reason missing,
not of the list or not asked for, 42883 for a guard that cannot be asked, 42501
without the tables'' privileges, TX008 before install().';

CREATE FUNCTION txplan.confirm_plan(plan_id uuid, clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_confirm_plan';

COMMENT ON FUNCTION txplan.confirm_plan(uuid, uuid) IS
'Confirms a plan: the action confirm of its workflow. Returns the plan''s state.

In the dental workflow: draft to pending; the plan must have an item.
Errors: as transition_plan().';

CREATE FUNCTION txplan.reopen_plan(plan_id uuid, clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_reopen_plan';

COMMENT ON FUNCTION txplan.reopen_plan(uuid, uuid) IS
'Takes a plan back to be edited: the action reopen of its workflow. Returns the plan''s state.

In the dental workflow: pending to draft. Errors: as transition_plan().';

CREATE FUNCTION txplan.accept_plan(plan_id uuid, clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_accept_plan';

COMMENT ON FUNCTION txplan.accept_plan(uuid, uuid) IS
'Accepts a plan by hand: the action accept of its workflow. Returns the plan''s state.

In the dental workflow: pending to active. Errors: as transition_plan().';

CREATE FUNCTION txplan.close_plan(
	plan_id uuid,
	reason text,
	note text DEFAULT NULL,
	clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_close_plan';

COMMENT ON FUNCTION txplan.close_plan(uuid, text, text, uuid) IS
'Closes a plan: the action close of its workflow. Returns the plan''s state.

reason: in the dental workflow rejected, expired, cancelled, abandoned or other.
note: at most 10000 characters. Errors: as transition_plan().';

CREATE FUNCTION txplan.reactivate_plan(plan_id uuid, clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_reactivate_plan';

COMMENT ON FUNCTION txplan.reactivate_plan(uuid, uuid) IS
'Takes a closed plan up again: the action reactivate of its workflow. Returns the plan''s state.

In the dental workflow: closed to draft. Errors: as transition_plan(); TX002 when
another live item of the clinic has taken a treatment_ref meanwhile.';

CREATE FUNCTION txplan.advance_plan(plan_id uuid, clinic_id uuid DEFAULT NULL)
RETURNS text
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_advance_plan';

COMMENT ON FUNCTION txplan.advance_plan(uuid, uuid) IS
'Tries the automatic transitions of a plan and returns the state it is in afterwards.

The engine does so itself at the end of each statement that changes a plan or
anything below it; a guard that looks elsewhere wants this call.
Errors: 22004, P0002, TX002 when automatic transitions go in a circle, TX005 when
one of them wants a reason, 42883 for a guard that cannot be asked, 42501 without
the tables'' privileges, TX008.';

CREATE FUNCTION txplan.available_actions(plan_id uuid, clinic_id uuid DEFAULT NULL)
RETURNS TABLE (kind text, action text, to_status text, permitted boolean, blockers text[])
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'txplan_available_actions';

COMMENT ON FUNCTION txplan.available_actions(uuid, uuid) IS
'Lists what can be done with a plan in its state, and what stands in the way.

kind: transition. to_status: where the action leads. permitted: whether the
caller may. blockers: the reasons that the guards give, empty when none does.
Errors: 22004, P0002, 42501 without the tables'' privileges, TX008.';
