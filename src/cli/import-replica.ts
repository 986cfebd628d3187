import type { CliContext, DefineCommand } from './context.ts';
import { confirm } from './import-catalogue.ts';
import { type ImportOptions, importCommand, sourceCommand, sourceOf, withEngine } from './import-engine.ts';

interface ReplicaOptions extends ImportOptions {
  readonly full?: boolean;
  readonly yes?: boolean;
  readonly force?: boolean;
}

/** Commands of a replica that runs. */
export const defineImportReplica: DefineCommand = (group, context) => {
  const { output, signal } = context;
  const workers = [
    ['start-replica', 'replicate, in the foreground, until stopped', 'startReplica'],
    ['read-replica', 'only read, into a log in the control database', 'readReplica'],
    ['replay-replica', 'only apply what read-replica has read', 'replayReplica'],
  ] as const;
  for (const [name, description, method] of workers) {
    sourceCommand(group, name)
      .description(description)
      .action((options: ReplicaOptions) =>
        withEngine(options, context, async (engine) => {
          warnOfRoot(context);
          const source = await sourceOf(engine, options);
          await engine[method](source, { signal, onStarted: () => output.note(`${source}: running`) });
        }),
      );
  }
  sourceCommand(group, 'stop-replica')
    .description('stop the process that replicates a source, wherever it runs')
    .action((options: ReplicaOptions) =>
      withEngine(options, context, async (engine) => {
        const source = await sourceOf(engine, options);
        output.value(
          await engine.stopReplica(source, { signal }),
          ({ stopped }) => `${source}: ${stopped ? 'stopped' : 'was not running'}`,
        );
      }),
    );
  importCommand(group, 'stop-all-replicas')
    .description('stop every replica that runs')
    .action((options: ReplicaOptions) =>
      withEngine(options, context, async (engine) => {
        output.value(
          await engine.stopAllReplicas({ signal }),
          (names) => `stopped: ${names.join(', ') || 'none was running'}`,
        );
      }),
    );
  sourceCommand(group, 'enable-replica')
    .description('let a source that ended in an error be started again')
    .action((options: ReplicaOptions) =>
      withEngine(options, context, async (engine) => engine.enableReplica(await sourceOf(engine, options))),
    );
  sourceCommand(group, 'detach-replica')
    .description('apply the last changes and leave a database that stands on its own')
    .option('--yes', 'do it')
    .option('--force', 'although tables are set aside')
    .action((options: ReplicaOptions) =>
      withEngine(options, context, async (engine) => {
        const source = await sourceOf(engine, options);
        confirm(options, `${source} would be detached for good; nothing may write to it any more`);
        const result = await engine.detachReplica(source, { signal, force: options.force });
        output.value(result, ({ foreignKeys, sequences }) => {
          const made = foreignKeys.filter((key) => key.made).length;
          return `detached: ${made} of ${foreignKeys.length} foreign keys, ${sequences} sequences`;
        });
      }),
    );
  sourceCommand(group, 'run-maintenance')
    .description('vacuum what the import writes often, while the workers pause')
    .option('--full', 'give the space back; locks the tables meanwhile')
    .action((options: ReplicaOptions) =>
      withEngine(options, context, async (engine) => {
        const result = await engine.runMaintenance(await sourceOf(engine, options), { full: options.full, signal });
        output.value(result, ({ tables }) => `vacuumed: ${tables.join(', ')}`);
      }),
    );
};

function warnOfRoot({ output }: CliContext): void {
  if (process.getuid?.() === 0) output.warn('running as root, which a replica needs no right of');
}
