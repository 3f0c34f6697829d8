/*
 * earned.c
 *		Booking what completed sessions earn: one entry each, and nothing else.
 *
 * An entry never changes.  What was booked wrongly is voided: its opposite is
 * booked beside it, in the month in which that is done, and both stay.
 */
#include "earned.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "allocation.h"
#include "error.h"
#include "settle.h"
#include "spi.h"

SAVED_QUERY(book,
			"INSERT INTO txplan.earned_entries (clinic_id, patient_id, plan_id, "
			"item_id, session_id, professional_id, description, amount, earned_at) "
			"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
			UUIDOID, UUIDOID, UUIDOID, UUIDOID, UUIDOID, UUIDOID, TEXTOID,
			NUMERICOID, TIMESTAMPTZOID);

SAVED_QUERY(find_entry,
			"SELECT e.item_id, e.session_id, e.amount, e.voids_id, "
			"v.earned_at, v.reason "
			"FROM txplan.earned_entries AS e "
			"LEFT JOIN txplan.earned_entries AS v ON v.voids_id" EQ "e.id "
			"AND v.clinic_id" EQ "e.clinic_id "
			"WHERE e.id" EQ "$1 AND e.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(book_opposite,
			"INSERT INTO txplan.earned_entries (clinic_id, patient_id, plan_id, "
			"item_id, session_id, professional_id, description, amount, "
			"earned_at, voids_id, reason) "
			"SELECT e.clinic_id, e.patient_id, e.plan_id, e.item_id, "
			"e.session_id, e.professional_id, e.description, "
			"OPERATOR(pg_catalog.-) e.amount, $3, e.id, $4 "
			"FROM txplan.earned_entries AS e "
			"WHERE e.id" EQ "$1 AND e.clinic_id" EQ "$2 RETURNING id",
			UUIDOID, UUIDOID, TIMESTAMPTZOID, TEXTOID);

PG_FUNCTION_INFO_V1(txplan_void_earned);

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

/*
 * An entry that a void is asked for
 */
typedef struct Entry
{
	pg_uuid_t item_id;
	pg_uuid_t session_id;
	char *amount;
} Entry;

/*
 * FindVoidable reads an entry under its plan's lock, and raises TX004 unless it
 * can be voided: an entry is voided once, and what voids it stays.
 */
static void
FindVoidable(const TreatmentPlan *plan, const pg_uuid_t *id, Entry *entry)
{
	Datum arguments[2];
	Datum values[6];
	bool nulls[6];

	arguments[0] = UUIDPGetDatum(id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	if (!QueryRow(&find_entry, AS_OWNER, arguments, NULL, values, nulls))
		RaiseMissing("earned entry", id);
	if (!nulls[3])
		ereport(ERROR,
				(errcode(ERRCODE_TX_ALREADY_FINAL),
				 errmsg("earned entry \"%s\" is a void itself", UuidText(id)),
				 errdetail("It voids entry \"%s\".",
						   UuidText(DatumGetUUIDP(values[3]))),
				 errhint("Add a session for what is earned all the same.")));
	if (!nulls[4])
		ereport(ERROR,
				(errcode(ERRCODE_TX_ALREADY_FINAL),
				 errmsg("earned entry \"%s\" is void already", UuidText(id)),
				 errdetail("It was voided at %s: %s",
						   timestamptz_to_str(DatumGetTimestampTz(values[4])),
						   TextDatumGetCString(values[5])),
				 errhint("An entry is voided once.")));
	entry->item_id = *DatumGetUUIDP(values[0]);
	entry->session_id = *DatumGetUUIDP(values[1]);
	entry->amount =
		DatumGetCString(DirectFunctionCall1(numeric_out, values[2]));
}

/*
 * RequireReason raises TX005 unless a reason is given.
 */
static void
RequireReason(FunctionCallInfo fcinfo, int n)
{
	const char *reason =
		PG_ARGISNULL(n) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(n));

	if (reason[strspn(reason, " ")] == '\0')
		ereport(ERROR, (errcode(ERRCODE_TX_REASON_REQUIRED),
						errmsg("voiding an earned entry wants a reason"),
						errdetail("No reason was given."),
						errhint("Say why what was booked was not earned.")));
	CheckTextArgument(fcinfo, n, "reason", NOTE_MAX_CHARS, false);
}

/*
 * TellVoid tells that an entry was voided by another.
 */
static void
TellVoid(PlanRun *run, const Entry *entry, const pg_uuid_t *void_id,
		 const char *reason)
{
	HistoryRow fact = { 0 };
	Payload payload;

	fact.what = "earned_void";
	fact.item_id = &entry->item_id;
	fact.session_id = &entry->session_id;
	fact.from_value = entry->amount;
	fact.reason = reason;
	RecordHistory(&run->settlement, run->plan, &fact);

	BeginPayload(&payload);
	PayloadUuid(&payload, "item_id", &entry->item_id);
	PayloadUuid(&payload, "session_id", &entry->session_id);
	PayloadUuid(&payload, "entry_id", void_id);
	PayloadChanged(&payload, "earned");
	PublishEvent(&run->settlement, run->plan, "treatment_plan.updated",
				 &payload);
}

/*
 * txplan_void_earned books the opposite of an entry.
 */
Datum
txplan_void_earned(PG_FUNCTION_ARGS)
{
	TreatmentPlan *plan;
	PlanRun run;
	Entry entry;
	Datum arguments[4];
	Datum id;
	bool isnull;

	RequireArgument(fcinfo, 0, "entry_id");
	RequireRecord();
	RequirePrivilege(TABLE_EARNED_ENTRIES, ACL_INSERT);
	RequireReason(fcinfo, 1);
	plan = LockArgument(fcinfo, TABLE_EARNED_ENTRIES, 2);
	FindVoidable(plan, PG_GETARG_UUID_P(0), &entry);

	BeginRun(&run, false);
	arguments[0] = PG_GETARG_DATUM(0);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[2] = TimestampTzGetDatum(run.settlement.at);
	arguments[3] = PG_GETARG_DATUM(1);
	if (!EngineWriteRow(&book_opposite, TABLE_EARNED_ENTRIES, arguments, NULL,
						&id, &isnull))
		RaiseNotWritten(TABLE_EARNED_ENTRIES);
	EnterPlanOfRun(&run, plan);
	TellVoid(&run, &entry, DatumGetUUIDP(id),
			 text_to_cstring(PG_GETARG_TEXT_PP(1)));
	EndRun(&run);
	PG_RETURN_DATUM(id);
}
