import { quoteIdentifier } from '../../../internal/quote.ts';
import { UnfollowableChange } from '../../ddl/change-table.ts';
import { SCHEMA } from '../../ddl/run-statements.ts';
import { UnmappableTable } from '../../mapping/map-table.ts';
import { qualifiedName, type SourceTable } from '../../model/source-table.ts';
import type { Batch } from '../../stream/batch.ts';
import type { FollowedTable } from '../../stream/followed-table.ts';
import type { FollowedTables } from '../../stream/followed-tables.ts';
import type { ReaderEvents } from '../../stream/reader-events.ts';
import type { StatementHost } from '../../stream/statement-host.ts';
import { type StructureNow, unloggedChange } from '../catalogue/structure-now.ts';
import { lsnText } from '../lsn.ts';
import { isSameShape, nextStructure } from './next-structure.ts';
import type { Relation } from './pgoutput.ts';

export interface RelationFollowerOptions {
  readonly tables: FollowedTables;
  readonly host: StatementHost;
  readonly events: ReaderEvents;
  /** What the catalogue says of a table now; `null` when it is not there. */
  readonly readTable: (oid: number) => Promise<SourceTable | null>;
  /** What of a table changes without a word in the log. */
  readonly readStructure: (oid: number) => Promise<StructureNow | undefined>;
}

/** Follows what relation messages tell of changed structures; Postgres logs no DDL itself. */
export class RelationFollower {
  readonly #options: RelationFollowerOptions;

  constructor(options: RelationFollowerOptions) {
    this.#options = options;
  }

  /** The followed table of a relation message. One that differs from what we know is brought in line first. */
  find(
    batch: Batch,
    relation: Relation,
    transactionStart: bigint,
  ): FollowedTable | null | Promise<FollowedTable | null> {
    const table = this.#tableOf(relation);
    if (table === null) return null;
    return this.#look(batch, relation, table, transactionStart);
  }

  /** Empties tables, unless their copied rows show it already. */
  truncate(batch: Batch, tables: readonly FollowedTable[], transactionStart: bigint): void {
    for (const table of tables) {
      if (table.skipEvents.has('delete') || isCopied(table, transactionStart)) continue;
      batch.rounds.push({
        kind: 'structure',
        before: table,
        after: table,
        statements: [`truncate table ${SCHEMA}.${quoteIdentifier(table.target.name)}`],
        cause: `truncate ${qualifiedName(table.source)}`,
        transactionStart,
      });
    }
  }

  #tableOf({ oid, schema, name }: Relation): FollowedTable | null {
    for (const table of this.#options.tables) if (table.source.postgres?.oid === oid) return table;
    const named = this.#options.tables.find(schema, name);
    if (named === null) return null;
    this.#setAside(named, 'it was dropped in the source and made anew');
    return null;
  }

  async #look(
    batch: Batch,
    relation: Relation,
    table: FollowedTable,
    transactionStart: bigint,
  ): Promise<FollowedTable | null> {
    const now = await this.#options.readStructure(relation.oid);
    const reason = unloggedChange(table.source, now);
    if (reason !== null) {
      this.#setAside(table, reason);
      return null;
    }
    if (!isSameShape(relation, table)) return this.#change(batch, relation, table, transactionStart);
    return this.#withPartitions(batch, table, now!, transactionStart);
  }

  /** Remembers partitions that were made since, for they may be dropped one day. */
  #withPartitions(batch: Batch, table: FollowedTable, now: StructureNow, transactionStart: bigint): FollowedTable {
    const { postgres } = table.source;
    const partitionOids = now.partitions.map(({ oid }) => oid);
    if (partitionOids.every((oid) => postgres!.partitionOids?.includes(oid) !== false)) return table;
    const source = { ...table.source, postgres: { ...postgres!, partitionOids } };
    const changed: FollowedTable = { ...table, version: table.version + 1, source };
    const cause = `${qualifiedName(source)} has another partition`;
    batch.rounds.push({ kind: 'structure', before: table, after: changed, statements: [], cause, transactionStart });
    this.#options.tables.put(changed);
    return changed;
  }

  async #change(
    batch: Batch,
    relation: Relation,
    table: FollowedTable,
    transactionStart: bigint,
  ): Promise<FollowedTable | null> {
    const { tables, host, events, readTable } = this.#options;
    try {
      if (relation.schema !== table.source.schema)
        throw new UnfollowableChange(`it moved to the schema ${relation.schema}`);
      const now = await readTable(relation.oid);
      if (now === null) throw new UnfollowableChange('it was changed and dropped since');
      const next = nextStructure(relation, table, now, (source) => host.map(source));
      const changed: FollowedTable = {
        ...table,
        version: table.version + 1,
        source: next.source,
        target: next.target,
      };
      const cause = `the structure of ${qualifiedName(table.source)} changed`;
      const statements = isCopied(table, transactionStart) ? [] : next.statements;
      batch.rounds.push({ kind: 'structure', before: table, after: changed, statements, cause, transactionStart });
      tables.put(changed);
      events.statement({
        outcome: 'followed',
        schema: relation.schema,
        sql: `${cause}: ${next.statements.join('; ').replaceAll(SCHEMA, table.target.schema)}`,
        position: `${lsnText(transactionStart)}#${relation.oid}`,
        sourceTimeMs: batch.sourceTimeMs,
      });
      return changed;
    } catch (error) {
      if (!(error instanceof UnfollowableChange || error instanceof UnmappableTable)) throw error;
      this.#setAside(table, error.message);
      return null;
    }
  }

  #setAside(table: FollowedTable, reason: string): void {
    this.#options.tables.remove(table);
    this.#options.events.setAside(table, reason, {});
  }
}

/** Whether the copied rows were read after the transaction. */
function isCopied({ copiedAt }: FollowedTable, transactionStart: bigint): boolean {
  const last = copiedAt.ranges.reduce((latest, { ordinal }) => (ordinal > latest ? ordinal : latest), copiedAt.all);
  return transactionStart < last;
}
