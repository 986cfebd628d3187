// The fixture itself: a fault test is worth what its faults are worth.
import { connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startProxy } from './proxy.ts';
import { waitFor } from './wait-for.ts';

/** A server that says everything back. */
async function echo(): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as { port: number }).port;
}

function dial(port: number): { socket: Socket; heard: () => string; ended: () => boolean; error: () => unknown } {
  const socket = connect(port, '127.0.0.1');
  let [heard, ended, error]: [string, boolean, unknown] = ['', false, undefined];
  socket.setNoDelay(true);
  socket.on('data', (chunk) => {
    heard += chunk;
  });
  socket.on('end', () => {
    ended = true;
  });
  socket.on('error', (cause) => {
    error = cause;
  });
  onTestFinished(() => void socket.destroy());
  return { socket, heard: () => heard, ended: () => ended, error: () => error };
}

test('delayed bytes stay in order when the delay changes, and the end comes after them', async () => {
  const proxy = await startProxy({ port: await echo() });
  const { socket, heard, ended } = dial(proxy.port);
  socket.write('0');
  await waitFor(() => heard() === '0');
  for (const [digit, ms] of [
    ['1', 60],
    ['2', 30],
    ['3', 0],
  ] as const) {
    proxy.delay(ms);
    const before = proxy.bytesIn;
    socket.write(digit);
    await waitFor(() => proxy.bytesIn > before);
  }
  expect(heard()).toBe('0');
  socket.end('4');
  await waitFor(() => ended());
  expect(heard()).toBe('01234');
  expect({ accepted: proxy.accepted, bytesIn: proxy.bytesIn, bytesOut: proxy.bytesOut }).toEqual({
    accepted: 1,
    bytesIn: 5,
    bytesOut: 5,
  });
});

test('a cut is seen as a reset, and new connections are taken', async () => {
  const proxy = await startProxy({ port: await echo() });
  const first = dial(proxy.port);
  first.socket.write('x');
  await waitFor(() => first.heard() === 'x');
  proxy.cut();
  await waitFor(() => first.error());
  expect(first.error()).toMatchObject({ code: 'ECONNRESET' });
  const second = dial(proxy.port);
  second.socket.write('y');
  await waitFor(() => second.heard() === 'y');
});

test('in a black hole connections stay open and hear nothing; after it the old ones are cut and new ones work', async () => {
  const proxy = await startProxy({ port: await echo() });
  const old = dial(proxy.port);
  old.socket.write('x');
  await waitFor(() => old.heard() === 'x');
  proxy.blackhole();
  old.socket.write('y');
  const during = dial(proxy.port);
  during.socket.write('z');
  await waitFor(() => proxy.bytesIn === 3);
  expect([old.heard(), during.heard(), old.error(), during.error()]).toEqual(['x', '', undefined, undefined]);
  expect(proxy.open).toBe(2);
  await proxy.restore();
  await waitFor(() => old.error() !== undefined && during.error() !== undefined);
  const after = dial(proxy.port);
  after.socket.write('w');
  await waitFor(() => after.heard() === 'w');
});

test('refused connections are refused until it is restored, on the same port', async () => {
  const proxy = await startProxy({ port: await echo() });
  const { port } = proxy;
  await proxy.refuse();
  const refused = dial(port);
  await waitFor(() => refused.error());
  expect(refused.error()).toMatchObject({ code: 'ECONNREFUSED' });
  await proxy.restore();
  expect(proxy.port).toBe(port);
  const taken = dial(port);
  taken.socket.write('x');
  await waitFor(() => taken.heard() === 'x');
});

test('much data passes whole', async () => {
  const proxy = await startProxy({ port: await echo() });
  const { socket, heard } = dial(proxy.port);
  const sent = 'abcdefgh'.repeat(1_000_000);
  socket.write(sent);
  await waitFor(() => heard().length === sent.length);
  expect(heard() === sent).toBe(true);
});
