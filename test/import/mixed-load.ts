// Everything at once on a MySQL or MariaDB: rows, XA transactions, compressed ones, and changes of structure.
import type { SourceServer } from '../support/source-server.ts';
import { CREATE_COUNTERS, CREATE_ITEMS, startLoad } from './load.ts';
import { type LoadTurns, runTransaction, startRandomLoad, withMysqlSession } from './random-load.ts';
import { CREATE_ORDERS, startXaLoad } from './xa-load.ts';

export const CREATE_MIXED = `${CREATE_ITEMS}; ${CREATE_COUNTERS}; ${CREATE_ORDERS};
  insert into counters values (1, 1000000), (2, 0);
  create table packed (id int primary key, v int not null, note mediumtext, raw varbinary(600), j json);
  create table shapes (id int auto_increment primary key, v int not null default 0, kept varchar(40) not null default 'k');
  insert into shapes (v) values (1), (2), (3)`;

const MAX_COLUMNS = 12;

export interface MixedLoad {
  readonly transactions: number;
  /** Changes of structure begin, and go on until {@link keepShape} resolves: a first copy has no place among them. */
  changeShape(): void;
  keepShape(): Promise<void>;
  stop(): Promise<void>;
}

/** Runs until stopped, and leaves nothing prepared. */
export function startMixedLoad(
  server: SourceServer,
  schema: string,
  { seed, compress }: { readonly seed: number; readonly compress: boolean },
): MixedLoad {
  const loads = [
    startLoad({ server, schema }, { seed, pauseMs: 8 }),
    startXaLoad(server, schema, { seed: seed + 1, pauseMs: 5 }),
    startRandomLoad({ seed: seed + 2, pauseMs: 10 }, (turns) => runPacked(server, schema, turns, compress)),
  ];
  let shapes: ReturnType<typeof startRandomLoad> | undefined;
  let round = 0;
  let names = 0;
  const newName = (): string => {
    names += 1;
    return String(names);
  };
  const keepShape = async (): Promise<void> => {
    const running = shapes;
    shapes = undefined;
    await running?.stop();
  };
  return {
    get transactions() {
      return loads.reduce((sum, load) => sum + load.transactions, 0);
    },
    changeShape: () => {
      round += 1;
      shapes ??= startRandomLoad({ seed: seed + 100 + round, pauseMs: 15 }, (turns) =>
        runShapes(server, schema, turns, newName),
      );
    },
    keepShape,
    stop: async () => {
      await Promise.all([...loads.map((load) => load.stop()), keepShape()]);
    },
  };
}

/** Transactions that the log packs, now and then one of several hundred kilobytes. */
async function runPacked(server: SourceServer, schema: string, turns: LoadTurns, compress: boolean): Promise<void> {
  const { random } = turns;
  await withMysqlSession(server, schema, async (client) => {
    while (turns.going) {
      if (compress)
        await client.query(`set session binlog_transaction_compression = ${random(4) === 0 ? 'off' : 'on'}`);
      const statements = Array.from({ length: random(6) + 1 }, () => {
        const id = random(300);
        const note = `repeat('packed ${random(1_000)} 😀 ', ${random(20) === 0 ? 9_000 : random(60)})`;
        switch (random(5)) {
          case 0:
            return `delete from packed where id = ${id}`;
          case 1:
            return `update packed set v = v + 1, note = ${note} where id between ${id} and ${id + 5}`;
          case 2:
            return `update ignore packed set id = ${random(300)} where id = ${id}`;
          default:
            return `replace into packed values (${id}, ${random(100)}, ${note}, unhex(repeat('00ff${(id % 90) + 10}', 50)), '{"a": [${id}, null, "ü"]}')`;
        }
      });
      await runTransaction(client, statements, random(10) === 0 ? 'rollback' : 'commit');
      await turns.done();
    }
  });
}

/** Each change of structure has rows before and behind it, on the same session. */
async function runShapes(server: SourceServer, schema: string, turns: LoadTurns, newName: () => string): Promise<void> {
  const { random } = turns;
  await withMysqlSession(server, schema, async (client) => {
    const [rows] = await client.query(
      `select column_name as c from information_schema.columns where table_schema = ? and table_name = 'shapes'`,
      [schema],
    );
    const extra = (rows as { c: string }[]).map(({ c }) => c).filter((name) => name.startsWith('x'));
    const [made] = await client.query(
      `select table_name as t from information_schema.tables where table_schema = ? and table_name like 'made%'`,
      [schema],
    );
    const tables = (made as { t: string }[]).map(({ t }) => t);
    const column = (): string => extra[random(extra.length)]!;
    while (turns.going) {
      const kind = random(12);
      if (extra.length === 0 || (kind < 2 && extra.length < MAX_COLUMNS)) {
        const name = `x${newName()}`;
        const type = ['int not null default 7', "varchar(30) default 'd'", 'datetime(3) null'][random(3)]!;
        await client.query(`alter table shapes add column ${name} ${type}${random(2) === 0 ? ' after id' : ''}`);
        extra.push(name);
      } else if (kind < 4 && extra.length > 4) {
        const name = column();
        await client.query(`alter table shapes drop column ${name}`);
        extra.splice(extra.indexOf(name), 1);
      } else if (kind === 4 && extra.length > 1) {
        // Several actions in one statement
        const [name, other] = [extra.shift()!, extra.shift()!];
        const [next, added] = [`x${newName()}`, `x${newName()}`];
        await client.query(
          `alter table shapes rename column ${name} to ${next}, drop column ${other}, add column ${added} bigint`,
        );
        extra.push(next, added);
      } else if (kind === 5) {
        await client.query(`alter table shapes modify column kept varchar(${40 + random(200)}) not null default 'k'`);
      } else if (kind === 6) {
        const name = `made${newName()}`;
        await client.query(`create table ${name} (id int primary key, v varchar(20) not null default 'm')`);
        await client.query(`insert into ${name} (id) values (1), (2), (3)`);
        tables.push(name);
      } else if (kind === 7 && tables.length > 2) {
        await client.query(`drop table ${tables.shift()}`);
      } else if (kind === 8 && tables.length > 0) {
        const next = `made${newName()}`;
        await client.query(`rename table ${tables[0]} to ${next}`);
        tables[0] = next;
        await client.query(`update ${next} set v = 'renamed' where id = 2`);
      } else if (kind === 9 && tables.length > 0) {
        const table = tables.at(-1)!;
        await client.query(`truncate table ${table}`);
        await client.query(`insert into ${table} (id) values (${random(100)})`);
      } else if (kind === 10) {
        await client.query(`alter table shapes ${random(2) === 0 ? 'comment = "c"' : 'alter column v set default 1'}`);
      }
      await runTransaction(client, [
        `insert into shapes (v) values (${random(100)}), (${random(100)})`,
        `update shapes set v = v + 1 where id % 7 = ${random(7)}`,
        `delete from shapes where id % 11 = ${random(11)} and id > 3`,
      ]);
      await turns.done();
    }
  });
}
