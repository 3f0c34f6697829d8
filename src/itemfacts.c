/*
 * itemfacts.c
 *		What follows from a statement on items: sessions, counters, events.
 */
#include "item.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "allocation.h"
#include "catalog.h"
#include "error.h"
#include "involved.h"
#include "quote.h"
#include "settle.h"
#include "spi.h"

/* Sessions that wait to be inserted */
typedef struct NewSessions
{
	MemoryContext context;
	int count;
	int room;
	Datum *clinic_ids;
	Datum *plan_ids;
	Datum *item_ids;
	Datum *sequences;
	Datum *labels;
	bool *no_labels;
	Datum *amounts;
} NewSessions;

SAVED_QUERY(insert_session,
			"INSERT INTO txplan.sessions "
			"(clinic_id, plan_id, item_id, sequence, label, amount) "
			"VALUES ($1, $2, $3, $4, $5, $6)",
			UUIDOID, UUIDOID, UUIDOID, INT4OID, TEXTOID, NUMERICOID);

SAVED_QUERY(insert_sessions,
			"INSERT INTO txplan.sessions "
			"(clinic_id, plan_id, item_id, sequence, label, amount) "
			"SELECT s.clinic_id, s.plan_id, s.item_id, s.sequence, s.label, s.amount "
			"FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), "
			"pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5), "
			"pg_catalog.unnest($6)) "
			"AS s (clinic_id, plan_id, item_id, sequence, label, amount)",
			UUIDARRAYOID, UUIDARRAYOID, UUIDARRAYOID, INT4ARRAYOID,
			TEXTARRAYOID, NUMERICARRAYOID);

SAVED_QUERY(read_price,
			"SELECT i.price FROM txplan.items AS i "
			"WHERE i.id" EQ "$1 AND i.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(read_amounts,
			"SELECT s.id, s.amount, s.status" EQ "'pending', "
			"s.status" EQ "'completed' AND NOT " SESSION_VOIDED " "
			"FROM txplan.sessions AS s "
			"WHERE s.item_id" EQ "$1 AND s.clinic_id" EQ "$2 "
			"ORDER BY s.sequence",
			UUIDOID, UUIDOID);

SAVED_QUERY(write_amounts,
			"UPDATE txplan.sessions AS s SET amount = a.amount, updated_at = $4 "
			"FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) "
			"AS a (id, amount) "
			"WHERE s.id" EQ "a.id AND s.clinic_id" EQ "$1",
			UUIDOID, UUIDARRAYOID, NUMERICARRAYOID, TIMESTAMPTZOID);

SAVED_QUERY(list_order,
			"SELECT pg_catalog.jsonb_agg(i.id ORDER BY i.position) "
			"FROM txplan.items AS i "
			"WHERE i.plan_id" EQ "$1 AND i.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

/* Columns of which a change is published as updated */
static const ItemColumn plain_columns[] = {
	ITEM_TREATMENT_REF, ITEM_TOOTH, ITEM_SURFACES, ITEM_DESCRIPTION,
	ITEM_CATEGORY_KEY,	ITEM_PRICE, ITEM_NOTES
};

PG_FUNCTION_INFO_V1(txplan_items_settle);

/*
 * ColumnText writes a column as history has it, NULL when it is NULL.
 */
static char *
ColumnText(const Row *row, int column)
{
	int place = row->columns[column] - 1;
	Oid output;
	bool is_varlena;

	if (row->nulls[place])
		return NULL;
	getTypeOutputInfo(TupleDescAttr(row->descriptor, place)->atttypid, &output,
					  &is_varlena);
	return OidOutputFunctionCall(output, row->values[place]);
}

/*
 * RecordItem records a change of an item in the history.
 */
static void
RecordItem(PlanRun *run, const char *what, const Row *row,
		   const char *from_value, const char *to_value)
{
	HistoryRow fact = { 0 };

	fact.what = what;
	fact.item_id = RowUuid(row, ITEM_ID);
	fact.from_value = from_value;
	fact.to_value = to_value;
	RecordHistory(&run->settlement, run->plan, &fact);
}

/*
 * GrowSessions makes room for one more session.
 */
static void
GrowSessions(NewSessions *sessions)
{
	Datum **columns[] = { &sessions->clinic_ids, &sessions->plan_ids,
						  &sessions->item_ids,	 &sessions->sequences,
						  &sessions->labels,	 &sessions->amounts };
	int room = Max(16, sessions->room * 2);
	int i;

	for (i = 0; i < lengthof(columns); i++)
		*columns[i] = sessions->room == 0 ?
						  MemoryContextAllocHuge(sessions->context,
												 sizeof(Datum) * room) :
						  repalloc_huge(*columns[i], sizeof(Datum) * room);
	sessions->no_labels =
		sessions->room == 0 ?
			MemoryContextAllocHuge(sessions->context, sizeof(bool) * room) :
			repalloc_huge(sessions->no_labels, sizeof(bool) * room);
	sessions->room = room;
}

/*
 * AddSession keeps a session for InsertSessions.  The ids must outlive it.
 */
static void
AddSession(NewSessions *sessions, const TreatmentPlan *plan,
		   const pg_uuid_t *item_id, int sequence, const char *label,
		   int64 amount)
{
	MemoryContext old = MemoryContextSwitchTo(sessions->context);
	int n = sessions->count;

	if (n == sessions->room)
		GrowSessions(sessions);
	sessions->clinic_ids[n] = UUIDPGetDatum(&plan->key.clinic_id);
	sessions->plan_ids[n] = UUIDPGetDatum(&plan->key.id);
	sessions->item_ids[n] = UUIDPGetDatum(item_id);
	sessions->sequences[n] = Int32GetDatum(sequence);
	sessions->no_labels[n] = label == NULL;
	sessions->labels[n] =
		label == NULL ? (Datum) 0 : CStringGetTextDatum(label);
	sessions->amounts[n] = CentsToAmount(amount);
	sessions->count++;
	MemoryContextSwitchTo(old);
}

/*
 * MakeSessions makes the sessions of a new item: one a step of the template,
 * with the price split by the template's prices, else one of the whole price.
 */
static void
MakeSessions(NewSessions *sessions, const TreatmentPlan *plan, const Row *row)
{
	MemoryContext old = MemoryContextSwitchTo(sessions->context);
	pg_uuid_t *item_id = (pg_uuid_t *) palloc(sizeof(pg_uuid_t));
	int64 price = Cents(RowValue(row, ITEM_PRICE));
	const CatalogEntry *entry = NULL;
	int64 *parts;
	int i;

	*item_id = *RowUuid(row, ITEM_ID);
	if (!RowIsNull(row, ITEM_CATALOG_ITEM_ID))
		entry = FindCatalogEntry(RowUuid(row, ITEM_CATALOG_ITEM_ID),
								 &plan->key.clinic_id);
	if (entry == NULL || entry->nsteps == 0)
		AddSession(sessions, plan, item_id, 1, NULL, price);
	else
	{
		parts = (int64 *) palloc(sizeof(int64) * entry->nsteps);
		SplitCents(price, entry->prices, parts, entry->nsteps);
		for (i = 0; i < entry->nsteps; i++)
			AddSession(sessions, plan, item_id, i + 1, entry->labels[i],
					   parts[i]);
		pfree(parts);
	}
	MemoryContextSwitchTo(old);
}

/*
 * InsertSessions writes the sessions that wait: one by itself, many by arrays.
 */
static void
InsertSessions(NewSessions *sessions)
{
	int n = sessions->count;
	Datum arguments[6];

	if (n == 0)
		return;
	if (n == 1)
	{
		arguments[0] = sessions->clinic_ids[0];
		arguments[1] = sessions->plan_ids[0];
		arguments[2] = sessions->item_ids[0];
		arguments[3] = sessions->sequences[0];
		arguments[4] = sessions->labels[0];
		arguments[5] = sessions->amounts[0];
		EngineWriteRows(&insert_session, TABLE_SESSIONS, arguments,
						sessions->no_labels[0] ? "    n " : NULL, 1);
	}
	else
	{
		arguments[0] = ArrayOf(sessions->clinic_ids, NULL, n, UUIDOID);
		arguments[1] = ArrayOf(sessions->plan_ids, NULL, n, UUIDOID);
		arguments[2] = ArrayOf(sessions->item_ids, NULL, n, UUIDOID);
		arguments[3] = ArrayOf(sessions->sequences, NULL, n, INT4OID);
		arguments[4] =
			ArrayOf(sessions->labels, sessions->no_labels, n, TEXTOID);
		arguments[5] = ArrayOf(sessions->amounts, NULL, n, NUMERICOID);
		EngineWriteRows(&insert_sessions, TABLE_SESSIONS, arguments, NULL, n);
	}
	sessions->count = sessions->room = 0;
	MemoryContextReset(sessions->context);
}

/*
 * PublishAddedOrRemoved tells that an item came or went.
 */
static void
PublishAddedOrRemoved(PlanRun *run, const Row *row, const char *event)
{
	Payload payload;

	BeginPayload(&payload);
	PayloadColumn(&payload, "item_id", row, ITEM_ID);
	PayloadColumn(&payload, "catalog_item_id", row, ITEM_CATALOG_ITEM_ID);
	PayloadColumn(&payload, "treatment_ref", row, ITEM_TREATMENT_REF);
	PayloadColumn(&payload, "tooth", row, ITEM_TOOTH);
	PayloadColumn(&payload, "surfaces", row, ITEM_SURFACES);
	PayloadColumn(&payload, "unit_price", row, ITEM_PRICE);
	PayloadColumn(&payload, "professional_id", row, ITEM_PROFESSIONAL_ID);
	PayloadUuid(&payload, "budget_id",
				HasDraftBudget(run->plan) ? &run->plan->budget_id : NULL);
	PublishEvent(&run->settlement, run->plan, event, &payload);
}

/*
 * SettleAdded counts a new item and tells of it.
 */
static void
SettleAdded(PlanRun *run, const Row *row)
{
	run->plan->items_total++;
	NoteDoctor(run->plan, RowUuid(row, ITEM_PROFESSIONAL_ID));
	RecordItem(run, "item_added", row, NULL, ColumnText(row, ITEM_DESCRIPTION));
	PublishAddedOrRemoved(run, row, "treatment_plan.treatment_added");
}

/*
 * SettleRemoved takes an item off the count and tells of it.
 */
static void
SettleRemoved(PlanRun *run, const Row *row)
{
	run->plan->items_total--;
	NoteDoctor(run->plan, RowUuid(row, ITEM_PROFESSIONAL_ID));
	RecordItem(run, "item_removed", row, ColumnText(row, ITEM_DESCRIPTION),
			   NULL);
	PublishAddedOrRemoved(run, row, "treatment_plan.treatment_removed");
}

/*
 * RequirePrice raises TX009 unless the item still has the price that its row
 * was given: the same statement may have changed its sessions, and with them the
 * price.
 */
static void
RequirePrice(const Row *row)
{
	Datum arguments[2];
	Datum price;
	bool isnull;

	arguments[0] = RowValue(row, ITEM_ID);
	arguments[1] = RowValue(row, ITEM_CLINIC_ID);
	if (QueryRow(&read_price, AS_OWNER, arguments, NULL, &price, &isnull) &&
		Cents(price) != Cents(RowValue(row, ITEM_PRICE)))
		RaiseBothChanged(RowUuid(row, ITEM_ID));
}

/*
 * RaisePriceTooLow says why a price does not fit what its item has earned.
 */
pg_noreturn static void
RaisePriceTooLow(const pg_uuid_t *item_id, int64 left)
{
	ereport(ERROR,
			(errcode(ERRCODE_TX_AMOUNTS_DO_NOT_ADD_UP),
			 errmsg("the price of item \"%s\" is below what it has earned",
					UuidText(item_id)),
			 left < 0 ? errdetail("Completed sessions have earned " INT64_FORMAT
								  ".%02d more than the new price.",
								  -left / 100, (int) (-left % 100)) :
						errdetail("No session is pending that could take the "
								  "difference."),
			 errhint("Choose a price that covers what was earned.")));
}

/*
 * SplitItemPrice splits what an item's price leaves over its pending sessions, by
 * their amounts: all but what its completed sessions have earned.  A session
 * whose entry was voided has earned nothing.
 *
 * It raises TX009 when less is left than nothing and, where a pending session is
 * required, when something is left that none could take.  The item's plan is
 * locked, and the price itself is written by the caller.
 */
void
SplitItemPrice(TimestampTz at, const pg_uuid_t *item_id,
			   const pg_uuid_t *clinic_id, int64 price, bool pending_required)
{
	int64 left = price;
	Datum arguments[4];
	Datum *ids;
	Datum *amounts;
	int64 *weights;
	int64 *parts;
	int n = 0;
	uint64 i;

	arguments[0] = UUIDPGetDatum(item_id);
	arguments[1] = UUIDPGetDatum(clinic_id);
	ConnectSpi();
	(void) RunQuery(&read_amounts, AS_OWNER, arguments, NULL);
	ids = (Datum *) palloc(sizeof(Datum) * (SPI_processed + 1));
	amounts = (Datum *) palloc(sizeof(Datum) * (SPI_processed + 1));
	weights = (int64 *) palloc(sizeof(int64) * (SPI_processed + 1));
	parts = (int64 *) palloc(sizeof(int64) * (SPI_processed + 1));
	for (i = 0; i < SPI_processed; i++)
	{
		Datum values[4];
		bool nulls[4];

		FetchRow(i, values, nulls);
		if (DatumGetBool(values[3]))
			left -= Cents(values[1]);
		if (!DatumGetBool(values[2]))
			continue;
		ids[n] = values[0];
		weights[n++] = Cents(values[1]);
	}
	if (left < 0 || (n == 0 && left != 0 && pending_required))
		RaisePriceTooLow(item_id, left);
	if (n > 0)
	{
		SplitCents(left, weights, parts, n);
		for (i = 0; i < (uint64) n; i++)
			amounts[i] = CentsToAmount(parts[i]);
		arguments[0] = UUIDPGetDatum(clinic_id);
		arguments[1] = ArrayOf(ids, NULL, n, UUIDOID);
		arguments[2] = ArrayOf(amounts, NULL, n, NUMERICOID);
		arguments[3] = TimestampTzGetDatum(at);
		EngineWriteRows(&write_amounts, TABLE_SESSIONS, arguments, NULL, n);
	}
	FinishSpi();
}

/*
 * SettleChanged tells what changed of an item.  True when its place did, of
 * which the plan tells once.
 */
static bool
SettleChanged(PlanRun *run, const Row *old_row, const Row *new_row)
{
	int i;

	for (i = 0; i < lengthof(plain_columns); i++)
	{
		ItemColumn column = plain_columns[i];
		const char *name = new_row->names[column];

		if (!RowsDiffer(old_row, new_row, column))
			continue;
		RecordItem(run, psprintf("item_%s", name), new_row,
				   ColumnText(old_row, column), ColumnText(new_row, column));
		PublishItemChange(&run->settlement, run->plan,
						  RowUuid(new_row, ITEM_ID), NULL, name, false);
	}
	if (RowsDiffer(old_row, new_row, ITEM_PROFESSIONAL_ID))
	{
		Payload payload;

		NoteDoctor(run->plan, RowUuid(old_row, ITEM_PROFESSIONAL_ID));
		NoteDoctor(run->plan, RowUuid(new_row, ITEM_PROFESSIONAL_ID));
		RecordItem(run, "item_professional", new_row,
				   ColumnText(old_row, ITEM_PROFESSIONAL_ID),
				   ColumnText(new_row, ITEM_PROFESSIONAL_ID));
		BeginPayload(&payload);
		PayloadColumn(&payload, "item_id", new_row, ITEM_ID);
		PayloadColumn(&payload, "old_professional_id", old_row,
					  ITEM_PROFESSIONAL_ID);
		PayloadColumn(&payload, "new_professional_id", new_row,
					  ITEM_PROFESSIONAL_ID);
		PublishEvent(&run->settlement, run->plan,
					 "treatment_plan.item_reassigned", &payload);
	}
	return RowsDiffer(old_row, new_row, ITEM_POSITION);
}

/*
 * PublishOrder tells of the new order of a plan's items.
 */
static void
PublishOrder(PlanRun *run)
{
	Datum arguments[2];
	Datum order;
	bool isnull;
	HistoryRow fact = { 0 };
	Payload payload;

	arguments[0] = UUIDPGetDatum(&run->plan->key.id);
	arguments[1] = UUIDPGetDatum(&run->plan->key.clinic_id);
	if (!QueryRow(&list_order, AS_OWNER, arguments, NULL, &order, &isnull) ||
		isnull)
		return;
	run->plan->next_position = 0;
	fact.what = "items_order";
	fact.to_value = JsonbToCString(NULL, &DatumGetJsonbP(order)->root, 0);
	RecordHistory(&run->settlement, run->plan, &fact);
	BeginPayload(&payload);
	PayloadJson(&payload, "item_ids", DatumGetJsonbP(order));
	PublishEvent(&run->settlement, run->plan, "treatment_plan.items_reordered",
				 &payload);
}

/*
 * NothingChanged tells whether an UPDATE left an item as it was.
 */
static bool
NothingChanged(const Row *old_row, const Row *new_row)
{
	int i;

	for (i = 0; i < lengthof(plain_columns); i++)
		if (RowsDiffer(old_row, new_row, plain_columns[i]))
			return false;
	return !RowsDiffer(old_row, new_row, ITEM_PROFESSIONAL_ID) &&
		   !RowsDiffer(old_row, new_row, ITEM_POSITION);
}

/*
 * WriteChildren writes the sessions that follow from one row of the statement.
 * That may fire triggers of others, so it is done before any fact is added.
 */
static void
WriteChildren(NewSessions *sessions, TimestampTz at, const Row *old_row,
			  const Row *new_row, TriggerEvent event)
{
	TreatmentPlan *plan;

	if (TRIGGER_FIRED_BY_UPDATE(event) &&
		RowsDiffer(old_row, new_row, ITEM_PRICE))
	{
		RequirePrice(new_row);
		SplitItemPrice(at, RowUuid(new_row, ITEM_ID),
					   RowUuid(new_row, ITEM_CLINIC_ID),
					   Cents(RowValue(new_row, ITEM_PRICE)), true);
	}
	if (!TRIGGER_FIRED_BY_INSERT(event))
		return;
	plan = LockPlan(RowUuid(new_row, ITEM_PLAN_ID),
					RowUuid(new_row, ITEM_CLINIC_ID));
	if (plan != NULL)
		MakeSessions(sessions, plan, new_row);
	if (sessions->count > 2000)
		InsertSessions(sessions);
}

/*
 * NoteQuoted keeps the plan of a row if its draft of a budget has to follow.  The
 * line of an item that changed follows at once.
 */
static void
NoteQuoted(List **quoted, MemoryContext context, TimestampTz at,
		   const Row *old_row, const Row *new_row, TriggerEvent event)
{
	const Row *row = TRIGGER_FIRED_BY_DELETE(event) ? old_row : new_row;
	TreatmentPlan *plan =
		LockPlan(RowUuid(row, ITEM_PLAN_ID), RowUuid(row, ITEM_CLINIC_ID));
	bool in_quote = !TRIGGER_FIRED_BY_UPDATE(event) ||
					RowsDiffer(old_row, new_row, ITEM_PRICE) ||
					RowsDiffer(old_row, new_row, ITEM_DESCRIPTION) ||
					RowsDiffer(old_row, new_row, ITEM_POSITION);
	MemoryContext old;

	if (plan == NULL || !in_quote)
		return;

	/* Sent by the same statement, after the row was checked */
	if (!TRIGGER_FIRED_BY_UPDATE(event) ||
		RowsDiffer(old_row, new_row, ITEM_PRICE) ||
		RowsDiffer(old_row, new_row, ITEM_POSITION))
		RequireUnlocked(plan, "its items do not change");
	if (!HasDraftBudget(plan))
		return;
	if (TRIGGER_FIRED_BY_UPDATE(event))
	{
		RequireStillDraft(plan);
		if (RowsDiffer(old_row, new_row, ITEM_PRICE) ||
			RowsDiffer(old_row, new_row, ITEM_DESCRIPTION))
			RequoteItem(plan, RowUuid(new_row, ITEM_ID), at);
		if (!RowsDiffer(old_row, new_row, ITEM_POSITION))
			return;
	}
	old = MemoryContextSwitchTo(context);
	*quoted = list_append_unique_ptr(*quoted, plan);
	MemoryContextSwitchTo(old);
}

/*
 * FollowInQuotes makes the drafts of the plans follow that gained or lost items,
 * or whose items have another order.
 */
static void
FollowInQuotes(List *quoted, TimestampTz at)
{
	ListCell *cell;

	foreach(cell, quoted)
	{
		TreatmentPlan *plan = (TreatmentPlan *) lfirst(cell);

		RefreshPlan(plan);
		RequireUnlocked(plan, "its items do not change");
		if (!HasDraftBudget(plan))
			continue;
		RequireStillDraft(plan);
		QuoteItems(plan, at);
	}
}

/*
 * SettleItem adds the facts of one row of the statement.
 */
static void
SettleItem(PlanRun *run, List **reordered, const Row *old_row,
		   const Row *new_row, TriggerEvent event)
{
	const Row *row = TRIGGER_FIRED_BY_DELETE(event) ? old_row : new_row;
	TreatmentPlan *plan;

	if (TRIGGER_FIRED_BY_UPDATE(event) && NothingChanged(old_row, new_row))
		return;
	plan = LockPlan(RowUuid(row, ITEM_PLAN_ID), RowUuid(row, ITEM_CLINIC_ID));
	if (plan == NULL)
		return;
	EnterPlanOfRun(run, plan);
	if (TRIGGER_FIRED_BY_INSERT(event))
		SettleAdded(run, row);
	else if (TRIGGER_FIRED_BY_DELETE(event))
		SettleRemoved(run, row);
	else if (SettleChanged(run, old_row, new_row))
	{
		MemoryContext old = MemoryContextSwitchTo(run->context);

		*reordered = list_append_unique_ptr(*reordered, plan);
		MemoryContextSwitchTo(old);
	}
}

/*
 * txplan_items_settle is the trigger after each statement on items.
 */
Datum
txplan_items_settle(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = OurTrigger(fcinfo, "items_settle");
	MemoryContext each;
	MemoryContext old;
	NewSessions sessions = { 0 };
	PlanRun run;
	ChangedRows changes;
	Row old_row = { 0 };
	Row new_row = { 0 };
	List *reordered = NIL;
	List *quoted = NIL;
	ListCell *cell;

	if (WrittenByEngine(TABLE_ITEMS))
		return PointerGetDatum(NULL);
	each = AllocSetContextCreate(CurrentMemoryContext, "txplan item settled",
								 ALLOCSET_DEFAULT_SIZES);
	sessions.context =
		AllocSetContextCreate(CurrentMemoryContext, "txplan new sessions",
							  ALLOCSET_DEFAULT_SIZES);
	BeginRun(&run, TRIGGER_FIRED_BY_INSERT(trigger->tg_event));
	OpenChanges(&changes, trigger, TABLE_ITEMS);
	while (NextChange(&changes, &old_row, &new_row))
	{
		old = MemoryContextSwitchTo(each);
		if (!TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
			WriteChildren(&sessions, run.settlement.at, &old_row, &new_row,
						  trigger->tg_event);
		NoteQuoted(&quoted, run.context, run.settlement.at, &old_row, &new_row,
				   trigger->tg_event);
		MemoryContextSwitchTo(old);
		MemoryContextReset(each);
	}
	CloseChanges(&changes);
	InsertSessions(&sessions);
	ForgetCatalog();
	FollowInQuotes(quoted, run.settlement.at);

	OpenChanges(&changes, trigger, TABLE_ITEMS);
	while (NextChange(&changes, &old_row, &new_row))
	{
		old = MemoryContextSwitchTo(each);
		SettleItem(&run, &reordered, &old_row, &new_row, trigger->tg_event);
		MemoryContextSwitchTo(old);
		MemoryContextReset(each);
	}
	CloseChanges(&changes);
	foreach(cell, reordered)
	{
		EnterPlanOfRun(&run, (TreatmentPlan *) lfirst(cell));
		PublishOrder(&run);
	}
	EndRun(&run);
	MemoryContextDelete(each);
	MemoryContextDelete(sessions.context);
	return PointerGetDatum(NULL);
}
