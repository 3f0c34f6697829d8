#!/usr/bin/env python3
"""latency.py MODE SECONDS - from a commit to its listener.

Changes a plan's title fifty times a second, with txplan.notify = MODE, and waits
for the notification of each event on another connection.  Prints the mode, how
many were measured, and the milliseconds from the answer to the commit until the
notification was there: median, 99 %, worst.  One that came before the answer did
counts as zero.
"""

import json
import random
import select
import sys
import threading
import time

import psycopg2

mode, seconds = sys.argv[1], float(sys.argv[2])
heard = []
done = threading.Event()


def listen():
    session = psycopg2.connect('')
    session.autocommit = True
    session.cursor().execute('LISTEN txplan')
    ready.set()
    while not done.is_set():
        if not select.select([session], [], [], 0.1)[0]:
            continue
        session.poll()
        now = time.monotonic()
        for notification in session.notifies:
            said = json.loads(notification.payload)
            if said['type'] == 'batch':
                heard.append((now, int(said['from']), int(said['to'])))
            else:
                heard.append((now, int(said['id']), int(said['id'])))
        session.notifies.clear()


ready = threading.Event()
listener = threading.Thread(target=listen)
listener.start()
ready.wait()

writer = psycopg2.connect('')
writer.autocommit = True
cursor = writer.cursor()
cursor.execute("SELECT set_config('txplan.notify', %s, false)", (mode,))
cursor.execute('SELECT id, clinic_id FROM bench.plans ORDER BY random() LIMIT 1000')
plans = cursor.fetchall()
committed = []
end = time.monotonic() + seconds
while time.monotonic() < end:
    plan = random.choice(plans)
    cursor.execute('''UPDATE txplan.plans SET title = random()::text
        WHERE id = %s AND clinic_id = %s''', plan)
    now = time.monotonic()
    cursor.execute('''SELECT max(id) FROM txplan.events
        WHERE plan_id = %s AND clinic_id = %s''', plan)
    committed.append((now, cursor.fetchone()[0]))
    time.sleep(0.02)
time.sleep(2)
done.set()
listener.join()

waits = []
for at, event in committed:
    first = [when for when, low, high in heard if low <= event <= high]
    if not first:
        sys.exit('event %d was never told' % event)
    waits.append(max(0.0, min(first) - at) * 1000)
waits.sort()
print('%s\t%d\t%.3f\t%.3f\t%.3f' % (
    mode, len(waits), waits[len(waits) // 2], waits[int(len(waits) * 0.99)], waits[-1]))
