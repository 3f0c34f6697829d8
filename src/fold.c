/*
 * fold.c
 *		Texts without case and accents, for searching.
 *
 * What is folded must not depend on the locale, or rows written under one would
 * not be found under another, and not on the server's version, or an upgrade
 * would make indexes wrong.  So letters are taken apart by Unicode's
 * compatibility decomposition, whose results never change for a letter that
 * exists, and the rest is in the tables below.  Source: Unicode Standard Annex
 * 15 (NFKD), and for letters that do not decompose the rules of PostgreSQL's
 * unaccent.
 *
 * In a database that is not UTF8 only A to Z are folded.
 */
#include "fold.h"

#include "common/unicode_norm.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

/* A letter becomes other ones */
typedef struct Letter
{
	pg_wchar letter;
	const char *folded; /* in UTF8 */
} Letter;

static const Letter letters[] = {
	{ 0x00C6, "ae" }, /* Æ */
	{ 0x00D0, "d" },  /* Ð */
	{ 0x00D8, "o" },  /* Ø */
	{ 0x00DE, "th" }, /* Þ */
	{ 0x00DF, "ss" }, /* ß */
	{ 0x00E6, "ae" }, /* æ */
	{ 0x00F0, "d" },  /* ð */
	{ 0x00F8, "o" },  /* ø */
	{ 0x00FE, "th" }, /* þ */
	{ 0x0110, "d" },  /* Đ */
	{ 0x0111, "d" },  /* đ */
	{ 0x0126, "h" },  /* Ħ */
	{ 0x0127, "h" },  /* ħ */
	{ 0x0131, "i" },  /* ı */
	{ 0x0138, "q" },  /* ĸ */
	{ 0x0141, "l" },  /* Ł */
	{ 0x0142, "l" },  /* ł */
	{ 0x014A, "n" },  /* Ŋ */
	{ 0x014B, "n" },  /* ŋ */
	{ 0x0152, "oe" }, /* Œ */
	{ 0x0153, "oe" }, /* œ */
	{ 0x0166, "t" },  /* Ŧ */
	{ 0x0167, "t" },  /* ŧ */
	{ 0x0180, "b" },  /* ƀ */
	{ 0x0189, "d" },  /* Ɖ */
	{ 0x0197, "i" },  /* Ɨ */
	{ 0x019A, "l" },  /* ƚ */
	{ 0x01B5, "z" },  /* Ƶ */
	{ 0x01B6, "z" },  /* ƶ */
	{ 0x01E4, "g" },  /* Ǥ */
	{ 0x01E5, "g" },  /* ǥ */
	{ 0x0243, "b" },  /* Ƀ */
	{ 0x0256, "d" },  /* ɖ */
	{ 0x0268, "i" },  /* ɨ */
	{ 0x02B9, "'" },  /* modifier letter prime */
	{ 0x02BB, "'" },  /* the okina */
	{ 0x02BC, "'" },  /* modifier letter apostrophe */
	{ 0x03C2, "σ" },  /* final sigma */
	{ 0x1E9E, "ss" }, /* ẞ */
	{ 0x2010, "-" },  /* hyphen */
	{ 0x2011, "-" },  /* non-breaking hyphen */
	{ 0x2012, "-" },  /* figure dash */
	{ 0x2013, "-" },  /* en dash */
	{ 0x2014, "-" },  /* em dash */
	{ 0x2018, "'" },  /* left single quote */
	{ 0x2019, "'" },  /* right single quote */
	{ 0x2212, "-" },  /* minus */
};

/* Letters of other case stand at a distance, or each beside the other */
typedef struct CaseRange
{
	pg_wchar first;
	pg_wchar last;
	int distance; /* 0: capitals have the parity of the first, 1 to the small */
} CaseRange;

static const CaseRange capitals[] = {
	{ 'A', 'Z', 32 },		   { 0x0391, 0x03A9, 32 },
	{ 0x03D8, 0x03EE, 0 },	   { 0x0400, 0x040F, 80 },
	{ 0x0410, 0x042F, 32 },	   { 0x0460, 0x0480, 0 },
	{ 0x048A, 0x04BE, 0 },	   { 0x04C0, 0x04C0, 15 },
	{ 0x04C1, 0x04CD, 0 },	   { 0x04D0, 0x052E, 0 },
	{ 0x0531, 0x0556, 48 },	   { 0x10A0, 0x10C5, 7264 },
	{ 0x1C90, 0x1CBF, -3008 }, { 0x018F, 0x018F, 202 },
	{ 0x0190, 0x0190, 203 },   { 0x0186, 0x0186, 206 },
	{ 0x0194, 0x0194, 207 },   { 0x0181, 0x0181, 210 },
	{ 0x018A, 0x018A, 205 },   { 0x0198, 0x0198, 1 },
	{ 0x01B3, 0x01B3, 1 },	   { 0x10400, 0x10427, 40 },
	{ 0x1E900, 0x1E921, 34 },
};

/* What carries no letter of its own: accents, points, marks that do not show */
static const struct
{
	pg_wchar first;
	pg_wchar last;
} marks[] = {
	{ 0x00AD, 0x00AD }, { 0x0300, 0x036F }, { 0x0483, 0x0487 },
	{ 0x0591, 0x05BD }, { 0x05BF, 0x05BF }, { 0x05C1, 0x05C2 },
	{ 0x05C4, 0x05C5 }, { 0x05C7, 0x05C7 }, { 0x0610, 0x061A },
	{ 0x0640, 0x0640 }, { 0x064B, 0x065F }, { 0x0670, 0x0670 },
	{ 0x06D6, 0x06DC }, { 0x06DF, 0x06E4 }, { 0x06E7, 0x06E8 },
	{ 0x06EA, 0x06ED }, { 0x1AB0, 0x1AFF }, { 0x1DC0, 0x1DFF },
	{ 0x200B, 0x200F }, { 0x202A, 0x202E }, { 0x2060, 0x2064 },
	{ 0x2066, 0x2069 }, { 0x20D0, 0x20F0 }, { 0xFE00, 0xFE0F },
	{ 0xFE20, 0xFE2F }, { 0xFEFF, 0xFEFF },
};

PG_FUNCTION_INFO_V1(txplan_fold_text);
PG_FUNCTION_INFO_V1(txplan_fold_patient);

/*
 * IsMark tells whether a character is left out.
 */
static bool
IsMark(pg_wchar c)
{
	int i;

	for (i = 0; i < (int) lengthof(marks); i++)
		if (c >= marks[i].first && c <= marks[i].last)
			return true;
	return false;
}

/*
 * Small is the small letter of a capital.
 */
static pg_wchar
Small(pg_wchar c)
{
	int i;

	for (i = 0; i < (int) lengthof(capitals); i++)
	{
		if (c < capitals[i].first || c > capitals[i].last)
			continue;
		if (capitals[i].distance != 0)
			return c + capitals[i].distance;
		return (c - capitals[i].first) % 2 == 0 ? c + 1 : c;
	}
	return c;
}

/*
 * AppendFolded adds a character as it is searched for.
 */
static void
AppendFolded(StringInfo folded, pg_wchar c)
{
	unsigned char bytes[5] = { 0 };
	int i;

	if (c < 0x80)
	{
		appendStringInfoChar(folded, c < ' ' ? ' ' : (char) Small(c));
		return;
	}
	if (IsMark(c))
		return;
	for (i = 0; i < (int) lengthof(letters); i++)
		if (letters[i].letter == c)
		{
			appendStringInfoString(folded, letters[i].folded);
			return;
		}
	(void) unicode_to_utf8(Small(c), bytes);
	appendBinaryStringInfo(folded, (char *) bytes, pg_utf_mblen(bytes));
}

/*
 * IsAscii tells whether a text has no other characters, which need no Unicode.
 */
static bool
IsAscii(const char *given)
{
	for (; *given != '\0'; given++)
		if (IS_HIGHBIT_SET(*given))
			return false;
	return true;
}

/*
 * FoldText returns a text without case and accents, its spaces all alike.
 */
char *
FoldText(const char *given)
{
	StringInfoData folded;
	pg_wchar *characters;
	pg_wchar *apart;
	const char *from;
	int n = 0;

	initStringInfo(&folded);
	if (GetDatabaseEncoding() != PG_UTF8 || IsAscii(given))
	{
		for (from = given; *from != '\0'; from++)
			appendStringInfoChar(&folded,
								 (unsigned char) *from < ' ' ?
									 ' ' :
									 (char)
										 pg_ascii_tolower((unsigned char) *from));
		return folded.data;
	}

	characters = (pg_wchar *) palloc(sizeof(pg_wchar) * (strlen(given) + 1));
	for (from = given; *from != '\0';
		 from += pg_utf_mblen((const unsigned char *) from))
		characters[n++] = utf8_to_unicode((const unsigned char *) from);
	characters[n] = 0;
	apart = unicode_normalize(UNICODE_NFKD, characters);
	for (n = 0; apart[n] != 0; n++)
		AppendFolded(&folded, apart[n]);
	pfree(apart);
	pfree(characters);
	return folded.data;
}

/*
 * FoldPatient returns what a patient is found by: the names, and the phone number
 * as it is written and its digits alone.  Each may be NULL.
 */
char *
FoldPatient(const char *first_name, const char *last_name, const char *phone)
{
	StringInfoData joined;
	const char *at;

	initStringInfo(&joined);
	appendStringInfoString(&joined, first_name == NULL ? "" : first_name);
	if (last_name != NULL)
		appendStringInfo(&joined, " %s", last_name);
	if (phone != NULL)
	{
		appendStringInfo(&joined, " %s ", phone);
		for (at = FoldText(phone); *at != '\0'; at++)
			if (*at >= '0' && *at <= '9')
				appendStringInfoChar(&joined, *at);
	}
	return FoldText(joined.data);
}

/*
 * GivenText is an argument's text, NULL when it is.
 */
static char *
GivenText(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/*
 * txplan_fold_text folds a text.
 */
Datum
txplan_fold_text(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(FoldText(GivenText(fcinfo, 0))));
}

/*
 * txplan_fold_patient folds a patient's names and phone number.
 */
Datum
txplan_fold_patient(PG_FUNCTION_ARGS)
{
	char *folded = FoldPatient(GivenText(fcinfo, 0), GivenText(fcinfo, 1),
							   GivenText(fcinfo, 2));

	PG_RETURN_TEXT_P(cstring_to_text(folded));
}
