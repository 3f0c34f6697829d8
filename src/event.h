/*
 * event.h
 *		What a statement did to plans: events, history, and the plan's own row.
 *
 * A Settlement gathers the facts of one statement.  Each fact takes the plan's
 * next version; WritePlan writes the plan's row, FlushSettlement the facts.
 */
#ifndef TXPLAN_EVENT_H
#define TXPLAN_EVENT_H

#include "compat.h"

#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "planlock.h"

typedef struct EventRow
{
	int64 id;
	PlanKey plan;
	int64 version;
	TimestampTz at;
	const char *type;
	Jsonb *payload;
} EventRow;

typedef struct HistoryRow
{
	PlanKey plan;
	int64 sequence;
	TimestampTz at;
	const char *what;
	const pg_uuid_t *item_id; /* NULL, like all below, where there is none */
	const pg_uuid_t *session_id;
	const char *from_value;
	const char *to_value;
	const char *action;
	const char *reason;
	const char *note;
	uint8 hash[HASH_BYTES];
} HistoryRow;

typedef struct Settlement
{
	MemoryContext context; /* of everything below */
	bool rehearsal;		   /* only versions and hashes are reckoned */
	TimestampTz at;		   /* when the facts happened */
	const char *at_text;   /* as payloads have it */
	char *actor;
	char *role_name;
	int nevents;
	int event_room;
	EventRow *events;
	int nhistory;
	int history_room;
	HistoryRow *history;
} Settlement;

typedef struct Payload
{
	JsonbParseState *state;
} Payload;

extern void InitEvent(void);
extern bool FindReservedTime(const PlanKey *plan, int64 version,
							 TimestampTz *at);
extern void BeginSettlement(Settlement *settlement, TimestampTz at,
							bool rehearsal);
extern void WritePlan(Settlement *settlement, TreatmentPlan *plan);
extern void WritePlans(Settlement *settlement, List *plans);
extern void FlushSettlement(Settlement *settlement);

extern char *TimeText(TimestampTz at);
extern void PublishEvent(Settlement *settlement, TreatmentPlan *plan,
						 const char *type, Payload *payload);

/* payload.c */
extern void BeginPayload(Payload *payload);
extern void PayloadText(Payload *payload, const char *key, const char *value);
extern void PayloadUuid(Payload *payload, const char *key,
						const pg_uuid_t *value);
extern void PayloadInteger(Payload *payload, const char *key, int64 value);
extern void PayloadAmount(Payload *payload, const char *key, Datum value);
extern void PayloadNull(Payload *payload, const char *key);
extern void PayloadJson(Payload *payload, const char *key, Jsonb *value);
extern Jsonb *NameList(const char *first, const char *second);
extern void PayloadChanged(Payload *payload, const char *changed);
extern void PayloadColumn(Payload *payload, const char *key, const Row *row,
						  int column);

/* history.c */
extern void RecordHistory(Settlement *settlement, TreatmentPlan *plan,
						  HistoryRow *fact);
extern void FlushHistory(Settlement *settlement);

#endif /* TXPLAN_EVENT_H */
