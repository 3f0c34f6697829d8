/*
 * rowcheck.c
 *		The triggers before each row: who looks at what a client writes.
 *
 * Rows that the engine writes itself pass: it has checked them, or knows better.
 */
#include "rowcheck.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"

#include "record.h"
#include "spi.h"

/* Every table has these first. */
#define ID 0
#define CLINIC_ID 1

#define FIND_SAME(table)                   \
	"SELECT 1 FROM txplan." table " AS x " \
	"WHERE x.id" EQ "$1 AND x.clinic_id" EQ "$2"

SAVED_QUERY(same_budget, FIND_SAME("budgets"), UUIDOID, UUIDOID);
SAVED_QUERY(same_line, FIND_SAME("budget_lines"), UUIDOID, UUIDOID);
SAVED_QUERY(same_contact, FIND_SAME("contacts"), UUIDOID, UUIDOID);
SAVED_QUERY(same_appointment, FIND_SAME("appointments"), UUIDOID, UUIDOID);

/*
 * IsThere tells whether the id of a new row is there, so that it will not be
 * inserted (ON CONFLICT, or an error) and decides nothing: it was sent once more.
 *
 * It is asked once the plan is locked, or what else the rules of the table lock:
 * behind that whoever inserts the same has to wait.
 */
bool
IsThere(const Row *row, RecordTable table)
{
	SavedQuery *query = table == TABLE_BUDGETS		? &same_budget :
						table == TABLE_BUDGET_LINES ? &same_line :
						table == TABLE_CONTACTS		? &same_contact :
													  &same_appointment;
	Datum arguments[2];
	Datum one;
	bool isnull;

	if (RowIsNull(row, ID) || RowIsNull(row, CLINIC_ID))
		return false;
	arguments[0] = RowValue(row, ID);
	arguments[1] = RowValue(row, CLINIC_ID);
	return QueryRow(query, AS_OWNER, arguments, NULL, &one, &isnull);
}

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
