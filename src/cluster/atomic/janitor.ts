import type { ConnectionSettings, Datastore } from '../../core/index.ts';
import { throwIfAborted } from '../../internal/sleep.ts';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import type { JanitorFinding } from '../finding.ts';
import { onServer } from '../owners.ts';
import { describePrepared, type PreparedReport } from './in-doubt.ts';
import { ATOMIC_DEFAULTS } from './options.ts';
import { type PreparedOnServer, readPrepared } from './prepared.ts';
import { type InDoubt, recover } from './recover.ts';
import { findStale, type StaleDecisions, sweepShard } from './sweep.ts';

/** What to look at, and whether to end it. */
export interface AtomicJanitorOptions {
  /** Servers beside those of the map. @default {} */
  readonly servers?: Readonly<Record<string, ConnectionSettings>> | undefined;
  /** Ends parts by their decisions, and removes decisions that nobody needs. @default false: only looks */
  readonly remove?: boolean | undefined;
  /** From this age on a part is taken for left. @default 2000 */
  readonly recoverAfterMs?: number | undefined;
  /** From this age on a decision is taken for left. @default 60000 */
  readonly sweepAfterMs?: number | undefined;
  /** @default 'shard' */
  readonly schemaPrefix?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Lists what is prepared on all servers, and with `remove` ends what atomic writes have left: parts as their decisions say,
 * then decisions that no part needs any more. What somebody else has prepared is named and never touched: it keeps dead
 * rows from VACUUM and holds up the beginning of moves.
 *
 * @throws AbortedError
 */
export async function atomicJanitor(
  db: Datastore,
  {
    servers = {},
    remove = false,
    recoverAfterMs = ATOMIC_DEFAULTS.recoverAfterMs,
    sweepAfterMs = 60_000,
    schemaPrefix = 'shard',
    signal,
  }: AtomicJanitorOptions = {},
): Promise<JanitorFinding[]> {
  const { map } = db;
  const all = { ...servers, ...Object.fromEntries(map.servers.map(({ name, connection }) => [name, connection])) };
  const serverOf = (shardId: number): string | undefined => (map.has(shardId) ? map.serverOf(shardId).name : undefined);
  const { found, away } = await lookAround(all, signal);
  const reports = await describePrepared(found, { serverOf, servers: all, schemaPrefix, signal });
  const ended = remove ? await recover(db, { afterMs: recoverAfterMs, signal }) : undefined;
  const findings = reports.flatMap((report): JanitorFinding[] => {
    if (report.part === undefined) return [foreign(report)];
    if (report.ageMs < recoverAfterMs) return [waiting(report)];
    return ended === undefined ? [toEnd(report)] : outcomeOf(report, ended);
  });
  const answered = map.shards.filter((shardId) => found.has(map.serverOf(shardId).name));
  const stale = await findStale(db, answered, { afterMs: sweepAfterMs, onError: 'partial', signal });
  for (const decisions of stale) {
    findings.push(...(await removeDecisions(db, decisions, serverOf(decisions.coordinator)!, { remove, signal })));
  }
  return [...away, ...findings];
}

async function lookAround(
  servers: Readonly<Record<string, ConnectionSettings>>,
  signal: AbortSignal | undefined,
): Promise<{ readonly found: ReadonlyMap<string, PreparedOnServer>; readonly away: readonly JanitorFinding[] }> {
  const found = new Map<string, PreparedOnServer>();
  const away: JanitorFinding[] = [];
  await Promise.all(
    Object.entries(servers).map(async ([server, connection]) => {
      try {
        found.set(server, await onServer(connection, readPrepared, signal));
      } catch (error) {
        throwIfAborted(signal, 'the janitor');
        away.push(serverAway(server, error));
      }
    }),
  );
  return { found, away };
}

/** A server that could not be looked at. */
export function serverAway(server: string, error: unknown): JanitorFinding {
  const kept = error instanceof Error ? error.message : String(error);
  return { server, kind: 'server', name: 'not looked at', kept, removed: false, how: 'removed', failed: true };
}

function foreign(report: PreparedReport): JanitorFinding {
  const { server, name, database } = report;
  return {
    server,
    kind: 'prepared',
    name,
    kept: `not ours: ends in database ${database} by commit prepared or rollback prepared`,
    removed: false,
    how: 'rolled back',
    failed: false,
    prepared: report,
  };
}

function part(report: PreparedReport, rest: Partial<JanitorFinding>): JanitorFinding {
  const { server, name, decision } = report;
  const how = decision === 'decided' ? 'committed' : 'rolled back';
  return { server, kind: 'part', name, kept: undefined, removed: false, how, failed: false, prepared: report, ...rest };
}

function waiting(report: PreparedReport): JanitorFinding {
  return part(report, { kept: 'just prepared: its writer is at it' });
}

/** What `remove` would do. */
function toEnd(report: PreparedReport): JanitorFinding {
  if (report.decision !== 'unknown') return part(report, {});
  const { coordinator } = report.part!;
  return part(report, { kept: `shard ${coordinator}, which knows whether the write is done, could not be asked` });
}

function outcomeOf(report: PreparedReport, ended: readonly InDoubt[]): JanitorFinding[] {
  const { id, shardId } = report.part!;
  const outcome = ended.find((one) => one.id === id && one.shardId === shardId);
  switch (outcome?.outcome) {
    case 'committed':
    case 'rolled back':
      return [part(report, { removed: true, how: outcome.outcome })];
    case 'open':
      return [part(report, { kept: 'its writer has not decided yet' })];
    case 'failed':
      return [part(report, { kept: whyNotEnded(report, outcome.error), failed: true })];
    default: {
      // Servers are asked by their shards.
      const server = ended.find((one) => one.server === report.server && one.outcome === 'failed' && one.id === '');
      if (server !== undefined) return [part(report, { kept: whyNotEnded(report, server.error), failed: true })];
      return [part(report, { kept: 'not found again: ended meanwhile, or the map gives this server no shard' })];
    }
  }
}

function whyNotEnded({ role }: PreparedReport, error: unknown): string {
  if (sqlStateOf(error) === SQLSTATE.insufficientPrivilege) {
    return `only the role that prepared it (${role}) or a superuser may end it: run this as one of them`;
  }
  return error instanceof Error ? error.message : String(error);
}

async function removeDecisions(
  db: Datastore,
  stale: StaleDecisions,
  server: string,
  { remove, signal }: { remove: boolean; signal: AbortSignal | undefined },
): Promise<JanitorFinding[]> {
  const { coordinator, ids } = stale;
  const found = { server, kind: 'decisions' as const, how: 'removed' as const, removed: false };
  const many = (n: number): string => `${n} ${n === 1 ? 'decision' : 'decisions'} in shard ${coordinator}`;
  try {
    const { removed, lost } = await sweepShard(db, stale, { remove, signal });
    const kept = ids.length - removed - lost.length;
    return [
      ...(removed > 0 ? [{ ...found, name: many(removed), kept: undefined, removed: remove, failed: false }] : []),
      ...(kept > 0
        ? [{ ...found, name: many(kept), kept: 'their writes have parts that are prepared', failed: false }]
        : []),
      ...lost.map(({ id, shards }) => ({
        ...found,
        name: id,
        kept: `the write is done, but a failover may have lost its part on shard ${shards.join(' and ')}: look what is missing there and write it again, then: delete from ${db.schemaOf(coordinator)}.hv_decision where id = '${id}'`,
        failed: true,
      })),
    ];
  } catch (error) {
    throwIfAborted(signal, 'the janitor');
    const why = error instanceof Error ? error.message : String(error);
    return [{ ...found, name: many(ids.length), kept: why, failed: true }];
  }
}
