// Puts node-postgres through its paces.
//
// Takes PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE and PGSSLROOTCERT; always
// verifies the server's certificate and name. Prints each step and exits non-zero
// with the reason when one fails.

'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const { Client, Query } = require('pg');

const BIG_BYTES = 16 * 1024 * 1024;

async function connect(extra = {}) {
  const ssl = { ca: fs.readFileSync(process.env.PGSSLROOTCERT), rejectUnauthorized: true };
  // pg itself takes TLS settings only from its connection string or this object.
  if (process.env.PGHOST !== '127.0.0.1') ssl.servername = process.env.PGHOST;
  delete process.env.PGSSLMODE;
  const client = new Client({ ssl, application_name: 'driver', ...extra });
  await client.connect();
  return client;
}

const row = async (client, ...query) => (await client.query(...query)).rows[0];

const steps = {
  async tls(client) {
    assert.equal(client.connection.stream.authorized, true);
    assert.deepEqual(await row(client, 'SELECT current_user AS who'), { who: process.env.PGUSER });
  },

  async simple(client) {
    const results = await client.query("SELECT 1 AS one; SELECT 'two' AS two, NULL AS nothing");
    assert.deepEqual(results.map((result) => result.rows[0]), [{ one: 1 }, { two: 'two', nothing: null }]);
  },

  async extended(client) {
    const query = 'SELECT $1::int + 1 AS sum, $2::text AS text, $3::bytea AS bytes';
    const seen = await row(client, query, [41, 'é', Buffer.from([0, 255])]);
    assert.deepEqual(seen, { sum: 42, text: 'é', bytes: Buffer.from([0, 255]) });
  },

  async prepared(client) {
    for (let number = 0; number < 20; number++) {
      const query = { name: 'double', text: 'SELECT $1::int * 2 AS twice', values: [number] };
      assert.deepEqual(await row(client, query), { twice: number * 2 });
    }
  },

  async queued(client) {
    const numbers = Array.from({ length: 200 }, (_, number) => number);
    const rows = await Promise.all(numbers.map((n) => row(client, 'SELECT $1::int AS n', [n])));
    assert.deepEqual(rows.map(({ n }) => n), numbers);
  },

  async portals(client) {
    const query = { text: 'SELECT * FROM generate_series(1, 95) AS n', rows: 10 };
    const { rows } = await client.query(query);
    assert.equal(rows.reduce((sum, { n }) => sum + n, 0), 4560);
  },

  // node-postgres has no public COPY; its messages are there, and this is how pg-copy-streams uses them.
  async copy(client) {
    await client.query('CREATE TEMP TABLE copied (id int, name text)');
    const into = new Query('COPY copied FROM STDIN');
    into.handleCopyInResponse = (connection) => {
      for (let number = 0; number < 1000; number++) {
        connection.sendCopyFromChunk(Buffer.from(`${number}\tname ${number}\n`));
      }
      connection.endCopyFrom();
    };
    await finished(client, into);
    const out = new Query('COPY copied TO STDOUT');
    let bytes = 0;
    out.handleCopyData = (message) => { bytes += message.chunk.length; };
    await finished(client, out);
    assert.equal(bytes, 12780);
    const seen = await row(client, 'SELECT count(*)::int AS rows, sum(id)::int AS sum FROM copied');
    assert.deepEqual(seen, { rows: 1000, sum: 499500 });
  },

  async copyFailure(client) {
    const into = new Query('COPY copied FROM STDIN');
    into.handleCopyInResponse = (connection) => connection.sendCopyFail('the client gives up');
    await assert.rejects(finished(client, into), { code: '57014' });
    assert.deepEqual(await row(client, 'SELECT 1 AS one'), { one: 1 });
  },

  // pg's own cancel sends its request in clear text, so the real process id is used instead.
  async cancelByProcessId(client) {
    const other = await connect();
    const sleeping = assert.rejects(client.query('SELECT pg_sleep(60)'), { code: '57014' });
    let cancelled = false;
    while (!cancelled) {
      const query = "SELECT pg_cancel_backend(pid) AS done FROM pg_stat_activity"
        + " WHERE pid = $1 AND wait_event = 'PgSleep'";
      cancelled = (await other.query(query, [client.processID])).rowCount === 1;
    }
    await sleeping;
    await other.end();
  },

  async notifications(client) {
    const channel = `channel_${client.processID}`;
    await client.query(`LISTEN ${channel}`);
    const heard = once(client, 'notification');
    const other = await connect();
    await other.query('SELECT pg_notify($1, $2)', [channel, 'hello']);
    const [{ payload, processId }] = await heard;
    assert.deepEqual([payload, processId], ['hello', other.processID]);
    await other.end();
  },

  async largeObjects(client) {
    const payload = Buffer.alloc(16384, 'lo');
    const { oid } = await row(client, 'SELECT lo_from_bytea(0, $1) AS oid', [payload]);
    assert.deepEqual(await row(client, 'SELECT lo_get($1) AS bytes', [oid]), { bytes: payload });
    await client.query('SELECT lo_unlink($1)', [oid]);
  },

  async errors(client) {
    const table = [['SELEC', '42601'], ['SELECT * FROM missing_table', '42P01'], ['SELECT 1/0', '22012']];
    for (const [query, code] of table) {
      await assert.rejects(client.query(query), { code });
      await assert.rejects(client.query({ text: query, values: [] }), { code });
      assert.deepEqual(await row(client, 'SELECT $1::int AS one', [1]), { one: 1 });
    }
  },

  async transactions(client) {
    await client.query('BEGIN');
    await assert.rejects(client.query('SELECT 1/0'), { code: '22012' });
    await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
    await client.query('ROLLBACK');
    assert.deepEqual(await row(client, 'SELECT 1 AS one'), { one: 1 });
  },

  async notices(client) {
    const seen = [];
    const hear = ({ message }) => seen.push(message);
    client.on('notice', hear);
    await client.query("DO $$ BEGIN FOR i IN 1..100 LOOP RAISE NOTICE 'n%', i; END LOOP; END $$");
    client.off('notice', hear);
    assert.deepEqual(seen, Array.from({ length: 100 }, (_, n) => `n${n + 1}`));
  },

  async bigRows(client) {
    const text = 'x'.repeat(BIG_BYTES);
    const seen = await row(client, 'SELECT $1::text AS text, length($1::text) AS len', [text]);
    assert.deepEqual([seen.text.length, seen.len], [BIG_BYTES, BIG_BYTES]);
    const many = await client.query("SELECT repeat('y', 1000) FROM generate_series(1, 20000)");
    assert.equal(many.rowCount, 20000);
  },
};

function finished(client, query) {
  return new Promise((resolve, reject) => {
    query.on('end', resolve);
    query.on('error', reject);
    client.query(query);
  });
}

async function main() {
  const client = await connect();
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step(client);
    } catch (error) {
      console.error(error);
      console.error(`node-postgres failed at: ${name}`);
      process.exit(1);
    }
    console.log('ok', name);
  }
  await client.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
