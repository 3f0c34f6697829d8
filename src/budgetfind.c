/*
 * budgetfind.c
 *		Finding and locking budgets, and what can be done with one in its status.
 */
#include "budget.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "error.h"
#include "spi.h"

/* What is done with a budget, from where and to where */
typedef struct BudgetWay
{
	const char *action;
	const char *from;
	const char *to; /* NULL for a next version */
} BudgetWay;

static const BudgetWay ways[] = {
	{ "send", "draft", "sent" },	   { "accept", "draft", "accepted" },
	{ "reject", "draft", "rejected" }, { "cancel", "draft", "cancelled" },
	{ "accept", "sent", "accepted" },  { "reject", "sent", "rejected" },
	{ "cancel", "sent", "cancelled" }, { "cancel", "accepted", "cancelled" },
	{ "resend", "sent", NULL },		   { "resend", "rejected", NULL },
	{ "resend", "expired", NULL },
};

#define FIND_BUDGET                                                  \
	"SELECT b.clinic_id, b.plan_id, b.status, b.number, b.version, " \
	"coalesce(b.decided_at, b.sent_at), b.decided_by "               \
	"FROM txplan.budgets AS b WHERE b.id" EQ "$1"
#define FIND_BUDGET_COLUMNS 7

SAVED_QUERY(find_budget, FIND_BUDGET, UUIDOID);
SAVED_QUERY(find_budget_in_clinic, FIND_BUDGET " AND b.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);
SAVED_QUERY(lock_budget,
			FIND_BUDGET " AND b.clinic_id" EQ "$2 FOR NO KEY UPDATE OF b",
			UUIDOID, UUIDOID);

SAVED_QUERY(closed_as_rejected,
			"SELECT 1 FROM txplan.plans AS p "
			"WHERE p.id" EQ "$1 AND p.clinic_id" EQ "$2 "
			"AND p.closed_at IS NOT NULL AND p.closure_reason" EQ "'rejected'",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_rejected,
			"SELECT 1 FROM txplan.budgets AS b "
			"JOIN txplan.budgets AS r ON r.clinic_id" EQ "b.clinic_id "
			"AND r.number" EQ "b.number AND r.version" LT "b.version "
			"AND r.status" EQ "'rejected' "
			"WHERE b.id" EQ "$1 AND b.clinic_id" EQ "$2 LIMIT 1",
			UUIDOID, UUIDOID);

/*
 * KeepFound keeps what one of the queries for a budget found.
 */
static void
KeepFound(FoundBudget *budget, Datum *values, bool *nulls)
{
	budget->clinic_id = *DatumGetUUIDP(values[0]);
	budget->linked = !nulls[1];
	if (budget->linked)
		budget->plan_id = *DatumGetUUIDP(values[1]);
	budget->status = TextDatumGetCString(values[2]);
	budget->number = TextDatumGetCString(values[3]);
	budget->version = DatumGetInt32(values[4]);
	budget->since =
		nulls[5] ? NULL :
				   pstrdup(timestamptz_to_str(DatumGetTimestampTz(values[5])));
	budget->by = nulls[6] ? NULL : TextDatumGetCString(values[6]);
}

/*
 * FindBudget finds a budget, in a clinic if one is given; false when there is
 * none.
 */
bool
FindBudget(const pg_uuid_t *id, const pg_uuid_t *clinic_id, FoundBudget *budget)
{
	Datum arguments[2];
	Datum values[FIND_BUDGET_COLUMNS];
	bool nulls[FIND_BUDGET_COLUMNS];
	uint64 rows;

	arguments[0] = UUIDPGetDatum(id);
	if (clinic_id != NULL)
		arguments[1] = UUIDPGetDatum(clinic_id);
	rows = QueryRows(clinic_id == NULL ? &find_budget : &find_budget_in_clinic,
					 AS_OWNER, arguments, NULL, values, nulls);
	if (rows == 0)
		return false;
	if (rows > 1)
		RaiseSeveralClinics("budget", id);
	budget->id = *id;
	KeepFound(budget, values, nulls);
	return true;
}

/*
 * LockBudget locks a budget, behind its plan, and reads it again; P0002 when it is
 * gone.
 */
void
LockBudget(FoundBudget *budget)
{
	Datum arguments[2];
	Datum values[FIND_BUDGET_COLUMNS];
	bool nulls[FIND_BUDGET_COLUMNS];
	bool linked = budget->linked;

	(void) LockPlanOf(budget);
	arguments[0] = UUIDPGetDatum(&budget->id);
	arguments[1] = UUIDPGetDatum(&budget->clinic_id);
	if (!QueryRow(&lock_budget, AS_OWNER, arguments, NULL, values, nulls))
		RaiseMissing("budget", &budget->id);
	KeepFound(budget, values, nulls);

	/* It was linked while this session waited. */
	if (!linked)
		(void) LockPlanOf(budget);
}

/*
 * RequireBudget finds the budget that is a function's first argument, or raises
 * P0002.
 */
void
RequireBudget(FunctionCallInfo fcinfo, int clinic_argument, FoundBudget *budget)
{
	if (!FindBudget(PG_GETARG_UUID_P(0),
					PG_ARGISNULL(clinic_argument) ?
						NULL :
						PG_GETARG_UUID_P(clinic_argument),
					budget))
		RaiseMissing("budget", PG_GETARG_UUID_P(0));
}

/*
 * LockPlanOf locks the plan of a budget; NULL when it has none.
 */
TreatmentPlan *
LockPlanOf(const FoundBudget *budget)
{
	return budget->linked ? LockPlan(&budget->plan_id, &budget->clinic_id) :
							NULL;
}

/*
 * IsDecided tells whether a status is one that a budget never leaves.
 */
bool
IsDecided(const char *status)
{
	return strcmp(status, "rejected") == 0 || strcmp(status, "expired") == 0 ||
		   strcmp(status, "cancelled") == 0;
}

/*
 * LegalBudgetActions writes what can be done with a budget, for a hint.
 */
char *
LegalBudgetActions(const char *status)
{
	StringInfoData list;
	int i;

	initStringInfo(&list);
	for (i = 0; i < lengthof(ways); i++)
		if (strcmp(ways[i].from, status) == 0)
			appendStringInfo(&list, "%s%s (to %s)", list.len > 0 ? ", " : "",
							 ways[i].action,
							 ways[i].to == NULL ? "a next version" :
												  ways[i].to);
	if (list.len == 0)
		return pstrdup("Generate a new budget.");
	return psprintf("What can be done with it: %s.", list.data);
}

/*
 * RaiseNotDraft refuses what only a draft allows: TX003 for a budget that the
 * patient has seen, TX004 for one that is decided.
 */
void
RaiseNotDraft(const FoundBudget *budget, const char *what)
{
	ereport(ERROR,
			(errcode(IsDecided(budget->status) ? ERRCODE_TX_ALREADY_FINAL :
												 ERRCODE_TX_PLAN_LOCKED),
			 errmsg("budget %s v%d is %s: %s", budget->number, budget->version,
					budget->status, what),
			 errdetail("Only a draft can be worked on."),
			 errhint("%s", LegalBudgetActions(budget->status))));
}

/*
 * RaiseAlready says that a budget was sent or decided before, when and by whom.
 */
void
RaiseAlready(const FoundBudget *budget)
{
	ereport(ERROR,
			(errcode(ERRCODE_TX_ALREADY_FINAL),
			 errmsg("budget %s v%d is %s already", budget->number,
					budget->version, budget->status),
			 budget->by == NULL ?
				 errdetail("That was at %s.", budget->since) :
				 errdetail("%s noted it at %s.", budget->by, budget->since),
			 errhint("%s", LegalBudgetActions(budget->status))));
}

/*
 * HasWay tells whether a client can take a budget from a status to another.
 */
bool
HasWay(const char *from, const char *to)
{
	int i;

	for (i = 0; i < lengthof(ways); i++)
		if (ways[i].to != NULL && strcmp(ways[i].from, from) == 0 &&
			strcmp(ways[i].to, to) == 0)
			return true;
	return false;
}

/*
 * IsClosedAsRejected tells whether a plan was closed since its budget was
 * rejected.
 */
bool
IsClosedAsRejected(const TreatmentPlan *plan)
{
	Datum arguments[2];
	Datum one;
	bool isnull;

	arguments[0] = UUIDPGetDatum(&plan->key.id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	return QueryRow(&closed_as_rejected, AS_OWNER, arguments, NULL, &one,
					&isnull);
}

/*
 * IsRevision tells whether a budget is a later version of a rejected one.
 */
bool
IsRevision(const pg_uuid_t *budget_id, const pg_uuid_t *clinic_id)
{
	Datum arguments[2];
	Datum one;
	bool isnull;

	arguments[0] = UUIDPGetDatum(budget_id);
	arguments[1] = UUIDPGetDatum(clinic_id);
	return QueryRow(&find_rejected, AS_OWNER, arguments, NULL, &one, &isnull);
}
