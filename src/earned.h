/*
 * earned.h
 *		Booking what completed sessions earn.
 */
#ifndef TXPLAN_EARNED_H
#define TXPLAN_EARNED_H

#include "compat.h"

#include "item.h"

extern void BookEarned(const TreatmentPlan *plan, const CountedItem *item,
					   const pg_uuid_t *session_id, const char *label,
					   int64 amount, TimestampTz at);

#endif /* TXPLAN_EARNED_H */
