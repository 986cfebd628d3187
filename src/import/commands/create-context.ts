import type { Client } from 'pg';
import { Servers } from '../catalogue/servers.ts';
import type { ImportConfig } from '../config/import-config.ts';
import { readImportConfig } from '../config/read-config.ts';
import type { PlacedShards } from '../config/topology.ts';
import { levelled } from '../log/levels.ts';
import { openLogFile, writePidFile } from '../log/own-files.ts';
import { atLeast, type NoticeTarget, Notifier } from '../notify/notifier.ts';
import { rollbar } from '../notify/rollbar.ts';
import { webhook } from '../notify/webhook.ts';
import type { ReplicaEngineOptions } from '../options.ts';
import { readLiveShards } from '../route/live-shards.ts';
import { Places } from '../route/places.ts';
import type { EngineContext } from './context.ts';
import { openSource } from './open-source.ts';
import { sourceLineage } from './source-lineage.ts';

export interface OpenContext {
  readonly context: EngineContext;
  readonly close: () => Promise<void>;
}

/** Reads the configuration and makes what all commands share. Connects to nothing yet, unless the shard map is a live one. */
export async function createContext(options: ReplicaEngineOptions): Promise<OpenContext> {
  const config = await readImportConfig(options.config, options.environment);
  const { daemon, logger } = options;
  const servers = new Servers(config.topology);
  const places = await placesOf(config, options, servers).catch(async (error: unknown) => {
    await servers.close();
    throw error;
  });
  const file = openLogFile(config, daemon);
  const pidFile = daemon === undefined ? null : writePidFile(config, daemon);
  const log = levelled(
    options.logLevel ?? config.logLevel,
    [logger, file].filter((one) => one !== null && one !== undefined),
  );
  const notifier = new Notifier(noticeTargets(config, options), log);
  for (const warning of config.warnings) log.warn(warning);
  const controlPool = servers.endpoint(servers.control).createPool({ max: 4, waitTimeoutMs: 10_000 });
  const context: EngineContext = {
    config,
    servers,
    places,
    log,
    notifier,
    controlPool,
    control: async (work) => {
      const client = await controlPool.connect();
      let broken = false;
      try {
        return await work(client as unknown as Client);
      } catch (error) {
        broken = true;
        throw await servers.explain(servers.control, error);
      } finally {
        client.release(broken);
      }
    },
    openSource: (source) => openSource(source, (identity) => sourceLineage(context, source.name, identity)),
  };
  return {
    context,
    close: async () => {
      await Promise.all([servers.close(), notifier.close()]);
      pidFile?.remove();
      file?.close();
    },
  };
}

async function placesOf(
  { topology: { shards } }: ImportConfig,
  { shardMap }: ReplicaEngineOptions,
  servers: Servers,
): Promise<Places> {
  if (shards?.kind !== 'live') return new Places(shards);
  const read = (): Promise<PlacedShards> => readLiveShards(shards, shardMap, servers);
  return new Places(await read(), read);
}

function noticeTargets(
  config: ImportConfig,
  { onNotice, rollbarLevel = 'info' }: ReplicaEngineOptions,
): NoticeTarget[] {
  const { rollbarKey: key, rollbarEnv: environment, rollbarUrl, webhookUrl } = config;
  const targets: NoticeTarget[] = onNotice === undefined ? [] : [onNotice];
  if (key !== null && environment !== null)
    targets.push(atLeast(rollbarLevel, rollbar({ key, environment, url: rollbarUrl ?? undefined })));
  if (webhookUrl !== null) targets.push(webhook(webhookUrl));
  return targets;
}
