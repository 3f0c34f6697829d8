/*
 * listing.c
 *		What the lists of plans share: their filters, their pages, their cursors.
 *
 * A page goes on behind a cursor, which is the place of the last row in the order
 * of the list, not a number of rows: so no plan is shown twice or skipped that did
 * not itself move meanwhile.
 */
#include "listing.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "port/pg_bswap.h"
#include "port/pg_crc32c.h"
#include "utils/builtins.h"
#include "utils/date.h"

#include "error.h"
#include "registry.h"
#include "search.h"

#define PAGE_SIZE_MAX 1000
#define PAGE_SIZE 50

/* A cursor's bytes: a time, an id, and a sum over them, clinic and list */
#define CURSOR_BYTES (8 + UUID_LEN + 4)

SAVED_QUERY(read_days,
			"SELECT ($2::pg_catalog.timestamp AT TIME ZONE c.time_zone), "
			"(($3" PLUS "1)::pg_catalog.timestamp AT TIME ZONE c.time_zone) "
			"FROM txplan.clinics AS c WHERE c.id" EQ "$1",
			UUIDOID, DATEOID, DATEOID);

/*
 * SetListValue sets the Nth value of the list's query, counted from 1.
 */
void
SetListValue(PlanList *list, int n, Datum value)
{
	list->values[n - 1] = value;
	list->nulls[n - 1] = ' ';
}

/*
 * SetListNull sets it to NULL.
 */
void
SetListNull(PlanList *list, int n)
{
	list->values[n - 1] = (Datum) 0;
	list->nulls[n - 1] = 'n';
}

/*
 * CheckDay refuses a day whose beginning or end, in any time zone, is no time.
 */
static void
CheckDay(FunctionCallInfo fcinfo, int n, const char *name)
{
	DateADT day;

	if (PG_ARGISNULL(n))
		return;
	day = PG_GETARG_DATEADT(n);
	if (!DATE_NOT_FINITE(day) &&
		(day < DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE + 2 ||
		 day > TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE - 4))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("argument \"%s\" is out of range", name),
						errhint("Give NULL for no limit.")));
}

/*
 * SetDays sets from when and until when plans were made, by days of the clinic.
 */
static void
SetDays(PlanList *list, FunctionCallInfo fcinfo, const ListArguments *arguments)
{
	Datum values[3];
	char nulls[4] = " nn";
	Datum bounds[2];
	bool missing[2];
	bool from = !PG_ARGISNULL(arguments->created_from);
	bool to = !PG_ARGISNULL(arguments->created_to);

	CheckDay(fcinfo, arguments->created_from, "created_from");
	CheckDay(fcinfo, arguments->created_to, "created_to");
	SetListValue(list, 3, TimestampTzGetDatum(DT_NOBEGIN));
	SetListValue(list, 4, TimestampTzGetDatum(DT_NOEND));
	if (!from && !to)
		return;
	values[0] = list->values[0];
	values[1] = values[2] = (Datum) 0;
	if (from)
	{
		values[1] = PG_GETARG_DATUM(arguments->created_from);
		nulls[1] = ' ';
	}
	if (to)
	{
		values[2] = PG_GETARG_DATUM(arguments->created_to);
		nulls[2] = ' ';
	}
	if (!QueryRow(&read_days, AS_OWNER, values, nulls, bounds, missing))
		RaiseMissing("clinic", list->clinic_id);
	if (!missing[0])
		SetListValue(list, 3, bounds[0]);
	if (!missing[1])
		SetListValue(list, 4, bounds[1]);
	list->filtered = true;
}

/*
 * SumOfCursor tells a cursor of this list from others and from what is none.
 */
static uint32
SumOfCursor(const PlanList *list, const char *place)
{
	pg_crc32c sum;

	INIT_CRC32C(sum);
	COMP_CRC32C(sum, list->name, strlen(list->name));
	COMP_CRC32C(sum, list->clinic_id, UUID_LEN);
	COMP_CRC32C(sum, place, CURSOR_BYTES - 4);
	FIN_CRC32C(sum);
	return sum;
}

/*
 * MakeCursor writes the place of a row in the order of its list.
 */
static Datum
MakeCursor(const PlanList *list, TimestampTz at, const pg_uuid_t *id)
{
	char bytes[CURSOR_BYTES];
	char written[CURSOR_BYTES * 2];
	uint64 time = pg_hton64((uint64) at);
	uint32 sum;

	memcpy(bytes, &time, 8);
	memcpy(bytes + 8, id, UUID_LEN);
	sum = pg_hton32(SumOfCursor(list, bytes));
	memcpy(bytes + 8 + UUID_LEN, &sum, 4);
	(void) hex_encode(bytes, CURSOR_BYTES, written);
	return PointerGetDatum(cstring_to_text_with_len(written, CURSOR_BYTES * 2));
}

/*
 * SetAfter reads a cursor, and raises 22023 for what is none of this list.
 */
static void
SetAfter(PlanList *list, FunctionCallInfo fcinfo, int after)
{
	char bytes[CURSOR_BYTES] = { 0 };
	char *given;
	uint64 time;
	uint32 sum = 0;

	if (PG_ARGISNULL(after))
		return;
	given = text_to_cstring(PG_GETARG_TEXT_PP(after));
	list->has_after = strlen(given) == CURSOR_BYTES * 2 &&
					  strspn(given, "0123456789abcdef") == CURSOR_BYTES * 2;
	if (list->has_after)
	{
		(void) hex_decode(given, CURSOR_BYTES * 2, bytes);
		memcpy(&sum, bytes + 8 + UUID_LEN, 4);
		list->has_after = pg_ntoh32(sum) == SumOfCursor(list, bytes);
	}
	if (!list->has_after)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"after\" is no cursor of \"%s\"",
						list->name),
				 errdetail("A cursor goes with the clinic and the list whose row "
						   "it came with."),
				 errhint("Give the cursor of the last row as it was, or NULL for "
						 "the first page.")));
	memcpy(&time, bytes, 8);
	list->after_at = (TimestampTz) pg_ntoh64(time);
	memcpy(&list->after_id, bytes + 8, UUID_LEN);
}

/*
 * SetPageSize reads how many rows a page has.
 */
static void
SetPageSize(PlanList *list, FunctionCallInfo fcinfo, int page_size)
{
	list->page_size =
		PG_ARGISNULL(page_size) ? PAGE_SIZE : PG_GETARG_INT32(page_size);
	if (list->page_size < 1 || list->page_size > PAGE_SIZE_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("page_size must be 1 to %d", PAGE_SIZE_MAX),
						errdetail("It is %d.", list->page_size),
						errhint("Leave it out for %d.", PAGE_SIZE)));
}

/*
 * OpenList checks the arguments that lists share, and raises what they raise.  The
 * first argument is the clinic.
 */
void
OpenList(PlanList *list, FunctionCallInfo fcinfo, const char *name,
		 const ListArguments *arguments)
{
	memset(list, 0, sizeof(PlanList));
	list->name = name;
	list->clinic_id = PG_GETARG_UUID_P(0);
	SetListValue(list, 1, PG_GETARG_DATUM(0));
	SetListNull(list, 2);
	if (arguments->page_size >= 0)
		SetPageSize(list, fcinfo, arguments->page_size);
	if (arguments->after >= 0)
		SetAfter(list, fcinfo, arguments->after);
	SetWords(list, fcinfo, arguments->search);
	CheckClinic(list->clinic_id);
	if (!PG_ARGISNULL(arguments->professional_id))
	{
		SetListValue(list, 2, PG_GETARG_DATUM(arguments->professional_id));
		list->of_professional = true;
	}
	SetDays(list, fcinfo, arguments);
}

/*
 * ReturnList makes the rows of a query the function's result, each with its cursor
 * behind: the time and the id by which the list is ordered are in the given
 * columns.  The query runs as the caller.  Where it looked only at the beginning
 * of the list, less than a page is nothing: then false, and no result.
 */
bool
ReturnList(PlanList *list, FunctionCallInfo fcinfo, SavedQuery *query,
		   int at_column, int id_column, bool only_full)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	uint64 rows;
	uint64 row;

	char after = list->nulls[query->nargs];

	list->nulls[query->nargs] = '\0';
	ConnectSpi();
	rows = RunQuery(query, AS_CALLER, list->values, list->nulls);
	list->nulls[query->nargs] = after;
	if (only_full && rows < (uint64) list->page_size)
	{
		FinishSpi();
		return false;
	}
	InitMaterializedSRF(fcinfo, 0);
	for (row = 0; row < rows; row++)
	{
		Datum columns[LIST_COLUMN_COUNT + 4];
		bool isnull[LIST_COLUMN_COUNT + 4];
		int last = result->setDesc->natts - 1;

		FetchRow(row, columns, isnull);
		columns[last] =
			MakeCursor(list, DatumGetTimestampTz(columns[at_column]),
					   DatumGetUUIDP(columns[id_column]));
		isnull[last] = false;
		tuplestore_putvalues(result->setResult, result->setDesc, columns,
							 isnull);
	}
	FinishSpi();
	return true;
}
