import type { ServerBudget } from '../cluster/index.ts';
import type { ResolvedConfiguration } from '../config/index.ts';
import { DEFAULT_POOL_MAX } from '../core/index.ts';
import { installVault } from '../vault-install.ts';
import { wholeNumber } from './arguments.ts';
import { type DefineCommand, withConfig } from './context.ts';
import type { Output } from './output.ts';
import { type Progress, startProgress } from './progress.ts';
import { UsageError } from './usage-error.ts';

interface InitOptions {
  readonly config?: string;
  readonly grantTo?: string[];
  readonly concurrency: number;
  readonly processes: number;
  readonly firstShards?: string[];
  readonly makeMissing?: boolean;
}

/** `hypervault init`. */
export const defineInit: DefineCommand = (command, context) => {
  withConfig(command)
    .option('--grant-to <role...>', 'roles that get the rights a program needs, and no more')
    .option('--concurrency <n>', 'sessions on each server that make shards', wholeNumber('--concurrency', 1, 64), 4)
    .option('--processes <n>', 'app processes to count connections for', wholeNumber('--processes', 1, 1_000_000), 1)
    .option('--first-shards <server=ranges...>', 'with `shards: live`, the first time: who gets which, e.g. db1=1-33')
    .option('--make-missing', 'make shards anew, and empty, that the live map names and that are gone')
    .addHelpText('after', '\nMay be run again, and after an interruption: what is there already is left as it is.')
    .action(async ({ grantTo, concurrency, processes, firstShards, makeMissing, ...options }: InitOptions) => {
      const { output, signal } = context;
      const configuration = await context.configuration(options);
      let progress: Progress | undefined;
      try {
        const { shards, controlChanged, mapMade } = await installVault(configuration, {
          grantTo,
          concurrency,
          makeMissing,
          firstShards: firstShards && rangesByServer(firstShards),
          signal,
          onProgress: ({ done, total, server }) => {
            progress ??= startProgress(output, { label: 'shards', total });
            progress.update(done, server);
          },
        });
        progress?.stop();
        const servers = shards?.servers ?? [];
        const { epoch, slots, firstShard, schemaPrefix } = shards ?? {};
        const budget = servers.length === 0 ? [] : await budgetOf(configuration, processes, signal);
        const result = { servers, epoch, slots, firstShard, schemaPrefix, controlChanged, mapMade, budget };
        output.value(result, () => {
          const lines = [
            output.table(
              ['server', 'shards', 'changed'],
              servers.map((s) => [s.name, s.shards, s.changed]),
            ),
            slots === undefined ? '' : `routing: ${slots} slots from shard ${firstShard}`,
            controlChanged === undefined ? '' : `control database: ${controlChanged ? 'installed' : 'was up to date'}`,
            mapMade ? 'shard map: made, epoch 1' : '',
            budget.length === 0 ? '' : `\n${budgetText(output, budget, processes)}`,
          ];
          return lines.filter((line) => line !== '').join('\n');
        });
        for (const { server, needed, maxConnections, reserved, fits } of budget) {
          if (fits) continue;
          output.warn(
            `${processes} processes may open ${needed} sessions on ${server}, which takes ${maxConnections - reserved}: lower pool.poolMax or raise max_connections`,
          );
        }
      } finally {
        progress?.stop();
      }
    });
};

/** `['db1=1-33', 'db2=33-65']` as an object. */
function rangesByServer(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const [, server, ranges] = /^([^=]+)=([\d,-]+)$/.exec(word) ?? [];
      if (server === undefined || ranges === undefined) {
        throw new UsageError(`--first-shards: ${JSON.stringify(word)} is not like db1=1-33, shards 1 to 32 on db1`);
      }
      return [server, ranges];
    }),
  );
}

async function budgetOf(
  { servers, datastore }: ResolvedConfiguration,
  processes: number,
  signal: AbortSignal,
): Promise<ServerBudget[]> {
  const { connectionBudget } = await import('../cluster/index.ts');
  const poolMax = datastore.poolMax ?? DEFAULT_POOL_MAX;
  return connectionBudget(Object.fromEntries(servers), { processes, poolMax, signal });
}

function budgetText(output: Output, budget: readonly ServerBudget[], processes: number): string {
  const head = [
    'connections on',
    'max_connections',
    'reserved',
    `${processes} process${processes === 1 ? '' : 'es'}`,
    'room for',
  ];
  return output.table(
    head,
    budget.map(({ server, maxConnections, reserved, needed, maxProcesses }) => {
      return [server, maxConnections, reserved, needed, `${maxProcesses} processes`];
    }),
  );
}
