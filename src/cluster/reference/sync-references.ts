import type { Client } from 'pg';
import type { ConnectionSettings } from '../../core/index.ts';
import { ConfigurationError, SchemaError, TimeoutError } from '../../errors.ts';
import { ADVISORY_LOCK_CLASS } from '../../internal/advisory-locks.ts';
import { applySchema, runMigrations } from '../../internal/migrations.ts';
import { quoteIdentifier } from '../../internal/quote.ts';
import { sleep } from '../../internal/sleep.ts';
import type { SqlFile } from '../../internal/sql-files.ts';
import { unknownServer } from '../../internal/unknown-server.ts';
import { conninfoOf } from '../move/conninfo.ts';
import { onServer } from '../owners.ts';
import { withShortLocks } from '../short-locks.ts';
import { isSubscribed, unsubscribe } from '../subscription.ts';
import { copyStates, dropSlot, linkName, publishTables, slotExists, subscribe } from './links.ts';
import {
  type ReferenceOptions,
  type ResolvedReferenceOptions,
  referenceFiles,
  resolveReferenceOptions,
  type SyncReferencesOptions,
} from './options.ts';
import { takeTurns } from './turns.ts';

/** Reference tables as they are now. */
export interface ReferencesResult {
  readonly schema: string;
  readonly home: string;
  readonly tables: readonly string[];
  /** Servers that hold a copy, and whether it had to be made now. */
  readonly copies: readonly { readonly server: string; readonly made: boolean }[];
}

type Servers = Readonly<Record<string, ConnectionSettings>>;

/**
 * Keeps small tables the same on all servers, to be joined with the tables of any shard: they take writes on one server,
 * their home, and logical replication carries them to the others. The files of a folder make them everywhere; then the
 * copies are subscribed, and waited for. May be run again: after files or servers were added, or when a copy was lost.
 *
 * @example
 * ```ts
 * await syncReferences({ db1, db2 }, { home: 'db1', directory: 'reference' });
 * // in any shard: select … from orders join reference.countries using (country)
 * ```
 * @throws ConfigurationError; SchemaError for a table without a primary key, or when the tables have another home;
 *   TimeoutError when the copies are not there in time (they go on being made)
 */
export async function syncReferences(servers: Servers, options: SyncReferencesOptions): Promise<ReferencesResult> {
  const resolved = resolveReferenceOptions(servers, options);
  const { home, schema, signal } = resolved;
  const files = await referenceFiles(options.directory);
  const others = Object.entries(servers).filter(([name]) => name !== home);
  return onServer(
    servers[home]!,
    async (client) => {
      await takeTurns(client, home, resolved);
      // Copies first: a column must be there before rows come that have it.
      await Promise.all(
        others.map(([, connection]) => onServer(connection, (copy) => make(copy, files, resolved), signal)),
      );
      await assertNoOtherHome(client, schema, '', home);
      await make(client, files, resolved);
      const tables = await tablesOf(client, schema);
      await guard(client, tables, null, resolved);
      await publishTables(client, schema, tables);
      const conninfo = await conninfoOf(resolved.between?.[home] ?? servers[home]!);
      const copies = await Promise.all(
        others.map(async ([server, connection]) => {
          // They are linked side by side, each with a session of its own at home: a session takes one statement at a time.
          const linked = async (copy: Client): Promise<boolean> => {
            await takeTurns(copy, server, resolved);
            return onServer(
              servers[home]!,
              (atHome) => link({ home: atHome, copy, server, conninfo, tables }, resolved),
              signal,
            );
          };
          return { server, made: await onServer(connection, linked, signal) };
        }),
      );
      return { schema, home, tables, copies };
    },
    signal,
  );
}

/**
 * Ends the copy on one server; its tables stay as they are, and take writes.
 *
 * @throws ConfigurationError for a server nobody knows, or the home itself
 */
export async function dropReferences(servers: Servers, server: string, options: ReferenceOptions): Promise<void> {
  const resolved = resolveReferenceOptions(servers, options);
  const { home, schema, signal } = resolved;
  const connection = servers[server];
  if (connection === undefined) throw unknownServer('reference tables', server, Object.keys(servers));
  if (server === home) throw new ConfigurationError(`reference tables: ${JSON.stringify(server)} is their home`);
  await onServer(
    servers[home]!,
    async (client) => {
      await takeTurns(client, home, resolved);
      const name = await linkName(client, schema, server);
      await onServer(
        connection,
        async (copy) => {
          await takeTurns(copy, server, resolved);
          await unsubscribe(copy, name);
          await guard(copy, await tableNames(copy, schema), null, { schema, signal });
        },
        signal,
      );
      await dropSlot(client, name);
    },
    signal,
  );
}

async function make(
  client: Client,
  files: readonly SqlFile[],
  { schema, signal }: ResolvedReferenceOptions,
): Promise<void> {
  await applySchema(client, { module: 'cluster', scope: 'server', schema: 'hypervault', signal });
  await runMigrations({
    client,
    files,
    ledger: { schema, table: 'hv_migrations', module: 'reference', scope: 'server' },
    lock: { class: ADVISORY_LOCK_CLASS.install, key: 0 },
    transaction: 'each',
    searchPath: [schema, 'public'],
    signal,
  });
}

async function tableNames(client: Client, schema: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>('select name from hypervault.reference_tables($1)', [schema]);
  return rows.map(({ name }) => name);
}

async function tablesOf(home: Client, schema: string): Promise<string[]> {
  const { rows } = await home.query<{ name: string; keyed: boolean }>(
    'select name, keyed from hypervault.reference_tables($1)',
    [schema],
  );
  const keyless = rows.filter(({ keyed }) => !keyed).map(({ name }) => `${schema}.${name}`);
  if (keyless.length > 0) throw new SchemaError(`reference tables need a primary key: ${keyless.join(', ')}`);
  if (rows.length === 0) throw new SchemaError(`the files make no table in the schema ${schema}`);
  return rows.map(({ name }) => name);
}

interface Copy {
  readonly home: Client;
  readonly copy: Client;
  readonly server: string;
  readonly conninfo: string;
  readonly tables: readonly string[];
}

/** Subscribes a server, or brings its subscription up to date. @returns whether a copy was made from the beginning */
async function link(
  { home, copy, server, conninfo, tables }: Copy,
  options: ResolvedReferenceOptions,
): Promise<boolean> {
  const { schema } = options;
  const name = await linkName(home, schema, server);
  await assertNoOtherHome(copy, schema, name, server);
  await guard(copy, await tableNames(copy, schema), options.home, options);
  const whole = (await isSubscribed(copy, name)) && (await slotExists(home, name));
  if (whole) {
    await copy.query(`alter subscription ${quoteIdentifier(name)} refresh publication`);
  } else {
    // A copy without its slot, as after a failover of the home, may have missed anything: it is made anew.
    await unsubscribe(copy, name);
    await dropSlot(home, name);
    await empty(copy, tables, options);
    await subscribe(home, copy, schema, name, conninfo);
  }
  await untilCopied(copy, name, tables, server, options);
  return !whole;
}

async function assertNoOtherHome(copy: Client, schema: string, link: string, server: string): Promise<void> {
  const { rows } = await copy.query<{ name: string }>(
    `select subname as name from pg_subscription join pg_database on pg_database.oid = subdbid
     where datname = current_database() and subname ~ ('^hv_ref_' || $1 || '_[0-9a-f]{10}$') and subname <> $2`,
    [schema, link],
  );
  if (rows[0] === undefined) return;
  throw new SchemaError(
    `${server}: the reference tables in ${schema} come from another home (subscription ${rows[0].name}); end that first with hypervault reference remove`,
  );
}

/** Lets writers pass (`null`) or names the home to them, table by table. */
async function guard(
  client: Client,
  tables: readonly string[],
  home: string | null,
  { schema, signal }: Pick<ResolvedReferenceOptions, 'schema' | 'signal'>,
): Promise<void> {
  for (const table of tables) {
    await withShortLocks(
      client,
      () => client.query('select hypervault.guard_reference($1, $2, $3)', [schema, table, home]),
      { what: 'guarding reference tables', signal },
    );
  }
}

async function empty(
  copy: Client,
  tables: readonly string[],
  { schema, home, signal }: ResolvedReferenceOptions,
): Promise<void> {
  const list = tables.map((table) => `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`).join(', ');
  const guards = 'select hypervault.guard_reference($1, given.name, $3) from unnest($2::text[]) as given (name)';
  // All of its locks first: a reader of several tables that holds one and wants another makes it come again.
  await withShortLocks(
    copy,
    async () => {
      await copy.query(`lock table ${list} in access exclusive mode`);
      await copy.query(guards, [schema, tables, null]);
      await copy.query(`truncate ${list}`);
      await copy.query(guards, [schema, tables, home]);
    },
    { what: 'emptying the copies of reference tables', signal },
  );
}

async function untilCopied(
  copy: Client,
  link: string,
  tables: readonly string[],
  server: string,
  { timeoutMs, signal }: ResolvedReferenceOptions,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const ready = (await copyStates(copy, link)).filter(({ state }) => state === 'r').length;
    if (ready === tables.length) return;
    if (performance.now() > deadline) {
      throw new TimeoutError(
        `${server}: ${ready} of ${tables.length} reference tables were copied within ${timeoutMs} ms; look at its log`,
      );
    }
    await sleep(50, { signal, what: 'copying reference tables' });
  }
}
