import type { Client } from 'pg';
import type { SourceTable } from '../../model/source-table.ts';

/** What of a table can change without a word in the log. */
export interface StructureNow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Names the file of its rows. */
  readonly storage: string;
  readonly columns: readonly {
    readonly name: string;
    readonly attnum: number;
    readonly typeOid: number;
    readonly typmod: number;
    /** As SQL writes it. */
    readonly type: string;
    /** The transaction that changed its definition last. */
    readonly changed: string;
    /** Of a generated column. */
    readonly expression: string | null;
  }[];
  /** Every partition at any depth, and whether it was made as one: then it was empty. */
  readonly partitions: readonly { readonly oid: number; readonly name: string; readonly born: boolean }[];
}

/**
 * CREATE TABLE … PARTITION OF writes a table's entry among the partitions two or three steps after its columns (seen in
 * PostgreSQL 15 and 18). A table that got rows before it was attached, in the same transaction, has more in between.
 */
const OWN_STEPS = 3;

const STRUCTURE_SQL = `
select c.oid::int8 as oid, n.nspname as schema, c.relname as name, c.relfilenode::text as storage,
       (select json_agg(json_build_object(
                 'name', a.attname, 'attnum', a.attnum, 'typeOid', a.atttypid::int8, 'typmod', a.atttypmod, 'type', format_type(a.atttypid, a.atttypmod), 'changed', a.xmin::text,
                 'expression', case when a.attgenerated <> '' then pg_get_expr(d.adbin, d.adrelid) end) order by a.attnum)
          from pg_attribute a
          left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
       (select coalesce(json_agg(json_build_object('oid', t.relid::oid::int8, 'name', t.relid::regclass::text, 'born',
                 i.xmin = s.xmin and (current_setting('server_version_num')::int < 150000 or i.cmin::text::int - s.cmin::text::int <= ${OWN_STEPS}))), '[]')
          from pg_partition_tree(c.oid) t
          join pg_inherits i on i.inhrelid = t.relid
          join pg_attribute s on s.attrelid = t.relid and s.attnum = -1
         where c.relkind = 'p' and t.level > 0) as partitions
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.oid = any($1::oid[])`;

/** The tables as the catalogue has them now, by oid; one that is gone is missing. */
export async function readStructures(client: Client, oids: readonly number[]): Promise<Map<number, StructureNow>> {
  const { rows } = await client.query<StructureNow & Record<string, unknown>>(STRUCTURE_SQL, [oids]);
  return new Map(rows.map((row) => [Number(row.oid), row]));
}

/**
 * Why the rows of a table can no longer be what the log tells, or `null`. Only what is never followed counts: the
 * catalogue may be further on than the stream, which comes to all other changes by itself.
 */
export function unloggedChange({ columns, postgres }: SourceTable, now: StructureNow | undefined): string | null {
  const before = postgres!;
  if (now === undefined) return 'it was dropped in the source';
  for (const known of columns) {
    const { attnum, typeOid, typmod, changed, missing } = known.postgres!;
    const current = now.columns.find(({ name }) => name === known.name);
    if (current === undefined) continue;
    const isSameType = current.typeOid === typeOid && current.typmod === typmod;
    // Names that went round have numbers that we know
    const isNew = !columns.some((column) => column.postgres!.attnum === current.attnum);
    if (isNew && isSameType)
      return `its column ${known.name} was dropped and made anew, and when cannot be told from the log`;
    if (known.generated !== current.expression && current.attnum === attnum)
      return `its generated column ${known.name} is computed in another way now`;
    // Writing all rows anew, as VACUUM FULL does, touches columns too whose values older rows lacked
    const hasOtherFile = before.storage === '0' || now.storage !== before.storage;
    if (!isSameType && current.attnum === attnum && hasOtherFile)
      return `the column ${known.name} became ${current.type}, and its rows were written anew with values that no log tells`;
    const isRewritten = before.storage !== '0' && hasOtherFile && missing === null;
    if (changed !== undefined && current.changed !== changed && isSameType && isRewritten)
      return `its rows were written anew when the column ${known.name} was changed, with values that no log tells`;
  }
  const gone = before.partitionOids?.find((oid) => !now.partitions.some((one) => one.oid === oid));
  if (gone !== undefined) return 'a partition of it was detached or dropped, and which rows went with it no log tells';
  const attached = now.partitions.find(({ oid, born }) => !born && before.partitionOids?.includes(oid) === false);
  if (attached !== undefined) return `${attached.name} was attached to it with the rows it had, which are in no log`;
  return null;
}

/**
 * How a table differs from what we know of it, or `null`. What the log tells of it comes with the next row that is
 * written, and not before.
 */
export function unspokenChange({ schema, name, columns }: SourceTable, now: StructureNow | undefined): string | null {
  if (now === undefined) return 'it was dropped';
  if (now.schema !== schema || now.name !== name) return `it is ${now.schema}.${now.name} now`;
  for (const known of columns) {
    const { attnum, typeOid, typmod } = known.postgres!;
    const current = now.columns.find((column) => column.attnum === attnum);
    if (current === undefined) return `its column ${known.name} was dropped`;
    if (current.name !== known.name) return `its column ${known.name} is ${current.name} now`;
    if (current.typeOid !== typeOid || current.typmod !== typmod)
      return `its column ${known.name} became ${current.type}`;
  }
  const added = now.columns.find(({ attnum }) => !columns.some(({ postgres }) => postgres!.attnum === attnum));
  return added === undefined ? null : `its column ${added.name} was added`;
}

/** The same for people. */
export function unspokenChangeMessage(change: string): string {
  return `${change} in the source, and no row was written since, with which the log would tell`;
}
