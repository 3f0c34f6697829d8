/*
 * listing.h
 *		What the lists of plans share: their filters, their pages, their cursors.
 */
#ifndef TXPLAN_LISTING_H
#define TXPLAN_LISTING_H

#include "compat.h"

#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "spi.h"

#define GE " OPERATOR(pg_catalog.>=) "
#define LIKE_ " OPERATOR(pg_catalog.~~) "

/*
 * The values that every query of a list takes first: $1 the clinic, $2 the
 * professional, $3 and $4 from when and until when plans were made, $5 the
 * patterns of all words.  What a list adds comes behind.
 */
#define LIST_VALUES 5
#define LIST_TYPES \
	UUIDOID, UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTARRAYOID

/* Whether a patient t and a plan p have all words between them */
#define HAS_WORDS                                                          \
	"pg_catalog.concat_ws(' ', t.search_text, p.search_text)" LIKE_ "ALL " \
	"($5)"

/* The filters but for the words, of a plan p */
#define LISTED_OF_ANY_NAME                              \
	"($2 IS NULL OR $2" EQ "ANY (p.professional_ids)) " \
	"AND p.created_at" GE "$3 AND p.created_at" LT "$4 "

/* All filters */
#define LISTED                                                                  \
	"p.clinic_id" EQ "$1 AND " LISTED_OF_ANY_NAME                               \
	"AND ($5 IS NULL OR EXISTS (SELECT FROM txplan.patients AS t WHERE t.id" EQ \
	"p.patient_id AND t.clinic_id" EQ "$1 AND " HAS_WORDS ")) "

/* What a list needs of a plan p to choose it: a caller may not see the others */
#define CHOICE_COLUMNS                                             \
	"p.id, p.clinic_id, p.patient_id, p.stage, p.closure_reason, " \
	"p.status_changed_at, p.created_at, p.professional_ids, p.search_text "

/* The plans p of the professional in value $2, by the index of these */
#define OF_PROFESSIONAL                                                     \
	"(SELECT " CHOICE_COLUMNS "FROM txplan.plans AS p WHERE p.clinic_id" EQ \
	"$1 "                                                                   \
	"AND p.professional_ids OPERATOR(pg_catalog.@>) ARRAY[$2] OFFSET 0) AS p "

/* What inbox() and pipeline() show of a plan, from the view inbox_rows as r */
#define LIST_COLUMNS                                                        \
	"r.plan_id, r.number, r.title, r.status, r.closure_reason, "            \
	"r.status_changed_at, r.days_in_status, r.patient_id, r.patient_name, " \
	"r.patient_phone, r.professional_id, r.professional_name, "             \
	"r.professionals, r.items_total, r.items_completed, r.total, "          \
	"r.budget_id, r.budget_status, r.budget_total, r.budget_valid_until, "  \
	"r.last_contact_at, r.last_contact_channel, r.next_appointment_at, "    \
	"r.created_at"
#define LIST_COLUMN_COUNT 24

/* Where the arguments of a list stand, -1 for what it does not take */
typedef struct ListArguments
{
	int search;
	int professional_id;
	int created_from;
	int created_to;
	int page_size;
	int after;
} ListArguments;

/* A word that is searched for */
typedef struct SearchWord
{
	Datum pattern; /* as LIKE takes it */
	Datum letters; /* an array of them */
	int nletters;
	bool has_part; /* see search.c */
} SearchWord;

typedef struct PlanList
{
	const char *name; /* of the tab or column, for its cursors */
	const pg_uuid_t *clinic_id;
	Datum values[QUERY_ARGS_MAX]; /* the first LIST_VALUES are filled in */
	char nulls[QUERY_ARGS_MAX + 1];
	SearchWord *words; /* the longest first */
	int nwords;
	bool of_professional;
	bool filtered; /* by anything but a professional */
	int page_size;
	bool has_after;
	TimestampTz after_at;
	pg_uuid_t after_id;
} PlanList;

extern void OpenList(PlanList *list, FunctionCallInfo fcinfo, const char *name,
					 const ListArguments *arguments);
extern void SetListValue(PlanList *list, int n, Datum value);
extern void SetListNull(PlanList *list, int n);
extern bool ReturnList(PlanList *list, FunctionCallInfo fcinfo,
					   SavedQuery *query, int at_column, int id_column,
					   bool only_full);

#endif /* TXPLAN_LISTING_H */
