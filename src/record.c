/*
 * record.c
 *		Whether the record is there and of our version; what install() calls.
 *
 * What is known of the record is kept for each backend and looked up again
 * after any change of one of its tables.
 */
#include "record.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "error.h"
#include "spi.h"

#define RECORD_SCHEMA "txplan"

static const char *const table_names[TABLE_COUNT] = { "clinics",
													  "professionals",
													  "patients",
													  "catalog_items",
													  "catalog_sessions",
													  "workflows",
													  "events",
													  "history",
													  "number_counters",
													  "plans",
													  "items",
													  "sessions",
													  "earned_entries",
													  "event_origins",
													  "consumers",
													  "consumer_slots",
													  "consumer_batches",
													  "consumer_retries",
													  "consumer_dead",
													  "event_removals",
													  "budgets",
													  "budget_lines",
													  "contacts",
													  "appointments",
													  "recall_rules",
													  "recall_suggestions",
													  "plan_count_changes",
													  "workflow_states" };

/*
 * The triggers that hold the rules.  DROP EXTENSION ... CASCADE takes them and
 * leaves the tables, which nothing may then write as if they were guarded.
 */
typedef struct RuleTrigger
{
	RecordTable table;
	const char *name;
} RuleTrigger;

static const RuleTrigger rule_triggers[] = {
	{ TABLE_PLANS, "plans_check" },
	{ TABLE_PLANS, "plans_inserted" },
	{ TABLE_PLANS, "plans_updated" },
	{ TABLE_PLANS, "plans_deleted" },
	{ TABLE_ITEMS, "items_check" },
	{ TABLE_ITEMS, "items_inserted" },
	{ TABLE_ITEMS, "items_updated" },
	{ TABLE_ITEMS, "items_deleted" },
	{ TABLE_SESSIONS, "sessions_check" },
	{ TABLE_SESSIONS, "sessions_inserted" },
	{ TABLE_SESSIONS, "sessions_updated" },
	{ TABLE_SESSIONS, "sessions_deleted" },
	{ TABLE_CONTACTS, "contacts_check" },
	{ TABLE_CONTACTS, "contacts_inserted" },
	{ TABLE_APPOINTMENTS, "appointments_check" },
	{ TABLE_APPOINTMENTS, "appointments_inserted" },
	{ TABLE_APPOINTMENTS, "appointments_updated" },
	{ TABLE_RECALL_RULES, "recall_rules_changed" },
	{ TABLE_RECALL_SUGGESTIONS, "recall_suggestions_check" },
	{ TABLE_EVENTS, "events_engine_only" },
	{ TABLE_HISTORY, "history_engine_only" },
	{ TABLE_EARNED_ENTRIES, "earned_entries_engine_only" },
	{ TABLE_NUMBER_COUNTERS, "number_counters_engine_only" },
	{ TABLE_EVENT_ORIGINS, "event_origins_engine_only" },
	{ TABLE_CONSUMERS, "consumers_engine_only" },
	{ TABLE_CONSUMER_SLOTS, "consumer_slots_engine_only" },
	{ TABLE_CONSUMER_BATCHES, "consumer_batches_engine_only" },
	{ TABLE_CONSUMER_RETRIES, "consumer_retries_engine_only" },
	{ TABLE_CONSUMER_DEAD, "consumer_dead_engine_only" },
	{ TABLE_EVENT_REMOVALS, "event_removals_engine_only" },
	{ TABLE_BUDGETS, "budgets_check" },
	{ TABLE_BUDGETS, "budgets_inserted" },
	{ TABLE_BUDGETS, "budgets_updated" },
	{ TABLE_BUDGET_LINES, "budget_lines_check" },
	{ TABLE_BUDGET_LINES, "budget_lines_inserted" },
	{ TABLE_BUDGET_LINES, "budget_lines_updated" },
	{ TABLE_BUDGET_LINES, "budget_lines_deleted" },
	{ TABLE_PLAN_COUNT_CHANGES, "plan_count_changes_engine_only" },
	{ TABLE_WORKFLOW_STATES, "workflow_states_restage" },
};

typedef struct RecordState
{
	bool valid; /* cleared by the callback, set last */
	Oid schema;
	Oid owner;
	Oid tables[TABLE_COUNT];
	Oid stranger[TABLE_COUNT]; /* a trigger's function of another owner */
	int npartitions;
	Oid *partitions; /* of events, in order, in TopMemoryContext */
	Oid versions;
	Oid event_sequence;
} RecordState;

static RecordState record_state = { false };

SAVED_QUERY(find_version,
			"SELECT 1 FROM txplan.record_versions AS v WHERE v.version" EQ "$1",
			TEXTOID);

PG_FUNCTION_INFO_V1(txplan_version);

PG_FUNCTION_INFO_V1(txplan_ensure_constraint);
PG_FUNCTION_INFO_V1(txplan_ensure_table_is_ours);

static void FindStrangers(RecordState *state);
static void ForgetFunctions(Datum argument, int cache, uint32 hash);

/*
 * CompareOids orders relations.
 */
static int
CompareOids(const void *left, const void *right)
{
	Oid a = *(const Oid *) left;
	Oid b = *(const Oid *) right;

	return a < b ? -1 : a > b;
}

/*
 * ForgetRecord is told of every change of a relation.  It may be called at any
 * time, so it does no more than lower a flag.
 */
static void
ForgetRecord(Datum argument, Oid relation)
{
	int i;

	if (!record_state.valid)
		return;
	if (relation == InvalidOid || relation == record_state.versions ||
		relation == record_state.event_sequence)
	{
		record_state.valid = false;
		return;
	}
	for (i = 0; i < TABLE_COUNT; i++)
		if (record_state.tables[i] == relation)
			record_state.valid = false;
	if (bsearch(&relation, record_state.partitions, record_state.npartitions,
				sizeof(Oid), CompareOids) != NULL)
		record_state.valid = false;
}

/*
 * InitRecord registers the callback, once for each backend.
 */
void
InitRecord(void)
{
	CacheRegisterRelcacheCallback(ForgetRecord, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, ForgetFunctions, (Datum) 0);
}

/*
 * RaiseNotInstalled says what to do when the record is not usable.
 */
static void
RaiseNotInstalled(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_TX_NOT_INSTALLED),
			 errmsg("the record of txplan is not installed"),
			 errdetail("%s", detail),
			 errhint("Run SELECT txplan.install() as the role that owns the "
					 "record, or shall own it.")));
}

/*
 * FindRecord looks up the tables and their owner.
 */
static void
FindRecord(RecordState *state)
{
	HeapTuple tuple;
	int i;

	state->schema = get_namespace_oid(RECORD_SCHEMA, true);
	if (!OidIsValid(state->schema))
		RaiseNotInstalled("There is no schema txplan.");
	for (i = 0; i < TABLE_COUNT; i++)
	{
		state->tables[i] = get_relname_relid(table_names[i], state->schema);
		if (!OidIsValid(state->tables[i]))
			RaiseNotInstalled(psprintf("There is no table txplan.%s.",
									   table_names[i]));
	}
	state->versions = get_relname_relid("record_versions", state->schema);
	state->event_sequence = get_relname_relid("events_id_seq", state->schema);
	if (!OidIsValid(state->versions) || !OidIsValid(state->event_sequence))
		RaiseNotInstalled("There is no table txplan.record_versions, or no "
						  "sequence txplan.events_id_seq.");

	for (i = 0; i < (int) lengthof(rule_triggers); i++)
		if (!OidIsValid(get_trigger_oid(state->tables[rule_triggers[i].table],
										rule_triggers[i].name, true)))
			RaiseNotInstalled(psprintf("Table txplan.%s has lost its trigger "
									   "%s.",
									   table_names[rule_triggers[i].table],
									   rule_triggers[i].name));

	tuple =
		SearchSysCache1(RELOID, ObjectIdGetDatum(state->tables[TABLE_PLANS]));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u",
			 state->tables[TABLE_PLANS]);
	state->owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
}

/*
 * RequireRecord raises TX008 unless the record is there and has the version of
 * this code.  It costs nothing once that is known.
 */
void
RequireRecord(void)
{
	RecordState found = { false };
	Datum version;
	uint64 rows;

	if (record_state.valid)
		return;

	FindRecord(&found);
	FindStrangers(&found);
	found.valid = true;

	/* The query below runs as the owner, so what was found goes in before. */
	if (record_state.partitions != NULL)
		pfree(record_state.partitions);
	record_state = found;
	PG_TRY();
	{
		ConnectSpi();
		version = CStringGetTextDatum(TXPLAN_VERSION);
		rows = RunQuery(&find_version, AS_OWNER, &version, NULL);
		FinishSpi();
		if (rows == 0)
			RaiseNotInstalled("The record has not been brought to version " TXPLAN_VERSION
							  ".");
	}
	PG_CATCH();
	{
		record_state.valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * StrangerOn returns a function of a trigger on a relation that belongs neither
 * to the record's owner nor to a superuser.
 *
 * It reads the catalog and opens no table, since there may be a thousand
 * partitions, and nobody who writes to one of them is to wait for a lock on
 * another.  A trigger that a partition has from its parent is the parent's.
 */
static Oid
StrangerOn(Relation triggers, Oid relation, Oid owner)
{
	Oid stranger = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relation));
	scan = systable_beginscan(triggers, TriggerRelidNameIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);
		HeapTuple function;
		Oid function_owner;

		if (OidIsValid(trigger->tgparentid))
			continue;
		function = SearchSysCache1(PROCOID, ObjectIdGetDatum(trigger->tgfoid));
		if (!HeapTupleIsValid(function))
			continue;
		function_owner = ((Form_pg_proc) GETSTRUCT(function))->proowner;
		ReleaseSysCache(function);
		if (function_owner != owner && !superuser_arg(function_owner))
			stranger = trigger->tgfoid;
	}
	systable_endscan(scan);
	return stranger;
}

/*
 * FindStrangers looks at the triggers of all tables, and of the partitions of
 * events, which it notes.
 */
static void
FindStrangers(RecordState *state)
{
	Relation triggers = table_open(TriggerRelationId, AccessShareLock);
	List *partitions =
		find_all_inheritors(state->tables[TABLE_EVENTS], NoLock, NULL);
	ListCell *cell;
	int i;

	for (i = 0; i < TABLE_COUNT; i++)
		state->stranger[i] =
			StrangerOn(triggers, state->tables[i], state->owner);
	foreach(cell, partitions)
		if (!OidIsValid(state->stranger[TABLE_EVENTS]))
			state->stranger[TABLE_EVENTS] =
				StrangerOn(triggers, lfirst_oid(cell), state->owner);
	table_close(triggers, AccessShareLock);

	state->partitions =
		(Oid *) MemoryContextAlloc(TopMemoryContext,
								   sizeof(Oid) * (list_length(partitions) + 1));
	foreach(cell, partitions)
		state->partitions[state->npartitions++] = lfirst_oid(cell);
	qsort(state->partitions, state->npartitions, sizeof(Oid), CompareOids);
	list_free(partitions);
}

/*
 * RequireOwnTriggers refuses to write a table as the record's owner when a
 * trigger on it would then run somebody else's function with the owner's rights:
 * whoever may create triggers would be the owner.
 */
void
RequireOwnTriggers(RecordTable table)
{
	Oid stranger = record_state.stranger[table];

	if (OidIsValid(stranger))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a trigger on \"txplan.%s\" calls function \"%s\" of "
						"another owner",
						table_names[table], get_func_name(stranger)),
				 errdetail("The engine writes the table as the record's owner, "
						   "and would run the function with that role's "
						   "rights."),
				 errhint("Drop the trigger, or let the record's owner or a "
						 "superuser own its function.")));
}

/*
 * ForgetFunctions is told of every change of a function.
 */
static void
ForgetFunctions(Datum argument, int cache, uint32 hash)
{
	record_state.valid = false;
}

/*
 * RecordOwner is the role that owns the record, taken from table plans.
 */
Oid
RecordOwner(void)
{
	return record_state.owner;
}

/*
 * RecordRelation is the relation of a table.
 */
Oid
RecordRelation(RecordTable table)
{
	return record_state.tables[table];
}

/*
 * EventSequence is the relation that numbers events.
 */
Oid
EventSequence(void)
{
	return record_state.event_sequence;
}

/*
 * HasPrivilege tells whether the caller may do at least something of a kind to a
 * table, all of it or some of its columns.
 */
bool
HasPrivilege(RecordTable table, AclMode mode)
{
	Oid relation = RecordRelation(table);
	Oid user = GetUserId();

	return pg_class_aclcheck(relation, user, mode) == ACLCHECK_OK ||
		   pg_attribute_aclcheck_all(relation, user, mode, ACLMASK_ANY) ==
			   ACLCHECK_OK;
}

/*
 * RequirePrivilege raises 42501 unless the caller may do at least something of
 * the kind to the table.  Functions ask it before they lock anything; which
 * columns and rows the caller may touch is checked when the statement runs.
 */
void
RequirePrivilege(RecordTable table, AclMode mode)
{
	if (!HasPrivilege(table, mode))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, table_names[table]);
}

/*
 * OurTrigger checks that a function was called as a trigger of the record.
 *
 * Anybody may attach a trigger function to a table of their own; the engine
 * would then write, as the record's owner, what that table says.  So the table
 * must stand in our schema and belong to the record's owner.
 */
TriggerData *
OurTrigger(FunctionCallInfo fcinfo, const char *function)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function \"%s\" was not called as a trigger",
							   function),
						errhint("Only tables of the record call it.")));
	RequireRecord();
	if (RelationGetNamespace(trigger->tg_relation) != record_state.schema ||
		trigger->tg_relation->rd_rel->relowner != record_state.owner)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" serves only tables of the record",
						function),
				 errdetail("Table \"%s\" is not in schema txplan or belongs "
						   "to another role than the record.",
						   RelationGetRelationName(trigger->tg_relation)),
				 errhint("Drop the trigger.")));
	return trigger;
}

/*
 * txplan_version is the version of this code.
 */
Datum
txplan_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(TXPLAN_VERSION));
}

/*
 * txplan_ensure_constraint adds a constraint when it is missing.
 *
 * It is added without looking at the rows and then checked in a
 * subtransaction, so that rows which break it are reported and do not stop
 * install().  A unique or an exclusion constraint cannot be had that way; there
 * the rows must be mended first.
 */
Datum
txplan_ensure_constraint(PG_FUNCTION_ARGS)
{
	char *table;
	char *name;
	char *definition;
	char *summary;
	Oid schema;
	Oid relation;
	bool deferrable_check;
	bool missing;
	char *qualified;
	MemoryContext context;
	ResourceOwner owner;

	RequireArgument(fcinfo, 0, "table_name");
	RequireArgument(fcinfo, 1, "constraint_name");
	RequireArgument(fcinfo, 2, "definition");
	RequireArgument(fcinfo, 3, "summary");
	table = text_to_cstring(PG_GETARG_TEXT_PP(0));
	name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	definition = text_to_cstring(PG_GETARG_TEXT_PP(2));
	summary = text_to_cstring(PG_GETARG_TEXT_PP(3));
	schema = get_namespace_oid(RECORD_SCHEMA, false);
	relation = get_relname_relid(table, schema);
	deferrable_check = strncmp(definition, "UNIQUE", 6) != 0 &&
					   strncmp(definition, "EXCLUDE", 7) != 0;
	qualified = psprintf("%s.%s", RECORD_SCHEMA, quote_identifier(table));
	context = CurrentMemoryContext;
	owner = CurrentResourceOwner;

	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("there is no table \"txplan.%.63s\"", table),
				 errhint("txplan.install() makes the tables of the record.")));
	missing = !OidIsValid(get_relation_constraint_oid(relation, name, true));

	ConnectSpi();
	if (missing)
		RunDefinition(psprintf("ALTER TABLE %s ADD CONSTRAINT %s %s%s",
							   qualified, quote_identifier(name), definition,
							   deferrable_check ? " NOT VALID" : ""));
	if (deferrable_check)
	{
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(context);
		PG_TRY();
		{
			RunDefinition(psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s",
								   qualified, quote_identifier(name)));
			ReleaseCurrentSubTransaction();
			MemoryContextSwitchTo(context);
			CurrentResourceOwner = owner;
		}
		PG_CATCH();
		{
			ErrorData *error;

			MemoryContextSwitchTo(context);
			error = CopyErrorData();
			FlushErrorState();
			RollbackAndReleaseCurrentSubTransaction();
			MemoryContextSwitchTo(context);
			CurrentResourceOwner = owner;
			ereport(WARNING,
					(errcode(error->sqlerrcode),
					 errmsg("rows of \"%s\" break the rule \"%s\"", table,
							name),
					 errdetail("%s.", error->message),
					 errhint("Mend them and run SELECT txplan.install() again.")));
		}
		PG_END_TRY();
	}
	RunDefinition(psprintf("COMMENT ON CONSTRAINT %s ON %s IS %s",
						   quote_identifier(name), qualified,
						   quote_literal_cstr(summary)));
	FinishSpi();
	PG_RETURN_VOID();
}

/*
 * txplan_ensure_table_is_ours refuses to build upon something else that has the
 * name of a table of the record: a view, or a table without our columns.
 */
Datum
txplan_ensure_table_is_ours(PG_FUNCTION_ARGS)
{
	char *table;
	ArrayType *columns;
	Oid schema;
	Oid relation;
	Datum *names;
	bool *nulls;
	int n;
	int i;
	char kind;

	RequireArgument(fcinfo, 0, "table_name");
	RequireArgument(fcinfo, 1, "columns");
	table = text_to_cstring(PG_GETARG_TEXT_PP(0));
	columns = PG_GETARG_ARRAYTYPE_P(1);
	schema = get_namespace_oid(RECORD_SCHEMA, false);
	relation = get_relname_relid(table, schema);

	if (!OidIsValid(relation))
		PG_RETURN_VOID();
	kind = get_rel_relkind(relation);
	deconstruct_array(columns, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls,
					  &n);
	for (i = 0; i < n; i++)
	{
		char *column;

		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("a column of \"columns\" must not be NULL"),
							errhint("Name the columns that the table has.")));
		column = TextDatumGetCString(names[i]);

		if ((kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) ||
			get_attnum(relation, column) == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_TABLE),
					 errmsg("\"txplan.%s\" stands in the way of the record",
							table),
					 errdetail("It is no table, or has no column \"%s\", so it "
							   "is not the record's.",
							   column),
					 errhint("Rename it or move it to another schema, then run "
							 "SELECT txplan.install() again.")));
	}
	PG_RETURN_VOID();
}
