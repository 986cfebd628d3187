import { endClient } from '../../internal/client-guard.ts';
import { quoteIdentifier } from '../../internal/quote.ts';
import { withShortLocks } from '../short-locks.ts';
import type { DeferredObject } from './journal.ts';
import type { Moving } from './moving.ts';
import { furtherSession } from './shard-lock.ts';
import { assertSameStructure } from './structure.ts';

/** Two at a time: more would take the target from the shards that are in use there. */
const BUILDERS = 2;

/** Makes what the skeleton left out, now that the rows are there: indexes, unique constraints, foreign keys, statistics. */
export async function buildRest(moving: Moving): Promise<{ indexes: number; foreignKeys: number }> {
  const { target, schema, signal } = moving;
  const { indexes = [], foreignKeys = [], tables = [] } = moving.objects;
  await runAll(moving, await missing(moving, indexes, 'index'));
  for (const { name, statement } of await missing(moving, foreignKeys, 'constraint')) {
    const table = statement.slice(0, statement.indexOf(' add constraint '));
    // Replication brings the rows of different tables as they were committed, so what held on the source holds here.
    const valid = / not valid$/i.test(statement);
    // It takes the locks of two tables, and the worker that brings rows may hold the one and wait for the other.
    await withShortLocks(target.client, () => target.client.query(valid ? statement : `${statement} not valid`), {
      what: 'making the foreign keys of a copy',
      signal,
    });
    if (!valid) await target.client.query(`${table} validate constraint ${quoteIdentifier(name)}`);
  }
  if (tables.length > 0) {
    const list = tables.map((table) => `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`);
    await target.client.query(`analyze ${list.join(', ')}`);
  }
  await assertSameStructure(moving);
  return { indexes: indexes.length, foreignKeys: foreignKeys.length };
}

/** Those that are not there yet: an earlier run of this step may have made some. */
async function missing(
  { target, schema }: Moving,
  objects: readonly DeferredObject[],
  kind: 'index' | 'constraint',
): Promise<DeferredObject[]> {
  const { rows } = await target.client.query<{ name: string }>(
    kind === 'index'
      ? 'select relname as name from pg_class where relnamespace = $1::text::regnamespace and relkind = $$i$$'
      : 'select conname as name from pg_constraint where connamespace = $1::text::regnamespace',
    [quoteIdentifier(schema)],
  );
  const there = new Set(rows.map(({ name }) => name));
  return objects.filter(({ name }) => !there.has(name));
}

async function runAll(moving: Moving, objects: readonly DeferredObject[]): Promise<void> {
  const waiting = objects[Symbol.iterator]();
  const { target, shardId } = moving;
  await Promise.all(
    Array.from({ length: Math.min(BUILDERS, objects.length) }, async () => {
      const client = await furtherSession(target, shardId);
      for (const { statement } of waiting) await client.query(statement);
      await endClient(client);
    }),
  );
}
