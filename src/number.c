/*
 * number.c
 *		Numbers for people: for each clinic and year, without gaps or duplicates.
 *
 * The count is a row that whoever takes a number holds until the transaction
 * ends: the next in the clinic waits, and a rollback gives the number back.
 */
#include "number.h"

#include "utils/builtins.h"

#include "error.h"
#include "spi.h"

static SavedQuery read_clinic = {
	"SELECT c.plan_number_format, pg_catalog.date_part('year', "
	"pg_catalog.timezone(c.time_zone, pg_catalog.clock_timestamp()))"
	"::pg_catalog.int4 "
	"FROM txplan.clinics AS c "
	"WHERE c.id" EQ "$1",
	1,
	{ UUIDOID }
};

static SavedQuery take_number = {
	"INSERT INTO txplan.number_counters AS n "
	"(clinic_id, kind, year, last_number) VALUES ($1, 'plan', $2, 1) "
	"ON CONFLICT (clinic_id, kind, year) "
	"DO UPDATE SET last_number = n.last_number" PLUS "1 "
	"RETURNING last_number",
	2,
	{ UUIDOID, INT4OID }
};

static SavedQuery return_number = { "UPDATE txplan.number_counters AS n "
									"SET last_number = n.last_number" MINUS "1 "
									"WHERE n.clinic_id" EQ "$1 AND n.kind" EQ
									"'plan' AND n.year" EQ "$2",
									2,
									{ UUIDOID, INT4OID } };

static SavedQuery find_number = { "SELECT p.number FROM txplan.plans AS p "
								  "WHERE p.id" EQ "$1 AND p.clinic_id" EQ "$2",
								  2,
								  { UUIDOID, UUIDOID } };

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
 * NextPlanNumber issues the number of a new plan.
 *
 * A plan whose id is there already will not be inserted (ON CONFLICT, or an
 * error), so it takes no number: it gets the one of the plan that is there.  That
 * is looked at under the lock of the count, behind which whoever inserts the
 * same plan has to wait.
 */
char *
NextPlanNumber(const pg_uuid_t *plan_id, const pg_uuid_t *clinic_id)
{
	Datum arguments[2];
	Datum clinic[2];
	Datum plan[2];
	Datum value;
	bool nulls[2];

	arguments[0] = UUIDPGetDatum(clinic_id);
	if (!QueryRow(&read_clinic, AS_OWNER, arguments, NULL, clinic, nulls))
		RaiseMissing("clinic", clinic_id);
	arguments[1] = clinic[1];
	if (!EngineWriteRow(&take_number, TABLE_NUMBER_COUNTERS, arguments, NULL,
						&value, nulls))
		elog(ERROR, "no number was issued");

	plan[0] = UUIDPGetDatum(plan_id);
	plan[1] = UUIDPGetDatum(clinic_id);
	if (QueryRow(&find_number, AS_OWNER, plan, NULL, plan, nulls))
	{
		(void) EngineWrite(&return_number, TABLE_NUMBER_COUNTERS, arguments,
						   NULL);
		return TextDatumGetCString(plan[0]);
	}
	return FormatNumber(TextDatumGetCString(clinic[0]),
						DatumGetInt32(clinic[1]), DatumGetInt64(value));
}
