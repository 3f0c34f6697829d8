/*
 * history.c
 *		Who changed what: a chain for each plan, every row sealed with a hash.
 *
 * The hash of a row covers the hash of the row before it, so nothing in a chain
 * can be changed, removed or put in without all behind it differing; the plan's
 * own row keeps the length and the head, so the end cannot go either.
 */
#include "event.h"

#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "error.h"
#include "spi.h"

#define HISTORY_COLUMNS 13

SAVED_QUERY(insert_history,
			"INSERT INTO txplan.history "
			"(clinic_id, plan_id, sequence, at, actor, role_name, what, item_id, "
			"session_id, from_value, to_value, action, reason, note, hash) "
			"VALUES ($1, $2, $3, $4, $14, $15, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
			UUIDOID, UUIDOID, INT8OID, TIMESTAMPTZOID, TEXTOID, UUIDOID,
			UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, BYTEAOID,
			TEXTOID, TEXTOID);

SAVED_QUERY(insert_histories,
			"INSERT INTO txplan.history "
			"(clinic_id, plan_id, sequence, at, actor, role_name, what, item_id, "
			"session_id, from_value, to_value, action, reason, note, hash) "
			"SELECT h.clinic_id, h.plan_id, h.sequence, h.at, $14, $15, h.what, "
			"h.item_id, h.session_id, h.from_value, h.to_value, h.action, h.reason, "
			"h.note, h.hash "
			"FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), "
			"pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5), "
			"pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8), "
			"pg_catalog.unnest($9), pg_catalog.unnest($10), pg_catalog.unnest($11), "
			"pg_catalog.unnest($12), pg_catalog.unnest($13)) "
			"AS h (clinic_id, plan_id, sequence, at, what, item_id, session_id, "
			"from_value, to_value, action, reason, note, hash)",
			UUIDARRAYOID, UUIDARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID,
			TEXTARRAYOID, UUIDARRAYOID, UUIDARRAYOID, TEXTARRAYOID,
			TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			BYTEAARRAYOID, TEXTOID, TEXTOID);

SAVED_QUERY(list_faults,
			"SELECT f.plan, f.sequence, f.fault, f.detail "
			"FROM txplan.history_faults($1) AS f",
			UUIDOID);

SAVED_QUERY(has_history,
			"SELECT 1 FROM txplan.history AS h WHERE h.plan_id" EQ "$1 LIMIT 1",
			UUIDOID);

PG_FUNCTION_INFO_V1(txplan_verify_history);

/*
 * AddField writes a field as the hash sees it: its length in bytes, a colon,
 * itself in UTF-8, a comma; NULL is "-,".
 */
static void
AddField(StringInfo form, const char *value)
{
	int length;
	char *utf8;

	if (value == NULL)
	{
		appendStringInfoString(form, "-,");
		return;
	}
	length = (int) strlen(value);
	utf8 = pg_server_to_any(value, length, PG_UTF8);
	if (utf8 != value)
		length = (int) strlen(utf8);
	appendStringInfo(form, "%d:", length);
	appendBinaryStringInfo(form, utf8, length);
	appendStringInfoChar(form, ',');
}

/*
 * AddNumber writes a number as a field.
 */
static void
AddNumber(StringInfo form, int64 value)
{
	char digits[32];

	snprintf(digits, sizeof(digits), INT64_FORMAT, value);
	AddField(form, digits);
}

/*
 * AddUuid writes an id as a field.
 */
static void
AddUuid(StringInfo form, const pg_uuid_t *id)
{
	AddField(form, id == NULL ? NULL : UuidText(id));
}

/*
 * Seal computes the hash of a row from the hash before it and the row.
 *
 * txplan.history_faults() computes it again in SQL: the two must agree, and the
 * form is described in docs/history.md for anyone else.
 */
static void
Seal(const Settlement *settlement, const TreatmentPlan *plan, HistoryRow *fact)
{
	StringInfoData form;
	bytea *hash;
	int64 unix_epoch =
		(int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

	initStringInfo(&form);
	appendStringInfoSpaces(&form, VARHDRSZ);
	if (plan->history_length > 0)
		appendBinaryStringInfo(&form, (const char *) plan->history_head,
							   HASH_BYTES);
	AddField(&form, plan->id_text);
	AddField(&form, plan->clinic_text);
	AddNumber(&form, fact->sequence);
	AddNumber(&form, fact->at + unix_epoch);
	AddField(&form, settlement->actor);
	AddField(&form, settlement->role_name);
	AddField(&form, fact->what);
	AddUuid(&form, fact->item_id);
	AddUuid(&form, fact->session_id);
	AddField(&form, fact->from_value);
	AddField(&form, fact->to_value);
	AddField(&form, fact->action);
	AddField(&form, fact->reason);
	AddField(&form, fact->note);
	SET_VARSIZE(form.data, form.len);
	hash = DatumGetByteaPP(DirectFunctionCall1(sha256_bytea,
											   PointerGetDatum(form.data)));
	memcpy(fact->hash, VARDATA_ANY(hash), HASH_BYTES);
	pfree(form.data);
}

/*
 * KeptUuid copies an id to the memory at hand.
 */
static const pg_uuid_t *
KeptUuid(const pg_uuid_t *id)
{
	pg_uuid_t *copy;

	if (id == NULL)
		return NULL;
	copy = (pg_uuid_t *) palloc(sizeof(pg_uuid_t));
	*copy = *id;
	return copy;
}

/*
 * KeptText copies a text to the memory at hand.
 */
static const char *
KeptText(const char *value)
{
	return value == NULL ? NULL : pstrdup(value);
}

/*
 * RecordHistory adds a fact to the plan's chain.  The caller fills in what
 * changed; everything is copied.
 */
void
RecordHistory(Settlement *settlement, TreatmentPlan *plan, HistoryRow *fact)
{
	MemoryContext old = MemoryContextSwitchTo(settlement->context);
	HistoryRow *row;

	fact->plan = plan->key;
	fact->sequence = plan->history_length + 1;
	fact->at = settlement->at;
	Seal(settlement, plan, fact);
	plan->history_length = fact->sequence;
	memcpy(plan->history_head, fact->hash, HASH_BYTES);

	if (!settlement->rehearsal)
	{
		if (settlement->nhistory == settlement->history_room)
		{
			settlement->history_room = Max(8, settlement->history_room * 2);
			settlement->history =
				settlement->history == NULL ?
					palloc(sizeof(HistoryRow) * settlement->history_room) :
					repalloc_huge(settlement->history,
								  sizeof(HistoryRow) *
									  settlement->history_room);
		}
		row = &settlement->history[settlement->nhistory++];
		*row = *fact;
		row->what = KeptText(fact->what);
		row->item_id = KeptUuid(fact->item_id);
		row->session_id = KeptUuid(fact->session_id);
		row->from_value = KeptText(fact->from_value);
		row->to_value = KeptText(fact->to_value);
		row->action = KeptText(fact->action);
		row->reason = KeptText(fact->reason);
		row->note = KeptText(fact->note);
	}
	MemoryContextSwitchTo(old);
}

/*
 * PutUuid and PutText fill a column that may be NULL.
 */
static void
PutUuid(Datum *value, bool *isnull, const pg_uuid_t *id)
{
	*isnull = id == NULL;
	*value = id == NULL ? (Datum) 0 : UUIDPGetDatum(id);
}

static void
PutText(Datum *value, bool *isnull, const char *string)
{
	*isnull = string == NULL;
	*value = string == NULL ? (Datum) 0 : CStringGetTextDatum(string);
}

/*
 * HistoryColumns turns a row into the columns that both statements take.
 */
static void
HistoryColumns(const HistoryRow *row, Datum *values, bool *nulls)
{
	bytea *hash = (bytea *) palloc(VARHDRSZ + HASH_BYTES);

	SET_VARSIZE(hash, VARHDRSZ + HASH_BYTES);
	memcpy(VARDATA(hash), row->hash, HASH_BYTES);
	memset(nulls, false, sizeof(bool) * HISTORY_COLUMNS);
	values[0] = UUIDPGetDatum(&row->plan.clinic_id);
	values[1] = UUIDPGetDatum(&row->plan.id);
	values[2] = Int64GetDatum(row->sequence);
	values[3] = TimestampTzGetDatum(row->at);
	values[4] = CStringGetTextDatum(row->what);
	PutUuid(&values[5], &nulls[5], row->item_id);
	PutUuid(&values[6], &nulls[6], row->session_id);
	PutText(&values[7], &nulls[7], row->from_value);
	PutText(&values[8], &nulls[8], row->to_value);
	PutText(&values[9], &nulls[9], row->action);
	PutText(&values[10], &nulls[10], row->reason);
	PutText(&values[11], &nulls[11], row->note);
	values[12] = PointerGetDatum(hash);
}

/*
 * FlushHistory writes the rows that were added: one by itself, many by arrays.
 */
void
FlushHistory(Settlement *settlement)
{
	static const Oid types[HISTORY_COLUMNS] = {
		UUIDOID, UUIDOID, INT8OID, TIMESTAMPTZOID, TEXTOID, UUIDOID, UUIDOID,
		TEXTOID, TEXTOID, TEXTOID, TEXTOID,		   TEXTOID, BYTEAOID
	};
	int n = settlement->nhistory;
	Datum arguments[HISTORY_COLUMNS + 2];
	Datum *columns[HISTORY_COLUMNS];
	bool *isnull[HISTORY_COLUMNS];
	int row;
	int column;

	settlement->nhistory = 0;
	if (n == 0)
		return;
	arguments[HISTORY_COLUMNS] = CStringGetTextDatum(settlement->actor);
	arguments[HISTORY_COLUMNS + 1] = CStringGetTextDatum(settlement->role_name);
	if (n == 1)
	{
		bool nulls[HISTORY_COLUMNS];
		char spi_nulls[HISTORY_COLUMNS + 3];

		HistoryColumns(&settlement->history[0], arguments, nulls);
		memset(spi_nulls, ' ', sizeof(spi_nulls));
		for (column = 0; column < HISTORY_COLUMNS; column++)
			if (nulls[column])
				spi_nulls[column] = 'n';
		EngineWriteRows(&insert_history, TABLE_HISTORY, arguments, spi_nulls,
						1);
		return;
	}

	for (column = 0; column < HISTORY_COLUMNS; column++)
	{
		columns[column] = (Datum *) palloc(sizeof(Datum) * n);
		isnull[column] = (bool *) palloc(sizeof(bool) * n);
	}
	for (row = 0; row < n; row++)
	{
		Datum values[HISTORY_COLUMNS];
		bool nulls[HISTORY_COLUMNS];

		HistoryColumns(&settlement->history[row], values, nulls);
		for (column = 0; column < HISTORY_COLUMNS; column++)
		{
			columns[column][row] = values[column];
			isnull[column][row] = nulls[column];
		}
	}
	for (column = 0; column < HISTORY_COLUMNS; column++)
		arguments[column] =
			ArrayOf(columns[column], isnull[column], n, types[column]);
	EngineWriteRows(&insert_histories, TABLE_HISTORY, arguments, NULL, n);
}

/*
 * txplan_verify_history lists the rows of history that do not fit.
 */
Datum
txplan_verify_history(PG_FUNCTION_ARGS)
{
	Datum argument = PG_ARGISNULL(0) ? (Datum) 0 : PG_GETARG_DATUM(0);
	const char *nulls = PG_ARGISNULL(0) ? "n" : NULL;
	Datum one;
	bool isnull;

	RequireRecord();
	RequirePrivilege(TABLE_HISTORY, ACL_SELECT);
	if (!PG_ARGISNULL(0) &&
		!QueryRow(&has_history, AS_CALLER, &argument, NULL, &one, &isnull))
	{
		pg_uuid_t clinic_id;
		pg_uuid_t plan_id;

		if (!FindClinicOf(TABLE_PLANS, PG_GETARG_UUID_P(0), &clinic_id,
						  &plan_id))
			RaiseMissing("plan", PG_GETARG_UUID_P(0));
	}
	ReturnQueryRows(fcinfo, &list_faults, &argument, nulls);
	return (Datum) 0;
}
