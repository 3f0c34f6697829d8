/*
 * listener.c
 *		Prints every event of txplan, once it is committed.
 *
 * usage: listener CONSUMER [CONNINFO]
 *
 * For libpq:
 *		cc -o listener listener.c -I$(pg_config --includedir) \
 *			-L$(pg_config --libdir) -lpq
 * README.md tells what a listener does.
 */
#define _POSIX_C_SOURCE 200809L

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libpq-fe.h>

#define POLL_SECONDS 5 /* looks for events also when nobody told of any */
#define MAX_BACKOFF_SECONDS 30

static volatile sig_atomic_t stopping = 0;
static int wake[2]; /* a signal ends every wait by writing to it */

static void
stop(int signal_number)
{
	(void) signal_number;
	stopping = 1;
	if (write(wake[1], "", 1) < 0)
		return; /* full: it was written to before */
}

/*
 * handle does the listener's own work; false with a reason when it cannot.
 *
 * An event can come again, with the same id: after a crash between this and
 * finish_events().  Work that must not be done twice keeps the id beside what it
 * did, in one transaction of its own system, and looks there first.
 */
static bool
handle(const char *event_id, const char *type, const char *plan_id,
	   const char *payload, const char **reason)
{
	(void) payload;
	*reason = "standard output is closed";
	return printf("%s %s %s\n", event_id, type, plan_id) > 0 &&
		   fflush(stdout) == 0;
}

/*
 * wait_for waits for a signal, something to read from fd, or so many seconds.
 */
static void
wait_for(int seconds, int fd)
{
	struct pollfd fds[2] = { { wake[0], POLLIN, 0 }, { fd, POLLIN, 0 } };

	if (!stopping)
		(void) poll(fds, 2, seconds * 1000);
}

/*
 * ask runs a statement.  It returns NULL when the connection was lost, or when the
 * error has the SQLSTATE that is allowed; any other error ends the program.
 */
static PGresult *
ask(PGconn *connection, const char *statement, int n, const char *const *values,
	const char *allowed)
{
	PGresult *result =
		PQexecParams(connection, statement, n, NULL, values, NULL, NULL, 0);
	ExecStatusType status = PQresultStatus(result);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return result;
	if (PQstatus(connection) == CONNECTION_OK &&
		(allowed == NULL || sqlstate == NULL || strcmp(sqlstate, allowed) != 0))
	{
		fprintf(stderr, "%s", PQerrorMessage(connection));
		exit(1);
	}
	PQclear(result);
	return NULL;
}

/*
 * handle_batch handles the events of a batch and finishes it; false when the
 * connection was lost.
 */
static bool
handle_batch(PGconn *connection, const char *consumer, const PGresult *events)
{
	const char *batch[2] = { consumer, PQgetvalue(events, 0, 0) };
	PGresult *done;
	int i;

	for (i = 0; i < PQntuples(events); i++)
	{
		const char *retry[3] = { consumer, PQgetvalue(events, i, 1), NULL };

		if (handle(PQgetvalue(events, i, 1), PQgetvalue(events, i, 2),
				   PQgetvalue(events, i, 3), PQgetvalue(events, i, 4),
				   &retry[2]))
			continue;

		/* This event comes again later; those of other plans go on. */
		done = ask(connection, "SELECT txplan.retry_event($1, $2, error => $3)",
				   3, retry, NULL);
		if (done == NULL)
			return false;
		PQclear(done);
	}
	done =
		ask(connection, "SELECT txplan.finish_events($1, $2)", 2, batch, NULL);
	PQclear(done);
	return done != NULL;
}

/*
 * drain handles all events that the consumer has not finished, batch by batch;
 * false when the connection was lost.
 */
static bool
drain(PGconn *connection, const char *consumer)
{
	bool more = true;

	while (more && !stopping)
	{
		PGresult *events =
			ask(connection,
				"SELECT batch_id, event_id, type, plan_id, payload "
				"FROM txplan.next_events($1, 500)",
				1, &consumer, NULL);

		if (events == NULL)
			return false;
		more = PQntuples(events) > 0;
		if (more && !handle_batch(connection, consumer, events))
		{
			PQclear(events);
			return false;
		}
		PQclear(events);
	}
	return true;
}

/*
 * listen_to handles events until the connection is lost or a signal comes.
 */
static void
listen_to(PGconn *connection, const char *consumer)
{
	PGnotify *notification;

	/* 42710: we have been here before. */
	PQclear(ask(connection,
				"SELECT txplan.create_consumer($1, start => 'beginning')", 1,
				&consumer, "42710"));
	/* Before the first look, so none is missed. */
	PQclear(ask(connection, "LISTEN txplan", 0, NULL, NULL));
	while (PQstatus(connection) == CONNECTION_OK && !stopping)
	{
		/* Notifications are hints to look, no more. */
		while ((notification = PQnotifies(connection)) != NULL)
			PQfreemem(notification);
		if (!drain(connection, consumer))
			return;
		notification = PQnotifies(connection);
		if (notification != NULL) /* of more, meanwhile */
			PQfreemem(notification);
		else
		{
			wait_for(POLL_SECONDS, PQsocket(connection));
			(void) PQconsumeInput(connection);
		}
	}
}

int
main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = stop, .sa_flags = SA_RESTART };
	int backoff = 1;

	if (argc < 2 || argc > 3)
	{
		fprintf(stderr, "usage: %s CONSUMER [CONNINFO]\n", argv[0]);
		return 2;
	}
	if (pipe(wake) < 0)
	{
		perror("pipe");
		return 1;
	}
	(void) sigaction(SIGTERM, &action, NULL);
	(void) sigaction(SIGINT, &action, NULL);

	while (!stopping)
	{
		PGconn *connection = PQconnectdb(argc > 2 ? argv[2] : "");

		if (PQstatus(connection) == CONNECTION_OK)
		{
			backoff = 1;
			listen_to(connection, argv[1]);
		}
		if (PQstatus(connection) != CONNECTION_OK)
		{
			fprintf(stderr, "connection lost: %s", PQerrorMessage(connection));
			wait_for(backoff, -1);
			backoff = backoff * 2 > MAX_BACKOFF_SECONDS ? MAX_BACKOFF_SECONDS :
														  backoff * 2;
		}
		PQfinish(connection);
	}
	return 0;
}
