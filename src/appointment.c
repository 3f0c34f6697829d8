/*
 * appointment.c
 *		Appointments: booked, moved, kept or not.
 *
 * An appointment is booked until it is completed, cancelled or not kept, once.
 * That neither a professional nor a room is taken twice at a time is kept by the
 * exclusion constraints of the table, whoever writes.
 */
#include "appointment.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "actor.h"
#include "error.h"
#include "recall.h"
#include "registry.h"
#include "rowcheck.h"
#include "session.h"
#include "spi.h"

SAVED_QUERY(insert_appointment,
			"INSERT INTO txplan.appointments (clinic_id, patient_id, starts_at, "
			"ends_at, plan_id, item_id, session_id, professional_id, room, kind, "
			"note, recall_id) "
			"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) "
			"RETURNING id",
			UUIDOID, UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID, UUIDOID,
			UUIDOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, UUIDOID);

SAVED_QUERY(find_clinic_of_patient,
			"SELECT p.clinic_id FROM txplan.patients AS p WHERE p.id" EQ "$1",
			UUIDOID);

SAVED_QUERY(find_patient,
			"SELECT p.clinic_id FROM txplan.patients AS p "
			"WHERE p.id" EQ "$1 AND p.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_plan_of_appointment,
			"SELECT a.clinic_id, a.plan_id FROM txplan.appointments AS a "
			"WHERE a.id" EQ "$1",
			UUIDOID);

SAVED_QUERY(find_plan_in_clinic,
			"SELECT a.clinic_id, a.plan_id FROM txplan.appointments AS a "
			"WHERE a.id" EQ "$1 AND a.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(lock_appointment,
			"SELECT a.status, a.starts_at, a.ends_at, a.item_id, a.session_id, "
			"a.ended_at, a.ended_by, a.plan_id, "
			"coalesce(pg_catalog.char_length(a.note), 0) "
			"FROM txplan.appointments AS a "
			"WHERE a.id" EQ "$1 AND a.clinic_id" EQ "$2 "
			"FOR NO KEY UPDATE OF a",
			UUIDOID, UUIDOID);

SAVED_QUERY(end_appointment,
			"UPDATE txplan.appointments AS a SET status = $3 "
			"WHERE a.id" EQ "$1 AND a.clinic_id" EQ "$2",
			UUIDOID, UUIDOID, TEXTOID);

/* What is said at the end is added to what was to know before. */
SAVED_QUERY(end_with_note,
			"UPDATE txplan.appointments AS a SET status = $3, "
			"note = pg_catalog.concat_ws(pg_catalog.chr(10), a.note, $4) "
			"WHERE a.id" EQ "$1 AND a.clinic_id" EQ "$2",
			UUIDOID, UUIDOID, TEXTOID, TEXTOID);

SAVED_QUERY(move_to,
			"UPDATE txplan.appointments AS a SET starts_at = $3, ends_at = $4, "
			"professional_id = coalesce($5, a.professional_id), "
			"room = coalesce($6, a.room) "
			"WHERE a.id" EQ "$1 AND a.clinic_id" EQ "$2",
			UUIDOID, UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID, TEXTOID);

SAVED_QUERY(find_pending_sessions,
			"SELECT s.id FROM txplan.sessions AS s "
			"WHERE s.item_id" EQ "$1 AND s.clinic_id" EQ "$2 "
			"AND s.status" EQ "'pending' LIMIT 2",
			UUIDOID, UUIDOID);

static const AppointmentColumn fixed_columns[] = { APPOINTMENT_ID,
												   APPOINTMENT_CLINIC_ID,
												   APPOINTMENT_PATIENT_ID };

static const AppointmentColumn engine_columns[] = { APPOINTMENT_CREATED_BY,
													APPOINTMENT_ENDED_AT,
													APPOINTMENT_ENDED_BY,
													APPOINTMENT_CREATED_AT };

/* What one that has ended keeps: all but its note, and what it was for */
static const AppointmentColumn lasting_columns[] = {
	APPOINTMENT_PROFESSIONAL_ID, APPOINTMENT_KIND,	  APPOINTMENT_ROOM,
	APPOINTMENT_STARTS_AT,		 APPOINTMENT_ENDS_AT, APPOINTMENT_STATUS
};

#define ENGINE_HINT                                                     \
	"Book, complete or cancel the appointment: the engine then writes " \
	"this column."

#define MAX_KIND_CHARS 60

PG_FUNCTION_INFO_V1(txplan_appointments_check);
PG_FUNCTION_INFO_V1(txplan_book_appointment);
PG_FUNCTION_INFO_V1(txplan_complete_appointment);
PG_FUNCTION_INFO_V1(txplan_cancel_appointment);
PG_FUNCTION_INFO_V1(txplan_mark_no_show);
PG_FUNCTION_INFO_V1(txplan_move_appointment);

/*
 * RaiseFinal says that an appointment has ended, and who ended it.
 */
pg_noreturn static void
RaiseFinal(const pg_uuid_t *id, const char *status, const char *by,
		   TimestampTz at)
{
	ereport(ERROR,
			(errcode(ERRCODE_TX_ALREADY_FINAL),
			 errmsg("appointment \"%s\" is %s already", UuidText(id),
					strcmp(status, "no_show") == 0 ? "marked as no-show" :
													 status),
			 errdetail("%s ended it at %s.", by, timestamptz_to_str(at)),
			 errhint("Book another one.")));
}

/*
 * CheckRecallOf checks the recall suggestion that an appointment names.
 */
static void
CheckRecallOf(const Row *row)
{
	if (!RowIsNull(row, APPOINTMENT_RECALL_ID))
		CheckRecall(RowUuid(row, APPOINTMENT_RECALL_ID),
					RowUuid(row, APPOINTMENT_CLINIC_ID),
					RowUuid(row, APPOINTMENT_PATIENT_ID));
}

/*
 * CheckInsert fills in and checks a new appointment.
 */
static void
CheckInsert(Row *row)
{
	int i;

	for (i = 0; i < (int) lengthof(engine_columns); i++)
		if (engine_columns[i] != APPOINTMENT_CREATED_AT &&
			!RowIsNull(row, engine_columns[i]))
			RaiseEngineOwned("appointments", row->names[engine_columns[i]],
							 ENGINE_HINT);
	if (RowIsNull(row, APPOINTMENT_CLINIC_ID) ||
		RowIsNull(row, APPOINTMENT_PATIENT_ID) ||
		RowIsNull(row, APPOINTMENT_STATUS))
		return;
	if (!RowTextIs(row, APPOINTMENT_STATUS, "booked"))
		ereport(ERROR,
				(errcode(ERRCODE_TX_INVALID_TRANSITION),
				 errmsg("an appointment begins as \"booked\", not as \"%.60s\"",
						RowText(row, APPOINTMENT_STATUS)),
				 errhint("Leave the status out and complete or cancel it "
						 "afterwards.")));
	CheckPatient(RowUuid(row, APPOINTMENT_PATIENT_ID),
				 RowUuid(row, APPOINTMENT_CLINIC_ID));
	FollowLinks(row, NULL);
	if (!RowIsNull(row, APPOINTMENT_PROFESSIONAL_ID))
		CheckProfessional(RowUuid(row, APPOINTMENT_PROFESSIONAL_ID),
						  RowUuid(row, APPOINTMENT_CLINIC_ID));
	CheckRecallOf(row);
	SetRowText(row, APPOINTMENT_CREATED_BY, CurrentActor());
	SetRow(row, APPOINTMENT_UPDATED_AT,
		   TimestampTzGetDatum(GetCurrentTimestamp()));
}

/*
 * LockPlanOf locks the plan that an appointment is for; NULL when there is none.
 */
static TreatmentPlan *
LockPlanOf(const Row *row)
{
	if (RowIsNull(row, APPOINTMENT_PLAN_ID))
		return NULL;
	return LockPlan(RowUuid(row, APPOINTMENT_PLAN_ID),
					RowUuid(row, APPOINTMENT_CLINIC_ID));
}

/*
 * CheckColumns refuses an UPDATE that changes what never changes, what the engine
 * owns, or what an appointment that has ended keeps.  What it was for goes when
 * that is deleted, whatever the appointment is.
 */
static void
CheckColumns(const Row *row, const Row *old_row, bool unlinked)
{
	bool final = !RowTextIs(old_row, APPOINTMENT_STATUS, "booked");
	bool kept = !unlinked && (LinksDiffer(row, old_row) ||
							  RowsDiffer(old_row, row, APPOINTMENT_RECALL_ID));
	int i;

	for (i = 0; i < (int) lengthof(fixed_columns); i++)
		if (RowsDiffer(old_row, row, fixed_columns[i]))
			RaiseNeverChanges("appointments", row->names[fixed_columns[i]]);
	for (i = 0; i < (int) lengthof(engine_columns); i++)
		if (RowsDiffer(old_row, row, engine_columns[i]))
			RaiseEngineOwned("appointments", row->names[engine_columns[i]],
							 ENGINE_HINT);
	for (i = 0; i < (int) lengthof(lasting_columns); i++)
		kept = kept || RowsDiffer(old_row, row, lasting_columns[i]);
	if (final && kept)
		RaiseFinal(RowUuid(old_row, APPOINTMENT_ID),
				   RowText(old_row, APPOINTMENT_STATUS),
				   RowText(old_row, APPOINTMENT_ENDED_BY),
				   DatumGetTimestampTz(RowValue(old_row,
												APPOINTMENT_ENDED_AT)));
}

/*
 * CheckUpdate checks a client's change of an appointment, and lets what it was
 * for go when that is deleted.
 */
static void
CheckUpdate(Row *row, const Row *old_row)
{
	TimestampTz now = GetCurrentTimestamp();
	bool unlinked = IsUnlinked(row, old_row);

	CheckColumns(row, old_row, unlinked);
	if (!unlinked && LinksDiffer(row, old_row))
		FollowLinks(row, old_row);
	(void) LockPlanOf(old_row);
	if (RowsDiffer(old_row, row, APPOINTMENT_PROFESSIONAL_ID) &&
		!RowIsNull(row, APPOINTMENT_PROFESSIONAL_ID))
		CheckProfessional(RowUuid(row, APPOINTMENT_PROFESSIONAL_ID),
						  RowUuid(row, APPOINTMENT_CLINIC_ID));
	if (RowsDiffer(old_row, row, APPOINTMENT_RECALL_ID))
		CheckRecallOf(row);
	if (RowsDiffer(old_row, row, APPOINTMENT_STATUS))
	{
		SetRow(row, APPOINTMENT_ENDED_AT, TimestampTzGetDatum(now));
		SetRowText(row, APPOINTMENT_ENDED_BY, CurrentActor());
	}
	SetRow(row, APPOINTMENT_UPDATED_AT,
		   RowsEqual(old_row, row, APPOINTMENT_UPDATED_AT) ?
			   RowValue(old_row, APPOINTMENT_UPDATED_AT) :
			   TimestampTzGetDatum(now));
}

/*
 * CheckDelete lets no appointment go.
 */
static void
CheckDelete(const Row *row)
{
	ereport(ERROR, (errcode(ERRCODE_TX_ENGINE_OWNED),
					errmsg("appointment \"%s\" cannot be deleted",
						   UuidText(RowUuid(row, APPOINTMENT_ID))),
					errdetail("Who was to come, and came or not, is kept."),
					errhint("Cancel it.")));
}

/*
 * txplan_appointments_check is the trigger before each row of appointments.
 */
Datum
txplan_appointments_check(PG_FUNCTION_ARGS)
{
	static const RowChecks checks = { "appointments_check", TABLE_APPOINTMENTS,
									  CheckInsert, CheckUpdate, CheckDelete };

	return CheckRow(fcinfo, &checks);
}

/*
 * CheckSpan refuses times that are no span, before anything is locked.
 */
static void
CheckSpan(TimestampTz starts_at, TimestampTz ends_at)
{
	if (TIMESTAMP_NOT_FINITE(starts_at) || TIMESTAMP_NOT_FINITE(ends_at))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("the times of an appointment must be finite"),
						errhint("Say when it begins and when it ends.")));
	if (starts_at >= ends_at)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("an appointment must end after it begins"),
						errdetail("It would begin at %s.",
								  timestamptz_to_str(starts_at)),
						errhint("Give a later end.")));
}

/*
 * ClinicOfPatient finds the clinic of a patient, in the clinic that was given if
 * one was, or raises P0002.
 */
static Datum
ClinicOfPatient(FunctionCallInfo fcinfo, int clinic_argument)
{
	bool in_clinic = !PG_ARGISNULL(clinic_argument);
	Datum arguments[2];
	Datum clinic_id;
	bool isnull;
	uint64 rows;

	arguments[0] = PG_GETARG_DATUM(0);
	if (in_clinic)
		arguments[1] = PG_GETARG_DATUM(clinic_argument);
	rows = QueryRows(in_clinic ? &find_patient : &find_clinic_of_patient,
					 AS_OWNER, arguments, NULL, &clinic_id, &isnull);
	if (rows == 0)
		RaiseMissing("patient", PG_GETARG_UUID_P(0));
	if (rows > 1)
		RaiseSeveralClinics("patient", PG_GETARG_UUID_P(0));
	return clinic_id;
}

/*
 * txplan_book_appointment books an appointment.
 */
Datum
txplan_book_appointment(PG_FUNCTION_ARGS)
{
	Datum arguments[12];
	char nulls[13];
	Datum id;
	bool isnull;
	int i;

	RequireArgument(fcinfo, 0, "patient_id");
	RequireArgument(fcinfo, 1, "starts_at");
	RequireArgument(fcinfo, 2, "ends_at");
	RequireRecord();
	RequirePrivilege(TABLE_APPOINTMENTS, ACL_INSERT);
	CheckSpan(PG_GETARG_TIMESTAMPTZ(1), PG_GETARG_TIMESTAMPTZ(2));
	CheckTextArgument(fcinfo, 7, "room", MAX_KIND_CHARS, false);
	CheckTextArgument(fcinfo, 8, "kind", MAX_KIND_CHARS, false);
	CheckTextArgument(fcinfo, 9, "note", NOTE_MAX_CHARS, true);

	arguments[0] = ClinicOfPatient(fcinfo, 11);
	nulls[0] = ' ';
	for (i = 1; i < 12; i++)
	{
		nulls[i] = PG_ARGISNULL(i - 1) ? 'n' : ' ';
		arguments[i] = PG_ARGISNULL(i - 1) ? (Datum) 0 : PG_GETARG_DATUM(i - 1);
	}
	nulls[12] = '\0';
	if (!QueryRow(&insert_appointment, AS_CALLER, arguments, nulls, &id,
				  &isnull))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(id);
}

/* An appointment that a function was given, and that is locked with its plan */
typedef struct LockedAppointment
{
	pg_uuid_t id;
	pg_uuid_t clinic_id;
	TreatmentPlan *plan; /* NULL when it is for none */
	TimestampTz starts_at;
	TimestampTz ends_at;
	bool has_item;
	pg_uuid_t item_id;
	bool has_session;
	pg_uuid_t session_id;
	int note_chars;
} LockedAppointment;

/*
 * LockBooked locks the appointment that a function was given, its plan first, and
 * raises P0002 when there is none and TX004 when it has ended.
 */
static void
LockBooked(FunctionCallInfo fcinfo, int clinic_argument,
		   LockedAppointment *appointment)
{
	bool in_clinic = !PG_ARGISNULL(clinic_argument);
	Datum arguments[2];
	Datum values[9];
	bool nulls[9];
	uint64 rows;

	arguments[0] = PG_GETARG_DATUM(0);
	if (in_clinic)
		arguments[1] = PG_GETARG_DATUM(clinic_argument);
	rows =
		QueryRows(in_clinic ? &find_plan_in_clinic : &find_plan_of_appointment,
				  AS_OWNER, arguments, NULL, values, nulls);
	if (rows == 0)
		RaiseMissing("appointment", PG_GETARG_UUID_P(0));
	if (rows > 1)
		RaiseSeveralClinics("appointment", PG_GETARG_UUID_P(0));
	memset(appointment, 0, sizeof(LockedAppointment));
	appointment->id = *PG_GETARG_UUID_P(0);
	appointment->clinic_id = *DatumGetUUIDP(values[0]);
	if (!nulls[1])
		(void) LockPlan(DatumGetUUIDP(values[1]), &appointment->clinic_id);

	arguments[1] = UUIDPGetDatum(&appointment->clinic_id);
	if (!QueryRow(&lock_appointment, AS_OWNER, arguments, NULL, values, nulls))
		RaiseMissing("appointment", &appointment->id);
	if (!nulls[5])
		RaiseFinal(&appointment->id, TextDatumGetCString(values[0]),
				   TextDatumGetCString(values[6]),
				   DatumGetTimestampTz(values[5]));

	/* What it is for may have changed while this session waited. */
	appointment->plan =
		nulls[7] ? NULL :
				   LockPlan(DatumGetUUIDP(values[7]), &appointment->clinic_id);
	appointment->starts_at = DatumGetTimestampTz(values[1]);
	appointment->ends_at = DatumGetTimestampTz(values[2]);
	appointment->has_item = appointment->plan != NULL && !nulls[3];
	if (appointment->has_item)
		appointment->item_id = *DatumGetUUIDP(values[3]);
	appointment->has_session = appointment->plan != NULL && !nulls[4];
	if (appointment->has_session)
		appointment->session_id = *DatumGetUUIDP(values[4]);
	appointment->note_chars = DatumGetInt32(values[8]);
}

/*
 * UpdateAppointment runs an UPDATE of an appointment as the caller.
 */
static void
UpdateAppointment(const LockedAppointment *appointment, SavedQuery *query,
				  Datum *arguments, const char *nulls)
{
	uint64 rows;

	arguments[0] = UUIDPGetDatum(&appointment->id);
	arguments[1] = UUIDPGetDatum(&appointment->clinic_id);
	ConnectSpi();
	rows = RunQuery(query, AS_CALLER, arguments, nulls);
	FinishSpi();
	if (rows == 0)
		RaiseMissing("appointment", &appointment->id);
}

/*
 * EndAppointment writes how an appointment ended; the note may be NULL.
 */
static void
EndAppointment(const LockedAppointment *appointment, const char *status,
			   text *note)
{
	Datum arguments[4];
	int chars = appointment->note_chars;

	if (note != NULL && chars > 0)
		chars += 1 + pg_mbstrlen_with_len(VARDATA_ANY(note),
										  VARSIZE_ANY_EXHDR(note));
	if (chars > NOTE_MAX_CHARS)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("argument \"note\" is too long"),
				 errdetail("With the note that the appointment has, it would "
						   "have %d characters, of which at most %d are kept.",
						   chars, NOTE_MAX_CHARS),
				 errhint("Shorten it.")));
	arguments[2] = CStringGetTextDatum(status);
	arguments[3] = PointerGetDatum(note);
	UpdateAppointment(appointment,
					  note == NULL ? &end_appointment : &end_with_note,
					  arguments, NULL);
}

/*
 * SessionToComplete finds the session that a completed appointment completes: the
 * one that it names, else the only one of its item that is pending.
 */
static const pg_uuid_t *
SessionToComplete(const LockedAppointment *appointment)
{
	Datum arguments[2];
	Datum id;
	bool isnull;
	uint64 rows = 0;

	if (appointment->has_session)
		return &appointment->session_id;
	if (appointment->has_item)
	{
		arguments[0] = UUIDPGetDatum(&appointment->item_id);
		arguments[1] = UUIDPGetDatum(&appointment->clinic_id);
		rows = QueryRows(&find_pending_sessions, AS_OWNER, arguments, NULL, &id,
						 &isnull);
		if (rows == 1)
			return DatumGetUUIDP(id);
	}
	ereport(ERROR,
			(errcode(ERRCODE_TX_TRANSITION_BLOCKED),
			 errmsg("appointment \"%s\" names no session to complete",
					UuidText(&appointment->id)),
			 !appointment->has_item ?
				 errdetail("It is for no item.") :
				 (rows == 0 ? errdetail("No session of its item is pending.") :
							  errdetail("Several sessions of its item are "
										"pending.")),
			 errhint("Complete the appointment alone, and the session with "
					 "txplan.complete_session().")));
}

/*
 * txplan_complete_appointment completes an appointment, and with it the session
 * that it was for if that is wanted: then it returns the item's status.
 */
Datum
txplan_complete_appointment(PG_FUNCTION_ARGS)
{
	Completion meant = { .via = "appointment" };
	bool complete_session = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	LockedAppointment appointment;
	const pg_uuid_t *session_id;
	text *note;

	RequireArgument(fcinfo, 0, "appointment_id");
	RequireRecord();
	RequirePrivilege(TABLE_APPOINTMENTS, ACL_UPDATE);
	if (complete_session)
		RequirePrivilege(TABLE_SESSIONS, ACL_UPDATE);
	CheckTextArgument(fcinfo, 2, "note", NOTE_MAX_CHARS, true);
	note = PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2);
	LockBooked(fcinfo, 3, &appointment);
	if (!complete_session)
	{
		EndAppointment(&appointment, "completed", note);
		PG_RETURN_NULL();
	}
	session_id = SessionToComplete(&appointment);
	EndAppointment(&appointment, "completed", NULL);
	EndSessionOf(appointment.plan, session_id, "completed", note, &meant);
	PG_RETURN_TEXT_P(cstring_to_text(meant.item_status));
}

/*
 * EndUnkept is the body of cancel_appointment and mark_no_show.
 */
static void
EndUnkept(FunctionCallInfo fcinfo, const char *status)
{
	LockedAppointment appointment;

	RequireArgument(fcinfo, 0, "appointment_id");
	RequireRecord();
	RequirePrivilege(TABLE_APPOINTMENTS, ACL_UPDATE);
	CheckTextArgument(fcinfo, 1, "note", NOTE_MAX_CHARS, true);
	LockBooked(fcinfo, 2, &appointment);
	EndAppointment(&appointment, status,
				   PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1));
}

/*
 * txplan_cancel_appointment cancels an appointment, whose time is free again.
 */
Datum
txplan_cancel_appointment(PG_FUNCTION_ARGS)
{
	EndUnkept(fcinfo, "cancelled");
	PG_RETURN_VOID();
}

/*
 * txplan_mark_no_show notes that the patient did not come.
 */
Datum
txplan_mark_no_show(PG_FUNCTION_ARGS)
{
	EndUnkept(fcinfo, "no_show");
	PG_RETURN_VOID();
}

/*
 * txplan_move_appointment moves an appointment.  Without an end it keeps its
 * length, without a professional or a room those that it has.
 */
Datum
txplan_move_appointment(PG_FUNCTION_ARGS)
{
	LockedAppointment appointment;
	TimestampTz starts_at;
	TimestampTz ends_at;
	Datum arguments[6];
	char nulls[7] = "      ";
	int i;

	RequireArgument(fcinfo, 0, "appointment_id");
	RequireArgument(fcinfo, 1, "starts_at");
	RequireRecord();
	RequirePrivilege(TABLE_APPOINTMENTS, ACL_UPDATE);
	CheckTextArgument(fcinfo, 4, "room", MAX_KIND_CHARS, false);
	starts_at = PG_GETARG_TIMESTAMPTZ(1);
	CheckSpan(starts_at,
			  PG_ARGISNULL(2) ? starts_at + 1 : PG_GETARG_TIMESTAMPTZ(2));
	LockBooked(fcinfo, 5, &appointment);
	ends_at = PG_ARGISNULL(2) ?
				  starts_at + (appointment.ends_at - appointment.starts_at) :
				  PG_GETARG_TIMESTAMPTZ(2);
	if (!IS_VALID_TIMESTAMP(ends_at))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("timestamp out of range"),
						errhint("Choose an earlier time.")));
	arguments[2] = TimestampTzGetDatum(starts_at);
	arguments[3] = TimestampTzGetDatum(ends_at);
	for (i = 4; i < 6; i++)
	{
		nulls[i] = PG_ARGISNULL(i - 1) ? 'n' : ' ';
		arguments[i] = PG_ARGISNULL(i - 1) ? (Datum) 0 : PG_GETARG_DATUM(i - 1);
	}
	UpdateAppointment(&appointment, &move_to, arguments, nulls);
	PG_RETURN_VOID();
}
