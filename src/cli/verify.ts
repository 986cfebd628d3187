import { type ShardVerification, slotsApplied, slotsReadBy, verifyShard } from '../cluster/index.ts';
import { wholeNumber } from './arguments.ts';
import { CommandFailed } from './command-failed.ts';
import { type DefineCommand, withConfig } from './context.ts';
import { EXIT } from './exit.ts';
import type { Cell } from './output.ts';
import { startProgress } from './progress.ts';
import { serverNamed, shardsOfArgument } from './shard-argument.ts';
import { UsageError } from './usage-error.ts';
import { VerifyBookmarks } from './verify-bookmarks.ts';

interface Options {
  readonly config?: string;
  readonly from: string;
  readonly to: string;
  readonly table?: string[];
  readonly chunkRows: number;
  readonly concurrency: number;
  readonly lagTimeoutMs: number;
  readonly lockHotRows?: boolean;
  readonly bookmarks?: string;
}

/** Keys of a table that are shown to people; `--json` tells all. */
const SHOWN = 5;

/** `hypervault verify SHARDS --from SERVER --to SERVER`: ends with 1 when something differs. */
export const defineVerify: DefineCommand = (command, context) => {
  withConfig(command)
    .argument('<shards>', 'half-open ranges: 5-8 is 5, 6 and 7')
    .requiredOption('--from <server>', 'the server whose copy is taken for the right one')
    .requiredOption('--to <server>', 'the server whose copy is compared with it')
    .option('--table <name...>', 'only these tables')
    .option('--chunk-rows <n>', 'rows summed in one statement', wholeNumber('--chunk-rows', 1, 10_000_000), 10_000)
    .option('--concurrency <n>', 'shards compared at the same time', wholeNumber('--concurrency', 1, 32), 2)
    .option(
      '--lag-timeout-ms <n>',
      'longest wait for replication before differing chunks are looked at again',
      wholeNumber('--lag-timeout-ms', 1, 3_600_000),
      30_000,
    )
    .option('--lock-hot-rows', 'hold rows that are never at rest, one at a time, until replication has passed')
    .option('--bookmarks <file>', 'keep in this file how far it came, and go on from there')
    .addHelpText('after', '\nMay run while both are written to by replication. Ends with 1 when something differs.')
    .action(async (shards: string, { from, to, bookmarks, concurrency, lagTimeoutMs, ...options }: Options) => {
      const { output, signal } = context;
      const configuration = await context.configuration(options);
      const source = serverNamed(configuration, '--from', from);
      const target = serverNamed(configuration, '--to', to);
      if (from === to) throw new UsageError(`--from and --to are both ${from}; name two servers`);
      const queue = shardsOfArgument(shards, output);
      const lagPassed = slotsApplied(source, { slots: await slotsReadBy(target, signal), timeoutMs: lagTimeoutMs });
      const places = await VerifyBookmarks.open(bookmarks, from, to);
      const progress = startProgress(output, { label: 'shards', total: queue.length });
      const found: ShardVerification[] = [];
      let done = 0;
      const worker = async (): Promise<void> => {
        for (let shardId = queue.shift(); shardId !== undefined; shardId = queue.shift()) {
          const place = places.of(shardId);
          const before = place === 'same' ? undefined : place;
          if (place !== 'same') {
            const result = await verifyShard(shardId, source, target, {
              tables: options.table,
              chunkRows: options.chunkRows,
              lockHotRows: options.lockHotRows,
              lagPassed,
              schemaPrefix: configuration.fixed.schemaPrefix,
              after: before,
              signal,
              onProgress: ({ table, rows, doubtful, position }) => {
                progress.update(done, `shard ${shardId}, ${table}: ${rows} rows`);
                if (doubtful === 0) places.set(shardId, position);
              },
            });
            found.push(result);
            if (result.same) places.set(shardId, 'same');
          }
          done += 1;
          progress.update(done, `shard ${shardId}`);
        }
      };
      try {
        await Promise.all(Array.from({ length: Math.min(concurrency, queue.length) }, worker));
      } finally {
        progress.stop();
        await places.written();
      }
      found.sort((a, b) => a.shardId - b.shardId);
      const rows = found.flatMap(({ shardId, tables }) => tables.map((table) => ({ shard: shardId, ...table })));
      output.list(rows, ['shard', 'table', 'rows', 'chunks', 'rechecked', 'differences', ''], row);
      const wrong = found.filter(({ same }) => !same).length;
      output.note(wrong === 0 ? 'all the same' : `${wrong} of ${found.length} shards are not proven the same`);
      if (wrong > 0) throw new CommandFailed(EXIT.failed);
    });
};

function row(table: ShardVerification['tables'][number] & { readonly shard: number }): Cell[] {
  const { shard, rows, chunks, rechecked, differences, unsettled, complete, problem } = table;
  const keys = differences.slice(0, SHOWN).map(({ key, kind }) => `${kind} ${key.join('/')}`);
  const more = differences.length > SHOWN ? [`and ${differences.length - SHOWN} more`] : [];
  const busy = unsettled.length > 0 ? [`${unsettled.length} rows never at rest (see --lock-hot-rows)`] : [];
  const early = complete || problem !== undefined ? [] : ['ended early'];
  const notes = [...(problem === undefined ? [] : [problem]), ...keys, ...more, ...busy, ...early];
  return [shard, table.table, rows, chunks, rechecked, differences.length, notes.join(', ') || 'same'];
}
