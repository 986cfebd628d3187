import { randomBytes } from 'node:crypto';
import type { Client } from 'pg';
import { destroyClient, endClient } from '../../internal/client-guard.ts';
import { quoteLiteral } from '../../internal/quote.ts';
import type { Position } from '../model/position.ts';
import type { Snapshot, SnapshotReader } from '../source/snapshot.ts';
import { lsnPosition, parseLsn } from './lsn.ts';
import { explain, type SourceServer } from './session.ts';
import { TableReader } from './table-reader.ts';

/**
 * Opens sessions that all see the source at one place of its log, without any lock: a temporary slot tells the place
 * and exports the snapshot. Making the slot waits for the transactions that run – which also means that what they wrote
 * before their table was published is in the snapshot.
 */
export async function openSnapshot(
  server: SourceServer,
  { workers, signal }: { readonly workers: number; readonly signal?: AbortSignal | undefined },
): Promise<Snapshot> {
  const exporter = await server.connectForReplication({ signal });
  const sessions: Client[] = [];
  const onAbort = (): void => destroyClient(exporter);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const { rows } = await exporter.query<{ consistent_point: string; snapshot_name: string }>(
      `CREATE_REPLICATION_SLOT "hypervault_tmp_${randomBytes(8).toString('hex')}" TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT`,
    );
    const { consistent_point, snapshot_name } = rows[0]!;
    for (let n = 0; n < workers; n++) {
      const session = await server.connect({ signal });
      sessions.push(session);
      await session.query('begin isolation level repeatable read, read only');
      await session.query(`set transaction snapshot ${quoteLiteral(snapshot_name).trim()}`);
      await session.query('set statement_timeout = 0; set idle_in_transaction_session_timeout = 0');
    }
    return new PostgresSnapshot(lsnPosition(parseLsn(consistent_point)), sessions);
  } catch (error) {
    for (const session of sessions) destroyClient(session);
    throw explain(error, server.label);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    // The slot goes with its session; whoever has taken the snapshot up keeps it
    await endClient(exporter);
  }
}

class PostgresSnapshot implements Snapshot {
  readonly position: Position;
  readonly readers: readonly SnapshotReader[];
  readonly #sessions: readonly Client[];

  constructor(position: Position, sessions: readonly Client[]) {
    this.position = position;
    this.readers = sessions.map((session) => new TableReader(session));
    this.#sessions = sessions;
  }

  withLocked(): never {
    throw new Error('every table of Postgres is covered by the snapshot');
  }

  async release(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => endClient(session)));
  }
}
