#!/usr/bin/env bash
# run.sh - all tests of txplan, on servers of their own; "make check" runs it.
#
# usage: [TESTS=...] [SPECS=...] [PROVE_TESTS=...] [SANITIZE=1] run.sh
#
#	TESTS         regression tests, as "plan item"; all of test/sql without it
#	SPECS         isolation tests; all of test/specs without it
#	PROVE_TESTS   TAP tests, as "001_crash" or test/t/001_crash.pl; all of test/t
#	SANITIZE      1: regression and isolation tests under the address and
#	              undefined behaviour sanitizers; what they find is a failure
#
# Where one kind of tests is chosen, the other kinds are left out.  PG_CONFIG
# chooses the server; server.sh tells what else the environment can say.
#
# A test that fails shows its diff.  The outputs of failed runs stay in results/
# and results/isolation/ of the current directory: a new test's output is read
# there and copied to expected/.
#
# Tests run with TimeZone UTC and DateStyle ISO, LC_COLLATE C and LC_CTYPE
# C.UTF-8.  The last line is "N passed, N failed"; the exit status is 0 when some
# tests ran, all passed, no server process crashed and none met an internal error.

set -euo pipefail

# shellcheck source=test/server.sh
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

started_in=$PWD
passed=0
failed=0
failures=
finished=

# finish - the end, also when something before the tests went wrong: that is one
# failure more.
finish()
{
	server_remove
	[ -n "$finished" ] || echo "$passed passed, $((failed + 1)) failed"
}
trap finish EXIT

# count - adds to the sums: what ran, how many passed, how many failed.
count()
{
	passed=$((passed + $2))
	failed=$((failed + $3))
	[ "$3" -eq 0 ] || failures="$failures, $1: $3"
}

# chosen - the names of one kind of tests: those asked for, else those found in
# DIRECTORY with EXTENSION, unless another kind was asked for.
chosen()
{
	local asked=$1 directory=$2 extension=$3 file

	if [ -n "$asked" ]
	then
		# shellcheck disable=SC2086 # a list of names
		printf '%s\n' $asked
	elif [ -z "${TESTS:-}${SPECS:-}${PROVE_TESTS:-}" ]
	then
		for file in "$source"/"$directory"/*."$extension"
		do
			[ ! -f "$file" ] || basename "$file" ".$extension"
		done
	fi
}

# show_diffs - prints what a run of pg_regress left, and keeps its results.
show_diffs()
{
	local output=$1 results=$2 diffs

	if [ -s "$output/regression.diffs" ]
	then
		diffs=$(wc -l < "$output/regression.diffs")
		head -n 3000 "$output/regression.diffs"
		[ "$diffs" -le 3000 ] || echo "... $diffs lines in all"
	fi
	if [ -d "$output/results" ] && mkdir -p "$results" 2>/dev/null
	then
		cp "$output"/results/*.out "$results/" 2>/dev/null || true
	fi
}

# pg_regress - a run of run_pg_regress's program, in that one's variables.
pg_regress()
{
	server_as "$program" --inputdir="$directory" --outputdir="$output" \
		--bindir="$server_bin" --host="$PGHOST" --port="$PGPORT" \
		--user="$PGUSER" --dbname="$database" --load-extension=txplan \
		--encoding=UTF8 --launcher='env PGTZ=UTC PGDATESTYLE=ISO PGOPTIONS=' "$@"
}

# run_pg_regress - runs PROGRAM, pg_regress or one with its manners, over tests
# in a database of that name, and counts them.  Its input is a directory with expected/ and sql/ or specs/.
run_pg_regress()
{
	local kind=$1 database=$2 program=$3 directory=$4 results=$5
	local output=$server_dir/output_$kind
	local name ok bad status=0

	shift 5
	server_as mkdir -p "$output"

	# A test without expected output would end the whole run.
	for name in "$@"
	do
		[ -f "$directory/expected/$name.out" ] ||
			server_as touch "$directory/expected/$name.out"
	done

	# Without tests it only makes the database.  A slot then sees all events that
	# are committed there, also those that tests delete.
	echo "== $kind tests"
	if ! pg_regress > "$output.log" 2>&1 < /dev/null
	then
		cat "$output.log"
	fi
	psql -qXd "$database" -o /dev/null -c "
		SELECT pg_create_logical_replication_slot('$kind', 'test_decoding')" || true
	pg_regress --use-existing "$@" 2>&1 < /dev/null | tee "$output.log" || status=$?

	# "All 3 tests passed." or "1 of 3 tests failed.", with # from version 16.
	ok=$(sed -n 's/^[# ]*All \([0-9]*\) tests passed.*/\1/p' "$output.log")
	bad=$(sed -n 's/^[# ]*\([0-9]*\) of [0-9]* tests failed.*/\1/p' "$output.log")
	if [ "$status" -eq 0 ] && [ "${ok:-0}" -eq $# ]
	then
		count "$kind" $# 0
		return
	fi
	: "${bad:=$#}"
	count "$kind" $(($# - bad)) "$bad"
	show_diffs "$output" "$results"
}

# check_events - every event that tests published in a database fits the schema
# of its type.
check_events()
{
	local kind=$1 database=$2

	echo "== events of the $kind tests"
	if "$PYTHON" "$source/test/validate_events" --slot "$kind" "$database"
	then
		count events 1 0
	else
		count events 0 1
	fi
}

# check_log - a server that crashed, or met what cannot happen, did not pass,
# whatever the tests printed.
check_log()
{
	local bad

	bad=$(grep -E -e 'terminating any other active server processes|PANIC:|TRAP:' \
		-e ' XX[0-9A-Z]{3} .*(ERROR|FATAL):' \
		-e 'AddressSanitizer|runtime error:' "$server_log" | head -n 50 || true)
	if [ -n "$bad" ]
	then
		echo "== the server's log has"
		echo "$bad"
		echo "== the end of the server's log"
		tail -n 200 "$server_log"
		count 'server log' 0 1
	fi
}

# example_drivers - what the programs in examples/ need: says in WITHOUT_ variables
# what this machine cannot have.
example_drivers()
{
	local modules=$server_dir/node_modules

	# libpq's header is where the original is, not its copy.
	export PG_CONFIG WITHOUT_LIBPQ='' WITHOUT_PSYCOPG2='' WITHOUT_NODE_PG=''
	server_try libpq-dev || WITHOUT_LIBPQ=$server_reason
	server_try python3-psycopg2 || WITHOUT_PSYCOPG2=$server_reason

	# Debian's driver wants Debian's Node; where another is, npm may have it.
	! server_try node node-pg || return 0
	WITHOUT_NODE_PG=$server_reason
	export NODE_PATH=$NODE_PATH:$modules
	if command -v npm >/dev/null &&
		npm install --prefix "$server_dir" --ignore-scripts --no-audit --no-fund \
			--loglevel=error pg@8 > "$server_dir/npm.log" 2>&1 && server_has node-pg
	then
		WITHOUT_NODE_PG=
	fi
}

# left_out - says which of the examples are not tried, and why.
left_out()
{
	[ -z "$WITHOUT_LIBPQ" ] || echo "the example in C is left out: $WITHOUT_LIBPQ"
	[ -z "$WITHOUT_PSYCOPG2" ] ||
		echo "the example in Python is left out: $WITHOUT_PSYCOPG2"
	[ -z "$WITHOUT_NODE_PG" ] ||
		echo "the example in Node is left out: $WITHOUT_NODE_PG"
}

# run_prove - runs the TAP tests, which start servers themselves.
run_prove()
{
	local log=$server_dir/prove.log state=$server_dir/tap
	local run lost programs status=0 file files=()

	for file in "$@"
	do
		file=${file##*/}
		files+=("test/t/${file%.pl}.pl")
	done
	server_as mkdir -p "$state"
	server_as tee "$state/temp_config" > /dev/null <<-'EOF'
		timezone = 'UTC'
		log_timezone = 'UTC'
		max_prepared_transactions = 10
	EOF

	case " ${files[*]} " in
		*_examples.pl*) example_drivers && left_out ;;
	esac

	echo "== TAP tests"
	(
		unset PGHOST PGPORT PGUSER PGDATABASE
		cd "$source"
		# initdb takes its encoding from here, wherever the tests are called.
		server_as env LANG=C.UTF-8 LC_CTYPE=C.UTF-8 PG_CONFIG="$PG_CONFIG" \
			PG_REGRESS="$server_pgxs/src/test/regress/pg_regress" \
			TESTDIR="$state" TESTDATADIR="$state/tmp_check" \
			TESTLOGDIR="$state/tmp_check/log" TEMP_CONFIG="$state/temp_config" \
			top_builddir="$state" \
			prove -I "$server_pgxs/src/test/perl" -I test/t "${files[@]}"
	) 2>&1 < /dev/null | tee "$log" || status=$?

	# "Files=2, Tests=13, ..." and, for each program that failed, "(Wstat: ...
	# Failed: 3)"; a program that dies fails without a failed subtest.
	run=$(sed -n 's/^Files=[0-9]*, Tests=\([0-9]*\),.*/\1/p' "$log")
	lost=$(sed -n 's/^test\/t\/.*(Wstat: .* Failed: \([0-9]*\))$/\1/p' "$log" |
		awk '{ lost += $1 } END { print lost + 0 }')
	programs=$(sed -n 's/^Failed \([0-9]*\)\/[0-9]* test programs\..*/\1/p' "$log")
	if [ "$status" -eq 0 ]
	then
		count TAP "${run:-0}" 0
		return
	fi
	: "${run:=0}" "${lost:=0}" "${programs:=1}"
	[ "$lost" -gt 0 ] || lost=$programs
	count TAP $((run > lost ? run - lost : 0)) "$lost"
	sed -n 's,^test/t/\([^ ]*\)\.pl  *(Wstat.*,\1,p' "$log" | while read -r file
	do
		echo "== what failed in $file"
		grep -E -A 12 '\] not ok ' "$state/tmp_check/log/regress_log_$file" 2>/dev/null |
			head -n 200 || true
		echo "== the end of the log of $file"
		tail -n 60 "$state/tmp_check/log/regress_log_$file" 2>/dev/null || true
	done
}

server_require make gcc prove IPC::Run faketime python3-jsonschema
server_prepare
trap finish EXIT

# The tests' input is copied: the user that runs them need not reach the sources.
source=$server_dir/source
mkdir -p "$source/expected/isolation" "$source/regress" "$source/isolation"
for part in README.md test expected sql docs examples
do
	[ ! -e "$server_source/$part" ] || cp -R "$server_source/$part" "$source/"
done
for part in sql data
do
	ln -s "$source/test/$part" "$source/regress/$part"
done
ln -s "$source/expected" "$source/regress/expected"
ln -s "$source/test/specs" "$source/isolation/specs"
ln -s "$source/expected/isolation" "$source/isolation/expected"
[ -z "$server_user" ] || chown -R "$server_user" "$source"

regress=$(chosen "${TESTS:-}" test/sql sql | awk '
	$0 == "record" { print; next } { rest = rest $0 "\n" } END { printf "%s", rest }')
[ -z "${TESTS:-}" ] || regress=$TESTS
specs=$(chosen "${SPECS:-}" test/specs spec)
tap=$(chosen "${PROVE_TESTS:-}" test/t pl)

if [ -n "${SANITIZE:-}" ]
then
	tap=
	# The server is not built with them, so its process must load the address
	# sanitizer, and first of all wake it: that asks for symbols which the C
	# library does not have, and when this happens while a library's constructor
	# holds the lock of the message catalogs, as in libgpg-error, the translation
	# of that very error breaks the lock, and the process waits for ever.
	gcc -x c -shared -fPIC -O0 -Wl,-z,initfirst -o "$server_dir/wake.so" - <<-'EOF'
		#include <stdlib.h>
		__attribute__((constructor)) static void
		wake(void)
		{
			void *volatile memory = malloc(1);

			free(memory);
		}
	EOF
	SERVER_PRELOAD="$(gcc -print-file-name=libasan.so) $server_dir/wake.so"
	sanitizers=address,undefined
	if ! server_as env LD_PRELOAD="$SERVER_PRELOAD" ASAN_OPTIONS=detect_leaks=0 \
		timeout -k 1 20 "$server_bin/postgres" -V > /dev/null 2>&1 < /dev/null
	then
		SERVER_PRELOAD=
		sanitizers=undefined
		echo "the address sanitizer does not work on this machine, left out"
	fi
	echo "sanitizers: $sanitizers"

	# nonnull-attribute: the server's headers copy nothing from NULL, which is
	# harmless.
	COPT="${COPT:-} -O1 -fsanitize=$sanitizers -fno-sanitize=nonnull-attribute"
	COPT="$COPT -fno-sanitize-recover=all"
	export COPT
	# What they find they write to the server's log, where it is looked for.
	ASAN_OPTIONS=detect_leaks=0
	UBSAN_OPTIONS=print_stacktrace=1
	export ASAN_OPTIONS UBSAN_OPTIONS
fi

server_build

if [ -w "$started_in" ]
then
	rm -rf "$started_in/results"
fi

if [ -n "$regress$specs" ]
then
	server_start 'max_connections = 50' 'log_min_messages = warning'
	# shellcheck disable=SC2086 # lists of names
	[ -z "$regress" ] || run_pg_regress regression contrib_regression \
		"$server_pgxs/src/test/regress/pg_regress" "$source/regress" \
		"$started_in/results" $regress
	# shellcheck disable=SC2086
	[ -z "$specs" ] || run_pg_regress isolation isolation_regression \
		"$server_pgxs/src/test/isolation/pg_isolation_regress" \
		"$source/isolation" "$started_in/results/isolation" $specs
	[ -z "$regress" ] || check_events regression contrib_regression
	[ -z "$specs" ] || check_events isolation isolation_regression
	server_stop
	check_log
fi
# shellcheck disable=SC2086
[ -z "$tap" ] || run_prove $tap

if [ $((passed + failed)) -eq 0 ]
then
	echo "no test ran"
	count 'all: none was found' 0 1
fi
[ -z "$failures" ] || echo "failed in ${failures#, }"
finished=yes
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
