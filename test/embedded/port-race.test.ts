// Two servers that are told the same port, as when two processes drew it before either listened.
import { expect, test, vi } from 'vitest';

const told = vi.hoisted((): { port: number | undefined; times: number } => ({ port: undefined, times: 0 }));
vi.mock(import('../../src/embedded/free-port.ts'), async (original) => {
  const { freePort, ...rest } = await original();
  return {
    ...rest,
    freePort: async () => {
      told.port ??= await freePort();
      told.times += 1;
      return told.times <= 2 ? told.port : await freePort();
    },
  };
});

const { ownServers } = await import('../support/own-server.ts');
const { default: pg } = await import('pg');

test('of two servers told the same port one gets it, and the other one takes another', async () => {
  const { servers, connections } = await ownServers({ servers: 2 });
  expect(told.times).toBeGreaterThan(2);
  const ports = connections.map(({ port }) => port);
  expect(ports).toContain(told.port);
  expect(new Set(ports).size).toBe(2);
  expect((await Promise.all(servers.map((server) => server.log()))).join()).toMatch(/Address already in use/);
  for (const [index, connection] of connections.entries()) {
    const client = new pg.Client(connection);
    await client.connect();
    const { rows } = await client.query(`select current_setting('data_directory') as directory`);
    expect(rows).toEqual([{ directory: servers[index]!.dataDirectory }]);
    await client.end();
  }
});
