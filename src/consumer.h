/*
 * consumer.h
 *		Durable readers of events.
 */
#ifndef TXPLAN_CONSUMER_H
#define TXPLAN_CONSUMER_H

#include "compat.h"

typedef struct Consumer
{
	int id;
	char *name;
	Datum types; /* text[]; the next three 0 where there is no such filter */
	Datum clinic_id;
	Datum plan_id;
	int64 origin;
	int64 system_identifier;
	int max_retries;
} Consumer;

extern void ReadConsumer(FunctionCallInfo fcinfo, AclMode mode,
						 Consumer *consumer);
extern bool FindConsumer(const char *name, Consumer *consumer);

#endif /* TXPLAN_CONSUMER_H */
