// A MariaDB with the nine-column table, and a Postgres to import it into.
import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import { type Embedded, startEmbedded } from 'pg-hypervault/embedded';
import { ReplicaEngine } from 'pg-hypervault/import';
import { type Mariadb, startMariadb } from '../../test/support/mariadb.ts';

export interface ImportServers {
  readonly mariadb: Mariadb;
  readonly connection: { host: string; port: number; user: string; password: string; database: string };
  readonly engine: ReplicaEngine;
  /** Runs statements in the source's database. */
  source(sql: string): Promise<unknown>;
  query<Row extends object>(sql: string): Promise<Row[]>;
}

export const SCHEMA = 'bench';

/** The table of the figures in the spec: 225 bytes a row, key and two further indexes. */
const TABLE = `create table big (
  id bigint auto_increment primary key,
  n int unsigned not null,
  name varchar(80) not null,
  price decimal(12,2),
  state enum('new','sold','gone') not null,
  changed datetime(6) not null,
  doc json,
  token varbinary(16),
  note text,
  key (n),
  key (name)
)`;

const ROW = `(seq * 7919) % 1000003, concat('name of ', seq, ' 😀'), seq / 7, elt(1 + seq % 3, 'new', 'sold', 'gone'),
  '2025-01-01' + interval seq second + interval seq microsecond, json_object('k', seq, 't', 'tab'),
  unhex(md5(seq)), if(seq % 5 = 0, null, repeat('text ', 12))`;

/** Lends both servers with so many rows in the source. */
export async function withImportServers<T>(rows: number, work: (servers: ImportServers) => Promise<T>): Promise<T> {
  const mariadb = await startMariadb({ keep: true, settings: { 'innodb-buffer-pool-size': '512M' } });
  if (mariadb === undefined) throw new Error('the benches of import need MariaDB: npm run test:setup');
  let embedded: Embedded | undefined;
  try {
    embedded = await startEmbedded({ settings: { shared_buffers: '256MB', max_wal_size: '4GB' } });
    const [server] = embedded.servers;
    const { host, port, user, password, database } = server!.connection as ImportServers['connection'];
    const connection = { host, port, user, password, database };
    await mariadb.query(`create database ${SCHEMA}`);
    const source = (sql: string): Promise<unknown> => mariadb.query(sql, [], SCHEMA);
    await source(TABLE);
    if (rows > 0) {
      await source(
        `insert into big (n, name, price, state, changed, doc, token, note) select ${ROW} from seq_1_to_${rows}`,
      );
    }
    await source('analyze table big');
    await using engine = new ReplicaEngine({
      config: {
        pg_conn: connection,
        sources: { big: { type: 'mysql', db_conn: mariadb.connection, schema_mappings: { [SCHEMA]: SCHEMA } } },
      },
    });
    await engine.createReplicaSchema();
    await engine.addSource('big');
    return await work({
      mariadb,
      connection,
      engine,
      source,
      query: async <Row extends object>(sql: string) => {
        const client = new pg.Client(connection);
        await client.connect();
        try {
          return (await client.query<Row>(sql)).rows;
        } finally {
          await client.end();
        }
      },
    });
  } finally {
    await embedded?.stop();
    await mariadb.remove();
  }
}

/** What one row is, for statements that insert a single one. */
export const rowOf = (seq: number): string => ROW.replaceAll('seq', String(seq));

/** A session of the source that runs many statements at once. */
export function sourceSession({ mariadb }: ImportServers): ReturnType<typeof createConnection> {
  return createConnection({ ...mariadb.connection, database: SCHEMA, multipleStatements: true });
}

/** The most memory that this process has had, in MiB. */
export function maxRssMb(): number {
  return Math.round(process.resourceUsage().maxRSS / 1_024);
}
