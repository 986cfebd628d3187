import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { assertKnownKeys } from '../../internal/known-keys.ts';
import { BadRequestError, SubscriptionCreationFailedError, SubscriptionFailedError } from '../errors.ts';
import type { LiveShards } from '../live-shards.ts';
import { Position } from '../position.ts';
import type { Shards } from '../shards.ts';
import { checkName, parseSource, type Source } from '../stream-name.ts';
import { type GroupRecord, GroupSql } from './group-sql.ts';
import { startOf } from './group-start.ts';
import { PersistentSubscription } from './persistent-subscription.ts';
import {
  type CreateSettings,
  dealing,
  PERSISTENT_DEFAULTS,
  type PersistentSettings,
  type ResolvedSettings,
  resolveSettings,
} from './settings.ts';
import { ShardConsumer } from './shard-consumer.ts';

export interface ConnectSubscriptionOptions {
  /** Events that may be in hand at once: given out and not settled. @default 10 */
  readonly maxInFlight?: number | undefined;
  /** An event is acknowledged when the next one is asked for. @default false */
  readonly autoAck?: boolean | undefined;
  /** Shown in statistics. @default host name and process id */
  readonly label?: string | undefined;
  /** The shard the stream is in, when it was given with the appends. */
  readonly shardId?: number | undefined;
}

/** Makes, changes and joins the groups of persistent subscriptions. */
export class Groups {
  readonly #shards: Shards;
  readonly #live: LiveShards;
  readonly #open = new Set<PersistentSubscription>();

  constructor(shards: Shards, live: LiveShards) {
    this.#shards = shards;
    this.#live = live;
  }

  async create(name: string, stream: string, given: CreateSettings, shardId?: number): Promise<void> {
    const { startFrom = 'end', strategy, partitions, ...rest } = given;
    checkName(name, 'a group');
    const source = parseSource(stream);
    const { strategy: how, slices } = dealing({ strategy, partitions }, source);
    const settings = resolveSettings(rest, PERSISTENT_DEFAULTS);
    const shardIds = this.#shardsOf(source, shardId);
    let start = startOf(startFrom, source);
    if (start === undefined && source.kind !== 'stream') {
      const end = await this.#live.endOf(shardIds);
      start = (id) => end.of(id);
    }
    // The first shard decides who made it; the others follow. It knows where all begin: a consumer that comes in between,
    // or after a creator that died in between, makes the others in the same way.
    const starts = new Position(shardIds.map((id) => [id, start?.(id) ?? 0n]));
    const record = { strategy: how, slices, settings, starts: source.kind === 'stream' ? undefined : starts };
    const [first, ...others] = shardIds;
    const make = (id: number): Promise<boolean> => this.#make(id, name, source, record, start?.(id));
    if (!(await make(first!))) {
      throw new SubscriptionCreationFailedError(
        `${JSON.stringify(stream)} has a group ${JSON.stringify(name)} already`,
        'AlreadyExists',
        { stream },
      );
    }
    await Promise.all(others.map(make));
  }

  async update(name: string, stream: string, given: PersistentSettings, shardId?: number): Promise<void> {
    for (const fixed of ['startFrom', 'strategy', 'partitions']) {
      if (fixed in given)
        throw new BadRequestError(`${fixed} is fixed when a group is made: delete it and make another`);
    }
    const source = parseSource(stream);
    const found = await this.#records(name, source, shardId);
    const present = [...found.values()];
    if (present.length === 0) throw notFound(name, stream);
    resolveSettings(given, present[0]!.settings);
    const wanted = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    await Promise.all(
      [...found].map(([id, { id: groupId }]) =>
        this.#shards.query('group', id, {
          // Only what is given: another one may be changing something else at the same time.
          text: `update ${this.#shards.schema(id)}.hv_groups set settings = settings || $2::jsonb, max_subscribers = coalesce($3, max_subscribers), revision = revision + 1 where id = $1`,
          values: [groupId, JSON.stringify(wanted), given.maxSubscriberCount ?? null],
        }),
      ),
    );
  }

  async delete(name: string, stream: string, shardId?: number): Promise<void> {
    const source = parseSource(stream);
    const gone = await Promise.all(
      this.#shardsOf(source, shardId).map(async (id) => {
        const text = `select ${this.#shards.schema(id)}.hv_group_delete($1, $2)`;
        const rows = await this.#shards.query('group', id, { text, values: [name, source.name] });
        return rows[0]![0] === 't';
      }),
    );
    if (!gone.includes(true)) throw notFound(name, stream);
  }

  /** Joins a group as a further consumer. */
  async connect(
    name: string,
    stream: string,
    options: ConnectSubscriptionOptions = {},
  ): Promise<PersistentSubscription> {
    const { maxInFlight = 10, autoAck = false, label = `${hostname()} ${process.pid}`, shardId } = options;
    assertKnownKeys(options, ['maxInFlight', 'autoAck', 'label', 'shardId'], 'connectSubscription');
    if (!Number.isInteger(maxInFlight) || maxInFlight < 1) {
      throw new BadRequestError(`maxInFlight must be a whole number above 0, not ${String(maxInFlight)}`);
    }
    const source = parseSource(stream);
    const records = await this.#everywhere(name, source, shardId);
    const { closeTimeoutMs } = this.#shards.options;
    const subscription = new PersistentSubscription(this.#shards.datastore, {
      name,
      source: stream,
      maxInFlight,
      autoAck,
      closeTimeoutMs,
      onEnd: (ended) => this.#open.delete(ended),
    });
    const consumer = randomUUID();
    const joined = await Promise.all(
      [...records].map(async ([id, record]) => {
        const sql = new GroupSql(this.#shards, id, record, consumer, label);
        return { sql, beat: await sql.beat(record.settings.leaseMs, {}) };
      }),
    );
    const refused = joined.find(({ beat }) => beat.status !== 'ok');
    if (refused !== undefined) {
      await Promise.all(joined.map(({ sql }) => sql.release([], true, {})));
      throw refused.beat.status === 'full' ? full(name, stream, refused.sql.group) : notFound(name, stream);
    }
    const consumers = joined.map(({ sql }) => {
      const reload = async (): Promise<ResolvedSettings | undefined> =>
        (await this.#record(sql.shardId, name, source))?.settings;
      const { dealer } = subscription;
      return new ShardConsumer(this.#shards, this.#live, sql, { source, dealer, maxInFlight, reload });
    });
    subscription.use(consumers);
    this.#open.add(subscription);
    for (const [place, shardConsumer] of consumers.entries()) shardConsumer.start(joined[place]!.beat);
    if (this.#shards.closed) await subscription.end(this.#shards.closedError());
    return subscription;
  }

  /** The group's record in each shard that has it. @internal */
  async records(name: string, stream: string, shardId?: number): Promise<Map<number, GroupRecord>> {
    const found = await this.#records(name, parseSource(stream), shardId);
    if (found.size === 0) throw notFound(name, stream);
    return found;
  }

  async close(): Promise<void> {
    const error = this.#shards.closedError();
    await Promise.all([...this.#open].map((subscription) => subscription.end(error)));
  }

  /** The group in every shard; made where it is missing, since a shard that was added later had no events before. */
  async #everywhere(name: string, source: Source, shardId?: number): Promise<Map<number, GroupRecord>> {
    const found = await this.#records(name, source, shardId);
    const [some] = found.values();
    if (some === undefined) throw notFound(name, source.name);
    const shardIds = this.#shardsOf(source, shardId);
    const missing = shardIds.filter((id) => !found.has(id));
    if (missing.length === 0) return found;
    await Promise.all(missing.map((id) => this.#make(id, name, source, some, some.starts?.of(id) ?? 0n)));
    return this.#records(name, source, shardId);
  }

  async #records(name: string, source: Source, shardId?: number): Promise<Map<number, GroupRecord>> {
    const found = await Promise.all(
      this.#shardsOf(source, shardId).map(async (id) => [id, await this.#record(id, name, source)] as const),
    );
    return new Map(found.filter((pair): pair is [number, GroupRecord] => pair[1] !== undefined));
  }

  async #record(shardId: number, name: string, source: Source): Promise<GroupRecord | undefined> {
    const text = `select id, strategy, slices, settings, revision from ${this.#shards.schema(shardId)}.hv_groups where name = $1 and source = $2`;
    const [row] = await this.#shards.query('group', shardId, { text, values: [name, source.name] });
    if (row === undefined) return undefined;
    const [id, strategy, slices, settings, revision] = row;
    const { starts, ...kept } = JSON.parse(settings!) as ResolvedSettings & { starts?: string };
    return {
      id: id!,
      strategy: strategy as GroupRecord['strategy'],
      slices: Number(slices),
      settings: { ...PERSISTENT_DEFAULTS, ...kept },
      starts: starts === undefined ? undefined : Position.parse(starts),
      revision: BigInt(revision!),
    };
  }

  async #make(
    shardId: number,
    name: string,
    source: Source,
    { strategy, slices, settings, starts }: Omit<GroupRecord, 'id' | 'revision'>,
    start: bigint | undefined,
  ): Promise<boolean> {
    const rows = await this.#shards.query('group', shardId, {
      text: `select ${this.#shards.schema(shardId)}.hv_group_create($1, $2, $3, $4, $5, $6, $7)`,
      values: [
        name,
        source.name,
        strategy,
        slices,
        settings.maxSubscriberCount,
        start ?? null,
        JSON.stringify({ ...settings, ...(starts !== undefined && { starts }) }),
      ],
    });
    return rows[0]![0] === 'created';
  }

  #shardsOf(source: Source, shardId: number | undefined): number[] {
    if (source.kind !== 'stream') return this.#shards.ids;
    return [shardId ?? this.#shards.datastore.shardFor(source.name)];
  }
}

function notFound(name: string, stream: string): SubscriptionFailedError {
  return new SubscriptionFailedError(
    `${JSON.stringify(stream)} has no group ${JSON.stringify(name)}; make it with createSubscription`,
    'NotFound',
    { stream },
  );
}

function full(name: string, stream: string, { settings }: GroupRecord): SubscriptionCreationFailedError {
  return new SubscriptionCreationFailedError(
    `the group ${JSON.stringify(name)} of ${JSON.stringify(stream)} has its ${settings.maxSubscriberCount} consumers (setting maxSubscriberCount)`,
    'SubscriberMaxCountReached',
    { stream },
  );
}
