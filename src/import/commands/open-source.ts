import type { SourceConfig } from '../config/source-config.ts';
import { MysqlSource } from '../mysql/mysql-source.ts';
import { PostgresSource } from '../postgres/postgres-source.ts';
import type { ImportSource } from '../source/import-source.ts';

/**
 * Connects to a source of either kind.
 * @param lineageOf - which of the servers that a source has had this one is
 */
export async function openSource(
  config: SourceConfig,
  lineageOf: (identity: string | null) => Promise<bigint>,
): Promise<ImportSource> {
  if (config.mysql !== null) {
    const { mysql: settings, serverId, gtidEnable: gtid } = config;
    return MysqlSource.open({ settings, serverId, gtid, lineageOf });
  }
  return new PostgresSource({
    settings: config.postgres!,
    slot: config.replicationSlot,
    setsIdentity: config.setReplicaIdentity,
  });
}
