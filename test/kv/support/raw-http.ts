import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';

/** A server on a free port of loopback; ended by `close`, connections included. */
export interface TestServer {
  readonly port: number;
  readonly url: string;
  readonly server: Server;
  close(): Promise<void>;
}

export async function serveOnLoopback(listener: RequestListener, basePath = ''): Promise<TestServer> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    server,
    url: `http://127.0.0.1:${port}${basePath}`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

export interface RawAnswer {
  readonly status: number;
  readonly reason: string;
  /** Names in their exact case, values as latin-1. */
  readonly headers: readonly (readonly [string, string])[];
  /** By exact name. */
  header(name: string): string | undefined;
  readonly body: Buffer;
  /** Everything that came, as latin-1. */
  readonly wire: string;
}

/** Sends bytes as they are on a new connection and reads until the server closes it (or `bytes` ends the sending). */
export async function rawRequest(port: number, bytes: string | Buffer): Promise<RawAnswer> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {});
  socket.write(bytes);
  await once(socket, 'close');
  return parseAnswer(Buffer.concat(chunks));
}

function parseAnswer(whole: Buffer): RawAnswer {
  const wire = whole.toString('latin1');
  const end = wire.indexOf('\r\n\r\n');
  const [statusLine = '', ...lines] = wire.slice(0, end).split('\r\n');
  const [, status = '0', reason = ''] = /^HTTP\/1\.1 (\d+) (.*)$/.exec(statusLine) ?? [];
  const headers = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')] as const;
  });
  return {
    status: Number(status),
    reason,
    headers,
    header: (name) => headers.find(([known]) => known === name)?.[1],
    body: whole.subarray(end + 4),
    wire,
  };
}

/** A request as text, on a connection that closes after it. */
export function message(line: string, headers: Record<string, string> = {}, body = ''): string {
  const lines = Object.entries({ Host: 'localhost', Connection: 'close', ...headers });
  return `${line} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`;
}

export function get(port: number, path: string, headers: Record<string, string> = {}): Promise<RawAnswer> {
  return rawRequest(port, message(`GET ${path}`, headers));
}

export function post(port: number, path: string, headers: Record<string, string> = {}, body = ''): Promise<RawAnswer> {
  const length = String(Buffer.byteLength(body, 'latin1'));
  return rawRequest(
    port,
    Buffer.from(message(`POST ${path}`, { 'Content-Length': length, ...headers }, body), 'latin1'),
  );
}
