import type { RunOptions } from '../shards.ts';
import type { Dealer } from './dealer.ts';
import type { HeldRetries } from './held-retries.ts';
import type { Line } from './line.ts';
import type { ReadAhead } from './read-ahead.ts';
import type { RetryLine } from './retry-line.ts';
import type { ResolvedSettings } from './settings.ts';
import type { Settlements } from './settlements.ts';
import type { SliceReader } from './slice-reader.ts';
import type { SliceSet } from './slice-set.ts';

/** What a filler works with: the parts of its consumer. */
interface FillerParts {
  readonly isOrdered: boolean;
  readonly settings: () => ResolvedSettings;
  readonly slices: SliceSet;
  readonly reader: SliceReader;
  readonly retries: RetryLine;
  readonly held: HeldRetries;
  readonly settlements: Settlements;
  readonly line: Line;
  readonly ahead: ReadAhead;
  readonly dealer: Dealer;
  readonly options: RunOptions;
}

/** Keeps events in line for one consumer in one shard: first those that are due for another try, then what is read. */
export class Filler {
  readonly #parts: FillerParts;
  #dirty = false;
  #rouse: (() => void) | undefined;

  constructor(parts: FillerParts) {
    this.#parts = parts;
  }

  /** Goes on until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#dirty = false;
      if ((await this.#fill()) || this.#dirty || signal.aborted) continue;
      const wait = this.#parts.retries.dueInMs;
      await new Promise<void>((resolve) => {
        const timer = wait === undefined ? undefined : setTimeout(resolve, Math.max(1, wait));
        this.#rouse = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#rouse = undefined;
    }
  }

  /** There may be more, also than what is being read. */
  wake(): void {
    this.#dirty = true;
    this.#rouse?.();
  }

  /** Looks again, unless it is at it. */
  rouse(): void {
    this.#rouse?.();
  }

  /** An event was dealt out, or asked for: there may be room. */
  wakeIfWanted(): void {
    if (this.#wantsMore) this.wake();
  }

  get #wantsMore(): boolean {
    const { ahead, settings, reader, dealer } = this.#parts;
    return ahead.wantsMore(settings(), reader.run, dealer.asking);
  }

  /** @returns whether there may be more right away */
  async #fill(): Promise<boolean> {
    const { retries, held, settlements, reader, line, ahead, options } = this.#parts;
    const settings = this.#parts.settings();
    const { bufferSize, readBatchSize, leaseMs } = settings;
    if (!this.#wantsMore) return false;
    const room = ahead.room(settings);
    const slices = this.#parts.isOrdered ? this.#parts.slices.numbers : null;
    if (retries.dueInMs === 0 && slices?.length !== 0) {
      const claimed = await held.claiming(async () => {
        const { deliveries, gone } = await retries.claim(slices, leaseMs, room, options);
        for (const event of gone) settlements.finish({ ...event, state: 'leaving' });
        await line.add(deliveries, true);
        return deliveries.length;
      });
      if (claimed > 0) return true;
    }
    // So many wait already that reading on would only add to them.
    if (retries.blocked.total >= bufferSize) return false;
    const read = await reader.read(Math.min(readBatchSize, room), this.#parts.settings());
    if (read === undefined) return false;
    ahead.hasRead();
    await line.add(line.deliveriesOf(read.events), false, read.done);
    if (read.events.length === 0 && read.more) settlements.progressed();
    return read.more;
  }
}
