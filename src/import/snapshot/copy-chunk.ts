import type { Client } from 'pg';
import { quoteIdentifier, quoteLiteral } from '../../internal/quote.ts';
import { qualify } from '../apply/table-sql.ts';
import { insertChunk, noteAltered } from '../catalogue/chunk-rows.ts';
import { loadingSchema } from '../mapping/names.ts';
import type { Position } from '../model/position.ts';
import type { Destination } from '../route/router.ts';
import type { SnapshotReader } from '../source/snapshot.ts';
import { chunkWriter } from './chunk-writer.ts';
import type { TableCopy } from './copy-job.ts';

export interface CopyChunkOptions {
  readonly reader: SnapshotReader;
  /** The place of the log that the reader sees. */
  readonly position: Position;
  readonly sourceKey: string;
  readonly clients: ReadonlyMap<string, Client>;
  readonly bufferBytes: number;
  readonly schemaOf?: ((destination: Destination) => string) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onRows: (rows: number) => void;
}

const NEWLINE = 0x0a;

/**
 * Copies one chunk: on every server its rows and the note that it is done are one transaction. When only some of the
 * servers got to commit, the next run finds the chunk half done there, deletes it and copies it anew everywhere.
 */
export async function copyChunk(copy: TableCopy, chunk: number, options: CopyChunkOptions): Promise<void> {
  const { reader, position, sourceKey, clients, signal, onRows } = options;
  const table = copy.row;
  const columns = reader.columnsOf(table);
  const schemaOf = options.schemaOf ?? ((destination: Destination) => loadingSchema(destination.schema));
  for (const client of clients.values()) await client.query('begin');
  try {
    for (const server of copy.halfDone(chunk)) {
      await deleteChunk(clients.get(server)!, copy, chunk, server, sourceKey, schemaOf);
    }
    const writer = chunkWriter({
      table,
      columns,
      router: copy.router,
      clients,
      bufferBytes: options.bufferBytes,
      schemaOf,
    });
    try {
      await reader.read({
        table,
        range: copy.range(chunk),
        signal,
        onLines: (lines) => {
          onRows(countLines(lines));
          return writer.write(lines);
        },
        drained: () => writer.drained(),
      });
      const counts = await writer.end();
      for (const [server, client] of clients) {
        const rows = counts.get(server) ?? 0;
        await insertChunk(client, sourceKey, { tableId: table.id, chunk, position, rows });
      }
    } catch (error) {
      await writer.abort();
      throw error;
    }
    // What a policy replaced is counted once, on the first of the servers
    const [first] = clients.values();
    await noteAltered(
      first!,
      sourceKey,
      writer.altered.map((value) => ({ ...value, tableId: table.id })),
    );
    for (const [server, client] of clients) {
      await client.query('commit');
      copy.noteDone(server, { chunk, position, rows: 0 });
    }
    copy.rows += writer.rows;
  } catch (error) {
    for (const client of clients.values()) await client.query('rollback').catch(() => {});
    throw error;
  }
}

async function deleteChunk(
  client: Client,
  copy: TableCopy,
  chunk: number,
  server: string,
  sourceKey: string,
  schemaOf: (destination: Destination) => string,
): Promise<void> {
  const range = copy.range(chunk);
  const conditions: string[] = [];
  if (range !== null && range.from !== null)
    conditions.push(`${quoteIdentifier(range.column)} >= ${quoteLiteral(range.from)}`);
  if (range !== null && range.to !== null)
    conditions.push(`${quoteIdentifier(range.column)} < ${quoteLiteral(range.to)}`);
  const where = conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`;
  for (const destination of copy.router.destinations) {
    if (destination.server !== server) continue;
    await client.query(`delete from ${qualify(schemaOf(destination), copy.row.target.name)}${where}`);
  }
  await client.query('delete from hypervault.import_chunk where source = $1 and table_id = $2 and chunk = $3', [
    sourceKey,
    copy.row.id,
    chunk,
  ]);
}

function countLines(block: Buffer): number {
  let count = 0;
  for (let at = block.indexOf(NEWLINE); at !== -1; at = block.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}
