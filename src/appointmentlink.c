/*
 * appointmentlink.c
 *		What an appointment is for: plan, item and session, and that they fit.
 *
 * Of the three the narrowest says the others: a session has its item, an item its
 * plan.  The plan is locked before what is below it is looked at.
 */
#include "appointment.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "error.h"
#include "rowcheck.h"
#include "spi.h"
#include "transition.h"

SAVED_QUERY(find_session,
			"SELECT s.plan_id, s.item_id, i.status, s.status "
			"FROM txplan.sessions AS s "
			"JOIN txplan.items AS i ON i.id" EQ "s.item_id "
			"AND i.clinic_id" EQ "s.clinic_id "
			"WHERE s.id" EQ "$1 AND s.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_item,
			"SELECT i.plan_id, i.id, i.status, NULL::pg_catalog.text "
			"FROM txplan.items AS i "
			"WHERE i.id" EQ "$1 AND i.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_plan,
			"SELECT 1 FROM txplan.plans AS p "
			"WHERE p.id" EQ "$1 AND p.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_recall,
			"SELECT 1 FROM txplan.recall_suggestions AS r "
			"WHERE r.id" EQ "$1 AND r.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

static const AppointmentColumn link_columns[] = { APPOINTMENT_PLAN_ID,
												  APPOINTMENT_ITEM_ID,
												  APPOINTMENT_SESSION_ID,
												  APPOINTMENT_RECALL_ID };

/* The item, and perhaps the session, that an appointment names */
typedef struct Target
{
	pg_uuid_t plan_id;
	pg_uuid_t item_id;
	char *item_status;
	char *session_status; /* NULL when no session is named */
} Target;

/*
 * ReadTarget reads what an appointment names, the session or else the item, and
 * raises P0002 or TX010 when the clinic has none of that id.
 */
static void
ReadTarget(const Row *row, Target *target)
{
	bool of_session = !RowIsNull(row, APPOINTMENT_SESSION_ID);
	int column = of_session ? APPOINTMENT_SESSION_ID : APPOINTMENT_ITEM_ID;
	const char *kind = of_session ? "session" : "item";
	pg_uuid_t clinic_id;
	pg_uuid_t plan_id;
	Datum arguments[2];
	Datum values[4];
	bool nulls[4];

	arguments[0] = RowValue(row, column);
	arguments[1] = RowValue(row, APPOINTMENT_CLINIC_ID);
	if (!QueryRow(of_session ? &find_session : &find_item, AS_OWNER, arguments,
				  NULL, values, nulls))
	{
		if (FindClinicOf(of_session ? TABLE_SESSIONS : TABLE_ITEMS,
						 RowUuid(row, column), &clinic_id, &plan_id))
			RaiseWrongClinic(kind, RowUuid(row, column));
		RaiseMissing(kind, RowUuid(row, column));
	}
	target->plan_id = *DatumGetUUIDP(values[0]);
	target->item_id = *DatumGetUUIDP(values[1]);
	target->item_status = TextDatumGetCString(values[2]);
	target->session_status = nulls[3] ? NULL : TextDatumGetCString(values[3]);
}

/*
 * Follow sets a column to what follows from a narrower one.  What was given
 * instead must be the same.
 */
static void
Follow(Row *row, int column, const pg_uuid_t *value, bool given,
	   const char *narrow, int narrow_column, const char *wide)
{
	const pg_uuid_t *before = RowUuid(row, column);

	if (before != NULL && memcmp(before, value, UUID_LEN) == 0)
		return;
	if (given)
		ereport(ERROR,
				(errcode(ERRCODE_TX_WRONG_CLINIC),
				 before == NULL ?
					 errmsg("%s \"%s\" is of %s \"%s\"", narrow,
							UuidText(RowUuid(row, narrow_column)), wide,
							UuidText(value)) :
					 errmsg("%s \"%s\" is none of %s \"%s\"", narrow,
							UuidText(RowUuid(row, narrow_column)), wide,
							UuidText(before)),
				 errdetail("An appointment is for one thing: a session of its "
						   "item, an item of its plan."),
				 errhint("Give the %s alone, or none of both.", narrow)));
	SetRow(row, column, UUIDPGetDatum(value));
}

/*
 * RequireBookable refuses to book what has ended: TX004 for a session or an item,
 * TX002 for a plan.
 */
static void
RequireBookable(const Row *row, const TreatmentPlan *plan, const Target *target)
{
	if (target->session_status != NULL &&
		strcmp(target->session_status, "pending") != 0)
		ereport(ERROR, (errcode(ERRCODE_TX_ALREADY_FINAL),
						errmsg("session \"%s\" is %s: it cannot be booked",
							   UuidText(RowUuid(row, APPOINTMENT_SESSION_ID)),
							   target->session_status),
						errdetail("A session ends once."),
						errhint("Book for a session that is pending.")));
	if (target->item_status != NULL &&
		strcmp(target->item_status, "pending") != 0)
		ereport(ERROR, (errcode(ERRCODE_TX_ALREADY_FINAL),
						errmsg("item \"%s\" is %s: it cannot be booked",
							   UuidText(RowUuid(row, APPOINTMENT_ITEM_ID)),
							   target->item_status),
						errdetail("Nothing of it is left to do."),
						errhint("Book for an item that is pending.")));
	if (StateOfPlan(plan)->final)
		ereport(ERROR,
				(errcode(ERRCODE_TX_TRANSITION_BLOCKED),
				 errmsg("plan %s is %s: nothing can be booked for it",
						plan->number, plan->status),
				 errdetail("State \"%s\" of workflow \"%s\" is final.",
						   plan->status, plan->workflow),
				 errhint("Book without a plan, or take the plan up again.")));
}

/*
 * LockBoth locks the plan that an appointment leaves and the one that it comes
 * to, in the order of their ids, and returns the latter.
 */
static TreatmentPlan *
LockBoth(const pg_uuid_t *left, const pg_uuid_t *plan_id,
		 const pg_uuid_t *clinic_id)
{
	TreatmentPlan *plan;

	if (left != NULL && memcmp(left, plan_id, UUID_LEN) < 0)
		(void) LockPlan(left, clinic_id);
	plan = RequirePlanOf(plan_id, clinic_id);
	if (left != NULL && memcmp(left, plan_id, UUID_LEN) > 0)
		(void) LockPlan(left, clinic_id);
	return plan;
}

/*
 * FollowLinks fills in what an appointment is for, from what it names, locks the
 * plan, and checks that all of it fits: TX010 for what belongs elsewhere, and what
 * RequireBookable raises.  old_row is NULL for a new appointment.
 */
void
FollowLinks(Row *row, const Row *old_row)
{
	const pg_uuid_t *clinic_id = RowUuid(row, APPOINTMENT_CLINIC_ID);
	bool plan_given = !RowIsNull(row, APPOINTMENT_PLAN_ID);
	bool item_given = !RowIsNull(row, APPOINTMENT_ITEM_ID);
	bool newly_booked = old_row == NULL;
	Target target = { 0 };
	TreatmentPlan *plan;

	if (old_row != NULL)
	{
		/* What was not changed follows from what was. */
		bool session_changed = !RowIsNull(row, APPOINTMENT_SESSION_ID) &&
							   RowsDiffer(old_row, row, APPOINTMENT_SESSION_ID);
		bool item_changed = RowsDiffer(old_row, row, APPOINTMENT_ITEM_ID);

		plan_given = RowsDiffer(old_row, row, APPOINTMENT_PLAN_ID) ||
					 !(session_changed || item_changed);
		item_given = item_changed || !session_changed;
		newly_booked = session_changed ||
					   (item_changed && !RowIsNull(row, APPOINTMENT_ITEM_ID)) ||
					   (RowsDiffer(old_row, row, APPOINTMENT_PLAN_ID) &&
						!RowIsNull(row, APPOINTMENT_PLAN_ID));
	}
	if (!RowIsNull(row, APPOINTMENT_SESSION_ID) ||
		!RowIsNull(row, APPOINTMENT_ITEM_ID))
	{
		bool of_session = !RowIsNull(row, APPOINTMENT_SESSION_ID);

		ReadTarget(row, &target);
		if (of_session)
			Follow(row, APPOINTMENT_ITEM_ID, &target.item_id, item_given,
				   "session", APPOINTMENT_SESSION_ID, "item");
		Follow(row, APPOINTMENT_PLAN_ID, &target.plan_id, plan_given,
			   of_session ? "session" : "item",
			   of_session ? APPOINTMENT_SESSION_ID : APPOINTMENT_ITEM_ID,
			   "plan");
	}
	if (RowIsNull(row, APPOINTMENT_PLAN_ID))
		return;
	plan =
		LockBoth(old_row == NULL ? NULL : RowUuid(old_row, APPOINTMENT_PLAN_ID),
				 RowUuid(row, APPOINTMENT_PLAN_ID), clinic_id);
	if (memcmp(&plan->patient_id, RowUuid(row, APPOINTMENT_PATIENT_ID),
			   UUID_LEN) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_TX_WRONG_CLINIC),
				 errmsg("plan %s is another patient's", plan->number),
				 errdetail("An appointment is for a plan of its own patient."),
				 errhint("Book for the plan's patient.")));
	if (target.item_status != NULL)
		ReadTarget(row, &target);
	if (newly_booked && !(old_row == NULL && IsThere(row, TABLE_APPOINTMENTS)))
		RequireBookable(row, plan, &target);
}

/*
 * LinksDiffer tells whether an appointment comes to be for something else.
 */
bool
LinksDiffer(const Row *row, const Row *old_row)
{
	return RowsDiffer(old_row, row, APPOINTMENT_PLAN_ID) ||
		   RowsDiffer(old_row, row, APPOINTMENT_ITEM_ID) ||
		   RowsDiffer(old_row, row, APPOINTMENT_SESSION_ID);
}

/*
 * IsGone tells whether the row that a link named was deleted.
 */
static bool
IsGone(const Row *old_row, AppointmentColumn column)
{
	SavedQuery *query = column == APPOINTMENT_PLAN_ID	 ? &find_plan :
						column == APPOINTMENT_ITEM_ID	 ? &find_item :
						column == APPOINTMENT_SESSION_ID ? &find_session :
														   &find_recall;
	Datum arguments[2];
	Datum values[4];
	bool nulls[4];

	arguments[0] = RowValue(old_row, column);
	arguments[1] = RowValue(old_row, APPOINTMENT_CLINIC_ID);
	return !QueryRow(query, AS_OWNER, arguments, NULL, values, nulls);
}

/*
 * IsUnlinked tells whether an UPDATE is that of a foreign key: what an
 * appointment was for is gone, and the appointment stays.
 */
bool
IsUnlinked(const Row *row, const Row *old_row)
{
	bool unlinked = false;
	int i;

	for (i = 0; i < (int) lengthof(link_columns); i++)
	{
		if (!RowsDiffer(old_row, row, link_columns[i]))
			continue;
		if (!RowIsNull(row, link_columns[i]) ||
			!IsGone(old_row, link_columns[i]))
			return false;
		unlinked = true;
	}
	return unlinked;
}
