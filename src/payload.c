/*
 * payload.c
 *		What an event says, key by key.
 */
#include "event.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "error.h"

/*
 * PushKey begins a pair of the payload.
 */
static void
PushKey(Payload *payload, const char *key)
{
	JsonbValue value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, key);
	value.val.string.len = (int) strlen(key);
	(void) pushJsonbValue(&payload->state, WJB_KEY, &value);
}

/*
 * BeginPayload opens an empty payload.
 */
void
BeginPayload(Payload *payload)
{
	payload->state = NULL;
	(void) pushJsonbValue(&payload->state, WJB_BEGIN_OBJECT, NULL);
}

/*
 * PayloadText adds a text, or null.  The text must last until PublishEvent.
 */
void
PayloadText(Payload *payload, const char *key, const char *value)
{
	JsonbValue json;

	PushKey(payload, key);
	if (value == NULL)
		json.type = jbvNull;
	else
	{
		json.type = jbvString;
		json.val.string.val = unconstify(char *, value);
		json.val.string.len = (int) strlen(value);
	}
	(void) pushJsonbValue(&payload->state, WJB_VALUE, &json);
}

/*
 * PayloadUuid adds an id as a string, or null.
 */
void
PayloadUuid(Payload *payload, const char *key, const pg_uuid_t *value)
{
	PayloadText(payload, key, value == NULL ? NULL : UuidText(value));
}

/*
 * PayloadInteger adds a number.
 */
void
PayloadInteger(Payload *payload, const char *key, int64 value)
{
	JsonbValue json;

	PushKey(payload, key);
	json.type = jbvNumeric;
	json.val.numeric = int64_to_numeric(value);
	(void) pushJsonbValue(&payload->state, WJB_VALUE, &json);
}

/*
 * PayloadAmount adds an amount of money as a decimal string.
 */
void
PayloadAmount(Payload *payload, const char *key, Datum value)
{
	PayloadText(payload, key,
				DatumGetCString(DirectFunctionCall1(numeric_out, value)));
}

/*
 * PayloadNull adds a null.
 */
void
PayloadNull(Payload *payload, const char *key)
{
	PayloadText(payload, key, NULL);
}

/*
 * PayloadJson adds JSON that is there already.
 */
void
PayloadJson(Payload *payload, const char *key, Jsonb *value)
{
	JsonbValue json;

	PushKey(payload, key);
	JsonbToJsonbValue(value, &json);
	(void) pushJsonbValue(&payload->state, WJB_VALUE, &json);
}

/*
 * PushName adds a name to a JSON array.
 */
static void
PushName(JsonbParseState **state, const char *name)
{
	JsonbValue value;

	value.type = jbvString;
	value.val.string.val = pstrdup(name);
	value.val.string.len = (int) strlen(name);
	(void) pushJsonbValue(state, WJB_ELEM, &value);
}

/*
 * NameList makes a list of one name or two; the second may be NULL.
 */
Jsonb *
NameList(const char *first, const char *second)
{
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	PushName(&state, first);
	if (second != NULL)
		PushName(&state, second);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}

/*
 * PayloadChanged adds the one thing that changed, as updated has it.
 */
void
PayloadChanged(Payload *payload, const char *changed)
{
	PayloadJson(payload, "changed", NameList(changed, NULL));
}

/*
 * PayloadColumn adds a column of a row by its type.
 */
void
PayloadColumn(Payload *payload, const char *key, const Row *row, int column)
{
	int place = row->columns[column] - 1;
	Oid type;

	if (row->nulls[place])
	{
		PayloadNull(payload, key);
		return;
	}
	type = TupleDescAttr(row->descriptor, place)->atttypid;
	if (type >= FirstNormalObjectId)
		type = getBaseType(type);
	switch (type)
	{
		case UUIDOID:
			PayloadUuid(payload, key, RowUuid(row, column));
			break;
		case INT4OID:
			PayloadInteger(payload, key, DatumGetInt32(row->values[place]));
			break;
		case NUMERICOID:
			PayloadAmount(payload, key, row->values[place]);
			break;
		case TIMESTAMPTZOID:
			PayloadText(payload, key,
						TimeText(DatumGetTimestampTz(row->values[place])));
			break;
		default:
			PayloadText(payload, key, RowText(row, column));
			break;
	}
}
