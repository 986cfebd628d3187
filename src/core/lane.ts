import type { Client, CustomTypesConfig, QueryArrayResult } from 'pg';
import { abandonClient, lossOf } from '../internal/client-guard.ts';
import { LaneQuery } from './lane-query.ts';
import type { Observer } from './observe.ts';
import { statementName } from './statement.ts';
import { writeTogether } from './write-together.ts';

/** One statement as a lane carries it. */
export interface LaneStatement {
  /** The shard it works on, or -1 for BEGIN and COMMIT. */
  readonly shardId: number;
  readonly text: string;
  readonly values?: unknown[] | undefined;
  readonly types?: CustomTypesConfig | undefined;
  /** Values that find and change nothing, with which the statement can be planned ahead on another session. */
  readonly nothing?: unknown[] | undefined;
  /** Called once: with the error, or with `undefined` and the result (rows as arrays). */
  readonly done: (error: unknown, result: QueryArrayResult | undefined) => void;
}

/** A statement as it is planned ahead. */
export type PlannedStatement = Omit<LaneStatement, 'done' | 'nothing'>;

/**
 * A client in pipeline mode: statements are sent without waiting for the replies of earlier ones, and each has its own
 * error (node-postgres sends a Sync with every statement, so a failed one can't poison its neighbours).
 *
 * Invariants: replies come in the order of sending; `head` is the statement the server works on; a lane that lost its
 * session calls every `done` still open with the loss.
 */
export class Lane {
  readonly client: Client;
  readonly #prepare: boolean;
  readonly #observer: Observer;
  readonly #onServed: (serviceMs: number) => void;
  readonly #open: LaneStatement[] = [];
  /** Statements prepared here, by their text. */
  readonly #prepared = new Map<string, PlannedStatement>();
  #headSince = 0;
  /** Of the open statements, those that are only planned. */
  #plans = 0;
  /** Gets no more work: its head takes far too long. Set by whoever watches the lanes. */
  stalled = false;

  constructor(
    client: Client,
    { prepare, observer, onServed }: { prepare: boolean; observer: Observer; onServed: (serviceMs: number) => void },
  ) {
    this.client = client;
    this.#prepare = prepare;
    this.#observer = observer;
    this.#onServed = onServed;
    setPipeline(client, true);
  }

  /** Statements sent and not yet answered. */
  get inFlight(): number {
    return this.#open.length;
  }

  /** The statement the server works on, and for how long, in ms. */
  head(now: number): { statement: LaneStatement; forMs: number } | undefined {
    const statement = this.#open[0];
    return statement && { statement, forMs: now - this.#headSince };
  }

  /** Whether anybody waits for a reply: nobody does for statements that are planned ahead. */
  get awaited(): boolean {
    return this.#open.length > this.#plans;
  }

  get usable(): boolean {
    return !this.stalled && this.loss === undefined;
  }

  /** Why its session is gone, or `undefined` while it lives. */
  get loss(): unknown {
    return lossOf(this.client);
  }

  /** Sends statements in one write. */
  send(statements: readonly LaneStatement[]): void {
    writeTogether(this.client, () => {
      for (const statement of statements) this.#send(statement);
    });
  }

  /** Sends one statement and waits for its rows, as arrays. */
  ask(statement: Omit<LaneStatement, 'done'>): Promise<unknown[][]> {
    return new Promise((resolve, reject) => {
      this.send([
        { ...statement, done: (error, result) => (result === undefined ? reject(error) : resolve(result.rows)) },
      ]);
    });
  }

  /** The statements on one shard that were prepared here. */
  preparedFor(shardId: number): PlannedStatement[] {
    return [...this.#prepared.values()].filter((statement) => statement.shardId === shardId);
  }

  /**
   * Prepares and plans statements without running them: the first time, a session learns tables, indexes and triggers.
   * One that can't be planned is left to whoever runs it.
   */
  async plan(statements: readonly PlannedStatement[]): Promise<void> {
    await Promise.all(
      statements.map((statement) => new Promise((done) => this.#send({ ...statement, done }, { planOnly: true }))),
    );
  }

  /** Leaves pipeline mode, so that the client can go back to its pool. Only when nothing is in flight. */
  leave(): Client {
    setPipeline(this.client, false);
    return this.client;
  }

  /** Cuts the session; every statement in flight fails, and the server is asked to give up the one it works on. */
  cut(): void {
    abandonClient(this.client);
  }

  #send(statement: LaneStatement, { planOnly = false } = {}): void {
    const { shardId, text, values, types, nothing } = statement;
    const name = this.#prepare && values !== undefined ? statementName(this.client, text) : undefined;
    if (name !== undefined && nothing !== undefined && !this.#prepared.has(text)) {
      this.#prepared.set(text, { shardId, text, values: nothing, types });
    }
    if (this.#open.length === 0) this.#headSince = performance.now();
    this.#open.push(statement);
    if (planOnly) this.#plans += 1;
    const sent = this.#observer.active ? performance.now() : 0;
    const query = new LaneQuery({ text, name, values, types, rowMode: 'array', planOnly }, (error, result) => {
      const now = performance.now();
      this.#open.shift();
      if (planOnly) this.#plans -= 1;
      this.#onServed(now - this.#headSince);
      this.#headSince = now;
      if (sent > 0) this.#observer.statement(statement.shardId, text, now - sent, error ?? undefined);
      statement.done(error ?? undefined, result);
    });
    this.client.query(query as never);
  }
}

function setPipeline(client: Client, pipeline: boolean): void {
  (client as unknown as { pipeline: boolean }).pipeline = pipeline;
}
