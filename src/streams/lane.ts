import type { Client, QueryArrayResult } from 'pg';
import { destroyClient, lossOf } from '../internal/client-guard.ts';

/** One statement, its values bound; rows come back as arrays of text. */
export interface Statement {
  readonly text: string;
  readonly values: unknown[];
}

export type Row = (string | null)[];

/** A session lent by a pool. */
export interface LentSession {
  readonly client: Client;
  giveBack(): Promise<void>;
}

/** The part of a client's inside that a lane works with. */
interface PipelinedClient {
  pipeline: boolean;
  connection: { stream: { cork(): void; uncork(): void } };
}

/** Every value as the text that the server sent: what is not asked for is never decoded. */
const asText = { getTypeParser: () => (value: string) => value };
/** Statements prepared by name on one session: a backend keeps a plan for each, for as long as it lives. */
const MAX_NAMED = 96;
const nameOfText = new Map<string, string>();
const namedOn = new WeakMap<Client, Set<string>>();

function nameOf(client: Client, text: string): string | undefined {
  let named = namedOn.get(client);
  if (named === undefined) {
    named = new Set();
    namedOn.set(client, named);
  }
  if (!named.has(text)) {
    if (named.size >= MAX_NAMED) return undefined;
    named.add(text);
  }
  let name = nameOfText.get(text);
  if (name === undefined) {
    name = `hvs_${nameOfText.size + 1}`;
    nameOfText.set(text, name);
  }
  return name;
}

/**
 * One session in pipeline mode: statements are sent without waiting for earlier replies, and each has its own error,
 * since node-postgres sends a Sync with every one of them.
 */
export class Lane {
  readonly #session: LentSession;
  readonly #prepare: boolean;
  #inFlight = 0;
  #oldest = 0;

  constructor(session: LentSession, prepare: boolean) {
    this.#session = session;
    this.#prepare = prepare;
    inside(session.client).pipeline = true;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get usable(): boolean {
    return lossOf(this.#session.client) === undefined;
  }

  /** When the statement the server works on was begun (`performance.now()`). */
  get busySince(): number | undefined {
    return this.#inFlight === 0 ? undefined : this.#oldest;
  }

  /** Sends the statements in one write. Rejects with the first error of them, once all are answered. */
  run(statements: readonly Statement[]): Promise<Row[][]> {
    const { client } = this.#session;
    const { stream } = inside(client).connection;
    return new Promise((resolve, reject) => {
      const results: Row[][] = [];
      let failure: unknown;
      let open = statements.length;
      const answered = (error: unknown, result: QueryArrayResult | undefined): void => {
        this.#inFlight -= 1;
        this.#oldest = performance.now();
        if (error) failure ??= error;
        else results.push(result!.rows as Row[]);
        open -= 1;
        if (open > 0) return;
        if (failure === undefined) resolve(results);
        else reject(failure);
      };
      if (this.#inFlight === 0) this.#oldest = performance.now();
      this.#inFlight += statements.length;
      stream.cork();
      for (const { text, values } of statements) {
        const name = this.#prepare ? nameOf(client, text) : undefined;
        void client.query(
          { text, values, rowMode: 'array', types: asText as never, ...(name !== undefined && { name }) },
          (error: unknown, result: QueryArrayResult) => answered(error, result),
        );
      }
      stream.uncork();
    });
  }

  cut(): void {
    destroyClient(this.#session.client);
  }

  /** Gives the session back to its pool. Only when nothing is in flight. */
  async leave(): Promise<void> {
    inside(this.#session.client).pipeline = false;
    await this.#session.giveBack();
  }
}

function inside(client: Client): PipelinedClient {
  return client as unknown as PipelinedClient;
}
