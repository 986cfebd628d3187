import type { ClientBase } from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { splitFields, unescapeField } from '../copy-text/fields.ts';
import type { LineBuffer } from '../copy-text/line-buffer.ts';
import { ImportError } from '../errors.ts';
import { qualifiedName } from '../model/source-table.ts';
import { linesOf } from '../snapshot/line-filter.ts';
import type { RowEntry, TableChanges } from '../stream/batch.ts';
import { fillUnchanged } from '../stream/fill-unchanged.ts';
import { copyIn } from './copy-in.ts';
import type { StageTables } from './stage-tables.ts';
import { columnList, matchSql, qualify } from './table-sql.ts';

/**
 * Puts the values that the log did not repeat (large ones, stored out of line) into the lines that lack them: from the
 * rows as they are in the target. One statement per table and round; only rows whose large values stayed are read.
 *
 * @returns the whole lines of those rows, by entry
 */
export async function completeRows(
  client: ClientBase,
  lines: LineBuffer,
  changes: TableChanges,
  stages: StageTables,
): Promise<ReadonlyMap<RowEntry, Buffer>> {
  const wanting = [...changes.entries.values()].filter(({ lacks, end }) => lacks !== undefined && end >= 0);
  const whole = new Map<RowEntry, Buffer>();
  const { target, source } = changes.table;
  if (wanting.length === 0 || target.identity.kind !== 'key') return whole;
  const key = changes.columns.filter(
    (name) => target.identity.kind === 'key' && target.identity.columns.includes(name),
  );
  const stage = await stages.keysOf(client, changes, key);
  const keys = [...new Set(wanting.map(({ lacks }) => lacks!))];
  await copyIn(client, `copy ${stage} (${columnList(key)}) from stdin`, [
    Buffer.from(`${keys.join('\n')}\n`, 'latin1'),
  ]);
  const found = new Map<string, Buffer>();
  const places = key.map((name) => changes.columns.indexOf(name));
  const stream = client.query(
    copyTo(
      `copy (select ${changes.columns.map((name) => `t.${columnList([name])}`).join(', ')}
          from ${qualify(changes.destination.schema, target.name)} t
          join ${stage} k on ${matchSql(target, key, 't', 'k')}) to stdout`,
    ),
  );
  const blocks: Buffer[] = [];
  for await (const block of stream as AsyncIterable<Buffer>) blocks.push(block);
  for (const line of linesOf(Buffer.concat(blocks))) {
    const fields = splitFields(line);
    found.set(keyText(places.map((place) => fields[place]!)), line);
  }
  for (const entry of wanting) {
    const earlier = found.get(keyText(splitFields(Buffer.from(entry.lacks!, 'latin1'))));
    if (earlier === undefined) {
      throw new ImportError(
        'UNREPRESENTABLE_VALUE',
        `${qualifiedName(source)}: a row changed that is not in the target, and the log does not repeat its large values`,
      );
    }
    whole.set(entry, fillUnchanged(lines.view(entry.start, entry.end), earlier));
  }
  return whole;
}

/** The same text for the same key, however its fields were escaped. */
function keyText(fields: readonly Uint8Array[]): string {
  return JSON.stringify(fields.map(unescapeField));
}
