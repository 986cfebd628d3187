import { quoteIdentifier, quoteLiteral } from '../../../internal/quote.ts';
import { columnList, qualify } from '../../apply/table-sql.ts';
import { fitName } from '../../mapping/names.ts';
import type { KeyColumn } from '../../route/key-column.ts';
import { UNFILLED } from '../../route/table-routing.ts';

/** Quoted names and lists that the statements of one column are made of. */
export interface KeyColumnNames {
  readonly child: string;
  readonly parent: string;
  readonly column: string;
  /** Of the unique index on the parent. */
  readonly index: string;
  /** Of the foreign key with both columns, of the trigger, of its function, and of the check. */
  readonly added: string;
  readonly parentKey: readonly string[];
}

export function namesOf({ table, parent, foreignKey, name }: KeyColumn): KeyColumnNames {
  return {
    child: qualify(table.schema, table.name),
    parent: qualify(parent.schema, parent.name),
    column: quoteIdentifier(name),
    index: fitName(parent.name, ...foreignKey.parentColumns, name, 'hv'),
    added: fitName(table.name, name, 'hv'),
    parentKey: [...foreignKey.parentColumns, name],
  };
}

/** The foreign key's target. Built beside the writers; it also makes a change of the parent's column one of a key. */
export function indexStatement(column: KeyColumn): string {
  const { index, parent, parentKey } = namesOf(column);
  return `create unique index concurrently ${quoteIdentifier(index)} on ${parent} (${columnList(parentKey)})`;
}

/**
 * The column, the trigger that gives it to new rows, and the foreign key that changes it with the parent's. Takes an
 * access exclusive lock on the table for a moment; the rows that are there stay without a value.
 *
 * The trigger locks the parent's row as a foreign key's own check does (FOR KEY SHARE), so whoever changes the
 * parent's column waits, and its cascade meets the new row.
 */
export function addStatements(column: KeyColumn): string[] {
  const { table, foreignKey, type } = column;
  const { child, parent, added, column: name, parentKey } = namesOf(column);
  const body = qualify(table.schema, added);
  const on = foreignKey.columns.map(
    (own, n) => `p.${quoteIdentifier(foreignKey.parentColumns[n]!)} = new.${quoteIdentifier(own)}`,
  );
  const stays = [...foreignKey.columns, column.name].map(
    (own) => `new.${quoteIdentifier(own)} is not distinct from old.${quoteIdentifier(own)}`,
  );
  return [
    `alter table ${child} add column ${name} ${type}`,
    `comment on column ${child}.${name} is ${quoteLiteral(UNFILLED).trim()}`,
    `create or replace function ${body}()
     returns trigger language plpgsql security definer set search_path = '' as $$
     begin
       if tg_op = 'UPDATE' and new.${name} is not null and ${stays.join(' and ')} then
         return new;
       end if;
       select p.${name} into new.${name} from ${parent} p where ${on.join(' and ')} for key share;
       return new;
     end $$`,
    `create trigger ${quoteIdentifier(added)} before insert or update on ${child}
     for each row execute function ${body}()`,
    `alter table ${child} add constraint ${quoteIdentifier(added)}
     foreign key (${columnList([...foreignKey.columns, column.name])}) references ${parent} (${columnList(parentKey)})
     on update cascade on delete ${foreignKey.onDelete} not valid`,
  ];
}

/** Rows without a value get theirs from the trigger. With bounds, those between two pages. */
export function fillStatement(column: KeyColumn, pages?: { readonly from: number; readonly to: number }): string {
  const { child, column: name } = namesOf(column);
  const between = pages === undefined ? '' : ` and ctid >= '(${pages.from},0)'::tid and ctid < '(${pages.to},0)'::tid`;
  return `update ${child} set ${name} = null where ${name} is null${between}`;
}

/** The rows that were there keep the rules too; the check spares a second reading of them under a lock. */
export function checkStatements(column: KeyColumn): string[] {
  const { child, added, column: name } = namesOf(column);
  const check = quoteIdentifier(fitName(added, 'set'));
  return [
    `alter table ${child} validate constraint ${quoteIdentifier(added)}`,
    `alter table ${child} drop constraint if exists ${check}`,
    `alter table ${child} add constraint ${check} check (${name} is not null) not valid`,
    `alter table ${child} validate constraint ${check}`,
  ];
}

/** The column can be relied on. The log tells it of rows that go, so that they are found in their shard. */
export function finishStatements(column: KeyColumn): string[] {
  const { child, added, column: name } = namesOf(column);
  return [
    `alter table ${child} alter column ${name} set not null`,
    `alter table ${child} drop constraint ${quoteIdentifier(fitName(added, 'set'))}`,
    `alter table ${child} replica identity full`,
    `comment on column ${child}.${name} is null`,
  ];
}

/** Everything in its order, for people who run it themselves. */
export function keyColumnSql(column: KeyColumn): string[] {
  const withoutMark = (statement: string): boolean => !statement.startsWith('comment on');
  return [
    indexStatement(column),
    ...addStatements(column).filter(withoutMark),
    fillStatement(column),
    ...checkStatements(column),
    ...finishStatements(column).filter(withoutMark),
  ];
}
