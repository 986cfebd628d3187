import { ClosedError } from '../errors.ts';
import { Endpoint } from '../internal/endpoint/endpoint.ts';
import type { ConnectionSettings } from '../internal/endpoint/settings.ts';
import { TypedEmitter } from '../internal/typed-emitter.ts';
import type { CatchUpReason } from './catch-up.ts';
import { checkChannel } from './channel.ts';
import { InvalidConfigurationError } from './errors.ts';
import { ListeningSession, type ListenMode } from './listening-session.ts';
import type { Notification } from './notification.ts';
import { type HubOptions, type ResolvedHubOptions, resolveHubOptions } from './options.ts';
import { SessionLoop } from './session-loop.ts';
import type { ListenState, StateChange } from './state.ts';
import { type NotificationHandler, type SubscribeOptions, Subscription } from './subscription.ts';

export type HubEvents = {
  state: StateChange;
  /** A handler or a catch-up failed; the hub goes on. */
  error: { readonly channel: string; readonly error: unknown };
};

/** What a hub is doing. */
export interface HubStatus {
  readonly state: ListenState;
  readonly mode: ListenMode | undefined;
  readonly host: string | undefined;
  readonly role: 'primary' | 'standby' | undefined;
  readonly timeline: number | undefined;
  readonly channels: readonly string[];
  readonly notifications: number;
  readonly lastNotificationAt: Date | undefined;
  readonly lastHeartbeatAt: Date | undefined;
  /** Sessions opened after the first one. */
  readonly reconnects: number;
  readonly nextRetryAt: Date | undefined;
  readonly lastError: unknown;
}

/**
 * The one listening connection of a process to a server, shared by everyone who waits for notifications there.
 * It follows the primary, comes back by itself, and tells its subscribers when to read what they may have missed.
 *
 * @example
 * ```ts
 * await using hub = new NotificationHub({ hosts: ['db1', 'db2'], database: 'app', user: 'app' });
 * const jobs = hub.subscribe('jobs', ({ payload }) => queue.push(payload), { onCatchUp: () => readBacklog() });
 * await jobs.ready();
 * ```
 */
export class NotificationHub extends TypedEmitter<HubEvents> {
  readonly #endpoint: Endpoint;
  readonly #ownsEndpoint: boolean;
  readonly #options: ResolvedHubOptions;
  readonly #loop: SessionLoop;
  readonly #subscriptions = new Map<string, Set<Subscription>>();
  #poll: NodeJS.Timeout | undefined;
  #notifications = 0;
  #lastNotificationAt: Date | undefined;
  #closed = false;

  /**
   * @param connection settings of its own, or an endpoint that is shared (and closed by its owner)
   * @throws ConfigurationError, InvalidConfigurationError; does no I/O
   */
  constructor(connection: ConnectionSettings | Endpoint, options: HubOptions = {}) {
    super();
    this.#options = resolveHubOptions(options);
    this.#ownsEndpoint = !(connection instanceof Endpoint);
    this.#endpoint = connection instanceof Endpoint ? connection : new Endpoint(connection);
    const { targetRole } = this.#endpoint.settings;
    if (targetRole === 'standby' || targetRole === 'prefer-standby') {
      throw new InvalidConfigurationError(`targetRole: ${targetRole}: notifications exist on the primary only`);
    }
    this.#loop = new SessionLoop(this.#endpoint, this.#options, {
      open: (signal) => this.#open(signal),
      onSession: (session) => this.#begin(session),
    });
    this.#loop.on('state', (change) => {
      if (change.from === 'listening') clearInterval(this.#poll);
      if (change.to === 'stopped') this.#eachSubscription((subscription) => subscription.failed(change.reason));
      this.emit('state', change);
    });
  }

  get state(): ListenState {
    return this.#loop.state;
  }

  /** Connects now, with nothing subscribed yet; {@link subscribe} does it by itself. */
  open(): void {
    if (this.#closed) throw new ClosedError('the notification hub is closed');
    this.#loop.start();
  }

  /** Listens on a channel; takes effect at once, or as soon as there is a session. @throws InvalidArgumentError */
  subscribe(channel: string, handler: NotificationHandler, options: SubscribeOptions = {}): Subscription {
    checkChannel(channel);
    if (this.#closed) throw new ClosedError('the notification hub is closed');
    const subscription = new Subscription(channel, handler, options, {
      onError: (error) => this.emit('error', { channel, error }),
      onClose: (closed) => this.#unsubscribe(closed),
    });
    const others = this.#subscriptions.get(channel);
    if (others) others.add(subscription);
    else this.#subscriptions.set(channel, new Set([subscription]));
    this.#loop.start();
    void this.#join(subscription);
    return subscription;
  }

  /** Looks at the server now: tries to connect when there is no session, asks it for its life when there is one. */
  async check(): Promise<void> {
    const { session } = this.#loop;
    if (session === undefined) await this.#loop.wake();
    else await session.check().catch(() => {});
  }

  /** Stops or resumes taking notifications out of the socket; the server holds back meanwhile, for everyone. */
  pause(paused: boolean): void {
    this.#loop.session?.pause(paused);
  }

  status(): HubStatus {
    const { session } = this.#loop;
    return {
      state: this.#loop.state,
      mode: session?.mode,
      host: session?.report.host.label,
      role: session?.report.role ?? (this.#loop.state === 'standby' ? 'standby' : undefined),
      timeline: session?.report.timeline,
      channels: [...this.#subscriptions.keys()],
      notifications: this.#notifications,
      lastNotificationAt: this.#lastNotificationAt,
      lastHeartbeatAt: session?.lastHeartbeatAt,
      reconnects: Math.max(0, this.#loop.sessions - 1),
      nextRetryAt: this.#loop.nextRetryAt,
      lastError: this.#loop.lastError,
    };
  }

  /** Ends the session, after the catch-ups in hand. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#poll);
    const all = [...this.#subscriptions.values()].flatMap((set) => [...set]);
    await this.#loop.stop('closed');
    await Promise.all(all.map((subscription) => subscription.close()));
    if (this.#ownsEndpoint) await this.#endpoint.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(signal: AbortSignal): Promise<ListeningSession> {
    const { heartbeatMs, heartbeatTimeoutMs, pollOnly } = this.#options;
    return ListeningSession.open(this.#endpoint, this.#subscriptions.keys(), {
      heartbeatMs,
      heartbeatTimeoutMs,
      pollOnly,
      signal,
      onNotification: (notification) => this.#dispatch(notification),
    });
  }

  /** The session listens: what was subscribed meanwhile joins, and everyone reads what they may have missed. */
  async #begin(session: ListeningSession): Promise<void> {
    for (const channel of this.#subscriptions.keys()) await session.listen(channel);
    this.#announce(this.#loop.sessions > 1 ? 'reconnect' : 'start');
    const everyMs = session.mode === 'polling' ? this.#options.pollMs : this.#options.backstopMs;
    clearInterval(this.#poll);
    if (everyMs > 0) this.#poll = setInterval(() => this.#onPoll(session), everyMs);
  }

  #onPoll(session: ListeningSession): void {
    if (session.mode === 'listening') {
      this.#announce('poll');
      return;
    }
    // Without LISTEN nothing tells of a demotion, so each poll asks for the role first.
    session.check().then(
      () => this.#announce('poll'),
      () => {},
    );
  }

  #announce(reason: CatchUpReason): void {
    this.#eachSubscription((subscription) => subscription.listening(reason));
  }

  #eachSubscription(visit: (subscription: Subscription) => void): void {
    for (const set of this.#subscriptions.values()) for (const subscription of set) visit(subscription);
  }

  /** Joins a session that is there already; one that is being opened takes all channels by itself. */
  async #join(subscription: Subscription): Promise<void> {
    const { session } = this.#loop;
    if (session === undefined) return;
    try {
      await session.listen(subscription.channel);
      // Given up while LISTEN was on its way.
      if (!this.#subscriptions.has(subscription.channel)) await session.unlisten(subscription.channel);
      else if (session === this.#loop.session) subscription.listening('start');
    } catch {
      // The session is lost with this statement; the next one listens on every channel.
    }
  }

  async #unsubscribe(subscription: Subscription): Promise<void> {
    const { channel } = subscription;
    const set = this.#subscriptions.get(channel);
    set?.delete(subscription);
    if (set?.size !== 0) return;
    this.#subscriptions.delete(channel);
    await this.#loop.session?.unlisten(channel).catch(() => {});
  }

  #dispatch(notification: Notification): void {
    this.#notifications += 1;
    this.#lastNotificationAt = notification.receivedAt;
    const set = this.#subscriptions.get(notification.channel);
    if (set) for (const subscription of set) subscription.deliver(notification);
  }
}
