/*
 * settle.c
 *		Going over the plans that a statement touched, one after another.
 *
 * The facts of a plan are added, then its row is written, then the next plan's
 * turn comes; events and history are written in bulk.  When all is written, each
 * plan may advance.
 */
#include "settle.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "involved.h"
#include "transition.h"

/* Facts are written when so many are waiting. */
#define FACTS_AT_ONCE 2000

/*
 * BeginRun begins in the memory at hand, which must outlive the run.
 *
 * Plans are written in bulk where nothing is run between the facts of two plans
 * that could fire a trigger of somebody else's.
 */
void
BeginRun(PlanRun *run, bool bulk)
{
	run->context = CurrentMemoryContext;
	run->facts =
		AllocSetContextCreate(CurrentMemoryContext, "txplan settlement",
							  ALLOCSET_DEFAULT_SIZES);
	BeginSettlement(&run->settlement, GetCurrentTimestamp(), false);
	run->settlement.context = run->facts;
	run->plan = NULL;
	run->bulk = bulk;
	run->unwritten = NIL;
	run->plans = NIL;
}

/*
 * WriteFacts writes the plans that wait, and the facts.
 */
static void
WriteFacts(PlanRun *run)
{
	Settlement *settlement = &run->settlement;
	MemoryContext old = MemoryContextSwitchTo(run->facts);

	if (run->unwritten != NIL)
	{
		ListCell *cell;

		foreach(cell, run->unwritten)
			((TreatmentPlan *) lfirst(cell))->busy = false;
		WritePlans(settlement, run->unwritten);
	}
	MemoryContextSwitchTo(old);
	list_free(run->unwritten);
	run->unwritten = NIL;
	FlushSettlement(settlement);
	settlement->events = NULL;
	settlement->history = NULL;
	settlement->event_room = settlement->history_room = 0;
	MemoryContextReset(run->facts);
}

/*
 * LeavePlanOfRun writes the row of the plan whose facts were added, or keeps it
 * to be written with others.
 */
void
LeavePlanOfRun(PlanRun *run)
{
	Settlement *settlement = &run->settlement;

	if (run->plan == NULL)
		return;
	if (run->bulk)
	{
		MemoryContext old = MemoryContextSwitchTo(run->context);

		run->unwritten = list_append_unique_ptr(run->unwritten, run->plan);
		MemoryContextSwitchTo(old);
	}
	else
	{
		run->plan->busy = false;
		WritePlan(settlement, run->plan);
	}
	run->plan = NULL;
	if (settlement->nevents + settlement->nhistory > FACTS_AT_ONCE)
		WriteFacts(run);
}

/*
 * EnterPlanOfRun makes a plan the one whose facts are added.
 */
void
EnterPlanOfRun(PlanRun *run, TreatmentPlan *plan)
{
	MemoryContext old;

	if (run->plan == plan)
		return;
	LeavePlanOfRun(run);
	RefreshPlan(plan);
	plan->busy = true;
	run->plan = plan;
	old = MemoryContextSwitchTo(run->context);
	run->plans = lappend(run->plans, plan);
	MemoryContextSwitchTo(old);
}

/*
 * EndRun writes what is left, and lets the plans advance.
 */
void
EndRun(PlanRun *run)
{
	ListCell *cell;

	LeavePlanOfRun(run);
	WriteFacts(run);
	foreach(cell, run->plans)
	{
		TreatmentPlan *plan = (TreatmentPlan *) lfirst(cell);

		RefreshPlan(plan);

		/* Looked up anew by the next statement that adds an item. */
		plan->next_position = 0;
		if (plan->involves_others)
		{
			plan->involves_others = false;
			WriteInvolved(&plan->key);
		}
		if (MayAdvance(plan))
			AdvancePlan(plan);
	}
	MemoryContextDelete(run->facts);
}
