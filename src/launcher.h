/*
 * launcher.h
 *		Starting notifiers with the server, where the library is preloaded.
 */
#ifndef TXPLAN_LAUNCHER_H
#define TXPLAN_LAUNCHER_H

#include "compat.h"

extern void InitLauncher(void);
extern bool IsLaunched(void);

#endif /* TXPLAN_LAUNCHER_H */
