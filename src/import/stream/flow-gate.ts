/** Something that can be told to stop sending for a while. */
export interface Flow {
  pause(): void;
  resume(): void;
}

/** Holds a flow back for as long as there is any reason to. */
export class FlowGate {
  readonly #reasons = new Set<string>();
  #flow: Flow | undefined;

  /** Takes charge of a flow, which may have to be held at once. */
  control(flow: Flow): void {
    this.#flow = flow;
    if (this.#reasons.size > 0) flow.pause();
  }

  hold(reason: string): void {
    if (this.#reasons.size === 0) this.#flow?.pause();
    this.#reasons.add(reason);
  }

  release(reason: string): void {
    if (!this.#reasons.delete(reason)) return;
    if (this.#reasons.size === 0) this.#flow?.resume();
  }
}
