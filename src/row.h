/*
 * row.h
 *		Rows of the record in triggers, by the names of their columns.
 *
 * A column is found by its name, never by its place: DBAs add columns, and older
 * records may have dropped some.
 */
#ifndef TXPLAN_ROW_H
#define TXPLAN_ROW_H

#include "compat.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "utils/rel.h"
#include "utils/uuid.h"

#include "record.h"

#define ROW_COLUMNS_MAX 40

typedef enum PlanColumn
{
	PLAN_ID,
	PLAN_CLINIC_ID,
	PLAN_NUMBER,
	PLAN_WORKFLOW,
	PLAN_STATUS,
	PLAN_PATIENT_ID,
	PLAN_PROFESSIONAL_ID,
	PLAN_TITLE,
	PLAN_DIAGNOSIS_NOTES,
	PLAN_INTERNAL_NOTES,
	PLAN_CLOSURE_REASON,
	PLAN_CLOSURE_NOTE,
	PLAN_CONFIRMED_AT,
	PLAN_ACTIVATED_AT,
	PLAN_COMPLETED_AT,
	PLAN_CLOSED_AT,
	PLAN_STATUS_CHANGED_AT,
	PLAN_LAST_CONTACT_AT,
	PLAN_ITEMS_TOTAL,
	PLAN_ITEMS_COMPLETED,
	PLAN_ITEMS_CANCELLED,
	PLAN_VERSION,
	PLAN_HISTORY_LENGTH,
	PLAN_HISTORY_HEAD,
	PLAN_CREATED_BY,
	PLAN_CREATED_AT,
	PLAN_UPDATED_AT,
	PLAN_BUDGET_ID,
	PLAN_BUDGET_STATUS,
	PLAN_NEXT_CONTACT_AT,
	PLAN_STAGE,
	PLAN_SEARCH_TEXT,
	PLAN_PROFESSIONAL_IDS,
} PlanColumn;

typedef enum ItemColumn
{
	ITEM_ID,
	ITEM_CLINIC_ID,
	ITEM_PLAN_ID,
	ITEM_POSITION,
	ITEM_CATALOG_ITEM_ID,
	ITEM_TREATMENT_REF,
	ITEM_TOOTH,
	ITEM_SURFACES,
	ITEM_DESCRIPTION,
	ITEM_CATEGORY_KEY,
	ITEM_PRICE,
	ITEM_PROFESSIONAL_ID,
	ITEM_STATUS,
	ITEM_LIVE,
	ITEM_SESSIONS_TOTAL,
	ITEM_SESSIONS_COMPLETED,
	ITEM_SESSIONS_CANCELLED,
	ITEM_COMPLETED_AT,
	ITEM_COMPLETED_BY,
	ITEM_COMPLETED_VIA,
	ITEM_NOTES,
	ITEM_CREATED_AT,
	ITEM_UPDATED_AT,
} ItemColumn;

typedef enum SessionColumn
{
	SESSION_ID,
	SESSION_CLINIC_ID,
	SESSION_PLAN_ID,
	SESSION_ITEM_ID,
	SESSION_SEQUENCE,
	SESSION_LABEL,
	SESSION_AMOUNT,
	SESSION_STATUS,
	SESSION_COMPLETED_AT,
	SESSION_COMPLETED_BY,
	SESSION_CANCELLED_AT,
	SESSION_NOTE,
	SESSION_CREATED_AT,
	SESSION_UPDATED_AT,
} SessionColumn;

typedef enum BudgetColumn
{
	BUDGET_ID,
	BUDGET_CLINIC_ID,
	BUDGET_PLAN_ID,
	BUDGET_PATIENT_ID,
	BUDGET_NUMBER,
	BUDGET_VERSION,
	BUDGET_SUPERSEDES_ID,
	BUDGET_STATUS,
	BUDGET_VALID_UNTIL,
	BUDGET_DISCOUNT_PERCENT,
	BUDGET_DISCOUNT_AMOUNT,
	BUDGET_SUBTOTAL,
	BUDGET_TOTAL,
	BUDGET_EXTERNAL_REF,
	BUDGET_SENT_AT,
	BUDGET_DECIDED_AT,
	BUDGET_DECIDED_BY,
	BUDGET_DECISION_NOTE,
	BUDGET_CREATED_BY,
	BUDGET_CREATED_AT,
	BUDGET_UPDATED_AT,
} BudgetColumn;

typedef enum LineColumn
{
	LINE_ID,
	LINE_CLINIC_ID,
	LINE_BUDGET_ID,
	LINE_ITEM_ID,
	LINE_POSITION,
	LINE_DESCRIPTION,
	LINE_UNIT_PRICE,
	LINE_QUANTITY,
	LINE_DISCOUNT_PERCENT,
	LINE_DISCOUNT_AMOUNT,
	LINE_NET_AMOUNT,
	LINE_ITEM_REMOVED,
	LINE_CREATED_AT,
	LINE_UPDATED_AT,
} LineColumn;

typedef enum ContactColumn
{
	CONTACT_ID,
	CONTACT_CLINIC_ID,
	CONTACT_PLAN_ID,
	CONTACT_CHANNEL,
	CONTACT_OUTCOME,
	CONTACT_NOTE,
	CONTACT_CONTACTED_AT,
	CONTACT_CONTACTED_BY,
	CONTACT_NEXT_CONTACT_AT,
	CONTACT_CORRECTS_ID,
	CONTACT_CREATED_AT,
	CONTACT_UPDATED_AT,
} ContactColumn;

typedef enum AppointmentColumn
{
	APPOINTMENT_ID,
	APPOINTMENT_CLINIC_ID,
	APPOINTMENT_PATIENT_ID,
	APPOINTMENT_PLAN_ID,
	APPOINTMENT_ITEM_ID,
	APPOINTMENT_SESSION_ID,
	APPOINTMENT_PROFESSIONAL_ID,
	APPOINTMENT_KIND,
	APPOINTMENT_ROOM,
	APPOINTMENT_STARTS_AT,
	APPOINTMENT_ENDS_AT,
	APPOINTMENT_STATUS,
	APPOINTMENT_NOTE,
	APPOINTMENT_CREATED_BY,
	APPOINTMENT_CREATED_AT,
	APPOINTMENT_UPDATED_AT,
	APPOINTMENT_RECALL_ID,
	APPOINTMENT_ENDED_AT,
	APPOINTMENT_ENDED_BY,
} AppointmentColumn;

typedef struct Row
{
	HeapTuple tuple; /* NULL when read from a slot */
	TupleDesc descriptor;
	Datum *values; /* by attribute number - 1 */
	bool *nulls;
	bool *replaced;			   /* NULL until a column is set */
	const AttrNumber *columns; /* from a column of the enums above */
	const char *const *names;  /* their names */
	const char *table;
	MemoryContext context; /* where values that are set live */
} Row;

extern void InitRow(void);

extern void OpenTuple(Row *row, Relation relation, RecordTable table,
					  HeapTuple tuple);
extern HeapTuple FinishRow(Row *row);

extern bool RowIsNull(const Row *row, int column);
extern Datum RowValue(const Row *row, int column);
extern const pg_uuid_t *RowUuid(const Row *row, int column);
extern char *RowText(const Row *row, int column);
extern bool RowTextIs(const Row *row, int column, const char *text);
extern void SetRow(Row *row, int column, Datum value);
extern void SetRowText(Row *row, int column, const char *text);
extern void SetRowNull(Row *row, int column);
extern bool RowsEqual(const Row *left, const Row *right, int ignored);
extern bool RowsDiffer(const Row *left, const Row *right, int column);

/* What a statement did, as its transition tables have it, row by row */
typedef struct ChangedRows
{
	TriggerData *trigger;
	RecordTable table;
	TupleTableSlot *old_slot; /* NULL for INSERT */
	TupleTableSlot *new_slot; /* NULL for DELETE */
} ChangedRows;

extern void OpenChanges(ChangedRows *changes, TriggerData *trigger,
						RecordTable table);
extern bool NextChange(ChangedRows *changes, Row *old_row, Row *new_row);
extern void CloseChanges(ChangedRows *changes);

#endif /* TXPLAN_ROW_H */
