import type pg from 'pg';
import { ClosedError, ServerUnavailableError } from '../../errors.ts';
import { destroyClient } from '../client-guard.ts';
import { linkSignals } from '../link-signals.ts';
import { throwIfAborted } from '../sleep.ts';
import { TypedEmitter } from '../typed-emitter.ts';
import { connectionError } from './connection-error.ts';
import { classifyError, mayHaveMoved } from './error-class.ts';
import type { HostReport } from './host-report.ts';
import type { HostAddress } from './hosts.ts';
import { LiveSessions } from './live-sessions.ts';
import { Locator, type LocatorEvents } from './locator.ts';
import { EndpointPool, type EndpointPoolOptions } from './pool.ts';
import { type ResolvedSettings, resolveSettings } from './resolve.ts';
import { RoleCheck } from './role-check.ts';
import { factsOf, openSession, type SessionHooks, setPipeline, watchSession } from './session.ts';
import { hasRole } from './session-role.ts';
import type { ConnectionSettings } from './settings.ts';
import { retryWithin } from './waiting.ts';

/** How one session is asked for. */
export interface EndpointConnectOptions {
  readonly signal?: AbortSignal | undefined;
  /** Sends statements without waiting for replies (node-postgres' `pipeline`). @default false */
  readonly pipeline?: boolean | undefined;
  /** Keeps trying for so long while the server is unavailable; the last failure is thrown. @default 0 */
  readonly waitMs?: number | undefined;
}

export type EndpointEvents = LocatorEvents;

/** Memory of the primary is trusted without a session on it for so long; after that it is looked for again. */
const TRUST_MS = 1_000;
/** A round of questions that ended so shortly ago is newer news than the loss of a session of before. */
const STORM_MS = 50;

/**
 * One logical Postgres server – a primary and its standbys, or a single host – that gives connected, guarded sessions
 * on the host with the wanted role. Pools, listeners and modules that live in one database all stand on it.
 *
 * 1. A host is used only after it said itself that it has the role: by its `in_hot_standby` report, else by a query.
 * 2. The loss of a session puts the host in doubt; with several hosts all are asked at once, and the first session
 *    after that goes to the one that answered.
 * 3. When the role has moved, sessions on the former host are cut at once, also while it still lives.
 */
export class Endpoint extends TypedEmitter<EndpointEvents> {
  readonly #settings: ResolvedSettings;
  readonly #locator: Locator;
  readonly #sessions = new LiveSessions();
  readonly #roleCheck: RoleCheck;
  readonly #pools = new Set<EndpointPool>();
  readonly #hooks: SessionHooks = {
    onLost: (client, error) => {
      if (this.#sessions.remove(client) && error !== undefined) this.#doubt(client);
    },
    onRoleReport: (client) => this.#doubt(client),
    onRefusedWrite: (client) => this.#refused(client),
  };
  #connectedBefore = false;
  #closed = false;

  /** @throws ConfigurationError; does no I/O */
  constructor(settings: ConnectionSettings) {
    super();
    this.#settings = resolveSettings(settings);
    this.#locator = new Locator(this.#settings, this.#hooks);
    this.#locator.on('moved', (event) => {
      this.#leaveOtherHosts(event.to);
      this.emit('moved', event);
    });
    const { roleCheckMs, targetRole } = this.#settings;
    this.#roleCheck = new RoleCheck(this.#onlyHost || targetRole === 'any' ? 0 : roleCheckMs, {
      needed: () => this.#sessions.size > 0,
      look: () => this.#locator.locate().catch(() => {}),
    });
    this.#locator.on('splitBrain', (event) => this.emit('splitBrain', event));
  }

  /** `host:port,host:port/database`, for messages; holds no secret. */
  get label(): string {
    return this.#settings.label;
  }

  get settings(): ResolvedSettings {
    return this.#settings;
  }

  /** What the host in use said of itself; `undefined` before the first round of questions, and for a single host. */
  get current(): HostReport | undefined {
    return this.#locator.current;
  }

  /** What all the hosts said in the last round. */
  get lastReports(): readonly HostReport[] {
    return this.#locator.lastReports;
  }

  /**
   * Opens a session.
   *
   * @throws ServerUnavailableError (retryable; its cause says why), AuthenticationError,
   *   ConfigurationError (no such database), ClosedError, AbortedError
   */
  connect({ signal, pipeline = false, waitMs = 0 }: EndpointConnectOptions = {}): Promise<pg.Client> {
    return retryWithin(waitMs, signal, () => this.#connect(signal, pipeline));
  }

  /**
   * Finds the host with the wanted role by asking all of them now, also when the one in use looks healthy.
   * For a single host it is that host, unasked.
   */
  async locate(signal?: AbortSignal): Promise<HostAddress> {
    const only = this.#onlyHost;
    return only ?? (await this.#locator.locate({ signal })).host;
  }

  /** Whether a session is alive and on the host with the role; pools ask before they lend one again. */
  accepts(client: pg.Client): boolean {
    return this.#sessions.isFit(client);
  }

  /**
   * Told by pools and listeners that a session or a statement failed. Losses of sessions and refused writes are
   * noticed without it; what only the caller sees is a reply that did not come.
   */
  report(error: unknown, client?: pg.Client): void {
    const kind = classifyError(error);
    if (kind === 'gone') this.#doubt(client);
    if (kind === 'role' && client !== undefined) this.#refused(client);
    if (kind === 'role' && client === undefined && this.#settings.forWriting) this.#doubt(undefined);
  }

  /** A pg-pool over this endpoint; ended by {@link close}. */
  createPool(options: EndpointPoolOptions = {}): EndpointPool {
    if (this.#closed) throw this.#closedError();
    const pool = new EndpointPool(this, options);
    this.#pools.add(pool);
    return pool;
  }

  /** Ends the pools made here, after the work in hand; sessions lent by {@link connect} belong to their callers. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#roleCheck.stop();
    this.#locator.close();
    await Promise.all([...this.#pools].map((pool) => pool.close()));
  }

  async #connect(signal: AbortSignal | undefined, pipeline: boolean): Promise<pg.Client> {
    const { connectTimeoutMs } = this.#settings;
    for (let again = false; ; again = true) {
      const { host, remembered } = await this.hostToTry({ signal, session: true });
      using stop = linkSignals([signal], remembered ? Math.min(TRUST_MS, connectTimeoutMs) : undefined);
      try {
        const client =
          this.#locator.takeSession(host) ??
          (await openSession(this.#settings, host, { signal: stop.signal, ...this.#hooks }));
        setPipeline(client, pipeline);
        await this.admit(client);
        return client;
      } catch (error) {
        throwIfAborted(signal, `connecting to ${this.label}`);
        if (again || this.#onlyHost || !mayHaveMoved(error)) throw this.explain(error);
        this.#locator.doubt();
      }
    }
  }

  get #onlyHost(): HostAddress | undefined {
    return this.#settings.hosts.length === 1 ? this.#settings.hosts[0] : undefined;
  }

  /** @internal The host a new session should go to: the remembered one while it is beyond doubt, else by asking. */
  async hostToTry({
    signal,
    session = false,
  }: {
    signal?: AbortSignal | undefined;
    session?: boolean;
  } = {}): Promise<{ host: HostAddress; remembered: boolean }> {
    if (this.#closed) throw this.#closedError();
    throwIfAborted(signal, `connecting to ${this.label}`);
    const { current, doubtful, confirmedAt } = this.#locator;
    const fresh = this.#sessions.size > 0 || performance.now() - confirmedAt < TRUST_MS;
    if (current && !doubtful && fresh) return { host: current.host, remembered: true };
    return { host: this.#onlyHost ?? (await this.#locator.locate({ signal, session })).host, remembered: false };
  }

  /** @internal Watches a client that is about to connect to `host`; for clients made elsewhere (pg-pool). */
  watch(client: pg.Client, host: HostAddress): void {
    watchSession(client, host, this.#hooks);
  }

  /** @internal Takes a connected session in if its server has the role; destroys it and throws otherwise. */
  async admit(client: pg.Client): Promise<void> {
    const host = factsOf(client)?.host;
    if (host === undefined) throw new Error('admit: the session was not opened by this endpoint');
    if (!(await hasRole(client, this.#settings, { pooled: this.#locator.current?.pooled === true }))) {
      destroyClient(client);
      this.#locator.doubt();
      const { targetRole } = this.#settings;
      throw new ServerUnavailableError(this.label, `${host.label} is not a ${targetRole}, and one is asked for`);
    }
    if (this.#closed) {
      destroyClient(client);
      throw this.#closedError();
    }
    this.#connectedBefore = true;
    this.#sessions.add(client);
    this.#roleCheck.start();
  }

  /** @internal */
  explain(error: unknown): Error {
    return connectionError(error, this.label, { connectedBefore: this.#connectedBefore });
  }

  /**
   * A write was refused (25006): the server was demoted while the session lived on, behind a name or a proxy. The
   * session is cut, once its caller has got the error, so that no pool lends it again.
   */
  #refused(client: pg.Client): void {
    const facts = factsOf(client);
    // A server that reports itself as primary refused because the transaction or the session was made read-only.
    if (facts === undefined || facts.inHotStandby === false || !this.#settings.forWriting) return;
    this.#sessions.retire(client, `${facts.host.label} takes no writes`);
    this.#doubt(client);
  }

  /** The host in use may have lost its role, or its life: ask again, unless that was done a moment ago. */
  #doubt(client: pg.Client | undefined): void {
    const { current, confirmedAt } = this.#locator;
    if (this.#onlyHost || this.#closed || current === undefined) return;
    if (client !== undefined && factsOf(client)?.host.label !== current.host.label) return;
    if (performance.now() - confirmedAt < STORM_MS) return;
    this.#locator.doubt();
    this.#locator.locate().catch(() => {});
  }

  #leaveOtherHosts(label: string): void {
    const { targetRole } = this.#settings;
    if (targetRole !== 'primary' && targetRole !== 'standby') return;
    this.#sessions.cutOthers(label, (host) => `${host} is no longer the ${targetRole}, ${label} is`);
  }

  #closedError(): ClosedError {
    return new ClosedError(`the endpoint ${this.label} is closed`);
  }
}
