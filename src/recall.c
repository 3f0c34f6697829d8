/*
 * recall.c
 *		When a treated patient should come again: rules, and what they suggest.
 *
 * Completing an item is what clinics do most, so the rules are kept for each
 * backend: an item that no rule names costs no statement.  A change of the rules
 * sends an invalidation when it commits, and each backend reads them again before
 * it next looks.
 */
#include "recall.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "error.h"
#include "record.h"
#include "spi.h"

typedef struct RecallRule
{
	char *category_key;
	char *reason;
	int32 months;
} RecallRule;

static MemoryContext rules_context = NULL;
static RecallRule *rules = NULL; /* in the order of strcmp */
static int nrules = 0;
static bool rules_valid = false; /* cleared by the callback, set last */

SAVED_QUERY_OF_NOTHING(read_rules,
					   "SELECT r.category_key, r.reason, r.months "
					   "FROM txplan.recall_rules AS r "
					   "ORDER BY r.category_key COLLATE pg_catalog.\"C\"");

/* Months are added to the day in the clinic's calendar, as calendars have them. */
SAVED_QUERY(suggest_recall,
			"INSERT INTO txplan.recall_suggestions "
			"(clinic_id, patient_id, item_id, category_key, reason, due_on) "
			"SELECT $1, $2, $3, $4, $5, "
			"(($6 AT TIME ZONE c.time_zone)::pg_catalog.date" PLUS
			"pg_catalog.make_interval(months => $7))::pg_catalog.date "
			"FROM txplan.clinics AS c WHERE c.id" EQ "$1 "
			"ON CONFLICT (item_id, clinic_id) DO NOTHING",
			UUIDOID, UUIDOID, UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID,
			INT4OID);

SAVED_QUERY(close_recall,
			"UPDATE txplan.recall_suggestions SET appointment_id = $3, "
			"closed_at = $4, updated_at = $4 "
			"WHERE id" EQ "$1 AND clinic_id" EQ "$2 AND appointment_id IS NULL",
			UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID);

SAVED_QUERY(reopen_recall,
			"UPDATE txplan.recall_suggestions SET appointment_id = NULL, "
			"closed_at = NULL, updated_at = $4 "
			"WHERE id" EQ "$1 AND clinic_id" EQ "$2 AND appointment_id" EQ "$3",
			UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID);

SAVED_QUERY(find_recall,
			"SELECT r.patient_id, r.appointment_id, r.closed_at "
			"FROM txplan.recall_suggestions AS r "
			"WHERE r.id" EQ "$1 AND r.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_any_recall,
			"SELECT 1 FROM txplan.recall_suggestions AS r WHERE r.id" EQ "$1",
			UUIDOID);

SAVED_QUERY(find_item,
			"SELECT 1 FROM txplan.items AS i "
			"WHERE i.id" EQ "$1 AND i.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

PG_FUNCTION_INFO_V1(txplan_recall_rules_changed);
PG_FUNCTION_INFO_V1(txplan_recall_suggestions_check);

/*
 * ForgetRules is told of changes; it only lowers a flag.
 */
static void
ForgetRules(Datum argument, Oid relation)
{
	if (relation == InvalidOid ||
		relation == RecordRelation(TABLE_RECALL_RULES))
		rules_valid = false;
}

/*
 * InitRecall registers the callback, once for each backend.
 */
void
InitRecall(void)
{
	rules_context =
		AllocSetContextCreate(TopMemoryContext, "txplan recall rules",
							  ALLOCSET_SMALL_SIZES);
	CacheRegisterRelcacheCallback(ForgetRules, (Datum) 0);
}

/*
 * ReadRules reads all rules, with the latest snapshot, since they are kept beyond
 * that of a repeatable read transaction.
 */
static void
ReadRules(void)
{
	MemoryContext old;
	uint64 i;

	rules = NULL;
	nrules = 0;
	MemoryContextReset(rules_context);
	ConnectSpi();
	(void) RunQuery(&read_rules, AS_OWNER_NOW, NULL, NULL);
	old = MemoryContextSwitchTo(rules_context);
	rules = (RecallRule *) palloc(sizeof(RecallRule) * (SPI_processed + 1));
	for (i = 0; i < SPI_processed; i++)
	{
		Datum values[3];
		bool nulls[3];

		FetchRow(i, values, nulls);
		rules[i].category_key = TextDatumGetCString(values[0]);
		rules[i].reason = TextDatumGetCString(values[1]);
		rules[i].months = DatumGetInt32(values[2]);
	}
	MemoryContextSwitchTo(old);
	nrules = (int) SPI_processed;
	FinishSpi();
}

/*
 * CompareRule compares a category with that of a rule.
 */
static int
CompareRule(const void *category_key, const void *rule)
{
	return strcmp((const char *) category_key,
				  ((const RecallRule *) rule)->category_key);
}

/*
 * FindRule returns the rule of a category as it is committed now, NULL when there
 * is none.  It lasts until the next statement.
 */
static const RecallRule *
FindRule(const char *category_key)
{
	/* Hear of changes that committed since the last statement began. */
	AcceptInvalidationMessages();

	/* A change that arrives while they are read lowers the flag again. */
	while (!rules_valid)
	{
		rules_valid = true;
		PG_TRY();
		{
			ReadRules();
		}
		PG_CATCH();
		{
			rules_valid = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
	}
	if (nrules == 0)
		return NULL;
	return (const RecallRule *) bsearch(category_key, rules, nrules,
										sizeof(RecallRule), CompareRule);
}

/*
 * SuggestRecall suggests that the patient of an item which was just completed
 * come again, where a rule says so.  An item has one suggestion at most.
 */
void
SuggestRecall(const TreatmentPlan *plan, const CountedItem *item,
			  TimestampTz at)
{
	const RecallRule *rule;
	Datum arguments[7];

	if (item->category_key == NULL)
		return;
	rule = FindRule(item->category_key);
	if (rule == NULL)
		return;
	arguments[0] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[1] = UUIDPGetDatum(&plan->patient_id);
	arguments[2] = UUIDPGetDatum(&item->id);
	arguments[3] = CStringGetTextDatum(item->category_key);
	arguments[4] = CStringGetTextDatum(rule->reason);
	arguments[5] = TimestampTzGetDatum(at);
	arguments[6] = Int32GetDatum(rule->months);
	(void) EngineWrite(&suggest_recall, TABLE_RECALL_SUGGESTIONS, arguments,
					   NULL);
}

/*
 * CheckRecall raises unless a suggestion is one for a patient of the clinic: P0002
 * when there is none, TX010 for another clinic's or another patient's.
 */
void
CheckRecall(const pg_uuid_t *recall_id, const pg_uuid_t *clinic_id,
			const pg_uuid_t *patient_id)
{
	Datum arguments[2];
	Datum values[3];
	bool nulls[3];

	arguments[0] = UUIDPGetDatum(recall_id);
	arguments[1] = UUIDPGetDatum(clinic_id);
	if (!QueryRow(&find_recall, AS_OWNER, arguments, NULL, values, nulls))
	{
		if (QueryRow(&find_any_recall, AS_OWNER, arguments, NULL, values,
					 nulls))
			RaiseWrongClinic("recall suggestion", recall_id);
		RaiseMissing("recall suggestion", recall_id);
	}
	if (memcmp(DatumGetUUIDP(values[0]), patient_id, UUID_LEN) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_TX_WRONG_CLINIC),
				 errmsg("recall suggestion \"%s\" is another patient's",
						UuidText(recall_id)),
				 errdetail("An appointment closes what was suggested for its "
						   "own patient."),
				 errhint("Choose one of the patient's suggestions.")));
}

/*
 * RaiseNotClosed says why an appointment could not close a suggestion: another has
 * done so.
 */
pg_noreturn static void
RaiseNotClosed(const pg_uuid_t *recall_id, const pg_uuid_t *clinic_id)
{
	Datum arguments[2];
	Datum values[3];
	bool nulls[3];

	arguments[0] = UUIDPGetDatum(recall_id);
	arguments[1] = UUIDPGetDatum(clinic_id);
	if (!QueryRow(&find_recall, AS_OWNER, arguments, NULL, values, nulls))
		RaiseMissing("recall suggestion", recall_id);
	if (nulls[1])
		RaiseNotWritten(TABLE_RECALL_SUGGESTIONS);
	ereport(ERROR,
			(errcode(ERRCODE_TX_ALREADY_FINAL),
			 errmsg("recall suggestion \"%s\" is closed already",
					UuidText(recall_id)),
			 errdetail("Appointment \"%s\" closed it at %s.",
					   UuidText(DatumGetUUIDP(values[1])),
					   timestamptz_to_str(DatumGetTimestampTz(values[2]))),
			 errhint("Move that appointment, or cancel it first.")));
}

/*
 * CloseRecall closes a suggestion, which CheckRecall let pass, by an appointment.
 * It waits for whoever closes it at the same time, and then raises TX004.
 */
void
CloseRecall(const pg_uuid_t *recall_id, const pg_uuid_t *clinic_id,
			const pg_uuid_t *appointment_id)
{
	Datum arguments[4];

	arguments[0] = UUIDPGetDatum(recall_id);
	arguments[1] = UUIDPGetDatum(clinic_id);
	arguments[2] = UUIDPGetDatum(appointment_id);
	arguments[3] = TimestampTzGetDatum(GetCurrentTimestamp());
	if (EngineWrite(&close_recall, TABLE_RECALL_SUGGESTIONS, arguments, NULL) ==
		0)
		RaiseNotClosed(recall_id, clinic_id);
}

/*
 * ReopenRecall opens a suggestion again that an appointment had closed.
 */
void
ReopenRecall(const pg_uuid_t *recall_id, const pg_uuid_t *clinic_id,
			 const pg_uuid_t *appointment_id)
{
	Datum arguments[4];

	arguments[0] = UUIDPGetDatum(recall_id);
	arguments[1] = UUIDPGetDatum(clinic_id);
	arguments[2] = UUIDPGetDatum(appointment_id);
	arguments[3] = TimestampTzGetDatum(GetCurrentTimestamp());
	(void) EngineWrite(&reopen_recall, TABLE_RECALL_SUGGESTIONS, arguments,
					   NULL);
}

/*
 * IsItemGone tells whether the item of a suggestion was deleted, so that the
 * suggestion goes along.
 */
static bool
IsItemGone(TriggerData *trigger)
{
	TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);
	Datum arguments[2];
	Datum one;
	bool isnull;

	arguments[0] = SPI_getbinval(trigger->tg_trigtuple, descriptor,
								 SPI_fnumber(descriptor, "item_id"), &isnull);
	arguments[1] = SPI_getbinval(trigger->tg_trigtuple, descriptor,
								 SPI_fnumber(descriptor, "clinic_id"), &isnull);
	return !QueryRow(&find_item, AS_OWNER, arguments, NULL, &one, &isnull);
}

/*
 * txplan_recall_suggestions_check keeps everyone but the engine from the
 * suggestions.  They go with their items.
 */
Datum
txplan_recall_suggestions_check(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = OurTrigger(fcinfo, "recall_suggestions_check");

	if (!WrittenByEngine(TABLE_RECALL_SUGGESTIONS) &&
		!(TRIGGER_FIRED_BY_DELETE(trigger->tg_event) && IsItemGone(trigger)))
		ereport(ERROR,
				(errcode(ERRCODE_TX_ENGINE_OWNED),
				 errmsg("table \"recall_suggestions\" is written by the engine "
						"alone"),
				 errdetail("Completed items make suggestions, and appointments "
						   "close them."),
				 errhint("Name the suggestion as recall_id of an appointment."),
				 errtable(trigger->tg_relation)));
	return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
							   trigger->tg_newtuple :
							   trigger->tg_trigtuple);
}

/*
 * txplan_recall_rules_changed is the trigger on the rules: it sends the
 * invalidation, which a rollback takes back.  It runs in install() too, when the
 * record has no version yet.
 */
Datum
txplan_recall_rules_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"recall_rules_changed\" was not called "
						"as a trigger"),
				 errhint("Only tables of the record call it.")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	return PointerGetDatum(NULL);
}
