/**
 * Lets pieces of work use one session one after the other: node-postgres would queue them silently,
 * and the time limit of the second would run while the first one is still at work.
 */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => {});
    return turn;
  }
}
