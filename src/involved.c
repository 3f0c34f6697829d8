/*
 * involved.c
 *		The professionals who are involved in a plan: its doctor, and those of its
 *		items that are not cancelled.
 *
 * The plan's row names them, so that the plans of a professional are found by an
 * index and counted without looking at any item.  They are written under the
 * plan's lock, when a statement is done that may have changed them.
 */
#include "involved.h"

#include "spi.h"
#include "stage.h"

SAVED_QUERY(write_involved,
			"UPDATE txplan.plans AS p SET professional_ids = m.expected "
			"FROM txplan.misattributed_plans AS m "
			"WHERE m.id" EQ "$1 AND m.clinic_id" EQ "$2 "
			"AND p.id" EQ "m.id AND p.clinic_id" EQ "m.clinic_id "
			"RETURNING m.stage, m.professional_ids, m.expected",
			UUIDOID, UUIDOID);

/*
 * OneInvolved is what a plan without items has.
 */
Datum
OneInvolved(const pg_uuid_t *professional_id)
{
	Datum element = UUIDPGetDatum(professional_id);

	return ArrayOf(&element, NULL, 1, UUIDOID);
}

/*
 * NoteDoctor notes that an item of a plan gained or lost a doctor, or was
 * cancelled.  The plan's own doctor is involved with and without it, which spares
 * most statements the look at the items.
 */
void
NoteDoctor(TreatmentPlan *plan, const pg_uuid_t *professional_id)
{
	if (professional_id == NULL ||
		(plan->has_professional &&
		 memcmp(&plan->professional_id, professional_id, UUID_LEN) == 0))
		return;
	plan->involves_others = true;
}

/*
 * WriteInvolved writes who is involved in a plan that is locked, and counts it,
 * if that is not what its row says.
 */
void
WriteInvolved(const PlanKey *key)
{
	StageCounts counts = { 0 };
	Datum arguments[2];
	Datum values[3];
	bool nulls[3];

	arguments[0] = UUIDPGetDatum(&key->id);
	arguments[1] = UUIDPGetDatum(&key->clinic_id);
	if (!EngineWriteRow(&write_involved, TABLE_PLANS, arguments, NULL, values,
						nulls) ||
		nulls[0])
		return;
	if (!nulls[1])
		CountInvolved(&counts, &key->clinic_id, values[0], values[1], -1);
	if (!nulls[2])
		CountInvolved(&counts, &key->clinic_id, values[0], values[2], 1);
	WriteStageCounts(&counts);
}
