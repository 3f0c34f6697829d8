/*
 * session.c
 *		The sessions in which an item is treated: what may change, and by whom.
 *
 * A session is completed or cancelled once.  Whoever does it, by a function or
 * an UPDATE, ends in the trigger below, which locks the plan before it looks;
 * sessionfacts.c then books, counts and tells.
 */
#include "session.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "actor.h"
#include "allocation.h"
#include "error.h"
#include "planlock.h"
#include "quote.h"
#include "rowcheck.h"
#include "spi.h"
#include "transition.h"

static Completion *completion = NULL;
static int completion_depth = 0; /* triggers around its UPDATE */

SAVED_QUERY(find_item,
			"SELECT i.plan_id, i.status, i.completed_by, i.completed_at "
			"FROM txplan.items AS i "
			"WHERE i.id" EQ "$1 AND i.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_sequence,
			"SELECT coalesce(pg_catalog.max(s.sequence), 0)" PLUS "1 "
			"FROM txplan.sessions AS s "
			"WHERE s.item_id" EQ "$1 AND s.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(insert_session,
			"INSERT INTO txplan.sessions (plan_id, item_id, clinic_id, label, amount) "
			"VALUES ($1, $2, $3, $4, $5) RETURNING id",
			UUIDOID, UUIDOID, UUIDOID, TEXTOID, NUMERICOID);

SAVED_QUERY(end_session,
			"UPDATE txplan.sessions SET status = $3 "
			"WHERE id" EQ "$1 AND clinic_id" EQ "$2",
			UUIDOID, UUIDOID, TEXTOID);

SAVED_QUERY(end_session_with_note,
			"UPDATE txplan.sessions SET status = $3, note = $4 "
			"WHERE id" EQ "$1 AND clinic_id" EQ "$2",
			UUIDOID, UUIDOID, TEXTOID, TEXTOID);

SAVED_QUERY(complete_sessions,
			"UPDATE txplan.sessions AS s SET status = 'completed', "
			"note = coalesce($3, s.note) "
			"WHERE s.item_id" EQ "$1 AND s.clinic_id" EQ "$2 "
			"AND s.status" EQ "'pending'",
			UUIDOID, UUIDOID, TEXTOID);

static const SessionColumn fixed_columns[] = { SESSION_ID, SESSION_CLINIC_ID,
											   SESSION_PLAN_ID,
											   SESSION_ITEM_ID };

static const SessionColumn engine_columns[] = { SESSION_COMPLETED_AT,
												SESSION_COMPLETED_BY,
												SESSION_CANCELLED_AT,
												SESSION_CREATED_AT };

/* What a final session keeps */
static const SessionColumn lasting_columns[] = { SESSION_SEQUENCE,
												 SESSION_LABEL,
												 SESSION_AMOUNT };

#define ENGINE_HINT                                              \
	"Set status, or call txplan.complete_session(): the engine " \
	"then writes this column."

PG_FUNCTION_INFO_V1(txplan_sessions_check);
PG_FUNCTION_INFO_V1(txplan_add_session);
PG_FUNCTION_INFO_V1(txplan_complete_session);
PG_FUNCTION_INFO_V1(txplan_cancel_session);
PG_FUNCTION_INFO_V1(txplan_complete_item);
PG_FUNCTION_INFO_V1(txplan_record_performed);

/*
 * CurrentCompletion returns what a function means by the statement whose trigger
 * asks; NULL when it is a client's.
 */
Completion *
CurrentCompletion(void)
{
	return completion != NULL && TriggerDepth() == completion_depth + 1 ?
			   completion :
			   NULL;
}

/*
 * RunCompletion runs an UPDATE of sessions under a meaning, with all that
 * follows from it, and returns the number of sessions.
 */
static uint64
RunCompletion(Completion *meant, SavedQuery *query, Datum *values,
			  const char *nulls)
{
	Completion *saved = completion;
	int saved_depth = completion_depth;
	uint64 rows = 0;

	PG_TRY();
	{
		completion = meant;
		completion_depth = TriggerDepth();
		ConnectSpi();
		rows = RunQuery(query, AS_CALLER, values, nulls);
		FinishSpi();
	}
	PG_FINALLY();
	{
		completion = saved;
		completion_depth = saved_depth;
	}
	PG_END_TRY();
	return rows;
}

/*
 * RaiseFinal says that a session has ended, and who ended it.
 */
static void
RaiseFinal(const Row *row)
{
	bool completed = RowTextIs(row, SESSION_STATUS, "completed");
	int column = completed ? SESSION_COMPLETED_AT : SESSION_CANCELLED_AT;
	const char *at =
		timestamptz_to_str(DatumGetTimestampTz(RowValue(row, column)));

	ereport(ERROR,
			(errcode(ERRCODE_TX_ALREADY_FINAL),
			 errmsg("session \"%s\" is %s already",
					UuidText(RowUuid(row, SESSION_ID)),
					completed ? "completed" : "cancelled"),
			 completed ? errdetail("%s completed it at %s.",
								   RowText(row, SESSION_COMPLETED_BY), at) :
						 errdetail("It was cancelled at %s.", at),
			 errhint("A session ends once; add another one for more.")));
}

/*
 * RaiseItemFinal says that an item takes no more sessions.
 */
static void
RaiseItemFinal(const pg_uuid_t *item_id, Datum *item, bool *isnull)
{
	ereport(ERROR,
			(errcode(ERRCODE_TX_ALREADY_FINAL),
			 errmsg("item \"%s\" is %s", UuidText(item_id),
					TextDatumGetCString(item[1])),
			 isnull[2] ?
				 errdetail("Nothing of it is left to do.") :
				 errdetail("%s completed it at %s.",
						   TextDatumGetCString(item[2]),
						   timestamptz_to_str(DatumGetTimestampTz(item[3]))),
			 errhint("Add a new item for more treatment.")));
}

/*
 * IsPendingItem tells whether an item read by find_item is pending.
 */
static bool
IsPendingItem(Datum *item)
{
	return strcmp(TextDatumGetCString(item[1]), "pending") == 0;
}

/*
 * FindItem reads an item; false when there is none.
 */
static bool
FindItem(const pg_uuid_t *item_id, const pg_uuid_t *clinic_id, Datum *item,
		 bool *isnull)
{
	Datum arguments[2];

	arguments[0] = UUIDPGetDatum(item_id);
	arguments[1] = UUIDPGetDatum(clinic_id);
	return QueryRow(&find_item, AS_OWNER, arguments, NULL, item, isnull);
}

/*
 * LockItem locks the plan of a session's item and reads the item under that
 * lock; NULL when the plan is gone, or the item, with all that was theirs.
 */
static TreatmentPlan *
LockItem(const pg_uuid_t *plan_id, const pg_uuid_t *item_id,
		 const pg_uuid_t *clinic_id, Datum *item, bool *isnull)
{
	TreatmentPlan *plan = LockPlan(plan_id, clinic_id);

	if (plan == NULL || !FindItem(item_id, clinic_id, item, isnull))
		return NULL;
	return plan;
}

/*
 * CheckNewColumns refuses a new session that brings what the engine gives it.
 */
static void
CheckNewColumns(const Row *row)
{
	int i;

	for (i = 0; i < lengthof(engine_columns); i++)
		if (engine_columns[i] != SESSION_CREATED_AT &&
			!RowIsNull(row, engine_columns[i]))
			RaiseEngineOwned("sessions", row->names[engine_columns[i]],
							 ENGINE_HINT);
	if (!RowTextIs(row, SESSION_STATUS, "pending"))
		RaiseEngineOwned("sessions", "status", ENGINE_HINT);
}

/*
 * CheckInsert checks a new session of a client and puts it last.
 */
static void
CheckInsert(Row *row)
{
	const pg_uuid_t *item_id = RowUuid(row, SESSION_ITEM_ID);
	const pg_uuid_t *clinic_id = RowUuid(row, SESSION_CLINIC_ID);
	pg_uuid_t item_clinic;
	pg_uuid_t plan_id;
	Datum item[4];
	bool isnull[4];
	TreatmentPlan *plan;

	CheckNewColumns(row);
	if (item_id == NULL || clinic_id == NULL)
		return;
	if (!FindItem(item_id, clinic_id, item, isnull))
	{
		if (FindClinicOf(TABLE_ITEMS, item_id, &item_clinic, &plan_id))
			RaiseWrongClinic("item", item_id);
		RaiseMissing("item", item_id);
	}
	plan_id = *DatumGetUUIDP(item[0]);
	if (!RowIsNull(row, SESSION_PLAN_ID) &&
		memcmp(RowUuid(row, SESSION_PLAN_ID), &plan_id, UUID_LEN) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_TX_WRONG_CLINIC),
				 errmsg("item \"%s\" is none of plan \"%s\"", UuidText(item_id),
						UuidText(RowUuid(row, SESSION_PLAN_ID))),
				 errdetail("A session is of the plan that its item is of."),
				 errhint("Leave plan_id out.")));
	plan = LockItem(&plan_id, item_id, clinic_id, item, isnull);
	if (plan == NULL)
		RaiseMissing("item", item_id);
	if (!IsPendingItem(item))
		RaiseItemFinal(item_id, item, isnull);
	RequireEditable(plan, "its items take no sessions");
	RequireUnlocked(plan, "its items take no sessions");

	SetRow(row, SESSION_PLAN_ID, UUIDPGetDatum(&plan_id));
	if (RowIsNull(row, SESSION_SEQUENCE))
	{
		Datum arguments[2];
		Datum sequence;
		bool no_sequence;

		arguments[0] = UUIDPGetDatum(item_id);
		arguments[1] = UUIDPGetDatum(clinic_id);
		(void) QueryRow(&find_sequence, AS_OWNER, arguments, NULL, &sequence,
						&no_sequence);
		SetRow(row, SESSION_SEQUENCE, sequence);
	}
	SetRow(row, SESSION_UPDATED_AT, TimestampTzGetDatum(GetCurrentTimestamp()));
}

/*
 * EndSession checks that a session may end, and notes when and by whom.
 */
static void
EndSession(Row *row, const TreatmentPlan *plan, TimestampTz now)
{
	if (RowTextIs(row, SESSION_STATUS, "completed"))
	{
		RequireTreatable(plan, "no session can be completed");
		SetRow(row, SESSION_COMPLETED_AT, TimestampTzGetDatum(now));
		SetRowText(row, SESSION_COMPLETED_BY, CurrentActor());
	}
	else if (RowTextIs(row, SESSION_STATUS, "cancelled"))
	{
		RequireTreatable(plan, "no session can be cancelled");
		SetRow(row, SESSION_CANCELLED_AT, TimestampTzGetDatum(now));
	}
}

/*
 * CheckUpdate checks a client's change of a session.
 */
static void
CheckUpdate(Row *row, const Row *old_row)
{
	bool final = !RowTextIs(old_row, SESSION_STATUS, "pending");
	bool status_changed = RowsDiffer(old_row, row, SESSION_STATUS);
	TimestampTz now = GetCurrentTimestamp();
	TreatmentPlan *plan;
	int i;

	for (i = 0; i < lengthof(fixed_columns); i++)
		if (RowsDiffer(old_row, row, fixed_columns[i]))
			RaiseNeverChanges("sessions", row->names[fixed_columns[i]]);
	if (final && (status_changed || CurrentCompletion() != NULL))
		RaiseFinal(old_row);
	for (i = 0; i < lengthof(engine_columns); i++)
		if (RowsDiffer(old_row, row, engine_columns[i]))
			RaiseEngineOwned("sessions", row->names[engine_columns[i]],
							 ENGINE_HINT);
	for (i = 0; i < lengthof(lasting_columns); i++)
		if (final && RowsDiffer(old_row, row, lasting_columns[i]))
			RaiseFinal(old_row);

	plan = LockPlan(RowUuid(row, SESSION_PLAN_ID),
					RowUuid(row, SESSION_CLINIC_ID));
	if (plan == NULL)
		RaiseMissing("plan", RowUuid(row, SESSION_PLAN_ID));
	if (RowsDiffer(old_row, row, SESSION_AMOUNT))
	{
		RequireEditable(plan, "the amounts of its sessions do not change");
		RequireUnlocked(plan, "the amounts of its sessions do not change");
	}
	if (status_changed)
		EndSession(row, plan, now);
	SetRow(row, SESSION_UPDATED_AT,
		   RowsEqual(old_row, row, SESSION_UPDATED_AT) ?
			   RowValue(old_row, SESSION_UPDATED_AT) :
			   TimestampTzGetDatum(now));
}

/*
 * CheckDelete lets go only a pending session of a pending item.  When the item
 * is gone, or the plan, it goes along.
 */
static void
CheckDelete(const Row *row)
{
	const pg_uuid_t *item_id = RowUuid(row, SESSION_ITEM_ID);
	Datum item[4];
	bool isnull[4];
	TreatmentPlan *plan =
		LockItem(RowUuid(row, SESSION_PLAN_ID), item_id,
				 RowUuid(row, SESSION_CLINIC_ID), item, isnull);

	if (plan == NULL)
		return;
	if (!RowTextIs(row, SESSION_STATUS, "pending"))
		RaiseFinal(row);
	if (!IsPendingItem(item))
		RaiseItemFinal(item_id, item, isnull);
	RequireEditable(plan, "its items let no sessions go");
	RequireUnlocked(plan, "its items let no sessions go");
}

/*
 * txplan_sessions_check is the trigger before each row of sessions.
 */
Datum
txplan_sessions_check(PG_FUNCTION_ARGS)
{
	static const RowChecks checks = { "sessions_check", TABLE_SESSIONS,
									  CheckInsert, CheckUpdate, CheckDelete };

	return CheckRow(fcinfo, &checks);
}

/*
 * txplan_add_session adds a session to an item.
 */
Datum
txplan_add_session(PG_FUNCTION_ARGS)
{
	TreatmentPlan *plan;
	Datum arguments[5];
	Datum id;
	bool isnull;

	RequireArgument(fcinfo, 0, "item_id");
	RequireArgument(fcinfo, 1, "label");
	RequireArgument(fcinfo, 2, "amount");
	RequireRecord();
	RequirePrivilege(TABLE_SESSIONS, ACL_INSERT);
	CheckTextArgument(fcinfo, 1, "label", NAME_MAX_CHARS, false);
	CheckAmount(PG_GETARG_DATUM(2), "amount");
	plan = LockArgument(fcinfo, TABLE_ITEMS, 3);
	arguments[0] = UUIDPGetDatum(&plan->key.id);
	arguments[1] = PG_GETARG_DATUM(0);
	arguments[2] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[3] = PG_GETARG_DATUM(1);
	arguments[4] = PG_GETARG_DATUM(2);
	if (!QueryRow(&insert_session, AS_CALLER, arguments, NULL, &id, &isnull))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(id);
}

/*
 * EndSessionOf completes or cancels one session of a plan that is locked, and
 * raises TX004 when it has ended already.  The note may be NULL.
 */
void
EndSessionOf(const TreatmentPlan *plan, const pg_uuid_t *session_id,
			 const char *status, text *note, Completion *meant)
{
	Datum arguments[4];
	uint64 rows;

	arguments[0] = UUIDPGetDatum(session_id);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	arguments[2] = CStringGetTextDatum(status);
	arguments[3] = PointerGetDatum(note);
	rows = RunCompletion(meant,
						 note == NULL ? &end_session : &end_session_with_note,
						 arguments, NULL);
	if (rows == 0)
		RaiseMissing("session", session_id);
}

/*
 * EndOneSession is the body of complete_session and cancel_session.
 */
static Datum
EndOneSession(FunctionCallInfo fcinfo, const char *status)
{
	Completion meant = { .via = "session" };
	TreatmentPlan *plan;

	RequireArgument(fcinfo, 0, "session_id");
	RequireRecord();
	RequirePrivilege(TABLE_SESSIONS, ACL_UPDATE);
	CheckTextArgument(fcinfo, 1, "note", NOTE_MAX_CHARS, true);
	plan = LockArgument(fcinfo, TABLE_SESSIONS, 2);
	EndSessionOf(plan, PG_GETARG_UUID_P(0), status,
				 PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1), &meant);
	PG_RETURN_TEXT_P(cstring_to_text(meant.item_status));
}

/*
 * txplan_complete_session completes a session.
 */
Datum
txplan_complete_session(PG_FUNCTION_ARGS)
{
	return EndOneSession(fcinfo, "completed");
}

/*
 * txplan_cancel_session cancels a session.
 */
Datum
txplan_cancel_session(PG_FUNCTION_ARGS)
{
	return EndOneSession(fcinfo, "cancelled");
}

/*
 * CompleteItem is the body of complete_item and record_performed.
 */
static Datum
CompleteItem(FunctionCallInfo fcinfo, const char *via)
{
	Completion meant = { .via = via };
	TreatmentPlan *plan;
	Datum arguments[3];
	Datum item[4];
	bool isnull[4];
	char nulls[4] = "   ";

	RequireArgument(fcinfo, 0, "item_id");
	RequireRecord();
	RequirePrivilege(TABLE_SESSIONS, ACL_UPDATE);
	CheckTextArgument(fcinfo, 1, "note", NOTE_MAX_CHARS, true);
	plan = LockArgument(fcinfo, TABLE_ITEMS, 2);
	arguments[0] = PG_GETARG_DATUM(0);
	arguments[1] = UUIDPGetDatum(&plan->key.clinic_id);
	if (!QueryRow(&find_item, AS_OWNER, arguments, NULL, item, isnull))
		RaiseMissing("item", PG_GETARG_UUID_P(0));
	if (!IsPendingItem(item))
		RaiseItemFinal(PG_GETARG_UUID_P(0), item, isnull);
	RequireTreatable(plan, "no item can be completed");
	if (PG_ARGISNULL(1))
		nulls[2] = 'n';
	else
		arguments[2] = PG_GETARG_DATUM(1);
	if (RunCompletion(&meant, &complete_sessions, arguments, nulls) == 0)
		RaiseMissing("item", PG_GETARG_UUID_P(0));
	PG_RETURN_TEXT_P(cstring_to_text(meant.item_status));
}

/*
 * txplan_complete_item completes all that is left of an item.
 */
Datum
txplan_complete_item(PG_FUNCTION_ARGS)
{
	return CompleteItem(fcinfo, "item");
}

/*
 * txplan_record_performed does the same for what was done outside the plan.
 */
Datum
txplan_record_performed(PG_FUNCTION_ARGS)
{
	return CompleteItem(fcinfo, "performed");
}
