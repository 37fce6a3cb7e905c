// The first section: what the whole proxy does, and what somebody should look at.

import { make, say } from './element.js';
import { Lines, histogram } from './chart.js';
import { Series, Rate, Recent, SPAN_MS } from './history.js';
import { byteRate, count, duration, percentile, rate, short, span } from './figures.js';

/** Times are of the last ten seconds at each point. */
const TIMES_MS = 10_000;

/** Why statements have no figures. */
const UNSEEN = 'only seen where inspection.statements is on';

function days(left) {
  if (left === 0) return 'within a day';
  return left === 1 ? 'in 1 day' : `in ${count(left)} days`;
}

class Card {
  constructor({ title, lines, write, note = '' }) {
    this.write = write;
    this.figures = lines.map(() => make('span', { class: 'value' }, '–'));
    this.hover = make('p', { class: 'hover', 'aria-hidden': 'true' });
    this.note = make('p', { class: 'note' }, note);
    this.lines = new Lines({ lines, label: title, write, hover: this.hover });
    const shown = this.figures.map((figure, at) => {
      if (lines.length === 1) return figure;
      return make('span', { class: 'one' }, figure, make('span', { class: `which which-${at}` }, lines[at]));
    });
    this.element = make(
      'article',
      { class: 'card' },
      make('div', { class: 'head' }, make('h2', {}, title), this.hover),
      make('p', { class: 'values' }, ...shown),
      this.note,
      this.lines.element,
    );
  }

  show(all, now, note) {
    all.forEach((series, at) => say(this.figures[at], this.write(series.last)));
    if (note !== undefined) say(this.note, note);
    this.lines.show(all, now);
  }
}

const CARDS = {
  clients: { title: 'Clients', lines: ['clients'], write: count },
  waiting: { title: 'Waiting for a server', lines: ['waiting'], write: count },
  servers: { title: 'Server connections', lines: ['in use', 'at rest'], write: count },
  flight: { title: 'Statements in flight', lines: ['in flight'], write: count },
  statements: { title: 'Statements', lines: ['statements'], write: rate },
  transactions: { title: 'Transactions', lines: ['transactions'], write: rate },
  bytes: { title: 'Bytes', lines: ['from clients', 'to clients'], write: byteRate },
  times: {
    title: 'Time of a transaction',
    lines: ['p50', 'p95'],
    write: duration,
    note: 'the last 10 s, with the wait before it',
  },
  waits: { title: 'Wait for a server', lines: ['p50', 'p95'], write: duration, note: 'the last 10 s' },
  errors: { title: 'Statement errors', lines: ['errors'], write: rate },
  faults: { title: 'Sessions ended by a fault', lines: ['faults'], write: rate },
  logins: { title: 'Logins', lines: ['logins'], write: rate },
};

export class Overview {
  #series = {
    clients: [new Series()],
    waiting: [new Series()],
    servers: [new Series(), new Series()],
    flight: [new Series()],
    statements: [new Rate()],
    transactions: [new Rate()],
    bytes: [new Rate(), new Rate()],
    times: [new Series(), new Series()],
    waits: [new Series(), new Series()],
    errors: [new Rate()],
    faults: [new Rate()],
    logins: [new Rate()],
  };
  #times = { total: new Recent(TIMES_MS), wait: new Recent(TIMES_MS) };
  #spread = new Recent(SPAN_MS);

  constructor() {
    this.cards = Object.fromEntries(Object.entries(CARDS).map(([name, card]) => [name, new Card(card)]));
    this.attention = make('ul', { class: 'attention', 'aria-label': 'What to look at' });
    this.spread = make('div', { class: 'panel' });
    const cards = make('div', { class: 'cards' }, ...Object.values(this.cards).map((card) => card.element));
    this.element = make('div', {}, this.attention, cards, this.spread);
  }

  /** Takes what `/overview` says; shown or not, it goes into the history. */
  note(told, now) {
    const { clients, waiting, servers, flight, statements, transactions, bytes, times, waits, errors, faults, logins } =
      this.#series;
    clients[0].push(now, told.clients);
    waiting[0].push(now, told.waiting);
    servers[0].push(now, told.servers_lent);
    servers[1].push(now, told.servers_resting);
    if (told.inspected) flight[0].push(now, told.in_flight);
    statements[0].note(now, told.queries);
    transactions[0].note(now, told.transactions);
    bytes[0].note(now, told.received_bytes);
    bytes[1].note(now, told.sent_bytes);
    errors[0].note(now, told.statement_errors);
    faults[0].note(now, told.faults);
    logins[0].note(now, told.client_logins);
    this.#spread.note(now, told.times.total);
    for (const [kind, series] of [
      ['total', times],
      ['wait', waits],
    ]) {
      this.#times[kind].note(now, told.times[kind]);
      const { buckets } = this.#times[kind];
      series[0].push(now, percentile(buckets, 50));
      series[1].push(now, percentile(buckets, 95));
    }
    this.told = told;
    this.now = now;
  }

  show(certificates) {
    const { told, now } = this;
    if (!told) return;
    const notes = {
      clients: `of ${short(told.clients_max)} at most${told.logins ? ` · ${count(told.logins)} logging in` : ''}`,
      waiting: told.waiting ? `the longest for ${duration(told.longest_wait_us)}` : 'nobody waits',
      flight: told.inspected
        ? told.in_flight
          ? `the oldest for ${duration(told.oldest_in_flight_us)}`
          : 'none'
        : UNSEEN,
      errors: told.inspected ? `${count(told.statement_errors)} since the start` : UNSEEN,
      faults: `${count(told.faults)} since the start`,
      logins: `${count(told.client_logins)} since the start`,
      statements: `${short(told.queries)} since the start`,
      transactions: `${short(told.transactions)} since the start`,
    };
    for (const [name, card] of Object.entries(this.cards)) card.show(this.#series[name], now, notes[name]);
    const covers = span(this.#spread.covers_ms / 1000);
    this.spread.replaceChildren(histogram(`Transactions of the last ${covers}, by time`, this.#spread.buckets));
    this.#look(told, certificates);
  }

  #look(told, certificates) {
    const found = [];
    if (!told.ready) found.push(['bad', 'It drains: sessions end, and no new client is taken.']);
    if (told.longest_wait_us > 1e6)
      found.push([
        'bad',
        `${count(told.waiting)} wait for a server connection, the longest for ${duration(told.longest_wait_us)}.`,
      ]);
    if (told.clients >= told.clients_max) found.push(['bad', 'There are as many clients as max_client_conn lets in.']);
    for (const row of certificates ?? []) {
      if (row.expired) found.push(['bad', `${row.file} has expired.`]);
      else if (row.days_left < 14) found.push(['warn', `${row.file} expires ${days(row.days_left)}.`]);
    }
    const texts = found.map(([, text]) => text).join('\n');
    if (texts === this.looked) return;
    this.looked = texts;
    this.attention.replaceChildren(...found.map(([tone, text]) => make('li', { 'data-tone': tone }, text)));
    this.attention.hidden = found.length === 0;
  }
}
