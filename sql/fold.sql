-- fold.sql: texts without case and accents, for searching.
-- after: id

-- == extension ==

CREATE FUNCTION txplan.fold_text(value text)
RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txplan_fold_text';

COMMENT ON FUNCTION txplan.fold_text(text) IS
'Returns a text as inbox() and pipeline() search it: small letters without accents.

NULL gives NULL. Letters are taken apart by Unicode''s compatibility decomposition,
their marks left out; letters that do not come apart are written as unaccent does
(ł l, ß ss, æ ae). In a database that is not UTF8 only A to Z change.
Source: Unicode Standard Annex 15, form NFKD.';

CREATE FUNCTION txplan.fold_patient(first_name text, last_name text, phone text)
RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txplan_fold_patient';

COMMENT ON FUNCTION txplan.fold_patient(text, text, text) IS
'What a patient is found by, as patients.search_text has it.

The folded names, and the phone number as it is written and its digits alone.';
