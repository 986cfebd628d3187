import { quoteIdentifier } from '../../../internal/quote.ts';
import type { StatementOutcome } from '../../catalogue/error-rows.ts';
import { mysqlBackfill, type StatementMoment } from '../../ddl/backfill.ts';
import { carryOver } from '../../ddl/carry-over.ts';
import { changeTableStatements, UnfollowableChange } from '../../ddl/change-table.ts';
import {
  checkStatements,
  createTableStatements,
  indexStatement,
  primaryKeyStatements,
} from '../../ddl/create-table.ts';
import { dropTableStatements } from '../../ddl/drop-table.ts';
import { SCHEMA } from '../../ddl/run-statements.ts';
import { UnmappableTable } from '../../mapping/map-table.ts';
import type { SourceTable } from '../../model/source-table.ts';
import type { Batch, StructureRound } from '../../stream/batch.ts';
import type { FollowedTable } from '../../stream/followed-table.ts';
import type { FollowedTables } from '../../stream/followed-tables.ts';
import type { ReaderEvents } from '../../stream/reader-events.ts';
import type { StatementHost } from '../../stream/statement-host.ts';
import type { SourceStatement } from '../binlog/reader-options.ts';
import type { AlterAction } from './alter-actions.ts';
import { withRenamedParent } from './next-foreign-keys.ts';
import { alteredStructure, createdStructure } from './next-structure.ts';
import type { Statement } from './statement.ts';
import type { TableName } from './tokens.ts';

/** What following statements needs. */
export interface StatementOptions {
  readonly tables: FollowedTables;
  readonly host: StatementHost;
  readonly events: ReaderEvents;
  /** What information_schema says of a table now; `null` when it is not there. */
  readonly readTable: (schema: string, name: string) => Promise<SourceTable | null>;
  /** A moment (UTC) on the clock of a time zone, as the source shows it; `null` when it does not know the zone. */
  readonly localTime: (utc: string, timeZone: string) => Promise<string | null>;
}

/** One statement being followed. */
export class StatementWork {
  readonly #options: StatementOptions;
  readonly #batch: Batch;
  readonly #statement: SourceStatement;
  readonly #start: bigint;

  constructor(options: StatementOptions, batch: Batch, statement: SourceStatement, start: bigint) {
    this.#options = options;
    this.#batch = batch;
    this.#statement = statement;
    this.#start = start;
  }

  /** @returns what was made of it; `null` when it is no concern of ours */
  async run(parsed: Statement): Promise<StatementOutcome | null> {
    const { host } = this.#options;
    switch (parsed.kind) {
      case 'create':
        return this.#create(parsed);
      case 'drop':
        return this.#each(parsed.tables, (table) => this.#drop(table));
      case 'truncate':
        return this.#each([parsed.table], (table) => this.#truncate(table));
      case 'rename':
        return this.#rename(parsed.pairs);
      case 'alter':
        return this.#alter(parsed.table, parsed.actions);
      case 'drop-database':
        return this.#dropDatabase(parsed.schema);
      case 'rows-as-statement':
        return this.#rowsAsStatement(parsed.table);
      case 'harmless':
        return host.mapsSchema(this.#statement.schema) ? 'harmless' : null;
      case 'unknown':
        return host.mapsSchema(this.#statement.schema) ? 'unknown' : null;
    }
  }

  /** The followed table of that name, unless its copied rows show the statement already. */
  #find({ schema, name }: TableName): FollowedTable | null {
    const table = this.#options.tables.find(schema, name);
    if (table === null) return null;
    const { all, ranges } = table.copiedAt;
    const last = ranges.reduce((latest, { ordinal }) => (ordinal > latest ? ordinal : latest), all);
    return this.#start < last ? null : table;
  }

  #each(names: readonly TableName[], work: (table: FollowedTable) => void): StatementOutcome | null {
    const tables = names.map((name) => this.#find(name)).filter((table) => table !== null);
    for (const table of tables) work(table);
    if (tables.length > 0) return 'followed';
    return names.some(({ schema }) => this.#options.host.mapsSchema(schema)) ? 'harmless' : null;
  }

  #round(round: Omit<StructureRound, 'kind' | 'cause' | 'transactionStart'>): void {
    this.#batch.rounds.push({ kind: 'structure', cause: this.#statement.sql, transactionStart: this.#start, ...round });
  }

  #drop(table: FollowedTable): void {
    const { schema, name } = table.source;
    this.#options.tables.remove(schema, name);
    this.#round({ before: table, after: null, statements: dropTableStatements(table.target) });
  }

  #truncate(table: FollowedTable): void {
    this.#round({
      before: table,
      after: table,
      statements: [`truncate table ${SCHEMA}.${quoteIdentifier(table.target.name)}`],
    });
  }

  async #create(parsed: Extract<Statement, { kind: 'create' }>): Promise<StatementOutcome | null> {
    const { host, tables, readTable } = this.#options;
    const { table: name, like } = parsed;
    if (!host.wants(name.schema, name.name)) return host.mapsSchema(name.schema) ? 'harmless' : null;
    const known = tables.find(name.schema, name.name);
    if (known !== null) {
      const replaces = /^\s*create\s+or\s+replace\b/i.test(this.#statement.sql);
      if (!replaces || this.#find(name) === null) return 'harmless';
      this.#drop(known);
    }
    const current = await readTable(name.schema, name.name);
    const model = like === null ? null : tables.find(like.schema, like.name);
    const source =
      model !== null
        ? {
            ...model.source,
            schema: name.schema,
            name: name.name,
            foreignKeys: [],
            estimatedRows: 0,
            estimatedBytes: 0,
          }
        : createdStructure(name, parsed.definition, current);
    // Dropped or renamed again already, and nothing to go by: its rows will not be there either
    if (source === null) return 'unknown';
    try {
      const target = host.map(source);
      const table = await host.register(source, target);
      tables.put(table);
      this.#round({
        before: null,
        after: table,
        statements: [
          ...dropTableStatements(target),
          ...createTableStatements(target),
          ...primaryKeyStatements(target),
          ...target.indexes.map((index) => indexStatement(target, index)),
          ...checkStatements(target),
        ],
      });
      return 'followed';
    } catch (error) {
      if (!(error instanceof UnmappableTable)) throw error;
      await host.registerAside(source, error.message);
      return 'set aside';
    }
  }

  async #rename(pairs: readonly (readonly [TableName, TableName])[]): Promise<StatementOutcome | null> {
    let outcome: StatementOutcome | null = null;
    for (const [from, to] of pairs) {
      const step = await this.#renameOne(from, to);
      if (step === 'set aside' || outcome === null) outcome = step ?? outcome;
    }
    return outcome;
  }

  async #renameOne(from: TableName, to: TableName): Promise<StatementOutcome | null> {
    const { host, readTable } = this.#options;
    const table = this.#find(from);
    if (table === null) {
      if (this.#options.tables.find(from.schema, from.name) !== null) return null;
      if (!host.wants(to.schema, to.name)) return null;
      const source = (await readTable(to.schema, to.name)) ?? null;
      if (source === null) return 'unknown';
      await host.registerAside(
        source,
        `it was ${from.schema}.${from.name}, which was not replicated; copy it with sync-tables`,
      );
      return 'set aside';
    }
    if (!host.wants(to.schema, to.name)) {
      return this.#setAside(table, `it was renamed to ${to.schema}.${to.name}, which is not replicated`);
    }
    if (to.schema !== from.schema) {
      return this.#setAside(table, `it moved to another database, ${to.schema}.${to.name}; copy it with sync-tables`);
    }
    return this.#restructure(table, [{ kind: 'rename-table', to }], null);
  }

  async #alter(name: TableName, actions: readonly AlterAction[]): Promise<StatementOutcome | null> {
    const table = this.#find(name);
    if (table === null) return this.#options.host.mapsSchema(name.schema) ? 'harmless' : null;
    const hidden = actions.find((action) => action.kind === 'rows');
    if (hidden !== undefined) return this.#setAside(table, `${hidden.what} changed rows without logging them`);
    const moved = actions.find((action) => action.kind === 'rename-table');
    if (moved !== undefined && !this.#options.host.wants(moved.to.schema, moved.to.name)) {
      return this.#setAside(table, `it was renamed to ${moved.to.schema}.${moved.to.name}, which is not replicated`);
    }
    const now = moved?.to ?? name;
    const current = await this.#options.readTable(now.schema, now.name);
    return this.#restructure(table, actions, current);
  }

  async #restructure(
    table: FollowedTable,
    actions: readonly AlterAction[],
    current: SourceTable | null,
  ): Promise<StatementOutcome> {
    const { host, tables } = this.#options;
    const next = alteredStructure(table.source, actions, current);
    const unknown = actions.find((action) => action.kind === 'unknown');
    if (unknown !== undefined && current !== null && !sameColumns(next.table, current)) {
      return this.#setAside(table, `the action was not understood: ${unknown.text.slice(0, 200)}`);
    }
    try {
      const target = carryOver(table, { source: next.table, target: host.map(next.table) }, next.renamed);
      const statements = changeTableStatements(
        table.target,
        target,
        next.renamed,
        mysqlBackfill(next.table, await this.#moment()),
      );
      const after: FollowedTable = { ...table, version: table.version + 1, source: next.table, target };
      tables.remove(table.source.schema, table.source.name);
      tables.put(after);
      this.#round({ before: table, after, statements });
      this.#renameParent(table, after, next.renamed);
      return unknown === undefined ? 'followed' : 'unknown';
    } catch (error) {
      if (!(error instanceof UnmappableTable) && !(error instanceof UnfollowableChange)) throw error;
      return this.#setAside(table, error.message);
    }
  }

  /** The server renames a parent in its children's foreign keys by itself. */
  #renameParent(before: FollowedTable, after: FollowedTable, renamed: ReadonlyMap<string, string>): void {
    const { tables } = this.#options;
    for (const child of [...tables]) {
      if (child === after) continue;
      const old = child.source.foreignKeys;
      const foreignKeys = old.map((key) => withRenamedParent(key, before.source, after.source, renamed));
      if (foreignKeys.every((key, index) => key === old[index])) continue;
      const next = { ...child, version: child.version + 1, source: { ...child.source, foreignKeys } };
      tables.put(next);
      this.#round({ before: child, after: next, statements: [] });
    }
  }

  async #moment(): Promise<StatementMoment> {
    const { timestampMs, microseconds, timeZone } = this.#statement;
    const utc = `${new Date(timestampMs).toISOString().slice(0, 19).replace('T', ' ')}.${String(microseconds).padStart(6, '0')}`;
    return { utc, local: timeZone === null ? null : await this.#options.localTime(utc, timeZone) };
  }

  #dropDatabase(schema: string): StatementOutcome | null {
    if (!this.#options.host.mapsSchema(schema)) return null;
    for (const table of [...this.#options.tables]) {
      if (table.source.schema === schema) this.#setAside(table, `its database ${schema} was dropped`);
    }
    return 'set aside';
  }

  #rowsAsStatement(name: TableName | null): StatementOutcome | null {
    if (name === null) return this.#options.host.mapsSchema(this.#statement.schema) ? 'unknown' : null;
    const table = this.#find(name);
    if (table === null) return null;
    return this.#setAside(
      table,
      'its rows were changed by a statement that was logged instead of the rows (binlog_format of the session)',
    );
  }

  #setAside(table: FollowedTable, reason: string): StatementOutcome {
    const { schema, name } = table.source;
    this.#options.tables.remove(schema, name);
    this.#options.events.setAside(table, reason, { sql: this.#statement.sql, position: this.#statement.position });
    return 'set aside';
  }
}

function sameColumns(a: SourceTable, b: SourceTable): boolean {
  const signature = (table: SourceTable): string => table.columns.map(({ name, type }) => `${name} ${type}`).join(', ');
  return signature(a) === signature(b);
}
