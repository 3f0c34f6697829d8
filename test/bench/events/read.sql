-- read.sql: a consumer reads a batch, and finishes it.
SELECT * FROM txplan.next_events('reader', :size);
SELECT txplan.finish_events('reader', (SELECT b.batch_id FROM txplan.consumer_batches AS b));
