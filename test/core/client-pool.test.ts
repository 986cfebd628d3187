import { describe, expect, it } from 'vitest';
import { Datastore } from '../../src/core/index.ts';
import { AuthenticationError } from '../../src/errors.ts';
import { freshDatabase } from '../support/database.ts';
import { testDatastore } from '../support/datastore.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

/** Callers that gave up leave nothing behind that goes on trying. */
describe('a pool that can open no session', () => {
  it('ends after a wrong password', async () => {
    const { connection } = await freshDatabase();
    const db = new Datastore([{ ...connection, password: 'wrong', shards: '1-9' }]);
    const calls = Array.from({ length: 20 }, () => rejection(db.withCursor(1, async () => {})));
    for (const error of await Promise.all(calls)) expect(error).toBeInstanceOf(AuthenticationError);
    await db.disconnect();
  });

  it('stops trying when nobody waits any more', async () => {
    const db = new Datastore([{ host: '127.0.0.1', port: 1, name: 'dead', shards: '1-9' }], {
      poolBlockTimeoutMs: 200,
    });
    const calls = Array.from({ length: 20 }, () => rejection(db.withCursor(1, async () => {})));
    for (const error of await Promise.all(calls)) expect(error.code).toBe('POOL_TIMEOUT');
    const settled = await waitFor(async () => {
      const before = db.stats().dead!.connectFailures;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return db.stats().dead!.connectFailures === before ? before : undefined;
    });
    expect(settled).toBeLessThan(200);
    await db.disconnect();
  });

  it('serves the next caller although earlier ones gave up', async () => {
    const { connection } = await freshDatabase();
    let right = false;
    const password = (): string => (right ? connection.password : 'wrong');
    const db = new Datastore([{ ...connection, password, name: 'a', shards: '1-9' }], { schemaPrefix: 'public' });
    await Promise.all(Array.from({ length: 20 }, () => rejection(db.withCursor(1, async () => {}))));
    right = true;
    // Attempts that were under way may still fail. Not installed is said by the server: so a session was opened.
    await waitFor(async () => (await rejection(db.withCursor(1, async () => {}))).code === 'SCHEMA');
    await db.disconnect();
  });
});

it('lends the client that came back last, so that the others may grow idle and go', async () => {
  const { db } = await testDatastore();
  const held = await Promise.all([1, 1, 1].map((shardId) => db.getConnection(shardId)));
  const pids: unknown[] = [];
  for (const cursor of held) {
    pids.push((await cursor.query('select pg_backend_pid() as pid')).rows[0]!.pid);
    await db.putConnection(cursor);
  }
  for (let turn = 0; turn < 3; turn += 1) {
    const { rows } = await db.withCursor(1, (cursor) => cursor.query('select pg_backend_pid() as pid'));
    expect(rows[0]!.pid).toBe(pids[2]);
  }
});
