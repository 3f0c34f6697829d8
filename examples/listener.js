#!/usr/bin/env node
// listener.js - prints every event of txplan, once it is committed.
//
// usage: listener.js CONSUMER [URI]
//
// For pg (Debian: node-pg, npm: pg).  README.md tells what a listener does.
'use strict';

const { Client } = require('pg');

const POLL_SECONDS = 5;           // looks for events also when nobody told of any
const MAX_BACKOFF_SECONDS = 30;

let stopping = false;
let wake = () => {};              // ends the wait at hand

// The listener's own work.
//
// An event can come again, with the same id: after a crash between this and
// finish_events().  Work that must not be done twice keeps the id beside what it
// did, in one transaction of its own system, and looks there first.
async function handle(event) {
  console.log(event.event_id, event.type, event.plan_id);
}

// wait - until a signal, a notification, the end of the connection, or so many
// seconds.
function wait(seconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, stopping ? 0 : seconds * 1000);
    wake = () => { clearTimeout(timer); resolve(); };
  });
}

// drain - handles all events that the consumer has not finished, batch by batch.
async function drain(client, consumer) {
  while (!stopping) {
    const { rows } = await client.query(
      'SELECT * FROM txplan.next_events($1, 500)', [consumer]);
    if (rows.length === 0) return;
    for (const event of rows) {
      try {
        await handle(event);
      } catch (error) {
        // This event comes again later; those of other plans go on.
        await client.query('SELECT txplan.retry_event($1, $2, error => $3)',
          [consumer, event.event_id, String(error)]);
      }
    }
    await client.query('SELECT txplan.finish_events($1, $2)',
      [consumer, rows[0].batch_id]);
  }
}

// listen - handles events until the connection is lost, which is an error, or a
// signal comes.
async function listen(client, consumer) {
  let lost = null;
  let told = false;               // of events, while we were busy

  client.on('error', (error) => { lost = error; wake(); });
  client.on('notification', () => { told = true; wake(); });
  await client.connect();
  try {
    await client.query("SELECT txplan.create_consumer($1, start => 'beginning')",
      [consumer]);
  } catch (error) {
    if (error.code !== '42710') throw error;   // else we have been here before
  }
  await client.query('LISTEN txplan');  // before the first look, so none is missed
  while (!stopping) {
    told = false;
    await drain(client, consumer);
    if (!told && !lost) await wait(POLL_SECONDS);
    if (lost) throw lost;
  }
}

// isLost - whether an error ended the connection: it comes from the network, or
// the server said goodbye.
function isLost(error) {
  return error.severity === undefined || /^(08|57P|28|3D)/.test(error.code);
}

async function main() {
  const [consumer, connectionString] = process.argv.slice(2);
  if (consumer === undefined || process.argv.length > 4) {
    console.error('usage: listener.js CONSUMER [URI]');
    process.exit(2);
  }
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, () => { stopping = true; wake(); });
  }

  let backoff = 1;
  while (!stopping) {
    const client = new Client({ connectionString });
    client.once('connect', () => { backoff = 1; });
    try {
      await listen(client, consumer);
    } catch (error) {
      if (!isLost(error)) throw error;
      console.error(`connection lost: ${error.message}`);
      await wait(backoff);
      backoff = Math.min(2 * backoff, MAX_BACKOFF_SECONDS);
    } finally {
      // Not awaited: of a connection that is lost, some versions never end.
      client.end().catch(() => {});
    }
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
