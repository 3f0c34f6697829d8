#!/usr/bin/env python3
"""listen.py N - so many sessions listen on channel txplan until they are stopped."""

import select
import sys

import psycopg2

sessions = []
for _ in range(int(sys.argv[1])):
    session = psycopg2.connect('')
    session.autocommit = True
    session.cursor().execute('LISTEN txplan')
    sessions.append(session)
print('listening', flush=True)
while True:
    for session in select.select(sessions, [], [])[0]:
        session.poll()
        session.notifies.clear()
