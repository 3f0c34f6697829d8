/*
 * search.c
 *		Which way the plans are found that have some words.
 *
 * A word may stand in what the patient is found by or in what the plan is found
 * by.  Where a word is rare, an index leads to all that have it.  Where each is
 * frequent, a page is soon full along the list, unless they seldom meet; then the
 * words that no plan has lead to the patients who have all of these.
 */
#include "search.h"

#include <ctype.h>

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "error.h"
#include "fold.h"

#define SEARCH_MAX_CHARS 200

/* Of a word that finds no more, all plans are looked at */
#define RARE_MAX 500

/* So many letters or digits in a row are a part that the index of parts knows */
#define PART_CHARS 3

/* How many words are looked for in plans at most, to find names */
#define NAMES_ASKED 8

#define COUNT_FOUND(of_patient, of_plan)                                  \
	"SELECT (SELECT pg_catalog.count(*) FROM (SELECT "                    \
	"FROM txplan.patients AS t WHERE t.clinic_id" EQ "$1 AND " of_patient \
	"LIMIT $4) AS a)" PLUS "(SELECT pg_catalog.count(*) FROM (SELECT "    \
	"FROM txplan.plans AS p WHERE p.clinic_id" EQ "$1 AND " of_plan       \
	"LIMIT $4) AS b)"
#define FIND_IN_PLANS(of_plan)                                               \
	"SELECT 1 FROM txplan.plans AS p WHERE p.clinic_id" EQ "$1 AND " of_plan \
	"LIMIT 1"

SAVED_QUERY(count_by_parts,
			COUNT_FOUND(HAS_PART("t", "$2"), HAS_PART("p", "$2")), UUIDOID,
			TEXTOID, TEXTARRAYOID, INT8OID);

SAVED_QUERY(count_by_letters,
			COUNT_FOUND(HAS_WORD("t", "$2", "$3"), HAS_WORD("p", "$2", "$3")),
			UUIDOID, TEXTOID, TEXTARRAYOID, INT8OID);

SAVED_QUERY(find_by_parts, FIND_IN_PLANS(HAS_PART("p", "$2")), UUIDOID, TEXTOID,
			TEXTARRAYOID);

SAVED_QUERY(find_by_letters, FIND_IN_PLANS(HAS_WORD("p", "$2", "$3")), UUIDOID,
			TEXTOID, TEXTARRAYOID);

/*
 * PatternOf is a word as LIKE looks for it anywhere, its own % and _ being plain.
 */
static Datum
PatternOf(const char *word)
{
	StringInfoData pattern;

	initStringInfo(&pattern);
	appendStringInfoChar(&pattern, '%');
	for (; *word != '\0'; word++)
	{
		if (*word == '%' || *word == '_' || *word == '\\')
			appendStringInfoChar(&pattern, '\\');
		appendStringInfoChar(&pattern, *word);
	}
	appendStringInfoChar(&pattern, '%');
	return PointerGetDatum(cstring_to_text_with_len(pattern.data, pattern.len));
}

/*
 * LettersOf is an array of the letters of a word.
 */
static Datum
LettersOf(const char *word, int *nletters)
{
	Datum letters[SEARCH_MAX_CHARS * 4];
	int n = 0;

	while (*word != '\0' && n < (int) lengthof(letters))
	{
		int length = pg_mblen(word);

		letters[n++] = PointerGetDatum(cstring_to_text_with_len(word, length));
		word += length;
	}
	*nletters = n;
	return ArrayOf(letters, NULL, n, TEXTOID);
}

/*
 * HasPart tells whether a word has a part that the index of parts knows: letters or
 * digits in a row.
 */
static bool
HasPart(const char *word)
{
	int n = 0;

	for (; *word != '\0' && n < PART_CHARS; word += pg_mblen(word))
		n = IS_HIGHBIT_SET(*word) || isalnum((unsigned char) *word) ? n + 1 : 0;
	return n == PART_CHARS;
}

/*
 * CompareWords puts the longest word first, which is likely to be the rarest, and
 * those without a part last.
 */
static int
CompareWords(const void *left, const void *right)
{
	const SearchWord *a = (const SearchWord *) left;
	const SearchWord *b = (const SearchWord *) right;

	if (a->has_part != b->has_part)
		return a->has_part ? -1 : 1;
	return b->nletters - a->nletters;
}

/*
 * SetWords sets the patterns of the words to search for, if there are any.
 */
void
SetWords(PlanList *list, FunctionCallInfo fcinfo, int search)
{
	Datum patterns[SEARCH_MAX_CHARS];
	char *folded;
	char *word;
	char *rest = NULL;
	int n = 0;
	int i;

	SetListNull(list, 5);
	CheckTextArgument(fcinfo, search, "search", SEARCH_MAX_CHARS, true);
	if (PG_ARGISNULL(search))
		return;
	list->words = (SearchWord *) palloc(sizeof(SearchWord) * SEARCH_MAX_CHARS);
	folded = FoldText(text_to_cstring(PG_GETARG_TEXT_PP(search)));
	for (word = strtok_r(folded, " ", &rest);
		 word != NULL && n < SEARCH_MAX_CHARS;
		 word = strtok_r(NULL, " ", &rest))
	{
		list->words[n].pattern = PatternOf(word);
		list->words[n].letters = LettersOf(word, &list->words[n].nletters);
		list->words[n].has_part = HasPart(word);
		n++;
	}
	if (n == 0)
		return;
	qsort(list->words, n, sizeof(SearchWord), CompareWords);
	for (i = 0; i < n; i++)
		patterns[i] = list->words[i].pattern;
	SetListValue(list, 5, ArrayOf(patterns, NULL, n, TEXTOID));
	list->nwords = n;
	list->filtered = true;
}

/*
 * IndexOf tells which index finds a word.
 */
static KeyIndex
IndexOf(const SearchWord *word)
{
	return word->has_part ? KEY_PARTS : KEY_LETTERS;
}

/*
 * SetKeys sets the values of FOUND_BY_PARTS or FOUND_BY_LETTERS: the words to look
 * for in patients, and the one to look for in plans if it is the only one.
 */
static KeyIndex
SetKeys(PlanList *list, int value, const SearchWord *const *words, int n,
		bool in_plans)
{
	int i;

	for (i = 0; i < KEY_WORDS; i++)
		SetListValue(list, value + i,
					 i < n ? words[i]->pattern : CStringGetTextDatum("%"));
	SetListValue(list, value + KEY_WORDS, words[0]->letters);
	if (in_plans)
		SetListValue(list, value + KEY_WORDS + 1, words[0]->pattern);
	else
		SetListNull(list, value + KEY_WORDS + 1);
	return IndexOf(words[0]);
}

/*
 * FindRareWord finds a word that so few patients and plans have that it is better
 * to look at all of these than to go along the list until a page is full, and sets
 * the values by which they are found.  It looks among the words of one index.
 */
KeyIndex
FindRareWord(PlanList *list, int value, KeyIndex index)
{
	int i;

	for (i = 0; i < list->nwords; i++)
	{
		const SearchWord *word = &list->words[i];
		Datum arguments[4];
		Datum found;
		bool isnull;

		if (IndexOf(word) != index)
			continue;
		arguments[0] = list->values[0];
		arguments[1] = word->pattern;
		arguments[2] = word->letters;
		arguments[3] = Int64GetDatum(RARE_MAX + 1);
		if (QueryRow(index == KEY_PARTS ? &count_by_parts : &count_by_letters,
					 AS_CALLER, arguments, NULL, &found, &isnull) &&
			DatumGetInt64(found) <= RARE_MAX)
			return SetKeys(list, value, &word, 1, true);
	}
	return KEY_NONE;
}

/*
 * FindNames finds words that no plan of the clinic has, so that a plan is found
 * only if its patient has all of them, and sets the values by which they are found.
 */
KeyIndex
FindNames(PlanList *list, int value)
{
	const SearchWord *names[KEY_WORDS];
	int n = 0;
	int i;

	for (i = 0; i < list->nwords && i < NAMES_ASKED && n < KEY_WORDS; i++)
	{
		const SearchWord *word = &list->words[i];
		Datum arguments[3];
		Datum found;
		bool isnull;

		arguments[0] = list->values[0];
		arguments[1] = word->pattern;
		arguments[2] = word->letters;
		if (!QueryRow(word->has_part ? &find_by_parts : &find_by_letters,
					  AS_CALLER, arguments, NULL, &found, &isnull))
			names[n++] = word;
	}
	return n == 0 ? KEY_NONE : SetKeys(list, value, names, n, false);
}
