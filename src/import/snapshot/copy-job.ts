import type { ChunkRow } from '../catalogue/chunk-rows.ts';
import type { ChunkPlan, TableRow } from '../catalogue/table-rows.ts';
import type { Position } from '../model/position.ts';
import { qualifiedName } from '../model/source-table.ts';
import type { Router } from '../route/router.ts';
import type { ChunkRange } from '../source/snapshot.ts';
import type { CopiedAt } from '../stream/followed-table.ts';

/** A table in the course of being copied. */
export class TableCopy {
  readonly row: TableRow;
  readonly router: Router;
  readonly name: string;
  plan: ChunkPlan | null;
  /** Per chunk and server: the place of the log that its rows show. */
  readonly #done = new Map<number, Map<string, Position>>();
  /** Chunks that somebody works on or that are to come. */
  remaining = 0;
  rows = 0;
  /** Why it could not be copied; the others go on. */
  failure: string | null = null;

  constructor(row: TableRow, router: Router) {
    this.row = row;
    this.router = router;
    this.name = qualifiedName(row.source);
    this.plan = row.chunks;
  }

  /** The servers that take its rows. */
  get servers(): string[] {
    return [...new Set(this.router.destinations.map(({ server }) => server))];
  }

  get chunkCount(): number {
    return (this.plan?.bounds.length ?? 0) + 1;
  }

  /** Takes note of a chunk that is done on a server. */
  noteDone(server: string, { chunk, position, rows }: Pick<ChunkRow, 'chunk' | 'position' | 'rows'>): void {
    const servers = this.#done.get(chunk) ?? new Map<string, Position>();
    this.#done.set(chunk, servers);
    servers.set(server, position);
    this.rows += rows;
  }

  /** Whether all servers have a chunk. */
  isDone(chunk: number): boolean {
    return this.#done.get(chunk)?.size === this.servers.length;
  }

  /** Servers that have a chunk which others lack: an earlier run was cut off between two commits. */
  halfDone(chunk: number): string[] {
    return this.isDone(chunk) ? [] : [...(this.#done.get(chunk)?.keys() ?? [])];
  }

  range(chunk: number): ChunkRange | null {
    const { column, bounds } = this.plan ?? { column: null, bounds: [] };
    if (column === null || bounds.length === 0) return null;
    return { column, from: bounds[chunk - 1] ?? null, to: bounds[chunk] ?? null };
  }

  /** The place of the log that the rows of each chunk show. */
  positions(): Position[] {
    return Array.from({ length: this.chunkCount }, (_, chunk) => this.#done.get(chunk)!.values().next().value!);
  }

  /** What the followed table has to know of it. */
  copiedAt(): CopiedAt {
    const positions = this.positions();
    const first = positions[0]!.ordinal;
    if (positions.every(({ ordinal }) => ordinal === first)) return { all: first, column: null, ranges: [] };
    const { column, bounds } = this.plan!;
    return {
      all: first,
      column,
      ranges: positions.slice(1).map(({ ordinal }, index) => ({ from: BigInt(bounds[index]!), ordinal })),
    };
  }
}

export function earliest(positions: readonly Position[]): Position {
  return positions.reduce((a, b) => (b.ordinal < a.ordinal ? b : a));
}

export function latest(positions: readonly Position[]): Position {
  return positions.reduce((a, b) => (b.ordinal > a.ordinal ? b : a));
}
