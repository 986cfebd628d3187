// How many notifications a second reach a handler, and how long one takes.
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { startEmbedded } from 'pg-hypervault/embedded';
import { listen, notify } from 'pg-hypervault/listen';
import { LISTENERS, type Login, type StartListener } from './listen-rivals.ts';

const CHANNEL = 'bench';
const NOTIFICATIONS = 40_000;
const PER_TRANSACTION = 100;
const LATENCY_SAMPLES = 500;
const ROUNDS = 3;

interface Target {
  readonly hosts: string[];
  readonly login: Login;
  readonly sender: pg.Client;
}

export async function run(): Promise<object[]> {
  await using servers = await startEmbedded({ settings: { fsync: false, synchronous_commit: false } });
  const [connection] = servers.connections as [pg.ClientConfig & Login & { port: number }];
  const { user, password, database } = connection;
  const sender = new pg.Client(connection);
  sender.on('error', () => {});
  await sender.connect();
  const target = { hosts: [`127.0.0.1:${connection.port}`], login: { user, password, database }, sender };
  const { 'postgres.js, all hosts': _same, ...listeners } = LISTENERS;
  // The first listener of a process runs code that is still being compiled, whoever it is.
  for (const start of Object.values(listeners)) await throughput(target, start);
  const rate: Record<string, number> = {};
  const p50: Record<string, number> = {};
  const p99: Record<string, number> = {};
  for (const [name, start] of Object.entries({ ...listeners, execute: viaSupervisor })) {
    const times = await latencies(target, start);
    rate[name] = Math.round(await medianOf(ROUNDS, () => throughput(target, start)));
    p50[name] = percentile(times, 0.5);
    p99[name] = percentile(times, 0.99);
  }
  await sender.end();
  const units = {
    'notifications/s, 100 per transaction': rate,
    'ms to the handler, p50': p50,
    'ms to the handler, p99': p99,
  };
  return Object.entries(units).flatMap(([unit, { ours, execute, ...rivals }]) => [
    { bench: 'listen-throughput', case: 'to a handler of the hub', unit, ours, rivals },
    { bench: 'listen-throughput', case: 'to execute() of a processor', unit, ours: execute, rivals },
  ]);
}

const viaSupervisor: StartListener = async ({ hosts, login, channel, onPayload }) => {
  const supervisor = await listen({
    connection: { hosts, ...login },
    channel,
    payloads: true,
    fireOnStart: false,
    maxBuffered: NOTIFICATIONS,
    execute: ({ notifications }) => {
      for (const { payload } of notifications) onPayload(payload);
    },
  });
  while (supervisor.state !== 'listening') await new Promise((resolve) => setTimeout(resolve, 5));
  return { stop: () => supervisor.terminate() };
};

async function throughput({ hosts, login, sender }: Target, start: StartListener): Promise<number> {
  let heard = 0;
  let done = (): void => {};
  const all = new Promise<void>((resolve) => {
    done = resolve;
  });
  const listener = await start({
    hosts,
    login,
    channel: CHANNEL,
    onPayload: () => {
      heard += 1;
      if (heard === NOTIFICATIONS) done();
    },
    onGap: () => {},
  });
  const started = performance.now();
  for (let first = 0; first < NOTIFICATIONS; first += PER_TRANSACTION) {
    await sender.query(`select pg_notify('${CHANNEL}', n::text) from generate_series($1::int, $2::int) as n`, [
      first,
      first + PER_TRANSACTION - 1,
    ]);
  }
  await all;
  const seconds = (performance.now() - started) / 1_000;
  await listener.stop();
  return NOTIFICATIONS / seconds;
}

async function latencies({ hosts, login, sender }: Target, start: StartListener): Promise<number[]> {
  const times: number[] = [];
  let sentAt = 0;
  let heard = (): void => {};
  const listener = await start({
    hosts,
    login,
    channel: CHANNEL,
    onPayload: () => {
      times.push(performance.now() - sentAt);
      heard();
    },
    onGap: () => {},
  });
  for (let sample = 0; sample < LATENCY_SAMPLES; sample += 1) {
    const arrived = new Promise<void>((resolve) => {
      heard = resolve;
    });
    sentAt = performance.now();
    await Promise.all([notify(sender, CHANNEL, String(sample)), arrived]);
  }
  await listener.stop();
  return times.sort((a, b) => a - b);
}

async function medianOf(rounds: number, measure: () => Promise<number>): Promise<number> {
  const figures: number[] = [];
  for (let round = 0; round < rounds; round += 1) figures.push(await measure());
  return figures.sort((a, b) => a - b)[Math.floor(rounds / 2)]!;
}

function percentile(sorted: readonly number[], share: number): number {
  return Number(sorted[Math.floor(sorted.length * share)]!.toFixed(2));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const one of await run()) console.log(`RESULT ${JSON.stringify(one)}`);
}
