import { Position } from '../position.ts';
import { RecordedEvent } from '../recorded-event.ts';
import type { Shards } from '../shards.ts';
import type { Groups } from './groups.ts';

/** An event that was put aside. */
export interface ParkedEvent {
  readonly event: RecordedEvent;
  readonly shardId: number;
  /** Number in a stream, position in a shard: names the event in {@link ReplayOptions}. */
  readonly position: bigint;
  readonly attempts: number;
  readonly reason: string | undefined;
  readonly parkedAt: Date;
}

export interface ReplayOptions {
  /** Only these. @default all */
  readonly events?: readonly Pick<ParkedEvent, 'shardId' | 'position'>[] | undefined;
  /** At most so many, lowest position first. @default all */
  readonly maxCount?: number | undefined;
  readonly shardId?: number | undefined;
}

const PAGE = 200;

/** What groups have put aside for people. */
export class Parked {
  readonly #shards: Shards;
  readonly #groups: Groups;

  constructor(shards: Shards, groups: Groups) {
    this.#shards = shards;
    this.#groups = groups;
  }

  /** Every parked event of a group, shard by shard, by position; a page is in memory at a time. */
  async *list(name: string, stream: string, shardId?: number): AsyncGenerator<ParkedEvent, void, undefined> {
    for (const [id, { id: groupId }] of await this.#groups.records(name, stream, shardId)) {
      for (let after: bigint | undefined = -1n; after !== undefined; ) {
        const page: ParkedEvent[] = await this.#page(id, groupId, after);
        yield* page;
        after = page.length === PAGE ? page.at(-1)!.position : undefined;
      }
    }
  }

  /** Puts parked events back into work, as first tries. @returns how many */
  async replay(name: string, stream: string, { events, maxCount, shardId }: ReplayOptions): Promise<number> {
    return this.#each(name, stream, { events, maxCount, shardId }, 'hv_replay');
  }

  /** Removes parked events for good. @returns how many */
  async discard(name: string, stream: string, { events, maxCount, shardId }: ReplayOptions): Promise<number> {
    return this.#each(name, stream, { events, maxCount, shardId }, 'hv_discard_parked');
  }

  async #each(name: string, stream: string, options: ReplayOptions, call: string): Promise<number> {
    let count = 0;
    for (const [id, { id: groupId }] of await this.#groups.records(name, stream, options.shardId)) {
      const left = options.maxCount === undefined ? null : options.maxCount - count;
      if (left === 0) break;
      const only = options.events?.filter(({ shardId }) => shardId === id).map(({ position }) => position);
      if (only?.length === 0) continue;
      const text = `select ${this.#shards.schema(id)}.${call}($1, $2, $3)`;
      const [row] = await this.#shards.query('group', id, { text, values: [groupId, only ?? null, left] });
      count += Number(row![0]);
    }
    return count;
  }

  async #page(shardId: number, groupId: string, after: bigint): Promise<ParkedEvent[]> {
    const schema = this.#shards.schema(shardId);
    const rows = await this.#shards.query('group', shardId, {
      text: `select p.position, p.attempts, p.reason, floor(extract(epoch from p.parked_at) * 1000)::bigint, s.name, e.number, e.id, e.uuid, e.type, e.body, e.bytes, e.metadata from ${schema}.hv_parked p join ${schema}.hv_events e on e.id = p.event join ${schema}.hv_streams s on s.id = e.stream where p.group_id = $1 and p.position > $2 order by p.position limit ${PAGE}`,
      values: [groupId, after],
    });
    return rows.map(
      ([position, attempts, reason, parkedAt, stream, number, id, uuid, type, body, bytes, metadata]) => ({
        event: new RecordedEvent(
          {
            stream: stream!,
            number: BigInt(number!),
            id: id!,
            uuid: uuid!,
            type: type!,
            body: body!,
            bytes: bytes!,
            metadata: metadata!,
          },
          this.#shards.epoch,
          { position: new Position([[shardId, BigInt(position!)]]) },
        ),
        shardId,
        position: BigInt(position!),
        attempts: Number(attempts),
        reason: reason ?? undefined,
        parkedAt: new Date(Number(parkedAt)),
      }),
    );
  }
}
