import { quoteIdentifier } from '../../../internal/quote.ts';
import type { StatementOutcome } from '../../catalogue/error-rows.ts';
import {
  checkStatements,
  createTableStatements,
  indexStatement,
  primaryKeyStatements,
} from '../../ddl/create-table.ts';
import { dropTableStatements } from '../../ddl/drop-table.ts';
import { SCHEMA } from '../../ddl/run-statements.ts';
import { UnmappableTable } from '../../mapping/map-table.ts';
import type { FollowedTable } from '../../stream/followed-table.ts';
import type { AlterAction } from './alter-actions.ts';
import { createdStructure } from './next-structure.ts';
import { restructure } from './restructure.ts';
import type { Statement } from './statement.ts';
import { pushRound, type StatementInHand, type StatementOptions, setAside } from './statement-in-hand.ts';
import type { TableName } from './tokens.ts';

/** One statement being followed. */
export class StatementWork {
  readonly #work: StatementInHand;
  readonly #options: StatementOptions;

  constructor(work: StatementInHand) {
    this.#work = work;
    this.#options = work.options;
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
        return host.mapsSchema(this.#work.statement.schema) ? 'harmless' : null;
      case 'unknown':
        return host.mapsSchema(this.#work.statement.schema) ? 'unknown' : null;
    }
  }

  /** The followed table of that name, unless its copied rows show the statement already. */
  #find({ schema, name }: TableName): FollowedTable | null {
    const table = this.#options.tables.find(schema, name);
    if (table === null) return null;
    const { all, ranges } = table.copiedAt;
    const last = ranges.reduce((latest, { ordinal }) => (ordinal > latest ? ordinal : latest), all);
    return this.#work.start < last ? null : table;
  }

  #each(names: readonly TableName[], work: (table: FollowedTable) => void): StatementOutcome | null {
    const tables = names.map((name) => this.#find(name)).filter((table) => table !== null);
    for (const table of tables) work(table);
    if (tables.length > 0) return 'followed';
    return names.some(({ schema }) => this.#options.host.mapsSchema(schema)) ? 'harmless' : null;
  }

  #drop(table: FollowedTable): void {
    this.#options.tables.remove(table);
    pushRound(this.#work, { before: table, after: null, statements: dropTableStatements(table.target) });
  }

  #truncate(table: FollowedTable): void {
    pushRound(this.#work, {
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
      const replaces = /^\s*create\s+or\s+replace\b/i.test(this.#work.statement.sql);
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
      pushRound(this.#work, {
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

  /** Whether a table of that name was copied after the statement. */
  #isCopiedLater(name: TableName): boolean {
    return this.#options.tables.find(name.schema, name.name) !== null && this.#find(name) === null;
  }

  async #renameOne(from: TableName, to: TableName): Promise<StatementOutcome | null> {
    const { host, readTable } = this.#options;
    const table = this.#find(from);
    if (table === null) {
      if (!host.wants(to.schema, to.name) || this.#isCopiedLater(to)) return null;
      const source = (await readTable(to.schema, to.name)) ?? null;
      // When another table was copied under its name, what it is now is told by other statements
      if (source === null) return this.#isCopiedLater(from) ? null : 'unknown';
      await host.registerAside(
        source,
        `it was ${from.schema}.${from.name}, which was not replicated; copy it with sync-tables`,
      );
      return 'set aside';
    }
    if (!host.wants(to.schema, to.name)) {
      return setAside(this.#work, table, `it was renamed to ${to.schema}.${to.name}, which is not replicated`);
    }
    if (this.#isCopiedLater(to)) {
      this.#drop(table);
      return 'followed';
    }
    if (to.schema !== from.schema) {
      return setAside(
        this.#work,
        table,
        `it moved to another database, ${to.schema}.${to.name}; copy it with sync-tables`,
      );
    }
    return restructure(this.#work, table, [{ kind: 'rename-table', to }], null);
  }

  async #alter(name: TableName, actions: readonly AlterAction[]): Promise<StatementOutcome | null> {
    const table = this.#find(name);
    if (table === null) return this.#options.host.mapsSchema(name.schema) ? 'harmless' : null;
    const hidden = actions.find((action) => action.kind === 'rows');
    if (hidden !== undefined) return setAside(this.#work, table, `${hidden.what} changed rows without logging them`);
    const moved = actions.find((action) => action.kind === 'rename-table');
    if (moved !== undefined && !this.#options.host.wants(moved.to.schema, moved.to.name)) {
      return setAside(
        this.#work,
        table,
        `it was renamed to ${moved.to.schema}.${moved.to.name}, which is not replicated`,
      );
    }
    if (moved !== undefined && this.#isCopiedLater(moved.to)) {
      this.#drop(table);
      return 'followed';
    }
    const now = moved?.to ?? name;
    const current = await this.#options.readTable(now.schema, now.name);
    return restructure(this.#work, table, actions, current);
  }

  #dropDatabase(schema: string): StatementOutcome | null {
    if (!this.#options.host.mapsSchema(schema)) return null;
    for (const table of [...this.#options.tables]) {
      if (table.source.schema === schema) setAside(this.#work, table, `its database ${schema} was dropped`);
    }
    return 'set aside';
  }

  #rowsAsStatement(name: TableName | null): StatementOutcome | null {
    if (name === null) return this.#options.host.mapsSchema(this.#work.statement.schema) ? 'unknown' : null;
    const table = this.#find(name);
    if (table === null) return null;
    return setAside(
      this.#work,
      table,
      'its rows were changed by a statement that was logged instead of the rows (binlog_format of the session)',
    );
  }
}
