/*
 * detail.c
 *		A plan as one document, and the audit of a record: checks around SQL.
 */
#include "compat.h"

#include "utils/builtins.h"

#include "error.h"
#include "planlock.h"
#include "registry.h"
#include "spi.h"

SAVED_QUERY(read_document, "SELECT txplan.plan_document($1, $2)", UUIDOID,
			UUIDOID);

SAVED_QUERY(list_faults,
			"SELECT f.clinic, f.plan, f.row_id, f.fault, f.detail, f.hint "
			"FROM txplan.audit_faults($1) AS f",
			UUIDOID);

PG_FUNCTION_INFO_V1(txplan_plan_detail);
PG_FUNCTION_INFO_V1(txplan_audit);

/*
 * txplan_plan_detail returns a plan with all that belongs to it.  It reads as
 * the caller.
 */
Datum
txplan_plan_detail(PG_FUNCTION_ARGS)
{
	pg_uuid_t clinic_id;
	pg_uuid_t plan_id;
	Datum arguments[2];
	Datum document;
	bool isnull;

	RequireArgument(fcinfo, 0, "plan_id");
	RequireRecord();
	RequirePrivilege(TABLE_PLANS, ACL_SELECT);
	if (!FindClinicOf(TABLE_PLANS, PG_GETARG_UUID_P(0), &clinic_id, &plan_id) ||
		(!PG_ARGISNULL(1) &&
		 memcmp(&clinic_id, PG_GETARG_UUID_P(1), UUID_LEN) != 0))
		RaiseMissing("plan", PG_GETARG_UUID_P(0));
	arguments[0] = PG_GETARG_DATUM(0);
	arguments[1] = UUIDPGetDatum(&clinic_id);
	if (!QueryRow(&read_document, AS_CALLER, arguments, NULL, &document,
				  &isnull) ||
		isnull)
		RaiseMissing("plan", PG_GETARG_UUID_P(0));
	PG_RETURN_DATUM(document);
}

/*
 * txplan_audit lists what does not fit in a record.
 */
Datum
txplan_audit(PG_FUNCTION_ARGS)
{
	Datum argument = PG_ARGISNULL(0) ? (Datum) 0 : PG_GETARG_DATUM(0);

	RequireRecord();
	RequirePrivilege(TABLE_PLANS, ACL_SELECT);
	if (!PG_ARGISNULL(0))
		CheckClinic(PG_GETARG_UUID_P(0));
	ReturnQueryRows(fcinfo, &list_faults, &argument,
					PG_ARGISNULL(0) ? "n" : NULL);
	return (Datum) 0;
}
