import type { ResolvedDatastoreOptions } from './options.ts';
import { Server, type ServerHost } from './server.ts';
import type { ShardServer } from './shard-map.ts';
import { type Lsn, parseLsn } from './write-token.ts';

/** Everything the primary had committed by `at` lies before `lsn`. */
interface Sample {
  readonly at: number;
  readonly lsn: Lsn;
}

/** Samples that wait for the standby to come by. */
const MAX_SAMPLES = 32;
/** Looks at the standby in the time of the bound: its age is known this much better. */
const LOOKS_PER_BOUND = 5;
/** Shorter than a caller would wait for the primary: who meets a dead standby still has that to go to. */
const MAX_WAIT_MS = 500;

/**
 * A standby of one server, for reads that may be a little old.
 *
 * 1. How old it is is never taken from its own word: it is as fresh as the youngest moment at which the primary's log
 *    ended at a place that it has replayed by now. A standby that hears nothing any more grows old like any other.
 * 2. Nobody waits to find out: a read that finds no fresh answer goes to the primary, and the next ones know better.
 */
export class Replica {
  readonly server: Server;
  readonly #primary: Server;
  readonly #maxLagMs: number;
  #samples: Sample[] = [];
  #replayed: Lsn = 0n;
  #freshAsOf = Number.NEGATIVE_INFINITY;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking = false;

  constructor(
    { name, connection, ranges }: ShardServer,
    primary: Server,
    options: ResolvedDatastoreOptions & { readonly maxReplicaLagMs: number },
    host: ServerHost,
  ) {
    this.#primary = primary;
    this.#maxLagMs = options.maxReplicaLagMs;
    const patience = {
      poolBlockTimeoutMs: Math.min(options.poolBlockTimeoutMs, MAX_WAIT_MS),
      requestTimeoutMs: Math.min(options.requestTimeoutMs, 4 * MAX_WAIT_MS),
    };
    const standby = { name, ranges, connection: { ...connection, targetRole: 'standby' as const } };
    this.server = new Server(standby, { ...options, ...patience }, host);
    // Another standby may be further behind than the one we know.
    this.server.endpoint.on('moved', () => this.doubt());
  }

  /**
   * Whether it may answer: not older than the bound, not older than `since` (`performance.now()`), and with all that lies
   * before `behind` in the log.
   */
  mayAnswer(since: number, behind: Lsn): boolean {
    const now = performance.now();
    if (now - this.#lookedAt > this.#maxLagMs / LOOKS_PER_BOUND) void this.#look(now);
    return now - this.#freshAsOf <= this.#maxLagMs && this.#freshAsOf >= since && this.#replayed >= behind;
  }

  /** It failed, or is another one by now: nothing is known of it until the next look. */
  doubt(): void {
    this.#freshAsOf = Number.NEGATIVE_INFINITY;
    this.#replayed = 0n;
  }

  async #look(now: number): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    this.#lookedAt = now;
    try {
      const at = performance.now();
      const lsn = await lsnOf(this.#primary, 'select pg_current_wal_insert_lsn()::text');
      this.#samples = [...this.#samples.slice(1 - MAX_SAMPLES), { at, lsn }];
      const replayed = await lsnOf(this.server, 'select pg_last_wal_replay_lsn()::text');
      const reached = this.#samples.findLast((sample) => sample.lsn <= replayed);
      this.#replayed = replayed;
      if (reached === undefined) return;
      this.#freshAsOf = reached.at;
      this.#samples = this.#samples.filter((sample) => sample.at >= reached.at);
    } catch {
      // The primary or the standby is away: what is known grows old by itself.
      this.doubt();
    } finally {
      this.#looking = false;
    }
  }
}

/** One place in a log that a server is asked for. */
export async function lsnOf(server: Server, text: string): Promise<Lsn> {
  const { rows } = await server.run({ text, values: [] });
  const lsn: unknown = rows[0]?.[0];
  return typeof lsn === 'string' ? parseLsn(lsn) : 0n;
}
