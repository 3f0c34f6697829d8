/*
 * error.c
 *		Errors that several rooms raise, worded once.
 */
#include "error.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

/*
 * WriteUuid writes an id as people read it, with its end, to UUID_TEXT_SIZE bytes.
 */
void
WriteUuid(char *target, const pg_uuid_t *id)
{
	static const char digits[] = "0123456789abcdef";
	int i;

	for (i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*target++ = '-';
		*target++ = digits[id->data[i] >> 4];
		*target++ = digits[id->data[i] & 0x0f];
	}
	*target = '\0';
}

/*
 * UuidText returns an id as people read it.
 */
char *
UuidText(const pg_uuid_t *id)
{
	char *written = (char *) palloc(UUID_TEXT_SIZE);

	WriteUuid(written, id);
	return written;
}

/*
 * RequireArgument refuses a NULL where the function cannot do without the
 * argument.  The functions are not strict: a strict one would answer NULL, and
 * the caller would take that for an answer.
 */
void
RequireArgument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"%s\" must not be NULL", name),
						errhint("Give a value for %s.", name)));
}

/*
 * CheckTextArgument refuses a text that is blank or longer than the record
 * takes, before anything is locked or written.
 */
void
CheckTextArgument(FunctionCallInfo fcinfo, int n, const char *name,
				  int max_chars, bool may_be_empty)
{
	text *value;
	const char *start;
	int length;
	int chars;

	if (PG_ARGISNULL(n))
		return;
	value = PG_GETARG_TEXT_PP(n);
	start = VARDATA_ANY(value);
	length = VARSIZE_ANY_EXHDR(value);

	if (!may_be_empty)
	{
		int blanks = 0;

		while (blanks < length && start[blanks] == ' ')
			blanks++;
		if (blanks == length)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"%s\" must not be empty", name),
					 errhint("Give at least one visible character, or NULL "
							 "where the argument is optional.")));
	}

	chars = length > max_chars ? pg_mbstrlen_with_len(start, length) : length;
	if (chars > max_chars)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("argument \"%s\" is too long", name),
				 errdetail("It has %d characters, of which at most %d are kept.",
						   chars, max_chars),
				 errhint("Shorten it.")));
}

/*
 * RaiseMissing says that a row is not there, or not there for the caller.
 */
void
RaiseMissing(const char *kind, const pg_uuid_t *id)
{
	ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
					errmsg("%s \"%s\" does not exist", kind, UuidText(id)),
					errhint("Check the id, and the clinic if you gave one.")));
}

/*
 * RaiseWrongClinic says that a reference crosses the border of a clinic.
 */
void
RaiseWrongClinic(const char *kind, const pg_uuid_t *id)
{
	ereport(ERROR,
			(errcode(ERRCODE_TX_WRONG_CLINIC),
			 errmsg("%s \"%s\" belongs to another clinic", kind, UuidText(id)),
			 errdetail("A row refers only to rows of its own clinic."),
			 errhint("Use a %s of the same clinic.", kind)));
}

/*
 * RaiseSeveralClinics says that an id alone does not name one row.
 */
void
RaiseSeveralClinics(const char *kind, const pg_uuid_t *id)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s \"%s\" is in several clinics", kind, UuidText(id)),
			 errdetail("Ids are unique within a clinic."),
			 errhint("Give clinic_id as well.")));
}

/*
 * RaiseEngineOwned refuses a client that writes what only the engine writes.
 */
void
RaiseEngineOwned(const char *table, const char *column, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_TX_ENGINE_OWNED),
			 errmsg("column \"%s\" of \"%s\" is written by the engine alone",
					column, table),
			 errdetail("It follows from what is done with the plan."),
			 errhint("%s", hint), err_generic_string(PG_DIAG_TABLE_NAME, table),
			 err_generic_string(PG_DIAG_COLUMN_NAME, column)));
}

/*
 * RaiseNeverChanges refuses a change of what a row is about.
 */
void
RaiseNeverChanges(const char *table, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_TX_ENGINE_OWNED),
			 errmsg("column \"%s\" of \"%s\" never changes", column, table),
			 errdetail("It says what the row is about."),
			 errhint("Make a new row instead."),
			 err_generic_string(PG_DIAG_TABLE_NAME, table),
			 err_generic_string(PG_DIAG_COLUMN_NAME, column)));
}
