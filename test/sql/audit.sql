-- audit: every kind of fault in a record is found; each here is made by a superuser
-- with the rules turned off, and taken back.

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

SET txplan.actor = 'auditor';
SELECT txplan.create_clinic('Audit clinic', 'UTC') AS clinic \gset
SELECT txplan.create_clinic('Other audit clinic', 'UTC') AS other \gset
SELECT txplan.create_professional(:'clinic', 'Dr. Ada') AS ada \gset
SELECT txplan.create_patient(:'clinic', 'Kim', 'Park') AS patient \gset
SELECT txplan.create_catalog_item(:'clinic', 'CROWN', 'Crown', 600, NULL,
	'[{"label": "Preparation", "price": 200}, {"label": "Fitting", "price": 400}]') AS crown \gset
-- A draft, an active plan of which a part is done, a completed and a closed one.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada', 'draft') AS draft \gset
SELECT txplan.create_plan(:'clinic', :'patient', :'ada', 'active') AS active \gset
SELECT txplan.create_plan(:'clinic', :'patient', :'ada', 'done') AS done \gset
SELECT txplan.create_plan(:'clinic', :'patient', :'ada', 'closed') AS closed \gset
SELECT count(txplan.add_item(p::uuid, :'crown', treatment_ref => 'T' || n)) FROM unnest(ARRAY[:'draft', :'active', :'active', :'done', :'closed']) WITH ORDINALITY AS u (p, n);
SELECT txplan.confirm_plan(p::uuid), txplan.accept_plan(p::uuid) FROM unnest(ARRAY[:'active', :'done', :'closed']) AS p;
SELECT txplan.complete_item(id) FROM txplan.items WHERE plan_id = :'done' OR (plan_id = :'active' AND position = 1);
SELECT txplan.complete_session(id) FROM txplan.sessions WHERE plan_id = :'closed' AND sequence = 1;
SELECT txplan.close_plan(:'closed', 'abandoned');
SELECT txplan.void_earned(id, 'Not done after all') IS NOT NULL AS void FROM txplan.earned_entries WHERE plan_id = :'closed';
SELECT id AS done_item FROM txplan.items WHERE plan_id = :'done' \gset
SELECT id AS active_item FROM txplan.items WHERE plan_id = :'active' AND position = 2 \gset
-- Contacts, appointments, and a recall that one of them closed.
SELECT txplan.create_patient(:'clinic', 'Mary', 'Major') AS mary \gset
INSERT INTO txplan.contacts (clinic_id, plan_id, channel, contacted_at) VALUES (:'clinic', :'active', 'call', '2024-03-01') RETURNING id AS contact \gset
INSERT INTO txplan.contacts (clinic_id, plan_id, channel, contacted_at, corrects_id) VALUES (:'clinic', :'active', 'sms', '2024-02-01', :'contact') RETURNING id AS correction \gset
SELECT txplan.create_plan(:'clinic', :'patient', :'ada', 'recalled') AS recalled \gset
INSERT INTO txplan.items (clinic_id, plan_id, description, price, category_key) VALUES (:'clinic', :'recalled', 'Extraction', 60, 'surgery'), (:'clinic', :'recalled', 'Scaling', 60, NULL);
SELECT txplan.confirm_plan(:'recalled'), txplan.accept_plan(:'recalled');
SELECT txplan.complete_item(id) FROM txplan.items WHERE plan_id = :'recalled' AND position = 1;
SELECT txplan.book_appointment(:'patient', '2031-03-03 10:00', '2031-03-03 11:00', recall_id => id) AS recall_appointment FROM txplan.recall_suggestions WHERE clinic_id = :'clinic' \gset
SELECT txplan.book_appointment(:'patient', '2031-03-04 10:00', '2031-03-04 11:00', session_id => s.id, professional_id => :'ada') AS appointment
FROM txplan.sessions AS s JOIN txplan.items AS i ON i.id = s.item_id WHERE i.plan_id = :'recalled' AND i.position = 2 \gset
-- Deleted plans leave their events and history, which is no fault.
SELECT txplan.create_plan(:'clinic', :'patient') AS deleted \gset
DELETE FROM txplan.plans WHERE id = :'deleted';

-- Nothing is wrong.
SELECT * FROM txplan.audit(:'clinic');

-- damage() does it, asks audit(), and takes it back.
CREATE FUNCTION pg_temp.damage(clinic uuid, statement text)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	found text;
BEGIN
	PERFORM set_config('session_replication_role', 'replica', true);
	EXECUTE statement;
	PERFORM set_config('session_replication_role', 'origin', true);
	SELECT string_agg(DISTINCT a.fault, ', ' ORDER BY a.fault) INTO found FROM txplan.audit(clinic) AS a;
	RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = coalesce(found, '(nothing)');
EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
	RETURN SQLERRM;
END
$$;
CREATE TEMP TABLE damages (n integer GENERATED ALWAYS AS IDENTITY, what text, statement text);
INSERT INTO damages (what, statement) VALUES
	('a plan counts an item too many', format('UPDATE txplan.plans SET items_total = items_total + 1 WHERE id = %L', :'draft')),
	('an item lost its sessions', format('DELETE FROM txplan.sessions WHERE plan_id = %L', :'draft')),
	('an item counts a session too few', format('UPDATE txplan.items SET sessions_total = 1 WHERE plan_id = %L', :'draft')),
	('a state that the workflow has not', format('UPDATE txplan.plans SET status = ''archived'' WHERE id = %L', :'draft')),
	('a draft that was confirmed', format('UPDATE txplan.plans SET confirmed_at = now() WHERE id = %L', :'draft')),
	('a closed plan without time', format('UPDATE txplan.plans SET closed_at = NULL, closure_reason = NULL WHERE id = %L', :'closed')),
	('a completed plan without time', format('UPDATE txplan.plans SET completed_at = NULL WHERE id = %L', :'done')),
	('a plan set back to active', format('UPDATE txplan.plans SET status = ''active'', completed_at = NULL WHERE id = %L', :'done')),
	('the number counter set back', format('UPDATE txplan.number_counters SET last_number = 1 WHERE clinic_id = %L', :'clinic')),
	('a completed item made pending', format('UPDATE txplan.items SET status = ''pending'', completed_at = NULL, completed_by = NULL, completed_via = NULL WHERE id = %L', :'done_item')),
	('a price changed', format('UPDATE txplan.items SET price = price + 1 WHERE id = %L', :'active_item')),
	('an amount changed', format('UPDATE txplan.sessions SET amount = 1 WHERE item_id = %L AND sequence = 1', :'active_item')),
	('an amount below what was earned', format('UPDATE txplan.sessions SET amount = 1 WHERE item_id = %L AND sequence = 1', :'done_item')),
	('an item of a closed plan made live', format('UPDATE txplan.items SET live = true WHERE plan_id = %L', :'closed')),
	('one treatment in two live items', format('DROP INDEX txplan.items_treatment_ref_unique_while_live; UPDATE txplan.items SET treatment_ref = ''T1'' WHERE id = %L', :'active_item')),
	('a session moved to another plan', format('UPDATE txplan.sessions SET plan_id = %L WHERE item_id = %L', :'draft', :'active_item')),
	('an entry removed', format('DELETE FROM txplan.earned_entries WHERE item_id = %L', :'done_item')),
	('an entry booked twice', format('DROP INDEX txplan.earned_entries_once_per_session; INSERT INTO txplan.earned_entries SELECT txplan.new_id(), clinic_id, patient_id, plan_id, item_id, session_id, professional_id, description, amount, earned_at FROM txplan.earned_entries WHERE item_id = %L', :'done_item')),
	('an entry for a session that is not completed', format('INSERT INTO txplan.earned_entries (clinic_id, patient_id, plan_id, item_id, session_id, description, amount, earned_at) SELECT clinic_id, %L, plan_id, item_id, id, ''x'', amount, now() FROM txplan.sessions WHERE item_id = %L', :'patient', :'active_item')),
	('a void of another amount', format('INSERT INTO txplan.earned_entries (clinic_id, patient_id, plan_id, item_id, session_id, professional_id, description, amount, earned_at, voids_id, reason) SELECT clinic_id, patient_id, plan_id, item_id, session_id, professional_id, description, -1, now(), id, ''x'' FROM txplan.earned_entries WHERE item_id = %L', :'done_item')),
	('a void of another session''s entry', format('UPDATE txplan.earned_entries SET voids_id = (SELECT id FROM txplan.earned_entries WHERE item_id = %L LIMIT 1) WHERE plan_id = %L AND voids_id IS NOT NULL', :'done_item', :'closed')),
	('a voided entry removed', format('DELETE FROM txplan.earned_entries WHERE plan_id = %L AND voids_id IS NULL', :'closed')),
	('a void removed', format('DELETE FROM txplan.earned_entries WHERE plan_id = %L AND voids_id IS NOT NULL', :'closed')),
	('an entry changed', format('UPDATE txplan.earned_entries SET amount = amount - 1 WHERE item_id = %L', :'done_item')),
	('an entry of another plan', format('UPDATE txplan.earned_entries SET plan_id = %L WHERE item_id = %L', :'draft', :'done_item')),
	('a session completed without the engine', format('UPDATE txplan.sessions SET status = ''completed'', completed_at = now(), completed_by = ''x'' WHERE item_id = %L AND sequence = 1', :'active_item')),
	('a plan that forgot its contact', format('UPDATE txplan.plans SET last_contact_at = NULL WHERE id = %L', :'active')),
	('a correction removed', format('DELETE FROM txplan.contacts WHERE id = %L', :'correction')),
	('a corrected contact removed', format('DELETE FROM txplan.contacts WHERE id = %L', :'contact')),
	('a correction moved to another plan', format('UPDATE txplan.contacts SET plan_id = %L WHERE id = %L', :'draft', :'correction')),
	('an appointment of another patient', format('UPDATE txplan.appointments SET patient_id = %L WHERE id = %L', :'mary', :'appointment')),
	('an appointment of another plan', format('UPDATE txplan.appointments SET plan_id = %L WHERE id = %L', :'draft', :'appointment')),
	('an appointment of another item', format('UPDATE txplan.appointments SET item_id = %L WHERE id = %L', :'done_item', :'appointment')),
	('an appointment whose session is gone', format('UPDATE txplan.appointments SET session_id = txplan.new_id() WHERE id = %L', :'appointment')),
	('a recall for a pending item', format('UPDATE txplan.recall_suggestions SET item_id = %L WHERE clinic_id = %L', :'active_item', :'clinic')),
	('a recall for another patient', format('UPDATE txplan.recall_suggestions SET patient_id = %L WHERE clinic_id = %L', :'mary', :'clinic')),
	('a recall that was opened again', format('UPDATE txplan.recall_suggestions SET appointment_id = NULL, closed_at = NULL WHERE clinic_id = %L', :'clinic')),
	('a recall closed by a cancelled appointment', format('UPDATE txplan.appointments SET status = ''cancelled'', ended_at = now(), ended_by = ''x'' WHERE id = %L', :'recall_appointment')),
	('a recall closed by another appointment', format('UPDATE txplan.recall_suggestions SET appointment_id = %L WHERE clinic_id = %L', :'appointment', :'clinic')),
	('a patient removed', format('DELETE FROM txplan.patients WHERE id = %L', :'patient')),
	('a doctor removed', format('DELETE FROM txplan.professionals WHERE id = %L', :'ada')),
	('an item removed', format('DELETE FROM txplan.items WHERE id = %L', :'active_item')),
	('a catalog item removed', format('DELETE FROM txplan.catalog_items WHERE id = %L', :'crown')),
	('a template that does not add up', format('UPDATE txplan.catalog_items SET price = 601 WHERE id = %L', :'crown')),
	('an event removed', format('DELETE FROM txplan.events WHERE plan_id = %L AND plan_version = 4', :'active')),
	('the last event removed', format('DELETE FROM txplan.events WHERE plan_id = %L AND plan_version = 2', :'draft')),
	('an event doubled', format('INSERT INTO txplan.events SELECT nextval(''txplan.events_id_seq''), xid, clinic_id, plan_id, plan_version, type, actor, occurred_at + interval ''1 second'', payload FROM txplan.events WHERE plan_id = %L AND plan_version = 1', :'draft')),
	('two events that changed places', format('UPDATE txplan.events SET plan_version = 3 - plan_version, occurred_at = occurred_at + interval ''1 second'' WHERE plan_id = %L', :'draft')),
	('the plan''s version set back', format('UPDATE txplan.plans SET version = version - 1 WHERE id = %L', :'draft')),
	('a completion without its event', format('UPDATE txplan.events SET type = ''treatment_plan.updated'' WHERE plan_id = %L AND type = ''treatment_plan.treatment_completed''', :'done')),
	('a completion told twice', format('UPDATE txplan.events AS e SET type = ''treatment_plan.treatment_completed'', payload = payload || (SELECT jsonb_build_object(''item_id'', %2$L)) WHERE plan_id = %1$L AND plan_version = 1', :'done', :'done_item')),
	('a completion told of what is not completed', format('UPDATE txplan.events SET type = ''treatment_plan.item_session_completed'' WHERE plan_id = %L AND plan_version = 1', :'draft')),
	('a plan removed', format('DELETE FROM txplan.plans WHERE id = %L', :'draft')),
	('a plan''s completion not told', format('UPDATE txplan.events SET type = ''treatment_plan.updated'' WHERE plan_id = %L AND type = ''treatment_plan.completed''', :'done')),
	('a status that no event tells', format('UPDATE txplan.plans SET status = ''pending'', confirmed_at = now() WHERE id = %L', :'draft')),
	('history changed', format('UPDATE txplan.history SET actor = ''x'' WHERE plan_id = %L AND sequence = 2', :'draft')),
	('history removed', format('DELETE FROM txplan.history WHERE plan_id = %L AND sequence = 1', :'draft')),
	('the end of a history removed', format('DELETE FROM txplan.history WHERE plan_id = %L AND sequence = 2', :'draft')),
	('the end of a deleted plan''s history removed', format('DELETE FROM txplan.history WHERE plan_id = %L AND sequence = 2', :'deleted'));
SELECT what, pg_temp.damage(:'clinic', statement) AS found FROM damages ORDER BY n;
-- Budgets.
SELECT txplan.create_plan(:'clinic', :'patient', :'ada', 'quoted') AS quoted \gset
SELECT txplan.add_item(:'quoted', NULL, 'Inlay', 300) AS quoted_item \gset
SELECT txplan.confirm_plan(:'quoted');
SELECT txplan.generate_budget(:'quoted') AS sent \gset
SELECT txplan.send_budget(:'sent');
SELECT txplan.resend_budget(:'sent') AS second \gset
SELECT txplan.send_budget(:'second');
SELECT txplan.create_plan(:'clinic', :'patient', :'ada', 'agreed') AS agreed \gset
SELECT txplan.add_item(:'agreed', NULL, 'Onlay', 400) AS agreed_item \gset
SELECT txplan.confirm_plan(:'agreed');
SELECT txplan.generate_budget(:'agreed') AS accepted \gset
SELECT txplan.accept_budget(:'accepted');
SELECT fault, detail FROM txplan.audit(:'clinic');
TRUNCATE damages;
INSERT INTO damages (what, statement) VALUES
	('a total changed', format('UPDATE txplan.budgets SET total = 1 WHERE id = %L', :'second')),
	('a line''s net amount changed', format('UPDATE txplan.budget_lines SET net_amount = 1 WHERE budget_id = %L', :'second')),
	('a line removed', format('DELETE FROM txplan.budget_lines WHERE budget_id = %L', :'second')),
	('a budget decided behind the plan''s back', format('UPDATE txplan.budgets SET status = ''rejected'', decided_at = now(), decided_by = ''x'' WHERE id = %L', :'second')),
	('a plan that names another budget', format('UPDATE txplan.plans SET budget_id = %L WHERE id = %L', :'sent', :'quoted')),
	('two live budgets', format('DROP INDEX txplan.budgets_one_live_per_plan; UPDATE txplan.budgets SET status = ''sent'', decided_at = NULL, decided_by = NULL WHERE id = %L', :'sent')),
	('another patient''s budget', format('UPDATE txplan.budgets SET patient_id = (SELECT t.id FROM txplan.patients AS t WHERE t.clinic_id = %L AND t.id <> patient_id LIMIT 1) WHERE id = %L', :'clinic', :'second')),
	('a line of another plan', format('UPDATE txplan.budget_lines SET item_id = %L WHERE budget_id = %L', :'agreed_item', :'second')),
	('a version left out', format('UPDATE txplan.budgets SET version = 7 WHERE id = %L', :'second')),
	('a version of another number', format('UPDATE txplan.budgets SET number = ''x'' WHERE id = %L', :'second')),
	('a price that was not agreed on', format('UPDATE txplan.items SET price = 500 WHERE id = %L; UPDATE txplan.sessions SET amount = 500 WHERE item_id = %1$L', :'agreed_item')),
	('a plan that does not go on', format('UPDATE txplan.plans SET status = ''pending'' WHERE id = %L', :'agreed')),
	('the budget''s counter set back', format('UPDATE txplan.number_counters SET last_number = 1 WHERE clinic_id = %L AND kind = ''budget''', :'clinic')),
	('a budget of a patient who is not there', format('UPDATE txplan.budgets SET patient_id = gen_random_uuid() WHERE id = %L', :'second')),
	('a budget of a plan that is not there', format('UPDATE txplan.budgets SET plan_id = gen_random_uuid() WHERE id = %L', :'sent')),
	('a line of a budget that is not there', format('UPDATE txplan.budget_lines SET budget_id = gen_random_uuid() WHERE budget_id = %L', :'sent')),
	('a line of an item that is not there', format('UPDATE txplan.budget_lines SET item_id = gen_random_uuid() WHERE budget_id = %L', :'sent')),
	('a time zone that the server does not know', format('UPDATE txplan.clinics SET time_zone = ''US/Pacific-New'' WHERE id = %L', :'clinic')),
	('a time zone that means two times', format('UPDATE txplan.clinics SET time_zone = ''CET'' WHERE id = %L', :'clinic'));
SELECT what, pg_temp.damage(:'clinic', statement) AS found FROM damages ORDER BY n;
-- One of them in full, as a person reads it.
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE txplan.plans SET items_total = 5 WHERE id = :'draft';
UPDATE txplan.items SET price = 601 WHERE id = :'active_item';
SET LOCAL session_replication_role = origin;
SELECT clinic = :'clinic' AS clinic, CASE plan WHEN :'draft' THEN 'draft' WHEN :'active' THEN 'active' END AS plan,
	row_id IN (:'draft', :'active_item') AS which, fault, detail, hint FROM txplan.audit(:'clinic') ORDER BY fault;
-- The other clinic is as it was; and all of them together.
SELECT count(*) FROM txplan.audit(:'other');
SELECT count(*) FROM txplan.audit() WHERE clinic = :'clinic';
ROLLBACK;
SELECT count(*) FROM txplan.audit(:'clinic');
-- A clinic that is not there.
SELECT pg_temp.attempt('SELECT * FROM txplan.audit(%L)', gen_random_uuid()::text);
