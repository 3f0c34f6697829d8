/*
 * planlock.h
 *		The plans that a transaction holds locked, as the engine sees them.
 */
#ifndef TXPLAN_PLANLOCK_H
#define TXPLAN_PLANLOCK_H

#include "compat.h"

#include "datatype/timestamp.h"
#include "utils/uuid.h"

#include "error.h"
#include "row.h"

#define HASH_BYTES 32

typedef struct PlanKey
{
	pg_uuid_t id;
	pg_uuid_t clinic_id;
} PlanKey;

/*
 * A plan that this transaction has locked.  The counters, version and history
 * of the row are those of the table as soon as WritePlan has run.
 */
typedef struct TreatmentPlan
{
	PlanKey key;
	bool busy;			 /* facts are added that its row does not have yet */
	bool distrusted;	 /* a client's UPDATE of the row is under way */
	bool valid;			 /* whether the rest is that of the row */
	TimestampTz read_at; /* start of the client's statement that read it */
	char id_text[UUID_TEXT_SIZE];
	char clinic_text[UUID_TEXT_SIZE];
	char patient_text[UUID_TEXT_SIZE];
	char *number;
	char *workflow;
	char *status;
	pg_uuid_t patient_id;
	bool has_professional;
	pg_uuid_t professional_id;
	int32 items_total;
	int32 items_completed;
	int32 items_cancelled;
	int64 version;
	int64 history_length;
	uint8 history_head[HASH_BYTES];
	bool has_budget; /* the live one, else the last that was */
	pg_uuid_t budget_id;
	char *budget_status; /* NULL without */
	int32 next_position; /* of a new item; 0 when not looked up yet */
	bool involves_others; /* who is involved is to be looked up, see involved.c */
} TreatmentPlan;

extern void InitPlanLock(void);
extern TreatmentPlan *LockPlan(const pg_uuid_t *id, const pg_uuid_t *clinic_id);
extern TreatmentPlan *LockArgument(FunctionCallInfo fcinfo, RecordTable table,
								   int clinic_argument);
extern TreatmentPlan *RequirePlanOf(const pg_uuid_t *plan_id,
									const pg_uuid_t *clinic_id);
extern TreatmentPlan *HeldPlan(const pg_uuid_t *id, const pg_uuid_t *clinic_id);
extern void RefreshPlan(TreatmentPlan *plan);
extern void DistrustPlan(const pg_uuid_t *id, const pg_uuid_t *clinic_id);
extern void ForgetPlan(const pg_uuid_t *id, const pg_uuid_t *clinic_id);
extern void PlanFromRow(TreatmentPlan *plan, const Row *row);
extern bool FindClinicOf(RecordTable table, const pg_uuid_t *id,
						 pg_uuid_t *clinic_id, pg_uuid_t *plan_id);

#endif /* TXPLAN_PLANLOCK_H */
