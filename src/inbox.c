/*
 * inbox.c
 *		The plans of a clinic in tabs.
 */
#include "compat.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/rls.h"

#include "error.h"
#include "listing.h"
#include "stage.h"

#define TAB_ALL "all"

/* Behind the values of every list: $6 the stage, $7 the reason, $8 to $10 the page */
#define VALUE_STAGE 6
#define VALUE_REASON 7
#define VALUE_AT 8
#define VALUE_ID 9
#define VALUE_LIMIT 10
#define VALUE_WORD 11
#define INBOX_TYPES \
	LIST_TYPES, TEXTOID, TEXTOID, TIMESTAMPTZOID, UUIDOID, INT8OID
#define COUNT_TYPES LIST_TYPES, TEXTOID

#define OF_REASON(n) "AND (" n " IS NULL OR p.closure_reason" EQ n ") "

#define PAGE_OF(source, condition)                                                 \
	"WITH page AS MATERIALIZED (SELECT p.id FROM " source "WHERE " condition       \
		OF_REASON("$7") "AND ROW(p.status_changed_at, p.id)" LT "ROW($8, $9) "     \
						"ORDER BY p.status_changed_at DESC, p.id DESC LIMIT $10) " \
						"SELECT " LIST_COLUMNS " FROM page "                       \
						"JOIN txplan.inbox_rows AS r ON r.plan_id" EQ              \
						"page.id "                                                 \
						"AND r.clinic_id" EQ "$1 "                                 \
						"ORDER BY r.status_changed_at DESC, r.plan_id DESC"

/* The columns by which a page is ordered, among LIST_COLUMNS */
#define COLUMN_PLAN_ID 0
#define COLUMN_STATUS_CHANGED_AT 5

SAVED_QUERY(list_stage,
			PAGE_OF("txplan.plans AS p ", "p.stage" EQ "$6 AND " LISTED),
			INBOX_TYPES);

SAVED_QUERY(list_all, PAGE_OF("txplan.plans AS p ", "$6 IS NULL AND " LISTED),
			INBOX_TYPES);

SAVED_QUERY(list_found,
			PAGE_OF(FOUND_BY("$11"),
					"($6 IS NULL OR p.stage" EQ "$6) AND " LISTED_OF_ANY_NAME),
			INBOX_TYPES, TEXTOID);

SAVED_QUERY(sum_changes,
			"SELECT c.stage, pg_catalog.sum(c.change)::pg_catalog.int8 "
			"FROM txplan.plan_count_changes AS c WHERE c.clinic_id" EQ "$1 "
			"AND (c.professional_id" EQ "$2 "
			"OR $2 IS NULL AND c.professional_id IS NULL) "
			"GROUP BY c.stage",
			UUIDOID, UUIDOID);

SAVED_QUERY(count_listed,
			"SELECT p.stage, pg_catalog.count(*) FROM txplan.plans AS p "
			"WHERE " LISTED OF_REASON("$6") "GROUP BY p.stage",
			COUNT_TYPES);

SAVED_QUERY(count_of_professional,
			"SELECT p.stage, pg_catalog.count(*) FROM " OF_PROFESSIONAL
			"WHERE " LISTED OF_REASON("$6") "GROUP BY p.stage",
			COUNT_TYPES);

SAVED_QUERY(count_found,
			"SELECT p.stage, pg_catalog.count(*) FROM " FOUND_BY("$7") "WHERE " LISTED_OF_ANY_NAME
				OF_REASON("$6") "GROUP BY p.stage",
			COUNT_TYPES, TEXTOID);

PG_FUNCTION_INFO_V1(txplan_inbox);
PG_FUNCTION_INFO_V1(txplan_inbox_counts);

/*
 * SetReason sets why the plans were closed.
 */
static void
SetReason(PlanList *list, FunctionCallInfo fcinfo, int argument, int value)
{
	SetListNull(list, value);
	if (PG_ARGISNULL(argument))
		return;
	SetListValue(list, value, PG_GETARG_DATUM(argument));
	list->filtered = true;
}

/*
 * txplan_inbox lists a page of a tab.
 */
Datum
txplan_inbox(PG_FUNCTION_ARGS)
{
	static const ListArguments arguments = { .search = 2,
											 .professional_id = 3,
											 .created_from = 4,
											 .created_to = 5,
											 .page_size = 7,
											 .after = 8 };
	PlanList list;
	pg_uuid_t last_id;
	Datum word;
	char *tab;
	bool all;

	RequireArgument(fcinfo, 0, "clinic_id");
	RequireArgument(fcinfo, 1, "tab");
	RequireRecord();
	RequirePrivilege(TABLE_PLANS, ACL_SELECT);
	tab = text_to_cstring(PG_GETARG_TEXT_PP(1));
	all = strcmp(tab, TAB_ALL) == 0;
	if (!all && StageNumber(tab) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no tab \"%.60s\"", tab),
				 errhint("Tabs are draft, pending, active, completed, closed and "
						 "all.")));
	OpenList(&list, fcinfo, tab, &arguments);
	SetReason(&list, fcinfo, 6, VALUE_REASON);
	if (all)
		SetListNull(&list, VALUE_STAGE);
	else
		SetListValue(&list, VALUE_STAGE, PG_GETARG_DATUM(1));

	memset(&last_id, 0xff, sizeof(last_id));
	SetListValue(&list, VALUE_AT,
				 TimestampTzGetDatum(list.has_after ? list.after_at :
													  DT_NOEND));
	SetListValue(&list, VALUE_ID,
				 UUIDPGetDatum(list.has_after ? &list.after_id : &last_id));
	SetListValue(&list, VALUE_LIMIT, Int64GetDatum(list.page_size));
	if (FindRareWord(&list, &word))
	{
		SetListValue(&list, VALUE_WORD, word);
		ReturnList(&list, fcinfo, &list_found, COLUMN_STATUS_CHANGED_AT,
				   COLUMN_PLAN_ID);
	}
	else
		ReturnList(&list, fcinfo, all ? &list_all : &list_stage,
				   COLUMN_STATUS_CHANGED_AT, COLUMN_PLAN_ID);
	return (Datum) 0;
}

/*
 * MayAddUp tells whether the changes of the counts say how many plans the caller
 * sees: not when row security hides some of the plans, unless it is said for the
 * counts as well.
 */
static bool
MayAddUp(const PlanList *list)
{
	return !list->filtered &&
		   (check_enable_rls(RecordRelation(TABLE_PLANS), InvalidOid, true) !=
				RLS_ENABLED ||
			check_enable_rls(RecordRelation(TABLE_PLAN_COUNT_CHANGES),
							 InvalidOid, true) == RLS_ENABLED);
}

/*
 * AddTab adds a row to the counts.
 */
static void
AddTab(FunctionCallInfo fcinfo, const char *tab, int64 plans)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum values[2];
	bool nulls[2] = { false, false };

	values[0] = CStringGetTextDatum(tab);
	values[1] = Int64GetDatum(plans);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * txplan_inbox_counts counts the plans of each tab.
 */
Datum
txplan_inbox_counts(PG_FUNCTION_ARGS)
{
	static const ListArguments arguments = { .search = 1,
											 .professional_id = 2,
											 .created_from = 3,
											 .created_to = 4,
											 .page_size = -1,
											 .after = -1 };
	PlanList list;
	SavedQuery *query;
	int64 counts[STAGES] = { 0 };
	int64 all = 0;
	Datum word;
	uint64 rows;
	uint64 row;
	int i;

	RequireArgument(fcinfo, 0, "clinic_id");
	RequireRecord();
	RequirePrivilege(TABLE_PLANS, ACL_SELECT);
	OpenList(&list, fcinfo, TAB_ALL, &arguments);
	SetReason(&list, fcinfo, 5, 6);
	if (MayAddUp(&list))
		query = &sum_changes;
	else if (FindRareWord(&list, &word))
	{
		SetListValue(&list, 7, word);
		query = &count_found;
	}
	else if (list.of_professional)
		query = &count_of_professional;
	else
		query = &count_listed;
	list.nulls[query->nargs] = '\0';

	InitMaterializedSRF(fcinfo, 0);
	ConnectSpi();
	rows = RunQuery(query, AS_CALLER, list.values, list.nulls);
	for (row = 0; row < rows; row++)
	{
		Datum values[2];
		bool nulls[2];
		int number;

		FetchRow(row, values, nulls);
		number = nulls[0] ? -1 : StageNumber(TextDatumGetCString(values[0]));
		if (number >= 0)
			counts[number] = DatumGetInt64(values[1]);
	}
	FinishSpi();
	for (i = 0; i < STAGES; i++)
	{
		AddTab(fcinfo, StageName(i), counts[i]);
		all += counts[i];
	}
	AddTab(fcinfo, TAB_ALL, all);
	return (Datum) 0;
}
