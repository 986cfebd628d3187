import type { Client } from 'pg';
import { sleep } from '../../internal/sleep.ts';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import { Servers } from '../catalogue/servers.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { ORIGIN_PREFIX } from '../postgres/replication/follow-changes.ts';
import { messageOf } from '../workers/message-of.ts';
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
export async function writeAsStream(client: Client, key: string, waiting: OriginWait): Promise<void> {
  await client.query('set session_replication_role = replica');
  await markOrigin(client, key, waiting);
}

/** How the mark is waited for. */
export interface OriginWait {
  readonly signal?: AbortSignal | undefined;
  /** Told once, when it takes long. */
  readonly onLong: (message: string) => void;
}

/** Tries, a tenth of a second each, until somebody should hear of it. */
const LONG = 50;

/**
 * Marks what a session writes as ours, where the role may do so. The session of a process that was killed holds the mark
 * until its statement is over, however long that waits for others: that is waited for, for nobody else may hold it.
 */
async function markOrigin(client: Client, key: string, { signal, onLong }: OriginWait): Promise<void> {
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
      // Made in this moment by another session, or held by it
      if (state !== OBJECT_IN_USE && state !== SQLSTATE.uniqueViolation) throw error;
      if (attempt === LONG)
        onLong(`${messageOf(error)}: waiting until that session ends; it is of a process that was killed`);
      await sleep(100, { signal, what: 'taking up a replication origin' });
    }
  }
}
