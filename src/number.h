/*
 * number.h
 *		Numbers for people, issued without gaps.
 */
#ifndef TXPLAN_NUMBER_H
#define TXPLAN_NUMBER_H

#include "compat.h"

#include "utils/uuid.h"

extern void InitNumber(void);
extern void WriteNumbers(void);
extern char *NextPlanNumber(const pg_uuid_t *plan_id,
							const pg_uuid_t *clinic_id);

#endif /* TXPLAN_NUMBER_H */
