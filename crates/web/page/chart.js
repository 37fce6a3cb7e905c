// Draws lines over time and histograms, as SVG.

import { make, draw, say, fresh } from './element.js';
import { SPAN_MS } from './history.js';
import { clock, count, duration, percentile } from './figures.js';

/** What a line shows at least, in milliseconds. */
const SPAN_MIN_MS = 60_000;

/** Points of a line in a box, broken where nothing is known. */
function path(points, x, y) {
  let line = '';
  let is_begun = false;
  for (const [at, value] of points) {
    if (value === null) {
      is_begun = false;
      continue;
    }
    line += `${is_begun ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    is_begun = true;
  }
  return line;
}

/** Lines of the last minutes. The first one has its area filled. */
export class Lines {
  #paths = [];
  #all = [];
  #label;

  constructor({ lines, label, write, width = 300, height = 56, hover = null }) {
    this.size = [width, height];
    this.write = write;
    this.hover = hover;
    this.#label = label;
    this.area = draw('path', { class: 'area' });
    this.#paths = lines.map((_, at) =>
      draw('path', { class: `line line-${at}`, 'vector-effect': 'non-scaling-stroke' }),
    );
    this.mark = draw('line', { class: 'mark', y1: 0, y2: height, 'vector-effect': 'non-scaling-stroke' });
    this.mark.setAttribute('visibility', 'hidden');
    this.element = draw(
      'svg',
      { class: 'lines', viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img' },
      this.area,
      ...this.#paths,
      this.mark,
    );
    if (hover) {
      this.element.addEventListener('pointermove', (event) => this.#point(event));
      this.element.addEventListener('pointerleave', () => this.#leave());
    }
  }

  show(all, now) {
    const [width, height] = this.size;
    const most = Math.max(...all.map((series) => series.most), 1e-9);
    const begun = Math.min(...all.map((series) => series.points[0]?.[0] ?? now));
    this.span_ms = Math.min(SPAN_MS, Math.max(SPAN_MIN_MS, now - begun));
    const x = (at) => width - ((now - at) / this.span_ms) * width;
    const y = (value) => height - 1.5 - (value / most) * (height - 4);
    this.#all = all;
    this.now = now;
    all.forEach((series, at) => this.#paths[at].setAttribute('d', path(series.points, x, y)));
    const first = all[0].points;
    const line = path(first, x, y);
    const is_whole = first.length > 1 && first.every(([, value]) => value !== null);
    const base = `L${x(first.at(-1)?.[0] ?? 0).toFixed(1)} ${height}L${x(first[0]?.[0] ?? 0).toFixed(1)} ${height}Z`;
    this.area.setAttribute('d', is_whole ? line + base : '');
    const now_is = all.map((series) => this.write(series.last)).join(' and ');
    const label = `${this.#label}: now ${now_is}, at most ${this.write(most < 1e-6 ? 0 : most)} in the last minutes`;
    this.element.setAttribute('aria-label', label);
  }

  #point(event) {
    const box = this.element.getBoundingClientRect();
    const at = this.now - this.span_ms * (1 - (event.clientX - box.left) / box.width);
    const points = this.#all[0]?.points ?? [];
    if (points.length === 0) return;
    const distance = (index) => Math.abs(points[index][0] - at);
    const near = points.reduce((best, _, index) => (distance(index) < distance(best) ? index : best), 0);
    const time = points[near][0];
    const x = this.size[0] * (1 - (this.now - time) / this.span_ms);
    for (const end of ['x1', 'x2']) this.mark.setAttribute(end, x);
    this.mark.setAttribute('visibility', 'visible');
    const values = this.#all.map((series) => series.points.find((it) => it[0] === time)?.[1] ?? null);
    say(this.hover, `${clock(time)}  ${values.map(this.write).join(' · ')}`);
  }

  #leave() {
    this.mark.setAttribute('visibility', 'hidden');
    say(this.hover, '');
  }
}

/** A small line in a cell of a table. */
export function spark(label, write) {
  return new Lines({ lines: [label], label, write, width: 96, height: 20 });
}

/** Edges of bars: two to a doubling would be too many for seconds, so 1, 2, 5, 10, and so on, in microseconds. */
function edges(most_us) {
  const list = [];
  for (let decade = 10; decade < 1e12; decade *= 10) {
    for (const step of [1, 2, 5]) {
      list.push(decade * step);
      if (decade * step >= most_us) return list;
    }
  }
  return list;
}

/** Buckets with few edges of many: what a bucket has goes where its upper edge is. */
function coarse(buckets) {
  const known = buckets.filter(([, some]) => some > 0);
  const finite = known.map(([edge]) => edge).filter((edge) => edge !== null);
  if (known.length === 0) return [];
  const steps = edges(Math.max(...finite, 10));
  const bars = steps.map((edge) => [edge, 0]);
  const beyond = [null, 0];
  for (const [edge, some] of known) {
    const bar = edge === null ? beyond : bars.find(([upper]) => edge <= upper);
    bar[1] += some;
  }
  while (bars.length > 1 && bars[0][1] === 0) bars.shift();
  return beyond[1] > 0 ? [...bars, beyond] : bars;
}

/** How durations are spread, with percentiles below. */
export function histogram(title, buckets) {
  const bars = coarse(buckets);
  const all = bars.reduce((sum, [, some]) => sum + some, 0);
  const heading = fresh('histogram');
  const figure = make('figure', { class: 'histogram', 'aria-labelledby': heading });
  figure.append(make('figcaption', { id: heading }, title));
  if (all === 0) {
    figure.append(make('p', { class: 'none' }, 'Nothing was measured yet.'));
    return figure;
  }
  const [wide, high, gap, foot, head] = [35, 84, 4, 18, 14];
  const most = Math.max(...bars.map(([, some]) => some));
  const width = bars.length * wide;
  const svg = draw('svg', {
    viewBox: `0 0 ${width} ${head + high + foot}`,
    width,
    height: head + high + foot,
    role: 'img',
  });
  const words = (edge) => (edge === null ? 'more' : `≤ ${duration(edge)}`);
  bars.forEach(([edge, some], at) => {
    const tall = some === 0 ? 0 : Math.max(2, (some / most) * high);
    const share = (100 * some) / all;
    const x = at * wide;
    const about = `${words(edge)}: ${count(some)} (${share < 0.1 ? '< 0.1' : share.toFixed(1)} %)`;
    const bar = draw('rect', {
      class: 'bar',
      x: x + gap / 2,
      y: head + high - tall,
      width: wide - gap,
      height: tall,
      rx: 2,
    });
    bar.append(draw('title', {}, about));
    svg.append(bar);
    if (some > 0) {
      const text = share < 1 ? '<1%' : `${Math.round(share)}%`;
      svg.append(draw('text', { class: 'share', x: x + wide / 2, y: head + high - tall - 3 }, text));
    }
    const label = edge === null ? '∞' : duration(edge).replace(' ', '\u202f');
    svg.append(draw('text', { class: 'edge', x: x + wide / 2, y: head + high + 13 }, label));
  });
  svg.append(draw('line', { class: 'axis', x1: 0, x2: width, y1: head + high, y2: head + high }));
  const of = (percent) => duration(percentile(buckets, percent));
  const told = `${count(all)} in all · p50 ${of(50)} · p95 ${of(95)} · p99 ${of(99)}`;
  svg.setAttribute('aria-label', `${title}: ${told}`);
  const scroll = make('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': title }, svg);
  figure.append(scroll, make('p', { class: 'told' }, told));
  return figure;
}
