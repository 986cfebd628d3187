// SIGKILL in every phase, over and over, while the source is written to. `npm run soak:import` does it a hundred times.
import pg from 'pg';
import { expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { expectSameRows } from './compare.ts';
import { type ImportFixture, importFixture, mariadbOfFile } from './fixture.ts';
import { CREATE_COUNTERS, CREATE_ITEMS, ITEM_COLUMNS, startLoad } from './load.ts';
import { type ReplicaProcess, startReplicaProcess } from './replica-process.ts';

const mariadb = mariadbOfFile();
const KILLS = Number(process.env.HYPERVAULT_KILLS ?? 5);
const ROWS = 40_000;

/** What a session of the import is at, as the server shows it. */
async function isAt(f: ImportFixture, replica: ReplicaProcess, pattern: string, waiting = false): Promise<boolean> {
  replica.expectAlive();
  const rows = await f.rows(
    `select from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and state = 'active'
        and application_name like 'pg-hypervault%' and query ~* $1 and ($2 or wait_event_type is distinct from 'Lock')
        and (not $2 or wait_event_type = 'Lock')`,
    [pattern, waiting],
  );
  return rows.length > 0;
}

/** Holds a lock on a table while some work is done, so that who wants to change it has to wait. */
async function holding(f: ImportFixture, table: string, work: () => Promise<void>): Promise<void> {
  const client = new pg.Client(f.target.connection);
  await client.connect();
  try {
    await client.query(`begin; lock table ${f.schema}.${table} in access share mode`);
    await work();
  } finally {
    await client.end();
  }
}

const PHASES: Record<string, (f: ImportFixture, kill: number) => Promise<void>> = {
  copy: async (f, kill) => {
    const replica = startReplicaProcess(f.config, 'init-anew');
    const done = async (): Promise<number> => {
      const [row] = await f.rows<{ n: number }>('select count(*)::int as n from hypervault.import_chunk');
      return row!.n;
    };
    await waitFor(async () => (await done()) > 1 + (kill % 7), { timeoutMs: 90_000, everyMs: 2, what: 'some chunks' });
    await replica.kill();
  },
  index: async (f) => {
    const replica = startReplicaProcess(f.config, 'init');
    // Over in a moment: seen or not, it is killed while the copy comes to its end
    await waitFor(
      async () =>
        (await isAt(f, replica, 'primary key|create (unique )?index|analyze')) ||
        replica.lines.some((line) => line.includes('durationMs')),
      { timeoutMs: 90_000, everyMs: 1, what: 'the indexes being built' },
    );
    await replica.kill();
  },
  swap: async (f) => {
    await holding(f, 'items', async () => {
      const replica = startReplicaProcess(f.config, 'init-anew');
      await waitFor(() => isAt(f, replica, 'drop table', true), { timeoutMs: 90_000, everyMs: 5, what: 'the swap' });
      await replica.kill();
    });
  },
  apply: async (f, kill) => {
    await ensureCopied(f);
    const replica = startReplicaProcess(f.config, 'start');
    await waitFor(() => replica.lines.length > 2, { timeoutMs: 90_000, what: 'the replica applying' });
    await new Promise((resolve) => setTimeout(resolve, (kill * 53) % 250));
    await replica.kill();
  },
  detach: async (f) => {
    await ensureCopied(f);
    // The key of the table before is made then
    await holding(f, 'later', async () => {
      const replica = startReplicaProcess(f.config, 'detach');
      await waitFor(() => isAt(f, replica, 'later. drop constraint', true), {
        timeoutMs: 90_000,
        everyMs: 5,
        what: 'the foreign keys',
      });
      await replica.kill();
    });
    expect(await f.rows(`select conname from pg_constraint where conname = 'child_item'`)).toHaveLength(1);
    // That key must not act on what is replicated afterwards
    await f.source('update items set price = price + 1 where id <= 20');
  },
};

async function ensureCopied(f: ImportFixture): Promise<void> {
  const [{ status }] = (await f.rows<{ status: string }>('select status from hypervault.import_source')) as [
    { status: string },
  ];
  if (status !== 'initialising') return;
  await startReplicaProcess(f.config, 'init').finished();
  expect(await f.rows('select table_name, message, sql from hypervault.import_error')).toEqual([]);
  expect(
    await f.rows("select origin_table, state, reason from hypervault.import_table where state <> 'followed'"),
  ).toEqual([]);
}

it(`is equal to its source after ${KILLS} kills, in every phase, under load`, {
  timeout: 120_000 + KILLS * 15_000,
}, async () => {
  const f = await importFixture(mariadb(), { source: { copy_max_memory: '200k' } });
  await f.source(`${CREATE_ITEMS}; ${CREATE_COUNTERS}; insert into counters values (1, 1000000), (2, 0);
    create table child (
      id int auto_increment primary key, item_id bigint, note varchar(20),
      constraint child_item foreign key (item_id) references items (id) on delete cascade
    );
    create table later (
      id int auto_increment primary key, item_id bigint,
      constraint later_item foreign key (item_id) references items (id) on delete set null
    );
    insert into items (code, price, note) select concat('c', seq), seq / 100, repeat('text ', 20) from seq_1_to_${ROWS};
    insert into child (item_id, note) select seq, 'n' from seq_1_to_5000;
    insert into later (item_id) select seq from seq_1_to_3000;
    analyze table items, child, later`);
  await f.init();
  const load = startLoad(f, { seed: 9, pauseMs: 8 });
  const names = Object.keys(PHASES);
  for (let kill = 0; kill < KILLS; kill++) {
    const phase = names[kill % names.length]!;
    await PHASES[phase]!(f, kill).catch(async (error: unknown) => {
      const aside = await f.rows(`select origin_table, reason from hypervault.import_table where state <> 'followed'`);
      throw new Error(`kill ${kill}, ${phase}; set aside: ${JSON.stringify(aside)}`, { cause: error });
    });
  }
  await load.stop();
  await ensureCopied(f);
  await f.start();
  await f.caughtUp();
  expect(await f.rows('select table_name, message from hypervault.import_error')).toEqual([]);
  const compare = async (): Promise<void> => {
    await expectSameRows(f, 'items', ITEM_COLUMNS);
    await expectSameRows(f, 'counters', ['id', 'n']);
    await expectSameRows(f, 'child', ['id', 'item_id', 'note']);
    await expectSameRows(f, 'later', ['id', 'item_id']);
  };
  await compare();
  const { foreignKeys } = await f.engine.detachReplica('shop');
  expect(foreignKeys).toMatchObject([
    { name: 'child_item', made: true },
    { name: 'later_item', made: true },
  ]);
  await compare();
});
