import { TimeoutError } from '../../errors.ts';
import { sleep } from '../../internal/sleep.ts';
import { isLocked, lockSource } from '../catalogue/lock.ts';
import { readPosition } from '../catalogue/position-rows.ts';
import type { Servers } from '../catalogue/servers.ts';
import type { SourceRow } from '../catalogue/source-rows.ts';
import { catchUp } from '../commands/catch-up.ts';
import { type EngineContext, holding } from '../commands/context.ts';
import type { SourceConfig } from '../config/source-config.ts';
import type { Position } from '../model/position.ts';
import type { ImportSource } from '../source/import-source.ts';
import { backKey, OLD_DATABASE } from '../way-back/back-names.ts';
import { oldDatabase } from '../way-back/old-database.ts';
import { backSource } from '../way-back/replicate-back.ts';
import { bringBack, withStopped } from '../way-back/switch-work.ts';
import { serversOf } from '../workers/load-tables.ts';

interface PassOptions {
  readonly signal?: AbortSignal | undefined;
  /** @default 60000 */
  readonly timeoutMs?: number | undefined;
}

/** Waits until every server has what the source has now. */
export async function passStream(
  context: EngineContext,
  config: SourceConfig,
  row: SourceRow,
  source: ImportSource,
  { signal, timeoutMs = 60_000 }: PassOptions,
): Promise<void> {
  if (!(await context.control((client) => isLocked(client, row)))) {
    const lock = await lockSource(context.servers, row, { signal });
    await catchUp(holding(context, row), config, row, { signal, timeoutMs }).finally(() => lock.release());
    return;
  }
  const wanted = await source.currentPosition();
  for (const server of serversOf(context, config)) {
    await reach(context.servers, server, row.key, wanted, { signal, timeoutMs });
  }
}

/** Waits until the old database has what the servers have now. */
export async function passBack(
  context: EngineContext,
  config: SourceConfig,
  row: SourceRow,
  { signal, timeoutMs = 60_000 }: PassOptions,
): Promise<void> {
  if (!(await context.control((client) => isLocked(client, row)))) {
    await withStopped(context, config.name, { signal, timeoutMs }, bringBack);
    return;
  }
  const old = oldDatabase(config);
  try {
    for (const server of serversOf(context, config)) {
      const reader = backSource({ context, config }, server);
      const wanted = await reader.currentPosition().finally(() => reader.close());
      await reach(old, OLD_DATABASE, backKey(row, server), wanted, { signal, timeoutMs });
    }
  } finally {
    await old.close();
  }
}

async function reach(
  servers: Servers,
  server: string,
  key: string,
  wanted: Position,
  { signal, timeoutMs }: { readonly signal: AbortSignal | undefined; readonly timeoutMs: number },
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const reached = await servers.with(server, (client) => readPosition(client, key));
    if (reached !== null && reached.position.ordinal >= wanted.ordinal) return;
    if (Date.now() > deadline) {
      throw new TimeoutError(
        `${server} did not reach ${wanted.text} within ${timeoutMs} ms: the replica is behind, or stands still`,
      );
    }
    await sleep(50, { signal, what: 'verifying' });
  }
}
