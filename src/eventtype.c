/*
 * eventtype.c
 *		The catalogue of events: a check around SQL.
 */
#include "compat.h"

#include "error.h"
#include "spi.h"

/* SAVED_QUERY would want the type of an argument. */
static SavedQuery list_types = {
	.sql = "SELECT e.type, e.summary, e.schema "
		   "FROM txplan.event_type_rows() AS e",
};

PG_FUNCTION_INFO_V1(txplan_event_types);

/*
 * txplan_event_types lists the types of events.  It reads as the caller, and
 * raises TX008 where there is no record to read.
 */
Datum
txplan_event_types(PG_FUNCTION_ARGS)
{
	RequireRecord();
	ReturnQueryRows(fcinfo, &list_types, NULL, NULL);
	return (Datum) 0;
}
