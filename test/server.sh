# server.sh - a throw-away PostgreSQL server that has txplan; for bash, sourced.
#
#	. test/server.sh
#	server_require make gcc    what is missing is installed, or named (exit 1)
#	server_try node            the same, but goes on (status 1, $server_reason)
#	server_prepare             a private copy of the installation
#	server_build               txplan, built and installed into that copy
#	server_start 'name = value' ...    a new cluster, with these settings
#	psql ...                   PATH and PG* variables lead to it from here on
#	server_as COMMAND ...      runs a command as the user that runs the server
#	server_stop [MODE]         the cluster's files stay
#	server_remove              stops it and removes all; server_prepare makes
#	                           this happen when the script ends ("trap - EXIT"
#	                           keeps it)
#
# Everything lives in one temporary directory, $server_dir: the copy in root/,
# the objects in build/, the cluster in data/ and its socket in socket/; the
# server's log is $server_log.  No system directory is written, no TCP port is
# opened, no other server is touched.
#
# Nothing here needs root, and nothing runs a server as root: for root the user
# postgres does it, or nobody, and $server_dir belongs to that user.
#
# Taken from the environment:
#	PG_CONFIG         the server to use (pg_config)
#	SERVER_FSYNC      off (the default: a machine that dies may take the cluster
#	                  along) or on
#	SERVER_PRELOAD    a library for LD_PRELOAD of the server, as sanitizers need
#	BUILDDIR          a directory for the objects that outlives this run
#	COPT              more flags for the compiler
#	PYTHON            the Python that has the modules of python3-NAME packages

# shellcheck shell=bash disable=SC2034 # most variables are for the caller

server_source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
server_dir=
server_user=
: "${PG_CONFIG:=pg_config}"

# Debian's packages bring modules to Debian's Python; another may come first in
# PATH.
if [ -z "${PYTHON:-}" ]
then
	PYTHON=python3
	[ ! -x /usr/bin/python3 ] || PYTHON=/usr/bin/python3
fi
export PYTHON

# Debian's Node looks here by itself, others do not.
export NODE_PATH=${NODE_PATH:+$NODE_PATH:}/usr/share/nodejs

# server_fail - says why nothing goes on, and ends the script.
server_fail()
{
	printf '%s\n' "txplan: $*" >&2
	exit 1
}

# server_has - tells whether one of the things that server_require knows is here.
server_has()
{
	case $1 in
		headers)
			# Debian's client package has the makefiles and not the headers.
			[ -f "$("$PG_CONFIG" --pgxs 2>/dev/null)" ] &&
				[ -f "$("$PG_CONFIG" --includedir-server)/postgres.h" ]
			;;
		server) [ -x "$("$PG_CONFIG" --bindir 2>/dev/null)/postgres" ] ;;
		libpq-dev) [ -f "$("$PG_CONFIG" --includedir 2>/dev/null)/libpq-fe.h" ] ;;
		node-pg) server_as node -e 'require("pg")' 2>/dev/null ;;
		libc) [ -f /usr/include/stdio.h ] || ! command -v dpkg >/dev/null ;;
		python3-*) "$PYTHON" -c "import ${1#python3-}" 2>/dev/null ;;
		*::*) perl -M"$1" -e 1 2>/dev/null ;;
		*) command -v "$1" >/dev/null ;;
	esac
}

# server_major - the major version to install: that of a server that is here
# without headers or the other way round, else the distribution's.  Nothing where
# apt has no lists, as on a fresh machine.
server_major()
{
	local found

	found=$(command -v "$PG_CONFIG" >/dev/null &&
		"$PG_CONFIG" --version 2>/dev/null |
		sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p')
	[ -n "$found" ] || found=$(
		find /usr/lib/postgresql/*/bin/postgres 2>/dev/null |
		sed 's,^/usr/lib/postgresql/\([0-9]*\)/.*,\1,' | sort -n | tail -n 1)
	[ -n "$found" ] || found=$(apt-cache depends postgresql 2>/dev/null |
		sed -n 's/.*Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1)
	printf '%s\n' "$found"
}

# server_packages - the Debian packages of the things that are missing, in a
# line that can be given to apt-get as it is: where the version is not known,
# they are those that lead to the distribution's.
server_packages()
{
	local thing major

	major=$(server_major)
	for thing in "$@"
	do
		case $thing in
			headers) echo "postgresql-server-dev-${major:-all}" ;;
			server) echo "postgresql${major:+-$major}" ;;
			libc) echo libc6-dev ;;
			prove) echo perl ;;
			node) echo nodejs ;;
			scan-build) echo clang-tools ;;
			IPC::Run) echo libipc-run-perl ;;
			*) echo "$thing" ;;
		esac
	done | sort -u | paste -s -d ' '
}

# server_install - installs Debian packages.  The server's package would create
# and start a cluster of its own; nobody asked for that, so it is told not to.
server_install()
{
	local no_cluster=/etc/postgresql-common/createcluster.d/txplan-test.conf
	local status=0

	echo "txplan: installing $*" >&2
	export DEBIAN_FRONTEND=noninteractive
	case " $* " in
		*" postgresql"*)
			apt-get install -qq -y --no-install-recommends postgresql-common ||
				return 1
			mkdir -p "${no_cluster%/*}"
			echo 'create_main_cluster = false' > "$no_cluster"
			;;
	esac
	apt-get install -qq -y --no-install-recommends "$@" || status=$?
	rm -f "$no_cluster"
	return $status
}

# server_require - makes sure that a server, its headers and the named commands
# and Perl modules are here.
server_require()
{
	local missing=() packages thing

	for thing in server headers libc "$@"
	do
		server_has "$thing" || missing+=("$thing")
	done
	[ ${#missing[@]} -gt 0 ] || return 0

	[ "$PG_CONFIG" = pg_config ] || command -v "$PG_CONFIG" >/dev/null ||
		server_fail "PG_CONFIG=$PG_CONFIG cannot be run"
	if ! command -v apt-get >/dev/null
	then
		server_fail "missing: ${missing[*]} (server and headers are" \
			"PostgreSQL's); please install them, or say where with PG_CONFIG="
	fi
	if [ "$(id -u)" -ne 0 ]
	then
		packages=$(server_packages "${missing[@]}")
		server_fail "missing: ${missing[*]}; please run as root:" \
			"apt-get update && apt-get install $packages"
	fi

	# The package lists of a fresh machine are empty, so they come first.
	apt-get update -qq >&2 || server_fail "apt-get update failed"
	packages=$(server_packages "${missing[@]}")
	# shellcheck disable=SC2086 # a list of packages
	server_install $packages >&2 ||
		server_fail "could not install $packages"
	hash -r
	for thing in "${missing[@]}"
	do
		server_has "$thing" ||
			server_fail "$thing is still missing after installing $packages"
	done
}

# server_try - tells whether things are here, or could be installed; if not,
# server_reason says why.
server_try()
{
	server_reason=$( (server_require "$@") 2>&1 > /dev/null) && return 0
	server_reason=$(printf '%s\n' "$server_reason" | tail -n 1)
	return 1
}

# server_as - runs a command as the user that runs the server.
server_as()
{
	if [ -z "$server_user" ]
	then
		"$@"
	elif command -v runuser >/dev/null
	then
		runuser -u "$server_user" -- "$@"
	elif command -v setpriv >/dev/null
	then
		setpriv --reuid "$server_user" --regid "$(id -g "$server_user")" \
			--init-groups "$@"
	else
		# shellcheck disable=SC2016 # expanded by the inner shell
		su -s /bin/sh "$server_user" -c 'exec "$0" "$@"' -- "$@"
	fi
}

# server_link - fills a directory of the copy with links to the original's
# entries, but for those of txplan: an installed one must not be tested.
server_link()
{
	local entry from=$1 to=$2

	mkdir -p "$to"
	for entry in "$from"/*
	do
		case ${entry##*/} in
			txplan | txplan.* | txplan--*) ;;
			*) [ -e "$to/${entry##*/}" ] || ln -s "$entry" "$to/" ;;
		esac
	done
}

# server_prepare - makes $server_dir and the copy of the installation in it.
# PostgreSQL finds its files relative to its program, so copied programs in a
# tree of links see an extension that only this tree has.
server_prepare()
{
	local bindir sharedir pkglibdir program base

	umask 022
	if [ "$(id -u)" -eq 0 ]
	then
		server_user=postgres
		id "$server_user" >/dev/null 2>&1 || server_user=nobody
	fi

	# A socket's path is limited to 107 bytes, and the server's user must reach
	# the directory.
	base=${TMPDIR:-/tmp}
	if [ ${#base} -gt 60 ] || ! server_as test -x "$base"
	then
		base=/tmp
	fi
	server_dir=$(mktemp -d "$base/txplan.XXXXXX") ||
		server_fail "no temporary directory in $base"
	trap server_remove EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM

	server_root=$server_dir/root
	server_data=$server_dir/data
	server_socket=$server_dir/socket
	server_log=$server_dir/server.log

	# With its whole name: the copy's own pg_config comes first in PATH soon.
	PG_CONFIG=$(command -v "$PG_CONFIG")
	bindir=$("$PG_CONFIG" --bindir)
	sharedir=$("$PG_CONFIG" --sharedir)
	pkglibdir=$("$PG_CONFIG" --pkglibdir)
	server_bin=$server_root$bindir
	server_pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")/../..

	mkdir -p "$server_bin" "$server_socket"
	for program in "$bindir"/{initdb,postgres,psql,pgbench} \
		"$bindir"/{create,drop}{db,user} "$bindir"/pg_*
	do
		[ ! -f "$program" ] || cp -L "$program" "$server_bin/"
	done
	mkdir -p "$server_root$sharedir/extension"
	server_link "$sharedir" "$server_root$sharedir"
	server_link "$sharedir/extension" "$server_root$sharedir/extension"
	server_link "$pkglibdir" "$server_root$pkglibdir"

	# The socket's directory is the access control: who gets in may be anyone.
	chmod 700 "$server_socket"
	[ -z "$server_user" ] || chown "$server_user" "$server_dir" "$server_socket"

	# A user's settings are not the tests'.
	for base in "${!PG@}"
	do
		[ "$base" = PG_CONFIG ] || unset "$base"
	done
	unset LANGUAGE MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL
	LC_ALL=C
	[ "$(LC_ALL=C.UTF-8 locale charmap 2>/dev/null)" != UTF-8 ] ||
		LC_ALL=C.UTF-8
	export LC_ALL
	export HOME=$server_dir
	export PATH=$server_bin:$PATH
}

# server_build - builds txplan out of tree and installs it into the copy.
# Arguments are make's.
# shellcheck disable=SC2120 # there may be none
server_build()
{
	local build=${BUILDDIR:-$server_dir/build}
	local log=$server_dir/build.log
	local make="${MAKE:-make}"

	mkdir -p "$build"
	if ! (cd "$build" &&
		$make -f "$server_source/Makefile" PG_CONFIG="$PG_CONFIG" \
			-j "$(nproc 2>/dev/null || echo 2)" "$@" all &&
		$make -f "$server_source/Makefile" PG_CONFIG="$PG_CONFIG" \
			"$@" DESTDIR="$server_root" install) > "$log" 2>&1
	then
		cat "$log" >&2
		server_fail "the build failed"
	fi
	grep -E '(warning|note):' "$log" >&2 || true
}

# server_start - starts the cluster, and makes it first if there is none.
# Arguments are lines for its configuration.
server_start()
{
	local ctype=$LC_ALL

	cd "$server_dir" || exit 1
	if [ ! -f "$server_data/PG_VERSION" ]
	then
		server_as initdb -D "$server_data" -U postgres -A trust -N -E UTF8 \
			--locale=C --lc-ctype="$ctype" > "$server_dir/initdb.log" 2>&1 ||
			{ cat "$server_dir/initdb.log" >&2; server_fail "initdb failed"; }
		server_as tee -a "$server_data/postgresql.conf" > /dev/null <<-EOF
			listen_addresses = ''
			unix_socket_directories = '$server_socket'
			fsync = ${SERVER_FSYNC:-off}
			timezone = 'UTC'
			log_timezone = 'UTC'
			log_line_prefix = '%m [%p] %e %d '
			max_prepared_transactions = 10
			wal_level = logical
		EOF
	fi
	[ $# -eq 0 ] ||
		printf '%s\n' "$@" | server_as tee -a "$server_data/postgresql.conf" \
			> /dev/null
	server_as env ${SERVER_PRELOAD:+LD_PRELOAD="$SERVER_PRELOAD"} \
		pg_ctl -D "$server_data" -l "$server_log" -w -t 120 start \
		> "$server_dir/start.log" 2>&1 < /dev/null ||
		{
			cat "$server_dir/start.log" "$server_log" >&2
			server_fail "the server did not start"
		}
	export PGHOST=$server_socket PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
}

# server_stop - stops the cluster; MODE as of pg_ctl.  A server that just crashed
# may not listen to polite requests.
server_stop()
{
	local mode

	[ -n "$server_dir" ] || return 0
	for mode in "${1:-fast}" immediate
	do
		[ -f "$server_data/postmaster.pid" ] || return 0
		(cd "$server_dir" &&
			server_as pg_ctl -D "$server_data" -m "$mode" -w -t 30 stop) \
			> "$server_dir/stop.log" 2>&1 < /dev/null || true
	done
}

# server_remove - leaves nothing behind.
server_remove()
{
	[ -n "$server_dir" ] || return 0
	server_stop immediate || true
	cd / && rm -rf "$server_dir"
	server_dir=
}
