import type { Client } from 'pg';
import { Endpoint } from '../internal/endpoint/endpoint.ts';
import { linkSignals } from '../internal/link-signals.ts';
import { Releasers } from '../internal/releasers.ts';
import { throwIfAborted } from '../internal/sleep.ts';
import { type ConnectionEntry, shardMapOf } from './connection-entry.ts';
import { type InstallOptions, type ResolvedInstallOptions, resolveInstallOptions } from './install-options.ts';
import { installServerSchema, installShardSchema, onServer, type SchemaOrder } from './install-schemas.ts';
import { agreeOnSettings, type SharedSettings } from './install-settings.ts';
import { type ServerSurvey, surveyServer } from './install-survey.ts';
import type { ShardServer } from './shard-map.ts';
import { shardsOf } from './shard-range.ts';

/** What an installation has become. */
export interface InstallResult extends SharedSettings {
  readonly servers: readonly {
    readonly name: string;
    /** Shards on it. */
    readonly shards: number;
    /** Shards that had to be made or brought up to date. */
    readonly changed: number;
  }[];
}

interface Target {
  readonly server: ShardServer;
  /** The name that the entry gives, not one made up from its address. */
  readonly owner: string | undefined;
  readonly shards: readonly number[];
  readonly endpoint: Endpoint;
  readonly client: Client;
  readonly survey: ServerSurvey;
}

/**
 * Makes the schema of every server and the schemas of all its shards, or brings them up to date: in parallel over
 * servers and inside each, every schema in a transaction of its own. May be run again, after an interruption, or by
 * two processes at once without harm. Nothing is changed anywhere before every server has been found fit.
 * Shards made by the original tool are taken over with their ids, none of their rows rewritten.
 *
 * @example
 * ```ts
 * await install([{ host: 'db1', shards: '1-9' }, { host: 'db2', shards: '9-17' }], {
 *   onProgress: ({ done, total }) => console.log(`${done} of ${total}`),
 * });
 * ```
 * @throws ConfigurationError, ShardRangeError before anything is done; ServerUnavailableError, AuthenticationError;
 *   SchemaError (hstore missing, other settings fixed, newer schema), PermissionError (naming the GRANT), AbortedError
 */
export async function install(
  connections: readonly ConnectionEntry[],
  options: InstallOptions = {},
): Promise<InstallResult> {
  const resolved = resolveInstallOptions(options);
  const map = shardMapOf(connections);
  throwIfAborted(resolved.signal, 'install');
  const held = new Releasers();
  // One failure stops the others: what they have made stays and is found by the next run.
  const stop = new AbortController();
  using linked = linkSignals([resolved.signal, stop.signal]);
  const { signal } = linked;
  try {
    const targets = await allOrStop(stop, map.servers, async (server, place): Promise<Target> => {
      const endpoint = new Endpoint(server.connection);
      held.add(() => endpoint.close());
      const client = await connect(endpoint, held, signal);
      const survey = await surveyServer(client, server.name);
      const owner = connections[place]!.name;
      return { server, owner, shards: shardsOf(server.ranges), endpoint, client, survey };
    });
    const found = targets.map(({ server, survey }) => ({ server: server.name, settings: survey.settings }));
    const settings = agreeOnSettings(resolved, found, map.shards);
    const report = progressReporter(resolved, map.shards.length);
    const servers = await allOrStop(stop, targets, (target) =>
      installServer(target, settings, resolved, { stop, signal, held, report }),
    );
    return { ...settings, servers };
  } catch (error) {
    throwIfAborted(resolved.signal, 'install');
    throw error;
  } finally {
    await held.release();
  }
}

async function installServer(
  { server, owner, shards, endpoint, client, survey }: Target,
  settings: SharedSettings,
  { modules, grantTo, concurrency, mustBeThere }: ResolvedInstallOptions,
  {
    stop,
    signal,
    held,
    report,
  }: { stop: AbortController; signal: AbortSignal; held: Releasers; report: ProgressReporter },
): Promise<InstallResult['servers'][number]> {
  const order: SchemaOrder = {
    modules,
    settings,
    hstoreSchema: survey.hstoreSchema,
    grantTo,
    owner,
    mustBeThere,
    signal,
  };
  const waiting = shards[Symbol.iterator]();
  const work = async (session: Client): Promise<number> => {
    let changed = 0;
    for (const shardId of waiting) {
      throwIfAborted(signal, 'install');
      const made = await installShardSchema(session, order, shardId);
      if (made) changed += 1;
      report(server.name, shardId, made);
    }
    return changed;
  };
  const named = (error: unknown): never => {
    throw onServer(server.name, error);
  };
  report(server.name, undefined, await installServerSchema(client, order).catch(named));
  const sessions = Array.from({ length: Math.min(concurrency, shards.length) }, (_, place) => place);
  const changed = await allOrStop(stop, sessions, async (place) =>
    work(place === 0 ? client : await connect(endpoint, held, signal)).catch(named),
  );
  return { name: server.name, shards: shards.length, changed: changed.reduce((sum, count) => sum + count, 0) };
}

async function connect(endpoint: Endpoint, held: Releasers, signal: AbortSignal): Promise<Client> {
  const client = await endpoint.connect({ signal });
  held.add(() => client.end());
  return client;
}

/**
 * Like Promise.all, but the first failure stops the others, here and wherever else the controller is used, and all have
 * ended when it is thrown: the first one, not what stopping did to the rest.
 */
async function allOrStop<Item, Result>(
  stop: AbortController,
  items: readonly Item[],
  run: (item: Item, place: number) => Promise<Result>,
): Promise<Result[]> {
  const settled = await Promise.allSettled(
    items.map(async (item, place) => {
      try {
        return await run(item, place);
      } catch (error) {
        stop.abort(error);
        throw error;
      }
    }),
  );
  if (stop.signal.aborted) throw stop.signal.reason;
  return settled.map((outcome) => (outcome as PromiseFulfilledResult<Result>).value);
}

type ProgressReporter = (server: string, shardId: number | undefined, changed: boolean) => void;

function progressReporter({ onProgress }: InstallOptions, total: number): ProgressReporter {
  const started = performance.now();
  let done = 0;
  return (server, shardId, changed) => {
    if (shardId !== undefined) done += 1;
    const seconds = (performance.now() - started) / 1000;
    onProgress?.({ server, shardId, changed, done, total, rate: seconds > 0 ? done / seconds : 0 });
  };
}
