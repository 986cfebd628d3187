import { LineBuffer } from '../copy-text/line-buffer.ts';
import type { Position } from '../model/position.ts';
import type { Destination } from '../route/router.ts';
import type { CascadeCause, CascadeLink } from './cascade-links.ts';
import type { FollowedTable } from './followed-table.ts';
import type { PreparedChange } from './prepared-transactions.ts';

/**
 * Changes of whole source transactions, compacted: of several changes of one row only the last remains.
 *
 * ```
 * batch = rounds, applied in order within one Postgres transaction
 * round = rows of any number of tables (compacted), then cascades  |  one change of structure
 * ```
 *
 * Invariants:
 * 1. A batch ends where a source transaction ends – or is not `complete`, and then the next batch goes on in the
 *    same Postgres transaction. So a reader of the target never sees half of a source transaction.
 * 2. Within a round the order of changes of different rows does not matter: first every row whose old version may
 *    be there is deleted, then every row that remains is inserted. What needs an order begins a new round.
 * 3. The cascades of a round run after its rows, in their order (`pending-cascades.ts` says when that is right).
 */
export class Batch {
  /** Lines of the rows to insert; {@link RowEntry} points into it. */
  readonly lines: LineBuffer;
  readonly rounds: Round[] = [];
  /** Row changes that went in, before compaction. */
  changes = 0;
  transactions = 0;
  /** Where its first source transaction begins: what the servers have must reach this far. */
  from = 0n;
  /** End of the last whole source transaction in it. */
  end: Position | null = null;
  /** Source time of the newest change, in ms. */
  sourceTimeMs = 0;
  complete = true;
  /** Nothing to apply: the reader began anew in the middle of a transaction of which parts were handed over. */
  isReset = false;
  /** What value policies changed, for the report; `server` is one that takes the row. */
  readonly altered: (AlteredValue & { readonly tableId: number; readonly server: string })[] = [];

  /** XA transactions that were prepared in it, or came to their end. */
  readonly prepared: PreparedChange[] = [];

  constructor(capacity = 256 * 1024, lines = new LineBuffer(capacity)) {
    this.lines = lines;
  }

  get empty(): boolean {
    return this.rounds.length === 0 && this.prepared.length === 0;
  }

  /** The changes of a table at a destination in the current round of rows. */
  changesOf(table: FollowedTable, destination: Destination, columns: readonly string[]): TableChanges {
    let round = this.rounds.at(-1);
    if (round === undefined || round.kind !== 'rows') {
      round = this.beginRound();
    }
    let places = round.tables.get(table);
    if (places === undefined) {
      places = new Map();
      round.tables.set(table, places);
    }
    let changes = places.get(destination);
    if (changes === undefined) {
      changes = new TableChanges(table, destination, columns);
      places.set(destination, changes);
    }
    return changes;
  }

  /** Begins a round of rows: what comes next must not be mixed with what came before. */
  beginRound(): RowsRound {
    const round: RowsRound = { kind: 'rows', tables: new Map(), cascades: null };
    this.rounds.push(round);
    return round;
  }
}

export type Round = RowsRound | StructureRound;

export interface RowsRound {
  readonly kind: 'rows';
  readonly tables: Map<FollowedTable, Map<Destination, TableChanges>>;
  cascades: RoundCascades | null;
}

/** What foreign keys do to the children of rows that went away or changed their keys. */
export interface RoundCascades {
  /** All foreign keys that change rows, as they were. */
  readonly links: readonly CascadeLink[];
  /** In the order in which they have to run. */
  readonly steps: CascadeStep[];
}

export interface CascadeStep {
  readonly parentId: number;
  /** The parent's columns that the keys are values of. */
  readonly columns: readonly string[];
  readonly cause: CascadeCause;
  /** COPY fields joined by tabs, as latin1 text; `at` is where the source transaction begins. */
  readonly keys: { readonly old: string; readonly new: string | null; readonly at: bigint }[];
}

/** Statements that change the structure of a table in its destinations. */
export interface StructureRound {
  readonly kind: 'structure';
  /** Before the change, `null` when the table is new to us. */
  readonly before: FollowedTable | null;
  /** After the change, `null` when it was dropped. */
  readonly after: FollowedTable | null;
  /** What to run, once per destination (`ddl/run-statements.ts`). */
  readonly statements: readonly string[];
  /** The statement of the source, for the record. */
  readonly cause: string;
  /** Where the source transaction begins: a server that has applied more has applied this too. */
  readonly transactionStart: bigint;
}

/** A value that the policy of its column replaced. */
export interface AlteredValue {
  readonly column: string;
  readonly key: string;
  readonly original: string;
  readonly replacement: string | null;
}

/** The fate of one row. `end` < 0: it is gone. For rows without a key: how many more (or fewer) of them there are. */
export interface RowEntry {
  start: number;
  end: number;
  /** Whether a version of it may be in the target from before the batch. */
  existed: boolean;
  count: number;
  /**
   * The line lacks values that the log did not repeat ({@link LineBuffer.unchanged}): they are those of the row that
   * has this key in the target before the round.
   */
  lacks?: string | undefined;
}

/** The compacted changes of one table at one destination. Keys are COPY fields joined by tabs, as latin1 text. */
export class TableChanges {
  readonly table: FollowedTable;
  readonly destination: Destination;
  /** The columns of the lines, in their order. */
  readonly columns: readonly string[];
  readonly entries = new Map<string, RowEntry>();
  /** Changes before compaction. */
  received = 0;

  constructor(table: FollowedTable, destination: Destination, columns: readonly string[]) {
    this.table = table;
    this.destination = destination;
    this.columns = columns;
  }

  /**
   * A row appeared.
   * @param replaces - whether one of that key may be in the target that is gone in the source
   */
  insert(key: string, start: number, end: number, replaces = false): void {
    this.received += 1;
    const entry = this.entries.get(key);
    if (entry === undefined) this.entries.set(key, { start, end, existed: replaces, count: 1 });
    else this.#replace(entry, start, end);
  }

  /** A row has a new version; its key is the same. */
  update(key: string, start: number, end: number): void {
    this.received += 1;
    const entry = this.entries.get(key);
    if (entry === undefined) this.entries.set(key, { start, end, existed: true, count: 1 });
    else this.#replace(entry, start, end);
  }

  #replace(entry: RowEntry, start: number, end: number): void {
    entry.start = start;
    entry.end = end;
    if (entry.lacks !== undefined) entry.lacks = undefined;
  }

  /** A row went away. */
  remove(key: string): void {
    this.received += 1;
    const entry = this.entries.get(key);
    if (entry === undefined) this.entries.set(key, { start: 0, end: -1, existed: true, count: 0 });
    else if (entry.existed) entry.end = -1;
    else this.entries.delete(key);
  }

  /** A row of a table without a key appeared (`by` = 1) or went away (−1). The key is the whole line. */
  count(key: string, start: number, end: number, by: 1 | -1): void {
    this.received += 1;
    const entry = this.entries.get(key);
    if (entry === undefined) this.entries.set(key, { start, end, existed: false, count: by });
    else entry.count += by;
  }
}
