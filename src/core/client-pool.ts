import genericPool, { type Pool } from 'generic-pool';
import type { Client } from 'pg';
import { AbortedError, ClosedError, HypervaultError } from '../errors.ts';
import { lossOf } from '../internal/client-guard.ts';
import { shareSignal } from '../internal/share-signal.ts';
import { farewell, isNobodys, isQuiet, NobodysClient } from './client-fate.ts';
import { PoolTimeoutError, QueueFullError } from './errors.ts';
import { SessionOpener } from './session-opener.ts';

export interface ClientPoolOptions {
  /** For messages and statistics. */
  readonly server: string;
  readonly max: number;
  readonly maxWaiting: number;
  readonly blockTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxClientAgeMs: number;
  /** Opens one session, ready for use. */
  readonly open: (options: { signal: AbortSignal }) => Promise<Client>;
}

/** Lanes come first: hundreds of callers stand behind each. */
export const LANE_PRIORITY = 0;
export const CALLER_PRIORITY = 1;

/** A failure that ends every wait: trying again can't mend a wrong password. */
function isFinal(error: unknown): boolean {
  return error instanceof HypervaultError && !error.retryable;
}

/**
 * The clients of one connection entry: filled lazily, last in first out, over one generic-pool.
 *
 * generic-pool tries again without any delay when `create` fails (2,090 attempts in 300 ms against a dead port,
 * measured) and reports a time-out without its cause. So `create` never fails: it goes on trying, with waits, for as
 * long as somebody wants a client, and the last failure becomes the cause of {@link PoolTimeoutError}; a failure that is
 * final rejects every waiting caller.
 */
export class ClientPool {
  readonly #options: ClientPoolOptions;
  readonly #pool: Pool<Client>;
  readonly #opener: SessionOpener;
  readonly #born = new WeakMap<Client, number>();
  readonly #lent = new Set<Client>();
  readonly #waiting = new Set<(error: unknown) => void>();
  readonly #onScarce: (() => void)[] = [];
  readonly #closing = new AbortController();
  #drained: Promise<void> | undefined;
  #lastFailure: unknown;
  #failures = 0;
  #lanes = 0;

  constructor(options: ClientPoolOptions) {
    this.#options = options;
    shareSignal(this.#closing.signal);
    this.#opener = new SessionOpener(
      () => options.open({ signal: this.#closing.signal }),
      (error) => this.#failed(error),
    );
    this.#pool = genericPool.createPool(
      {
        create: () => this.#create(),
        destroy: (client) => farewell(client),
        validate: async (client) => isNobodys(client) || this.#isFit(client),
      },
      {
        max: options.max,
        // Our own bound counts callers, not the requests that were given up; see acquire().
        maxWaitingClients: Number.MAX_SAFE_INTEGER,
        priorityRange: 2,
        testOnBorrow: true,
        fifo: false,
        autostart: false,
        idleTimeoutMillis: options.idleTimeoutMs,
        evictionRunIntervalMillis: Math.max(1_000, Math.floor(options.idleTimeoutMs / 4)),
        numTestsPerEvictionRun: options.max,
      },
    );
    this.#pool.on('factoryDestroyError', () => {});
  }

  /** Clients that exist, are lent, are idle; callers that wait; sessions that could not be opened. */
  get counts(): { clients: number; lent: number; idle: number; waiting: number; failures: number } {
    return {
      clients: this.#pool.size,
      lent: this.#lent.size,
      idle: this.#pool.available,
      waiting: this.#waiting.size,
      failures: this.#failures,
    };
  }

  /**
   * Lends a client.
   *
   * @throws PoolTimeoutError after `poolBlockTimeoutMs`, QueueFullError, AuthenticationError and other final failures
   * at once, AbortedError, ClosedError
   */
  acquire({
    signal,
    priority = CALLER_PRIORITY,
  }: {
    signal?: AbortSignal | undefined;
    priority?: number;
  } = {}): Promise<Client> {
    const { server, maxWaiting, blockTimeoutMs } = this.#options;
    if (this.#closing.signal.aborted) return Promise.reject(this.#closed());
    if (signal?.aborted) return Promise.reject(new AbortedError(`waiting for a client of ${server}`, signal.reason));
    if (this.#waiting.size >= maxWaiting + this.#options.max) {
      return Promise.reject(
        new QueueFullError(`${maxWaiting} callers wait for a client of ${server} already (option maxWaiting)`),
      );
    }
    return new Promise<Client>((resolve, reject) => {
      const timer = setTimeout(() => giveUp(this.#timeout()), blockTimeoutMs);
      const onAbort = (): void => giveUp(new AbortedError(`waiting for a client of ${server}`, signal?.reason));
      const settle = (): boolean => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        const waited = this.#waiting.delete(giveUp);
        if (this.#waiting.size === 0) this.#opener.dismiss();
        return waited;
      };
      const giveUp = (error: unknown): void => {
        if (settle()) reject(error);
      };
      this.#waiting.add(giveUp);
      shareSignal(signal);
      signal?.addEventListener('abort', onAbort, { once: true });
      const ask = (): void => {
        this.#pool.acquire(priority).then((client) => {
          if (isNobodys(client)) {
            void this.#pool.destroy(client);
            // It was meant for a request that was given up, and this one came before it.
            return void (this.#waiting.has(giveUp) && ask());
          }
          // Given up meanwhile: hand the client to the next in line, unharmed.
          if (!settle()) return void this.#pool.release(client);
          this.#lent.add(client);
          resolve(client);
        }, giveUp);
      };
      ask();
      if (this.#pool.size >= this.#options.max && this.#pool.available === 0) {
        for (const giveBack of this.#onScarce) giveBack();
      }
    });
  }

  /** Has `giveBack` called when somebody comes to wait because every client there may be is lent. */
  onScarce(giveBack: () => void): void {
    this.#onScarce.push(giveBack);
  }

  /** Told when a lane takes (+1) or leaves (−1) a client. */
  countLane(change: 1 | -1): void {
    this.#lanes += change;
  }

  /** Callers wait while lanes hold every client there may be. */
  get lanesStarveCallers(): boolean {
    return this.#waiting.size > 0 && this.#lanes >= this.#options.max;
  }

  /** Whether the client is lent by this pool at this moment. */
  isLent(client: Client): boolean {
    return this.#lent.has(client);
  }

  /**
   * Takes a client back. One that lost its session, is inside a transaction, or has a statement under way is
   * destroyed and never lent again.
   */
  async release(client: Client): Promise<void> {
    if (!this.#lent.delete(client)) return;
    if (this.#isFit(client) && client.getTransactionStatus() === 'I' && isQuiet(client)) {
      await this.#pool.release(client);
    } else {
      await this.#pool.destroy(client);
    }
  }

  /** Destroys a lent client instead of taking it back. */
  async discard(client: Client): Promise<void> {
    if (this.#lent.delete(client)) await this.#pool.destroy(client);
  }

  /** Refuses new callers, waits for lent clients up to `deadlineMs`, then cuts them. Called again, it may have less time. */
  async close(deadlineMs: number): Promise<void> {
    this.#drained ??= this.#drain();
    const cut = setTimeout(() => {
      for (const client of [...this.#lent]) void this.discard(client);
    }, deadlineMs);
    try {
      await this.#drained;
    } finally {
      clearTimeout(cut);
    }
  }

  async #drain(): Promise<void> {
    this.#closing.abort();
    for (const giveUp of [...this.#waiting]) giveUp(this.#closed());
    await this.#pool.drain();
    await this.#pool.clear();
  }

  async #create(): Promise<Client> {
    const client = await this.#opener.open(() => this.#waiting.size > 0 && !this.#closing.signal.aborted);
    if (client === undefined) return new NobodysClient() as Client;
    this.#lastFailure = undefined;
    this.#born.set(client, Date.now());
    return client;
  }

  #failed(error: unknown): void {
    this.#failures += 1;
    this.#lastFailure = error;
    if (isFinal(error)) for (const giveUp of [...this.#waiting]) giveUp(error);
  }

  #isFit(client: Client): boolean {
    if (lossOf(client) !== undefined) return false;
    const age = Date.now() - (this.#born.get(client) ?? 0);
    return age < this.#options.maxClientAgeMs;
  }

  #timeout(): PoolTimeoutError {
    const { server, blockTimeoutMs, max } = this.#options;
    const cause = this.#lastFailure;
    const busy = this.#lent.size < max ? 'no session was opened in that time' : `all ${max} clients are lent`;
    const why = cause instanceof Error ? `the last attempt to connect failed: ${cause.message}` : busy;
    return new PoolTimeoutError(server, `no client of ${server} within ${blockTimeoutMs} ms: ${why}`, { cause });
  }

  #closed(): ClosedError {
    return new ClosedError(`the pool of ${this.#options.server} is closed; call reinstantiate() to use it again`);
  }
}
