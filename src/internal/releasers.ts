/** Something to undo, in reverse order of how it was done. */
export type Releaser = () => void | Promise<void>;

/**
 * Collects what must be undone and undoes it in reverse, each step also when an earlier one failed;
 * what failed is thrown at the end, so nothing is swallowed and nothing is left held.
 */
export class Releasers {
  readonly #steps: Releaser[] = [];

  add(step: Releaser): void {
    this.#steps.push(step);
  }

  async release(): Promise<void> {
    const failures: unknown[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, 'several things could not be released');
  }
}
