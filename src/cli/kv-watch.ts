import type { Commit } from '../kv/index.ts';
import { wholeNumber } from './arguments.ts';
import { type DefineCommand, subcommand } from './context.ts';
import { onTarget } from './kv-target.ts';
import { UsageError } from './usage-error.ts';

/** `kv watch`: a line for each commit as it happens, until Ctrl-C. */
export const defineKvWatch: DefineCommand = (group, context) => {
  const { output } = context;
  const watch = subcommand(group, 'watch')
    .description('print every commit as it happens: revision, key, version, author, comment')
    .option('--prefix <text>', 'only keys that begin with this')
    .option('--after <revision>', 'begin with what happened after this revision; 0 is everything', revisionArgument)
    .option('--count <number>', 'end after so many', wholeNumber('--count', 1))
    .option('--payload', 'with --json: the payload, too, in base64')
    .addHelpText('after', '\nThe first column of the last line seen is what --after goes on from: nothing is missed.');
  onTarget(watch, context, async ({ storage }, _args, { prefix, after, count, payload }) => {
    const options = {
      signal: context.signal,
      after: after as bigint | undefined,
      ...(prefix !== undefined && { prefix: String(prefix) }),
    };
    let left = count === undefined ? Infinity : Number(count);
    for await (const commit of storage.watch(options)) {
      output.value(jsonOf(commit, payload === true), () => lineOf(commit));
      left -= 1;
      if (left === 0) break;
    }
  });
};

function jsonOf(commit: Commit, payload: boolean): object {
  const { meta, revision: at } = commit;
  return { ...meta, revision: at, ...(payload && { payload_base64: commit.payload?.toString('base64') }) };
}

function lineOf({ revision: at, key, version, author, comment, isEmpty }: Commit): string {
  return [at, key, isEmpty ? `${version} (removed)` : version, author, comment.replaceAll(/\s+/g, ' ')].join('\t');
}

/** A revision on the command line. */
export function revisionArgument(text: string): bigint {
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  throw new UsageError(`--after: ${JSON.stringify(text)} is not a revision`);
}
