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

#include "transition.h"

/* Facts are written when so many are waiting. */
#define FACTS_AT_ONCE 2000

/*
 * BeginRun begins in the memory at hand, which must outlive the run.
 */
void
BeginRun(PlanRun *run)
{
	run->context = CurrentMemoryContext;
	run->facts =
		AllocSetContextCreate(CurrentMemoryContext, "txplan settlement",
							  ALLOCSET_DEFAULT_SIZES);
	BeginSettlement(&run->settlement, GetCurrentTimestamp(), false);
	run->settlement.context = run->facts;
	run->plan = NULL;
	run->plans = NIL;
}

/*
 * LeavePlanOfRun writes the row of the plan whose facts were added.
 */
void
LeavePlanOfRun(PlanRun *run)
{
	Settlement *settlement = &run->settlement;

	if (run->plan == NULL)
		return;
	WritePlan(settlement, run->plan);
	run->plan = NULL;
	if (settlement->nevents + settlement->nhistory > FACTS_AT_ONCE)
	{
		FlushSettlement(settlement);
		settlement->events = NULL;
		settlement->history = NULL;
		settlement->event_room = settlement->history_room = 0;
		MemoryContextReset(run->facts);
	}
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
	FlushSettlement(&run->settlement);
	foreach(cell, run->plans)
	{
		TreatmentPlan *plan = (TreatmentPlan *) lfirst(cell);

		RefreshPlan(plan);

		/* Looked up anew by the next statement that adds an item. */
		plan->next_position = 0;
		if (MayAdvance(plan))
			AdvancePlan(plan);
	}
	MemoryContextDelete(run->facts);
}
