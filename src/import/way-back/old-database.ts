import type { Client } from 'pg';
import { sleep } from '../../internal/sleep.ts';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import { Servers } from '../catalogue/servers.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { ORIGIN_PREFIX } from '../postgres/replication/follow-changes.ts';
import { OLD_DATABASE } from './back-names.ts';

const OBJECT_IN_USE = '55006';

/** The old database as a server that takes rows. */
export function oldDatabase(config: SourceConfig): Servers {
  const topology = { servers: new Map([[OLD_DATABASE, config.postgres!]]), control: OLD_DATABASE, shards: null };
  return new Servers(topology, { hasCatalogue: false });
}

/**
 * Makes a session write as a stream does: triggers and foreign keys keep still – an action of theirs would do again what
 * was done in the shards – and what it writes is marked, so that no stream of ours takes it for news.
 */
export async function writeAsStream(client: Client, key: string): Promise<void> {
  await client.query('set session_replication_role = replica');
  await markOrigin(client, key);
}

/** Marks what a session writes as ours, where the role may do so. Another session may hold the mark a moment longer. */
export async function markOrigin(client: Client, key: string): Promise<void> {
  const origin = `${ORIGIN_PREFIX}${key}`;
  for (let attempt = 0; ; attempt++) {
    try {
      await client.query(
        `select pg_replication_origin_create($1)
          where not exists (select from pg_replication_origin where roname = $1)`,
        [origin],
      );
      await client.query('select pg_replication_origin_session_setup($1)', [origin]);
      return;
    } catch (error) {
      const state = sqlStateOf(error);
      if (state === SQLSTATE.insufficientPrivilege) return;
      if (state !== OBJECT_IN_USE || attempt === 50) throw error;
      await sleep(100, { what: 'taking up a replication origin' });
    }
  }
}
