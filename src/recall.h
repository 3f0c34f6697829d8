/*
 * recall.h
 *		When a treated patient should come again.
 */
#ifndef TXPLAN_RECALL_H
#define TXPLAN_RECALL_H

#include "compat.h"

#include "utils/timestamp.h"

#include "item.h"

extern void InitRecall(void);
extern void SuggestRecall(const TreatmentPlan *plan, const CountedItem *item,
						  TimestampTz at);
extern void CloseRecall(const pg_uuid_t *recall_id, const pg_uuid_t *clinic_id,
						const pg_uuid_t *appointment_id);
extern void CheckRecall(const pg_uuid_t *recall_id, const pg_uuid_t *clinic_id,
						const pg_uuid_t *patient_id);
extern void ReopenRecall(const pg_uuid_t *recall_id, const pg_uuid_t *clinic_id,
						 const pg_uuid_t *appointment_id);

#endif /* TXPLAN_RECALL_H */
