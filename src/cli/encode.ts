import { Key } from '../core/index.ts';
import { time, wholeNumber } from './arguments.ts';
import type { DefineCommand } from './context.ts';
import { type EpochOptions, epochOf, withEpoch } from './epoch-option.ts';

/** `hypervault encode TIME SHARD [SEQUENCE]`. */
export const defineEncode: DefineCommand = (command, context) => {
  withEpoch(command)
    .argument('<time>', "a time in ISO 8601 (UTC unless it says otherwise), or 'now'", time('time'))
    .argument('<shard>', '0 to 8191', wholeNumber('shard', 0, 8191))
    .argument('[sequence]', '0 to 1023', wholeNumber('sequence', 0, 1023), 0)
    .addHelpText('after', '\nExample:\n  hypervault encode 2014-11-15T14:11:06.450Z 12 1')
    .action(async (created: Date, shardId: number, addedId: number, options: EpochOptions) => {
      const key = Key.from({ created, shardId, addedId }, { epoch: await epochOf(options, context) });
      context.output.value({ id: key.id, created, shardId, addedId }, ({ id }) => String(id));
    });
};
