/*
 * number.c
 *		Numbers for people: for each clinic and year, without gaps or duplicates.
 *
 * The count is a row that whoever takes a number holds until the transaction
 * ends: the next in the clinic waits, and a rollback gives the number back.
 *
 * A statement that makes many plans, or budgets, takes its first number from the
 * row, counts on in memory, and writes the row once when it settles.
 */
#include "number.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "error.h"
#include "spi.h"

/* Where a count stood when a subtransaction first took a number from it */
typedef struct CountMark
{
	SubTransactionId subtransaction;
	int64 last_number;
} CountMark;

/* The count of a clinic and year, while a statement takes numbers from it */
typedef struct Count
{
	SubTransactionId subtransaction;
	NumberKind kind;
	pg_uuid_t clinic_id;
	int year;
	int64 last_number;
	List *marks; /* of CountMark *, what subtransactions found */
	bool written;
} Count;

/* Of the transaction at hand, in its memory */
static List *counts = NIL;

SAVED_QUERY(read_clinic,
			"SELECT c.plan_number_format, c.budget_number_format, "
			"pg_catalog.date_part('year', "
			"pg_catalog.timezone(c.time_zone, pg_catalog.clock_timestamp()))"
			"::pg_catalog.int4 "
			"FROM txplan.clinics AS c "
			"WHERE c.id" EQ "$1",
			UUIDOID);

SAVED_QUERY(take_number,
			"INSERT INTO txplan.number_counters AS n "
			"(clinic_id, kind, year, last_number) VALUES ($1, $3, $2, 1) "
			"ON CONFLICT (clinic_id, kind, year) "
			"DO UPDATE SET last_number = n.last_number" PLUS "1 "
			"RETURNING last_number",
			UUIDOID, INT4OID, TEXTOID);

SAVED_QUERY(write_number,
			"UPDATE txplan.number_counters AS n SET last_number = $3 "
			"WHERE n.clinic_id" EQ "$1 AND n.kind" EQ "$4 AND n.year" EQ "$2",
			UUIDOID, INT4OID, INT8OID, TEXTOID);

SAVED_QUERY(find_plan_number,
			"SELECT p.number FROM txplan.plans AS p "
			"WHERE p.id" EQ "$1 AND p.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_budget_number,
			"SELECT b.number FROM txplan.budgets AS b "
			"WHERE b.id" EQ "$1 AND b.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

/* By NumberKind */
static const char *const kind_names[] = { "plan", "budget" };
static SavedQuery *const find_queries[] = { &find_plan_number,
											&find_budget_number };

/*
 * FormatNumber fills a format such as PLAN-{YYYY}-{NNNN}.
 */
static char *
FormatNumber(const char *format, int year, int64 number)
{
	StringInfoData text;
	const char *c = format;

	initStringInfo(&text);
	while (*c != '\0')
	{
		if (strncmp(c, "{YYYY}", 6) == 0)
		{
			appendStringInfo(&text, "%04d", year);
			c += 6;
		}
		else if (*c == '{')
		{
			int digits = (int) strspn(c + 1, "N");

			appendStringInfo(&text, "%0*lld", digits, (long long) number);
			c += digits + 2;
		}
		else
			appendStringInfoChar(&text, *c++);
	}
	return text.data;
}

/*
 * MarkCount notes where a count stands before a subtransaction takes a number
 * from it that began around it.
 */
static void
MarkCount(Count *count)
{
	SubTransactionId current = GetCurrentSubTransactionId();
	CountMark *mark;

	if (count->subtransaction == current)
		return;
	if (count->marks != NIL &&
		((CountMark *) llast(count->marks))->subtransaction == current)
		return;
	mark = (CountMark *) palloc(sizeof(CountMark));
	mark->subtransaction = current;
	mark->last_number = count->last_number;
	count->marks = lappend(count->marks, mark);
}

/*
 * RestoreCount takes back the numbers of a subtransaction that is rolled back,
 * and of those within it.
 */
static void
RestoreCount(Count *count, SubTransactionId mine)
{
	while (count->marks != NIL)
	{
		CountMark *mark = (CountMark *) llast(count->marks);

		if (mark->subtransaction < mine)
			break;
		count->last_number = mark->last_number;
		count->written = false;
		count->marks = list_delete_last(count->marks);
	}
}

/*
 * EndOfTransaction and EndOfSubtransaction forget the counts that went with what
 * was rolled back.
 */
static void
EndOfTransaction(XactEvent event, void *argument)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			counts = NIL;
			break;
		default:
			break;
	}
}

static void
EndOfSubtransaction(SubXactEvent event, SubTransactionId mine,
					SubTransactionId parent, void *argument)
{
	ListCell *cell;

	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	foreach(cell, counts)
	{
		Count *count = (Count *) lfirst(cell);

		if (count->subtransaction >= mine)
			counts = foreach_delete_current(counts, cell);
		else
			RestoreCount(count, mine);
	}
}

/*
 * InitNumber registers the callbacks, once for each backend.
 */
void
InitNumber(void)
{
	RegisterXactCallback(EndOfTransaction, NULL);
	RegisterSubXactCallback(EndOfSubtransaction, NULL);
}

/*
 * TakeCount finds the count that this statement is using, or takes a first
 * number from its row.  Either way the count stands at the number taken.
 */
static Count *
TakeCount(NumberKind kind, const pg_uuid_t *clinic_id, int year)
{
	MemoryContext old;
	ListCell *cell;
	Count *count;
	Datum arguments[3];
	Datum number;
	bool isnull;

	foreach(cell, counts)
	{
		count = (Count *) lfirst(cell);
		if (count->kind == kind && count->year == year &&
			memcmp(&count->clinic_id, clinic_id, UUID_LEN) == 0)
		{
			old = MemoryContextSwitchTo(TopTransactionContext);
			MarkCount(count);
			MemoryContextSwitchTo(old);
			count->last_number++;
			count->written = false;
			return count;
		}
	}

	arguments[0] = UUIDPGetDatum(clinic_id);
	arguments[1] = Int32GetDatum(year);
	arguments[2] = CStringGetTextDatum(kind_names[kind]);
	if (!EngineWriteRow(&take_number, TABLE_NUMBER_COUNTERS, arguments, NULL,
						&number, &isnull))
		elog(ERROR, "no number was issued");
	old = MemoryContextSwitchTo(TopTransactionContext);
	count = (Count *) palloc(sizeof(Count));
	count->subtransaction = GetCurrentSubTransactionId();
	count->kind = kind;
	count->clinic_id = *clinic_id;
	count->year = year;
	count->last_number = DatumGetInt64(number);
	count->written = true;
	count->marks = NIL;
	counts = lappend(counts, count);
	MemoryContextSwitchTo(old);
	return count;
}

/*
 * WriteNumbers writes the counts when a statement that made plans or budgets
 * settles.
 */
void
WriteNumbers(void)
{
	while (counts != NIL)
	{
		Count *count = (Count *) linitial(counts);
		Datum arguments[4];

		counts = list_delete_first(counts);
		if (!count->written)
		{
			arguments[0] = UUIDPGetDatum(&count->clinic_id);
			arguments[1] = Int32GetDatum(count->year);
			arguments[2] = Int64GetDatum(count->last_number);
			arguments[3] = CStringGetTextDatum(kind_names[count->kind]);
			(void) EngineWrite(&write_number, TABLE_NUMBER_COUNTERS, arguments,
							   NULL);
		}
		pfree(count);
	}
}

/*
 * IssueNumber issues the number of a new plan or budget.
 *
 * One whose id is there already will not be inserted (ON CONFLICT, or an error),
 * so it takes no number: it gets that of the row that is there.  That is looked at
 * under the lock of the count, behind which whoever inserts the same row has to
 * wait.
 */
char *
IssueNumber(NumberKind kind, const pg_uuid_t *id, const pg_uuid_t *clinic_id)
{
	Datum arguments[2];
	Datum clinic[3];
	Datum number;
	bool nulls[3];
	Count *count;

	arguments[0] = UUIDPGetDatum(clinic_id);
	if (!QueryRow(&read_clinic, AS_OWNER, arguments, NULL, clinic, nulls))
		RaiseMissing("clinic", clinic_id);
	count = TakeCount(kind, clinic_id, DatumGetInt32(clinic[2]));

	arguments[0] = UUIDPGetDatum(id);
	arguments[1] = UUIDPGetDatum(clinic_id);
	if (QueryRow(find_queries[kind], AS_OWNER, arguments, NULL, &number, nulls))
	{
		count->last_number--;
		count->written = false;
		return TextDatumGetCString(number);
	}
	return FormatNumber(TextDatumGetCString(clinic[kind]), count->year,
						count->last_number);
}
