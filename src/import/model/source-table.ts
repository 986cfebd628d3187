/** What a column holds when an insert does not name it. */
export type SourceDefault =
  | { readonly kind: 'literal'; readonly text: string }
  /** Of a binary column: its bytes in hexadecimal digits. */
  | { readonly kind: 'bytes'; readonly text: string }
  | { readonly kind: 'expression'; readonly text: string };

/** A column as the source declares it. */
export interface SourceColumn {
  readonly name: string;
  /** The full type in the source's own words: `int(10) unsigned`, `enum('a','b')`, `character varying(80)`. */
  readonly type: string;
  readonly nullable: boolean;
  readonly default: SourceDefault | null;
  readonly autoIncrement: boolean;
  /** The expression of a generated column, in the source's dialect. */
  readonly generated: string | null;
  /** Character set of a text column, as the source names it. */
  readonly charset: string | null;
  readonly comment: string;
  /** MariaDB's JSON is longtext with a check; this says that the check is there. */
  readonly json?: boolean | undefined;
  /** What only Postgres has to say of a column. */
  readonly postgres?: PostgresColumn | undefined;
}

/** A Postgres column's place and type, as its replication messages name them. */
export interface PostgresColumn {
  /** Tells a renamed column from one that was dropped and one that was added. */
  readonly attnum: number;
  readonly typeOid: number;
  readonly typmod: number;
  /** A generated column that is computed when it is read. */
  readonly virtual: boolean;
  /** Whether a large value of it is stored apart, and so not repeated in the log when it stays. */
  readonly large: boolean;
  /** The value that rows older than the column show, as text; `null` when they show NULL. */
  readonly missing: string | null;
  /** The transaction that changed its definition last. */
  readonly changed?: string | undefined;
}

/** One column of an index. `prefix` is the number of characters MySQL indexes, when not all of them. */
export interface SourceIndexColumn {
  readonly name: string;
  readonly prefix: number | null;
  readonly descending: boolean;
}

export interface SourceIndex {
  readonly name: string;
  readonly unique: boolean;
  readonly kind: 'btree' | 'fulltext' | 'spatial';
  readonly columns: readonly SourceIndexColumn[];
  /** The whole statement, for what the fields above cannot say; see {@link TargetIndex.statement}. */
  readonly statement?: string | undefined;
}

/** What happens to the child rows when a parent row goes away or changes its key. */
export type ForeignKeyAction = 'no action' | 'restrict' | 'cascade' | 'set null' | 'set default';

export interface SourceForeignKey {
  readonly name: string;
  readonly columns: readonly string[];
  readonly parentSchema: string;
  readonly parentTable: string;
  readonly parentColumns: readonly string[];
  readonly onDelete: ForeignKeyAction;
  readonly onUpdate: ForeignKeyAction;
  /** `deferrable initially deferred`, when it is. */
  readonly timing?: string | undefined;
}

export interface SourceCheck {
  readonly name: string;
  readonly expression: string;
}

/** A base table as the source declares it, at some moment of its history. */
export interface SourceTable {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly SourceColumn[];
  /** Columns of the primary key in its order; empty when there is none. */
  readonly primaryKey: readonly string[];
  readonly indexes: readonly SourceIndex[];
  readonly foreignKeys: readonly SourceForeignKey[];
  readonly checks: readonly SourceCheck[];
  readonly comment: string;
  /** Whether a snapshot of it is consistent without a lock (InnoDB yes, MyISAM no). */
  readonly transactional: boolean;
  /** The source's own estimates, for progress and for the size of chunks. */
  readonly estimatedRows: number;
  readonly estimatedBytes: number;
  /** The number that the source gives out next, as a decimal text; `null` when it numbers no column. */
  readonly nextNumber: string | null;
  /** What only Postgres has to say of a table. */
  readonly postgres?: PostgresTable | undefined;
}

/** How a Postgres table is replicated, and what it needs beside itself. */
export interface PostgresTable {
  readonly oid: number;
  readonly partitioned: boolean;
  /** Its partitions that hold rows, quoted and qualified. */
  readonly partitions: readonly string[];
  /** All of them, at any depth, by number. */
  readonly partitionOids?: readonly number[] | undefined;
  /** Names the file of its rows: another one means that all rows were written anew. `0` for a partitioned table. */
  readonly storage: string;
  readonly unlogged: boolean;
  /** What the log says of the old version of a row: the key, nothing, all of it, or the columns of an index. */
  readonly replicaIdentity: 'key' | 'nothing' | 'full' | 'index';
  /** The columns of it; empty for `full` and `nothing`. */
  readonly identityColumns: readonly string[];
  /** Types of the user that its columns have, those first that others are made of. */
  readonly types: readonly PostgresType[];
  readonly extensions: readonly PostgresExtension[];
  /** Functions of the user in its defaults, checks, indexes and generated columns: `public.slug(text)`. */
  readonly functions: readonly string[];
  /** Why it cannot be made elsewhere. */
  readonly refusals: readonly string[];
}

export interface PostgresExtension {
  readonly name: string;
  readonly schema: string;
}

/** A type made by the user. */
export interface PostgresType {
  readonly schema: string;
  readonly name: string;
  /** Of an enum, in their order. */
  readonly labels: readonly string[] | null;
  readonly create: string;
}

/** `schema.table`, the way configuration and messages name a table. */
export function qualifiedName(table: { readonly schema: string; readonly name: string }): string {
  return `${table.schema}.${table.name}`;
}
