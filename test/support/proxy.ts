// A TCP proxy in front of a server: cuts, delays and swallows what passes, so that network faults are real ones.
import { createServer, type Server, Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { DelayLine } from './delay-line.ts';

export interface Proxy {
  readonly port: number;
  /** Connections that are open at this moment. */
  readonly open: number;
  /** Connections taken since the start. */
  readonly accepted: number;
  /** Bytes that came from clients. */
  readonly bytesIn: number;
  /** Bytes that came from the server. */
  readonly bytesOut: number;
  /** Cuts every connection (RST). New ones are taken. */
  cut(): void;
  /** Holds back what comes from now on for so long, both ways, in order. 0 ends it. */
  delay(ms: number): void;
  /** Swallows everything, both ways; connections stay open and new ones get no answer. */
  blackhole(): void;
  /** Changes what clients send from now on, on its way to the server. */
  alter(change: (sent: Buffer) => Buffer): void;
  /** Refuses new connections and cuts the open ones. */
  refuse(): Promise<void>;
  /** Ends blackhole, delay, alteration and refusal. What was swallowed stays lost, so connections of that time are cut. */
  restore(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a proxy on a port of its own; closed with the test unless `keep` is given (for `beforeAll`). */
export async function startProxy(target: { port: number; host?: string }, { keep = false } = {}): Promise<Proxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let delayMs = 0;
  let swallowing = false;
  let alter = (sent: Buffer): Buffer => sent;
  let port = 0;
  let server: Server;
  const counts = { accepted: 0, in: 0, out: 0 };

  const pass = (from: Socket, to: Socket, way: 'in' | 'out'): void => {
    const line = new DelayLine(to);
    from.on('data', (chunk) => {
      counts[way] += chunk.length;
      if (swallowing) return line.drop();
      if (!line.write(way === 'in' ? alter(chunk) : chunk, delayMs)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    });
    from.on('end', () => swallowing || line.end(delayMs));
    from.on('error', () => swallowing || to.destroy());
    from.on('close', () => swallowing || line.busy || to.destroy());
  };
  const listen = async (): Promise<void> => {
    // Half open: one side may have said goodbye while what it said before is still held back.
    server = createServer({ allowHalfOpen: true }, (near) => {
      counts.accepted += 1;
      const far = new Socket({ allowHalfOpen: true });
      const pair = [near, far] as const;
      pairs.add(pair);
      near.on('close', () => pairs.delete(pair));
      pass(near, far, 'in');
      pass(far, near, 'out');
      if (!swallowing) far.connect(target.port, target.host ?? '127.0.0.1');
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    port = (server.address() as { port: number }).port;
  };
  const cut = (): void => {
    for (const [near, far] of pairs) {
      near.resetAndDestroy();
      far.destroy();
    }
    pairs.clear();
  };
  const unlisten = (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    cut();
    return closed;
  };
  await listen();
  const proxy: Proxy = {
    get port() {
      return port;
    },
    get open() {
      return pairs.size;
    },
    get accepted() {
      return counts.accepted;
    },
    get bytesIn() {
      return counts.in;
    },
    get bytesOut() {
      return counts.out;
    },
    cut,
    delay: (ms) => {
      delayMs = ms;
    },
    blackhole: () => {
      swallowing = true;
    },
    alter: (change) => {
      alter = change;
    },
    refuse: unlisten,
    restore: async () => {
      delayMs = 0;
      alter = (sent) => sent;
      if (swallowing) cut();
      swallowing = false;
      if (!server.listening) await listen();
    },
    close: unlisten,
  };
  if (!keep) onTestFinished(() => proxy.close());
  return proxy;
}
