# expand.awk - turns a script that calls txplan's functions into one in which an
# application does the same by statements of its own.
#
# usage: awk -v directory=application -f expand.awk complete/txplan.sql
#
# A line  SELECT txplan.NAME(argument, argument, ...) AS result  is replaced by
# NAME.sql of the directory, with the arguments for @1@, @2@ ... (NULL where there
# are fewer) and the result's name for @as@.  The actions of the workflow share
# transition_plan.sql, with the action for @action@; lines that begin with
# @close@ are kept for that action only.  A line  @NAME@  takes in NAME.sql.

function include(name, arguments, n, result, action,    file, line, status, i)
{
	file = directory "/" name ".sql"
	while ((status = (getline line < file)) > 0)
	{
		if (match(line, /^@[a-z_]+@$/))
		{
			include(substr(line, 2, length(line) - 2), arguments, n, result, action)
			continue
		}
		if (line ~ /^@close@/ && action != "close")
			continue
		sub(/^@close@/, "", line)
		for (i = 1; i <= 5; i++)
			gsub("@" i "@", i <= n ? arguments[i] : "NULL", line)
		gsub(/@as@/, result, line)
		gsub(/@action@/, action, line)
		print line
	}
	if (status < 0)
	{
		print "expand.awk: no " file > "/dev/stderr"
		exit 1
	}
	close(file)
}

# What \gset takes from a call, the statements in its place have taken already.
after_call && /^\\gset$/ { after_call = 0; next }
{ after_call = 0 }

/^SELECT txplan\./ {
	call = $0
	sub(/^SELECT txplan\./, "", call)
	name = call
	sub(/\(.*/, "", name)
	result = call ~ /\) AS / ? call : ""
	sub(/.*\) AS /, "", result)
	sub(/^[a-z_]+\(/, "", call)
	sub(/\)( AS [a-z_]+|;)$/, "", call)
	n = split(call, arguments, /, /)
	action = ""
	if (name ~ /^(confirm|accept|close)_plan$/)
	{
		action = name
		sub(/_plan$/, "", action)
		name = "transition_plan"
	}
	include(name, arguments, n, result, action)
	after_call = 1
	next
}

{ gsub(/txplan\./, "application."); print }
