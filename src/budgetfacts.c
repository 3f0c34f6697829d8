/*
 * budgetfacts.c
 *		What follows from a statement on budgets: lines, prices, events, the plan.
 *
 * All that is written below the plans comes first, since it may fire triggers of
 * others; then the facts are told, plan by plan; then the plans follow.
 */
#include "budget.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "allocation.h"
#include "error.h"
#include "item.h"
#include "livebudget.h"
#include "number.h"
#include "transition.h"

/* An item that an acceptance gave another price */
typedef struct Repriced
{
	pg_uuid_t item_id;
	int64 before; /* in cents */
	int64 after;
} Repriced;

/* What happened to one budget of the statement */
typedef struct BudgetChange
{
	pg_uuid_t budget_id;
	pg_uuid_t clinic_id;
	bool linked;
	pg_uuid_t plan_id;
	bool came;			 /* it was made, or linked to the plan */
	char *status;		 /* after the statement */
	char *status_before; /* NULL when it did not change */
	char *note;
	bool terms_changed;
	bool follows; /* a version before it */
	pg_uuid_t predecessor;
	bool superseded; /* that one was sent, and is cancelled by its coming */
	List *repriced;	 /* of Repriced * */
} BudgetChange;

SAVED_QUERY(copy_lines,
			"INSERT INTO txplan.budget_lines (clinic_id, budget_id, item_id, "
			"position, description, unit_price, quantity, discount_percent, "
			"discount_amount) "
			"SELECT l.clinic_id, $1, l.item_id, coalesce((SELECT "
			"pg_catalog.max(b.position) FROM txplan.budget_lines AS b "
			"WHERE b.budget_id" EQ "$1 AND b.clinic_id" EQ "$3), 0)" PLUS
			"pg_catalog.row_number() OVER (ORDER BY l.position), l.description, "
			"l.unit_price, l.quantity, l.discount_percent, l.discount_amount "
			"FROM txplan.budget_lines AS l "
			"WHERE l.budget_id" EQ "$2 AND l.clinic_id" EQ "$3 "
			"AND NOT l.item_removed",
			UUIDOID, UUIDOID, UUIDOID);

SAVED_QUERY(take_plan_over,
			"UPDATE txplan.budgets SET plan_id = $3 "
			"WHERE id" EQ "$1 AND clinic_id" EQ "$2",
			UUIDOID, UUIDOID, UUIDOID);

SAVED_QUERY(read_quoted,
			"SELECT i.id, l.net_amount, i.price, i.status" EQ "'pending', "
			"i.description, (SELECT coalesce(pg_catalog.sum(e.amount), 0) "
			"FROM txplan.earned_entries AS e WHERE e.item_id" EQ "i.id "
			"AND e.clinic_id" EQ "i.clinic_id) "
			"FROM txplan.budget_lines AS l "
			"JOIN txplan.items AS i ON i.id" EQ "l.item_id "
			"AND i.clinic_id" EQ "l.clinic_id "
			"WHERE l.budget_id" EQ "$1 AND l.clinic_id" EQ "$2 "
			"ORDER BY i.position",
			UUIDOID, UUIDOID);

SAVED_QUERY(write_price,
			"UPDATE txplan.items SET price = $3, updated_at = $4 "
			"WHERE id" EQ "$1 AND clinic_id" EQ "$2",
			UUIDOID, UUIDOID, NUMERICOID, TIMESTAMPTZOID);

PG_FUNCTION_INFO_V1(txplan_budgets_settle);

/*
 * ReadChange reads from a row what happened to a budget; false when nothing did
 * that anybody is told of.
 */
static bool
ReadChange(BudgetChange *change, TriggerEvent event, const Row *old_row,
		   const Row *row)
{
	bool is_new = TRIGGER_FIRED_BY_INSERT(event);

	memset(change, 0, sizeof(BudgetChange));
	change->budget_id = *RowUuid(row, BUDGET_ID);
	change->clinic_id = *RowUuid(row, BUDGET_CLINIC_ID);
	change->linked = !RowIsNull(row, BUDGET_PLAN_ID);
	if (change->linked)
		change->plan_id = *RowUuid(row, BUDGET_PLAN_ID);
	change->status = RowText(row, BUDGET_STATUS);
	change->note = RowText(row, BUDGET_DECISION_NOTE);
	if (is_new)
	{
		change->came = true;
		change->follows = !RowIsNull(row, BUDGET_SUPERSEDES_ID);
		if (change->follows)
			change->predecessor = *RowUuid(row, BUDGET_SUPERSEDES_ID);
		return true;
	}
	change->came = RowsDiffer(old_row, row, BUDGET_PLAN_ID);
	if (RowsDiffer(old_row, row, BUDGET_STATUS))
		change->status_before = RowText(old_row, BUDGET_STATUS);
	change->terms_changed = RowsDiffer(old_row, row, BUDGET_DISCOUNT_PERCENT) ||
							RowsDiffer(old_row, row, BUDGET_DISCOUNT_AMOUNT) ||
							RowsDiffer(old_row, row, BUDGET_VALID_UNTIL) ||
							RowsDiffer(old_row, row, BUDGET_EXTERNAL_REF);
	return change->came || change->status_before != NULL ||
		   change->terms_changed;
}

/*
 * RequireAsWritten raises 27000 when a budget is no longer as the statement made
 * it: a function that the same statement called, or a trigger of somebody's, moved
 * it on before this move was settled.
 */
static void
RequireAsWritten(const BudgetChange *change)
{
	FoundBudget budget;

	if (!FindBudget(&change->budget_id, &change->clinic_id, &budget))
		RaiseMissing("budget", &change->budget_id);
	if (strcmp(budget.status, change->status) == 0 &&
		budget.linked == change->linked &&
		(!budget.linked ||
		 memcmp(&budget.plan_id, &change->plan_id, UUID_LEN) == 0))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("budget %s v%d was moved on before its change was settled",
					budget.number, budget.version),
			 errdetail("The statement left it %s, and it is %s now: a function "
					   "that the statement calls did that, or a trigger.",
					   change->status, budget.status),
			 errhint("Do one after the other, in statements of their own.")));
}

/*
 * Supersede cancels the budget that a new version follows, where it was sent, and
 * hands its plan on.  It was locked when the new one was checked.
 */
static void
Supersede(BudgetChange *change, const Settlement *settlement)
{
	FoundBudget before;
	Datum arguments[3];

	if (!FindBudget(&change->predecessor, &change->clinic_id, &before))
		RaiseMissing("budget", &change->predecessor);
	if ((strcmp(before.status, "rejected") == 0 ||
		 strcmp(before.status, "expired") == 0) &&
		change->linked == before.linked)
		return;

	/* It was decided in the same statement. */
	if (strcmp(before.status, "sent") != 0)
		RaiseAlready(&before);
	WriteCancelled(&change->predecessor, &change->clinic_id, settlement);
	change->superseded = true;
	if (!before.linked)
		return;
	change->linked = true;
	change->plan_id = before.plan_id;
	arguments[0] = UUIDPGetDatum(&change->budget_id);
	arguments[1] = UUIDPGetDatum(&change->clinic_id);
	arguments[2] = UUIDPGetDatum(&before.plan_id);
	EngineWriteRows(&take_plan_over, TABLE_BUDGETS, arguments, NULL, 1);
}

/*
 * FillNew gives a new budget its lines: those of the version before it, or those
 * of the plan's items where it was generated.
 */
static void
FillNew(const BudgetChange *change, const TreatmentPlan *plan, TimestampTz at)
{
	Datum arguments[3];

	if (change->follows)
	{
		arguments[0] = UUIDPGetDatum(&change->budget_id);
		arguments[1] = UUIDPGetDatum(&change->predecessor);
		arguments[2] = UUIDPGetDatum(&change->clinic_id);
		(void) EngineWrite(&copy_lines, TABLE_BUDGET_LINES, arguments, NULL);
		if (plan == NULL)
			ReckonBudget(&change->budget_id, &change->clinic_id, at);
	}
	if (plan != NULL && (change->follows || IsFilling()))
		SyncQuote(plan, &change->budget_id, at);
}

/*
 * RaiseBelowEarned refuses an acceptance that would leave an item cheaper than
 * what it has earned.
 */
static void
RaiseBelowEarned(const pg_uuid_t *budget_id, const char *description)
{
	ereport(ERROR,
			(errcode(ERRCODE_TX_AMOUNTS_DO_NOT_ADD_UP),
			 errmsg("budget \"%s\" quotes an item below what it has earned",
					UuidText(budget_id)),
			 errdetail("The item is \"%.100s\".", description),
			 errhint("Raise its line, or void earned entries with "
					 "txplan.void_earned() first.")));
}

/*
 * Reprice gives the items of an accepted budget their lines' net amounts as
 * prices.  What was earned stays, and what is left is split over the pending
 * sessions; items that have ended stay as they are.
 */
static List *
Reprice(const BudgetChange *change, TimestampTz at)
{
	List *repriced = NIL;
	MemoryContext context = CurrentMemoryContext;
	Datum arguments[4];
	uint64 rows;
	uint64 i;
	List *wanted = NIL;
	ListCell *cell;

	arguments[0] = UUIDPGetDatum(&change->budget_id);
	arguments[1] = UUIDPGetDatum(&change->clinic_id);
	ConnectSpi();
	rows = RunQuery(&read_quoted, AS_OWNER, arguments, NULL);
	for (i = 0; i < rows; i++)
	{
		Datum values[6];
		bool nulls[6];
		Repriced *item;
		MemoryContext old;

		FetchRow(i, values, nulls);
		if (DatumGetBool(DirectFunctionCall2(numeric_lt, values[1], values[5])))
			RaiseBelowEarned(&change->budget_id,
							 TextDatumGetCString(values[4]));
		if (!DatumGetBool(values[3]) || Cents(values[1]) == Cents(values[2]))
			continue;
		old = MemoryContextSwitchTo(context);
		item = (Repriced *) palloc(sizeof(Repriced));
		item->item_id = *DatumGetUUIDP(values[0]);
		item->before = Cents(values[2]);
		item->after = Cents(values[1]);
		wanted = lappend(wanted, item);
		MemoryContextSwitchTo(old);
	}
	FinishSpi();

	foreach(cell, wanted)
	{
		Repriced *item = (Repriced *) lfirst(cell);

		SplitItemPrice(at, &item->item_id, &change->clinic_id, item->after,
					   false);
		arguments[0] = UUIDPGetDatum(&item->item_id);
		arguments[1] = UUIDPGetDatum(&change->clinic_id);
		arguments[2] = CentsToAmount(item->after);
		arguments[3] = TimestampTzGetDatum(at);
		EngineWriteRows(&write_price, TABLE_ITEMS, arguments, NULL, 1);
		repriced = lappend(repriced, item);
	}
	return repriced;
}

/*
 * WriteBelow writes all that follows below the plan from what happened to a
 * budget.
 */
static void
WriteBelow(BudgetChange *change, bool is_new, const Settlement *settlement)
{
	TimestampTz at = settlement->at;
	TreatmentPlan *plan;

	/* Of one that no plan has, nothing else follows. */
	if (change->linked || change->follows)
		RequireAsWritten(change);
	if (change->follows)
		Supersede(change, settlement);
	plan =
		change->linked ? LockPlan(&change->plan_id, &change->clinic_id) : NULL;
	if (is_new)
		FillNew(change, plan, at);
	if (change->terms_changed)
		ReckonBudget(&change->budget_id, &change->clinic_id, at);
	if (strcmp(change->status, "accepted") == 0 && plan != NULL &&
		(change->status_before != NULL || change->came))
		change->repriced = Reprice(change, at);
}

/*
 * TellRepriced tells of the items whose price an acceptance changed.
 */
static void
TellRepriced(PlanRun *run, const BudgetChange *change)
{
	ListCell *cell;

	foreach(cell, change->repriced)
	{
		const Repriced *item = (const Repriced *) lfirst(cell);
		HistoryRow row = { 0 };

		row.what = "item_price";
		row.item_id = &item->item_id;
		row.from_value =
			DatumGetCString(DirectFunctionCall1(numeric_out,
												CentsToAmount(item->before)));
		row.to_value =
			DatumGetCString(DirectFunctionCall1(numeric_out,
												CentsToAmount(item->after)));
		row.action = "accept";
		RecordHistory(&run->settlement, run->plan, &row);
		PublishItemChange(&run->settlement, run->plan, &item->item_id, NULL,
						  "price", false);
	}
}

/*
 * TellDecision tells of a change of status.
 */
static void
TellDecision(PlanRun *run, const BudgetChange *change)
{
	static const struct
	{
		const char *status;
		const char *event;
		const char *action;
	} decisions[] = {
		{ "sent", "budget.sent", "send" },
		{ "accepted", "budget.accepted", "accept" },
		{ "rejected", "budget.rejected", "reject" },
		{ "cancelled", "budget.cancelled", "cancel" },
	};
	BudgetFact fact = { 0 };
	int i;

	fact.budget_id = change->budget_id;
	fact.from = change->status_before;
	fact.note = change->note;
	for (i = 0; i < lengthof(decisions); i++)
		if (strcmp(decisions[i].status, change->status) == 0)
		{
			fact.event = decisions[i].event;
			fact.action = decisions[i].action;
		}
	TellBudget(run, &fact);
	TellRepriced(run, change);
}

/*
 * TellChange tells what happened to a budget of a plan.
 */
static void
TellChange(PlanRun *run, const BudgetChange *change)
{
	TreatmentPlan *plan;

	if (!change->linked)
		return;
	plan = LockPlan(&change->plan_id, &change->clinic_id);
	if (plan == NULL)
		return;
	RequireAsWritten(change);
	if (change->came || change->status_before != NULL)
		PointPlan(plan, &change->budget_id, change->status);
	EnterPlanOfRun(run, plan);
	if (change->superseded)
	{
		BudgetFact fact = { .event = "budget.superseded", .from = "sent" };

		fact.budget_id = change->predecessor;
		fact.action = "resend";
		fact.successor = &change->budget_id;
		TellBudget(run, &fact);
	}
	if (change->came)
	{
		BudgetFact fact = { .event = "budget.created" };

		fact.budget_id = change->budget_id;
		TellBudget(run, &fact);
	}
	if (change->status_before != NULL)
		TellDecision(run, change);
	else if (change->terms_changed && !change->came)
		TellBudgetChange(run, &change->budget_id, "budget");
}

/*
 * LetPlanFollow does to the plan what a decision against its budget means: what
 * waited for it is closed when it was rejected, and goes back when it was
 * cancelled.
 */
static void
LetPlanFollow(const BudgetChange *change)
{
	TreatmentPlan *plan;

	if (!change->linked || change->status_before == NULL)
		return;
	plan = LockPlan(&change->plan_id, &change->clinic_id);
	if (plan == NULL)
		return;
	RefreshPlan(plan);
	if (!WaitsForBudget(plan))
		return;
	if (strcmp(change->status, "rejected") == 0)
		(void) FollowAction(plan, "close", "rejected", change->note);
	else if (strcmp(change->status, "cancelled") == 0)
		(void) FollowAction(plan, "reopen", NULL, NULL);
}

/*
 * txplan_budgets_settle is the trigger after each statement on budgets.
 */
Datum
txplan_budgets_settle(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = OurTrigger(fcinfo, "budgets_settle");
	bool is_new = TRIGGER_FIRED_BY_INSERT(trigger->tg_event);
	List *happened = NIL;
	ListCell *cell;
	PlanRun run;
	ChangedRows changes;
	Row old_row = { 0 };
	Row new_row = { 0 };

	if (WrittenByEngine(TABLE_BUDGETS))
		return PointerGetDatum(NULL);
	if (is_new)
		WriteNumbers();
	OpenChanges(&changes, trigger, TABLE_BUDGETS);
	while (NextChange(&changes, &old_row, &new_row))
	{
		BudgetChange change;

		if (ReadChange(&change, trigger->tg_event, &old_row, &new_row))
		{
			BudgetChange *kept = (BudgetChange *) palloc(sizeof(BudgetChange));

			*kept = change;
			happened = lappend(happened, kept);
		}
	}
	CloseChanges(&changes);
	if (happened == NIL)
		return PointerGetDatum(NULL);

	BeginRun(&run, false);
	foreach(cell, happened)
		WriteBelow((BudgetChange *) lfirst(cell), is_new, &run.settlement);
	foreach(cell, happened)
		TellChange(&run, (const BudgetChange *) lfirst(cell));
	EndRun(&run);
	foreach(cell, happened)
		LetPlanFollow((const BudgetChange *) lfirst(cell));
	return PointerGetDatum(NULL);
}
