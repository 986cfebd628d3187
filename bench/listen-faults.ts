// Which listeners come back after a fault, how soon, and what they miss. Rows are written every 5 ms all the while.
import { pathToFileURL } from 'node:url';
import { type EmbeddedServer, startEmbedded } from 'pg-hypervault/embedded';
import { PostgresConnector } from 'pg-hypervault/listen';
import { APPLICATION, LISTENERS, type Login, type StartListener } from './listen-rivals.ts';

const CHANNEL = 'bench';
/** A listener that has heard nothing so long after the fault is over is taken for lost. */
const PATIENCE_MS = 3_000;

interface Lab {
  primary: EmbeddedServer;
  standby: EmbeddedServer;
  readonly hosts: string[];
  readonly login: Login;
  readonly connector: PostgresConnector;
}

/** One fault; resolves when the servers are well again. */
const FAULTS: Readonly<Record<string, (lab: Lab) => Promise<void>>> = {
  'backend terminated': async ({ connector }) => {
    await connector.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [
      APPLICATION,
    ]);
  },
  'restart, down for 0.5 s': (lab) => outage(lab, 500),
  'outage of 4 s': (lab) => outage(lab, 4_000),
  switchover: async (lab) => {
    await lab.primary.stop('fast');
    await lab.standby.promote();
    [lab.primary, lab.standby] = [lab.standby, lab.primary];
    await lab.standby.follow(lab.primary);
  },
};

async function outage({ primary }: Lab, ms: number): Promise<void> {
  await primary.stop('fast');
  await pause(ms);
  await primary.start();
}

class Witness {
  readonly heard = new Set<number>();
  readonly caughtUp = new Set<number>();
  readonly #firstHeardAt = new Map<number, number>();

  hear(id: number): void {
    this.heard.add(id);
    this.#firstHeardAt.set(id, performance.now());
  }

  /** When the first notification sent after `id` came, or `undefined`. */
  backAt(id: number): number | undefined {
    const times = [...this.#firstHeardAt].filter(([heard]) => heard > id).map(([, at]) => at);
    return times.length === 0 ? undefined : Math.min(...times);
  }
}

export async function run(): Promise<object[]> {
  const results: object[] = [];
  await using servers = await startEmbedded({
    settings: { fsync: false, wal_retrieve_retry_interval: '100ms', synchronous_commit: false },
  });
  const primary = servers.servers[0]!;
  const standby = await servers.makeStandby(primary);
  const hosts = [primary, standby].map(({ port }) => `127.0.0.1:${port}`);
  const { user, password, database } = primary.connection;
  const login = { user, password, database };
  const connector = new PostgresConnector({ hosts, ...login });
  const lab: Lab = { primary, standby, hosts, login, connector };
  await connector.query('create table bench_rows (id int primary key)');
  for (const [fault, cause] of Object.entries(FAULTS)) results.push(...(await suffer(lab, fault, cause)));
  await connector.disconnect();
  return results;
}

async function suffer(lab: Lab, fault: string, cause: (lab: Lab) => Promise<void>): Promise<object[]> {
  await query(lab, 'delete from bench_rows');
  const primaryFirst = [lab.primary, lab.standby].map(({ port }) => `127.0.0.1:${port}`);
  const witnesses = new Map<string, Witness>();
  const stops: (() => Promise<void>)[] = [];
  for (const [name, start] of Object.entries(LISTENERS)) {
    const { witness, stop } = await testify(lab, primaryFirst, start);
    witnesses.set(name, witness);
    stops.push(stop);
  }
  const sent: number[] = [];
  let stopping = false;
  let firstAfterFault = Number.POSITIVE_INFINITY;
  let wellAt = 0;
  let faultAt = Number.POSITIVE_INFINITY;
  const sender = (async () => {
    for (let id = 1; !stopping; id += 1) {
      const startedAt = performance.now();
      await query(
        lab,
        `with row as (insert into bench_rows values ($1) on conflict do nothing) select pg_notify('${CHANNEL}', $1::text)`,
        [id],
      );
      sent.push(id);
      if (startedAt > faultAt && wellAt === 0) {
        wellAt = performance.now();
        firstAfterFault = id - 1;
      }
      await pause(5);
    }
  })();
  await pause(200);
  faultAt = performance.now();
  await cause(lab);
  const deadline = performance.now() + PATIENCE_MS;
  const isBack = (witness: Witness): boolean => witness.backAt(firstAfterFault) !== undefined;
  while (performance.now() < deadline && ![...witnesses.values()].every(isBack)) await pause(20);
  await pause(200);
  stopping = true;
  await sender;
  await pause(200);
  await Promise.all(stops.map((stop) => Promise.race([stop().catch(() => {}), pause(2_000)])));
  const of = (figure: (witness: Witness) => number | null): { ours: unknown; rivals: object } => {
    const all = Object.fromEntries([...witnesses].map(([name, witness]) => [name, figure(witness)]));
    const { ours, ...rivals } = all;
    return { ours, rivals };
  };
  const ready = (witness: Witness): number | null => {
    const at = witness.backAt(firstAfterFault);
    return at === undefined ? null : Math.max(0, Math.round(at - wellAt));
  };
  const missed = (seen: (witness: Witness, id: number) => boolean) => (witness: Witness) =>
    sent.filter((id) => !seen(witness, id)).length;
  return [
    { bench: 'listen-faults', fault, unit: 'ms until it hears again (null: never)', ...of(ready) },
    {
      bench: 'listen-faults',
      fault,
      unit: `notifications not heard, of ${sent.length}`,
      ...of(missed((witness, id) => witness.heard.has(id))),
    },
    {
      bench: 'listen-faults',
      fault,
      unit: `rows missed after catching up where the library says so, of ${sent.length}`,
      ...of(missed((witness, id) => witness.heard.has(id) || witness.caughtUp.has(id))),
    },
  ];
}

async function testify(lab: Lab, hosts: string[], start: StartListener) {
  const witness = new Witness();
  const { stop } = await start({
    hosts,
    login: lab.login,
    channel: CHANNEL,
    onPayload: (payload) => witness.hear(Number(payload)),
    onGap: () =>
      void query(lab, 'select id from bench_rows').then((rows) => {
        for (const { id } of rows) witness.caughtUp.add(id as number);
      }),
  });
  return { witness, stop };
}

/** The writer and the readers of the backlog try until it works. */
async function query({ connector }: Lab, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  for (;;) {
    try {
      return (await connector.query(text, values)).rows;
    } catch {
      await pause(5);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const result of await run()) console.log(`RESULT ${JSON.stringify(result)}`);
}
