import { expect, it, onTestFinished } from 'vitest';
import { shardFor } from '../../src/core/index.ts';
import { ReplicaEngine } from '../../src/import/index.ts';
import { freshDatabases } from '../support/database.ts';
import { waitFor } from '../support/wait-for.ts';
import { mariadbOfFile } from './fixture.ts';
import { shardedConfig } from './sharded-config.ts';

const mariadb = mariadbOfFile();

const COLUMNS: Record<string, { by: string; list: string }> = {
  owner: { by: 'id', list: 'id, name' },
  account: { by: 'owner_id', list: 'id, owner_id' },
  entry: { by: 'owner_id', list: 'id, owner_id, account_id' },
  tag: { by: 'id', list: 'id, owner_id' },
};

it('finds children in other shards and on other servers', { timeout: 120_000 }, async () => {
  const schema = `cascading_${process.pid}`;
  const source = (sql: string): Promise<unknown> => mariadb().query(sql, [], schema);
  await mariadb().query(`create database ${schema}`);
  await source(`
    create table owner (id int primary key, name varchar(20));
    create table account (id int primary key, owner_id int,
      foreign key (owner_id) references owner (id) on delete cascade);
    create table entry (id int primary key, owner_id int, account_id int,
      foreign key (account_id) references account (id) on delete cascade);
    create table tag (id int primary key, owner_id int,
      foreign key (owner_id) references owner (id) on delete set null on update cascade);
    insert into owner select seq, concat('o', seq) from seq_1_to_30;
    insert into account select seq, 1 + seq % 30 from seq_1_to_90;
    insert into entry select seq, 1 + (1 + seq % 90) % 30, 1 + seq % 90 from seq_1_to_300;
    insert into tag select seq, 1 + seq % 30 from seq_1_to_120`);
  const databases = await freshDatabases({ installed: true });
  const config = shardedConfig(databases, {
    db_conn: mariadb().connection,
    schema_mappings: { [schema]: schema },
    shard_by: Object.fromEntries(Object.entries(COLUMNS).map(([table, { by }]) => [table, by])),
  });
  const engine = new ReplicaEngine({ config });
  onTestFinished(() => engine.close());
  await engine.createReplicaSchema();
  await engine.addSource('shop');
  await engine.initReplica('shop');
  const stop = new AbortController();
  const run = engine.startReplica('shop', { signal: stop.signal });
  onTestFinished(async () => {
    stop.abort();
    await run;
  });
  await source(
    'delete from owner where id in (1, 2, 3, 4, 5); insert into owner values (2, "again"); delete from account where id = 40',
  );
  await source(
    'begin; insert into tag values (500, 7); delete from owner where id = 7; insert into owner values (7, "new"); insert into tag values (501, 7); commit',
  );
  const difference = async (): Promise<string[]> => {
    const different: string[] = [];
    for (const [table, { by, list }] of Object.entries(COLUMNS)) {
      const theirs = (await mariadb().query(`select ${list} from ${table}`, [], schema)) as Record<string, unknown>[];
      const wanted = theirs
        .map((row) => `${shardFor(String(row[by]), { slots: 8, firstShard: 1 })} ${Object.values(row).join(' ')}`)
        .sort();
      const found: string[] = [];
      for (let shard = 1; shard <= 8; shard++) {
        const { rows } = await databases[shard <= 4 ? 0 : 1]!.query(`select ${list} from shard000${shard}.${table}`);
        found.push(...rows.map((row) => `${shard} ${Object.values(row).join(' ')}`));
      }
      if (found.sort().join() !== wanted.join()) different.push(table);
    }
    return different;
  };
  await waitFor(async () => (await difference()).length === 0, {
    timeoutMs: 20_000,
    everyMs: 200,
    what: 'the shards holding what the source has',
  });
  // A new key of a parent would move the children to other shards: the table says so instead of going wrong
  await source('alter table account drop foreign key account_ibfk_1');
  await source(
    'alter table account add constraint moving foreign key (owner_id) references owner (id) on update cascade',
  );
  await source('update owner set id = 1000 where id = 10');
  const asides = async (): Promise<unknown[]> =>
    (await databases[0].query("select origin_table as t from hypervault.import_table where state = 'aside' order by 1"))
      .rows;
  await waitFor(async () => (await asides()).length === 2, { timeoutMs: 30_000, what: 'the table set aside' });
  expect(await asides()).toEqual([{ t: 'account' }, { t: 'entry' }]);
});
