// The Datastore under write load while its server fails over: what was acknowledged is there afterwards, callers see
// errors that say whether to try again, and nobody waits for ever.
import { expect, onTestFinished, test } from 'vitest';
import { Datastore, install, type Key } from '../../src/core/index.ts';
import { HypervaultError } from '../../src/errors.ts';
import { type ServerPair, serverPair } from '../support/server-pair.ts';
import { waitFor } from '../support/wait-for.ts';

const WRITERS = 16;
const SHARDS = 4;

interface Load {
  readonly acknowledged: Key[];
  readonly errors: Map<string, number>;
  /** Longest time between two acknowledged writes, in ms. */
  readonly longestGap: number;
  stop(): Promise<void>;
}

async function datastoreOn(pair: ServerPair): Promise<Datastore> {
  const connections = [{ hosts: pair.hosts, ...pair.login, shards: `1-${SHARDS + 1}` }];
  await pair.query('create extension if not exists hstore');
  await install(connections);
  await pair.caughtUp();
  const db = new Datastore(connections);
  onTestFinished(() => db.disconnect({ deadlineMs: 1_000 }));
  return db;
}

/** Writers that go on whatever happens, and readers of what was written. */
function startLoad(db: Datastore): Load {
  const acknowledged: Key[] = [];
  const errors = new Map<string, number>();
  let stopping = false;
  let lastAt = performance.now();
  let longestGap = 0;
  const failed = (error: unknown): void => {
    const known = error instanceof HypervaultError;
    const kind = known ? `${error.code}${error.retryable ? ' (retryable)' : ''}` : String(error);
    errors.set(kind, (errors.get(kind) ?? 0) + 1);
  };
  const writer = async (number: number): Promise<void> => {
    for (let n = 0; !stopping; n += 1) {
      try {
        acknowledged.push(await db.put((number % SHARDS) + 1, 1, { writer: String(number), n: String(n) }));
        longestGap = Math.max(longestGap, performance.now() - lastAt);
        lastAt = performance.now();
      } catch (error) {
        failed(error);
      }
    }
  };
  const reader = async (): Promise<void> => {
    while (!stopping) {
      const key = acknowledged[Math.floor(Math.random() * acknowledged.length)];
      await (key ? db.get(key).catch(failed) : new Promise((resolve) => setTimeout(resolve, 1)));
    }
  };
  const tasks = [...Array.from({ length: WRITERS }, (_, number) => writer(number)), reader(), reader()];
  return {
    acknowledged,
    errors,
    get longestGap() {
      return longestGap;
    },
    stop: async () => {
      stopping = true;
      await Promise.all(tasks);
    },
  };
}

/** Writes go on: some more are acknowledged. Returns after how many ms. */
async function goesOn(load: Load): Promise<number> {
  const started = performance.now();
  const before = load.acknowledged.length;
  await waitFor(() => load.acknowledged.length > before, { everyMs: 1, timeoutMs: 20_000, what: 'the next write' });
  return performance.now() - started;
}

/** Callers are told to try again, or that it is not known whether the write happened; nothing else. */
function expectHonest({ errors }: Load): void {
  for (const kind of errors.keys()) expect(kind).toMatch(/\(retryable\)$|^OUTCOME_UNKNOWN$/);
}

async function missing(pair: ServerPair, keys: readonly Key[]): Promise<number> {
  let found = 0;
  for (let shard = 1; shard <= SHARDS; shard += 1) {
    const ids = keys.filter(({ shardId }) => shardId === shard).map(({ id }) => id);
    const table = `shard${String(shard).padStart(4, '0')}.entities`;
    const [row] = await pair.query(`select count(*)::int as n from ${table} where id = any($1)`, [ids]);
    found += row!.n as number;
  }
  return keys.length - found;
}

test('a planned switchover, there and back: no acknowledged write is lost', async () => {
  const pair = await serverPair();
  const load = startLoad(await datastoreOn(pair));
  for (let times = 0; times < 2; times += 1) {
    await waitFor(() => load.acknowledged.length > (times + 1) * 200);
    await pair.switchover();
    await goesOn(load);
  }
  await load.stop();
  expectHonest(load);
  expect(await missing(pair, load.acknowledged)).toBe(0);
  expect(load.longestGap).toBeLessThan(3_000);
}, 60_000);

test('a crash with a synchronous standby: no acknowledged write is lost, writes go on within 2 s of the promotion', async () => {
  const pair = await serverPair();
  const db = await datastoreOn(pair);
  await pair.query(`alter system set synchronous_standby_names = '*'`);
  await pair.query('select pg_reload_conf()');
  const load = startLoad(db);
  await waitFor(() => load.acknowledged.length > 300);
  await pair.primary.kill();
  await new Promise((resolve) => setTimeout(resolve, 500));
  await pair.promote();
  const backAfter = await goesOn(load);
  const during = load.acknowledged.length;
  await waitFor(() => load.acknowledged.length > during + 200);
  await load.stop();
  expectHonest(load);
  expect(backAfter).toBeLessThan(2_000);
  expect(await missing(pair, load.acknowledged)).toBe(0);
}, 60_000);

test('a crash with an asynchronous standby loses what the standby had not received, and no more', async () => {
  const pair = await serverPair();
  const load = startLoad(await datastoreOn(pair));
  await waitFor(() => load.acknowledged.length > 300);
  // The standby falls behind: the process that sends to it stands still for a while, and dies with its server.
  const [sender] = await pair.query(`select pid from pg_stat_activity where backend_type = 'walsender'`);
  process.kill(sender!.pid as number, 'SIGSTOP');
  const sent = load.acknowledged.length;
  await new Promise((resolve) => setTimeout(resolve, 100));
  process.kill(sender!.pid as number, 'SIGKILL');
  await pair.primary.kill();
  const unsent = load.acknowledged.length - sent;
  await pair.promote();
  const backAfter = await goesOn(load);
  await load.stop();
  expectHonest(load);
  expect(backAfter).toBeLessThan(2_000);
  const lost = await missing(pair, load.acknowledged);
  // A few were sent before they were acknowledged, and a few acknowledged after they were counted.
  expect(lost).toBeLessThanOrEqual(unsent + 2 * WRITERS);
  console.log(`a standby 100 ms behind: ${lost} of ${load.acknowledged.length} acknowledged writes were lost`);
}, 60_000);
