import { Refusal } from './refusal.ts';

/** A request target, taken apart. */
export interface Target {
  /** Below the base path, still percent-encoded; `undefined` when the request is for something else. */
  readonly segments: readonly string[] | undefined;
  readonly query: URLSearchParams;
}

/**
 * Takes a request target apart without tidying it: `..`, `//` and backslashes stay what they are – part of a name –
 * where `URL` would walk up the path. Takes origin form and absolute form (the JVM client sends the latter).
 * What follows a `;` in the path is cut, as servlet containers do.
 *
 * @param basePath '' or '/…' without a slash at its end
 */
export function parseTarget(url: string, basePath: string): Target {
  const absolute = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]*/.exec(url);
  const target = absolute === null ? url : url.slice(absolute[0].length);
  const queryAt = target.indexOf('?');
  const path = (queryAt < 0 ? target : target.slice(0, queryAt)).split(';', 1)[0]!.split('#', 1)[0]!;
  const query = new URLSearchParams(queryAt < 0 ? '' : target.slice(queryAt + 1));
  if (!path.startsWith(basePath)) return { segments: undefined, query };
  const below = path.slice(basePath.length);
  if (below === '' || below === '/') return { segments: [], query };
  return { segments: below.startsWith('/') ? below.slice(1).split('/') : undefined, query };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * One path segment as text. `%2F`, `%3F`, `%23` and `%3B` become part of it, since routing is done.
 *
 * @throws Refusal 400 for broken percent-encoding and for what is no UTF-8
 */
export function decodeSegment(segment: string): string {
  if (/%(?![0-9A-Fa-f]{2})/.test(segment)) throw new Refusal(400, 'Malformed percent-encoding in the path');
  if (segment.includes('%00')) throw new Refusal(400, 'The path holds a NUL character');
  const bytes = Buffer.from(
    segment.replace(/%([0-9A-Fa-f]{2})/g, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Refusal(400, 'The path is not UTF-8');
  }
}

/** A 32-bit integer in decimal; a leading zero or sign is allowed, as Java allows it. @throws Refusal 400 */
export function parseVersion(text: string): number {
  const version = /^[+-]?\d{1,20}$/.test(text) ? Number(text) : Number.NaN;
  if (version >= -(2 ** 31) && version < 2 ** 31) return version;
  throw new Refusal(400, 'The version must be a 32-bit integer');
}
