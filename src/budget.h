/*
 * budget.h
 *		What the rooms of budgets share: their states, and finding them.
 */
#ifndef TXPLAN_BUDGET_H
#define TXPLAN_BUDGET_H

#include "compat.h"

#include "planlock.h"

/* A budget as it was found, perhaps not locked */
typedef struct FoundBudget
{
	pg_uuid_t id;
	pg_uuid_t clinic_id;
	bool linked;
	pg_uuid_t plan_id;
	char *status;
	char *number;
	int version;
	char *since; /* when it was sent or decided; NULL for a draft */
	char *by;	 /* who noted the decision; NULL when there is none */
} FoundBudget;

extern bool FindBudget(const pg_uuid_t *id, const pg_uuid_t *clinic_id,
					   FoundBudget *budget);
extern void RequireBudget(FunctionCallInfo fcinfo, int clinic_argument,
						  FoundBudget *budget);
extern TreatmentPlan *LockPlanOf(const FoundBudget *budget);
extern void LockBudget(FoundBudget *budget);

extern bool HasWay(const char *from, const char *to);
extern bool IsDecided(const char *status);
extern char *LegalBudgetActions(const char *status);
pg_noreturn extern void RaiseNotDraft(const FoundBudget *budget,
									  const char *what);
pg_noreturn extern void RaiseAlready(const FoundBudget *budget);
extern bool IsClosedAsRejected(const TreatmentPlan *plan);
extern bool IsRevision(const pg_uuid_t *budget_id, const pg_uuid_t *clinic_id);

#endif /* TXPLAN_BUDGET_H */
