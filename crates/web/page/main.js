// Puts the page together: login, sections, and the round of questions to the proxy. Nothing here changes the proxy.

import { make, say } from './element.js';
import { ask, logIn, logOut, LoggedOut, Refused, Unreachable } from './ask.js';
import { clock, span } from './figures.js';
import { Overview } from './overview.js';
import { sections } from './sections.js';

/** A section that keeps a history is asked for in the background, every so many rounds. */
const BACKGROUND = 5;

const at = (id) => document.getElementById(id);
const page = Object.fromEntries(
  [
    'main',
    'status',
    'version',
    'controls',
    'refresh',
    'pause',
    'theme',
    'leave',
    'sections',
    'banner',
    'login',
    'explained',
    'fields',
    'token',
    'wrong',
    'views',
    'skip',
  ].map((id) => [id, at(id)]),
);

const state = {
  now: null,
  timer: null,
  round: 0,
  is_paused: false,
  is_busy: false,
  lost_since: null,
  way: 'token',
  certificates: [],
};
let overview = null;
let all = {};

function remember(key, value) {
  try {
    localStorage.setItem(`portcullis-${key}`, value);
  } catch {
    // Where nothing may be kept, it is chosen anew.
  }
}

function recall(key) {
  try {
    return localStorage.getItem(`portcullis-${key}`);
  } catch {
    return null;
  }
}

// Light and dark.

const prefers_dark = matchMedia('(prefers-color-scheme: dark)');

function paint() {
  const chosen = recall('theme');
  const is_dark = chosen ? chosen === 'dark' : prefers_dark.matches;
  document.documentElement.dataset.theme = is_dark ? 'dark' : 'light';
  say(page.theme, is_dark ? 'Light' : 'Dark');
  page.theme.setAttribute('aria-label', is_dark ? 'Switch to light colours' : 'Switch to dark colours');
}

page.theme.addEventListener('click', () => {
  remember('theme', document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
  paint();
});
prefers_dark.addEventListener('change', paint);
paint();

// Sections.

function begin() {
  overview = new Overview();
  all = { overview: ['Overview', null], ...sections() };
  const links = Object.entries(all).map(([name, [title]]) => make('a', { href: `#${name}`, id: `to-${name}` }, title));
  page.sections.replaceChildren(...links);
  const views = Object.entries(all).map(([name, [title, section]]) =>
    make(
      'div',
      { class: 'view', id: `view-${name}`, hidden: true },
      make('h1', { id: `title-${name}`, tabindex: -1, class: 'unseen' }, title),
      section ? section.element : overview.element,
    ),
  );
  page.views.replaceChildren(...views);
  go();
}

function go() {
  const wanted = location.hash.slice(1);
  const name = Object.hasOwn(all, wanted) ? wanted : 'overview';
  const is_other = state.now !== null && state.now !== name;
  state.now = name;
  for (const other of Object.keys(all)) {
    const is_it = other === name;
    at(`view-${other}`).hidden = !is_it;
    if (is_it) at(`to-${other}`).setAttribute('aria-current', 'page');
    else at(`to-${other}`).removeAttribute('aria-current');
  }
  document.title = `${all[name][0]} – Portcullis`;
  at(`to-${name}`).scrollIntoView({ block: 'nearest', inline: 'nearest' });
  if (is_other) {
    at(`title-${name}`).focus({ preventScroll: true });
    round();
  }
}

addEventListener('hashchange', () => {
  if (overview) go();
});
page.views.addEventListener('look', round);
page.skip.addEventListener('click', (event) => {
  event.preventDefault();
  page.main.focus();
});

// The round of questions.

/** What a section shows, asked for at once. */
async function tables(section) {
  const question = (name) => section.filtered?.[name]?.().question ?? '';
  const paths = [
    ...section.tables.map((name) => [name, `/tables/${name}${question(name)}`]),
    ...(section.others ?? []).map((path) => [path, path]),
  ];
  const answers = await Promise.all(paths.map(([, path]) => ask(path)));
  return Object.fromEntries(paths.map(([name], index) => [name, answers[index]]));
}

function stamp(told, unix_s) {
  for (const table of Object.values(told)) for (const row of table.rows ?? []) row.now_s = unix_s;
}

async function look() {
  const name = state.now;
  const told = await ask('/overview');
  const now = Date.now();
  overview.note(told, now);
  say(page.version, told.version);
  if (state.round % BACKGROUND === 0) state.certificates = (await ask('/tables/certificates')).rows;
  for (const [other, [, section]] of Object.entries(all)) {
    const is_shown = other === state.now;
    if (!section || !(is_shown || (section.is_kept && state.round % BACKGROUND === 0))) continue;
    const answers = await tables(section);
    stamp(answers, told.unix_s);
    if (other === state.now) section.show({ ...answers, overview: told }, Date.now());
    else section.note?.(answers, Date.now());
  }
  if (state.now === 'overview') overview.show(state.certificates);
  state.round += 1;
  return name === state.now;
}

async function round() {
  if (state.is_busy || !overview) return;
  state.is_busy = true;
  clearTimeout(state.timer);
  const mine = overview;
  let is_done = true;
  try {
    is_done = await look();
    found();
  } catch (error) {
    // Whoever has logged out meanwhile is told nothing of what was asked before.
    if (overview === mine) await failed(error);
  }
  state.is_busy = false;
  if (!overview) return;
  // Somebody chose another section meanwhile.
  if (!is_done) return round();
  if (!state.is_paused) state.timer = setTimeout(round, Number(page.refresh.value) * 1000);
}

async function failed(error) {
  const is_shut = error instanceof LoggedOut || (error instanceof Refused && error.status === 403);
  if (is_shut) await end(error);
  else if (error instanceof Unreachable) lost();
  else {
    const whose = error instanceof Refused ? 'Portcullis answers' : 'This page has a fault';
    say(page.banner, `${whose}: ${error.message}`);
    page.banner.hidden = false;
  }
}

function found() {
  state.lost_since = null;
  page.banner.hidden = true;
  document.body.classList.remove('lost');
  tell();
}

function lost() {
  state.lost_since ??= Date.now();
  say(
    page.banner,
    `Portcullis can't be reached since ${clock(state.lost_since)}. What you see is from before. This page tries again by itself.`,
  );
  page.banner.hidden = false;
  document.body.classList.add('lost');
  tell();
}

function tell() {
  if (!overview) return say(page.status, '');
  const up = overview?.told ? ` · up ${span(overview.told.up_s)}` : '';
  const word = state.lost_since ? 'unreachable' : state.is_paused ? 'paused' : 'live';
  page.status.dataset.word = word;
  say(page.status, word + (state.lost_since ? '' : up));
}

page.pause.addEventListener('click', () => {
  state.is_paused = !state.is_paused;
  page.pause.setAttribute('aria-pressed', state.is_paused);
  say(page.pause, state.is_paused ? 'Resume' : 'Pause');
  clearTimeout(state.timer);
  tell();
  if (!state.is_paused) round();
});
page.refresh.addEventListener('change', () => {
  remember('refresh', page.refresh.value);
  if (!state.is_paused) round();
});
const kept = recall('refresh');
if ([...page.refresh.options].some((option) => option.value === kept)) page.refresh.value = kept;

// Coming and going.

const WHY = {
  token: 'With the token of this listener: the first line of the file that metrics.token_file names.',
  certificate: 'This listener knows you by your certificate, which your browser did not show.',
  none:
    'This page shows names and statements, so it is only for those who have proved who they are. Set ' +
    'metrics.token_file or metrics.client_ca in the configuration of Portcullis, and restart it.',
};

function shown(is_in) {
  page.login.hidden = is_in;
  page.views.hidden = !is_in;
  page.controls.hidden = !is_in;
  page.sections.hidden = !is_in;
  page.leave.hidden = !is_in || state.way !== 'token';
}

function greet() {
  clearTimeout(state.timer);
  overview = null;
  state.now = null;
  page.banner.hidden = true;
  document.body.classList.remove('lost');
  say(page.status, '');
  say(page.explained, WHY[state.way]);
  page.fields.hidden = state.way !== 'token';
  document.title = 'Log in – Portcullis';
  // What was shown belongs to whoever was logged in.
  page.views.replaceChildren();
  shown(false);
  if (state.way === 'token') page.token.focus();
}

/** The login is over, or there can be none. */
async function end(error) {
  try {
    state.way = (await ask('/login')).way;
  } catch {
    // It was reached a moment ago; what was known of it holds.
  }
  greet();
  say(page.wrong, error instanceof LoggedOut ? 'Your login is over. Log in again.' : error.message);
}

function enter() {
  say(page.wrong, '');
  state.round = 0;
  shown(true);
  begin();
  page.main.focus({ preventScroll: true });
  round();
}

page.login.addEventListener('submit', async (event) => {
  event.preventDefault();
  const token = page.token.value;
  page.token.value = '';
  try {
    const wrong = await logIn(token);
    if (wrong === null) return enter();
    say(page.wrong, `That did not work: ${wrong}.`);
  } catch {
    say(page.wrong, "Portcullis can't be reached now.");
  }
  page.token.focus();
});

page.leave.addEventListener('click', async () => {
  let said = '';
  try {
    await logOut();
  } catch {
    said = "Portcullis can't be reached: the login lasts until its time is over.";
  }
  greet();
  say(page.wrong, said);
});

async function start() {
  try {
    const { way, in: is_in } = await ask('/login');
    state.way = way;
    if (is_in) enter();
    else greet();
  } catch {
    lost();
    setTimeout(start, 2000);
    return;
  }
  found();
}

start();
