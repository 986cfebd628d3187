import { sleep } from '../../internal/sleep.ts';
import { ReplicaStateError } from '../errors.ts';
import type { Position } from '../model/position.ts';
import type { SourceServer } from './flavour.ts';
import type { MysqlSession } from './session.ts';
import { currentPosition } from './status.ts';

const EVERY_MS = 200;

/**
 * A place of the log from which reading meets the PREPARE of each XA transaction that is prepared, and not committed, in
 * a snapshot opened afterwards. Those that were prepared before it are waited for: once they have ended, the snapshot
 * shows what they did.
 *
 * @throws ReplicaStateError when they do not end in time
 */
export async function placeBeforePrepared(
  session: MysqlSession,
  server: SourceServer,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<Position> {
  const position = await currentPosition(session, server.flavour, server.lineage);
  const deadline = performance.now() + timeoutMs;
  let waitedFor: ReadonlySet<string> | undefined;
  for (;;) {
    const now = await preparedNow(session);
    waitedFor ??= new Set(now);
    const left = now.filter((xid) => waitedFor!.has(xid));
    if (left.length === 0) return position;
    if (performance.now() > deadline) {
      throw new ReplicaStateError(
        `the source has XA transactions that were prepared before the copy: ${left.slice(0, 5).join('; ')}. Their rows cannot be copied, nor followed later; end them with xa commit or xa rollback (xa recover lists them)`,
      );
    }
    await sleep(EVERY_MS, { signal, what: 'waiting for XA transactions of the source' });
  }
}

/** Empty too where the user may not ask (MySQL's XA_RECOVER_ADMIN): `preflight` warns of it. */
async function preparedNow(session: MysqlSession): Promise<string[]> {
  try {
    const rows = await session.query<{ data: Buffer | string; formatID: number }>('xa recover');
    return rows.map(({ data, formatID }) => `${Buffer.from(data as string).toString('latin1')} (format ${formatID})`);
  } catch (error) {
    if (isDenied(error)) return [];
    throw error;
  }
}

function isDenied(error: unknown): boolean {
  const code: unknown = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return code === 'ER_XAER_RMERR' || code === 'ER_SPECIFIC_ACCESS_DENIED_ERROR';
}
