import { deserialize, serialize } from 'node:v8';
import { LineBuffer } from '../copy-text/line-buffer.ts';
import type { Destination } from '../route/router.ts';
import { Batch, type CascadeStep, type RowEntry, type RowsRound, type StructureRound, TableChanges } from './batch.ts';
import type { CascadeLink } from './cascade-links.ts';
import type { FollowedTable } from './followed-table.ts';

/** A batch as it is kept in a table between two workers: the tables it speaks of are in it, once each. */
interface StoredBatch {
  readonly tables: readonly StoredTable[];
  readonly rounds: readonly (StoredRows | StoredStructure)[];
  readonly lines: Uint8Array;
  readonly complete: boolean;
  readonly changes: number;
  readonly transactions: number;
  readonly from: bigint;
  readonly end: Batch['end'];
  readonly sourceTimeMs: number;
  readonly altered: Batch['altered'];
  readonly prepared: Batch['prepared'];
}

type StoredTable = Omit<FollowedTable, 'router'> & {
  readonly destinations: readonly Destination[];
  readonly routed: boolean;
};

interface StoredRows {
  readonly kind: 'rows';
  readonly changes: readonly {
    readonly table: number;
    readonly destination: Destination;
    readonly columns: readonly string[];
    readonly received: number;
    readonly entries: ReadonlyMap<string, RowEntry>;
  }[];
  readonly cascades: {
    readonly links: readonly (Omit<CascadeLink, 'child'> & { readonly child: number })[];
    readonly steps: readonly CascadeStep[];
  } | null;
}

interface StoredStructure {
  readonly kind: 'structure';
  readonly before: number;
  readonly after: number;
  readonly statements: readonly string[];
  readonly cause: string;
  readonly transactionStart: bigint;
}

const NONE = -1;

export function storeBatch(batch: Batch): Buffer {
  const tables: FollowedTable[] = [];
  const indexOf = (table: FollowedTable | null): number => {
    if (table === null) return NONE;
    const known = tables.indexOf(table);
    return known === -1 ? tables.push(table) - 1 : known;
  };
  const rounds = batch.rounds.map((round): StoredRows | StoredStructure => {
    if (round.kind === 'structure') {
      return { ...round, before: indexOf(round.before), after: indexOf(round.after) };
    }
    const changes = [...round.tables.values()].flatMap((places) => [...places.values()]);
    return {
      kind: 'rows',
      changes: changes.map(({ table, destination, columns, received, entries }) => ({
        table: indexOf(table),
        destination,
        columns,
        received,
        entries,
      })),
      cascades:
        round.cascades === null
          ? null
          : {
              links: round.cascades.links.map((link) => ({ ...link, child: indexOf(link.child) })),
              steps: round.cascades.steps,
            },
    };
  });
  const { complete, changes, transactions, from, end, sourceTimeMs, altered, prepared } = batch;
  const stored: StoredBatch = {
    tables: tables.map(({ router, ...table }) => ({
      ...table,
      destinations: router.destinations,
      routed: router.kind === 'by-key',
    })),
    rounds,
    lines: Buffer.from(batch.lines.view()),
    complete,
    changes,
    transactions,
    from,
    end,
    sourceTimeMs,
    altered,
    prepared,
  };
  return serialize(stored);
}

/** What a stored batch says of XA transactions. */
export function preparedIn(payload: Buffer): Batch['prepared'] {
  return preparedOf(deserialize(payload) as StoredBatch);
}

/** Copied: what is read out shares the memory of the whole. */
function preparedOf({ prepared }: StoredBatch): Batch['prepared'] {
  return prepared.map(({ xid, held }) => ({ xid, held: held === null ? null : Buffer.from(held) }));
}

/** @param place - gives each destination the one object that stands for it */
export function restoreBatch(payload: Buffer, place: (destination: Destination) => Destination): Batch {
  const stored = deserialize(payload) as StoredBatch;
  const tables = stored.tables.map(
    ({ destinations, routed: _, ...table }): FollowedTable => ({
      ...table,
      // Rows in a stored batch have found their places already
      router: { kind: 'fixed', destinations: destinations.map(place) },
    }),
  );
  const lines = new LineBuffer(0);
  lines.bytes = Buffer.from(stored.lines.buffer, stored.lines.byteOffset, stored.lines.byteLength);
  lines.length = stored.lines.length;
  const batch = new Batch(0, lines);
  for (const round of stored.rounds) {
    batch.rounds.push(round.kind === 'structure' ? restoreStructure(round, tables) : restoreRows(round, tables, place));
  }
  batch.complete = stored.complete;
  batch.changes = stored.changes;
  batch.transactions = stored.transactions;
  batch.from = stored.from;
  batch.end = stored.end;
  batch.sourceTimeMs = stored.sourceTimeMs;
  batch.altered.push(...stored.altered);
  batch.prepared.push(...preparedOf(stored));
  return batch;
}

function restoreStructure(round: StoredStructure, tables: readonly FollowedTable[]): StructureRound {
  return { ...round, before: tables[round.before] ?? null, after: tables[round.after] ?? null };
}

function restoreRows(
  round: StoredRows,
  tables: readonly FollowedTable[],
  place: (destination: Destination) => Destination,
): RowsRound {
  const restored: RowsRound = {
    kind: 'rows',
    tables: new Map(),
    cascades:
      round.cascades === null
        ? null
        : {
            links: round.cascades.links.map((link) => ({ ...link, child: tables[link.child]! })),
            steps: [...round.cascades.steps],
          },
  };
  for (const stored of round.changes) {
    const table = tables[stored.table]!;
    const destination = place(stored.destination);
    const changes = new TableChanges(table, destination, stored.columns);
    changes.received = stored.received;
    for (const [key, entry] of stored.entries) changes.entries.set(key, entry);
    const places = restored.tables.get(table) ?? new Map<Destination, TableChanges>();
    restored.tables.set(table, places);
    places.set(destination, changes);
  }
  return restored;
}
