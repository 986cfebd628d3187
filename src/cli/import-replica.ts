import { Option } from 'commander';
import type { CliContext, DefineCommand } from './context.ts';
import { startDaemon, tellStarter } from './daemon.ts';
import { confirm } from './import-catalogue.ts';
import { type ImportOptions, importCommand, sourceCommand, sourceOf, withEngine } from './import-engine.ts';
import { UsageError } from './usage-error.ts';

interface ReplicaOptions extends ImportOptions {
  readonly full?: boolean;
  readonly daemon?: boolean;
  readonly asDaemon?: boolean;
  readonly yes?: boolean;
  readonly force?: boolean;
}

/** Commands of a replica that runs. */
export const defineImportReplica: DefineCommand = (group, context) => {
  const { output, signal } = context;
  const workers = [
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
  sourceCommand(group, 'start-replica')
    .description('replicate until stopped, in the foreground or as a daemon')
    .option('--daemon', 'without a terminal: with a log in log_dir, its process id in pid_dir; ends with stop-replica')
    .addOption(new Option('--as-daemon', 'this process is the daemon').hideHelp())
    .action((options: ReplicaOptions) => (options.asDaemon ? beDaemon(options, context) : start(options, context)));
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

async function start(options: ReplicaOptions, context: CliContext): Promise<void> {
  const { output, signal } = context;
  if (options.daemon && options.debug) throw new UsageError('--debug shows what happens, which --daemon cannot');
  await withEngine(options, context, async (engine) => {
    warnOfRoot(context);
    const source = await sourceOf(engine, options);
    if (!options.daemon) {
      await engine.startReplica(source, { signal, onStarted: () => output.note(`${source}: running`) });
      return;
    }
    const { log, pid: pidFile } = await engine.daemonFiles(source);
    const config = options.config === undefined ? [] : ['--config', options.config];
    const level = options.rollbarLevel === undefined ? [] : ['--rollbar-level', options.rollbarLevel];
    const words = ['import', 'start-replica', '--as-daemon', '--source', source, ...config, ...level];
    const pid = await startDaemon(words, context);
    output.value({ source, pid, log, pidFile }, () => `${source}: running as process ${pid}, its log is ${log}`);
  });
}

async function beDaemon(options: ReplicaOptions, context: CliContext): Promise<void> {
  const { signal } = context;
  const source = options.source!;
  try {
    await withEngine(
      options,
      context,
      (engine) => engine.startReplica(source, { signal, onStarted: () => void tellStarter({ started: true }) }),
      source,
    );
  } catch (error) {
    await tellStarter({ failed: error instanceof Error ? error.message : String(error) });
    throw error;
  }
}

function warnOfRoot({ output }: CliContext): void {
  if (process.getuid?.() === 0) output.warn('running as root, which a replica needs no right of');
}
