import { BadRequestError } from '../errors.ts';
import { checkNumber, parseStart } from '../reader.ts';
import type { Source } from '../stream-name.ts';
import type { CreateSettings } from './settings.ts';

/** The last position that is not wanted, by shard; `undefined`: the present end. */
export function startOf(
  startFrom: CreateSettings['startFrom'],
  source: Source,
): ((shardId: number) => bigint) | undefined {
  if (startFrom === 'end' || startFrom === undefined) return undefined;
  if (source.kind === 'stream') {
    if (startFrom === 'beginning') return () => -1n;
    const number = checkNumber('startFrom', startFrom);
    return () => number - 1n;
  }
  if (typeof startFrom === 'bigint') {
    throw new BadRequestError(`startFrom: ${source.name} has positions; give a Position, 'beginning' or 'end'`);
  }
  const position = parseStart(startFrom);
  return (shardId) => position.of(shardId);
}
