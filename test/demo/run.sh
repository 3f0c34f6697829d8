#!/usr/bin/env bash
# run.sh - a clinic's day, from nothing to a page that tells of it; "make demo".
#
# usage: [KEEP=1] [CALLS=1500] [SEED=1] run.sh
#
#	KEEP     1: the server goes on at the end; how to connect and how to stop it
#	         is printed
#	CALLS    how many calls each of the four connections makes
#	SEED     chooses another day; with the same seed the connections want the
#	         same, but who comes first, and finds what, is up to the machine
#
# Installs what is missing, builds txplan, starts a server of its own in a
# temporary directory (../server.sh), loads the clinic of ../data and brings its
# plans into every state (morning.sql).  Then four connections work at them at
# once (worker.pl says what they want, day.sql finds on what), while another
# process listens (listener.pl).  page.sql is the page of the day, checks.sql
# what must be true by then.  In the evening budgets go out (desk.sql), and the
# front desk looks at its inbox and pipeline (inbox.sql).
#
# The exit status is 0 when every check holds.

set -euo pipefail

demo=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test/server.sh
. "$demo/../server.sh"

: "${KEEP:=}" "${CALLS:=1500}" "${SEED:=1}"
[[ $CALLS =~ ^[0-9]{1,6}$ && $SEED =~ ^[0-9]{1,9}$ ]] ||
	server_fail "CALLS and SEED are whole numbers"
[ "$KEEP" != 0 ] || KEEP=

connections=('reception' 'surgery 1' 'surgery 2' 'manager')
children=()
started=$SECONDS

# finish - ends what still runs, and leaves nothing behind.
finish()
{
	local child

	for child in ${children[@]+"${children[@]}"}
	do
		kill "$child" 2>/dev/null || true
	done
	server_remove
}

# heading - opens a part of what is printed.
heading()
{
	printf '\n== %s %s\n\n' "$1" "${2:+($2)}"
}

# ask - psql that prints values only, and stops at an error.
ask()
{
	psql -XqAt -v ON_ERROR_STOP=1 "$@"
}

# show - psql that prints for people.
show()
{
	psql -Xq -v ON_ERROR_STOP=1 -P footer=off -P pager=off -P linestyle=ascii \
		-P border=1 "$@"
}

# seconds - how long it has been since TIME (of $EPOCHREALTIME).
seconds()
{
	awk -v from="${1/,/.}" -v to="${EPOCHREALTIME/,/.}" \
		'BEGIN { printf "%.3f", to - from }'
}

# load - one file of ../data into its table; its first line names the columns.
load()
{
	local columns from=$EPOCHREALTIME rows

	IFS= read -r columns < "$demo/../data/$1.csv"
	rows=$(PGOPTIONS='-c txplan.actor=import' psql -X -v ON_ERROR_STOP=1 \
		-c "\\copy txplan.$1 (${columns%$'\r'}) FROM '$demo/../data/$1.csv' WITH (FORMAT csv, HEADER)")
	printf '  %6s  %-20s %7s s\n' "${rows#COPY }" "$1" "$(seconds "$from")"
}

# step - one statement for many plans; each prints what it did and to how many.
step()
{
	local from=$EPOCHREALTIME rows

	rows=$(ask -c "SET txplan.actor = 'morning'" -c "$2")
	printf '  %6s  %-74s %7s s\n' "$rows" "$1" "$(seconds "$from")"
}

# steps - the statements of a file: a line "-- = text", and then the statement,
# until an empty line.
steps()
{
	local line text='' statement=''

	while IFS= read -r line || [ -n "$line" ]
	do
		case $line in
			'-- = '*) text=${line#-- = } ;;
			'--'*) ;;
			'')
				[ -z "$text" ] || step "$text" "$statement"
				text=
				statement=
				;;
			*) statement+=$line$'\n' ;;
		esac
	done < <(cat "$1"; echo)
}

# ------------------------------------------------------------------ a server

server_require make gcc perl
server_prepare
trap finish EXIT
export PGCLIENTENCODING=UTF8

heading 'A server of its own' "in $server_dir"
from=$EPOCHREALTIME
server_build
printf '  txplan built for %s in %.1f s\n' "$(pg_config --version)" \
	"$(seconds "$from")"
# A deadlock is found after a second as a rule; here some are made on purpose.
server_start "deadlock_timeout = '50ms'" "max_connections = 20" \
	"shared_buffers = '64MB'" "autovacuum_naptime = '10s'"
printf '  server started, on a socket only\n'

ask -c 'CREATE EXTENSION txplan'
printf '  CREATE EXTENSION txplan;  SELECT txplan.install();  -> version %s\n' \
	"$(ask -c 'SELECT txplan.install()')"

# ---------------------------------------------------------------- a listener

ask -f "$demo/day.sql"
show_live=$server_dir/live
mkdir "$show_live"
perl "$demo/listener.pl" "$show_live/heard" &
listener=$!
children+=("$listener")
# What happens before it listens, it cannot hear.
for ((i = 0; i < 100; i++))
do
	[ ! -e "$show_live/heard" ] || break
	sleep 0.1
done
[ -e "$show_live/heard" ] || server_fail "the listener did not start"

# ----------------------------------------------------------------- a clinic

heading 'The clinic of test/data, by COPY' 'the rules are on, also for COPY'
for table in clinics professionals patients catalog_items catalog_sessions \
	plans items
do
	load "$table"
done

heading 'The morning: plans come into every state' \
	'one statement for many plans each'
steps "$demo/morning.sql"
ask -c ANALYZE

# -------------------------------------------------------------------- a day

heading "The day: four connections at once, $CALLS calls each" "seed $SEED"
cat <<-'EOT'
	  They often meet at the same 12 plans, on purpose.  A fifth process listens on channel
	  txplan; some of what it hears, looked up in txplan.events:

EOT
ask -c "INSERT INTO demo.day (first_event) SELECT coalesce(max(id), 0) + 1 FROM txplan.events"
: > "$show_live/show"
for i in "${!connections[@]}"
do
	# The manager sees each transaction as of its beginning: 40001 is due.
	isolation='read committed'
	[ "${connections[i]}" != manager ] || isolation='repeatable read'
	perl "$demo/worker.pl" "$((SEED * 10 + i))" "$CALLS" "${connections[i]}" |
		PGOPTIONS="-c default_transaction_isolation=${isolation/ /\\ }" \
			psql -Xq > "$server_dir/calls.$i" 2> "$server_dir/errors.$i" &
	workers[i]=$!
	children+=("$!")
done
for i in "${!connections[@]}"
do
	wait "${workers[i]}" ||
		server_fail "${connections[i]} lost the connection:" \
			"$(tail -n 3 "$server_dir/errors.$i")"
done
ask -c 'UPDATE demo.day SET ended_at = clock_timestamp()' \
	-c 'UPDATE demo.day SET last_event = (SELECT max(id) FROM txplan.events)'

# Notifications come in the order of commits, so behind this one there is none.
ask -c "NOTIFY demo, 'closing time'"
wait "$listener" || server_fail "the listener ended before its time"
children=()

# ------------------------------------------------------------------- a page

# "Time: 0.512 ms" stands before the line of each call.
cat "$server_dir"/calls.? |
	awk -v OFS='\t' '$1 == "Time:" { time = $2; next } { print $0, time }' |
	ask -c '\copy demo.calls FROM STDIN'
ask -c "\\copy demo.heard FROM '$show_live/heard'"
perl "$demo/refusals.pl" "$server_dir"/errors.? |
	ask -c '\copy demo.refusals FROM STDIN'
ask -v calls_made=$((CALLS * ${#connections[@]})) -f "$demo/checks.sql"
show -f "$demo/page.sql"

# ----------------------------------------------------------------- the desk

heading 'The evening: the front desk goes through the plans' \
	'one statement for many plans each'
steps "$demo/desk.sql"
show -f "$demo/inbox.sql"

failed=$(ask -c 'SELECT count(*) FROM demo.checks WHERE ok IS NOT TRUE')
crashes=$(grep -cE 'terminated by signal|PANIC|TRAP:' "$server_log" || true)
[ "$crashes" -eq 0 ] || {
	grep -E -m 5 'terminated by signal|PANIC|TRAP:' "$server_log"
	failed=$((failed + 1))
}

printf '\nAll of it took %d s.  ' $((SECONDS - started))
if [ "$failed" -eq 0 ]
then
	echo 'Every check holds.'
else
	echo "FAILED CHECKS: $failed"
fi

if [ -n "$KEEP" ]
then
	trap - EXIT
	as=
	[ -z "$server_user" ] || as="runuser -u $server_user -- "
	cat <<-EOT

		The server goes on.  To connect:

		  PGCLIENTENCODING=UTF8 psql -h $server_socket -U postgres postgres

		To stop it and to leave nothing behind:

		  cd / && $as$server_bin/pg_ctl \\
		    -D $server_data -m fast stop && rm -rf $server_dir
	EOT
fi
[ "$failed" -eq 0 ]
