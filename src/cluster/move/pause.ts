import type { Client } from 'pg';
import { ADVISORY_LOCK_CLASS } from '../../internal/advisory-locks.ts';
import { Backoff } from '../../internal/backoff.ts';
import { sleep } from '../../internal/sleep.ts';
import { MapMissingError } from '../errors.ts';
import type { MapVersion } from '../map-store.ts';
import { wasInTheWay } from '../short-locks.ts';
import { arm } from './arm.ts';
import { MoveStalledError } from './errors.ts';
import { waitForLongWriters } from './gate.ts';
import { setUsage } from './grants.ts';
import { Marker } from './marker.ts';
import type { Moving, Passage } from './moving.ts';
import type { Opening } from './opening.ts';
import { furtherSession } from './shard-lock.ts';

/** What else may run while a pause holds its locks: nothing may keep them much longer than the pause. */
const SLACK_MS = 2_000;
/** How long the first try waits for the writers; each further one twice as long, up to `lockTimeoutMs`. */
const FIRST_TRY_MS = 40;

/** The fence is committed. */
export interface Fenced {
  /** The map that is to be replaced now. */
  readonly map: MapVersion;
  /** `performance.now()` when writers began to wait. */
  readonly since: number;
  readonly tries: number;
  /** When each part of the pause was over, in ms since its beginning: for whoever asks where it went. */
  readonly partsMs: Readonly<Record<string, number>>;
}

/**
 * Pause and fence, in one transaction on the server that has the shard:
 *
 * ```
 *  writers ──────┐ shut the gate   ┌───────── wait ────────────┐ ┌─ SV004: they go to the new server
 *                └─────────────────┤ marker written, and there ├─┤
 *                                  │ meanwhile: the owner row  │ commit: point of no return
 *                                  └─ too late: roll back, nothing happened, try again later
 * ```
 *
 * The gate is one lock, which every writer shares (sql/cluster/server/functions/gate.sql): no lock on a table is taken, so
 * the pause meets nobody in a deadlock over several of them.
 * Writers wait for at most `lockTimeoutMs + maxPauseMs` in one try, the first ones are shorter, and they become rarer.
 *
 * @throws MoveStalledError when no try succeeded within `pauseWithinMs`
 */
export async function pauseAndFence(moving: Moving, passage: Passage, opening: Opening): Promise<Fenced> {
  const { options, signal, shardId } = moving;
  const deadline = performance.now() + options.pauseWithinMs;
  const backoff = new Backoff({ baseMs: 200, maxMs: 5_000 });
  const session = await furtherSession(passage.from, shardId);
  const marker = new Marker(moving.schema, passage.from.client, passage.to.client);
  await waitForLongWriters(moving, passage, deadline);
  await arm(moving, passage, session, deadline);
  await rehearse(moving, passage, session, opening);
  for (let tries = 1; ; tries += 1) {
    await waitForLongWriters(moving, passage, deadline);
    const map = await newestMap(moving);
    const epoch = map.document.epoch + 1n;
    await moving.journal.setEpoch(moving.row.id, epoch);
    const lockMs = Math.min(FIRST_TRY_MS * 2 ** (tries - 1), options.lockTimeoutMs);
    const outcome = await tryOnce(moving, passage, { session, opening, marker, epoch, lockMs });
    if (typeof outcome !== 'string') return { map, tries, ...outcome };
    await opening.rollback();
    moving.report('pause', { note: `${outcome}; trying again` });
    if (performance.now() > deadline) {
      throw new MoveStalledError(shardId, `no pause was had in ${tries} tries: ${outcome}`);
    }
    await sleep(backoff.next(), { signal, what: 'the next try to pause' });
  }
}

/**
 * Lets the three sessions of a pause run through what they will do in it, changing nothing: on two processors under load the
 * first call of such a function took 4 to 28 ms, the second 1 to 6.
 */
async function rehearse(
  { schema, shardId }: Moving,
  { from, to }: Passage,
  session: Client,
  opening: Opening,
): Promise<void> {
  await session.query('select hypervault.move_shut($1, $2, 0, true)', [schema, to.name]);
  await from.client.query('select hypervault.move_stop($1, $2, true)', [schema, shardId]);
  await opening.rehearse(to.name);
}

/** The map as it is before the flip; the fence carries the epoch of the next one. */
async function newestMap({ store, signal }: Moving): Promise<MapVersion> {
  const newest = await store.read({ signal });
  if (newest !== null) return newest;
  throw new MapMissingError('the control database holds no shard map; see hypervault fsck');
}

/** @returns when writers began to wait, or a sentence why it must be tried again */
async function tryOnce(
  moving: Moving,
  { from, to }: Passage,
  { session, opening, marker, epoch, lockMs }: Try,
): Promise<Pick<Fenced, 'since' | 'partsMs'> | string> {
  const { schema, shardId, options, signal } = moving;
  try {
    await opening.begin();
    const since = performance.now();
    const partsMs: Record<string, number> = {};
    const over = (part: string): void => {
      partsMs[part] = Math.round(performance.now() - since);
    };
    // A mover that vanishes from the network must not keep the gate; a synchronous standby must have the fence.
    await session.query(
      `begin isolation level read committed;
       set local synchronous_commit to on;
       set local lock_timeout to ${Math.ceil(lockMs)};
       set local idle_in_transaction_session_timeout to ${options.maxPauseMs + SLACK_MS};
       select pg_advisory_xact_lock(${ADVISORY_LOCK_CLASS.writers}, ${shardId})`,
    );
    over('locked');
    const shut = session
      .query('select hypervault.move_shut($1, $2, $3, false)', [schema, to.name, epoch.toString()])
      // Readers stop with the writers: nobody reads what will be out of date at once.
      .then(() => setUsage(session, schema, moving.objects.usage ?? [], false));
    // Every writer has committed by now or waits: what is behind this marker is nothing.
    const arrived = marker.write().then((number) => marker.arrived(number, options.maxPauseMs, signal));
    const [there] = await Promise.all([arrived.finally(() => over('arrived')), shut.finally(() => over('shut'))]);
    if (!there) {
      await session.query('rollback');
      return `the last rows did not reach ${to.name} within ${options.maxPauseMs} ms`;
    }
    await moving.reached('pause', 'acted');
    await moving.reached('fence', 'begun');
    await session.query('commit');
    over('fenced');
    return { since, partsMs };
  } catch (error) {
    await session.query('rollback').catch(() => {});
    if (wasInTheWay(error)) return `${from.name}: ${(error as Error).message}`;
    throw error;
  }
}

interface Try {
  readonly session: Client;
  readonly opening: Opening;
  readonly marker: Marker;
  readonly epoch: bigint;
  readonly lockMs: number;
}
