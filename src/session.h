/*
 * session.h
 *		What a function means by the UPDATE of sessions that it runs.
 */
#ifndef TXPLAN_SESSION_H
#define TXPLAN_SESSION_H

#include "compat.h"

#include "utils/uuid.h"

#include "planlock.h"

typedef struct Completion
{
	const char *via;	  /* session, item, performed or appointment */
	pg_uuid_t item_id;	  /* set when the item was counted */
	char item_status[16]; /* likewise; empty before */
} Completion;

extern Completion *CurrentCompletion(void);
extern void EndSessionOf(const TreatmentPlan *plan, const pg_uuid_t *session_id,
						 const char *status, text *note, Completion *meant);

#endif /* TXPLAN_SESSION_H */
