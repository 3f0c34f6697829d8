/*
 * spi.h
 *		Saved queries, run as the caller, as the record's owner, or as the engine.
 *
 * Each query is a static SavedQuery beside the code that runs it.  Its text is
 * constant: values go in as parameters, never as text.  All names in it are
 * qualified, and all operators, since a caller's search_path is in force.
 */
#ifndef TXPLAN_SPI_H
#define TXPLAN_SPI_H

#include "compat.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "record.h"

#define QUERY_ARGS_MAX 20

/* Operators of pg_catalog, for the texts of queries */
#define EQ " OPERATOR(pg_catalog.=) "
#define NE " OPERATOR(pg_catalog.<>) "
#define LT " OPERATOR(pg_catalog.<) "
#define GT " OPERATOR(pg_catalog.>) "
#define PLUS " OPERATOR(pg_catalog.+) "
#define MINUS " OPERATOR(pg_catalog.-) "
#define TIMES " OPERATOR(pg_catalog.*) "

typedef struct SavedQuery
{
	const char *sql;
	int nargs;
	Oid argtypes[QUERY_ARGS_MAX];
	SPIPlanPtr plan; /* NULL until the first run */
	uint32 runs;	 /* how often it was run */
	int running;	 /* how often it is being run right now */
} SavedQuery;

/*
 * A query that is kept beside the code that runs it: its text, its types.  The
 * versions of clang-format disagree on a literal of an array.
 */
/* clang-format off */
#define SAVED_QUERY(name, text, ...) \
	static SavedQuery name = { \
		.sql = text, \
		.nargs = lengthof(((const Oid[]){ __VA_ARGS__ })), \
		.argtypes = { __VA_ARGS__ } \
	}
/* clang-format on */

/* The same for a query that takes no values */
#define SAVED_QUERY_OF_NOTHING(name, text) \
	static SavedQuery name = { .sql = text }

typedef enum QueryUser
{
	AS_CALLER,	  /* with the caller's rights and policies */
	AS_OWNER,	  /* as the record's owner, for what rules read */
	AS_OWNER_NOW, /* the same, with the latest snapshot whatever the
								 * isolation level, for what is kept beyond it */
} QueryUser;

extern uint64 RunQuery(SavedQuery *query, QueryUser user, Datum *values,
					   const char *nulls);
extern bool WrittenByEngine(RecordTable table);
extern int TriggerDepth(void);

extern uint64 QueryRows(SavedQuery *query, QueryUser user, Datum *values,
						const char *nulls, Datum *columns, bool *isnull);
extern bool QueryRow(SavedQuery *query, QueryUser user, Datum *values,
					 const char *nulls, Datum *columns, bool *isnull);
extern bool EngineWriteRow(SavedQuery *query, RecordTable table, Datum *values,
						   const char *nulls, Datum *columns, bool *isnull);
extern void EngineWriteRows(SavedQuery *query, RecordTable table, Datum *values,
							const char *nulls, uint64 wanted);
pg_noreturn extern void RaiseNotWritten(RecordTable table);
extern uint64 EngineWrite(SavedQuery *query, RecordTable table, Datum *values,
						  const char *nulls);

extern uint64 EngineRun(const char *sql, RecordTable table, int nargs,
						Oid *types, Datum *values);
extern void RunDefinition(const char *sql);

extern void FetchRow(uint64 row, Datum *values, bool *nulls);
extern Datum ArrayOf(Datum *elements, bool *nulls, int n, Oid type);
extern void ConnectSpi(void);
extern void FinishSpi(void);
extern uint64 AddQueryRows(FunctionCallInfo fcinfo, SavedQuery *query,
						   QueryUser user, Datum *values, const char *nulls);
extern void ReturnQueryRows(FunctionCallInfo fcinfo, SavedQuery *query,
							Datum *values, const char *nulls);

/* Running something as the record's owner outside a query */
typedef struct OwnerScope
{
	Oid user;
	int security;
} OwnerScope;

extern void EnterOwner(OwnerScope *scope, bool restricted);
extern void LeaveOwner(const OwnerScope *scope);

#endif /* TXPLAN_SPI_H */
