/*
 * appointmentfacts.c
 *		What follows from a statement on appointments: recalls, history, events.
 */
#include "appointment.h"

#include "catalog/pg_type.h"
#include "utils/memutils.h"

#include "error.h"
#include "event.h"
#include "recall.h"
#include "settle.h"
#include "spi.h"

/* What the history tells of, each column by itself */
static const AppointmentColumn told_columns[] = {
	APPOINTMENT_STATUS,	   APPOINTMENT_STARTS_AT,
	APPOINTMENT_ENDS_AT,   APPOINTMENT_PLAN_ID,
	APPOINTMENT_ITEM_ID,   APPOINTMENT_SESSION_ID,
	APPOINTMENT_RECALL_ID, APPOINTMENT_PROFESSIONAL_ID,
	APPOINTMENT_ROOM,	   APPOINTMENT_KIND,
	APPOINTMENT_NOTE
};

SAVED_QUERY(find_kept,
			"SELECT 1 FROM txplan.appointments AS a "
			"WHERE a.id" EQ "$1 AND a.clinic_id" EQ "$2 AND a.recall_id" EQ
			"$3 "
			"AND (a.status" EQ "'booked' OR a.status" EQ "'completed')",
			UUIDOID, UUIDOID, UUIDOID);

PG_FUNCTION_INFO_V1(txplan_appointments_settle);

/*
 * KeepsRecall tells whether an appointment closes the suggestion that it names.
 */
static bool
KeepsRecall(const Row *row)
{
	return row != NULL && !RowIsNull(row, APPOINTMENT_RECALL_ID) &&
		   (RowTextIs(row, APPOINTMENT_STATUS, "booked") ||
			RowTextIs(row, APPOINTMENT_STATUS, "completed"));
}

/*
 * RecallChanged tells whether an appointment comes to close a suggestion, or
 * another one, or none any more.  old_row is NULL for a new appointment.
 */
static bool
RecallChanged(const Row *row, const Row *old_row)
{
	return KeepsRecall(row) != KeepsRecall(old_row) ||
		   (old_row != NULL && RowsDiffer(old_row, row, APPOINTMENT_RECALL_ID));
}

/*
 * LetRecallGo opens a suggestion again when its appointment is not kept or names
 * another.
 */
static void
LetRecallGo(const Row *row, const Row *old_row)
{
	if (KeepsRecall(old_row) && RecallChanged(row, old_row))
		ReopenRecall(RowUuid(old_row, APPOINTMENT_RECALL_ID),
					 RowUuid(row, APPOINTMENT_CLINIC_ID),
					 RowUuid(row, APPOINTMENT_ID));
}

/*
 * TakeRecall closes the suggestion that an appointment names, if it still does: a
 * function that the statement called may have cancelled it.
 */
static void
TakeRecall(const Row *row, const Row *old_row)
{
	Datum arguments[3];
	Datum one;
	bool isnull;

	if (!KeepsRecall(row) || !RecallChanged(row, old_row))
		return;
	arguments[0] = RowValue(row, APPOINTMENT_ID);
	arguments[1] = RowValue(row, APPOINTMENT_CLINIC_ID);
	arguments[2] = RowValue(row, APPOINTMENT_RECALL_ID);
	if (QueryRow(&find_kept, AS_OWNER, arguments, NULL, &one, &isnull))
		CloseRecall(RowUuid(row, APPOINTMENT_RECALL_ID),
					RowUuid(row, APPOINTMENT_CLINIC_ID),
					RowUuid(row, APPOINTMENT_ID));
}

/*
 * ColumnText writes a column as history has it, NULL when it is NULL: times in
 * UTC, whatever the session's time zone.
 */
static char *
ColumnText(const Row *row, int column)
{
	if (RowIsNull(row, column))
		return NULL;
	switch (TupleDescAttr(row->descriptor, row->columns[column] - 1)->atttypid)
	{
		case UUIDOID:
			return UuidText(RowUuid(row, column));
		case TIMESTAMPTZOID:
			return TimeText(DatumGetTimestampTz(RowValue(row, column)));
		default:
			return RowText(row, column);
	}
}

/*
 * TellAppointment tells a plan of a new appointment or of a change of one.
 */
static void
TellAppointment(PlanRun *run, const Row *row, const Row *old_row)
{
	HistoryRow fact = { 0 };
	Payload payload;
	int i;

	for (i = 0; i < (int) lengthof(told_columns); i++)
	{
		AppointmentColumn column = told_columns[i];

		if (old_row == NULL ? column != APPOINTMENT_STARTS_AT :
							  !RowsDiffer(old_row, row, column))
			continue;
		memset(&fact, 0, sizeof(HistoryRow));
		fact.what = old_row == NULL ?
						"appointment_booked" :
						psprintf("appointment_%s", row->names[column]);
		fact.action = UuidText(RowUuid(row, APPOINTMENT_ID));
		fact.item_id = RowUuid(row, APPOINTMENT_ITEM_ID);
		fact.session_id = RowUuid(row, APPOINTMENT_SESSION_ID);
		fact.from_value = old_row == NULL ? NULL : ColumnText(old_row, column);
		fact.to_value = ColumnText(row, column);
		if (old_row == NULL)
			fact.note = RowText(row, APPOINTMENT_NOTE);
		RecordHistory(&run->settlement, run->plan, &fact);
	}
	BeginPayload(&payload);
	PayloadUuid(&payload, "appointment_id", RowUuid(row, APPOINTMENT_ID));
	PayloadChanged(&payload, "appointments");
	PublishEvent(&run->settlement, run->plan, "treatment_plan.updated",
				 &payload);
}

/*
 * IsChanged tells whether an UPDATE changed anything that is told.
 */
static bool
IsChanged(const Row *row, const Row *old_row)
{
	int i;

	for (i = 0; i < (int) lengthof(told_columns); i++)
		if (RowsDiffer(old_row, row, told_columns[i]))
			return true;
	return false;
}

/*
 * TellPlanOf tells the plan that one of two rows names, if it is there.
 */
static void
TellPlanOf(PlanRun *run, const Row *named, const Row *row, const Row *old_row)
{
	TreatmentPlan *plan;

	if (RowIsNull(named, APPOINTMENT_PLAN_ID))
		return;
	plan = LockPlan(RowUuid(named, APPOINTMENT_PLAN_ID),
					RowUuid(named, APPOINTMENT_CLINIC_ID));
	if (plan == NULL)
		return;
	EnterPlanOfRun(run, plan);
	TellAppointment(run, row, old_row);
}

/*
 * SettleAppointment adds the facts of one row of the statement; a plan that an
 * appointment leaves for another is told as well.
 */
static void
SettleAppointment(PlanRun *run, const Row *row, const Row *old_row)
{
	if (old_row != NULL && !IsChanged(row, old_row))
		return;
	if (old_row != NULL && RowsDiffer(old_row, row, APPOINTMENT_PLAN_ID))
		TellPlanOf(run, old_row, row, old_row);
	TellPlanOf(run, row, row, old_row);
}

/*
 * txplan_appointments_settle is the trigger after each statement that adds or
 * changes appointments.
 */
Datum
txplan_appointments_settle(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = OurTrigger(fcinfo, "appointments_settle");
	bool is_insert = TRIGGER_FIRED_BY_INSERT(trigger->tg_event);
	MemoryContext each;
	MemoryContext old;
	PlanRun run;
	ChangedRows changes;
	Row old_row = { 0 };
	Row row = { 0 };

	each = AllocSetContextCreate(CurrentMemoryContext,
								 "txplan appointment settled",
								 ALLOCSET_DEFAULT_SIZES);
	BeginRun(&run, false);

	/* That may fire triggers of others, so it is done before any fact is added. */
	OpenChanges(&changes, trigger, TABLE_APPOINTMENTS);
	while (NextChange(&changes, &old_row, &row))
	{
		old = MemoryContextSwitchTo(each);
		LetRecallGo(&row, is_insert ? NULL : &old_row);
		MemoryContextSwitchTo(old);
		MemoryContextReset(each);
	}
	CloseChanges(&changes);

	/* One may take what another of the statement let go. */
	OpenChanges(&changes, trigger, TABLE_APPOINTMENTS);
	while (NextChange(&changes, &old_row, &row))
	{
		old = MemoryContextSwitchTo(each);
		TakeRecall(&row, is_insert ? NULL : &old_row);
		MemoryContextSwitchTo(old);
		MemoryContextReset(each);
	}
	CloseChanges(&changes);

	OpenChanges(&changes, trigger, TABLE_APPOINTMENTS);
	while (NextChange(&changes, &old_row, &row))
	{
		old = MemoryContextSwitchTo(each);
		SettleAppointment(&run, &row, is_insert ? NULL : &old_row);
		MemoryContextSwitchTo(old);
		MemoryContextReset(each);
	}
	CloseChanges(&changes);
	EndRun(&run);
	MemoryContextDelete(each);
	return PointerGetDatum(NULL);
}
