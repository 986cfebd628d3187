import { type RollbackStep, rollbackKey, rollbackPrefix } from '../kv/index.ts';
import { wholeNumber } from './arguments.ts';
import { type CliContext, type DefineCommand, subcommand } from './context.ts';
import { askYesNo } from './kv-ask.ts';
import { printDiff } from './kv-paint.ts';
import { versionArgument } from './kv-prepared.ts';
import { type KvTarget, notFound, onTarget } from './kv-target.ts';
import { UsageError } from './usage-error.ts';

const MAX_PAGE = 1_000;

/** `kv history`, `kv diff`, `kv rollback`. */
export const defineKvHistory: DefineCommand = (group, context) => {
  const { output, signal } = context;

  const history = subcommand(group, 'history')
    .description('list the versions of a key, removed ones too, newest first')
    .argument('<key>')
    .option('-n, --limit <count>', 'at most so many', wholeNumber('--limit', 1), 20)
    .option('--before <version>', 'only versions below this one', versionArgument);
  onTarget<[string]>(history, context, async ({ storage }, [key], { limit, before }) => {
    const commits = [];
    for (let below = before as number | undefined, left = Number(limit); left > 0; ) {
      const page = await storage.history(key, { limit: Math.min(left, MAX_PAGE), before: below, signal });
      commits.push(...page);
      left = page.length === 0 ? 0 : left - page.length;
      below = page.at(-1)?.version;
    }
    if (commits.length === 0 && before === undefined) throw notFound();
    output.list(
      commits.map(({ meta, payload }) => ({ ...meta, bytes: payload?.length ?? null })),
      ['version', 'bytes', 'time', 'author', 'comment'],
      ({ version, bytes, mtime, author, comment }) => [
        version,
        bytes ?? 'removed',
        mtime,
        author,
        comment.split('\n', 1)[0],
      ],
    );
  });

  const diff = subcommand(group, 'diff')
    .description('show what differs between two versions of a key')
    .argument('<key>')
    .argument('[from]', 'default: the one before TO', versionArgument)
    .argument('[to]', 'default: the newest', versionArgument);
  onTarget<[string, number?, number?]>(diff, context, async ({ storage }, [key, from, to]) => {
    const after = await storage.get(key, to, { signal });
    if (after === null) throw notFound();
    const before = from ?? after.version - 1;
    const old = before < 1 ? null : await storage.get(key, before, { signal });
    if (before > 0 && old === null) throw notFound();
    printDiff(output, old?.payload ?? null, after.payload, [`${key} ${before}`, `${key} ${after.version}`]);
  });

  const rollback = subcommand(group, 'rollback')
    .description('bring an older version of a key back as a new one; or all keys of a prefix as they were')
    .argument('[key]')
    .argument('[version]', 'the version whose payload comes back', versionArgument)
    .option('--prefix <text>', 'all keys that begin with this')
    .option('--to-revision <revision>', 'with --prefix: what they were at this revision, see `kv watch`', revision)
    .option('-m, --message <text>', 'why (default: says which version comes back)')
    .option('-y, --yes', 'do not ask');
  onTarget<[string?, number?]>(rollback, context, async (target, [key, version], options) => {
    const { prefix, toRevision, message, yes } = options;
    const how = { author: target.author, signal, ...(message !== undefined && { comment: String(message) }) };
    let go: (dryRun: boolean) => Promise<RollbackStep[]>;
    if (key !== undefined && version !== undefined && prefix === undefined) {
      go = (dryRun) => rollbackKey(target.storage, key, version, { ...how, dryRun });
    } else if (key === undefined && prefix !== undefined && toRevision !== undefined) {
      go = (dryRun) => rollbackPrefix(target.storage, String(prefix), toRevision as bigint, { ...how, dryRun });
    } else {
      throw new UsageError('say KEY and VERSION, or --prefix TEXT and --to-revision REVISION');
    }
    await confirmAndGo(target, go, yes === true, context);
  });
};

async function confirmAndGo(
  { storage }: KvTarget,
  go: (dryRun: boolean) => Promise<RollbackStep[]>,
  yes: boolean,
  context: CliContext,
): Promise<void> {
  const { output, signal } = context;
  const plan = await go(true);
  if (plan.length === 0) {
    if (!output.json) output.plain('No change, not commiting.\n');
    return;
  }
  if (!yes) {
    for (const { key, from, to } of plan) {
      const [before, after] = [
        await storage.get(key, from, { signal }),
        to === null ? null : await storage.get(key, to, { signal }),
      ];
      printDiff(output, before?.payload ?? null, after?.payload ?? null, [
        `${key} (current)`,
        `${key} ${to ?? '(removed)'}`,
      ]);
    }
    if (!(await askYesNo(`Commit ${plan.length === 1 ? 'this' : `these ${plan.length} keys`}`, context))) {
      output.plain('OK, not commiting.\n');
      return;
    }
  }
  for (const step of await go(false)) {
    output.value(step, ({ key, from, to, version }) =>
      to === null
        ? `${key}: version ${from} removed, as version ${version}`
        : `${key}: version ${to} is back in place of ${from}, as version ${version}`,
    );
  }
}

function revision(text: string): bigint {
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  throw new UsageError(`--to-revision: ${JSON.stringify(text)} is not a revision`);
}
