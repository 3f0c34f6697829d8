-- chains.sql: are the contenders' chains of history sound?
--
-- psql -v title=check [-v contenders=bare,...] -f chains.sql: computes every hash of
-- the plans of that title again, from the rows, and looks for gaps and for plans
-- that name another end.  Prints contender, chain of history, rows, and same or
-- different.

\set QUIET 1
\if :{?contenders}
\else
\set contenders txplan,bare,rules_in_plpgsql,application
\endif

SELECT format($$
	WITH chain AS (
		SELECT h.sequence, h.hash, p.history_length, p.history_head,
			row_number() OVER w AS place,
			lead(h.hash) OVER w IS NULL AS is_last,
			sha256(coalesce(lag(h.hash) OVER w, '') || convert_to(
				bench.field(h.plan_id) || bench.field(h.clinic_id)
				|| bench.field(h.sequence::text)
				|| bench.field((extract(epoch FROM h.at) * 1000000)::bigint::text)
				|| bench.field(h.actor) || bench.field(h.role_name)
				|| bench.field(h.what) || bench.field(h.item_id)
				|| bench.field(h.session_id) || bench.field(h.from_value)
				|| bench.field(h.to_value) || bench.field(h.action)
				|| bench.field(h.reason) || bench.field(h.note), 'UTF8')) AS computed
		FROM %1$I.plans AS p
		JOIN %1$I.history AS h ON h.plan_id = p.id AND h.clinic_id = p.clinic_id
		WHERE p.title LIKE %2$L
		WINDOW w AS (PARTITION BY p.id, p.clinic_id ORDER BY h.sequence)
	)
	SELECT %1$L, 'chain of history', count(*), CASE
		WHEN count(*) = 0 THEN 'different: there is none'
		WHEN bool_and(c.hash = c.computed AND c.sequence = c.place AND (NOT c.is_last
			OR (c.history_length = c.sequence AND c.history_head = c.hash))) THEN 'same'
		ELSE 'different: a hash, a number or a head is wrong' END
	FROM chain AS c$$, c.schema, :'title' || '%')
FROM unnest(string_to_array(:'contenders', ',')) AS c (schema)
\gexec
