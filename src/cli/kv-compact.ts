import { openKv, PostgresCommitStorage } from '../kv/index.ts';
import { wholeNumber } from './arguments.ts';
import { type CliContext, type DefineCommand, subcommand, withConfig } from './context.ts';
import { controlOf } from './kv-control.ts';
import { UsageError } from './usage-error.ts';

interface CompactCommandOptions {
  readonly maxVersions?: number;
  readonly maxAgeDays?: number;
  readonly database?: string;
  readonly config?: string;
  readonly table?: string;
  readonly dryRun?: boolean;
}

const DAY_MS = 86_400_000;

/** `kv compact`: forgets old versions. */
export const defineKvCompact: DefineCommand = (group, context) => {
  const command = withConfig(subcommand(group, 'compact'))
    .description('forget old versions by their number or age; the newest of each key always stays')
    .option('--max-versions <count>', 'keep so many of each key', wholeNumber('--max-versions', 1))
    .option('--max-age-days <days>', 'keep a version so long after it was replaced', wholeNumber('--max-age-days', 0))
    .option('--database <url>', 'postgres://…, where the keys are (or --config)')
    .option('--table <name>', 'the namespace of the keys there')
    .option('--dry-run', 'only say how many would go')
    .addHelpText(
      'after',
      '\nNothing goes that was replaced within the last hour, for the sake of watches that were cut off.',
    );
  // The group knows --config and --table, too, and takes them wherever they stand.
  command.action(() => compact(command.optsWithGlobals<CompactCommandOptions>(), context));
};

async function compact(options: CompactCommandOptions, context: CliContext): Promise<void> {
  const { maxVersions, maxAgeDays, dryRun = false, table, database, config } = options;
  if (maxVersions === undefined && maxAgeDays === undefined) {
    throw new UsageError('what may go? Say --max-versions, --max-age-days, or both');
  }
  const connection = database ?? (await controlOf(config, context));
  await using kv = await openKv({ connection, autoPublish: false, ...(table !== undefined && { table }) });
  if (!(kv.storage instanceof PostgresCommitStorage))
    throw new UsageError('only a journal in Postgres can be compacted');
  const maxAgeMs = maxAgeDays === undefined ? undefined : maxAgeDays * DAY_MS;
  const gone = await kv.storage.retain({ maxVersions, maxAgeMs }, { dryRun, signal: context.signal });
  const would = dryRun ? 'would be' : 'are';
  context.output.value({ gone, dryRun }, () => `${gone} versions ${would} gone`);
}
