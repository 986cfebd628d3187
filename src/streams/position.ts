import { BadRequestError } from './errors.ts';

const MAX_DEPTH = 16;

/**
 * A place in all events of the cluster: for each shard, how many positions are before it. Reading forwards goes on with
 * the position behind it, backwards with the one before it.
 *
 * Over several shards there is no total order, so this is a vector: one position may be before another one, after it,
 * or neither. Keep it as text (`toString`) or JSON; {@link Position.parse} reads both.
 *
 * @example
 * ```ts
 * const position = Position.parse('1:42,2:17');   // 42 events of shard 1 and 17 of shard 2 are read
 * for await (const event of store.iterAll({ fromPosition: position })) {}
 * ```
 */
export class Position {
  /** Before the first event. */
  static readonly beginning: Position = new Position();

  #flat: ReadonlyMap<number, bigint> | undefined;
  // A position that differs from another one in a single shard is kept as that difference, up to a depth: the merge
  // makes one for each event, and copying 512 shards every time would cost more than reading the event.
  readonly #base: Position | undefined;
  readonly #shardId: number = -1;
  readonly #position: bigint = 0n;
  readonly #depth: number = 0;

  constructor(shards: Iterable<readonly [shardId: number, position: bigint]> = [], base?: Position) {
    if (base === undefined) {
      this.#flat = new Map(shards);
      return;
    }
    for (const [shardId, position] of shards) {
      this.#shardId = shardId;
      this.#position = position;
    }
    this.#base = base;
    this.#depth = base.#depth + 1;
  }

  /** @throws BadRequestError */
  static parse(text: string): Position {
    const shards = new Map<number, bigint>();
    for (const part of text === '' ? [] : text.split(',')) {
      const match = /^(\d{1,4}):(\d{1,19})$/.exec(part);
      if (match === null) {
        throw new BadRequestError(`${JSON.stringify(text)} is not a position; one looks like '1:42,2:17'`);
      }
      shards.set(Number(match[1]), BigInt(match[2]!));
    }
    return new Position(shards);
  }

  /** The position in one shard; 0 before its first event. */
  of(shardId: number): bigint {
    return this.#shards.get(shardId) ?? 0n;
  }

  get #shards(): ReadonlyMap<number, bigint> {
    if (this.#flat !== undefined) return this.#flat;
    const chain: Position[] = [];
    let base: Position = this;
    for (; base.#flat === undefined; base = base.#base!) chain.push(base);
    const shards = new Map(base.#flat);
    for (let link = chain.pop(); link !== undefined; link = chain.pop()) shards.set(link.#shardId, link.#position);
    this.#flat = shards;
    return shards;
  }

  /** The shards of which something was read. */
  get shards(): number[] {
    return [...this.#shards.keys()].sort((a, b) => a - b);
  }

  /** The same with another position in one shard. */
  with(shardId: number, position: bigint): Position {
    if (this.#depth < MAX_DEPTH) return new Position([[shardId, position]], this);
    return new Position(new Map(this.#shards).set(shardId, position));
  }

  /**
   * `-1` when everything read here is read there too, and less; `1` the other way round; `0` when they are the same;
   * `undefined` when each has read something that the other has not.
   */
  compare(other: Position): -1 | 0 | 1 | undefined {
    let order: -1 | 0 | 1 = 0;
    for (const shardId of new Set([...this.#shards.keys(), ...other.#shards.keys()])) {
      const [a, b] = [this.of(shardId), other.of(shardId)];
      if (a === b) continue;
      const here = a < b ? -1 : 1;
      if (order === -here) return undefined;
      order = here;
    }
    return order;
  }

  equals(other: Position): boolean {
    return this.compare(other) === 0;
  }

  toString(): string {
    return this.shards
      .filter((shardId) => this.of(shardId) > 0n)
      .map((shardId) => `${shardId}:${this.of(shardId)}`)
      .join(',');
  }

  toJSON(): string {
    return this.toString();
  }
}
