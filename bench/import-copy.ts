// How fast does a table arrive with its indexes, beside the bare pipe: the mysql client into COPY, and the indexes after it?
import { spawn } from 'node:child_process';
import { loadavg } from 'node:os';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { startChameleon } from './support/chameleon.ts';
import { type ImportServers, maxRssMb, SCHEMA, withImportServers } from './support/import-servers.ts';
import { median, type Result, rounded } from './support/result.ts';

const ROWS = 400_000;
const TURNS = 3;

export const run = (): Promise<Result[]> =>
  withImportServers(ROWS, async (servers) => {
    const chameleon = await startChameleon(servers);
    const ours: number[] = [];
    const pipe: number[] = [];
    const theirs: number[] = [];
    let rssMb = 0;
    for (let turn = 0; turn < TURNS; turn++) {
      ours.push(await timed(() => servers.engine.initReplica('big', { resume: false })));
      rssMb ||= maxRssMb();
      pipe.push(await timed(() => barePipe(servers)));
      if (chameleon !== undefined) theirs.push(await chameleon.copy());
    }
    await chameleon?.remove();
    const [counts] = await servers.query<{ same: boolean }>(
      `select (select count(*) from ${SCHEMA}.big) = (select count(*) from piped)
          and (select sum(hashtext(name || n || coalesce(note, ''))) from ${SCHEMA}.big)
            = (select sum(hashtext(name || n || coalesce(note, ''))) from piped) as same`,
    );
    if (counts?.same !== true) throw new Error('the two copies differ');
    return [
      {
        bench: 'import-copy',
        case: `${ROWS} rows with key and two indexes`,
        goal: 'at least 0.7 × the bare pipe and 3 × pg_chameleon, under 200 MB',
        unit: 'rows/s',
        ours: rounded(ROWS / median(ours)),
        rivals: {
          'mysql client into COPY, then indexes': rounded(ROWS / median(pipe)),
          ...(chameleon && { [chameleon.name]: rounded(ROWS / median(theirs)) }),
        },
        memory: { 'MB of this process at most': rssMb },
        load: { 'one minute': rounded(loadavg()[0]!) },
      },
    ];
  });

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1_000;
}

/** What anybody would do by hand. */
async function barePipe({ mariadb, connection }: ImportServers): Promise<void> {
  const { host, port, user, password } = mariadb.connection;
  const select = `select id, n, name, price, state, changed, doc, concat('\\\\x', hex(token)) as token, note from big`;
  const words = ['--batch', '--quick', '--skip-column-names', `-h${host}`, `-P${port}`, `-u${user}`, `-p${password}`];
  const client = new pg.Client(connection);
  await client.connect();
  try {
    await client.query(`drop table if exists piped`);
    await client.query(`create table piped (id bigint, n bigint not null, name varchar(80) not null, price numeric(12,2),
      state text not null, changed timestamp(6) not null, doc json, token bytea, note text)`);
    const mysql = spawn('mariadb', [...words, '--default-character-set=utf8mb4', SCHEMA, '-e', select], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await pipeline(mysql.stdout, client.query(copyFrom("copy piped from stdin with (null 'NULL')")));
    await client.query(`set maintenance_work_mem = '256MB'`);
    await client.query('alter table piped add primary key (id)');
    await client.query('create index on piped (n)');
    await client.query('create index on piped (name)');
    await client.query('analyze piped');
  } finally {
    await client.end();
  }
}
