-- audit.sql: whether the rows of a record fit together, asked of the rows alone.
-- after: earned, budget, contact, recall, inbox

-- == extension ==

CREATE FUNCTION txplan.audit_faults(wanted_clinic uuid)
RETURNS TABLE (clinic uuid, plan uuid, row_id uuid, fault text, detail text, hint text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_nestloop = off
SET jit = off
AS $$
	-- Every check is one pass over whole tables, which the planner cannot know to
	-- be large when they were never analyzed, so nested loops are off; and to
	-- compile so long a query would cost more than it saves, so jit is.
	--
	-- First, what the rows below say, counted once for every row above.
	WITH session_sums AS MATERIALIZED (
		SELECT s.item_id, s.clinic_id,
			count(*) AS total,
			count(*) FILTER (WHERE s.status = 'completed') AS completed,
			count(*) FILTER (WHERE s.status = 'cancelled') AS cancelled,
			count(*) FILTER (WHERE s.status = 'cancelled' OR v.session_id IS NOT NULL) AS left_out,
			coalesce(sum(s.amount) FILTER (WHERE s.status <> 'cancelled' AND v.session_id IS NULL), 0.00)
				AS amount
		FROM txplan.sessions AS s
		LEFT JOIN (
			SELECT DISTINCT e.session_id, e.clinic_id
			FROM txplan.earned_entries AS e
			WHERE e.voids_id IS NOT NULL
		) AS v ON v.session_id = s.id AND v.clinic_id = s.clinic_id
		WHERE wanted_clinic IS NULL OR s.clinic_id = wanted_clinic
		GROUP BY s.item_id, s.clinic_id
	),
	item_sums AS MATERIALIZED (
		SELECT i.plan_id, i.clinic_id,
			count(*) AS total,
			count(*) FILTER (WHERE i.status = 'completed') AS completed,
			count(*) FILTER (WHERE i.status = 'cancelled') AS cancelled
		FROM txplan.items AS i
		WHERE wanted_clinic IS NULL OR i.clinic_id = wanted_clinic
		GROUP BY i.plan_id, i.clinic_id
	),
	item_earnings AS (
		SELECT e.item_id, e.clinic_id, sum(e.amount) AS amount
		FROM txplan.earned_entries AS e
		WHERE wanted_clinic IS NULL OR e.clinic_id = wanted_clinic
		GROUP BY e.item_id, e.clinic_id
	),
	session_entries AS (
		SELECT e.session_id, e.clinic_id, count(*) AS entries
		FROM txplan.earned_entries AS e
		WHERE e.voids_id IS NULL
			AND (wanted_clinic IS NULL OR e.clinic_id = wanted_clinic)
		GROUP BY e.session_id, e.clinic_id
	),
	-- The ways by which a plan comes to a state.  To come to a final state closes
	-- the plan when it wants a reason, or the state means that it was called off.
	ways_in AS (
		SELECT w.workflow, w.state,
			bool_or(w.closes) AS some_close,
			bool_and(w.closes) AS all_close,
			bool_and(w.reasons <> '{}') AS all_want_reason,
			bool_and(w.event IS NOT DISTINCT FROM 'treatment_plan.completed') AS all_complete
		FROM (
			SELECT t.workflow, t.to_state AS state, t.reasons, t.event,
				s.kind = 'final' AND (t.reasons <> '{}'
					OR coalesce(s.fhir_status IN ('revoked', 'entered-in-error'), false)) AS closes
			FROM txplan.workflow_transitions AS t
			JOIN txplan.workflow_states AS s ON s.workflow = t.workflow AND s.state = t.to_state
		) AS w
		GROUP BY w.workflow, w.state
	),
	-- Events of before were dropped or archived by whole months, so none of them is
	-- missed.
	kept AS MATERIALIZED (
		SELECT coalesce(max(r.ends_at), '-infinity') AS since
		FROM txplan.event_removals AS r
		WHERE r.last_event_id IS NOT NULL
	),
	-- The events of each plan in the order of its versions.
	event_chain AS MATERIALIZED (
		SELECT e.plan_id, e.clinic_id, e.plan_version, e.id, e.type,
			lag(e.plan_version, 1, 0::bigint) OVER w AS version_before,
			lag(e.id) OVER w AS id_before,
			lead(e.id) OVER w IS NULL AS is_last
		FROM txplan.events AS e
		WHERE wanted_clinic IS NULL OR e.clinic_id = wanted_clinic
		WINDOW w AS (PARTITION BY e.plan_id, e.clinic_id ORDER BY e.plan_version, e.id)
	),
	-- The events that tell of a completion, counted for each thing completed.
	told AS MATERIALIZED (
		SELECT e.clinic_id, e.type,
			CASE e.type
				WHEN 'treatment_plan.item_session_completed' THEN e.payload ->> 'session_id'
				WHEN 'treatment_plan.treatment_completed' THEN e.payload ->> 'item_id'
				ELSE e.plan_id::text
			END AS subject,
			count(*) AS events,
			min(e.id) AS first_id,
			min(e.plan_id::text)::uuid AS plan_id
		FROM txplan.events AS e
		WHERE e.type IN ('treatment_plan.item_session_completed',
				'treatment_plan.treatment_completed', 'treatment_plan.completed')
			AND (wanted_clinic IS NULL OR e.clinic_id = wanted_clinic)
		GROUP BY 1, 2, 3
	),
	last_status AS (
		SELECT DISTINCT ON (e.plan_id, e.clinic_id)
			e.plan_id, e.clinic_id, e.payload ->> 'new_status' AS status
		FROM txplan.events AS e
		WHERE e.type = 'treatment_plan.status_changed'
			AND (wanted_clinic IS NULL OR e.clinic_id = wanted_clinic)
		ORDER BY e.plan_id, e.clinic_id, e.plan_version DESC
	),
	-- Numbers that read as the clinic's formats write them.
	number_formats AS MATERIALIZED (
		SELECT c.id, k.kind, regexp_match(k.format,
			'^([^{}]*)[{]YYYY[}]([^{}]*)[{]N+[}]([^{}]*)$') AS parts
		FROM txplan.clinics AS c
		CROSS JOIN LATERAL (
			VALUES ('plan', c.plan_number_format), ('budget', c.budget_number_format)
		) AS k (kind, format)
	),
	number_parts AS (
		SELECT n.clinic_id, n.kind, left(n.middle, 4) AS year,
			substr(n.middle, 5 + char_length(n.separator)) AS digits
		FROM (
			SELECT p.clinic_id, p.kind, f.parts[2] AS separator,
				substr(p.number, 1 + char_length(f.parts[1]),
					greatest(0, char_length(p.number)
						- char_length(f.parts[1]) - char_length(f.parts[3]))) AS middle
			FROM (
				SELECT a.clinic_id, 'plan' AS kind, a.number FROM txplan.plans AS a
				UNION ALL
				SELECT b.clinic_id, 'budget', b.number FROM txplan.budgets AS b
				WHERE b.version = 1
			) AS p
			JOIN number_formats AS f ON f.id = p.clinic_id AND f.kind = p.kind
			WHERE starts_with(p.number, f.parts[1])
				AND right(p.number, char_length(f.parts[3])) = f.parts[3]
				AND (wanted_clinic IS NULL OR p.clinic_id = wanted_clinic)
		) AS n
		WHERE starts_with(substr(n.middle, 5), n.separator)
	),
	highest_numbers AS (
		SELECT n.clinic_id, n.kind,
			CASE WHEN n.year ~ '^[0-9]{4}$' THEN n.year::integer END AS year,
			max(CASE WHEN n.digits ~ '^[0-9]{1,18}$' THEN n.digits::bigint END) AS number
		FROM number_parts AS n
		GROUP BY 1, 2, 3
	),
	-- References that no foreign key guards while one is missing.
	broken AS (
		SELECT r.clinic_id, r.plan_id, r.id, r.place, r.clinic_id AS value, 'clinic' AS target
		FROM (
			SELECT x.clinic_id, x.id AS plan_id, x.id, 'plans.clinic_id' AS place
			FROM txplan.plans AS x
			UNION ALL
			SELECT x.clinic_id, NULL, x.id, 'professionals.clinic_id'
			FROM txplan.professionals AS x
			UNION ALL
			SELECT x.clinic_id, NULL, x.id, 'patients.clinic_id'
			FROM txplan.patients AS x
			UNION ALL
			SELECT x.clinic_id, NULL, x.id, 'catalog_items.clinic_id'
			FROM txplan.catalog_items AS x
			UNION ALL
			SELECT x.clinic_id, NULL, NULL, 'number_counters.clinic_id'
			FROM txplan.number_counters AS x
		) AS r
		WHERE NOT EXISTS (SELECT FROM txplan.clinics AS c WHERE c.id = r.clinic_id)
		UNION ALL
		SELECT x.clinic_id, NULL, x.id, 'catalog_sessions.catalog_item_id', x.catalog_item_id,
			'catalog item'
		FROM txplan.catalog_sessions AS x
		WHERE NOT EXISTS (SELECT FROM txplan.catalog_items AS c
			WHERE c.id = x.catalog_item_id AND c.clinic_id = x.clinic_id)
		UNION ALL
		SELECT x.clinic_id, x.id, x.id, 'plans.patient_id', x.patient_id, 'patient'
		FROM txplan.plans AS x
		WHERE NOT EXISTS (SELECT FROM txplan.patients AS t
			WHERE t.id = x.patient_id AND t.clinic_id = x.clinic_id)
		UNION ALL
		SELECT x.clinic_id, x.plan_id, x.id, 'items.plan_id', x.plan_id, 'plan'
		FROM txplan.items AS x
		WHERE NOT EXISTS (SELECT FROM txplan.plans AS p
			WHERE p.id = x.plan_id AND p.clinic_id = x.clinic_id)
		UNION ALL
		SELECT x.clinic_id, x.plan_id, x.id, 'items.catalog_item_id', x.catalog_item_id,
			'catalog item'
		FROM txplan.items AS x
		WHERE x.catalog_item_id IS NOT NULL
			AND NOT EXISTS (SELECT FROM txplan.catalog_items AS c
				WHERE c.id = x.catalog_item_id AND c.clinic_id = x.clinic_id)
		UNION ALL
		SELECT x.clinic_id, x.plan_id, x.id, 'sessions.item_id', x.item_id, 'item'
		FROM txplan.sessions AS x
		WHERE NOT EXISTS (SELECT FROM txplan.items AS i
			WHERE i.id = x.item_id AND i.clinic_id = x.clinic_id)
		UNION ALL
		SELECT x.clinic_id, x.plan_id, x.id, 'contacts.plan_id', x.plan_id, 'plan'
		FROM txplan.contacts AS x
		WHERE NOT EXISTS (SELECT FROM txplan.plans AS p
			WHERE p.id = x.plan_id AND p.clinic_id = x.clinic_id)
		UNION ALL
		SELECT x.clinic_id, x.plan_id, x.id, 'contacts.corrects_id', x.corrects_id, 'contact'
		FROM txplan.contacts AS x
		WHERE x.corrects_id IS NOT NULL
			AND NOT EXISTS (SELECT FROM txplan.contacts AS c
				WHERE c.id = x.corrects_id AND c.clinic_id = x.clinic_id)
		UNION ALL
		SELECT x.clinic_id, x.plan_id, x.id, 'appointments.patient_id', x.patient_id, 'patient'
		FROM txplan.appointments AS x
		WHERE NOT EXISTS (SELECT FROM txplan.patients AS t
			WHERE t.id = x.patient_id AND t.clinic_id = x.clinic_id)
		UNION ALL
		SELECT x.clinic_id, x.plan_id, x.id, 'appointments.plan_id', x.plan_id, 'plan'
		FROM txplan.appointments AS x
		WHERE x.plan_id IS NOT NULL
			AND NOT EXISTS (SELECT FROM txplan.plans AS p
				WHERE p.id = x.plan_id AND p.clinic_id = x.clinic_id)
		UNION ALL
		SELECT x.clinic_id, x.plan_id, x.id, 'budgets.patient_id', x.patient_id, 'patient'
		FROM txplan.budgets AS x
		WHERE NOT EXISTS (SELECT FROM txplan.patients AS t
			WHERE t.id = x.patient_id AND t.clinic_id = x.clinic_id)
		UNION ALL
		SELECT x.clinic_id, x.plan_id, x.id, 'budgets.plan_id', x.plan_id, 'plan'
		FROM txplan.budgets AS x
		WHERE x.plan_id IS NOT NULL
			AND NOT EXISTS (SELECT FROM txplan.plans AS p
				WHERE p.id = x.plan_id AND p.clinic_id = x.clinic_id)
		UNION ALL
		SELECT x.clinic_id, NULL, x.id, 'budget_lines.budget_id', x.budget_id, 'budget'
		FROM txplan.budget_lines AS x
		WHERE NOT EXISTS (SELECT FROM txplan.budgets AS b
			WHERE b.id = x.budget_id AND b.clinic_id = x.clinic_id)
		UNION ALL
		SELECT x.clinic_id, NULL, x.id, 'budget_lines.item_id', x.item_id, 'item'
		FROM txplan.budget_lines AS x
		WHERE x.item_id IS NOT NULL
			AND NOT EXISTS (SELECT FROM txplan.items AS i
				WHERE i.id = x.item_id AND i.clinic_id = x.clinic_id)
		UNION ALL
		SELECT x.clinic_id, NULL, x.id, 'recall_suggestions.item_id', x.item_id, 'item'
		FROM txplan.recall_suggestions AS x
		WHERE NOT EXISTS (SELECT FROM txplan.items AS i
			WHERE i.id = x.item_id AND i.clinic_id = x.clinic_id)
		UNION ALL
		SELECT r.clinic_id, r.plan_id, r.id, r.place, r.professional_id, 'professional'
		FROM (
			SELECT x.clinic_id, x.id AS plan_id, x.id, 'plans.professional_id' AS place,
				x.professional_id
			FROM txplan.plans AS x
			UNION ALL
			SELECT x.clinic_id, x.plan_id, x.id, 'items.professional_id', x.professional_id
			FROM txplan.items AS x
			UNION ALL
			SELECT x.clinic_id, x.plan_id, x.id, 'earned_entries.professional_id',
				x.professional_id
			FROM txplan.earned_entries AS x
			UNION ALL
			SELECT x.clinic_id, x.plan_id, x.id, 'appointments.professional_id',
				x.professional_id
			FROM txplan.appointments AS x
		) AS r
		WHERE r.professional_id IS NOT NULL
			AND NOT EXISTS (SELECT FROM txplan.professionals AS d
				WHERE d.id = r.professional_id AND d.clinic_id = r.clinic_id)
	),
	faults (clinic_id, plan_id, row_id, fault, detail, hint) AS (
		-- Plans.
		SELECT p.clinic_id, p.id, p.id, 'plan counters differ',
			format('The plan counts %s items, %s completed and %s cancelled; its rows are %s, %s and %s.',
				p.items_total, p.items_completed, p.items_cancelled,
				coalesce(n.total, 0), coalesce(n.completed, 0), coalesce(n.cancelled, 0)),
			'Set items_total, items_completed and items_cancelled to the counts, as a superuser with session_replication_role = replica.'
		FROM txplan.plans AS p
		LEFT JOIN item_sums AS n ON n.plan_id = p.id AND n.clinic_id = p.clinic_id
		WHERE (p.items_total, p.items_completed, p.items_cancelled)
				<> (coalesce(n.total, 0), coalesce(n.completed, 0), coalesce(n.cancelled, 0))
			AND (wanted_clinic IS NULL OR p.clinic_id = wanted_clinic)
		UNION ALL
		SELECT p.clinic_id, p.id, p.id, 'unknown state',
			format('Workflow %s has no state %s.', p.workflow, p.status),
			'Insert the state into txplan.workflow_states again, or put the plan into a state of its workflow, as a superuser with session_replication_role = replica.'
		FROM txplan.plans AS p
		WHERE NOT EXISTS (SELECT FROM txplan.workflow_states AS w
				WHERE w.workflow = p.workflow AND w.state = p.status)
			AND (wanted_clinic IS NULL OR p.clinic_id = wanted_clinic)
		UNION ALL
		-- Only the shipped guards can be judged by the rows.
		SELECT p.clinic_id, p.id, p.id, 'plan stuck',
			format('The plan is %s, and nothing holds it from %s any more, which the engine does by itself.',
				p.status, t.action),
			format('SELECT txplan.advance_plan(%L) lets it go on.', p.id)
		FROM txplan.plans AS p
		JOIN txplan.workflow_transitions AS t ON t.workflow = p.workflow AND t.from_state = p.status
		LEFT JOIN item_sums AS n ON n.plan_id = p.id AND n.clinic_id = p.clinic_id
		WHERE t.automatic
			AND t.reasons = '{}'
			AND t.guards <@ '{txplan.plan_has_item,txplan.plan_is_done}'
			AND ('txplan.plan_has_item' <> ALL (t.guards) OR n.total > n.cancelled)
			AND ('txplan.plan_is_done' <> ALL (t.guards)
				OR (n.completed > 0 AND n.total = n.completed + n.cancelled))
			AND (wanted_clinic IS NULL OR p.clinic_id = wanted_clinic)
		UNION ALL
		SELECT f.clinic_id, f.id, f.id, 'time stamps differ', f.detail,
			'Mend the time stamps and the closure''s reason and note by the plan''s history, as a superuser with session_replication_role = replica.'
		FROM (
			SELECT p.clinic_id, p.id, concat_ws(' ',
				CASE WHEN w.kind = 'initial' AND p.confirmed_at IS NOT NULL
					THEN format('The plan is %s, where plans begin, and has confirmed_at.', p.status) END,
				CASE WHEN w.kind = 'initial' AND p.activated_at IS NOT NULL AND NOT w.treatable
					THEN format('The plan is %s, where plans begin, and has activated_at.', p.status) END,
				CASE WHEN w.kind <> 'final' AND p.completed_at IS NOT NULL
					THEN format('The plan is %s, which is not final, and has completed_at.', p.status) END,
				CASE WHEN w.kind <> 'final' AND p.closed_at IS NOT NULL
					THEN format('The plan is %s, which is not final, and has closed_at.', p.status) END,
				CASE WHEN w.kind = 'final' AND i.all_close AND p.closed_at IS NULL
					THEN format('The plan is %s, which is a closing, and has no closed_at.', p.status) END,
				CASE WHEN w.kind = 'final' AND i.all_want_reason AND p.closed_at IS NOT NULL
						AND p.closure_reason IS NULL
					THEN format('The plan is %s, which is a closing, and has no closure_reason.', p.status) END,
				CASE WHEN w.kind = 'final' AND NOT i.some_close AND p.closed_at IS NOT NULL
					THEN format('The plan is %s, which is no closing, and has closed_at.', p.status) END,
				CASE WHEN w.kind = 'final' AND i.all_close IS NOT TRUE
						AND p.completed_at IS NULL AND p.closed_at IS NULL
					THEN format('The plan is %s, which is final, and has no completed_at.', p.status) END,
				CASE WHEN p.closed_at IS NULL
						AND (p.closure_reason IS NOT NULL OR p.closure_note IS NOT NULL)
					THEN 'The plan has a closure reason or note and no closed_at.' END) AS detail
			FROM txplan.plans AS p
			LEFT JOIN txplan.workflow_states AS w ON w.workflow = p.workflow AND w.state = p.status
			LEFT JOIN ways_in AS i ON i.workflow = p.workflow AND i.state = p.status
			WHERE wanted_clinic IS NULL OR p.clinic_id = wanted_clinic
		) AS f
		WHERE f.detail <> ''
		UNION ALL
		SELECT h.clinic_id, NULL, NULL, 'number counter behind',
			format('The highest %s number of %s is %s, and its counter stands at %s.',
				h.kind, h.year, h.number, coalesce(c.last_number::text, 'nothing')),
			'Set last_number in txplan.number_counters to the highest number, as a superuser with session_replication_role = replica.'
		FROM highest_numbers AS h
		LEFT JOIN txplan.number_counters AS c ON c.clinic_id = h.clinic_id
			AND c.kind = h.kind AND c.year = h.year
		WHERE h.year IS NOT NULL
			AND h.number > coalesce(c.last_number, 0)
		UNION ALL
		SELECT c.id, NULL, c.id, 'time zone unfit',
			format('Time zone "%s" %s.', c.time_zone, txplan.time_zone_fault(c.time_zone)),
			'Set time_zone of the clinic to an area and a city, as Europe/Madrid.'
		FROM txplan.clinics AS c
		WHERE txplan.time_zone_fault(c.time_zone) IS NOT NULL
			AND (wanted_clinic IS NULL OR c.id = wanted_clinic)
		UNION ALL
		-- Items.
		SELECT i.clinic_id, i.plan_id, i.id, 'item without session',
			'The item has no session.',
			'Insert its session over the whole price, and count it in sessions_total, as a superuser with session_replication_role = replica.'
		FROM txplan.items AS i
		WHERE NOT EXISTS (SELECT FROM session_sums AS n
				WHERE n.item_id = i.id AND n.clinic_id = i.clinic_id)
			AND (wanted_clinic IS NULL OR i.clinic_id = wanted_clinic)
		UNION ALL
		SELECT i.clinic_id, i.plan_id, i.id, 'item counters differ',
			format('The item counts %s sessions, %s completed and %s cancelled; its rows are %s, %s and %s.',
				i.sessions_total, i.sessions_completed, i.sessions_cancelled,
				coalesce(n.total, 0), coalesce(n.completed, 0), coalesce(n.cancelled, 0)),
			'Set sessions_total, sessions_completed and sessions_cancelled to the counts, as a superuser with session_replication_role = replica.'
		FROM txplan.items AS i
		LEFT JOIN session_sums AS n ON n.item_id = i.id AND n.clinic_id = i.clinic_id
		WHERE (i.sessions_total, i.sessions_completed, i.sessions_cancelled)
				<> (coalesce(n.total, 0), coalesce(n.completed, 0), coalesce(n.cancelled, 0))
			AND (wanted_clinic IS NULL OR i.clinic_id = wanted_clinic)
		UNION ALL
		SELECT f.clinic_id, f.plan_id, f.id, 'item status differs',
			format('The item is %s; by its sessions it is %s.', f.status, f.expected),
			'Set its status, and completed_at, completed_by and completed_via with it, by its sessions, as a superuser with session_replication_role = replica.'
		FROM (
			SELECT i.clinic_id, i.plan_id, i.id, i.status,
				CASE WHEN n.cancelled = n.total THEN 'cancelled'
					WHEN n.completed + n.cancelled = n.total THEN 'completed'
					ELSE 'pending' END AS expected
			FROM txplan.items AS i
			JOIN session_sums AS n ON n.item_id = i.id AND n.clinic_id = i.clinic_id
		) AS f
		WHERE f.status <> f.expected
		UNION ALL
		SELECT i.clinic_id, i.plan_id, i.id, 'amounts differ',
			format('The price is %s; the sessions that are neither cancelled nor void add up to %s.', i.price, n.amount),
			CASE WHEN i.status = 'pending'
				THEN 'Update the item''s price: its pending sessions then share what is not yet earned; or mend the amounts as a superuser with session_replication_role = replica.'
				ELSE 'Mend the price or the amounts by the plan''s history, as a superuser with session_replication_role = replica.'
			END
		FROM txplan.items AS i
		JOIN session_sums AS n ON n.item_id = i.id AND n.clinic_id = i.clinic_id
		WHERE n.amount > i.price
			OR (n.left_out = 0 AND n.amount <> i.price)
		UNION ALL
		SELECT i.clinic_id, i.plan_id, i.id, 'earned too much',
			format('The item earned %s; its sessions that are neither cancelled nor void add up to %s.',
				e.amount, coalesce(n.amount, 0.00)),
			'Compare its earned entries with its completed sessions, and mend the ones that differ, as a superuser with session_replication_role = replica.'
		FROM txplan.items AS i
		JOIN item_earnings AS e ON e.item_id = i.id AND e.clinic_id = i.clinic_id
		LEFT JOIN session_sums AS n ON n.item_id = i.id AND n.clinic_id = i.clinic_id
		WHERE e.amount > coalesce(n.amount, 0)
		UNION ALL
		SELECT i.clinic_id, i.plan_id, i.id, 'live flag differs',
			format('The item is %s and its plan %s, so live should be %s.', i.status, p.status,
				CASE WHEN i.live THEN 'false' ELSE 'true' END),
			'Set live as the detail says, as a superuser with session_replication_role = replica.'
		FROM txplan.items AS i
		JOIN txplan.plans AS p ON p.id = i.plan_id AND p.clinic_id = i.clinic_id
		WHERE i.live <> (i.status <> 'cancelled' AND p.closed_at IS NULL)
			AND (wanted_clinic IS NULL OR i.clinic_id = wanted_clinic)
		UNION ALL
		SELECT f.clinic_id, f.plan_id, f.id, 'treatment shared',
			format('%s live items of the clinic have treatment_ref %s.', f.items, f.treatment_ref),
			'Remove or cancel the items that were added by mistake, or change their treatment_ref.'
		FROM (
			SELECT i.clinic_id, i.plan_id, i.id, i.treatment_ref,
				count(*) OVER (PARTITION BY i.clinic_id, i.treatment_ref) AS items
			FROM txplan.items AS i
			WHERE i.live
				AND i.treatment_ref IS NOT NULL
				AND (wanted_clinic IS NULL OR i.clinic_id = wanted_clinic)
		) AS f
		WHERE f.items > 1
		UNION ALL
		-- Sessions, and what they earned.
		SELECT s.clinic_id, i.plan_id, s.id, 'session of another plan',
			format('The session names plan %s, and its item belongs to plan %s.', s.plan_id, i.plan_id),
			'Set plan_id of the session to that of its item, as a superuser with session_replication_role = replica.'
		FROM txplan.sessions AS s
		JOIN txplan.items AS i ON i.id = s.item_id AND i.clinic_id = s.clinic_id
		WHERE s.plan_id <> i.plan_id
			AND (wanted_clinic IS NULL OR s.clinic_id = wanted_clinic)
		UNION ALL
		SELECT s.clinic_id, s.plan_id, s.id,
			CASE WHEN n.entries IS NULL THEN 'earned entry missing' ELSE 'earned entry twice' END,
			format('The completed session has %s earned entries.', coalesce(n.entries, 0)),
			CASE WHEN n.entries IS NULL
				THEN 'Insert the entry by the session''s amount and completed_at, as a superuser with session_replication_role = replica.'
				ELSE 'Delete all of its entries but the first, as a superuser with session_replication_role = replica.'
			END
		FROM txplan.sessions AS s
		LEFT JOIN session_entries AS n ON n.session_id = s.id AND n.clinic_id = s.clinic_id
		WHERE s.status = 'completed'
			AND n.entries IS DISTINCT FROM 1
			AND (wanted_clinic IS NULL OR s.clinic_id = wanted_clinic)
		UNION ALL
		SELECT e.clinic_id, e.plan_id, e.id, 'earned entry without completion',
			format('Session %s of the entry is %s.', e.session_id, coalesce(s.status, 'missing')),
			'Delete the entry, as a superuser with session_replication_role = replica, after the history told that the session was never completed.'
		FROM txplan.earned_entries AS e
		LEFT JOIN txplan.sessions AS s ON s.id = e.session_id AND s.clinic_id = e.clinic_id
		WHERE s.status IS DISTINCT FROM 'completed'
			AND (wanted_clinic IS NULL OR e.clinic_id = wanted_clinic)
		UNION ALL
		SELECT f.clinic_id, f.plan_id, f.id, 'earned entry differs',
			format('The entry has another %s than its session, with its item and its plan.', f.columns),
			'Mend the entry by its session, item and plan, as a superuser with session_replication_role = replica.'
		FROM (
			SELECT e.clinic_id, e.plan_id, e.id, concat_ws(', ',
				CASE WHEN e.amount <> CASE WHEN e.voids_id IS NULL THEN s.amount ELSE -s.amount END
					THEN 'amount' END,
				CASE WHEN e.item_id <> s.item_id THEN 'item_id' END,
				CASE WHEN e.plan_id <> i.plan_id THEN 'plan_id' END,
				CASE WHEN e.patient_id <> p.patient_id THEN 'patient_id' END) AS columns
			FROM txplan.earned_entries AS e
			JOIN txplan.sessions AS s ON s.id = e.session_id AND s.clinic_id = e.clinic_id
			LEFT JOIN txplan.items AS i ON i.id = s.item_id AND i.clinic_id = s.clinic_id
			LEFT JOIN txplan.plans AS p ON p.id = i.plan_id AND p.clinic_id = i.clinic_id
			WHERE wanted_clinic IS NULL OR e.clinic_id = wanted_clinic
		) AS f
		WHERE f.columns <> ''
		UNION ALL
		SELECT e.clinic_id, e.plan_id, e.id, 'void differs',
			CASE WHEN o.id IS NULL THEN format('The clinic has no entry %s, which it voids.', e.voids_id)
				ELSE format('It voids entry %s, which is %s.', o.id,
					CASE WHEN o.voids_id IS NOT NULL THEN 'a void itself'
						WHEN o.session_id <> e.session_id THEN 'that of another session'
						ELSE 'another doctor''s' END)
			END,
			'Mend voids_id by the plan''s history, or delete the void, as a superuser with session_replication_role = replica.'
		FROM txplan.earned_entries AS e
		LEFT JOIN txplan.earned_entries AS o ON o.id = e.voids_id AND o.clinic_id = e.clinic_id
		WHERE e.voids_id IS NOT NULL
			AND (o.id IS NULL
				OR o.voids_id IS NOT NULL
				OR o.session_id <> e.session_id
				OR o.professional_id IS DISTINCT FROM e.professional_id)
			AND (wanted_clinic IS NULL OR e.clinic_id = wanted_clinic)
		UNION ALL
		SELECT h.clinic_id, h.plan_id, h.session_id, 'void missing',
			format('Row %s of the plan''s history tells that %s were voided, and no entry of the session does so.',
				h.sequence, h.from_value),
			'Insert the void by the entry and the history, as a superuser with session_replication_role = replica.'
		FROM txplan.history AS h
		WHERE h.what = 'earned_void'
			AND NOT EXISTS (SELECT FROM txplan.earned_entries AS e
				WHERE e.session_id = h.session_id AND e.clinic_id = h.clinic_id
					AND e.voids_id IS NOT NULL)
			AND (wanted_clinic IS NULL OR h.clinic_id = wanted_clinic)
		UNION ALL
		-- Contacts, appointments and recalls.
		SELECT p.clinic_id, p.id, p.id, 'last contact differs',
			format('The plan says %s and %s; its latest contact that none corrects says %s and %s.',
				coalesce(p.last_contact_at::text, 'never'), coalesce(p.next_contact_at::text, 'never'),
				coalesce(c.contacted_at::text, 'never'), coalesce(c.next_contact_at::text, 'never')),
			'Set last_contact_at and next_contact_at to those of that contact, as a superuser with session_replication_role = replica.'
		FROM txplan.plans AS p
		LEFT JOIN (
			SELECT DISTINCT ON (c.plan_id, c.clinic_id)
				c.plan_id, c.clinic_id, c.contacted_at, c.next_contact_at
			FROM txplan.contacts AS c
			WHERE NOT EXISTS (SELECT FROM txplan.contacts AS x
					WHERE x.corrects_id = c.id AND x.clinic_id = c.clinic_id)
				AND (wanted_clinic IS NULL OR c.clinic_id = wanted_clinic)
			ORDER BY c.plan_id, c.clinic_id, c.contacted_at DESC, c.created_at DESC, c.id DESC
		) AS c ON c.plan_id = p.id AND c.clinic_id = p.clinic_id
		WHERE (p.last_contact_at IS DISTINCT FROM c.contacted_at
				OR p.next_contact_at IS DISTINCT FROM c.next_contact_at)
			AND (wanted_clinic IS NULL OR p.clinic_id = wanted_clinic)
		UNION ALL
		SELECT c.clinic_id, c.plan_id, c.id, 'correction of another plan',
			format('The contact corrects contact %s, which is one of plan %s.', o.id, o.plan_id),
			'Set corrects_id by the plan''s history, as a superuser with session_replication_role = replica.'
		FROM txplan.contacts AS c
		JOIN txplan.contacts AS o ON o.id = c.corrects_id AND o.clinic_id = c.clinic_id
		WHERE o.plan_id <> c.plan_id
			AND (wanted_clinic IS NULL OR c.clinic_id = wanted_clinic)
		UNION ALL
		SELECT f.clinic_id, f.plan_id, f.id, 'appointment differs', f.detail,
			'Set what the appointment is for by the plan''s history, as a superuser with session_replication_role = replica.'
		FROM (
			SELECT a.clinic_id, a.plan_id, a.id, concat_ws(' ',
				CASE WHEN a.patient_id <> p.patient_id
					THEN format('Its plan is one of patient %s.', p.patient_id) END,
				CASE WHEN a.item_id IS NOT NULL AND i.plan_id IS DISTINCT FROM a.plan_id
					THEN format('Its item is one of plan %s.', coalesce(i.plan_id::text, 'none')) END,
				CASE WHEN a.session_id IS NOT NULL AND s.item_id IS DISTINCT FROM a.item_id
					THEN format('Its session is one of item %s.', coalesce(s.item_id::text, 'none')) END) AS detail
			FROM txplan.appointments AS a
			LEFT JOIN txplan.plans AS p ON p.id = a.plan_id AND p.clinic_id = a.clinic_id
			LEFT JOIN txplan.items AS i ON i.id = a.item_id AND i.clinic_id = a.clinic_id
			LEFT JOIN txplan.sessions AS s ON s.id = a.session_id AND s.clinic_id = a.clinic_id
			WHERE wanted_clinic IS NULL OR a.clinic_id = wanted_clinic
		) AS f
		WHERE f.detail <> ''
		UNION ALL
		SELECT f.clinic_id, f.plan_id, f.id, 'recall differs', f.detail,
			'Delete the suggestion, or set what differs by its item and its appointment, as a superuser with session_replication_role = replica.'
		FROM (
			SELECT r.clinic_id, i.plan_id, r.id, concat_ws(' ',
				CASE WHEN i.status <> 'completed' THEN format('Its item is %s.', i.status) END,
				CASE WHEN r.patient_id <> p.patient_id
					THEN format('Its item is one of patient %s.', p.patient_id) END,
				CASE WHEN a.id IS NOT NULL AND a.status NOT IN ('booked', 'completed')
					THEN format('The appointment that closed it is %s.', a.status) END,
				CASE WHEN a.id IS NOT NULL AND a.recall_id IS DISTINCT FROM r.id
					THEN 'The appointment that closed it names another.' END) AS detail
			FROM txplan.recall_suggestions AS r
			JOIN txplan.items AS i ON i.id = r.item_id AND i.clinic_id = r.clinic_id
			JOIN txplan.plans AS p ON p.id = i.plan_id AND p.clinic_id = i.clinic_id
			LEFT JOIN txplan.appointments AS a ON a.id = r.appointment_id AND a.clinic_id = r.clinic_id
			WHERE wanted_clinic IS NULL OR r.clinic_id = wanted_clinic
		) AS f
		WHERE f.detail <> ''
		UNION ALL
		SELECT a.clinic_id, a.plan_id, a.id, 'recall not closed',
			format('The appointment is %s and names recall suggestion %s, which it has not closed.', a.status, r.id),
			'Set appointment_id and closed_at of the suggestion, as a superuser with session_replication_role = replica.'
		FROM txplan.appointments AS a
		JOIN txplan.recall_suggestions AS r ON r.id = a.recall_id AND r.clinic_id = a.clinic_id
		WHERE a.status IN ('booked', 'completed')
			AND r.appointment_id IS DISTINCT FROM a.id
			AND (wanted_clinic IS NULL OR a.clinic_id = wanted_clinic)
		UNION ALL
		-- References and templates.
		SELECT b.clinic_id, b.plan_id, b.id, 'reference broken',
			format('%s is %s, and the clinic has no such %s.', b.place, b.value, b.target),
			'Name a row of the same clinic, or bring back the row that is missing, and call txplan.install() again for its foreign key.'
		FROM broken AS b
		WHERE wanted_clinic IS NULL OR b.clinic_id = wanted_clinic
		UNION ALL
		SELECT c.clinic_id, NULL, c.id, 'template differs',
			format('The price is %s; the sessions of the template add up to %s.', c.price, sum(s.price)),
			'Update the price, or the sessions of the template, so that they add up.'
		FROM txplan.catalog_items AS c
		JOIN txplan.catalog_sessions AS s ON s.catalog_item_id = c.id AND s.clinic_id = c.clinic_id
		WHERE wanted_clinic IS NULL OR c.clinic_id = wanted_clinic
		GROUP BY c.clinic_id, c.id, c.price
		HAVING sum(s.price) <> c.price
		UNION ALL
		-- Events.
		SELECT c.clinic_id, c.plan_id, NULL, 'event missing',
			format('Versions %s to %s of the plan have no event.', c.version_before + 1, c.plan_version - 1),
			'An event cannot be made again: restore it from a backup.'
		FROM event_chain AS c
		CROSS JOIN kept AS k
		LEFT JOIN txplan.plans AS p ON p.id = c.plan_id AND p.clinic_id = c.clinic_id
		WHERE c.plan_version > c.version_before + 1
			AND (c.id_before IS NOT NULL
				OR k.since = '-infinity'
				OR p.created_at >= k.since)
		UNION ALL
		SELECT c.clinic_id, c.plan_id, NULL, 'event twice',
			format('Events %s and %s both have version %s of the plan.', c.id_before, c.id, c.plan_version),
			'Keep the one that fits the plan''s history.'
		FROM event_chain AS c
		WHERE c.plan_version <= c.version_before
		UNION ALL
		SELECT c.clinic_id, c.plan_id, NULL, 'events out of order',
			format('Event %s with version %s has a lower number than event %s with version %s.',
				c.id, c.plan_version, c.id_before, c.version_before),
			'Consumers read by number: tell them that these two events came the other way round.'
		FROM event_chain AS c
		WHERE c.id < c.id_before
		UNION ALL
		SELECT p.clinic_id, p.id, p.id, 'plan version differs',
			format('The plan has version %s, and its last event has %s.',
				p.version, coalesce(c.plan_version, 0)),
			'Restore the events that are missing from a backup, or set the version to that of the last event, as a superuser with session_replication_role = replica.'
		FROM txplan.plans AS p
		CROSS JOIN kept AS k
		LEFT JOIN event_chain AS c ON c.plan_id = p.id AND c.clinic_id = p.clinic_id AND c.is_last
		LEFT JOIN txplan.history AS h
			ON h.plan_id = p.id AND h.clinic_id = p.clinic_id AND h.sequence = p.history_length
		WHERE p.version <> coalesce(c.plan_version, 0)
			AND NOT (c.plan_id IS NULL AND coalesce(h.at < k.since, false))
			AND (wanted_clinic IS NULL OR p.clinic_id = wanted_clinic)
		UNION ALL
		SELECT c.clinic_id, c.plan_id, NULL, 'plan missing',
			format('The plan is gone, and its last event is %s instead of treatment_plan.deleted.', c.type),
			'Restore the plan with all that was below it from a backup.'
		FROM event_chain AS c
		WHERE c.is_last
			AND c.type <> 'treatment_plan.deleted'
			AND NOT EXISTS (SELECT FROM txplan.plans AS p
				WHERE p.id = c.plan_id AND p.clinic_id = c.clinic_id)
		UNION ALL
		SELECT p.clinic_id, p.id, p.id, 'status without event',
			CASE WHEN l.plan_id IS NULL
				THEN format('The plan is %s, and no event treatment_plan.status_changed says so.', p.status)
				ELSE format('The plan is %s, and its last event treatment_plan.status_changed says %s.',
					p.status, coalesce(l.status, 'nothing'))
			END,
			'Look into the plan''s history for how it came there, and restore what is missing from a backup.'
		FROM txplan.plans AS p
		CROSS JOIN kept AS k
		LEFT JOIN last_status AS l ON l.plan_id = p.id AND l.clinic_id = p.clinic_id
		LEFT JOIN txplan.workflow_states AS w ON w.workflow = p.workflow AND w.state = p.status
		WHERE CASE WHEN l.plan_id IS NULL
				THEN w.kind <> 'initial' AND p.status_changed_at >= k.since
				ELSE l.status IS DISTINCT FROM p.status END
			AND (wanted_clinic IS NULL OR p.clinic_id = wanted_clinic)
		UNION ALL
		SELECT p.clinic_id, p.id, p.id, 'completion without event',
			format('The plan is %s, and no event treatment_plan.completed says so.', p.status),
			'An event cannot be made again: restore it from a backup.'
		FROM txplan.plans AS p
		CROSS JOIN kept AS k
		JOIN ways_in AS i ON i.workflow = p.workflow AND i.state = p.status
		WHERE i.all_complete
			AND coalesce(p.completed_at >= k.since, true)
			AND NOT EXISTS (SELECT FROM told AS t
				WHERE t.type = 'treatment_plan.completed'
					AND t.subject = p.id::text AND t.clinic_id = p.clinic_id)
			AND (wanted_clinic IS NULL OR p.clinic_id = wanted_clinic)
		UNION ALL
		SELECT coalesce(d.clinic_id, t.clinic_id), coalesce(d.plan_id, t.plan_id), d.id,
			CASE WHEN t.events IS NULL THEN 'completion without event'
				WHEN d.id IS NULL THEN 'event without completion'
				ELSE 'completion with several events' END,
			CASE WHEN t.events IS NULL
				THEN format('The %s is completed, and no event says so.', d.thing)
				WHEN d.id IS NULL
				THEN format('Event %s tells of the completion of %s, which is not completed.',
					t.first_id, coalesce(t.subject, 'nothing'))
				ELSE format('The %s is completed, and %s events say so.', d.thing, t.events)
			END,
			CASE WHEN t.events IS NULL
				THEN 'An event cannot be made again: restore it from a backup.'
				WHEN d.id IS NULL
				THEN 'Look into the plan''s history for whether the completion was lost, and restore it from a backup.'
				ELSE 'Keep the event that fits the plan''s history, and tell consumers that the others are void.'
			END
		FROM (
			SELECT s.clinic_id, s.plan_id, s.id, 'session' AS thing,
				'treatment_plan.item_session_completed' AS type, s.completed_at
			FROM txplan.sessions AS s
			WHERE s.status = 'completed'
				AND (wanted_clinic IS NULL OR s.clinic_id = wanted_clinic)
			UNION ALL
			SELECT i.clinic_id, i.plan_id, i.id, 'item',
				'treatment_plan.treatment_completed', i.completed_at
			FROM txplan.items AS i
			WHERE i.status = 'completed'
				AND (wanted_clinic IS NULL OR i.clinic_id = wanted_clinic)
		) AS d
		FULL JOIN (
			SELECT t.* FROM told AS t WHERE t.type <> 'treatment_plan.completed'
		) AS t ON t.subject = d.id::text AND t.type = d.type AND t.clinic_id = d.clinic_id
		CROSS JOIN kept AS k
		WHERE d.id IS NULL
			OR t.events > 1
			OR t.events IS NULL AND coalesce(d.completed_at >= k.since, true)
		UNION ALL
		-- Budgets.
		SELECT b.clinic_id, b.plan_id, b.row_id, b.fault, b.detail, b.hint
		FROM txplan.budget_faults(wanted_clinic) AS b
		UNION ALL
		-- Stages, counts and what is searched.
		SELECT b.clinic_id, b.plan_id, b.row_id, b.fault, b.detail, b.hint
		FROM txplan.inbox_faults(wanted_clinic) AS b
		UNION ALL
		-- History, by its chains.
		SELECT f.clinic_id, f.plan, f.row_id, 'history: ' || f.fault,
			CASE WHEN f.fault = 'head differs' THEN f.detail
				ELSE format('Row %s of the chain: %s', f.sequence, f.detail) END,
			'History cannot be mended: compare it with a backup and with the plan''s events, and find out who changed it.'
		FROM (
			SELECT v.plan, v.sequence, v.fault, v.detail,
				coalesce(
					(SELECT p.clinic_id FROM txplan.plans AS p WHERE p.id = v.plan LIMIT 1),
					(SELECT h.clinic_id FROM txplan.history AS h WHERE h.plan_id = v.plan LIMIT 1)
				) AS clinic_id,
				CASE WHEN v.fault = 'head differs' THEN v.plan
					ELSE (SELECT h.id FROM txplan.history AS h
						WHERE h.plan_id = v.plan AND h.sequence = v.sequence LIMIT 1)
				END AS row_id
			FROM txplan.history_faults(NULL) AS v
		) AS f
		WHERE wanted_clinic IS NULL OR f.clinic_id = wanted_clinic
	)
	SELECT f.clinic_id, f.plan_id, f.row_id, f.fault, f.detail, f.hint
	FROM faults AS f
	ORDER BY f.clinic_id, f.plan_id NULLS FIRST, f.fault COLLATE "C", f.row_id, f.detail COLLATE "C"
$$;

COMMENT ON FUNCTION txplan.audit_faults(uuid) IS
'What audit() returns, without its checks: call audit().';

CREATE FUNCTION txplan.audit(clinic_id uuid DEFAULT NULL)
RETURNS TABLE (clinic uuid, plan uuid, row_id uuid, fault text, detail text, hint text)
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'txplan_audit';

COMMENT ON FUNCTION txplan.audit(uuid) IS
'Lists what does not fit together in the record; no row when all is well.

clinic_id: one clinic; NULL checks all.
Compares counters, statuses, amounts, earned entries, references, time stamps and
numbers with the rows that they follow from, and events and history with both.
plan and row_id say where, detail what, and hint how it can be mended;
docs/audit.md lists the faults. It reads every row of the record once or a few
times, changes nothing and locks nothing.
Errors: P0002 for an unknown clinic, 42501 without the tables'' privileges, TX008
before install().';
