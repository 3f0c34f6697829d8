/*
 * announce.h
 *		What a notification of events says.
 */
#ifndef TXPLAN_ANNOUNCE_H
#define TXPLAN_ANNOUNCE_H

#include "compat.h"

#include "utils/uuid.h"

/* Of more events that belong together, only the numbers are told. */
#define EVENTS_TOLD_SINGLY 64

extern void AnnounceEvent(int64 id, const char *type, const pg_uuid_t *plan_id,
						  const pg_uuid_t *clinic_id);
extern void AnnounceBatch(int64 from, int64 to, int64 count);

#endif /* TXPLAN_ANNOUNCE_H */
