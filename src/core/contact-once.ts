/**
 * Checks a server when it is met for the first time, and again when it was started anew: by then it may be another one,
 * or the same put back from a backup. A check that failed is made again with the next session.
 */
export class ContactOnce {
  #last: { readonly startedAt: string; readonly checked: Promise<void> } | undefined;

  /** @param startedAt - when the server was started, by its own word */
  check(startedAt: string, contact: () => Promise<void>): Promise<void> {
    if (this.#last?.startedAt !== startedAt) {
      const now = { startedAt, checked: contact() };
      this.#last = now;
      now.checked.catch(() => {
        if (this.#last === now) this.#last = undefined;
      });
    }
    return this.#last.checked;
  }
}
