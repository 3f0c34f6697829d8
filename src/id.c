/*
 * id.c
 *		UUIDs of version 7: ids that sort by the time they were made.
 */
#include "compat.h"

#include <time.h>

#include "utils/uuid.h"

#define NS_PER_MS INT64CONST(1000000)
#define NS_PER_S INT64CONST(1000000000)

/* The least step between two ids, so that 12 bits of fraction tell them apart */
#define MINIMAL_STEP_NS ((NS_PER_MS / 4096) + 1)

/* Random bytes are drawn in bulk: one call for 32 ids instead of 32 calls. */
#define POOL_SIZE 256
#define RANDOM_BYTES_PER_ID 8

static uint8 random_pool[POOL_SIZE];
static int random_left = 0;

PG_FUNCTION_INFO_V1(txplan_new_id);

/*
 * RandomBytes copies bytes from the pool, which it fills when it is empty.
 */
static void
RandomBytes(uint8 *target)
{
	if (random_left < RANDOM_BYTES_PER_ID)
	{
		if (!pg_strong_random(random_pool, POOL_SIZE))
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
							errmsg("could not generate random values")));
		random_left = POOL_SIZE;
	}
	random_left -= RANDOM_BYTES_PER_ID;
	memcpy(target, random_pool + random_left, RANDOM_BYTES_PER_ID);
}

/*
 * RisingNanoseconds reads the clock; when that has not moved, or was set back,
 * it goes on from the last id, so that ids of one session always rise.
 */
static int64
RisingNanoseconds(void)
{
	static int64 last = 0;
	struct timespec now;
	int64 nanoseconds;

	clock_gettime(CLOCK_REALTIME, &now);
	nanoseconds = (int64) now.tv_sec * NS_PER_S + now.tv_nsec;
	if (nanoseconds < last + MINIMAL_STEP_NS)
		nanoseconds = last + MINIMAL_STEP_NS;
	last = nanoseconds;
	return nanoseconds;
}

/*
 * txplan_new_id makes a UUID of version 7 (RFC 9562): 48 bits of milliseconds,
 * the version, 12 bits of the fraction below, the variant, 62 random bits.
 */
Datum
txplan_new_id(PG_FUNCTION_ARGS)
{
	pg_uuid_t *id = (pg_uuid_t *) palloc(sizeof(pg_uuid_t));
	int64 nanoseconds = RisingNanoseconds();
	uint64 milliseconds = (uint64) (nanoseconds / NS_PER_MS);
	uint32 fraction;

	fraction = (uint32) ((nanoseconds % NS_PER_MS) * 4096 / NS_PER_MS);
	id->data[0] = (uint8) (milliseconds >> 40);
	id->data[1] = (uint8) (milliseconds >> 32);
	id->data[2] = (uint8) (milliseconds >> 24);
	id->data[3] = (uint8) (milliseconds >> 16);
	id->data[4] = (uint8) (milliseconds >> 8);
	id->data[5] = (uint8) milliseconds;
	id->data[6] = (uint8) (0x70 | (fraction >> 8));
	id->data[7] = (uint8) fraction;
	RandomBytes(&id->data[8]);
	id->data[8] = (id->data[8] & 0x3f) | 0x80;
	PG_RETURN_UUID_P(id);
}
