import { quoteIdentifier, quoteLiteral } from '../../../internal/quote.ts';
import type { PostgresExtension, PostgresType } from '../../model/source-table.ts';

/** A row of {@link TYPES_SQL}. */
export interface TypeRow {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  /** b base, c composite, d domain, e enum, m multirange, r range */
  readonly kind: string;
  readonly element: string;
  readonly is_array: boolean;
  readonly base_oid: string;
  readonly base: string;
  readonly required: boolean;
  readonly default: string | null;
  readonly extension: string | null;
  readonly extension_schema: string | null;
  readonly labels: readonly string[];
  readonly checks: readonly string[];
  readonly attributes: readonly string[];
  readonly attribute_oids: readonly string[];
  readonly subtype_oid: string | null;
  readonly subtype: string | null;
  /** Of a range: the type of several of them. */
  readonly multirange: string | null;
  readonly range_oid: string | null;
  readonly relation_kind: string | null;
}

/** What a table's columns need of types and extensions, and why a column cannot be had at all. */
export interface TypeNeeds {
  readonly types: readonly PostgresType[];
  readonly extensions: readonly PostgresExtension[];
  readonly refusals: readonly string[];
}

/** The types of the user, and what they are made of. Types of the system are not in it. */
export class UserTypes {
  readonly #byOid: ReadonlyMap<string, TypeRow>;

  constructor(rows: readonly TypeRow[]) {
    this.#byOid = new Map(rows.map((row) => [row.oid, row]));
  }

  /** What columns of these types need: what a type is made of comes before it. */
  needsOf(oids: readonly number[]): TypeNeeds {
    const types = new Map<string, PostgresType>();
    const extensions = new Map<string, PostgresExtension>();
    const refusals: string[] = [];
    const seen = new Set<string>();
    const visit = (oid: string): void => {
      const row = this.#byOid.get(oid);
      if (row === undefined || seen.has(oid)) return;
      seen.add(oid);
      if (row.extension !== null) {
        extensions.set(row.extension, { name: row.extension, schema: row.extension_schema! });
        return;
      }
      const parts = [...(row.is_array ? [row.element] : []), row.base_oid, row.subtype_oid, row.range_oid];
      for (const part of [...parts, ...row.attribute_oids]) if (part !== null && part !== '0') visit(part);
      if (row.is_array || row.kind === 'm') return;
      const create = createStatement(row);
      if (create === null) refusals.push(`the type ${row.schema}.${row.name} cannot be made elsewhere`);
      else {
        const labels = row.kind === 'e' ? row.labels : null;
        types.set(oid, { schema: row.schema, name: row.name, labels, create });
      }
    };
    for (const oid of oids) visit(String(oid));
    return { types: [...types.values()], extensions: [...extensions.values()], refusals };
  }
}

function createStatement(row: TypeRow): string | null {
  const name = `${quoteIdentifier(row.schema)}.${quoteIdentifier(row.name)}`;
  switch (row.kind) {
    case 'e':
      return `create type ${name} as enum (${row.labels.map((label) => quoteLiteral(label).trim()).join(', ')})`;
    case 'd': {
      const value = row.default === null ? '' : ` default ${row.default}`;
      return `create domain ${name} as ${row.base}${value}${row.required ? ' not null' : ''} ${row.checks.join(' ')}`.trim();
    }
    case 'r':
      return `create type ${name} as range (subtype = ${row.subtype}, multirange_type_name = ${row.multirange})`;
    case 'c':
      // The row type of a table comes with its table only
      return row.relation_kind === 'c' ? `create type ${name} as (${row.attributes.join(', ')})` : null;
    default:
      return null;
  }
}
