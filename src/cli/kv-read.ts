import { type DefineCommand, subcommand } from './context.ts';
import { prepare, versionArgument } from './kv-prepared.ts';
import { notFound, onTarget } from './kv-target.ts';
import type { Output } from './output.ts';

/** `kv list`, `kv show`, `kv prepare`. */
export const defineKvRead: DefineCommand = (group, context) => {
  const { output } = context;

  const list = subcommand(group, 'list')
    .description('print every key with its version')
    .option('-A, --all', 'removed keys, too')
    .option('--prefix <text>', 'only keys that begin with this');
  onTarget(list, context, async ({ storage, label }, _args, { all, prefix }) => {
    const options = { prefix: prefix === undefined ? '' : String(prefix), signal: context.signal };
    const heads = await (all ? storage.heads(options) : storage.headsNonEmpty(options));
    for (const [key, commit] of heads) {
      output.value(commit.meta, ({ version }) => `${key}\t${version}\t${label}/${key}/${version}`);
    }
  });

  const show = subcommand(group, 'show')
    .description('print the payload of a key')
    .argument('<key>')
    .argument('[version]', 'an older version', versionArgument);
  onTarget<[string, number?]>(show, context, async ({ storage }, [key, version]) => {
    const commit = await storage.get(key, version, context);
    if (commit === null) throw notFound();
    const { payload } = commit;
    if (output.json) output.value({ ...commit.meta, payload_base64: payload?.toString('base64') }, () => '');
    else if (payload !== null) printBytes(output, payload);
  });

  const prepared = subcommand(group, 'prepare')
    .description('print the next commit of a key as text to edit, for `kv commit`')
    .argument('<key>')
    .argument('[version]', 'begin with an older version', versionArgument);
  onTarget<[string, number?]>(prepared, context, async ({ storage, author }, [key, version]) => {
    const commit = await storage.get(key, version, context);
    if (commit === null) throw notFound();
    printBytes(output, prepare(commit, author));
  });
};

/** Bytes as they are; a line end is added when there is none at the end. */
function printBytes({ stdout }: Output, bytes: Buffer): void {
  stdout.write(bytes);
  if (bytes.at(-1) !== 0x0a) stdout.write('\n');
}
