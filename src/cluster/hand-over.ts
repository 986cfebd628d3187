import type { HandOver } from '../core/index.ts';

/** `{"shard":1,"server":"db2"}`. */
export function formatHandOver({ shardId, server }: HandOver): Buffer {
  return Buffer.from(JSON.stringify({ shard: shardId, server }));
}

/** `undefined` when it says something else: as a hint it may be written by a later version, and is left aside. */
export function parseHandOver(payload: Buffer): HandOver | undefined {
  try {
    const { shard, server } = JSON.parse(payload.toString()) as Record<string, unknown>;
    return Number.isInteger(shard) && typeof server === 'string' ? { shardId: shard as number, server } : undefined;
  } catch {
    return undefined;
  }
}
