/** How far the copy of the tables is. */
export interface CopyProgress {
  /** Table just worked on, `schema.table`. */
  readonly table: string;
  readonly tablesDone: number;
  readonly tablesTotal: number;
  readonly rows: number;
  /** The source's own estimate. */
  readonly estimatedRows: number;
  readonly rowsPerSecond: number;
  /** `null` while nothing can be said. */
  readonly timeLeftMs: number | null;
}

/** Counts rows and tells now and then. */
export class ProgressMeter {
  readonly #onProgress: (progress: CopyProgress) => void;
  readonly #estimatedRows: number;
  readonly #tablesTotal: number;
  readonly #startedAt = Date.now();
  #rows = 0;
  #rowsBefore: number;
  #tablesDone = 0;
  #toldAt = 0;

  /** @param rowsBefore - copied by an earlier run that is being resumed */
  constructor(
    totals: { readonly tables: number; readonly estimatedRows: number; readonly rowsBefore: number },
    onProgress: (progress: CopyProgress) => void,
  ) {
    this.#tablesTotal = totals.tables;
    this.#estimatedRows = totals.estimatedRows;
    this.#rowsBefore = totals.rowsBefore;
    this.#onProgress = onProgress;
  }

  get rows(): number {
    return this.#rowsBefore + this.#rows;
  }

  add(table: string, rows: number): void {
    this.#rows += rows;
    if (Date.now() - this.#toldAt >= 200) this.tell(table);
  }

  tableDone(table: string): void {
    this.#tablesDone += 1;
    this.tell(table);
  }

  tell(table: string): void {
    this.#toldAt = Date.now();
    const seconds = (this.#toldAt - this.#startedAt) / 1_000;
    const rowsPerSecond = seconds > 0 ? this.#rows / seconds : 0;
    const left = Math.max(0, this.#estimatedRows - this.rows);
    this.#onProgress({
      table,
      tablesDone: this.#tablesDone,
      tablesTotal: this.#tablesTotal,
      rows: this.rows,
      estimatedRows: Math.max(this.#estimatedRows, this.rows),
      rowsPerSecond: Math.round(rowsPerSecond),
      timeLeftMs: rowsPerSecond === 0 ? null : Math.round((left / rowsPerSecond) * 1_000),
    });
  }
}
