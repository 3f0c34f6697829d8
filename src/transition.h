/*
 * transition.h
 *		The one place where a plan's status changes.
 */
#ifndef TXPLAN_TRANSITION_H
#define TXPLAN_TRANSITION_H

#include "compat.h"

#include "nodes/pg_list.h"

#include "planlock.h"
#include "spi.h"
#include "workflow.h"

/* What a function means by the UPDATE of a plan that it runs */
typedef struct Intent
{
	const char *action; /* NULL when no action is meant */
	const char *reason;
	const char *note;
	bool automatic;		  /* taken by the engine */
	int items_reassigned; /* by a change of the plan's doctor */
} Intent;

extern const Intent *CurrentIntent(void);
extern uint64 RunWithIntent(const Intent *intent, SavedQuery *query,
							QueryUser user, Datum *values, const char *nulls);

extern const Workflow *RequireWorkflow(const char *name);
extern const WorkflowState *StateOfPlan(const TreatmentPlan *plan);
extern const WorkflowTransition *ChooseTransition(const Workflow *workflow,
												  const TreatmentPlan *plan,
												  const char *to_state);
extern void CheckTransition(const WorkflowTransition *transition,
							const TreatmentPlan *plan, const char *reason);
extern void CheckGuards(const WorkflowTransition *transition,
						const TreatmentPlan *plan);
extern bool MayAdvance(const TreatmentPlan *plan);
extern void AdvancePlan(TreatmentPlan *plan);

extern const WorkflowTransition *FindAction(const Workflow *workflow,
											const char *action,
											const char *state);
extern const WorkflowTransition *RequireAction(const Workflow *workflow,
											   const TreatmentPlan *plan,
											   const char *action,
											   bool automatic);
extern void MovePlan(TreatmentPlan *plan, const WorkflowTransition *transition,
					 const Intent *meant, QueryUser user);
extern bool FollowAction(TreatmentPlan *plan, const char *action,
						 const char *reason, const char *note);
extern Datum PlanStatus(const PlanKey *plan);

extern void RequireEditable(const TreatmentPlan *plan, const char *what);
extern void RequireTreatable(const TreatmentPlan *plan, const char *what);

#endif /* TXPLAN_TRANSITION_H */
