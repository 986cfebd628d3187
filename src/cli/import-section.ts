import { readFile, writeFile } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import { UsageError } from './usage-error.ts';

/** What a command line says of a Postgres source. */
export interface SourceWords {
  readonly name: string;
  readonly url: string;
  readonly schemas: readonly string[];
  /** `column`, or `table=column` and more of them; `undefined`: the rows go to one schema. */
  readonly by: string | undefined;
  readonly reference: readonly string[];
  readonly setReplicaIdentity: boolean;
  /** `table=parent` and more of them: tables that have the column of `by` from a parent. */
  readonly via?: string | undefined;
  readonly addKeyColumn?: boolean | undefined;
}

/** Environment variable that holds the password of the source: it is written into no file. */
export const PASSWORD_VARIABLE = 'HYPERVAULT_SOURCE_PASSWORD';

/** The section of a source as it stands in the configuration, and the password that does not. */
export function sectionOf(words: SourceWords): {
  readonly section: Record<string, unknown>;
  readonly password: string;
} {
  let url: URL;
  try {
    url = new URL(words.url);
  } catch {
    throw new UsageError('the source: give it as postgres://user:password@host:port/database');
  }
  const password = decodeURIComponent(url.password);
  url.password = '';
  const section: Record<string, unknown> = {
    type: 'pgsql',
    db_conn: {
      connectionString: url.toString(),
      ...(password !== '' && { password: `\${${PASSWORD_VARIABLE}}` }),
    },
    schema_mappings: Object.fromEntries(words.schemas.map((schema) => [schema, schema])),
    ...(words.by !== undefined && { shard_by: rulesOf(words.by, words.via) }),
    ...(words.reference.length > 0 && { reference_tables: words.reference }),
    ...(words.setReplicaIdentity && { set_replica_identity: true }),
    ...(words.addKeyColumn && { add_key_column: true }),
  };
  return { section, password };
}

function rulesOf(by: string, via: string | undefined): string | Record<string, unknown> {
  if (!by.includes('=') && via === undefined) return by;
  const rules: Record<string, unknown> = by.includes('=') ? pairsOf('--by', by, 'column') : { '*': by };
  if (via === undefined) return rules;
  if (by.includes('=')) throw new UsageError('--via goes with --by COLUMN; write other rules into shard_by');
  for (const [table, parent] of Object.entries(pairsOf('--via', via, 'parent')))
    rules[table] = { column: by, via: parent };
  return rules;
}

function pairsOf(option: string, text: string, what: string): Record<string, string> {
  return Object.fromEntries(
    text.split(',').map((rule) => {
      const [table, value, ...rest] = rule.split('=').map((word) => word.trim());
      if (!table || !value || rest.length > 0) throw new UsageError(`${option}: ${rule} is not table=${what}`);
      return [table, value];
    }),
  );
}

/**
 * Writes the section into the configuration file, whose comments stay. Leaves one that is there as it is.
 * @throws UsageError when the source of that name is another one
 */
export async function keepSection(
  file: string,
  name: string,
  section: Record<string, unknown>,
): Promise<'written' | 'kept'> {
  const document = parseDocument(await readFile(file, 'utf8'));
  const place = ['import', 'sources', name];
  const known = document.getIn([...place, 'db_conn', 'connectionString']);
  if (document.hasIn(place)) {
    const wanted = (section.db_conn as { connectionString: string }).connectionString;
    if (known === wanted) return 'kept';
    throw new UsageError(
      `${file} has another source ${name}: choose a name with --source, or take it out of import.sources`,
    );
  }
  document.setIn(place, document.createNode(section));
  await writeFile(file, document.toString());
  return 'written';
}
