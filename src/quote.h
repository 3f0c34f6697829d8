/*
 * quote.h
 *		The lines of a budget: how they follow the plan, and what they add up to.
 */
#ifndef TXPLAN_QUOTE_H
#define TXPLAN_QUOTE_H

#include "compat.h"

#include "datatype/timestamp.h"

#include "planlock.h"

extern bool HasLiveBudget(const TreatmentPlan *plan);
extern bool HasDraftBudget(const TreatmentPlan *plan);
extern bool IsLocked(const TreatmentPlan *plan);
extern void RequireUnlocked(const TreatmentPlan *plan, const char *what);

extern void RequireStillDraft(const TreatmentPlan *plan);

extern int64 DiscountOf(int64 amount, Datum percent, bool no_percent,
						Datum fixed, bool no_fixed);
extern void OrderLines(const pg_uuid_t *budget_id, const pg_uuid_t *clinic_id,
					   TimestampTz at);
extern void ReckonBudget(const pg_uuid_t *budget_id, const pg_uuid_t *clinic_id,
						 TimestampTz at);

extern void QuoteItems(const TreatmentPlan *plan, TimestampTz at);
extern void UnquoteItem(const TreatmentPlan *plan, const pg_uuid_t *item_id);
extern void RequoteItem(const TreatmentPlan *plan, const pg_uuid_t *item_id,
						TimestampTz at);
extern void ReorderQuote(const TreatmentPlan *plan, TimestampTz at);
extern void SyncQuote(const TreatmentPlan *plan, const pg_uuid_t *budget_id,
					  TimestampTz at);

#endif /* TXPLAN_QUOTE_H */
