import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What the operating system says of one process. */
export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  /** First letter as in ps: `T` stopped, `Z` ended and not yet reaped. */
  readonly state: string;
}

/** Every process of the machine. /proc on Linux, where slim images have no `ps`; `ps` elsewhere. */
export async function listProcesses(): Promise<ProcessFacts[]> {
  if (process.platform !== 'linux') {
    const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,state=']);
    return stdout
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .map(([pid, parent, state]) => ({ pid: Number(pid), parent: Number(parent), state: state?.[0] ?? '?' }));
  }
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const facts = await Promise.all(names.map((name) => statOf(Number(name))));
  return facts.filter((each) => each !== undefined);
}

async function statOf(pid: number): Promise<(ProcessFacts & { startedAt: string }) | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  // The second field is the command in brackets, and may itself hold brackets and spaces.
  const [state, parent, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { pid, parent: Number(parent), state: state ?? '?', startedAt: rest[17] ?? '' };
}

export async function childrenOf(pid: number): Promise<number[]> {
  return (await listProcesses()).filter((each) => each.parent === pid).map((each) => each.pid);
}

/** Whether a process with this number runs; one that has ended and was not reaped does not count. */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return process.platform !== 'linux' || !/^[ZX]?$/.test((await statOf(pid))?.state ?? '');
}

/** Tells a process from a later one with the same number. `undefined` when there is none. */
export async function identityOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') return (await statOf(pid))?.startedAt;
  const found = await run('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => undefined);
  return found?.stdout.trim();
}

export async function commandLineOf(pid: number): Promise<string> {
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  const found = await run('ps', ['-ww', '-o', 'command=', '-p', String(pid)]).catch(() => undefined);
  return found?.stdout ?? '';
}

/** Sends a signal; a process that is gone already is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
