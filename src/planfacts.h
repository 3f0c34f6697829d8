/*
 * planfacts.h
 *		What a change of a plan means.
 */
#ifndef TXPLAN_PLANFACTS_H
#define TXPLAN_PLANFACTS_H

#include "compat.h"

#include "event.h"
#include "row.h"

extern List *TreatmentConflicts(const PlanKey *plan);
extern const char *GivenReason(const Row *old_row, const Row *new_row);
extern const char *GivenNote(const Row *old_row, const Row *new_row);
extern void DescribeCreation(Settlement *settlement, TreatmentPlan *plan,
							 const Row *new_row);
extern void DescribeChange(Settlement *settlement, TreatmentPlan *plan,
						   const Row *old_row, const Row *new_row);

#endif /* TXPLAN_PLANFACTS_H */
