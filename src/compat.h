/*
 * compat.h
 *		The one place that knows which server the code is built for.
 *
 * Names are those of the newest server; older ones are taught them here.
 */
#ifndef TXPLAN_COMPAT_H
#define TXPLAN_COMPAT_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#if PG_VERSION_NUM < 150000
#error "txplan needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM >= 180000
#define TXPLAN_MODULE_MAGIC \
	PG_MODULE_MAGIC_EXT(.name = "txplan", .version = TXPLAN_VERSION)
#else
#define TXPLAN_MODULE_MAGIC PG_MODULE_MAGIC
#define pg_noreturn pg_attribute_noreturn()
#endif

#endif /* TXPLAN_COMPAT_H */
