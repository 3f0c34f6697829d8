\set n random(1, 100)
SELECT count(*) FROM bench.clinics AS c CROSS JOIN LATERAL txplan.pipeline(c.id, 'to_quote') AS p WHERE c.n = :n;
