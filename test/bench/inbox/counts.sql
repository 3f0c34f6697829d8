\set n random(1, 100)
SELECT count(*) FROM bench.clinics AS c CROSS JOIN LATERAL txplan.inbox_counts(c.id) AS i WHERE c.n = :n;
