/*
 * sweep.c
 *		What becomes of budgets and plans as days pass: budgets expire, and plans
 *		that wait for one which did are closed.
 *
 * Two sweeps at once share the work: each takes the plans that the other does not
 * hold.  What was found is looked at again once its plan is locked.
 *
 * Nothing of one plan or one clinic keeps the sweep from the others: what fails is
 * told as held.  So many plans are tried together, and each by itself only when
 * that failed.
 */
#include "sweep.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "budget.h"
#include "error.h"
#include "guard.h"
#include "livebudget.h"
#include "spi.h"
#include "transition.h"
#include "upkeep.h"
#include "zone.h"

/* A plan, or a budget of none, that a sweep has locked */
typedef struct Found
{
	pg_uuid_t id;
	pg_uuid_t clinic_id;
	pg_uuid_t budget_id;
	bool of_plan;
} Found;

/* What maintain() will tell of one of them */
typedef struct Told
{
	const char *kind;
	const char *name;
	const char *outcome;
	const char *detail;
} Told;

/* A sweep, and what its steps are tried on */
typedef struct Sweep
{
	TimestampTz at;
	Datum unknown_zones;
	List *found; /* of Found * */
	List *told;	 /* of Told * */
	int done;
} Sweep;

/* So many plans are locked and swept together */
#define TOGETHER 1000

/* Before all ids */
static const pg_uuid_t first;

/*
 * The day of a clinic at a time; NULL when its time zone is not known here.  None
 * is more than a day ahead of UTC, which lets an index find the budgets first.
 */
#define CLINICS_DAY                                                    \
	"CASE WHEN c.time_zone OPERATOR(pg_catalog.=) ANY ($2) THEN NULL " \
	"ELSE pg_catalog.timezone(c.time_zone, $1)::pg_catalog.date END"
#define UTC_TOMORROW \
	"(pg_catalog.timezone('UTC', $1)::pg_catalog.date" PLUS "1)"
#define UNDECIDED " OPERATOR(pg_catalog.=) ANY (ARRAY['draft', 'sent']) "
#define IS_DUE                                               \
	"b.status" UNDECIDED "AND b.valid_until" LT UTC_TOMORROW \
	" AND b.valid_until" LT "(" CLINICS_DAY ")"

SAVED_QUERY_OF_NOTHING(read_zones,
					   "SELECT c.id, c.name, c.time_zone "
					   "FROM txplan.clinics AS c ORDER BY c.name, c.id");

SAVED_QUERY(lock_due_plans,
			"SELECT p.id, p.clinic_id, b.id FROM txplan.budgets AS b "
			"JOIN txplan.clinics AS c ON c.id" EQ "b.clinic_id "
			"JOIN txplan.plans AS p ON p.id" EQ "b.plan_id "
			"AND p.clinic_id" EQ "b.clinic_id WHERE " IS_DUE " AND p.id" GT
			"$4 "
			"ORDER BY p.id LIMIT $3 FOR NO KEY UPDATE OF p SKIP LOCKED",
			TIMESTAMPTZOID, TEXTARRAYOID, INT4OID, UUIDOID);

SAVED_QUERY(lock_due_budgets,
			"SELECT b.id, b.clinic_id, b.id FROM txplan.budgets AS b "
			"JOIN txplan.clinics AS c ON c.id" EQ "b.clinic_id "
			"WHERE b.plan_id IS NULL AND " IS_DUE " AND b.id" GT "$4 "
			"ORDER BY b.id LIMIT $3 FOR NO KEY UPDATE OF b SKIP LOCKED",
			TIMESTAMPTZOID, TEXTARRAYOID, INT4OID, UUIDOID);

SAVED_QUERY(expire,
			"UPDATE txplan.budgets AS b SET status = 'expired', "
			"decided_at = $5, decided_by = $6, updated_at = $5 "
			"FROM txplan.clinics AS c "
			"WHERE b.id" EQ "$3 AND b.clinic_id" EQ "$4 "
			"AND c.id" EQ "b.clinic_id AND " IS_DUE
			" RETURNING b.number, b.version, "
			"pg_catalog.to_char(b.valid_until, 'YYYY-MM-DD'), "
			"(SELECT o.status FROM txplan.budgets AS o WHERE o.id" EQ
			"b.id AND o.clinic_id" EQ "b.clinic_id)",
			TIMESTAMPTZOID, TEXTARRAYOID, UUIDOID, UUIDOID, TIMESTAMPTZOID,
			TEXTOID);

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
			"c.close_after_budget_expiry_days)" LT "(" CLINICS_DAY ") "
			"AND EXISTS (SELECT 1 FROM txplan.workflow_transitions AS t "
			"WHERE t.workflow" EQ "p.workflow AND t.from_state" EQ "p.status "
			"AND t.automatic AND 'txplan.budget_is_accepted'"
			" OPERATOR(pg_catalog.=) ANY (t.guards)) "
			"AND EXISTS (SELECT 1 FROM txplan.workflow_transitions AS t "
			"WHERE t.workflow" EQ "p.workflow AND t.from_state" EQ "p.status "
			"AND t.action" EQ "'close' AND 'expired'"
			" OPERATOR(pg_catalog.=) ANY (t.reasons)) "
			"AND p.id" GT "$4 "
			"ORDER BY p.id LIMIT $3 FOR NO KEY UPDATE OF p SKIP LOCKED",
			TIMESTAMPTZOID, TEXTARRAYOID, INT4OID, UUIDOID);

/*
 * Tell keeps what maintain() will tell, if it is not undone.
 */
static void
Tell(Sweep *sweep, const char *kind, const char *name, const char *outcome,
	 const char *detail)
{
	Told *told = (Told *) palloc(sizeof(Told));

	told->kind = kind;
	told->name = name;
	told->outcome = outcome;
	told->detail = detail;
	sweep->told = lappend(sweep->told, told);
}

/*
 * FindUnknownZones finds the time zones that the server does not know, and tells
 * whose they are: nothing is swept in their clinics.
 */
static void
FindUnknownZones(Sweep *sweep, FunctionCallInfo fcinfo)
{
	MemoryContext context = CurrentMemoryContext;
	List *unknown = NIL;
	ListCell *cell;
	Datum *zones;
	uint64 rows;
	uint64 i;
	int n = 0;

	ConnectSpi();
	rows = RunQuery(&read_zones, AS_OWNER, NULL, NULL);
	for (i = 0; i < rows; i++)
	{
		Datum values[3];
		bool nulls[3];
		char *zone;
		MemoryContext old;

		FetchRow(i, values, nulls);
		zone = TextDatumGetCString(values[2]);
		if (IsZoneKnown(zone))
			continue;
		AddUpkeepRow(fcinfo, "clinic", TextDatumGetCString(values[1]), "held",
					 psprintf("Time zone \"%s\" is not known to this server.",
							  zone));
		old = MemoryContextSwitchTo(context);
		unknown = lappend(unknown, pstrdup(zone));
		MemoryContextSwitchTo(old);
	}
	FinishSpi();
	zones = (Datum *) palloc(sizeof(Datum) * (list_length(unknown) + 1));
	foreach(cell, unknown)
		zones[n++] = CStringGetTextDatum((const char *) lfirst(cell));
	sweep->unknown_zones = ArrayOf(zones, NULL, n, TEXTOID);
}

/*
 * LockFound runs one of the queries that find and lock, behind an id, and keeps
 * what they found.
 */
static List *
LockFound(const Sweep *sweep, SavedQuery *query, int most,
		  const pg_uuid_t *after)
{
	MemoryContext context = CurrentMemoryContext;
	List *all = NIL;
	Datum arguments[4];
	uint64 rows;
	uint64 i;

	arguments[0] = TimestampTzGetDatum(sweep->at);
	arguments[1] = sweep->unknown_zones;
	arguments[2] = Int32GetDatum(most);
	arguments[3] = UUIDPGetDatum(after);
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
		found->of_plan = query != &lock_due_budgets;
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
Expire(Sweep *sweep, const Found *found, const Settlement *settlement)
{
	Datum arguments[6];
	Datum values[4];
	bool nulls[4];

	arguments[0] = TimestampTzGetDatum(sweep->at);
	arguments[1] = sweep->unknown_zones;
	arguments[2] = UUIDPGetDatum(&found->budget_id);
	arguments[3] = UUIDPGetDatum(&found->clinic_id);
	arguments[4] = TimestampTzGetDatum(settlement->at);
	arguments[5] = CStringGetTextDatum(settlement->actor);
	if (!EngineWriteRow(&expire, TABLE_BUDGETS, arguments, NULL, values, nulls))
		return NULL;
	sweep->done++;
	Tell(sweep, "budget",
		 psprintf("%s v%d", TextDatumGetCString(values[0]),
				  DatumGetInt32(values[1])),
		 "expired",
		 psprintf("Its last day was %s.", TextDatumGetCString(values[2])));
	return TextDatumGetCString(values[3]);
}

/*
 * ExpireFound lets the budgets of the plans that were found expire, or those of
 * none.
 */
static void
ExpireFound(void *argument)
{
	Sweep *sweep = (Sweep *) argument;
	PlanRun run;
	ListCell *cell;

	BeginRun(&run, false);
	foreach(cell, sweep->found)
	{
		const Found *found = (const Found *) lfirst(cell);
		TreatmentPlan *plan =
			found->of_plan ? LockPlan(&found->id, &found->clinic_id) : NULL;
		BudgetFact fact = { .event = "budget.expired", .action = "expire" };

		if (found->of_plan && plan == NULL)
			continue;
		fact.budget_id = found->budget_id;
		fact.from = Expire(sweep, found, &run.settlement);
		if (fact.from == NULL || plan == NULL)
			continue;
		PointPlan(plan, &found->budget_id, "expired");
		EnterPlanOfRun(&run, plan);
		TellBudget(&run, &fact);
	}
	EndRun(&run);
}

/*
 * CloseOne closes a plan that waits in vain, and says so.
 */
static void
CloseOne(Sweep *sweep, const Found *found)
{
	TreatmentPlan *plan = LockPlan(&found->id, &found->clinic_id);
	const WorkflowTransition *way;
	List *reasons;

	if (plan == NULL || plan->budget_status == NULL ||
		strcmp(plan->budget_status, "expired") != 0 || !WaitsForBudget(plan))
		return;
	way = FindAction(RequireWorkflow(plan->workflow), "close", plan->status);
	if (way == NULL)
		return;
	reasons = GuardReasons(way, &plan->key, true);
	if (reasons != NIL)
	{
		Tell(sweep, "plan", plan->number, "held",
			 psprintf("Guards refuse: %s.", JoinReasons(reasons)));
		return;
	}
	if (!FollowAction(plan, "close", "expired", NULL))
		return;
	sweep->done++;
	Tell(sweep, "plan", plan->number, "closed",
		 "Its budget was sent, and expired without an answer.");
}

/*
 * CloseFound closes the plans that were found.
 */
static void
CloseFound(void *argument)
{
	Sweep *sweep = (Sweep *) argument;
	ListCell *cell;

	foreach(cell, sweep->found)
		CloseOne(sweep, (const Found *) lfirst(cell));
}

/*
 * TellHeld tells what keeps a plan, or a budget of none, from being swept.
 */
static void
TellHeld(FunctionCallInfo fcinfo, const Found *found, const ErrorData *error)
{
	TreatmentPlan *plan =
		found->of_plan ? LockPlan(&found->id, &found->clinic_id) : NULL;
	FoundBudget budget;

	if (plan != NULL)
		AddUpkeepRow(fcinfo, "plan", plan->number, "held", error->message);
	else if (FindBudget(&found->budget_id, &found->clinic_id, &budget))
		AddUpkeepRow(fcinfo, "budget",
					 psprintf("%s v%d", budget.number, budget.version), "held",
					 error->message);
}

/*
 * TryStep tries a step on what was found, and tells what it did; it returns the
 * error that undid it.
 */
static ErrorData *
TryStep(Sweep *sweep, FunctionCallInfo fcinfo, UpkeepWork step, List *found)
{
	ErrorData *error;
	ListCell *cell;

	sweep->found = found;
	sweep->told = NIL;
	sweep->done = 0;
	error = TryOne(step, sweep);
	if (error != NULL)
		return error;
	foreach(cell, sweep->told)
	{
		const Told *told = (const Told *) lfirst(cell);

		AddUpkeepRow(fcinfo, told->kind, told->name, told->outcome,
					 told->detail);
	}
	return NULL;
}

/*
 * SweepFound does a step to so many of what a query finds at most, and returns to
 * how many it did.  What is held does not count, so that it never keeps the sweep
 * from what is behind it.
 */
static int
SweepFound(Sweep *sweep, FunctionCallInfo fcinfo, SavedQuery *query,
		   UpkeepWork step, int most)
{
	pg_uuid_t after = first;
	int done = 0;

	while (done < most)
	{
		List *found =
			LockFound(sweep, query, Min(most - done, TOGETHER), &after);
		ListCell *cell;

		if (found == NIL)
			break;
		if (TryStep(sweep, fcinfo, step, found) == NULL)
			done += sweep->done;
		else
			foreach(cell, found)
			{
				ErrorData *error =
					TryStep(sweep, fcinfo, step, list_make1(lfirst(cell)));

				if (error == NULL)
					done += sweep->done;
				else
					TellHeld(fcinfo, (const Found *) lfirst(cell), error);
			}
		after = ((const Found *) llast(found))->id;
	}
	return done;
}

/*
 * SweepPlans does what is due for budgets and plans, for so many plans at most.
 */
void
SweepPlans(FunctionCallInfo fcinfo, TimestampTz at, int max_plans)
{
	Sweep sweep = { .at = at };
	int done;

	FindUnknownZones(&sweep, fcinfo);
	done = SweepFound(&sweep, fcinfo, &lock_due_plans, ExpireFound, max_plans);
	(void) SweepFound(&sweep, fcinfo, &lock_due_budgets, ExpireFound,
					  max_plans);
	(void) SweepFound(&sweep, fcinfo, &lock_expired_plans, CloseFound,
					  max_plans - done);
}
