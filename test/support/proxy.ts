// A TCP proxy in front of a server: cuts, delays and swallows what passes, so that network faults are real ones.
import { createServer, type Server, Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface Proxy {
  readonly port: number;
  /** Connections that are open at this moment. */
  readonly open: number;
  /** Bytes that passed towards the server. */
  readonly bytesIn: number;
  /** Cuts every connection (RST). New ones are taken. */
  cut(): void;
  /** Holds everything back for so long, both ways. 0 ends it. */
  delay(ms: number): void;
  /** Swallows everything, both ways; connections stay open and new ones get no answer. */
  blackhole(): void;
  /** Refuses new connections and cuts the open ones. */
  refuse(): Promise<void>;
  /** Ends blackhole, delay and refusal. What was swallowed stays lost, so connections of that time are cut. */
  restore(): Promise<void>;
  close(): Promise<void>;
}

export async function startProxy(target: { port: number; host?: string }, { keep = false } = {}): Promise<Proxy> {
  const pairs = new Set<[Socket, Socket]>();
  let delayMs = 0;
  let swallowing = false;
  let bytesIn = 0;
  let port = 0;
  let server: Server;

  const pass = (from: Socket, to: Socket, count: (bytes: number) => void): void => {
    from.on('data', (chunk) => {
      count(chunk.length);
      if (swallowing) return;
      if (delayMs === 0) to.write(chunk);
      else setTimeout(() => to.destroyed || to.write(chunk), delayMs).unref();
    });
    from.on('end', () => swallowing || to.end());
    from.on('close', () => swallowing || to.destroy());
    from.on('error', () => swallowing || to.destroy());
  };
  const listen = async (): Promise<void> => {
    server = createServer((near) => {
      const far = new Socket();
      const pair: [Socket, Socket] = [near, far];
      pairs.add(pair);
      near.on('close', () => pairs.delete(pair));
      pass(near, far, (bytes) => {
        bytesIn += bytes;
      });
      pass(far, near, () => {});
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
    get bytesIn() {
      return bytesIn;
    },
    cut,
    delay: (ms) => {
      delayMs = ms;
    },
    blackhole: () => {
      swallowing = true;
    },
    refuse: unlisten,
    restore: async () => {
      delayMs = 0;
      if (swallowing) cut();
      swallowing = false;
      if (!server.listening) await listen();
    },
    close: unlisten,
  };
  if (!keep) onTestFinished(() => proxy.close());
  return proxy;
}
