import type { Client } from 'pg';
import type { KeyRange, RowKey } from './key-range.ts';
import { RowStatements, type Statement } from './row-statements.ts';
import type { TableShape } from './table-shape.ts';

/** One row as one server has it. */
export interface RowState {
  readonly key: RowKey;
  readonly hash: string;
  /** The transaction that wrote it: a row that was written meanwhile, to whatever value, has another. */
  readonly version: string;
}

/** What a range holds on one server. */
export interface RangeSum {
  readonly rows: bigint;
  readonly hash: string;
}

/** One server's copy of a table. */
export class TableCopy {
  readonly #client: Client;
  readonly #statements: RowStatements;

  constructor(client: Client, schema: string, shape: TableShape) {
    this.#client = client;
    this.#statements = new RowStatements(schema, shape);
  }

  async boundary(after: RowKey | undefined, rows: number): Promise<RowKey | undefined> {
    const [row] = await this.#ask<{ key: string[] }>(this.#statements.boundary(after, rows));
    return row?.key;
  }

  async sum(range: KeyRange): Promise<RangeSum> {
    const [row] = await this.#ask<{ rows: string; hash: string }>(this.#statements.sum(range));
    return { rows: BigInt(row!.rows), hash: row!.hash };
  }

  /** Rows by their key's text. */
  async rowsOf(range: KeyRange, limit: number): Promise<Map<string, RowState>> {
    return byKey(await this.#ask<RowState>(this.#statements.rowsOf(range, limit)));
  }

  async rowsAt(keys: readonly RowKey[]): Promise<Map<string, RowState>> {
    if (keys.length === 0) return new Map();
    return byKey(await this.#ask<RowState>(this.#statements.rowsAt(keys)));
  }

  /** Runs `work` while nobody can write the row of this key: no other is held, so nobody can wait in a circle. */
  async holding<T>(key: RowKey, lockTimeoutMs: number, work: (row: RowState | undefined) => Promise<T>): Promise<T> {
    await this.#client.query(`begin read write; set local lock_timeout = ${lockTimeoutMs}`);
    try {
      const [row] = await this.#ask<RowState>(this.#statements.hold(key));
      return await work(row);
    } finally {
      await this.#client.query('rollback');
    }
  }

  async #ask<Row extends object>({ text, values }: Statement): Promise<Row[]> {
    return (await this.#client.query<Row>(text, [...values])).rows;
  }
}

/** The two copies that are compared. */
export interface TablePair {
  readonly source: TableCopy;
  readonly target: TableCopy;
}

/** A key as a text that no other key has. */
export function keyText(key: RowKey): string {
  return JSON.stringify(key);
}

function byKey(rows: readonly RowState[]): Map<string, RowState> {
  return new Map(rows.map((row) => [keyText(row.key), row]));
}
