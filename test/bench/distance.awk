# distance.awk - puts a pause before each statement of a script of pgbench: the
# round trip to a server on another machine, during which neither side works.
#
# usage: awk -v round_trip=MICROSECONDS -f distance.awk complete/txplan.sql

BEGIN { before = 1 }

/^--/ || /^[ \t]*$/ { print; next }

/^\\/ {
	print
	if (/^\\gset/)
		before = 1
	next
}

{
	if (before)
		print "\\sleep " round_trip " us"
	before = /;[ \t]*$/
	print
}
