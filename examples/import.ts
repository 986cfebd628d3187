// Import: a MySQL table comes into Postgres, is followed, and then stands on its own.
// HYPERVAULT_EXAMPLE_MYSQL holds the source: {"host","port","user","password"} of a user who may do everything.
import { createConnection } from 'mysql2/promise';
import { ReplicaEngine } from 'pg-hypervault/import';
import { onTwoServers } from './support/two-servers.ts';

const mysql = JSON.parse(process.env.HYPERVAULT_EXAMPLE_MYSQL ?? '{}') as {
  host: string;
  port: number;
  user: string;
  password: string;
};

await onTwoServers(async (_, [server]) => {
  const source = await createConnection({ ...mysql, multipleStatements: true });
  await source.query(`create database zoo; use zoo;
    create table animal (id int auto_increment primary key, name varchar(40) not null, legs tinyint unsigned);
    insert into animal (name, legs) values ('ant', 6), ('snake', 0), ('cat', 4)`);

  const { host, port, user, password, database } = server as unknown as Record<string, string>;
  await using engine = new ReplicaEngine({
    config: {
      pg_conn: { host, port, user, password, database },
      sources: { zoo: { type: 'mysql', db_conn: mysql, schema_mappings: { zoo: 'zoo' } } },
    },
  });
  await engine.createReplicaSchema();
  await engine.addSource('zoo');
  const { tables } = await engine.initReplica('zoo');
  console.log('copied:', tables);

  const stop = new AbortController();
  let running: Promise<void> | undefined;
  const changes = new Promise<number>((resolve) => {
    running = engine.startReplica('zoo', { signal: stop.signal, onApplied: (batch) => resolve(batch.changes) });
  });
  await source.query(`insert into animal (name, legs) values ('spider', 8)`);
  console.log('followed:', await changes, 'change');
  stop.abort();
  await running;

  await source.query(`delete from animal where legs = 0`);
  const { sequences } = await engine.detachReplica('zoo');
  console.log('detached:', sequences, 'sequence');
  await source.end();
});

// Prints:
// copied: [ { table: 'zoo.animal', rows: 3, failure: null } ]
// followed: 1 change
// detached: 1 sequence
