import type { Target } from './fill.ts';

/** Another way to read or write, made for one question and closed behind it. */
export interface GetRival {
  get(target: Target): Promise<unknown>;
  close(): Promise<void>;
}

/** What the rivals read: `table` without its schema, its columns, and what becomes of a row. */
export interface Reading {
  readonly table: string;
  readonly columns: string;
  readonly decode: (row: Record<string, unknown>) => unknown;
}
