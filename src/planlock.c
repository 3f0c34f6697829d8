/*
 * planlock.c
 *		The plans that a transaction holds locked.
 *
 * Every change of a plan, or of anything below it, first locks the plan's row.
 * What was read under the lock is kept for the rest of the client's statement,
 * so that a thousand rows of one plan read it once.
 *
 * A rolled-back savepoint may have taken the lock, or changed the row: then
 * everything kept is read again.
 */
#include "planlock.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "error.h"
#include "spi.h"

#define PLAN_IMAGE                                                      \
	"p.number, p.workflow, p.status, p.patient_id, p.professional_id, " \
	"p.items_total, p.items_completed, p.items_cancelled, p.version, "  \
	"p.history_length, p.history_head, p.budget_id, p.budget_status"
#define PLAN_IMAGE_COLUMNS 13

/* Of the transaction at hand, in its memory */
static HTAB *held_plans = NULL;

SAVED_QUERY(lock_plan,
			"SELECT " PLAN_IMAGE " FROM txplan.plans AS p "
			"WHERE p.id" EQ "$1 AND p.clinic_id" EQ "$2 "
			"FOR NO KEY UPDATE OF p",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_plan,
			"SELECT p.clinic_id, p.id FROM txplan.plans AS p WHERE p.id" EQ
			"$1",
			UUIDOID);

SAVED_QUERY(find_item,
			"SELECT i.clinic_id, i.plan_id FROM txplan.items AS i WHERE i.id" EQ
			"$1",
			UUIDOID);

SAVED_QUERY(find_session,
			"SELECT s.clinic_id, s.plan_id FROM txplan.sessions AS s "
			"WHERE s.id" EQ "$1",
			UUIDOID);

/*
 * Functions are given a plan, an item or a session, and perhaps its clinic, which
 * spares a sharded record the search.
 */
#define LOCK_PLAN_OF(table, plan_column)                                       \
	"SELECT " PLAN_IMAGE ", p.id, p.clinic_id "                                \
	"FROM txplan." table " AS t "                                              \
	"JOIN txplan.plans AS p ON p.id" EQ "t." plan_column " AND p.clinic_id" EQ \
	"t.clinic_id "                                                             \
	"WHERE t.id" EQ "$1"
#define IN_CLINIC " AND t.clinic_id" EQ "$2"
#define FOR_PLAN " FOR NO KEY UPDATE OF p"

SAVED_QUERY(lock_by_plan, LOCK_PLAN_OF("plans", "id") FOR_PLAN, UUIDOID);
SAVED_QUERY(lock_by_item, LOCK_PLAN_OF("items", "plan_id") FOR_PLAN, UUIDOID);
SAVED_QUERY(lock_by_session, LOCK_PLAN_OF("sessions", "plan_id") FOR_PLAN,
			UUIDOID);
SAVED_QUERY(lock_by_entry, LOCK_PLAN_OF("earned_entries", "plan_id") FOR_PLAN,
			UUIDOID);
SAVED_QUERY(lock_by_plan_in_clinic,
			LOCK_PLAN_OF("plans", "id") IN_CLINIC FOR_PLAN, UUIDOID, UUIDOID);
SAVED_QUERY(lock_by_item_in_clinic,
			LOCK_PLAN_OF("items", "plan_id") IN_CLINIC FOR_PLAN, UUIDOID,
			UUIDOID);
SAVED_QUERY(lock_by_session_in_clinic,
			LOCK_PLAN_OF("sessions", "plan_id") IN_CLINIC FOR_PLAN, UUIDOID,
			UUIDOID);
SAVED_QUERY(lock_by_entry_in_clinic,
			LOCK_PLAN_OF("earned_entries", "plan_id") IN_CLINIC FOR_PLAN,
			UUIDOID, UUIDOID);

PG_FUNCTION_INFO_V1(txplan_lock_plan);

/*
 * EndOfTransaction forgets: the memory goes with the transaction.
 */
static void
EndOfTransaction(XactEvent event, void *argument)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			held_plans = NULL;
			break;
		default:
			break;
	}
}

/*
 * EndOfSubtransaction makes everything be read again after a rollback.  The
 * plans stay where they are, since a statement around it may point to them.
 */
static void
EndOfSubtransaction(SubXactEvent event, SubTransactionId mine,
					SubTransactionId parent, void *argument)
{
	HASH_SEQ_STATUS scan;
	TreatmentPlan *plan;

	if (event != SUBXACT_EVENT_ABORT_SUB || held_plans == NULL)
		return;
	hash_seq_init(&scan, held_plans);
	while ((plan = (TreatmentPlan *) hash_seq_search(&scan)) != NULL)
		plan->valid = plan->busy = plan->distrusted = false;
}

/*
 * InitPlanLock registers the callbacks, once for each backend.
 */
void
InitPlanLock(void)
{
	RegisterXactCallback(EndOfTransaction, NULL);
	RegisterSubXactCallback(EndOfSubtransaction, NULL);
}

/*
 * EnterPlan finds or makes the place where a plan is kept.
 */
static TreatmentPlan *
EnterPlan(const pg_uuid_t *id, const pg_uuid_t *clinic_id)
{
	PlanKey key;
	TreatmentPlan *plan;
	bool found;

	if (held_plans == NULL)
	{
		HASHCTL control = { 0 };

		control.keysize = sizeof(PlanKey);
		control.entrysize = sizeof(TreatmentPlan);
		control.hcxt =
			AllocSetContextCreate(TopTransactionContext, "txplan held plans",
								  ALLOCSET_DEFAULT_SIZES);
		held_plans = hash_create("txplan held plans", 64, &control,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	key.id = *id;
	key.clinic_id = *clinic_id;
	plan = (TreatmentPlan *) hash_search(held_plans, &key, HASH_ENTER, &found);
	if (!found)
	{
		memset((char *) plan + offsetof(TreatmentPlan, busy), 0,
			   sizeof(TreatmentPlan) - offsetof(TreatmentPlan, busy));
		plan->key = key;
	}
	return plan;
}

/*
 * KeepText replaces a text of a plan that is kept, unless it is the same.
 */
static void
KeepText(char **kept, Datum value)
{
	char *now = TextDatumGetCString(value);

	if (*kept == NULL || strcmp(*kept, now) != 0)
	{
		/* The old text stays: a statement around this one may hold it. */
		*kept = MemoryContextStrdup(TopTransactionContext, now);
	}
	pfree(now);
}

/*
 * WriteTexts writes the ids of a plan as events and history have them.
 */
static void
WriteTexts(TreatmentPlan *plan)
{
	WriteUuid(plan->id_text, &plan->key.id);
	WriteUuid(plan->clinic_text, &plan->key.clinic_id);
	WriteUuid(plan->patient_text, &plan->patient_id);
}

/*
 * KeepImage keeps what a query has read of a plan's row.
 */
static void
KeepImage(TreatmentPlan *plan, Datum *values, bool *nulls)
{
	KeepText(&plan->number, values[0]);
	KeepText(&plan->workflow, values[1]);
	KeepText(&plan->status, values[2]);
	plan->patient_id = *DatumGetUUIDP(values[3]);
	WriteTexts(plan);
	plan->has_professional = !nulls[4];
	if (plan->has_professional)
		plan->professional_id = *DatumGetUUIDP(values[4]);
	plan->items_total = DatumGetInt32(values[5]);
	plan->items_completed = DatumGetInt32(values[6]);
	plan->items_cancelled = DatumGetInt32(values[7]);
	plan->version = DatumGetInt64(values[8]);
	plan->history_length = DatumGetInt64(values[9]);
	if (!nulls[10])
		memcpy(plan->history_head, VARDATA_ANY(DatumGetPointer(values[10])),
			   HASH_BYTES);
	plan->has_budget = !nulls[11];
	if (plan->has_budget)
		plan->budget_id = *DatumGetUUIDP(values[11]);
	if (nulls[12])
		plan->budget_status = NULL;
	else
		KeepText(&plan->budget_status, values[12]);
	plan->next_position = 0;
	plan->read_at = GetCurrentStatementStartTimestamp();
	plan->valid = true;
}

/*
 * ReadPlan locks the row of a plan and reads it; false when it is not there.
 *
 * It can raise 40001 where the isolation level forbids to go on with a row that
 * has changed, 40P01, and 55P03 by lock_timeout.
 */
static bool
ReadPlan(TreatmentPlan *plan)
{
	Datum arguments[2];
	Datum values[PLAN_IMAGE_COLUMNS];
	bool nulls[PLAN_IMAGE_COLUMNS];

	arguments[0] = UUIDPGetDatum(&plan->key.id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	if (!QueryRow(&lock_plan, AS_OWNER, arguments, NULL, values, nulls))
		return false;

	KeepImage(plan, values, nulls);
	return true;
}

/*
 * IsFresh tells whether what is kept of a plan still holds.
 */
static bool
IsFresh(const TreatmentPlan *plan)
{
	return plan->busy || (plan->valid && !plan->distrusted &&
						  plan->read_at == GetCurrentStatementStartTimestamp());
}

/*
 * LockPlan locks a plan until the transaction ends; NULL when there is none.
 */
TreatmentPlan *
LockPlan(const pg_uuid_t *id, const pg_uuid_t *clinic_id)
{
	TreatmentPlan *plan;

	RequireRecord();
	plan = EnterPlan(id, clinic_id);
	if (!IsFresh(plan) && !ReadPlan(plan))
	{
		plan->valid = false;
		return NULL;
	}
	return plan;
}

/*
 * RefreshPlan reads a plan again that is held, if a statement in between changed
 * it or rolled a change back.
 */
void
RefreshPlan(TreatmentPlan *plan)
{
	if (!IsFresh(plan) && !ReadPlan(plan))
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("plan \"%s\" was deleted while it was being changed",
						UuidText(&plan->key.id)),
				 errhint("A trigger of your own deletes it.")));
}

/*
 * KnownPlan finds a plan that was locked before, fresh or not; else NULL.
 */
static TreatmentPlan *
KnownPlan(const pg_uuid_t *id, const pg_uuid_t *clinic_id)
{
	PlanKey key;

	if (held_plans == NULL)
		return NULL;
	key.id = *id;
	key.clinic_id = *clinic_id;
	return (TreatmentPlan *) hash_search(held_plans, &key, HASH_FIND, NULL);
}

/*
 * DistrustPlan makes a plan be read at each use, until ForgetPlan: its row is
 * being changed by a statement that may write its items and sessions as well.
 */
void
DistrustPlan(const pg_uuid_t *id, const pg_uuid_t *clinic_id)
{
	EnterPlan(id, clinic_id)->distrusted = true;
}

/*
 * ForgetPlan makes a plan be read again before it is next used.
 */
void
ForgetPlan(const pg_uuid_t *id, const pg_uuid_t *clinic_id)
{
	TreatmentPlan *plan = KnownPlan(id, clinic_id);

	if (plan != NULL)
		plan->valid = plan->distrusted = false;
}

/*
 * HeldPlan returns a plan that is locked and known; NULL when it is not.
 */
TreatmentPlan *
HeldPlan(const pg_uuid_t *id, const pg_uuid_t *clinic_id)
{
	TreatmentPlan *plan = KnownPlan(id, clinic_id);

	return plan != NULL && IsFresh(plan) ? plan : NULL;
}

/*
 * PlanFromRow fills a plan from a row that a trigger has at hand.
 */
void
PlanFromRow(TreatmentPlan *plan, const Row *row)
{
	memset(plan, 0, sizeof(TreatmentPlan));
	plan->key.id = *RowUuid(row, PLAN_ID);
	plan->key.clinic_id = *RowUuid(row, PLAN_CLINIC_ID);
	plan->number = RowText(row, PLAN_NUMBER);
	plan->workflow = RowText(row, PLAN_WORKFLOW);
	plan->status = RowText(row, PLAN_STATUS);
	plan->patient_id = *RowUuid(row, PLAN_PATIENT_ID);
	WriteTexts(plan);
	plan->has_professional = !RowIsNull(row, PLAN_PROFESSIONAL_ID);
	if (plan->has_professional)
		plan->professional_id = *RowUuid(row, PLAN_PROFESSIONAL_ID);
	plan->items_total = DatumGetInt32(RowValue(row, PLAN_ITEMS_TOTAL));
	plan->items_completed = DatumGetInt32(RowValue(row, PLAN_ITEMS_COMPLETED));
	plan->items_cancelled = DatumGetInt32(RowValue(row, PLAN_ITEMS_CANCELLED));
	plan->version = DatumGetInt64(RowValue(row, PLAN_VERSION));
	plan->history_length = DatumGetInt64(RowValue(row, PLAN_HISTORY_LENGTH));
	if (!RowIsNull(row, PLAN_HISTORY_HEAD))
	{
		bytea *head = DatumGetByteaPP(RowValue(row, PLAN_HISTORY_HEAD));

		memcpy(plan->history_head, VARDATA_ANY(head), HASH_BYTES);
	}
	plan->has_budget = !RowIsNull(row, PLAN_BUDGET_ID);
	if (plan->has_budget)
		plan->budget_id = *RowUuid(row, PLAN_BUDGET_ID);
	plan->budget_status = RowText(row, PLAN_BUDGET_STATUS);
	plan->valid = true;
}

/*
 * FindClinicOf finds the clinic and the plan of a plan, an item or a session;
 * false when there is no such row.
 */
bool
FindClinicOf(RecordTable table, const pg_uuid_t *id, pg_uuid_t *clinic_id,
			 pg_uuid_t *plan_id)
{
	SavedQuery *query = table == TABLE_PLANS ? &find_plan :
						table == TABLE_ITEMS ? &find_item :
											   &find_session;
	Datum argument = UUIDPGetDatum(id);
	Datum values[2];
	bool nulls[2];
	uint64 rows;

	rows = QueryRows(query, AS_OWNER, &argument, NULL, values, nulls);
	if (rows == 0)
		return false;
	if (rows > 1)
		RaiseSeveralClinics("row", id);
	*clinic_id = *DatumGetUUIDP(values[0]);
	*plan_id = *DatumGetUUIDP(values[1]);
	return true;
}

/*
 * RequirePlanOf locks the plan that a row names, or raises P0002, or TX010 when
 * the plan is one of another clinic.
 */
TreatmentPlan *
RequirePlanOf(const pg_uuid_t *plan_id, const pg_uuid_t *clinic_id)
{
	TreatmentPlan *plan = LockPlan(plan_id, clinic_id);
	pg_uuid_t other_clinic;
	pg_uuid_t found;

	if (plan != NULL)
		return plan;
	if (FindClinicOf(TABLE_PLANS, plan_id, &other_clinic, &found))
		RaiseWrongClinic("plan", plan_id);
	RaiseMissing("plan", plan_id);
}

/*
 * LockArgument locks the plan of the plan, item, session or entry that a function
 * was given, in one statement with the search for it.  It raises P0002 when there is
 * no such row, in the clinic if one was given.
 */
TreatmentPlan *
LockArgument(FunctionCallInfo fcinfo, RecordTable table, int clinic_argument)
{
	bool in_clinic = !PG_ARGISNULL(clinic_argument);
	const char *kind;
	SavedQuery *query;
	Datum arguments[2];
	Datum values[PLAN_IMAGE_COLUMNS + 2];
	bool nulls[PLAN_IMAGE_COLUMNS + 2];
	TreatmentPlan *plan;

	switch (table)
	{
		case TABLE_SESSIONS:
			kind = "session";
			query = in_clinic ? &lock_by_session_in_clinic : &lock_by_session;
			break;
		case TABLE_ITEMS:
			kind = "item";
			query = in_clinic ? &lock_by_item_in_clinic : &lock_by_item;
			break;
		case TABLE_EARNED_ENTRIES:
			kind = "earned entry";
			query = in_clinic ? &lock_by_entry_in_clinic : &lock_by_entry;
			break;
		default:
			kind = "plan";
			query = in_clinic ? &lock_by_plan_in_clinic : &lock_by_plan;
			break;
	}
	arguments[0] = PG_GETARG_DATUM(0);
	if (in_clinic)
		arguments[1] = PG_GETARG_DATUM(clinic_argument);
	switch (QueryRows(query, AS_OWNER, arguments, NULL, values, nulls))
	{
		case 0:
			RaiseMissing(kind, PG_GETARG_UUID_P(0));
			break;
		case 1:
			break;
		default:
			RaiseSeveralClinics(kind, PG_GETARG_UUID_P(0));
			break;
	}
	plan = EnterPlan(DatumGetUUIDP(values[PLAN_IMAGE_COLUMNS]),
					 DatumGetUUIDP(values[PLAN_IMAGE_COLUMNS + 1]));
	if (!IsFresh(plan))
		KeepImage(plan, values, nulls);
	return plan;
}

/*
 * txplan_lock_plan locks a plan for the caller.
 */
Datum
txplan_lock_plan(PG_FUNCTION_ARGS)
{
	TreatmentPlan *plan;

	RequireArgument(fcinfo, 0, "plan_id");
	RequireRecord();
	RequirePrivilege(TABLE_PLANS, ACL_UPDATE);
	plan = LockArgument(fcinfo, TABLE_PLANS, 2);
	if (!PG_ARGISNULL(1) && PG_GETARG_INT64(1) != plan->version)
		ereport(ERROR,
				(errcode(ERRCODE_TX_STALE_VERSION),
				 errmsg("plan %s has changed since it was read", plan->number),
				 errdetail("You read version " INT64_FORMAT "; it is now at "
						   "version " INT64_FORMAT ".",
						   PG_GETARG_INT64(1), plan->version),
				 errhint("Read the plan again and decide anew.")));
	PG_RETURN_VOID();
}
