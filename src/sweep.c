/*
 * sweep.c
 *		What becomes of budgets and plans as days pass: budgets expire, and plans
 *		that wait for one which did are closed.
 *
 * Two sweeps at once share the work: each takes the plans that the other does not
 * hold.  What was found is looked at again once its plan is locked.
 */
#include "sweep.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "error.h"
#include "guard.h"
#include "livebudget.h"
#include "spi.h"
#include "transition.h"
#include "upkeep.h"

/* A plan, or a budget of none, that a sweep has locked */
typedef struct Found
{
	pg_uuid_t id;
	pg_uuid_t clinic_id;
	pg_uuid_t budget_id;
} Found;

/* Before all ids */
static const pg_uuid_t first;

/*
 * The day of a clinic at a time.  No time zone is more than a day ahead of UTC,
 * which lets an index find the budgets first.
 */
#define CLINICS_DAY "pg_catalog.timezone(c.time_zone, $1)::pg_catalog.date"
#define UTC_TOMORROW \
	"(pg_catalog.timezone('UTC', $1)::pg_catalog.date" PLUS "1)"
#define UNDECIDED " OPERATOR(pg_catalog.=) ANY (ARRAY['draft', 'sent']) "
#define IS_DUE                                               \
	"b.status" UNDECIDED "AND b.valid_until" LT UTC_TOMORROW \
	" AND b.valid_until" LT CLINICS_DAY

SAVED_QUERY(lock_due_plans,
			"SELECT p.id, p.clinic_id, b.id FROM txplan.budgets AS b "
			"JOIN txplan.clinics AS c ON c.id" EQ "b.clinic_id "
			"JOIN txplan.plans AS p ON p.id" EQ "b.plan_id "
			"AND p.clinic_id" EQ "b.clinic_id WHERE " IS_DUE
			" ORDER BY p.id LIMIT $2 FOR NO KEY UPDATE OF p SKIP LOCKED",
			TIMESTAMPTZOID, INT4OID);

SAVED_QUERY(lock_due_budgets,
			"SELECT b.id, b.clinic_id, b.id FROM txplan.budgets AS b "
			"JOIN txplan.clinics AS c ON c.id" EQ "b.clinic_id "
			"WHERE b.plan_id IS NULL AND " IS_DUE
			" ORDER BY b.id LIMIT $2 FOR NO KEY UPDATE OF b SKIP LOCKED",
			TIMESTAMPTZOID, INT4OID);

SAVED_QUERY(expire,
			"UPDATE txplan.budgets AS b SET status = 'expired', "
			"decided_at = $4, decided_by = $5, updated_at = $4 "
			"FROM txplan.clinics AS c "
			"WHERE b.id" EQ "$2 AND b.clinic_id" EQ "$3 "
			"AND c.id" EQ "b.clinic_id AND " IS_DUE
			" RETURNING b.number, b.version, "
			"pg_catalog.to_char(b.valid_until, 'YYYY-MM-DD'), "
			"(SELECT o.status FROM txplan.budgets AS o WHERE o.id" EQ
			"b.id AND o.clinic_id" EQ "b.clinic_id)",
			TIMESTAMPTZOID, UUIDOID, UUIDOID, TIMESTAMPTZOID, TEXTOID);

/*
 * Plans that wait for their budget, which was sent and expired long enough ago,
 * and that can be closed for it.
 */
SAVED_QUERY(lock_expired_plans,
			"SELECT p.id, p.clinic_id, b.id FROM txplan.plans AS p "
			"JOIN txplan.budgets AS b ON b.id" EQ "p.budget_id "
			"AND b.clinic_id" EQ "p.clinic_id "
			"JOIN txplan.clinics AS c ON c.id" EQ "p.clinic_id "
			"WHERE p.budget_status" EQ "'expired' AND p.closed_at IS NULL "
			"AND b.sent_at IS NOT NULL AND (b.valid_until" PLUS
			"c.close_after_budget_expiry_days)" LT CLINICS_DAY
			" AND EXISTS (SELECT 1 FROM txplan.workflow_transitions AS t "
			"WHERE t.workflow" EQ "p.workflow AND t.from_state" EQ "p.status "
			"AND t.automatic AND 'txplan.budget_is_accepted'"
			" OPERATOR(pg_catalog.=) ANY (t.guards)) "
			"AND EXISTS (SELECT 1 FROM txplan.workflow_transitions AS t "
			"WHERE t.workflow" EQ "p.workflow AND t.from_state" EQ "p.status "
			"AND t.action" EQ "'close' AND 'expired'"
			" OPERATOR(pg_catalog.=) ANY (t.reasons)) "
			"AND p.id" GT "$3 "
			"ORDER BY p.id LIMIT $2 FOR NO KEY UPDATE OF p SKIP LOCKED",
			TIMESTAMPTZOID, INT4OID, UUIDOID);

/*
 * LockFound runs one of the queries that find and lock, and keeps what they
 * found, behind an id where the query asks for one.
 */
static List *
LockFound(SavedQuery *query, TimestampTz at, int most, const pg_uuid_t *after)
{
	MemoryContext context = CurrentMemoryContext;
	List *all = NIL;
	Datum arguments[3];
	uint64 rows;
	uint64 i;

	arguments[0] = TimestampTzGetDatum(at);
	arguments[1] = Int32GetDatum(most);
	arguments[2] = UUIDPGetDatum(after);
	ConnectSpi();
	rows = RunQuery(query, AS_OWNER, arguments, NULL);
	for (i = 0; i < rows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		Found *found = (Found *) palloc(sizeof(Found));
		Datum values[3];
		bool nulls[3];

		FetchRow(i, values, nulls);
		found->id = *DatumGetUUIDP(values[0]);
		found->clinic_id = *DatumGetUUIDP(values[1]);
		found->budget_id = *DatumGetUUIDP(values[2]);
		all = lappend(all, found);
		MemoryContextSwitchTo(old);
	}
	FinishSpi();
	return all;
}

/*
 * Expire lets a budget expire whose plan is locked, unless it was decided or its
 * last day moved before that.  It returns the status that it had, NULL when it
 * stays.
 */
static char *
Expire(FunctionCallInfo fcinfo, const Found *found, TimestampTz at,
	   const Settlement *settlement)
{
	Datum arguments[5];
	Datum values[4];
	bool nulls[4];

	arguments[0] = TimestampTzGetDatum(at);
	arguments[1] = UUIDPGetDatum(&found->budget_id);
	arguments[2] = UUIDPGetDatum(&found->clinic_id);
	arguments[3] = TimestampTzGetDatum(settlement->at);
	arguments[4] = CStringGetTextDatum(settlement->actor);
	if (!EngineWriteRow(&expire, TABLE_BUDGETS, arguments, NULL, values, nulls))
		return NULL;
	AddUpkeepRow(fcinfo, "budget",
				 psprintf("%s v%d", TextDatumGetCString(values[0]),
						  DatumGetInt32(values[1])),
				 "expired",
				 psprintf("Its last day was %s.",
						  TextDatumGetCString(values[2])));
	return TextDatumGetCString(values[3]);
}

/*
 * ExpireBudgets lets the budgets of so many plans expire, and those of none, and
 * returns how many plans it took.
 */
static int
ExpireBudgets(FunctionCallInfo fcinfo, TimestampTz at, int most)
{
	List *due = LockFound(&lock_due_plans, at, most, &first);
	PlanRun run;
	ListCell *cell;

	BeginRun(&run, false);
	foreach(cell, due)
	{
		const Found *found = (const Found *) lfirst(cell);
		TreatmentPlan *plan = LockPlan(&found->id, &found->clinic_id);
		BudgetFact fact = { .event = "budget.expired", .action = "expire" };

		if (plan == NULL)
			continue;
		fact.budget_id = found->budget_id;
		fact.from = Expire(fcinfo, found, at, &run.settlement);
		if (fact.from == NULL)
			continue;
		PointPlan(plan, &found->budget_id, "expired");
		EnterPlanOfRun(&run, plan);
		TellBudget(&run, &fact);
	}
	foreach(cell, LockFound(&lock_due_budgets, at, most, &first))
		(void) Expire(fcinfo, (const Found *) lfirst(cell), at,
					  &run.settlement);
	EndRun(&run);
	return list_length(due);
}

/*
 * CloseOne closes a plan that waits in vain, and says so; else it returns false.
 */
static bool
CloseOne(FunctionCallInfo fcinfo, const Found *found)
{
	TreatmentPlan *plan = LockPlan(&found->id, &found->clinic_id);
	const WorkflowTransition *way;
	List *reasons;

	if (plan == NULL || plan->budget_status == NULL ||
		strcmp(plan->budget_status, "expired") != 0 || !WaitsForBudget(plan))
		return false;
	way = FindAction(RequireWorkflow(plan->workflow), "close", plan->status);
	if (way == NULL)
		return false;
	reasons = GuardReasons(way, &plan->key, true);
	if (reasons != NIL)
	{
		AddUpkeepRow(fcinfo, "plan", plan->number, "held",
					 psprintf("Guards refuse: %s.", JoinReasons(reasons)));
		return false;
	}
	if (!FollowAction(plan, "close", "expired", NULL))
		return false;
	AddUpkeepRow(fcinfo, "plan", plan->number, "closed",
				 "Its budget was sent, and expired without an answer.");
	return true;
}

/*
 * CloseExpired closes the plans that wait in vain: their budget was sent, and
 * expired so many days ago as the clinic wants.  Plans that are held do not count,
 * so that they never keep it from those behind them.
 */
static void
CloseExpired(FunctionCallInfo fcinfo, TimestampTz at, int most)
{
	pg_uuid_t after = first;

	while (most > 0)
	{
		List *found = LockFound(&lock_expired_plans, at, most, &after);
		ListCell *cell;

		if (found == NIL)
			break;
		foreach(cell, found)
			if (CloseOne(fcinfo, (const Found *) lfirst(cell)))
				most--;
		after = ((const Found *) llast(found))->id;
	}
}

/*
 * SweepPlans does what is due for budgets and plans, for so many plans at most.
 */
void
SweepPlans(FunctionCallInfo fcinfo, TimestampTz at, int max_plans)
{
	int taken = ExpireBudgets(fcinfo, at, max_plans);

	if (taken < max_plans)
		CloseExpired(fcinfo, at, max_plans - taken);
}
