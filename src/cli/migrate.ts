import { migrate, migrationStatus } from '../cluster/index.ts';
import { wholeNumber } from './arguments.ts';
import { configuredMap } from './cluster-parts.ts';
import { type DefineCommand, withConfig } from './context.ts';
import { type Progress, startProgress } from './progress.ts';

interface MigrateOptions {
  readonly config?: string;
  readonly dryRun?: boolean;
  readonly status?: boolean;
  readonly concurrency: number;
  readonly lockTimeoutMs: number;
}

/** `hypervault migrate DIRECTORY`. */
export const defineMigrate: DefineCommand = (command, context) => {
  withConfig(command)
    .argument('[directory]', 'the folder with 001-what.sql, 002-….sql, functions/ and views/', 'migrations')
    .option('--dry-run', 'only say what would run')
    .option('--status', 'only say what each shard has')
    .option('--concurrency <n>', 'sessions on each server at the same time', wholeNumber('--concurrency', 1, 64), 4)
    .option(
      '--lock-timeout-ms <n>',
      "longest wait for a table's lock",
      wholeNumber('--lock-timeout-ms', 1, 3_600_000),
      3_000,
    )
    .addHelpText(
      'after',
      '\nShards that failed are told and the others are done; run it again when the cause is mended.',
    )
    .action(async (directory: string, { dryRun, status, concurrency, lockTimeoutMs, ...options }: MigrateOptions) => {
      const { output, signal } = context;
      const configuration = await context.configuration(options);
      const { schemaPrefix } = configuration.fixed;
      const map = await configuredMap(configuration, signal);
      if (status) {
        const shards = [...(await migrationStatus(map, { schemaPrefix, signal }))];
        const rows = shards.map(([shard, files]) => ({ shard, server: map.serverOf(shard).name, files }));
        output.list(rows, ['shard', 'server', 'files', 'newest'], (row) => [
          row.shard,
          row.server,
          row.files.length,
          row.files.at(-1),
        ]);
        return;
      }
      let progress: Progress | undefined;
      try {
        const { applied } = await migrate(map, {
          directory,
          dryRun,
          concurrency,
          lockTimeoutMs,
          schemaPrefix,
          signal,
          onProgress: ({ done, total, server, rate }) => {
            progress ??= startProgress(output, { label: 'shards', total });
            progress.update(done, `${server}, ${rate.toFixed(0)}/s`);
          },
        });
        progress?.stop();
        const changed = [...applied].filter(([, files]) => files.length > 0);
        const rows = changed.map(([shard, files]) => ({ shard, server: map.serverOf(shard).name, files }));
        output.list(rows, ['shard', 'server', dryRun ? 'would run' : 'ran'], (row) => [
          row.shard,
          row.server,
          row.files.join(', '),
        ]);
        output.note(`${changed.length} of ${applied.size} shards ${dryRun ? 'would change' : 'changed'}`);
      } finally {
        progress?.stop();
      }
    });
};
