import { sliceOf } from '../all-source.ts';
import type { RunOptions, Shards } from '../shards.ts';
import type { Source } from '../stream-name.ts';
import type { GroupSql } from './group-sql.ts';
import { readSource, type SourceEvent } from './read-source.ts';
import type { ResolvedSettings } from './settings.ts';
import type { SliceSet } from './slice-set.ts';
import type { SliceState } from './slice-state.ts';

/** An event, and the slice it was read for. */
export interface SliceEvent extends SourceEvent {
  readonly slice: SliceState;
}

export interface SliceRead {
  readonly events: SliceEvent[];
  /** Says how far was read; called in the same moment in which the events come in line. */
  readonly done: () => void;
  /** There may be more right away. */
  readonly more: boolean;
}

/** A run that was dealt out in less time than this is followed by a longer one. */
const FAST_RUN_MS = 100;

/** Reads on in the slices of one consumer in one shard. */
export class SliceReader {
  readonly #shards: Shards;
  readonly #sql: GroupSql;
  readonly #source: Source;
  readonly #slices: SliceSet;
  readonly #options: RunOptions;
  readonly #shortRun: number;
  #run: number;
  #runSince = 0;
  #cuts = 0;

  constructor(
    shards: Shards,
    sql: GroupSql,
    {
      source,
      slices,
      maxInFlight,
      options,
    }: { source: Source; slices: SliceSet; maxInFlight: number; options: RunOptions },
  ) {
    this.#shards = shards;
    this.#sql = sql;
    this.#source = source;
    this.#slices = slices;
    this.#options = options;
    this.#shortRun = maxInFlight;
    this.#run = maxInFlight;
  }

  /** roundRobin: grows when a run is asked for, and again when it is there; odd while one is on its way. */
  get cuts(): number {
    return this.#cuts;
  }

  /** roundRobin: how long the last run may have been. */
  get run(): number {
    return this.#run;
  }

  read(max: number, settings: ResolvedSettings): Promise<SliceRead | undefined> {
    return this.#sql.group.strategy === 'ordered' ? this.#readSlices(max, settings) : this.#readRun(max, settings);
  }

  /** ordered: reads the slices that are furthest behind, up to where the next ones are. */
  async #readSlices(max: number, { checkpointMaxCount }: ResolvedSettings): Promise<SliceRead | undefined> {
    const open = [...this.#slices].filter(
      ({ readable, shed, length }) => readable && !shed && length < checkpointMaxCount,
    );
    if (open.length === 0) return undefined;
    let after = open[0]!.readTo;
    for (const { readTo } of open) if (readTo < after) after = readTo;
    let upto: bigint | undefined;
    for (const { readTo } of open) if (readTo > after && (upto === undefined || readTo < upto)) upto = readTo;
    const behind = new Map(open.filter(({ readTo }) => readTo === after).map((slice) => [slice.slice, slice]));
    const { slices: count } = this.#sql.group;
    const request = { after, upto, max, slices: { count, wanted: [...behind.keys()] } };
    const page = await readSource(this.#shards, this.#sql.shardId, this.#source, request, this.#options);
    const events: SliceEvent[] = [];
    for (const event of page.events) {
      const slice = behind.get(count === 1 ? 0 : sliceOf(event.streamId, count));
      if (slice !== undefined) events.push({ ...event, slice });
    }
    const done = (): void => {
      // A slice that is to be given back, or was lost, meanwhile: its events are left to the next owner, and its position
      // must not pass by them.
      for (const slice of behind.values()) if (!slice.lost && !slice.shed) slice.readTo = page.scannedTo;
    };
    return { events, done, more: page.scannedTo > after };
  }

  /** roundRobin: reads on in the run in hand, or has the next one cut off. */
  async #readRun(max: number, { leaseMs, readBatchSize }: ResolvedSettings): Promise<SliceRead | undefined> {
    let run = [...this.#slices].find(({ isRead, shed }) => !isRead && !shed);
    if (run === undefined) {
      const now = performance.now();
      const fast = now - this.#runSince < FAST_RUN_MS;
      this.#run = Math.min(readBatchSize, fast ? this.#run * 2 : this.#shortRun);
      this.#runSince = now;
      this.#cuts += 1;
      const lease = await this.#sql.cut(leaseMs, this.#run, this.#options).finally(() => {
        this.#cuts += 1;
      });
      if (lease === undefined) return undefined;
      run = this.#slices.take(lease);
    }
    const slice = run;
    const request = { after: run.readTo, upto: run.upto, max, slices: undefined };
    const page = await readSource(this.#shards, this.#sql.shardId, this.#source, request, this.#options);
    const done = (): void => {
      if (!slice.lost && !slice.shed) slice.readTo = page.scannedTo;
    };
    return { events: slice.lost ? [] : page.events.map((event) => ({ ...event, slice })), done, more: true };
  }
}
