/*
 * item.c
 *		The treatments of a plan: what may change, and how they are finished.
 */
#include "item.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "allocation.h"
#include "catalog.h"
#include "error.h"
#include "involved.h"
#include "quote.h"
#include "registry.h"
#include "rowcheck.h"
#include "spi.h"
#include "tooth.h"
#include "transition.h"

SAVED_QUERY(find_position,
			"SELECT coalesce(pg_catalog.max(i.position), 0)" PLUS "1 "
			"FROM txplan.items AS i "
			"WHERE i.plan_id" EQ "$1 AND i.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

/*
 * The item counts its sessions; with the last one it is finished: completed if
 * any was, else cancelled.  The counters answer at once while it is not; the
 * sessions have the last word, since one statement may add and complete some.
 */
#define ENDED \
	"i.sessions_completed" PLUS "$4" PLUS "i.sessions_cancelled" PLUS "$5"
#define PENDING_LEFT                                                        \
	"EXISTS (SELECT 1 FROM txplan.sessions AS s WHERE s.item_id" EQ "i.id " \
	"AND s.clinic_id" EQ "i.clinic_id AND s.status" EQ "'pending')"
#define OPEN \
	"((" ENDED ")" LT "(i.sessions_total" PLUS "$3) OR " PENDING_LEFT ")"
#define TREATED "(i.sessions_completed" PLUS "$4)" GT "0"
#define WHEN_TREATED "CASE WHEN " OPEN " THEN NULL WHEN " TREATED " THEN "

SAVED_QUERY(count_sessions,
			"UPDATE txplan.items AS i SET "
			"sessions_total = i.sessions_total" PLUS "$3, "
			"sessions_completed = i.sessions_completed" PLUS "$4, "
			"sessions_cancelled = i.sessions_cancelled" PLUS "$5, "
			"price = i.price" PLUS "$6, "
			"status = CASE WHEN " OPEN " THEN 'pending' "
			"WHEN " TREATED " THEN 'completed' ELSE 'cancelled' END, "
			"live = i.live AND (" OPEN " OR " TREATED "), "
			"completed_at = " WHEN_TREATED "$7 END, "
			"completed_by = " WHEN_TREATED "$8 END, "
			"completed_via = " WHEN_TREATED "$9 END, "
			"updated_at = $7 "
			"WHERE i.id" EQ "$1 AND i.clinic_id" EQ "$2 "
			"RETURNING i.status, i.sessions_total, i.sessions_completed, "
			"i.sessions_cancelled, i.price, i.treatment_ref, i.description, "
			"i.category_key, i.professional_id",
			UUIDOID, UUIDOID, INT4OID, INT4OID, INT4OID, NUMERICOID,
			TIMESTAMPTZOID, TEXTOID, TEXTOID);

SAVED_QUERY(find_any,
			"SELECT 1 FROM txplan.items AS i "
			"WHERE i.id" EQ "$1 AND i.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(insert_item,
			"INSERT INTO txplan.items (plan_id, clinic_id, catalog_item_id, "
			"description, price, tooth, surfaces, treatment_ref, professional_id, notes) "
			"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
			UUIDOID, UUIDOID, UUIDOID, TEXTOID, NUMERICOID, INT4OID, TEXTOID,
			TEXTOID, UUIDOID, TEXTOID);

SAVED_QUERY(delete_item,
			"DELETE FROM txplan.items WHERE id" EQ "$1 AND clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

static const ItemColumn fixed_columns[] = { ITEM_ID, ITEM_CLINIC_ID,
											ITEM_PLAN_ID,
											ITEM_CATALOG_ITEM_ID };

static const ItemColumn engine_columns[] = { ITEM_STATUS,
											 ITEM_LIVE,
											 ITEM_SESSIONS_TOTAL,
											 ITEM_SESSIONS_COMPLETED,
											 ITEM_SESSIONS_CANCELLED,
											 ITEM_COMPLETED_AT,
											 ITEM_COMPLETED_BY,
											 ITEM_COMPLETED_VIA,
											 ITEM_CREATED_AT };

/* What makes up the treatment: it changes only while items can be edited */
static const ItemColumn treatment_columns[] = {
	ITEM_POSITION,	  ITEM_TREATMENT_REF, ITEM_TOOTH, ITEM_SURFACES,
	ITEM_DESCRIPTION, ITEM_CATEGORY_KEY,  ITEM_PRICE
};

#define ENGINE_HINT                         \
	"Complete or cancel sessions, or call " \
	"txplan.complete_item(): the engine then writes this column."

PG_FUNCTION_INFO_V1(txplan_items_check);
PG_FUNCTION_INFO_V1(txplan_add_item);
PG_FUNCTION_INFO_V1(txplan_remove_item);

/*
 * KeptTextColumn copies a text column of a query, NULL when it is NULL.
 */
static char *
KeptTextColumn(Datum value, bool isnull)
{
	return isnull ? NULL : TextDatumGetCString(value);
}

/*
 * CountSessions writes to an item what a statement did to its sessions, and
 * finishes it when none is left.  False when the item is gone, with the plan or
 * by a removal.
 *
 * The plan is locked, so the item's row waits for nobody but a client who holds
 * it by a statement of his own.
 */
bool
CountSessions(Settlement *settlement, const TreatmentPlan *plan,
			  const pg_uuid_t *item_id, const SessionCounts *counts,
			  const char *via, CountedItem *item)
{
	Datum arguments[9];
	Datum values[9];
	bool nulls[9];
	Datum price;

	price =
		counts->price >= 0 ?
			CentsToAmount(counts->price) :
			DirectFunctionCall1(numeric_uminus, CentsToAmount(-counts->price));
	arguments[0] = UUIDPGetDatum(item_id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[2] = Int32GetDatum(counts->added);
	arguments[3] = Int32GetDatum(counts->completed);
	arguments[4] = Int32GetDatum(counts->cancelled);
	arguments[5] = price;
	arguments[6] = TimestampTzGetDatum(settlement->at);
	arguments[7] = CStringGetTextDatum(settlement->actor);
	arguments[8] = CStringGetTextDatum(via);
	if (!EngineWriteRow(&count_sessions, TABLE_ITEMS, arguments, NULL, values,
						nulls))
	{
		if (!QueryRow(&find_any, AS_OWNER, arguments, NULL, values, nulls))
			return false;
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("the engine could not write item \"%s\"",
						UuidText(item_id)),
				 errdetail("A trigger of your own on txplan.items kept it from "
						   "doing so."),
				 errhint("Let that trigger return NEW.")));
	}
	item->id = *item_id;
	item->status = TextDatumGetCString(values[0]);
	item->finished = strcmp(item->status, "pending") != 0;
	item->sessions_total = DatumGetInt32(values[1]);
	item->sessions_completed = DatumGetInt32(values[2]);
	item->sessions_cancelled = DatumGetInt32(values[3]);
	item->price = DatumGetCString(DirectFunctionCall1(numeric_out, values[4]));
	item->treatment_ref = KeptTextColumn(values[5], nulls[5]);
	item->description = KeptTextColumn(values[6], nulls[6]);
	item->category_key = KeptTextColumn(values[7], nulls[7]);
	item->professional_id = nulls[8] ? NULL : DatumGetUUIDP(values[8]);
	return true;
}

/*
 * RaiseBothChanged refuses a statement that changes the price of an item and the
 * amounts of its sessions: each would have to follow the other.
 */
void
RaiseBothChanged(const pg_uuid_t *item_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_TX_AMOUNTS_DO_NOT_ADD_UP),
			 errmsg("price and sessions of item \"%s\" change in one statement",
					UuidText(item_id)),
			 errdetail("The price follows the sessions, and the sessions follow "
					   "the price."),
			 errhint("Change the one or the other, or one after the other.")));
}

/*
 * PublishFinish tells that an item is finished, and counts it on the plan.
 */
void
PublishFinish(Settlement *settlement, TreatmentPlan *plan,
			  const CountedItem *item, const char *via)
{
	bool completed = strcmp(item->status, "completed") == 0;
	HistoryRow fact = { 0 };
	Payload payload;

	if (completed)
		plan->items_completed++;
	else
	{
		plan->items_cancelled++;
		NoteDoctor(plan, item->professional_id);
	}

	fact.what = "item_status";
	fact.item_id = &item->id;
	fact.from_value = "pending";
	fact.to_value = item->status;
	fact.action = completed ? via : NULL;
	RecordHistory(settlement, plan, &fact);

	BeginPayload(&payload);
	PayloadUuid(&payload, "item_id", &item->id);
	PayloadText(&payload, "treatment_ref", item->treatment_ref);
	PayloadText(&payload, "description", item->description);
	PayloadText(&payload, "treatment_category_key", item->category_key);
	PayloadUuid(&payload, "professional_id", item->professional_id);
	if (completed)
	{
		PayloadText(&payload, "completed_by", settlement->actor);
		PayloadText(&payload, "completed_via", via);
	}
	PublishEvent(settlement, plan,
				 completed ? "treatment_plan.treatment_completed" :
							 "treatment_plan.treatment_cancelled",
				 &payload);
}

/*
 * PublishItemChange tells that something of an item, or of a session of it,
 * changed for which there is no event of its own, and perhaps the item's price
 * along with it.
 */
void
PublishItemChange(Settlement *settlement, TreatmentPlan *plan,
				  const pg_uuid_t *item_id, const pg_uuid_t *session_id,
				  const char *changed, bool price_too)
{
	Payload payload;

	BeginPayload(&payload);
	PayloadUuid(&payload, "item_id", item_id);
	if (session_id != NULL)
		PayloadUuid(&payload, "session_id", session_id);
	PayloadJson(&payload, "changed",
				NameList(changed, price_too ? "price" : NULL));
	PublishEvent(settlement, plan, "treatment_plan.updated", &payload);
}

/*
 * RaiseFinal says that a completed or cancelled item stays as it is.
 */
static void
RaiseFinal(const Row *row, const char *what)
{
	char *status = RowText(row, ITEM_STATUS);
	char *by = RowText(row, ITEM_COMPLETED_BY);

	ereport(ERROR,
			(errcode(ERRCODE_TX_ALREADY_FINAL),
			 errmsg("item \"%s\" is %s: %s", UuidText(RowUuid(row, ITEM_ID)),
					status, what),
			 by == NULL ? errdetail("Nothing of it is left to do.") :
						  errdetail("%s completed it at %s.", by,
									timestamptz_to_str(DatumGetTimestampTz(
										RowValue(row, ITEM_COMPLETED_AT)))),
			 errhint("Only its notes can change.")));
}

/*
 * CheckNewColumns refuses a new item that brings what the engine gives it.
 */
static void
CheckNewColumns(const Row *row)
{
	static const ItemColumn counters[] = { ITEM_SESSIONS_TOTAL,
										   ITEM_SESSIONS_COMPLETED,
										   ITEM_SESSIONS_CANCELLED };
	static const ItemColumn empty[] = { ITEM_COMPLETED_AT, ITEM_COMPLETED_BY,
										ITEM_COMPLETED_VIA };
	int i;

	for (i = 0; i < lengthof(counters); i++)
		if (!RowIsNull(row, counters[i]) &&
			DatumGetInt32(RowValue(row, counters[i])) != 0)
			RaiseEngineOwned("items", row->names[counters[i]], ENGINE_HINT);
	for (i = 0; i < lengthof(empty); i++)
		if (!RowIsNull(row, empty[i]))
			RaiseEngineOwned("items", row->names[empty[i]], ENGINE_HINT);
	if (!RowTextIs(row, ITEM_STATUS, "pending"))
		RaiseEngineOwned("items", "status", ENGINE_HINT);
	if (RowIsNull(row, ITEM_LIVE) || !DatumGetBool(RowValue(row, ITEM_LIVE)))
		RaiseEngineOwned("items", "live", ENGINE_HINT);
}

/*
 * FillFromCatalog gives a new item what the catalog says of it.
 */
static void
FillFromCatalog(Row *row, const TreatmentPlan *plan)
{
	const CatalogEntry *entry;

	if (RowIsNull(row, ITEM_CATALOG_ITEM_ID))
	{
		SetRow(row, ITEM_SESSIONS_TOTAL, Int32GetDatum(1));
		return;
	}
	entry = FindCatalogEntry(RowUuid(row, ITEM_CATALOG_ITEM_ID),
							 &plan->key.clinic_id);
	if (!entry->active)
		ereport(ERROR, (errcode(ERRCODE_TX_TRANSITION_BLOCKED),
						errmsg("catalog item \"%s\" is not active",
							   UuidText(&entry->key.id)),
						errdetail("%s is no longer offered.", entry->name),
						errhint("Choose an active catalog item.")));
	if (RowIsNull(row, ITEM_DESCRIPTION))
		SetRowText(row, ITEM_DESCRIPTION, entry->name);
	if (RowIsNull(row, ITEM_CATEGORY_KEY) && entry->category_key != NULL)
		SetRowText(row, ITEM_CATEGORY_KEY, entry->category_key);
	if (RowIsNull(row, ITEM_PRICE))
		SetRow(row, ITEM_PRICE, CentsToAmount(entry->price));
	SetRow(row, ITEM_SESSIONS_TOTAL, Int32GetDatum(Max(1, entry->nsteps)));
}

/*
 * FillProfessional gives a new item the plan's doctor where it names none, and
 * checks the one that it gets, once for each plan and statement.
 */
static void
FillProfessional(Row *row, TreatmentPlan *plan)
{
	if (!RowIsNull(row, ITEM_PROFESSIONAL_ID))
		CheckProfessional(RowUuid(row, ITEM_PROFESSIONAL_ID),
						  &plan->key.clinic_id);
	else if (plan->has_professional)
	{
		if (plan->next_position == 0)
			CheckProfessional(&plan->professional_id, &plan->key.clinic_id);
		SetRow(row, ITEM_PROFESSIONAL_ID,
			   UUIDPGetDatum(&plan->professional_id));
	}
}

/*
 * FillPosition puts a new item behind the others.  A plan that counts no items
 * is not searched for them, unless its row is being changed as well: then its
 * counters may be behind.
 */
static void
FillPosition(Row *row, TreatmentPlan *plan)
{
	if (plan->next_position == 0 && plan->items_total == 0 && !plan->distrusted)
		plan->next_position = 1;
	if (plan->next_position == 0)
	{
		Datum arguments[2];
		Datum position;
		bool isnull;

		arguments[0] = UUIDPGetDatum(&plan->key.id);
		arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
		(void) QueryRow(&find_position, AS_OWNER, arguments, NULL, &position,
						&isnull);
		plan->next_position = DatumGetInt32(position);
	}
	if (RowIsNull(row, ITEM_POSITION))
		SetRow(row, ITEM_POSITION, Int32GetDatum(plan->next_position));
	if (DatumGetInt32(RowValue(row, ITEM_POSITION)) >= plan->next_position &&
		DatumGetInt32(RowValue(row, ITEM_POSITION)) < PG_INT32_MAX)
		plan->next_position = DatumGetInt32(RowValue(row, ITEM_POSITION)) + 1;
}

/*
 * CheckInsert fills in and checks a new item.
 */
static void
CheckInsert(Row *row)
{
	TreatmentPlan *plan;

	CheckNewColumns(row);
	if (RowIsNull(row, ITEM_PLAN_ID) || RowIsNull(row, ITEM_CLINIC_ID))
		return;
	plan =
		RequirePlanOf(RowUuid(row, ITEM_PLAN_ID), RowUuid(row, ITEM_CLINIC_ID));
	RequireEditable(plan, "it takes no items");
	RequireUnlocked(plan, "it takes no items");
	FillFromCatalog(row, plan);
	FillProfessional(row, plan);
	FillPosition(row, plan);
	SetRow(row, ITEM_UPDATED_AT, TimestampTzGetDatum(GetCurrentTimestamp()));
}

/*
 * CheckUpdate checks a client's change of an item.
 */
static void
CheckUpdate(Row *row, const Row *old_row)
{
	bool final = !RowTextIs(old_row, ITEM_STATUS, "pending");
	bool treatment_changed = false;
	bool professional_changed;
	TreatmentPlan *plan;
	int i;

	for (i = 0; i < lengthof(fixed_columns); i++)
		if (RowsDiffer(old_row, row, fixed_columns[i]))
			RaiseNeverChanges("items", row->names[fixed_columns[i]]);
	for (i = 0; i < lengthof(treatment_columns); i++)
		if (RowsDiffer(old_row, row, treatment_columns[i]) &&
			!(final && treatment_columns[i] == ITEM_POSITION))
			treatment_changed = true;
	professional_changed = RowsDiffer(old_row, row, ITEM_PROFESSIONAL_ID);
	if (final && RowsDiffer(old_row, row, ITEM_STATUS))
		RaiseFinal(old_row, "its status does not change");
	for (i = 0; i < lengthof(engine_columns); i++)
		if (RowsDiffer(old_row, row, engine_columns[i]))
			RaiseEngineOwned("items", row->names[engine_columns[i]],
							 ENGINE_HINT);
	if (final && professional_changed)
		RaiseFinal(old_row, "it keeps its doctor");
	if (final && treatment_changed)
		RaiseFinal(old_row, "it does not change");

	plan = LockPlan(RowUuid(row, ITEM_PLAN_ID), RowUuid(row, ITEM_CLINIC_ID));
	if (plan == NULL)
		RaiseMissing("plan", RowUuid(row, ITEM_PLAN_ID));
	if (treatment_changed || RowsDiffer(old_row, row, ITEM_POSITION))
	{
		RequireEditable(plan, "its items do not change");
		RequireUnlocked(plan, "its items do not change");
	}
	if (professional_changed && !RowIsNull(row, ITEM_PROFESSIONAL_ID))
		CheckProfessional(RowUuid(row, ITEM_PROFESSIONAL_ID),
						  &plan->key.clinic_id);
	SetRow(row, ITEM_UPDATED_AT,
		   RowsEqual(old_row, row, ITEM_UPDATED_AT) ?
			   RowValue(old_row, ITEM_UPDATED_AT) :
			   TimestampTzGetDatum(GetCurrentTimestamp()));
}

/*
 * CheckDelete lets go only a pending item of which nothing was done.  When the
 * plan is gone, it goes along.
 */
static void
CheckDelete(const Row *row)
{
	TreatmentPlan *plan =
		LockPlan(RowUuid(row, ITEM_PLAN_ID), RowUuid(row, ITEM_CLINIC_ID));

	if (plan == NULL)
		return;
	if (!RowTextIs(row, ITEM_STATUS, "pending"))
		RaiseFinal(row, "it cannot be removed");
	if (DatumGetInt32(RowValue(row, ITEM_SESSIONS_COMPLETED)) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_TX_ALREADY_FINAL),
				 errmsg("item \"%s\" cannot be removed: part of it was done",
						UuidText(RowUuid(row, ITEM_ID))),
				 errdetail("%d of its sessions are completed.",
						   DatumGetInt32(RowValue(row,
												  ITEM_SESSIONS_COMPLETED))),
				 errhint("Cancel its pending sessions instead.")));
	RequireEditable(plan, "it lets no items go");
	RequireUnlocked(plan, "it lets no items go");
}

/*
 * txplan_items_check is the trigger before each row of items.
 */
Datum
txplan_items_check(PG_FUNCTION_ARGS)
{
	static const RowChecks checks = { "items_check", TABLE_ITEMS, CheckInsert,
									  CheckUpdate, CheckDelete };

	return CheckRow(fcinfo, &checks);
}

/*
 * txplan_add_item adds an item to a plan.
 */
Datum
txplan_add_item(PG_FUNCTION_ARGS)
{
	TreatmentPlan *plan;
	Datum arguments[10];
	char nulls[11];
	Datum id;
	bool isnull;
	int i;

	RequireArgument(fcinfo, 0, "plan_id");
	RequireRecord();
	RequirePrivilege(TABLE_ITEMS, ACL_INSERT);
	if (PG_ARGISNULL(1))
	{
		RequireArgument(fcinfo, 2, "description");
		RequireArgument(fcinfo, 3, "price");
	}
	CheckTextArgument(fcinfo, 2, "description", TITLE_MAX_CHARS, false);
	if (!PG_ARGISNULL(3))
		CheckAmount(PG_GETARG_DATUM(3), "price");
	if (!PG_ARGISNULL(4))
		CheckTooth(PG_GETARG_INT32(4));
	if (!PG_ARGISNULL(5))
		CheckSurfaces(text_to_cstring(PG_GETARG_TEXT_PP(5)), !PG_ARGISNULL(4),
					  PG_ARGISNULL(4) ? 0 : PG_GETARG_INT32(4));
	CheckTextArgument(fcinfo, 6, "treatment_ref", NAME_MAX_CHARS, false);
	CheckTextArgument(fcinfo, 8, "notes", NOTES_MAX_CHARS, true);

	plan = LockArgument(fcinfo, TABLE_PLANS, 9);
	arguments[0] = PG_GETARG_DATUM(0);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	nulls[0] = nulls[1] = ' ';
	for (i = 2; i < 10; i++)
	{
		nulls[i] = PG_ARGISNULL(i - 1) ? 'n' : ' ';
		arguments[i] = PG_ARGISNULL(i - 1) ? (Datum) 0 : PG_GETARG_DATUM(i - 1);
	}
	nulls[10] = '\0';
	if (!QueryRow(&insert_item, AS_CALLER, arguments, nulls, &id, &isnull))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(id);
}

/*
 * txplan_remove_item removes an item.
 */
Datum
txplan_remove_item(PG_FUNCTION_ARGS)
{
	TreatmentPlan *plan;
	Datum arguments[2];
	uint64 rows;

	RequireArgument(fcinfo, 0, "item_id");
	RequireRecord();
	RequirePrivilege(TABLE_ITEMS, ACL_DELETE);
	plan = LockArgument(fcinfo, TABLE_ITEMS, 1);
	arguments[0] = PG_GETARG_DATUM(0);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	ConnectSpi();
	rows = RunQuery(&delete_item, AS_CALLER, arguments, NULL);
	FinishSpi();
	if (rows == 0)
		RaiseMissing("item", PG_GETARG_UUID_P(0));
	PG_RETURN_VOID();
}
