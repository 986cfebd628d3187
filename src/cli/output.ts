import Table from 'cli-table3';
import pc from 'picocolors';
import { HypervaultError } from '../errors.ts';

/** Where output goes. */
export interface OutputStreams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

/** A cell of a table for people. */
export type Cell = string | number | bigint | boolean | Date | null | undefined;

/**
 * What commands print: results on stdout, for people or as JSON, and everything else on stderr.
 */
export class Output {
  readonly json: boolean;
  readonly #streams: OutputStreams;
  readonly #colors: ReturnType<typeof pc.createColors>;

  constructor({ json, ...streams }: OutputStreams & { readonly json: boolean }) {
    this.json = json;
    this.#streams = streams;
    // picocolors knows NO_COLOR and FORCE_COLOR; it can't know that stdout may be another stream than the process's.
    this.#colors = pc.createColors(pc.isColorSupported && streams.stdout.isTTY === true && !json);
  }

  get stdout(): NodeJS.WriteStream {
    return this.#streams.stdout;
  }

  get stderr(): NodeJS.WriteStream {
    return this.#streams.stderr;
  }

  /** Prints one value: a line of JSON, or what `forPeople` makes of it. */
  value<T>(value: T, forPeople: (value: T, paint: ReturnType<typeof pc.createColors>) => string): void {
    this.#streams.stdout.write(`${this.json ? toJson(value) : forPeople(value, this.#colors)}\n`);
  }

  /** Prints a list: a line of JSON for each, or a table. */
  list<T>(items: readonly T[], head: readonly string[], row: (item: T) => readonly Cell[]): void {
    if (this.json) {
      for (const item of items) this.#streams.stdout.write(`${toJson(item)}\n`);
    } else {
      this.#streams.stdout.write(`${this.table(head, items.map(row))}\n`);
    }
  }

  /** Prints text as it is, e.g. help. */
  plain(text: string): void {
    this.#streams.stdout.write(text);
  }

  /** A table as text. */
  table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
    const numeric = head.map((_, column) => rows.length > 0 && rows.every((row) => isNumber(row[column])));
    const table = new Table({
      head: head.map((title) => this.#colors.bold(title)),
      colAligns: numeric.map((right) => (right ? 'right' : 'left')),
      chars: NO_FRAME,
      style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    });
    table.push(...rows.map((row) => row.map(cellText)));
    return table
      .toString()
      .split('\n')
      .map((line) => line.trimEnd())
      .join('\n');
  }

  /** Says something to the person at the terminal; not part of the result. */
  note(text: string): void {
    if (!this.json) this.#streams.stderr.write(`${text}\n`);
  }

  /** Something is amiss and the command goes on: always said. */
  warn(text: string): void {
    const line = this.json ? toJson({ warning: text }) : `hypervault: warning: ${text}`;
    this.#streams.stderr.write(`${line}\n`);
  }

  /** A failure as a sentence, or with `--json` as `{"error":{code,message,retryable}}`; without a stack. */
  error(error: unknown): void {
    this.#streams.stderr.write(
      `${this.json ? toJson({ error: describe(error) }) : `hypervault: ${sentence(error)}`}\n`,
    );
  }
}

/** JSON of a value on one line: bigints as decimal text, dates in ISO 8601. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? item.toString() : item));
}

function describe(error: unknown): { code: string; message: string; retryable: boolean } {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  return {
    code: typeof code === 'string' ? code : 'FAILED',
    message: sentence(error),
    retryable: error instanceof HypervaultError && error.retryable,
  };
}

function sentence(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(sentence).join('; ');
  return error instanceof Error ? error.message : String(error);
}

function isNumber(cell: Cell): boolean {
  return typeof cell === 'number' || typeof cell === 'bigint' || cell === null || cell === undefined;
}

function cellText(cell: Cell): string {
  if (cell === null || cell === undefined) return '';
  return cell instanceof Date ? cell.toISOString() : String(cell);
}

const NO_FRAME = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};
