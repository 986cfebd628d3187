import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { AbortedError, ClosedError, ConfigurationError, SchemaError } from '../errors.ts';
import type { Endpoint } from '../internal/endpoint/endpoint.ts';
import type { ConnectionSettings } from '../internal/endpoint/settings.ts';
import { linkSignals } from '../internal/link-signals.ts';
import { sleep } from '../internal/sleep.ts';
import { SQLSTATE, SV, sqlStateOf } from '../internal/sqlstate.ts';
import { TypedEmitter } from '../internal/typed-emitter.ts';
import { LeaseLostError } from './errors.ts';
import type { NotificationHub } from './hub.ts';
import { elapsedSince, type Moment, now } from './lease-clock.ts';
import { checkDuration } from './options.ts';
import { PostgresConnector } from './postgres-connector.ts';
import type { Subscription } from './subscription.ts';

/** The channel on which a leader says that it resigns; the payload is the lease's name. */
export const LEASE_CHANNEL = 'hypervault_lease';

export interface LeaderLeaseOptions {
  /** What is led; processes with the same name compete. */
  readonly name: string;
  /** How long a term lasts without renewal, by the server's clock. @default 15000 */
  readonly ttlMs?: number | undefined;
  /** Who we are, for people; must differ between processes. @default host name, process id and a random part */
  readonly holder?: string | undefined;
  /** Hears resignations, so that the next leader need not wait for its next try. */
  readonly hub?: NotificationHub | undefined;
}

export type LeaderLeaseEvents = {
  /** A term begins. */
  elected: { readonly epoch: bigint };
  /** A term is over: not renewed in time, resigned, or taken by another. */
  deposed: { readonly epoch: bigint; readonly reason: string };
  /**
   * A try to take or renew the lease failed; the next ones follow, and are told of again after a success only, or when it
   * turns out that the leases are not installed (SchemaError).
   */
  error: unknown;
};

interface LeaseRow {
  held: boolean;
  epoch: string;
  held_by: string;
  expires_in_ms: number;
}

/**
 * Leadership among processes, by a row that expires.
 *
 * 1. The server's clock decides; a process believes in its own term only for `0.9 · ttlMs` after it *sent* the last
 *    successful renewal, so it stops before another can begin.
 * 2. Renewed every third of the time, so two tries may fail.
 * 3. Each term has a larger `epoch`, also after a failover that lost the last ones. Hand it to what you write, or call
 *    {@link fence} in the transaction: only that is proof against a process that was stopped in the middle.
 *
 * No advisory lock: those are lost behind poolers, stack within a session, and are granted on a standby while the
 * primary holds the same key.
 *
 * Needs the schema of module `listen` in the database (`hypervault init`, or `install`).
 */
export class LeaderLease extends TypedEmitter<LeaderLeaseEvents> {
  readonly name: string;
  readonly holder: string;
  readonly #ttlMs: number;
  readonly #connector: PostgresConnector;
  readonly #hub: NotificationHub | undefined;
  readonly #stop = new AbortController();
  #hurry = new AbortController();
  #task: Promise<void> | undefined;
  #resignations: Subscription | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #term: { readonly epoch: bigint; renewedAt: Moment } | undefined;
  #leader: string | undefined;
  #failing: 'missing' | 'passing' | undefined;

  /** @throws ConfigurationError; does no I/O */
  constructor(connection: ConnectionSettings | Endpoint, options: LeaderLeaseOptions) {
    super();
    const { name, ttlMs = 15_000, holder, hub } = options;
    if (typeof name !== 'string' || name === '') throw new ConfigurationError('LeaderLease: give it a name');
    checkDuration('ttlMs', ttlMs, 100);
    this.name = name;
    this.holder = holder ?? `${hostname()}:${process.pid}:${randomUUID().slice(0, 8)}`;
    this.#ttlMs = Math.round(ttlMs);
    this.#connector = new PostgresConnector(connection);
    this.#hub = hub;
  }

  /** The epoch of our running term, or `undefined` while we do not lead. Looks at the clocks each time. */
  get epoch(): bigint | undefined {
    if (this.#term === undefined || elapsedSince(this.#term.renewedAt) >= this.#trustMs) return undefined;
    return this.#term.epoch;
  }

  get leading(): boolean {
    return this.epoch !== undefined;
  }

  /** Who held the lease when the server was last asked. */
  get leader(): string | undefined {
    return this.#leader;
  }

  /** Begins to compete. */
  start(): void {
    if (this.#stop.signal.aborted) throw new ClosedError(`the lease ${this.name} is closed`);
    this.#task ??= this.#compete();
    this.#resignations ??= this.#hub?.subscribe(LEASE_CHANNEL, ({ payload }) => {
      if (payload === this.name && !this.leading) this.#hurry.abort();
    });
  }

  /**
   * Within a transaction of the leader's: fails unless the term still runs, and keeps another from beginning before
   * the transaction's end. Renewal waits as well, so the transaction must be short.
   *
   * @throws LeaseLostError
   */
  async fence(client: { query(text: string, values: unknown[]): Promise<unknown> }, epoch: bigint): Promise<void> {
    try {
      await client.query('select hypervault.lease_fence($1, $2)', [this.name, epoch]);
    } catch (cause) {
      if (sqlStateOf(cause) === SV.leaseLost) throw new LeaseLostError(this.name, epoch, { cause });
      throw explain(cause);
    }
  }

  /** Stops competing; ends a running term and wakes the others. Idempotent. */
  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    await this.#task;
    const term = this.#term;
    this.#depose('resigned');
    if (term !== undefined) {
      const values = [this.name, this.holder, term.epoch];
      // When the server can't be told, the lease ends by itself.
      await this.#ask('select hypervault.lease_resign($1, $2, $3)', values).catch(() => {});
    }
    await this.#resignations?.close();
    await this.#connector.disconnect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #trustMs(): number {
    return this.#ttlMs * 0.9;
  }

  async #compete(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#hurry = new AbortController();
      let waitMs = (this.#ttlMs / 3) * (0.9 + Math.random() / 10);
      try {
        const row = await this.#acquire();
        this.#failing = undefined;
        // A lease that ends before our next try is tried for at its end, and no two processes at the same moment.
        if (!row.held) waitMs = Math.min(waitMs, row.expires_in_ms + 5 + Math.random() * 50);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        const explained = explain(error);
        // That the leases are missing is no passing failure: it is told also after one.
        const kind = explained instanceof SchemaError ? 'missing' : 'passing';
        if (this.#failing === undefined || (kind === 'missing' && this.#failing !== kind))
          this.emit('error', explained);
        if (this.#failing !== 'missing') this.#failing = kind;
        waitMs = Math.min(waitMs, 1_000 * (0.5 + Math.random() / 2));
      }
      using stop = linkSignals([this.#stop.signal, this.#hurry.signal]);
      await sleep(waitMs, { signal: stop.signal }).catch(() => {});
    }
  }

  async #acquire(): Promise<LeaseRow> {
    const sentAt = now();
    const rows = await this.#ask<LeaseRow>(
      'select held, epoch::text, held_by, expires_in_ms from hypervault.lease_acquire($1, $2, $3)',
      [this.name, this.holder, this.#ttlMs],
    );
    const row = rows[0]!;
    this.#leader = row.held_by;
    if (!row.held) {
      this.#depose(`${row.held_by} leads`);
      return row;
    }
    const epoch = BigInt(row.epoch);
    if (this.#term !== undefined && this.#term.epoch !== epoch) this.#depose('the term ended before its renewal');
    const elected = this.#term === undefined;
    this.#term = { epoch, renewedAt: sentAt };
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#depose('not renewed in time'), this.#trustMs - elapsedSince(sentAt));
    if (elected) this.emit('elected', { epoch });
    return row;
  }

  async #ask<Row extends object>(text: string, values: unknown[]): Promise<Row[]> {
    const limitMs = Math.ceil(this.#ttlMs / 3);
    using limit = linkSignals([], limitMs);
    try {
      return (await this.#connector.query<Row>(text, values, { limitMs, signal: limit.signal })).rows;
    } catch (error) {
      // Only our own limit fires that signal; what it cut short says more than "aborted".
      throw error instanceof AbortedError ? (error.cause ?? error) : error;
    }
  }

  #depose(reason: string): void {
    clearTimeout(this.#deadline);
    const term = this.#term;
    this.#term = undefined;
    if (term !== undefined) this.emit('deposed', { epoch: term.epoch, reason });
  }
}

function explain(error: unknown): unknown {
  const state = sqlStateOf(error);
  const missing = [SQLSTATE.undefinedFunction, SQLSTATE.undefinedTable, SQLSTATE.invalidSchemaName] as string[];
  if (state === undefined || !missing.includes(state)) return error;
  return new SchemaError('the leases are not installed in this database; run hypervault init', { cause: error });
}
