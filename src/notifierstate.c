/*
 * notifierstate.c
 *		What view txplan.notifier shows.
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/xid8.h"

#include "notifierslot.h"

PG_FUNCTION_INFO_V1(txplan_notifier_state);

/*
 * SessionMode is how events of this session are told as things are.
 */
static const char *
SessionMode(const NotifierView *view)
{
	const char *mode = GetConfigOption("txplan.notify", false, false);

	/* What failed to start is not relied upon before it works. */
	if (strcmp(mode, "worker") == 0 && view->failed_starts > 0)
		return "commit";
	return mode;
}

/*
 * txplan_notifier_state returns the one row of view txplan.notifier, as far as
 * shared memory knows it.
 */
Datum
txplan_notifier_state(PG_FUNCTION_ARGS)
{
	NotifierView view;
	TupleDesc descriptor;
	Datum values[10];
	bool nulls[10] = { false };

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "the result of \"%s\" is no row", "txplan_notifier_state");
	CopyNotifier(&view);
	values[0] = Int32GetDatum(view.pid);
	nulls[0] = view.pid == 0;
	values[1] = TimestampTzGetDatum(view.since);
	nulls[1] = view.pid == 0;
	values[2] = CStringGetTextDatum(SessionMode(&view));
	values[3] = Int64GetDatum(view.events);
	values[4] = Int64GetDatum(view.notifications);
	values[5] = Int64GetDatum(view.rounds);
	values[6] = Int64GetDatum(view.last_event);
	nulls[6] = view.last_event == 0;
	values[7] = Int64GetDatum(view.errors);
	values[8] = Int64GetDatum(view.fallbacks);
	values[9] =
		FullTransactionIdGetDatum(FullTransactionIdFromU64(view.told_before));
	nulls[9] = view.pid == 0 || view.told_before == 0;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor),
													  values, nulls)));
}
