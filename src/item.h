/*
 * item.h
 *		Counting sessions on an item, and finishing it.
 */
#ifndef TXPLAN_ITEM_H
#define TXPLAN_ITEM_H

#include "compat.h"

#include "event.h"
#include "planlock.h"
#include "spi.h"

/*
 * Whether the amount of session s is part of its item's price: one that is
 * cancelled, or whose entry was voided, is not.
 */
#define SESSION_VOIDED                                                   \
	"EXISTS (SELECT 1 FROM txplan.earned_entries AS v "                  \
	"WHERE v.session_id" EQ "s.id AND v.clinic_id" EQ "s.clinic_id AND " \
	"v.voids_id IS NOT NULL)"
#define SESSION_COUNTS "s.status" NE "'cancelled' AND NOT " SESSION_VOIDED

/* What a statement did to the sessions of one item */
typedef struct SessionCounts
{
	int added; /* negative when some were deleted */
	int completed;
	int cancelled;
	int64 price; /* in cents, by which the price changes */
} SessionCounts;

/* An item as it is after its sessions were counted */
typedef struct CountedItem
{
	pg_uuid_t id;
	bool finished; /* by this statement */
	char *status;
	int sessions_total;
	int sessions_completed;
	int sessions_cancelled;
	char *price;
	char *treatment_ref; /* NULL where there is none, as below */
	char *description;
	char *category_key;
	const pg_uuid_t *professional_id;
} CountedItem;

extern bool CountSessions(Settlement *settlement, const TreatmentPlan *plan,
						  const pg_uuid_t *item_id, const SessionCounts *counts,
						  const char *via, CountedItem *item);
pg_noreturn extern void RaiseBothChanged(const pg_uuid_t *item_id);
extern void PublishFinish(Settlement *settlement, TreatmentPlan *plan,
						  const CountedItem *item, const char *via);
extern void PublishItemChange(Settlement *settlement, TreatmentPlan *plan,
							  const pg_uuid_t *item_id,
							  const pg_uuid_t *session_id, const char *changed,
							  bool price_too);

/* itemfacts.c */
extern void SplitItemPrice(TimestampTz at, const pg_uuid_t *item_id,
						   const pg_uuid_t *clinic_id, int64 price,
						   bool pending_required);

#endif /* TXPLAN_ITEM_H */
