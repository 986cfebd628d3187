import type { StatementOutcome } from '../../catalogue/error-rows.ts';
import type { SourceTable } from '../../model/source-table.ts';
import type { Batch, StructureRound } from '../../stream/batch.ts';
import type { FollowedTable } from '../../stream/followed-table.ts';
import type { FollowedTables } from '../../stream/followed-tables.ts';
import type { ReaderEvents } from '../../stream/reader-events.ts';
import type { StatementHost } from '../../stream/statement-host.ts';
import type { SourceStatement } from '../binlog/reader-options.ts';

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

/** A statement with where it stands and what it goes into. */
export interface StatementInHand {
  readonly options: StatementOptions;
  readonly batch: Batch;
  readonly statement: SourceStatement;
  /** Where its transaction begins. */
  readonly start: bigint;
}

/** Puts a change of structure into the batch. */
export function pushRound(
  { batch, statement, start }: StatementInHand,
  round: Omit<StructureRound, 'kind' | 'cause' | 'transactionStart'>,
): void {
  batch.rounds.push({ kind: 'structure', cause: statement.sql, transactionStart: start, ...round });
}

/** The table is followed no more. */
export function setAside(
  { options, statement: { sql, position } }: StatementInHand,
  table: FollowedTable,
  reason: string,
): StatementOutcome {
  options.tables.remove(table);
  options.events.setAside(table, reason, { sql, position });
  return 'set aside';
}
