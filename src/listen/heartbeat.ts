import type pg from 'pg';
import { withinLimit } from '../internal/endpoint/waiting.ts';
import { ListenError } from './errors.ts';

/** How often a session is asked whether it still listens, and how long the answer may take. */
export interface HeartbeatOptions {
  /** @default 10000 */
  readonly heartbeatMs: number;
  /** @default 5000 */
  readonly heartbeatTimeoutMs: number;
}

interface Pulse {
  standby: boolean;
  channels: string[];
}

// One round trip asks for all that can be lost in silence: the way to the server, its role, the registrations.
const PULSE = 'select pg_is_in_recovery() as standby, array(select pg_listening_channels()) as channels';

/**
 * Asks one session again and again whether it is alive, on a primary, and still registered for its channels.
 *
 * A half-open socket gives no event of its own, TCP keep-alive neither while data is unacknowledged nor for a stopped
 * backend, and `query_timeout` leaves the socket open: only a query with a limit on this side finds them all.
 */
export class Heartbeat {
  readonly #client: pg.Client;
  readonly #expected: () => Iterable<string>;
  readonly #options: HeartbeatOptions;
  readonly #onFailure: (error: Error) => void;
  #timer: NodeJS.Timeout | undefined;
  #paused = false;
  #stopped = false;
  #lastPulseAt: Date | undefined;

  constructor(
    client: pg.Client,
    expected: () => Iterable<string>,
    options: HeartbeatOptions,
    onFailure: (error: Error) => void,
  ) {
    this.#client = client;
    this.#expected = expected;
    this.#options = options;
    this.#onFailure = onFailure;
    this.#schedule();
  }

  get lastPulseAt(): Date | undefined {
    return this.#lastPulseAt;
  }

  /** Asks now; rejects as the regular beat would have failed. */
  async beat(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      await this.#ask();
    } catch (error) {
      if (!this.#stopped) this.#onFailure(error as Error);
      throw error;
    }
    this.#schedule();
  }

  /** While nothing is read from the socket no answer can arrive. */
  pause(paused: boolean): void {
    this.#paused = paused;
    if (!paused) this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#stopped || this.#options.heartbeatMs === 0) return;
    this.#timer = setTimeout(() => {
      if (!this.#paused) this.beat().catch(() => {});
    }, this.#options.heartbeatMs);
  }

  async #ask(): Promise<void> {
    const { heartbeatTimeoutMs } = this.#options;
    let pulse: Pulse;
    try {
      const reply = withinLimit(this.#client, heartbeatTimeoutMs, () => this.#client.query<Pulse>(PULSE));
      pulse = (await reply).rows[0]!;
    } catch (cause) {
      throw new ListenError('heartbeat', 'the heartbeat of the listening session failed', { cause });
    }
    if (pulse.standby) throw new ListenError('role', 'the server is a standby now');
    const missing = [...this.#expected()].filter((channel) => !pulse.channels.includes(channel));
    if (missing.length > 0) {
      throw new ListenError('channels', `the session no longer listens on ${missing.join(', ')}`);
    }
    this.#lastPulseAt = new Date();
  }
}
