// Typed kinds: entities whose texts are read and written as numbers, dates and JSON.
import { defineKind, field } from 'pg-hypervault';
import { onTwoServers } from './support/two-servers.ts';

const User = defineKind({
  id: 2,
  name: 'user',
  fields: { name: field.string, age: field.int, vip: field.boolean },
});

await onTwoServers(async (db) => {
  const users = db.repository(User);
  const key = await users.put(db.shardFor('ada@example.com'), { name: 'Ada', age: 36, vip: true });
  console.log((await users.get(key))?.body);
  await users.update(key, { age: 37 });
  for await (const { body } of users.find({ where: { age: 37 } }))
    console.log(`${body.name} is ${body.age + 1} next year`);

  // What does not fit is refused before it travels.
  const wrong = users.put(1, { name: 'Bob', age: 'old' as never, vip: false });
  await wrong.catch((error) => console.log(error.name, error.field));
});

// Prints:
// { name: 'Ada', age: 36, vip: true }
// Ada is 38 next year
// InvalidBodyError age
