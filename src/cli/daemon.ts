import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { CommandFailed } from './command-failed.ts';
import type { CliContext } from './context.ts';
import { EXIT } from './exit.ts';

/** What a daemon tells the command that started it, once. */
type FirstWord = { readonly started: true } | { readonly failed: string };

/**
 * Starts this program again without a terminal, and waits until it says that its work has begun.
 *
 * @param args - its command line
 * @returns its process id
 * @throws CommandFailed when it ended instead; why is printed
 */
export async function startDaemon(args: readonly string[], { environment, output }: CliContext): Promise<number> {
  // Run from the sources, as tests do, it is a `.ts`
  const program = new URL(import.meta.url.endsWith('.ts') ? './main.ts' : './main.js', import.meta.url);
  const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(program), ...args], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: { ...process.env, ...environment },
  });
  const word = await new Promise<FirstWord>((resolve) => {
    child.once('message', (message) => resolve(message as FirstWord));
    child.once('error', (error) => resolve({ failed: error.message }));
    child.once('exit', (code, signal) => resolve({ failed: `it ended at once (${signal ?? code})` }));
  });
  child.removeAllListeners();
  if (child.connected) child.disconnect();
  child.unref();
  if ('started' in word) return child.pid!;
  output.error(new Error(word.failed));
  throw new CommandFailed(EXIT.failed);
}

/** In the daemon: tells whoever started it how that went. */
export function tellStarter(word: FirstWord): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) {
      resolve();
      return;
    }
    process.send(word, () => {
      if (process.connected) process.disconnect();
      resolve();
    });
  });
}
