import { userInfo } from 'node:os';
import {
  abortMoves,
  finishMoves,
  listMoves,
  type MoveOptions,
  type MoveRow,
  type MoveSetting,
  moveShards,
  planMoves,
  resumeMoves,
  revertMoves,
} from '../cluster/index.ts';
import type { ResolvedConfiguration } from '../config/index.ts';
import { ConfigurationError } from '../errors.ts';
import { wholeNumber } from './arguments.ts';
import { serversOf } from './cluster-parts.ts';
import { CommandFailed } from './command-failed.ts';
import { type CliContext, type DefineCommand, withConfig } from './context.ts';
import { EXIT } from './exit.ts';
import { moveProgress } from './move-progress.ts';
import { serverNamed, shardsOfArgument } from './shard-argument.ts';
import { UsageError } from './usage-error.ts';

interface Options {
  readonly config?: string;
  readonly to?: string;
  readonly dryRun?: boolean;
  readonly resume?: boolean;
  readonly abort?: boolean;
  readonly revert?: boolean;
  readonly finish?: boolean;
  readonly list?: boolean;
  readonly wayBack: boolean;
  readonly verify: boolean;
  readonly acceptStaleReads?: boolean;
  readonly maxPauseMs: number;
  readonly maxLagMs: number;
  readonly pauseWithinMs: number;
  readonly slotWithinMs: number;
}

const OTHERS = {
  resume: resumeMoves,
  abort: abortMoves,
  revert: revertMoves,
  finish: finishMoves,
} as const;

/** `hypervault move SHARDS --to SERVER`, and what is done to moves that are not over. */
export const defineMove: DefineCommand = (command, context) => {
  withConfig(command)
    .argument(
      '[shards]',
      'half-open ranges: 5-8 is 5, 6 and 7; without them, --resume and the like take every open move',
    )
    .option('--to <server>', 'where the shards go')
    .option('--dry-run', 'only check, and say what would move')
    .option('--resume', 'go on with moves whose mover died or gave up')
    .option('--abort', 'undo moves before their flip')
    .option('--revert', 'take moved shards back, as long as the way back is kept')
    .option('--finish', 'confirm moves: the way back ends and the old copies go')
    .option('--list', 'show the journal of moves')
    .option('--no-way-back', 'confirm each move at once')
    .option('--no-verify', 'do not compare the copies before the flip')
    .option('--accept-stale-reads', 'move although programs use the shards as their owner or as superusers')
    .option('--max-pause-ms <n>', 'longest wait inside a pause', wholeNumber('--max-pause-ms', 1, 60_000), 500)
    .option('--max-lag-ms <n>', 'largest lag at which a pause is tried', wholeNumber('--max-lag-ms', 1, 60_000), 250)
    .option(
      '--pause-within-ms <n>',
      'how long to try for a pause',
      wholeNumber('--pause-within-ms', 1, 86_400_000),
      600_000,
    )
    .option(
      '--slot-within-ms <n>',
      'how long to wait for transactions that keep the log from being read',
      wholeNumber('--slot-within-ms', 1, 86_400_000),
      600_000,
    )
    .addHelpText(
      'after',
      `
Programs go on reading and writing: each shard has one pause of some milliseconds. The old copies are kept up to date until
--finish. A move that was interrupted is listed, and ends by --resume or --abort. Ends with 1 when a check or a move failed.`,
    )
    .action(async (shards: string | undefined, options: Options) => {
      const configuration = await context.configuration(options);
      const setting = settingOf(configuration);
      if (options.to !== undefined) serverNamed(configuration, '--to', options.to);
      if (options.list) return show(context, await listMoves(setting, { signal: context.signal }));
      const verbs = Object.keys(OTHERS).filter((verb) => options[verb as keyof typeof OTHERS]);
      if (verbs.length + (options.to === undefined ? 0 : 1) !== 1) {
        throw new UsageError('name one thing to do: --to SERVER, --resume, --abort, --revert, --finish or --list');
      }
      const chosen = shards === undefined ? undefined : shardsOfArgument(shards, context.output);
      if (options.to === undefined) {
        const act = OTHERS[verbs[0] as keyof typeof OTHERS];
        return show(context, await withProgress(context, options, (more) => act(setting, { shards: chosen }, more)));
      }
      if (chosen === undefined) throw new UsageError('name the shards to move, e.g. 5-8 for 5, 6 and 7');
      const order = { shards: chosen, to: options.to };
      if (options.dryRun) return plan(context, setting, order, options);
      show(context, await withProgress(context, options, (more) => moveShards(setting, order, more)));
    });
};

/** The servers and the control database. @throws ConfigurationError when there is none */
export function settingOf(configuration: ResolvedConfiguration): MoveSetting {
  const { control, locate } = configuration;
  if (control !== undefined) return { control, servers: serversOf(configuration) };
  throw new ConfigurationError(`${locate([])}: control is missing; name the server that holds map and journal`);
}

async function plan(
  { output, signal }: CliContext,
  setting: MoveSetting,
  order: { shards: readonly number[]; to: string },
  { acceptStaleReads }: Options,
): Promise<void> {
  const plans = await planMoves(setting, order, { acceptStaleReads, signal });
  output.list(plans, ['shard', 'from', 'to', 'checks'], ({ shardId, source, target, problems }) => [
    shardId,
    source,
    target,
    problems.length === 0 ? 'all well' : problems.map(({ message }) => message).join('\n'),
  ]);
  if (plans.some(({ problems }) => problems.length > 0)) throw new CommandFailed(EXIT.failed);
}

async function withProgress(
  context: CliContext,
  { wayBack, verify, acceptStaleReads, maxPauseMs, maxLagMs, pauseWithinMs, slotWithinMs }: Options,
  run: (options: MoveOptions) => Promise<MoveRow[]>,
): Promise<MoveRow[]> {
  const progress = moveProgress(context.output);
  try {
    return await run({
      author: userInfo().username,
      wayBack,
      verify,
      acceptStaleReads,
      maxPauseMs,
      maxLagMs,
      pauseWithinMs,
      slotWithinMs,
      signal: context.signal,
      onProgress: progress.update,
    });
  } finally {
    progress.stop();
  }
}

function show({ output }: CliContext, moves: readonly MoveRow[]): void {
  const rows = moves.map(({ id, shardId, source, target, state, step, epoch, error, started, heartbeat, ended }) => ({
    move: id,
    shard: shardId,
    from: source,
    to: target,
    state,
    step,
    epoch,
    started,
    heartbeat,
    ended,
    error,
  }));
  if (rows.length === 0) output.note('no moves');
  if (rows.length === 0 && !output.json) return;
  output.list(rows, ['move', 'shard', 'from', 'to', 'state', 'step', 'started', ''], (row) => [
    row.move,
    row.shard,
    row.from,
    row.to,
    row.state,
    row.step,
    row.started,
    row.error,
  ]);
}
