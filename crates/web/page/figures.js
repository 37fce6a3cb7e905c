// Writes numbers with their units as people read them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const NONE = '–';

/** Three digits that count. */
function brief(value) {
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return whole.format(value);
  return value.toFixed(size >= 10 ? 1 : 2);
}

function scaled(value, base, units) {
  let at = 0;
  let rest = value;
  while (Math.abs(rest) >= base * 0.9995 && at < units.length - 1) {
    rest /= base;
    at += 1;
  }
  return `${brief(rest)}${units[at] ? ` ${units[at]}` : ''}`;
}

/** A count. */
export function count(value) {
  return value === null || value === undefined ? NONE : whole.format(value);
}

/** A count that may be large: 12.3 k. */
export function short(value) {
  return value === null || value === undefined ? NONE : scaled(value, 1000, ['', 'k', 'M', 'G', 'T']);
}

/** So many in a second. */
export function rate(value) {
  if (value === null || value === undefined) return NONE;
  return `${short(value)}/s`;
}

/** Bytes. */
export function bytes(value) {
  if (value === null || value === undefined) return NONE;
  return scaled(value, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']);
}

/** Bytes in a second. */
export function byteRate(value) {
  return value === null || value === undefined ? NONE : `${bytes(value)}/s`;
}

/** A duration in microseconds. */
export function duration(us) {
  if (us === null || us === undefined) return NONE;
  if (us === 0) return '0';
  if (us < 999.5) return `${brief(us)} µs`;
  if (us < 999_500) return `${brief(us / 1000)} ms`;
  const seconds = us / 1e6;
  if (seconds < 59.95) return `${brief(seconds)} s`;
  return span(seconds);
}

/** A long duration in seconds: 3 h 05 min. */
export function span(seconds) {
  const two = (value) => String(value).padStart(2, '0');
  const all = Math.floor(seconds);
  if (all < 60) return `${all} s`;
  if (all < 3600) return `${Math.floor(all / 60)} min ${two(all % 60)} s`;
  if (all < 86_400) return `${Math.floor(all / 3600)} h ${two(Math.floor((all % 3600) / 60))} min`;
  return `${Math.floor(all / 86_400)} d ${two(Math.floor((all % 86_400) / 3600))} h`;
}

/** A moment of today. */
export function clock(ms) {
  return new Date(ms).toLocaleTimeString('en-GB');
}

/** Seconds since 1970 of a moment as the tables have it. */
export function moment(text) {
  const read = Date.parse(String(text).replace(' UTC', 'Z').replace(' ', 'T'));
  return Number.isNaN(read) ? null : read / 1000;
}

/** How many durations, of buckets with an upper edge each, don't exceed what is given back, in microseconds. */
export function percentile(buckets, percent) {
  const all = buckets.reduce((sum, [, some]) => sum + some, 0);
  if (all === 0) return null;
  let wanted = (all * percent) / 100;
  let lower = 0;
  for (const [edge, some] of buckets) {
    if (edge === null) return lower;
    if (some >= wanted) return lower + (edge - lower) * (some === 0 ? 1 : wanted / some);
    wanted -= some;
    lower = edge;
  }
  return lower;
}
