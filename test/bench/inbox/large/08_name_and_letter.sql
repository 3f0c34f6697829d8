SELECT count(*) FROM bench.clinics AS c CROSS JOIN LATERAL txplan.inbox(c.id, 'all', 'garcia q') AS i WHERE c.n = 1;
