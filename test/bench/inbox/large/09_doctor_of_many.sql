SELECT count(*) FROM bench.clinics AS c CROSS JOIN LATERAL txplan.inbox(c.id, 'all', professional_id => c.busy) AS i WHERE c.n = 1;
