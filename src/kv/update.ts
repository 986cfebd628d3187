import { InvalidArgumentError } from '../errors.ts';
import type { Commit } from './commit.ts';
import { CommitOrderingError } from './errors.ts';
import type { CallOptions, CommitStorage } from './storage.ts';

export interface UpdateOptions extends CallOptions {
  /** @default '' */
  readonly author?: string | undefined;
  /** @default '' */
  readonly comment?: string | undefined;
  /** How often the change is computed anew when others save the same key meanwhile. @default 10 */
  readonly maxAttempts?: number | undefined;
}

/**
 * Changes one key without knowing its version: reads it, asks `change` for the new value, and saves that as the next
 * version; does so again when somebody else was faster. `change` may be called several times. It returns the new
 * value, `null` to remove the key, or `undefined` to leave it as it is.
 *
 * @returns the saved commit, or `null` when nothing was changed
 * @throws CommitOrderingError when others were faster every time
 *
 * @example
 * ```ts
 * await updateKey(storage, 'limits', (limits) => ({ ...limits, max: 9 }), { author: 'ann' });
 * ```
 */
export async function updateKey<V>(
  storage: CommitStorage<V>,
  key: string,
  change: (value: V | undefined, head: Commit<V> | null) => V | null | undefined | Promise<V | null | undefined>,
  { author, comment, maxAttempts = 10, signal }: UpdateOptions = {},
): Promise<Commit<V> | null> {
  for (let attempt = 1; ; attempt++) {
    const head = await storage.get(key, undefined, { signal });
    const value = await change(head?.valueOption, head);
    if (value === undefined) return null;
    const payload = value === null ? null : serialize(storage, key, value);
    try {
      return await storage.save({ key, version: (head?.version ?? 0) + 1, payload, author, comment }, { signal });
    } catch (error) {
      if (!(error instanceof CommitOrderingError) || attempt >= maxAttempts) throw error;
    }
  }
}

function serialize<V>({ codec }: CommitStorage<V>, key: string, value: V): Uint8Array {
  if (codec?.serialize !== undefined) return codec.serialize(key, value);
  if (codec === undefined && value instanceof Uint8Array) return value;
  throw new InvalidArgumentError(`${key}: the storage's codec can't serialize values; give it a serialize function`);
}
