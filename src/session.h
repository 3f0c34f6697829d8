/*
 * session.h
 *		What a function means by the UPDATE of sessions that it runs.
 */
#ifndef TXPLAN_SESSION_H
#define TXPLAN_SESSION_H

#include "compat.h"

#include "utils/uuid.h"

typedef struct Completion
{
	const char *via;	  /* session, item or performed */
	pg_uuid_t item_id;	  /* set when the item was counted */
	char item_status[16]; /* likewise; empty before */
} Completion;

extern Completion *CurrentCompletion(void);

#endif /* TXPLAN_SESSION_H */
