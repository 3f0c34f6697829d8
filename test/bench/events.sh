# events.sh - what it costs to tell of events and to read them; sourced by run.sh.
#
#	LISTENERS     how many listen meanwhile ("0 1 10")
#	WRITERS       the numbers of writers ("1 8 32")
#	EVENTS        events that a consumer reads from the beginning (200000)
#	SOAK          seconds for which writers and consumers run together, to see
#	              whether the consumers keep up (0: not at all)

# shellcheck shell=bash disable=SC2154 # run.sh sets what is not set here

: "${LISTENERS:=0 1 10}" "${WRITERS:=1 8 32}" "${EVENTS:=200000}" "${SOAK:=0}"

# prepare_events - the plans whose titles the writers change.
prepare_events()
{
	[ "$(sql -c "SELECT to_regclass('bench.plans') IS NULL")" = t ] || return 0
	sql -c "CREATE TABLE bench.plans AS
			SELECT row_number() OVER () AS n, p.id, p.clinic_id FROM txplan.plans AS p
			WHERE p.title = 'work' ORDER BY random() LIMIT 20000" \
		-c "CREATE UNIQUE INDEX ON bench.plans (n) INCLUDE (id, clinic_id)" \
		-c "VACUUM (ANALYZE) bench.plans"
}

# listen - so many sessions listen until stop_listening.
listen()
{
	listeners=
	[ "$1" -gt 0 ] || return 0
	"$PYTHON" "$here/events/listen.py" "$1" > "$server_dir/listening" &
	listeners=$!
	while ! grep -q listening "$server_dir/listening"
	do
		kill -0 "$listeners" || server_fail "nobody listens"
		sleep 0.1
	done
}

stop_listening()
{
	[ -n "$listeners" ] || return 0
	kill "$listeners"
	wait "$listeners" 2> /dev/null || true
}

# work_notify - writers that announce nothing, that announce as they commit, and
# whose events a worker announces; then how long a listener waits for the news
# while the writers do half of what they can.
work_notify()
{
	local round count clients i modes mode rate

	modes=(off commit worker)
	prepare_events
	for ((round = 0; round < ROUNDS; round++))
	do
		for count in $LISTENERS
		do
			for clients in $WRITERS
			do
				for ((i = 0; i < 3; i++))
				do
					mode=${modes[(i + round) % 3]}
					say "notify: round $((round + 1)), $count listeners, $clients writers, $mode"
					settle txplan
					listen "$count"
					bench "notify_$count" "txplan_$mode" "$clients" \
						"$here/events/write.sql" -T "$SECONDS_EACH"
					stop_listening
				done
			done
		done
	done
	for mode in commit worker
	do
		for clients in $WRITERS
		do
			rate=$(awk -v clients="$clients" -v FS='\t' '
				$1 == "notify_1" && $2 == "txplan_off" && $3 == clients { sum += $4; n++ }
				END { print (n ? int(sum / n / 2) : 100) }' "$results")
			say "latency: $clients writers, $rate a second, $mode"
			settle txplan
			PGOPTIONS=$(options_of "txplan_$mode") pgbench -n -M prepared -c "$clients" \
				-j "$processors" -f "$here/events/write.sql" -R "$rate" \
				-T "$((SECONDS_EACH + 4))" > "$server_dir/bench.out" 2>&1 &
			sleep 1
			"$PYTHON" "$here/events/latency.py" "$mode" "$((SECONDS_EACH + 2))" |
				sed "s/^/$clients	$rate	/" >> "$server_dir/latency"
			wait $!
		done
		say "latency: nobody else writes, $mode"
		"$PYTHON" "$here/events/latency.py" "$mode" "$((SECONDS_EACH + 2))" |
			sed "s/^/0	0	/" >> "$server_dir/latency"
	done
}

# read_all - a consumer reads so many events in batches of a size; prints the
# seconds.  Each batch is sent to the client.
read_all()
{
	local script=$1 batches=$2

	pgbench -n -M prepared -c 1 -t "$batches" -f "$script" > "$server_dir/bench.out" 2>&1 ||
		{ cat "$server_dir/bench.out" >&2; server_fail "reading failed"; }
	sed -n 's/^tps = \([0-9.]*\) .*/\1/p' "$server_dir/bench.out"
}

# work_consumers - how fast a consumer reads, beside PgQ where that is installed;
# and what four consumers cost 32 writers.
work_consumers()
{
	local round size tps i contender

	prepare_events
	fill_events
	for ((round = 0; round < ROUNDS; round++))
	do
		for size in 500 5000
		do
			say "consumers: round $((round + 1)), batches of $size"
			sql -c "SELECT txplan.create_consumer('reader', start => 'beginning')" > /dev/null
			sed "s/:size/$size/" "$here/events/read.sql" > "$server_dir/read.sql"
			tps=$(read_all "$server_dir/read.sql" $((EVENTS / size)))
			printf 'txplan\t%s\t%s\n' "$size" "$tps" >> "$server_dir/reading"
			sql -c "SELECT txplan.drop_consumer('reader')" > /dev/null
			[ -n "$pgq" ] || continue
			sql -v size="$size" -v events="$EVENTS" -f "$here/events/pgq.sql" > /dev/null
			tps=$(read_all "$here/events/read_pgq.sql" $((EVENTS / size)))
			printf 'PgQ\t%s\t%s\n' "$size" "$tps" >> "$server_dir/reading"
		done
	done

	for ((round = 0; round < ROUNDS; round++))
	do
		for ((i = 0; i < 2; i++))
		do
			contender=0
			[ $(((i + round) % 2)) -eq 0 ] || contender=4
			say "consumers: round $((round + 1)), 32 writers, $contender consumers"
			settle txplan
			consume "$contender"
			bench "consumed_$contender" txplan 32 "$here/events/write.sql" -T "$SECONDS_EACH"
			stop_consuming
		done
	done
}

# fill_events - the consumer has at least so many events to read.
fill_events()
{
	local there

	there=$(sql -c 'SELECT count(*) FROM txplan.events')
	[ "$there" -ge "$EVENTS" ] || EVENTS=$((there / 5000 * 5000))
	pgq=
	[ ! -f "$("$PG_CONFIG" --sharedir)/extension/pgq.control" ] || pgq=yes
}

# consume - so many consumers read what is written until stop_consuming.
consume()
{
	local n

	consumers=()
	for ((n = 1; n <= $1; n++))
	do
		sql -c "SELECT txplan.create_consumer('reader $n')" > /dev/null
		sed "s/:consumer/'reader $n'/" "$here/events/follow.sql" > "$server_dir/follow.$n.sql"
		pgbench -n -M prepared -c 1 -T 100000 -f "$server_dir/follow.$n.sql" \
			> "$server_dir/follow.$n.out" 2>&1 &
		consumers+=($!)
	done
}

stop_consuming()
{
	local n

	for ((n = 1; n <= ${#consumers[@]}; n++))
	do
		kill "${consumers[n - 1]}"
		wait "${consumers[n - 1]}" 2> /dev/null || true
		sql -c "SELECT txplan.drop_consumer('reader $n')" > /dev/null
	done
}

# work_soak - writers and consumers together for long: do consumers keep up?
work_soak()
{
	local end

	[ "$SOAK" -gt 0 ] || return 0
	prepare_events
	settle txplan
	consume 4
	pgbench -n -M prepared -c 32 -j "$processors" -f "$here/events/write.sql" \
		-T "$SOAK" > "$server_dir/bench.out" 2>&1 &
	end=$((SECONDS + SOAK - 5))
	while [ "$SECONDS" -lt "$end" ]
	do
		sleep 10
		sql -F $'\t' -c "SELECT sum(pending_events), max(pending_events),
			extract(epoch FROM max(oldest_age)) FROM txplan.consumer_lag" |
			sed "s/^/$((SECONDS - end + SOAK - 5))	/" | tee -a "$server_dir/soak" >&2
	done
	wait $!
	sed -n 's/^tps = \([0-9.]*\) .*/\1/p' "$server_dir/bench.out" > "$server_dir/soak.tps"
	stop_consuming
}
