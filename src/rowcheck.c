/*
 * rowcheck.c
 *		The triggers before each row: who looks at what a client writes.
 *
 * Rows that the engine writes itself pass: it has checked them, or knows better.
 */
#include "rowcheck.h"

#include "commands/trigger.h"

#include "record.h"
#include "spi.h"

/*
 * CheckRow is the body of the trigger before each row of a table.  It returns the
 * row to write, as the table's checks have filled it in.
 */
Datum
CheckRow(FunctionCallInfo fcinfo, const RowChecks *checks)
{
	TriggerData *trigger = OurTrigger(fcinfo, checks->trigger);
	Relation relation = trigger->tg_relation;
	Row old_row;
	Row row;

	if (WrittenByEngine(checks->table))
		return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
								   trigger->tg_newtuple :
								   trigger->tg_trigtuple);
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		OpenTuple(&row, relation, checks->table, trigger->tg_trigtuple);
		checks->check_insert(&row);
		return PointerGetDatum(FinishRow(&row));
	}
	OpenTuple(&old_row, relation, checks->table, trigger->tg_trigtuple);
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		checks->check_delete(&old_row);
		return PointerGetDatum(trigger->tg_trigtuple);
	}
	OpenTuple(&row, relation, checks->table, trigger->tg_newtuple);
	checks->check_update(&row, &old_row);
	return PointerGetDatum(FinishRow(&row));
}
