import type { Client } from 'pg';
import { endClient } from '../../internal/client-guard.ts';
import { qualify } from '../apply/table-sql.ts';
import type { TableRow } from '../catalogue/table-rows.ts';
import type { EngineContext } from '../commands/context.ts';
import type { Destination, Router } from '../route/router.ts';
import type { ChunkRange } from '../source/snapshot.ts';
import { addDigests, type Digest, NOTHING, type RowHashes, RowSet, type RowShape } from './row-set.ts';
import { comparingSession, shapeOf } from './source-side.ts';

/** Sessions on the servers of the target, one each, for as long as a verification lasts. */
export class TargetSessions {
  readonly #context: EngineContext;
  readonly #clients = new Map<string, Promise<Client>>();

  constructor(context: EngineContext) {
    this.#context = context;
  }

  on(server: string): Promise<Client> {
    const known = this.#clients.get(server) ?? comparingSession(this.#context, server);
    this.#clients.set(server, known);
    return known;
  }

  async close(): Promise<void> {
    await Promise.all(
      [...this.#clients.values()].map((client) => client.then((open) => endClient(open)).catch(() => {})),
    );
  }
}

/** Places that together hold every row of a table once: all its shards, or one of the copies of a reference table. */
export class TargetSide {
  readonly name: string;
  readonly #sessions: TargetSessions;
  readonly #places: readonly Destination[];
  readonly #table: TableRow;
  readonly #shape: RowShape;

  constructor(sessions: TargetSessions, table: TableRow, places: readonly Destination[]) {
    this.#sessions = sessions;
    this.#table = table;
    this.#places = places;
    this.#shape = shapeOf(table, 'target');
    this.name = places.length === 1 ? `${places[0]!.server}/${places[0]!.schema}` : 'shards';
  }

  async digest(range: ChunkRange | null): Promise<Digest> {
    const parts = await this.#each((rows) => rows.digest(range));
    return parts.reduce(addDigests, NOTHING);
  }

  async bucketDigests(): Promise<Map<number, Digest>> {
    const total = new Map<number, Digest>();
    for (const part of await this.#each((rows) => rows.bucketDigests())) {
      for (const [bucket, digest] of part) total.set(bucket, addDigests(total.get(bucket) ?? NOTHING, digest));
    }
    return total;
  }

  hashes(range: ChunkRange | null): Promise<RowHashes> {
    return this.#merged((rows) => rows.hashes(range));
  }

  hashesOfBuckets(buckets: readonly number[]): Promise<RowHashes> {
    return this.#merged((rows) => rows.hashesOfBuckets(buckets));
  }

  hashesOf(keys: readonly string[]): Promise<RowHashes> {
    return this.#merged((rows) => rows.hashesOf(keys));
  }

  /** Routing keys that stand in a shard that is not theirs. */
  async misplaced(router: Extract<Router, { kind: 'by-key' }>): Promise<string[]> {
    const found = await this.#each(async (rows, place) => {
      const values = await rows.distinct(router.columns);
      return values
        .filter((value) => router.route(value) !== place)
        .map((value) => `${value.join(', ')} in ${place.schema}`);
    });
    return found.flat();
  }

  async #merged(ask: (rows: RowSet) => Promise<RowHashes>): Promise<RowHashes> {
    const merged: RowHashes = new Map();
    for (const part of await this.#each(ask)) {
      for (const [key, hash] of part) {
        const before = merged.get(key);
        // A row that stands in two places shows as two
        merged.set(key, before === undefined ? hash : [...before.split(' '), ...hash.split(' ')].sort().join(' '));
      }
    }
    return merged;
  }

  /** All places, the servers side by side, those of one server in turn. */
  async #each<Result>(ask: (rows: RowSet, place: Destination) => Promise<Result>): Promise<Result[]> {
    const servers = new Set(this.#places.map(({ server }) => server));
    const found = await Promise.all(
      [...servers].map(async (server) => {
        const client = await this.#sessions.on(server);
        const results: Result[] = [];
        for (const place of this.#places) {
          if (place.server !== server) continue;
          const relation = qualify(place.schema, this.#table.target.name);
          results.push(await ask(new RowSet(client, relation, this.#shape), place));
        }
        return results;
      }),
    );
    return found.flat();
  }
}

/** The sides of a table that each have to hold everything the source has. */
export function targetSides(sessions: TargetSessions, table: TableRow, router: Router): TargetSide[] {
  if (router.kind === 'by-key') return [new TargetSide(sessions, table, router.destinations)];
  return router.destinations.map((place) => new TargetSide(sessions, table, [place]));
}
