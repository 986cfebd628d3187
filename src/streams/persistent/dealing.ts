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
  /** What waits to be dealt out, from `#first` on: taking from the front of a long array moves all of it. */
  #ready: Delivery[] = [];
  #first = 0;
  #over: { readonly error?: unknown } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lookAt = Number.POSITIVE_INFINITY;

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
    return this.#ready.length - this.#first;
  }

  get over(): boolean {
    return this.#over !== undefined;
  }

  /** @param first - before all that waits: they waited for a retry */
  add(deliveries: readonly Delivery[], first: boolean): void {
    if (first) this.#replace([...deliveries, ...this.#waiting]);
    else for (const delivery of deliveries) this.#ready.push(delivery);
    this.#deal();
  }

  /** Takes back what was not dealt out yet. */
  withdraw(of: (delivery: Delivery) => boolean): Delivery[] {
    const withdrawn = this.#waiting.filter(of);
    if (withdrawn.length > 0) this.#replace(this.#waiting.filter((delivery) => !of(delivery)));
    return withdrawn;
  }

  /** No longer in hand: settled, or somebody else's by now. */
  drop(delivery: Delivery): void {
    if (this.#inHand.delete(delivery)) this.#deal();
  }

  /** The next event, when one may be dealt out at once. */
  take(): Delivery | undefined {
    if (this.#over !== undefined || this.#asking.length > 0 || this.#inHand.size >= this.#maxInFlight) return undefined;
    const delivery = this.#pick();
    if (delivery !== undefined) this.#hand(delivery);
    return delivery;
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
    this.#replace([]);
    clearTimeout(this.#timer);
    this.#finish();
  }

  #deal(): void {
    while (this.#asking.length > 0 && this.#inHand.size < this.#maxInFlight) {
      const delivery = this.#pick();
      if (delivery === undefined) return;
      const { resolve } = this.#asking.shift()!;
      this.#hand(delivery);
      resolve({ done: false, value: delivery });
    }
  }

  #hand(delivery: Delivery): void {
    delivery.state = 'handed';
    delivery.handedAt = performance.now();
    this.#inHand.add(delivery);
    this.#watch(delivery);
    delivery.owner.dealt();
  }

  /** Takes the first event that may be dealt out now. */
  #pick(): Delivery | undefined {
    for (let place = this.#first; place < this.#ready.length; place++) {
      const delivery = this.#ready[place]!;
      if (!delivery.owner.mayDeal(delivery)) continue;
      if (place > this.#first) this.#ready.splice(place, 1);
      else this.#first += 1;
      if (this.#first === this.#ready.length) this.#replace([]);
      else if (this.#first > 1_000 && this.#first * 2 > this.#ready.length) this.#replace(this.#waiting);
      return delivery;
    }
    return undefined;
  }

  get #waiting(): Delivery[] {
    return this.#ready.slice(this.#first);
  }

  #replace(ready: Delivery[]): void {
    this.#ready = ready;
    this.#first = 0;
  }

  #finish(): void {
    for (const { resolve, reject } of this.#asking.splice(0)) {
      const error = this.#over?.error;
      this.#over = {};
      if (error === undefined) resolve({ done: true, value: undefined });
      else reject(error);
    }
  }

  /** Wakes up when an event may be overdue: nearly always the one that is in hand for the longest time. */
  #watch({ handedAt, owner }: Delivery): void {
    const dueAt = handedAt + owner.settings.timeoutMs;
    // sooner than the one before, when timeoutMs was made shorter meanwhile
    if (dueAt >= this.#lookAt) return;
    clearTimeout(this.#timer);
    this.#lookAt = dueAt;
    this.#timer = setTimeout(() => this.#look(), Math.max(5, dueAt - performance.now()));
  }

  #look(): void {
    this.#lookAt = Number.POSITIVE_INFINITY;
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
    if (oldest !== undefined && this.#over === undefined) this.#watch(oldest);
    this.#deal();
  }
}
