// How many reads a second does the commit server answer from a mirror, beside a bare node:http server with the same bytes?
// And how much of a processor does each answer take? That is asked, too, because it hardly depends on what else runs.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, createServer, get } from 'node:http';
import { Commit, createCommitServer, MemoryCommitStorage } from 'pg-hypervault/kv';
import { median, rounded } from './support/result.ts';

const CONNECTIONS = 32;
const ROUND_MS = 800;
const ROUNDS = 4;
const WARM_UP = 6_000;
const PAYLOAD = Buffer.from(JSON.stringify({ on: true, text: 'x'.repeat(200) }));

export async function run(): Promise<object[]> {
  const seen: Record<string, Round[]> = { ours: [], 'node:http': [] };
  // Turn and turn about: what else the machine does falls on both.
  for (let round = 0; round < ROUNDS; round++) {
    for (const [kind, rounds] of Object.entries(seen)) rounds.push(await askRound(kind));
  }
  const middle = (kind: string, of: keyof Round): number => rounded(median(seen[kind]!.map((round) => round[of])));
  return [
    {
      bench: 'kv-http',
      case: `GET /KEY from a mirror, ${CONNECTIONS} connections`,
      goal: 'at least half of node:http',
      unit: 'answers/s',
      ours: middle('ours', 'rate'),
      rivals: { 'node:http': middle('node:http', 'rate') },
    },
    {
      bench: 'kv-http',
      case: 'processor time of the server for one answer, sockets included',
      goal: 'at most twice that of node:http',
      unit: 'µs',
      ours: middle('ours', 'cpuMicros'),
      rivals: { 'node:http': middle('node:http', 'cpuMicros') },
    },
  ];
}

interface Round {
  readonly rate: number;
  readonly cpuMicros: number;
}

async function askRound(kind: string): Promise<Round> {
  const child = fork(import.meta.filename, ['serve', kind]);
  const [port] = (await once(child, 'message')) as [number];
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  // Compiled code is what serves for days: so many answers first, however long they take.
  await load(port, agent, 10_000, WARM_UP);
  const before = await cpuOf(child);
  const count = await load(port, agent, ROUND_MS);
  const cpuMicros = ((await cpuOf(child)) - before) / count;
  agent.destroy();
  child.kill();
  await once(child, 'exit');
  return { rate: (count * 1_000) / ROUND_MS, cpuMicros };
}

async function cpuOf(child: ChildProcess): Promise<number> {
  child.send('cpu');
  const [micros] = (await once(child, 'message')) as [number];
  return micros;
}

async function load(port: number, agent: Agent, forMs: number, atMost = Infinity): Promise<number> {
  const end = performance.now() + forMs;
  let count = 0;
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (performance.now() < end && count < atMost) {
        await new Promise<void>((resolve, reject) => {
          get({ host: '127.0.0.1', port, path: '/diary/feature.x', agent }, (answer) => {
            answer.resume().on('end', resolve);
          }).on('error', reject);
        });
        count += 1;
      }
    }),
  );
  return count;
}

if (process.argv[2] === 'serve') {
  const commit = new Commit({ key: 'feature.x', version: 7, payload: PAYLOAD, author: 'ann', comment: 'on' });
  const storage = new MemoryCommitStorage();
  const mirror = { current: new Map([[commit.key, commit]]) };
  const headers = {
    'X-Rainer-Cached': 'Yes',
    'X-Rainer-Key': 'feature.x',
    'X-Rainer-Version': '7',
    'X-Rainer-Author': 'ann',
    'X-Rainer-Comment': 'on',
    'X-Rainer-Modified-Time': commit.meta.mtime,
    'X-Rainer-Empty': 'No',
    'Content-Type': 'text/plain; charset=UTF-8',
    'Content-Length': PAYLOAD.length,
  };
  const server = createServer(
    process.argv[3] === 'ours'
      ? createCommitServer({ storage, mirror, basePath: '/diary' })
      : (_request, response) => void response.writeHead(200, headers).end(PAYLOAD),
  );
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send!(user + system);
  });
  server.listen(0, '127.0.0.1', () => process.send!((server.address() as { port: number }).port));
}
