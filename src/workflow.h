/*
 * workflow.h
 *		The definitions of workflows, kept for each backend.
 */
#ifndef TXPLAN_WORKFLOW_H
#define TXPLAN_WORKFLOW_H

#include "compat.h"

#include "nodes/pg_list.h"

typedef struct WorkflowState
{
	char *name;
	bool initial;
	bool final;
	bool items_editable;
	bool treatable;
	char *fhir_status; /* NULL when none is given */
} WorkflowState;

typedef struct WorkflowTransition
{
	char *action;
	char *from_state;
	char *to_state;
	char *permission; /* NULL asks for none */
	bool automatic;
	List *guards;  /* of char *, schema.name */
	List *reasons; /* of char * */
	char *event;   /* NULL publishes none of its own */
} WorkflowTransition;

/* A definition never changes: a newer one takes its place. */
typedef struct Workflow
{
	char *name;
	int nstates;
	WorkflowState *states;
	int ntransitions;
	WorkflowTransition *transitions; /* by action and state */
} Workflow;

extern void InitWorkflow(void);
extern const Workflow *FindWorkflow(const char *name);
extern const WorkflowState *FindState(const Workflow *workflow,
									  const char *name);
extern const WorkflowState *InitialState(const Workflow *workflow);
extern bool TransitionCloses(const Workflow *workflow,
							 const WorkflowTransition *transition);

#endif /* TXPLAN_WORKFLOW_H */
