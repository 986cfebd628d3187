import type { Client } from 'pg';
import { SQLSTATE, SV, sqlStateOf } from '../../internal/sqlstate.ts';
import { MoveBusyError, MovePreflightError } from './errors.ts';
import { importProblems } from './preflight-import.ts';
import type { MoveState, MoveStep } from './steps.ts';

/** Something left out of the skeleton, to be built when the rows are there. */
export interface DeferredObject {
  readonly name: string;
  readonly statement: string;
}

/** A subscription as other servers know it: the slots of tables under copy are named after both. */
export interface SubscriptionIdentity {
  readonly number: string;
  readonly system: string;
}

/** What a move found or made, kept so that any later process can go on. */
export interface MoveObjects {
  readonly tables?: readonly string[];
  /** Who may use the schema, beside its owner; `null` is PUBLIC. */
  readonly usage?: readonly (string | null)[];
  readonly indexes?: readonly DeferredObject[];
  readonly foreignKeys?: readonly DeferredObject[];
  readonly subscription?: SubscriptionIdentity;
}

/** A row of the journal. */
export interface MoveRow {
  readonly id: bigint;
  readonly token: string;
  readonly shardId: number;
  readonly source: string;
  readonly target: string;
  readonly state: MoveState;
  readonly step: MoveStep;
  readonly epoch: bigint | null;
  readonly objects: MoveObjects;
  readonly marker: bigint;
  readonly error: string | null;
  readonly author: string;
  readonly started: Date;
  readonly heartbeat: Date;
  readonly ended: Date | null;
}

/** A step as the journal has it. */
export interface MoveStepRow {
  readonly step: MoveStep;
  readonly began: Date;
  readonly done: Date | null;
}

const COLUMNS = `id::text, token, shard, source, target, state, step, epoch::text, objects, marker::text, error, author,
  started, heartbeat, ended`;

/** The journal of moves in the control database: the intent and the outcome of every step. */
export class MoveJournal {
  readonly #client: Client;

  /** @param client - a session with the control database */
  constructor(client: Client) {
    this.#client = client;
  }

  /**
   * Begins a move.
   * @throws MoveBusyError when one of this shard is not over, MovePreflightError when an import writes into it
   */
  async open(shardId: number, source: string, target: string, author: string): Promise<MoveRow> {
    try {
      await this.#client.query('begin isolation level read committed');
      const { rows } = await this.#client.query<{ id: string }>(
        'select hypervault.move_begin($1, $2, $3, $4)::text as id',
        [shardId, source, target, author],
      );
      await this.#client.query('commit');
      return await this.read(BigInt(rows[0]!.id));
    } catch (cause) {
      await this.#client.query('rollback').catch(() => {});
      if (sqlStateOf(cause) === SV.shardHeld) {
        const { sources } = JSON.parse((cause as { detail: string }).detail) as { sources: string[] };
        throw new MovePreflightError(shardId, importProblems(shardId, sources));
      }
      if (sqlStateOf(cause) !== SQLSTATE.uniqueViolation) throw cause;
      const there = (await this.list({ open: true })).find((move) => move.shardId === shardId);
      throw new MoveBusyError(shardId, busyMessage(shardId, there), { cause });
    }
  }

  /** The sources of imports that hold the shard where it is. */
  async holdersOf(shardId: number): Promise<string[]> {
    const { rows: known } = await this.#client.query<{ there: boolean }>(
      `select to_regprocedure('hypervault.import_holders(integer)') is not null as there`,
    );
    if (!known[0]!.there) return [];
    const { rows } = await this.#client.query<{ source: string }>('select hypervault.import_holders($1) as source', [
      shardId,
    ]);
    return rows.map(({ source }) => source);
  }

  /** Moves, newest first; `open` leaves out those that are over. */
  async list({ open = false }: { open?: boolean } = {}): Promise<MoveRow[]> {
    const { rows } = await this.#client.query(
      `select ${COLUMNS} from hypervault.moves ${open ? `where state in ('moving', 'moved', 'reverting')` : ''}
       order by moves.id desc`,
    );
    return rows.map(moveOf);
  }

  async read(id: bigint): Promise<MoveRow> {
    const { rows } = await this.#client.query(`select ${COLUMNS} from hypervault.moves where id = $1`, [id.toString()]);
    return moveOf(rows[0]);
  }

  /** Every step of a move as it came. */
  async steps(id: bigint): Promise<MoveStepRow[]> {
    const { rows } = await this.#client.query<MoveStepRow>(
      'select step, began, done from hypervault.move_steps where move = $1 order by move_steps.id',
      [id.toString()],
    );
    return rows;
  }

  /** Writes down that a step is begun now. Returns what {@link done} wants. */
  async begin(id: bigint, step: MoveStep): Promise<string> {
    const { rows } = await this.#client.query<{ id: string }>(
      `with moved as (
         update hypervault.moves set step = $2, heartbeat = clock_timestamp(), error = null where id = $1
       )
       insert into hypervault.move_steps (move, step) values ($1, $2) returning id::text`,
      [id.toString(), step],
    );
    return rows[0]!.id;
  }

  async done(stepId: string, detail: unknown): Promise<void> {
    await this.#client.query(
      'update hypervault.move_steps set done = clock_timestamp(), detail = $2 where move_steps.id = $1',
      [stepId, detail === undefined ? null : JSON.stringify(detail)],
    );
  }

  /** Keeps what a step found or made, before the next thing is done with it. */
  async keep(id: bigint, objects: MoveObjects): Promise<MoveRow> {
    const { rows } = await this.#client.query(
      `update hypervault.moves set objects = objects || $2, heartbeat = clock_timestamp() where id = $1 returning ${COLUMNS}`,
      [id.toString(), JSON.stringify(objects)],
    );
    return moveOf(rows[0]);
  }

  async setEpoch(id: bigint, epoch: bigint): Promise<void> {
    await this.#client.query('update hypervault.moves set epoch = $2 where id = $1', [id.toString(), epoch.toString()]);
  }

  async setState(id: bigint, state: MoveState): Promise<void> {
    const over = state === 'finished' || state === 'reverted' || state === 'aborted';
    await this.#client.query(
      `update hypervault.moves set state = $2, heartbeat = clock_timestamp(), error = null,
         ended = case when $3 then clock_timestamp() end where id = $1`,
      [id.toString(), state, over],
    );
  }

  async beat(id: bigint): Promise<void> {
    await this.#client.query('update hypervault.moves set heartbeat = clock_timestamp() where id = $1', [
      id.toString(),
    ]);
  }

  async failed(id: bigint, error: unknown): Promise<void> {
    const message = error instanceof Error ? error.message : String(error);
    await this.#client.query('update hypervault.moves set error = $2 where id = $1', [id.toString(), message]);
  }
}

/** Why a shard can't be moved now, and what to do about the move that is not over. */
function busyMessage(shardId: number, there: MoveRow | undefined): string {
  if (there === undefined)
    return `shard ${shardId} was on its way a moment ago; look again with hypervault move --list`;
  const { id, source, target, state } = there;
  return state === 'moved'
    ? `shard ${shardId} went from ${source} to ${target} (move ${id}) and its way back is kept; end that with hypervault move --finish, or go back with --revert`
    : `shard ${shardId} is on its way from ${source} to ${target} (move ${id}); go on with hypervault move --resume, or undo it with --abort`;
}

function moveOf(row: Record<string, unknown>): MoveRow {
  const { id, shard, epoch, marker, ...rest } = row;
  return {
    ...rest,
    id: BigInt(id as string),
    shardId: shard,
    epoch: epoch === null ? null : BigInt(epoch as string),
    marker: BigInt(marker as string),
  } as MoveRow;
}
