import { idRange } from '../core/index.ts';
import { time } from './arguments.ts';
import type { DefineCommand } from './context.ts';
import { type EpochOptions, epochOf, withEpoch } from './epoch-option.ts';

/** `hypervault range FROM TO`. */
export const defineRange: DefineCommand = (command, context) => {
  withEpoch(command)
    .argument('<from>', "the first moment: ISO 8601 (UTC unless it says otherwise), or 'now'", time('from'))
    .argument('<to>', 'the last moment, included to the millisecond', time('to'))
    .option('--padded', 'widen by what ids may lag behind (16 ms) and run ahead of (5 s) the clock of their server')
    .addHelpText('after', '\nExample:\n  hypervault range 2024-01-01 2024-02-01')
    .action(async (from: Date, to: Date, options: EpochOptions & { padded?: boolean }) => {
      const range = idRange(from, to, { epoch: await epochOf(options, context), padded: options.padded });
      context.output.value({ from, to, ...range }, ({ lowest, highest }) => `lowest   ${lowest}\nhighest  ${highest}`);
    });
};
