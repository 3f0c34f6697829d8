/*
 * zone.h
 *		Time zones that a clinic can keep its calendar by.
 */
#ifndef TXPLAN_ZONE_H
#define TXPLAN_ZONE_H

#include "compat.h"

extern const char *ZoneFault(const char *name);
extern bool IsZoneKnown(const char *name);

#endif /* TXPLAN_ZONE_H */
