import { type Configuration, type ResolvedConfiguration, readConfiguration, type SectionName } from './config/index.ts';
import {
  type ConnectionSettings,
  Datastore,
  DEFAULT_EPOCH,
  type Logger,
  type ServerStats,
  type ServerStatus,
  serverStatus,
} from './core/index.ts';
import { ClosedError, ConfigurationError } from './errors.ts';
import { Releasers } from './internal/releasers.ts';
import { unknownServer } from './internal/unknown-server.ts';
import type { Kv } from './kv/index.ts';
import type { ListenOptions, Supervisor } from './listen/index.ts';
import type { EventStore } from './streams/index.ts';
import { NOT_OPENED, type OpenModule, openerOf, openLiveShardMap, type VaultParts } from './vault-modules.ts';

export interface OpenOptions {
  /** Gets what datastore and modules have to say. @default silent */
  readonly logger?: Logger | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Opens no other modules than these. @default those that the configuration names @internal */
  readonly only?: readonly SectionName[] | undefined;
}

/** What `vault.listen` takes: everything but where to listen has its default in the section `listen`. */
export interface VaultListenOptions extends Omit<ListenOptions, 'connection'> {
  /** The name of the server to listen on. @default the control database, or the only server */
  readonly server?: string | undefined;
}

/** How everything is, as plain data. */
export interface VaultStatus {
  readonly servers: readonly ServerStatus[];
  /** Counters of this process's pools, by server. */
  readonly pools: Readonly<Record<string, ServerStats>>;
  /** What each open module says of itself. */
  readonly modules: Readonly<Record<string, unknown>>;
}

/**
 * Opens everything that a configuration names, and loads nothing else. The datastore connects when it is first used; only
 * the number of slots is asked for, unless the configuration says it, so that `shardFor` answers.
 *
 * @param source - the path of a YAML or JSON file, in which `${NAME}` stands for an environment variable, or an object
 * @example
 * ```ts
 * await using vault = await open('hypervault.yaml');
 * const key = await vault.datastore.put(vault.shardFor('acme'), 1, { beep: 'boop' });
 * ```
 * @throws ConfigurationError with file, line and key; what a module throws that can't be opened
 */
export async function open<Database extends object = Record<string, Record<string, unknown>>>(
  source: string | URL | Configuration,
  options: OpenOptions = {},
): Promise<Vault<Database>> {
  // Only a file may speak of variables, and only then the environment is looked at.
  const vault = await openVault<Database>(await readConfiguration(source, process.env), options);
  try {
    await vault.learnRouting(options);
    return vault;
  } catch (error) {
    await vault.close().catch(() => {});
    throw error;
  }
}

/** Like {@link open}, for a configuration that was read already. */
export async function openVault<Database extends object>(
  configuration: ResolvedConfiguration,
  options: OpenOptions = {},
): Promise<Vault<Database>> {
  const { logger, signal, only } = options;
  const releasers = new Releasers();
  const modules = new Map<string, OpenModule<unknown>>();
  try {
    const datastore = await openDatastore<Database>(configuration, releasers, logger);
    const parts: VaultParts = {
      configuration,
      datastore: () => required(datastore as Datastore | undefined, 'shards', configuration),
      control: () => required(configuration.control, 'control', configuration),
      logger,
      signal,
    };
    for (const [name, section] of configuration.sections) {
      if (NOT_OPENED.includes(name) || only?.includes(name) === false) continue;
      const module = await openerOf(name, configuration)(section, parts);
      releasers.add(() => module.close());
      modules.set(name, module);
    }
    return new Vault<Database>({ configuration, datastore, modules, releasers, logger });
  } catch (error) {
    // What failed is told; what fails while the rest is closed would only hide it.
    await releasers.release().catch(() => {});
    throw error;
  }
}

async function openDatastore<Database extends object>(
  configuration: ResolvedConfiguration,
  releasers: Releasers,
  logger: Logger | undefined,
): Promise<Datastore<Database> | undefined> {
  const { connections } = configuration;
  if (connections === undefined) return undefined;
  const live = connections === 'live' ? await openLiveShardMap(configuration, logger) : undefined;
  if (live !== undefined) releasers.add(() => live.close());
  const source = connections === 'live' ? live!.face : connections;
  const datastore = new Datastore<Database>(source, { ...configuration.datastore, logger });
  releasers.add(() => datastore.disconnect());
  return datastore;
}

function required<T>(value: T | undefined, key: string, { locate }: ResolvedConfiguration): T {
  if (value !== undefined) return value;
  throw new ConfigurationError(`${locate([])}: this needs ${key}, which the configuration does not name`);
}

interface VaultState<Database extends object> {
  readonly configuration: ResolvedConfiguration;
  readonly datastore: Datastore<Database> | undefined;
  readonly modules: ReadonlyMap<string, OpenModule<unknown>>;
  readonly releasers: Releasers;
  readonly logger: Logger | undefined;
}

/** The one root over all modules. Made by {@link open}. */
export class Vault<Database extends object = Record<string, Record<string, unknown>>> {
  readonly #state: VaultState<Database>;
  #closed: Promise<void> | undefined;

  /** @internal */
  constructor(state: VaultState<Database>) {
    this.#state = state;
  }

  /** The shards. @throws ConfigurationError when the configuration names none */
  get datastore(): Datastore<Database> {
    return required(this.#open().datastore, 'shards', this.#state.configuration);
  }

  /** What is wrong with the servers is told by the first call that needs them, not here. @internal */
  async learnRouting({ signal }: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    const { datastore, logger } = this.#open();
    await datastore?.learnRouting({ signal }).catch((error: unknown) => {
      if (signal?.aborted) throw error;
      logger?.warn({ error }, 'no server told yet how many slots there are');
    });
  }

  /** The shard a routing key lives in. */
  shardFor(routingKey: string): number {
    return this.datastore.shardFor(routingKey);
  }

  /** Versioned settings with a live mirror. @throws ConfigurationError when the configuration has no section `kv` */
  get kv(): Kv {
    return this.#module('kv') as Kv;
  }

  /** Event streams in the shards. @throws ConfigurationError when the configuration has no section `streams` */
  get streams(): EventStore {
    return this.#module('streams') as EventStore;
  }

  /**
   * Starts a supervisor that runs `execute` whenever the channel is notified, on the primary only, through failovers.
   * It is ended with the vault, or by its own `terminate()`.
   *
   * @throws ConfigurationError when it is not clear which server is meant
   */
  async listen({ server, ...options }: VaultListenOptions): Promise<Supervisor> {
    const { configuration, releasers, logger } = this.#open();
    const connection = this.#listenOn(server);
    const { listen } = await import('./listen/index.ts');
    const defaults = configuration.sections.get('listen') ?? {};
    const supervisor = await listen({ logger, ...defaults, ...options, connection });
    releasers.add(() => supervisor.terminate());
    return supervisor;
  }

  /** Looks at every server, and asks the modules. A server that is down is part of the answer, not an error. */
  async status({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<VaultStatus> {
    const { configuration, datastore, modules } = this.#open();
    const expected = { epoch: DEFAULT_EPOCH, schemaPrefix: 'shard', ...configuration.fixed };
    const map = datastore?.map;
    const withShards = map?.servers ?? [];
    const others = [...configuration.servers].filter(([name]) => !withShards.some((server) => server.name === name));
    const servers = await Promise.all([
      ...withShards.map((server) => serverStatus(server, expected, { signal })),
      ...others.map(([name, connection]) => serverStatus({ name, connection, ranges: [] }, expected, { signal })),
    ]);
    return {
      servers,
      pools: datastore?.stats() ?? {},
      modules: Object.fromEntries([...modules].map(([name, module]) => [name, module.status?.() ?? {}])),
    };
  }

  /** Closes what was opened, in reverse, waiting for work in hand. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#state.releasers.release();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #open(): VaultState<Database> {
    if (this.#closed !== undefined) throw new ClosedError('the vault is closed');
    return this.#state;
  }

  #module(name: SectionName): unknown {
    const { modules, configuration } = this.#open();
    return required(modules.get(name), name, configuration).face;
  }

  #listenOn(name: string | undefined): ConnectionSettings {
    const { servers, control } = this.#state.configuration;
    if (name === undefined) {
      const only = servers.size === 1 ? [...servers.values()][0] : undefined;
      const connection = control ?? only;
      if (connection !== undefined) return connection;
      throw new ConfigurationError('listen: say which server, or name the control database in the configuration');
    }
    const connection = servers.get(name);
    if (connection !== undefined) return connection;
    throw unknownServer('listen', name, servers.keys());
  }
}
