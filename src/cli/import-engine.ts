import { type Command, Option } from 'commander';
import { readConfiguration } from '../config/index.ts';
import { NOTICE_LEVELS, type NoticeLevel, ReplicaEngine } from '../import/index.ts';
import { configuredMap } from './cluster-parts.ts';
import { type CliContext, subcommand, withConfig } from './context.ts';
import { UsageError } from './usage-error.ts';

/** What every command of the import understands. */
export interface ImportOptions {
  readonly config?: string;
  readonly source?: string;
  readonly json?: boolean;
  readonly debug?: boolean;
  readonly rollbarLevel?: NoticeLevel;
}

/** A subcommand of `hypervault import` that reads the configuration. */
export function importCommand(group: Command, name: string): Command {
  return withConfig(subcommand(group, name))
    .option('--debug', 'log everything')
    .addOption(new Option('--rollbar-level <level>', 'the least that Rollbar hears of').choices(NOTICE_LEVELS));
}

/** One that works on a source of it. */
export function sourceCommand(group: Command, name: string): Command {
  return importCommand(group, name).option(
    '--source <name>',
    'the source (otherwise: the only one of the configuration)',
  );
}

/** Runs some work with an engine on the configuration that was named. */
export async function withEngine(
  options: ImportOptions,
  { environment, output, signal }: CliContext,
  work: (engine: ReplicaEngine) => Promise<void>,
  /** Name of the daemon that this process is. */
  daemon?: string,
): Promise<void> {
  const config = options.config ?? environment.HYPERVAULT_CONFIG;
  if (config === undefined) throw new UsageError('name the configuration file with --config, or in HYPERVAULT_CONFIG');
  const warn = (message: string): void => output.warn(message);
  const note = (message: string): void => output.note(message);
  const engine = new ReplicaEngine({
    config,
    environment,
    // Asked only where the configuration says `shards: live`
    shardMap: { refresh: async () => configuredMap(await readConfiguration(config, environment), signal) },
    logger: { debug: note, info: note, warn, error: warn },
    ...(options.debug && { logLevel: 'debug' }),
    rollbarLevel: options.rollbarLevel,
    daemon,
  });
  try {
    await work(engine);
  } finally {
    await engine.close();
  }
}

/** The source that is meant. */
export async function sourceOf(engine: ReplicaEngine, { source }: ImportOptions): Promise<string> {
  if (source !== undefined && source !== '*') return source;
  const names = (await engine.showSources()).map(({ name }) => name);
  if (names.length === 1) return names[0]!;
  throw new UsageError(`--source: say which one: ${names.join(', ')}`);
}
