/*
 * announce.c
 *		What a notification of events says.
 *
 * Writers that announce their own events and the notifier, which announces those
 * of others, say the same.
 */
#include "announce.h"

#include "commands/async.h"
#include "utils/json.h"

#include "error.h"

#define CHANNEL "txplan"

/*
 * AnnounceEvent sends the notification of one event when the transaction at hand
 * commits.
 */
void
AnnounceEvent(int64 id, const char *type, const pg_uuid_t *plan_id,
			  const pg_uuid_t *clinic_id)
{
	StringInfoData payload;

	initStringInfo(&payload);
	appendStringInfo(&payload, "{\"id\":" INT64_FORMAT ",\"type\":", id);
	escape_json(&payload, type);
	appendStringInfo(&payload, ",\"plan_id\":\"%s\",\"clinic_id\":\"%s\"}",
					 UuidText(plan_id), UuidText(clinic_id));
	Async_Notify(CHANNEL, payload.data);
}

/*
 * AnnounceBatch sends one notification for many events.
 */
void
AnnounceBatch(int64 from, int64 to, int64 count)
{
	Async_Notify(CHANNEL, psprintf("{\"type\":\"batch\",\"from\":" INT64_FORMAT
								   ",\"to\":" INT64_FORMAT
								   ",\"count\":" INT64_FORMAT "}",
								   from, to, count));
}
