/*
 * zone.c
 *		Time zones that a clinic can keep its calendar by.
 *
 * PostgreSQL reads a name in AT TIME ZONE as an abbreviation first: CET is an hour
 * ahead of UTC there all the year, and has summer time in SET timezone.  A clinic's
 * midnight must not depend on where its zone is named.
 */
#include "zone.h"

#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

/* No place on earth is further from UTC, nor ever was */
#define HOURS_MAX 15

PG_FUNCTION_INFO_V1(txplan_time_zone_fault);

/*
 * IsZoneKnown tells whether the server knows a time zone.
 */
bool
IsZoneKnown(const char *name)
{
	return strlen(name) <= TZ_STRLEN_MAX && pg_tzset(name) != NULL;
}

/*
 * LocalTime is what clocks of a zone show at a time.
 */
static Timestamp
LocalTime(pg_tz *zone, TimestampTz at)
{
	struct pg_tm tm;
	fsec_t fsec;
	int offset;
	const char *abbreviation;
	Timestamp local;

	if (timestamp2tm(at, &offset, &tm, &fsec, &abbreviation, zone) != 0 ||
		tm2timestamp(&tm, fsec, NULL, &local) != 0)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("timestamp out of range")));
	return local;
}

/*
 * ZoneFault tells why a clinic cannot keep its calendar by a time zone; NULL when
 * it can.  What counts is the year to come, month by month.
 */
const char *
ZoneFault(const char *name)
{
	TimestampTz now = GetCurrentTimestamp();
	pg_tz *zone;
	int month;

	if (!IsZoneKnown(name))
		return "is not known";
	zone = pg_tzset(name);
	for (month = 0; month < 12; month++)
	{
		TimestampTz at = now + month * 30 * USECS_PER_DAY;
		Timestamp local = LocalTime(zone, at);
		Timestamp by_name =
			DatumGetTimestamp(DirectFunctionCall2(timestamptz_zone,
												  PointerGetDatum(cstring_to_text(name)),
												  TimestampTzGetDatum(at)));

		if (local != by_name)
			return "is an abbreviation too, which means another time";
		if (local - at > HOURS_MAX * USECS_PER_HOUR ||
			at - local > HOURS_MAX * USECS_PER_HOUR)
			return "is further from UTC than any place on earth";
	}
	return NULL;
}

/*
 * txplan_time_zone_fault is that for SQL.
 */
Datum
txplan_time_zone_fault(PG_FUNCTION_ARGS)
{
	const char *fault = ZoneFault(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	if (fault == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(fault));
}
