import { expect, test, vi } from 'vitest';
import { newEventId } from '../../src/streams/event-id.ts';

test('ids are of version 7: the clock first, so that they grow with it, then chance', () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  try {
    const ids: string[] = [];
    for (const at of [1, 0x0199_aabb_ccdd, 0x0199_aabb_ccde]) {
      vi.setSystemTime(at);
      ids.push(newEventId(), newEventId());
    }
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(ids.map((id) => id.slice(0, 13))).toEqual(
      ['00000000-0001', '0199aabb-ccdd', '0199aabb-ccde'].flatMap((time) => [time, time]),
    );
    expect(new Set(ids.map((id) => id.slice(14))).size).toBe(ids.length);
  } finally {
    vi.useRealTimers();
  }
});
