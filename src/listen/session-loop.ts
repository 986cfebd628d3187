import { Backoff } from '../internal/backoff.ts';
import type { Endpoint } from '../internal/endpoint/endpoint.ts';
import { linkSignals } from '../internal/link-signals.ts';
import { sleep } from '../internal/sleep.ts';
import { TypedEmitter } from '../internal/typed-emitter.ts';
import type { ListeningSession } from './listening-session.ts';
import type { ResolvedHubOptions } from './options.ts';
import { type Outage, readOutage } from './outage.ts';
import type { ListenState, StateChange } from './state.ts';
import { waitForServer } from './wait-for-server.ts';

/** How long only standbys are watched before all hosts are asked again. */
const LOOK_AGAIN_MS = 5_000;
/** After a few sessions in a row that died younger than this there is a growing pause, so that nothing loops at full speed. */
const YOUNG_MS = 1_000;
const YOUNG_DEATHS_AT_ONCE = 5;

/** What the loop is told to do at its turns. */
export interface LoopHooks {
  readonly open: (signal: AbortSignal) => Promise<ListeningSession>;
  /** The session is there; the state becomes `listening` when this resolves. */
  readonly onSession: (session: ListeningSession) => Promise<void>;
}

/**
 * Keeps one listening session alive: opens it, waits for its end, opens the next.
 *
 * 1. There is at most one session at a time, and one task that makes them; {@link wake} only shortens its waiting.
 * 2. After a loss the first attempt is made at once; after a failed attempt the back-off begins.
 * 3. Only changes of state are announced, never a repeated failure.
 */
export class SessionLoop extends TypedEmitter<{ state: StateChange }> {
  readonly #endpoint: Endpoint;
  readonly #options: ResolvedHubOptions;
  readonly #hooks: LoopHooks;
  readonly #stop = new AbortController();
  readonly #failures: Backoff;
  readonly #unsettled = new Backoff({ baseMs: 20, maxMs: 1_000 });
  #wake = new AbortController();
  #attemptWaiters: (() => void)[] = [];
  #task: Promise<void> | undefined;
  #session: ListeningSession | undefined;
  #state: ListenState = 'stopped';
  #downSince = 0;
  #sessions = 0;
  #youngDeaths = 0;
  #nextRetryAt: Date | undefined;
  #lastError: unknown;

  constructor(endpoint: Endpoint, options: ResolvedHubOptions, hooks: LoopHooks) {
    super();
    this.#endpoint = endpoint;
    this.#options = options;
    this.#hooks = hooks;
    this.#failures = new Backoff({ baseMs: options.backoffMs, maxMs: options.maxBackoffMs });
  }

  get state(): ListenState {
    return this.#state;
  }

  get session(): ListeningSession | undefined {
    return this.#session;
  }

  /** How many sessions were opened so far. */
  get sessions(): number {
    return this.#sessions;
  }

  get nextRetryAt(): Date | undefined {
    return this.#nextRetryAt;
  }

  get lastError(): unknown {
    return this.#lastError;
  }

  start(): void {
    if (this.#task !== undefined || this.#stop.signal.aborted) return;
    this.#downSince = performance.now();
    this.#change('connecting', 'started');
    this.#task = this.#run();
  }

  /** Ends a wait for the next attempt now; resolves when that attempt has ended, either way. */
  async wake(): Promise<void> {
    if (this.#task === undefined || this.#session !== undefined || this.#state === 'stopped') return;
    const attempt = new Promise<void>((resolve) => this.#attemptWaiters.push(resolve));
    this.#wake.abort();
    await attempt;
  }

  async stop(reason: string): Promise<void> {
    this.#stop.abort();
    await this.#session?.close();
    await this.#task;
    this.#change('stopped', reason);
    this.#attemptEnded();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      let session: ListeningSession;
      try {
        session = await this.#hooks.open(this.#stop.signal);
      } catch (error) {
        if (this.#stop.signal.aborted || this.#givenUp(error)) {
          this.#attemptEnded();
          return;
        }
        await this.#waitAfter(error);
        continue;
      }
      await this.#live(session);
    }
  }

  async #live(session: ListeningSession): Promise<void> {
    const openedAt = performance.now();
    this.#session = session;
    this.#sessions += 1;
    this.#nextRetryAt = undefined;
    this.#unsettled.reset();
    try {
      await this.#hooks.onSession(session);
      this.#change('listening', `on ${session.report.host.label}`);
    } catch (error) {
      this.#lastError = error;
    }
    this.#attemptEnded();
    const reason = await session.ended;
    this.#session = undefined;
    this.#endpoint.report(reason);
    this.#downSince = performance.now();
    if (this.#stop.signal.aborted) return;
    const lived = performance.now() - openedAt;
    if (lived >= this.#options.stableMs) this.#failures.reset();
    this.#youngDeaths = lived < YOUNG_MS ? this.#youngDeaths + 1 : 0;
    this.#lastError = reason;
    this.#change('connecting', reason.message, reason);
    const excess = this.#youngDeaths - YOUNG_DEATHS_AT_ONCE;
    if (excess > 0) await this.#pause(Math.min(YOUNG_MS, 25 * 2 ** excess));
  }

  async #waitAfter(error: unknown): Promise<void> {
    const outage = readOutage(this.#endpoint, error);
    const { rolePollMs } = this.#options;
    const maxMs = this.#delayAfter(outage);
    this.#nextRetryAt = new Date(Date.now() + maxMs);
    this.#lastError = error;
    const reason = error instanceof Error ? error.message : String(error);
    this.#change(outage.onlyStandbys ? 'standby' : 'backoff', reason, error);
    this.#wake = new AbortController();
    this.#attemptEnded();
    using stop = linkSignals([this.#stop.signal, this.#wake.signal]);
    const { signal } = stop;
    await waitForServer(this.#endpoint, outage.hosts, { maxMs, rolePollMs, since: this.#downSince, signal });
  }

  #delayAfter({ unsettled, onlyStandbys }: Outage): number {
    if (unsettled) return this.#unsettled.next();
    return onlyStandbys ? LOOK_AGAIN_MS : this.#failures.next();
  }

  #attemptEnded(): void {
    for (const resolve of this.#attemptWaiters.splice(0)) resolve();
  }

  async #pause(ms: number): Promise<void> {
    this.#wake = new AbortController();
    using stop = linkSignals([this.#stop.signal, this.#wake.signal]);
    await sleep(ms, { signal: stop.signal }).catch(() => {});
  }

  #givenUp(error: unknown): boolean {
    const { giveUpMs } = this.#options;
    if (giveUpMs === 0 || performance.now() - this.#downSince < giveUpMs) return false;
    this.#lastError = error;
    this.#change('stopped', `gave up after ${giveUpMs} ms without a session`, error);
    return true;
  }

  #change(to: ListenState, reason: string, error?: unknown): void {
    const from = this.#state;
    if (from === to) return;
    this.#state = to;
    const nextRetryAt = to === 'backoff' || to === 'standby' ? this.#nextRetryAt : undefined;
    this.emit('state', { from, to, reason, ...(error !== undefined && { error }), nextRetryAt });
  }
}
