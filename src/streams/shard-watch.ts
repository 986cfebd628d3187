import type { Sequencer } from './sequencer.ts';

type Wake = (head?: bigint) => void;

/**
 * Tells those who wait at the end of one shard that there may be more. While somebody waits, the shard is looked at from
 * time to time although nothing was heard: what a dead writer left has no position yet, and a notification may be lost.
 */
export class ShardWatch {
  readonly #sequencer: Sequencer;
  readonly #pollMs: () => number;
  readonly #wakes = new Set<Wake>();
  #poll: NodeJS.Timeout | undefined;

  constructor(sequencer: Sequencer, pollMs: () => number) {
    this.#sequencer = sequencer;
    this.#pollMs = pollMs;
  }

  get watched(): boolean {
    return this.#wakes.size > 0;
  }

  add(wake: Wake): () => void {
    this.#wakes.add(wake);
    if (this.#poll === undefined) {
      this.#planPoll();
      // says to the processes that append that somebody waits
      this.#sequencer.nudge();
    }
    return () => {
      this.#wakes.delete(wake);
      if (this.#wakes.size === 0) this.stop();
    };
  }

  /** @param head - the last position given, when it is known */
  wake(head?: bigint): void {
    for (const wake of [...this.#wakes]) wake(head);
  }

  stop(): void {
    clearTimeout(this.#poll);
    this.#poll = undefined;
  }

  #planPoll(): void {
    const ms = this.#pollMs() * (0.9 + 0.2 * Math.random());
    this.#poll = setTimeout(() => {
      this.#sequencer.nudge();
      this.#planPoll();
    }, ms);
  }
}
