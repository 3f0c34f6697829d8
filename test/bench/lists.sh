# lists.sh - how long the inbox and the pipeline take as clinics grow; sourced by
# run.sh.
#
# Taken from the environment:
#	LISTS    the numbers of plans ("10000 100000 1000000")

# shellcheck shell=bash disable=SC2154 # the variables are run.sh's

: "${LISTS:=10000 100000 1000000}"

# work_inbox - each list, one call after another, of clinics drawn at random, in
# databases with few plans and with many.
work_inbox()
{
	local plans script list

	for plans in $LISTS
	do
		say "inbox: $plans plans are made"
		createdb "lists_$plans"
		PGDATABASE=lists_$plans sql -c 'CREATE EXTENSION txplan' \
			-c 'SELECT txplan.install()' > /dev/null
		PGDATABASE=lists_$plans sql -v plans="$plans" -f "$here/inbox/data.sql"
	done
	for script in first_page first_page_of_a_tab tenth_page search_rare \
		search_frequent search_number counts pipeline_totals pipeline_page
	do
		for plans in $LISTS
		do
			say "inbox: $script, $plans plans"
			list=inbox_${script}_$plans
			PGDATABASE=lists_$plans bench "$list" txplan 1 "$here/inbox/$script.sql" \
				-T 1
			sed -i "/^$list\t/d" "$results"
			PGDATABASE=lists_$plans bench "$list" txplan 1 "$here/inbox/$script.sql" \
				-T "$SECONDS_EACH"
		done
	done
	for plans in $LISTS
	do
		dropdb "lists_$plans"
	done
}
