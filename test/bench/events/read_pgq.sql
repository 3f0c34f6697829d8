-- read_pgq.sql: a consumer of PgQ reads a batch, and finishes it.
SELECT pgq.next_batch('bench', 'reader') AS batch \gset
SELECT * FROM pgq.get_batch_events(:batch);
SELECT pgq.finish_batch(:batch);
