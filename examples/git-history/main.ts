// The history of a git repository as event streams, one for each file: written, followed live, worked off by a group.
// Run it with: npm run demo:streams [-- FOLDER [LIMIT]]
import { startEmbedded } from 'pg-hypervault/embedded';
import { connect } from 'pg-hypervault/streams';
import { gitHistory, madeUpHistory } from './history.ts';
import { importHistory, streamOf } from './import-history.ts';
import { workOff } from './work-off.ts';

const [folder = '.', limit = '20000'] = process.argv.slice(2);
const told = await gitHistory(folder);
if (told === undefined) console.log(`No git history in ${folder}: here is one that nobody wrote.`);
const changes = (told ?? madeUpHistory()).slice(0, Number(limit));
const total = changes.length;
const commits = new Set(changes.map(({ commit }) => commit)).size;
console.log(`${total} changes of files in ${commits} commits`);

console.log('Starting two Postgres servers with four shards each …');
await using servers = await startEmbedded({ servers: 2 });
const connections = servers.connections.map((connection, at) => ({ ...connection, shards: ['1-5', '5-9'][at]! }));
await using store = await connect({ connections });
await store.createSubscription('tally', 'file-*', { startFrom: 'beginning' });

const live = await store.subscribeToAll();
let followed = 0;
const following = (async () => {
  for await (const _ of live.events) if (++followed === total) break;
})();

let started = performance.now();
/** Since the last time it was asked. */
const lap = (): string => {
  const seconds = (performance.now() - started) / 1_000;
  started = performance.now();
  return `${seconds.toFixed(2)} s`;
};

const first = await importHistory(store, changes);
console.log(`written:    ${first.written} events in ${first.streams} streams (${lap()})`);
await following;
console.log(
  `followed:   ${followed} events by a live subscription, ${total - followed} lost (${lap()} after the last was written)`,
);

const { tally, shares } = await workOff(store, { group: 'tally', source: 'file-*', consumers: 2, total });
console.log(`worked off: ${tally.count} events by two consumers, ${shares.join(' and ')} (${lap()})`);

const again = await importHistory(store, changes);
console.log(`once more:  ${again.written} events written, ${again.repeated} known by their ids (${lap()})`);

const most = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .sort(([, a], [, b]) => b - a)
    .slice(0, 3)
    .map(([name, count]) => `${name} (${count})`)
    .join(', ');
console.log(`files changed most often: ${most(tally.filesOf)}`);
console.log(`lines touched: ${most(tally.linesBy)}`);

const [file] = [...tally.filesOf].sort(([, a], [, b]) => b - a)[0]!;
console.log(`the last changes of ${file}:`);
for (const event of await store.get(streamOf(file), { direction: 'backward', maxCount: 3 })) {
  const { at, added, deleted } = event.json<{ at: string; added: number; deleted: number }>();
  console.log(`  event ${event.eventNumber}, ${at}: +${added} −${deleted}`);
}
