-- counters: after any sequence of statements the counters are those of the rows.

SELECT txplan.install() IS NOT NULL AS installed;

SET txplan.actor = 'dice';
SELECT txplan.create_clinic('Counter clinic', 'UTC') AS clinic \gset
SELECT count(txplan.create_professional(:'clinic', 'Dr. ' || n)) FROM generate_series(1, 3) AS n;
SELECT txplan.create_patient(:'clinic', 'Any', 'Body') AS patient \gset
SELECT txplan.create_catalog_item(:'clinic', 'ONE', 'One', 50) IS NOT NULL AS made;
SELECT txplan.create_catalog_item(:'clinic', 'THREE', 'Three', 100, NULL, '[{"price": 33.33}, {"price": 33.33}, {"price": 33.34}]') IS NOT NULL AS made;
CREATE TEMP TABLE tried (n integer, kind text, state text);
CREATE TEMP TABLE wrong (n integer, kind text, what text);

-- check_counters() compares every counter with the rows.
CREATE FUNCTION pg_temp.check_counters(clinic uuid)
RETURNS SETOF text
LANGUAGE sql
BEGIN ATOMIC
	SELECT 'plan ' || p.id FROM txplan.plans AS p
	WHERE p.clinic_id = clinic AND (p.items_total, p.items_completed, p.items_cancelled) <> (
		SELECT count(*), count(*) FILTER (WHERE i.status = 'completed'), count(*) FILTER (WHERE i.status = 'cancelled')
		FROM txplan.items AS i WHERE i.plan_id = p.id)
	UNION ALL
	SELECT 'item ' || i.id FROM txplan.items AS i
	WHERE i.clinic_id = clinic AND (i.sessions_total, i.sessions_completed, i.sessions_cancelled) <> (
		SELECT count(*), count(*) FILTER (WHERE s.status = 'completed'), count(*) FILTER (WHERE s.status = 'cancelled')
		FROM txplan.sessions AS s WHERE s.item_id = i.id)
	UNION ALL
	SELECT 'version ' || p.id FROM txplan.plans AS p
	WHERE p.clinic_id = clinic AND p.version <> (SELECT count(*) FROM txplan.events AS e WHERE e.plan_id = p.id)
	UNION ALL
	SELECT 'earned ' || s.id FROM txplan.sessions AS s
	WHERE s.clinic_id = clinic AND (s.status = 'completed') <> EXISTS (SELECT FROM txplan.earned_entries AS e WHERE e.session_id = s.id AND e.amount = s.amount);
END;

-- dice() runs statements at random, the same at every run; those that are refused
-- are part of it.  It returns how many it ran.
CREATE FUNCTION pg_temp.dice(clinic uuid, seed float8, statements integer)
RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
	kinds text[] := '{create,add,add,add,add2,add_catalog,remove,confirm,confirm,accept,accept,close,reactivate,reopen,complete,complete,complete,cancel,complete_item,performed,add_session,amount,price,delete_session,delete_items,dml_complete,dml_mixed,dml_status,reorder,doctor,reassign,notes,delete_plan,rollback}';
	kind text;
	plan uuid;
	item uuid;
	session uuid;
	doctor uuid;
	patient uuid;
	catalog uuid;
	fault text;
BEGIN
	PERFORM setseed(seed);
	FOR n IN 1 .. statements LOOP
		kind := kinds[1 + floor(random() * cardinality(kinds))];
		SELECT id INTO plan FROM txplan.plans WHERE clinic_id = clinic ORDER BY id OFFSET floor(random() * least(12, (SELECT count(*) FROM txplan.plans WHERE clinic_id = clinic))) LIMIT 1;
		SELECT id INTO item FROM txplan.items WHERE plan_id = plan ORDER BY position OFFSET floor(random() * (SELECT count(*) FROM txplan.items WHERE plan_id = plan)) LIMIT 1;
		SELECT id INTO session FROM txplan.sessions WHERE item_id = item ORDER BY sequence OFFSET floor(random() * (SELECT count(*) FROM txplan.sessions WHERE item_id = item)) LIMIT 1;
		SELECT id INTO doctor FROM txplan.professionals WHERE clinic_id = clinic ORDER BY id OFFSET floor(random() * 3) LIMIT 1;
		SELECT id INTO catalog FROM txplan.catalog_items WHERE clinic_id = clinic ORDER BY id OFFSET floor(random() * 2) LIMIT 1;
		SELECT id INTO patient FROM txplan.patients WHERE clinic_id = clinic;
		BEGIN
			CASE kind
				WHEN 'create' THEN PERFORM txplan.create_plan(clinic, patient, doctor);
				WHEN 'add' THEN PERFORM txplan.add_item(plan, catalog, price => trunc((random() * 100)::numeric, 2));
				WHEN 'add2' THEN INSERT INTO txplan.items (clinic_id, plan_id, catalog_item_id) SELECT clinic, id, catalog FROM txplan.plans WHERE clinic_id = clinic AND status IN ('draft', 'active') ORDER BY id LIMIT 3;
				WHEN 'add_catalog' THEN PERFORM txplan.add_item(plan, catalog, treatment_ref => 'T' || floor(random() * 40));
				WHEN 'remove' THEN PERFORM txplan.remove_item(item);
				WHEN 'confirm' THEN PERFORM txplan.confirm_plan(plan);
				WHEN 'accept' THEN PERFORM txplan.accept_plan(plan);
				WHEN 'close' THEN PERFORM txplan.close_plan(plan, 'other');
				WHEN 'reactivate' THEN PERFORM txplan.reactivate_plan(plan);
				WHEN 'reopen' THEN PERFORM txplan.reopen_plan(plan);
				WHEN 'complete' THEN PERFORM txplan.complete_session(session);
				WHEN 'cancel' THEN PERFORM txplan.cancel_session(session);
				WHEN 'complete_item' THEN PERFORM txplan.complete_item(item);
				WHEN 'performed' THEN PERFORM txplan.record_performed(item);
				WHEN 'add_session' THEN PERFORM txplan.add_session(item, 'more', trunc((random() * 10)::numeric, 2));
				WHEN 'amount' THEN UPDATE txplan.sessions SET amount = trunc((random() * 50)::numeric, 2) WHERE id = session;
				WHEN 'price' THEN UPDATE txplan.items SET price = trunc((random() * 200)::numeric, 2) WHERE id = item;
				WHEN 'delete_session' THEN DELETE FROM txplan.sessions WHERE id = session;
				WHEN 'delete_items' THEN DELETE FROM txplan.items WHERE plan_id = plan AND status = 'pending' AND sessions_completed = 0 AND (position + n) % 3 = 0;
				WHEN 'dml_complete' THEN UPDATE txplan.sessions SET status = 'completed' WHERE status = 'pending' AND plan_id IN (SELECT id FROM txplan.plans WHERE status = 'active' AND clinic_id = clinic) AND sequence = 1 + n % 3;
				WHEN 'dml_mixed' THEN UPDATE txplan.sessions SET status = CASE (sequence + n) % 2 WHEN 0 THEN 'completed' ELSE 'cancelled' END WHERE item_id = item AND status = 'pending';
				WHEN 'dml_status' THEN UPDATE txplan.plans SET status = CASE status WHEN 'draft' THEN 'pending' WHEN 'pending' THEN 'active' ELSE status END WHERE id = plan;
				WHEN 'reorder' THEN PERFORM txplan.reorder_items(plan, (SELECT array_agg(id ORDER BY (position * 7 + n) % 11, position DESC) FROM txplan.items WHERE plan_id = plan));
				WHEN 'doctor' THEN PERFORM txplan.assign_professional(item, doctor);
				WHEN 'reassign' THEN PERFORM txplan.change_professional(plan, doctor, true);
				WHEN 'notes' THEN UPDATE txplan.items SET notes = 'n' || n WHERE plan_id = plan;
				WHEN 'delete_plan' THEN IF random() < 0.3 THEN DELETE FROM txplan.plans WHERE id = plan; END IF;
				WHEN 'rollback' THEN
					PERFORM txplan.add_item(plan, catalog);
					UPDATE txplan.sessions SET status = 'completed' WHERE item_id = item AND status = 'pending';
					RAISE EXCEPTION 'taken back';
			END CASE;
			INSERT INTO tried VALUES (n, kind, 'done');
		EXCEPTION WHEN OTHERS THEN
			INSERT INTO tried VALUES (n, kind, SQLSTATE);
			IF SQLSTATE NOT IN ('TX001', 'TX002', 'TX004', 'TX009', 'P0001', 'P0002', '22004', '23505') THEN
				INSERT INTO wrong VALUES (n, kind, SQLSTATE || ' ' || SQLERRM);
			END IF;
		END;
		SELECT string_agg(c, ', ') INTO fault FROM pg_temp.check_counters(clinic) AS c;
		IF fault IS NOT NULL THEN
			INSERT INTO wrong VALUES (n, kind, fault);
			EXIT;
		END IF;
	END LOOP;
	RETURN (SELECT count(*) FROM tried);
END
$$;
SELECT count(txplan.create_plan(:'clinic', :'patient')) FROM generate_series(1, 4);
SELECT pg_temp.dice(:'clinic', 0.1, 300) AS statements;
SELECT pg_temp.dice(:'clinic', 0.7, 300) AS statements;
-- No counter was ever wrong, and no error was other than the documented ones.
SELECT * FROM wrong;
-- It was no idle run: every kind was tried, and most were done at some time.
SELECT count(DISTINCT kind) AS kinds, count(DISTINCT kind) FILTER (WHERE state = 'done') >= 24 AS most_done, count(*) FILTER (WHERE state = 'done') > 200 AS many FROM tried;
SELECT count(DISTINCT status) >= 4 AS many_states FROM txplan.plans WHERE clinic_id = :'clinic';
SELECT fault, detail FROM txplan.audit(:'clinic');
-- Events of all plans, the deleted ones too, are gapless and in order.
SELECT count(*) FILTER (WHERE plan_version <> n) AS gaps FROM (
	SELECT plan_version, row_number() OVER (PARTITION BY plan_id ORDER BY id) AS n FROM txplan.events WHERE clinic_id = :'clinic') AS e;
