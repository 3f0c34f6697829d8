/*
 * actor.c
 *		Who does it: the person by the setting txplan.actor, and the database role.
 */
#include "actor.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "error.h"

static char *actor_setting = NULL;

/*
 * CheckActor keeps the setting to what the record takes.
 */
static bool
CheckActor(char **value, void **extra, GucSource source)
{
	if (*value != NULL && pg_mbstrlen(*value) > NAME_MAX_CHARS)
	{
		GUC_check_errdetail("An actor has at most %d characters.",
							NAME_MAX_CHARS);
		return false;
	}
	return true;
}

/*
 * InitActor defines the setting.
 */
void
InitActor(void)
{
	DefineCustomStringVariable("txplan.actor",
							   "Who acts, as events and history record it.",
							   "When empty, the user of the session acts.",
							   &actor_setting, "", PGC_USERSET, 0, CheckActor,
							   NULL, NULL);
}

/*
 * CurrentActor names the person: the setting, else the session's user, whom
 * neither SET ROLE nor a function of another owner changes.
 */
char *
CurrentActor(void)
{
	if (actor_setting != NULL && actor_setting[0] != '\0')
		return pstrdup(actor_setting);
	return GetUserNameFromId(GetSessionUserId(), false);
}

/*
 * CurrentRoleName names the role that the session acts as, by SET ROLE.
 */
char *
CurrentRoleName(void)
{
	return GetUserNameFromId(GetOuterUserId(), false);
}
