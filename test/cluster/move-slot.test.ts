// A replication slot waits for every transaction of the whole server that has written, prepared ones too.
import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import {
  abortMoves,
  finishMoves,
  type MoveOptions,
  moveShards,
  planMoves,
  resumeMoves,
} from '../../src/cluster/index.ts';
import type { Embedded } from '../../src/embedded/index.ts';
import { databaseOf, movableCluster, type ShardDatabase } from '../support/movable-cluster.ts';
import { ownServers } from '../support/own-server.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

let servers: Embedded;
let databases = 0;

beforeAll(async () => {
  servers = await ownServers({ servers: 2, settings: { fsync: false, max_prepared_transactions: 5 }, keep: true });
});

afterAll(() => servers.stop());

async function cluster() {
  databases += 1;
  const [a, b] = (await Promise.all(
    servers.servers.map(async ({ connection }) => {
      await databaseOf(connection).query(`create database slot${databases}`);
      return databaseOf({ ...connection, database: `slot${databases}` });
    }),
  )) as [ShardDatabase, ShardDatabase];
  await a.query(`create database control${databases}`);
  const control = databaseOf({ ...a.connection, database: `control${databases}` });
  return movableCluster({ databases: [a, b, control] });
}

/** Prepares a transaction in a database of the server that holds no shards. */
async function prepareElsewhere({ connection }: ShardDatabase, name: string): Promise<() => Promise<void>> {
  const other = databaseOf({ ...connection, database: 'postgres' });
  await other.query(`begin; select pg_current_xact_id(); prepare transaction '${name}'`);
  let over: Promise<unknown> | undefined;
  const end = async (): Promise<void> => {
    over ??= other.query(`rollback prepared '${name}'`);
    await over;
  };
  onTestFinished(end);
  return end;
}

function notes(): { readonly said: string[]; readonly options: MoveOptions } {
  const said: string[] = [];
  const onProgress: MoveOptions['onProgress'] = ({ step, note }) => {
    if (note !== undefined) said.push(`${step}: ${note}`);
  };
  return { said, options: { acceptStaleReads: true, onProgress } };
}

test('one prepared in another database, long ago: the pre-flight names it, on either server, with what to do', async () => {
  const { setting, a, b } = await cluster();
  await prepareElsewhere(a, 'payroll 7');
  await prepareElsewhere(b, 'payroll 8');
  const order = { shards: [2], to: 'b' };
  const found = async (options: MoveOptions): Promise<[string, string][]> =>
    (await planMoves(setting, order, { acceptStaleReads: true, ...options })).flatMap(({ problems }) =>
      problems.map(({ check, message }): [string, string] => [check, message]),
    );
  expect(await found({})).toEqual([]);
  const old = await found({ maxPreparedAgeMs: 1 });
  expect(old).toEqual([
    [
      'prepared-old',
      expect.stringMatching(
        /^a holds the transaction 'payroll 7' in database postgres, prepared \d+ s ago: .*as \w+, with commit prepared 'payroll 7' or rollback prepared 'payroll 7'$/,
      ),
    ],
    ['prepared-old', expect.stringMatching(/^b holds the transaction 'payroll 8' in database postgres/)],
  ]);
  // Without a way back no slot is made there.
  expect(await found({ maxPreparedAgeMs: 1, wayBack: false })).toHaveLength(1);
  expect(await rejection(moveShards(setting, order, { acceptStaleReads: true, maxPreparedAgeMs: 1 }))).toMatchObject({
    code: 'MOVE_PREFLIGHT',
    message: expect.stringMatching(/'payroll 7'/),
  });
});

test('one that is prepared as the slot is made: told, given up in time with no slot left, and the move goes on', {
  timeout: 60_000,
}, async () => {
  const { setting, a, leftovers } = await cluster();
  const end = await prepareElsewhere(a, 'payroll 9');
  const { said, options } = notes();
  const stalled = await rejection(moveShards(setting, { shards: [2], to: 'b' }, { ...options, slotWithinMs: 1_500 }));
  expect(stalled).toMatchObject({
    code: 'MOVE_STALLED',
    retryable: true,
    message: expect.stringMatching(
      /^a made no replication slot within 1500 ms \(option slotWithinMs\): it waits for the prepared transaction 'payroll 9' in database postgres, by \w+, since \S+Z; end it/,
    ),
  });
  expect(said).toEqual([
    expect.stringMatching(/^publish: a makes no replication slot yet: it waits for \d+ s for the prepared transaction/),
  ]);
  expect((await leftovers()).filter((what) => /slot|subscription/.test(what))).toEqual([]);
  await abortMoves(setting);
  expect(await leftovers()).toEqual([]);

  // Begun anew, it waits until the transaction ends, and goes on.
  const moving = moveShards(setting, { shards: [2], to: 'b' }, options);
  moving.catch(() => {});
  await waitFor(() => said.length >= 2, { what: 'what is waited for' });
  await end();
  expect(await moving).toMatchObject([{ state: 'moved' }]);
  await finishMoves(setting);
  expect(await leftovers()).toEqual([]);
});

test('the slot of the way back is bounded too, and an open transaction is named; the move is taken up', {
  timeout: 60_000,
}, async () => {
  const { setting, b, leftovers } = await cluster();
  const client = new pg.Client({ ...b.connection, database: 'postgres' });
  await client.connect();
  onTestFinished(() => client.end());
  await client.query('begin');
  await client.query('select pg_current_xact_id()');
  const { said, options } = notes();
  const stalled = await rejection(moveShards(setting, { shards: [2], to: 'b' }, { ...options, slotWithinMs: 1_500 }));
  expect(stalled).toMatchObject({
    code: 'MOVE_STALLED',
    message: expect.stringMatching(
      /^b made no replication slot .*the transaction of session \d+ by \w+ in database postgres, open since \S+Z \(idle in transaction\)/,
    ),
  });
  expect(said.at(-1)).toMatch(/^gate: b makes no replication slot yet/);
  expect((await leftovers()).filter((what) => /slot hv_back/.test(what))).toEqual([]);
  await client.query('rollback');
  expect(await resumeMoves(setting, {}, options)).toMatchObject([{ state: 'moved' }]);
  await finishMoves(setting);
  expect(await leftovers()).toEqual([]);
});

test('a mover that died while its slot was being made: its session ends, the move goes on', {
  timeout: 60_000,
}, async () => {
  const { setting, a, leftovers } = await cluster();
  const end = await prepareElsewhere(a, 'payroll 10');
  const { said, options } = notes();
  const stop = new AbortController();
  const died = moveShards(setting, { shards: [2], to: 'b' }, { ...options, signal: stop.signal });
  died.catch(() => {});
  await waitFor(() => said.length > 0, { what: 'what is waited for' });
  stop.abort();
  await rejection(died);
  const waiting = resumeMoves(setting, {}, options);
  waiting.catch(() => {});
  await waitFor(() => said.length > 1, { what: 'the second mover to wait', timeoutMs: 30_000 });
  await end();
  expect(await waiting).toMatchObject([{ state: 'moved' }]);
  await finishMoves(setting);
  expect(await leftovers()).toEqual([]);
});
