/*
 * quote.c
 *		The lines of a budget: how they follow the plan, and what they add up to.
 *
 * While a plan's budget is a draft, each change of the plan's items is one of its
 * lines in the same transaction.  Whoever calls has locked the plan, and so the
 * budget cannot be sent or decided meanwhile.
 */
#include "quote.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "allocation.h"
#include "budget.h"
#include "error.h"
#include "spi.h"

#define PERCENT_WHOLE 10000 /* a hundred percent, in hundredths of one */

SAVED_QUERY(read_discount,
			"SELECT b.discount_percent, b.discount_amount, b.subtotal, b.total "
			"FROM txplan.budgets AS b "
			"WHERE b.id" EQ "$1 AND b.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(read_lines,
			"SELECT l.id, l.unit_price, l.quantity, l.discount_percent, "
			"l.discount_amount, l.net_amount "
			"FROM txplan.budget_lines AS l "
			"WHERE l.budget_id" EQ "$1 AND l.clinic_id" EQ "$2 "
			"ORDER BY l.position",
			UUIDOID, UUIDOID);

SAVED_QUERY(write_nets,
			"UPDATE txplan.budget_lines AS l SET net_amount = n.net_amount, "
			"updated_at = $4 "
			"FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) "
			"AS n (id, net_amount) "
			"WHERE l.id" EQ "n.id AND l.clinic_id" EQ "$1",
			UUIDOID, UUIDARRAYOID, NUMERICARRAYOID, TIMESTAMPTZOID);

SAVED_QUERY(write_totals,
			"UPDATE txplan.budgets SET subtotal = $3, total = $4, updated_at = $5 "
			"WHERE id" EQ "$1 AND clinic_id" EQ "$2",
			UUIDOID, UUIDOID, NUMERICOID, NUMERICOID, TIMESTAMPTZOID);

SAVED_QUERY(add_lines,
			"INSERT INTO txplan.budget_lines (clinic_id, budget_id, item_id, "
			"position, description, unit_price) "
			"SELECT i.clinic_id, $3, i.id, coalesce((SELECT "
			"pg_catalog.max(b.position) FROM txplan.budget_lines AS b "
			"WHERE b.budget_id" EQ "$3 AND b.clinic_id" EQ "$2), 0)" PLUS
			"pg_catalog.row_number() OVER (ORDER BY i.position), "
			"i.description, i.price "
			"FROM txplan.items AS i "
			"WHERE i.plan_id" EQ "$1 AND i.clinic_id" EQ "$2 "
			"AND i.status" EQ "'pending' AND NOT EXISTS "
			"(SELECT 1 FROM txplan.budget_lines AS l WHERE l.budget_id" EQ "$3 "
			"AND l.item_id" EQ "i.id AND l.clinic_id" EQ "$2 OFFSET 0)",
			UUIDOID, UUIDOID, UUIDOID);

SAVED_QUERY(drop_line,
			"DELETE FROM txplan.budget_lines AS l "
			"WHERE l.budget_id" EQ "$1 AND l.item_id" EQ "$2 "
			"AND l.clinic_id" EQ "$3",
			UUIDOID, UUIDOID, UUIDOID);

SAVED_QUERY(drop_removed,
			"DELETE FROM txplan.budget_lines AS l "
			"WHERE l.budget_id" EQ "$1 AND l.clinic_id" EQ "$2 "
			"AND l.item_removed",
			UUIDOID, UUIDOID);

SAVED_QUERY(drop_ended,
			"DELETE FROM txplan.budget_lines AS l USING txplan.items AS i "
			"WHERE l.budget_id" EQ "$1 AND l.clinic_id" EQ "$2 "
			"AND i.id" EQ "l.item_id AND i.clinic_id" EQ "l.clinic_id "
			"AND i.status" NE "'pending'",
			UUIDOID, UUIDOID);

/*
 * A line takes the item's price and name.  What it was discounted stays, as far as
 * the new price has it.
 */
#define WHOLE "(i.price" TIMES "l.quantity) "
#define REQUOTE                                                            \
	"UPDATE txplan.budget_lines AS l SET unit_price = i.price, "           \
	"description = i.description, updated_at = $3, "                       \
	"discount_amount = CASE WHEN l.discount_amount" GT WHOLE "THEN " WHOLE \
	"ELSE l.discount_amount END, "                                         \
	"net_amount = CASE WHEN l.net_amount" GT WHOLE "THEN " WHOLE           \
	"ELSE l.net_amount END "                                               \
	"FROM txplan.items AS i "                                              \
	"WHERE l.budget_id" EQ "$1 AND l.clinic_id" EQ "$2 AND i.id" EQ        \
	"l.item_id AND i.clinic_id" EQ "l.clinic_id AND (l.unit_price" NE      \
	"i.price OR l.description" NE "i.description)"

SAVED_QUERY(requote_all, REQUOTE, UUIDOID, UUIDOID, TIMESTAMPTZOID);
SAVED_QUERY(requote_one, REQUOTE " AND l.item_id" EQ "$4", UUIDOID, UUIDOID,
			TIMESTAMPTZOID, UUIDOID);

SAVED_QUERY(reorder,
			"UPDATE txplan.budget_lines AS l SET position = o.place, "
			"updated_at = $3 "
			"FROM (SELECT n.id, pg_catalog.row_number() OVER "
			"(ORDER BY i.position NULLS LAST, n.position) AS place "
			"FROM txplan.budget_lines AS n "
			"LEFT JOIN LATERAL (SELECT p.position FROM txplan.items AS p "
			"WHERE p.id" EQ "n.item_id AND p.clinic_id" EQ "$2 OFFSET 0) "
			"AS i ON true WHERE n.budget_id" EQ "$1 AND n.clinic_id" EQ
			"$2) AS o "
			"WHERE l.id" EQ "o.id AND l.clinic_id" EQ "$2 "
			"AND l.position" NE "o.place",
			UUIDOID, UUIDOID, TIMESTAMPTZOID);

/*
 * StatusIs tells whether the plan's budget has a status.
 */
static bool
StatusIs(const TreatmentPlan *plan, const char *status)
{
	return plan->budget_status != NULL &&
		   strcmp(plan->budget_status, status) == 0;
}

/*
 * HasLiveBudget tells whether a plan has a budget that is not decided against.
 */
bool
HasLiveBudget(const TreatmentPlan *plan)
{
	return HasDraftBudget(plan) || IsLocked(plan);
}

/*
 * HasDraftBudget tells whether a plan has a budget that follows it.
 */
bool
HasDraftBudget(const TreatmentPlan *plan)
{
	return StatusIs(plan, "draft");
}

/*
 * IsLocked tells whether a plan has a budget that the patient has seen.
 */
bool
IsLocked(const TreatmentPlan *plan)
{
	return StatusIs(plan, "sent") || StatusIs(plan, "accepted");
}

/*
 * RequireUnlocked raises TX003 for a plan whose budget is sent or accepted.
 */
void
RequireUnlocked(const TreatmentPlan *plan, const char *what)
{
	if (IsLocked(plan))
		ereport(ERROR,
				(errcode(ERRCODE_TX_PLAN_LOCKED),
				 errmsg("plan %s is locked: %s", plan->number, what),
				 errdetail("Its budget \"%s\" is %s.",
						   UuidText(&plan->budget_id), plan->budget_status),
				 errhint("Cancel the budget, or send a next version of it with "
						 "txplan.resend_budget().")));
}

/*
 * RequireStillDraft raises TX003 when the draft that a plan had as its items were
 * checked is none any more as they are settled: the same statement sent it, or
 * decided it.
 */
void
RequireStillDraft(const TreatmentPlan *plan)
{
	FoundBudget budget;

	if (FindBudget(&plan->budget_id, &plan->key.clinic_id, &budget) &&
		strcmp(budget.status, "draft") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_TX_PLAN_LOCKED),
				 errmsg("plan %s is locked: its items do not change",
						plan->number),
				 errdetail("Its budget \"%s\" became %s in the same statement.",
						   UuidText(&plan->budget_id), budget.status),
				 errhint("Change the items first, in a statement of its own.")));
}

/*
 * DiscountOf reckons a discount in cents: a percentage of the amount, rounded to
 * the nearest cent with halves up, or a fixed amount, at most all of it.
 */
int64
DiscountOf(int64 amount, Datum percent, bool no_percent, Datum fixed,
		   bool no_fixed)
{
	if (!no_percent)
		return (int64) (((int128) amount * Cents(percent) + PERCENT_WHOLE / 2) /
						PERCENT_WHOLE);
	if (!no_fixed)
		return Min(Cents(fixed), amount);
	return 0;
}

/*
 * RaiseTooMuch refuses sums that the record cannot hold.
 */
static void
RaiseTooMuch(const pg_uuid_t *budget_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("budget \"%s\" is out of range", UuidText(budget_id)),
			 errdetail("Lines and sums are at most 9999999999.99."),
			 errhint("Lower prices or quantities.")));
}

/* The lines of a budget as they are reckoned */
typedef struct Lines
{
	int count;
	Datum *ids;
	int64 *nets_before;
	int64 *parts; /* after the lines' own discounts */
	int64 subtotal;
} Lines;

/*
 * ReadLines reads the lines of a budget and takes off their own discounts.  SPI
 * is connected.
 */
static void
ReadLines(Lines *lines, const pg_uuid_t *budget_id, Datum *arguments)
{
	int n = (int) RunQuery(&read_lines, AS_OWNER, arguments, NULL);
	int i;

	lines->count = n;
	lines->ids = (Datum *) palloc(sizeof(Datum) * (n + 1));
	lines->nets_before = (int64 *) palloc(sizeof(int64) * (n + 1));
	lines->parts = (int64 *) palloc(sizeof(int64) * (n + 1));
	lines->subtotal = 0;
	for (i = 0; i < n; i++)
	{
		Datum values[6];
		bool nulls[6];
		int64 whole;

		FetchRow(i, values, nulls);
		whole = Cents(values[1]) * DatumGetInt32(values[2]);
		lines->ids[i] = values[0];
		lines->nets_before[i] = Cents(values[5]);
		lines->parts[i] =
			whole - DiscountOf(whole, values[3], nulls[3], values[4], nulls[4]);
		if (lines->parts[i] > AMOUNT_MAX_CENTS)
			RaiseTooMuch(budget_id);
		lines->subtotal += lines->parts[i];
	}
	if (lines->subtotal > AMOUNT_MAX_CENTS)
		RaiseTooMuch(budget_id);
}

/*
 * WriteNets writes the net amounts that changed.
 */
static void
WriteNets(const Lines *lines, const int64 *discounts, Datum clinic,
		  TimestampTz at)
{
	Datum *ids = (Datum *) palloc(sizeof(Datum) * (lines->count + 1));
	Datum *nets = (Datum *) palloc(sizeof(Datum) * (lines->count + 1));
	Datum arguments[4];
	int n = 0;
	int i;

	for (i = 0; i < lines->count; i++)
	{
		int64 net = lines->parts[i] - discounts[i];

		if (net == lines->nets_before[i])
			continue;
		ids[n] = lines->ids[i];
		nets[n++] = CentsToAmount(net);
	}
	if (n == 0)
		return;
	arguments[0] = clinic;
	arguments[1] = ArrayOf(ids, NULL, n, UUIDOID);
	arguments[2] = ArrayOf(nets, NULL, n, NUMERICOID);
	arguments[3] = TimestampTzGetDatum(at);
	EngineWriteRows(&write_nets, TABLE_BUDGET_LINES, arguments, NULL, n);
}

/*
 * ReckonBudget adds a budget up: each line less its own discount makes the
 * subtotal, and the discount on the whole is split over the lines by the largest
 * remainder, so that their net amounts add up to the total.
 */
void
ReckonBudget(const pg_uuid_t *budget_id, const pg_uuid_t *clinic_id,
			 TimestampTz at)
{
	Datum arguments[5];
	Datum values[4];
	bool nulls[4];
	Lines lines;
	int64 discount;
	int64 *discounts;

	arguments[0] = UUIDPGetDatum(budget_id);
	arguments[1] = UUIDPGetDatum(clinic_id);
	if (!QueryRow(&read_discount, AS_OWNER, arguments, NULL, values, nulls))
		return;
	ConnectSpi();
	ReadLines(&lines, budget_id, arguments);
	discount =
		DiscountOf(lines.subtotal, values[0], nulls[0], values[1], nulls[1]);
	discounts = (int64 *) palloc0(sizeof(int64) * (lines.count + 1));
	if (discount > 0)
		SplitCents(discount, lines.parts, discounts, lines.count);
	WriteNets(&lines, discounts, arguments[1], at);
	if (Cents(values[2]) != lines.subtotal ||
		Cents(values[3]) != lines.subtotal - discount)
	{
		arguments[2] = CentsToAmount(lines.subtotal);
		arguments[3] = CentsToAmount(lines.subtotal - discount);
		arguments[4] = TimestampTzGetDatum(at);
		EngineWriteRows(&write_totals, TABLE_BUDGETS, arguments, NULL, 1);
	}
	FinishSpi();
}

/*
 * OrderLines puts the lines into the order of the plan's items, without gaps; lines
 * of no item come last.
 */
void
OrderLines(const pg_uuid_t *budget_id, const pg_uuid_t *clinic_id,
		   TimestampTz at)
{
	Datum arguments[3];

	arguments[0] = UUIDPGetDatum(budget_id);
	arguments[1] = UUIDPGetDatum(clinic_id);
	arguments[2] = TimestampTzGetDatum(at);
	(void) EngineWrite(&reorder, TABLE_BUDGET_LINES, arguments, NULL);
}

/*
 * AddLines quotes the pending items of a plan that a budget has no line for.  The
 * new lines come behind the others, which close up first, and then into their
 * places.
 */
static void
AddLines(const TreatmentPlan *plan, const pg_uuid_t *budget_id, TimestampTz at)
{
	Datum arguments[3];

	OrderLines(budget_id, &plan->key.clinic_id, at);
	arguments[0] = UUIDPGetDatum(&plan->key.id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[2] = UUIDPGetDatum(budget_id);
	if (EngineWrite(&add_lines, TABLE_BUDGET_LINES, arguments, NULL) > 0)
		OrderLines(budget_id, &plan->key.clinic_id, at);
}

/*
 * QuoteItems gives the new items of a plan their lines on its draft, and takes
 * those off whose items were removed.
 */
void
QuoteItems(const TreatmentPlan *plan, TimestampTz at)
{
	Datum arguments[2];

	arguments[0] = UUIDPGetDatum(&plan->budget_id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	(void) EngineWrite(&drop_removed, TABLE_BUDGET_LINES, arguments, NULL);
	AddLines(plan, &plan->budget_id, at);
	ReckonBudget(&plan->budget_id, &plan->key.clinic_id, at);
}

/*
 * UnquoteItem takes the line of an item off the draft, which ReckonBudget has to
 * add up again.
 */
void
UnquoteItem(const TreatmentPlan *plan, const pg_uuid_t *item_id)
{
	Datum arguments[3];

	arguments[0] = UUIDPGetDatum(&plan->budget_id);
	arguments[1] = UUIDPGetDatum(item_id);
	arguments[2] = UUIDPGetDatum(&plan->key.clinic_id);
	(void) EngineWrite(&drop_line, TABLE_BUDGET_LINES, arguments, NULL);
}

/*
 * RequoteItem gives the line of an item its price and name.
 */
void
RequoteItem(const TreatmentPlan *plan, const pg_uuid_t *item_id, TimestampTz at)
{
	Datum arguments[4];

	arguments[0] = UUIDPGetDatum(&plan->budget_id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[2] = TimestampTzGetDatum(at);
	arguments[3] = UUIDPGetDatum(item_id);
	(void) EngineWrite(&requote_one, TABLE_BUDGET_LINES, arguments, NULL);
	ReckonBudget(&plan->budget_id, &plan->key.clinic_id, at);
}

/*
 * ReorderQuote follows a new order of the plan's items.
 */
void
ReorderQuote(const TreatmentPlan *plan, TimestampTz at)
{
	OrderLines(&plan->budget_id, &plan->key.clinic_id, at);
}

/*
 * SyncQuote makes the lines of a draft those of the plan's pending items: what is
 * new is added, what ended goes, prices and names are the items'.
 */
void
SyncQuote(const TreatmentPlan *plan, const pg_uuid_t *budget_id, TimestampTz at)
{
	Datum arguments[3];

	arguments[0] = UUIDPGetDatum(budget_id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[2] = TimestampTzGetDatum(at);
	(void) EngineWrite(&drop_ended, TABLE_BUDGET_LINES, arguments, NULL);
	(void) EngineWrite(&requote_all, TABLE_BUDGET_LINES, arguments, NULL);
	AddLines(plan, budget_id, at);
	ReckonBudget(budget_id, &plan->key.clinic_id, at);
}
