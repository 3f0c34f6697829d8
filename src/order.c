/*
 * order.c
 *		The order of a plan's items.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "error.h"
#include "quote.h"
#include "spi.h"
#include "transition.h"

SAVED_QUERY(list_items,
			"SELECT pg_catalog.array_agg(i.id ORDER BY i.position) "
			"FROM txplan.items AS i "
			"WHERE i.plan_id" EQ "$1 AND i.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(order_items,
			"UPDATE txplan.items AS i SET position = wanted.position::pg_catalog.int4 "
			"FROM ROWS FROM (pg_catalog.unnest($3)) WITH ORDINALITY "
			"AS wanted (id, position) "
			"WHERE i.id" EQ "wanted.id AND i.clinic_id" EQ "$2 AND i.plan_id" EQ
			"$1",
			UUIDOID, UUIDOID, UUIDARRAYOID);

PG_FUNCTION_INFO_V1(txplan_reorder_items);

/*
 * CompareUuids orders ids, to find those that stand twice.
 */
static int
CompareUuids(const void *left, const void *right)
{
	return memcmp(DatumGetUUIDP(*(const Datum *) left),
				  DatumGetUUIDP(*(const Datum *) right), UUID_LEN);
}

/*
 * SortedIds returns the ids of an array in order.
 */
static Datum *
SortedIds(ArrayType *array, int *n)
{
	Datum *ids;
	bool *nulls;
	int i;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("item_ids must be a list"),
						errhint("Give an array of one dimension.")));
	deconstruct_array(array, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &ids,
					  &nulls, n);
	for (i = 0; i < *n; i++)
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("an id of \"item_ids\" must not be NULL"),
							errdetail("Id %d is NULL.", i + 1),
							errhint("Name every item of the plan once.")));
	qsort(ids, *n, sizeof(Datum), CompareUuids);
	return ids;
}

/*
 * CheckOrder raises 22023 unless an order names each item of the plan once.
 */
static void
CheckOrder(const TreatmentPlan *plan, ArrayType *wanted, ArrayType *present)
{
	int nwanted;
	int npresent;
	Datum *wanted_ids = SortedIds(wanted, &nwanted);
	Datum *present_ids = SortedIds(present, &npresent);
	const char *fault = NULL;
	Datum id = (Datum) 0;
	int i;

	for (i = 1; i < nwanted && fault == NULL; i++)
		if (CompareUuids(&wanted_ids[i - 1], &wanted_ids[i]) == 0)
		{
			fault = "is named twice";
			id = wanted_ids[i];
		}
	for (i = 0; i < nwanted && fault == NULL; i++)
		if (bsearch(&wanted_ids[i], present_ids, npresent, sizeof(Datum),
					CompareUuids) == NULL)
		{
			fault = "is none of the plan";
			id = wanted_ids[i];
		}
	for (i = 0; i < npresent && fault == NULL; i++)
		if (bsearch(&present_ids[i], wanted_ids, nwanted, sizeof(Datum),
					CompareUuids) == NULL)
		{
			fault = "is missing";
			id = present_ids[i];
		}
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the order does not name each item of plan %s once",
						plan->number),
				 errdetail("Item \"%s\" %s.", UuidText(DatumGetUUIDP(id)),
						   fault),
				 errhint("Read the plan's items and order all of them.")));
}

/*
 * txplan_reorder_items puts the items of a plan into an order.
 */
Datum
txplan_reorder_items(PG_FUNCTION_ARGS)
{
	TreatmentPlan *plan;
	ArrayType *present;
	Datum arguments[3];
	Datum ids;
	bool isnull;

	RequireArgument(fcinfo, 0, "plan_id");
	RequireArgument(fcinfo, 1, "item_ids");
	RequireRecord();
	RequirePrivilege(TABLE_ITEMS, ACL_UPDATE);
	plan = LockArgument(fcinfo, TABLE_PLANS, 2);
	RequireEditable(plan, "its items keep their order");
	RequireUnlocked(plan, "its items keep their order");
	arguments[0] = PG_GETARG_DATUM(0);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[2] = PG_GETARG_DATUM(1);
	(void) QueryRow(&list_items, AS_OWNER, arguments, NULL, &ids, &isnull);
	present = isnull ? construct_empty_array(UUIDOID) : DatumGetArrayTypeP(ids);
	CheckOrder(plan, PG_GETARG_ARRAYTYPE_P(1), present);
	ConnectSpi();
	(void) RunQuery(&order_items, AS_CALLER, arguments, NULL);
	FinishSpi();
	PG_RETURN_VOID();
}
