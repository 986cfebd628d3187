import { once } from 'node:events';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import {
  type Commit,
  exportCommits,
  type ImportProgress,
  importCommits,
  readCommitFile,
  readRainerTable,
  toNdjson,
} from '../kv/index.ts';
import { type CliContext, type DefineCommand, subcommand, withConfig } from './context.ts';
import { controlOf } from './kv-control.ts';
import { onTarget } from './kv-target.ts';
import { revisionArgument } from './kv-watch.ts';
import { type Progress, startProgress } from './progress.ts';
import { UsageError } from './usage-error.ts';

interface ImportCommandOptions {
  readonly from?: string;
  readonly sourceTable?: string;
  readonly database?: string;
  readonly config?: string;
  readonly table?: string;
  readonly allowGaps?: boolean;
  readonly dryRun?: boolean;
  readonly install: boolean;
}

/** `kv import`, `kv export`. */
export const defineKvTransfer: DefineCommand = (group, context) => {
  const importing = withConfig(subcommand(group, 'import'))
    .description('bring in whole histories: a Rainer table (live, or a dump of MySQL or Postgres), or an export')
    .argument('[file]', 'a dump or lines of JSON, also gzipped; - is standard input')
    .option('--from <url>', 'mysql://… or postgres://…: read a Rainer table there instead of a file')
    .option('--source-table <name>', 'the Rainer table (default: rainer)')
    .option('--database <url>', 'postgres://…, where the keys are to be (or --config)')
    .option('--table <name>', 'the namespace of the keys there')
    .option('--allow-gaps', 'take histories that begin later than with version 1, as compaction leaves them')
    .option('--dry-run', 'read and compare everything, write nothing')
    .option('--no-install', 'do not make the tables when they are missing')
    .addHelpText('after', '\nMay be stopped and run again: what is there already is compared and passed over.');
  // The group knows --config and --table, too, and takes them wherever they stand.
  importing.action((file: string | undefined) =>
    runImport(file, importing.optsWithGlobals<ImportCommandOptions>(), context),
  );

  const exporting = subcommand(group, 'export')
    .description('print every commit as a line of JSON, in the order they were made; `kv import` takes them back')
    .option('--prefix <text>', 'only keys that begin with this')
    .option('--after <revision>', 'only what happened after this revision', revisionArgument)
    .option('--no-payloads', 'only who changed what, when and why: for audits')
    .option('-o, --output <file>', 'write to this file instead of standard output');
  onTarget(exporting, context, async ({ storage }, _args, { prefix, after, payloads, output: file }) => {
    const out = file === undefined ? context.output.stdout : createWriteStream(String(file));
    const options = {
      prefix: prefix as string | undefined,
      after: after as bigint | undefined,
      signal: context.signal,
    };
    for await (const commit of exportCommits(storage, options)) {
      if (!out.write(toNdjson(commit, { payload: payloads !== false }))) await once(out, 'drain');
    }
    if (file !== undefined) await finish(out as WriteStream);
  });
};

async function finish(out: WriteStream): Promise<void> {
  out.end();
  await once(out, 'finish');
}

async function runImport(file: string | undefined, options: ImportCommandOptions, context: CliContext): Promise<void> {
  const { output, signal } = context;
  const { table, allowGaps, dryRun = false, install } = options;
  const connection = options.database ?? (await controlOf(options.config, context));
  const { commits, total, done } = await openSource(file, options, context);
  const progress = total === undefined ? undefined : startProgress(output, { label: 'bytes read', total });
  try {
    const counts = await importCommits(commits, {
      connection,
      allowGaps,
      dryRun,
      install,
      signal,
      ...(table !== undefined && { table }),
      onProgress: (counts) => tell(progress, done(), counts),
    });
    progress?.stop();
    const would = dryRun ? 'would be ' : '';
    output.value(
      { ...counts, dryRun },
      ({ read, saved, present }) => `${read} commits read, ${saved} ${would}saved, ${present} were there already`,
    );
  } finally {
    progress?.stop();
  }
}

function tell(progress: Progress | undefined, done: number, { saved, present }: ImportProgress): void {
  progress?.update(done, `${saved} commits saved, ${present} there already`);
}

interface Source {
  readonly commits: AsyncIterable<Commit>;
  /** Bytes in all, where they are known. */
  readonly total: number | undefined;
  /** Bytes read so far. */
  done(): number;
}

async function openSource(
  file: string | undefined,
  { from, sourceTable: table }: ImportCommandOptions,
  { stdin, signal }: CliContext,
): Promise<Source> {
  if ((file === undefined) === (from === undefined)) {
    throw new UsageError(
      'what is to be imported? Give a FILE (- is standard input), or --from mysql://… or postgres://…',
    );
  }
  if (from !== undefined) {
    return { commits: readRainerTable({ url: from, table, signal }), total: undefined, done: () => 0 };
  }
  if (file === '-') return { commits: readCommitFile(stdin, { table }), total: undefined, done: () => 0 };
  const found = await stat(file!).catch((cause: Error) => {
    throw new UsageError(cause.message, { cause });
  });
  const stream = createReadStream(file!, { highWaterMark: 1024 * 1024, signal });
  const total = found.isFile() ? found.size : undefined;
  return { commits: readCommitFile(stream, { table }), total, done: () => stream.bytesRead };
}
