import type pg from 'pg';
import { destroyClient, endClient, lossOf, pauseReading } from '../internal/client-guard.ts';
import type { Endpoint } from '../internal/endpoint/endpoint.ts';
import { askSession, type HostReport } from '../internal/endpoint/host-report.ts';
import { factsOf } from '../internal/endpoint/session.ts';
import { withinLimit } from '../internal/endpoint/waiting.ts';
import { throwIfAborted } from '../internal/sleep.ts';
import { listenStatement, unlistenStatement } from './channel.ts';
import { ListenError } from './errors.ts';
import { Heartbeat, type HeartbeatOptions } from './heartbeat.ts';
import type { Notification } from './notification.ts';
import { canHear } from './self-probe.ts';
import { Turns } from './turns.ts';

/** How long our own notification may take through a pooler. */
const PROBE_MS = 1_000;

/** How the outside is heard: by LISTEN, or by looking again and again where LISTEN does not work. */
export type ListenMode = 'listening' | 'polling';

export interface ListeningSessionOptions extends HeartbeatOptions {
  /** Don't even try to LISTEN. */
  readonly pollOnly: boolean;
  readonly onNotification: (notification: Notification) => void;
  readonly signal: AbortSignal;
}

/**
 * One session that listens, from its opening to its end. It carries no other work than the heartbeat, since the server
 * hands out notifications between statements only.
 *
 * The order of opening: connect, ask for the role, probe (behind a pooler), LISTEN. Whoever reads a backlog does so
 * after {@link open} has resolved, so nothing falls between.
 */
export class ListeningSession {
  readonly mode: ListenMode;
  /** What the server said of itself when the session was opened. */
  readonly report: HostReport;
  /** Resolves with the reason when the session is over, also after {@link close}. */
  readonly ended: Promise<Error>;
  readonly #client: pg.Client;
  readonly #channels: Set<string>;
  readonly #heartbeat: Heartbeat;
  readonly #limitMs: number;
  readonly #turns = new Turns();
  #end = (_reason: Error): void => {};

  private constructor(
    client: pg.Client,
    report: HostReport,
    mode: ListenMode,
    channels: Iterable<string>,
    options: ListeningSessionOptions,
  ) {
    this.#client = client;
    this.report = report;
    this.mode = mode;
    this.#channels = new Set(mode === 'listening' ? channels : []);
    this.#limitMs = options.heartbeatTimeoutMs;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    // A heartbeat that failed destroys the socket, and knows better why than the error of the socket that comes first.
    client.once('error', (error) => setImmediate(() => this.#over(error)));
    client.once('end', () => this.#over(new ListenError('closed', 'the listening session was closed')));
    this.#heartbeat = new Heartbeat({
      heartbeatMs: options.heartbeatMs,
      heartbeatTimeoutMs: options.heartbeatTimeoutMs,
      client,
      turns: this.#turns,
      expected: () => this.#channels,
      onFailure: (error) => {
        this.#over(error);
        destroyClient(client);
      },
    });
    // Lost between its opening and the listeners above.
    const loss = lossOf(client);
    if (loss !== undefined) this.#over(loss as Error);
  }

  /** Rejects with the reason when the session can't be had or the server is a standby. */
  static async open(
    endpoint: Endpoint,
    channels: Iterable<string>,
    options: ListeningSessionOptions,
  ): Promise<ListeningSession> {
    const { signal, pollOnly, heartbeatTimeoutMs, onNotification } = options;
    const client = await endpoint.connect({ signal });
    const onAbort = (): void => destroyClient(client);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      client.on('notification', ({ channel, payload = '', processId }) =>
        onNotification({ channel, payload, processId, receivedAt: new Date() }),
      );
      const wanted = [...channels];
      const { report, mode } = await withinLimit(client, heartbeatTimeoutMs + PROBE_MS, async () => {
        const report = await askSession(client, factsOf(client)!.host);
        if (report.role === 'standby') throw new ListenError('role', `${report.host.label} is a standby`);
        const heard = !pollOnly && (!report.pooled || (await canHear(endpoint, client, PROBE_MS)));
        if (heard && wanted.length > 0) await client.query(listenStatement(wanted));
        return { report, mode: heard ? ('listening' as const) : ('polling' as const) };
      });
      throwIfAborted(signal, 'listening');
      return new ListeningSession(client, report, mode, wanted, options);
    } catch (error) {
      destroyClient(client);
      throwIfAborted(signal, 'listening');
      endpoint.report(error, client);
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  get lastHeartbeatAt(): Date | undefined {
    return this.#heartbeat.lastPulseAt;
  }

  has(channel: string): boolean {
    return this.mode === 'polling' || this.#channels.has(channel);
  }

  async listen(channel: string): Promise<void> {
    if (this.has(channel)) return;
    await this.#query(listenStatement([channel]));
    this.#channels.add(channel);
  }

  async unlisten(channel: string): Promise<void> {
    if (!this.#channels.delete(channel)) return;
    await this.#query(unlistenStatement(channel));
  }

  /** Asks now whether all is well; a failure ends the session. */
  async check(): Promise<void> {
    await this.#heartbeat.beat();
  }

  /** Leaves notifications in the socket, so that the server holds back. */
  pause(paused: boolean): void {
    this.#heartbeat.pause(paused);
    pauseReading(this.#client, paused);
  }

  async close(): Promise<void> {
    this.#over(new ListenError('closed', 'the listening session was closed'));
    await endClient(this.#client);
  }

  async #query(text: string): Promise<void> {
    await this.#turns.run(() => withinLimit(this.#client, this.#limitMs, () => this.#client.query(text)));
  }

  #over(reason: Error): void {
    this.#heartbeat.stop();
    this.#end(reason);
  }
}
