/** One shard's part of an atomic write, as its prepared transaction is named: the server keeps nothing else of it. */
export interface AtomicPart {
  /** Of the write: a UUID, and the key of its decision. */
  readonly id: string;
  /** The shard that has the decision. */
  readonly coordinator: number;
  /** The shard that was written to. */
  readonly shardId: number;
}

/** How the names of all parts begin. Movers know them by it: sql and src/cluster/move/preflight-survey.ts repeat it. */
export const PART_PREFIX = 'hv_atomic:';

const NAME = /^hv_atomic:([0-9a-f-]{36}):(\d{1,4}):(\d{1,4})$/;

export function partName({ id, coordinator, shardId }: AtomicPart): string {
  return `${PART_PREFIX}${id}:${coordinator}:${shardId}`;
}

/** `undefined` for the name of a transaction that somebody else prepared. */
export function parsePartName(name: string): AtomicPart | undefined {
  const [, id, coordinator, shardId] = NAME.exec(name) ?? [];
  return id === undefined ? undefined : { id, coordinator: Number(coordinator), shardId: Number(shardId) };
}
