-- complete/txplan.sql: one session is completed by one call.  With its schema's
-- name in place of txplan's it is the script of rules_in_plpgsql too, and with the
-- statements of an application in place of the call it is that of application.
SELECT txplan.complete_session((SELECT q.session_id FROM bench.pool AS q WHERE q.n = (SELECT nextval('bench.next_txplan'))));
