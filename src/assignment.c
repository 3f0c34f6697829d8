/*
 * assignment.c
 *		Which doctor is responsible for an item: assigned, inherited, reassigned.
 */
#include "compat.h"

#include "utils/builtins.h"

#include "error.h"
#include "event.h"
#include "spi.h"
#include "transition.h"

SAVED_QUERY(assign,
			"UPDATE txplan.items SET professional_id = $3 "
			"WHERE id" EQ "$1 AND clinic_id" EQ "$2",
			UUIDOID, UUIDOID, UUIDOID);

SAVED_QUERY(find_item_doctor,
			"SELECT i.status" EQ "'pending', i.status "
			"FROM txplan.items AS i "
			"WHERE i.id" EQ "$1 AND i.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(count_pending,
			"SELECT pg_catalog.count(*)::pg_catalog.int4 FROM txplan.items AS i "
			"WHERE i.plan_id" EQ "$1 AND i.clinic_id" EQ "$2 "
			"AND i.professional_id" EQ "$3 AND i.status" EQ "'pending'",
			UUIDOID, UUIDOID, UUIDOID);

SAVED_QUERY(change_plan,
			"UPDATE txplan.plans SET professional_id = $3 "
			"WHERE id" EQ "$1 AND clinic_id" EQ "$2",
			UUIDOID, UUIDOID, UUIDOID);

SAVED_QUERY(move_pending,
			"UPDATE txplan.items AS i SET professional_id = $4 "
			"WHERE i.plan_id" EQ "$1 AND i.clinic_id" EQ "$2 "
			"AND i.professional_id" EQ "$3 AND i.status" EQ "'pending'",
			UUIDOID, UUIDOID, UUIDOID, UUIDOID);

PG_FUNCTION_INFO_V1(txplan_assign_professional);
PG_FUNCTION_INFO_V1(txplan_change_professional);

/*
 * txplan_assign_professional gives a pending item to a professional.
 */
Datum
txplan_assign_professional(PG_FUNCTION_ARGS)
{
	pg_uuid_t *item_id;
	TreatmentPlan *plan;
	Datum arguments[3];
	Datum item[2];
	bool nulls[2];
	uint64 rows;

	RequireArgument(fcinfo, 0, "item_id");
	RequireArgument(fcinfo, 1, "professional_id");
	RequireRecord();
	RequirePrivilege(TABLE_ITEMS, ACL_UPDATE);
	item_id = PG_GETARG_UUID_P(0);
	plan = LockArgument(fcinfo, TABLE_ITEMS, 2);
	arguments[0] = UUIDPGetDatum(item_id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[2] = PG_GETARG_DATUM(1);
	if (!QueryRow(&find_item_doctor, AS_OWNER, arguments, NULL, item, nulls))
		RaiseMissing("item", item_id);
	if (!DatumGetBool(item[0]))
		ereport(ERROR,
				(errcode(ERRCODE_TX_ALREADY_FINAL),
				 errmsg("item \"%s\" is %s and keeps its doctor",
						UuidText(item_id), TextDatumGetCString(item[1])),
				 errdetail("Who was responsible for what was done stays on "
						   "record."),
				 errhint("Only pending items can be given to another "
						 "professional.")));
	ConnectSpi();
	rows = RunQuery(&assign, AS_CALLER, arguments, NULL);
	FinishSpi();
	if (rows == 0)
		RaiseMissing("item", item_id);
	PG_RETURN_VOID();
}

/*
 * txplan_change_professional changes the plan's doctor and, when asked to, moves
 * the pending items that were the old doctor's.
 *
 * The plan is locked all the while, so the number told with the plan's change is
 * the number that moves.
 */
Datum
txplan_change_professional(PG_FUNCTION_ARGS)
{
	TreatmentPlan *plan;
	pg_uuid_t before;
	bool move;
	Intent meant = { 0 };
	Datum arguments[4];
	Datum count;
	bool isnull;

	RequireArgument(fcinfo, 0, "plan_id");
	RequireArgument(fcinfo, 1, "professional_id");
	RequireRecord();
	RequirePrivilege(TABLE_PLANS, ACL_UPDATE);
	plan = LockArgument(fcinfo, TABLE_PLANS, 3);
	before = plan->professional_id;
	move = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2) && plan->has_professional &&
		   memcmp(&before, PG_GETARG_UUID_P(1), UUID_LEN) != 0;

	arguments[0] = UUIDPGetDatum(&plan->key.id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[2] = UUIDPGetDatum(&before);
	if (move &&
		QueryRow(&count_pending, AS_OWNER, arguments, NULL, &count, &isnull))
		meant.items_reassigned = DatumGetInt32(count);

	arguments[2] = PG_GETARG_DATUM(1);
	if (RunWithIntent(&meant, &change_plan, AS_CALLER, arguments, NULL) == 0)
		RaiseMissing("plan", &plan->key.id);
	if (meant.items_reassigned > 0)
	{
		arguments[2] = UUIDPGetDatum(&before);
		arguments[3] = PG_GETARG_DATUM(1);
		ConnectSpi();
		(void) RunQuery(&move_pending, AS_CALLER, arguments, NULL);
		FinishSpi();
	}
	PG_RETURN_INT32(meant.items_reassigned);
}
