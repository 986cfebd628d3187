import type { Client } from 'pg';
import { MovePreflightError } from './errors.ts';
import type { Moving } from './moving.ts';

interface Line {
  readonly kind: string;
  readonly name: string;
  readonly definition: string;
}

/**
 * Compares what the two copies of a shard are made of, by the catalogues.
 *
 * @throws MovePreflightError naming each object that differs
 */
export async function assertSameStructure({ source, target, schema, shardId }: Moving): Promise<void> {
  const [there, here] = await Promise.all([linesOf(source.client, schema), linesOf(target.client, schema)]);
  const problems: { check: string; message: string }[] = [];
  for (const [key, line] of there) {
    const other = here.get(key);
    if (other?.definition === line.definition) continue;
    const what = `the ${line.kind} ${line.name}`;
    problems.push({
      check: 'structure',
      message:
        other === undefined
          ? `${what} is on ${source.name} and could not be made on ${target.name}: it came by no migration whose source is kept; make it by hypervault migrate`
          : `${what} differs: ${line.definition} on ${source.name}, ${other.definition} on ${target.name}`,
    });
  }
  for (const [key, line] of here) {
    if (there.has(key)) continue;
    problems.push({
      check: 'structure',
      message: `the ${line.kind} ${line.name} is made on ${target.name} and is missing on ${source.name}; run hypervault init to bring ${source.name} up to date`,
    });
  }
  if (problems.length > 0) throw new MovePreflightError(shardId, problems);
}

async function linesOf(client: Client, schema: string): Promise<Map<string, Line>> {
  const { rows } = await client.query<Line>(
    `select kind, name, coalesce(definition, '') as definition from hypervault.move_structure($1)`,
    [schema],
  );
  return new Map(rows.map((line) => [`${line.kind} ${line.name}`, line]));
}
