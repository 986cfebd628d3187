// SIGKILL of the replica under everything at once: rows, XA and compressed transactions, changes of structure, anew
// copied now and then. `npm run soak:import` does it a hundred times on each server.
import { describe, expect, it } from 'vitest';
import type { SourceServer } from '../support/source-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { expectSameDatabase } from './compare-tables.ts';
import { type ImportFixture, importFixture, mariadbOfFile, mysqlOfFile } from './fixture.ts';
import { CREATE_MIXED, startMixedLoad } from './mixed-load.ts';
import { startReplicaProcess } from './replica-process.ts';

const KILLS = Number(process.env.HYPERVAULT_KILLS ?? 2);
const SEED = Number(process.env.HYPERVAULT_SEED ?? 11);
/** Each so many kills hits a copy that begins anew. */
const COPY_EVERY = 10;

async function ensureCopied(f: ImportFixture): Promise<void> {
  const [row] = await f.rows<{ status: string }>('select status from hypervault.import_source');
  if (row!.status === 'initialising') await startReplicaProcess(f.config, 'init').finished();
}

async function expectNoFailure(f: ImportFixture): Promise<void> {
  expect(await f.rows('select table_name, message, sql from hypervault.import_error')).toEqual([]);
  expect(
    await f.rows(`select origin_table, state, reason from hypervault.import_table where state <> 'followed'`),
  ).toEqual([]);
}

describe.each([
  ['MySQL', mysqlOfFile(), {}],
  ['MariaDB', mariadbOfFile({ 'log-bin-compress': 'on', 'log-bin-compress-min-len': 64 }), {}],
] as [string, () => SourceServer, Record<string, unknown>][])('%s', (name, server) => {
  it(`is the same, byte for byte, after ${KILLS} kills under a mixed load`, {
    timeout: 120_000 + KILLS * 15_000,
  }, async () => {
    const f = await importFixture(server(), { source: { copy_max_memory: '200k', replay_max_rows: 500 } });
    await f.source(CREATE_MIXED);
    await f.init();
    const load = startMixedLoad(f.server, f.schema, { seed: SEED, compress: name === 'MySQL' });
    for (let kill = 0; kill < KILLS; kill++) {
      if (kill % COPY_EVERY === COPY_EVERY - 1) {
        await load.keepShape();
        const copying = startReplicaProcess(f.config, 'init-anew');
        await waitFor(
          async () => {
            copying.expectAlive();
            return (await f.rows('select from hypervault.import_chunk')).length > 1 || copying.lines.length > 0;
          },
          { timeoutMs: 60_000, everyMs: 2, what: 'a part of the copy' },
        );
        await copying.kill();
        continue;
      }
      await load.keepShape();
      await ensureCopied(f);
      load.changeShape();
      const replica = startReplicaProcess(f.config, 'start');
      await waitFor(
        () => {
          replica.expectAlive();
          return replica.lines.length > 1;
        },
        { timeoutMs: 60_000, everyMs: 5, what: `the replica applying before kill ${kill}` },
      );
      await new Promise((resolve) => setTimeout(resolve, (kill * 53) % 400));
      await replica.kill();
    }
    await load.stop();
    await ensureCopied(f);
    await f.start();
    await f.caughtUp();
    await expectNoFailure(f);
    const rows = await expectSameDatabase(f);
    expect(Object.keys(rows)).toEqual(expect.arrayContaining(['items', 'orders', 'packed', 'shapes']));
    if (KILLS >= COPY_EVERY)
      console.info(`${name}: ${KILLS} kills, ${load.transactions} transactions, rows ${JSON.stringify(rows)}`);
  });
});
