// A session of a test's own that holds something, so that others meet at it.
import pg from 'pg';
import { onTestFinished } from 'vitest';
import type { TestDatabase } from '../support/database.ts';

/** Runs statements in a transaction that stays open. Returns what ends it; the end of the test does too. */
export async function holdOpen(
  { connection }: Pick<TestDatabase, 'connection'>,
  sql: string,
): Promise<() => Promise<void>> {
  const client = new pg.Client(connection);
  await client.connect();
  let open = true;
  const letGo = async (): Promise<void> => {
    if (open) await client.end();
    open = false;
  };
  onTestFinished(letGo);
  await client.query(`begin; ${sql}`);
  return letGo;
}
