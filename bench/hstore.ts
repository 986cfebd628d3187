// How many hstore texts a second are read into objects, and bodies written as texts, against pg-hstore alone? The texts
// are as servers write them: ten fields, plain in the first case and with a field of JSON in the second.
import pgHstore from 'pg-hstore';
import { decodeHstore, encodeHstore, type HstoreBody } from 'pg-hypervault';
import { cpuRate } from './support/cpu-rate.ts';
import type { Result } from './support/result.ts';

const COUNT = 50_000;
const TEXTS = 64;

interface Rival {
  parse(text: string): unknown;
  stringify(body: HstoreBody): string;
}
const rival = (pgHstore as unknown as (options: { sanitize: boolean }) => Rival)({ sanitize: true });

const PLAIN = Object.fromEntries(
  Array.from({ length: 10 }, (_, index) => [`field_${index}`, `value number ${index} of some length`]),
);
const JSON_FIELD = { ...PLAIN, field_9: JSON.stringify({ tags: ['a', 'b'], path: 'c:\\d' }) };

export async function run(): Promise<Result[]> {
  return Object.entries({ plain: PLAIN, 'with a field of JSON': JSON_FIELD }).flatMap(([name, body]) => {
    const bodies = Array.from({ length: TEXTS }, (_, index) => ({ ...body, field_0: String(index) }));
    const texts = bodies.map((each) => encodeHstore(each).replaceAll(/",(?=")/g, '", '));
    const common = { bench: 'hstore', unit: 'bodies/s of processor time' };
    return [
      {
        ...common,
        case: `decode, ${name}`,
        goal: 'at least 5 × pg-hstore',
        ours: cpuRate(COUNT, (index) => decodeHstore(texts[index % TEXTS]!)),
        rivals: { 'pg-hstore': cpuRate(COUNT, (index) => rival.parse(texts[index % TEXTS]!)) },
      },
      {
        ...common,
        case: `encode, ${name}`,
        ours: cpuRate(COUNT, (index) => encodeHstore(bodies[index % TEXTS]!)),
        // Its text is not stored as it was given: `'` comes back doubled.
        rivals: { 'pg-hstore': cpuRate(COUNT, (index) => rival.stringify(bodies[index % TEXTS]!)) },
      },
    ];
  });
}
