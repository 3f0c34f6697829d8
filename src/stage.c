/*
 * stage.c
 *		What a plan's status means in any workflow, and how many plans are where.
 *
 * The plans of a clinic are counted without making writers wait for each other:
 * a statement adds rows that say by how many its plans changed, readers add them
 * up, and maintain() now and then makes one row of many.  So are those of each
 * professional who is involved in some.
 */
#include "stage.h"

#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "error.h"
#include "spi.h"

static const char *const stages[STAGES] = { "draft", "pending", "active",
											"completed", "closed" };

SAVED_QUERY(insert_changes,
			"INSERT INTO txplan.plan_count_changes "
			"(clinic_id, professional_id, stage, change) "
			"SELECT c.clinic_id, c.professional_id, c.stage, c.change "
			"FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), "
			"pg_catalog.unnest($3), pg_catalog.unnest($4)) "
			"AS c (clinic_id, professional_id, stage, change)",
			UUIDARRAYOID, UUIDARRAYOID, TEXTARRAYOID, INT8ARRAYOID);

/*
 * Two that fold at once each add up what they themselves deleted.
 */
SAVED_QUERY_OF_NOTHING(fold_changes,
					   "WITH many AS MATERIALIZED ("
					   "SELECT c.clinic_id, c.stage, c.professional_id "
					   "FROM txplan.plan_count_changes AS c "
					   "GROUP BY c.clinic_id, c.stage, c.professional_id "
					   "HAVING pg_catalog.count(*)" GT "1), "
					   "gone AS (DELETE FROM txplan.plan_count_changes AS c "
					   "USING many AS m "
					   "WHERE c.clinic_id" EQ "m.clinic_id "
					   "AND c.stage" EQ "m.stage "
					   "AND (c.professional_id" EQ "m.professional_id "
					   "OR c.professional_id IS NULL "
					   "AND m.professional_id IS NULL) "
					   "RETURNING c.clinic_id, c.stage, c.professional_id, c.change) "
					   "INSERT INTO txplan.plan_count_changes "
					   "(clinic_id, stage, professional_id, change) "
					   "SELECT g.clinic_id, g.stage, g.professional_id, "
					   "pg_catalog.sum(g.change)::pg_catalog.int8 "
					   "FROM gone AS g "
					   "GROUP BY g.clinic_id, g.stage, g.professional_id "
					   "HAVING pg_catalog.sum(g.change)" NE "0");

PG_FUNCTION_INFO_V1(txplan_workflow_states_restage);

/*
 * StageOf is the stage of plans in a state.  A final state is closed where a plan
 * was closed to come to it, else completed.
 */
const char *
StageOf(const WorkflowState *state, bool closes)
{
	if (state->initial)
		return "draft";
	if (state->final)
		return closes ? "closed" : "completed";
	return state->treatable ? "active" : "pending";
}

/*
 * StageNumber is the place of a stage among them, -1 for what is none.
 */
int
StageNumber(const char *stage)
{
	int i;

	for (i = 0; i < STAGES; i++)
		if (strcmp(stages[i], stage) == 0)
			return i;
	return -1;
}

/*
 * StageName is the stage at a place.
 */
const char *
StageName(int number)
{
	return stages[number];
}

/*
 * CountsOf finds the counts of a clinic, or of a professional in it, or adds them.
 */
static ClinicCounts *
CountsOf(StageCounts *counts, const pg_uuid_t *clinic_id,
		 const pg_uuid_t *professional_id)
{
	ClinicCounts *found;
	int i;

	for (i = counts->nclinics; i-- > 0;)
	{
		found = &counts->clinics[i];
		if (found->has_professional == (professional_id != NULL) &&
			(professional_id == NULL ||
			 memcmp(&found->professional_id, professional_id, UUID_LEN) == 0) &&
			memcmp(&found->clinic_id, clinic_id, UUID_LEN) == 0)
			return found;
	}
	if (counts->nclinics == counts->room)
	{
		counts->room = counts->room == 0 ? 4 : counts->room * 2;
		counts->clinics =
			counts->clinics == NULL ?
				(ClinicCounts *) palloc(sizeof(ClinicCounts) * counts->room) :
				(ClinicCounts *) repalloc(counts->clinics,
										  sizeof(ClinicCounts) * counts->room);
	}
	found = &counts->clinics[counts->nclinics++];
	memset(found, 0, sizeof(ClinicCounts));
	found->clinic_id = *clinic_id;
	found->has_professional = professional_id != NULL;
	if (professional_id != NULL)
		found->professional_id = *professional_id;
	return found;
}

/*
 * CountInvolved counts a plan in a stage for each of its professionals.
 */
void
CountInvolved(StageCounts *counts, const pg_uuid_t *clinic_id, Datum stage,
			  Datum professional_ids, int change)
{
	int number = StageNumber(TextDatumGetCString(stage));
	Datum *ids;
	int n;
	int i;

	if (number < 0)
		return;
	deconstruct_array(DatumGetArrayTypeP(professional_ids), UUIDOID, UUID_LEN,
					  false, TYPALIGN_CHAR, &ids, NULL, &n);
	for (i = 0; i < n; i++)
		CountsOf(counts, clinic_id, DatumGetUUIDP(ids[i]))->change[number] +=
			change;
}

/*
 * CountStage counts one row of plans at its stage.
 */
static void
CountStage(StageCounts *counts, const Row *row, int change)
{
	int number;

	if (RowIsNull(row, PLAN_STAGE))
		return;
	number = StageNumber(RowText(row, PLAN_STAGE));
	if (number >= 0)
		CountsOf(counts, RowUuid(row, PLAN_CLINIC_ID), NULL)->change[number] +=
			change;
	if (!RowIsNull(row, PLAN_PROFESSIONAL_IDS))
		CountInvolved(counts, RowUuid(row, PLAN_CLINIC_ID),
					  RowValue(row, PLAN_STAGE),
					  RowValue(row, PLAN_PROFESSIONAL_IDS), change);
}

/*
 * CountStages counts what happened to a plan: one of the rows is NULL where it
 * was made or deleted.
 */
void
CountStages(StageCounts *counts, const Row *old_row, const Row *new_row)
{
	if (old_row != NULL && new_row != NULL &&
		!RowsDiffer(old_row, new_row, PLAN_STAGE))
		return;
	if (old_row != NULL)
		CountStage(counts, old_row, -1);
	if (new_row != NULL)
		CountStage(counts, new_row, 1);
}

/*
 * WriteStageCounts writes what a statement changed: nothing, where no plan moved.
 */
void
WriteStageCounts(const StageCounts *counts)
{
	Datum *columns[4];
	Datum arguments[4];
	bool *no_professional;
	int n = 0;
	int i;
	int j;

	if (counts->nclinics == 0)
		return;
	for (i = 0; i < (int) lengthof(columns); i++)
		columns[i] =
			(Datum *) palloc(sizeof(Datum) * counts->nclinics * STAGES);
	no_professional = (bool *) palloc(sizeof(bool) * counts->nclinics * STAGES);
	for (i = 0; i < counts->nclinics; i++)
		for (j = 0; j < STAGES; j++)
		{
			ClinicCounts *found = &counts->clinics[i];

			if (found->change[j] == 0)
				continue;
			columns[0][n] = UUIDPGetDatum(&found->clinic_id);
			columns[1][n] = UUIDPGetDatum(&found->professional_id);
			no_professional[n] = !found->has_professional;
			columns[2][n] = CStringGetTextDatum(stages[j]);
			columns[3][n] = Int64GetDatum(found->change[j]);
			n++;
		}
	if (n == 0)
		return;
	arguments[0] = ArrayOf(columns[0], NULL, n, UUIDOID);
	arguments[1] = ArrayOf(columns[1], no_professional, n, UUIDOID);
	arguments[2] = ArrayOf(columns[2], NULL, n, TEXTOID);
	arguments[3] = ArrayOf(columns[3], NULL, n, INT8OID);
	EngineWriteRows(&insert_changes, TABLE_PLAN_COUNT_CHANGES, arguments, NULL,
					n);
}

/*
 * FoldStageCounts makes one row of the many that a clinic and stage have.
 */
void
FoldStageCounts(void)
{
	(void) EngineWrite(&fold_changes, TABLE_PLAN_COUNT_CHANGES, NULL, NULL);
}

/*
 * txplan_workflow_states_restage is the trigger on each state of a workflow of
 * which another kind or treatable was set: the plans in it change their stage.
 *
 * It locks plans against writers until the transaction ends, so that none moves
 * by the old definition meanwhile, and sees what is committed at any isolation
 * level.
 */
Datum
txplan_workflow_states_restage(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = OurTrigger(fcinfo, "workflow_states_restage");
	TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);
	Oid types[2] = { TEXTOID, TEXTOID };
	Datum arguments[2];
	bool isnull;

	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return PointerGetDatum(NULL);
	LockRelationOid(RecordRelation(TABLE_PLANS), ShareRowExclusiveLock);
	ConnectSpi();
	arguments[0] = SPI_getbinval(trigger->tg_newtuple, descriptor,
								 SPI_fnumber(descriptor, "workflow"), &isnull);
	arguments[1] = SPI_getbinval(trigger->tg_newtuple, descriptor,
								 SPI_fnumber(descriptor, "state"), &isnull);
	(void)
		EngineRun("INSERT INTO txplan.plan_count_changes "
				  "(clinic_id, professional_id, stage, change) "
				  "SELECT m.clinic_id, d.id, v.stage, "
				  "pg_catalog.sum(v.change)::pg_catalog.int8 "
				  "FROM txplan.misplaced_plans AS m "
				  "JOIN txplan.plans AS p ON p.id" EQ "m.id "
				  "AND p.clinic_id" EQ "m.clinic_id "
				  "CROSS JOIN LATERAL (SELECT NULL::pg_catalog.uuid UNION ALL "
				  "SELECT pg_catalog.unnest(p.professional_ids)) AS d (id) "
				  "CROSS JOIN LATERAL (VALUES (m.stage, -1), (m.expected, 1)) "
				  "AS v (stage, change) "
				  "WHERE m.workflow" EQ "$1 AND m.status" EQ "$2 "
				  "AND v.stage IS NOT NULL GROUP BY m.clinic_id, d.id, v.stage",
				  TABLE_PLAN_COUNT_CHANGES, 2, types, arguments);
	(void) EngineRun("UPDATE txplan.plans AS p SET stage = m.expected "
					 "FROM txplan.misplaced_plans AS m "
					 "WHERE m.id" EQ "p.id AND m.clinic_id" EQ "p.clinic_id "
					 "AND m.workflow" EQ "$1 AND m.status" EQ "$2",
					 TABLE_PLANS, 2, types, arguments);
	FinishSpi();
	return PointerGetDatum(NULL);
}
