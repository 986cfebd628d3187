import { expect, test } from 'vitest';
import { chooseHost } from '../../src/internal/endpoint/choose-host.ts';
import type { HostReport } from '../../src/internal/endpoint/host-report.ts';
import { hostAddress } from '../../src/internal/endpoint/hosts.ts';

const report = (host: string, role: HostReport['role'], more: Partial<HostReport> = {}): HostReport => ({
  host: hostAddress(host, 5432),
  role,
  timeline: 1,
  systemId: '7',
  readOnly: false,
  pooled: false,
  error: undefined,
  ...more,
});
const nothing = { current: undefined, fence: undefined };
const chosen = (...[reports, target, memory = nothing]: Partial<Parameters<typeof chooseHost>>): string | undefined =>
  chooseHost(reports!, target!, memory)?.host.host;

test('a standby is never taken for a primary', () => {
  expect(chosen([report('a', 'standby'), report('b', undefined)], 'primary')).toBeUndefined();
});

test('of two primaries the one with the newer timeline wins, whatever is in use', () => {
  const reports = [report('a', 'primary', { timeline: 3 }), report('b', 'primary', { timeline: 4 })];
  expect(chosen(reports, 'primary', { ...nothing, current: hostAddress('a', 5432) })).toBe('b');
});

test('with the same timeline the one that takes writes wins, then the one in use', () => {
  const memory = { ...nothing, current: hostAddress('b', 5432) };
  expect(chosen([report('a', 'primary'), report('b', 'primary', { readOnly: true })], 'primary', memory)).toBe('a');
  expect(chosen([report('a', 'primary'), report('b', 'primary')], 'primary', memory)).toBe('b');
});

test('a primary left behind by a failover is refused', () => {
  const old = [report('a', 'primary', { timeline: 1 })];
  expect(chosen(old, 'primary', { ...nothing, fence: { systemId: '7', timeline: 2 } })).toBeUndefined();
  expect(chosen(old, 'primary', { ...nothing, fence: { systemId: '8', timeline: 2 } })).toBe('a');
});

test('standby, prefer-standby and any', () => {
  const both = [report('a', 'primary'), report('b', 'standby')];
  expect(chosen(both, 'standby')).toBe('b');
  expect(chosen(both, 'prefer-standby')).toBe('b');
  expect(chosen([report('a', 'primary')], 'standby')).toBeUndefined();
  expect(chosen([report('a', 'primary')], 'prefer-standby')).toBe('a');
  expect(chosen(both, 'any', { ...nothing, current: hostAddress('b', 5432) })).toBe('b');
  expect(chosen([report('a', undefined)], 'any')).toBeUndefined();
});
