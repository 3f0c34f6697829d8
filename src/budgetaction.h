/*
 * budgetaction.h
 *		What can be done with the budget of a plan.
 */
#ifndef TXPLAN_BUDGETACTION_H
#define TXPLAN_BUDGETACTION_H

#include "compat.h"

#include "funcapi.h"

#include "planlock.h"

extern void AddBudgetActions(ReturnSetInfo *result, const TreatmentPlan *plan);

#endif /* TXPLAN_BUDGETACTION_H */
