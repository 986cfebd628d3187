// Callers of one server, who read and write without pause and note what they see.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Datastore, Key } from 'pg-hypervault';
import { CITY } from './cities.ts';

/** What the callers of one server saw in one stretch of time. */
export interface Sight {
  readonly answers: number;
  readonly slowestMs: number;
  /** Errors by name, with one message of each. */
  readonly errors: ReadonlyMap<string, { count: number; message: string }>;
}

interface Notes {
  answers: number;
  slowestMs: number;
  errors: Map<string, { count: number; message: string }>;
}

export class Callers {
  /** Everything that was put while they called, and was acknowledged. */
  readonly acknowledged: Key[] = [];
  readonly #db: Datastore;
  readonly #keys: readonly Key[];
  #notes = fresh();
  #stopped = false;
  readonly #all: Promise<void>[];

  constructor(db: Datastore, keys: readonly Key[], count = 8) {
    this.#db = db;
    this.#keys = keys;
    this.#all = Array.from({ length: count }, (_, i) => this.#call(i));
  }

  /** Tears off the notes and begins a new page. */
  takeNotes(): Sight {
    const notes = this.#notes;
    this.#notes = fresh();
    return notes;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#all);
  }

  async #call(first: number): Promise<void> {
    for (let i = first; !this.#stopped; i++) {
      const key = this.#keys[(i * 7_919) % this.#keys.length]!;
      const start = performance.now();
      try {
        // One write for every twenty reads.
        if (i % 20 === 0) this.acknowledged.push(await this.#db.put(key.shardId, CITY, { name: `visit ${i}` }));
        else await this.#db.get(key);
        this.#notes.answers += 1;
        this.#notes.slowestMs = Math.max(this.#notes.slowestMs, performance.now() - start);
      } catch (error) {
        this.#note(error as Error);
        await sleep(20);
      }
    }
  }

  #note({ name, message }: Error): void {
    const noted = this.#notes.errors.get(name);
    if (noted === undefined) this.#notes.errors.set(name, { count: 1, message });
    else noted.count += 1;
  }
}

function fresh(): Notes {
  return { answers: 0, slowestMs: 0, errors: new Map() };
}
