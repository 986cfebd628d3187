import type { CustomTypesConfig } from 'pg';
import type { Entity } from './entity.ts';
import type { ReadSource } from './gathered-reads.ts';
import { decodeHstore } from './hstore.ts';
import { Key, type KeyOptions } from './key.ts';
import { parseTimestamp } from './timestamp.ts';

/** Every column as the text the server sent: own statements decode by position. */
export const RAW_TYPES: CustomTypesConfig = { getTypeParser: () => (text: string) => text } as never;

export const ENTITY_COLUMNS = 'id, type, body, updated';

/** Makes an entity of the columns {@link ENTITY_COLUMNS}, as text. */
export function decodeEntity(row: readonly unknown[], epoch: KeyOptions): Entity {
  const body = row[2] as string | null;
  return {
    key: new Key(BigInt(row[0] as string), epoch),
    kind: Number(row[1]),
    body: body === null ? {} : decodeHstore(body),
    updated: parseTimestamp(row[3] as string),
  };
}

/** Reads entities of one shard by id. */
export function entityReadSource(shardId: number, table: string, epoch: number): ReadSource {
  const keys = { epoch };
  return {
    shardId,
    selectOne: `select ${ENTITY_COLUMNS} from ${table} where id = $1::bigint`,
    selectMany: `select ${ENTITY_COLUMNS} from ${table} where id = any($1::bigint[])`,
    types: RAW_TYPES,
    decode: (row) => decodeEntity(row, keys),
  };
}
