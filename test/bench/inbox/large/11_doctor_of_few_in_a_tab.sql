SELECT count(*) FROM bench.clinics AS c CROSS JOIN LATERAL txplan.inbox(c.id, 'closed', professional_id => c.seldom) AS i WHERE c.n = 1;
