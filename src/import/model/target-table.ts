import type { PostgresExtension, PostgresType, SourceIndexColumn, SourceTable } from './source-table.ts';

/**
 * How a value is written for COPY. Both paths – the line that MySQL builds for the initial copy and the row image
 * decoded from the binlog – follow the same form, so that a copied row and a streamed row are the same bytes.
 *
 * | form | text in the COPY line |
 * |---|---|
 * | `plain` | ASCII as the source prints it; nothing to escape |
 * | `double` | a number with as many digits as are needed to read it back exactly |
 * | `text` | UTF-8, escaped |
 * | `bytea` | `\\x` and hex digits |
 * | `bits` | zeros and ones, padded to the declared width |
 * | `bits-number` | the bits as a whole number |
 * | `boolean` | 0 or 1 |
 * | `date`, `timestamp`, `timestamptz` | ISO; zero and impossible dates follow the value policy |
 * | `interval` | `-838:59:59.5` |
 * | `time` | as `interval`, but only 00:00 to 24:00 |
 * | `enum` | the label, escaped; MySQL's error value '' follows the value policy |
 * | `set-array` | an array literal of the labels |
 * | `json` | UTF-8, escaped |
 * | `uuid`, `inet` | the server's own text |
 * | `uuid-binary` | 32 hex digits of a binary(16) |
 * | `ewkb`, `ewkb-bytea` | geometry as extended well-known binary, in hex |
 */
export type ValueForm =
  | 'plain'
  | 'double'
  | 'text'
  | 'bytea'
  | 'bits'
  | 'bits-number'
  | 'boolean'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'interval'
  | 'time'
  | 'enum'
  | 'set-array'
  | 'json'
  | 'uuid'
  | 'uuid-binary'
  | 'inet'
  | 'ewkb'
  | 'ewkb-bytea';

/** What is done with a value that the target type cannot hold. */
export type ValuePolicy =
  | { readonly kind: 'null' }
  | { readonly kind: 'value'; readonly text: string }
  | { readonly kind: 'strip' }
  | { readonly kind: 'error' };

export interface TargetColumn {
  readonly name: string;
  /** The type as Postgres takes it; an enum type's name is quoted and qualified when the DDL is made. */
  readonly type: string;
  readonly form: ValueForm;
  readonly nullable: boolean;
  /** An SQL expression, or `null` for none. */
  readonly default: string | null;
  readonly identity: boolean;
  /** Expression of a generated column, when the options ask to keep it generated. */
  readonly generated: string | null;
  /** A generated column that is computed when it is read. */
  readonly virtual?: boolean | undefined;
  /** The enum type made for this column. */
  readonly enumeration: { readonly name: string; readonly labels: readonly string[] } | null;
  readonly comment: string;
  readonly policy: ValuePolicy;
}

export interface TargetIndex {
  readonly name: string;
  readonly unique: boolean;
  readonly columns: readonly SourceIndexColumn[];
  /** The whole statement as `run-statements.ts` takes it, when the columns do not say everything. */
  readonly statement?: string | undefined;
}

/** How rows of a table are told apart when changes are applied. */
export type RowIdentity =
  /** By the primary key, or by a unique key whose columns are all NOT NULL. */
  | { readonly kind: 'key'; readonly columns: readonly string[] }
  /** By all their values: the table has no key. */
  | { readonly kind: 'whole-row' };

/** A table as it stands, or shall stand, in Postgres. */
export interface TargetTable {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly TargetColumn[];
  readonly primaryKey: readonly string[];
  readonly identity: RowIdentity;
  readonly indexes: readonly TargetIndex[];
  readonly checks: readonly { readonly name: string; readonly expression: string }[];
  readonly comment: string;
  /** What could not be carried over, as sentences for the report. */
  readonly remarks: readonly string[];
  /** It was there before and belongs to the user (`keep_existing_schema`): only its rows are ours. */
  readonly kept?: boolean | undefined;
  /** A row that arrives takes the place of one with the same values here, whatever else its key holds. */
  readonly replaces?: readonly string[] | undefined;
  /** What a server needs before the table can be made: types of the user, extensions, functions. */
  readonly needs?: TargetNeeds | undefined;
}

/** A table of which nothing is known but its name: one that is set aside before it could be mapped. */
export function unmappedTable(schema: string, name: string): TargetTable {
  return {
    schema,
    name,
    columns: [],
    primaryKey: [],
    identity: { kind: 'whole-row' },
    indexes: [],
    checks: [],
    comment: '',
    remarks: [],
  };
}

export interface TargetNeeds {
  readonly types: readonly PostgresType[];
  readonly extensions: readonly PostgresExtension[];
  /** Not made by us; `public.slug(text)`. */
  readonly functions: readonly string[];
}

/** A source table together with where it goes. */
export interface MappedTable {
  readonly source: SourceTable;
  readonly target: TargetTable;
}
