import type { Client } from 'pg';

/** A standby as its primary sees it. */
export interface StandbyReport {
  /** Its application_name. */
  readonly name: string;
  readonly address: string | null;
  readonly state: string;
  /** `async`, `sync`, `quorum` or `potential`. */
  readonly sync: string;
  /** Log written by the primary that the standby has not replayed; `null` when this role may not see it. */
  readonly lagBytes: bigint | null;
  readonly lagMs: number | null;
}

/** A replication slot: what it keeps the server from throwing away. */
export interface SlotReport {
  readonly slot: string;
  readonly kind: 'physical' | 'logical';
  readonly active: boolean;
  /** Log kept for it. */
  readonly retainedBytes: bigint | null;
  /** Log its reader has not confirmed; logical slots only. */
  readonly behindBytes: bigint | null;
  /** `reserved`, `extended`, `unreserved` or `lost`. */
  readonly walStatus: string | null;
}

/** What flows in and out of one server. */
export interface ReplicationReport {
  readonly standbys: readonly StandbyReport[];
  readonly slots: readonly SlotReport[];
  readonly subscriptions: readonly { readonly name: string; readonly enabled: boolean }[];
  readonly publications: readonly string[];
}

/** A standby has a log it replays, and no log it writes. */
const HERE = 'case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end';

const STANDBYS = `
select sender.application_name as name,
       host(sender.client_addr) as address,
       sender.state,
       sender.sync_state as sync,
       pg_wal_lsn_diff(${HERE}, sender.replay_lsn)::bigint::text as lag_bytes,
       (date_part('epoch', sender.replay_lag) * 1000)::float8 as lag_ms
from pg_stat_replication as sender
left join pg_replication_slots as slot on slot.active_pid = sender.pid
where slot.slot_type is distinct from 'logical'
  and sender.state is distinct from 'backup'
order by sender.application_name`;

const SLOTS = `
select slot.slot_name as slot,
       slot.slot_type as kind,
       slot.active,
       pg_wal_lsn_diff(${HERE}, slot.restart_lsn)::bigint::text as retained_bytes,
       pg_wal_lsn_diff(${HERE}, slot.confirmed_flush_lsn)::bigint::text as behind_bytes,
       slot.wal_status
from pg_replication_slots as slot
where slot.database is null or slot.database = current_database()
order by slot.slot_name`;

const LINKS = `
select array(
         select jsonb_build_object('name', subscription.subname, 'enabled', subscription.subenabled)
         from pg_subscription as subscription
         join pg_database as database on database.oid = subscription.subdbid
         where database.datname = current_database()
         order by subscription.subname
       ) as subscriptions,
       array(select publication.pubname::text from pg_publication as publication order by publication.pubname) as publications`;

/** Reads what flows in and out of a server. */
export async function readReplication(client: Client): Promise<ReplicationReport> {
  const standbys = await client.query<Record<'lag_bytes', string | null> & { lag_ms: number | null } & StandbyReport>(
    STANDBYS,
  );
  const slots = await client.query<Record<'retained_bytes' | 'behind_bytes', string | null> & SlotRow>(SLOTS);
  const links = await client.query<Pick<ReplicationReport, 'subscriptions' | 'publications'>>(LINKS);
  return {
    standbys: standbys.rows.map(({ name, address, state, sync, lag_bytes, lag_ms }) => ({
      name,
      address,
      state,
      sync,
      lagBytes: big(lag_bytes),
      lagMs: lag_ms === null ? null : Math.round(lag_ms),
    })),
    slots: slots.rows.map(({ slot, kind, active, retained_bytes, behind_bytes, wal_status }) => ({
      slot,
      kind,
      active,
      retainedBytes: big(retained_bytes),
      behindBytes: big(behind_bytes),
      walStatus: wal_status,
    })),
    ...links.rows[0]!,
  };
}

interface SlotRow extends Pick<SlotReport, 'slot' | 'kind' | 'active'> {
  readonly wal_status: string | null;
}

function big(text: string | null): bigint | null {
  return text === null ? null : BigInt(text);
}
