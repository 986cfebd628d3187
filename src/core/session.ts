import type { Client } from 'pg';
import { decodeHstore } from './hstore.ts';

/** What is known of a session after it was prepared. */
export interface SessionFacts {
  /** The schema that holds the extension hstore, or `undefined` when the database lacks it. */
  readonly hstoreSchema: string | undefined;
  readonly hstoreOid: number | undefined;
  /** The search path the role or the database asks for, without any shard. */
  readonly searchPath: string;
  /** When the server was started, as text: another one is another server, or the same after a crash or a restore. */
  readonly startedAt: string;
  /** A pooler answers in the server's place: what one statement sets, the next may not find. */
  readonly pooled: boolean;
}

const facts = new WeakMap<Client, SessionFacts>();

/** The oid of hstore differs per database and after a rebuild, so each session looks it up. */
const LOOK = `
select pg_backend_pid() as pid,
       current_setting('search_path') as search_path,
       date_part('epoch', pg_postmaster_start_time())::text as started_at,
       t.oid::int8 as hstore_oid,
       n.nspname as hstore_schema
  from (values (1)) as one (row)
  left join pg_extension e on e.extname = 'hstore'
  left join pg_depend d on d.refobjid = e.oid
                       and d.refclassid = 'pg_extension'::regclass
                       and d.classid = 'pg_type'::regclass
  left join pg_type t on t.oid = d.objid and t.typname = 'hstore'
  left join pg_namespace n on n.oid = t.typnamespace
 order by t.oid nulls last
 limit 1`;

interface Looked {
  readonly pid: number;
  readonly search_path: string;
  readonly started_at: string;
  readonly hstore_oid: string | null;
  readonly hstore_schema: string | null;
}

/** UTF-8, timezone UTC, hstore parsed into objects; learns what the session stands on. */
export async function prepareSession(client: Client): Promise<SessionFacts> {
  await client.query("set timezone = 'UTC'; set client_encoding = 'UTF8'");
  const row = (await client.query<Looked>(LOOK)).rows[0]!;
  const hstoreOid = row.hstore_oid === null ? undefined : Number(row.hstore_oid);
  if (hstoreOid !== undefined) client.setTypeParser(hstoreOid, 'text', decodeHstore);
  const known: SessionFacts = {
    hstoreOid,
    hstoreSchema: row.hstore_schema ?? undefined,
    searchPath: row.search_path,
    startedAt: row.started_at,
    // A pooler makes up the process id it tells its clients, so a difference gives it away.
    pooled: row.pid !== (client as unknown as { processID: number }).processID,
  };
  facts.set(client, known);
  return known;
}

/** Sessions that were lent: what they are set to is no longer known. */
const strayed = new WeakSet<Client>();

/** The session is lent to somebody who may set it to anything, by SQL that nobody sees here. */
export function letStray(client: Client): void {
  strayed.add(client);
}

/**
 * Statements that set the session to what it was when it was opened. Not only for the search path: a time-out, a role or
 * a tenant for row security that one borrower sets must not be met by the next.
 */
export const AS_OPENED = "reset role; reset all; set timezone = 'UTC'";

/**
 * Brings a session home that was lent since: in the search path of a shard, a trigger on another shard's table would
 * find tables of the wrong one. Behind a transaction-mode pooler nothing is set for longer than a transaction.
 */
export async function bringHome(client: Client): Promise<void> {
  if (!strayed.has(client) || factsOf(client).pooled) return;
  await client.query(AS_OPENED);
  strayed.delete(client);
}

/** What {@link prepareSession} learnt of this session. */
export function factsOf(client: Client): SessionFacts {
  const known = facts.get(client);
  if (known === undefined) throw new Error('the session was never prepared');
  return known;
}
