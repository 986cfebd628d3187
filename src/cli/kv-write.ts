import type { Command } from 'commander';
import { type CliContext, type DefineCommand, subcommand } from './context.ts';
import { parsePrepared, versionArgument } from './kv-prepared.ts';
import { onTarget } from './kv-target.ts';

/** `kv commit`, `kv commit-value`. */
export const defineKvWrite: DefineCommand = (group, context) => {
  const { output } = context;

  const commit: Command = subcommand(group, 'commit')
    .description('save the text on standard input, as `kv prepare` made it')
    .argument('<key>');
  onTarget<[string]>(commit, context, async ({ storage, author }, [key]) => {
    const saved = await storage.save(parsePrepared(await readAll(context), key, author), context);
    output.value(saved.meta, (meta) => JSON.stringify(meta));
  });

  const commitValue = subcommand(group, 'commit-value')
    .description('save standard input as the payload of a key')
    .argument('<key>')
    .argument('[version]', 'the new version (default: 1)', versionArgument)
    .requiredOption('-m, --message <text>', 'what changed and why');
  onTarget<[string, number?]>(commitValue, context, async ({ storage, author }, [key, version], { message }) => {
    const payload = await readAll(context);
    const input = { key, version: version ?? 1, payload, author, comment: String(message) };
    output.value((await storage.save(input, context)).meta, (meta) => JSON.stringify(meta));
  });
};

async function readAll({ stdin }: CliContext): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}
