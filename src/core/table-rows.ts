import pg, { type CustomTypesConfig, type QueryArrayResult } from 'pg';
import { decodeHstore } from './hstore.ts';

const INT8 = 20;

/** Rows as node-postgres makes them, but int8 as bigint and hstore as an object. */
export function tableTypes(hstoreOid: () => number | undefined): CustomTypesConfig {
  return {
    getTypeParser: (oid: number, format?: 'text' | 'binary') => {
      if (oid === INT8) return BigInt;
      if (oid === hstoreOid()) return decodeHstore;
      return pg.types.getTypeParser(oid, format as 'text');
    },
  } as CustomTypesConfig;
}

/** Makes an object of a row read as an array, leaving out the first `skip` columns. */
export function rowObject(row: readonly unknown[], result: QueryArrayResult, skip: number): Record<string, unknown> {
  const { fields } = result;
  const object: Record<string, unknown> = {};
  for (let i = skip; i < fields.length; i++) object[fields[i]!.name] = row[i];
  return object;
}
