/*
 * txplan.c
 *		What happens when the library is loaded.
 */
#include "compat.h"

#include "actor.h"
#include "catalog.h"
#include "claim.h"
#include "event.h"
#include "launcher.h"
#include "notify.h"
#include "number.h"
#include "origin.h"
#include "planlock.h"
#include "recall.h"
#include "record.h"
#include "retention.h"
#include "row.h"
#include "workflow.h"

TXPLAN_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

/*
 * _PG_init defines the settings and registers the callbacks of all rooms.
 */
void
_PG_init(void)
{
	InitActor();
	InitNotify();
	InitLauncher();
	InitRecord();
	InitRow();
	InitWorkflow();
	InitCatalog();
	InitEvent();
	InitOrigin();
	InitClaim();
	InitRetention();
	InitPlanLock();
	InitNumber();
	InitRecall();
	MarkGUCPrefixReserved("txplan");
}
