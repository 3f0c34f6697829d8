-- workflow: workflows are rows: the shipped one, one of the user's own with a
-- guard, and what happens where definitions are wrong.

SELECT txplan.install() IS NOT NULL AS installed;

-- attempt() runs a statement, with its %L filled in, and returns what it raised:
-- SQLSTATE and message, detail, hint, and the constraint where there is one.
-- Ids, times and the year of plan numbers differ from run to run, so they are
-- masked.  brief() returns the first line of that.
CREATE FUNCTION pg_temp.attempt(statement text, VARIADIC arguments text[] DEFAULT '{}')
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	message text;
	detail text;
	hint text;
	constraint_name text;
BEGIN
	EXECUTE format(statement, VARIADIC arguments);
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
		hint = PG_EXCEPTION_HINT, constraint_name = CONSTRAINT_NAME;
	RETURN regexp_replace(regexp_replace(regexp_replace(
		concat_ws(E'\n', SQLSTATE || ': ' || message,
			CASE WHEN detail NOT LIKE 'Failing row contains%' THEN nullif(detail, '') END,
			nullif(hint, ''), 'Constraint: ' || nullif(constraint_name, '')),
		'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<id>', 'g'),
		'PLAN-\d{4}-', 'PLAN-YYYY-', 'g'),
		'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? ?[A-Z]*', '<time>', 'g');
END
$$;
CREATE FUNCTION pg_temp.brief(statement text, VARIADIC arguments text[] DEFAULT '{}')
RETURNS text
LANGUAGE sql
RETURN split_part(pg_temp.attempt(statement, VARIADIC arguments), E'\n', 1);

SET txplan.actor = 'surgeon';

-- The dental workflow as it is shipped: it has no fault, and can be drawn.
SELECT * FROM txplan.check_workflow('dental');
SELECT state, kind, items_editable, treatable, label, fhir_status FROM txplan.workflow_states
WHERE workflow = 'dental' ORDER BY array_position('{initial,open,final}', kind), state;
SELECT action, from_state, to_state, permission, automatic, guards, reasons, event
FROM txplan.workflow_transitions WHERE workflow = 'dental' ORDER BY action, from_state;
\pset format unaligned
\pset tuples_only on
SELECT txplan.workflow_diagram('dental');
SELECT txplan.workflow_diagram('dental', 'dot');
\pset format aligned
\pset tuples_only off
SELECT pg_temp.attempt('SELECT txplan.workflow_diagram(''dental'', ''svg'')');
SELECT pg_temp.attempt('SELECT txplan.workflow_diagram(''orthodontic'')');
SELECT pg_temp.brief('SELECT txplan.workflow_diagram(NULL)');
SELECT pg_temp.brief('SELECT txplan.workflow_diagram(''dental'', NULL)');
SELECT pg_temp.attempt('SELECT * FROM txplan.check_workflow(''orthodontic'')');
SELECT pg_temp.brief('SELECT * FROM txplan.check_workflow(NULL)');

-- A surgical workflow, by rows alone.  Its consent is in a table of the user's,
-- which a guard of the user's reads.
CREATE TABLE public.consents (plan_id uuid, clinic_id uuid, signed_at timestamptz NOT NULL DEFAULT now());
CREATE FUNCTION public.consent_is_signed(plan_id uuid, clinic_id uuid)
RETURNS text
LANGUAGE sql STABLE
AS $$
	SELECT CASE WHEN NOT EXISTS (SELECT FROM public.consents AS c
		WHERE c.plan_id = consent_is_signed.plan_id AND c.clinic_id = consent_is_signed.clinic_id)
	THEN 'the patient has not signed the consent' END
$$;
INSERT INTO txplan.workflows VALUES ('surgical', 'Surgery');
INSERT INTO txplan.workflow_states (workflow, state, kind, items_editable, treatable, label, fhir_status)
VALUES
	('surgical', 'DRAFT', 'initial', true, false, 'Draft', 'draft'),
	('surgical', 'PENDING_APPROVAL', 'open', false, false, 'To be approved', 'draft'),
	('surgical', 'APPROVED', 'open', false, false, 'Approved', 'draft'),
	('surgical', 'CONSENT_PENDING', 'open', false, false, NULL, 'on-hold'),
	('surgical', 'CONSENT_SIGNED', 'open', false, false, 'Consent: "signed"', 'active'),
	('surgical', 'SCHEDULED', 'open', false, true, 'Scheduled', 'active'),
	('surgical', 'COMPLETED', 'final', false, false, 'Completed', 'completed'),
	('surgical', 'CANCELLED', 'final', false, false, 'Cancelled', 'revoked');
INSERT INTO txplan.workflow_transitions (workflow, action, from_state, to_state, automatic, guards, reasons, event)
VALUES
	('surgical', 'submit', 'DRAFT', 'PENDING_APPROVAL', false, '{txplan.plan_has_item}', '{}', 'surgery.submitted'),
	('surgical', 'approve', 'PENDING_APPROVAL', 'APPROVED', false, '{}', '{}', 'surgery.approved'),
	('surgical', 'reject', 'PENDING_APPROVAL', 'DRAFT', false, '{}', '{incomplete,not_indicated}', 'surgery.approval.rejected'),
	('surgical', 'ask_consent', 'APPROVED', 'CONSENT_PENDING', false, '{}', '{}', NULL),
	('surgical', 'sign', 'CONSENT_PENDING', 'CONSENT_SIGNED', true, '{public.consent_is_signed}', '{}', 'surgery.consent_signed'),
	('surgical', 'schedule', 'CONSENT_SIGNED', 'SCHEDULED', false, '{}', '{}', NULL),
	('surgical', 'finish', 'SCHEDULED', 'COMPLETED', true, '{txplan.plan_is_done}', '{}', 'treatment_plan.completed');
INSERT INTO txplan.workflow_transitions (workflow, action, from_state, to_state, reasons, event)
SELECT 'surgical', 'cancel', state, 'CANCELLED', '{declined,medical,other}', 'surgery.cancelled'
FROM txplan.workflow_states WHERE workflow = 'surgical' AND kind <> 'final';
SELECT * FROM txplan.check_workflow('surgical');
\pset format unaligned
\pset tuples_only on
SELECT txplan.workflow_diagram('surgical', 'mermaid');
SELECT txplan.workflow_diagram('surgical', 'dot');
\pset format aligned
\pset tuples_only off

-- A plan on it, from its beginning to its end.
SELECT txplan.create_clinic('Surgical clinic', 'UTC') AS clinic \gset
SELECT txplan.create_patient(:'clinic', 'Ayşe', 'Yılmaz') AS patient \gset
SELECT txplan.create_plan(:'clinic', :'patient', NULL, 'Implant', 'surgical') AS plan \gset
SELECT workflow, status FROM txplan.plans WHERE id = :'plan';
SELECT pg_temp.attempt('SELECT txplan.transition_plan(%L, ''submit'')', :'plan');
SELECT txplan.add_item(:'plan', NULL, 'Implant', 1200) AS item \gset
SELECT txplan.transition_plan(:'plan', 'submit');
SELECT pg_temp.attempt('SELECT txplan.add_item(%L, NULL, ''More'', 1)', :'plan');
-- The dental actions are none of this workflow.
SELECT pg_temp.attempt('SELECT txplan.confirm_plan(%L)', :'plan');
-- A reason on the way back, and how an UPDATE cannot give it.
SELECT pg_temp.attempt('SELECT txplan.transition_plan(%L, ''reject'')', :'plan');
SELECT pg_temp.attempt('UPDATE txplan.plans SET status = ''DRAFT'' WHERE id = %L', :'plan');
SELECT txplan.transition_plan(:'plan', 'reject', 'incomplete', 'no X-ray');
UPDATE txplan.plans SET status = 'PENDING_APPROVAL' WHERE id = :'plan' RETURNING status;
UPDATE txplan.plans SET status = 'APPROVED' WHERE id = :'plan' RETURNING status;
SELECT txplan.transition_plan(:'plan', 'ask_consent');
-- It waits for the consent.  Nobody signs by hand; when the row is there,
-- advance_plan() lets the plan go on.
SELECT pg_temp.attempt('SELECT txplan.transition_plan(%L, ''sign'')', :'plan');
SELECT pg_temp.brief('UPDATE txplan.plans SET status = ''CONSENT_SIGNED'' WHERE id = %L', :'plan');
SELECT action, to_status, blockers FROM txplan.available_actions(:'plan');
SELECT txplan.advance_plan(:'plan');
INSERT INTO public.consents VALUES (:'plan', :'clinic');
SELECT status FROM txplan.plans WHERE id = :'plan';
SELECT txplan.advance_plan(:'plan');
SELECT txplan.advance_plan(:'plan');
SELECT pg_temp.brief('SELECT txplan.complete_item(%L)', :'item');
SELECT txplan.transition_plan(:'plan', 'schedule');
SELECT txplan.complete_item(:'item');
SELECT status, confirmed_at IS NOT NULL AS confirmed, activated_at IS NOT NULL AS activated,
	completed_at IS NOT NULL AS completed, closed_at FROM txplan.plans WHERE id = :'plan';
SELECT plan_version, type, payload - '{event_id,plan_id,plan_number,clinic_id,patient_id,actor,occurred_at,item_id,session_id}'::text[] AS says
FROM txplan.events WHERE plan_id = :'plan' AND type !~ 'treatment_added|created|item_session|treatment_completed' ORDER BY id;
SELECT from_value, to_value, action, reason, note FROM txplan.history WHERE plan_id = :'plan' AND what = 'status' ORDER BY sequence;
-- Where the consent is there already, the plan passes at once.
SELECT txplan.create_plan(:'clinic', :'patient', NULL, 'Sinus lift', 'surgical') AS quick \gset
SELECT txplan.add_item(:'quick', NULL, 'Sinus lift', 900) AS item \gset
INSERT INTO public.consents VALUES (:'quick', :'clinic');
SELECT txplan.transition_plan(:'quick', 'submit'), txplan.transition_plan(:'quick', 'approve');
SELECT txplan.transition_plan(:'quick', 'ask_consent');
-- It is cancelled with a reason of its own workflow.
SELECT pg_temp.attempt('SELECT txplan.transition_plan(%L, ''cancel'')', :'quick');
SELECT pg_temp.brief('UPDATE txplan.plans SET status = ''CANCELLED'', closure_reason = ''rejected'' WHERE id = %L', :'quick');
UPDATE txplan.plans SET status = 'CANCELLED', closure_reason = 'medical', closure_note = 'fever' WHERE id = :'quick'
RETURNING status, closure_reason, closure_note, closed_at IS NOT NULL AS closed, completed_at;
SELECT type, payload ->> 'action' AS action, payload ->> 'old_status' AS old_status, payload ->> 'reason' AS reason, payload ->> 'note' AS note
FROM txplan.events WHERE plan_id = :'quick' ORDER BY id DESC LIMIT 2;
SELECT pg_temp.brief('SELECT txplan.transition_plan(%L, ''submit'')', :'quick');
SELECT fault, detail FROM txplan.audit(:'clinic');

-- A definition that a plan stands on cannot be pulled away.
SELECT pg_temp.brief('DELETE FROM txplan.workflow_states WHERE workflow = ''surgical'' AND state = ''CANCELLED''');
BEGIN;
DELETE FROM txplan.workflow_transitions WHERE workflow = 'surgical';
SELECT pg_temp.brief('DELETE FROM txplan.workflow_states WHERE workflow = ''surgical'' AND state = ''CANCELLED''');
ROLLBACK;
SELECT pg_temp.brief('UPDATE txplan.workflow_states SET state = ''ENDED'' WHERE workflow = ''surgical'' AND state = ''CANCELLED''');
SELECT pg_temp.brief('DELETE FROM txplan.workflows WHERE name = ''surgical''');
-- What makes no sense is refused at once.
SELECT pg_temp.brief('INSERT INTO txplan.workflow_states (workflow, state, kind) VALUES (%L, %L, %L)', w, s, k)
FROM (VALUES ('none', 'A', 'open'), ('surgical', 'A', 'closed'), ('surgical', 'A', 'initial'), ('surgical', '', 'open'), ('surgical', 'DRAFT', 'open')) AS v (w, s, k);
SELECT pg_temp.brief('INSERT INTO txplan.workflow_states (workflow, state, kind, fhir_status) VALUES (''surgical'', ''A'', ''open'', ''done'')');
SELECT pg_temp.brief('INSERT INTO txplan.workflow_transitions (workflow, action, from_state, to_state, guards, reasons, event) VALUES (''surgical'', %L, %L, %L, %L, %L, %L)', a, f, t, g, r, e)
FROM (VALUES ('a', 'DRAFT', 'DRAFT', '{}', '{}', NULL), ('a', 'DRAFT', 'NOWHERE', '{}', '{}', NULL), ('a', 'NOWHERE', 'DRAFT', '{}', '{}', NULL),
	('', 'DRAFT', 'APPROVED', '{}', '{}', NULL), ('a', 'DRAFT', 'APPROVED', '{NULL}', '{}', NULL), ('a', 'DRAFT', 'APPROVED', '{}', '{""}', NULL),
	('a', 'DRAFT', 'APPROVED', '{}', '{}', 'Confirmed'), ('a', 'DRAFT', 'APPROVED', '{}', '{}', 'treatment_plan.deleted'),
	('a', 'DRAFT', 'APPROVED', '{}', '{}', 'budget.sent'), ('submit', 'DRAFT', 'APPROVED', '{}', '{}', NULL)) AS v (a, f, t, g, r, e);

-- A definition changed in a transaction counts for its own statements at once, and
-- a rollback takes it back.
SELECT txplan.create_plan(:'clinic', :'patient', NULL, 'Changed', 'surgical') AS plan \gset
SELECT pg_temp.brief('SELECT txplan.transition_plan(%L, ''skip'')', :'plan');
BEGIN;
INSERT INTO txplan.workflow_transitions (workflow, action, from_state, to_state) VALUES ('surgical', 'skip', 'DRAFT', 'APPROVED');
SELECT txplan.transition_plan(:'plan', 'skip');
ROLLBACK;
SELECT pg_temp.brief('SELECT txplan.transition_plan(%L, ''skip'')', :'plan');
BEGIN;
SAVEPOINT a;
UPDATE txplan.workflow_states SET items_editable = false WHERE workflow = 'surgical' AND state = 'DRAFT';
SELECT pg_temp.brief('SELECT txplan.add_item(%L, NULL, ''x'', 1)', :'plan');
ROLLBACK TO a;
SELECT pg_temp.brief('SELECT txplan.add_item(%L, NULL, ''x'', 1)', :'plan');
UPDATE txplan.workflow_transitions SET guards = '{public.consent_is_signed}' WHERE workflow = 'surgical' AND action = 'submit';
SELECT pg_temp.attempt('SELECT txplan.transition_plan(%L, ''submit'')', :'plan');
COMMIT;
SELECT pg_temp.brief('SELECT txplan.transition_plan(%L, ''submit'')', :'plan');
UPDATE txplan.workflow_transitions SET guards = '{}' WHERE workflow = 'surgical' AND action = 'submit';
SELECT txplan.transition_plan(:'plan', 'submit');
-- A state that came later.
BEGIN;
INSERT INTO txplan.workflow_states (workflow, state, kind) VALUES ('surgical', 'ON_HOLD', 'open');
INSERT INTO txplan.workflow_transitions (workflow, action, from_state, to_state)
VALUES ('surgical', 'hold', 'PENDING_APPROVAL', 'ON_HOLD'), ('surgical', 'go_on', 'ON_HOLD', 'PENDING_APPROVAL');
SELECT txplan.transition_plan(:'plan', 'hold'), txplan.transition_plan(:'plan', 'go_on');
ROLLBACK;
SELECT status FROM txplan.plans WHERE id = :'plan';

-- Two ways between two states: an UPDATE must say which, so it says so; one that
-- the engine takes does not count.
BEGIN;
INSERT INTO txplan.workflow_transitions (workflow, action, from_state, to_state, event)
VALUES ('surgical', 'approve_by_phone', 'PENDING_APPROVAL', 'APPROVED', 'surgery.phoned');
SELECT pg_temp.attempt('UPDATE txplan.plans SET status = ''APPROVED'' WHERE id = %L', :'plan');
SELECT txplan.transition_plan(:'plan', 'approve_by_phone');
SELECT type FROM txplan.events WHERE plan_id = :'plan' ORDER BY id DESC LIMIT 2;
ROLLBACK;
BEGIN;
INSERT INTO txplan.workflow_transitions (workflow, action, from_state, to_state, automatic, guards)
VALUES ('surgical', 'approve_itself', 'PENDING_APPROVAL', 'APPROVED', true, '{public.consent_is_signed}');
UPDATE txplan.plans SET status = 'APPROVED' WHERE id = :'plan' RETURNING status;
ROLLBACK;

-- All guards are asked, and all their reasons reported.
CREATE FUNCTION public.g_no(plan_id uuid, clinic_id uuid) RETURNS text LANGUAGE sql RETURN 'the anaesthetist is away';
CREATE FUNCTION public.g_yes(plan_id uuid, clinic_id uuid) RETURNS text LANGUAGE sql RETURN NULL;
BEGIN;
UPDATE txplan.workflow_transitions SET guards = '{public.g_no,public.g_yes,public.consent_is_signed,txplan.plan_is_done}'
WHERE workflow = 'surgical' AND action = 'approve';
SELECT pg_temp.attempt('SELECT txplan.transition_plan(%L, ''approve'')', :'plan');
SELECT action, blockers FROM txplan.available_actions(:'plan') WHERE action = 'approve';
ROLLBACK;

-- A guard that cannot be asked is an error that names it, never a pass.
CREATE FUNCTION public.g_empty(plan_id uuid, clinic_id uuid) RETURNS text LANGUAGE sql RETURN '';
CREATE FUNCTION public.g_raises(plan_id uuid, clinic_id uuid) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'out of order' USING ERRCODE = 'ZZ001'; END $$;
CREATE FUNCTION public.g_boolean(plan_id uuid, clinic_id uuid) RETURNS boolean LANGUAGE sql RETURN true;
CREATE FUNCTION public.g_set(plan_id uuid, clinic_id uuid) RETURNS SETOF text LANGUAGE sql AS 'SELECT NULL::text WHERE false';
CREATE FUNCTION public.g_one(plan_id uuid) RETURNS text LANGUAGE sql RETURN NULL;
CREATE FUNCTION public.g_other(plan_id uuid, clinic_id uuid) RETURNS text LANGUAGE sql RETURN NULL;
CREATE FUNCTION public.g_strict(plan_id uuid, clinic_id uuid) RETURNS text LANGUAGE sql STRICT RETURN 'strict, too';
CREATE PROCEDURE public.g_procedure(plan_id uuid, clinic_id uuid) LANGUAGE sql AS '';
CREATE ROLE regress_txplan_other NOLOGIN;
ALTER FUNCTION public.g_other OWNER TO regress_txplan_other;
CREATE FUNCTION pg_temp.with_guard(plan uuid, guard text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	UPDATE txplan.workflow_transitions SET guards = ARRAY[guard] WHERE workflow = 'surgical' AND action = 'approve';
	RETURN pg_temp.attempt('SELECT txplan.transition_plan(%L, ''approve'')', plan::text);
END
$$;
BEGIN;
SELECT g AS guard, pg_temp.with_guard(:'plan', g)
FROM unnest(ARRAY['public.g_empty', 'public.g_raises', 'public.g_boolean', 'public.g_set', 'public.g_one', 'public.g_other', 'public.g_strict',
	'public.g_procedure', 'public.missing', 'nowhere.g_no', 'g_no', '', 'a.b.c', 'public.', '.g_no', 'public.G_NO', 'public.g_no()']) AS g;
SELECT status FROM txplan.plans WHERE id = :'plan';
ROLLBACK;
-- The user who sees the whole error sees which guard raised it.
UPDATE txplan.workflow_transitions SET guards = '{public.g_raises}' WHERE workflow = 'surgical' AND action = 'approve';
DO $$
DECLARE
	context text;
BEGIN
	PERFORM txplan.transition_plan(id, 'approve') FROM txplan.plans WHERE title = 'Changed';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
	RAISE NOTICE '%, context names the guard: %', SQLERRM, context LIKE '%guard "public.g_raises"%';
END
$$;
-- A guard that is dropped after it let a plan pass.
UPDATE txplan.workflow_transitions SET guards = '{public.g_yes}' WHERE workflow = 'surgical' AND action = 'approve';
BEGIN;
SELECT txplan.transition_plan(:'plan', 'approve');
ROLLBACK;
DROP FUNCTION public.g_yes;
SELECT pg_temp.attempt('SELECT txplan.transition_plan(%L, ''approve'')', :'plan');
SELECT action, blockers FROM txplan.available_actions(:'plan') WHERE action = 'approve';
SELECT * FROM txplan.check_workflow('surgical');
-- The engine does not pass either: a session whose completion asks a guard that is
-- missing is not completed.
UPDATE txplan.workflow_transitions SET guards = '{}' WHERE workflow = 'surgical' AND action IN ('approve', 'submit');
UPDATE txplan.workflow_transitions SET guards = '{public.missing}' WHERE workflow = 'surgical' AND action = 'finish';
SELECT pg_temp.attempt('SELECT txplan.transition_plan(%L, ''approve'')', :'plan');
INSERT INTO public.consents VALUES (:'plan', :'clinic');
SELECT txplan.transition_plan(:'plan', 'ask_consent');
SELECT pg_temp.attempt('SELECT txplan.transition_plan(%L, ''schedule'')', :'plan');
UPDATE txplan.workflow_transitions SET guards = '{txplan.plan_is_done}' WHERE workflow = 'surgical' AND action = 'finish';
SELECT txplan.transition_plan(:'plan', 'schedule');
-- A guard sees the plan as it is under the lock, as the record's owner, with a
-- search_path of its own.
CREATE FUNCTION public.g_looks(plan_id uuid, clinic_id uuid) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN format('%s %s %s/%s, path %s', p.status, CASE WHEN current_user = pg_get_userbyid(c.relowner) THEN 'as owner' ELSE 'as ' || current_user END,
		p.items_completed, p.items_total, current_setting('search_path'))
	FROM txplan.plans AS p, pg_class AS c WHERE p.id = plan_id AND c.oid = 'txplan.plans'::regclass;
END
$$;
BEGIN;
UPDATE txplan.workflow_transitions SET guards = '{public.g_looks}' WHERE workflow = 'surgical' AND action = 'cancel';
GRANT USAGE ON SCHEMA txplan TO regress_txplan_other;
GRANT SELECT, UPDATE ON txplan.plans TO regress_txplan_other;
SET LOCAL ROLE regress_txplan_other;
SET LOCAL search_path = public;
SELECT pg_temp.attempt('SELECT txplan.transition_plan(%L, ''cancel'', ''other'')', :'plan');
ROLLBACK;

-- Automatic transitions go on until none passes: here from the first state on, by
-- the statement that makes the plan.
INSERT INTO txplan.workflows (name) VALUES ('chain'), ('circle'), ('broken');
INSERT INTO txplan.workflow_states (workflow, state, kind, items_editable, treatable)
VALUES ('chain', 'a', 'initial', true, false), ('chain', 'b', 'open', true, false), ('chain', 'c', 'open', true, true), ('chain', 'd', 'final', false, false),
	('circle', 'a', 'initial', true, false), ('circle', 'b', 'open', true, true), ('circle', 'c', 'open', true, true);
INSERT INTO txplan.workflow_transitions (workflow, action, from_state, to_state, automatic, guards)
VALUES ('chain', 'first', 'a', 'b', true, '{}'), ('chain', 'second', 'b', 'c', true, '{txplan.plan_has_item}'), ('chain', 'third', 'c', 'd', true, '{txplan.plan_is_done}'),
	('circle', 'start', 'a', 'b', false, '{}'), ('circle', 'there', 'b', 'c', true, '{}'), ('circle', 'back', 'c', 'b', true, '{}');
SELECT * FROM txplan.check_workflow('chain');
SELECT txplan.create_plan(:'clinic', :'patient', NULL, 'Chain', 'chain') AS chain \gset
SELECT status FROM txplan.plans WHERE id = :'chain';
SELECT txplan.add_item(:'chain', NULL, 'All', 10) AS item \gset
SELECT status FROM txplan.plans WHERE id = :'chain';
SELECT txplan.complete_item(:'item');
SELECT status FROM txplan.plans WHERE id = :'chain';
SELECT plan_version, type, payload ->> 'action' AS action, payload ->> 'new_status' AS new_status FROM txplan.events WHERE plan_id = :'chain' ORDER BY id;
-- A circle is found by check_workflow(), and stopped where nobody called it.
SELECT * FROM txplan.check_workflow('circle');
SELECT txplan.create_plan(:'clinic', :'patient', NULL, 'Circle', 'circle') AS circle \gset
SELECT pg_temp.attempt('SELECT txplan.transition_plan(%L, ''start'')', :'circle');
SELECT status, version FROM txplan.plans WHERE id = :'circle';

-- Every kind of fault.
INSERT INTO txplan.workflow_states (workflow, state, kind)
VALUES ('broken', 'lone', 'open'), ('broken', 'x', 'open'), ('broken', 'y', 'open'), ('broken', 'end', 'final');
INSERT INTO txplan.workflow_transitions (workflow, action, from_state, to_state, automatic, guards, permission, reasons)
VALUES ('broken', 'one', 'x', 'y', true, '{}', NULL, '{}'), ('broken', 'two', 'x', 'end', true, '{}', NULL, '{}'),
	('broken', 'guarded', 'y', 'end', false, '{public.missing,public.g_one,public.g_boolean,public.g_other,g_no}', 'operate', '{}'),
	('broken', 'reasoned', 'y', 'x', true, '{public.g_no}', 'admin', '{because}');
SELECT * FROM txplan.check_workflow('broken') ORDER BY fault, state NULLS FIRST, action, detail;
INSERT INTO txplan.workflow_states (workflow, state, kind) VALUES ('broken', 'first', 'initial');
INSERT INTO txplan.workflow_transitions (workflow, action, from_state, to_state) VALUES ('broken', 'begin', 'first', 'lone');
SELECT fault, state FROM txplan.check_workflow('broken') WHERE fault IN ('no initial state', 'unreachable state', 'dead end') ORDER BY fault, state;
-- A workflow without an initial state begins no plan.
DELETE FROM txplan.workflow_transitions WHERE workflow = 'broken' AND action = 'begin';
DELETE FROM txplan.workflow_states WHERE workflow = 'broken' AND state = 'first';
SELECT pg_temp.attempt('SELECT txplan.create_plan(%L, %L, NULL, NULL, ''broken'')', :'clinic', :'patient');

SELECT fault, detail FROM txplan.audit(:'clinic');

-- The dental workflow is the DBA's, too: another way, another reason.
BEGIN;
UPDATE txplan.workflow_transitions SET reasons = reasons || '{price}'::text[] WHERE workflow = 'dental' AND action = 'close';
INSERT INTO txplan.workflow_transitions (workflow, action, from_state, to_state) VALUES ('dental', 'pause', 'active', 'pending');
SELECT txplan.create_plan(:'clinic', :'patient') AS dental \gset
SELECT txplan.add_item(:'dental', NULL, 'Filling', 80) IS NOT NULL AS added;
SELECT txplan.confirm_plan(:'dental'), txplan.accept_plan(:'dental'), txplan.transition_plan(:'dental', 'pause'), txplan.close_plan(:'dental', 'price');
ROLLBACK;

DROP FUNCTION public.g_no, public.g_empty, public.g_raises, public.g_boolean, public.g_set, public.g_one, public.g_other, public.g_strict, public.g_looks;
DROP PROCEDURE public.g_procedure;
DROP ROLE regress_txplan_other;
