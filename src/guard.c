/*
 * guard.c
 *		Asking the guards of a transition, and the guards that are shipped.
 *
 * A guard runs as the record's owner, since it must see the whole plan whoever
 * moves it.  So it must belong to that owner or to a superuser, and it runs
 * restricted, with a search_path that no caller chooses.
 */
#include "guard.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/regproc.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "error.h"
#include "spi.h"

typedef struct Guard
{
	Oid function;
	Oid owner;
	bool compiled; /* C, whose names are all qualified */
} Guard;

SAVED_QUERY(read_counters,
			"SELECT p.items_total, p.items_completed, p.items_cancelled "
			"FROM txplan.plans AS p "
			"WHERE p.id" EQ "$1 AND p.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_live_item,
			"SELECT 1 FROM txplan.items AS i "
			"WHERE i.plan_id" EQ "$1 AND i.clinic_id" EQ "$2 "
			"AND i.status" NE "'cancelled' LIMIT 1",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_pending_item,
			"SELECT 1 FROM txplan.items AS i "
			"WHERE i.plan_id" EQ "$1 AND i.clinic_id" EQ "$2 "
			"AND i.status" EQ "'pending' LIMIT 1",
			UUIDOID, UUIDOID);

SAVED_QUERY(read_budget_status,
			"SELECT p.budget_status FROM txplan.plans AS p "
			"WHERE p.id" EQ "$1 AND p.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_revision,
			"SELECT 1 FROM txplan.plans AS p "
			"JOIN txplan.budgets AS b ON b.id" EQ "p.budget_id "
			"AND b.clinic_id" EQ "p.clinic_id "
			"JOIN txplan.budgets AS r ON r.clinic_id" EQ "b.clinic_id "
			"AND r.number" EQ "b.number AND r.version" LT "b.version "
			"AND r.status" EQ "'rejected' "
			"WHERE p.id" EQ "$1 AND p.clinic_id" EQ "$2 "
			"AND (p.closed_at IS NULL OR p.closure_reason" EQ "'rejected') "
			"LIMIT 1",
			UUIDOID, UUIDOID);

PG_FUNCTION_INFO_V1(txplan_plan_has_item);
PG_FUNCTION_INFO_V1(txplan_plan_is_done);
PG_FUNCTION_INFO_V1(txplan_budget_is_accepted);
PG_FUNCTION_INFO_V1(txplan_no_budget_waits);
PG_FUNCTION_INFO_V1(txplan_budget_revives);

/*
 * FindGuard looks a guard up; it answers with a reason when it cannot be used.
 */
static const char *
FindGuard(const char *name, Guard *guard)
{
	Oid arguments[2] = { UUIDOID, UUIDOID };
	List *names = NIL;
	char *copy = pstrdup(name);
	char *dot = strchr(copy, '.');
	HeapTuple tuple;
	Form_pg_proc form;
	const char *fault = NULL;

	if (dot == NULL || dot == copy || dot[1] == '\0' ||
		strchr(dot + 1, '.') != NULL)
		return psprintf("guard \"%s\" is not named schema.function", name);
	*dot = '\0';
	names = list_make2(makeString(copy), makeString(dot + 1));
	guard->function = LookupFuncName(names, 2, arguments, true);
	if (!OidIsValid(guard->function))
		return psprintf("guard \"%s\" does not exist", name);

	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(guard->function));
	if (!HeapTupleIsValid(tuple))
		return psprintf("guard \"%s\" does not exist", name);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	guard->owner = form->proowner;
	guard->compiled = form->prolang == ClanguageId;
	if (form->prorettype != TEXTOID || form->proretset ||
		form->prokind != PROKIND_FUNCTION)
		fault = psprintf("guard \"%s\" does not return text", name);
	ReleaseSysCache(tuple);
	return fault;
}

/*
 * NameGuard tells, in the context of an error, which guard raised it.
 */
static void
NameGuard(void *argument)
{
	errcontext("guard \"%s\"", (const char *) argument);
}

/*
 * CallGuard runs a guard and returns its reason, NULL when it lets pass.
 *
 * It sees what this statement has done so far and, at read committed, what
 * others committed before the plan was locked.
 */
static char *
CallGuard(const char *name, const Guard *guard, const PlanKey *plan)
{
	LOCAL_FCINFO(fcinfo, 2);
	FmgrInfo function;
	ErrorContextCallback context;
	OwnerScope scope;
	Datum result;
	char *reason = NULL;
	int nest = 0;

	context.callback = NameGuard;
	context.arg = unconstify(char *, name);
	context.previous = error_context_stack;
	error_context_stack = &context;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	EnterOwner(&scope, true);
	if (!guard->compiled)
	{
		nest = NewGUCNestLevel();
		(void) set_config_option("search_path", "pg_catalog, pg_temp",
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
	}
	fmgr_info(guard->function, &function);
	InitFunctionCallInfoData(*fcinfo, &function, 2, DEFAULT_COLLATION_OID, NULL,
							 NULL);
	fcinfo->args[0].value = UUIDPGetDatum(&plan->id);
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = UUIDPGetDatum(&plan->clinic_id);
	fcinfo->args[1].isnull = false;
	result = FunctionCallInvoke(fcinfo);
	if (!fcinfo->isnull)
		reason = TextDatumGetCString(result);
	if (!guard->compiled)
		AtEOXact_GUC(true, nest);
	LeaveOwner(&scope);
	PopActiveSnapshot();
	error_context_stack = context.previous;
	return reason;
}

/*
 * AskGuard runs a guard for somebody who only asks: what it raises is told as its
 * reason, and taken back.
 */
static char *
AskGuard(const char *name, const Guard *guard, const PlanKey *plan)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	char *reason = NULL;

	if (guard->compiled)
		return CallGuard(name, guard, plan);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		reason = CallGuard(name, guard, plan);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		reason = psprintf("guard \"%s\" failed: %s", name, error->message);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return reason;
}

/*
 * RaiseBadGuard says that a definition names a guard that cannot be asked.
 */
static void
RaiseBadGuard(const WorkflowTransition *transition, const char *fault)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FUNCTION),
			 errmsg("action \"%s\" cannot be decided", transition->action),
			 errdetail("The %s.", fault),
			 errhint("Make the function f(plan_id uuid, clinic_id uuid) RETURNS "
					 "text, or take the guard from the transition; "
					 "txplan.check_workflow() lists such faults.")));
}

/*
 * GuardReasons asks all guards of a transition and returns their reasons.
 *
 * A guard that cannot be asked is an error, never a pass; who only asks what is
 * possible gets the error as a reason.
 */
List *
GuardReasons(const WorkflowTransition *transition, const PlanKey *plan,
			 bool only_ask)
{
	List *reasons = NIL;
	ListCell *cell;

	foreach(cell, transition->guards)
	{
		const char *name = (const char *) lfirst(cell);
		Guard guard = { 0 };
		const char *fault;
		char *reason = NULL;
		OwnerScope scope;

		EnterOwner(&scope, false);
		fault = FindGuard(name, &guard);
		LeaveOwner(&scope);

		if (fault == NULL && guard.owner != RecordOwner() &&
			!superuser_arg(guard.owner))
			fault = psprintf("guard \"%s\" belongs neither to the record's "
							 "owner nor to a superuser",
							 name);
		if (fault == NULL)
		{
			reason = only_ask ? AskGuard(name, &guard, plan) :
								CallGuard(name, &guard, plan);
			if (reason != NULL && reason[0] == '\0')
				fault = psprintf("guard \"%s\" gave an empty reason", name);
		}
		if (fault != NULL && !only_ask)
			RaiseBadGuard(transition, fault);
		if (fault != NULL)
			reason = pstrdup(fault);
		if (reason != NULL)
			reasons = lappend(reasons, reason);
	}
	return reasons;
}

/*
 * JoinReasons writes reasons one after another, for a detail.
 */
char *
JoinReasons(List *reasons)
{
	StringInfoData joined;
	ListCell *cell;

	initStringInfo(&joined);
	foreach(cell, reasons)
		appendStringInfo(&joined, "%s%s", joined.len > 0 ? "; " : "",
						 (char *) lfirst(cell));
	return joined.data;
}

/*
 * ReadCounters reads the counters of a plan: those kept under the lock, else
 * those of the row.  False when there is no such plan.
 */
static bool
ReadCounters(FunctionCallInfo fcinfo, int *total, int *completed,
			 int *cancelled)
{
	Datum arguments[2];
	Datum values[3];
	bool nulls[3];
	TreatmentPlan *plan;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return false;
	RequireRecord();
	plan = HeldPlan(PG_GETARG_UUID_P(0), PG_GETARG_UUID_P(1));
	if (plan != NULL)
	{
		*total = plan->items_total;
		*completed = plan->items_completed;
		*cancelled = plan->items_cancelled;
		return true;
	}
	arguments[0] = PG_GETARG_DATUM(0);
	arguments[1] = PG_GETARG_DATUM(1);
	if (!QueryRow(&read_counters, AS_CALLER, arguments, NULL, values, nulls))
		return false;
	*total = DatumGetInt32(values[0]);
	*completed = DatumGetInt32(values[1]);
	*cancelled = DatumGetInt32(values[2]);
	return true;
}

/*
 * FindsRow runs a query for something of the plan that a guard was given.
 */
static bool
FindsRow(FunctionCallInfo fcinfo, SavedQuery *query)
{
	Datum arguments[2];
	Datum one;
	bool isnull;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return false;
	RequireRecord();
	arguments[0] = PG_GETARG_DATUM(0);
	arguments[1] = PG_GETARG_DATUM(1);
	return QueryRow(query, AS_CALLER, arguments, NULL, &one, &isnull);
}

/*
 * txplan_plan_has_item is the guard that a plan has an item.
 *
 * It looks at the items and not at the plan's counter, which a statement that
 * writes both tables at once has not brought up to date yet.
 */
Datum
txplan_plan_has_item(PG_FUNCTION_ARGS)
{
	if (FindsRow(fcinfo, &find_live_item))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text("the plan has no item"));
}

/*
 * txplan_plan_is_done is the guard that everything of a plan has been done.  The
 * counters answer at once while it is not; the items have the last word.
 */
Datum
txplan_plan_is_done(PG_FUNCTION_ARGS)
{
	int total;
	int completed;
	int cancelled;

	if (!ReadCounters(fcinfo, &total, &completed, &cancelled))
		PG_RETURN_TEXT_P(cstring_to_text("there is no such plan"));
	if (completed == 0)
		PG_RETURN_TEXT_P(cstring_to_text("no item of the plan is completed"));
	if (completed + cancelled < total)
		PG_RETURN_TEXT_P(cstring_to_text(psprintf("%d items of the plan are pending",
												  total - completed -
													  cancelled)));
	if (FindsRow(fcinfo, &find_pending_item))
		PG_RETURN_TEXT_P(cstring_to_text("an item of the plan is pending"));
	PG_RETURN_NULL();
}

/*
 * BudgetStatus reads the status of the plan's budget: that kept under the lock,
 * else that of the row.  NULL where the plan has none.
 */
static const char *
BudgetStatus(FunctionCallInfo fcinfo)
{
	Datum arguments[2];
	Datum value;
	bool isnull;
	TreatmentPlan *plan;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return NULL;
	RequireRecord();
	plan = HeldPlan(PG_GETARG_UUID_P(0), PG_GETARG_UUID_P(1));
	if (plan != NULL)
		return plan->budget_status;
	arguments[0] = PG_GETARG_DATUM(0);
	arguments[1] = PG_GETARG_DATUM(1);
	if (!QueryRow(&read_budget_status, AS_CALLER, arguments, NULL, &value,
				  &isnull) ||
		isnull)
		return NULL;
	return TextDatumGetCString(value);
}

/*
 * txplan_budget_is_accepted is the guard that the plan's budget is accepted.
 */
Datum
txplan_budget_is_accepted(PG_FUNCTION_ARGS)
{
	const char *status = BudgetStatus(fcinfo);

	if (status == NULL)
		PG_RETURN_TEXT_P(cstring_to_text("the plan has no budget"));
	if (strcmp(status, "accepted") == 0)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("the plan's budget is %s",
											  status)));
}

/*
 * txplan_no_budget_waits is the guard that no live budget waits for the patient's
 * own decision.
 */
Datum
txplan_no_budget_waits(PG_FUNCTION_ARGS)
{
	const char *status = BudgetStatus(fcinfo);

	if (status == NULL ||
		(strcmp(status, "draft") != 0 && strcmp(status, "sent") != 0))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("the plan's budget is %s: accept that instead",
											  status)));
}

/*
 * txplan_budget_revives is the guard that a plan, closed since its budget was
 * rejected, has a later version of it that is accepted.
 */
Datum
txplan_budget_revives(PG_FUNCTION_ARGS)
{
	const char *status = BudgetStatus(fcinfo);

	if (status == NULL || strcmp(status, "accepted") != 0)
		PG_RETURN_TEXT_P(cstring_to_text("no budget of the plan is accepted"));
	if (FindsRow(fcinfo, &find_revision))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text("the plan was not closed for a rejected budget of which this is a "
									 "later version"));
}
