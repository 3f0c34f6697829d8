-- follow.sql: a consumer reads what is new, ten times a second.
\sleep 100 ms
SELECT coalesce(max(e.batch_id), 0) AS batch, count(e.payload) AS events FROM txplan.next_events(:consumer, 10000) AS e \gset
\if :batch > 0
SELECT txplan.finish_events(:consumer, :batch);
\endif
