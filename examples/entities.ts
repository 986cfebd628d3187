// Entities: a kind and a flat body of texts, found by ids that say where they live.
import { Key, VersionConflictError } from 'pg-hypervault';
import { onTwoServers } from './support/two-servers.ts';

const PERSON = 1;

await onTwoServers(async (db) => {
  // The routing key says the shard: everything of one customer lives together.
  const shard = db.shardFor('acme');
  const key = await db.put(shard, PERSON, { name: 'Ada', city: 'London' });
  console.log('stored in the shard of acme:', key.shardId === shard);

  // The id is all one needs to find it again, in this program or in another.
  const found = await db.get(new Key(key.toString()));
  console.log('found:', found?.body);

  // Calls at the same moment travel together; nothing needs to be batched by hand.
  const keys = await Promise.all(['Bob', 'Cleo', 'Dan'].map((name) => db.put(db.shardFor(name), PERSON, { name })));
  const people = await db.getMany(keys);
  console.log('three at once:', people.map((person) => person?.body.name).join(', '));

  // Fields are merged; what somebody else changed meanwhile is not overwritten.
  await db.update(key, { city: 'Paris' });
  const stale = db.update(key, { city: 'Rome' }, { ifUnchangedSince: new Date(found!.updated.getTime() - 1) });
  await stale.catch((error) => console.log('refused:', error instanceof VersionConflictError));

  // With an id reserved ahead, a write may be repeated when its answer was lost: it is stored once.
  const [reserved] = await db.reserveKeys(shard, 1);
  await db.put(shard, PERSON, { name: 'Eve' }, { key: reserved });
  await db.put(shard, PERSON, { name: 'Eve' }, { key: reserved });

  for await (const { body } of db.find({ kind: PERSON, contains: { name: 'Eve' } })) console.log('once:', body);

  console.log('removed:', await db.remove(key), 'again:', await db.remove(key));
});

// Prints:
// stored in the shard of acme: true
// found: { city: 'London', name: 'Ada' }
// three at once: Bob, Cleo, Dan
// refused: true
// once: { name: 'Eve' }
// removed: true again: false
