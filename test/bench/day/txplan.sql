-- day/txplan.sql: the life of a plan, call by call, each its own transaction:
-- made with three items, confirmed, accepted, treated, given to another doctor,
-- one session cancelled; three of ten are then closed, the others completed.
-- With its schema's name in place of txplan's it is the script of rules_in_plpgsql
-- too, and with the statements of an application in place of the calls it is that
-- of application.
--
-- The chances come from the seed that run.sh gives, so all contenders meet the
-- same ones.  The first statement is the desk that opens the patient's page.
\set patient random(0, 4999)
\set fate random(1, 10)
\set price random(1000, 90000)
SELECT q.clinic_id, q.patient_id, q.professional_id, q.other_professional_id,
	q.catalog_a, q.catalog_b
FROM bench.desk AS q
WHERE q.n = :patient
\gset
SELECT txplan.create_plan(:clinic_id, :patient_id, :professional_id, 'day') AS plan_id
\gset
SELECT txplan.add_item(:plan_id, :catalog_a) AS item_a
\gset
SELECT txplan.add_item(:plan_id, :catalog_b) AS item_b
\gset
SELECT txplan.add_item(:plan_id, NULL, 'Whitening', :price / 100.0) AS item_c
\gset
SELECT txplan.confirm_plan(:plan_id);
SELECT txplan.accept_plan(:plan_id);
-- The page of the plan is read: the sessions of its items.
SELECT
	(SELECT s.id FROM txplan.sessions AS s WHERE s.item_id = :item_a AND s.sequence = 1) AS a_1,
	(SELECT s.id FROM txplan.sessions AS s WHERE s.item_id = :item_a AND s.sequence = 2) AS a_2,
	(SELECT s.id FROM txplan.sessions AS s WHERE s.item_id = :item_b AND s.sequence = 1) AS b_1,
	(SELECT s.id FROM txplan.sessions AS s WHERE s.item_id = :item_b AND s.sequence = 2) AS b_2,
	(SELECT s.id FROM txplan.sessions AS s WHERE s.item_id = :item_c AND s.sequence = 1) AS c_1
\gset
SELECT txplan.complete_session(:a_1);
SELECT txplan.complete_session(:a_2);
SELECT txplan.change_professional(:plan_id, :other_professional_id, true);
SELECT txplan.cancel_session(:b_1);
\if :fate <= 3
SELECT txplan.close_plan(:plan_id, 'abandoned');
\else
SELECT txplan.complete_session(:b_2);
SELECT txplan.complete_session(:c_1);
\endif
