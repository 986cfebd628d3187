// The river: changes of entities flow into a search index. Run it with: npx tsx examples/river/main.ts
// With ELASTICSEARCH_URL=http://localhost:9200 the index is a real one.
import { Datastore, install, Key } from 'pg-hypervault';
import { startEmbedded } from 'pg-hypervault/embedded';
import { NotificationListener, PostgresConnector, Supervisor } from 'pg-hypervault/listen';
import { addChangeLog, CHANNEL } from './change-log.ts';
import { ElasticsearchIndex } from './elasticsearch-index.ts';
import { MemoryIndex } from './memory-index.ts';
import { River } from './river.ts';
import type { SearchIndex } from './search-index.ts';

const SHARDS = [
  [1, 2, 3, 4],
  [5, 6, 7, 8],
] as const;
const RIVERS = ['Amazon', 'Nile', 'Yangtze', 'Mississippi', 'Danube', 'Ganges', 'Rhine', 'Thames'];

console.log('Starting two Postgres servers with four shards each …');
await using servers = await startEmbedded({ servers: 2 });
const connections = servers.connections.map((connection, at) => ({ ...connection, shards: ['1-5', '5-9'][at]! }));
for (const connection of connections) {
  await using connector = new PostgresConnector(connection);
  await connector.query('create extension if not exists hstore');
}
await install(connections);
await using db = new Datastore(connections);
await addChangeLog(db, SHARDS.flat());

const { ELASTICSEARCH_URL: url } = process.env;
const index: SearchIndex = url ? new ElasticsearchIndex({ url, index: 'river' }) : new MemoryIndex();
const flows = servers.connections.map((connection, at) => {
  const river = new River(db, SHARDS[at]!, index);
  const supervisor = new Supervisor({ connection: { ...connection, applicationName: 'river' } });
  supervisor.addListener(new NotificationListener({ channel: CHANNEL })).addProcessor(river);
  supervisor.on('state', ({ to, reason }) => console.log(`  server ${at + 1}: ${to} (${reason})`));
  return { river, supervisor };
});
await Promise.all(flows.map(({ supervisor }) => supervisor.start({ waitFor: 'listening' })));

const find = async (words: string): Promise<string> => {
  const ids = await index.search(words);
  const entities = await db.getMany(ids.map((id) => new Key(id)));
  return entities.map((entity) => entity?.body.name).join(', ') || 'nothing';
};
/** Waits until the index shows what it should, and says how long that took. */
const until = async (words: string, hits: number): Promise<void> => {
  const started = performance.now();
  while ((await index.search(words)).length !== hits) {
    if (performance.now() - started > 10_000) throw new Error(`the index never had ${hits} × ${words}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  console.log(`"${words}" → ${await find(words)}   (${Math.round(performance.now() - started)} ms later)`);
};

console.log('\nWriting eight entities over all shards:');
const keys = await Promise.all(
  RIVERS.map((name, at) =>
    db.put(at + 1, 1, { name, what: 'river', water: 'sweet', length: String(1_000 * (at + 1)) }),
  ),
);
await until('river sweet', 8);

console.log('\nChanging one, removing one:');
await db.update(keys[4]!, { what: 'stream' });
await db.remove(keys[7]!);
await until('stream', 1);
await until('river', 6);

console.log('\nCutting the listening session of server 1, and writing at the same moment:');
await using connector = new PostgresConnector(connections[0]!);
await connector.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'river'`);
await db.putMany(2, 1, [
  { name: 'Volga', what: 'river', sea: 'Caspian' },
  { name: 'Ural', what: 'river', sea: 'Caspian' },
]);
await until('caspian', 2);

await Promise.all(flows.map(({ supervisor }) => supervisor.terminate()));
console.log(`\n${flows.reduce((sum, { river }) => sum + river.carried, 0)} changes were carried.`);
