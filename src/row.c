/*
 * row.c
 *		Reading and changing rows of the record in triggers.
 *
 * Where a column stands in a relation is kept by the relation's OID and found
 * again after any change of the relation.
 */
#include "row.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "error.h"

typedef struct Places
{
	Oid relation; /* the key */
	bool valid;	  /* cleared by the callback, set last */
	AttrNumber columns[ROW_COLUMNS_MAX];
} Places;

static const char *const plan_columns[] = { "id",
											"clinic_id",
											"number",
											"workflow",
											"status",
											"patient_id",
											"professional_id",
											"title",
											"diagnosis_notes",
											"internal_notes",
											"closure_reason",
											"closure_note",
											"confirmed_at",
											"activated_at",
											"completed_at",
											"closed_at",
											"status_changed_at",
											"last_contact_at",
											"items_total",
											"items_completed",
											"items_cancelled",
											"version",
											"history_length",
											"history_head",
											"created_by",
											"created_at",
											"updated_at",
											"budget_id",
											"budget_status",
											"next_contact_at",
											"stage",
											"search_text",
											"professional_ids",
											NULL };

static const char *const item_columns[] = { "id",
											"clinic_id",
											"plan_id",
											"position",
											"catalog_item_id",
											"treatment_ref",
											"tooth",
											"surfaces",
											"description",
											"category_key",
											"price",
											"professional_id",
											"status",
											"live",
											"sessions_total",
											"sessions_completed",
											"sessions_cancelled",
											"completed_at",
											"completed_by",
											"completed_via",
											"notes",
											"created_at",
											"updated_at",
											NULL };

static const char *const session_columns[] = {
	"id",			"clinic_id", "plan_id",	   "item_id",	   "sequence",
	"label",		"amount",	 "status",	   "completed_at", "completed_by",
	"cancelled_at", "note",		 "created_at", "updated_at",   NULL
};

static const char *const budget_columns[] = { "id",
											  "clinic_id",
											  "plan_id",
											  "patient_id",
											  "number",
											  "version",
											  "supersedes_id",
											  "status",
											  "valid_until",
											  "discount_percent",
											  "discount_amount",
											  "subtotal",
											  "total",
											  "external_ref",
											  "sent_at",
											  "decided_at",
											  "decided_by",
											  "decision_note",
											  "created_by",
											  "created_at",
											  "updated_at",
											  NULL };

static const char *const line_columns[] = { "id",
											"clinic_id",
											"budget_id",
											"item_id",
											"position",
											"description",
											"unit_price",
											"quantity",
											"discount_percent",
											"discount_amount",
											"net_amount",
											"item_removed",
											"created_at",
											"updated_at",
											NULL };

static const char *const contact_columns[] = { "id",
											   "clinic_id",
											   "plan_id",
											   "channel",
											   "outcome",
											   "note",
											   "contacted_at",
											   "contacted_by",
											   "next_contact_at",
											   "corrects_id",
											   "created_at",
											   "updated_at",
											   NULL };

static const char *const appointment_columns[] = {
	"id",		  "clinic_id",		 "patient_id", "plan_id",	 "item_id",
	"session_id", "professional_id", "kind",	   "room",		 "starts_at",
	"ends_at",	  "status",			 "note",	   "created_by", "created_at",
	"updated_at", "recall_id",		 "ended_at",   "ended_by",	 NULL
};

static HTAB *places_by_relation = NULL;

/*
 * ForgetPlaces is told of every change of a relation.
 */
static void
ForgetPlaces(Datum argument, Oid relation)
{
	HASH_SEQ_STATUS scan;
	Places *places;

	if (places_by_relation == NULL)
		return;
	if (relation != InvalidOid)
	{
		places = (Places *) hash_search(places_by_relation, &relation,
										HASH_FIND, NULL);
		if (places != NULL)
			places->valid = false;
		return;
	}
	hash_seq_init(&scan, places_by_relation);
	while ((places = (Places *) hash_seq_search(&scan)) != NULL)
		places->valid = false;
}

/*
 * InitRow registers the callback, once for each backend.
 */
void
InitRow(void)
{
	HASHCTL control = { 0 };

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(Places);
	control.hcxt =
		AllocSetContextCreate(TopMemoryContext, "txplan column places",
							  ALLOCSET_SMALL_SIZES);
	places_by_relation = hash_create("txplan column places", 16, &control,
									 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(ForgetPlaces, (Datum) 0);
}

/*
 * ColumnNames are the columns of a table that triggers know.
 */
static const char *const *
ColumnNames(RecordTable table)
{
	switch (table)
	{
		case TABLE_PLANS:
			return plan_columns;
		case TABLE_ITEMS:
			return item_columns;
		case TABLE_SESSIONS:
			return session_columns;
		case TABLE_BUDGETS:
			return budget_columns;
		case TABLE_BUDGET_LINES:
			return line_columns;
		case TABLE_CONTACTS:
			return contact_columns;
		case TABLE_APPOINTMENTS:
			return appointment_columns;
		default:
			elog(ERROR, "table %d has no rows in triggers", (int) table);
	}
	return NULL;
}

/*
 * FindPlaces finds where the columns stand in a relation, and raises TX008 when
 * one is missing.
 */
static const AttrNumber *
FindPlaces(Relation relation, const char *const *names)
{
	Oid key = RelationGetRelid(relation);
	TupleDesc descriptor = RelationGetDescr(relation);
	Places *places;
	bool found;
	int i;

	places =
		(Places *) hash_search(places_by_relation, &key, HASH_ENTER, &found);
	if (found && places->valid)
		return places->columns;

	places->valid = false;
	for (i = 0; names[i] != NULL; i++)
	{
		int attribute;

		places->columns[i] = InvalidAttrNumber;
		for (attribute = 0; attribute < descriptor->natts; attribute++)
		{
			Form_pg_attribute form = TupleDescAttr(descriptor, attribute);

			if (!form->attisdropped &&
				strcmp(NameStr(form->attname), names[i]) == 0)
				places->columns[i] = form->attnum;
		}
		if (places->columns[i] == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_TX_NOT_INSTALLED),
					 errmsg("table \"%s\" has no column \"%s\"",
							RelationGetRelationName(relation), names[i]),
					 errdetail("The record is older than the code, or the "
							   "column was dropped."),
					 errhint("Run SELECT txplan.install().")));
	}
	places->valid = true;
	return places->columns;
}

/*
 * PrepareRow fills in what both ways of opening a row share.
 */
static void
PrepareRow(Row *row, Relation relation, RecordTable table)
{
	row->descriptor = RelationGetDescr(relation);
	row->names = ColumnNames(table);
	row->columns = FindPlaces(relation, row->names);
	row->table = RelationGetRelationName(relation);
	row->replaced = NULL;
	row->context = CurrentMemoryContext;
}

/*
 * OpenTuple takes a tuple apart, so that its columns can be read and set.
 */
void
OpenTuple(Row *row, Relation relation, RecordTable table, HeapTuple tuple)
{
	PrepareRow(row, relation, table);
	row->tuple = tuple;
	row->values = (Datum *) palloc(sizeof(Datum) * row->descriptor->natts);
	row->nulls = (bool *) palloc(sizeof(bool) * row->descriptor->natts);
	heap_deform_tuple(tuple, row->descriptor, row->values, row->nulls);
}

/*
 * OpenSlot reads the columns of a row in a slot, which stays theirs.
 */
static void
OpenSlot(Row *row, Relation relation, RecordTable table, TupleTableSlot *slot)
{
	PrepareRow(row, relation, table);
	slot_getallattrs(slot);
	row->tuple = NULL;
	row->values = slot->tts_values;
	row->nulls = slot->tts_isnull;
}

/*
 * FinishRow returns the tuple with the columns that were set.
 */
HeapTuple
FinishRow(Row *row)
{
	if (row->replaced == NULL)
		return row->tuple;
	return heap_modify_tuple(row->tuple, row->descriptor, row->values,
							 row->nulls, row->replaced);
}

/*
 * RowIsNull tells whether a column is NULL.
 */
bool
RowIsNull(const Row *row, int column)
{
	return row->nulls[row->columns[column] - 1];
}

/*
 * RowValue reads a column that is not NULL.
 */
Datum
RowValue(const Row *row, int column)
{
	return row->values[row->columns[column] - 1];
}

/*
 * RowUuid reads an id, NULL when the column is.
 */
const pg_uuid_t *
RowUuid(const Row *row, int column)
{
	return RowIsNull(row, column) ? NULL : DatumGetUUIDP(RowValue(row, column));
}

/*
 * RowText copies a text, NULL when the column is.
 */
char *
RowText(const Row *row, int column)
{
	return RowIsNull(row, column) ? NULL :
									TextDatumGetCString(RowValue(row, column));
}

/*
 * RowTextIs compares a text without copying it.
 */
bool
RowTextIs(const Row *row, int column, const char *wanted)
{
	text *value;
	int length = (int) strlen(wanted);

	if (RowIsNull(row, column))
		return false;
	value = DatumGetTextPP(RowValue(row, column));
	return VARSIZE_ANY_EXHDR(value) == length &&
		   memcmp(VARDATA_ANY(value), wanted, length) == 0;
}

/*
 * MarkReplaced notes that a column is set.
 */
static int
MarkReplaced(Row *row, int column)
{
	int place = row->columns[column] - 1;

	if (row->replaced == NULL)
		row->replaced =
			(bool *) MemoryContextAllocZero(row->context,
											sizeof(bool) *
												row->descriptor->natts);
	row->replaced[place] = true;
	return place;
}

/*
 * SetRow sets a column to a copy of a value.
 */
void
SetRow(Row *row, int column, Datum value)
{
	int place = MarkReplaced(row, column);
	Form_pg_attribute attribute = TupleDescAttr(row->descriptor, place);
	MemoryContext old = MemoryContextSwitchTo(row->context);

	row->values[place] =
		datumCopy(value, attribute->attbyval, attribute->attlen);
	row->nulls[place] = false;
	MemoryContextSwitchTo(old);
}

/*
 * SetRowText sets a column to a text.
 */
void
SetRowText(Row *row, int column, const char *value)
{
	SetRow(row, column, CStringGetTextDatum(value));
}

/*
 * SetRowNull sets a column to NULL.
 */
void
SetRowNull(Row *row, int column)
{
	int place = MarkReplaced(row, column);

	row->values[place] = (Datum) 0;
	row->nulls[place] = true;
}

/*
 * RowsDiffer tells whether a column differs in two rows of one relation, byte by
 * byte and toasted or not.
 */
bool
RowsDiffer(const Row *left, const Row *right, int column)
{
	int place = left->columns[column] - 1;
	Form_pg_attribute attribute = TupleDescAttr(left->descriptor, place);

	if (left->nulls[place] || right->nulls[place])
		return left->nulls[place] != right->nulls[place];
	return !datum_image_eq(left->values[place], right->values[place],
						   attribute->attbyval, attribute->attlen);
}

/*
 * RowsEqual tells whether two rows of one relation are the same in all columns
 * but one, those of a DBA's own included.
 */
bool
RowsEqual(const Row *left, const Row *right, int ignored)
{
	int place;

	for (place = 0; place < left->descriptor->natts; place++)
	{
		Form_pg_attribute attribute = TupleDescAttr(left->descriptor, place);

		if (attribute->attisdropped || place == left->columns[ignored] - 1)
			continue;
		if (left->nulls[place] != right->nulls[place])
			return false;
		if (!left->nulls[place] &&
			!datum_image_eq(left->values[place], right->values[place],
							attribute->attbyval, attribute->attlen))
			return false;
	}
	return true;
}

/*
 * OpenChanges begins to read what a statement did.
 */
void
OpenChanges(ChangedRows *changes, TriggerData *trigger, RecordTable table)
{
	TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);

	changes->trigger = trigger;
	changes->table = table;
	changes->old_slot = changes->new_slot = NULL;
	if (!TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		if (trigger->tg_oldtable == NULL)
			elog(ERROR, "trigger \"%s\" has no OLD TABLE",
				 trigger->tg_trigger->tgname);
		tuplestore_rescan(trigger->tg_oldtable);
		changes->old_slot =
			MakeSingleTupleTableSlot(descriptor, &TTSOpsMinimalTuple);
	}
	if (!TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		if (trigger->tg_newtable == NULL)
			elog(ERROR, "trigger \"%s\" has no NEW TABLE",
				 trigger->tg_trigger->tgname);
		tuplestore_rescan(trigger->tg_newtable);
		changes->new_slot =
			MakeSingleTupleTableSlot(descriptor, &TTSOpsMinimalTuple);
	}
}

/*
 * NextChange reads the next row, old and new; an UPDATE puts both of a row at
 * the same place of its two tables.  The rows last until the next call.
 */
bool
NextChange(ChangedRows *changes, Row *old_row, Row *new_row)
{
	TriggerData *trigger = changes->trigger;

	if (changes->old_slot != NULL)
	{
		if (!tuplestore_gettupleslot(trigger->tg_oldtable, true, false,
									 changes->old_slot))
			return false;
		OpenSlot(old_row, trigger->tg_relation, changes->table,
				 changes->old_slot);
	}
	if (changes->new_slot != NULL)
	{
		if (!tuplestore_gettupleslot(trigger->tg_newtable, true, false,
									 changes->new_slot))
			return false;
		OpenSlot(new_row, trigger->tg_relation, changes->table,
				 changes->new_slot);
	}
	return true;
}

/*
 * CloseChanges ends what OpenChanges began.
 */
void
CloseChanges(ChangedRows *changes)
{
	if (changes->old_slot != NULL)
		ExecDropSingleTupleTableSlot(changes->old_slot);
	if (changes->new_slot != NULL)
		ExecDropSingleTupleTableSlot(changes->new_slot);
}
