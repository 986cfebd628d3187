import { BadRequestError } from './errors.ts';

/** The name of all events of a shard, or of the cluster. */
export const ALL = '$all';
/** Longest name of a stream or a group, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 512;

/** What a name stands for. */
export type Source =
  | { readonly kind: 'stream'; readonly name: string }
  | { readonly kind: 'category'; readonly name: string; readonly category: string }
  | { readonly kind: 'all'; readonly name: typeof ALL };

/**
 * Reads a name: `'order-7'` is a stream, `'order-*'` the category of all streams that begin with `order-`,
 * `'$all'` every event.
 *
 * @throws BadRequestError
 */
export function parseSource(name: string): Source {
  checkName(name, 'a stream');
  if (name === ALL) return { kind: 'all', name };
  if (!name.endsWith('-*')) return { kind: 'stream', name };
  const category = name.slice(0, -2);
  if (category === '' || category.includes('-')) {
    throw new BadRequestError(
      `${JSON.stringify(name)} names no category: a category is what stands before the first '-' of a stream's name`,
      { stream: name },
    );
  }
  return { kind: 'category', name, category };
}

/** The same for what must be one stream. @throws BadRequestError */
export function checkStream(name: string): string {
  if (parseSource(name).kind === 'stream') return name;
  throw new BadRequestError(`${JSON.stringify(name)} stands for many streams; give the name of one`, { stream: name });
}

/** @throws BadRequestError for no text, an empty or too long one, NUL, or half of a surrogate pair */
export function checkName(name: string, what: string): string {
  if (typeof name !== 'string' || name === '') throw new BadRequestError(`the name of ${what} is a text, not empty`);
  if (/[\0\p{Surrogate}]/u.test(name)) {
    throw new BadRequestError(`the name of ${what}, ${JSON.stringify(name)}, holds a character Postgres can't store`);
  }
  if (name.length * 3 > MAX_NAME_BYTES && Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw new BadRequestError(`the name of ${what} is longer than ${MAX_NAME_BYTES} bytes`);
  }
  return name;
}
