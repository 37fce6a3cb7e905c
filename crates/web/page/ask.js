// Asks the proxy. Three things can go wrong, and each is an error of its own.

/** Longest wait for an answer, in milliseconds. */
const PATIENCE_MS = 10_000;

/** Nobody answers. */
export class Unreachable extends Error {}
/** The login is missing or over. */
export class LoggedOut extends Error {}
/** An answer that is none: its status. */
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function once(path, options) {
  try {
    return await fetch(path, {
      credentials: 'same-origin',
      cache: 'no-store',
      redirect: 'error',
      signal: AbortSignal.timeout(PATIENCE_MS),
      ...options,
    });
  } catch {
    throw new Unreachable();
  }
}

/** What stands at this path, as JSON. The proxy ends connections after a while: a first failure means nothing. */
export async function ask(path) {
  let response;
  try {
    response = await once(path);
  } catch {
    response = await once(path);
  }
  if (response.status === 401) throw new LoggedOut();
  if (!response.ok) throw new Refused(response.status, (await response.text()).trim());
  try {
    return await response.json();
  } catch {
    throw new Unreachable();
  }
}

/** Logs in; gives nothing if that worked, and why not otherwise. */
export async function logIn(token) {
  const response = await once('/login', { method: 'POST', body: token });
  if (response.ok) return null;
  return (await response.text()).trim();
}

/** Logs out. */
export async function logOut() {
  await once('/logout', { method: 'POST' });
}
