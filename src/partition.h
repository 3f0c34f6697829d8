/*
 * partition.h
 *		The partitions of events.
 */
#ifndef TXPLAN_PARTITION_H
#define TXPLAN_PARTITION_H

#include "compat.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* The years of which there are partitions: their numbers have four digits */
#define PARTITION_YEAR_MIN 1000
#define PARTITION_YEAR_MAX 9998

/* So many months a call makes, and so many it removes: each takes locks */
#define MONTHS_AT_ONCE 60

typedef struct EventPartition
{
	Oid relation; /* InvalidOid for one that is not there */
	char name[NAMEDATALEN];
	TimestampTz starts_at; /* DT_NOBEGIN and DT_NOEND where it has no bound */
	TimestampTz ends_at;   /* it takes what is before */
	bool is_default;
	bool is_month; /* a table of the record, named for the month that it takes */
} EventPartition;

extern bool MonthOf(TimestampTz at, EventPartition *month);
extern List *ListPartitions(void);
extern const EventPartition *FindDefault(const List *partitions);
extern char *PartitionName(const EventPartition *partition);
extern char *BoundText(TimestampTz at);

extern void DefineAsOwner(const char *sql);
extern void DefinePartition(const EventPartition *month);
extern uint64 MoveEvents(const EventPartition *month);
extern void AttachPartition(const EventPartition *month);

extern bool IsFenced(const EventPartition *month);
extern void AddFence(const EventPartition *month);
extern void ProveFence(const EventPartition *month);
extern void DropFence(const EventPartition *month);

#endif /* TXPLAN_PARTITION_H */
