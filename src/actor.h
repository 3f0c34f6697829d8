/*
 * actor.h
 *		Who does it.
 */
#ifndef TXPLAN_ACTOR_H
#define TXPLAN_ACTOR_H

#include "compat.h"

extern void InitActor(void);
extern char *CurrentActor(void);
extern char *CurrentRoleName(void);

#endif /* TXPLAN_ACTOR_H */
