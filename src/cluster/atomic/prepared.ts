import type { Client } from 'pg';
import { TIMELINE } from './decision.ts';
import { type AtomicPart, parsePartName } from './part-name.ts';

/** A prepared transaction, as its server has it. */
export interface Prepared {
  /** Its global identifier: what COMMIT PREPARED and ROLLBACK PREPARED want. */
  readonly name: string;
  readonly database: string;
  /** Who prepared it: only this role, or a superuser, may end it. */
  readonly role: string;
  readonly since: Date;
  /** By the server's clock. */
  readonly ageMs: number;
  /** The part of an atomic write that it is; `undefined` for one that somebody else prepared. */
  readonly part: AtomicPart | undefined;
}

/** What is prepared on a server, in all its databases. */
export interface PreparedOnServer {
  /** Tells servers apart that are known by several names. */
  readonly system: string;
  /** The database of the session. */
  readonly database: string;
  /** Of its log: it grows when a standby is promoted. `null` on a standby. */
  readonly timeline: number | null;
  /** Oldest first. */
  readonly prepared: readonly Prepared[];
}

const HERE = `
select (select system_identifier::text from pg_control_system()) as system,
       current_database()::text as database,
       case when not pg_is_in_recovery() then ${TIMELINE} end as timeline`;

const PREPARED = `
select gid as name,
       database::text,
       owner::text as role,
       prepared as since,
       greatest(floor(date_part('epoch', clock_timestamp() - prepared) * 1000), 0)::float8 as "ageMs"
from pg_catalog.pg_prepared_xacts
order by prepared, gid`;

/** Reads what is prepared on a server. Each one keeps dead rows from VACUUM, and new replication slots waiting. */
export async function readPrepared(client: Pick<Client, 'query'>): Promise<PreparedOnServer> {
  const here = (await client.query<Omit<PreparedOnServer, 'prepared'>>(HERE)).rows[0]!;
  const { rows } = await client.query<Omit<Prepared, 'part'>>(PREPARED);
  return {
    ...here,
    // A part in another database is that of another installation.
    prepared: rows.map((row) => ({
      ...row,
      part: row.database === here.database ? parsePartName(row.name) : undefined,
    })),
  };
}
