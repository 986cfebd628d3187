/** Which tables to describe: all of the schemas, or only one. */
export interface TableScope {
  readonly schemas: readonly string[];
  readonly table?: string | undefined;
}

/** The WHERE clause and its values. The names of the columns differ between the views of information_schema. */
export function where(
  scope: TableScope,
  schemaColumn: string,
  tableColumn: string,
): { sql: string; values: unknown[] } {
  if (scope.table === undefined) return { sql: `${schemaColumn} in (?)`, values: [scope.schemas] };
  return { sql: `${schemaColumn} in (?) and ${tableColumn} = ?`, values: [scope.schemas, scope.table] };
}
