import type { DefineCommand } from './context.ts';
import { confirm } from './import-catalogue.ts';
import { type ImportOptions, sourceCommand, sourceOf, withEngine } from './import-engine.ts';
import { withSeconds } from './import-seconds.ts';

interface SwitchCommandOptions extends ImportOptions {
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly timeout?: string;
}

/** The switch to the target, and the way back, of a Postgres source. */
export const defineImportSwitch: DefineCommand = (group, context) => {
  const { output, signal } = context;
  sourceCommand(group, 'switch')
    .description('make the target the place where rows live; start-replica then brings changes back to the source')
    .option('--yes', 'do it')
    .option('--force', 'although tables are set aside')
    .option('--timeout <seconds>', 'how long the last changes may take to arrive', '600')
    .action((options: SwitchCommandOptions) =>
      withEngine(options, context, async (engine) => {
        const source = await sourceOf(engine, options);
        confirm(options, `the tables of ${source} would take no more writes; applications have to write to the target`);
        const result = await engine.switchOver(source, {
          signal,
          force: options.force,
          ...withSeconds(options.timeout),
        });
        output.value(result, ({ foreignKeys, sequences, lockedMs }) => {
          const made = foreignKeys.filter((key) => key.made).length;
          return `switched: nobody could write for ${lockedMs} ms; ${made} of ${foreignKeys.length} foreign keys, ${sequences} sequences`;
        });
        output.note('the target may be written to now; start-replica brings what changes there back to the source');
      }),
    );
  sourceCommand(group, 'back')
    .description('make the source the place where rows live again')
    .option('--yes', 'do it')
    .option('--force', 'without the last changes, when they cannot be brought back')
    .option('--timeout <seconds>', 'how long the last changes may take to arrive', '600')
    .action((options: SwitchCommandOptions) =>
      withEngine(options, context, async (engine) => {
        const source = await sourceOf(engine, options);
        confirm(options, `rows would live in ${source} again; applications have to write there`);
        const result = await engine.back(source, { signal, force: options.force, ...withSeconds(options.timeout) });
        output.value(result, ({ lockedMs }) => `back: nobody could write for ${lockedMs} ms`);
      }),
    );
  sourceCommand(group, 'finish')
    .description('end the way back and forget the source, whose tables keep taking no writes')
    .option('--yes', 'do it')
    .option('--force', 'without the last changes, when they cannot be brought back')
    .action((options: SwitchCommandOptions) =>
      withEngine(options, context, async (engine) => {
        const source = await sourceOf(engine, options);
        confirm(options, `${source} would be forgotten, and there would be no way back`);
        await engine.finish(source, { signal, force: options.force });
      }),
    );
};
