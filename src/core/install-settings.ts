import { SchemaError } from '../errors.ts';
import type { ServerSettings } from './first-contact.ts';
import { DEFAULT_EPOCH } from './id-layout.ts';
import type { InstallOptions } from './install-options.ts';

/** What all servers of an installation share. */
export interface SharedSettings {
  readonly epoch: number;
  readonly schemaPrefix: string;
  /** `undefined` when the shards are not contiguous and nobody said: routing by key is then not possible yet. */
  readonly slots: number | undefined;
  readonly firstShard: number | undefined;
}

/**
 * What the servers must agree on: what is fixed on one of them holds for all, then what is asked for, then the default.
 *
 * @param shards - all shards of the installation, ascending
 * @throws SchemaError when what is asked for, or what another server has, differs from what is fixed on one
 */
export function agreeOnSettings(
  options: InstallOptions,
  found: readonly { readonly server: string; readonly settings: ServerSettings | undefined }[],
  shards: readonly number[],
): SharedSettings {
  const contiguous = shards.length > 0 && shards.at(-1)! - shards[0]! + 1 === shards.length;
  return {
    epoch: agree('epoch') ?? DEFAULT_EPOCH,
    schemaPrefix: agree('schemaPrefix') ?? 'shard',
    // Fixed together, so either both fall back to the shards or neither does.
    slots: agree('slots') ?? (contiguous ? shards.length : undefined),
    firstShard: agree('firstShard') ?? (contiguous ? shards[0] : undefined),
  };

  function agree<Name extends keyof SharedSettings>(name: Name): SharedSettings[Name] | undefined {
    let value: SharedSettings[Name] | undefined;
    let from: string | undefined;
    for (const { server, settings } of found) {
      const fixed = settings?.[name] as SharedSettings[Name] | undefined;
      if (fixed === undefined) continue;
      if (value !== undefined && value !== fixed) {
        throw new SchemaError(
          `${name} is fixed at ${JSON.stringify(value)} on ${from} and at ${JSON.stringify(fixed)} on ${server}: these servers can't be of one installation`,
        );
      }
      value = fixed;
      from = server;
    }
    const wanted = options[name] as SharedSettings[Name] | undefined;
    if (value !== undefined && wanted !== undefined && wanted !== value) {
      throw new SchemaError(
        `${name} was fixed at ${JSON.stringify(value)} when ${from} was installed and can't become ${JSON.stringify(wanted)}; leave it out or give the fixed one`,
      );
    }
    return value ?? wanted;
  }
}
