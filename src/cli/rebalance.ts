import { userInfo } from 'node:os';
import { type Command, Option } from 'commander';
import {
  afterBegun,
  assertNonePinned,
  type Begun,
  listMoves,
  type MovesPlan,
  mapOf,
  type PlanBy,
  planDrain,
  planRebalance,
  readMap,
  runPlan,
  surveyShards,
  withOpenMoves,
} from '../cluster/index.ts';
import type { ResolvedConfiguration } from '../config/index.ts';
import type { ShardMap } from '../core/index.ts';
import { wholeNumber } from './arguments.ts';
import { serversOf } from './cluster-parts.ts';
import { type CliContext, type DefineCommand, withConfig } from './context.ts';
import { settingOf } from './move.ts';
import { moveProgress } from './move-progress.ts';
import { serverNamed } from './shard-argument.ts';
import { sizeText } from './size-text.ts';

interface Options {
  readonly config?: string;
  readonly by: PlanBy;
  readonly dryRun?: boolean;
  readonly concurrency: number;
  readonly maxPerServer: number;
  readonly restMs: number;
  readonly slotWithinMs: number;
  readonly wayBack?: boolean;
  readonly verify: boolean;
  readonly acceptStaleReads?: boolean;
}

/** `hypervault rebalance`. */
export const defineRebalance: DefineCommand = (command, context) => {
  withRunOptions(command)
    .option('--with <server...>', 'servers that hold nothing yet and are to take shards')
    .option(
      '--tolerance <percent>',
      'how much fuller than the average may stay',
      wholeNumber('--tolerance', 0, 1_000),
      10,
    )
    .action(async (options: Options & { with?: string[]; tolerance: number }) => {
      const { configuration, map, begun } = await survey(context, options);
      const servers = participants(configuration, map, options.with ?? [], '--with');
      const plan = planRebalance(begun.shards, servers, { by: options.by, tolerance: options.tolerance / 100 });
      await carryOut(context, configuration, afterBegun(begun, plan), options);
    });
};

/** `hypervault drain SERVER`. */
export const defineDrain: DefineCommand = (command, context) => {
  withRunOptions(command)
    .argument('<server>', 'the server that is to hold nothing any more')
    .option('--to <server...>', 'where the shards go; without it, to all others that hold some')
    .action(async (server: string, options: Options & { to?: string[] }) => {
      const { configuration, map, begun } = await survey(context, options);
      serverNamed(configuration, 'drain', server);
      const targets = options.to ?? participants(configuration, map, [], '--to');
      for (const name of targets) serverNamed(configuration, '--to', name);
      assertNonePinned(begun.shards, server);
      const plan = planDrain(begun.shards, server, targets, { by: options.by });
      await carryOut(context, configuration, afterBegun(begun, plan), options);
    });
};

function withRunOptions(command: Command): Command {
  return withConfig(command)
    .addOption(new Option('--by <what>', 'what is evened out').choices(['bytes', 'rows', 'shards']).default('bytes'))
    .option('--dry-run', 'only show the plan')
    .option('--concurrency <n>', 'moves at the same time', wholeNumber('--concurrency', 1, 64), 2)
    .option('--max-per-server <n>', 'moves at the same time on one server', wholeNumber('--max-per-server', 1, 64), 1)
    .option('--rest-ms <ms>', 'rest of both servers after each move', wholeNumber('--rest-ms', 0, 3_600_000), 2_000)
    .option(
      '--slot-within-ms <n>',
      'how long each move waits for transactions that keep the log from being read',
      wholeNumber('--slot-within-ms', 1, 86_400_000),
      600_000,
    )
    .option('--way-back', 'keep a way back of each move, until hypervault move --finish')
    .option('--no-verify', 'do not compare the copies before each flip')
    .option('--accept-stale-reads', 'move although programs use the shards as their owner or as superusers')
    .addHelpText('after', '\nMay be stopped and run again: what was begun is taken up, and the rest planned anew.');
}

async function survey(
  context: CliContext,
  options: Options,
): Promise<{ configuration: ResolvedConfiguration; map: ShardMap; begun: Begun }> {
  const configuration = await context.configuration(options);
  const setting = settingOf(configuration);
  const { signal } = context;
  const servers = serversOf(configuration);
  const map = mapOf((await readMap(setting.control, { signal }))?.document ?? { epoch: 0n, servers: {} }, servers);
  const { schemaPrefix } = configuration.fixed;
  const [shards, open] = await Promise.all([
    surveyShards(map, { schemaPrefix, signal }),
    listMoves(setting, { open: true, signal }),
  ]);
  return { configuration, map, begun: withOpenMoves(shards, open) };
}

/** Servers that hold shards, and those that are named. */
function participants(
  configuration: ResolvedConfiguration,
  map: ShardMap,
  named: readonly string[],
  option: string,
): string[] {
  for (const name of named) serverNamed(configuration, option, name);
  const holding = map.servers.filter(({ ranges }) => ranges.length > 0).map(({ name }) => name);
  return [...new Set([...holding, ...named])];
}

async function carryOut(
  context: CliContext,
  configuration: ResolvedConfiguration,
  plan: MovesPlan,
  { dryRun, concurrency, maxPerServer, restMs, slotWithinMs, wayBack = false, verify, acceptStaleReads }: Options,
): Promise<void> {
  const { output, signal } = context;
  output.value(plan, () => planText(context, plan));
  if (dryRun || plan.moves.length === 0) return;
  const progress = moveProgress(output);
  try {
    await runPlan(settingOf(configuration), plan.moves, {
      author: userInfo().username,
      concurrency,
      maxPerServer,
      restMs,
      slotWithinMs,
      wayBack,
      verify,
      acceptStaleReads,
      signal,
      onProgress: progress.update,
      onMove: ({ shardId, to, error, done, total, perMinute, leftMs }) => {
        const how = error === undefined ? `is on ${to}` : `failed: ${error instanceof Error ? error.message : error}`;
        const left = done === total ? '' : ` (${perMinute.toFixed(1)} a minute, about ${timeText(leftMs)} left)`;
        output.note(`${done} of ${total}: shard ${shardId} ${how}${left}`);
      },
    });
  } finally {
    progress.stop();
  }
}

function timeText(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

function planText({ output }: CliContext, { moves, before, after }: MovesPlan): string {
  const loads = before.map((load, place) => {
    const then = after[place]!;
    return [load.server, load.shards, sizeText(load.bytes), load.rows, then.shards, sizeText(then.bytes), then.rows];
  });
  const servers = output.table(['server', 'shards', 'size', 'rows', 'shards then', 'size then', 'rows then'], loads);
  if (moves.length === 0) return `${servers}\n\nnothing to move`;
  const rows = moves.map(({ shardId, from, to, bytes, rows: count }) => [shardId, from, to, sizeText(bytes), count]);
  return `${servers}\n\n${output.table(['shard', 'from', 'to', 'size', 'rows'], rows)}`;
}
