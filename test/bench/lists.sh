# lists.sh - how long the inbox and the pipeline take as clinics grow, and in one
# large clinic; sourced by run.sh.
#
# Taken from the environment:
#	LISTS          the numbers of plans ("10000 100000 1000000")
#	LARGE_CLINIC   plans of which 95 % are in one clinic (100000); 0: left out

# shellcheck shell=bash disable=SC2154 # the variables are run.sh's

: "${LISTS=10000 100000 1000000}" "${LARGE_CLINIC:=100000}"

# make_lists - a database with so many plans; more arguments are psql's.
make_lists()
{
	local database=$1 plans=$2

	shift 2
	say "inbox: $plans plans are made"
	createdb "$database"
	PGDATABASE=$database sql -c 'CREATE EXTENSION txplan' \
		-c 'SELECT txplan.install()' > /dev/null
	PGDATABASE=$database sql -v plans="$plans" "$@" -f "$here/inbox/data.sql"
}

# time_list - a list in a database, after a second of warming up.
time_list()
{
	local list=$1 database=$2 script=$3

	say "inbox: $list"
	PGDATABASE=$database bench "$list" txplan 1 "$script" -T 1
	sed -i "/^$list\t/d" "$results"
	PGDATABASE=$database bench "$list" txplan 1 "$script" -T "$SECONDS_EACH"
}

# work_inbox - each list, one call after another, of clinics drawn at random, in
# databases with few plans and with many; then lists of one large clinic.
work_inbox()
{
	local plans script name

	for plans in $LISTS
	do
		make_lists "lists_$plans" "$plans"
	done
	for script in first_page first_page_of_a_tab tenth_page search_rare \
		search_frequent search_number counts pipeline_totals pipeline_page
	do
		for plans in $LISTS
		do
			time_list "inbox_${script}_$plans" "lists_$plans" \
				"$here/inbox/$script.sql"
		done
	done
	for plans in $LISTS
	do
		dropdb "lists_$plans"
	done

	[ "$LARGE_CLINIC" -gt 0 ] || return 0
	make_lists lists_large "$LARGE_CLINIC" -v largest=0.95
	for script in "$here"/inbox/large/*.sql
	do
		name=${script##*/??_}
		time_list "large_clinic_${name%.sql}" lists_large "$script"
	done
	dropdb lists_large
}
