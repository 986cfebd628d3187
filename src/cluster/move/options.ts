import type { ConnectionSettings, Logger } from '../../core/index.ts';
import { ConfigurationError } from '../../errors.ts';
import { assertKnownKeys } from '../../internal/known-keys.ts';
import type { MoveStep, StepPhase } from './steps.ts';

/** How far a move has come. */
export interface MoveProgress {
  readonly moveId: bigint;
  readonly shardId: number;
  readonly source: string;
  readonly target: string;
  readonly step: MoveStep;
  /** Of the copy: tables that are there, of how many; rows and bytes of those under way. */
  readonly tables?: { readonly done: number; readonly total: number } | undefined;
  readonly rows?: bigint | undefined;
  readonly bytes?: bigint | undefined;
  /** How far the copy is behind the writers. */
  readonly lagMs?: number | undefined;
  /** How long writers of this shard waited. */
  readonly pauseMs?: number | undefined;
  /** A sentence, when something is worth one: why a pause is tried again. */
  readonly note?: string | undefined;
}

/** What every command on moves needs. */
export interface MoveSetting {
  /** The control database: map and journal. */
  readonly control: ConnectionSettings;
  /** How to reach each server of the map, and the servers from each other: as programs do. */
  readonly servers: Readonly<Record<string, ConnectionSettings>>;
  /** How servers reach each other, where that differs from how this program does. @default as `servers` */
  readonly between?: Readonly<Record<string, ConnectionSettings>> | undefined;
}

export interface MoveOptions {
  /** Who moves, for the journal and the history of the map. @default 'hypervault move' */
  readonly author?: string | undefined;
  /** Keeps a stream back to the source until the move is finished or reverted. @default true */
  readonly wayBack?: boolean | undefined;
  /** Longest wait for the locks of one try to pause; writers may wait that long. @default 300 */
  readonly lockTimeoutMs?: number | undefined;
  /** Longest wait, inside a pause, for the last rows to arrive; then writers go on and it is tried again. @default 500 */
  readonly maxPauseMs?: number | undefined;
  /** How long to try for a pause before giving up. @default 600000 */
  readonly pauseWithinMs?: number | undefined;
  /** The pause is tried when rows arrive faster than this, several times in a row. @default 250 */
  readonly maxLagMs?: number | undefined;
  /**
   * How long a replication slot may take: it waits for every transaction of the server that has written and was open when
   * it was asked for. @default 600000
   */
  readonly slotWithinMs?: number | undefined;
  /** Gives up when the source keeps more log than this for the move, in bytes. @default 17179869184 (16 GiB) */
  readonly maxRetainedBytes?: number | undefined;
  /** Largest difference of the servers' clocks. @default 2000 */
  readonly maxClockDifferenceMs?: number | undefined;
  /** A transaction open for longer than this on the source is a reason not to begin. @default 600000 */
  readonly maxTransactionAgeMs?: number | undefined;
  /** A transaction prepared longer ago than this, in any database of a server, is a reason not to begin. @default 30000 */
  readonly maxPreparedAgeMs?: number | undefined;
  /**
   * Moves although programs use the shard as its owner or as superusers, whom no REVOKE binds: those that have not seen
   * the new map may read what the shard was at the flip, for as long as the old copy is kept. Writes are refused to all.
   * @default false
   */
  readonly acceptStaleReads?: boolean | undefined;
  /** Compares all rows of the copies before the flip. @default true */
  readonly verify?: boolean | undefined;
  readonly onProgress?: ((progress: MoveProgress) => void) | undefined;
  /** Called around every step; the move waits for it. */
  readonly onStep?: ((step: MoveStep, phase: StepPhase, shardId: number) => void | Promise<void>) | undefined;
  /** @default silent */
  readonly logger?: Logger | undefined;
  readonly signal?: AbortSignal | undefined;
}

const DEFAULTS = {
  author: 'hypervault move',
  wayBack: true,
  lockTimeoutMs: 300,
  maxPauseMs: 500,
  pauseWithinMs: 600_000,
  slotWithinMs: 600_000,
  maxLagMs: 250,
  maxRetainedBytes: 16 * 2 ** 30,
  maxClockDifferenceMs: 2_000,
  maxTransactionAgeMs: 600_000,
  maxPreparedAgeMs: 30_000,
  acceptStaleReads: false,
  verify: true,
} as const;

const KEYS = [...Object.keys(DEFAULTS), 'onProgress', 'onStep', 'logger', 'signal'];

/** {@link MoveOptions} with every default in place. */
export type ResolvedMoveOptions = MoveOptions & {
  readonly [Name in keyof typeof DEFAULTS]: NonNullable<MoveOptions[Name]>;
};

/** @throws ConfigurationError for an unknown key or a bound that is no positive number */
export function resolveMoveOptions(options: MoveOptions = {}): ResolvedMoveOptions {
  assertKnownKeys(options, KEYS, 'move options');
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved = { ...DEFAULTS, ...given } as ResolvedMoveOptions;
  for (const [name, value] of Object.entries(resolved)) {
    if (typeof value !== 'number' || (Number.isFinite(value) && value > 0)) continue;
    throw new ConfigurationError(`move options: ${name} must be above 0, not ${value}`);
  }
  return resolved;
}
