import type { ClientBase } from 'pg';
import { Backoff } from '../../internal/backoff.ts';
import { sleep } from '../../internal/sleep.ts';
import type { TableFailure } from '../apply/server-applier.ts';
import { type Dependent, dependentsOf } from '../catalogue/dependents.ts';
import { noteError, noteStatement, type StatementEntry } from '../catalogue/error-rows.ts';
import { noteLostView } from '../catalogue/lost-views.ts';
import type { SourceRow } from '../catalogue/source-rows.ts';
import { listTables, setTableState, type TableRow } from '../catalogue/table-rows.ts';
import type { EngineContext } from '../commands/context.ts';
import type { SavedView } from '../ddl/user-objects.ts';
import { qualifiedName } from '../model/source-table.ts';
import type { FollowedTable } from '../stream/followed-table.ts';
import { messageOf } from './message-of.ts';
import { syncRemedy } from './statement-host.ts';

interface AsideDetails {
  readonly phase: 'read' | 'replay';
  readonly sql?: string | undefined;
  readonly position?: string | undefined;
}

/** What the workers write into the catalogue about tables, statements and views. */
export class ReplicaNotes {
  /** Tables that were set aside since the workers began. */
  readonly aside = new Set<number>();
  readonly #context: EngineContext;
  readonly #source: SourceRow;
  readonly #pending: (() => Promise<void>)[] = [];
  readonly #background = new Set<Promise<unknown>>();

  /** Whether foreign keys change rows of the source without a word in its log. */
  readonly #cascades: boolean;

  constructor(context: EngineContext, source: SourceRow) {
    this.#context = context;
    this.#source = source;
    this.#cascades = source.kind === 'mysql';
  }

  /** A table that the reader cannot follow. Written by {@link settle}. */
  setAside(table: FollowedTable, reason: string, details: AsideDetails): void {
    if (this.aside.has(table.id)) return;
    this.aside.add(table.id);
    this.#tell(table, reason);
    this.#pending.push(() => this.#write(table, reason, details));
  }

  /**
   * Waits until every table set aside is so in the catalogue. Nothing that was read later may be applied before:
   * a crash would leave a table that lacks changes and does not say so.
   */
  async settle(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff({ baseMs: 100, maxMs: 5_000 });
    while (this.#pending.length > 0 && !signal.aborted) {
      try {
        await this.#pending[0]!();
        this.#pending.shift();
      } catch (error) {
        this.#context.log.warn(`${this.#source.name}: the catalogue could not be reached: ${messageOf(error)}`);
        await sleep(backoff.next(), { signal, what: 'writing to the catalogue' }).catch(() => {});
      }
    }
  }

  /** Tables whose changes a server refused: written at once, before the rest is committed. */
  async failures(failures: readonly TableFailure[]): Promise<void> {
    for (const { table, error } of failures) {
      if (this.aside.has(table.id)) continue;
      const reason = messageOf(error);
      const { where, detail } = error as { where?: string; detail?: string };
      await this.#write(table, reason, { phase: 'replay', sql: detail ?? where });
      this.aside.add(table.id);
      this.#tell(table, reason);
    }
  }

  /**
   * The structure of some tables has changed. Those that depend on a table which is aside by a foreign key that is new,
   * or was still to be applied when that was set aside, are aside too.
   */
  async structuresChanged(ids: ReadonlySet<number>): Promise<void> {
    if (ids.size > 0) await this.#settleDependents((id) => ids.has(id));
  }

  /** The same for all tables: a process may have been killed before it came to that. */
  async everyDependent(): Promise<void> {
    await this.#settleDependents(() => true);
  }

  async #settleDependents(isChanged: (id: number) => boolean): Promise<void> {
    if (!this.#cascades) return;
    const fresh = await this.#context.control(async (client) => {
      const tables = await listTables(client, this.#source);
      const parents = tables.filter(({ id, state }) => state === 'aside' || this.aside.has(id));
      const reached = new Set<TableRow>();
      const dependents = parents.flatMap((parent) => dependentsOf(parent, tables));
      for (const { table, parent } of dependents) if (isChanged(table.id) || reached.has(parent)) reached.add(table);
      return this.#enterDependents(
        client,
        dependents.filter(({ table }) => reached.has(table)),
        'replay',
      );
    });
    this.#tellDependents(fresh);
  }

  statement(entry: StatementEntry): void {
    this.#context.log.debug(`${this.#source.name}: ${entry.outcome}: ${entry.sql.slice(0, 200)}`);
    this.#inBackground(this.#context.control((client) => noteStatement(client, this.#source, entry)));
  }

  lostView(view: SavedView, reason: string): void {
    this.#context.log.error(`${this.#source.name}: the view ${view.schema}.${view.name} no longer fits: ${reason}`);
    this.#inBackground(this.#context.control((client) => noteLostView(client, view, reason)));
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    await this.settle(AbortSignal.timeout(5_000));
    await Promise.allSettled(this.#background);
  }

  #tell(table: Pick<FollowedTable, 'source'>, message: string): void {
    const { log, notifier } = this.#context;
    const name = qualifiedName(table.source);
    log.error(`${this.#source.name}: ${name} was set aside: ${message}`);
    notifier.notify({
      level: 'error',
      source: this.#source.name,
      table: name,
      message,
      remedy: syncRemedy(table.source),
    });
  }

  /** Together with the tables that depend on it by foreign keys whose actions are in no log. */
  async #write(table: FollowedTable, message: string, details: AsideDetails): Promise<void> {
    const others = await this.#context.control(async (client) => {
      await this.#enter(client, table, message, details);
      const tables = await listTables(client, this.#source);
      const row = tables.find(({ id }) => id === table.id);
      const dependents = row === undefined || !this.#cascades ? [] : dependentsOf(row, tables);
      return this.#enterDependents(client, dependents, details.phase);
    });
    this.#tellDependents(others);
  }

  async #enterDependents(
    client: ClientBase,
    dependents: readonly Dependent<TableRow>[],
    phase: AsideDetails['phase'],
  ): Promise<Map<TableRow, string>> {
    const fresh = new Map<TableRow, string>();
    for (const one of dependents) {
      const { table } = one;
      if (table.state === 'followed' && !this.aside.has(table.id) && !fresh.has(table)) fresh.set(table, reasonOf(one));
    }
    for (const [table, reason] of fresh) await this.#enter(client, table, reason, { phase });
    return fresh;
  }

  #tellDependents(fresh: ReadonlyMap<TableRow, string>): void {
    for (const [table, reason] of fresh) {
      this.aside.add(table.id);
      this.#tell(table, reason);
    }
  }

  async #enter(
    client: ClientBase,
    table: Pick<FollowedTable, 'id' | 'source'>,
    message: string,
    details: AsideDetails,
  ): Promise<void> {
    await setTableState(client, table.id, 'aside', message);
    await noteError(client, this.#source, {
      ...details,
      tableId: table.id,
      table: qualifiedName(table.source),
      message,
      remedy: syncRemedy(table.source),
    });
  }

  /** Notes that need not be waited for; what fails goes to the log. */
  #inBackground(work: Promise<unknown>): void {
    const done = work
      .catch((error: unknown) => this.#context.log.error(`${this.#source.name}: ${messageOf(error)}`))
      .finally(() => this.#background.delete(done));
    this.#background.add(done);
  }
}

function reasonOf({ foreignKey, parent }: Dependent<TableRow>): string {
  const name = qualifiedName(parent.source);
  return `${name} was set aside, and what the foreign key ${foreignKey} changes with it can no longer be followed; copy both again`;
}
