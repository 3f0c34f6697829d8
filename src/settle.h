/*
 * settle.h
 *		Going over the plans that a statement touched, one after another.
 */
#ifndef TXPLAN_SETTLE_H
#define TXPLAN_SETTLE_H

#include "compat.h"

#include "nodes/pg_list.h"

#include "event.h"

typedef struct PlanRun
{
	MemoryContext context; /* outlives the run */
	Settlement settlement;
	MemoryContext facts; /* of the settlement, emptied as it is written */
	TreatmentPlan *plan; /* whose facts are being added; NULL at first */
	bool bulk;			 /* plans are written together, at the end */
	List *unwritten;	 /* plans whose facts were added, with bulk */
	List *plans;		 /* all that were touched */
} PlanRun;

extern void BeginRun(PlanRun *run, bool bulk);
extern void EnterPlanOfRun(PlanRun *run, TreatmentPlan *plan);
extern void LeavePlanOfRun(PlanRun *run);
extern void EndRun(PlanRun *run);

#endif /* TXPLAN_SETTLE_H */
