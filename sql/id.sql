-- id.sql: identifiers that sort by the time they were made.

-- == extension ==

CREATE FUNCTION txplan.new_id()
RETURNS uuid
LANGUAGE c VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'txplan_new_id';

COMMENT ON FUNCTION txplan.new_id() IS
'Makes a UUID of version 7.

Ids made one after another in one session sort in that order: 48 bits of
Unix time in milliseconds, 12 bits of the fraction below them, 62 random bits.
Source: RFC 9562, section 5.7 and method 3 of section 6.2.';
