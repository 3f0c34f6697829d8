/*
 * partition.c
 *		The partitions of events: which there are, and making that of a month.
 *
 * A partition takes a calendar month in UTC and is named for it.  It is made
 * apart and filled with what waits for it in events_default, while others read
 * and write; only to attach it, events_default is locked, and then nothing is
 * left that takes long.
 *
 * A name of a partition can be no parameter, so statements are put together
 * here; they contain names that are made from a date, and of columns.
 */
#include "partition.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "spi.h"

/*
 * FirstOfMonth is when a month begins in UTC; the 13th is January of the next year.
 */
static TimestampTz
FirstOfMonth(int year, int month)
{
	struct pg_tm tm = { 0 };
	TimestampTz first;
	int utc = 0;

	tm.tm_year = month > 12 ? year + 1 : year;
	tm.tm_mon = month > 12 ? 1 : month;
	tm.tm_mday = 1;
	if (tm2timestamp(&tm, 0, &utc, &first) != 0)
		elog(ERROR, "month %d of year %d is out of range", month, year);
	return first;
}

/*
 * MonthOf finds the partition that a time belongs to; false when the year is one
 * of which there are no partitions.
 */
bool
MonthOf(TimestampTz at, EventPartition *month)
{
	struct pg_tm tm;
	fsec_t microseconds;

	if (TIMESTAMP_NOT_FINITE(at) ||
		timestamp2tm(at, NULL, &tm, &microseconds, NULL, NULL) != 0 ||
		tm.tm_year < PARTITION_YEAR_MIN || tm.tm_year > PARTITION_YEAR_MAX)
		return false;
	memset(month, 0, sizeof(EventPartition));
	snprintf(month->name, sizeof(month->name), "events_%04d_%02d", tm.tm_year,
			 tm.tm_mon);
	month->starts_at = FirstOfMonth(tm.tm_year, tm.tm_mon);
	month->ends_at = FirstOfMonth(tm.tm_year, tm.tm_mon + 1);
	month->is_month = true;
	return true;
}

/*
 * MakeEntry describes a partition that is there.
 */
static EventPartition *
MakeEntry(Oid relation, TimestampTz starts_at, TimestampTz ends_at)
{
	EventPartition *entry = (EventPartition *) palloc0(sizeof(EventPartition));
	char *name = get_rel_name(relation);
	EventPartition month;

	entry->relation = relation;
	strlcpy(entry->name, name == NULL ? "" : name, sizeof(entry->name));
	entry->starts_at = starts_at;
	entry->ends_at = ends_at;
	entry->is_month = MonthOf(starts_at, &month) &&
					  strcmp(month.name, entry->name) == 0 &&
					  month.ends_at == ends_at &&
					  get_rel_relkind(relation) == RELKIND_RELATION &&
					  get_rel_namespace(relation) ==
						  get_rel_namespace(RecordRelation(TABLE_EVENTS));
	return entry;
}

/*
 * BoundAt is a bound of the partitions as a time.
 */
static TimestampTz
BoundAt(PartitionBoundInfo bounds, int i)
{
	switch (bounds->kind[i][0])
	{
		case PARTITION_RANGE_DATUM_MINVALUE:
			return DT_NOBEGIN;
		case PARTITION_RANGE_DATUM_MAXVALUE:
			return DT_NOEND;
		default:
			return DatumGetTimestampTz(bounds->datums[i][0]);
	}
}

/*
 * ListPartitions lists the partitions that are attached, in the order of time; the
 * default partition comes last.  It locks events as a reader does.
 */
List *
ListPartitions(void)
{
	Relation events = table_open(RecordRelation(TABLE_EVENTS), AccessShareLock);
	PartitionDesc partitions = RelationGetPartitionDesc(events, true);
	PartitionBoundInfo bounds = partitions->boundinfo;
	List *list = NIL;
	int i;

	for (i = 1; bounds != NULL && i < bounds->ndatums; i++)
		if (bounds->indexes[i] >= 0)
			list = lappend(list, MakeEntry(partitions->oids[bounds->indexes[i]],
										   BoundAt(bounds, i - 1),
										   BoundAt(bounds, i)));
	if (bounds != NULL && partition_bound_has_default(bounds))
	{
		EventPartition *entry =
			MakeEntry(partitions->oids[bounds->default_index], DT_NOBEGIN,
					  DT_NOEND);

		entry->is_default = true;
		list = lappend(list, entry);
	}
	table_close(events, NoLock);
	return list;
}

/*
 * FindDefault finds the default partition in a list; NULL when there is none that
 * is named as install() names it.
 */
const EventPartition *
FindDefault(const List *partitions)
{
	const EventPartition *last =
		partitions == NIL ? NULL : (EventPartition *) llast(partitions);

	return last != NULL && last->is_default &&
				   strcmp(last->name, "events_default") == 0 ?
			   last :
			   NULL;
}

/*
 * PartitionName is the qualified name of a partition, quoted.
 */
char *
PartitionName(const EventPartition *partition)
{
	char *schema =
		get_namespace_name(get_rel_namespace(RecordRelation(TABLE_EVENTS)));

	if (OidIsValid(partition->relation))
		schema = get_namespace_name(get_rel_namespace(partition->relation));
	return quote_qualified_identifier(schema, partition->name);
}

/*
 * BoundText writes the begin of a month, so that it is read alike whatever the
 * session's settings are.
 */
char *
BoundText(TimestampTz at)
{
	struct pg_tm tm;
	fsec_t microseconds;

	if (timestamp2tm(at, NULL, &tm, &microseconds, NULL, NULL) != 0)
		elog(ERROR, "a month is out of range");
	return psprintf("%04d-%02d-%02d 00:00:00+00", tm.tm_year, tm.tm_mon,
					tm.tm_mday);
}

/*
 * DefineAsOwner runs a definition as the record's owner.
 */
void
DefineAsOwner(const char *sql)
{
	OwnerScope scope;

	ConnectSpi();
	EnterOwner(&scope, false);
	RunDefinition(sql);
	LeaveOwner(&scope);
	FinishSpi();
}

/*
 * DefinePartition makes the table of a month apart from events: with the same
 * columns, constraints and indexes, so that nothing is built when it is attached,
 * and with a CHECK that proves what is in it.
 */
void
DefinePartition(const EventPartition *month)
{
	char *name = PartitionName(month);

	DefineAsOwner(psprintf("CREATE TABLE %s (LIKE txplan.events INCLUDING ALL EXCLUDING IDENTITY, "
						   "CONSTRAINT in_its_month CHECK ("
						   "occurred_at OPERATOR(pg_catalog.>=) '%s'::pg_catalog.timestamptz AND "
						   "occurred_at" LT "'%s'::pg_catalog.timestamptz))",
						   name, BoundText(month->starts_at),
						   BoundText(month->ends_at)));
	DefineAsOwner(psprintf("COMMENT ON TABLE %s IS 'Events of %.7s, in UTC'",
						   name, BoundText(month->starts_at)));
	DefineAsOwner(psprintf("CREATE TRIGGER %s BEFORE TRUNCATE ON %s FOR EACH "
						   "STATEMENT EXECUTE FUNCTION "
						   "txplan.refuse_truncate()",
						   quote_identifier(psprintf("%s_not_truncated",
													 month->name)),
						   name));
}

/*
 * ListColumns writes the columns of events that are stored, each with a prefix.
 */
static char *
ListColumns(const char *prefix)
{
	Relation events = table_open(RecordRelation(TABLE_EVENTS), AccessShareLock);
	TupleDesc descriptor = RelationGetDescr(events);
	StringInfoData list;
	int i;

	initStringInfo(&list);
	for (i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		if (!attribute->attisdropped && attribute->attgenerated == '\0')
			appendStringInfo(&list, "%s%s%s", list.len == 0 ? "" : ", ", prefix,
							 quote_identifier(NameStr(attribute->attname)));
	}
	table_close(events, NoLock);
	return list.data;
}

/*
 * MoveEvents moves the events of a month that are committed from events_default to
 * the table of the month, as they are, and returns how many they were.
 */
uint64
MoveEvents(const EventPartition *month)
{
	Oid types[] = { TIMESTAMPTZOID, TIMESTAMPTZOID };
	Datum values[2];
	uint64 moved;

	values[0] = TimestampTzGetDatum(month->starts_at);
	values[1] = TimestampTzGetDatum(month->ends_at);
	RequireRecord();
	ConnectSpi();
	moved =
		EngineRun(psprintf("WITH moved AS (DELETE FROM ONLY txplan.events_default AS e "
						   "WHERE e.occurred_at OPERATOR(pg_catalog.>=) $1 "
						   "AND e.occurred_at" LT "$2 RETURNING %s) "
						   "INSERT INTO %s (%s) SELECT %s FROM moved AS m",
						   ListColumns("e."), PartitionName(month),
						   ListColumns(""), ListColumns("m.")),
				  TABLE_EVENTS, lengthof(types), types, values);
	FinishSpi();
	return moved;
}

/*
 * AttachPartition makes the table of a month a partition.  The caller has locked
 * events_default and left none of the month's events there.
 */
void
AttachPartition(const EventPartition *month)
{
	char *name = PartitionName(month);

	DefineAsOwner(psprintf("ALTER TABLE txplan.events ATTACH PARTITION %s "
						   "FOR VALUES FROM ('%s') TO ('%s')",
						   name, BoundText(month->starts_at),
						   BoundText(month->ends_at)));

	/* From here on it would say again what the bounds say, for each INSERT. */
	DefineAsOwner(psprintf("ALTER TABLE %s DROP CONSTRAINT in_its_month",
						   name));
}

/*
 * A fence is a CHECK of events_default that keeps a month out of it which is
 * over.  Where events_default is large, it proves that there is nothing of the
 * month, which would take long to look for while others wait: the proof is made
 * beside them.
 */
static char *
FenceName(const EventPartition *month)
{
	return psprintf("events_default_without%s", month->name + strlen("events"));
}

/*
 * IsFenced tells whether a month is kept out of events_default.
 */
bool
IsFenced(const EventPartition *month)
{
	Oid relation =
		get_relname_relid("events_default",
						  get_rel_namespace(RecordRelation(TABLE_EVENTS)));

	return OidIsValid(get_relation_constraint_oid(relation, FenceName(month),
												  true));
}

/*
 * AddFence keeps a month out of events_default from here on.
 */
void
AddFence(const EventPartition *month)
{
	DefineAsOwner(psprintf("ALTER TABLE txplan.events_default ADD CONSTRAINT %s CHECK ("
						   "occurred_at" LT "'%s'::pg_catalog.timestamptz OR "
						   "occurred_at OPERATOR(pg_catalog.>=) '%s'::pg_catalog.timestamptz) "
						   "NOT VALID",
						   FenceName(month), BoundText(month->starts_at),
						   BoundText(month->ends_at)));
	DefineAsOwner(psprintf("COMMENT ON CONSTRAINT %s ON txplan.events_default "
						   "IS 'The month is being moved to its partition'",
						   FenceName(month)));
}

/*
 * ProveFence reads events_default to prove that nothing of a month is left there;
 * others go on reading and writing.
 */
void
ProveFence(const EventPartition *month)
{
	DefineAsOwner(psprintf("ALTER TABLE txplan.events_default VALIDATE "
						   "CONSTRAINT %s",
						   FenceName(month)));
}

/*
 * DropFence takes the fence away when the month has its partition.
 */
void
DropFence(const EventPartition *month)
{
	DefineAsOwner(psprintf("ALTER TABLE txplan.events_default DROP CONSTRAINT "
						   "%s",
						   FenceName(month)));
}
