/*
 * number.h
 *		Numbers for people, issued without gaps.
 */
#ifndef TXPLAN_NUMBER_H
#define TXPLAN_NUMBER_H

#include "compat.h"

#include "utils/uuid.h"

typedef enum NumberKind
{
	NUMBER_PLAN,
	NUMBER_BUDGET,
} NumberKind;

extern void InitNumber(void);
extern void WriteNumbers(void);
extern char *IssueNumber(NumberKind kind, const pg_uuid_t *id,
						 const pg_uuid_t *clinic_id);

#endif /* TXPLAN_NUMBER_H */
