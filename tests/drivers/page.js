// Somebody looks at Portcullis' page with a browser: Chromium, driven over its own protocol.
//
// Takes PAGE_URL, PAGE_TOKEN, PAGE_KEY (the pinned public key of the page's certificate), PAGE_CHROMIUM,
// PAGE_DATABASE, PAGE_HOSTILE (the name that a client calls itself) and PAGE_SHOTS (a directory for pictures, or
// nothing). Writes `stop` where the proxy has to be stopped, and `start` where it has to be there again.

'use strict';

const assert = require('node:assert/strict');
const { chromium } = require('playwright-core');

const env = process.env;
const origin = new URL(env.PAGE_URL).origin;
const faults = [];

const OPTIONS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  `--ignore-certificate-errors-spki-list=${env.PAGE_KEY}`,
];

function step(text) {
  console.log(`- ${text}`);
}

/** Everything that a browser complains of, and every request that goes elsewhere. */
function watch(page) {
  page.setDefaultTimeout(30_000);
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => faults.push(`dialog: ${dialog.message()}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(`${origin}/`)) faults.push(`request: ${request.url()}`);
  });
  page.on('console', (message) => {
    // A refused or broken request is what some steps are about.
    const is_known = message.text().startsWith('Failed to load resource');
    if (message.type() === 'error' && !is_known) faults.push(`console: ${message.text()}`);
  });
}

async function picture(page, name) {
  if (env.PAGE_SHOTS) await page.screenshot({ path: `${env.PAGE_SHOTS}/${name}.png` });
}

/** Waits until this is true of the page. */
const until = (page, condition, ...given) => page.waitForFunction(condition, ...given);

/** Two points at least. */
const has_a_line = (it) => /^M[\d. ]+L/.test(it.getAttribute('d') ?? '');

/** Goes to a section as a keyboard does. */
async function go(page, title) {
  await page.getByRole('navigation').getByRole('link', { name: title, exact: true }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: title, exact: true }).waitFor({ state: 'attached' });
}

const panel = (page, title) => page.getByRole('region', { name: title, exact: true });

/** What is told of a row on request. */
const opened = (page) => page.locator('.view:not([hidden]) .detail');

async function first_row(page, title) {
  const row = panel(page, title).locator('tbody tr').first();
  await row.waitFor();
  return row;
}

async function texts(page, title, column) {
  const heads = await panel(page, title).locator('thead th').allInnerTexts();
  const at = heads.findIndex((head) => head.trim() === column);
  assert.ok(at >= 0, `${column} is not among ${heads}`);
  return panel(page, title)
    .locator(`tbody tr:not(.detail) td:nth-child(${at + 1})`)
    .allInnerTexts();
}

async function log_in(page, token) {
  await page.getByLabel('Token').fill(token);
  await page.keyboard.press('Enter');
}

async function looks_at_the_login(page, context) {
  step('nothing is shown before the login');
  const response = await page.goto(env.PAGE_URL);
  const policy = response.headers()['content-security-policy'];
  assert.match(policy, /default-src 'none'.*frame-ancestors 'none'/);
  await page.getByLabel('Token').waitFor();
  assert.equal(await page.getByRole('navigation').count(), 0);
  await picture(page, 'login');
  await log_in(page, 'a wrong token');
  await page.getByText('That did not work: the token is wrong.').waitFor();
  assert.deepEqual(await context.cookies(), []);

  step('the token logs in, and its cookie is for this host and no script');
  await log_in(page, env.PAGE_TOKEN);
  await page.getByRole('navigation').waitFor();
  const cookies = await context.cookies();
  assert.equal(cookies.length, 1);
  const [{ name, value, secure, httpOnly, sameSite }] = cookies;
  assert.match(name, /^__Host-portcullis-/);
  assert.match(value, /^[0-9a-f]{64}$/);
  assert.deepEqual([secure, httpOnly, sameSite], [true, true, 'Strict']);
  await page.getByLabel('Every').selectOption('1');
}

async function looks_at_the_overview(page) {
  step('the overview has figures, lines and a histogram');
  const card = (title) => page.locator('.card', { has: page.getByRole('heading', { name: title, exact: true }) });
  for (const title of ['Statements', 'Transactions', 'Bytes']) {
    const value = card(title).locator('.value').first();
    await until(page, (it) => /^[1-9].*\/s$/.test(it.textContent), await value.elementHandle());
  }
  await until(page, (it) => Number(it.textContent) >= 3, await card('Clients').locator('.value').elementHandle());
  const times = card('Time of a transaction').locator('.value').last();
  await until(page, (it) => /(µs|ms| s)$/.test(it.textContent), await times.elementHandle());
  await until(page, has_a_line, await card('Statements').locator('.line').elementHandle());
  const label = await card('Statements').getByRole('img').getAttribute('aria-label');
  assert.match(label, /^Statements: now .*\/s, at most .*\/s/);
  await page.locator('.histogram .bar').first().waitFor();
  await picture(page, 'overview');
}

async function looks_at_what_is_hostile(page) {
  step('what clients call themselves is text');
  await go(page, 'In flight');
  await first_row(page, 'In flight');
  assert.ok((await texts(page, 'In flight', 'Application')).includes(env.PAGE_HOSTILE));
  const seen = await page.evaluate(() => ({
    hit: globalThis.hit,
    images: document.querySelectorAll('main img, main script').length,
  }));
  assert.deepEqual(seen, { hit: undefined, images: 0 });
  const row = panel(page, 'In flight').locator('tbody tr', { hasText: env.PAGE_HOSTILE });
  await row.getByRole('button').first().click();
  await opened(page).filter({ hasText: env.PAGE_HOSTILE }).waitFor();
  assert.equal(await row.getByRole('button').first().getAttribute('aria-expanded'), 'true');
  await picture(page, 'in-flight');
}

async function sorts_and_filters(page) {
  step('tables are sorted by keyboard');
  await go(page, 'Sessions');
  await first_row(page, 'Clients');
  await first_row(page, 'Server connections');
  const head = panel(page, 'Clients').getByRole('columnheader', { name: 'Application' });
  await head.getByRole('button').focus();
  await page.keyboard.press('Enter');
  assert.equal(await head.getAttribute('aria-sort'), 'ascending');
  const upwards = await texts(page, 'Clients', 'Application');
  await page.keyboard.press('Space');
  assert.equal(await head.getAttribute('aria-sort'), 'descending');
  const downwards = await texts(page, 'Clients', 'Application');
  assert.ok(new Set(upwards).size > 1, `${upwards}`);
  assert.deepEqual(
    downwards,
    [...upwards].sort((a, b) => b.localeCompare(a, 'en', { numeric: true })),
  );
  assert.deepEqual(upwards, [...downwards].reverse());
  assert.equal(await panel(page, 'Clients').locator('th[aria-sort]:not([aria-sort=none])').count(), 1);

  step('what has the focus keeps it while rows change');
  const row = panel(page, 'Clients').getByRole('button', { name: 'More about' }).first();
  await row.focus();
  const up = page.locator('#status');
  for (let round = 0; round < 2; round += 1) {
    await until(page, ([it, before]) => it.textContent !== before, [await up.elementHandle(), await up.textContent()]);
  }
  assert.ok(await row.evaluate((it) => it === document.activeElement));

  step('and filtered');
  await page.getByLabel('Filter Clients').fill('onerror');
  assert.deepEqual(await texts(page, 'Clients', 'Application'), [env.PAGE_HOSTILE]);
  await page.getByLabel('Filter Clients').fill('nobody is called so');
  await page.getByText('Nothing matches the filter.').filter({ visible: true }).waitFor();
  await page.getByLabel('Filter Clients').fill('');
  await first_row(page, 'Clients');
  await picture(page, 'sessions');
}

async function looks_at_the_rest(page) {
  step('pools have times');
  await go(page, 'Pools');
  await first_row(page, 'Pools');
  assert.ok((await texts(page, 'Pools', 'Database')).includes(env.PAGE_DATABASE));
  await panel(page, 'Pools').locator('tbody tr', { hasText: env.PAGE_DATABASE }).getByRole('button').first().click();
  await opened(page).locator('.bar').first().waitFor();
  await picture(page, 'pools');

  step('patterns have calls, lines and histograms');
  await go(page, 'Patterns');
  const pattern = panel(page, 'Patterns').locator('tbody tr', { hasText: 'select ? + ?' }).first();
  await pattern.waitFor();
  await until(page, has_a_line, await pattern.locator('.line').elementHandle());
  await pattern.getByRole('button').first().click();
  await opened(page).locator('.bar').first().waitFor();
  assert.equal(await opened(page).locator('.statement').textContent(), 'select ? + ?');
  await picture(page, 'patterns');

  step('certificates have days left, and connections encryption');
  await go(page, 'TLS & certificates');
  await first_row(page, 'Certificates');
  for (const days of await texts(page, 'Certificates', 'Days left')) assert.match(days, /^[\d,]+$/);
  await page.locator('.kinds', { hasText: 'TLSv1.3' }).first().waitFor();
  await first_row(page, 'What TLS has seen');
  await picture(page, 'tls');

  step('rules have hits');
  await go(page, 'Rules');
  await first_row(page, 'Rules');
  const hits = panel(page, 'Rules').locator('tbody tr', { hasText: 'sums' }).locator('td:nth-child(5)');
  await until(page, (it) => /^[1-9]/.test(it.textContent), await hits.elementHandle());
  await first_row(page, 'Throttles');
  await picture(page, 'rules');

  step('clusters have a host that is written to');
  await go(page, 'Clusters');
  await first_row(page, 'Clusters');
  assert.deepEqual(await texts(page, 'Clusters', 'Written to'), [env.PAGE_LEADER]);
  await first_row(page, 'Hosts');
  assert.deepEqual(await texts(page, 'Hosts', 'Role'), ['primary']);
  assert.deepEqual(await texts(page, 'Hosts', 'Health'), ['up']);
  await picture(page, 'clusters');
}

async function uses_the_keyboard_and_colours(page) {
  step('a reload keeps the login; the first stop of the keyboard leads past the navigation');
  await page.goto(`${env.PAGE_URL}#patterns`);
  await page.reload();
  await first_row(page, 'Patterns');
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('Tab');
  const focused = () => page.evaluate(() => document.activeElement.id);
  for (let stop = 0; stop < 30 && (await focused()) !== 'skip'; stop += 1) await page.keyboard.press('Tab');
  assert.equal(await focused(), 'skip');
  await page.keyboard.press('Enter');
  assert.equal(await focused(), 'main');

  step('colours follow the system until somebody chooses');
  const theme = () =>
    page.evaluate(() => [
      document.documentElement.dataset.theme,
      getComputedStyle(document.documentElement).backgroundColor,
    ]);
  const [light, light_ground] = await theme();
  await page.emulateMedia({ colorScheme: 'dark' });
  await until(page, () => document.documentElement.dataset.theme === 'dark');
  const [dark, dark_ground] = await theme();
  assert.deepEqual([light, dark], ['light', 'dark']);
  assert.notEqual(light_ground, dark_ground);
  await page.getByRole('button', { name: 'Switch to light colours' }).click();
  assert.deepEqual(await theme(), [light, light_ground]);
  await page.reload();
  await first_row(page, 'Patterns');
  assert.deepEqual(await theme(), [light, light_ground]);
  await page.getByRole('button', { name: 'Switch to dark colours' }).click();
  assert.deepEqual(await theme(), [dark, dark_ground]);
  await picture(page, 'dark');

  step('it fits into 360 pixels');
  await page.setViewportSize({ width: 360, height: 740 });
  for (const title of ['Overview', 'In flight', 'Sessions', 'Pools', 'Patterns', 'TLS & certificates', 'Rules']) {
    await go(page, title);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 360, `${title} takes ${wide} pixels`);
  }
  await picture(page, 'narrow');
  await page.setViewportSize({ width: 1280, height: 800 });

  step('it pauses');
  const status = page.locator('#status');
  await page.getByRole('button', { name: 'Pause' }).press('Space');
  await status.filter({ hasText: 'paused' }).waitFor();
  await page.getByRole('button', { name: 'Resume' }).press('Space');
  await status.filter({ hasText: 'live' }).waitFor();
}

async function outlives_the_proxy(page) {
  step('it says when the proxy is gone, and asks for the login when it is back');
  await go(page, 'Overview');
  console.log('stop');
  await page.getByRole('alert').filter({ hasText: "can't be reached" }).waitFor();
  await page.locator('#status').filter({ hasText: 'unreachable' }).waitFor();
  await picture(page, 'unreachable');
  console.log('start');
  await page.getByText('Your login is over. Log in again.').waitFor();
  assert.equal(await page.locator('#views').innerText(), '');
  await log_in(page, env.PAGE_TOKEN);
  await page.locator('#status').filter({ hasText: 'live' }).waitFor();

  step('and logs out');
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByLabel('Token').waitFor();
  const status = await page.evaluate(async () => (await fetch('/overview')).status);
  assert.equal(status, 401);
}

async function main() {
  const browser = await chromium.launch({ executablePath: env.PAGE_CHROMIUM, args: OPTIONS });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light' });
  const page = await context.newPage();
  watch(page);
  try {
    await looks_at_the_login(page, context);
    await looks_at_the_overview(page);
    await looks_at_what_is_hostile(page);
    await sorts_and_filters(page);
    await looks_at_the_rest(page);
    await uses_the_keyboard_and_colours(page);
    await outlives_the_proxy(page);
  } finally {
    await picture(page, 'last');
    await browser.close();
  }
  assert.deepEqual(faults, []);
  console.log('done');
}

main().catch((error) => {
  console.error(error);
  console.error(faults.join('\n'));
  process.exit(1);
});
