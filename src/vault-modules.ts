import type { ResolvedConfiguration, SectionName } from './config/index.ts';
import type { ConnectionSettings, Datastore, Logger, ShardMapSource } from './core/index.ts';
import { ConfigurationError } from './errors.ts';
import { assertKnownKeys } from './internal/known-keys.ts';

/** What a module is opened with. */
export interface VaultParts {
  readonly configuration: ResolvedConfiguration;
  /** @throws ConfigurationError when the configuration names no shards */
  readonly datastore: () => Datastore;
  /** The control database. @throws ConfigurationError when the configuration names none */
  readonly control: () => ConnectionSettings;
  readonly logger: Logger | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A module that is open: what it shows on the vault, how it ends, how it is. */
export interface OpenModule<Face> {
  readonly face: Face;
  close(): Promise<void>;
  /** Plain data. */
  status?(): unknown;
}

/** Opens a module with the options of its section. */
export type OpenVaultModule<Face> = (
  options: Readonly<Record<string, unknown>>,
  parts: VaultParts,
) => Promise<OpenModule<Face>>;

/**
 * How each module is opened, in the order of opening; they are closed in reverse. A module is loaded only when the
 * configuration names it. `listen` is not here: it opens nothing before it is called. `import` neither: it is run by
 * commands.
 */
export const VAULT_MODULES: Partial<Readonly<Record<SectionName, OpenVaultModule<unknown>>>> = {
  kv: async (options, { control, logger }) => {
    const { openKv } = await import('./kv/index.ts');
    const kv = await openKv({ connection: control(), logger, ...options });
    return { face: kv, close: () => kv.close(), status: () => kv.status() };
  },
  streams: async (options, { datastore, logger }) => {
    const { connect } = await import('./streams/index.ts');
    const store = await connect({ datastore: datastore(), logger, ...options });
    return { face: store, close: () => store.close(), status: () => store.stats() };
  },
};

/** Sections that are options of something else than a module to open. */
export const NOT_OPENED: readonly SectionName[] = ['listen', 'import', 'cluster'];

/** The shard map that follows the control database: what `shards: live` asks for. */
export async function openLiveShardMap(
  configuration: ResolvedConfiguration,
  logger?: Logger | undefined,
): Promise<OpenModule<ShardMapSource>> {
  const { control, servers, sections } = configuration;
  if (control === undefined) {
    throw new ConfigurationError(
      `${configuration.locate(['shards'])}: live shards need control, the server with the map`,
    );
  }
  const { liveShardMap } = await import('./cluster/index.ts');
  const options = sections.get('cluster') ?? {};
  assertKnownKeys(options, ['cacheFile'], configuration.locate(['cluster']));
  const { cacheFile } = options as { cacheFile?: string };
  const map = await liveShardMap({ control, servers: Object.fromEntries(servers), cacheFile, logger });
  return { face: map, close: () => map.close() };
}

/** How the module of a section is opened. @throws ConfigurationError when this version has no such module */
export function openerOf(name: SectionName, configuration: ResolvedConfiguration): OpenVaultModule<unknown> {
  const opener = VAULT_MODULES[name];
  if (opener !== undefined) return opener;
  throw new ConfigurationError(`${configuration.locate([name])}: this version has no module ${name}`);
}
