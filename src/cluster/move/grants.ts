import type { Client } from 'pg';
import { quoteIdentifier } from '../../internal/quote.ts';

/** Gives roles the rights they have in a schema of one server in that schema of another, on what is there. */
export async function copyGrants(from: Client, to: Client, schema: string): Promise<void> {
  const { rows } = await from.query<{ kind: string; object: string; statement: string }>(
    'select kind, object, statement from hypervault.move_grants($1)',
    [schema],
  );
  if (rows.length === 0) return;
  const there = await to.query<{ statement: string }>(
    `select statement
     from unnest($1::text[], $2::text[], $3::text[]) as given (kind, object, statement)
     where case kind
       when 'function' then to_regprocedure(object) is not null
       when 'schema' then to_regnamespace(object) is not null
       else to_regclass(object) is not null
     end`,
    [rows.map(({ kind }) => kind), rows.map(({ object }) => object), rows.map(({ statement }) => statement)],
  );
  if (there.rows.length > 0) await to.query(there.rows.map(({ statement }) => statement).join(';\n'));
}

/** Lets roles reach into the shard's schema, or no longer; `null` is PUBLIC. What they may do there stays as it is. */
export async function setUsage(
  client: Client,
  schema: string,
  roles: readonly (string | null)[],
  allowed: boolean,
): Promise<void> {
  if (roles.length === 0) return;
  const names = roles.map((role) => (role === null ? 'public' : quoteIdentifier(role))).join(', ');
  const name = quoteIdentifier(schema);
  await client.query(
    allowed ? `grant usage on schema ${name} to ${names}` : `revoke usage on schema ${name} from ${names}`,
  );
}
