/*
 * guard.h
 *		Asking the guards of a transition.
 */
#ifndef TXPLAN_GUARD_H
#define TXPLAN_GUARD_H

#include "compat.h"

#include "planlock.h"
#include "workflow.h"

extern List *GuardReasons(const WorkflowTransition *transition,
						  const PlanKey *plan, bool only_ask);
extern char *JoinReasons(List *reasons);

#endif /* TXPLAN_GUARD_H */
