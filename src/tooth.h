/*
 * tooth.h
 *		Teeth and their surfaces.
 */
#ifndef TXPLAN_TOOTH_H
#define TXPLAN_TOOTH_H

#include "compat.h"

extern void CheckTooth(int tooth);
extern void CheckSurfaces(const char *surfaces, bool has_tooth, int tooth);

#endif /* TXPLAN_TOOTH_H */
