/*
 * budget.c
 *		The budget of a plan: what may change of it, and who decides.
 *
 * A budget is a draft, is sent, and is accepted, rejected or cancelled, or
 * expires.  Whoever moves it, by a function or an UPDATE, ends in the trigger
 * below, which locks the plan before it looks; budgetfacts.c then tells, and lets
 * the plan follow.
 */
#include "budget.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "actor.h"
#include "allocation.h"
#include "error.h"
#include "number.h"
#include "quote.h"
#include "registry.h"
#include "rowcheck.h"
#include "spi.h"
#include "transition.h"

SAVED_QUERY(read_terms,
			"SELECT b.patient_id, b.discount_percent, b.discount_amount "
			"FROM txplan.budgets AS b "
			"WHERE b.id" EQ "$1 AND b.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(read_calendar,
			"SELECT pg_catalog.timezone(c.time_zone, "
			"pg_catalog.clock_timestamp())::pg_catalog.date, c.budget_valid_days "
			"FROM txplan.clinics AS c WHERE c.id" EQ "$1",
			UUIDOID);

SAVED_QUERY(find_line,
			"SELECT 1 FROM txplan.budget_lines AS l "
			"WHERE l.budget_id" EQ "$1 AND l.clinic_id" EQ "$2 LIMIT 1",
			UUIDOID, UUIDOID);

static const BudgetColumn fixed_columns[] = { BUDGET_ID, BUDGET_CLINIC_ID,
											  BUDGET_PATIENT_ID };

static const BudgetColumn engine_columns[] = {
	BUDGET_NUMBER,	   BUDGET_VERSION,	  BUDGET_SUPERSEDES_ID,
	BUDGET_SUBTOTAL,   BUDGET_TOTAL,	  BUDGET_SENT_AT,
	BUDGET_DECIDED_AT, BUDGET_DECIDED_BY, BUDGET_CREATED_BY,
	BUDGET_CREATED_AT
};

/* What the patient is offered: it changes only while the budget is a draft */
static const BudgetColumn terms[] = { BUDGET_VALID_UNTIL,
									  BUDGET_DISCOUNT_PERCENT,
									  BUDGET_DISCOUNT_AMOUNT };

#define ENGINE_HINT                                                      \
	"Change the lines and discounts of a draft, send it and decide it: " \
	"the engine then writes this column."

/* The years from 1 to 9999 */
#define FIRST_DAY (date2j(1, 1, 1) - POSTGRES_EPOCH_JDATE)
#define LAST_DAY (date2j(9999, 12, 31) - POSTGRES_EPOCH_JDATE)

PG_FUNCTION_INFO_V1(txplan_budgets_check);

/*
 * FoundInRow is a budget as a trigger's row has it.
 */
static FoundBudget
FoundInRow(const Row *row)
{
	FoundBudget budget = { 0 };
	int since =
		RowIsNull(row, BUDGET_DECIDED_AT) ? BUDGET_SENT_AT : BUDGET_DECIDED_AT;

	budget.id = *RowUuid(row, BUDGET_ID);
	budget.clinic_id = *RowUuid(row, BUDGET_CLINIC_ID);
	budget.status = RowText(row, BUDGET_STATUS);
	budget.number = RowText(row, BUDGET_NUMBER);
	budget.version = DatumGetInt32(RowValue(row, BUDGET_VERSION));
	if (!RowIsNull(row, since))
		budget.since =
			pstrdup(timestamptz_to_str(DatumGetTimestampTz(RowValue(row,
																	since))));
	budget.by = RowText(row, BUDGET_DECIDED_BY);
	return budget;
}

/*
 * ReadCalendar reads a clinic's day, and how long its budgets are valid.
 */
static DateADT
ReadCalendar(const pg_uuid_t *clinic_id, int *valid_days)
{
	Datum argument = UUIDPGetDatum(clinic_id);
	Datum values[2];
	bool nulls[2];

	if (!QueryRow(&read_calendar, AS_OWNER, &argument, NULL, values, nulls))
		RaiseMissing("clinic", clinic_id);
	*valid_days = DatumGetInt32(values[1]);
	return DatumGetDateADT(values[0]);
}

/*
 * RequireOpenPlan raises TX002 for a plan that has ended.  One that was closed as
 * rejected still waits for a later version of its budget.
 */
static void
RequireOpenPlan(const TreatmentPlan *plan, bool is_revision, const char *what)
{
	if (!StateOfPlan(plan)->final || (is_revision && IsClosedAsRejected(plan)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_TX_TRANSITION_BLOCKED),
			 errmsg("plan %s is %s: %s", plan->number, plan->status, what),
			 errdetail("State \"%s\" of workflow \"%s\" is final.",
					   plan->status, plan->workflow),
			 errhint("txplan.available_actions() lists what leads out of the "
					 "state.")));
}

/*
 * RequireNoLiveBudget raises TX002 for a plan that has a live budget.
 */
static void
RequireNoLiveBudget(const TreatmentPlan *plan)
{
	if (HasLiveBudget(plan))
		ereport(ERROR,
				(errcode(ERRCODE_TX_TRANSITION_BLOCKED),
				 errmsg("plan %s has a live budget", plan->number),
				 errdetail("Budget \"%s\" is %s.", UuidText(&plan->budget_id),
						   plan->budget_status),
				 errhint("Cancel it first, or send a next version of it with "
						 "txplan.resend_budget().")));
}

/*
 * LockLinked locks the plan that a budget is linked to, and checks that both are
 * of one patient.
 */
static TreatmentPlan *
LockLinked(const Row *row)
{
	const pg_uuid_t *plan_id = RowUuid(row, BUDGET_PLAN_ID);
	const pg_uuid_t *clinic_id = RowUuid(row, BUDGET_CLINIC_ID);
	const pg_uuid_t *patient_id = RowUuid(row, BUDGET_PATIENT_ID);
	TreatmentPlan *plan = LockPlan(plan_id, clinic_id);
	pg_uuid_t other_clinic;
	pg_uuid_t found;

	if (plan == NULL &&
		FindClinicOf(TABLE_PLANS, plan_id, &other_clinic, &found))
		RaiseWrongClinic("plan", plan_id);
	if (plan == NULL)
		RaiseMissing("plan", plan_id);
	if (patient_id != NULL &&
		memcmp(patient_id, &plan->patient_id, UUID_LEN) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_TX_WRONG_CLINIC),
				 errmsg("plan %s is of another patient than the budget",
						plan->number),
				 errdetail("The budget is for patient \"%s\", the plan for "
						   "patient \"%s\".",
						   UuidText(patient_id), plan->patient_text),
				 errhint("Use a plan and a budget of one patient.")));
	return plan;
}

/*
 * CheckNewColumns refuses a new budget that brings what the engine gives it.
 */
static void
CheckNewColumns(const Row *row)
{
	static const BudgetColumn empty[] = { BUDGET_NUMBER, BUDGET_SENT_AT,
										  BUDGET_DECIDED_AT, BUDGET_DECIDED_BY,
										  BUDGET_CREATED_BY };
	static const BudgetColumn sums[] = { BUDGET_SUBTOTAL, BUDGET_TOTAL };
	int i;

	for (i = 0; i < lengthof(empty); i++)
		if (!RowIsNull(row, empty[i]))
			RaiseEngineOwned("budgets", row->names[empty[i]], ENGINE_HINT);
	for (i = 0; i < lengthof(sums); i++)
		if (!RowIsNull(row, sums[i]) && Cents(RowValue(row, sums[i])) != 0)
			RaiseEngineOwned("budgets", row->names[sums[i]], ENGINE_HINT);
	if (!RowIsNull(row, BUDGET_VERSION) &&
		DatumGetInt32(RowValue(row, BUDGET_VERSION)) != 1)
		RaiseEngineOwned("budgets", "version", ENGINE_HINT);
	if (!RowIsNull(row, BUDGET_STATUS) &&
		!RowTextIs(row, BUDGET_STATUS, "draft"))
		ereport(ERROR,
				(errcode(ERRCODE_TX_INVALID_TRANSITION),
				 errmsg("a budget begins as \"draft\", not as \"%.60s\"",
						RowText(row, BUDGET_STATUS)),
				 errdetail("Sending and deciding are changes of status."),
				 errhint("Leave the status out and move the budget "
						 "afterwards.")));
	if (!RowIsNull(row, BUDGET_DECISION_NOTE))
		RaiseEngineOwned("budgets", "decision_note",
						 "Give the note together with the decision.");
}

/*
 * RequireHeir refuses a next version for another plan or patient than those of the
 * budget before it.
 */
static void
RequireHeir(const Row *row, const FoundBudget *before, const pg_uuid_t *patient)
{
	const pg_uuid_t *plan_id = RowUuid(row, BUDGET_PLAN_ID);
	const pg_uuid_t *patient_id = RowUuid(row, BUDGET_PATIENT_ID);
	bool fits =
		patient_id == NULL || memcmp(patient_id, patient, UUID_LEN) == 0;

	if (plan_id != NULL)
		fits = fits && before->linked &&
			   memcmp(plan_id, &before->plan_id, UUID_LEN) == 0;
	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_TX_WRONG_CLINIC),
				 errmsg("a next version of budget %s v%d is for its plan and "
						"patient",
						before->number, before->version),
				 before->linked ? errdetail("It is a budget of plan \"%s\".",
											UuidText(&before->plan_id)) :
								  errdetail("It is a budget of no plan."),
				 errhint("Leave plan_id and patient_id out; a draft is linked "
						 "to a plan with txplan.link_budget().")));
}

/*
 * FollowPredecessor makes a new budget the next version of the one that it names:
 * it takes number, plan, patient and discounts.
 *
 * Plan and predecessor are locked, in this order.  Where the one before was sent,
 * it is cancelled, and its plan taken over, when the statement settles: here the
 * new one may still come to nothing.
 */
static void
FollowPredecessor(Row *row)
{
	const pg_uuid_t *id = RowUuid(row, BUDGET_SUPERSEDES_ID);
	const pg_uuid_t *clinic_id = RowUuid(row, BUDGET_CLINIC_ID);
	FoundBudget before;
	TreatmentPlan *plan;
	Datum arguments[2];
	Datum values[3];
	bool nulls[3];
	bool was_sent;

	if (!FindBudget(id, clinic_id, &before))
	{
		if (FindBudget(id, NULL, &before))
			RaiseWrongClinic("budget", id);
		RaiseMissing("budget", id);
	}
	LockBudget(&before);
	plan = LockPlanOf(&before);
	arguments[0] = UUIDPGetDatum(id);
	arguments[1] = UUIDPGetDatum(clinic_id);
	(void) QueryRow(&read_terms, AS_OWNER, arguments, NULL, values, nulls);
	RequireHeir(row, &before, DatumGetUUIDP(values[0]));
	SetRowText(row, BUDGET_NUMBER, before.number);
	SetRow(row, BUDGET_VERSION, Int32GetDatum(before.version + 1));
	SetRow(row, BUDGET_PATIENT_ID, values[0]);
	if (IsThere(row, TABLE_BUDGETS))
		return;
	was_sent = strcmp(before.status, "sent") == 0;
	if (!was_sent && strcmp(before.status, "rejected") != 0 &&
		strcmp(before.status, "expired") != 0)
		ereport(ERROR,
				(errcode(strcmp(before.status, "cancelled") == 0 ?
							 ERRCODE_TX_ALREADY_FINAL :
							 ERRCODE_TX_INVALID_TRANSITION),
				 errmsg("budget %s v%d is %s and has no next version",
						before.number, before.version, before.status),
				 errdetail("What was sent, rejected or has expired can be sent "
						   "again."),
				 errhint("%s", LegalBudgetActions(before.status))));
	if (plan != NULL)
	{
		bool revises =
			strcmp(before.status, "rejected") == 0 || IsRevision(id, clinic_id);

		RequireOpenPlan(plan, revises, "its budget has no next version");
		if (!was_sent)
			RequireNoLiveBudget(plan);
	}

	if (was_sent || plan == NULL)
		SetRowNull(row, BUDGET_PLAN_ID);
	else
		SetRow(row, BUDGET_PLAN_ID, UUIDPGetDatum(&before.plan_id));
	if (RowIsNull(row, BUDGET_DISCOUNT_PERCENT) &&
		RowIsNull(row, BUDGET_DISCOUNT_AMOUNT))
	{
		if (!nulls[1])
			SetRow(row, BUDGET_DISCOUNT_PERCENT, values[1]);
		if (!nulls[2])
			SetRow(row, BUDGET_DISCOUNT_AMOUNT, values[2]);
	}
}

/*
 * CheckLastDay refuses a last day that no calendar for people has.
 */
static void
CheckLastDay(const Row *row)
{
	DateADT day;

	if (RowIsNull(row, BUDGET_VALID_UNTIL))
		return;
	day = DatumGetDateADT(RowValue(row, BUDGET_VALID_UNTIL));
	if (day < FIRST_DAY || day > LAST_DAY)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("valid_until is out of range"),
				 errdetail("It is a day from 0001-01-01 to 9999-12-31."),
				 errhint("Give NULL for a budget that does not expire.")));
}

/*
 * CheckInsert fills in and checks a new budget.
 */
static void
CheckInsert(Row *row)
{
	const pg_uuid_t *clinic_id = RowUuid(row, BUDGET_CLINIC_ID);
	TimestampTz now = GetCurrentTimestamp();
	DateADT today;
	int valid_days;

	CheckNewColumns(row);
	if (RowIsNull(row, BUDGET_ID) || clinic_id == NULL)
		return;
	today = ReadCalendar(clinic_id, &valid_days);
	if (!RowIsNull(row, BUDGET_SUPERSEDES_ID))
		FollowPredecessor(row);
	else
	{
		if (!RowIsNull(row, BUDGET_PLAN_ID))
		{
			TreatmentPlan *plan = LockLinked(row);

			if (!IsThere(row, TABLE_BUDGETS))
			{
				RequireOpenPlan(plan, false, "it takes no budget");
				RequireNoLiveBudget(plan);
			}
			SetRow(row, BUDGET_PATIENT_ID, UUIDPGetDatum(&plan->patient_id));
		}
		else if (RowIsNull(row, BUDGET_PATIENT_ID))
			return;
		else
			CheckPatient(RowUuid(row, BUDGET_PATIENT_ID), clinic_id);
		SetRow(row, BUDGET_VERSION, Int32GetDatum(1));
		SetRowText(row, BUDGET_NUMBER,
				   IssueNumber(NUMBER_BUDGET, RowUuid(row, BUDGET_ID),
							   clinic_id));
	}
	if (RowIsNull(row, BUDGET_VALID_UNTIL))
		SetRow(row, BUDGET_VALID_UNTIL, DateADTGetDatum(today + valid_days));
	CheckLastDay(row);
	SetRowText(row, BUDGET_STATUS, "draft");
	SetRow(row, BUDGET_SUBTOTAL, CentsToAmount(0));
	SetRow(row, BUDGET_TOTAL, CentsToAmount(0));
	SetRowText(row, BUDGET_CREATED_BY, CurrentActor());
	SetRow(row, BUDGET_UPDATED_AT, TimestampTzGetDatum(now));
}

/*
 * RequireWay raises unless a budget can go from a status to another: TX004 from
 * one that is decided, TX001 where no way leads there.
 */
static void
RequireWay(const Row *old_row, const Row *row)
{
	char *from = RowText(old_row, BUDGET_STATUS);
	char *to = RowText(row, BUDGET_STATUS);

	if (HasWay(from, to))
		return;
	if (IsDecided(from) || strcmp(from, "accepted") == 0)
	{
		FoundBudget budget = FoundInRow(old_row);

		RaiseAlready(&budget);
	}
	ereport(ERROR,
			(errcode(ERRCODE_TX_INVALID_TRANSITION),
			 errmsg("budget %s v%d cannot go from %s to %.60s",
					RowText(old_row, BUDGET_NUMBER),
					DatumGetInt32(RowValue(old_row, BUDGET_VERSION)), from, to),
			 strcmp(to, "expired") == 0 ?
				 errdetail("The engine alone lets budgets expire, when their "
						   "last day has passed.") :
				 errdetail("No way leads there."),
			 strcmp(to, "expired") == 0 ?
				 errhint("Call txplan.maintain().") :
				 errhint("%s", LegalBudgetActions(from))));
}

/*
 * RequireOffer raises unless a budget can be offered to a patient or accepted:
 * TX002 when it is empty or its last day has passed, TX009 when its discount is
 * more than what it reduces.
 */
static void
RequireOffer(const Row *row, const char *what)
{
	Datum arguments[2];
	Datum one;
	bool isnull;
	char *number = RowText(row, BUDGET_NUMBER);
	int version = DatumGetInt32(RowValue(row, BUDGET_VERSION));
	int valid_days;

	arguments[0] = RowValue(row, BUDGET_ID);
	arguments[1] = RowValue(row, BUDGET_CLINIC_ID);
	if (!QueryRow(&find_line, AS_OWNER, arguments, NULL, &one, &isnull))
		ereport(ERROR, (errcode(ERRCODE_TX_TRANSITION_BLOCKED),
						errmsg("budget %s v%d cannot be %s: it is empty",
							   number, version, what),
						errdetail("It has no line."),
						errhint("Add lines, or call txplan.sync_budget().")));
	if (!RowIsNull(row, BUDGET_DISCOUNT_AMOUNT) &&
		Cents(RowValue(row, BUDGET_DISCOUNT_AMOUNT)) >
			Cents(RowValue(row, BUDGET_SUBTOTAL)))
		ereport(ERROR,
				(errcode(ERRCODE_TX_AMOUNTS_DO_NOT_ADD_UP),
				 errmsg("the discount of budget %s v%d is more than its subtotal",
						number, version),
				 errdetail("An amount is never more than what it reduces."),
				 errhint("Lower discount_amount.")));
	if (!RowIsNull(row, BUDGET_VALID_UNTIL) &&
		DatumGetDateADT(RowValue(row, BUDGET_VALID_UNTIL)) <
			ReadCalendar(RowUuid(row, BUDGET_CLINIC_ID), &valid_days))
		ereport(ERROR,
				(errcode(ERRCODE_TX_TRANSITION_BLOCKED),
				 errmsg("budget %s v%d cannot be %s: it is no longer valid",
						number, version, what),
				 errdetail("Its last day has passed in the clinic's time zone."),
				 errhint("Set valid_until of a draft, or send a next version with "
						 "txplan.resend_budget().")));
}

/*
 * CheckStatus checks a change of status and sets what it means.
 */
static void
CheckStatus(Row *row, const Row *old_row, const TreatmentPlan *plan,
			TimestampTz now)
{
	if (RowIsNull(row, BUDGET_STATUS))
		RaiseEngineOwned("budgets", "status", ENGINE_HINT);
	RequireWay(old_row, row);
	if (RowTextIs(row, BUDGET_STATUS, "sent") ||
		RowTextIs(row, BUDGET_STATUS, "accepted"))
	{
		const char *what = RowText(row, BUDGET_STATUS);

		if (plan != NULL)
			RequireOpenPlan(plan,
							IsRevision(RowUuid(row, BUDGET_ID),
									   RowUuid(row, BUDGET_CLINIC_ID)),
							psprintf("its budget cannot be %s", what));
		RequireOffer(row, what);
	}
	if (plan != NULL && RowTextIs(old_row, BUDGET_STATUS, "accepted") &&
		StateOfPlan(plan)->final)
		ereport(ERROR,
				(errcode(ERRCODE_TX_ALREADY_FINAL),
				 errmsg("budget %s v%d stays: plan %s is %s",
						RowText(row, BUDGET_NUMBER),
						DatumGetInt32(RowValue(row, BUDGET_VERSION)),
						plan->number, plan->status),
				 errdetail("What was agreed on for treatment that is completed "
						   "stays on record."),
				 errhint("Void earned entries with txplan.void_earned() where "
						 "money is to be given back.")));
	if (RowTextIs(row, BUDGET_STATUS, "sent"))
		SetRow(row, BUDGET_SENT_AT, TimestampTzGetDatum(now));
	else
	{
		SetRow(row, BUDGET_DECIDED_AT, TimestampTzGetDatum(now));
		SetRowText(row, BUDGET_DECIDED_BY, CurrentActor());
	}
}

/*
 * CheckTerms refuses a change of the terms of a budget that is no draft, and
 * adds a draft up anew.
 */
static void
CheckTerms(Row *row, const Row *old_row)
{
	int64 subtotal = Cents(RowValue(old_row, BUDGET_SUBTOTAL));
	int64 discount;
	int i;
	bool changed = false;

	for (i = 0; i < lengthof(terms); i++)
		changed = changed || RowsDiffer(old_row, row, terms[i]);
	if (!changed)
		return;
	if (!RowTextIs(old_row, BUDGET_STATUS, "draft"))
	{
		FoundBudget budget = FoundInRow(old_row);

		RaiseNotDraft(&budget, "its terms do not change");
	}
	CheckLastDay(row);
	if (!RowIsNull(row, BUDGET_DISCOUNT_PERCENT) &&
		!RowIsNull(row, BUDGET_DISCOUNT_AMOUNT))
		return; /* the constraint refuses it */
	if (!RowIsNull(row, BUDGET_DISCOUNT_AMOUNT))
		CheckAmount(RowValue(row, BUDGET_DISCOUNT_AMOUNT), "discount_amount");
	if (!RowIsNull(row, BUDGET_DISCOUNT_PERCENT))
	{
		CheckAmount(RowValue(row, BUDGET_DISCOUNT_PERCENT), "discount_percent");
		if (Cents(RowValue(row, BUDGET_DISCOUNT_PERCENT)) > 10000)
			return; /* likewise */
	}
	if (!RowIsNull(row, BUDGET_DISCOUNT_AMOUNT) && subtotal > 0 &&
		Cents(RowValue(row, BUDGET_DISCOUNT_AMOUNT)) > subtotal)
		ereport(ERROR,
				(errcode(ERRCODE_TX_AMOUNTS_DO_NOT_ADD_UP),
				 errmsg("the discount of budget %s v%d is more than its subtotal",
						RowText(row, BUDGET_NUMBER),
						DatumGetInt32(RowValue(row, BUDGET_VERSION))),
				 errdetail("An amount is never more than what it reduces."),
				 errhint("Lower discount_amount.")));
	discount = DiscountOf(subtotal,
						  RowIsNull(row, BUDGET_DISCOUNT_PERCENT) ?
							  (Datum) 0 :
							  RowValue(row, BUDGET_DISCOUNT_PERCENT),
						  RowIsNull(row, BUDGET_DISCOUNT_PERCENT),
						  RowIsNull(row, BUDGET_DISCOUNT_AMOUNT) ?
							  (Datum) 0 :
							  RowValue(row, BUDGET_DISCOUNT_AMOUNT),
						  RowIsNull(row, BUDGET_DISCOUNT_AMOUNT));
	SetRow(row, BUDGET_TOTAL, CentsToAmount(subtotal - discount));
}

/*
 * CheckLink checks that a budget can be linked to a plan.
 */
static void
CheckLink(const Row *old_row, const Row *row, const TreatmentPlan *plan)
{
	if (plan == NULL || !RowIsNull(old_row, BUDGET_PLAN_ID))
		RaiseNeverChanges("budgets", "plan_id");
	if (IsDecided(RowText(old_row, BUDGET_STATUS)))
		ereport(ERROR,
				(errcode(ERRCODE_TX_TRANSITION_BLOCKED),
				 errmsg("budget %s v%d is %s and cannot be linked",
						RowText(old_row, BUDGET_NUMBER),
						DatumGetInt32(RowValue(old_row, BUDGET_VERSION)),
						RowText(old_row, BUDGET_STATUS)),
				 errdetail("Only a live budget is linked to a plan: draft, sent "
						   "or accepted."),
				 errhint("Generate a budget for the plan.")));
	RequireOpenPlan(plan, false, "it takes no budget");
	RequireNoLiveBudget(plan);
}

/*
 * CheckUpdate checks a client's change of a budget.  Its row is locked:
 * PostgreSQL locks it before it calls the trigger.
 */
static void
CheckUpdate(Row *row, const Row *old_row)
{
	bool status_changed = RowsDiffer(old_row, row, BUDGET_STATUS);
	TimestampTz now = GetCurrentTimestamp();
	TreatmentPlan *plan = NULL;
	int i;

	for (i = 0; i < lengthof(fixed_columns); i++)
		if (RowsDiffer(old_row, row, fixed_columns[i]))
			RaiseNeverChanges("budgets", row->names[fixed_columns[i]]);
	for (i = 0; i < lengthof(engine_columns); i++)
		if (RowsDiffer(old_row, row, engine_columns[i]))
			RaiseEngineOwned("budgets", row->names[engine_columns[i]],
							 ENGINE_HINT);
	if (!RowIsNull(row, BUDGET_PLAN_ID))
		plan = LockLinked(row);
	if (RowsDiffer(old_row, row, BUDGET_PLAN_ID))
		CheckLink(old_row, row, plan);
	CheckTerms(row, old_row);
	if (status_changed)
		CheckStatus(row, old_row, plan, now);
	if (RowsDiffer(old_row, row, BUDGET_DECISION_NOTE) &&
		(!status_changed || RowTextIs(row, BUDGET_STATUS, "sent")))
		RaiseEngineOwned("budgets", "decision_note",
						 "Give the note together with the decision.");
	SetRow(row, BUDGET_UPDATED_AT,
		   RowsEqual(old_row, row, BUDGET_UPDATED_AT) ?
			   RowValue(old_row, BUDGET_UPDATED_AT) :
			   TimestampTzGetDatum(now));
}

/*
 * CheckDelete lets go only a draft that is no plan's, or whose plan is gone.
 */
static void
CheckDelete(const Row *row)
{
	if (!RowIsNull(row, BUDGET_PLAN_ID) &&
		LockPlan(RowUuid(row, BUDGET_PLAN_ID),
				 RowUuid(row, BUDGET_CLINIC_ID)) == NULL)
		return;
	if (!RowIsNull(row, BUDGET_PLAN_ID) ||
		!RowIsNull(row, BUDGET_SUPERSEDES_ID) ||
		!RowTextIs(row, BUDGET_STATUS, "draft"))
		ereport(ERROR,
				(errcode(ERRCODE_TX_ALREADY_FINAL),
				 errmsg("budget %s v%d cannot be deleted",
						RowText(row, BUDGET_NUMBER),
						DatumGetInt32(RowValue(row, BUDGET_VERSION))),
				 errdetail("Only a first draft that no plan has is deleted."),
				 errhint("Cancel it with txplan.cancel_budget().")));
}

/*
 * txplan_budgets_check is the trigger before each row of budgets.
 */
Datum
txplan_budgets_check(PG_FUNCTION_ARGS)
{
	static const RowChecks checks = { "budgets_check", TABLE_BUDGETS,
									  CheckInsert, CheckUpdate, CheckDelete };

	return CheckRow(fcinfo, &checks);
}
