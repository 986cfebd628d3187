/**
 * Does one thing at a time, and once more when it was asked for meanwhile.
 *
 * A file event, a poll, an error and a lost lease may all call for the role procedure at the same moment; it looks at
 * the facts when it runs, so one further run serves everyone who asked during the last one.
 */
export class RoleProcedure {
  readonly #run: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(run: () => Promise<void>) {
    this.#run = run;
  }

  /** Resolves when a run that began after this call has ended. */
  request(): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#run().finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return this.request();
      });
    return this.#next;
  }
}
