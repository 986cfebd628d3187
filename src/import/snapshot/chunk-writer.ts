import type { Client } from 'pg';
import { copySql } from '../apply/table-sql.ts';
import { unescapeField } from '../copy-text/fields.ts';
import { loadingSchema } from '../mapping/names.ts';
import type { MappedTable } from '../model/target-table.ts';
import type { Destination, Router } from '../route/router.ts';
import type { AlteredValue } from '../stream/batch.ts';
import { CopyStream } from './copy-stream.ts';
import { linesOf, settleBlock } from './line-filter.ts';

const TAB = 0x09;

/** Takes the lines of a chunk and brings them to where they belong. */
export interface ChunkWriter {
  /** @returns `false` for "wait for {@link drained}" */
  write(block: Buffer): boolean;
  drained(): Promise<void>;
  /** Waits until everything is with the servers. Returns the number of rows at each server. */
  end(): Promise<ReadonlyMap<string, number>>;
  abort(): Promise<void>;
  readonly altered: readonly AlteredValue[];
  /** Lines that came in. */
  readonly rows: number;
}

export interface ChunkWriterOptions {
  readonly table: MappedTable;
  readonly columns: readonly string[];
  readonly router: Router;
  /** Servers that still need the chunk, each with a session in a transaction. */
  readonly clients: ReadonlyMap<string, Client>;
  /** Schema in which a destination's rows are loaded. @default its loading schema */
  readonly schemaOf?: ((destination: Destination) => string) | undefined;
  /** How much is held back before it is sent to the shards, in bytes. */
  readonly bufferBytes: number;
}

export function chunkWriter(options: ChunkWriterOptions): ChunkWriter {
  const { destinations } = options.router;
  const wanted = destinations.filter(({ server }) => options.clients.has(server));
  // One COPY per session is all that Postgres has: several shards on a server have to take turns
  const oneEach = new Set(wanted.map(({ server }) => server)).size === wanted.length;
  return options.router.kind === 'fixed' && oneEach ? new FixedWriter(options, wanted) : new SpreadingWriter(options);
}

function openCopy({ table, columns, clients, schemaOf }: ChunkWriterOptions, destination: Destination): CopyStream {
  const schema = schemaOf?.(destination) ?? loadingSchema(destination.schema);
  return new CopyStream(clients.get(destination.server)!, copySql(schema, table.target.name, columns));
}

/** Every row goes to each of the destinations: blocks are passed on as they come. */
class FixedWriter implements ChunkWriter {
  readonly altered: AlteredValue[] = [];
  rows = 0;
  readonly #options: ChunkWriterOptions;
  readonly #copies: ReadonlyMap<string, CopyStream>;

  constructor(options: ChunkWriterOptions, destinations: readonly Destination[]) {
    this.#options = options;
    this.#copies = new Map(destinations.map((destination) => [destination.server, openCopy(options, destination)]));
  }

  write(block: Buffer): boolean {
    const { table, columns } = this.#options;
    const settled = settleBlock(block, table, columns, this.altered);
    let goOn = true;
    for (const copy of this.#copies.values()) goOn = copy.write(settled) && goOn;
    return goOn;
  }

  async drained(): Promise<void> {
    await Promise.all([...this.#copies.values()].map((copy) => copy.drained()));
  }

  async end(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    for (const [server, copy] of this.#copies) counts.set(server, await copy.end());
    this.rows = Math.max(0, ...counts.values());
    return counts;
  }

  async abort(): Promise<void> {
    await Promise.all([...this.#copies.values()].map((copy) => copy.abort()));
  }
}

/** Rows are sorted by destination and sent a few MB at a time, one destination of a server after the other. */
class SpreadingWriter implements ChunkWriter {
  readonly altered: AlteredValue[] = [];
  rows = 0;
  readonly #options: ChunkWriterOptions;
  readonly #fields: readonly number[];
  readonly #held = new Map<Destination, Buffer[]>();
  readonly #counts = new Map<string, number>();
  #heldBytes = 0;
  #sending: Promise<void> = Promise.resolve();

  constructor(options: ChunkWriterOptions) {
    this.#options = options;
    const { router, columns } = options;
    this.#fields = router.kind === 'by-key' ? router.columns.map((name) => columns.indexOf(name)) : [];
    for (const server of options.clients.keys()) this.#counts.set(server, 0);
  }

  write(block: Buffer): boolean {
    const { table, columns, router, clients } = this.#options;
    const settled = settleBlock(block, table, columns, this.altered);
    for (const line of linesOf(settled)) {
      this.rows += 1;
      const destinations = router.kind === 'fixed' ? router.destinations : [router.route(this.#keyOf(line))];
      for (const destination of destinations) {
        if (!clients.has(destination.server)) continue;
        const held = this.#held.get(destination);
        const whole = settled.subarray(
          line.byteOffset - settled.byteOffset,
          line.byteOffset - settled.byteOffset + line.length + 1,
        );
        if (held === undefined) this.#held.set(destination, [whole]);
        else held.push(whole);
      }
    }
    this.#heldBytes += settled.length;
    return this.#heldBytes < this.#options.bufferBytes;
  }

  drained(): Promise<void> {
    this.#sending = this.#sending.then(() => this.#send());
    return this.#sending;
  }

  async end(): Promise<ReadonlyMap<string, number>> {
    await this.drained();
    return this.#counts;
  }

  async abort(): Promise<void> {
    await this.#sending.catch(() => {});
    this.#held.clear();
  }

  async #send(): Promise<void> {
    const held = [...this.#held].sort(([a], [b]) => (a.shard ?? 0) - (b.shard ?? 0));
    this.#held.clear();
    this.#heldBytes = 0;
    const byServer = groupByServer(held);
    await Promise.all(
      [...byServer].map(async ([server, parts]) => {
        for (const [destination, lines] of parts) {
          const copy = openCopy(this.#options, destination);
          copy.write(Buffer.concat(lines));
          this.#counts.set(server, this.#counts.get(server)! + (await copy.end()));
        }
      }),
    );
  }

  #keyOf(line: Buffer): (string | null)[] {
    const values: (string | null)[] = [];
    for (const field of this.#fields) {
      let start = 0;
      for (let n = 0; n < field; n++) start = line.indexOf(TAB, start) + 1;
      const end = line.indexOf(TAB, start);
      values.push(unescapeField(line.subarray(start, end === -1 ? line.length : end)));
    }
    return values;
  }
}

function groupByServer(held: readonly [Destination, Buffer[]][]): Map<string, [Destination, Buffer[]][]> {
  const groups = new Map<string, [Destination, Buffer[]][]>();
  for (const item of held) {
    const { server } = item[0];
    const group = groups.get(server);
    if (group === undefined) groups.set(server, [item]);
    else group.push(item);
  }
  return groups;
}
