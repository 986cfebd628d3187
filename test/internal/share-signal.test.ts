import { expect, onTestFinished, test } from 'vitest';
import { abortable } from '../../src/internal/abortable.ts';
import { linkSignals } from '../../src/internal/link-signals.ts';
import { sleep } from '../../src/internal/sleep.ts';

test('one signal stops any number of calls, without a warning of a leak', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): unknown => warnings.push(warning);
  process.on('warning', onWarning);
  onTestFinished(() => void process.off('warning', onWarning));
  const many = Array.from({ length: 12 });
  const stop = [new AbortController(), new AbortController(), new AbortController()] as const;
  const calls = many.flatMap(() => [
    sleep(60_000, { signal: stop[0].signal }),
    abortable(new Promise(() => {}), stop[1].signal, 'a call'),
  ]);
  const links = many.map(() => linkSignals([stop[2].signal]));
  const settled = Promise.allSettled(calls);
  for (const controller of stop) controller.abort();
  expect((await settled).map(({ status }) => status)).toEqual(calls.map(() => 'rejected'));
  expect(links.map(({ signal }) => signal.aborted)).toEqual(many.map(() => true));
  // Node tells a warning with the next tick.
  await new Promise((resolve) => setImmediate(resolve));
  expect(warnings).toEqual([]);
});
