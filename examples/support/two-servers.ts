// Two servers with eight shards each. Yours stand somewhere already; these come from npm and go with the program.
import { type ConnectionEntry, Datastore, install } from 'pg-hypervault';
import { startEmbedded } from 'pg-hypervault/embedded';

/** Lends a datastore of 16 shards. The tests give servers of their own in HYPERVAULT_EXAMPLE_SERVERS. */
export async function onTwoServers<Database extends object>(
  example: (db: Datastore<Database>, connections: readonly ConnectionEntry[]) => Promise<void>,
): Promise<void> {
  const given = process.env.HYPERVAULT_EXAMPLE_SERVERS;
  const embedded = given === undefined ? await startEmbedded({ servers: 2 }) : undefined;
  const settings = embedded?.connections ?? (JSON.parse(given!) as object[]);
  const connections = settings.map((connection, i) => ({ ...connection, shards: ['1-9', '9-17'][i]! }));
  await install(connections);
  const db = new Datastore<Database>(connections);
  try {
    await example(await db.connect(), connections);
  } finally {
    await db.disconnect();
    await embedded?.stop();
  }
}
