/*
 * action.h
 *		What can be done with a plan.
 */
#ifndef TXPLAN_ACTION_H
#define TXPLAN_ACTION_H

#include "compat.h"

#include "funcapi.h"
#include "nodes/pg_list.h"

extern void AddAvailableAction(ReturnSetInfo *result, const char *kind,
							   const char *action, const char *to_status,
							   bool permitted, List *reasons);

#endif /* TXPLAN_ACTION_H */
