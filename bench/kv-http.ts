// How many reads a second does the commit server answer from a mirror, beside a bare node:http server with the same bytes?
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, createServer, get } from 'node:http';
import { Commit, createCommitServer, MemoryCommitStorage } from 'pg-hypervault/kv';
import { median, rounded } from './support/result.ts';

const CONNECTIONS = 32;
const ROUND_MS = 1_500;
const ROUNDS = 3;
const PAYLOAD = Buffer.from(JSON.stringify({ on: true, text: 'x'.repeat(200) }));

export async function run(): Promise<object[]> {
  const rates: Record<string, number[]> = { ours: [], 'node:http': [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const [kind, seen] of Object.entries(rates)) seen.push(await rate(kind));
  }
  return [
    {
      bench: 'kv-http',
      case: `GET /KEY from a mirror, ${CONNECTIONS} connections`,
      goal: 'at least half of node:http',
      unit: 'answers/s',
      ours: rounded(median(rates.ours!)),
      rivals: { 'node:http': rounded(median(rates['node:http']!)) },
    },
  ];
}

async function rate(kind: string): Promise<number> {
  const child = fork(import.meta.filename, ['serve', kind]);
  const [port] = (await once(child, 'message')) as [number];
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  await load(port, agent, 300);
  const count = await load(port, agent, ROUND_MS);
  agent.destroy();
  child.kill();
  await once(child, 'exit');
  return (count * 1_000) / ROUND_MS;
}

async function load(port: number, agent: Agent, forMs: number): Promise<number> {
  const end = performance.now() + forMs;
  let count = 0;
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (performance.now() < end) {
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
  server.listen(0, '127.0.0.1', () => process.send!((server.address() as { port: number }).port));
}
