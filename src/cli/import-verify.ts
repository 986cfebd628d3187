import { SingleBar } from 'cli-progress';
import type { VerifiedTable, VerifyResult } from '../import/index.ts';
import { CommandFailed } from './command-failed.ts';
import type { CliContext, DefineCommand } from './context.ts';
import { EXIT } from './exit.ts';
import { type ImportOptions, sourceCommand, sourceOf, withEngine } from './import-engine.ts';

interface VerifyCommandOptions extends ImportOptions {
  readonly tables?: string;
}

/** `hypervault import verify`: exit code 1 when anything differs. */
export const defineImportVerify: DefineCommand = (group, context) => {
  const { signal } = context;
  sourceCommand(group, 'verify')
    .description('compare source and target row by row, also while both are written to; exit code 1 when they differ')
    .option('--tables <list>', 'only these: schema.table,…')
    .action((options: VerifyCommandOptions) =>
      withEngine(options, context, async (engine) => {
        const name = await sourceOf(engine, options);
        const tables = options.tables?.split(',').map((table) => table.trim());
        const bar = progressBar(context);
        const result = await engine
          .verify(name, { signal, onProgress: bar.show, ...(tables !== undefined && { tables }) })
          .finally(bar.end);
        print(result, context);
        if (!result.equal) throw new CommandFailed(EXIT.failed);
      }),
    );
};

function print(result: VerifyResult, { output }: CliContext): void {
  output.value(result, ({ tables, rows, equal, durationMs }) =>
    [
      ...tables.flatMap(linesOf),
      `${equal ? 'equal' : 'NOT equal'}: ${rows} rows of ${tables.length} tables in ${(durationMs / 1_000).toFixed(1)} s`,
    ].join('\n'),
  );
}

function linesOf({ table, state, reason, differences, moreDifferences, misplaced }: VerifiedTable): string[] {
  if (state === 'equal') return [];
  return [
    `${table}: ${state}${reason === null ? '' : `: ${reason}`}`,
    ...differences.map(({ key, kind, place }) => `  ${kind} in ${place}: ${JSON.stringify(key)}`),
    ...(moreDifferences > 0 ? [`  and ${moreDifferences} more`] : []),
    ...misplaced.map((what) => `  in the wrong shard: ${what}`),
  ];
}

function progressBar({ output }: CliContext): {
  show: (progress: { rows: number; estimatedRows: number; table: string }) => void;
  end: () => void;
} {
  if (output.json || !output.stderr.isTTY) return { show: () => {}, end: () => {} };
  const bar = new SingleBar({ format: '{bar} {percentage}% | {value}/{total} rows | {table}', stream: output.stderr });
  let started = false;
  return {
    show: ({ rows, estimatedRows, table }) => {
      if (!started) bar.start(estimatedRows, rows, { table });
      started = true;
      bar.setTotal(estimatedRows);
      bar.update(rows, { table });
    },
    end: () => bar.stop(),
  };
}
