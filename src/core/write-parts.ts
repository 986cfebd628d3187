import type { WriteCall, WriteSource } from './gathered-writes.ts';

/** Calls of a batch that share a statement. */
export interface Part {
  readonly source: WriteSource;
  readonly calls: WriteCall[];
}

/** Calls of one source share statements; shards ascend, and rows inside them. */
export function partsOf(calls: readonly WriteCall[]): Part[] {
  const bySource = new Map<WriteSource, WriteCall[]>();
  for (const call of calls) {
    const group = bySource.get(call.source);
    if (group === undefined) bySource.set(call.source, [call]);
    else group.push(call);
  }
  const parts: Part[] = [];
  for (const [source, group] of bySource) {
    if (source.maxCalls === 1) {
      group.sort((a, b) => (a.order < b.order ? -1 : a.order > b.order ? 1 : 0));
      for (const call of group) parts.push({ source, calls: [call] });
      continue;
    }
    const [first, twice] = firstOfEachId(group);
    for (let i = 0; i < first.length; i += source.maxCalls) {
      parts.push({ source, calls: first.slice(i, i + source.maxCalls) });
    }
    for (const call of twice) parts.push({ source, calls: [call] });
  }
  return parts.sort((a, b) => a.source.shardId - b.source.shardId);
}

/** One statement can't see its own rows: a second write of one id travels in a statement of its own, behind the first. */
function firstOfEachId(calls: readonly WriteCall[]): [WriteCall[], WriteCall[]] {
  const seen = new Set<string>();
  const first: WriteCall[] = [];
  const twice: WriteCall[] = [];
  for (const call of calls) {
    if (call.order === '' || !seen.has(call.order)) first.push(call);
    else twice.push(call);
    seen.add(call.order);
  }
  return [first, twice];
}
