/*
 * record.h
 *		The record: the tables that install() made, their owner, their version.
 */
#ifndef TXPLAN_RECORD_H
#define TXPLAN_RECORD_H

#include "compat.h"

#include "commands/trigger.h"
#include "utils/acl.h"

typedef enum RecordTable
{
	TABLE_CLINICS,
	TABLE_PROFESSIONALS,
	TABLE_PATIENTS,
	TABLE_CATALOG_ITEMS,
	TABLE_CATALOG_SESSIONS,
	TABLE_WORKFLOWS,
	TABLE_EVENTS,
	TABLE_HISTORY,
	TABLE_NUMBER_COUNTERS,
	TABLE_PLANS,
	TABLE_ITEMS,
	TABLE_SESSIONS,
	TABLE_EARNED_ENTRIES,
	TABLE_EVENT_ORIGINS,
	TABLE_CONSUMERS,
	TABLE_CONSUMER_SLOTS,
	TABLE_CONSUMER_BATCHES,
	TABLE_CONSUMER_RETRIES,
	TABLE_CONSUMER_DEAD,
	TABLE_EVENT_REMOVALS,
	TABLE_BUDGETS,
	TABLE_BUDGET_LINES,
	TABLE_CONTACTS,
	TABLE_APPOINTMENTS,
	TABLE_RECALL_RULES,
	TABLE_RECALL_SUGGESTIONS,
	TABLE_PLAN_COUNT_CHANGES,
	TABLE_WORKFLOW_STATES,
	TABLE_COUNT /* how many there are */
} RecordTable;

extern void InitRecord(void);

extern void RequireRecord(void);
extern Oid RecordOwner(void);
extern Oid RecordRelation(RecordTable table);
extern Oid EventSequence(void);
extern void RequireOwnTriggers(RecordTable table);
extern bool HasPrivilege(RecordTable table, AclMode mode);
extern void RequirePrivilege(RecordTable table, AclMode mode);
extern TriggerData *OurTrigger(FunctionCallInfo fcinfo, const char *function);

#endif /* TXPLAN_RECORD_H */
