import type { Client } from 'pg';
import { PermissionError, SchemaError, ServerUnavailableError } from '../errors.ts';
import { quoteIdentifier } from '../internal/quote.ts';
import { readServerSettings, type ServerSettings } from './first-contact.ts';

/** The oldest Postgres the tests run on. */
const LEAST_VERSION = 15;

/** What a server is like before anything is done to it. */
export interface ServerSurvey {
  readonly settings: ServerSettings | undefined;
  /** Where hstore is, or will be made. */
  readonly hstoreSchema: string;
}

/**
 * Looks at a server, changing nothing, and refuses one that can't be installed on: a standby, too old, not in UTF-8,
 * without hstore, or where the role may not make schemas.
 */
export async function surveyServer(client: Client, server: string): Promise<ServerSurvey> {
  const { rows } = await client.query<SurveyRow>(SURVEY);
  const row = rows[0]!;
  if (row.standby) {
    throw new ServerUnavailableError(server, `${server}: a standby takes no writes; give the primary`, {
      retryable: false,
    });
  }
  if (row.version < LEAST_VERSION) {
    throw new SchemaError(`${server}: Postgres ${row.version} is too old; ${LEAST_VERSION} or newer is needed`);
  }
  if (row.encoding !== 'UTF8') {
    throw new SchemaError(
      `${server}: the database ${row.database} is in ${row.encoding}; make one with encoding 'UTF8'`,
    );
  }
  if (row.hstore === null && !row.hstore_available) {
    throw new SchemaError(
      `${server}: the extension hstore is not installed on the machine (Debian: apt install postgresql-contrib)`,
    );
  }
  const settings = await readServerSettings(client, server);
  if (settings === undefined && !row.may_create) {
    throw new PermissionError(
      `${server}: the role ${row.role} may not make schemas; a superuser may run: grant create on database ${quoteIdentifier(row.database)} to ${quoteIdentifier(row.role)}`,
    );
  }
  return { settings, hstoreSchema: row.hstore ?? (row.public ? 'public' : 'hypervault') };
}

interface SurveyRow {
  readonly standby: boolean;
  readonly version: number;
  readonly encoding: string;
  readonly database: string;
  readonly role: string;
  readonly may_create: boolean;
  readonly public: boolean;
  readonly hstore: string | null;
  readonly hstore_available: boolean;
}

const SURVEY = `
  select
    pg_is_in_recovery() as standby,
    current_setting('server_version_num')::integer / 10000 as version,
    current_setting('server_encoding') as encoding,
    current_database() as database,
    current_user as role,
    has_database_privilege(current_database(), 'create') as may_create,
    to_regnamespace('public') is not null as public,
    (
      select namespace.nspname
      from pg_catalog.pg_extension as extension
      join pg_catalog.pg_namespace as namespace on namespace.oid = extension.extnamespace
      where extension.extname = 'hstore'
    ) as hstore,
    exists (select from pg_catalog.pg_available_extensions where name = 'hstore') as hstore_available`;
