import type { Client } from 'pg';
import { quoteIdentifier } from '../../internal/quote.ts';
import { sleep } from '../../internal/sleep.ts';
import { MARKER_TABLE } from './names.ts';

/**
 * A row that travels behind the writers: what was committed before it is there when it is. It proves more than positions
 * in the log do: that the rows have arrived, through this very stream, and can be read.
 */
export class Marker {
  readonly #table: string;
  readonly #from: Client;
  readonly #to: Client;

  /** @param from - a session in no transaction; a marker counts when it is committed */
  constructor(schema: string, from: Client, to: Client) {
    this.#table = `${quoteIdentifier(schema)}.${MARKER_TABLE}`;
    this.#from = from;
    this.#to = to;
  }

  /** Writes the next marker; on disk when this returns, so that the sender sends it at once. */
  async write(): Promise<bigint> {
    const { rows } = await this.#from.query<{ marker: string }>(
      `update ${this.#table} set marker = marker + 1 where what = 'marker' returning marker::text`,
    );
    return BigInt(rows[0]!.marker);
  }

  /** Waits until a marker has arrived. @returns whether it did within `withinMs` */
  async arrived(marker: bigint, withinMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    const deadline = performance.now() + withinMs;
    for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 1.3, 100)) {
      const { rows } = await this.#to.query<{ marker: string }>(
        `select marker::text from ${this.#table} where what = 'marker'`,
      );
      if (rows[0] !== undefined && BigInt(rows[0].marker) >= marker) return true;
      if (performance.now() > deadline) return false;
      await sleep(pauseMs, { signal, what: 'waiting for the last rows' });
    }
  }
}
