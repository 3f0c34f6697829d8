/*
 * workflow.c
 *		The definitions of workflows, read from their rows and kept.
 *
 * A change of the rows sends an invalidation of table workflows when it commits;
 * each backend then reads them again before it next looks.  Definitions that a
 * caller still holds live until its transaction ends.
 */
#include "workflow.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "error.h"
#include "record.h"
#include "spi.h"

static MemoryContext definitions = NULL; /* the ones in force */
static MemoryContext outdated = NULL;	 /* parent of those still held */
static List *workflows = NIL;			 /* of Workflow *, in definitions */
static bool definitions_valid = false;

SAVED_QUERY(read_states,
			"SELECT s.state, s.kind, s.items_editable, s.treatable, s.fhir_status "
			"FROM txplan.workflow_states AS s "
			"WHERE s.workflow" EQ "$1 "
			"ORDER BY s.state",
			TEXTOID);

SAVED_QUERY(read_transitions,
			"SELECT t.action, t.from_state, t.to_state, t.permission, t.automatic, "
			"t.guards, t.reasons, t.event "
			"FROM txplan.workflow_transitions AS t "
			"WHERE t.workflow" EQ "$1 "
			"ORDER BY t.action, t.from_state",
			TEXTOID);

SAVED_QUERY(find_name,
			"SELECT 1 FROM txplan.workflows AS w WHERE w.name" EQ "$1",
			TEXTOID);

SAVED_QUERY(list_faults,
			"SELECT f.fault, f.state, f.action, f.detail "
			"FROM txplan.workflow_faults($1) AS f",
			TEXTOID);

SAVED_QUERY(draw_workflow, "SELECT txplan.workflow_picture($1, $2)", TEXTOID,
			TEXTOID);

PG_FUNCTION_INFO_V1(txplan_workflow_changed);
PG_FUNCTION_INFO_V1(txplan_check_workflow);
PG_FUNCTION_INFO_V1(txplan_workflow_diagram);

/*
 * ForgetWorkflows is told of changes; it only lowers a flag.
 */
static void
ForgetWorkflows(Datum argument, Oid relation)
{
	if (relation == InvalidOid || relation == RecordRelation(TABLE_WORKFLOWS))
		definitions_valid = false;
}

/*
 * DropOutdated frees, at the end of a transaction, what nobody holds any more.
 */
static void
DropOutdated(XactEvent event, void *argument)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			if (outdated != NULL)
				MemoryContextDeleteChildren(outdated);
			break;
		default:
			break;
	}
}

/*
 * InitWorkflow registers the callbacks, once for each backend.
 */
void
InitWorkflow(void)
{
	outdated =
		AllocSetContextCreate(TopMemoryContext, "txplan outdated workflows",
							  ALLOCSET_SMALL_SIZES);
	CacheRegisterRelcacheCallback(ForgetWorkflows, (Datum) 0);
	RegisterXactCallback(DropOutdated, NULL);
}

/*
 * Kept copies a text column to the definitions.
 */
static char *
Kept(Datum value, bool isnull)
{
	char *copy;
	MemoryContext old;

	if (isnull)
		return NULL;
	old = MemoryContextSwitchTo(definitions);
	copy = TextDatumGetCString(value);
	MemoryContextSwitchTo(old);
	return copy;
}

/*
 * KeptList copies a text[] column to the definitions.
 */
static List *
KeptList(Datum value)
{
	List *list = NIL;
	Datum *elements;
	bool *nulls;
	int n;
	int i;

	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &n);
	for (i = 0; i < n; i++)
	{
		char *copy = Kept(elements[i], nulls[i]);
		MemoryContext old = MemoryContextSwitchTo(definitions);

		if (copy != NULL)
			list = lappend(list, copy);
		MemoryContextSwitchTo(old);
	}
	return list;
}

/*
 * ReadStates reads the states of a workflow.
 */
static void
ReadStates(Workflow *workflow, Datum name)
{
	uint64 i;

	workflow->nstates = (int) RunQuery(&read_states, AS_OWNER_NOW, &name, NULL);
	workflow->states =
		(WorkflowState *) MemoryContextAllocZero(definitions,
												 sizeof(WorkflowState) *
													 (workflow->nstates + 1));
	for (i = 0; i < SPI_processed; i++)
	{
		WorkflowState *state = &workflow->states[i];
		Datum values[5];
		bool nulls[5];
		char *kind;

		FetchRow(i, values, nulls);
		kind = TextDatumGetCString(values[1]);
		state->name = Kept(values[0], false);
		state->initial = strcmp(kind, "initial") == 0;
		state->final = strcmp(kind, "final") == 0;
		state->items_editable = DatumGetBool(values[2]);
		state->treatable = DatumGetBool(values[3]);
		state->fhir_status = Kept(values[4], nulls[4]);
	}
}

/*
 * ReadTransitions reads the transitions of a workflow.
 */
static void
ReadTransitions(Workflow *workflow, Datum name)
{
	uint64 i;

	workflow->ntransitions =
		(int) RunQuery(&read_transitions, AS_OWNER_NOW, &name, NULL);
	workflow->transitions = (WorkflowTransition *)
		MemoryContextAllocZero(definitions, sizeof(WorkflowTransition) *
												(workflow->ntransitions + 1));
	for (i = 0; i < SPI_processed; i++)
	{
		WorkflowTransition *transition = &workflow->transitions[i];
		Datum values[8];
		bool nulls[8];

		FetchRow(i, values, nulls);
		transition->action = Kept(values[0], false);
		transition->from_state = Kept(values[1], false);
		transition->to_state = Kept(values[2], false);
		transition->permission = Kept(values[3], nulls[3]);
		transition->automatic = DatumGetBool(values[4]);
		transition->guards = KeptList(values[5]);
		transition->reasons = KeptList(values[6]);
		transition->event = Kept(values[7], nulls[7]);
	}
}

/*
 * ReadWorkflow reads one workflow, NULL when it has no states.
 *
 * It reads with the latest snapshot, not with that of a repeatable read
 * transaction: what it reads is kept beyond that.
 */
static Workflow *
ReadWorkflow(const char *name)
{
	Workflow *workflow;
	MemoryContext old;
	Datum argument = CStringGetTextDatum(name);

	old = MemoryContextSwitchTo(definitions);
	workflow = (Workflow *) palloc0(sizeof(Workflow));
	workflow->name = pstrdup(name);
	MemoryContextSwitchTo(old);

	ConnectSpi();
	ReadStates(workflow, argument);
	ReadTransitions(workflow, argument);
	FinishSpi();
	return workflow->nstates == 0 ? NULL : workflow;
}

/*
 * FindWorkflow returns the definition of a workflow as it is committed now, NULL
 * when there is none of that name.
 */
const Workflow *
FindWorkflow(const char *name)
{
	ListCell *cell;
	Workflow *workflow;
	MemoryContext old;

	/* Hear of changes that committed since the last statement began. */
	AcceptInvalidationMessages();
	RequireRecord();
	if (!definitions_valid)
	{
		if (definitions != NULL)
			MemoryContextSetParent(definitions, outdated);
		workflows = NIL;
		definitions =
			AllocSetContextCreate(TopMemoryContext, "txplan workflows",
								  ALLOCSET_DEFAULT_SIZES);
		definitions_valid = true;
	}
	foreach(cell, workflows)
	{
		workflow = (Workflow *) lfirst(cell);
		if (strcmp(workflow->name, name) == 0)
			return workflow;
	}

	workflow = ReadWorkflow(name);

	/* A change that arrived while reading lowered the flag: read again. */
	if (!definitions_valid)
		return FindWorkflow(name);
	if (workflow != NULL)
	{
		old = MemoryContextSwitchTo(definitions);
		workflows = lappend(workflows, workflow);
		MemoryContextSwitchTo(old);
	}
	return workflow;
}

/*
 * FindState returns a state of a workflow, NULL when it has none of that name.
 */
const WorkflowState *
FindState(const Workflow *workflow, const char *name)
{
	int i;

	for (i = 0; i < workflow->nstates; i++)
		if (strcmp(workflow->states[i].name, name) == 0)
			return &workflow->states[i];
	return NULL;
}

/*
 * InitialState returns the state in which plans begin, NULL when there is none.
 */
const WorkflowState *
InitialState(const Workflow *workflow)
{
	int i;

	for (i = 0; i < workflow->nstates; i++)
		if (workflow->states[i].initial)
			return &workflow->states[i];
	return NULL;
}

/*
 * TransitionCloses tells whether a transition closes a plan, rather than
 * completing it or moving it on: it leads to a final state, and either asks for a
 * reason or means "revoked" or "entered in error" to FHIR.
 */
bool
TransitionCloses(const Workflow *workflow, const WorkflowTransition *transition)
{
	const WorkflowState *to = FindState(workflow, transition->to_state);

	if (to == NULL || !to->final)
		return false;
	if (transition->reasons != NIL)
		return true;
	return to->fhir_status != NULL &&
		   (strcmp(to->fhir_status, "revoked") == 0 ||
			strcmp(to->fhir_status, "entered-in-error") == 0);
}

/*
 * txplan_workflow_changed is the trigger on the tables of definitions: it sends
 * the invalidation, which a rollback takes back.
 */
Datum
txplan_workflow_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger;
	Oid workflows_table;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"workflow_changed\" was not called as a trigger"),
				 errhint("Only tables of the record call it.")));
	trigger = (TriggerData *) fcinfo->context;
	workflows_table =
		get_relname_relid("workflows",
						  RelationGetNamespace(trigger->tg_relation));
	if (OidIsValid(workflows_table))
		CacheInvalidateRelcacheByRelid(workflows_table);
	return PointerGetDatum(NULL);
}

/*
 * txplan_check_workflow lists the faults of a workflow.
 */
Datum
txplan_check_workflow(PG_FUNCTION_ARGS)
{
	Datum argument;
	char *name;
	Datum one;
	bool isnull;

	RequireArgument(fcinfo, 0, "workflow");
	RequireRecord();
	argument = PG_GETARG_DATUM(0);
	name = TextDatumGetCString(argument);
	if (!QueryRow(&find_name, AS_OWNER, &argument, NULL, &one, &isnull))
		ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
						errmsg("workflow \"%.60s\" does not exist", name),
						errhint("Table txplan.workflows lists them.")));
	ReturnQueryRows(fcinfo, &list_faults, &argument, NULL);
	return (Datum) 0;
}

/*
 * txplan_workflow_diagram draws a workflow.
 */
Datum
txplan_workflow_diagram(PG_FUNCTION_ARGS)
{
	Datum arguments[2];
	char *name;
	char *format;
	Datum picture;
	bool isnull;

	RequireArgument(fcinfo, 0, "workflow");
	RequireArgument(fcinfo, 1, "format");
	RequireRecord();
	name = TextDatumGetCString(PG_GETARG_DATUM(0));
	format = TextDatumGetCString(PG_GETARG_DATUM(1));
	if (strcmp(format, "mermaid") != 0 && strcmp(format, "dot") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no diagram of format \"%.60s\"", format),
				 errhint("Formats are mermaid and dot.")));
	if (FindWorkflow(name) == NULL)
		ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
						errmsg("workflow \"%.60s\" does not exist", name),
						errhint("Table txplan.workflows lists them.")));
	arguments[0] = PG_GETARG_DATUM(0);
	arguments[1] = PG_GETARG_DATUM(1);
	if (!QueryRow(&draw_workflow, AS_CALLER, arguments, NULL, &picture,
				  &isnull) ||
		isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(picture);
}
