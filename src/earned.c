/*
 * earned.c
 *		Booking what completed sessions earn: one entry each, and nothing else.
 */
#include "earned.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "allocation.h"
#include "spi.h"

SAVED_QUERY(book,
			"INSERT INTO txplan.earned_entries (clinic_id, patient_id, plan_id, "
			"item_id, session_id, professional_id, description, amount, earned_at) "
			"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
			UUIDOID, UUIDOID, UUIDOID, UUIDOID, UUIDOID, UUIDOID, TEXTOID,
			NUMERICOID, TIMESTAMPTZOID);

/*
 * BookEarned books a completed session.  The unique constraint on the session
 * would refuse a second entry, whatever went wrong before.
 */
void
BookEarned(const TreatmentPlan *plan, const CountedItem *item,
		   const pg_uuid_t *session_id, const char *label, int64 amount,
		   TimestampTz at)
{
	Datum arguments[9];

	arguments[0] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[1] = UUIDPGetDatum(&plan->patient_id);
	arguments[2] = UUIDPGetDatum(&plan->key.id);
	arguments[3] = UUIDPGetDatum(&item->id);
	arguments[4] = UUIDPGetDatum(session_id);
	arguments[5] = item->professional_id == NULL ?
					   (Datum) 0 :
					   UUIDPGetDatum(item->professional_id);
	arguments[6] =
		label == NULL ?
			CStringGetTextDatum(item->description) :
			CStringGetTextDatum(psprintf("%s: %s", item->description, label));
	arguments[7] = CentsToAmount(amount);
	arguments[8] = TimestampTzGetDatum(at);
	EngineWriteRows(&book, TABLE_EARNED_ENTRIES, arguments,
					item->professional_id == NULL ? "     n   " : NULL, 1);
}
