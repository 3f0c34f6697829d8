/*
 * involved.h
 *		The professionals who are involved in a plan.
 */
#ifndef TXPLAN_INVOLVED_H
#define TXPLAN_INVOLVED_H

#include "compat.h"

#include "planlock.h"

extern Datum OneInvolved(const pg_uuid_t *professional_id);
extern void NoteDoctor(TreatmentPlan *plan, const pg_uuid_t *professional_id);
extern void WriteInvolved(const PlanKey *key);

#endif /* TXPLAN_INVOLVED_H */
