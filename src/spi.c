/*
 * spi.c
 *		Saved queries and the switch to the record's owner.
 *
 * What the engine writes is told from what a client writes by a mark that is
 * set while the engine's statement runs.  The mark names the table and the depth
 * of triggers, so a statement that some other trigger runs meanwhile is a
 * client's.  It is a variable of this file: no setting reaches it.
 */
#include "spi.h"

#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

typedef struct EngineMark
{
	bool set;
	int depth; /* triggers around the engine's statement */
	RecordTable table;
} EngineMark;

static EngineMark engine_mark = { false, 0, TABLE_PLANS };

/*
 * TriggerDepth tells how many triggers are running, one in another.
 */
int
TriggerDepth(void)
{
	return DatumGetInt32(pg_trigger_depth(NULL));
}

/*
 * ConnectSpi opens SPI; an error closes it with the transaction.
 */
void
ConnectSpi(void)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

/*
 * FinishSpi closes SPI and frees what was allocated since ConnectSpi.
 */
void
FinishSpi(void)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not finish SPI");
}

/*
 * EnterOwner acts as the record's owner until LeaveOwner, as foreign keys do.
 * An error in between restores the user with the (sub)transaction.
 *
 * Restricted: no temporary tables, no LISTEN, no change of role, for functions
 * that are not ours.
 */
void
EnterOwner(OwnerScope *scope, bool restricted)
{
	int security = SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS;

	if (restricted)
		security |= SECURITY_RESTRICTED_OPERATION;
	GetUserIdAndSecContext(&scope->user, &scope->security);
	SetUserIdAndSecContext(RecordOwner(), scope->security | security);
}

/*
 * LeaveOwner is the caller again.
 */
void
LeaveOwner(const OwnerScope *scope)
{
	SetUserIdAndSecContext(scope->user, scope->security);
}

/*
 * ChoosePlan makes the planner choose now, with the ways discouraged that read
 * whole tables: a plan made while a table was small would otherwise go on
 * reading all of it when it is large.  All queries look rows up by their keys,
 * so none is worth compiling, whatever it is thought to cost.
 */
static void
ChoosePlan(SPIPlanPtr plan)
{
	static const char *const discouraged[] = { "enable_seqscan",
											   "enable_hashjoin",
											   "enable_mergejoin", "jit" };
	CachedPlan *generic;
	int nest = NewGUCNestLevel();
	int i;

	for (i = 0; i < (int) lengthof(discouraged); i++)
		(void) set_config_option(discouraged[i], "off", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
								 false);
	generic = SPI_plan_get_cached_plan(plan);
	if (generic != NULL)
		ReleaseCachedPlan(generic, CurrentResourceOwner);
	AtEOXact_GUC(true, nest);
}

/*
 * IsTimeToReplan tells whether a plan is to be made anew for what its tables have
 * become: the choice between two indexes of an empty table is a guess, which
 * ANALYZE corrects, but not at once.  So a plan is reconsidered after 16, 256,
 * 4096 and 65536 runs.
 */
static bool
IsTimeToReplan(const SavedQuery *query)
{
	return query->running == 0 && (query->runs == 16 || query->runs == 256 ||
								   query->runs == 4096 || query->runs == 65536);
}

/*
 * PrepareQuery makes the saved plan.  PostgreSQL itself makes it anew when
 * something that it stands on changes.
 *
 * A plan that is being run, further up the stack, is never freed.
 */
static void
PrepareQuery(SavedQuery *query)
{
	SPIPlanPtr plan;

	query->runs++;
	if (query->plan != NULL && IsTimeToReplan(query))
	{
		plan = query->plan;
		query->plan = NULL;
		SPI_freeplan(plan);
	}
	if (query->plan != NULL)
	{
		if (!SPI_plan_is_valid(query->plan))
			ChoosePlan(query->plan);
		return;
	}

	plan = SPI_prepare_cursor(query->sql, query->nargs, query->argtypes,
							  CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", query->sql,
			 SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "could not keep the plan of \"%s\"", query->sql);
	query->plan = plan;
	query->running = 0;
	ChoosePlan(plan);
}

/*
 * Execute runs a prepared query in the role that is in force.
 *
 * The latest snapshot is taken when the tables are locked: were it taken before,
 * events could be moved to another partition while the query waits, and it would
 * look for them there and not yet see them.
 */
static uint64
Execute(SavedQuery *query, bool latest, Datum *values, const char *nulls)
{
	int result = 0;

	PrepareQuery(query);
	if (latest)
		ChoosePlan(query->plan);
	query->running++;
	PG_TRY();
	{
		if (latest)
			result = SPI_execute_snapshot(query->plan, values, nulls,
										  GetLatestSnapshot(), InvalidSnapshot,
										  true, false, 0);
		else
			result = SPI_execute_plan(query->plan, values, nulls, false, 0);
	}
	PG_FINALLY();
	{
		query->running--;
	}
	PG_END_TRY();
	if (result < 0)
		elog(ERROR, "could not run \"%s\": %s", query->sql,
			 SPI_result_code_string(result));
	return SPI_processed;
}

/*
 * RunQuery runs a query and returns the number of its rows.
 *
 * Each run takes a snapshot of its own (at read committed), so what it reads
 * after a lock is what the lock protects.
 */
uint64
RunQuery(SavedQuery *query, QueryUser user, Datum *values, const char *nulls)
{
	OwnerScope scope;
	uint64 rows;

	if (user == AS_CALLER)
		return Execute(query, false, values, nulls);
	EnterOwner(&scope, false);
	rows = Execute(query, user == AS_OWNER_NOW, values, nulls);
	LeaveOwner(&scope);
	return rows;
}

/*
 * SetEngineMark marks what is written to a table from here on as the engine's.
 */
static void
SetEngineMark(RecordTable table)
{
	RequireOwnTriggers(table);
	engine_mark.set = true;
	engine_mark.depth = TriggerDepth();
	engine_mark.table = table;
}

/*
 * RunEngineWrite runs a statement that writes a table as the engine: as the
 * record's owner, and recognised by the table's triggers.
 */
static uint64
RunEngineWrite(SavedQuery *query, RecordTable table, Datum *values,
			   const char *nulls)
{
	EngineMark saved = engine_mark;
	uint64 rows = 0;

	SetEngineMark(table);
	PG_TRY();
	{
		rows = RunQuery(query, AS_OWNER, values, nulls);
	}
	PG_FINALLY();
	{
		engine_mark = saved;
	}
	PG_END_TRY();
	return rows;
}

/*
 * WrittenByEngine tells a trigger whether the statement that fired it is the
 * engine's own.
 */
bool
WrittenByEngine(RecordTable table)
{
	return engine_mark.set && engine_mark.table == table &&
		   TriggerDepth() == engine_mark.depth + 1;
}

/*
 * FetchRow takes a row of the last query apart.  What it points to lives until
 * FinishSpi.
 */
void
FetchRow(uint64 row, Datum *values, bool *nulls)
{
	heap_deform_tuple(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, values,
					  nulls);
}

/*
 * KeepFirstRow copies the first row of the last query, if there is one, to a
 * context that outlives SPI.
 */
static bool
KeepFirstRow(MemoryContext context, uint64 rows, Datum *columns, bool *isnull)
{
	TupleDesc descriptor;
	MemoryContext old;
	int i;

	if (rows == 0)
		return false;
	FetchRow(0, columns, isnull);
	descriptor = SPI_tuptable->tupdesc;
	old = MemoryContextSwitchTo(context);
	for (i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		if (!isnull[i] && !attribute->attbyval)
			columns[i] = datumCopy(columns[i], false, attribute->attlen);
	}
	MemoryContextSwitchTo(old);
	return true;
}

/*
 * QueryRows runs a query, copies its first row to the caller's memory and returns
 * how many there are.
 */
uint64
QueryRows(SavedQuery *query, QueryUser user, Datum *values, const char *nulls,
		  Datum *columns, bool *isnull)
{
	MemoryContext context = CurrentMemoryContext;
	uint64 rows;

	ConnectSpi();
	rows = RunQuery(query, user, values, nulls);
	(void) KeepFirstRow(context, rows, columns, isnull);
	FinishSpi();
	return rows;
}

/*
 * QueryRow is the same for a query that finds a row or does not.
 */
bool
QueryRow(SavedQuery *query, QueryUser user, Datum *values, const char *nulls,
		 Datum *columns, bool *isnull)
{
	return QueryRows(query, user, values, nulls, columns, isnull) > 0;
}

/*
 * EngineWriteRow runs a statement of the engine and copies the first row that it
 * returns to the caller's memory.
 */
bool
EngineWriteRow(SavedQuery *query, RecordTable table, Datum *values,
			   const char *nulls, Datum *columns, bool *isnull)
{
	MemoryContext context = CurrentMemoryContext;
	bool found;

	ConnectSpi();
	found = KeepFirstRow(context, RunEngineWrite(query, table, values, nulls),
						 columns, isnull);
	FinishSpi();
	return found;
}

/*
 * EngineWrite runs a statement of the engine and returns the number of rows.
 */
uint64
EngineWrite(SavedQuery *query, RecordTable table, Datum *values,
			const char *nulls)
{
	uint64 rows;

	ConnectSpi();
	rows = RunEngineWrite(query, table, values, nulls);
	FinishSpi();
	return rows;
}

/*
 * RaiseNotWritten says that a trigger of somebody else's kept the engine from
 * writing: money and events are not lost in silence.
 */
void
RaiseNotWritten(RecordTable table)
{
	ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
					errmsg("the engine could not write rows of \"%s\"",
						   get_rel_name(RecordRelation(table))),
					errdetail("A trigger of your own on the table kept it from "
							  "doing so."),
					errhint("Let that trigger return NEW.")));
}

/*
 * EngineWriteRows runs a statement of the engine that writes so many rows, and
 * raises 27000 when it wrote others.
 */
void
EngineWriteRows(SavedQuery *query, RecordTable table, Datum *values,
				const char *nulls, uint64 wanted)
{
	if (EngineWrite(query, table, values, nulls) != wanted)
		RaiseNotWritten(table);
}

/*
 * EngineRun runs a statement of the engine that is not worth keeping, since a
 * name in it is of one partition, and returns the number of rows.  It sees what
 * is committed now, at any isolation level.  The caller is connected to SPI.
 */
uint64
EngineRun(const char *sql, RecordTable table, int nargs, Oid *types,
		  Datum *values)
{
	EngineMark saved = engine_mark;
	OwnerScope scope;
	int result = 0;

	SetEngineMark(table);
	EnterOwner(&scope, false);
	PG_TRY();
	{
		SPIPlanPtr plan = SPI_prepare(sql, nargs, types);

		if (plan == NULL)
			elog(ERROR, "could not prepare \"%s\": %s", sql,
				 SPI_result_code_string(SPI_result));
		result = SPI_execute_snapshot(plan, values, NULL, GetLatestSnapshot(),
									  InvalidSnapshot, false, true, 0);
	}
	PG_FINALLY();
	{
		engine_mark = saved;
	}
	PG_END_TRY();
	LeaveOwner(&scope);
	if (result < 0)
		elog(ERROR, "could not run \"%s\": %s", sql,
			 SPI_result_code_string(result));
	return SPI_processed;
}

/*
 * RunDefinition runs a statement that defines something, put together from names
 * of the record: nothing that a user wrote is part of it.  The caller is
 * connected to SPI.
 */
void
RunDefinition(const char *sql)
{
	if (SPI_execute(sql, false, 0) < 0)
		elog(ERROR, "could not run \"%s\"", sql);
}

/*
 * ArrayOf makes an array for unnest.
 */
Datum
ArrayOf(Datum *elements, bool *nulls, int n, Oid type)
{
	int16 length;
	bool by_value;
	char alignment;
	int low = 1;

	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	return PointerGetDatum(construct_md_array(elements, nulls, 1, &n, &low,
											  type, length, by_value,
											  alignment));
}

/*
 * AddQueryRows adds the rows of a query to the result of the function at hand,
 * which InitMaterializedSRF has begun, and returns how many they are.
 */
uint64
AddQueryRows(FunctionCallInfo fcinfo, SavedQuery *query, QueryUser user,
			 Datum *values, const char *nulls)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	uint64 rows;
	uint64 row;

	ConnectSpi();
	rows = RunQuery(query, user, values, nulls);
	for (row = 0; row < rows; row++)
	{
		Datum columns[MaxTupleAttributeNumber];
		bool isnull[MaxTupleAttributeNumber];

		FetchRow(row, columns, isnull);
		tuplestore_putvalues(result->setResult, result->setDesc, columns,
							 isnull);
	}
	FinishSpi();
	return rows;
}

/*
 * ReturnQueryRows makes the rows of a query the result of the function at hand.
 * The query runs as the caller.
 */
void
ReturnQueryRows(FunctionCallInfo fcinfo, SavedQuery *query, Datum *values,
				const char *nulls)
{
	InitMaterializedSRF(fcinfo, 0);
	(void) AddQueryRows(fcinfo, query, AS_CALLER, values, nulls);
}
