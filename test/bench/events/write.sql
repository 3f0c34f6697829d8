-- write.sql: a plan gets another title, which is one event.
\set n random(1, 20000)
UPDATE txplan.plans AS p SET title = 'Title ' || random()
FROM bench.plans AS b
WHERE b.n = :n AND p.id = b.id AND p.clinic_id = b.clinic_id;
