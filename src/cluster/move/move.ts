import { schemaName } from '../../core/index.ts';
import { throwIfAborted } from '../../internal/sleep.ts';
import { MoveBusyError, MovePreflightError, MoveStateError } from './errors.ts';
import type { MoveRow } from './journal.ts';
import { abandon, finish, moveBack, moveForward } from './move-shard.ts';
import { Mover, prefixOf, serverOf } from './mover.ts';
import type { Moving } from './moving.ts';
import { type MoveOptions, type MoveSetting, resolveMoveOptions } from './options.ts';
import { Sessions } from './parties.ts';
import { type PreflightProblem, preflight } from './preflight.ts';

/** What a dry run found for one shard. */
export interface MovePlan {
  readonly shardId: number;
  readonly source: string;
  readonly target: string;
  readonly problems: readonly PreflightProblem[];
}

/** What to do with which moves. */
export interface MoveSelection {
  /** @default every move that is not over */
  readonly shards?: readonly number[] | undefined;
}

/**
 * Moves shards to another server, one after the other, while programs read and write them: each has its own pause of
 * some milliseconds, and none of the SDK's own operations fails. The old copies are kept up to date for a way back until
 * {@link finishMoves} or {@link revertMoves}.
 *
 * @example
 * ```ts
 * await moveShards({ control, servers }, { shards: [5, 6, 7], to: 'db3' }, { onProgress: console.log });
 * await finishMoves({ control, servers });
 * ```
 * @throws MovePreflightError, MoveBusyError, MoveStalledError; ConfigurationError for a server nobody knows,
 *   MoveStateError for a shard nobody has
 */
export async function moveShards(
  setting: MoveSetting,
  { shards, to }: { readonly shards: readonly number[]; readonly to: string },
  options: MoveOptions = {},
): Promise<MoveRow[]> {
  const resolved = resolveMoveOptions(options);
  return Mover.with(setting, resolved, async (mover) => {
    mover.connectionOf(to);
    const sourceOfShard = async (shardId: number): Promise<string> =>
      sourceOf(serverOf(await mover.map(), shardId), to, shardId);
    // All of them before the first is begun; each again when its turn has come, which may be hours later.
    for (const shardId of shards) await sourceOfShard(shardId);
    const moves: MoveRow[] = [];
    for (const shardId of shards) {
      throwIfAborted(resolved.signal, 'moving shards');
      const begin = async (): Promise<MoveRow> =>
        mover.journal.open(shardId, await sourceOfShard(shardId), to, resolved.author);
      const id = await mover.alone(shardId, begin, async (moving) => {
        await moveForward(moving).catch((error: unknown) => dropUnbegun(moving, error));
        return moving.row.id;
      });
      moves.push(await mover.journal.read(id));
    }
    return moves;
  });
}

/** Nothing was begun, so nothing is to be resumed or undone. */
async function dropUnbegun({ journal, row: { id } }: Moving, error: unknown): Promise<never> {
  const { step } = await journal.read(id);
  const early = error instanceof MovePreflightError || error instanceof MoveBusyError;
  if (early && step === 'preflight') await journal.setState(id, 'aborted');
  throw error;
}

/** Looks at what stands against moves, and changes nothing. */
export async function planMoves(
  setting: MoveSetting,
  { shards, to }: { readonly shards: readonly number[]; readonly to: string },
  options: MoveOptions = {},
): Promise<MovePlan[]> {
  const resolved = resolveMoveOptions(options);
  return Mover.with(setting, resolved, async (mover) => {
    mover.connectionOf(to);
    const map = await mover.map();
    const sessions = new Sessions(resolved.signal);
    try {
      const target = await mover.party(sessions, to);
      const plans: MovePlan[] = [];
      for (const shardId of shards) {
        const source = sourceOf(serverOf(map, shardId), to, shardId);
        const party = await mover.party(sessions, source);
        const schema = schemaName(await prefixOf(party), shardId);
        const holders = await mover.journal.holdersOf(shardId);
        const order = { shardId, schema, source: party, target, options: resolved, resumed: false, holders };
        const problems = await preflight(order);
        plans.push({ shardId, source, target: to, problems });
      }
      return plans;
    } finally {
      await sessions.close();
    }
  });
}

/** Goes on with moves whose mover died or gave up: forward when the flip has begun, else from the last step done. */
export function resumeMoves(setting: MoveSetting, selection: MoveSelection = {}, options: MoveOptions = {}) {
  return onOpenMoves(setting, selection, options, ['moving', 'reverting'], 'resume', (moving) =>
    moving.row.state === 'reverting' ? moveBack(moving) : moveForward(moving),
  );
}

/** Undoes moves before their flip; nothing of them stays. @throws MoveStateError for one that is past it */
export function abortMoves(setting: MoveSetting, selection: MoveSelection = {}, options: MoveOptions = {}) {
  return onOpenMoves(setting, selection, options, ['moving', 'reverting'], 'abort', abandon);
}

/** Takes shards back to where they were, with what was written meanwhile, in a pause like that of the move. */
export function revertMoves(setting: MoveSetting, selection: MoveSelection = {}, options: MoveOptions = {}) {
  return onOpenMoves(setting, selection, options, ['moved'], 'revert', moveBack);
}

/** Confirms moves: the way back ends, and the old copies go. */
export function finishMoves(setting: MoveSetting, selection: MoveSelection = {}, options: MoveOptions = {}) {
  return onOpenMoves(setting, selection, options, ['moved'], 'finish', finish);
}

/** The journal, newest first. */
export function listMoves(setting: MoveSetting, options: { open?: boolean; signal?: AbortSignal } = {}) {
  return Mover.with(setting, resolveMoveOptions({ signal: options.signal }), (mover) =>
    mover.journal.list({ open: options.open ?? false }),
  );
}

async function onOpenMoves(
  setting: MoveSetting,
  { shards }: MoveSelection,
  options: MoveOptions,
  states: readonly MoveRow['state'][],
  verb: string,
  act: (moving: Moving) => Promise<unknown>,
): Promise<MoveRow[]> {
  const resolved = resolveMoveOptions(options);
  return Mover.with(setting, resolved, async (mover) => {
    const open = await mover.journal.list({ open: true });
    for (const shardId of shards ?? []) {
      const move = open.find((row) => row.shardId === shardId);
      if (move !== undefined && states.includes(move.state)) continue;
      throw nothingTo(verb, shardId, move);
    }
    const chosen = open.filter(({ state, shardId }) => states.includes(state) && (shards?.includes(shardId) ?? true));
    const after: MoveRow[] = [];
    for (const { id, shardId } of chosen.reverse()) {
      throwIfAborted(resolved.signal, `to ${verb} moves`);
      const asItIs = async (): Promise<MoveRow> => {
        const move = await mover.journal.read(id);
        if (states.includes(move.state)) return move;
        throw nothingTo(verb, shardId, move);
      };
      await mover.alone(shardId, asItIs, act);
      after.push(await mover.journal.read(id));
    }
    return after;
  });
}

function nothingTo(verb: string, shardId: number, move: MoveRow | undefined): MoveStateError {
  const why = move === undefined ? 'has no move that is not over' : `is in the state ${move.state} (move ${move.id})`;
  return new MoveStateError(`there is nothing to ${verb}: shard ${shardId} ${why}; see hypervault move --list`);
}

function sourceOf(source: string, to: string, shardId: number): string {
  if (source !== to) return source;
  throw new MoveStateError(`shard ${shardId} is on ${to} already; the target of a move must be another server`);
}
