import type { ClientBase } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

/** Sends lines to `copy … from stdin` and waits until the server has taken them. Returns the number of rows. */
export function copyIn(client: ClientBase, sql: string, chunks: readonly Buffer[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = client.query(copyFrom(sql));
    stream.once('error', reject);
    stream.once('finish', () => resolve(stream.rowCount));
    for (const chunk of chunks) stream.write(chunk);
    stream.end();
  });
}
