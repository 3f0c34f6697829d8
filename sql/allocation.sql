-- allocation.sql: splitting an amount of money so that the parts add up.

-- == extension ==

CREATE FUNCTION txplan.split_amount(total numeric, weights numeric[])
RETURNS numeric[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txplan_split_amount';

COMMENT ON FUNCTION txplan.split_amount(numeric, numeric[]) IS
'Splits an amount into parts by weights so that the parts add up exactly.

total: the amount, 0 to 9999999999.99, at most two decimals.
weights: 1 to 500 weights, 0 to 9999999999.99 each; when all are zero they count as equal.
Every part is within one cent of its exact share, none is negative, the sum
is the total; where remainders tie, the later part takes the cent.
Errors: 22004 for NULL, 22003 for an amount out of range, 22023 for a number of
weights outside 1 to 500, 2202E for an array of more than one dimension. Source:
the largest remainder (Hamilton) method.';
