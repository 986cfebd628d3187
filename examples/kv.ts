// Versioned settings: every version kept, the newest ones live in every process, old ones back in one step.
import { startEmbedded } from 'pg-hypervault/embedded';
import { CommitOrderingError, jsonCodec, openKv } from 'pg-hypervault/kv';

interface Limits {
  readonly max: number;
}

await using servers = await startEmbedded();
await using kv = await openKv({ connection: servers.connections[0]!, codec: jsonCodec<Limits>() });

// What a process needs to know all the time it reads from a mirror, which is memory.
const mirror = await kv.mirror();
mirror.on('change', ({ key, commit }) => console.log('changed:', key, commit?.valueOption));

// A change knows its author and its reason. Two at once both count: the slower one is computed again.
const first = await kv.update('limits', () => ({ max: 5 }), { author: 'ann', comment: 'a first value' });
await mirror.reached(first!.revision!);
const saved = await kv.update('limits', (limits) => ({ max: limits!.max * 2 }), {
  author: 'bob',
  comment: 'more room',
});
await mirror.reached(saved!.revision!);
console.log('in memory:', mirror.current.get('limits')?.valueOption);

// Who saves a version by its number is told when somebody was faster.
const late = kv.save({ key: 'limits', version: 2, payload: Buffer.from('{"max":7}'), author: 'cleo' });
await late.catch((error) => console.log('too late:', error instanceof CommitOrderingError && error.expectedVersion));

for (const { version, author, comment } of await kv.history('limits')) console.log(version, author, comment);
await mirror.close();
const [step] = await kv.rollback('limits', 1, { author: 'ann' });
console.log(`version ${step!.to} is back as version ${step!.version}:`, await kv.value('limits'));

// Prints:
// changed: limits { max: 5 }
// changed: limits { max: 10 }
// in memory: { max: 10 }
// too late: 3
// 2 bob more room
// 1 ann a first value
// version 1 is back as version 3: { max: 5 }
