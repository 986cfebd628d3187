import type { SourceConfig } from '../config/source-config.ts';
import { MysqlSource } from '../mysql/mysql-source.ts';
import { PostgresSource } from '../postgres/postgres-source.ts';
import type { ImportSource } from '../source/import-source.ts';

/** Connects to a source of either kind. */
export async function openSource(config: SourceConfig): Promise<ImportSource> {
  if (config.mysql !== null) {
    return MysqlSource.open({ settings: config.mysql, serverId: config.serverId, gtid: config.gtidEnable });
  }
  return new PostgresSource({
    settings: config.postgres!,
    slot: config.replicationSlot,
    setsIdentity: config.setReplicaIdentity,
  });
}
