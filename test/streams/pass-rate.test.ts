// Positions are given at once where somebody waits for them, and seldom where nobody does.
import { expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { freshStore, openStore } from './event-store.ts';

const SHARD = 1;

test('appends that nobody follows are given positions ten times a second, until another process follows', async () => {
  const { store, database } = await freshStore();
  const head = async (): Promise<number> =>
    Number((await database.query('select head from shard0001.hv_sequencer')).rows[0].head);
  const appendFor = async (ms: number): Promise<{ heads: number; appends: number }> => {
    const heads = new Set<number>();
    let appends = 0;
    for (const until = Date.now() + ms; Date.now() < until; appends++) {
      await store.publishEvent('quiet', 'T', { shardId: SHARD });
      heads.add(await head());
    }
    return { heads: heads.size, appends };
  };
  await appendFor(100);
  expect((await appendFor(1_000)).heads).toBeLessThanOrEqual(12);

  const other = await openStore([{ ...database.connection, shards: '1-5' }]);
  const live = await other.store.subscribeToAll();
  await waitFor(async () => {
    const { rows } = await database.query('select watched_until > now() as watched from shard0001.hv_sequencer');
    return rows[0].watched;
  });
  // more than the rest of one that nobody follows allows, in some second; one with few appends says nothing
  await waitFor(
    async () => {
      const { heads, appends } = await appendFor(1_000);
      return heads > 12 || appends < 30;
    },
    { timeoutMs: 15_000, what: 'more than 12 passes in a second' },
  );
  await live.unsubscribe();
});

test('who follows is noted once in a while, not with each pass', async () => {
  const { database } = await freshStore();
  const pass = async (watching: boolean): Promise<{ watched: boolean }> =>
    (await database.query('select * from shard0001.hv_sequence(100, $1)', [watching])).rows[0];
  const row = async (): Promise<string> =>
    (await database.query('select ctid::text as at from shard0001.hv_sequencer')).rows[0].at;
  expect((await pass(false)).watched).toBe(false);
  expect((await pass(true)).watched).toBe(true);
  const noted = await row();
  expect((await pass(true)).watched).toBe(true);
  expect((await pass(false)).watched).toBe(true);
  expect(await row()).toBe(noted);
});
