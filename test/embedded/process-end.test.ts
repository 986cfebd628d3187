import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { childrenOf, isAlive } from '../../src/embedded/processes.ts';
import { waitFor } from '../support/wait-for.ts';
import { EMBEDDED, runProgram } from './program.ts';

const START = `
  import { startEmbedded } from ${JSON.stringify(EMBEDDED)};
  const { servers, directory } = await startEmbedded();
  const [server] = servers;
  const say = () => console.log(JSON.stringify({ pid: server.pid, directory }));
`;

async function alive(pids: readonly number[]): Promise<number[]> {
  const states = await Promise.all(pids.map(isAlive));
  return pids.filter((_, index) => states[index]);
}

/** How the program ends, what it does for it, and what its parent must see: nothing of ours may change that. */
const ENDS = [
  { how: 'SIGTERM', text: 'say(); setInterval(() => {}, 1000);', signal: 'SIGTERM', end: { code: null } },
  { how: 'SIGINT', text: 'say(); setInterval(() => {}, 1000);', signal: 'SIGINT', end: { code: null } },
  { how: 'SIGKILL', text: 'say(); setInterval(() => {}, 1000);', signal: 'SIGKILL', end: { code: null } },
  {
    how: 'SIGKILL with a frozen server',
    text: 'await server.pause(); say(); setInterval(() => {}, 1000);',
    signal: 'SIGKILL',
    end: { code: null },
  },
  { how: 'process.exit', text: 'say(); setTimeout(() => process.exit(3), 50);', end: { code: 3, signal: null } },
  {
    how: 'an error that nobody catches',
    text: `say(); setTimeout(() => { throw new Error('uncaught'); }, 50);`,
    end: { code: 1, signal: null },
  },
  { how: 'nothing left to do', text: 'say();', end: { code: 0, signal: null } },
] as const;

test.each(ENDS)('servers end with their process: $how', async (each) => {
  const program = runProgram(START + each.text);
  const { pid, directory } = await program.said;
  const all = [pid, ...(await childrenOf(pid))];
  if ('signal' in each) {
    expect(await isAlive(pid)).toBe(true);
    program.child.kill(each.signal);
  }
  expect(await program.ended).toMatchObject('signal' in each ? { ...each.end, signal: each.signal } : each.end);
  await waitFor(async () => (await alive(all)).length === 0, { what: 'the end of the server and all its children' });
  await waitFor(() => !existsSync(directory), { what: 'the removal of its folder' });
});
