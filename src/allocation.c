/*
 * allocation.c
 *		Splitting an amount of money by weights: the largest-remainder method.
 *
 * Money is counted in cents as integers, so nothing is ever rounded twice.
 */
#include "allocation.h"

#include "catalog/pg_type.h"
#include "common/int128.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "error.h"

#ifndef HAVE_INT128
#error "txplan needs a compiler with 128-bit integers"
#endif

typedef struct Remainder
{
	int128 rest; /* what the floor of the share left over */
	int part;
} Remainder;

PG_FUNCTION_INFO_V1(txplan_split_amount);

/*
 * TextToCents reads a decimal number as cents.  It answers false for what is no
 * amount: a sign, an exponent, more than numeric(12,2) holds, a third decimal
 * that is not 0, NaN, infinity, no digit at all.
 */
bool
TextToCents(const char *digits, int64 *cents)
{
	const char *c = digits;
	int64 value = 0;
	int decimals = -1;
	bool any = false;

	for (; *c != '\0'; c++)
	{
		if (*c == '.' && decimals < 0)
		{
			decimals = 0;
			continue;
		}
		if (*c < '0' || *c > '9')
			return false;
		any = true;
		if (decimals >= 2)
		{
			if (*c != '0')
				return false;
			continue;
		}
		value = value * 10 + (*c - '0');
		if (decimals >= 0)
			decimals++;
		if (value > AMOUNT_MAX_CENTS)
			return false;
	}
	for (decimals = Max(decimals, 0); decimals < 2; decimals++)
		value *= 10;
	if (!any || value > AMOUNT_MAX_CENTS)
		return false;
	*cents = value;
	return true;
}

/*
 * AmountToCents reads a numeric as cents, by its text, which tells all that in
 * one pass.
 */
static bool
AmountToCents(Datum amount, int64 *cents)
{
	char *digits = DatumGetCString(DirectFunctionCall1(numeric_out, amount));
	bool read = TextToCents(digits, cents);

	pfree(digits);
	return read;
}

/*
 * CheckAmount refuses what numeric(12,2) would round or not hold: PostgreSQL's
 * own cast rounds a third decimal away without a word.
 */
void
CheckAmount(Datum amount, const char *name)
{
	int64 cents;

	if (!AmountToCents(amount, &cents))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("argument \"%s\" is no amount of money", name),
				 errdetail("Amounts are 0 to 9999999999.99 with at most two "
						   "decimals, not %.60s.",
						   DatumGetCString(DirectFunctionCall1(numeric_out,
															   amount))),
				 errhint("Round the amount to cents.")));
}

/*
 * Cents reads an amount of the record, which its constraints keep in range.
 */
int64
Cents(Datum amount)
{
	int64 cents;

	if (!AmountToCents(amount, &cents))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("an amount of the record is out of range"),
				 errdetail("Amounts are 0 to 9999999999.99 with two decimals.")));
	return cents;
}

/*
 * CentsToAmount makes a numeric with two decimals.
 */
Datum
CentsToAmount(int64 cents)
{
	return NumericGetDatum(int64_div_fast_to_numeric(cents, 2));
}

/*
 * CompareRemainders puts the larger remainder first and, where they tie, the
 * later part.
 */
static int
CompareRemainders(const void *a, const void *b)
{
	const Remainder *left = (const Remainder *) a;
	const Remainder *right = (const Remainder *) b;

	if (left->rest != right->rest)
		return left->rest > right->rest ? -1 : 1;
	return left->part > right->part ? -1 : 1;
}

/*
 * SplitCents splits a total by weights.
 *
 * Each part first gets the floor of its exact share; the cents that are then
 * left, fewer than there are parts, go to the largest remainders.  Weights that
 * are all zero count as equal.
 */
void
SplitCents(int64 total, const int64 *weights, int64 *parts, int n)
{
	Remainder *remainders;
	int128 sum = 0;
	int64 left = total;
	int i;

	if (n == 1)
	{
		parts[0] = total;
		return;
	}
	for (i = 0; i < n; i++)
		sum += weights[i];

	remainders = (Remainder *) palloc(sizeof(Remainder) * n);
	for (i = 0; i < n; i++)
	{
		int128 weight = sum == 0 ? 1 : weights[i];
		int128 whole = sum == 0 ? n : sum;
		int128 product = (int128) total * weight;

		parts[i] = (int64) (product / whole);
		remainders[i].rest = product % whole;
		remainders[i].part = i;
		left -= parts[i];
	}
	if (left > 0)
	{
		qsort(remainders, n, sizeof(Remainder), CompareRemainders);
		for (i = 0; i < left; i++)
			parts[remainders[i].part]++;
	}
	pfree(remainders);
}

/*
 * txplan_split_amount is SplitCents for SQL.
 */
Datum
txplan_split_amount(PG_FUNCTION_ARGS)
{
	ArrayType *array;
	Datum *elements;
	bool *nulls;
	int64 *weights;
	int64 *parts;
	int64 total;
	int n;
	int i;

	RequireArgument(fcinfo, 0, "total");
	RequireArgument(fcinfo, 1, "weights");
	CheckAmount(PG_GETARG_DATUM(0), "total");
	total = Cents(PG_GETARG_DATUM(0));

	array = PG_GETARG_ARRAYTYPE_P(1);
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("weights must be a list"),
				 errdetail("The array has %d dimensions.", ARR_NDIM(array)),
				 errhint("Give an array of one dimension.")));
	deconstruct_array(array, NUMERICOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &n);
	if (n < 1 || n > PARTS_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("an amount is split into 1 to %d parts, not %d",
							   PARTS_MAX, n),
						errhint("Give one weight for each part.")));

	weights = (int64 *) palloc(sizeof(int64) * n);
	parts = (int64 *) palloc(sizeof(int64) * n);
	for (i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("a weight must not be NULL"),
							errdetail("Weight %d is NULL.", i + 1),
							errhint("Give 0 for a part that gets nothing.")));
		CheckAmount(elements[i], "weights");
		weights[i] = Cents(elements[i]);
	}
	SplitCents(total, weights, parts, n);
	for (i = 0; i < n; i++)
		elements[i] = CentsToAmount(parts[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, n, NUMERICOID, -1, false,
										  TYPALIGN_INT));
}
