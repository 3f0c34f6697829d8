/*
 * sweep.h
 *		What becomes of budgets and plans as days pass.
 */
#ifndef TXPLAN_SWEEP_H
#define TXPLAN_SWEEP_H

#include "compat.h"

#include "datatype/timestamp.h"

extern void SweepPlans(FunctionCallInfo fcinfo, TimestampTz at, int max_plans);

#endif /* TXPLAN_SWEEP_H */
