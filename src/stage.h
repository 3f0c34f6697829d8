/*
 * stage.h
 *		What a plan's status means in any workflow, and how many plans are where.
 */
#ifndef TXPLAN_STAGE_H
#define TXPLAN_STAGE_H

#include "compat.h"

#include "row.h"
#include "workflow.h"

#define STAGES 5

/*
 * By how many the plans of a clinic changed in each stage: all of them, or those
 * in which a professional is involved
 */
typedef struct ClinicCounts
{
	pg_uuid_t clinic_id;
	bool has_professional;
	pg_uuid_t professional_id;
	int64 change[STAGES];
} ClinicCounts;

/* What a statement changed; all zero at first */
typedef struct StageCounts
{
	int nclinics;
	int room;
	ClinicCounts *clinics;
} StageCounts;

extern const char *StageOf(const WorkflowState *state, bool closes);
extern int StageNumber(const char *stage);
extern const char *StageName(int number);

extern void CountStages(StageCounts *counts, const Row *old_row,
						const Row *new_row);
extern void CountInvolved(StageCounts *counts, const pg_uuid_t *clinic_id,
						  Datum stage, Datum professional_ids, int change);
extern void WriteStageCounts(const StageCounts *counts);
extern void FoldStageCounts(void);

#endif /* TXPLAN_STAGE_H */
