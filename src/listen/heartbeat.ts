import type pg from 'pg';
import { withinLimit } from '../internal/endpoint/waiting.ts';
import { ListenError } from './errors.ts';
import type { Turns } from './turns.ts';

/** How often a session is asked whether it still listens, and how long the answer may take. */
export interface HeartbeatOptions {
  /** @default 10000 */
  readonly heartbeatMs: number;
  /** @default 5000 */
  readonly heartbeatTimeoutMs: number;
}

export interface HeartbeatParts extends HeartbeatOptions {
  readonly client: pg.Client;
  readonly turns: Turns;
  /** The channels the session should be registered for. */
  readonly expected: () => Iterable<string>;
  readonly onFailure: (error: Error) => void;
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
  readonly #parts: HeartbeatParts;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> | undefined;
  #paused = false;
  #stopped = false;
  #lastPulseAt: Date | undefined;

  constructor(parts: HeartbeatParts) {
    this.#parts = parts;
    this.#schedule();
  }

  get lastPulseAt(): Date | undefined {
    return this.#lastPulseAt;
  }

  /** Asks now; whoever asks during a beat shares it. Rejects as the regular beat would have failed. */
  beat(): Promise<void> {
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = undefined;
    });
    return this.#beating;
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

  async #beat(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      await this.#parts.turns.run(() => this.#ask());
    } catch (error) {
      if (!this.#stopped) this.#parts.onFailure(error as Error);
      throw error;
    }
    this.#schedule();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#stopped || this.#parts.heartbeatMs === 0) return;
    this.#timer = setTimeout(() => {
      if (!this.#paused) this.beat().catch(() => {});
    }, this.#parts.heartbeatMs);
  }

  async #ask(): Promise<void> {
    const { client, expected, heartbeatTimeoutMs } = this.#parts;
    let pulse: Pulse;
    try {
      const reply = withinLimit(client, heartbeatTimeoutMs, () => client.query<Pulse>(PULSE));
      pulse = (await reply).rows[0]!;
    } catch (cause) {
      throw new ListenError('heartbeat', 'the heartbeat of the listening session failed', { cause });
    }
    if (pulse.standby) throw new ListenError('role', 'the server is a standby now');
    const missing = [...expected()].filter((channel) => !pulse.channels.includes(channel));
    if (missing.length > 0) {
      throw new ListenError('channels', `the session no longer listens on ${missing.join(', ')}`);
    }
    this.#lastPulseAt = new Date();
  }
}
