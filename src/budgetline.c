/*
 * budgetline.c
 *		The lines of budgets as clients write them.
 *
 * Lines change while their budget is a draft.  Each change first locks the plan,
 * then the budget; after the statement each budget is added up once.
 */
#include "budget.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "allocation.h"
#include "error.h"
#include "livebudget.h"
#include "quote.h"
#include "rowcheck.h"
#include "spi.h"

SAVED_QUERY(find_item,
			"SELECT i.plan_id, i.status, i.description, i.price "
			"FROM txplan.items AS i "
			"WHERE i.id" EQ "$1 AND i.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_any_item, "SELECT 1 FROM txplan.items AS i WHERE i.id" EQ "$1",
			UUIDOID);

SAVED_QUERY(find_place,
			"SELECT coalesce(pg_catalog.max(l.position), 0)" PLUS "1 "
			"FROM txplan.budget_lines AS l "
			"WHERE l.budget_id" EQ "$1 AND l.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

static const LineColumn fixed_columns[] = { LINE_ID, LINE_CLINIC_ID,
											LINE_BUDGET_ID };

/* As constraint budget_lines_position_in_range says */
#define PLACE_MAX 1000000

#define ENGINE_HINT                                                 \
	"Change price, quantity and discounts of the line: the engine " \
	"then adds the budget up."

PG_FUNCTION_INFO_V1(txplan_budget_lines_check);
PG_FUNCTION_INFO_V1(txplan_budget_lines_settle);

/*
 * LockBudgetOf locks the budget of a line, its plan first; false when the budget is
 * gone, with its lines.
 */
static bool
LockBudgetOf(const Row *row, FoundBudget *budget)
{
	if (!FindBudget(RowUuid(row, LINE_BUDGET_ID), RowUuid(row, LINE_CLINIC_ID),
					budget))
		return false;
	LockBudget(budget);
	return true;
}

/*
 * LockDraft does so, and raises unless it is a draft.
 */
static bool
LockDraft(const Row *row, const char *what, FoundBudget *budget)
{
	if (!LockBudgetOf(row, budget))
		return false;
	if (strcmp(budget->status, "draft") != 0)
		RaiseNotDraft(budget, what);
	return true;
}

/*
 * CheckItem checks that a line's item is a pending one of the budget's plan, and
 * takes name and price from it where the line has none.
 */
static void
CheckItem(Row *row, const FoundBudget *budget)
{
	const pg_uuid_t *item_id = RowUuid(row, LINE_ITEM_ID);
	Datum arguments[2];
	Datum values[4];
	bool nulls[4];

	arguments[0] = UUIDPGetDatum(item_id);
	arguments[1] = UUIDPGetDatum(&budget->clinic_id);
	if (!QueryRow(&find_item, AS_OWNER, arguments, NULL, values, nulls))
	{
		if (QueryRow(&find_any_item, AS_OWNER, arguments, NULL, values, nulls))
			RaiseWrongClinic("item", item_id);
		RaiseMissing("item", item_id);
	}
	if (!budget->linked ||
		memcmp(DatumGetUUIDP(values[0]), &budget->plan_id, UUID_LEN) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_TX_WRONG_CLINIC),
				 errmsg("item \"%s\" is none of the plan of budget %s v%d",
						UuidText(item_id), budget->number, budget->version),
				 errdetail("A line quotes an item of the budget's own plan."),
				 errhint("Link the budget to the plan first, or leave item_id "
						 "out.")));
	if (strcmp(TextDatumGetCString(values[1]), "pending") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_TX_ALREADY_FINAL),
				 errmsg("item \"%s\" is %s and is not quoted",
						UuidText(item_id), TextDatumGetCString(values[1])),
				 errdetail("A draft quotes what is still to be done."),
				 errhint("Quote a pending item.")));
	if (RowIsNull(row, LINE_DESCRIPTION))
		SetRow(row, LINE_DESCRIPTION, values[2]);
	if (RowIsNull(row, LINE_UNIT_PRICE))
		SetRow(row, LINE_UNIT_PRICE, values[3]);
}

/*
 * CheckDiscount says in plain words what the constraint on discounts refuses.
 */
static void
CheckDiscount(const Row *row)
{
	if (RowIsNull(row, LINE_DISCOUNT_AMOUNT) ||
		RowIsNull(row, LINE_UNIT_PRICE) || RowIsNull(row, LINE_QUANTITY))
		return;
	CheckAmount(RowValue(row, LINE_UNIT_PRICE), "unit_price");
	CheckAmount(RowValue(row, LINE_DISCOUNT_AMOUNT), "discount_amount");
	if (Cents(RowValue(row, LINE_DISCOUNT_AMOUNT)) >
		Cents(RowValue(row, LINE_UNIT_PRICE)) *
			DatumGetInt32(RowValue(row, LINE_QUANTITY)))
		ereport(ERROR,
				(errcode(ERRCODE_TX_AMOUNTS_DO_NOT_ADD_UP),
				 errmsg("the discount of a line is more than the line"),
				 errdetail("An amount is never more than what it reduces."),
				 errhint("Lower discount_amount.")));
}

/*
 * LastPlace gives the place behind the last line of a budget.  Where lines stand so
 * far apart that there is none, they close up first.
 */
static int
LastPlace(const FoundBudget *budget)
{
	Datum arguments[2];
	Datum place;
	bool isnull;

	arguments[0] = UUIDPGetDatum(&budget->id);
	arguments[1] = UUIDPGetDatum(&budget->clinic_id);
	(void) QueryRow(&find_place, AS_OWNER, arguments, NULL, &place, &isnull);
	if (DatumGetInt32(place) > PLACE_MAX)
	{
		OrderLines(&budget->id, &budget->clinic_id, GetCurrentTimestamp());
		(void) QueryRow(&find_place, AS_OWNER, arguments, NULL, &place,
						&isnull);
	}
	return DatumGetInt32(place);
}

/*
 * FillSame gives a line that is there something where it has nothing: it will not
 * be inserted, but no column of it may be NULL.
 */
static void
FillSame(Row *row)
{
	if (RowIsNull(row, LINE_POSITION))
		SetRow(row, LINE_POSITION, Int32GetDatum(1));
	if (RowIsNull(row, LINE_DESCRIPTION))
		SetRowText(row, LINE_DESCRIPTION, "-");
	if (RowIsNull(row, LINE_UNIT_PRICE))
		SetRow(row, LINE_UNIT_PRICE, CentsToAmount(0));
}

/*
 * CheckInsert fills in and checks a new line.
 */
static void
CheckInsert(Row *row)
{
	const pg_uuid_t *budget_id = RowUuid(row, LINE_BUDGET_ID);
	FoundBudget budget;

	if (!RowIsNull(row, LINE_NET_AMOUNT) &&
		Cents(RowValue(row, LINE_NET_AMOUNT)) != 0)
		RaiseEngineOwned("budget_lines", "net_amount", ENGINE_HINT);
	if (budget_id == NULL || RowIsNull(row, LINE_CLINIC_ID))
		return;
	if (!LockBudgetOf(row, &budget))
	{
		if (FindBudget(budget_id, NULL, &budget))
			RaiseWrongClinic("budget", budget_id);
		RaiseMissing("budget", budget_id);
	}
	if (IsThere(row, TABLE_BUDGET_LINES))
	{
		FillSame(row);
		return;
	}
	if (strcmp(budget.status, "draft") != 0)
		RaiseNotDraft(&budget, "it takes no lines");
	if (!RowIsNull(row, LINE_ITEM_ID))
		CheckItem(row, &budget);
	CheckDiscount(row);
	if (RowIsNull(row, LINE_POSITION))
		SetRow(row, LINE_POSITION, Int32GetDatum(LastPlace(&budget)));
	if (!RowIsNull(row, LINE_ITEM_REMOVED) &&
		DatumGetBool(RowValue(row, LINE_ITEM_REMOVED)))
		RaiseEngineOwned("budget_lines", "item_removed", ENGINE_HINT);
	SetRow(row, LINE_NET_AMOUNT, CentsToAmount(0));
	SetRow(row, LINE_UPDATED_AT, TimestampTzGetDatum(GetCurrentTimestamp()));
}

/*
 * LosesItem tells whether an UPDATE is the foreign key's own: the item is gone,
 * and the line stays without it.
 */
static bool
LosesItem(const Row *old_row, const Row *row)
{
	Datum arguments[2];
	Datum values[4];
	bool nulls[4];

	if (RowIsNull(old_row, LINE_ITEM_ID) || !RowIsNull(row, LINE_ITEM_ID) ||
		!RowsEqual(old_row, row, LINE_ITEM_ID))
		return false;
	arguments[0] = RowValue(old_row, LINE_ITEM_ID);
	arguments[1] = RowValue(old_row, LINE_CLINIC_ID);
	return !QueryRow(&find_item, AS_OWNER, arguments, NULL, values, nulls);
}

/*
 * FitNet keeps the net amount within what the line now costs, until the budget is
 * added up again when the statement is done.
 */
static void
FitNet(Row *row)
{
	int64 whole;

	if (RowIsNull(row, LINE_UNIT_PRICE) || RowIsNull(row, LINE_QUANTITY))
		return;
	whole = Cents(RowValue(row, LINE_UNIT_PRICE)) *
			DatumGetInt32(RowValue(row, LINE_QUANTITY));
	if (whole >= 0 && Cents(RowValue(row, LINE_NET_AMOUNT)) > whole)
		SetRow(row, LINE_NET_AMOUNT, CentsToAmount(whole));
}

/*
 * CheckUpdate checks a client's change of a line.
 */
static void
CheckUpdate(Row *row, const Row *old_row)
{
	FoundBudget budget;
	int i;

	for (i = 0; i < lengthof(fixed_columns); i++)
		if (RowsDiffer(old_row, row, fixed_columns[i]))
			RaiseNeverChanges("budget_lines", row->names[fixed_columns[i]]);
	if (RowsDiffer(old_row, row, LINE_NET_AMOUNT))
		RaiseEngineOwned("budget_lines", "net_amount", ENGINE_HINT);
	if (RowsDiffer(old_row, row, LINE_ITEM_REMOVED))
		RaiseEngineOwned("budget_lines", "item_removed", ENGINE_HINT);
	if (RowsDiffer(old_row, row, LINE_CREATED_AT))
		RaiseEngineOwned("budget_lines", "created_at", ENGINE_HINT);
	if (RowsEqual(old_row, row, LINE_UPDATED_AT))
	{
		SetRow(row, LINE_UPDATED_AT, RowValue(old_row, LINE_UPDATED_AT));
		return;
	}
	if (LosesItem(old_row, row))
	{
		SetRow(row, LINE_ITEM_REMOVED, BoolGetDatum(true));
		return;
	}
	if (!LockDraft(row, "its lines do not change", &budget))
		RaiseMissing("budget", RowUuid(row, LINE_BUDGET_ID));
	if (RowsDiffer(old_row, row, LINE_ITEM_ID) && !RowIsNull(row, LINE_ITEM_ID))
		CheckItem(row, &budget);
	CheckDiscount(row);
	FitNet(row);
	SetRow(row, LINE_UPDATED_AT, TimestampTzGetDatum(GetCurrentTimestamp()));
}

/*
 * CheckDelete lets the lines of a draft go.
 */
static void
CheckDelete(const Row *row)
{
	FoundBudget budget;

	(void) LockDraft(row, "its lines stay", &budget);
}

/*
 * txplan_budget_lines_check is the trigger before each row of budget_lines.
 */
Datum
txplan_budget_lines_check(PG_FUNCTION_ARGS)
{
	static const RowChecks checks = { "budget_lines_check", TABLE_BUDGET_LINES,
									  CheckInsert, CheckUpdate, CheckDelete };

	return CheckRow(fcinfo, &checks);
}

/*
 * NoteBudget keeps the budget of a line that changed, once.
 */
static List *
NoteBudget(List *budgets, const Row *row)
{
	const pg_uuid_t *budget_id = RowUuid(row, LINE_BUDGET_ID);
	const pg_uuid_t *clinic_id = RowUuid(row, LINE_CLINIC_ID);
	FoundBudget *budget;
	ListCell *cell;

	foreach(cell, budgets)
	{
		budget = (FoundBudget *) lfirst(cell);
		if (memcmp(&budget->id, budget_id, UUID_LEN) == 0 &&
			memcmp(&budget->clinic_id, clinic_id, UUID_LEN) == 0)
			return budgets;
	}
	budget = (FoundBudget *) palloc(sizeof(FoundBudget));
	if (!FindBudget(budget_id, clinic_id, budget))
		return budgets;

	/* It was sent or decided in the same statement. */
	if (strcmp(budget->status, "draft") != 0)
		RaiseNotDraft(budget, "its lines do not change");
	return lappend(budgets, budget);
}

/*
 * txplan_budget_lines_settle is the trigger after each statement on budget_lines:
 * it adds up the budgets whose lines changed, and tells of them.
 */
Datum
txplan_budget_lines_settle(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = OurTrigger(fcinfo, "budget_lines_settle");
	List *budgets = NIL;
	ListCell *cell;
	PlanRun run;
	ChangedRows changes;
	Row old_row = { 0 };
	Row new_row = { 0 };

	if (WrittenByEngine(TABLE_BUDGET_LINES))
		return PointerGetDatum(NULL);
	OpenChanges(&changes, trigger, TABLE_BUDGET_LINES);
	while (NextChange(&changes, &old_row, &new_row))
	{
		if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) &&
			!RowsDiffer(&old_row, &new_row, LINE_UPDATED_AT))
			continue;
		budgets =
			NoteBudget(budgets, TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ?
									&old_row :
									&new_row);
	}
	CloseChanges(&changes);
	if (budgets == NIL)
		return PointerGetDatum(NULL);

	BeginRun(&run, false);
	foreach(cell, budgets)
	{
		FoundBudget *budget = (FoundBudget *) lfirst(cell);

		ReckonBudget(&budget->id, &budget->clinic_id, run.settlement.at);
	}
	foreach(cell, budgets)
	{
		FoundBudget *budget = (FoundBudget *) lfirst(cell);
		TreatmentPlan *plan = LockPlanOf(budget);

		if (plan == NULL)
			continue;
		EnterPlanOfRun(&run, plan);
		TellBudgetChange(&run, &budget->id, "budget_lines");
	}
	EndRun(&run);
	return PointerGetDatum(NULL);
}
