import type { Client, QueryArrayResult } from 'pg';
import { ClosedError } from '../errors.ts';
import { Endpoint } from '../internal/endpoint/endpoint.ts';
import { withinLimit } from '../internal/endpoint/waiting.ts';
import { ClientPool } from './client-pool.ts';
import { ContactOnce } from './contact-once.ts';
import { Cursor } from './cursor.ts';
import { EntitySources } from './entity-sources.ts';
import { QueueFullError } from './errors.ts';
import { GatheredReads, type ReadCall, type ReadSource } from './gathered-reads.ts';
import { GatheredWrites, type WriteCall, type WriteStatement } from './gathered-writes.ts';
import { Gatherer } from './gatherer.ts';
import { LaneHolder } from './lane-holder.ts';
import { type LaneKind, LaneWatch } from './lane-watch.ts';
import type { MovedCalls } from './moved-calls.ts';
import { Observer } from './observe.ts';
import type { ResolvedDatastoreOptions } from './options.ts';
import { PendingRead } from './pending-read.ts';
import { schemaName } from './schema-name.ts';
import { bringHome, letStray, prepareSession, type SessionFacts } from './session.ts';
import type { ShardServer } from './shard-map.ts';

/** What a server asks of the Datastore it belongs to. */
export interface ServerHost {
  /** Checks the server the first time a session with it is opened. */
  contact(server: Server, client: Client): Promise<void>;
  /** Calls of one shard that met an error that may mean it has moved are sent where it lives now, or failed. */
  readonly moved: Pick<MovedCalls, 'reads' | 'writes'>;
}

/**
 * Batches in flight at a time. Reads: with 256 callers 2 to 8 give the same, with 16 and 64 the deeper ones keep the
 * server busier. Writes: more would only spread rows over more transactions, each with its own flush.
 */
const DEPTH: Readonly<Record<LaneKind, number>> = { shared: 4, apart: 4, writes: 2 };

/** Counters of one server; names are fixed. */
export interface ServerStats {
  readonly clients: number;
  readonly lent: number;
  readonly idle: number;
  readonly waiting: number;
  readonly queued: number;
  readonly inFlight: number;
  readonly batches: number;
  readonly batchedCalls: number;
  readonly errors: number;
  readonly connectFailures: number;
  readonly slowShards: readonly number[];
}

/** One server at run time: its endpoint, its pool, its lanes. */
export class Server {
  readonly name: string;
  readonly pool: ClientPool;
  readonly endpoint: Endpoint;
  readonly observer: Observer;
  readonly #options: ResolvedDatastoreOptions;
  readonly #host: ServerHost;
  readonly #watch: LaneWatch;
  readonly #reads: GatheredReads;
  readonly #writes: GatheredWrites;
  readonly #gatherers: Gatherer<ReadCall | WriteCall>[] = [];
  readonly #holders: LaneHolder[] = [];
  /** How entities are read and written on this server. */
  readonly entities: EntitySources;
  readonly #contact = new ContactOnce();
  #facts: SessionFacts | undefined;
  #learning: Promise<void> | undefined;
  #outstanding = 0;
  #hasLeft = false;
  #errors = 0;

  constructor({ name, connection }: ShardServer, options: ResolvedDatastoreOptions, host: ServerHost) {
    this.name = name;
    this.#options = options;
    this.#host = host;
    this.endpoint = new Endpoint(connection);
    this.observer = new Observer(name, options.logger);
    this.pool = new ClientPool({
      server: name,
      max: options.poolMax,
      maxWaiting: options.maxWaiting,
      blockTimeoutMs: options.poolBlockTimeoutMs,
      idleTimeoutMs: options.idleTimeoutMs,
      maxClientAgeMs: options.maxClientAgeMs,
      open: (how) => this.#open(how),
    });
    this.entities = new EntitySources(this, options);
    this.#watch = new LaneWatch({ requestTimeoutMs: options.requestTimeoutMs });
    const retryMs = options.poolBlockTimeoutMs;
    const lost = (error: unknown): void => this.endpoint.report(error);
    this.#reads = new GatheredReads({
      retryMs,
      lost,
      isSlow: (shardId) => this.#watch.isSlow(shardId),
      moved: (calls, error, lane) => host.moved.reads(this, calls, error, lane),
      hasLeft: () => this.#hasLeft,
    });
    this.#writes = new GatheredWrites({
      server: name,
      retryMs,
      lost,
      moved: (calls, error, lane) => host.moved.writes(this, calls, error, lane),
      hasLeft: () => this.#hasLeft,
      alone: (statement) => this.run(statement, { patient: true }),
    });
    this.#reads.use(this.#gatherer(this.#reads, 'shared'), this.#gatherer(this.#reads, 'apart'));
    this.#writes.use(this.#gatherer(this.#writes, 'writes'));
  }

  /** Reads one row, gathered with the reads of other callers. */
  read(source: ReadSource, id: string): Promise<unknown> {
    if (this.#outstanding >= this.#options.maxQueued) return Promise.reject(this.#full());
    this.#outstanding += 1;
    return new Promise((resolve, reject) =>
      this.#reads.add(new PendingRead(source, id, resolve, reject, this.#settled)),
    );
  }

  /** Sends a call that another server turned away. */
  takeRead(call: ReadCall): void {
    this.#reads.add(call);
  }

  /** Writes, gathered with the writes of other callers. */
  write<Call extends WriteCall>(call: Omit<Call, 'done' | 'fail' | 'retryUntil' | 'settled'>): Promise<unknown> {
    if (this.#outstanding >= this.#options.maxQueued) return Promise.reject(this.#full());
    this.#outstanding += 1;
    return new Promise((resolve, reject) => {
      const settle = (well: boolean): void => {
        write.settled = true;
        this.#settled(well);
      };
      const write = {
        ...call,
        retryUntil: 0,
        settled: false,
        done: (outcome: unknown) => {
          settle(true);
          resolve(outcome);
        },
        fail: (error: unknown) => {
          settle(false);
          reject(error);
        },
      };
      this.#writes.add(write as unknown as Call);
    });
  }

  takeWrite(call: WriteCall): void {
    this.#writes.add(call);
  }

  /** Opens sessions for a shard that is to come from another server, and plans on them what was sent for it there. */
  makeReady(shardId: number, from: Server): void {
    for (const [n, gatherer] of this.#gatherers.entries()) {
      void gatherer.makeReady(from.#gatherers[n]!.preparedFor(shardId));
    }
  }

  /** What was learnt of the server's sessions; opens the first one when there was none. */
  async facts(): Promise<SessionFacts> {
    if (this.#facts !== undefined) return this.#facts;
    // Many callers may meet the server at once; one session is enough to learn from.
    this.#learning ??= this.pool
      .acquire()
      .then((client) => this.pool.release(client))
      .finally(() => {
        this.#learning = undefined;
      });
    await this.#learning;
    return this.#facts!;
  }

  /** Of the session opened last; `undefined` when the database lacks hstore. */
  get hstoreOid(): number | undefined {
    return this.#facts?.hstoreOid;
  }

  /** Lends a client for work on one shard. */
  async lend(shardId: number, signal?: AbortSignal): Promise<Cursor> {
    const client = await this.pool.acquire({ signal });
    letStray(client);
    return new Cursor(client, shardId, schemaName(this.#options.schemaPrefix, shardId), this.observer);
  }

  get stats(): ServerStats {
    const { clients, lent, idle, waiting, failures } = this.pool.counts;
    const sum = (of: (gatherer: Gatherer<ReadCall | WriteCall>) => number): number =>
      this.#gatherers.reduce((total, gatherer) => total + of(gatherer), 0);
    return {
      clients,
      lent,
      idle,
      waiting,
      queued: sum((gatherer) => gatherer.queued),
      inFlight: sum((gatherer) => gatherer.inFlight),
      batches: sum((gatherer) => gatherer.batches),
      batchedCalls: sum((gatherer) => gatherer.calls),
      errors: this.#errors,
      connectFailures: failures,
      slowShards: this.#watch.slowShards,
    };
  }

  /** Closes it since the map names it no longer: calls that wait here go where their shards are now. */
  leave(deadlineMs: number): Promise<void> {
    this.#hasLeft = true;
    return this.close(deadlineMs);
  }

  async close(deadlineMs: number): Promise<void> {
    const closed = new ClosedError(`the datastore is disconnected from ${this.name}`);
    for (const gatherer of this.#gatherers) gatherer.close(closed);
    for (const holder of this.#holders) holder.close();
    await this.pool.close(deadlineMs);
    await this.endpoint.close();
  }

  #gatherer<Call extends ReadCall | WriteCall>(work: GatheredReads | GatheredWrites, kind: LaneKind): Gatherer<Call> {
    const holder = new LaneHolder(this.pool, this.#watch, {
      kind,
      prepare: this.#options.prepare,
      requestTimeoutMs: this.#options.requestTimeoutMs,
      observer: this.observer,
    });
    const gatherer = new Gatherer<Call>(holder, work as never, {
      maxBatch: this.#options.maxBatchSize,
      depth: DEPTH[kind],
    });
    this.#holders.push(holder);
    this.#gatherers.push(gatherer as never);
    return gatherer;
  }

  readonly #settled = (well: boolean): void => {
    this.#outstanding -= 1;
    if (!well) this.#errors += 1;
  };

  #full(): QueueFullError {
    return new QueueFullError(`${this.#outstanding} calls wait for ${this.name} already (option maxQueued)`);
  }

  async #open(how: { signal: AbortSignal }): Promise<Client> {
    const client = await this.endpoint.connect(how);
    try {
      // Others may wait for this session's check of the server, and the pool for the session: neither may hang.
      const { connectTimeoutMs } = this.endpoint.settings;
      await withinLimit(client, connectTimeoutMs, () => this.#prepare(client), how.signal);
      return client;
    } catch (error) {
      void client.end().catch(() => {});
      throw error;
    }
  }

  async #prepare(client: Client): Promise<void> {
    const facts = await prepareSession(client);
    await this.#contact.check(facts.startedAt, () => this.#host.contact(this, client));
    this.#facts = facts;
  }

  /**
   * Runs one statement on a client of its own; rows come as arrays. Past the request time-out, or when the signal fires,
   * the statement is given up.
   *
   * @param options.patient - it may take any time: it waits for a lock, or reads a lot
   */
  async run(
    { text, values, types }: WriteStatement,
    { signal, patient = false }: { signal?: AbortSignal | undefined; patient?: boolean } = {},
  ): Promise<QueryArrayResult> {
    const client = await this.pool.acquire({ signal });
    try {
      const work = async (): Promise<QueryArrayResult> => {
        await bringHome(client);
        return client.query({ text, values, rowMode: 'array', ...(types !== undefined && { types }) });
      };
      return await withinLimit(client, patient ? undefined : this.#options.requestTimeoutMs, work, signal);
    } finally {
      await this.pool.release(client);
    }
  }
}
