#!/usr/bin/env python3
"""listener.py - prints every event of txplan, once it is committed.

usage: listener.py CONSUMER [CONNINFO]

For psycopg2 (Debian: python3-psycopg2).  README.md tells what a listener does.
"""

import select
import signal
import socket
import sys

import psycopg2
from psycopg2.errors import DuplicateObject

POLL_SECONDS = 5            # looks for events also when nobody told of any
MAX_BACKOFF_SECONDS = 30

stopping = False
awake, wake = socket.socketpair()   # a signal ends every wait by writing to it


def handle(event_id, kind, plan_id, payload):
    """The listener's own work.

    An event can come again, with the same id: after a crash between this and
    finish_events().  Work that must not be done twice keeps the id beside what it
    did, in one transaction of its own system, and looks there first.
    """
    print(event_id, kind, plan_id, flush=True)


def stop(signum, frame):
    global stopping
    stopping = True


def wait(seconds, *more):
    """Until a signal, something to read from one of more, or so many seconds."""
    if not stopping:
        select.select([awake, *more], [], [], seconds)


def drain(cursor, consumer):
    """Handles all events that the consumer has not finished, batch by batch."""
    while not stopping:
        cursor.execute("SELECT batch_id, event_id, type, plan_id, payload"
                       " FROM txplan.next_events(%s, 500)", [consumer])
        events = cursor.fetchall()
        if not events:
            return
        for batch_id, *event in events:
            try:
                handle(*event)
            except Exception as error:
                # This event comes again later; those of other plans go on.
                cursor.execute("SELECT txplan.retry_event(%s, %s, error => %s)",
                               [consumer, event[0], str(error)])
        cursor.execute("SELECT txplan.finish_events(%s, %s)", [consumer, batch_id])


def listen(connection, consumer):
    """Handles events until the connection is lost or a signal comes."""
    connection.autocommit = True
    cursor = connection.cursor()
    try:
        cursor.execute("SELECT txplan.create_consumer(%s, start => 'beginning')",
                       [consumer])
    except DuplicateObject:
        pass                        # we have been here before
    cursor.execute("LISTEN txplan")     # before the first look, so none is missed
    while not stopping:
        connection.notifies.clear()     # they are hints to look, no more
        drain(cursor, consumer)
        if not connection.notifies:     # nobody told of more meanwhile
            wait(POLL_SECONDS, connection)
            connection.poll()


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: listener.py CONSUMER [CONNINFO]")
    consumer, conninfo = sys.argv[1], "".join(sys.argv[2:])

    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)

    backoff = 1
    while not stopping:
        connection = None
        try:
            connection = psycopg2.connect(conninfo)
            backoff = 1
            listen(connection, consumer)
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            if connection is not None and not connection.closed:
                raise
            print("connection lost: %s" % error, file=sys.stderr, flush=True)
            wait(backoff)
            backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)
        finally:
            if connection is not None:
                connection.close()


if __name__ == "__main__":
    main()
