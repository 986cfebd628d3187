import type { TakenOver } from '../import/index.ts';
import { setConfigurationFiles } from '../import/index.ts';
import { type DefineCommand, subcommand } from './context.ts';
import { type ImportOptions, importCommand, sourceCommand, sourceOf, withEngine } from './import-engine.ts';
import { UsageError } from './usage-error.ts';

interface ConfirmOptions extends ImportOptions {
  readonly yes?: boolean;
}

/** The catalogue, and the sources in it. */
export const defineImportCatalogue: DefineCommand = (group, context) => {
  const { output, signal } = context;
  subcommand(group, 'set-configuration-files')
    .description('make the folders for configuration, logs and process ids, with an example configuration')
    .option('--folder <path>', 'where (otherwise ~/.pg_hypervault)')
    .action(async (options: { folder?: string }) => {
      output.value(await setConfigurationFiles(options), ({ example }) => `the example is ${example}`);
    });
  importCommand(group, 'create-replica-schema')
    .description('install the catalogue')
    .action((options: ImportOptions) =>
      withEngine(options, context, async (engine) => {
        output.value(await engine.createReplicaSchema(), ({ applied }) =>
          applied.length === 0 ? 'the catalogue is there already' : `installed: ${applied.length} files`,
        );
      }),
    );
  importCommand(group, 'drop-replica-schema')
    .description('take the catalogue away; replicated rows stay')
    .option('--yes', 'do it')
    .action((options: ConfirmOptions) =>
      withEngine(options, context, async (engine) => {
        confirm(options, 'the catalogue would be dropped');
        await engine.dropReplicaSchema();
      }),
    );
  importCommand(group, 'upgrade-replica-schema')
    .description('bring the catalogue to this version; take over what pg_chameleon has replicated here')
    .action((options: ImportOptions) =>
      withEngine(options, context, async (engine) => {
        output.value(await engine.upgradeReplicaSchema({ signal }), ({ applied, takenOver }) =>
          [`applied: ${applied.length} files`, ...takenOver.flatMap(describeTakenOver)].join('\n'),
        );
      }),
    );
  sourceCommand(group, 'add-source')
    .description('register a source of the configuration')
    .action((options: ImportOptions) =>
      withEngine(options, context, async (engine) => {
        const name = await sourceOf(engine, options);
        output.value(
          await engine.addSource(name),
          ({ added }) => `${name}: ${added ? 'registered' : 'is registered already'}`,
        );
      }),
    );
  sourceCommand(group, 'drop-source')
    .description('take a source out of the catalogue; replicated rows stay')
    .option('--yes', 'do it')
    .action((options: ConfirmOptions) =>
      withEngine(options, context, async (engine) => {
        const name = await sourceOf(engine, options);
        confirm(options, `the source ${name} would be dropped`);
        await engine.dropSource(name);
      }),
    );
  sourceCommand(group, 'update-schema-mappings')
    .description('rename target schemas after schema_mappings changed')
    .action((options: ImportOptions) =>
      withEngine(options, context, async (engine) => {
        const change = await engine.updateSchemaMappings(await sourceOf(engine, options), { signal });
        output.value(change, ({ renamed, removed, added }) =>
          [
            ...renamed.map(({ from, to }) => `renamed ${from} to ${to}`),
            ...removed.map((schema) => `no longer replicated: ${schema}`),
            ...added.map((schema) => `new: ${schema}; copy it with refresh-schema`),
          ].join('\n'),
        );
      }),
    );
};

export function confirm({ yes }: ConfirmOptions, what: string): void {
  if (!yes) throw new UsageError(`${what}; say --yes to do it`);
}

function describeTakenOver({ source, refusal, followed, aside }: TakenOver): string[] {
  if (refusal !== null) return [`${source}: not taken over from pg_chameleon: ${refusal}`];
  return [
    `${source}: taken over from pg_chameleon; ${followed.length} tables go on where it stopped`,
    ...aside.map(({ table, reason }) => `  ${table} is to be copied anew (sync-tables --tables disabled): ${reason}`),
  ];
}
