import fc from 'fast-check';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { byteaArray, plainArray, textArray } from '../../src/streams/pg-array.ts';
import { freshDatabase } from '../support/database.ts';
import { PROPERTY_RUNS, storableText } from '../support/property.ts';

async function session(): Promise<pg.Client> {
  const database = await freshDatabase();
  const client = new pg.Client(database.connection);
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

test('arrays of texts and of bytes come to the server as they are', async () => {
  const client = await session();
  const texts = fc.array(fc.option(storableText({ maxLength: 200 })), { minLength: 1, maxLength: 20 });
  const bytes = fc.array(fc.option(fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))), {
    minLength: 1,
    maxLength: 20,
  });
  await fc.assert(
    fc.asyncProperty(texts, bytes, async (strings, buffers) => {
      const { rows } = await client.query('select $1::text[] as strings, $2::bytea[] as buffers', [
        textArray(strings),
        byteaArray(buffers),
      ]);
      expect(rows[0].strings).toEqual(strings);
      expect(rows[0].buffers).toEqual(buffers);
    }),
    { numRuns: PROPERTY_RUNS },
  );
});

test('numbers, booleans and UUIDs travel as text', async () => {
  const client = await session();
  const id = '6f9619ff-8b86-4d01-b42d-00cf4fc964ff';
  const { rows } = await client.query('select $1::bigint[] as numbers, $2::boolean[] as booleans, $3::uuid[] as ids', [
    plainArray([-2n, 9_223_372_036_854_775_807n, 0]),
    plainArray([true, false]),
    plainArray([id]),
  ]);
  expect(rows[0]).toEqual({ numbers: ['-2', '9223372036854775807', '0'], booleans: [true, false], ids: [id] });
});
