import type { ChunkPlan } from '../catalogue/table-rows.ts';
import type { Position } from '../model/position.ts';
import type { SourceTable } from '../model/source-table.ts';
import type { MappedTable } from '../model/target-table.ts';

/** Part of a table: values of the chunk column from `from` up to, but without, `to`; `null` means no bound. */
export interface ChunkRange {
  readonly column: string;
  readonly from: string | null;
  readonly to: string | null;
}

export interface ReadRequest {
  readonly table: MappedTable;
  /** `null`: the whole table. */
  readonly range: ChunkRange | null;
  readonly signal?: AbortSignal | undefined;
  /**
   * Takes whole lines of COPY, each with its newline; answers `false` for "enough for now", and then `drained` is
   * awaited. The buffer is the callee's to keep.
   */
  readonly onLines: (lines: Buffer) => boolean;
  readonly drained: () => Promise<void>;
}

/** One session that sees the source as it was at {@link Snapshot.position}. */
export interface SnapshotReader {
  /** How a table is best cut, for chunks of about so many rows. */
  plan(table: MappedTable, chunkRows: number): Promise<ChunkPlan>;
  /** The columns of the lines that {@link read} gives, in their order. */
  columnsOf(table: MappedTable): readonly string[];
  read(request: ReadRequest): Promise<void>;
}

export interface SnapshotOptions {
  /** How many sessions. */
  readonly workers: number;
  /** The tables to copy. Left out, nobody asks which place of the log the rows show, and nothing is locked for it. */
  readonly tables?: readonly SourceTable[] | undefined;
  /** How long to wait for locks. */
  readonly lockTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Several sessions that see the source at one place of its log. */
export interface Snapshot {
  readonly position: Position;
  readonly readers: readonly SnapshotReader[];
  /**
   * Reads a table that no snapshot covers (MyISAM), while it is locked against writing.
   * @returns the place of the log that its rows show
   */
  withLocked<Result>(
    table: MappedTable,
    work: (reader: SnapshotReader, position: Position) => Promise<Result>,
  ): Promise<Result>;
  release(): Promise<void>;
}
