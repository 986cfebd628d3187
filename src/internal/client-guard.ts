import { connect } from 'node:net';
import type { Client } from 'pg';

interface Guard {
  loss: unknown;
  /** What the server said before it cut the line: an immediate stop or a crash sends it as a notice, not as an error. */
  lastWords: unknown;
}

const guards = new WeakMap<Client, Guard>();

/**
 * Keeps a dropped socket from ending the process and remembers the loss.
 *
 * node-postgres emits up to two `error` events and then `end` for one lost session; without a listener the first
 * one is thrown. The guard stays on the client for all its life, idle or lent.
 *
 * @param onLost called once; with `undefined` when the session was ended on purpose by `client.end()`
 */
export function guardClient(client: Client, onLost?: (error: unknown) => void): void {
  const guard: Guard = { loss: undefined, lastWords: undefined };
  guards.set(client, guard);
  let over = false;
  const onOver = (error: unknown): void => {
    if (over) return;
    over = true;
    guard.loss = error ?? new Error('the connection was closed');
    onLost?.(error);
  };
  client.on('notice', (notice) => {
    if (/^57P0[123]$/.test(notice.code ?? '')) guard.lastWords = notice;
  });
  client.on('error', (error) => {
    if (guard.lastWords !== undefined && error.cause === undefined) error.cause = guard.lastWords;
    onOver(error);
  });
  client.on('end', () => onOver(undefined));
}

/** Why the session is gone, or `undefined` while it lives. */
export function lossOf(client: Client): unknown {
  return guards.get(client)?.loss;
}

/** Ends a session at once, whatever runs on it: `client.end()` would wait for a reply that may never come. */
export function destroyClient(client: Client, reason?: Error): void {
  streamOf(client).destroy(reason);
}

/** How long the server is tried to be told. */
const CANCEL_WITHIN_MS = 1_000;
/** The code of a CancelRequest in PostgreSQL's protocol. */
const CANCEL_CODE = 80_877_102;

/**
 * Ends a session at once and asks the server to give up what runs on it. Cut alone, the server would go on with the
 * statement to its end, holding locks and one of its connections: time-outs, tried again, could use up all of them.
 * As psql does, the request goes without encryption; it names a session that is over by then. It may get lost.
 */
export function abandonClient(client: Client, reason?: Error): void {
  const { processID, secretKey, host, port } = client as unknown as CancelTarget;
  destroyClient(client, reason);
  if (typeof processID !== 'number' || typeof secretKey !== 'number' || typeof host !== 'string') return;
  const request = Buffer.alloc(16);
  request.writeInt32BE(16, 0);
  request.writeInt32BE(CANCEL_CODE, 4);
  request.writeInt32BE(processID, 8);
  request.writeInt32BE(secretKey, 12);
  const socket = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
  socket.unref();
  socket.setTimeout(CANCEL_WITHIN_MS, () => socket.destroy());
  socket.on('error', () => {});
  socket.end(request);
}

/** What names a session to its server. */
interface CancelTarget {
  readonly processID?: unknown;
  readonly secretKey?: unknown;
  readonly host: string;
  readonly port: number;
}

/** Says goodbye and waits for it to be heard, at most `withinMs`; never rejects. For a session with no work on it. */
export async function endClient(client: Client, withinMs = 1_000): Promise<void> {
  const timer = setTimeout(() => destroyClient(client), withinMs);
  await client.end().catch(() => {});
  clearTimeout(timer);
}

/** Stops or resumes reading from the session's socket. */
export function pauseReading(client: Client, paused: boolean): void {
  const stream = streamOf(client);
  if (paused) stream.pause();
  else stream.resume();
}

interface ClientStream {
  destroy(reason?: Error): void;
  pause(): void;
  resume(): void;
}

/** node-postgres has no public way to the socket; this is the only place that reaches for it. */
function streamOf(client: Client): ClientStream {
  return (client as unknown as { connection: { stream: ClientStream } }).connection.stream;
}
