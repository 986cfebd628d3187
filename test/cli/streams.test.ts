import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { freshStore } from '../streams/event-store.ts';
import { type CliResult, hypervault } from '../support/cli.ts';

test('publish, read, groups, parked, replay, stats', async () => {
  const { store, database } = await freshStore();
  const folder = await mkdtemp(join(tmpdir(), 'hypervault-cli-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const config = join(folder, 'hypervault.json');
  await writeFile(config, JSON.stringify({ servers: { a: database.connection }, shards: { a: '1-5' } }));
  const run = (...args: string[]): Promise<CliResult> =>
    hypervault(['streams', ...args], { environment: { HYPERVAULT_CONFIG: config } });

  const first = await run('publish', 'ponies', 'PonyJumped', '{"height":10}', '--expect', 'noStream', '--json');
  expect({ exitCode: first.exitCode, stderr: first.stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(first.json()).toMatchObject([{ stream: 'ponies', lastEventNumber: '0', repeated: false }]);
  expect((await run('publish', 'ponies', 'PonyJumped', '--expect', '7')).stderr).toContain('its last event is 0');
  expect((await run('publish', 'ponies', 'PonyJumped', '--expect', 'x')).exitCode).toBe(2);
  await store.publishEvent('ponies', 'PonyFell', { body: { height: 9 } });
  const read = await run('read', 'ponies', '--backward', '--json');
  expect(read.json()).toMatchObject([{ eventNumber: '1', type: 'PonyFell' }, { eventNumber: '0' }]);
  expect((await run('read', '$all', '-n', '1')).stdout).toContain('ponies 0  PonyJumped  {"height":10}');
  expect((await run('read', 'none')).stderr).toContain('there is no stream "none"');

  await store.createSubscription('mailer', 'ponies', { startFrom: 0n });
  const sub = await store.connectSubscription('mailer', 'ponies');
  await sub.nack((await sub.next()).value!, 'park', { reason: 'no stamp' });
  await sub.ack((await sub.next()).value!);
  await sub.close();
  expect((await run('groups', '--json')).json()).toMatchObject([{ name: 'mailer', parked: 1, lag: '0' }]);
  expect((await run('parked', 'mailer', 'ponies')).stdout).toContain('1 tries: no stamp');
  expect((await run('replay', 'mailer', 'ponies', '--json')).json()).toEqual([{ replayed: 1 }]);
  expect((await run('stats', 'mailer', 'ponies', '--json')).json()).toMatchObject([{ retrying: 1, parked: 0 }]);
});
