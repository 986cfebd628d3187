import type { SourceDetails } from '../import/index.ts';
import type { CliContext, DefineCommand } from './context.ts';
import { type ImportOptions, importCommand, sourceCommand, sourceOf, withEngine } from './import-engine.ts';

interface ShowOptions extends ImportOptions {
  readonly logid?: string;
}

/** Commands that only look. */
export const defineImportShow: DefineCommand = (group, context) => {
  const { output } = context;
  importCommand(group, 'show-config')
    .description('the configuration as it is understood; secrets are hidden')
    .action((options: ImportOptions) =>
      withEngine(options, context, async (engine) =>
        output.value(await engine.showConfig(), (value) => JSON.stringify(value, null, 2)),
      ),
    );
  importCommand(group, 'show-sources')
    .description('the sources of the configuration')
    .action((options: ImportOptions) =>
      withEngine(options, context, async (engine) => {
        output.list(await engine.showSources(), ['name', 'type', 'host', 'status'], (row) => [
          row.name,
          row.type,
          row.host,
          row.status ?? 'not registered',
        ]);
      }),
    );
  sourceCommand(group, 'show-migration')
    .description('how the tables of an import are made in the shards, as a file for hypervault migrate')
    .action((options: ImportOptions) =>
      withEngine(options, context, async (engine) => {
        const migration = await engine.showMigration(await sourceOf(engine, options));
        output.value(migration, ({ sql }) => sql.trimEnd());
        for (const note of migration.notes) output.note(note);
      }),
    );
  sourceCommand(group, 'preflight')
    .description('everything that stands against copying a source; changes nothing')
    .action((options: ImportOptions) =>
      withEngine(options, context, async (engine) => {
        const problems = await engine.preflight(await sourceOf(engine, options));
        output.list(problems, ['level', 'table', 'message'], ({ level, table, message }) => [level, table, message]);
      }),
    );
  importCommand(group, 'show-status')
    .description('how every source is, or one in detail')
    .option('--source <name>', 'one source, in detail')
    .action((options: ImportOptions) =>
      withEngine(options, context, async (engine) => {
        if (options.source !== undefined) printDetails(await engine.showStatus(options.source), context);
        else {
          output.list(
            await engine.showStatus(),
            [
              'id',
              'source',
              'type',
              'status',
              'consistent',
              'read lag ms',
              'last read',
              'replay lag ms',
              'last replay',
            ],
            (row) => [
              row.id,
              row.name,
              row.type,
              row.status,
              row.consistent,
              row.readLagMs,
              row.lastRead,
              row.replayLagMs,
              row.lastReplay,
            ],
          );
        }
      }),
    );
  importCommand(group, 'show-errors')
    .description('what went wrong, newest first, with what to do about it')
    .option('--source <name>', 'of one source')
    .option('--logid <id>', 'one of them, in full')
    .action((options: ShowOptions) =>
      withEngine(options, context, async (engine) => {
        const filter = options.logid === undefined ? {} : { id: BigInt(options.logid) };
        const errors = await engine.showErrors({ ...filter, source: options.source });
        const [first] = errors;
        if (options.logid !== undefined && first !== undefined) {
          output.value(first, (row) =>
            Object.entries(row)
              .map(([key, value]) => `${key}: ${String(value ?? '')}`)
              .join('\n'),
          );
        } else {
          output.list(errors, ['id', 'source', 'when', 'phase', 'table', 'message'], (row) => [
            row.id,
            row.source,
            row.noted,
            row.phase,
            row.table ?? null,
            row.message,
          ]);
        }
      }),
    );
};

function printDetails(details: SourceDetails, { output }: CliContext): void {
  output.value(details, (row) => {
    const { followed, copying, aside } = row.tables;
    const lines = [
      `${row.name} (${row.type}): ${row.status}${row.reason === null ? '' : `: ${row.reason}`}`,
      `mappings: ${Object.entries(row.mappings)
        .map(([from, to]) => `${from} → ${to}`)
        .join(', ')}`,
      `tables: ${followed} followed, ${copying} being copied, ${aside} set aside; ${row.consistent ? 'consistent' : 'not consistent yet'}`,
      `replayed: ${row.replayed.changes} changes, ${row.replayed.transactions} transactions, ${row.replayed.statements} statements`,
      `read: ${row.readPosition ?? 'nothing yet'}, lag ${row.readLagMs ?? '?'} ms; replay: ${row.replayPosition ?? 'nothing yet'}, lag ${row.replayLagMs ?? '?'} ms`,
      ...(row.retained === null
        ? []
        : [`log kept for us: ${(Number(row.retained.bytes) / 2 ** 20).toFixed(0)} MiB, ${row.retained.state}`]),
      `maintenance: last ${row.lastMaintenance?.toISOString() ?? 'never'}, next ${row.nextMaintenance?.toISOString() ?? 'by hand'}`,
      ...row.setAside.map(({ table, reason }) => `set aside: ${table}: ${reason ?? ''}`),
      ...row.altered.map(
        ({ table, column, occurrences }) => `replaced by policy: ${table}.${column}: ${occurrences} values`,
      ),
      ...row.lostViews.map(({ view, reason }) => `lost view: ${view}: ${reason}`),
    ];
    return lines.join('\n');
  });
}
