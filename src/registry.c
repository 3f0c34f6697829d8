/*
 * registry.c
 *		Clinics, the people who treat and the people who are treated.
 */
#include "registry.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "error.h"
#include "fold.h"
#include "spi.h"
#include "zone.h"

SAVED_QUERY(find_clinic, "SELECT 1 FROM txplan.clinics AS c WHERE c.id" EQ "$1",
			UUIDOID);

SAVED_QUERY(find_professional,
			"SELECT p.active, p.name FROM txplan.professionals AS p "
			"WHERE p.id" EQ "$1 AND p.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_any_professional,
			"SELECT 1 FROM txplan.professionals AS p WHERE p.id" EQ "$1",
			UUIDOID);

SAVED_QUERY(find_patient,
			"SELECT p.archived_at IS NULL FROM txplan.patients AS p "
			"WHERE p.id" EQ "$1 AND p.clinic_id" EQ "$2",
			UUIDOID, UUIDOID);

SAVED_QUERY(find_any_patient,
			"SELECT 1 FROM txplan.patients AS p WHERE p.id" EQ "$1", UUIDOID);

SAVED_QUERY(insert_clinic,
			"INSERT INTO txplan.clinics (name, time_zone, external_id) "
			"VALUES ($1, $2, $3) RETURNING id",
			TEXTOID, TEXTOID, TEXTOID);

SAVED_QUERY(insert_professional,
			"INSERT INTO txplan.professionals (clinic_id, name, color, external_id) "
			"VALUES ($1, $2, $3, $4) RETURNING id",
			UUIDOID, TEXTOID, TEXTOID, TEXTOID);

SAVED_QUERY(insert_patient,
			"INSERT INTO txplan.patients (clinic_id, first_name, last_name, birth_date, "
			"phone, email, external_id) "
			"VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
			UUIDOID, TEXTOID, TEXTOID, DATEOID, TEXTOID, TEXTOID, TEXTOID);

PG_FUNCTION_INFO_V1(txplan_registry_check);
PG_FUNCTION_INFO_V1(txplan_create_clinic);
PG_FUNCTION_INFO_V1(txplan_create_professional);
PG_FUNCTION_INFO_V1(txplan_create_patient);

/*
 * CheckClinic raises P0002 unless the clinic exists.
 */
void
CheckClinic(const pg_uuid_t *id)
{
	Datum argument = UUIDPGetDatum(id);
	Datum one;
	bool isnull;

	if (!QueryRow(&find_clinic, AS_OWNER, &argument, NULL, &one, &isnull))
		RaiseMissing("clinic", id);
}

/*
 * CheckProfessional raises unless a professional of the clinic can be given
 * work: P0002 when there is none, TX010 for one of another clinic, TX002 for one
 * who is not active.
 */
void
CheckProfessional(const pg_uuid_t *id, const pg_uuid_t *clinic_id)
{
	Datum arguments[2];
	Datum values[2];
	bool nulls[2];

	arguments[0] = UUIDPGetDatum(id);
	arguments[1] = UUIDPGetDatum(clinic_id);
	if (!QueryRow(&find_professional, AS_OWNER, arguments, NULL, values, nulls))
	{
		if (QueryRow(&find_any_professional, AS_OWNER, arguments, NULL, values,
					 nulls))
			RaiseWrongClinic("professional", id);
		RaiseMissing("professional", id);
	}
	if (!DatumGetBool(values[0]))
		ereport(ERROR,
				(errcode(ERRCODE_TX_TRANSITION_BLOCKED),
				 errmsg("professional \"%s\" is not active", UuidText(id)),
				 errdetail("%s no longer takes plans or items.",
						   TextDatumGetCString(values[1])),
				 errhint("Choose an active professional of the clinic.")));
}

/*
 * CheckPatient raises unless a patient of the clinic can get a plan or an
 * appointment, with the errors of CheckProfessional.
 */
void
CheckPatient(const pg_uuid_t *id, const pg_uuid_t *clinic_id)
{
	Datum arguments[2];
	Datum values[2];
	bool nulls[2];

	arguments[0] = UUIDPGetDatum(id);
	arguments[1] = UUIDPGetDatum(clinic_id);
	if (!QueryRow(&find_patient, AS_OWNER, arguments, NULL, values, nulls))
	{
		if (QueryRow(&find_any_patient, AS_OWNER, arguments, NULL, values,
					 nulls))
			RaiseWrongClinic("patient", id);
		RaiseMissing("patient", id);
	}
	if (!DatumGetBool(values[0]))
		ereport(ERROR,
				(errcode(ERRCODE_TX_TRANSITION_BLOCKED),
				 errmsg("patient \"%s\" is archived", UuidText(id)),
				 errdetail("An archived patient gets no new plan or appointment."),
				 errhint("Clear archived_at of the patient first.")));
}

/*
 * CheckUnchanged raises TX007 when an UPDATE changes a column that says what the
 * row is.
 */
static void
CheckUnchanged(TriggerData *trigger, const char *column)
{
	TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);
	int attribute = SPI_fnumber(descriptor, column);
	Form_pg_attribute form;
	Datum before;
	Datum after;
	bool before_null;
	bool after_null;

	if (attribute <= 0)
		return;
	form = TupleDescAttr(descriptor, attribute - 1);
	before = heap_getattr(trigger->tg_trigtuple, attribute, descriptor,
						  &before_null);
	after =
		heap_getattr(trigger->tg_newtuple, attribute, descriptor, &after_null);
	if (before_null != after_null ||
		(!before_null &&
		 !datum_image_eq(before, after, form->attbyval, form->attlen)))
		RaiseNeverChanges(RelationGetRelationName(trigger->tg_relation),
						  column);
}

/*
 * CheckTimeZone raises 22023 for a time zone that a clinic cannot keep its
 * calendar by.  One that it has already stays, so that the rest of its row can be
 * changed.
 */
static void
CheckTimeZone(TriggerData *trigger, HeapTuple tuple)
{
	TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);
	int attribute = SPI_fnumber(descriptor, "time_zone");
	char *name;
	const char *fault;

	if (attribute <= 0)
		return;
	name = SPI_getvalue(tuple, descriptor, attribute);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) && name != NULL)
	{
		const char *before =
			SPI_getvalue(trigger->tg_trigtuple, descriptor, attribute);

		if (before != NULL && strcmp(before, name) == 0)
			return;
	}
	fault = name == NULL ? NULL : ZoneFault(name);
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%.60s\" %s", name, fault),
				 errhint("Name an area and a city, as Europe/Madrid; view "
						 "pg_timezone_names lists them.")));
}

/*
 * SetTime sets a column of a tuple to a time.
 */
static HeapTuple
SetTime(TriggerData *trigger, HeapTuple tuple, const char *column,
		TimestampTz time)
{
	TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);
	int attribute = SPI_fnumber(descriptor, column);
	Datum value = TimestampTzGetDatum(time);
	bool isnull = false;

	if (attribute <= 0)
		return tuple;
	return heap_modify_tuple_by_cols(tuple, descriptor, 1, &attribute, &value,
									 &isnull);
}

/*
 * SetSearchText sets what a patient is found by; other tables have no such
 * column.
 */
static HeapTuple
SetSearchText(TriggerData *trigger, HeapTuple tuple)
{
	TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);
	int attribute = SPI_fnumber(descriptor, "search_text");
	static const char *const names[] = { "first_name", "last_name", "phone" };
	char *parts[3];
	Datum value;
	bool isnull = false;
	int i;

	if (attribute <= 0)
		return tuple;
	for (i = 0; i < (int) lengthof(names); i++)
		parts[i] =
			SPI_getvalue(tuple, descriptor, SPI_fnumber(descriptor, names[i]));
	value = CStringGetTextDatum(FoldPatient(parts[0], parts[1], parts[2]));
	return heap_modify_tuple_by_cols(tuple, descriptor, 1, &attribute, &value,
									 &isnull);
}

/*
 * CheckRegistryRow checks a row of the registry or the catalog, which a trigger
 * has at hand, and returns it as it is to be written.
 */
HeapTuple
CheckRegistryRow(TriggerData *trigger)
{
	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		CheckTimeZone(trigger, trigger->tg_trigtuple);
		return SetSearchText(trigger, trigger->tg_trigtuple);
	}
	CheckUnchanged(trigger, "id");
	CheckUnchanged(trigger, "clinic_id");
	CheckUnchanged(trigger, "created_at");
	CheckTimeZone(trigger, trigger->tg_newtuple);
	return SetTime(trigger, SetSearchText(trigger, trigger->tg_newtuple),
				   "updated_at", GetCurrentTimestamp());
}

/*
 * txplan_registry_check is the trigger on the registry's tables.
 */
Datum
txplan_registry_check(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = OurTrigger(fcinfo, "registry_check");

	return PointerGetDatum(CheckRegistryRow(trigger));
}

/*
 * InsertArguments runs an INSERT with the arguments of the function and returns
 * the id of the new row.
 */
static Datum
InsertArguments(FunctionCallInfo fcinfo, SavedQuery *query)
{
	Datum values[QUERY_ARGS_MAX];
	char nulls[QUERY_ARGS_MAX + 1];
	Datum id;
	bool isnull;
	int i;

	for (i = 0; i < query->nargs; i++)
	{
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
		values[i] = PG_ARGISNULL(i) ? (Datum) 0 : PG_GETARG_DATUM(i);
	}
	nulls[i] = '\0';
	if (!QueryRow(query, AS_CALLER, values, nulls, &id, &isnull))
		PG_RETURN_NULL();
	return id;
}

/*
 * txplan_create_clinic makes a clinic.
 */
Datum
txplan_create_clinic(PG_FUNCTION_ARGS)
{
	RequireRecord();
	RequireArgument(fcinfo, 0, "name");
	RequireArgument(fcinfo, 1, "time_zone");
	CheckTextArgument(fcinfo, 0, "name", NAME_MAX_CHARS, false);
	CheckTextArgument(fcinfo, 1, "time_zone", NAME_MAX_CHARS, false);
	CheckTextArgument(fcinfo, 2, "external_id", NAME_MAX_CHARS, false);
	return InsertArguments(fcinfo, &insert_clinic);
}

/*
 * CheckColor refuses a color that is not written #rrggbb.
 */
static void
CheckColor(const char *color)
{
	if (color[0] != '#' || strlen(color) != 7 ||
		strspn(color + 1, "0123456789abcdefABCDEF") != 6)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%.20s\" is no color", color),
						errhint("Write it as #rrggbb, for example #1f77b4.")));
}

/*
 * txplan_create_professional makes a professional.
 */
Datum
txplan_create_professional(PG_FUNCTION_ARGS)
{
	RequireRecord();
	RequireArgument(fcinfo, 0, "clinic_id");
	RequireArgument(fcinfo, 1, "name");
	CheckTextArgument(fcinfo, 1, "name", NAME_MAX_CHARS, false);
	if (!PG_ARGISNULL(2))
		CheckColor(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	CheckTextArgument(fcinfo, 3, "external_id", NAME_MAX_CHARS, false);
	CheckClinic(PG_GETARG_UUID_P(0));
	return InsertArguments(fcinfo, &insert_professional);
}

/*
 * txplan_create_patient makes a patient.
 */
Datum
txplan_create_patient(PG_FUNCTION_ARGS)
{
	RequireRecord();
	RequireArgument(fcinfo, 0, "clinic_id");
	RequireArgument(fcinfo, 1, "first_name");
	RequireArgument(fcinfo, 2, "last_name");
	CheckTextArgument(fcinfo, 1, "first_name", NAME_MAX_CHARS, false);
	CheckTextArgument(fcinfo, 2, "last_name", NAME_MAX_CHARS, false);
	CheckTextArgument(fcinfo, 4, "phone", 60, false);
	CheckTextArgument(fcinfo, 5, "email", 320, false);
	CheckTextArgument(fcinfo, 6, "external_id", NAME_MAX_CHARS, false);
	if (!PG_ARGISNULL(3) && DATE_NOT_FINITE(PG_GETARG_DATEADT(3)))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("argument \"birth_date\" must be a finite date"),
						errhint("Give NULL when it is not known.")));
	CheckClinic(PG_GETARG_UUID_P(0));
	return InsertArguments(fcinfo, &insert_patient);
}
