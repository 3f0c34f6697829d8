/*
 * search.h
 *		Which way the plans are found that have some words.
 */
#ifndef TXPLAN_SEARCH_H
#define TXPLAN_SEARCH_H

#include "compat.h"

#include "listing.h"

/*
 * Whether what a patient or plan is found by has a pattern, as an index of parts
 * answers it; whether it has some letters, as an index of letters does, and then
 * the pattern.  A plan of a query must not ask the index of parts for a pattern
 * that has none: it would read all of the index.
 */
#define HAS_PART(row, pattern) row ".search_text" LIKE_ pattern " "
#define HAS_LETTERS(row, letters)                                                   \
	"pg_catalog.string_to_array(" row                                               \
	".search_text COLLATE pg_catalog.\"C\", NULL) OPERATOR(pg_catalog.@>) " letters \
	" "
#define HAS_WORD(row, pattern, letters) \
	HAS_LETTERS(row, letters)           \
	"AND pg_catalog.like(" row ".search_text, " pattern ") "

/* Words that a search can look for in an index at once */
#define KEY_WORDS 3

/*
 * The plans p that have all words, by way of an index: those of the patients t of
 * whom a condition holds, and those of which another one holds themselves, but for
 * those whose patient has the pattern that it is about.
 *
 * The conditions are about values of the query: three patterns, letters, and the
 * pattern for plans.
 */
#define KEY_TYPES TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID
#define FOUND_BY(of_patient, of_plan, pattern)                    \
	"(SELECT " CHOICE_COLUMNS "FROM txplan.patients AS t "        \
	"JOIN txplan.plans AS p ON p.patient_id" EQ "t.id "           \
	"AND p.clinic_id" EQ "t.clinic_id "                           \
	"WHERE t.clinic_id" EQ "$1 AND " of_patient "AND " HAS_WORDS  \
	" UNION ALL SELECT " CHOICE_COLUMNS "FROM txplan.plans AS p " \
	"JOIN txplan.patients AS t ON t.id" EQ "p.patient_id "        \
	"AND t.clinic_id" EQ "p.clinic_id "                           \
	"WHERE p.clinic_id" EQ "$1 AND " of_plan                      \
	"AND NOT t.search_text" LIKE_ pattern " AND " HAS_WORDS ") AS p "
#define FOUND_BY_PARTS(a, b, c, pattern) \
	FOUND_BY(HAS_PARTS(a, b, c), HAS_PART("p", pattern), pattern)
#define HAS_PARTS(a, b, c) \
	HAS_PART("t", a) "AND " HAS_PART("t", b) "AND " HAS_PART("t", c)
#define FOUND_BY_LETTERS(letters, pattern)                               \
	FOUND_BY(HAS_LETTERS("t", letters), HAS_WORD("p", pattern, letters), \
			 pattern)

/* By which index the plans are found */
typedef enum KeyIndex
{
	KEY_NONE,
	KEY_PARTS,
	KEY_LETTERS,
} KeyIndex;

extern void SetWords(PlanList *list, FunctionCallInfo fcinfo, int search);
extern KeyIndex FindRareWord(PlanList *list, int value, KeyIndex index);
extern KeyIndex FindNames(PlanList *list, int value);

#endif /* TXPLAN_SEARCH_H */
