import type { Client } from 'pg';
import { ConfigurationError } from '../../errors.ts';
import type { EndpointPool } from '../../internal/endpoint/pool.ts';
import { Fence } from '../catalogue/fence.ts';
import type { WorkerKind } from '../catalogue/lock.ts';
import type { Servers } from '../catalogue/servers.ts';
import type { SourceRow } from '../catalogue/source-rows.ts';
import type { ImportConfig } from '../config/import-config.ts';
import type { SourceConfig } from '../config/source-config.ts';
import type { ImportLog } from '../log/import-log.ts';
import type { MappingOptions } from '../mapping/map-table.ts';
import type { Notifier } from '../notify/notifier.ts';
import type { Places } from '../route/places.ts';
import type { ImportSource } from '../source/import-source.ts';

/** What every command works with. */
export interface EngineContext {
  readonly config: ImportConfig;
  readonly servers: Servers;
  readonly places: Places;
  readonly log: ImportLog;
  readonly notifier: Notifier;
  /** Lends a session on the control database. */
  control<Result>(work: (client: Client) => Promise<Result>): Promise<Result>;
  readonly controlPool: EndpointPool;
  openSource(source: SourceConfig): Promise<ImportSource>;
}

/** What a command works with that holds the lock of a source: what earlier holders left running on the servers is ended. */
export function holding(
  context: EngineContext,
  source: Pick<SourceRow, 'name' | 'key'>,
  workers?: readonly WorkerKind[],
): EngineContext {
  return { ...context, servers: context.servers.behind(new Fence(source, workers)) };
}

export function sourceConfig({ config }: EngineContext, name: string): SourceConfig {
  const source = config.sources.get(name);
  if (source !== undefined) return source;
  throw new ConfigurationError(
    `there is no source ${JSON.stringify(name)} in the configuration; known: ${[...config.sources.keys()].join(', ') || 'none'}`,
  );
}

/** How tables of a source are mapped. */
export function mappingOptions({ config }: EngineContext, source: SourceConfig, postgis: boolean): MappingOptions {
  return {
    postgis,
    timestamptz: source.timestamptz,
    overrides: config.overrides,
    valuePolicies: source.valuePolicies,
    keepGenerated: source.keepGenerated,
  };
}
