import { readFile, writeFile } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import { UsageError } from './usage-error.ts';

/** What a command line says of a Postgres source. */
export interface SourceWords {
  readonly name: string;
  readonly url: string;
  /** `undefined`: not said; `public` for a new source. */
  readonly schemas: readonly string[] | undefined;
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
    ...(words.schemas !== undefined && {
      schema_mappings: Object.fromEntries(words.schemas.map((schema) => [schema, schema])),
    }),
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

/** Keys by which the rows were placed: a copy that is there was made by them. */
const OF_THE_COPY = ['schema_mappings', 'shard_by', 'reference_tables'];

/**
 * Writes the section into the configuration file, whose comments stay. Of one that is there the keys that the command
 * line says otherwise are changed, the others stay.
 *
 * @param isCopied - asked before a key is changed by which the rows were placed
 * @throws UsageError when the source of that name is another one, or its rows were placed otherwise
 */
export async function keepSection(
  file: string,
  name: string,
  section: Record<string, unknown>,
  isCopied: () => Promise<boolean>,
): Promise<{ readonly outcome: 'written' | 'kept' | 'changed'; readonly keys: readonly string[] }> {
  const document = parseDocument(await readFile(file, 'utf8'));
  const place = ['import', 'sources', name];
  if (!document.hasIn(place)) {
    document.setIn(place, document.createNode({ schema_mappings: { public: 'public' }, ...section }));
    await writeFile(file, document.toString());
    return { outcome: 'written', keys: Object.keys(section) };
  }
  const known = (document.toJS() as { import: { sources: Record<string, Record<string, unknown>> } }).import.sources[
    name
  ]!;
  const { type: _, db_conn: wanted, ...rest } = section;
  const { connectionString } = wanted as { connectionString: string };
  if ((known.db_conn as { connectionString?: string } | undefined)?.connectionString !== connectionString) {
    throw new UsageError(
      `${file} has another source ${name}: choose a name with --source, or take it out of import.sources`,
    );
  }
  const keys = Object.keys(rest).filter((key) => JSON.stringify(rest[key]) !== JSON.stringify(known[key]));
  if (keys.length === 0) return { outcome: 'kept', keys };
  const placing = keys.filter((key) => OF_THE_COPY.includes(key));
  if (placing.length > 0 && (await isCopied())) {
    throw new UsageError(
      `the rows of the source ${name} were copied with another ${placing.join(' and ')} than you say now: leave the options away to go on with that copy, or run drop-source and drop its tables to begin anew`,
    );
  }
  for (const key of keys) document.setIn([...place, key], document.createNode(rest[key]));
  await writeFile(file, document.toString());
  return { outcome: 'changed', keys };
}
