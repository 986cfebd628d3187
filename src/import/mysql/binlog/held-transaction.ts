import { deserialize, serialize } from 'node:v8';
import type { FollowedTable } from '../../stream/followed-table.ts';
import { PacketReader } from './packet-reader.ts';
import { TABLE_MAP_EVENT } from './rows-event.ts';
import { tableOfMap } from './table-map.ts';
import type { EventHeader } from './transport.ts';

/** An event of an XA transaction as it stood in the log. */
interface HeldEvent {
  readonly type: number;
  /** Seconds since 1970. */
  readonly timestamp: number;
  readonly body: Uint8Array;
}

/** A table that an XA transaction changes, as it was when that was logged. */
export interface HeldTable {
  readonly schema: string;
  readonly name: string;
  /** `null`: nobody followed it then. */
  readonly followed: { readonly id: number; readonly version: number } | null;
}

/** What an XA transaction changes, from its PREPARE on. */
export interface HeldTransaction {
  readonly tables: readonly HeldTable[];
  /** `null`: they were too many to be kept. */
  readonly events: readonly HeldEvent[] | null;
}

/** What is kept of one transaction: it stays in memory until the source ends it. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;

/** The rows of an XA transaction while they are read. */
export class TransactionToHold {
  readonly #find: (schema: string, name: string) => FollowedTable | null;
  readonly #wants: (schema: string, name: string) => boolean;
  readonly #maxBytes: number;
  readonly #tables = new Map<string, HeldTable>();
  readonly #unwanted = new Set<number>();
  #events: HeldEvent[] | null = [];
  #bytes = 0;

  constructor({
    find,
    wants,
    maxBytes = MAX_HELD_BYTES,
  }: {
    readonly find: (schema: string, name: string) => FollowedTable | null;
    readonly wants: (schema: string, name: string) => boolean;
    readonly maxBytes?: number;
  }) {
    this.#find = find;
    this.#wants = wants;
    this.#maxBytes = maxBytes;
  }

  /** Takes a table map or rows event. Tables that nobody follows yet are held too: they may be by the time it commits. */
  take(type: number, body: PacketReader, { timestamp }: EventHeader): void {
    const bytes = body.bytes.subarray(body.at, body.end);
    const tableId = bytes.readUIntLE(0, 6);
    if (type === TABLE_MAP_EVENT) {
      const { schema, name } = tableOfMap(bytes);
      if (!this.#wants(schema, name)) {
        this.#unwanted.add(tableId);
        return;
      }
      this.#unwanted.delete(tableId);
      const table = this.#find(schema, name);
      const followed = table === null ? null : { id: table.id, version: table.version };
      this.#tables.set(`${schema}\0${name}`, { schema, name, followed });
    } else if (this.#unwanted.has(tableId)) return;
    this.#bytes += bytes.length;
    if (this.#bytes > this.#maxBytes) this.#events = null;
    this.#events?.push({ type, timestamp, body: Uint8Array.from(bytes) });
  }

  hold(): HeldTransaction {
    return { tables: [...this.#tables.values()], events: this.#events };
  }
}

export function storeHeld(held: HeldTransaction): Buffer {
  return serialize(held);
}

export function restoreHeld(stored: Buffer): HeldTransaction {
  return deserialize(stored) as HeldTransaction;
}

/** The body of a held event, to be read as when it came by. */
export function heldBody({ body }: HeldEvent): PacketReader {
  return new PacketReader(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
}

/** Why the tables of a held transaction cannot take its rows any more: by table. */
export function* unfollowable(
  { tables, events }: HeldTransaction,
  followed: Iterable<FollowedTable>,
): Generator<[table: FollowedTable, reason: string]> {
  const now = [...followed];
  for (const { schema, name, followed: then } of tables) {
    const named = now.find(({ source }) => source.schema === schema && source.name === name);
    const same = then === null ? undefined : now.find(({ id }) => id === then.id);
    if (events === null && named !== undefined) {
      yield [
        named,
        `an XA transaction changed more of it than is held until the source commits (${MAX_HELD_BYTES} bytes)`,
      ];
    } else if (same !== undefined && (same !== named || same.version !== then!.version)) {
      yield [
        same,
        'its structure changed between the PREPARE and the COMMIT of an XA transaction that changed its rows',
      ];
    }
  }
}
