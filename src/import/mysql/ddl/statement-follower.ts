import type { Batch } from '../../stream/batch.ts';
import type { SourceStatement } from '../binlog/reader-options.ts';
import { parseStatement } from './statement.ts';
import type { StatementOptions } from './statement-in-hand.ts';
import { StatementWork } from './statement-work.ts';

/**
 * Follows statements that are not row changes. Never throws for what a statement says: one that is not understood is
 * recorded; one that changes a replicated table in a way that cannot be followed puts that table aside.
 */
export class StatementFollower {
  readonly #options: StatementOptions;

  constructor(options: StatementOptions) {
    this.#options = options;
  }

  /** @param transactionStart - the ordinal at which the statement stands; tables copied later have seen it */
  async follow(batch: Batch, statement: SourceStatement, transactionStart: bigint): Promise<void> {
    const parsed = parseStatement(statement.sql, statement.schema);
    const work = new StatementWork({ options: this.#options, batch, statement, start: transactionStart });
    const outcome = await work.run(parsed);
    if (outcome === null) return;
    this.#options.events.statement({
      outcome,
      schema: statement.schema,
      sql: statement.sql,
      position: statement.position,
      sourceTimeMs: statement.timestampMs,
    });
  }
}
