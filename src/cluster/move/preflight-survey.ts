import type { Client } from 'pg';
import type { Party } from './parties.ts';

/** What a server is like, as far as moves care. */
export interface MoveServerSurvey {
  readonly standby: boolean;
  readonly version: number;
  readonly wal_level: string;
  /** Tells two names of one database apart from two databases. */
  readonly identity: string;
  readonly encoding: string;
  readonly collation: string;
  readonly free_slots: number;
  readonly free_senders: number;
  readonly free_workers: number;
  readonly extensions: Readonly<Record<string, string>>;
  readonly clock_ms: number;
  /** Ms since 1970 by this program's clock, when the server was asked; half the way there and back. */
  readonly asked_at: number;
  readonly superuser: boolean;
  readonly may_replicate: boolean;
  readonly may_subscribe: boolean;
  readonly may_create: boolean;
  readonly role: string;
  readonly schema_there: boolean;
  readonly installed: boolean;
  readonly settings: string | null;
  /** In all databases of the server, oldest first. */
  readonly prepared: readonly SurveyedPrepared[];
  readonly oldest_ms: number | null;
}

/** A prepared transaction. */
export interface SurveyedPrepared {
  readonly gid: string;
  readonly database: string;
  readonly role: string;
  readonly age_ms: number;
  /** In the database of the shards. */
  readonly here: boolean;
  /** A part of an atomic write, which ends by itself. */
  readonly part: boolean;
}

/** @returns what was found on a server; changes nothing */
export async function surveyMoveServer({ client }: Party, schema: string): Promise<MoveServerSurvey> {
  await client.query('select 1');
  const before = Date.now();
  const { rows } = await client.query<Omit<MoveServerSurvey, 'asked_at' | 'settings'>>(SERVER, [schema]);
  const asked_at = (before + Date.now()) / 2;
  const row = rows[0]!;
  return { ...row, asked_at, settings: row.installed ? await fixedSettings(client) : null };
}

/** What is fixed at install, as text: two servers of one installation say the same. */
async function fixedSettings(client: Client): Promise<string> {
  const { rows } = await client.query<{ settings: string }>(
    `select concat_ws(', ', 'epoch ' || epoch, 'slots ' || slots, 'first shard ' || first_shard, 'prefix ' || prefix) as settings
     from hypervault.settings`,
  );
  return rows[0]!.settings;
}

const SERVER = `
  select
    date_part('epoch', clock_timestamp()) * 1000 as clock_ms,
    pg_is_in_recovery() as standby,
    current_setting('server_version_num')::integer / 10000 as version,
    current_setting('wal_level') as wal_level,
    (select system_identifier from pg_control_system())::text || '/' || current_database() as identity,
    current_setting('server_encoding') as encoding,
    (
      select concat_ws(' ', datlocprovider, datcollate, datctype, pg_database_collation_actual_version(oid))
      from pg_database
      where datname = current_database()
    ) as collation,
    current_setting('max_replication_slots')::integer - (select count(*) from pg_replication_slots)::integer as free_slots,
    current_setting('max_wal_senders')::integer - (select count(*) from pg_stat_replication)::integer as free_senders,
    current_setting('max_logical_replication_workers')::integer
      - (select count(*) from pg_stat_subscription where pid is not null)::integer as free_workers,
    (select coalesce(json_object_agg(extname, extversion), '{}') from pg_extension where extname <> 'plpgsql') as extensions,
    role.rolsuper as superuser,
    role.rolsuper or role.rolreplication as may_replicate,
    role.rolsuper or exists (
      select from pg_roles
      where rolname = 'pg_create_subscription' and pg_has_role(pg_roles.oid, 'usage')
    ) as may_subscribe,
    has_database_privilege(current_database(), 'create') as may_create,
    current_user as role,
    exists (select from pg_namespace where nspname = $1) as schema_there,
    to_regclass('hypervault.settings') is not null as installed,
    (
      select coalesce(json_agg(json_build_object(
        'gid', gid,
        'database', database,
        'role', owner,
        'age_ms', floor(date_part('epoch', clock_timestamp() - prepared) * 1000),
        'here', database = current_database(),
        'part', database = current_database() and starts_with(gid, 'hv_atomic:')
      ) order by prepared), '[]')
      from pg_prepared_xacts
    ) as prepared,
    (
      select floor(max(date_part('epoch', clock_timestamp() - xact_start)) * 1000)::float8
      from pg_stat_activity
      where (datname = current_database() or backend_xid is not null)
        and backend_type = 'client backend'
        and pid <> pg_backend_pid()
    ) as oldest_ms
  from pg_roles as role
  where rolname = current_user`;

/** What a shard is like, as far as moves care. */
export interface MoveShardSurvey {
  readonly there: boolean;
  readonly owner: string | null;
  readonly may_act: boolean;
  /** Roles with USAGE on the schema beside the owner; `null` is PUBLIC. */
  readonly usage: readonly (string | null)[];
  /** Of those, the ones no REVOKE binds: superusers, and members of the owner. */
  readonly unbound: readonly string[];
  readonly without_identity: readonly string[];
  readonly not_carried: readonly string[];
  readonly inherited: readonly string[];
  readonly always_triggers: readonly string[];
  readonly outside_keys: readonly string[];
  readonly large_objects: readonly string[];
  readonly roles: readonly string[];
}

/** @returns what was found in a shard; changes nothing */
export async function surveyMoveShard(client: Client, schema: string): Promise<MoveShardSurvey> {
  const { rows } = await client.query<MoveShardSurvey>(SHARD, [schema]);
  return rows[0]!;
}

const SHARD = `
  with namespace as (
    select oid, nspowner, nspacl
    from pg_namespace
    where nspname = $1
  ), class as (
    select pg_class.*
    from pg_class
    join namespace on namespace.oid = pg_class.relnamespace
    where relname not in ('hv_owner', 'hv_ledger', 'hv_migrations', 'hv_move')
  ), usage as (
    select grantee
    from namespace
    cross join aclexplode(nspacl)
    where privilege_type = 'USAGE' and grantee <> nspowner
  )
  select
    exists (select from namespace) as there,
    (select nspowner::regrole::text from namespace) as owner,
    coalesce((select pg_has_role(nspowner, 'usage') from namespace), false) as may_act,
    array(select case when grantee = 0 then null else pg_get_userbyid(grantee)::text end from usage order by 1) as usage,
    array(
      select rolname::text
      from usage
      cross join namespace
      join pg_roles on pg_roles.oid = grantee
      where rolsuper or pg_has_role(grantee, nspowner, 'usage')
    ) as unbound,
    array(
      select relname::text
      from class
      where relkind = 'r'
        and not (
          relreplident = 'f'
          or relreplident = 'd' and exists (select from pg_index where indrelid = class.oid and indisprimary)
          or relreplident = 'i' and exists (select from pg_index where indrelid = class.oid and indisreplident)
        )
      order by 1
    ) as without_identity,
    array(
      select format('%s %s', case when relkind = 'f' then 'foreign table' when relkind = 'm' then 'materialized view'
        else 'unlogged table' end, relname)
      from class
      where relkind in ('f', 'm') or relkind = 'r' and relpersistence <> 'p'
      order by 1
    ) as not_carried,
    array(
      select relname::text
      from class
      where relkind = 'p' or exists (select from pg_inherits where inhrelid = class.oid or inhparent = class.oid)
      order by 1
    ) as inherited,
    array(
      select format('%s on %s', tgname, relname)
      from pg_trigger
      join class on class.oid = tgrelid
      where tgenabled in ('A', 'R') and not tgisinternal
      order by 1
    ) as always_triggers,
    array(
      select format('%s on %s', conname, one.relname)
      from pg_constraint
      join pg_class as one on one.oid = conrelid
      join pg_class as other on other.oid = confrelid
      where contype = 'f'
        and one.relnamespace <> other.relnamespace
        and (conrelid in (select class.oid from class) or confrelid in (select class.oid from class))
      order by 1
    ) as outside_keys,
    array(
      select format('%s.%s', relname, attname)
      from pg_attribute
      join class on class.oid = attrelid
      join pg_type on pg_type.oid = atttypid
      where attnum > 0 and not attisdropped and relkind = 'r' and typname in ('oid', 'lo')
        and exists (select from pg_largeobject_metadata)
      order by 1
    ) as large_objects,
    array(
      select pg_get_userbyid(role)::text
      from (
        select nspowner as role from namespace
        union
        select grantee from usage where grantee <> 0
        union
        select acl.grantee from class cross join aclexplode(relacl) as acl where acl.grantee <> 0
      ) as named
      order by 1
    ) as roles`;
