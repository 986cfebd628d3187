// Requests to the server that this page came from.

/** The page is at BASE/-/page, the keys are below BASE. */
const base = new URL('..', document.baseURI).href;

/** What the server answered when it was no success. */
export class Refused extends Error {
  constructor(status, body) {
    super(body === '' ? `The server answered ${status}` : body);
    this.status = status;
    /** What a 409 says: the version a save would have to carry. */
    this.conflict = undefined;
    if (status !== 409) return;
    try {
      this.conflict = JSON.parse(body).conflict;
      this.message = `Version ${this.conflict.expectedVersion - 1} was saved meanwhile`;
    } catch {
      // Said as it is.
    }
  }
}

/** Kept for this tab only, and only in the browser. */
export const session = {
  get token() {
    return sessionStorage.getItem('hypervault-token') ?? '';
  },
  set token(token) {
    sessionStorage.setItem('hypervault-token', token);
  },
  /** Whom the token belongs to; `null` when the page says who commits. */
  author: null,
  write: [''],
  mayWrite(key) {
    return this.write.some((prefix) => key.startsWith(prefix));
  },
};

/** @returns {Promise<Response>} of a success. @throws Refused, TypeError when the server is away */
export async function call(path, { method = 'GET', headers = {}, body, signal } = {}) {
  const authorization = session.token === '' ? {} : { Authorization: `Bearer ${session.token}` };
  const response = await fetch(base + path, {
    method,
    headers: { ...headers, ...authorization },
    body,
    signal,
    cache: 'no-store',
    credentials: 'same-origin',
  });
  if (!response.ok) throw new Refused(response.status, (await response.text()).trim());
  return response;
}

/** `.` and `..` have no form in a URL, and the server knows no such keys. */
function keyPath(key) {
  if (key === '.' || key === '..') throw new Refused(400, 'The key may not be "." or ".."');
  return encodeURIComponent(key);
}

const json = async (path, options) => (await call(path, options)).json();

export const whoAmI = () => json('-/who-am-i');

/** The newest meta of every key, removed ones too, and the revision they stand at (`null`: the storage numbers none). */
export async function listHeads(signal) {
  const response = await call('?all=yes', { signal });
  return { heads: Object.entries(await response.json()), revision: response.headers.get('X-Hypervault-Revision') };
}

/** The bytes of one version; `null` when it is not there. */
export async function readPayload(key, version) {
  try {
    return new Uint8Array(await (await call(`${keyPath(key)}/${version}`)).arrayBuffer());
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

export const readHistory = (key, before) =>
  json(`${keyPath(key)}/history?limit=50${before === undefined ? '' : `&before=${before}`}`);

export const readDiff = async (key, from, to) => (await call(`${keyPath(key)}/diff?from=${from}&to=${to}`)).text();

/** Saves a version, `null` removes the key; with `dryRun` only asks whether it would be taken and what it changes. */
export function save(key, version, payload, { author, comment, dryRun = false }) {
  const headers = { ...said(author, comment), 'Content-Type': 'application/octet-stream' };
  if (payload === null) headers['X-Rainer-Empty'] = 'yes';
  const path = `${keyPath(key)}/${version}${dryRun ? '?dry_run=yes' : ''}`;
  return json(path, { method: 'POST', headers, body: payload ?? '' });
}

/** @param from the newest version that was seen: another one is a conflict */
export function rollback(key, version, { author, comment, from }) {
  return json(`${keyPath(key)}/rollback?to=${version}&from=${from}`, {
    method: 'POST',
    headers: said(author, comment),
  });
}

/** Base64 of UTF-8: headers hold no line ends, and browsers let nothing but latin-1 through. */
function said(author, comment) {
  const headers = { 'X-Hypervault-Author': inBase64(author) };
  if (comment !== undefined) headers['X-Hypervault-Comment'] = inBase64(comment);
  return headers;
}

function inBase64(text) {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(''));
}
