import { sleep } from '../../internal/sleep.ts';
import { MoveStalledError } from './errors.ts';
import { enableSubscription, makeMarkerTable, publish, subscribe, subscriptionIdentity } from './links.ts';
import type { Moving, Passage } from './moving.ts';
import { makeSlot } from './slot.ts';

const LOOK_EVERY_MS = 100;
/** A worker that failed is started again after `wal_retrieve_retry_interval`; as often as this it is no accident. */
const MAX_WORKER_ERRORS = 5;

/** Publication and slot on the source, a subscription on the target, which is written down before it may run. */
export async function publishShard(moving: Moving): Promise<void> {
  const { source, target, schema, links } = moving;
  await makeMarkerTable(source, schema, true);
  await makeMarkerTable(target, schema, false);
  await publish(source.client, links.forward, schema, moving.objects.tables ?? []);
  await makeSlot(moving, source, links.forward, 'publish');
  await subscribe(target, source, links.forward, { copy: true });
  const subscription = await subscriptionIdentity(target.client, links.forward);
  if (subscription !== undefined) await moving.keep({ subscription });
}

/** Lets the subscription run and waits until every table is there. */
export async function copyRows(moving: Moving): Promise<{ tables: number }> {
  const { target, links, signal } = moving;
  await enableSubscription(target, links.forward);
  for (;;) {
    const progress = await lookAtCopy(moving);
    moving.report('copy', progress);
    if (progress.tables.done === progress.tables.total) return { tables: progress.tables.total };
    await assertNotStalled(moving, moving.forward);
    await moving.journal.beat(moving.row.id);
    await sleep(LOOK_EVERY_MS, { signal, what: 'the copy of a shard' });
  }
}

async function lookAtCopy({ target, links }: Moving) {
  const { rows } = await target.client.query<{
    done: number;
    total: number;
    rows: string | null;
    bytes: string | null;
  }>(
    `select
       count(*) filter (where relation.srsubstate = 'r')::integer as done,
       count(*)::integer as total,
       sum(copy.tuples_processed)::text as rows,
       sum(copy.bytes_processed)::text as bytes
     from pg_subscription_rel as relation
     join pg_subscription on pg_subscription.oid = relation.srsubid
     left join pg_stat_progress_copy as copy on copy.relid = relation.srrelid
     where subname = $1`,
    [links.forward],
  );
  const { done, total, rows: copied, bytes } = rows[0]!;
  return {
    tables: { done, total },
    rows: copied === null ? undefined : BigInt(copied),
    bytes: bytes === null ? undefined : BigInt(bytes),
  };
}

/** @throws MoveStalledError when the source keeps too much log for this move, or its workers fail again and again */
export async function assertNotStalled({ shardId, options }: Moving, { from, to, link }: Passage): Promise<void> {
  const [slot, workers] = await Promise.all([
    from.client.query<{ retained: string | null; lost: boolean }>(
      `select pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::text as retained, wal_status = 'lost' as lost
       from pg_replication_slots where slot_name = $1`,
      [link],
    ),
    to.client.query<{ errors: number }>(
      `select (apply_error_count + sync_error_count)::integer as errors from pg_stat_subscription_stats where subname = $1`,
      [link],
    ),
  ]);
  if (slot.rows[0] === undefined || slot.rows[0].lost) {
    throw new MoveStalledError(shardId, `${from.name} no longer keeps the log of this move: undo it and begin anew`);
  }
  const retained = Number(slot.rows[0].retained ?? 0);
  if (retained > options.maxRetainedBytes) {
    throw new MoveStalledError(
      shardId,
      `${from.name} keeps ${retained} bytes of log for this move, more than maxRetainedBytes (${options.maxRetainedBytes})`,
    );
  }
  const errors = workers.rows[0]?.errors ?? 0;
  if (errors > MAX_WORKER_ERRORS) {
    throw new MoveStalledError(
      shardId,
      `the workers of replication on ${to.name} failed ${errors} times; its log says why`,
    );
  }
}
