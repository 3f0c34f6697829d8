SELECT count(*) FROM bench.clinics AS c CROSS JOIN LATERAL txplan.inbox_counts(c.id, 'garcia') AS i WHERE c.n = 1;
