// The sections with tables: which of the proxy's tables each shows, and how.

import { make, pairs } from './element.js';
import { ask } from './ask.js';
import { Table } from './table.js';
import { Clusters } from './clusters.js';
import { histogram, spark } from './chart.js';
import { Kept, Rate, Recent } from './history.js';
import { bytes, count, duration, moment, percentile, rate, short, span } from './figures.js';

/** Times of pools are those of the last minute. */
const POOL_TIMES_MS = 60_000;
/** When a certificate is worth a warning, in days. */
const DAYS_FEW = 14;

const text = (key, title, more = {}) => ({ key, title, ...more });
const figure = (key, title, write = count, more = {}) => ({ key, title, write, is_figure: true, ...more });
const encryption = (it) => (it ? it.split('/')[0] : 'none');
const zero = (it) => (it === 0 ? 'quiet' : null);

/** Seconds since a moment of the proxy's clock. */
const since = (key) => (row) => {
  const at = moment(row[key]);
  return at === null ? null : Math.max(0, row.now_s - at);
};
const age = (it) => (it === null ? '–' : span(it));

/** What this page adds to rows. */
const OURS = ['now_s', 'now_ms'];

/** Everything that is known of a row. */
function all(row) {
  const shown = Object.entries(row).filter(([key, value]) => !OURS.includes(key) && value !== undefined);
  return pairs(shown.map(([key, value]) => [key, value === null || value === '' ? '–' : String(value)]));
}

function place(row) {
  return row.addr === 'unix' ? 'unix' : `${row.addr}:${row.port}`;
}

/** A cell with a small line of what happens in a second. */
function sparkling(kept, key, label) {
  const lines = new WeakMap();
  return (row, cell) => {
    let line = lines.get(cell);
    if (!line) {
      line = spark(label, rate);
      lines.set(cell, line);
      cell.append(line.element);
    }
    const series = kept.of(key(row));
    line.show([series], row.now_ms ?? Date.now());
  };
}

/** Three histograms. */
function spreads(times) {
  return make(
    'div',
    { class: 'spreads' },
    histogram('In all', times.total),
    histogram('Wait for a server connection', times.wait),
    histogram('On the server', times.server),
  );
}

class Flight {
  tables = ['activity'];
  filtered = { activity: () => this.table };
  table = new Table({
    title: 'In flight',
    none: 'No client does or keeps anything now.',
    key: (row) => row.id,
    sort: ['age_us', 'down'],
    more: all,
    columns: [
      figure('age_us', 'For', duration),
      text('state', 'State'),
      text('wait_reason', 'Waits for', { write: (it) => it || '–' }),
      text('query', 'Statement', { kind: 'code', write: (it) => it ?? '–' }),
      text('who', 'Who', { kind: 'name', value: (row) => `${row.user}@${row.database}` }),
      text('application_name', 'Application', { kind: 'name' }),
      figure('rows', 'Rows', count, { tone: (row) => zero(row.rows) }),
      figure('bytes', 'Bytes', bytes, { tone: (row) => zero(row.bytes) }),
      text('client', 'Client', { value: place }),
    ],
  });
  element = make('div', {}, this.table.element);

  show({ activity }) {
    this.table.update(activity);
  }
}

class Sessions {
  tables = ['clients', 'servers'];
  filtered = { clients: () => this.clients, servers: () => this.servers };
  clients = new Table({
    title: 'Clients',
    none: 'No client is connected.',
    key: (row) => row.id,
    sort: ['age', 'up'],
    more: all,
    columns: [
      text('user', 'User'),
      text('database', 'Database'),
      text('state', 'State', {
        tone: (row) => (row.state === 'waiting' ? 'bad' : row.state === 'idle' ? 'quiet' : 'good'),
      }),
      text('application_name', 'Application', { kind: 'name' }),
      text('client', 'Address', { value: place }),
      text('tls', 'TLS', { write: encryption, tone: (row) => (row.tls ? null : 'bad') }),
      figure('age', 'Connected', age, { value: since('connect_time') }),
      figure('silent', 'Last request', age, { value: since('request_time') }),
      figure('wait', 'Waits', duration, {
        value: (row) => row.wait * 1e6 + row.wait_us,
        tone: (row) => (row.wait + row.wait_us > 0 ? 'bad' : 'quiet'),
      }),
      figure('prepared_statements', 'Prepared'),
    ],
  });
  servers = new Table({
    title: 'Server connections',
    none: 'There is no connection to a server.',
    key: (row) => row.id,
    sort: ['age', 'up'],
    more: all,
    columns: [
      text('user', 'User'),
      text('database', 'Database'),
      text('state', 'State', { tone: (row) => (row.state === 'active' ? 'good' : 'quiet') }),
      text('server', 'Address', { value: place }),
      figure('remote_pid', 'Process', String),
      text('tls', 'TLS', { write: encryption, tone: (row) => (row.tls ? null : 'bad') }),
      figure('age', 'Connected', age, { value: since('connect_time') }),
      figure('prepared_statements', 'Prepared'),
    ],
  });
  element = make('div', {}, this.clients.element, this.servers.element);

  show({ clients, servers }) {
    this.clients.update(clients);
    this.servers.update(servers);
  }
}

class Pools {
  tables = ['pools'];
  filtered = { pools: () => this.table };
  others = ['/times'];
  #times = new Kept(() => new Recent(POOL_TIMES_MS));
  #waits = new Kept(() => new Recent(POOL_TIMES_MS));
  #ever = new Map();
  key = (row) => `${row.database}\0${row.user}`;
  #recent = (kept, percent) => (row) => percentile(kept.of(this.key(row)).buckets, percent);
  table = new Table({
    title: 'Pools',
    none: 'There is no pool yet: nobody has logged in.',
    key: this.key,
    sort: ['cl_active', 'down'],
    more: (row) => {
      const times = this.#ever.get(this.key(row));
      return make('div', {}, make('p', { class: 'told' }, 'Since the start:'), times ? spreads(times) : '', all(row));
    },
    columns: [
      text('database', 'Database'),
      text('user', 'User'),
      text('pool_mode', 'Mode'),
      figure('cl_active', 'Clients'),
      figure('cl_waiting', 'Waiting', count, { tone: (row) => (row.cl_waiting > 0 ? 'bad' : 'quiet') }),
      figure('maxwait', 'Longest wait', duration, {
        value: (row) => row.maxwait * 1e6 + row.maxwait_us,
        tone: (row) => (row.maxwait > 0 ? 'bad' : 'quiet'),
      }),
      figure('sv_active', 'Servers in use'),
      figure('sv_idle', 'At rest', count, { value: (row) => row.sv_idle + row.sv_used }),
      figure('sv_login', 'Logging in', count, { tone: (row) => zero(row.sv_login) }),
      figure('p50', 'p50', duration, {
        value: this.#recent(this.#times, 50),
        about: 'Transactions of the last minute, with the wait before them',
      }),
      figure('p95', 'p95', duration, {
        value: this.#recent(this.#times, 95),
        about: 'Transactions of the last minute, with the wait before them',
      }),
      figure('wait95', 'Wait p95', duration, {
        value: this.#recent(this.#waits, 95),
        about: 'Wait for a server connection in the last minute',
      }),
    ],
  });
  element = make('div', {}, this.table.element);

  show({ pools, '/times': times }, now) {
    for (const pool of times) {
      const key = this.key(pool);
      this.#times.of(key).note(now, pool.times.total);
      this.#waits.of(key).note(now, pool.times.wait);
      this.#ever.set(key, pool.times);
    }
    const keys = [...times, ...pools.rows].map(this.key);
    this.#times.keep(keys);
    this.#waits.keep(keys);
    this.table.update(pools);
  }
}

class Patterns {
  tables = ['patterns'];
  is_kept = true;
  #calls = new Kept(() => new Rate());
  key = (row) => [row.pattern, row.database, row.role, row.application_name].join('\0');
  table = new Table({
    title: 'Patterns',
    none: 'No statement was seen yet. Statements are looked at where inspection.statements is on.',
    key: this.key,
    sort: ['total_us', 'down'],
    more: (row) => this.#more(row),
    columns: [
      text('query', 'Statement', { kind: 'code' }),
      figure('now', 'Calls', rate, { value: (row) => this.#calls.of(this.key(row)).last }),
      {
        key: 'line',
        title: 'Last minutes',
        value: (row) => this.#calls.of(this.key(row)).most,
        show: sparkling(this.#calls, this.key, 'Calls'),
      },
      figure('calls', 'In all', short),
      figure('errors', 'Errors', short, {
        value: (row) => row.errors,
        tone: (row) => (row.errors > 0 ? 'bad' : 'quiet'),
      }),
      figure('total_us', 'Time', duration),
      figure('p50_us', 'p50', duration),
      figure('p95_us', 'p95', duration),
      figure('max_us', 'Longest', duration),
      figure('wait_p95_us', 'Wait p95', duration),
      text('who', 'Who', { kind: 'name', value: (row) => (row.role ? `${row.role}@${row.database}` : '') }),
      text('application_name', 'Application', { kind: 'name' }),
    ],
  });
  element = make('div', {}, this.table.element);

  async #more(row) {
    const about = make('div', {}, make('pre', { class: 'statement', tabindex: 0 }, row.query));
    const is_own = /^[0-9a-f]{16}$/.test(row.pattern);
    if (is_own)
      about.append(
        make('p', { class: 'told' }, 'Of this statement since the start, whoever sent it:'),
        spreads(await ask(`/times/${row.pattern}`)),
      );
    about.append(
      pairs([
        ['Number', row.pattern],
        ['Database', row.database],
        ['Role', row.role],
        ['Application', row.application_name || '–'],
        ['Calls in all', count(row.calls)],
        ['In the last full minute', `${count(row.calls_1min)}, p95 ${duration(row.p95_us_1min)}`],
        ['In the last quarter of an hour', `${count(row.calls_15min)}, p95 ${duration(row.p95_us_15min)}`],
        ['Errors by SQLSTATE', row.errors_by_state || 'none'],
        ['Rows', count(row.rows)],
        ['Bytes of requests', bytes(row.bytes_in)],
        ['Bytes of answers', bytes(row.bytes_out)],
        ['Time in all', duration(row.total_us)],
        ['Of that, waiting', duration(row.wait_us)],
        ['Of that, on the server', duration(row.server_us)],
        ['p99', duration(row.p99_us)],
        ['First seen', row.first_seen],
        ['Last seen', row.last_seen],
      ]),
    );
    return about;
  }

  note({ patterns }, now) {
    for (const row of patterns.rows) {
      row.now_ms = now;
      this.#calls.of(this.key(row)).note(now, row.calls);
    }
    this.#calls.keep(patterns.rows.map(this.key));
  }

  show(told, now) {
    this.note(told, now);
    this.table.update(told.patterns);
  }
}

/** Which encryption how many connections have. */
function kinds(title) {
  const list = make('ul', { class: 'kinds' });
  const element = make('section', { class: 'panel' }, make('div', { class: 'bar' }, make('h2', {}, title)), list);
  const show = (counted) => {
    const all_of = counted.reduce((sum, [, some]) => sum + some, 0);
    const rows = counted.map(([kind, some]) => {
      const bar = make('meter', {
        min: 0,
        max: all_of,
        value: some,
        'aria-label': `${kind || 'not encrypted'}: ${some} of ${all_of}`,
      });
      const [version, ...rest] = kind.split('/');
      const name = make('span', { class: 'kind', 'data-tone': kind ? null : 'bad' }, version || 'not encrypted');
      return make(
        'li',
        {},
        name,
        make('span', { class: 'suite' }, rest.join(' · ')),
        bar,
        make('span', { class: 'figure' }, count(some)),
      );
    });
    list.replaceChildren(...(rows.length ? rows : [make('li', { class: 'none' }, 'No connection now.')]));
  };
  return { element, show };
}

class Encryption {
  tables = ['certificates', 'counters'];
  clients = kinds('Clients, by encryption');
  servers = kinds('Servers, by encryption');
  certificates = new Table({
    title: 'Certificates',
    none: 'No certificate has a day on which it ends.',
    key: (row) => `${row.file}\0${row.kind}`,
    sort: ['days_left', 'up'],
    columns: [
      text('file', 'File', { kind: 'name' }),
      text('kind', 'What ends'),
      figure('days_left', 'Days left', (it, row) => (row.expired ? 'expired' : count(it)), {
        tone: (row) => (row.expired ? 'bad' : row.days_left < DAYS_FEW ? 'warn' : 'good'),
      }),
    ],
  });
  counters = new Table({
    title: 'What TLS has seen',
    none: 'Nothing was counted.',
    key: (row) => row.name,
    sort: ['name', 'up'],
    columns: [
      text('name', 'What', { value: (row) => row.name.replace('tls_', '').replaceAll('_', ' ') }),
      text('meaning', 'Which are', { kind: 'long' }),
      figure('value', 'Since the start', count, { tone: (row) => zero(row.value) }),
    ],
  });
  element = make(
    'div',
    {},
    this.certificates.element,
    make('div', { class: 'halves' }, this.clients.element, this.servers.element),
    this.counters.element,
  );

  show({ certificates, counters, overview }) {
    this.certificates.update(certificates);
    this.counters.update({ rows: counters.rows.filter((row) => row.name.startsWith('tls_')) });
    this.clients.show(overview.client_tls);
    this.servers.show(overview.server_tls);
  }
}

class Rules {
  tables = ['rules', 'throttles'];
  is_kept = true;
  #hits = new Kept(() => new Rate());
  rules = new Table({
    title: 'Rules',
    none: 'There is no rule about statements.',
    key: (row) => row.name,
    sort: ['position', 'up'],
    columns: [
      figure('position', 'Order'),
      text('name', 'Rule', { kind: 'name' }),
      text('action', 'Does'),
      text('mode', 'Mode', { tone: (row) => (row.mode === 'enforce' ? 'good' : 'quiet') }),
      figure('hits', 'Hits', count, { tone: (row) => zero(row.hits) }),
      figure('now', 'Now', rate, { value: (row) => this.#hits.of(row.name).last }),
      {
        key: 'line',
        title: 'Last minutes',
        value: (row) => this.#hits.of(row.name).most,
        show: sparkling(this.#hits, (row) => row.name, 'Hits'),
      },
      figure('exceeded', 'Results cut', count, { tone: (row) => zero(row.exceeded) }),
      text('message', 'Clients read', { kind: 'long', write: (it) => it || '–' }),
    ],
  });
  throttles = new Table({
    title: 'Throttles',
    none: 'No rule throttles.',
    key: (row) => row.name,
    sort: ['name', 'up'],
    columns: [
      text('name', 'Rule', { kind: 'name' }),
      text('mode', 'Mode'),
      text('per', 'Counts by'),
      text('rates', 'Rates'),
      text('excess', 'What is too much'),
      figure('keys', 'Told apart'),
      figure('waiting', 'Wait now', count, { tone: (row) => (row.waiting > 0 ? 'bad' : 'quiet') }),
      figure('waits', 'Had to wait', count, { tone: (row) => zero(row.waits) }),
      figure('refusals', 'Refused', count, { tone: (row) => zero(row.refusals) }),
      figure('excesses', 'Only observed', count, { tone: (row) => zero(row.excesses) }),
    ],
  });
  element = make('div', {}, this.rules.element, this.throttles.element);

  note({ rules }, now) {
    for (const row of rules.rows) {
      row.now_ms = now;
      this.#hits.of(row.name).note(now, row.hits);
    }
    this.#hits.keep(rules.rows.map((row) => row.name));
  }

  show(told, now) {
    this.note(told, now);
    this.rules.update(told.rules);
    this.throttles.update(told.throttles);
  }
}

/** Sections by the name in the address, in their order. */
export function sections() {
  return {
    'in-flight': ['In flight', new Flight()],
    sessions: ['Sessions', new Sessions()],
    pools: ['Pools', new Pools()],
    patterns: ['Patterns', new Patterns()],
    tls: ['TLS & certificates', new Encryption()],
    rules: ['Rules', new Rules()],
    clusters: ['Clusters', new Clusters()],
  };
}
