// A primary and its standby on this machine, for failovers: who is who changes during a test.
import pg from 'pg';
import type { Embedded, EmbeddedServer } from '../../src/embedded/index.ts';
import { ownServers } from './own-server.ts';
import { waitFor } from './wait-for.ts';

export interface ServerPair {
  readonly primary: EmbeddedServer;
  readonly standby: EmbeddedServer;
  /** Both, in a fixed order that does not follow the roles. */
  readonly hosts: string[];
  readonly login: { user: string; password: string; database: string };
  /** The planned way: the primary is stopped, the standby promoted, the old primary follows it. */
  switchover(): Promise<void>;
  /** The standby becomes a primary, whatever the other one does. */
  promote(): Promise<void>;
  /** Runs a statement on the primary. */
  query(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Waits until the standby has replayed what the primary has written. */
  caughtUp(): Promise<void>;
  stop(): Promise<void>;
}

export async function serverPair({
  settings = {},
  keep = false,
}: {
  settings?: Record<string, string | number | boolean>;
  keep?: boolean;
} = {}): Promise<ServerPair> {
  const embedded: Embedded = await ownServers({
    keep,
    settings: { fsync: false, wal_retrieve_retry_interval: '100ms', ...settings },
  });
  let primary = embedded.servers[0]!;
  let standby = await embedded.makeStandby(primary);
  const hosts = [primary, standby].map(({ port }) => `127.0.0.1:${port}`);
  const { user, password, database } = primary.connection;
  const swap = (): void => {
    [primary, standby] = [standby, primary];
  };
  return {
    get primary() {
      return primary;
    },
    get standby() {
      return standby;
    },
    hosts,
    login: { user, password, database },
    switchover: async () => {
      await primary.stop('fast');
      await standby.promote();
      swap();
      await standby.follow(primary);
    },
    promote: async () => {
      await standby.promote();
      swap();
    },
    query: (text, values) => query(primary, text, values),
    caughtUp: async () => {
      const [row] = await query(primary, 'select pg_current_wal_lsn() as lsn');
      await waitFor(
        async () => (await query(standby, 'select pg_last_wal_replay_lsn() >= $1 as done', [row!.lsn]))[0]!.done,
        { what: 'replay on the standby' },
      );
    },
    stop: () => embedded.stop(),
  };
}

async function query(server: EmbeddedServer, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(server.connection);
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(text, values)).rows;
  } finally {
    await client.end();
  }
}
