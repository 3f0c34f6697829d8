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
#include "search.h"
#include "stage.h"

#define TAB_ALL "all"

/*
 * Behind the values of every list: $6 the stage, $7 the reason, $8 to $10 the
 * page, then how far to look, or the keys of a search
 */
#define VALUE_STAGE 6
#define VALUE_REASON 7
#define VALUE_AT 8
#define VALUE_ID 9
#define VALUE_LIMIT 10
#define VALUE_NEAR 11
#define VALUE_KEYS 11
#define INBOX_TYPES \
	LIST_TYPES, TEXTOID, TEXTOID, TIMESTAMPTZOID, UUIDOID, INT8OID

/* Behind those of every list for counts: $6 the reason, then keys */
#define COUNT_VALUE_REASON 6
#define COUNT_VALUE_KEYS 7
#define COUNT_TYPES LIST_TYPES, TEXTOID

/*
 * How many plans of a list are looked at before an index is asked where the rest
 * is: where most rows pass the filters, a page is full by then.
 */
#define NEAR_PLANS 1000
#define NEAR_PLANS_A_ROW 4

#define OF_STAGE "p.stage" EQ "$6 AND "
#define OF_ALL "$6 IS NULL AND "
#define OF_ANY "($6 IS NULL OR p.stage" EQ "$6) AND "
#define OF_REASON(n) "AND (" n " IS NULL OR p.closure_reason" EQ n ") "
#define BEHIND "ROW(p.status_changed_at, p.id)" LT "ROW($8, $9) "
#define LAST_FIRST "ORDER BY p.status_changed_at DESC, p.id DESC LIMIT "

#define PAGE_OF(source, condition)                                           \
	"WITH page AS MATERIALIZED (SELECT p.id FROM " source "WHERE " condition \
		OF_REASON("$7") "AND " BEHIND LAST_FIRST "$10) "                     \
						"SELECT " LIST_COLUMNS " FROM page "                 \
						"JOIN txplan.inbox_rows AS r ON r.plan_id" EQ        \
						"page.id AND r.clinic_id" EQ "$1 "                   \
						"ORDER BY r.status_changed_at DESC, r.plan_id DESC"

/* The first plans p of a list */
#define NEAR(condition)                                                 \
	"(SELECT " CHOICE_COLUMNS "FROM txplan.plans AS p WHERE " condition \
	"p.clinic_id" EQ "$1 AND " BEHIND LAST_FIRST "$11) AS p "

/* The columns by which a page is ordered, among LIST_COLUMNS */
#define COLUMN_PLAN_ID 0
#define COLUMN_STATUS_CHANGED_AT 5

SAVED_QUERY(list_stage, PAGE_OF("txplan.plans AS p ", OF_STAGE LISTED),
			INBOX_TYPES);

SAVED_QUERY(list_all, PAGE_OF("txplan.plans AS p ", OF_ALL LISTED),
			INBOX_TYPES);

SAVED_QUERY(list_near_of_stage, PAGE_OF(NEAR(OF_STAGE), LISTED), INBOX_TYPES,
			INT8OID);

SAVED_QUERY(list_near_of_all, PAGE_OF(NEAR(OF_ALL), LISTED), INBOX_TYPES,
			INT8OID);

SAVED_QUERY(list_by_parts,
			PAGE_OF(FOUND_BY_PARTS("$11", "$12", "$13", "$15"),
					OF_ANY LISTED_OF_ANY_NAME),
			INBOX_TYPES, KEY_TYPES);

SAVED_QUERY(list_by_letters,
			PAGE_OF(FOUND_BY_LETTERS("$14", "$15"), OF_ANY LISTED_OF_ANY_NAME),
			INBOX_TYPES, KEY_TYPES);

SAVED_QUERY(list_of_professional, PAGE_OF(OF_PROFESSIONAL, OF_ANY LISTED),
			INBOX_TYPES);

SAVED_QUERY(count_tab,
			"SELECT pg_catalog.count(*) FROM (SELECT FROM txplan.plans AS p "
			"WHERE p.clinic_id" EQ "$1 AND p.stage" EQ "$2 LIMIT $3) AS a",
			UUIDOID, TEXTOID, INT8OID);

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

#define COUNT_OF(found)                               \
	"SELECT p.stage, pg_catalog.count(*) FROM " found \
	"WHERE " LISTED_OF_ANY_NAME OF_REASON("$6") "GROUP BY p.stage"

SAVED_QUERY(count_by_parts, COUNT_OF(FOUND_BY_PARTS("$7", "$8", "$9", "$11")),
			COUNT_TYPES, KEY_TYPES);

SAVED_QUERY(count_by_letters, COUNT_OF(FOUND_BY_LETTERS("$10", "$11")),
			COUNT_TYPES, KEY_TYPES);

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
 * IsShort tells whether a tab has no more plans than are looked at anyway.
 */
static bool
IsShort(const PlanList *list, int64 near_plans)
{
	Datum arguments[3];
	Datum plans;
	bool isnull;

	if (list->nulls[VALUE_STAGE - 1] == 'n')
		return false;
	arguments[0] = list->values[0];
	arguments[1] = list->values[VALUE_STAGE - 1];
	arguments[2] = Int64GetDatum(near_plans + 1);
	return QueryRow(&count_tab, AS_CALLER, arguments, NULL, &plans, &isnull) &&
		   DatumGetInt64(plans) <= near_plans;
}

/*
 * ReturnPage returns a page, by the way that looks at the fewest plans: by a rare
 * word; along the beginning of the list; by words of names or by the professional;
 * along the whole list.
 */
static void
ReturnPage(PlanList *list, FunctionCallInfo fcinfo)
{
	bool all = list->nulls[VALUE_STAGE - 1] == 'n';
	int64 near_plans = NEAR_PLANS + NEAR_PLANS_A_ROW * (int64) list->page_size;
	SavedQuery *query = all ? &list_all : &list_stage;
	KeyIndex index = FindRareWord(list, VALUE_KEYS, KEY_PARTS);

	if (index == KEY_NONE && (list->nwords > 0 || list->of_professional))
	{
		SetListValue(list, VALUE_NEAR, Int64GetDatum(near_plans));
		if (ReturnList(list, fcinfo,
					   all ? &list_near_of_all : &list_near_of_stage,
					   COLUMN_STATUS_CHANGED_AT, COLUMN_PLAN_ID, true))
			return;
		if (!IsShort(list, near_plans))
		{
			index = FindRareWord(list, VALUE_KEYS, KEY_LETTERS);
			if (index == KEY_NONE)
				index = FindNames(list, VALUE_KEYS);
			if (index == KEY_NONE && list->of_professional)
				query = &list_of_professional;
		}
	}
	if (index != KEY_NONE)
		query = index == KEY_PARTS ? &list_by_parts : &list_by_letters;
	(void) ReturnList(list, fcinfo, query, COLUMN_STATUS_CHANGED_AT,
					  COLUMN_PLAN_ID, false);
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
	ReturnPage(&list, fcinfo);
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
 * CountQuery chooses the way that looks at the fewest plans.
 */
static SavedQuery *
CountQuery(PlanList *list)
{
	KeyIndex index;

	if (MayAddUp(list))
		return &sum_changes;
	index = FindRareWord(list, COUNT_VALUE_KEYS, KEY_PARTS);
	if (index == KEY_NONE)
		index = FindRareWord(list, COUNT_VALUE_KEYS, KEY_LETTERS);
	if (index == KEY_NONE)
		index = FindNames(list, COUNT_VALUE_KEYS);
	if (index != KEY_NONE)
		return index == KEY_PARTS ? &count_by_parts : &count_by_letters;
	return list->of_professional ? &count_of_professional : &count_listed;
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
	uint64 rows;
	uint64 row;
	int i;

	RequireArgument(fcinfo, 0, "clinic_id");
	RequireRecord();
	RequirePrivilege(TABLE_PLANS, ACL_SELECT);
	OpenList(&list, fcinfo, TAB_ALL, &arguments);
	SetReason(&list, fcinfo, 5, COUNT_VALUE_REASON);
	query = CountQuery(&list);
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
