/*
 * livebudget.c
 *		The budget that is a plan's at the moment: telling of it, and what it does
 *		when the plan moves.
 *
 * A plan's row names its live budget, or the last that was live, with its status.
 * That is written under the plan's lock, so whoever holds the lock knows whether
 * the plan is locked without another look.
 */
#include "livebudget.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "error.h"
#include "transition.h"

static bool filling = false;
static int filling_depth = 0; /* triggers around the INSERT it belongs to */

SAVED_QUERY(point_plan,
			"UPDATE txplan.plans SET budget_id = $3, budget_status = $4, "
			"search_text = txplan.fold_text(pg_catalog.concat_ws(' ', number, "
			"(SELECT b.number FROM txplan.budgets AS b "
			"WHERE b.id" EQ "$3 AND b.clinic_id" EQ "$2))) "
			"WHERE id" EQ "$1 AND clinic_id" EQ "$2",
			UUIDOID, UUIDOID, UUIDOID, TEXTOID);

SAVED_QUERY(read_budget,
			"SELECT b.number, b.version, b.status, b.subtotal, b.total, "
			"pg_catalog.to_char(b.valid_until, 'YYYY-MM-DD'), b.supersedes_id, "
			"(SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object("
			"'line_id', l.id, 'item_id', l.item_id, "
			"'description', l.description, "
			"'unit_price', l.unit_price::pg_catalog.text, "
			"'quantity', l.quantity, "
			"'net_amount', l.net_amount::pg_catalog.text) ORDER BY l.position) "
			"FROM txplan.budget_lines AS l "
			"WHERE l.budget_id" EQ "b.id AND l.clinic_id" EQ "b.clinic_id) "
			"FROM txplan.budgets AS b "
			"WHERE b.id" EQ "$1 AND b.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(cancel_budget,
			"UPDATE txplan.budgets SET status = 'cancelled', decided_at = $3, "
			"decided_by = $4, updated_at = $3 "
			"WHERE id" EQ "$1 AND clinic_id" EQ "$2",
			UUIDOID, UUIDOID, TIMESTAMPTZOID, TEXTOID);

SAVED_QUERY(clinic_quotes,
			"SELECT c.budget_on_confirm FROM txplan.clinics AS c WHERE c.id" EQ
			"$1",
			UUIDOID);

SAVED_QUERY(find_pending,
			"SELECT 1 FROM txplan.items AS i "
			"WHERE i.plan_id" EQ "$1 AND i.clinic_id" EQ "$2 "
			"AND i.status" EQ "'pending' LIMIT 1",
			UUIDOID, UUIDOID);

SAVED_QUERY(insert_budget,
			"INSERT INTO txplan.budgets (plan_id, clinic_id, patient_id) "
			"VALUES ($1, $2, $3) RETURNING id",
			UUIDOID, UUIDOID, UUIDOID);

/*
 * PointPlan makes a plan's row name its budget.
 */
void
PointPlan(TreatmentPlan *plan, const pg_uuid_t *budget_id, const char *status)
{
	Datum arguments[4];

	arguments[0] = UUIDPGetDatum(&plan->key.id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[2] = UUIDPGetDatum(budget_id);
	arguments[3] = CStringGetTextDatum(status);
	EngineWriteRows(&point_plan, TABLE_PLANS, arguments, NULL, 1);
	plan->has_budget = true;
	plan->budget_id = *budget_id;
	plan->budget_status = MemoryContextStrdup(TopTransactionContext, status);
}

/*
 * TellLines adds the lines of a budget, an empty list where there is none.
 */
static void
TellLines(Payload *payload, Datum lines, bool none)
{
	if (none)
		lines = DirectFunctionCall1(jsonb_in, CStringGetDatum(pstrdup("[]")));
	PayloadJson(payload, "lines", DatumGetJsonbP(lines));
}

/*
 * TellBudget publishes what happened to a budget of the plan whose facts are being
 * added, and records it.
 */
void
TellBudget(PlanRun *run, const BudgetFact *fact)
{
	HistoryRow row = { 0 };
	Datum arguments[2];
	Datum values[8];
	bool nulls[8];
	Payload payload;
	char *name;
	bool decided_against;

	arguments[0] = UUIDPGetDatum(&fact->budget_id);
	arguments[1] = UUIDPGetDatum(&run->plan->key.clinic_id);
	if (!QueryRow(&read_budget, AS_OWNER, arguments, NULL, values, nulls))
		elog(ERROR, "budget \"%s\" is gone", UuidText(&fact->budget_id));
	decided_against = strcmp(fact->event, "budget.rejected") == 0 ||
					  strcmp(fact->event, "budget.cancelled") == 0;

	name = psprintf("%s v%d", TextDatumGetCString(values[0]),
					DatumGetInt32(values[1]));
	row.what = "budget";
	row.from_value =
		fact->from == NULL ? NULL : psprintf("%s %s", name, fact->from);
	row.to_value = psprintf("%s %s", name, TextDatumGetCString(values[2]));
	row.action = fact->action;
	row.note = fact->note;
	RecordHistory(&run->settlement, run->plan, &row);

	BeginPayload(&payload);
	PayloadUuid(&payload, "budget_id", &fact->budget_id);
	PayloadText(&payload, "budget_number", TextDatumGetCString(values[0]));
	PayloadInteger(&payload, "version", DatumGetInt32(values[1]));
	PayloadText(&payload, "status", TextDatumGetCString(values[2]));
	PayloadAmount(&payload, "subtotal", values[3]);
	PayloadAmount(&payload, "total", values[4]);
	PayloadText(&payload, "valid_until",
				nulls[5] ? NULL : TextDatumGetCString(values[5]));
	if (strcmp(fact->event, "budget.created") == 0)
		PayloadUuid(&payload, "supersedes_id",
					nulls[6] ? NULL : DatumGetUUIDP(values[6]));
	if (strcmp(fact->event, "budget.superseded") == 0)
		PayloadUuid(&payload, "superseded_by", fact->successor);
	if (decided_against)
		PayloadText(&payload, "note", fact->note);
	else if (strcmp(fact->event, "budget.created") == 0 ||
			 strcmp(fact->event, "budget.sent") == 0 ||
			 strcmp(fact->event, "budget.accepted") == 0)
		TellLines(&payload, values[7], nulls[7]);
	PublishEvent(&run->settlement, run->plan, fact->event, &payload);
}

/*
 * TellBudgetChange tells that something of a budget changed for which there is no
 * event of its own.
 */
void
TellBudgetChange(PlanRun *run, const pg_uuid_t *budget_id, const char *changed)
{
	Payload payload;

	BeginPayload(&payload);
	PayloadUuid(&payload, "budget_id", budget_id);
	PayloadJson(&payload, "changed", NameList(changed, NULL));
	PublishEvent(&run->settlement, run->plan, "treatment_plan.updated",
				 &payload);
}

/*
 * IsFilling tells whether the statement whose trigger asks is the INSERT of a
 * budget that is to quote the plan's pending items.
 */
bool
IsFilling(void)
{
	return filling && TriggerDepth() == filling_depth + 1;
}

/*
 * FillNewBudget runs the INSERT of a budget that quotes its plan's items, and
 * gives its id; false when a trigger of somebody else's swallowed it.
 */
bool
FillNewBudget(SavedQuery *query, QueryUser user, Datum *values, Datum *id)
{
	bool saved = filling;
	int saved_depth = filling_depth;
	bool isnull;
	bool found = false;

	PG_TRY();
	{
		filling = true;
		filling_depth = TriggerDepth();
		found = QueryRow(query, user, values, NULL, id, &isnull);
	}
	PG_FINALLY();
	{
		filling = saved;
		filling_depth = saved_depth;
	}
	PG_END_TRY();
	return found;
}

/*
 * HasPendingItem tells whether anything of a plan is left to quote.
 */
bool
HasPendingItem(const PlanKey *plan)
{
	Datum arguments[2];
	Datum one;
	bool isnull;

	arguments[0] = UUIDPGetDatum(&plan->id);
	arguments[1] = UUIDPGetDatum(&plan->clinic_id);
	return QueryRow(&find_pending, AS_OWNER, arguments, NULL, &one, &isnull);
}

/*
 * WaitsForBudget tells whether a plan is in a state that it leaves by itself when
 * its budget is accepted.
 */
bool
WaitsForBudget(const TreatmentPlan *plan)
{
	const Workflow *workflow = RequireWorkflow(plan->workflow);
	int i;

	for (i = 0; i < workflow->ntransitions; i++)
	{
		const WorkflowTransition *transition = &workflow->transitions[i];
		ListCell *cell;

		if (!transition->automatic ||
			strcmp(transition->from_state, plan->status) != 0)
			continue;
		foreach(cell, transition->guards)
			if (strcmp((char *) lfirst(cell), "txplan.budget_is_accepted") == 0)
				return true;
	}
	return false;
}

/*
 * WriteCancelled writes that a budget is cancelled.
 */
void
WriteCancelled(const pg_uuid_t *budget_id, const pg_uuid_t *clinic_id,
			   const Settlement *settlement)
{
	Datum arguments[4];

	arguments[0] = UUIDPGetDatum(budget_id);
	arguments[1] = UUIDPGetDatum(clinic_id);
	arguments[2] = TimestampTzGetDatum(settlement->at);
	arguments[3] = CStringGetTextDatum(settlement->actor);
	EngineWriteRows(&cancel_budget, TABLE_BUDGETS, arguments, NULL, 1);
}

/*
 * CancelFor cancels the live budget of a plan that moved, which triggers nothing
 * back.
 */
static void
CancelFor(TreatmentPlan *plan, const char *action)
{
	BudgetFact fact = { .event = "budget.cancelled" };
	PlanRun run;

	fact.budget_id = plan->budget_id;
	fact.from = plan->budget_status;
	fact.action = action;
	BeginRun(&run, false);
	WriteCancelled(&plan->budget_id, &plan->key.clinic_id, &run.settlement);
	PointPlan(plan, &fact.budget_id, "cancelled");
	EnterPlanOfRun(&run, plan);
	TellBudget(&run, &fact);
	EndRun(&run);
}

/*
 * QuoteConfirmed makes the budget of a plan that was confirmed, in a clinic that
 * wants it so.
 */
static void
QuoteConfirmed(const TreatmentPlan *plan)
{
	Datum arguments[3];
	Datum quotes;
	Datum id;
	bool isnull;

	arguments[0] = UUIDPGetDatum(&plan->key.clinic_id);
	if (!QueryRow(&clinic_quotes, AS_OWNER, arguments, NULL, &quotes,
				  &isnull) ||
		!DatumGetBool(quotes) || !HasPendingItem(&plan->key))
		return;
	arguments[0] = UUIDPGetDatum(&plan->key.id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[2] = UUIDPGetDatum(&plan->patient_id);
	(void) FillNewBudget(&insert_budget, AS_OWNER, arguments, &id);
}

/*
 * BudgetFollows does to the budget of a plan what a transition of the plan means:
 * closing cancels the live one, completing one that is not accepted, going back to
 * the beginning one that was sent; and confirming may make one.
 */
void
BudgetFollows(TreatmentPlan *plan, const WorkflowTransition *transition)
{
	const Workflow *workflow = RequireWorkflow(plan->workflow);
	const WorkflowState *from = FindState(workflow, transition->from_state);
	const WorkflowState *to = FindState(workflow, transition->to_state);
	bool accepted;

	if (!HasLiveBudget(plan))
	{
		if (from->initial && !to->initial && !to->final)
			QuoteConfirmed(plan);
		return;
	}
	accepted = strcmp(plan->budget_status, "accepted") == 0;
	if (TransitionCloses(workflow, transition) || (to->final && !accepted) ||
		(to->initial && strcmp(plan->budget_status, "sent") == 0))
		CancelFor(plan, transition->action);
}
