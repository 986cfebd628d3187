import { type AppendCall, mergeable } from './append-call.ts';

/** The appends to one stream that wait, in the order in which they were asked for. */
export interface StreamLine {
  readonly shardId: number;
  readonly stream: string;
  readonly calls: AppendCall[];
}

/** Calls of one stream that are written as one append. */
export interface TakenGroup {
  readonly line: StreamLine;
  readonly group: readonly AppendCall[];
}

/** What a batch may hold; one append alone may be larger. */
export interface BatchBounds {
  /** Streams it should have: it may have more where they are of one shard. */
  readonly streams: number;
  /** Streams of one shard in it. */
  readonly streamsOfShard: number;
  readonly events: number;
  readonly bytes: number;
}

/**
 * Appends that wait, by shard and stream. A stream that was taken is not given out again before it is put back, so its
 * appends happen in order.
 */
export class WaitingAppends {
  readonly #lines = new Map<number, Map<string, StreamLine>>();
  /** Streams with calls that are not taken, by shard; the shard that waits longest comes first. */
  readonly #ready = new Map<number, StreamLine[]>();
  #size = 0;

  /** Streams that may be taken. */
  get size(): number {
    return this.#size;
  }

  /** Shards of which there is something to take. */
  get shards(): number {
    return this.#ready.size;
  }

  add(call: AppendCall): void {
    const { shardId, stream } = call;
    let lines = this.#lines.get(shardId);
    if (lines === undefined) {
      lines = new Map();
      this.#lines.set(shardId, lines);
    }
    const line = lines.get(stream);
    if (line !== undefined) {
      line.calls.push(call);
      return;
    }
    const fresh = { shardId, stream, calls: [call] };
    lines.set(stream, fresh);
    this.#offer(fresh);
  }

  /** Takes streams with as many of their calls as can be written as one append: few shards, those that wait longest. */
  take(bounds: BatchBounds): TakenGroup[] {
    const taken: TakenGroup[] = [];
    let { events, bytes } = bounds;
    for (const [shardId, ready] of this.#ready) {
      if (taken.length >= bounds.streams) break;
      let count = 0;
      for (const line of ready.slice(0, bounds.streamsOfShard)) {
        const group: AppendCall[] = [];
        for (const call of line.calls) {
          const fits = call.events.length <= events && call.bytes <= bytes;
          if (!fits && taken.length + group.length > 0) break;
          if (group.length > 0 && !(mergeable(call) && mergeable(group[0]!))) break;
          group.push(call);
          events -= call.events.length;
          bytes -= call.bytes;
        }
        if (group.length === 0) break;
        line.calls.splice(0, group.length);
        taken.push({ line, group });
        count += 1;
      }
      this.#size -= count;
      this.#ready.delete(shardId);
      if (count === ready.length) continue;
      this.#ready.set(shardId, ready.slice(count));
      break;
    }
    return taken;
  }

  /** What was taken of a stream is settled. */
  putBack(line: StreamLine): void {
    if (line.calls.length > 0) return this.#offer(line);
    const lines = this.#lines.get(line.shardId)!;
    lines.delete(line.stream);
    if (lines.size === 0) this.#lines.delete(line.shardId);
  }

  /** Takes every call of the streams that are not taken. */
  drain(): AppendCall[] {
    const drained: AppendCall[] = [];
    for (const lines of this.#ready.values()) {
      for (const line of lines) {
        drained.push(...line.calls.splice(0));
        this.putBack(line);
      }
    }
    this.#ready.clear();
    this.#size = 0;
    return drained;
  }

  #offer(line: StreamLine): void {
    this.#size += 1;
    const ready = this.#ready.get(line.shardId);
    if (ready === undefined) this.#ready.set(line.shardId, [line]);
    else ready.push(line);
  }
}
