// A writer that never gives up: a row and a notification every few ms, through every fault, and a reader of the rows.
import { onTestFinished } from 'vitest';
import { Endpoint } from '../../src/internal/endpoint/endpoint.ts';
import type { ConnectionSettings } from '../../src/internal/endpoint/settings.ts';

export interface JobWriter {
  /** Rows that the server has acknowledged. */
  readonly written: number;
  /** Ends the writing; resolves with the ids that were acknowledged. */
  stop(): Promise<number[]>;
}

export const CREATE_JOBS = 'create table if not exists jobs (id int primary key)';

export function startJobWriter(connection: ConnectionSettings, everyMs = 5): JobWriter {
  const endpoint = new Endpoint(connection);
  const pool = endpoint.createPool({ max: 1, waitTimeoutMs: 30_000 });
  const ids: number[] = [];
  let stopping = false;
  const run = async (): Promise<void> => {
    for (let id = 1; !stopping; id += 1) {
      // A reply that was lost leaves the outcome unknown, so the same id is tried again until it is known.
      while (!stopping) {
        try {
          await pool.query(
            `with job as (insert into jobs values ($1) on conflict do nothing) select pg_notify('jobs', $1::text)`,
            [id],
          );
          ids.push(id);
          break;
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  };
  const task = run();
  onTestFinished(async () => {
    stopping = true;
    await task;
    await endpoint.close();
  });
  return {
    get written() {
      return ids.length;
    },
    stop: async () => {
      stopping = true;
      await task;
      await endpoint.close();
      return ids;
    },
  };
}
