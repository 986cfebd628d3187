import { abortable } from '../internal/abortable.ts';

/**
 * Lets what concerns one key happen in the order in which it was asked for, each after the one before has its outcome:
 * also when that takes several tries.
 */
export class KeyTurns {
  readonly #tails = new Map<string, Promise<void>>();

  /** @throws AbortedError while it waits for its turn */
  async run<T>(key: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    let end = (): void => {};
    const mine = new Promise<void>((resolve) => {
      end = resolve;
    });
    // Who gives up waiting lets nobody behind it overtake those before it.
    const tail = before === undefined ? mine : before.then(() => mine);
    this.#tails.set(key, tail);
    try {
      if (before !== undefined) await abortable(before, signal, 'the save');
      return await work();
    } finally {
      end();
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }

  /** Resolves when nothing is under way and nothing waits. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values());
  }
}
