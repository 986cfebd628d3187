// One root for everything: what the configuration names is opened, and closed with it.
import { open } from 'pg-hypervault';
import { onTwoServers } from './support/two-servers.ts';

await onTwoServers(async (_, connections) => {
  // The same shape as hypervault.yaml, whose path can be given instead.
  const [eu1, eu2] = connections.map(({ host, port, user, password, database }) => ({
    host,
    port,
    user,
    password,
    database,
  }));
  const vault = await open({ servers: { eu1: eu1!, eu2: eu2! }, shards: { eu1: '1-9', eu2: '9-17' } });
  try {
    await vault.datastore.connect();
    const key = await vault.datastore.put(12, 1, { beep: 'boop' });
    console.log((await vault.datastore.get(key))?.body);
    for (const { name, up, ranges } of (await vault.status()).servers)
      console.log(`${name} holds ${ranges}, up: ${up}`);
  } finally {
    await vault.close();
  }
});

// Prints:
// { beep: 'boop' }
// eu1 holds 1-9, up: true
// eu2 holds 9-17, up: true
