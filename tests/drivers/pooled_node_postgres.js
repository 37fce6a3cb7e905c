// Many node-postgres clients with named statements that move between few server connections.
//
// Takes PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLROOTCERT and PORTCULLIS_SERVERS.

'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { Client, Pool } = require('pg');

const CLIENTS = 12;
const ROUNDS = 30;

const ssl = { ca: fs.readFileSync(process.env.PGSSLROOTCERT), rejectUnauthorized: true };
if (process.env.PGHOST !== '127.0.0.1') ssl.servername = process.env.PGHOST;
delete process.env.PGSSLMODE;

const seen = new Map();

async function work(number) {
  const me = `client${number}`;
  const client = new Client({ ssl, application_name: me });
  await client.connect();
  const pids = new Set();
  seen.set(me, pids);
  for (let round = 0; round < ROUNDS; round += 1) {
    // The same name means another text for each client.
    const own = { name: 'mine', text: `SELECT '${me}' AS me, $1::int AS n, pg_backend_pid() AS pid`, values: [round] };
    const [row] = (await client.query(own)).rows;
    assert.deepEqual([row.me, row.n], [me, round]);
    pids.add(row.pid);
    const shared = { name: 'shared', text: 'SELECT $1::text AS me', values: [me] };
    assert.equal((await client.query(shared)).rows[0].me, me);
    if (round % 5 === 0) {
      await client.query('BEGIN');
      assert.equal((await client.query(own)).rows[0].me, me);
      await assert.rejects(client.query({ name: 'fails', text: 'SELECT 1 / $1::int', values: [0] }), { code: '22012' });
      await assert.rejects(client.query(shared), { code: '25P02' });
      await client.query('ROLLBACK');
    }
    // Without waiting: the driver queues, the proxy serves each on what is free.
    const several = await Promise.all([client.query(own), client.query('SELECT 7 AS n'), client.query(shared)]);
    assert.deepEqual([several[0].rows[0].me, several[1].rows[0].n, several[2].rows[0].me], [me, 7, me]);
  }
  assert.equal((await client.query('SHOW application_name')).rows[0].application_name, me);
  await client.end();
}

async function pooled() {
  const pool = new Pool({ ssl, max: 8 });
  const ask = async (n) => {
    const query = { name: `of${n % 9}`, text: `SELECT ${n % 9} + $1::int AS n`, values: [n] };
    assert.equal((await pool.query(query)).rows[0].n, (n % 9) + n);
  };
  await Promise.all(Array.from({ length: 300 }, (_, n) => ask(n)));
  await pool.end();
}

async function main() {
  await Promise.all(Array.from({ length: CLIENTS }, (_, number) => work(number)));
  const servers = new Set([...seen.values()].flatMap((pids) => [...pids]));
  assert.ok(servers.size <= Number(process.env.PORTCULLIS_SERVERS), [...servers].join());
  assert.ok([...seen.values()].some((pids) => pids.size > 1), 'nothing moved');
  await pooled();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
