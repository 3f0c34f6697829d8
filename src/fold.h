/*
 * fold.h
 *		Texts without case and accents, for searching.
 */
#ifndef TXPLAN_FOLD_H
#define TXPLAN_FOLD_H

#include "compat.h"

extern char *FoldText(const char *given);
extern char *FoldPatient(const char *first_name, const char *last_name,
						 const char *phone);

#endif /* TXPLAN_FOLD_H */
