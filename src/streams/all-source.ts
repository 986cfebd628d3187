import { BadRequestError } from './errors.ts';
import type { AllFilter, PlacedRow } from './read-all.ts';

/** One of several readers that share a source between them: each gets the streams that fall to it. */
export interface ConsumerGroupMember {
  /** From 0. */
  readonly member: number;
  readonly size: number;
}

/** A filter that can also be asked about one row. */
export interface RowFilter extends AllFilter {
  matches(row: PlacedRow): boolean;
}

/** @throws BadRequestError */
export function rowFilter(category: string | undefined, group: ConsumerGroupMember | undefined): RowFilter {
  if (group !== undefined) checkGroup(group);
  const prefix = category === undefined ? '' : `${category}-`;
  return {
    ...(category !== undefined && { category }),
    ...(group !== undefined && { sliceCount: group.size, slices: [group.member] }),
    matches: ({ event, streamId }) =>
      event.stream.startsWith(prefix) && (group === undefined || sliceOf(streamId, group.size) === group.member),
  };
}

/** The same as `hv_slice_of` in the shard. */
export function sliceOf(streamId: string, slices: number): number {
  const id = BigInt(streamId);
  return Number(((id >> 23n) ^ (id & 1023n)) % BigInt(slices));
}

function checkGroup({ member, size }: ConsumerGroupMember): void {
  if (Number.isInteger(size) && size >= 1 && size <= 1024 && Number.isInteger(member) && member >= 0 && member < size) {
    return;
  }
  throw new BadRequestError(
    `consumerGroup: member must be from 0 to size - 1, and size from 1 to 1024, not ${String(member)} of ${String(size)}`,
  );
}
