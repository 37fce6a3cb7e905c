// Keeps what the page has seen while it is open: the last minutes and no more.

/** How long it is kept, in milliseconds. */
export const SPAN_MS = 5 * 60_000;
/** Points at most: one a second. */
const POINTS_MAX = 310;

/** Values by time. */
export class Series {
  points = [];

  push(at, value) {
    this.points.push([at, value]);
    while (this.points.length > POINTS_MAX || this.points[0][0] < at - SPAN_MS) this.points.shift();
  }

  get last() {
    return this.points.at(-1)?.[1] ?? null;
  }

  get most() {
    return this.points.reduce((most, [, value]) => Math.max(most, value ?? 0), 0);
  }
}

/** What comes of a sum that only grows, in a second. A sum that is smaller than before was begun anew. */
export class Rate extends Series {
  #before = null;

  note(at, sum) {
    const before = this.#before;
    this.#before = sum === null ? null : [at, sum];
    if (sum === null) return;
    const is_next = before !== null && sum >= before[1] && at > before[0];
    if (is_next) this.push(at, (sum - before[1]) / ((at - before[0]) / 1000));
  }
}

/** One thing for each key; what is seen no more is forgotten. */
export class Kept {
  #all = new Map();

  constructor(begin) {
    this.begin = begin;
  }

  of(key) {
    let one = this.#all.get(key);
    if (one === undefined) {
      one = this.begin();
      this.#all.set(key, one);
    }
    return one;
  }

  keep(keys) {
    const wanted = new Set(keys);
    for (const key of this.#all.keys()) if (!wanted.has(key)) this.#all.delete(key);
  }
}

/** Histograms that only grow: what came into their buckets of late. */
export class Recent {
  #seen = [];

  constructor(span_ms) {
    this.span_ms = span_ms;
  }

  note(at, buckets) {
    const before = this.#seen.at(-1);
    const all = (list) => list.reduce((sum, [, some]) => sum + some, 0);
    if (before && all(buckets) < all(before[1])) this.#seen = [];
    this.#seen.push([at, buckets]);
    while (this.#seen.length > 2 && this.#seen[1][0] <= at - this.span_ms) this.#seen.shift();
  }

  /** What came in since the oldest that is kept. */
  get buckets() {
    if (this.#seen.length < 2) return [];
    const old = new Map(this.#seen[0][1]);
    return this.#seen.at(-1)[1].map(([edge, some]) => [edge, some - (old.get(edge) ?? 0)]);
  }

  /** How long that is, in milliseconds. */
  get covers_ms() {
    return this.#seen.length < 2 ? 0 : this.#seen.at(-1)[0] - this.#seen[0][0];
  }
}
