import { expect, it } from 'vitest';
import {
  heldBody,
  restoreHeld,
  storeHeld,
  TransactionToHold,
  unfollowable,
} from '../../src/import/mysql/binlog/held-transaction.ts';
import { PacketReader } from '../../src/import/mysql/binlog/packet-reader.ts';
import type { FollowedTable } from '../../src/import/stream/followed-table.ts';

const TABLE_MAP = 19;
const INSERT = 23;
const header = { timestamp: 7, nextPosition: 0 };

const followed = (name: string, id = 1, version = 1): FollowedTable =>
  ({ id, version, source: { schema: 's', name } }) as unknown as FollowedTable;

/** Only what comes before the columns: table id, flags, schema and name. */
function tableMap(id: number, name: string): PacketReader {
  return new PacketReader(
    Buffer.from([id, 0, 0, 0, 0, 0, 0, 0, 1, ...Buffer.from('s'), 0, name.length, ...Buffer.from(name), 0]),
  );
}

const rows = (id: number, length = 10): PacketReader => new PacketReader(Buffer.alloc(length, id).fill(0, 1, 6));

function toHold(tables: readonly FollowedTable[], maxBytes = 1_000): TransactionToHold {
  return new TransactionToHold({
    find: (_schema, name) => tables.find(({ source }) => source.name === name) ?? null,
    wants: (_schema, name) => name !== 'other',
    maxBytes,
  });
}

it('keeps the events of tables that are wanted, followed already or not', () => {
  const work = toHold([followed('t', 5, 3)]);
  work.take(TABLE_MAP, tableMap(1, 't'), header);
  work.take(INSERT, rows(1), header);
  work.take(TABLE_MAP, tableMap(2, 'other'), header);
  work.take(INSERT, rows(2), header);
  work.take(TABLE_MAP, tableMap(2, 'new'), header);
  work.take(INSERT, rows(2), header);
  const held = restoreHeld(storeHeld(work.hold()));
  expect(held.tables).toEqual([
    { schema: 's', name: 't', followed: { id: 5, version: 3 } },
    { schema: 's', name: 'new', followed: null },
  ]);
  expect(held.events!.map(({ type, timestamp }) => [type, timestamp])).toEqual([
    [TABLE_MAP, 7],
    [INSERT, 7],
    [TABLE_MAP, 7],
    [INSERT, 7],
  ]);
  expect(heldBody(held.events![3]!).bytes[0]).toBe(2);
  expect([...unfollowable(held, [followed('t', 5, 3), followed('new', 6)])]).toEqual([]);
});

it('names the tables whose rows can no longer be told: changed, renamed, or too many to be held', () => {
  const work = toHold([followed('a', 1), followed('b', 2)]);
  work.take(TABLE_MAP, tableMap(1, 'a'), header);
  work.take(TABLE_MAP, tableMap(2, 'b'), header);
  const found = [...unfollowable(work.hold(), [followed('a', 1, 2), followed('c', 2, 1)])];
  expect(found.map(([{ source }, reason]) => [source.name, /structure changed/.test(reason)])).toEqual([
    ['a', true],
    ['c', true],
  ]);
  const large = toHold([followed('a', 1)], 100);
  large.take(TABLE_MAP, tableMap(1, 'a'), header);
  large.take(INSERT, rows(1, 90), header);
  expect(large.hold().events).toBeNull();
  expect([...unfollowable(large.hold(), [followed('a', 1)])]).toEqual([
    [followed('a', 1), expect.stringMatching(/more of it than is held/)],
  ]);
});
