import { hasCatalogue } from '../catalogue/install.ts';
import { listSources, type SourceStatus } from '../catalogue/source-rows.ts';
import type { EngineContext } from './context.ts';

/** A source of the configuration, or one that is registered and no longer in it. */
export interface SourceSummary {
  readonly name: string;
  readonly type: 'mysql' | 'pgsql';
  /** `host:port` of the source; `null` when it is not in the configuration. */
  readonly host: string | null;
  readonly mappings: Readonly<Record<string, string>>;
  /** `null` when it is not registered. */
  readonly status: SourceStatus | null;
}

export async function showSources(context: EngineContext): Promise<SourceSummary[]> {
  const registered = (await hasCatalogue(context.servers)) ? await context.control(listSources) : [];
  const summaries = [...context.config.sources.values()].map(
    ({ name, kind, mysql, postgres, schemaMappings }): SourceSummary => {
      const host =
        mysql === null ? `${postgres?.host ?? 'localhost'}:${postgres?.port ?? 5432}` : `${mysql.host}:${mysql.port}`;
      return {
        name,
        type: kind,
        host,
        mappings: schemaMappings,
        status: registered.find((row) => row.name === name)?.status ?? null,
      };
    },
  );
  const others = registered.filter(({ name }) => !context.config.sources.has(name));
  return [
    ...summaries,
    ...others.map(({ name, kind, mappings, status }) => ({ name, type: kind, host: null, mappings, status })),
  ];
}
