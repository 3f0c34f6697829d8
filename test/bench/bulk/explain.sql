-- bulk/explain.sql: what the triggers of an INSERT of 1,000 items take.
BEGIN;
EXPLAIN (ANALYZE, TIMING, COSTS off, SUMMARY)
INSERT INTO txplan.items (clinic_id, plan_id, description, price)
SELECT q.clinic_id, q.plan_id, q.description, q.price
FROM bench.new_items AS q
WHERE q.repetition = 1
ORDER BY q.n;
ROLLBACK;
