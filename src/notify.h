/*
 * notify.h
 *		Telling listeners of events, once their transaction commits.
 */
#ifndef TXPLAN_NOTIFY_H
#define TXPLAN_NOTIFY_H

#include "compat.h"

#include "utils/uuid.h"

extern void InitNotify(void);
extern void NotifyOfEvent(int64 id, const char *type, const pg_uuid_t *plan_id,
						  const pg_uuid_t *clinic_id);

#endif /* TXPLAN_NOTIFY_H */
