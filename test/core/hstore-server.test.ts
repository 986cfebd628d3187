import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeHstore, encodeHstore, type HstoreBody } from '../../src/core/hstore.ts';
import { slotOf } from '../../src/core/routing.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { PROPERTY_RUNS, storableText } from '../support/property.ts';

let database: TestDatabase;
let client: pg.Client;
beforeAll(async () => {
  database = await freshDatabase({ keep: true });
  client = await database.client();
  await client.query('create temp table bodies (body hstore)');
});
afterAll(() => database.drop());

/** Through a stored row, as entities go. */
async function roundTrip(body: HstoreBody): Promise<HstoreBody> {
  await client.query('truncate bodies');
  await client.query('insert into bodies values ($1)', [encodeHstore(body)]);
  const { rows } = await client.query<{ body: string }>('select body::text from bodies');
  return decodeHstore(rows[0]!.body);
}

const awkward = fc.oneof(
  storableText(),
  fc.constantFrom('', 'NULL', '__proto__', 'constructor', "''", '=>', '\\', '"'),
);

describe('hstore through a server', () => {
  it('gives every body back as it was', async () => {
    const bodies = fc.uniqueArray(fc.tuple(awkward, fc.option(awkward)), {
      selector: ([field]) => field,
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(bodies, async (entries) => {
        const body: HstoreBody = {};
        for (const [field, value] of entries) {
          Object.defineProperty(body, field, { value, enumerable: true, configurable: true, writable: true });
        }
        const back = await roundTrip(body);
        expect(Object.entries(back).sort()).toEqual([...entries].sort());
      }),
      { numRuns: PROPERTY_RUNS },
    );
  });

  it('means the same to the server', async () => {
    await fc.assert(
      fc.asyncProperty(awkward, awkward, async (field, value) => {
        const { rows } = await client.query<{ value: string }>('select $1::hstore -> $2 as value', [
          encodeHstore(Object.defineProperty({}, field, { value, enumerable: true })),
          field,
        ]);
        expect(rows[0]!.value).toBe(value);
      }),
      { numRuns: PROPERTY_RUNS },
    );
  });

  it('carries a megabyte, of the awkward kind too', async () => {
    for (const value of ['x'.repeat(1 << 20), '"\\'.repeat(1 << 19), '🐘'.repeat(1 << 18)]) {
      expect(await roundTrip({ value })).toEqual({ value });
    }
  });

  it('keeps every character of the basic plane', async () => {
    const body: HstoreBody = {};
    for (let from = 1; from < 0xd800; from += 512) {
      const codes = Array.from({ length: Math.min(512, 0xd800 - from) }, (_, index) => from + index);
      body[`from${from}`] = String.fromCharCode(...codes);
    }
    expect(await roundTrip(body)).toEqual(body);
  });
});

describe('routing in SQL', () => {
  it('gives the same slots', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(awkward, { minLength: 1 }), fc.integer({ min: 1, max: 8192 }), async (keys, slots) => {
        const { rows } = await client.query<{ slot: number }>(
          `select (('x' || left(md5(key), 8))::bit(32)::bigint % $2)::int as slot
           from unnest($1::text[]) with ordinality as list (key, place)
           order by place`,
          [keys, slots],
        );
        expect(rows.map(({ slot }) => slot)).toEqual(keys.map((key) => slotOf(key, slots)));
      }),
      { numRuns: PROPERTY_RUNS },
    );
  });
});
