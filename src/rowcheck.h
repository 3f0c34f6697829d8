/*
 * rowcheck.h
 *		The triggers before each row: who looks at what a client writes.
 */
#ifndef TXPLAN_ROWCHECK_H
#define TXPLAN_ROWCHECK_H

#include "compat.h"

#include "row.h"

/* What a table checks, and fills in, before a client's row is written */
typedef struct RowChecks
{
	const char *trigger; /* the function that PostgreSQL calls */
	RecordTable table;
	void (*check_insert)(Row *row);
	void (*check_update)(Row *row, const Row *old_row);
	void (*check_delete)(const Row *row);
} RowChecks;

extern bool IsThere(const Row *row, RecordTable table);
extern Datum CheckRow(FunctionCallInfo fcinfo, const RowChecks *checks);

#endif /* TXPLAN_ROWCHECK_H */
