import type { Delivery } from './delivery.ts';

interface Asking {
  readonly resolve: (result: IteratorResult<Delivery>) => void;
  readonly reject: (error: unknown) => void;
}

/** Deals events out to one consumer: in order, no more than may be in hand at once, and tells when one is overdue. */
export class Dealing {
  readonly #maxInFlight: number;
  readonly #onOverdue: (delivery: Delivery) => void;
  readonly #inHand = new Set<Delivery>();
  readonly #asking: Asking[] = [];
  #ready: Delivery[] = [];
  #over: { readonly error?: unknown } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(maxInFlight: number, onOverdue: (delivery: Delivery) => void) {
    this.#maxInFlight = maxInFlight;
    this.#onOverdue = onOverdue;
  }

  get inHand(): number {
    return this.#inHand.size;
  }

  /** Somebody waits for an event. */
  get asking(): boolean {
    return this.#asking.length > 0;
  }

  get ready(): number {
    return this.#ready.length;
  }

  get over(): boolean {
    return this.#over !== undefined;
  }

  /** @param first - before all that waits: they waited for a retry */
  add(deliveries: readonly Delivery[], first: boolean): void {
    if (first) this.#ready = [...deliveries, ...this.#ready];
    else for (const delivery of deliveries) this.#ready.push(delivery);
    this.#deal();
  }

  /** Takes back what was not dealt out yet. */
  withdraw(of: (delivery: Delivery) => boolean): Delivery[] {
    const withdrawn = this.#ready.filter(of);
    if (withdrawn.length > 0) this.#ready = this.#ready.filter((delivery) => !of(delivery));
    return withdrawn;
  }

  /** No longer in hand: settled, or somebody else's by now. */
  drop(delivery: Delivery): void {
    if (this.#inHand.delete(delivery)) this.#deal();
  }

  next(): Promise<IteratorResult<Delivery>> {
    return new Promise((resolve, reject) => {
      this.#asking.push({ resolve, reject });
      if (this.#over === undefined) this.#deal();
      else this.#finish();
    });
  }

  /** Nothing more is dealt out; whoever asks gets the error once, then the end. */
  end(error?: unknown): void {
    if (this.#over !== undefined) return;
    this.#over = error === undefined ? {} : { error };
    this.#ready = [];
    clearTimeout(this.#timer);
    this.#finish();
  }

  #deal(): void {
    while (this.#asking.length > 0 && this.#ready.length > 0 && this.#inHand.size < this.#maxInFlight) {
      const delivery = this.#take();
      if (delivery === undefined) return;
      delivery.state = 'handed';
      delivery.handedAt = performance.now();
      this.#inHand.add(delivery);
      this.#timer ??= this.#watch(delivery);
      delivery.owner.dealt();
      this.#asking.shift()!.resolve({ done: false, value: delivery });
    }
  }

  /** The first event that may be dealt out now. */
  #take(): Delivery | undefined {
    const place = this.#ready.findIndex((delivery) => delivery.owner.mayDeal(delivery));
    if (place < 0) return undefined;
    return place === 0 ? this.#ready.shift() : this.#ready.splice(place, 1)[0];
  }

  #finish(): void {
    for (const { resolve, reject } of this.#asking.splice(0)) {
      const error = this.#over?.error;
      this.#over = {};
      if (error === undefined) resolve({ done: true, value: undefined });
      else reject(error);
    }
  }

  /** Wakes up when the event that is in hand for the longest time may be overdue. */
  #watch(oldest: Delivery): NodeJS.Timeout {
    const wait = oldest.handedAt + oldest.owner.settings.timeoutMs - performance.now();
    return setTimeout(() => this.#look(), Math.max(5, wait));
  }

  #look(): void {
    this.#timer = undefined;
    const now = performance.now();
    let oldest: Delivery | undefined;
    for (const delivery of [...this.#inHand]) {
      const overdue = now - delivery.handedAt >= delivery.owner.settings.timeoutMs;
      if (overdue && !delivery.inTransaction) {
        this.#inHand.delete(delivery);
        this.#onOverdue(delivery);
      } else {
        oldest ??= delivery;
      }
    }
    if (oldest !== undefined && this.#over === undefined) this.#timer = this.#watch(oldest);
    this.#deal();
  }
}
