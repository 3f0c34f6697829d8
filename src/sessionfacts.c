/*
 * sessionfacts.c
 *		What follows from a statement on sessions: money, counts, events.
 *
 * The rows of a statement are put in the order of plans, items and sequence, so
 * that each plan is written once, each item counted once, and the facts told in
 * the order in which people think of them.
 */
#include "session.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "allocation.h"
#include "earned.h"
#include "error.h"
#include "item.h"
#include "quote.h"
#include "recall.h"
#include "row.h"
#include "settle.h"
#include "spi.h"
#include "transition.h"

/* What happened to a session; one row may tell several of these */
#define SESSION_ADDED 0x01
#define SESSION_DELETED 0x02
#define SESSION_AMOUNT_CHANGED 0x04
#define SESSION_LABEL_CHANGED 0x08
#define SESSION_SEQUENCE_CHANGED 0x10
#define SESSION_NOTE_CHANGED 0x20
#define SESSION_COMPLETED 0x40
#define SESSION_CANCELLED 0x80

typedef struct SessionFact
{
	PlanKey plan;
	pg_uuid_t item_id;
	pg_uuid_t session_id;
	int sequence;
	int what;
	int64 amount; /* in cents, after the statement */
	int64 amount_before;
	char *label; /* NULL when there is none */
	char *label_before;
	char *note;		/* given when it ended */
	TimestampTz at; /* when it was completed */
} SessionFact;

typedef struct SessionFacts
{
	int count;
	int room;
	SessionFact *facts;
} SessionFacts;

SAVED_QUERY(amounts_fit,
			"SELECT t.amount" EQ "i.price OR "
			"(t.left_out" GT "0 AND t.amount" LT "i.price) "
			"FROM txplan.items AS i "
			"CROSS JOIN LATERAL (SELECT "
			"coalesce(pg_catalog.sum(s.amount) FILTER "
			"(WHERE " SESSION_COUNTS "), 0) AS amount, "
			"pg_catalog.count(*) FILTER (WHERE NOT (" SESSION_COUNTS ")) "
			"AS left_out "
			"FROM txplan.sessions AS s "
			"WHERE s.item_id" EQ "i.id AND s.clinic_id" EQ "i.clinic_id) AS t "
			"WHERE i.id" EQ "$1 AND i.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

PG_FUNCTION_INFO_V1(txplan_sessions_settle);

/*
 * CompareFacts orders facts by plan, item and sequence.
 */
static int
CompareFacts(const void *left, const void *right)
{
	const SessionFact *a = (const SessionFact *) left;
	const SessionFact *b = (const SessionFact *) right;
	int order = memcmp(&a->plan, &b->plan, sizeof(PlanKey));

	if (order == 0)
		order = memcmp(&a->item_id, &b->item_id, UUID_LEN);
	if (order == 0)
		order = (a->sequence > b->sequence) - (a->sequence < b->sequence);
	return order;
}

/*
 * WhatHappened reads from a row what happened to the session.
 */
static int
WhatHappened(TriggerEvent event, const Row *old_row, const Row *new_row)
{
	int what = 0;

	if (TRIGGER_FIRED_BY_INSERT(event))
		return SESSION_ADDED;
	if (TRIGGER_FIRED_BY_DELETE(event))
		return SESSION_DELETED;
	if (RowsDiffer(old_row, new_row, SESSION_AMOUNT))
		what |= SESSION_AMOUNT_CHANGED;
	if (RowsDiffer(old_row, new_row, SESSION_LABEL))
		what |= SESSION_LABEL_CHANGED;
	if (RowsDiffer(old_row, new_row, SESSION_SEQUENCE))
		what |= SESSION_SEQUENCE_CHANGED;
	if (RowsDiffer(old_row, new_row, SESSION_STATUS))
		what |= RowTextIs(new_row, SESSION_STATUS, "completed") ?
					SESSION_COMPLETED :
					SESSION_CANCELLED;
	else if (RowsDiffer(old_row, new_row, SESSION_NOTE))
		what |= SESSION_NOTE_CHANGED;
	return what;
}

/*
 * AddFact keeps what happened to a session, if anything did.
 */
static void
AddFact(SessionFacts *facts, TriggerEvent event, const Row *old_row,
		const Row *new_row)
{
	const Row *row = TRIGGER_FIRED_BY_DELETE(event) ? old_row : new_row;
	const Row *before = TRIGGER_FIRED_BY_UPDATE(event) ? old_row : row;
	int what = WhatHappened(event, old_row, new_row);
	SessionFact *fact;

	if (what == 0)
		return;
	if (facts->count == facts->room)
	{
		facts->room = Max(8, facts->room * 2);
		facts->facts =
			facts->facts == NULL ?
				palloc(sizeof(SessionFact) * facts->room) :
				repalloc_huge(facts->facts, sizeof(SessionFact) * facts->room);
	}
	fact = &facts->facts[facts->count++];
	memset(fact, 0, sizeof(SessionFact));
	fact->plan.id = *RowUuid(row, SESSION_PLAN_ID);
	fact->plan.clinic_id = *RowUuid(row, SESSION_CLINIC_ID);
	fact->item_id = *RowUuid(row, SESSION_ITEM_ID);
	fact->session_id = *RowUuid(row, SESSION_ID);
	fact->sequence = DatumGetInt32(RowValue(row, SESSION_SEQUENCE));
	fact->what = what;
	fact->amount = Cents(RowValue(row, SESSION_AMOUNT));
	fact->amount_before = Cents(RowValue(before, SESSION_AMOUNT));
	fact->label = RowText(row, SESSION_LABEL);
	if (what & (SESSION_COMPLETED | SESSION_CANCELLED))
		fact->note = RowText(row, SESSION_NOTE);
	if (what & SESSION_COMPLETED)
		fact->at = DatumGetTimestampTz(RowValue(row, SESSION_COMPLETED_AT));
	if (what & SESSION_LABEL_CHANGED)
		fact->label_before = RowText(before, SESSION_LABEL);
}

/*
 * AmountText writes cents as an amount.
 */
static char *
AmountText(int64 cents)
{
	return psprintf(INT64_FORMAT ".%02d", cents / 100, (int) (cents % 100));
}

/*
 * RecordSession records a change of a session in the history.
 */
static void
RecordSession(PlanRun *run, const SessionFact *fact, const char *what,
			  const char *from_value, const char *to_value)
{
	HistoryRow row = { 0 };

	row.what = what;
	row.item_id = &fact->item_id;
	row.session_id = &fact->session_id;
	row.from_value = from_value;
	row.to_value = to_value;
	row.note = fact->note;
	RecordHistory(&run->settlement, run->plan, &row);
}

/*
 * TellChange tells of a change that has no event of its own.
 */
static void
TellChange(PlanRun *run, const SessionFact *fact, const char *what,
		   const char *changed, const char *from_value, const char *to_value,
		   bool price_too)
{
	RecordSession(run, fact, what, from_value, to_value);
	PublishItemChange(&run->settlement, run->plan, &fact->item_id,
					  &fact->session_id, changed, price_too);
}

/*
 * TellChanges tells of all that changed of a session but its end.
 */
static void
TellChanges(PlanRun *run, const SessionFact *fact, bool price_too)
{
	if (fact->what & SESSION_ADDED)
		TellChange(run, fact, "session_added", "sessions", NULL,
				   AmountText(fact->amount), price_too);
	if (fact->what & SESSION_DELETED)
		TellChange(run, fact, "session_removed", "sessions",
				   AmountText(fact->amount), NULL, price_too);
	if (fact->what & SESSION_AMOUNT_CHANGED)
		TellChange(run, fact, "session_amount", "amount",
				   AmountText(fact->amount_before), AmountText(fact->amount),
				   price_too);
	if (fact->what & SESSION_LABEL_CHANGED)
		TellChange(run, fact, "session_label", "label", fact->label_before,
				   fact->label, false);
	if (fact->what & SESSION_SEQUENCE_CHANGED)
		TellChange(run, fact, "session_sequence", "sequence", NULL,
				   psprintf("%d", fact->sequence), false);
	if (fact->what & SESSION_NOTE_CHANGED)
		TellChange(run, fact, "session_note", "note", NULL, NULL, false);
}

/*
 * TellEnd tells that a session was completed or cancelled; completed and
 * cancelled are the item's counts with this one.
 */
static void
TellEnd(PlanRun *run, const SessionFact *fact, const CountedItem *item,
		int completed, int cancelled)
{
	bool is_completed = (fact->what & SESSION_COMPLETED) != 0;
	Payload payload;

	RecordSession(run, fact, "session_status", "pending",
				  is_completed ? "completed" : "cancelled");
	BeginPayload(&payload);
	PayloadUuid(&payload, "item_id", &fact->item_id);
	PayloadUuid(&payload, "session_id", &fact->session_id);
	PayloadInteger(&payload, "sequence", fact->sequence);
	PayloadText(&payload, "label", fact->label);
	PayloadText(&payload, "amount", AmountText(fact->amount));
	PayloadUuid(&payload, "professional_id", item->professional_id);
	PayloadInteger(&payload, "sessions_total", item->sessions_total);
	if (is_completed)
	{
		PayloadText(&payload, "completed_by", run->settlement.actor);
		PayloadInteger(&payload, "sessions_completed", completed);
	}
	else
		PayloadInteger(&payload, "sessions_cancelled", cancelled);
	PublishEvent(&run->settlement, run->plan,
				 is_completed ? "treatment_plan.item_session_completed" :
								"treatment_plan.item_session_cancelled",
				 &payload);
}

/*
 * CountFacts adds up what happened to the sessions of one item.
 */
static void
CountFacts(const SessionFact *facts, int n, SessionCounts *counts)
{
	int i;

	memset(counts, 0, sizeof(SessionCounts));
	for (i = 0; i < n; i++)
	{
		const SessionFact *fact = &facts[i];

		if (fact->what & SESSION_ADDED)
		{
			counts->added++;
			counts->price += fact->amount;
		}
		if (fact->what & SESSION_DELETED)
		{
			counts->added--;
			counts->price -= fact->amount;
		}
		if (fact->what & SESSION_AMOUNT_CHANGED)
			counts->price += fact->amount - fact->amount_before;
		if (fact->what & SESSION_COMPLETED)
			counts->completed++;
		if (fact->what & SESSION_CANCELLED)
			counts->cancelled++;
	}
}

/*
 * RecordPrice records that an item's price followed its sessions.
 */
static void
RecordPrice(PlanRun *run, const CountedItem *item, int64 difference)
{
	HistoryRow row = { 0 };
	Datum after =
		DirectFunctionCall3(numeric_in, CStringGetDatum(item->price),
							ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

	row.what = "item_price";
	row.item_id = &item->id;
	row.from_value = AmountText(Cents(after) - difference);
	row.to_value = item->price;
	RecordHistory(&run->settlement, run->plan, &row);
}

/* The facts of one item, as they are settled */
typedef struct ItemFacts
{
	const SessionFact *facts;
	int count;
	SessionCounts counts;
	bool counted; /* whether the item was written */
	CountedItem item;
} ItemFacts;

/*
 * RequireAmountsFit raises TX009 when the item's price and its sessions do not
 * add up although the price followed them: the statement changed both.
 */
static void
RequireAmountsFit(const SessionFact *fact)
{
	Datum arguments[2];
	Datum fits;
	bool isnull;

	arguments[0] = UUIDPGetDatum(&fact->item_id);
	arguments[1] = UUIDPGetDatum(&fact->plan.clinic_id);
	if (QueryRow(&amounts_fit, AS_OWNER, arguments, NULL, &fits, &isnull) &&
		(isnull || !DatumGetBool(fits)))
		RaiseBothChanged(&fact->item_id);
}

/*
 * FollowItem makes the plan's draft of a budget follow an item whose sessions
 * changed: what has ended is not quoted any more.
 */
static void
FollowItem(const TreatmentPlan *plan, const ItemFacts *group, TimestampTz at)
{
	RequireStillDraft(plan);
	if (group->item.finished)
	{
		UnquoteItem(plan, &group->item.id);
		ReckonBudget(&plan->budget_id, &plan->key.clinic_id, at);
	}
	else
		RequoteItem(plan, &group->item.id, at);
}

/*
 * CountItem writes the counts of an item, books what its sessions earned, and
 * suggests a recall for one that is completed.
 * That may fire triggers of others, so it is done before any fact is added.
 */
static void
CountItem(PlanRun *run, const TreatmentPlan *plan, ItemFacts *group,
		  const char *via)
{
	SessionCounts *counts = &group->counts;
	int i;

	CountFacts(group->facts, group->count, counts);
	if (counts->added == 0 && counts->completed == 0 &&
		counts->cancelled == 0 && counts->price == 0)
		return;
	group->counted =
		CountSessions(&run->settlement, plan, &group->facts->item_id, counts,
					  via, &group->item);
	if (!group->counted)
		return;
	if (group->item.sessions_total == 0)
		ereport(ERROR, (errcode(ERRCODE_TX_TRANSITION_BLOCKED),
						errmsg("item \"%s\" would have no session left",
							   UuidText(&group->facts->item_id)),
						errdetail("An item has at least one session."),
						errhint("Remove the item with txplan.remove_item().")));
	if (group->item.finished && counts->completed == 0 &&
		counts->cancelled == 0)
		RequireTreatable(plan, "an item cannot be finished");
	if (counts->price != 0)
		RequireAmountsFit(group->facts);
	if (counts->added != 0 || counts->price != 0)
		RequireUnlocked(plan, "its items do not change");
	if (HasDraftBudget(plan) && (group->item.finished || counts->price != 0))
		FollowItem(plan, group, run->settlement.at);
	if (group->item.finished && strcmp(group->item.status, "completed") == 0)
		SuggestRecall(plan, &group->item, run->settlement.at);
	for (i = 0; i < group->count; i++)
		if (group->facts[i].what & SESSION_COMPLETED)
			BookEarned(plan, &group->item, &group->facts[i].session_id,
					   group->facts[i].label, group->facts[i].amount,
					   group->facts[i].at);
}

/*
 * TellItem adds the facts of an item.
 */
static void
TellItem(PlanRun *run, const ItemFacts *group, const char *via)
{
	const CountedItem *item = &group->item;
	int completed = item->sessions_completed - group->counts.completed;
	int cancelled = item->sessions_cancelled - group->counts.cancelled;
	int i;

	for (i = 0; i < group->count; i++)
	{
		const SessionFact *fact = &group->facts[i];

		TellChanges(run, fact, group->counts.price != 0);
		if (fact->what & SESSION_COMPLETED)
			TellEnd(run, fact, item, ++completed, cancelled);
		if (fact->what & SESSION_CANCELLED)
			TellEnd(run, fact, item, completed, ++cancelled);
	}
	if (group->counts.price != 0)
		RecordPrice(run, item, group->counts.price);
	if (group->counted && item->finished)
		PublishFinish(&run->settlement, run->plan, item, via);
}

/*
 * IsGone tells whether the sessions went with their item, of which the item's
 * own removal tells.
 */
static bool
IsGone(const ItemFacts *group)
{
	return !group->counted && group->counts.added != 0;
}

/*
 * SettlePlanFacts settles what happened to the sessions of one plan: first all
 * that is written below the plan, then the facts, then the plan.
 */
static void
SettlePlanFacts(PlanRun *run, const SessionFact *facts, int n)
{
	Completion *meant = CurrentCompletion();
	const char *via = meant == NULL ? "session" : meant->via;
	TreatmentPlan *plan = LockPlan(&facts->plan.id, &facts->plan.clinic_id);
	ItemFacts *groups;
	int ngroups = 0;
	int first;
	int next;
	int i;

	/* The plan went, and the sessions along with it. */
	if (plan == NULL)
		return;
	groups = (ItemFacts *) palloc0(sizeof(ItemFacts) * n);
	for (first = 0; first < n; first = next)
	{
		ItemFacts *group = &groups[ngroups++];

		for (next = first + 1; next < n; next++)
			if (memcmp(&facts[next].item_id, &facts[first].item_id, UUID_LEN) !=
				0)
				break;
		group->facts = &facts[first];
		group->count = next - first;
		CountItem(run, plan, group, via);
	}

	for (i = 0; i < ngroups; i++)
	{
		if (IsGone(&groups[i]))
			continue;
		EnterPlanOfRun(run, plan);
		TellItem(run, &groups[i], via);
		if (meant != NULL && groups[i].counted)
		{
			meant->item_id = groups[i].facts->item_id;
			strlcpy(meant->item_status, groups[i].item.status,
					sizeof(meant->item_status));
		}
	}
	LeavePlanOfRun(run);
}

/*
 * txplan_sessions_settle is the trigger after each statement on sessions.
 */
Datum
txplan_sessions_settle(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = OurTrigger(fcinfo, "sessions_settle");
	SessionFacts facts = { 0 };
	MemoryContext each;
	PlanRun run;
	ChangedRows changes;
	Row old_row = { 0 };
	Row new_row = { 0 };
	int first;
	int next;

	if (WrittenByEngine(TABLE_SESSIONS))
		return PointerGetDatum(NULL);
	OpenChanges(&changes, trigger, TABLE_SESSIONS);
	while (NextChange(&changes, &old_row, &new_row))
		AddFact(&facts, trigger->tg_event, &old_row, &new_row);
	CloseChanges(&changes);
	if (facts.count == 0)
		return PointerGetDatum(NULL);
	if (facts.count > 1)
		qsort(facts.facts, facts.count, sizeof(SessionFact), CompareFacts);

	each = AllocSetContextCreate(CurrentMemoryContext, "txplan session settled",
								 ALLOCSET_DEFAULT_SIZES);
	BeginRun(&run, false);
	for (first = 0; first < facts.count; first = next)
	{
		const SessionFact *fact = &facts.facts[first];
		MemoryContext old = MemoryContextSwitchTo(each);

		for (next = first + 1; next < facts.count; next++)
			if (memcmp(&facts.facts[next].plan, &fact->plan, sizeof(PlanKey)) !=
				0)
				break;
		SettlePlanFacts(&run, fact, next - first);
		MemoryContextSwitchTo(old);
		MemoryContextReset(each);
	}
	EndRun(&run);
	MemoryContextDelete(each);
	return PointerGetDatum(NULL);
}
