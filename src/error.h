/*
 * error.h
 *		The errors of class TX, and checks of arguments that every room makes.
 */
#ifndef TXPLAN_ERROR_H
#define TXPLAN_ERROR_H

#include "compat.h"

#include "utils/uuid.h"

#define ERRCODE_TX_INVALID_TRANSITION MAKE_SQLSTATE('T', 'X', '0', '0', '1')
#define ERRCODE_TX_TRANSITION_BLOCKED MAKE_SQLSTATE('T', 'X', '0', '0', '2')
#define ERRCODE_TX_PLAN_LOCKED MAKE_SQLSTATE('T', 'X', '0', '0', '3')
#define ERRCODE_TX_ALREADY_FINAL MAKE_SQLSTATE('T', 'X', '0', '0', '4')
#define ERRCODE_TX_REASON_REQUIRED MAKE_SQLSTATE('T', 'X', '0', '0', '5')
#define ERRCODE_TX_STALE_VERSION MAKE_SQLSTATE('T', 'X', '0', '0', '6')
#define ERRCODE_TX_ENGINE_OWNED MAKE_SQLSTATE('T', 'X', '0', '0', '7')
#define ERRCODE_TX_NOT_INSTALLED MAKE_SQLSTATE('T', 'X', '0', '0', '8')
#define ERRCODE_TX_AMOUNTS_DO_NOT_ADD_UP MAKE_SQLSTATE('T', 'X', '0', '0', '9')
#define ERRCODE_TX_WRONG_CLINIC MAKE_SQLSTATE('T', 'X', '0', '1', '0')

/* The longest texts that the record takes, in characters. */
#define NAME_MAX_CHARS 200
#define CODE_MAX_CHARS 60
#define TITLE_MAX_CHARS 500
#define NOTE_MAX_CHARS 10000
#define NOTES_MAX_CHARS 100000

#define UUID_TEXT_SIZE 37

extern void WriteUuid(char *target, const pg_uuid_t *id);
extern char *UuidText(const pg_uuid_t *id);

extern void RequireArgument(FunctionCallInfo fcinfo, int n, const char *name);
extern void CheckTextArgument(FunctionCallInfo fcinfo, int n, const char *name,
							  int max_chars, bool may_be_empty);

pg_noreturn extern void RaiseMissing(const char *kind, const pg_uuid_t *id);
pg_noreturn extern void RaiseSeveralClinics(const char *kind,
											const pg_uuid_t *id);
pg_noreturn extern void RaiseWrongClinic(const char *kind, const pg_uuid_t *id);
pg_noreturn extern void RaiseEngineOwned(const char *table, const char *column,
										 const char *hint);
pg_noreturn extern void RaiseNeverChanges(const char *table,
										  const char *column);

#endif /* TXPLAN_ERROR_H */
