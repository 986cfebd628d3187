import type { ClientBase } from 'pg';
import { splitFields } from '../copy-text/fields.ts';
import type { LineBuffer } from '../copy-text/line-buffer.ts';
import { linesOf } from '../snapshot/line-filter.ts';
import type { TableChanges } from '../stream/batch.ts';
import { completeRows } from './complete-rows.ts';
import { copyIn } from './copy-in.ts';
import { arrayTexts, keyArrays } from './key-arrays.ts';
import type { StageTables } from './stage-tables.ts';
import { columnList, copySql, matchSql, qualify } from './table-sql.ts';

const NEWLINE = 0x0a;
const END = Buffer.of(NEWLINE);
const TAB = Buffer.from('\t');

/**
 * Brings the rows of one table at one destination to their state at the end of the round: the old versions are
 * deleted in one statement, the new ones arrive by COPY. Measured against one statement per change: 98,000 changes
 * a second instead of 16,000.
 */
export async function applyRows(
  client: ClientBase,
  lines: LineBuffer,
  changes: TableChanges,
  stages: StageTables,
): Promise<void> {
  if (changes.table.target.identity.kind === 'whole-row') {
    await applyCounts(client, lines, changes, stages);
    return;
  }
  const whole = await completeRows(client, lines, changes, stages);
  const gone: string[] = [];
  let bytes = 0;
  let rows = 0;
  for (const [key, entry] of changes.entries) {
    if (entry.existed) gone.push(key);
    if (entry.end < 0) continue;
    bytes += (whole.get(entry)?.length ?? entry.end - entry.start) + 1;
    rows += 1;
  }
  if (gone.length > 0) await deleteKeys(client, changes, gone, stages);
  if (rows === 0) return;
  const body = Buffer.allocUnsafe(bytes);
  let at = 0;
  // New rows first: their keys mostly ascend, and an index keeps its place at its end only while nothing else comes between
  for (const existed of [false, true]) {
    for (const entry of changes.entries.values()) {
      if (entry.end < 0 || entry.existed !== existed) continue;
      const completed = whole.get(entry);
      at += completed?.copy(body, at) ?? lines.bytes.copy(body, at, entry.start, entry.end);
      body[at++] = NEWLINE;
    }
  }
  const { destination, table } = changes;
  if (table.target.replaces !== undefined) await deleteReplaced(client, changes, table.target.replaces, body, stages);
  await copyIn(client, copySql(destination.schema, table.target.name, changes.columns), [body]);
}

async function deleteKeys(
  client: ClientBase,
  changes: TableChanges,
  keys: readonly string[],
  stages: StageTables,
): Promise<void> {
  const { target } = changes.table;
  const { identity } = target;
  if (identity.kind !== 'key') return;
  // Keys stand in the order in which the log names the columns
  const columns = changes.columns.filter((name) => identity.columns.includes(name));
  const arrays = keyArrays(target, columns);
  if (arrays !== null) {
    await client.query(
      `delete from ${qualify(changes.destination.schema, target.name)} t
        using unnest(${arrays.map((type, index) => `$${index + 1}::${type}[]`).join(', ')}) k (${columnList(columns)})
        where ${matchSql(target, columns, 't', 'k')}`,
      arrayTexts(keys, columns.length),
    );
    return;
  }
  const stage = await stages.keysOf(client, changes, columns);
  await copyIn(client, `copy ${stage} (${columnList(columns)}) from stdin`, [
    Buffer.from(`${keys.join('\n')}\n`, 'latin1'),
  ]);
  await client.query(
    `delete from ${qualify(changes.destination.schema, target.name)} t
      using ${stage} k
      where ${matchSql(target, columns, 't', 'k')}`,
  );
}

/** Takes away the rows whose place the new ones take. */
async function deleteReplaced(
  client: ClientBase,
  changes: TableChanges,
  replaces: readonly string[],
  body: Buffer,
  stages: StageTables,
): Promise<void> {
  const { target } = changes.table;
  const columns = changes.columns.filter((name) => replaces.includes(name));
  const places = columns.map((name) => changes.columns.indexOf(name));
  const keys: Uint8Array[] = [];
  for (const line of linesOf(body)) {
    const fields = splitFields(line);
    places.forEach((place, n) => {
      keys.push(fields[place]!, n === places.length - 1 ? END : TAB);
    });
  }
  const stage = await stages.keysOf(client, changes, columns, 'replaced');
  await copyIn(client, `copy ${stage} (${columnList(columns)}) from stdin`, [Buffer.concat(keys)]);
  await client.query(
    `delete from ${qualify(changes.destination.schema, target.name)} t
      using ${stage} k
      where ${matchSql(target, columns, 't', 'k')}`,
  );
}

/** Rows of a table without a key: only how many equal ones there are can be said. */
async function applyCounts(
  client: ClientBase,
  lines: LineBuffer,
  changes: TableChanges,
  stages: StageTables,
): Promise<void> {
  const { target } = changes.table;
  const place = qualify(changes.destination.schema, target.name);
  const added: Buffer[] = [];
  const removed: Buffer[] = [];
  for (const { start, end, count } of changes.entries.values()) {
    const line = lines.view(start, end);
    for (let n = 0; n < count; n++) added.push(line, Buffer.of(NEWLINE));
    if (count < 0) removed.push(Buffer.from(`${-count}\t`), line, Buffer.of(NEWLINE));
  }
  if (removed.length > 0) {
    const stage = await stages.countsOf(client, changes);
    await copyIn(client, `copy ${stage} (hv_count, ${columnList(changes.columns)}) from stdin`, [
      Buffer.concat(removed),
    ]);
    await client.query(
      `delete from ${place}
        where ctid in (
          select found.id
            from (
              select t.ctid as id, k.hv_count, row_number() over (partition by k.hv_row) as n
                from ${stage} k
                join ${place} t
                  on ${matchSql(target, changes.columns, 't', 'k')}
            ) found
           where found.n <= found.hv_count
        )`,
    );
  }
  if (added.length > 0) {
    await copyIn(client, copySql(changes.destination.schema, target.name, changes.columns), [Buffer.concat(added)]);
  }
}
