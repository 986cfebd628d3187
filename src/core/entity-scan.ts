import type { QueryArrayResult } from 'pg';
import { InvalidArgumentError } from '../errors.ts';
import { quoteIdentifier } from '../internal/quote.ts';
import { throwIfAborted } from '../internal/sleep.ts';
import type { Body, Entity } from './entity.ts';
import { decodeEntity, ENTITY_COLUMNS, RAW_TYPES } from './entity-reads.ts';
import { encodeHstore } from './hstore.ts';
import { idRange, Key } from './key.ts';
import { mergeSorted } from './merge.ts';
import type { Server } from './server.ts';
import type { Servers } from './servers.ts';

/** Which entities are read, over many shards. */
export interface ScanOptions {
  readonly kind?: number | undefined;
  /** Made at this time or later, by the time in the id. */
  readonly from?: Date | undefined;
  /** Made before this time, by the time in the id. */
  readonly to?: Date | undefined;
  /** @default every shard of the map */
  readonly shards?: readonly number[] | undefined;
  /** Ends it; the pages under way are cancelled. */
  readonly signal?: AbortSignal | undefined;
}

/** Which entities are looked for. */
export interface FindOptions extends ScanOptions {
  /** Fields the body must have with these values. */
  readonly contains?: Body | undefined;
  /** Ids say when rows were made, so this is the order of ids. @default 'created' */
  readonly orderBy?: 'created' | '-created' | undefined;
  /** Most entities returned. @default no limit */
  readonly limit?: number | undefined;
  /** Goes on behind this key: the last one of the page before. */
  readonly after?: Key | undefined;
}

/** Entities held in memory over all shards while a scan runs. */
const HELD = 8_000;
const MAX_PAGE = 500;
const MIN_PAGE = 20;

/**
 * Reads entities of many shards, merged in the order of their ids with bounded memory: one keyset page of each shard,
 * and the next one under way. Order of ids is not the order of commits: a row may appear behind the place a scan has
 * passed, for as long as its transaction was open.
 */
export function scanEntities(
  servers: Servers,
  { epoch, prefixed, maxConcurrent }: { epoch: number; prefixed: (shardId: number) => string; maxConcurrent: number },
  options: FindOptions,
): AsyncGenerator<Entity, void, undefined> {
  const descending = checkedOrder(options.orderBy);
  const shards = [...new Set(options.shards ?? servers.map.shards)];
  for (const shardId of shards) servers.of(shardId);
  const range = boundsOf(options, epoch);
  const limit = checkedLimit(options.limit);
  const contains = options.contains === undefined ? undefined : encodeHstore(options.contains);
  const pageSize = Math.min(
    Math.max(limit, 1),
    Math.max(MIN_PAGE, Math.min(MAX_PAGE, Math.floor(HELD / (2 * shards.length)))),
  );
  const gate = new Gate(maxConcurrent);
  const sources = shards.map((shardId) =>
    pages(async (after) => {
      throwIfAborted(options.signal, 'scan');
      const table = `${quoteIdentifier(prefixed(shardId))}.entities`;
      const [low, high] = descending ? [range.low, after ?? range.high] : [after ?? range.low, range.high];
      const values = [
        low.toString(),
        high.toString(),
        options.kind ?? null,
        pageSize,
        ...(contains === undefined ? [] : [contains]),
      ];
      const read = async (server: Server): Promise<QueryArrayResult> => {
        const { hstoreSchema = 'public' } = contains === undefined ? {} : await server.facts();
        const text = pageText(table, quoteIdentifier(hstoreSchema), descending, contains !== undefined);
        return server.run({ text, values, types: RAW_TYPES }, { signal: options.signal, patient: true });
      };
      const { rows } = await gate.run(() => servers.moved.retryRead(shardId, read));
      return rows.map((row) => decodeEntity(row, { epoch }));
    }, pageSize),
  );
  const order = descending
    ? (a: Entity, b: Entity) => Key.compare(b.key, a.key)
    : (a: Entity, b: Entity) => Key.compare(a.key, b.key);
  return limited(mergeSorted(sources, order), limit);
}

/** Bounds are exclusive, so that the last id of a page is the bound of the next. */
function pageText(table: string, hstoreSchema: string, descending: boolean, contains: boolean): string {
  return `
select ${ENTITY_COLUMNS}
  from ${table}
 where id > $1::bigint
   and id < $2::bigint
   and ($3::smallint is null or type = $3::smallint)${contains ? `\n   and body operator(${hstoreSchema}.@>) $5::text::${hstoreSchema}.hstore` : ''}
 order by id${descending ? ' desc' : ''}
 limit $4::int`;
}

function boundsOf({ from, to, after, orderBy }: FindOptions, epoch: number): { low: bigint; high: bigint } {
  let low = from === undefined ? -1n : idRange(from, from, { epoch }).lowest - 1n;
  let high = to === undefined ? MAX_BIGINT : idRange(to, to, { epoch }).lowest;
  if (after !== undefined) {
    if (!(after instanceof Key)) throw new InvalidArgumentError('after must be the Key of the last entity read');
    if (orderBy === '-created') high = after.id < high ? after.id : high;
    else low = after.id > low ? after.id : low;
  }
  return { low, high };
}

const MAX_BIGINT = (1n << 63n) - 1n;

/** One shard's entities, page by page; the next page is fetched while this one is being read. */
async function* pages(
  fetch: (after: bigint | undefined) => Promise<Entity[]>,
  pageSize: number,
): AsyncGenerator<Entity, void, undefined> {
  let next: Promise<Entity[]> | undefined = fetch(undefined);
  while (next !== undefined) {
    const page: Entity[] = await next;
    next = page.length < pageSize ? undefined : fetch(page.at(-1)!.key.id);
    // A failure is told when the page is asked for, not before.
    next?.catch(() => {});
    yield* page;
  }
}

async function* limited<Item>(
  source: AsyncGenerator<Item, void>,
  limit: number,
): AsyncGenerator<Item, void, undefined> {
  if (limit === 0) return;
  let left = limit;
  for await (const item of source) {
    yield item;
    left -= 1;
    if (left === 0) return;
  }
}

/** Lets a bounded number of page fetches run at a time; the pools bound those of one server, and must not be drained. */
class Gate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(size: number) {
    this.#free = size;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free -= 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

function checkedOrder(orderBy: FindOptions['orderBy']): boolean {
  if (orderBy === undefined || orderBy === 'created') return false;
  if (orderBy === '-created') return true;
  throw new InvalidArgumentError(`orderBy must be 'created' or '-created', not ${JSON.stringify(orderBy)}`);
}

function checkedLimit(limit: number | undefined): number {
  if (limit === undefined) return Number.MAX_SAFE_INTEGER;
  if (Number.isSafeInteger(limit) && limit >= 0) return limit;
  throw new InvalidArgumentError(`limit must be a whole number of at least 0, not ${limit}`);
}
