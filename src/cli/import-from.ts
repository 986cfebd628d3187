import { readConfiguration } from '../config/index.ts';
import type { ReplicaEngine } from '../import/index.ts';
import { configuredMap } from './cluster-parts.ts';
import { CommandFailed } from './command-failed.ts';
import type { CliContext, DefineCommand } from './context.ts';
import { EXIT } from './exit.ts';
import { printCopy, progressBar } from './import-copy.ts';
import { type ImportOptions, importCommand, withEngine } from './import-engine.ts';
import { keepSection, PASSWORD_VARIABLE, sectionOf } from './import-section.ts';
import { UsageError } from './usage-error.ts';

interface FromOptions extends ImportOptions {
  readonly by?: string;
  readonly reference?: string;
  readonly schema?: string;
  readonly setReplicaIdentity?: boolean;
  readonly via?: string;
  readonly addKeyColumn?: boolean;
  readonly check?: boolean;
  readonly copyOnly?: boolean;
}

const HELP = `
Example:
  hypervault import postgres://app@db1/app --by tenant_id --reference country,plan
  hypervault import verify
  hypervault import switch --yes`;

/** `hypervault import from URL`, also without the word: a Postgres database into the target, in one command. */
export const defineImportFrom: DefineCommand = (group, context) => {
  importCommand(group, 'from')
    .description('take a Postgres database over: report, copy, then follow its changes until stopped')
    .argument('<url>', 'postgres://user:password@host:port/database')
    .option('--by <column>', 'spread rows over the shards by this column; or table=column,…')
    .option('--reference <tables>', 'tables of which every server gets a whole copy: a,b – or *')
    .option('--schema <names>', 'schemas that are taken over (public)')
    .option('--set-replica-identity', 'let the source log whole old rows where their shard cannot be told otherwise')
    .option('--add-key-column', 'let tables that lack the column have that of their parent, kept right by the source')
    .option('--via <tables>', 'which parent (or foreign key) tells it, where there are several: table=parent,…')
    .option('--check', 'only report what cannot follow')
    .option('--copy-only', 'do not follow; start-replica does it later')
    .option('--source <name>', 'its name in the configuration', 'source')
    .addHelpText('after', HELP)
    .action(async (url: string, options: FromOptions) => takeOver(url, options, context));
};

async function takeOver(url: string, options: FromOptions, context: CliContext): Promise<void> {
  const { environment, output, signal } = context;
  const file = options.config ?? environment.HYPERVAULT_CONFIG;
  if (file === undefined)
    throw new UsageError('name the configuration of the target with --config, or in HYPERVAULT_CONFIG');
  const name = options.source ?? 'source';
  const list = (text: string | undefined): string[] => text?.split(',').map((word) => word.trim()) ?? [];
  const { section, password } = sectionOf({
    name,
    url,
    schemas: options.schema === undefined ? undefined : list(options.schema),
    by: options.by,
    reference: list(options.reference),
    setReplicaIdentity: options.setReplicaIdentity ?? false,
    via: options.via,
    addKeyColumn: options.addKeyColumn,
  });
  const withPassword = {
    ...context,
    environment: { ...environment, ...(password !== '' && { [PASSWORD_VARIABLE]: password }) },
  };
  await refuseWithoutShards(file, options, withPassword);
  const kept = await keepSection(file, name, section, () => isCopied({ ...options, config: file }, name, withPassword));
  if (kept.outcome === 'written') output.note(`wrote import.sources.${name} into ${file}`);
  if (kept.outcome === 'changed') output.note(`changed ${kept.keys.join(', ')} of import.sources.${name} in ${file}`);
  await withEngine({ ...options, config: file }, withPassword, async (engine) => {
    await engine.createReplicaSchema();
    if (!(await isKnown(engine, name))) await engine.addSource(name);
    await report(engine, name, context);
    if (options.check) return;
    const { status, tables } = await engine.showStatus(name);
    // An error of the stream is not mended by another copy; start-replica says what to do about it
    if (status === 'ready' || status === 'initialising' || (status === 'error' && tables.followed === 0)) {
      const bar = progressBar(context);
      printCopy(
        await engine.initReplica(name, { signal, onProgress: bar.show, logWarnings: false }).finally(bar.end),
        context,
      );
    }
    if (options.copyOnly) return;
    if (password !== '') output.note(`the other commands take the source's password from ${PASSWORD_VARIABLE}`);
    await engine.startReplica(name, {
      signal,
      onStarted: () =>
        output.note(`${name}: following; next: hypervault import verify, then hypervault import switch --yes`),
    });
  });
}

/** What the configuration or the control database lacks for rows to be spread is said before the file is written to. */
async function refuseWithoutShards(
  file: string,
  { by, reference }: FromOptions,
  { environment, signal }: CliContext,
): Promise<void> {
  const configuration = await readConfiguration(file, environment);
  if (configuration.connections === 'live') await configuredMap(configuration, signal);
  if (configuration.connections !== undefined || (by === undefined && reference === undefined)) return;
  throw new UsageError(`${file} names no shards, so --by and --reference have nowhere to lead: add shards to it`);
}

/** Whether rows of the source were copied. One that was only registered is forgotten: it is registered anew. */
async function isCopied(options: ImportOptions, name: string, context: CliContext): Promise<boolean> {
  let copied = false;
  await withEngine(options, context, async (engine) => {
    await engine.createReplicaSchema();
    if (!(await isKnown(engine, name))) return;
    copied = (await engine.showStatus(name)).status !== 'ready';
    if (!copied) await engine.dropSource(name);
  });
  return copied;
}

async function isKnown(engine: ReplicaEngine, name: string): Promise<boolean> {
  return (await engine.showStatus()).some((source) => source.name === name);
}

/** Says everything that cannot follow, before anything moves. */
async function report(engine: ReplicaEngine, name: string, { output }: CliContext): Promise<void> {
  const problems = await engine.preflight(name);
  for (const { level, table, message, sql } of problems) {
    output.note(`${level}: ${table === null ? '' : `${table}: `}${message}`);
    for (const statement of sql ?? []) output.note(`    ${statement.replaceAll(/\s*\n\s*/g, ' ')};`);
  }
  if (problems.some(({ level }) => level === 'error')) {
    output.note('nothing was copied');
    throw new CommandFailed(EXIT.failed);
  }
}
