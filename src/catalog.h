/*
 * catalog.h
 *		What a clinic offers, as new items take it.
 */
#ifndef TXPLAN_CATALOG_H
#define TXPLAN_CATALOG_H

#include "compat.h"

#include "utils/uuid.h"

typedef struct CatalogKey
{
	pg_uuid_t id;
	pg_uuid_t clinic_id;
} CatalogKey;

/* A catalog item with its template, read for the statement at hand */
typedef struct CatalogEntry
{
	CatalogKey key;
	char *name;
	char *category_key; /* NULL when it has none */
	int64 price;		/* in cents */
	bool active;
	int nsteps;	   /* 0 without a template */
	char **labels; /* NULL where a step has none */
	int64 *prices; /* of the steps, in cents */
} CatalogEntry;

extern void InitCatalog(void);
extern const CatalogEntry *FindCatalogEntry(const pg_uuid_t *id,
											const pg_uuid_t *clinic_id);
extern void ForgetCatalog(void);

#endif /* TXPLAN_CATALOG_H */
