import { expect, it } from 'vitest';
import { RetentionWatch } from '../../src/import/postgres/retention.ts';

const GIB = 1024n ** 3n;

it('warns of a log that grows, each time it has doubled, and before it is thrown away', () => {
  const heard: string[] = [];
  const watch = new RetentionWatch((message) => heard.push(message));
  expect(watch.isDue).toBe(true);
  watch.look({ bytes: GIB / 2n, state: 'reserved' });
  expect([watch.isDue, heard]).toEqual([false, []]);
  watch.look({ bytes: GIB, state: 'extended' });
  watch.look({ bytes: GIB + 1n, state: 'extended' });
  watch.look({ bytes: 2n * GIB, state: 'extended' });
  expect(heard).toEqual([expect.stringContaining('keeps 1.0 GiB'), expect.stringContaining('keeps 2.0 GiB')]);
  watch.look({ bytes: 2n * GIB, state: 'unreserved' });
  watch.look({ bytes: 2n * GIB, state: 'unreserved' });
  watch.look(null);
  watch.look({ bytes: 0n, state: 'lost' });
  expect(heard.slice(2)).toEqual([
    expect.stringContaining('about to throw away'),
    expect.stringContaining('has thrown away'),
  ]);
});
