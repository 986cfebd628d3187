// Random changes that go on until they are stopped: what the loads on the different sources have in common.
import { type Connection, createConnection } from 'mysql2/promise';
import type { SourceServer } from '../support/source-server.ts';

export interface Load {
  readonly transactions: number;
  stop(): Promise<void>;
}

export interface LoadOptions {
  /** The same one gives the same changes. */
  readonly seed?: number;
  readonly pauseMs?: number;
}

/** What the program of a load works with. */
export interface LoadTurns {
  readonly going: boolean;
  /** A whole number from 0 up to, but without, `below`. */
  random(below: number): number;
  /** Counts a transaction, and waits for the pause. */
  done(): Promise<void>;
}

/** Runs a program that makes transactions while `going`. Its error is told by `stop()`. */
export function startRandomLoad(
  { seed = 1, pauseMs = 0 }: LoadOptions,
  program: (turns: LoadTurns) => Promise<void>,
): Load {
  let stopping = false;
  let transactions = 0;
  let state = seed;
  const task = program({
    get going() {
      return !stopping;
    },
    random: (below) => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((state / 2_147_483_648) * below);
    },
    done: async () => {
      transactions += 1;
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    },
  });
  task.catch(() => {});
  return {
    get transactions() {
      return transactions;
    },
    stop: async () => {
      stopping = true;
      await task;
    },
  };
}

/** Lends a session in a database of a MySQL or MariaDB, for many statements at once. */
export async function withMysqlSession(
  { connection }: Pick<SourceServer, 'connection'>,
  database: string,
  work: (client: Connection) => Promise<void>,
): Promise<void> {
  const client = await createConnection({ ...connection, database, multipleStatements: true });
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

/** Runs statements as one transaction, which is rolled back when children cannot take a parent's new key. */
export async function runTransaction(
  client: Connection,
  statements: readonly string[],
  end: 'commit' | 'rollback' = 'commit',
): Promise<void> {
  await client.query(`begin; ${statements.join('; ')}; ${end}`).catch(async (error: { errno?: number }) => {
    if (error.errno !== 1761 && error.errno !== 1762) throw error;
    await client.query('rollback');
  });
}
