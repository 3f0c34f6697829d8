/*
 * registry.h
 *		The people that plans refer to.
 */
#ifndef TXPLAN_REGISTRY_H
#define TXPLAN_REGISTRY_H

#include "compat.h"

#include "commands/trigger.h"
#include "utils/uuid.h"

extern void CheckProfessional(const pg_uuid_t *id, const pg_uuid_t *clinic_id);
extern void CheckPatient(const pg_uuid_t *id, const pg_uuid_t *clinic_id);
extern void CheckClinic(const pg_uuid_t *id);
extern HeapTuple CheckRegistryRow(TriggerData *trigger);

#endif /* TXPLAN_REGISTRY_H */
