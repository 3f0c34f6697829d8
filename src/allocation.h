/*
 * allocation.h
 *		Money in cents, and splitting it so that the parts add up.
 */
#ifndef TXPLAN_ALLOCATION_H
#define TXPLAN_ALLOCATION_H

#include "compat.h"

/* numeric(12,2) holds at most 9999999999.99 */
#define AMOUNT_MAX_CENTS INT64CONST(999999999999)
#define PARTS_MAX 500

extern bool TextToCents(const char *digits, int64 *cents);
extern void CheckAmount(Datum amount, const char *name);
extern int64 Cents(Datum amount);
extern Datum CentsToAmount(int64 cents);
extern void SplitCents(int64 total, const int64 *weights, int64 *parts, int n);

#endif /* TXPLAN_ALLOCATION_H */
