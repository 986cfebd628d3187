import { SingleBar } from 'cli-progress';
import type { CopyProgress, CopyResult } from '../import/index.ts';
import type { CliContext, DefineCommand } from './context.ts';
import { type ImportOptions, sourceCommand, sourceOf, withEngine } from './import-engine.ts';
import { UsageError } from './usage-error.ts';

interface CopyOptions extends ImportOptions {
  readonly schema?: string;
  readonly tables?: string;
  readonly restart?: boolean;
}

/** Commands that copy. */
export const defineImportCopy: DefineCommand = (group, context) => {
  const { output, signal } = context;
  sourceCommand(group, 'init-replica')
    .description('copy everything a source maps; goes on with an interrupted copy')
    .option('--restart', 'copy everything anew')
    .action((options: CopyOptions) =>
      withEngine(options, context, async (engine) => {
        const name = await sourceOf(engine, options);
        const bar = progressBar(context);
        const result = await engine
          .initReplica(name, { signal, onProgress: bar.show, ...(options.restart && { resume: false }) })
          .finally(bar.end);
        printCopy(result, context);
      }),
    );
  sourceCommand(group, 'copy-schema')
    .description("make the source's tables without their rows")
    .action((options: ImportOptions) =>
      withEngine(options, context, async (engine) => {
        output.value(
          await engine.copySchema(await sourceOf(engine, options), { signal }),
          ({ tables }) => `${tables} tables`,
        );
      }),
    );
  sourceCommand(group, 'refresh-schema')
    .description('copy one origin schema anew, beside the others')
    .requiredOption('--schema <name>', 'the origin schema')
    .action((options: CopyOptions) =>
      withEngine(options, context, async (engine) => {
        const name = await sourceOf(engine, options);
        const bar = progressBar(context);
        const result = await engine
          .refreshSchema(name, options.schema!, { signal, onProgress: bar.show })
          .finally(bar.end);
        printCopy(result, context);
      }),
    );
  sourceCommand(group, 'sync-tables')
    .description('copy tables anew, beside the others')
    .requiredOption('--tables <list>', 'schema.table,… – or disabled for all that were set aside')
    .action((options: CopyOptions) =>
      withEngine(options, context, async (engine) => {
        const tables =
          options.tables === 'disabled' ? 'disabled' : options.tables!.split(',').map((table) => table.trim());
        if (tables.length === 0) throw new UsageError('--tables: name at least one');
        const name = await sourceOf(engine, options);
        const bar = progressBar(context);
        printCopy(await engine.syncTables(name, tables, { signal, onProgress: bar.show }).finally(bar.end), context);
      }),
    );
};

export function printCopy(result: CopyResult, { output }: CliContext): void {
  for (const { table, failure } of result.tables)
    if (failure !== null) output.warn(`${table} was set aside: ${failure}`);
  for (const { table, reason } of result.leftOut) output.warn(`${table} was left out: ${reason}`);
  const seconds = Math.max(1, result.durationMs) / 1_000;
  output.value(
    result,
    ({ tables, rows }) =>
      `${rows} rows of ${tables.length} tables in ${seconds.toFixed(1)} s (${Math.round(rows / seconds)} rows/s)`,
  );
}

/** How often a copy tells a pipe or a log file how far it is. */
const LINE_EVERY_MS = 5_000;

/** A bar for people at a terminal, now and then a line in a pipe; nothing for programs. */
export function progressBar({ output }: CliContext): { show: (progress: CopyProgress) => void; end: () => void } {
  if (output.json) return { show: () => {}, end: () => {} };
  if (!output.stderr.isTTY) return { show: progressLines(output), end: () => {} };
  const bar = new SingleBar({
    format: '{bar} {percentage}% | {value}/{total} rows | {speed} rows/s | {left} left | {table}',
    stream: output.stderr,
  });
  let started = false;
  return {
    show: ({ table, rows, estimatedRows, rowsPerSecond, timeLeftMs }) => {
      const left = timeLeftMs === null ? '?' : `${Math.ceil(timeLeftMs / 1_000)} s`;
      const payload = { table, speed: rowsPerSecond, left };
      if (!started) bar.start(estimatedRows, rows, payload);
      started = true;
      bar.setTotal(estimatedRows);
      bar.update(rows, payload);
    },
    end: () => bar.stop(),
  };
}

function progressLines(output: CliContext['output']): (progress: CopyProgress) => void {
  let last = performance.now();
  return ({ table, rows, estimatedRows, rowsPerSecond }) => {
    if (performance.now() - last < LINE_EVERY_MS) return;
    last = performance.now();
    output.note(`${rows} of about ${estimatedRows} rows, ${rowsPerSecond} rows/s, ${table}`);
  };
}
