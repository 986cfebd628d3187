import pg, { type Connection, type CustomTypesConfig, type QueryArrayResult } from 'pg';

export interface LaneQueryConfig {
  readonly text: string;
  readonly rowMode: 'array';
  /** Prepares the statement on the session under this name. */
  readonly name?: string | undefined;
  readonly values?: unknown[] | undefined;
  readonly types?: CustomTypesConfig | undefined;
  /** Prepares and plans the statement, and does not run it. */
  readonly planOnly?: boolean | undefined;
}

/** What node-postgres reads the rows of one result with. */
interface RowReader {
  fields: unknown;
  _parsers: unknown;
  readonly _types: unknown;
}

/** The inside of node-postgres' Query, which this stands on. */
interface QueryInside {
  readonly name: string | undefined;
  readonly _result: RowReader;
  _accumulateRows: boolean;
  hasBeenParsed(connection: Connection): boolean;
  prepare(connection: Connection): void;
  handleRowDescription(message: unknown): void;
}

const Query = pg.Query as unknown as new (
  config: LaneQueryConfig,
  callback: (error: unknown, result: QueryArrayResult) => void,
) => QueryInside;

/** How rows of the statements prepared on a session are read, by name. */
const readersOf = new WeakMap<Connection, Map<string, RowReader>>();

/**
 * A statement that asks for its columns only the first time it runs on a session, which spares the server and this
 * process a tenth of the work of a small batch. They can't change: after an ALTER TABLE Postgres refuses a statement
 * that was prepared before (0A000), instead of answering with other columns.
 */
export class LaneQuery extends Query {
  readonly #planOnly: boolean;
  #readers: Map<string, RowReader> | undefined;

  constructor(config: LaneQueryConfig, callback: (error: unknown, result: QueryArrayResult) => void) {
    super(config, callback);
    this.#planOnly = config.planOnly ?? false;
  }

  override prepare(connection: Connection): void {
    if (this.#planOnly) return without('execute', connection, () => this.#prepare(connection));
    this.#prepare(connection);
  }

  #prepare(connection: Connection): void {
    if (this.name === undefined) return super.prepare(connection);
    this.#readers = readersOf.get(connection) ?? new Map();
    readersOf.set(connection, this.#readers);
    const known = this.#readers.get(this.name);
    if (known === undefined || known._types !== this._result._types || !this.hasBeenParsed(connection)) {
      return super.prepare(connection);
    }
    this._result.fields = known.fields;
    this._result._parsers = known._parsers;
    this._accumulateRows = true;
    without('describe', connection, () => super.prepare(connection));
  }

  override handleRowDescription(message: unknown): void {
    super.handleRowDescription(message);
    if (this.name === undefined) return;
    const { fields, _parsers, _types } = this._result;
    this.#readers?.set(this.name, { fields, _parsers, _types });
  }
}

/** node-postgres sends bind, describe and execute in one go; here one of them is left out. */
function without(message: 'describe' | 'execute', connection: Connection, send: () => void): void {
  const own = connection as unknown as Partial<Record<typeof message, () => void>>;
  own[message] = () => {};
  try {
    send();
  } finally {
    delete own[message];
  }
}
