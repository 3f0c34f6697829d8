-- bulk/txplan.sql: items are inserted, their rules checked by triggers.
PREPARE insert_items (integer, integer) AS
INSERT INTO txplan.items (id, clinic_id, plan_id, description, price)
SELECT q.id, q.clinic_id, q.plan_id, q.description, q.price
FROM bench.new_items AS q
WHERE q.repetition = $1 AND q.n <= $2
ORDER BY q.n;
