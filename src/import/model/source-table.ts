/** What a column holds when an insert does not name it. */
export type SourceDefault =
  | { readonly kind: 'literal'; readonly text: string }
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
}

/** `schema.table`, the way configuration and messages name a table. */
export function qualifiedName(table: { readonly schema: string; readonly name: string }): string {
  return `${table.schema}.${table.name}`;
}
