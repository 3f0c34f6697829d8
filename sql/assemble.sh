#!/bin/sh
# assemble.sh - puts the rooms sql/NAME.sql together to the extension's script.
#
# usage: assemble.sh [DIRECTORY] > txplan--VERSION.sql
#
# A room is a file with up to two sections, each opened by a line of its own:
#
#   -- == extension ==      what CREATE EXTENSION runs
#   -- == record ==         what install() runs
#
# What stands before them is comment; there "-- after: plan, item" names the
# rooms that must come earlier.  Rooms that are free to choose come in the order
# of the alphabet.  The extension section of the room "record" comes last and
# holds the line "-- @record sections@", which the record sections of all rooms
# replace, its own first.
#
# Nothing is written when a room is missing, rooms wait for each other, or a
# line would be lost.

set -eu
LC_ALL=C
export LC_ALL

directory=${1:-$(dirname "$0")}
rooms=
for file in "$directory"/*.sql
do
	case ${file##*/} in
		txplan--*) ;;
		*) [ ! -f "$file" ] || rooms="$rooms ${file##*/}" ;;
	esac
done
[ -n "$rooms" ] || { echo "assemble.sh: no room in $directory" >&2; exit 1; }

cd "$directory"
# shellcheck disable=SC2086 # the names of rooms have no spaces
awk '
function fail(text)
{
	print "assemble.sh: " text > "/dev/stderr"
	failed = 1
	exit 1
}

# strip - takes the empty lines around a section away.
function strip(text)
{
	sub(/^[ \t\r\n]+\n/, "", text)
	sub(/^\n+/, "", text)
	sub(/[ \t\r\n]+$/, "", text)
	return text == "" ? "" : text "\n"
}

# emit - prints the section of a room under the name of its file.
function emit(room, text)
{
	if (text != "")
		printf "-- %s.sql\n%s\n", room, text
}

FNR == 1 {
	room = FILENAME
	sub(/^.*\//, "", room)
	sub(/\.sql$/, "", room)
	if (room !~ /^[a-z][a-z0-9_]*$/)
		fail(FILENAME ": a room is named by letters, digits and _")
	rooms[++count] = room
	known[room] = 1
	section = ""
}

{ sub(/\r$/, "") }

/^-- == .* ==$/ {
	section = $3
	if (NF != 4 || (section != "extension" && section != "record"))
		fail(FILENAME ":" FNR ": unknown section: " $0)
	if ((room, section) in opened)
		fail(FILENAME ":" FNR ": second section: " $0)
	opened[room, section] = 1
	next
}

section == "" {
	if ($0 ~ /^-- after:/)
	{
		names = $0
		sub(/^-- after:/, "", names)
		n = split(names, list, /[ \t,]+/)
		for (i = 1; i <= n; i++)
			if (list[i] != "")
				after[room] = after[room] " " list[i]
	}
	else if ($0 !~ /^[ \t]*(--.*)?$/)
		fail(FILENAME ":" FNR ": this line is in no section: " $0)
	next
}

section == "extension" && /^[ \t]*-- @record sections@[ \t]*$/ {
	$0 = "-- @record sections@"
	if (room != "record")
		fail(FILENAME ":" FNR ": only the room record takes the record sections")
	if (placed++)
		fail(FILENAME ":" FNR ": the record sections go to one place only")
}

{ body[room, section] = body[room, section] $0 "\n" }

END {
	if (failed)
		exit 1

	# The room record has its fixed places, so nothing waits for it, nor it for
	# others.
	for (i = 1; i <= count; i++)
	{
		n = split(after[rooms[i]], list, " ")
		for (j = 1; j <= n; j++)
			if (!(list[j] in known))
				fail(rooms[i] ".sql: after: there is no room " list[j])
	}

	# The files came in the order of the alphabet: take the first that waits
	# for nobody, and start anew.
	done["record"] = 1
	for (taken = ("record" in known); taken < count; taken++)
	{
		found = ""
		waiting = ""
		for (i = 1; i <= count && found == ""; i++)
		{
			if (rooms[i] in done)
				continue
			free = 1
			n = split(after[rooms[i]], list, " ")
			for (j = 1; j <= n; j++)
				if (!(list[j] in done))
					free = 0
			if (free)
				found = rooms[i]
			else
				waiting = waiting " " rooms[i]
		}
		if (found == "")
			fail("these rooms wait for each other:" waiting)
		done[found] = 1
		ordered[++places] = found
	}

	record = ""
	if (strip(body["record", "record"]) != "")
		record = "-- record.sql\n" strip(body["record", "record"]) "\n"
	for (i = 1; i <= places; i++)
	{
		text = strip(body[ordered[i], "record"])
		if (text != "")
			record = record "-- " ordered[i] ".sql\n" text "\n"
	}
	if (record != "" && !placed)
		fail("record.sql has no line \"-- @record sections@\"")

	print "\\echo Use \"CREATE EXTENSION txplan\" to load this file. \\quit\n"
	for (i = 1; i <= places; i++)
		emit(ordered[i], strip(body[ordered[i], "extension"]))

	text = strip(body["record", "extension"])
	mark = "-- @record sections@\n"
	at = placed ? index("\n" text, "\n" mark) : 0
	if (at > 0)
		text = substr(text, 1, at - 1) record substr(text, at + length(mark))
	emit("record", text)
}
' $rooms
