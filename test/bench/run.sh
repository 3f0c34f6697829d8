#!/usr/bin/env bash
# run.sh - what txplan costs, beside three other ways to do the same work; "make
# bench" runs it.  README.md beside this file describes the contenders.
#
# usage: [PLANS=...] [SECONDS_EACH=...] ... run.sh [--json FILE]
#
#	--json FILE   where the figures go as JSON (results.json beside this script)
#
#	SECONDS_EACH  how long a measurement lasts (3)
#	ROUNDS        how often each is repeated; medians are reported (5)
#	CLIENTS       the numbers of clients ("1 4 16")
#	PLANS         plans of 10 sessions to complete (30000); the script says when
#	              they were too few
#	REPEATS       repetitions of INSERTs of 1,000 items (15)
#	ROUND_TRIP    microseconds between the application and its server, where it is
#	              on another machine (500)
#	WORK          which work: "check complete flush distance day bulk size inbox
#	              notify consumers soak limits"
#	FSYNC         on, or off to see the processor's part alone (on)
#	KEEP          1: the cluster's directory stays
#
# events.sh names what notify, consumers and soak take, lists.sh what inbox takes.
#
# All contenders work on one cluster, on copies of the same rows with the same
# indexes, and take turns: A B C D, B C D A and so on.

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test/server.sh
. "$here/../server.sh"
# shellcheck source=test/bench/events.sh
. "$here/events.sh"
# shellcheck source=test/bench/lists.sh
. "$here/lists.sh"

: "${SECONDS_EACH:=3}" "${ROUNDS:=5}" "${CLIENTS:=1 4 16}" "${PLANS:=30000}"
: "${REPEATS:=15}" "${FSYNC:=on}" "${KEEP:=}"
: "${ROUND_TRIP:=500}"
: "${WORK:=check complete flush distance day bulk size inbox notify consumers soak limits}"
export SERVER_FSYNC=$FSYNC
# largest - the largest of some numbers.
largest()
{
	printf '%s\n' "$@" | sort -n | tail -n 1
}
# shellcheck disable=SC2086 # lists of numbers
most_clients=$(largest $CLIENTS)
# shellcheck disable=SC2086
most_sessions=$(largest $CLIENTS $WRITERS)

json=$here/results.json
case ${1:-} in
	--json) json=$(realpath -m "${2:?--json wants a file}") ;;
	'') ;;
	*) echo "usage: run.sh [--json FILE]" >&2; exit 1 ;;
esac

# say - tells on stderr how far it is; the table alone goes to stdout.
say()
{
	printf '%s %s\n' "$(date +%T)" "$*" >&2
}

# sql - runs psql quietly, up to the first error.
sql()
{
	psql -qXAt -v ON_ERROR_STOP=1 "$@"
}

# copy_record - the tables of schema txplan again in another schema: columns,
# defaults, constraints and indexes, but no trigger and no policy; then the rows.
# Indexes and foreign keys come after the rows, as pg_restore does it.
copy_record()
{
	local target=$1

	sql -c "CREATE SCHEMA $target"
	dump_record "$target" pre-data | sql -o /dev/null
	sql -c "SELECT format('INSERT INTO $target.%I SELECT * FROM txplan.%I', relname, relname)
			FROM pg_class WHERE relnamespace = 'txplan'::regnamespace
				AND relkind IN ('r', 'p') AND NOT relispartition
				AND relname !~ '^consumer'" |
		sed '1i SET session_replication_role = replica;
			s/$/;/' | sql
	dump_record "$target" post-data | sql -o /dev/null
	sql -c "SELECT setval('$target.events_id_seq', nextval('txplan.events_id_seq'))" \
		> /dev/null
}

dump_record()
{
	local target=$1 section=$2 tables

	tables=$(sql -c "SELECT '--table=txplan.' || relname FROM pg_class
		WHERE relnamespace = 'txplan'::regnamespace AND relkind IN ('r', 'p', 'S')
			AND relname !~ '^consumer'")
	# shellcheck disable=SC2086 # a list of options
	pg_dump --schema-only --section="$section" --no-owner --no-privileges \
			--no-comments $tables |
		sed -E -e "s/\btxplan\./$target./g" \
			-e "s/\b$target\.(new_id|tooth)\b/txplan.\1/g" |
		awk '/^CREATE (CONSTRAINT )?TRIGGER |^CREATE POLICY |ROW LEVEL SECURITY;$| REPLICA TRIGGER / { drop = 1 }
			!drop { print }
			/;$/ { drop = 0 }'
}

# schema_of - the schema in which a contender works: txplan_commit and the like are
# txplan with another setting.
schema_of()
{
	case $1 in
		txplan_*) echo txplan ;;
		*) echo "$1" ;;
	esac
}

# options_of - the settings of a contender's sessions.
options_of()
{
	case $1 in
		txplan_commit | txplan_worker) echo "-c txplan.notify=${1#txplan_}" ;;
		*) echo '-c txplan.notify=off' ;;
	esac
}

# script_of - the script of pgbench for a contender's work, made from that of
# txplan: the functions in PL/pgSQL are called alike, and in an application each
# call is its own statements.
script_of()
{
	local work=$1 schema script

	schema=$(schema_of "$2")
	script=$here/$work/$schema.sql
	if [ ! -f "$script" ]
	then
		script=$server_dir/$work.$schema.sql
		case $schema in
			application)
				awk -v directory="$here/application" \
					-f "$here/application/expand.awk" "$here/$work/txplan.sql" ;;
			*)
				sed "s/\btxplan\./$schema./g" "$here/$work/txplan.sql" ;;
		esac | sed "s/next_txplan/next_$schema/" > "$script"
	fi
	if [ -n "${round_trip:-}" ]
	then
		awk -v round_trip="$round_trip" -f "$here/distance.awk" "$script" \
			> "$server_dir/distant.$work.$schema.sql"
		script=$server_dir/distant.$work.$schema.sql
	fi
	echo "$script"
}

# settle - leaves nothing of the last measurement for the next one to do.
settle()
{
	local schema=$1

	sql -c "VACUUM (ANALYZE) $schema.plans, $schema.items, $schema.sessions,
			$schema.events_default, $schema.history, $schema.earned_entries" \
		-c CHECKPOINT
}

# bench - one run of pgbench; adds a line to the results: work, contender,
# clients, tps, mean latency and its percentiles in milliseconds.
bench()
{
	local work=$1 contender=$2 clients=$3 script=$4 log=$server_dir/bench
	shift 4

	rm -f "$log".*
	if ! PGOPTIONS="$(options_of "$contender") ${bench_options:-}" \
		pgbench -n -M prepared -c "$clients" \
			-j "$((clients < processors ? clients : processors))" \
			-f "$script" --log --log-prefix="$log" --random-seed=7 "$@" \
		> "$server_dir/bench.out" 2>&1
	then
		pool_is_enough "$contender"
		cat "$server_dir/bench.out" >&2
		server_fail "pgbench failed: $work, $contender, $clients clients"
	fi
	cat "$log".[0-9]* | awk '{ print $3 }' | sort -n |
		awk -v work="$work" -v contender="$contender" -v clients="$clients" \
			-v tps="$(sed -n 's/^tps = \([0-9.]*\) .*/\1/p' "$server_dir/bench.out")" '
			{ time[NR] = $1; sum += $1 }
			function part(p) { return time[int((NR - 1) * p) + 1] / 1000 }
			END {
				print work, contender, clients, tps, sum / NR / 1000,
					part(0.5), part(0.95), part(0.99), time[NR] / 1000
			}' OFS='\t' >> "$results"
	pool_is_enough "$contender"
}

# pool_is_enough - says so when the generated sessions ran out.
pool_is_enough()
{
	local drawn

	[ "$(sql -c "SELECT to_regclass('bench.next_$(schema_of "$1")') IS NULL")" = f ] ||
		return 0
	drawn=$(sql -c "SELECT last_value FROM bench.next_$(schema_of "$1")")
	if [ "$drawn" -gt "$pool_size" ] && [ "$drawn" -lt 1000000000 ]
	then
		server_fail "the generated sessions ran out:" \
			"give more than PLANS=$PLANS or fewer than SECONDS_EACH=$SECONDS_EACH"
	fi
}

# take_turns - a work of all its contenders, at each of some numbers of clients.
take_turns()
{
	local work=$1 label=$2 numbers=$3 round clients contender i n
	shift 3
	local contenders=("$@")

	n=${#contenders[@]}
	for ((round = 0; round < ROUNDS; round++))
	do
		for clients in $numbers
		do
			for ((i = 0; i < n; i++))
			do
				contender=${contenders[(i + round) % n]}
				say "$label: round $((round + 1)), $clients clients, $contender"
				settle "$(schema_of "$contender")"
				bench "$label" "$contender" "$clients" \
					"$(script_of "$work" "$contender")" -T "$SECONDS_EACH"
			done
		done
	done
}

# ------------------------------------------------------------------ the works

# work_check - do all contenders write the same?  Each completes the sessions of
# 8 plans, one by one; then their rows are compared.
work_check()
{
	local contender

	say "check: the contenders complete the same sessions"
	for contender in txplan bare rules_in_plpgsql application
	do
		sql -c "SELECT setval('bench.next_$contender', 1000000001, false)" > /dev/null
		run_alike complete "$contender" 80
		sql -c "SELECT setval('bench.next_$contender', 1, false)" > /dev/null
	done
	sql -f "$here/check.sql" -v title=check > "$server_dir/check"
	sql -f "$here/chains.sql" -v title=check >> "$server_dir/check"
	must_be_same
}

# run_alike - a work of a contender, so many times, by one client.
run_alike()
{
	PGOPTIONS=$(options_of "$2") pgbench -n -M prepared -t "$3" --random-seed=7 \
		-f "$(script_of "$1" "$2")" > "$server_dir/alike.out" 2>&1 ||
		{ cat "$server_dir/alike.out" >&2; server_fail "$1 failed: $2"; }
}

# must_be_same - ends the script when the contenders' rows differ.
must_be_same()
{
	if grep -q different "$server_dir/check"
	then
		grep different "$server_dir/check" >&2
		server_fail "the contenders do not write the same rows"
	fi
}

# work_complete - one session after another.
work_complete()
{
	take_turns complete complete "$CLIENTS" \
		txplan txplan_commit txplan_worker bare rules_in_plpgsql application
}

# work_flush - the same, but nobody waits for the disk: what the processor does.
work_flush()
{
	bench_options='-c synchronous_commit=off' \
		take_turns complete complete_without_flush 1 \
		txplan bare rules_in_plpgsql application
}

# work_distance - the same, and every statement has a way to go.
work_distance()
{
	round_trip=$ROUND_TRIP \
		take_turns complete complete_at_a_distance "$CLIENTS" \
		txplan rules_in_plpgsql application
}

# work_day - the life of a plan: made, filled, confirmed, accepted, treated,
# given to another doctor, partly cancelled, and closed or completed.
work_day()
{
	local contender

	say "day: the contenders live the same 30 plans"
	for contender in txplan rules_in_plpgsql application
	do
		run_alike day "$contender" 30
	done
	sql -f "$here/day/check.sql" >> "$server_dir/check"
	sql -v title=day -v contenders=txplan,rules_in_plpgsql,application \
		-f "$here/chains.sql" | sed 's/|/|day: /' >> "$server_dir/check"
	must_be_same

	take_turns day day "$CLIENTS" txplan rules_in_plpgsql application
}

# work_bulk - 1,000 items in one INSERT: to 200 plans, then to one plan.  The
# first statement of a session builds its plans, so another one comes before it.
work_bulk()
{
	local repetition contender label turn

	for ((repetition = 1; repetition <= 2 * REPEATS; repetition++))
	do
		label=bulk_many_plans
		[ "$repetition" -le "$REPEATS" ] || label=bulk_one_plan
		if [ $((repetition % REPEATS)) -eq 1 ]
		then
			settle txplan
			settle bare
		fi
		turn="txplan bare"
		[ $((repetition % 2)) -eq 0 ] || turn="bare txplan"
		for contender in $turn
		do
			say "$label: repetition $repetition, $contender"
			PGOPTIONS="$(options_of "$contender") -c synchronous_commit=off" \
				sql -v repetition="$repetition" -v script="$here/bulk/$contender.sql" \
				-f "$here/bulk/run.sql" |
				awk -v label="$label" -v contender="$contender" -v OFS='\t' \
					'/^Time: / { time = $2 }
					END { print label, contender, 1, 1000 / time, time, time, time, time, time }' \
					>> "$results"
		done
	done
	sql -f "$here/check.sql" -v title=bulk -v contenders=bare |
		sed 's/|/|INSERT of 1,000 items: /' >> "$server_dir/check"
	sql -f "$here/chains.sql" -v title=bulk -v contenders=txplan,bare |
		sed 's/|/|INSERT of 1,000 items: /' >> "$server_dir/check"
	must_be_same
}

# work_size - completions in plans of 500 items and in plans of 5, which stand in
# the pool from 3,000,000,001 and from 2,000,000,001 on.
work_size()
{
	local repetition place sizes size

	place=$(sql -c "SELECT last_value FROM bench.next_txplan")
	for ((repetition = 0; repetition < 7; repetition++))
	do
		say "size: repetition $((repetition + 1))"
		sizes="5 500"
		[ $((repetition % 2)) -eq 0 ] || sizes="500 5"
		for size in $sizes
		do
			settle txplan
			sql -c "SELECT setval('bench.next_txplan', CASE $size WHEN 5 THEN 2000000001
				ELSE 3000000001 END + $repetition * 1000, false)" > /dev/null
			bench_options='-c synchronous_commit=off' bench "size_$size" txplan 1 \
				"$(script_of complete txplan)" -t 1000
		done
	done
	sql -c "SELECT setval('bench.next_txplan', $place)" > /dev/null
}

# work_partitions - completions where events have 12 partitions and where they have
# 1,000: in two databases with the same rows, in turns.
work_partitions()
{
	local round database turn plans=$((ROUNDS * SECONDS_EACH * 250 + 64))
	local pool_size

	say "partitions: two databases of $plans plans are made"
	createdb few
	PGDATABASE=few sql -c 'CREATE EXTENSION txplan' -c 'SELECT txplan.install()' \
		> /dev/null
	PGDATABASE=few sql -f "$here/helpers.sql"
	PGDATABASE=few PGOPTIONS='-c txplan.notify=off' sql -v source=txplan \
		-v plans="$plans" -v repeats=1 -f "$here/data.sql"
	pool_size=$(PGDATABASE=few sql -c 'SELECT max(n) FROM bench.pool WHERE n < 1000000000')
	createdb -T few many
	PGDATABASE=few make_months 4
	PGDATABASE=many make_months 334

	for ((round = 0; round < ROUNDS; round++))
	do
		turn="few many"
		[ $((round % 2)) -eq 0 ] || turn="many few"
		for database in $turn
		do
			say "partitions: round $((round + 1)), $database"
			PGDATABASE=$database sql -c "VACUUM (ANALYZE) txplan.plans, txplan.items,
				txplan.sessions, txplan.history, txplan.earned_entries" -c CHECKPOINT
			bench_options='-c synchronous_commit=off' PGDATABASE=$database \
				bench "partitions_$database" txplan 1 \
				"$(script_of complete txplan)" -T "$SECONDS_EACH"
		done
	done
	dropdb few
	dropdb many
}

# make_months - partitions of so many quarters up to now, one call each: a
# transaction locks what it makes.
make_months()
{
	sql -c "SELECT format('SELECT count(*) FROM txplan.maintain(%L);',
			now() - 3 * k * interval '1 month') FROM generate_series(0, $1 - 1) AS k" |
		sql > /dev/null
}

# work_limits - where the time goes: the bare round trip and the bare commit, the
# statements of one completion, and what clients wait for.
work_limits()
{
	local clients contender sampler

	sql -c 'CREATE TABLE bench.commits (n bigint)'
	echo 'SELECT 1;' > "$server_dir/round_trip.sql"
	echo 'INSERT INTO bench.commits VALUES (1);' > "$server_dir/commit.sql"
	for clients in $CLIENTS
	do
		say "limits: $clients clients"
		bench round_trip txplan "$clients" "$server_dir/round_trip.sql" -T 2
		bench commit txplan "$clients" "$server_dir/commit.sql" -T 2
	done

	for contender in txplan bare rules_in_plpgsql application
	do
		say "limits: what $contender waits for"
		settle "$contender"
		psql -qXAt -F $'\t' -f "$here/waits.sql" > "$server_dir/waits.$contender" &
		sampler=$!
		bench waits "$contender" "$most_clients" \
			"$(script_of complete "$contender")" -T "$SECONDS_EACH"
		kill "$sampler"
		wait "$sampler" 2> /dev/null || true
	done
	sql -c "SELECT deadlocks, conflicts FROM pg_stat_database
		WHERE datname = current_database()" > "$server_dir/deadlocks"

	[ -n "$statements" ] || return 0
	sql -c 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements' \
		-c "ALTER SYSTEM SET pg_stat_statements.track = 'all'" \
		-c "ALTER SYSTEM SET pg_stat_statements.track_planning = on" \
		-c 'SELECT pg_reload_conf()' > /dev/null
	for contender in txplan rules_in_plpgsql bare application
	do
		say "limits: the statements of $contender"
		settle "$contender"
		sql -c 'SELECT pg_stat_statements_reset()' \
			-c "SELECT pg_stat_reset_shared('wal')" > /dev/null
		bench statements "$contender" 1 "$(script_of complete "$contender")" -t 2000
		sql -c "SELECT round(wal_bytes / 2000), round(wal_records / 2000.0, 1),
			round(wal_fpi / 2000.0, 2) FROM pg_stat_wal" > "$server_dir/wal.$contender"
		sql -F $'\t' -v runs=2000 -f "$here/statements.sql" \
			> "$server_dir/statements.$contender"
	done
	say "limits: the statements of an INSERT of 1,000 items"
	sql -c 'SELECT pg_stat_statements_reset()' > /dev/null
	PGOPTIONS=$(options_of txplan) sql -f "$here/bulk/explain.sql" > "$server_dir/explain"
	sql -F $'\t' -v runs=1000 -f "$here/statements.sql" > "$server_dir/statements.bulk"
}

# ----------------------------------------------------------------- the cluster

processors=$(nproc 2> /dev/null || echo 1)
load=$(cut -d ' ' -f 1 /proc/loadavg 2> /dev/null || echo unknown)
server_require make gcc python3 python3-psycopg2
statements=
[ ! -f "$("$PG_CONFIG" --sharedir)/extension/pg_stat_statements.control" ] ||
	statements=pg_stat_statements
server_prepare
[ -z "$KEEP" ] || trap 'server_stop; echo "kept: $server_dir" >&2' EXIT
results=$server_dir/results.tsv
: > "$results"

say "building txplan"
server_build
server_start "shared_buffers = 512MB" "wal_level = replica" \
	"max_wal_size = 16GB" "checkpoint_timeout = 1h" \
	"max_connections = $((most_sessions + 40))" \
	"shared_preload_libraries = '$statements'" \
	${statements:+"pg_stat_statements.track = none"}

say "$PLANS plans are made"
sql -c 'CREATE EXTENSION txplan' -c 'SELECT txplan.install()' > /dev/null
sql -f "$here/helpers.sql"
PGOPTIONS='-c txplan.notify=off' sql -v source=txplan -v plans="$PLANS" \
	-v repeats="$REPEATS" -f "$here/data.sql"
pool_size=$(sql -c 'SELECT max(n) FROM bench.pool WHERE n < 1000000000')
for schema in bare rules_in_plpgsql application
do
	say "they are copied to $schema"
	copy_record "$schema"
done
sql -f "$here/rules_in_plpgsql.sql"
sql -c 'VACUUM (ANALYZE)'

for work in $WORK
do
	"work_$work"
done

"$PYTHON" "$here/report.py" "$server_dir" --json "$json" \
	--setting "seconds_each=$SECONDS_EACH" --setting "rounds=$ROUNDS" \
	--setting "plans=$PLANS" --setting "repeats=$REPEATS" \
	--setting "fsync=$FSYNC" \
	--setting "round_trip=$ROUND_TRIP" --setting "processors=$processors" \
	--setting "server=$(sql -c 'SHOW server_version')" \
	--setting "load_before=$load" \
	--setting "processor=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2> /dev/null | head -n 1)" \
	--setting "memory_kb=$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo 2> /dev/null)"
