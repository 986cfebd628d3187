import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HypervaultError } from '../errors.ts';
import type { Commit, CommitInput } from '../kv/index.ts';
import { type CliContext, type DefineCommand, subcommand } from './context.ts';
import { askYesNo } from './kv-ask.ts';
import { printDiff } from './kv-paint.ts';
import { parsePrepared, prepare, versionArgument } from './kv-prepared.ts';
import { type KvTarget, notFound, onTarget } from './kv-target.ts';

/** `kv edit`, `kv uncommit`. */
export const defineKvEdit: DefineCommand = (group, context) => {
  const { output, signal } = context;

  const edit = subcommand(group, 'edit')
    .description('edit a key in $EDITOR, look at the change, and save it')
    .argument('<key>', 'one that is missing begins empty, at version 1')
    .argument('[version]', 'begin with an older version', versionArgument);
  onTarget<[string, number?]>(edit, context, async (target, [key, version]) => {
    const head = await target.storage.get(key, version, { signal });
    const folder = await mkdtemp(join(tmpdir(), 'hypervault-kv-'));
    const file = join(folder, 'commit.yaml');
    try {
      await writeFile(file, prepare(head, target.author), { mode: 0o600 });
      await runEditor(file, context);
      const edited = parsePrepared(await readFile(file), key, target.author);
      if (await confirmAndSave(target, head, edited, context)) await rm(folder, { recursive: true });
      else output.plain(`Your work is saved in: ${file}\n`);
    } catch (error) {
      output.plain(`An error was encountered. Your work is saved in: ${file}\n`);
      throw error;
    }
  });

  const uncommit = subcommand(group, 'uncommit')
    .description('remove a key; its history stays')
    .argument('<key>')
    .argument('[version]', 'the newest version, when it should be checked', versionArgument)
    .option('-y, --yes', 'do not show the change and ask');
  onTarget<[string, number?]>(uncommit, context, async (target, [key, version], { yes }) => {
    const head = await target.storage.get(key, version, { signal });
    if (head === null) throw notFound();
    const tombstone = parsePrepared(prepare(head, target.author, { empty: true }), key, target.author);
    if (yes) await target.storage.save(tombstone, { signal });
    else await confirmAndSave(target, head, tombstone, context);
  });
};

/** Shows what would change and asks. @returns whether it was saved */
async function confirmAndSave(
  { storage, label }: KvTarget,
  head: Commit | null,
  input: CommitInput,
  context: CliContext,
): Promise<boolean> {
  const { output, signal } = context;
  const { key } = input;
  const before = head === null ? Buffer.alloc(0) : head.payload;
  const after = input.payload as Buffer | null;
  if (before === null || after === null ? before === after : before.equals(after)) {
    output.plain('No change, not commiting.\n');
    return false;
  }
  printDiff(output, before, after, [`${key} (current)`, `${key} (new)`]);
  if (!(await askYesNo(`Commit to ${label}/${key}`, context))) {
    output.plain('OK, not commiting.\n');
    return false;
  }
  output.value((await storage.save(input, { signal })).meta, (meta) => JSON.stringify(meta));
  return true;
}

/** EDITOR may hold arguments, so a shell takes it apart; the file's name is handed over beside it, not inside. */
async function runEditor(file: string, { environment, stdin, output }: CliContext): Promise<void> {
  const editor = environment.EDITOR || 'vi';
  const streams = [stdin, output.stdout, output.stderr].map((stream) => ('fd' in stream ? stream : 'ignore'));
  const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], {
    stdio: streams as ('ignore' | NodeJS.WriteStream)[],
    env: environment as NodeJS.ProcessEnv,
  });
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('exit', resolve));
  if (code !== 0) throw new HypervaultError('EDITOR_FAILED', `Editor ${editor} exited with code ${code}`);
}
