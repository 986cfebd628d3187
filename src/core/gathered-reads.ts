import type { CustomTypesConfig, QueryArrayResult } from 'pg';
import { isConnectionLoss } from '../internal/sqlstate.ts';
import type { Gatherer, Gathering } from './gatherer.ts';
import type { Lane } from './lane.ts';
import { mayHaveMoved } from './moved-shard.ts';
import { hasLostPlan } from './statement.ts';

/** One table of one shard, as gathered reads see it. */
export interface ReadSource {
  readonly shardId: number;
  /** Reads the row whose id is `$1`; the id comes first, as text. */
  readonly selectOne: string;
  /** Reads the rows whose ids are in the array `$1`; the id comes first, as text. */
  readonly selectMany: string;
  readonly types: CustomTypesConfig;
  /** Makes what the caller gets of one row. */
  decode(row: unknown[], result: QueryArrayResult): unknown;
}

/** One row asked for. `found` or `fail` is called exactly once. */
export interface ReadCall {
  readonly source: ReadSource;
  /** Decimal. */
  readonly id: string;
  /** Past this moment (`Date.now()`) a lost session is told to the caller; 0 while none was lost. */
  retryUntil: number;
  found(row: unknown): void;
  fail(error: unknown): void;
}

/** What reads need from the server they belong to. */
export interface ReadHost {
  readonly retryMs: number;
  isSlow(shardId: number): boolean;
  /** A session was lost, or the server is no primary any more. */
  lost(error: unknown): void;
  /** A shard's statement failed as it does when the shard has moved; settles its calls or sends them elsewhere. */
  moved(calls: ReadCall[], error: unknown, lane?: Lane): void;
  /** The server has left the map: what it has not done is done elsewhere. */
  hasLeft(): boolean;
}

/**
 * Reads by id, gathered: a batch is one `id = any($1)` for each table and shard in it, sent over a lane without waiting.
 * Tried beside it at 256 callers over 16 shards: one `union all` for the batch, a fixed union over all shards, a
 * PL/pgSQL loop over shards; this one is the fastest and the only one where a slow shard delays only itself.
 */
export class GatheredReads implements Gathering<ReadCall> {
  readonly #host: ReadHost;
  #shared: Gatherer<ReadCall> | undefined;
  #apart: Gatherer<ReadCall> | undefined;

  constructor(host: ReadHost) {
    this.#host = host;
  }

  /** `shared` carries all shards, `apart` those that are slow at the moment. */
  use(shared: Gatherer<ReadCall>, apart: Gatherer<ReadCall>): void {
    this.#shared = shared;
    this.#apart = apart;
  }

  add(call: ReadCall): void {
    const gatherer = this.#host.isSlow(call.source.shardId) ? this.#apart : this.#shared;
    gatherer!.add(call);
  }

  send(lane: Lane, calls: ReadCall[], finished: () => void): void {
    const bySource = new Map<ReadSource, ReadCall[]>();
    for (const call of calls) {
      const group = bySource.get(call.source);
      if (group === undefined) bySource.set(call.source, [call]);
      else group.push(call);
    }
    let open = bySource.size;
    const statements = [];
    for (const [source, group] of bySource) {
      const one = group.length === 1;
      statements.push({
        shardId: source.shardId,
        text: one ? source.selectOne : source.selectMany,
        values: [one ? group[0]!.id : arrayOfIds(group)],
        nothing: one ? [null] : ['{}'],
        types: source.types,
        done: (error: unknown, result: QueryArrayResult | undefined) => {
          if (result === undefined || error !== undefined) this.#failed(lane, group, error);
          else settle(source, group, result);
          open -= 1;
          if (open === 0) finished();
        },
      });
    }
    lane.send(statements);
  }

  refuse(calls: ReadCall[], error: unknown): void {
    if (this.#host.hasLeft()) return byShard(calls, (group) => this.#host.moved(group, error));
    for (const call of calls) call.fail(error);
  }

  #failed(lane: Lane, calls: ReadCall[], error: unknown): void {
    if (isConnectionLoss(error)) {
      this.#host.lost(error);
      this.#again(calls, error);
    } else if (hasLostPlan(error)) {
      lane.stalled = true;
      this.#again(calls, error);
    } else if (mayHaveMoved(error)) {
      this.#host.moved(calls, error, lane);
    } else {
      for (const call of calls) call.fail(error);
    }
  }

  /** Reads may be sent again, for a bounded time. */
  #again(calls: ReadCall[], error: unknown): void {
    const now = Date.now();
    for (const call of calls) {
      if (call.retryUntil === 0) call.retryUntil = now + this.#host.retryMs;
      if (now < call.retryUntil) this.add(call);
      else call.fail(error);
    }
  }
}

/** Calls of one shard, together. */
export function byShard<Call extends { readonly source: { readonly shardId: number } }>(
  calls: readonly Call[],
  each: (group: Call[]) => void,
): void {
  const groups = new Map<number, Call[]>();
  for (const call of calls) {
    const group = groups.get(call.source.shardId);
    if (group === undefined) groups.set(call.source.shardId, [call]);
    else group.push(call);
  }
  for (const group of groups.values()) each(group);
}

function arrayOfIds(calls: readonly ReadCall[]): string {
  let text = '{';
  for (let i = 0; i < calls.length; i++) text += i === 0 ? calls[i]!.id : `,${calls[i]!.id}`;
  return `${text}}`;
}

/** Gives every call its row, or `null`. A row asked for twice is decoded twice: callers may change what they get. */
function settle(source: ReadSource, calls: readonly ReadCall[], result: QueryArrayResult): void {
  const { rows } = result;
  if (calls.length === 1) return settleOne(source, calls[0]!, rows[0], result);
  const byId = new Map<unknown, unknown[]>();
  for (const row of rows) byId.set(row[0], row);
  for (const call of calls) settleOne(source, call, byId.get(call.id), result);
}

function settleOne(source: ReadSource, call: ReadCall, row: unknown[] | undefined, result: QueryArrayResult): void {
  if (row === undefined) return call.found(null);
  let decoded: unknown;
  try {
    decoded = source.decode(row, result);
  } catch (error) {
    return call.fail(error);
  }
  call.found(decoded);
}
