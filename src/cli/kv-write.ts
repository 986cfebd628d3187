import type { Command } from 'commander';
import { type CommitInput, type CommitJournal, dryRun } from '../kv/index.ts';
import { type CliContext, type DefineCommand, subcommand } from './context.ts';
import { printDiff } from './kv-paint.ts';
import { parsePrepared, versionArgument } from './kv-prepared.ts';
import { onTarget } from './kv-target.ts';

/** `kv commit`, `kv commit-value`. */
export const defineKvWrite: DefineCommand = (group, context) => {
  const { output } = context;

  const commit: Command = subcommand(group, 'commit')
    .description('save the text on standard input, as `kv prepare` made it')
    .argument('<key>')
    .option('--dry-run', DRY_RUN);
  onTarget<[string]>(commit, context, async ({ storage, author }, [key], options) => {
    const input = parsePrepared(await readAll(context), key, author);
    if (options.dryRun) return showDryRun(storage, input, context);
    output.value((await storage.save(input, context)).meta, (meta) => JSON.stringify(meta));
  });

  const commitValue = subcommand(group, 'commit-value')
    .description('save standard input as the payload of a key')
    .argument('<key>')
    .argument('[version]', 'the new version (default: 1)', versionArgument)
    .requiredOption('-m, --message <text>', 'what changed and why')
    .option('--dry-run', DRY_RUN);
  onTarget<[string, number?]>(
    commitValue,
    context,
    async ({ storage, author }, [key, version], { message, dryRun }) => {
      const payload = await readAll(context);
      const input = { key, version: version ?? 1, payload, author, comment: String(message) };
      if (dryRun) return showDryRun(storage, input, context);
      output.value((await storage.save(input, context)).meta, (meta) => JSON.stringify(meta));
    },
  );
};

const DRY_RUN = 'only say whether it would be saved, and what it would change';

async function showDryRun(storage: CommitJournal, input: CommitInput, { output, signal }: CliContext): Promise<void> {
  const { commit, head } = await dryRun(storage, input, { signal });
  if (output.json) return output.value(commit.meta, String);
  const names = [`${commit.key} ${commit.version - 1}`, `${commit.key} ${commit.version}`] as const;
  printDiff(output, head?.payload ?? null, commit.payload, names);
}

async function readAll({ stdin }: CliContext): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}
