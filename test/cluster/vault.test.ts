import { expect, test } from 'vitest';
import { initCluster, MapStore } from '../../src/cluster/index.ts';
import { open } from '../../src/vault.ts';
import { freshDatabase, freshDatabases } from '../support/database.ts';
import { rejection, waitFor } from '../support/wait-for.ts';

test('shards: live follows the map in the control database', async () => {
  const [a, b] = await freshDatabases();
  const control = await freshDatabase();
  await initCluster(
    [
      { ...a.connection, name: 'a', shards: '1-3' },
      { ...b.connection, name: 'b', shards: '3-5' },
    ],
    control.connection,
  );
  const servers = { a: a.connection, b: b.connection, control: control.connection };
  const vault = await open({ servers, control: 'control', shards: 'live' });
  try {
    const key = await vault.datastore.put(4, 1, { a: '1' });
    expect((await vault.datastore.get(key))?.body).toEqual({ a: '1' });
    const store = new MapStore(control.connection);
    await store.start();
    await store.publish(
      { epoch: 2n, servers: { a: '1-3', b: '3-5', control: '' } },
      { author: 'me', comment: 'one more' },
    );
    await store.stop();
    await waitFor(() => vault.datastore.map.epoch === 2n);
  } finally {
    await vault.close();
  }
  const wrong = { servers, control: 'control', shards: 'live' as const, cluster: { cachefile: 'x' } };
  expect((await rejection(open(wrong))).message).toMatch(/did you mean "cacheFile"/);
});
