// A table whose rows change while somebody reads it: sorted, filtered, and with more about a row on request.

import { make, say, fresh } from './element.js';
import { count } from './figures.js';

/** Rows in the document at a time. */
const SHOWN_MAX = 200;

/**
 * A column: `key` and `title`; `value` of a row, by which it is sorted; `write` makes its text. `is_figure` for numbers.
 * `show` puts something else than text into a cell; `tone` says how a value is meant (`bad`, `good`, `quiet`).
 */
function whole(column) {
  const value = column.value ?? ((row) => row[column.key]);
  return { is_figure: false, write: (it) => (it === null || it === undefined ? '–' : String(it)), ...column, value };
}

function compare(one, two) {
  const [a, b] = [one ?? null, two ?? null];
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), 'en', { numeric: true });
}

export class Table {
  #rows = [];
  #all = 0;
  #found = 0;
  #open = null;
  #shown = new Map();
  #filter = '';
  #moved = null;

  /** `key` tells rows apart; `more` makes an element about a row, or a promise of one. */
  constructor({ title, columns, key, sort, more = null, none }) {
    this.columns = columns.map(whole);
    this.key = key;
    this.none = none;
    this.more = more;
    this.sorted = { key: sort[0], down: sort[1] === 'down' };
    this.title = title;
    this.#build();
    this.#arrange();
  }

  #build() {
    const heading = fresh('table');
    const search = make('input', {
      type: 'search',
      placeholder: 'Filter',
      'aria-label': `Filter ${this.title}`,
      autocomplete: 'off',
      spellcheck: 'false',
      on: { input: (event) => this.#search(event.target.value) },
    });
    this.told = make('p', { class: 'told', role: 'status' });
    this.heads = this.columns.map((column) => {
      const button = make('button', { type: 'button', on: { click: () => this.#sort(column) } }, column.title);
      if (column.about) button.setAttribute('title', column.about);
      return make('th', { scope: 'col', class: column.is_figure ? 'figure' : null }, button);
    });
    if (this.more) this.heads.unshift(make('th', { class: 'opener' }, make('span', { class: 'unseen' }, 'More')));
    this.body = make('tbody');
    const table = make(
      'table',
      { 'aria-labelledby': heading },
      make('thead', {}, make('tr', {}, ...this.heads)),
      this.body,
    );
    this.empty = make('p', { class: 'none' }, this.none);
    this.scroll = make('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-labelledby': heading }, table);
    this.element = make(
      'section',
      { class: 'panel' },
      make('div', { class: 'bar' }, make('h2', { id: heading }, this.title), this.told, search),
      this.scroll,
      this.empty,
    );
  }

  #search(text) {
    this.#filter = text.trim().toLowerCase();
    this.#arrange();
    if (this.#is_cut) this.element.dispatchEvent(new Event('look', { bubbles: true }));
  }

  /** There are more rows than the proxy shows at a time. */
  get #is_cut() {
    return this.#all > this.#rows.length;
  }

  /** What the proxy is to look for among all rows, where it has more than it shows. */
  get question() {
    return this.#filter !== '' && this.#is_cut ? `?filter=${encodeURIComponent(this.#filter.slice(0, 50))}` : '';
  }

  #sort(column) {
    const is_same = this.sorted.key === column.key;
    this.sorted = { key: column.key, down: is_same ? !this.sorted.down : column.is_figure };
    this.#arrange();
  }

  /** New rows; `all` says how many there are in all, `found` how many match what was asked for. */
  update({ rows, all = rows.length, found = rows.length }) {
    this.#rows = rows;
    this.#all = all;
    this.#found = found;
    this.#arrange();
  }

  #matches(row) {
    if (this.#filter === '') return true;
    const has = (value) =>
      String(value ?? '')
        .toLowerCase()
        .includes(this.#filter);
    return (
      Object.values(row).some(has) ||
      this.columns.some((column) => !column.show && has(column.write(column.value(row), row)))
    );
  }

  #arrange() {
    const { key, down } = this.sorted;
    const by = this.columns.find((column) => column.key === key);
    const found = this.#rows.filter((row) => this.#matches(row));
    const order = (one, two) => {
      const [a, b] = [by.value(one), by.value(two)];
      const is_known = (it) => it !== null && it !== undefined;
      if (!is_known(a) || !is_known(b)) return is_known(b) - is_known(a);
      return (down ? -1 : 1) * compare(a, b) || compare(this.key(one), this.key(two));
    };
    found.sort(order);
    this.#heads();
    this.#tell(found.length);
    this.#place(found.slice(0, SHOWN_MAX));
  }

  #heads() {
    const heads = this.more ? this.heads.slice(1) : this.heads;
    this.columns.forEach((column, at) => {
      const is_by = column.key === this.sorted.key;
      const order = this.sorted.down ? 'descending' : 'ascending';
      heads[at].setAttribute('aria-sort', is_by ? order : 'none');
    });
  }

  #tell(found) {
    // Where the proxy has cut what it found, how many match is known to it alone.
    const matching = this.#found > this.#rows.length ? this.#found : found;
    const of_all = matching < this.#all ? ` of ${count(this.#all)}` : '';
    const shown = Math.min(found, SHOWN_MAX);
    const rest = shown < matching ? `, ${count(shown)} shown: filter for others` : '';
    say(this.told, `${count(matching)}${of_all}${rest}`);
    this.scroll.hidden = found === 0;
    this.empty.hidden = found > 0;
    say(this.empty, this.#rows.length > 0 ? 'Nothing matches the filter.' : this.none);
  }

  /** Rows stay the elements that they are: whoever has selected a text or is on a button stays there. */
  #place(rows) {
    const focused = document.activeElement;
    const wanted = new Set();
    let before = null;
    for (const row of rows) {
      const key = String(this.key(row));
      if (wanted.has(key)) continue;
      wanted.add(key);
      const known = this.#shown.get(key) ?? this.#row(key);
      this.#fill(known, row);
      before = this.#after(before, known.element);
      if (known.detail) before = this.#after(before, known.detail);
    }
    for (const [key, { element, detail }] of this.#shown) {
      if (wanted.has(key)) continue;
      element.remove();
      detail?.remove();
      this.#shown.delete(key);
      if (this.#open === key) this.#open = null;
    }
    if (this.#moved && focused !== document.activeElement && focused?.isConnected)
      focused.focus({ preventScroll: true });
    this.#moved = null;
  }

  #after(before, element) {
    const next = before ? before.nextSibling : this.body.firstChild;
    if (next !== element) {
      this.body.insertBefore(element, next);
      this.#moved = element;
    }
    return element;
  }

  #row(key) {
    const cells = this.columns.map((column) =>
      make('td', { class: [column.is_figure && 'figure', column.kind].filter(Boolean).join(' ') || null }),
    );
    const element = make('tr', {}, ...cells);
    const known = { element, cells, texts: [], detail: null, row: null };
    if (this.more) {
      known.button = make('button', {
        type: 'button',
        class: 'open',
        'aria-expanded': 'false',
        on: { click: () => this.#toggle(key) },
      });
      element.prepend(make('td', { class: 'opener' }, known.button));
    }
    this.#shown.set(key, known);
    return known;
  }

  #fill(known, row) {
    known.row = row;
    if (known.button)
      known.button.setAttribute('aria-label', `More about ${this.columns[0].write(this.columns[0].value(row), row)}`);
    this.columns.forEach((column, at) => {
      const cell = known.cells[at];
      if (column.show) {
        column.show(row, cell);
        return;
      }
      const text = column.write(column.value(row), row);
      if (known.texts[at] !== text) {
        known.texts[at] = text;
        say(cell, text);
        if (column.kind) cell.title = text;
      }
      if (column.tone) cell.dataset.tone = column.tone(row) ?? '';
    });
  }

  #toggle(key) {
    const known = this.#shown.get(key);
    const is_open = known.detail !== null;
    if (this.#open !== null && this.#open !== key) this.#close(this.#open);
    if (is_open) this.#close(key);
    else this.#show(key, known);
  }

  #close(key) {
    const known = this.#shown.get(key);
    known?.detail?.remove();
    if (known) known.detail = null;
    known?.button.setAttribute('aria-expanded', 'false');
    this.#open = null;
  }

  async #show(key, known) {
    this.#open = key;
    const id = fresh('more');
    const cell = make('td', { colspan: this.columns.length + 1 }, make('p', { class: 'none' }, 'One moment …'));
    known.detail = make('tr', { class: 'detail', id }, cell);
    known.element.after(known.detail);
    known.button.setAttribute('aria-expanded', 'true');
    known.button.setAttribute('aria-controls', id);
    try {
      cell.replaceChildren(make('div', { class: 'more' }, await this.more(known.row)));
    } catch {
      cell.replaceChildren(make('p', { class: 'none' }, 'There is nothing to tell of it now.'));
    }
  }
}
