import type { Client } from 'pg';
import { destroyClient, endClient } from '../../internal/client-guard.ts';
import { sqlStateOf } from '../../internal/sqlstate.ts';
import { noteAltered } from '../catalogue/chunk-rows.ts';
import { holdPosition, readPosition, storePosition } from '../catalogue/position-rows.ts';
import { storePrepared } from '../catalogue/prepared-rows.ts';
import type { Servers } from '../catalogue/servers.ts';
import type { SourceRow } from '../catalogue/source-rows.ts';
import { inSchema } from '../ddl/run-statements.ts';
import type { SavedView } from '../ddl/user-objects.ts';
import { ImportError, ReplicaStateError } from '../errors.ts';
import type { Position } from '../model/position.ts';
import type { Batch } from '../stream/batch.ts';
import type { FollowedTable } from '../stream/followed-table.ts';
import { type ApplyCounts, applyRounds } from './apply-batch.ts';
import { isOfTheTable, PositionMoved } from './apply-errors.ts';
import { VALUE_SETTINGS } from './session-settings.ts';
import { StageTables } from './stage-tables.ts';

const NOTHING_APPLIED: ApplyCounts = { changes: 0, statements: 0 };

/** A table whose changes cannot be applied. */
export interface TableFailure {
  readonly table: FollowedTable;
  readonly error: unknown;
}

export interface ServerApplierOptions {
  readonly servers: Servers;
  readonly server: string;
  readonly source: SourceRow;
  readonly aside: ReadonlySet<number>;
  readonly onLostView: (view: SavedView, reason: string) => void;
  /** Takes note of tables that failed. Awaited before the rest is committed, so that no change is missing unnoticed. */
  readonly onFailures: (failures: readonly TableFailure[]) => Promise<void>;
  /** Waits for the server's disk at each commit; off, a crash of the server only sets it back to an earlier position. */
  readonly synchronous: boolean;
  /** Makes a session fit for what it writes, before anything else. */
  readonly prepare?: ((client: Client, signal: AbortSignal | undefined) => Promise<void>) | undefined;
}

/**
 * Applies batches on one server. The changes and the position up to which they go are one transaction, so whatever
 * happens – to us, to the server, to the network at COMMIT – reading on from the stored position repeats nothing and
 * leaves nothing out.
 */
export class ServerApplier {
  readonly server: string;
  readonly #options: ServerApplierOptions;
  readonly #stages = new StageTables();
  #client: Client | undefined;
  #position: Position | undefined;
  #inTransaction = false;
  /** Of the parts of a transaction that are applied and not committed. */
  #counts: ApplyCounts = NOTHING_APPLIED;

  constructor(options: ServerApplierOptions) {
    this.server = options.server;
    this.#options = options;
  }

  /** The place of the log that the server has applied. */
  get position(): Position {
    if (this.#position === undefined) throw new Error('the applier is not open');
    return this.#position;
  }

  /** Connects and reads the stored position. */
  async open({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const { servers, source, synchronous, prepare } = this.#options;
    const client = await servers.connect(this.server, { signal });
    try {
      await prepare?.(client, signal);
      // A batch touches few of a table's rows: reading all of it, to which statistics of a temporary table would
      // mislead the planner, is never right
      await client.query(
        `${VALUE_SETTINGS}; ${synchronous ? '' : 'set synchronous_commit = off;'}
         set enable_hashjoin = off; set enable_mergejoin = off; set jit = off; set search_path = pg_catalog, public`,
      );
      const row = await readPosition(client, source.key);
      if (row === null) {
        throw new ReplicaStateError(
          `the server ${this.server} has no position of the source ${source.name}; run init-replica`,
        );
      }
      this.#position = row.position;
    } catch (error) {
      await endClient(client);
      throw await servers.explain(this.server, error);
    }
    this.#client = client;
    this.#stages.forget();
    this.#inTransaction = false;
  }

  /** Whether a batch, or the rest of one that was cut off, has been applied before. */
  has(batch: Batch): boolean {
    return batch.end !== null && batch.complete && batch.end.ordinal <= this.position.ordinal;
  }

  /**
   * Applies a batch. With `isolate` every table's part stands behind a savepoint: a part that fails is left out and
   * reported, the rest is applied.
   */
  async apply(batch: Batch, { isolate }: { isolate: boolean }): Promise<void> {
    if (this.has(batch)) return;
    try {
      await this.#applyNew(batch, isolate);
    } catch (error) {
      throw await this.#options.servers.explain(this.server, error);
    }
  }

  async #applyNew(batch: Batch, isolate: boolean): Promise<void> {
    if (batch.from > this.position.ordinal) {
      throw new ImportError(
        'GAP',
        `changes between ${this.position.text} and a later place of the log are missing on ${this.server}`,
      );
    }
    const client = this.#client!;
    const failures: TableFailure[] = [];
    const aside = new Set(this.#options.aside);
    await this.#addLabels(batch);
    if (!this.#inTransaction) {
      await client.query('begin');
      this.#inTransaction = true;
      // Before anything is looked at: rows that are being committed would be met, and taken for the table's fault
      const held = await holdPosition(client, this.#options.source.key);
      if (held !== this.position.ordinal) throw new PositionMoved();
      this.#counts = NOTHING_APPLIED;
      this.#stages.begin();
    }
    const { source } = this.#options;
    const counts = await applyRounds(batch, {
      client,
      server: this.server,
      sourceKey: source.key,
      stages: this.#stages,
      applied: this.position.ordinal,
      aside,
      onLostView: this.#options.onLostView,
      step: async (table, work) => {
        if (!isolate) return work();
        if (aside.has(table.id)) return;
        await client.query('savepoint hv_step');
        try {
          await work();
          await client.query('release savepoint hv_step');
        } catch (cause) {
          const error = await this.#options.servers.explain(this.server, cause);
          if (!isOfTheTable(error)) throw error;
          await client.query('rollback to savepoint hv_step');
          this.#stages.forget();
          aside.add(table.id);
          failures.push({ table, error });
        }
      },
    });
    await noteAltered(
      client,
      source.key,
      batch.altered.filter(({ server, tableId }) => server === this.server && !aside.has(tableId)),
    );
    await storePrepared(client, source.key, batch.prepared);
    this.#counts = {
      changes: this.#counts.changes + counts.changes,
      statements: this.#counts.statements + counts.statements,
    };
    if (failures.length > 0) await this.#options.onFailures(failures);
    if (!batch.complete || batch.end === null) return;
    await storePosition(client, source.key, {
      from: this.position.ordinal,
      to: batch.end,
      sourceTimeMs: batch.sourceTimeMs,
      ...this.#counts,
      transactions: batch.transactions,
    });
    await client.query('commit');
    this.#inTransaction = false;
    this.#position = batch.end;
  }

  /** Takes back what is not committed. Whether the session survives it or not, it can be opened again. */
  async reset(): Promise<void> {
    const client = this.#client;
    this.#stages.forget();
    if (client === undefined) return;
    try {
      await client.query('rollback');
      this.#inTransaction = false;
    } catch {
      this.#client = undefined;
      destroyClient(client);
    }
  }

  get isOpen(): boolean {
    return this.#client !== undefined;
  }

  /** Whether part of a source transaction is applied and not committed. */
  get isInsideTransaction(): boolean {
    return this.#inTransaction;
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) await endClient(client);
  }

  /**
   * A label added to an enum type cannot be used in the transaction that added it, so labels are added before, in
   * transactions of their own: doing it again after a crash changes nothing. A type that is not there yet is made
   * within the batch, and there a label is usable at once.
   */
  async #addLabels(batch: Batch): Promise<void> {
    for (const round of batch.rounds) {
      if (round.kind !== 'structure' || round.transactionStart < this.position.ordinal) continue;
      const labels = round.statements.filter((statement) => /^alter type .* add value /s.test(statement));
      if (labels.length === 0) continue;
      const destinations = (round.after?.router.destinations ?? []).filter(({ server }) => server === this.server);
      await this.#options.servers.with(this.server, async (client) => {
        for (const { schema } of destinations) {
          for (const label of labels) {
            await client.query(inSchema(label, schema)).catch((error: unknown) => {
              if (sqlStateOf(error) !== '42704') throw error;
            });
          }
        }
      });
    }
  }
}
