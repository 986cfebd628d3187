import { expect, test } from 'vitest';
import { linkSignals } from '../../src/internal/link-signals.ts';

test('it fires with the first of its sources, with its reason', () => {
  const [a, b] = [new AbortController(), new AbortController()];
  using linked = linkSignals([a.signal, undefined, b.signal]);
  expect(linked.signal.aborted).toBe(false);
  b.abort('why');
  expect(linked.signal.reason).toBe('why');
  a.abort('later');
  expect(linked.signal.reason).toBe('why');
});

test('a source that has fired already, and one after a time', async () => {
  expect(linkSignals([AbortSignal.abort('before')]).signal.reason).toBe('before');
  using linked = linkSignals([], 5);
  await new Promise((resolve) => linked.signal.addEventListener('abort', resolve));
  expect(linked.signal.reason).toMatchObject({ name: 'TimeoutError' });
});

test('once disposed it fires no more', () => {
  const source = new AbortController();
  const linked = linkSignals([source.signal]);
  linked[Symbol.dispose]();
  source.abort();
  expect(linked.signal.aborted).toBe(false);
});
