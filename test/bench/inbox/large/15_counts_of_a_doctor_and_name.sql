SELECT count(*) FROM bench.clinics AS c CROSS JOIN LATERAL txplan.inbox_counts(c.id, 'garcia', c.busy) AS i WHERE c.n = 1;
