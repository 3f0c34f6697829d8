SELECT count(*) FROM bench.clinics AS c CROSS JOIN LATERAL txplan.inbox(c.id, 'all', 'ga') AS i WHERE c.n = 1;
