/*
 * livebudget.h
 *		The budget that is a plan's at the moment: telling of it, and what it does
 *		when the plan moves.
 */
#ifndef TXPLAN_LIVEBUDGET_H
#define TXPLAN_LIVEBUDGET_H

#include "compat.h"

#include "quote.h"
#include "settle.h"
#include "spi.h"
#include "workflow.h"

/* What happened to a budget, of which its plan tells */
typedef struct BudgetFact
{
	pg_uuid_t budget_id;
	const char *event; /* budget.created and the like */
	const char *from;  /* its status before; NULL when it is new */
	const char *action;
	const char *note;
	const pg_uuid_t *successor; /* the version that superseded it */
} BudgetFact;

extern void PointPlan(TreatmentPlan *plan, const pg_uuid_t *budget_id,
					  const char *status);
extern void TellBudget(PlanRun *run, const BudgetFact *fact);

extern void TellBudgetChange(PlanRun *run, const pg_uuid_t *budget_id,
							 const char *changed);

extern void WriteCancelled(const pg_uuid_t *budget_id,
						   const pg_uuid_t *clinic_id,
						   const Settlement *settlement);
extern bool IsFilling(void);
extern bool FillNewBudget(SavedQuery *query, QueryUser user, Datum *values,
						  Datum *id);
extern bool HasPendingItem(const PlanKey *plan);

extern bool WaitsForBudget(const TreatmentPlan *plan);
extern void BudgetFollows(TreatmentPlan *plan,
						  const WorkflowTransition *transition);

#endif /* TXPLAN_LIVEBUDGET_H */
