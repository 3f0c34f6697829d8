/*
 * catalog.c
 *		What a clinic offers, with the steps that a treatment takes.
 *
 * An INSERT of many items looks each catalog item up once: what was read is kept
 * until the statement settles, and dropped when the catalog is written.
 */
#include "catalog.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"

#include "allocation.h"
#include "error.h"
#include "event.h"
#include "registry.h"
#include "spi.h"

static HTAB *entries = NULL;
static MemoryContext entries_context = NULL;

SAVED_QUERY(read_entry,
			"SELECT c.name, c.category_key, c.price, c.active "
			"FROM txplan.catalog_items AS c "
			"WHERE c.id" EQ "$1 AND c.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(read_steps,
			"SELECT s.label, s.price FROM txplan.catalog_sessions AS s "
			"WHERE s.catalog_item_id" EQ "$1 AND s.clinic_id" EQ "$2 "
			"ORDER BY s.sequence",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_elsewhere,
			"SELECT 1 FROM txplan.catalog_items AS c WHERE c.id" EQ "$1",
			UUIDOID);

SAVED_QUERY(lock_catalog_item,
			"SELECT 1 FROM txplan.catalog_items AS c "
			"WHERE c.id" EQ "$1 AND c.clinic_id" EQ "$2 "
			"FOR NO KEY UPDATE OF c",
			UUIDOID, UUIDOID);

SAVED_QUERY(add_up,
			"SELECT c.price, pg_catalog.sum(s.price), c.code "
			"FROM txplan.catalog_items AS c "
			"JOIN txplan.catalog_sessions AS s "
			"ON s.catalog_item_id" EQ "c.id AND s.clinic_id" EQ "c.clinic_id "
			"WHERE c.id" EQ "$1 AND c.clinic_id" EQ "$2 "
			"GROUP BY c.id, c.clinic_id, c.price, c.code",
			UUIDOID, UUIDOID);

SAVED_QUERY(insert_item,
			"INSERT INTO txplan.catalog_items (clinic_id, code, name, price, "
			"category_key) VALUES ($1, $2, $3, $4, $5) RETURNING id",
			UUIDOID, TEXTOID, TEXTOID, NUMERICOID, TEXTOID);

SAVED_QUERY(insert_steps,
			"INSERT INTO txplan.catalog_sessions (clinic_id, catalog_item_id, sequence, "
			"label, price) "
			"SELECT $1, $2, s.sequence, s.label, s.price "
			"FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4)) "
			"WITH ORDINALITY AS s (label, price, sequence)",
			UUIDOID, UUIDOID, TEXTARRAYOID, NUMERICARRAYOID);

PG_FUNCTION_INFO_V1(txplan_create_catalog_item);
PG_FUNCTION_INFO_V1(txplan_catalog_items_check);
PG_FUNCTION_INFO_V1(txplan_catalog_sessions_check);
PG_FUNCTION_INFO_V1(txplan_catalog_sum_check);

/*
 * ForgetCatalog drops what was read.
 */
void
ForgetCatalog(void)
{
	MemoryContext context = entries_context;

	entries = NULL;
	entries_context = NULL;
	if (context != NULL)
		MemoryContextDelete(context);
}

/*
 * EndOfTransaction and EndOfSubtransaction forget what was read.
 */
static void
EndOfTransaction(XactEvent event, void *argument)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			/* The memory goes with the transaction. */
			entries = NULL;
			entries_context = NULL;
			break;
		default:
			break;
	}
}

static void
EndOfSubtransaction(SubXactEvent event, SubTransactionId mine,
					SubTransactionId parent, void *argument)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		ForgetCatalog();
}

/*
 * InitCatalog registers the callbacks, once for each backend.
 */
void
InitCatalog(void)
{
	RegisterXactCallback(EndOfTransaction, NULL);
	RegisterSubXactCallback(EndOfSubtransaction, NULL);
}

/*
 * ReadSteps reads the template of a catalog item.
 */
static void
ReadSteps(CatalogEntry *entry, Datum *arguments)
{
	uint64 i;

	entry->nsteps = (int) RunQuery(&read_steps, AS_OWNER, arguments, NULL);
	entry->labels =
		(char **) MemoryContextAlloc(entries_context,
									 sizeof(char *) * (entry->nsteps + 1));
	entry->prices =
		(int64 *) MemoryContextAlloc(entries_context,
									 sizeof(int64) * (entry->nsteps + 1));
	for (i = 0; i < SPI_processed; i++)
	{
		Datum values[2];
		bool nulls[2];

		FetchRow(i, values, nulls);
		entry->labels[i] =
			nulls[0] ? NULL :
					   MemoryContextStrdup(entries_context,
										   TextDatumGetCString(values[0]));
		entry->prices[i] = Cents(values[1]);
	}
}

/*
 * ReadEntry reads a catalog item, or raises P0002 or TX010.
 */
static void
ReadEntry(CatalogEntry *entry)
{
	Datum arguments[2];
	Datum values[4];
	bool nulls[4];

	arguments[0] = UUIDPGetDatum(&entry->key.id);
	arguments[1] = UUIDPGetDatum(&entry->key.clinic_id);
	if (!QueryRow(&read_entry, AS_OWNER, arguments, NULL, values, nulls))
	{
		if (QueryRow(&find_elsewhere, AS_OWNER, arguments, NULL, values, nulls))
			RaiseWrongClinic("catalog item", &entry->key.id);
		RaiseMissing("catalog item", &entry->key.id);
	}
	entry->name =
		MemoryContextStrdup(entries_context, TextDatumGetCString(values[0]));
	entry->category_key =
		nulls[1] ? NULL :
				   MemoryContextStrdup(entries_context,
									   TextDatumGetCString(values[1]));
	entry->price = Cents(values[2]);
	entry->active = DatumGetBool(values[3]);
	ConnectSpi();
	ReadSteps(entry, arguments);
	FinishSpi();
}

/*
 * FindCatalogEntry returns a catalog item of a clinic with its template.
 *
 * The entry is good until the next statement that the engine runs.
 */
const CatalogEntry *
FindCatalogEntry(const pg_uuid_t *id, const pg_uuid_t *clinic_id)
{
	CatalogKey key;
	CatalogEntry *entry;
	bool found;

	if (entries == NULL)
	{
		HASHCTL control = { 0 };

		entries_context = AllocSetContextCreate(TopTransactionContext,
												"txplan catalog entries",
												ALLOCSET_SMALL_SIZES);
		control.keysize = sizeof(CatalogKey);
		control.entrysize = sizeof(CatalogEntry);
		control.hcxt = entries_context;
		entries = hash_create("txplan catalog entries", 32, &control,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	key.id = *id;
	key.clinic_id = *clinic_id;
	entry = (CatalogEntry *) hash_search(entries, &key, HASH_FIND, NULL);
	if (entry == NULL)
	{
		CatalogEntry read = { 0 };

		/* Read first: an error must not leave a half-filled entry. */
		read.key = key;
		ReadEntry(&read);
		entry = (CatalogEntry *) hash_search(entries, &key, HASH_ENTER, &found);
		*entry = read;
	}
	return entry;
}

/*
 * PriceFault is the SQLSTATE for a price of a step that is no amount: missing, a
 * number out of range, or no number.
 */
static int
PriceFault(const char *digits)
{
	if (digits == NULL)
		return ERRCODE_INVALID_PARAMETER_VALUE;
	if (strcmp(digits, "NaN") == 0 || strcmp(digits, "Infinity") == 0 ||
		strcmp(digits, "-Infinity") == 0 ||
		(digits[0] != '\0' &&
		 strspn(digits, "0123456789.eE+-") == strlen(digits)))
		return ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
	return ERRCODE_INVALID_TEXT_REPRESENTATION;
}

/*
 * ReadStepObject reads a step such as {"label": "Preparation", "price": "200"}.
 */
static void
ReadStepObject(JsonbContainer *step, int number, Datum *label, bool *no_label,
			   Datum *price)
{
	JsonbValue buffer;
	JsonbValue *value;
	char *digits = NULL;
	int64 cents = 0;

	value = getKeyJsonValueFromContainer(step, "label", 5, &buffer);
	*no_label = value == NULL || value->type == jbvNull;
	if (!*no_label)
	{
		if (value->type != jbvString)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the label of step %d is no text", number),
					 errhint("Write steps as {\"label\": \"Preparation\", "
							 "\"price\": \"200.00\"}.")));
		if (value->val.string.len == 0 ||
			pg_mbstrlen_with_len(value->val.string.val, value->val.string.len) >
				NAME_MAX_CHARS)
			ereport(ERROR,
					(errcode(value->val.string.len == 0 ?
								 ERRCODE_INVALID_PARAMETER_VALUE :
								 ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
					 errmsg("the label of step %d is empty or too long",
							number),
					 errdetail("A label has 1 to %d characters.",
							   NAME_MAX_CHARS),
					 errhint("Leave it out where there is nothing to say.")));
		*label =
			PointerGetDatum(cstring_to_text_with_len(value->val.string.val,
													 value->val.string.len));
	}

	value = getKeyJsonValueFromContainer(step, "price", 5, &buffer);
	if (value != NULL && value->type == jbvString)
		digits = pnstrdup(value->val.string.val, value->val.string.len);
	else if (value != NULL && value->type == jbvNumeric)
		digits =
			DatumGetCString(DirectFunctionCall1(numeric_out,
												NumericGetDatum(value->val
																	.numeric)));
	if (digits == NULL || !TextToCents(digits, &cents))
		ereport(ERROR,
				(errcode(PriceFault(digits)),
				 errmsg("step %d has no price that is an amount of money",
						number),
				 errdetail("Amounts are 0 to 9999999999.99 with at most two "
						   "decimals%s%.60s%s.",
						   digits == NULL ? "" : ", not \"",
						   digits == NULL ? "" : digits,
						   digits == NULL ? "" : "\""),
				 errhint("Write steps as {\"label\": \"Preparation\", "
						 "\"price\": \"200.00\"}.")));
	*price = CentsToAmount(cents);
}

/*
 * InsertSteps writes the template that a new catalog item was given, and raises
 * TX009 unless its prices add up to the item's.
 */
static void
InsertSteps(Jsonb *sessions, Datum clinic_id, Datum item_id, int64 price)
{
	int n;
	int i;
	int64 sum = 0;
	Datum *labels;
	Datum *prices;
	bool *no_labels;
	Datum arguments[4];

	if (!JB_ROOT_IS_ARRAY(sessions) || JB_ROOT_IS_SCALAR(sessions))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"sessions\" must be an array of steps"),
				 errhint("Write it as [{\"label\": \"Preparation\", \"price\": "
						 "\"200.00\"}, ...].")));
	n = JB_ROOT_COUNT(sessions);
	if (n < 1 || n > PARTS_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a template has 1 to %d steps, not %d", PARTS_MAX, n),
				 errhint("Give NULL for an item of one session.")));
	labels = (Datum *) palloc(sizeof(Datum) * n);
	prices = (Datum *) palloc(sizeof(Datum) * n);
	no_labels = (bool *) palloc(sizeof(bool) * n);
	for (i = 0; i < n; i++)
	{
		JsonbValue *step = getIthJsonbValueFromContainer(&sessions->root, i);

		if (step->type != jbvBinary ||
			!JsonContainerIsObject(step->val.binary.data))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("step %d is no object", i + 1),
					 errhint("Write steps as {\"label\": \"Preparation\", "
							 "\"price\": \"200.00\"}.")));
		ReadStepObject(step->val.binary.data, i + 1, &labels[i], &no_labels[i],
					   &prices[i]);
		sum += Cents(prices[i]);
	}
	if (sum != price)
		ereport(ERROR,
				(errcode(ERRCODE_TX_AMOUNTS_DO_NOT_ADD_UP),
				 errmsg("the steps of the template do not add up to the price"),
				 errdetail("The steps add up to " INT64_FORMAT
						   ".%02d, the price is " INT64_FORMAT ".%02d.",
						   sum / 100, (int) (sum % 100), price / 100,
						   (int) (price % 100)),
				 errhint("Change a step or the price.")));
	arguments[0] = clinic_id;
	arguments[1] = item_id;
	arguments[2] = ArrayOf(labels, no_labels, n, TEXTOID);
	arguments[3] = ArrayOf(prices, NULL, n, NUMERICOID);
	ConnectSpi();
	(void) RunQuery(&insert_steps, AS_CALLER, arguments, NULL);
	FinishSpi();
}

/*
 * txplan_create_catalog_item makes a catalog item with its template.
 */
Datum
txplan_create_catalog_item(PG_FUNCTION_ARGS)
{
	Datum arguments[5];
	char nulls[6] = "     ";
	Datum id;
	bool isnull;
	int i;

	RequireRecord();
	RequireArgument(fcinfo, 0, "clinic_id");
	RequireArgument(fcinfo, 1, "code");
	RequireArgument(fcinfo, 2, "name");
	RequireArgument(fcinfo, 3, "price");
	CheckTextArgument(fcinfo, 1, "code", CODE_MAX_CHARS, false);
	CheckTextArgument(fcinfo, 2, "name", NAME_MAX_CHARS, false);
	CheckAmount(PG_GETARG_DATUM(3), "price");
	CheckTextArgument(fcinfo, 4, "category_key", CODE_MAX_CHARS, false);
	CheckClinic(PG_GETARG_UUID_P(0));

	for (i = 0; i < 5; i++)
	{
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
		arguments[i] = PG_ARGISNULL(i) ? (Datum) 0 : PG_GETARG_DATUM(i);
	}
	if (!QueryRow(&insert_item, AS_CALLER, arguments, nulls, &id, &isnull))
		PG_RETURN_NULL();
	if (!PG_ARGISNULL(5))
		InsertSteps(PG_GETARG_JSONB_P(5), arguments[0], id,
					Cents(PG_GETARG_DATUM(3)));
	PG_RETURN_DATUM(id);
}

/*
 * StepKey reads which catalog item a tuple of either table belongs to; false
 * when a column is NULL, which the table's constraints will say.
 */
static bool
StepKey(TriggerData *trigger, HeapTuple tuple, const char *column,
		Datum *arguments)
{
	TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);
	bool no_item;
	bool no_clinic;

	arguments[0] = SPI_getbinval(tuple, descriptor,
								 SPI_fnumber(descriptor, column), &no_item);
	arguments[1] =
		SPI_getbinval(tuple, descriptor, SPI_fnumber(descriptor, "clinic_id"),
					  &no_clinic);
	return !no_item && !no_clinic;
}

/*
 * txplan_catalog_items_check is the trigger on catalog items.
 */
Datum
txplan_catalog_items_check(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = OurTrigger(fcinfo, "catalog_items_check");

	ForgetCatalog();
	return PointerGetDatum(CheckRegistryRow(trigger));
}

/*
 * txplan_catalog_sessions_check locks the catalog item of a step before the step
 * changes.
 */
Datum
txplan_catalog_sessions_check(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = OurTrigger(fcinfo, "catalog_sessions_check");
	HeapTuple tuple = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
						  trigger->tg_newtuple :
						  trigger->tg_trigtuple;
	Datum arguments[2];
	Datum one;
	bool isnull;

	if (!TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		tuple = CheckRegistryRow(trigger);
	ForgetCatalog();
	if (StepKey(trigger, tuple, "catalog_item_id", arguments))
		(void) QueryRow(&lock_catalog_item, AS_OWNER, arguments, NULL, &one,
						&isnull);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) &&
		StepKey(trigger, trigger->tg_trigtuple, "catalog_item_id", arguments))
		(void) QueryRow(&lock_catalog_item, AS_OWNER, arguments, NULL, &one,
						&isnull);
	return PointerGetDatum(tuple);
}

/*
 * CheckSum raises TX009 unless the template of a catalog item adds up.
 */
static void
CheckSum(Datum *arguments)
{
	Datum values[3];
	bool nulls[3];

	if (!QueryRow(&add_up, AS_OWNER, arguments, NULL, values, nulls))
		return;
	if (DatumGetBool(DirectFunctionCall2(numeric_eq, values[0], values[1])))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_TX_AMOUNTS_DO_NOT_ADD_UP),
			 errmsg("the template of catalog item \"%s\" does not add up to its price",
					TextDatumGetCString(values[2])),
			 errdetail("Its steps add up to %s, its price is %s.",
					   DatumGetCString(DirectFunctionCall1(numeric_out,
														   values[1])),
					   DatumGetCString(DirectFunctionCall1(numeric_out,
														   values[0]))),
			 errhint("Change the price and the steps in one transaction.")));
}

/*
 * txplan_catalog_sum_check runs at commit, for each row that changed.
 */
Datum
txplan_catalog_sum_check(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = OurTrigger(fcinfo, "catalog_sum_check");
	bool is_item = SPI_fnumber(RelationGetDescr(trigger->tg_relation),
							   "catalog_item_id") <= 0;
	const char *column = is_item ? "id" : "catalog_item_id";
	Datum arguments[2];

	if (StepKey(trigger, trigger->tg_trigtuple, column, arguments))
		CheckSum(arguments);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) &&
		StepKey(trigger, trigger->tg_newtuple, column, arguments))
		CheckSum(arguments);
	return PointerGetDatum(NULL);
}
