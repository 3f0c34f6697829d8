/*
 * pipeline.c
 *		The plans that wait for somebody at the front desk, in columns.
 */
#include "compat.h"

#include "funcapi.h"
#include "utils/builtins.h"

#include "error.h"
#include "listing.h"

static const char *const column_keys[] = { "to_quote",
										   "awaiting_patient",
										   "no_recent_contact",
										   "follow_up_due",
										   "budget_expired",
										   "no_appointment",
										   "no_next_appointment",
										   "without_budget",
										   "ready_to_close" };

/* Behind the values of every list: $6 the column, $7 to $9 the page */
#define VALUE_COLUMN 6
#define VALUE_AT 7
#define VALUE_ID 8
#define VALUE_LIMIT 9

/* The columns by which a page is ordered, among those of the query */
#define COLUMN_SINCE 1
#define COLUMN_PLAN_ID 3

SAVED_QUERY(list_column,
			"WITH page AS MATERIALIZED ("
			"SELECT p.plan_id, p.column_key, p.since, p.next_step "
			"FROM txplan.pipeline_rows AS p WHERE " LISTED "AND p.column_key" EQ
			"$6 "
			"AND ROW(p.since, p.plan_id)" GT "ROW($7, $8) "
			"ORDER BY p.since, p.plan_id LIMIT $9) "
			"SELECT page.column_key, page.since, page.next_step, " LIST_COLUMNS
			" FROM page JOIN txplan.inbox_rows AS r "
			"ON r.plan_id" EQ "page.plan_id AND r.clinic_id" EQ "$1 "
			"ORDER BY page.since, page.plan_id",
			LIST_TYPES, TEXTOID, TIMESTAMPTZOID, UUIDOID, INT8OID);

SAVED_QUERY(sum_columns,
			"SELECT k.column_key, pg_catalog.count(*), "
			"pg_catalog.sum(w.total), pg_catalog.min(k.since) "
			"FROM (SELECT p.plan_id, "
			"pg_catalog.array_agg(p.column_key) AS column_keys, "
			"pg_catalog.array_agg(p.since) AS sinces "
			"FROM txplan.pipeline_rows AS p WHERE " LISTED
			"GROUP BY p.plan_id) AS s "
			"CROSS JOIN LATERAL (SELECT "
			"coalesce(pg_catalog.sum(i.price), 0.00) AS total "
			"FROM txplan.items AS i WHERE i.plan_id" EQ "s.plan_id "
			"AND i.clinic_id" EQ "$1 AND i.status" NE "'cancelled') AS w "
			"CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(s.column_keys), "
			"pg_catalog.unnest(s.sinces)) AS k (column_key, since) "
			"GROUP BY k.column_key",
			LIST_TYPES);

PG_FUNCTION_INFO_V1(txplan_pipeline);
PG_FUNCTION_INFO_V1(txplan_pipeline_totals);

/*
 * ColumnNumber is the place of a column among them, -1 for what is none.
 */
static int
ColumnNumber(const char *key)
{
	int i;

	for (i = 0; i < (int) lengthof(column_keys); i++)
		if (strcmp(column_keys[i], key) == 0)
			return i;
	return -1;
}

/*
 * txplan_pipeline lists a page of a column.
 */
Datum
txplan_pipeline(PG_FUNCTION_ARGS)
{
	static const ListArguments arguments = { .search = 2,
											 .professional_id = 3,
											 .created_from = 4,
											 .created_to = 5,
											 .page_size = 6,
											 .after = 7 };
	PlanList list;
	pg_uuid_t first_id;
	char *key;

	RequireArgument(fcinfo, 0, "clinic_id");
	RequireArgument(fcinfo, 1, "column_key");
	RequireRecord();
	RequirePrivilege(TABLE_PLANS, ACL_SELECT);
	key = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (ColumnNumber(key) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no column \"%.60s\"", key),
				 errhint("Columns are to_quote, awaiting_patient, "
						 "no_recent_contact, follow_up_due, budget_expired, "
						 "no_appointment, no_next_appointment, without_budget "
						 "and ready_to_close.")));
	OpenList(&list, fcinfo, key, &arguments);

	memset(&first_id, 0, sizeof(first_id));
	SetListValue(&list, VALUE_COLUMN, PG_GETARG_DATUM(1));
	SetListValue(&list, VALUE_AT,
				 TimestampTzGetDatum(list.has_after ? list.after_at :
													  DT_NOBEGIN));
	SetListValue(&list, VALUE_ID,
				 UUIDPGetDatum(list.has_after ? &list.after_id : &first_id));
	SetListValue(&list, VALUE_LIMIT, Int64GetDatum(list.page_size));
	(void) ReturnList(&list, fcinfo, &list_column, COLUMN_SINCE, COLUMN_PLAN_ID,
					  false);
	return (Datum) 0;
}

/*
 * txplan_pipeline_totals sums up the columns, the empty ones too.
 */
Datum
txplan_pipeline_totals(PG_FUNCTION_ARGS)
{
	static const ListArguments arguments = { .search = 1,
											 .professional_id = 2,
											 .created_from = 3,
											 .created_to = 4,
											 .page_size = -1,
											 .after = -1 };
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum found[lengthof(column_keys)][4];
	bool is_found[lengthof(column_keys)] = { false };
	PlanList list;
	uint64 rows;
	uint64 row;
	int i;

	RequireArgument(fcinfo, 0, "clinic_id");
	RequireRecord();
	RequirePrivilege(TABLE_PLANS, ACL_SELECT);
	OpenList(&list, fcinfo, "totals", &arguments);
	list.nulls[LIST_VALUES] = '\0';

	InitMaterializedSRF(fcinfo, 0);
	ConnectSpi();
	rows = RunQuery(&sum_columns, AS_CALLER, list.values, list.nulls);
	for (row = 0; row < rows; row++)
	{
		Datum values[4];
		bool nulls[4];

		FetchRow(row, values, nulls);
		i = ColumnNumber(TextDatumGetCString(values[0]));
		if (i < 0)
			continue;
		memcpy(found[i], values, sizeof(values));
		is_found[i] = true;
	}
	for (i = 0; i < (int) lengthof(column_keys); i++)
	{
		bool nulls[4] = { false, false, false, !is_found[i] };

		if (!is_found[i])
		{
			found[i][0] = CStringGetTextDatum(column_keys[i]);
			found[i][1] = Int64GetDatum(0);
			found[i][2] =
				DirectFunctionCall3(numeric_in, CStringGetDatum("0.00"),
									ObjectIdGetDatum(InvalidOid),
									Int32GetDatum(-1));
			found[i][3] = (Datum) 0;
		}
		tuplestore_putvalues(result->setResult, result->setDesc, found[i],
							 nulls);
	}
	FinishSpi();
	return (Datum) 0;
}
