import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import pc from 'picocolors';
import { type Commit, diffPayloads } from '../kv/index.ts';
import { type DefineCommand, subcommand } from './context.ts';
import { paintDiff } from './kv-paint.ts';
import { versionArgument } from './kv-prepared.ts';
import { type KvTarget, notFound, onTarget } from './kv-target.ts';
import type { Output } from './output.ts';

/** `kv log`: every version with what it changed, newest first; through a pager on a terminal. */
export const defineKvLog: DefineCommand = (group, context) => {
  const { output, signal } = context;
  const log = subcommand(group, 'log')
    .description('show every version of a key with what it changed, newest first')
    .argument('<key>')
    .argument('[version]', 'begin with an older version', versionArgument);
  onTarget<[string, number?]>(log, context, async ({ storage }, [key, version]) => {
    const head = await storage.get(key, version, { signal });
    if (head === null) throw notFound();
    const terminal = output.stdout.isTTY === true && !output.json;
    const paint = pc.createColors(terminal && pc.isColorSupported);
    const page = terminal ? openPager(output) : undefined;
    for await (const [commit, previous] of pairs(storage, head, signal)) {
      if (output.json) output.value({ ...commit.meta, diff: diffOf(commit, previous) }, () => '');
      else if (!(await (page?.write ?? writeTo(output.stdout))(entry(commit, previous, paint)))) break;
    }
    await page?.end();
  });
};

/** Each version with the one before it, down to the first one that is still kept. */
async function* pairs(
  storage: KvTarget['storage'],
  head: Commit,
  signal: AbortSignal,
): AsyncGenerator<[Commit, Commit | null]> {
  for (let commit: Commit | null = head; commit !== null; ) {
    const previous: Commit | null =
      commit.version === 1 ? null : await storage.get(commit.key, commit.version - 1, { signal });
    yield [commit, previous];
    commit = previous;
  }
}

function entry(commit: Commit, previous: Commit | null, paint: ReturnType<typeof pc.createColors>): string {
  const { version, author, comment, mtime } = commit.meta;
  const lines = [paint.yellow(`commit ${version}`), `Author: ${author}`, `Date:   ${mtime}`, ''];
  if (comment !== '') lines.push(...comment.split('\n').map((line) => `  ${line}`), '');
  const diff = diffOf(commit, previous);
  if (diff !== '') lines.push(paintDiff(diff.trimEnd(), paint));
  return `${lines.join('\n')}\n\n\n`;
}

function diffOf({ key, version, payload }: Commit, previous: Commit | null): string {
  return diffPayloads(previous?.payload ?? null, payload, { names: [`${key} ${version - 1}`, `${key} ${version}`] });
}

type Write = (text: string) => Promise<boolean>;

/** Writes, and waits where the reader is slower; false once there is no reader any more. */
function writeTo(stream: NodeJS.WritableStream & { readonly destroyed?: boolean }): Write {
  return async (text) => {
    if (stream.destroyed) return false;
    // In the tests nobody drains; a real stream always does, or closes.
    if (!stream.write(text) && !(stream instanceof PassThrough)) {
      await Promise.race([once(stream, 'drain'), once(stream, 'close')]).catch(() => {});
    }
    return true;
  };
}

/** Ends by itself when everything fits on the screen (F), shows colours (R), cuts long lines (S), clears nothing (X). */
const PAGER = { command: 'less', options: ['-FRSX'] } as const;

/** The pager; the terminal itself where there is none. */
function openPager({ stdout, stderr }: Output): { write: Write; end(): Promise<void> } {
  const pager = spawn(PAGER.command, PAGER.options, { stdio: ['pipe', stdout, stderr] });
  let missing = false;
  const ended = new Promise<void>((resolve) => {
    pager.on('exit', () => resolve());
    pager.on('error', () => {
      missing = true;
      resolve();
    });
  });
  // Whoever has seen enough closes the pager, and with it the pipe.
  pager.stdin.on('error', () => {});
  const [toPager, toTerminal] = [writeTo(pager.stdin), writeTo(stdout)];
  return {
    write: async (text) => {
      if (pager.pid === undefined && !missing) await ended;
      return missing ? toTerminal(text) : toPager(text);
    },
    end: async () => {
      pager.stdin.end();
      await ended;
    },
  };
}
