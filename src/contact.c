/*
 * contact.c
 *		Contacts with patients about their plans: logged, corrected, never changed.
 *
 * A contact is one row.  What was logged wrong is corrected by another row, so
 * two people who log at once both keep theirs.  The plan says when the patient
 * was last contacted, and when to do so again: by the latest contact that no
 * other row corrects.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "actor.h"
#include "error.h"
#include "event.h"
#include "planlock.h"
#include "row.h"
#include "rowcheck.h"
#include "settle.h"
#include "spi.h"

SAVED_QUERY(insert_contact,
			"INSERT INTO txplan.contacts (clinic_id, plan_id, channel, outcome, "
			"note, next_contact_at, corrects_id, contacted_at) "
			"VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
			UUIDOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID,
			UUIDOID, TIMESTAMPTZOID);

SAVED_QUERY(find_outcomes,
			"SELECT c.contact_outcomes FROM txplan.clinics AS c "
			"WHERE c.id" EQ "$1",
			UUIDOID);

SAVED_QUERY(find_contact,
			"SELECT c.plan_id, x.contacted_by, x.created_at "
			"FROM txplan.contacts AS c "
			"LEFT JOIN txplan.contacts AS x ON x.corrects_id" EQ "c.id "
			"AND x.clinic_id" EQ "c.clinic_id "
			"WHERE c.id" EQ "$1 AND c.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_any_contact,
			"SELECT 1 FROM txplan.contacts AS c WHERE c.id" EQ "$1", UUIDOID);

/* Of contacts at the same moment, the one that was logged later counts. */
SAVED_QUERY(write_last_contact,
			"UPDATE txplan.plans AS p SET last_contact_at = l.contacted_at, "
			"next_contact_at = l.next_contact_at "
			"FROM (SELECT c.contacted_at, c.next_contact_at "
			"FROM txplan.contacts AS c "
			"WHERE c.plan_id" EQ "$1 AND c.clinic_id" EQ "$2 "
			"AND NOT EXISTS (SELECT 1 FROM txplan.contacts AS x "
			"WHERE x.corrects_id" EQ "c.id AND x.clinic_id" EQ "c.clinic_id) "
			"ORDER BY c.contacted_at DESC, c.created_at DESC, c.id DESC "
			"LIMIT 1) AS l "
			"WHERE p.id" EQ "$1 AND p.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

static const char *const channels[] = { "call",	 "whatsapp",  "sms",
										"email", "in_person", "other" };

#define ENGINE_HINT                                        \
	"Set txplan.actor to who had the contact: the engine " \
	"then writes this column."

PG_FUNCTION_INFO_V1(txplan_contacts_check);
PG_FUNCTION_INFO_V1(txplan_contacts_settle);
PG_FUNCTION_INFO_V1(txplan_log_contact);

/*
 * CheckTimes refuses a contact that has yet to be, and a next one that is no
 * time.
 */
static void
CheckTimes(TimestampTz contacted_at, bool has_next, TimestampTz next)
{
	if (TIMESTAMP_NOT_FINITE(contacted_at) ||
		(has_next && TIMESTAMP_NOT_FINITE(next)))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("the times of a contact must be finite"),
				 errhint("Leave next_contact_at out when it is not known.")));
	if (contacted_at > GetCurrentTimestamp())
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("a contact cannot be in the future"),
						errdetail("contacted_at is %s.",
								  timestamptz_to_str(contacted_at)),
						errhint("Give the time to come as next_contact_at.")));
}

/*
 * ListOutcomes writes the outcomes of a clinic for a hint.
 */
static char *
ListOutcomes(Datum *outcomes, int n)
{
	StringInfoData list;
	int i;

	initStringInfo(&list);
	for (i = 0; i < n; i++)
		appendStringInfo(&list, "%s\"%s\"", i > 0 ? ", " : "",
						 TextDatumGetCString(outcomes[i]));
	return list.data;
}

/*
 * CheckOutcome refuses an outcome that is none of the clinic's, where the clinic
 * has a list of them.
 */
static void
CheckOutcome(const Row *row)
{
	Datum clinic_id = RowValue(row, CONTACT_CLINIC_ID);
	Datum list;
	bool isnull;
	Datum *outcomes;
	bool *nulls;
	int n;
	int i;

	if (RowIsNull(row, CONTACT_OUTCOME) ||
		!QueryRow(&find_outcomes, AS_OWNER, &clinic_id, NULL, &list, &isnull) ||
		isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(list), TEXTOID, -1, false,
					  TYPALIGN_INT, &outcomes, &nulls, &n);
	for (i = 0; i < n; i++)
		if (!nulls[i] &&
			RowTextIs(row, CONTACT_OUTCOME, TextDatumGetCString(outcomes[i])))
			return;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("\"%.60s\" is no outcome of a contact here",
						   RowText(row, CONTACT_OUTCOME)),
					errdetail("The clinic keeps a list of them in "
							  "clinics.contact_outcomes."),
					errhint("Outcomes are %s; say more in the note.",
							ListOutcomes(outcomes, n))));
}

/*
 * CheckCorrected lets a contact be corrected once, by one of the same plan.  The
 * plan is locked, so nobody corrects it meanwhile.
 */
static void
CheckCorrected(const Row *row, const TreatmentPlan *plan)
{
	const pg_uuid_t *id = RowUuid(row, CONTACT_CORRECTS_ID);
	Datum arguments[2];
	Datum values[3];
	bool nulls[3];

	if (id == NULL)
		return;
	arguments[0] = UUIDPGetDatum(id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	if (!QueryRow(&find_contact, AS_OWNER, arguments, NULL, values, nulls))
	{
		if (QueryRow(&find_any_contact, AS_OWNER, arguments, NULL, values,
					 nulls))
			RaiseWrongClinic("contact", id);
		RaiseMissing("contact", id);
	}
	if (memcmp(DatumGetUUIDP(values[0]), &plan->key.id, UUID_LEN) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_TX_WRONG_CLINIC),
				 errmsg("contact \"%s\" is none of plan %s", UuidText(id),
						plan->number),
				 errdetail("A correction is of the plan that the contact is "
						   "of."),
				 errhint("Log it for that plan.")));
	if (!nulls[1] && !IsThere(row, TABLE_CONTACTS))
		ereport(ERROR,
				(errcode(ERRCODE_TX_ALREADY_FINAL),
				 errmsg("contact \"%s\" is corrected already", UuidText(id)),
				 errdetail("%s corrected it at %s.",
						   TextDatumGetCString(values[1]),
						   timestamptz_to_str(DatumGetTimestampTz(values[2]))),
				 errhint("Correct the correction.")));
}

/*
 * CheckInsert fills in and checks a new contact.  A plan takes one in any state,
 * locked or not.
 */
static void
CheckInsert(Row *row)
{
	TreatmentPlan *plan;
	bool has_next = !RowIsNull(row, CONTACT_NEXT_CONTACT_AT);

	if (!RowIsNull(row, CONTACT_CONTACTED_BY))
		RaiseEngineOwned("contacts", "contacted_by", ENGINE_HINT);
	if (RowIsNull(row, CONTACT_PLAN_ID) || RowIsNull(row, CONTACT_CLINIC_ID))
		return;
	plan = RequirePlanOf(RowUuid(row, CONTACT_PLAN_ID),
						 RowUuid(row, CONTACT_CLINIC_ID));
	if (RowIsNull(row, CONTACT_CONTACTED_AT))
		SetRow(row, CONTACT_CONTACTED_AT,
			   TimestampTzGetDatum(GetCurrentTimestamp()));
	CheckTimes(DatumGetTimestampTz(RowValue(row, CONTACT_CONTACTED_AT)),
			   has_next,
			   has_next ?
				   DatumGetTimestampTz(RowValue(row, CONTACT_NEXT_CONTACT_AT)) :
				   0);
	CheckOutcome(row);
	CheckCorrected(row, plan);
	SetRowText(row, CONTACT_CONTACTED_BY, CurrentActor());
}

/*
 * CheckUpdate refuses every change.  A mapper that writes back what it read
 * changes nothing.
 */
static void
CheckUpdate(Row *row, const Row *old_row)
{
	int column;

	SetRow(row, CONTACT_UPDATED_AT, RowValue(old_row, CONTACT_UPDATED_AT));
	for (column = CONTACT_ID; column <= CONTACT_UPDATED_AT; column++)
		if (RowsDiffer(old_row, row, column))
			ereport(ERROR, (errcode(ERRCODE_TX_ENGINE_OWNED),
							errmsg("contact \"%s\" does not change",
								   UuidText(RowUuid(old_row, CONTACT_ID))),
							errdetail("Column \"%s\" would get another value.",
									  row->names[column]),
							errhint("Log a correction: another contact whose "
									"corrects_id names this one.")));
}

/*
 * CheckDelete lets a contact go with its plan, and not otherwise.
 */
static void
CheckDelete(const Row *row)
{
	TreatmentPlan *plan = LockPlan(RowUuid(row, CONTACT_PLAN_ID),
								   RowUuid(row, CONTACT_CLINIC_ID));

	if (plan != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_TX_ENGINE_OWNED),
				 errmsg("contact \"%s\" cannot be deleted",
						UuidText(RowUuid(row, CONTACT_ID))),
				 errdetail("Contacts stay as long as plan %s.", plan->number),
				 errhint("Log a correction: another contact whose corrects_id "
						 "names this one.")));
}

/*
 * txplan_contacts_check is the trigger before each row of contacts.
 */
Datum
txplan_contacts_check(PG_FUNCTION_ARGS)
{
	static const RowChecks checks = { "contacts_check", TABLE_CONTACTS,
									  CheckInsert, CheckUpdate, CheckDelete };

	return CheckRow(fcinfo, &checks);
}

/*
 * WriteLastContact brings what the plan says of its contacts up to date.  That
 * may fire triggers of others, so it is done before any fact is added.
 */
static void
WriteLastContact(const Row *row)
{
	Datum arguments[2];

	arguments[0] = RowValue(row, CONTACT_PLAN_ID);
	arguments[1] = RowValue(row, CONTACT_CLINIC_ID);
	EngineWriteRows(&write_last_contact, TABLE_PLANS, arguments, NULL, 1);
}

/*
 * TellContact tells of a contact.
 */
static void
TellContact(PlanRun *run, const Row *row)
{
	const pg_uuid_t *corrects_id = RowUuid(row, CONTACT_CORRECTS_ID);
	HistoryRow fact = { 0 };
	Payload payload;

	fact.what = "contact";
	fact.from_value = corrects_id == NULL ? NULL : UuidText(corrects_id);
	fact.to_value = UuidText(RowUuid(row, CONTACT_ID));
	fact.action = RowText(row, CONTACT_CHANNEL);
	fact.reason = RowText(row, CONTACT_OUTCOME);
	fact.note = RowText(row, CONTACT_NOTE);
	RecordHistory(&run->settlement, run->plan, &fact);

	BeginPayload(&payload);
	PayloadColumn(&payload, "contact_id", row, CONTACT_ID);
	PayloadColumn(&payload, "channel", row, CONTACT_CHANNEL);
	PayloadColumn(&payload, "outcome", row, CONTACT_OUTCOME);
	PayloadColumn(&payload, "note", row, CONTACT_NOTE);
	PayloadColumn(&payload, "contacted_at", row, CONTACT_CONTACTED_AT);
	PayloadColumn(&payload, "next_contact_at", row, CONTACT_NEXT_CONTACT_AT);
	PayloadColumn(&payload, "corrects_id", row, CONTACT_CORRECTS_ID);
	PublishEvent(&run->settlement, run->plan, "treatment_plan.contact_logged",
				 &payload);
}

/*
 * txplan_contacts_settle is the trigger after each statement that adds contacts.
 */
Datum
txplan_contacts_settle(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = OurTrigger(fcinfo, "contacts_settle");
	MemoryContext each;
	MemoryContext old;
	PlanRun run;
	ChangedRows changes;
	Row old_row = { 0 };
	Row row = { 0 };
	PlanKey last = { 0 };

	each = AllocSetContextCreate(CurrentMemoryContext, "txplan contact settled",
								 ALLOCSET_DEFAULT_SIZES);
	BeginRun(&run, false);
	OpenChanges(&changes, trigger, TABLE_CONTACTS);
	while (NextChange(&changes, &old_row, &row))
	{
		PlanKey key;

		memset(&key, 0, sizeof(PlanKey));
		key.id = *RowUuid(&row, CONTACT_PLAN_ID);
		key.clinic_id = *RowUuid(&row, CONTACT_CLINIC_ID);
		if (memcmp(&key, &last, sizeof(PlanKey)) == 0)
			continue;
		last = key;
		old = MemoryContextSwitchTo(each);
		WriteLastContact(&row);
		MemoryContextSwitchTo(old);
		MemoryContextReset(each);
	}
	CloseChanges(&changes);

	OpenChanges(&changes, trigger, TABLE_CONTACTS);
	while (NextChange(&changes, &old_row, &row))
	{
		TreatmentPlan *plan;

		old = MemoryContextSwitchTo(each);
		plan = LockPlan(RowUuid(&row, CONTACT_PLAN_ID),
						RowUuid(&row, CONTACT_CLINIC_ID));
		if (plan != NULL)
		{
			EnterPlanOfRun(&run, plan);
			TellContact(&run, &row);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(each);
	}
	CloseChanges(&changes);
	EndRun(&run);
	MemoryContextDelete(each);
	return PointerGetDatum(NULL);
}

/*
 * CheckChannel refuses a channel that there is not.
 */
static void
CheckChannel(const char *channel)
{
	int i;

	for (i = 0; i < (int) lengthof(channels); i++)
		if (strcmp(channel, channels[i]) == 0)
			return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%.60s\" is no channel of a contact", channel),
			 errhint("Channels are call, whatsapp, sms, email, in_person and "
					 "other.")));
}

/*
 * txplan_log_contact logs a contact.
 */
Datum
txplan_log_contact(PG_FUNCTION_ARGS)
{
	TreatmentPlan *plan;
	TimestampTz contacted_at;
	Datum arguments[8];
	char nulls[9] = "        ";
	Datum id;
	bool isnull;
	int i;

	RequireArgument(fcinfo, 0, "plan_id");
	RequireArgument(fcinfo, 1, "channel");
	RequireRecord();
	RequirePrivilege(TABLE_CONTACTS, ACL_INSERT);
	CheckChannel(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	CheckTextArgument(fcinfo, 2, "outcome", NAME_MAX_CHARS, false);
	CheckTextArgument(fcinfo, 3, "note", NOTE_MAX_CHARS, true);

	plan = LockArgument(fcinfo, TABLE_PLANS, 7);
	contacted_at =
		PG_ARGISNULL(6) ? GetCurrentTimestamp() : PG_GETARG_TIMESTAMPTZ(6);
	arguments[0] = UUIDPGetDatum(&plan->key.clinic_id);
	for (i = 1; i < 7; i++)
	{
		nulls[i] = PG_ARGISNULL(i - 1) ? 'n' : ' ';
		arguments[i] = PG_ARGISNULL(i - 1) ? (Datum) 0 : PG_GETARG_DATUM(i - 1);
	}
	arguments[7] = TimestampTzGetDatum(contacted_at);
	if (!QueryRow(&insert_contact, AS_CALLER, arguments, nulls, &id, &isnull))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(id);
}
