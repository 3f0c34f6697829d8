-- error.sql: what goes wrong, as rows.

-- == extension ==

CREATE FUNCTION txplan.error_codes(
	OUT sqlstate text, OUT condition_name text, OUT summary text)
RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
	VALUES
		('TX001', 'invalid_transition', 'the plan has no such action in its state'),
		('TX002', 'transition_blocked', 'guards or the state refuse; the detail lists every reason'),
		('TX003', 'plan_locked', 'the linked budget is sent or accepted'),
		('TX004', 'already_final', 'a completed or cancelled thing would change'),
		('TX005', 'reason_required', 'a reason is missing or not of the list'),
		('TX006', 'stale_version', 'the row changed since it was read'),
		('TX007', 'engine_owned', 'a column or table that only the engine writes'),
		('TX008', 'not_installed', 'the record is missing or not of the code''s version'),
		('TX009', 'amounts_do_not_add_up', 'sums of a template, an item or its sessions differ'),
		('TX010', 'wrong_clinic', 'a reference crosses clinics or patients')
$$;

COMMENT ON FUNCTION txplan.error_codes() IS
'Lists the errors of class TX that txplan raises.

One row for each SQLSTATE, with its condition name and its meaning.
Missing rows are P0002, missing rights 42501, malformed input class 22.';
