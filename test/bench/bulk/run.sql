-- bulk/run.sql: times one INSERT of 1,000 items, after one of 5 that is rolled back
-- and has built the session's plans.  :script prepares the statement.
\ir :script
SET plan_cache_mode = force_generic_plan;
BEGIN;
EXECUTE insert_items (:repetition, 5);
ROLLBACK;
\timing on
EXECUTE insert_items (:repetition, 1000);
