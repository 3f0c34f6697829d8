\set n random(1, 100)
SELECT count(*) FROM bench.clinics AS c CROSS JOIN LATERAL txplan.pipeline_totals(c.id) AS t WHERE c.n = :n;
