/**
 * The messages of Postgres' output plugin `pgoutput`, protocol version 1 (Postgres manual, "Logical Replication Message
 * Formats"). Nothing is turned into objects but what comes once per transaction or table: rows stay bytes.
 *
 * @module
 */

/** First bytes of the messages. */
export const MESSAGE = {
  begin: 0x42,
  commit: 0x43,
  origin: 0x4f,
  relation: 0x52,
  type: 0x59,
  insert: 0x49,
  update: 0x55,
  delete: 0x44,
  truncate: 0x54,
} as const;

/** What a field of a tuple holds. */
export const FIELD = { null: 0x6e, unchanged: 0x75, text: 0x74 } as const;

const NEW = 0x4e;
const KEY = 0x4b;
/** Microseconds between 1970 and 2000, where Postgres' time begins. */
const EPOCH_US = 946_684_800_000_000n;

export interface RelationColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly typmod: number;
  /** Whether it is part of the replica identity. */
  readonly key: boolean;
}

export interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `d` the key, `n` nothing, `f` all columns, `i` an index */
  readonly identity: string;
  readonly columns: readonly RelationColumn[];
}

/** Reads one message; every method moves on behind what it has read. */
export class MessageReader {
  bytes: Buffer;
  at: number;

  constructor(bytes: Buffer = Buffer.alloc(0), at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  /** Begins with another message: one reader serves a whole stream. */
  reset(bytes: Buffer, at: number): void {
    this.bytes = bytes;
    this.at = at;
  }

  byte(): number {
    return this.bytes[this.at++]!;
  }

  int16(): number {
    const value = this.bytes.readInt16BE(this.at);
    this.at += 2;
    return value;
  }

  int32(): number {
    const value = this.bytes.readInt32BE(this.at);
    this.at += 4;
    return value;
  }

  uint32(): number {
    const value = this.bytes.readUInt32BE(this.at);
    this.at += 4;
    return value;
  }

  uint64(): bigint {
    const value = this.bytes.readBigUInt64BE(this.at);
    this.at += 8;
    return value;
  }

  /** A text that ends with a NUL. */
  text(): string {
    const end = this.bytes.indexOf(0, this.at);
    const value = this.bytes.toString('utf8', this.at, end);
    this.at = end + 1;
    return value;
  }

  /** A time in ms since 1970. */
  time(): number {
    return Number((this.uint64() + EPOCH_US) / 1_000n);
  }
}

/** A transaction begins; `commit` is where its commit record begins. */
export function readBegin(message: MessageReader): { commit: bigint; timeMs: number } {
  return { commit: message.uint64(), timeMs: message.time() };
}

/** Its end: the place behind the commit record. */
export function readCommit(message: MessageReader): { end: bigint } {
  message.byte();
  message.uint64();
  return { end: message.uint64() };
}

/** The name of the replication origin that the transaction came from. */
export function readOrigin(message: MessageReader): string {
  message.uint64();
  return message.text();
}

export function readRelation(message: MessageReader): Relation {
  const oid = message.uint32();
  const schema = message.text();
  const name = message.text();
  const identity = String.fromCharCode(message.byte());
  const columns: RelationColumn[] = [];
  for (let count = message.int16(); count > 0; count--) {
    const key = (message.byte() & 1) === 1;
    columns.push({ key, name: message.text(), typeOid: message.uint32(), typmod: message.int32() });
  }
  // An empty name of the schema stands for pg_catalog
  return { oid, schema: schema === '' ? 'pg_catalog' : schema, name, identity, columns };
}

export function readTruncate(message: MessageReader): number[] {
  const count = message.int32();
  message.byte();
  return Array.from({ length: count }, () => message.uint32());
}

/** Where the fields of one tuple are; made once per table and filled for each row. */
export class Tuple {
  readonly kinds: Uint8Array;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** The message that the places are of. */
  bytes: Buffer = Buffer.alloc(0);
  /** Whether it was in the message. */
  present = false;
  /** Whether only the columns of the replica identity have values. */
  keyOnly = false;

  constructor(columns: number) {
    this.kinds = new Uint8Array(columns);
    this.starts = new Int32Array(columns);
    this.ends = new Int32Array(columns);
  }

  /** @throws RangeError when the tuple has another number of fields than the table has columns */
  read(message: MessageReader): void {
    const count = message.int16();
    if (count !== this.kinds.length) throw new RangeError(`a row of ${this.kinds.length} columns came with ${count}`);
    this.bytes = message.bytes;
    this.present = true;
    for (let field = 0; field < count; field++) {
      const kind = message.byte();
      this.kinds[field] = kind;
      if (kind !== FIELD.text) continue;
      const length = message.int32();
      this.starts[field] = message.at;
      message.at += length;
      this.ends[field] = message.at;
    }
  }
}

/** The two versions of a row that a message can hold. */
export interface RowImages {
  readonly before: Tuple;
  readonly after: Tuple;
}

/** Reads what follows the table's number in an insert, update or delete. */
export function readImages(message: MessageReader, images: RowImages): void {
  images.before.present = false;
  images.after.present = false;
  while (message.at < message.bytes.length) {
    const kind = message.byte();
    if (kind === NEW) {
      images.after.read(message);
      return;
    }
    images.before.read(message);
    images.before.keyOnly = kind === KEY;
  }
}
