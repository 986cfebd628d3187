import type { Client } from 'pg';
import { type CopyStreamQuery, from as copyFrom } from 'pg-copy-streams';

/** One `copy … from stdin` that takes blocks of lines and tells when to hold back. */
export class CopyStream {
  readonly #stream: CopyStreamQuery;
  readonly #done: Promise<void>;
  #failure: Error | undefined;

  constructor(client: Client, sql: string) {
    this.#stream = client.query(copyFrom(sql, { highWaterMark: 1024 * 1024 }));
    this.#done = new Promise((resolve, reject) => {
      this.#stream.once('finish', resolve);
      this.#stream.once('error', (error) => {
        this.#failure = error;
        reject(error);
      });
    });
    // Whoever waits for the end gets the error; until then it must not count as unhandled
    this.#done.catch(() => {});
  }

  /** @returns `false` for "wait for {@link drained}" */
  write(lines: Buffer): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#stream.write(lines);
  }

  async drained(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#stream.writableNeedDrain) return;
    await Promise.race([new Promise<void>((resolve) => this.#stream.once('drain', resolve)), this.#done]);
  }

  /** Ends the COPY and waits for the server. Returns how many rows it took. */
  async end(): Promise<number> {
    this.#stream.end();
    await this.#done;
    return this.#stream.rowCount;
  }

  /** Gives up; the server rolls the statement back. */
  async abort(): Promise<void> {
    if (this.#failure === undefined) this.#stream.destroy(new Error('the copy was given up'));
    await this.#done.catch(() => {});
  }
}
