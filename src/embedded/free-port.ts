import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Ports are drawn below the range from which the kernel takes the near end of outgoing connections (32768 on Linux,
 * 49152 on macOS). A port of that range could be taken by any client while its server is down, and a client that
 * keeps trying such a port can even connect to itself.
 */
const LOWEST = 15_000;
const HIGHEST = 32_000;

const givenOut = new Set<number>();

/**
 * A port on 127.0.0.1 that nobody listens on, not given out before by this process. Another process may still take it
 * first: whoever starts a server on it must be ready to ask for another one.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST);
    if (givenOut.has(port) || !(await isFree(port))) continue;
    givenOut.add(port);
    return port;
  }
}

export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
