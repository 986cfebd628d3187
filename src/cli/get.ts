import { type Entity, Key } from '../core/index.ts';
import { openVault } from '../vault.ts';
import { wordsFrom } from './arguments.ts';
import { CommandFailed } from './command-failed.ts';
import { type DefineCommand, withConfig } from './context.ts';
import { EXIT } from './exit.ts';

/** Entities read together. */
const BATCH = 500;

/** `hypervault get ID…`: ends with 1 when one of them is not there. */
export const defineGet: DefineCommand = (command, context) => {
  withConfig(command)
    .argument('[id...]', 'ids in decimal; without any they are read from standard input')
    .action(async (ids: string[], options: { config?: string }) => {
      const { output, signal } = context;
      const configuration = await context.configuration(options);
      await using vault = await openVault(configuration, { only: [] });
      const { epoch } = configuration.fixed;
      let missing = 0;
      let batch: Key[] = [];
      const flush = async (): Promise<void> => {
        const keys = batch;
        batch = [];
        const entities = await vault.datastore.getMany(keys, { signal });
        for (const [place, entity] of entities.entries()) {
          if (entity !== null) output.value(entity, text);
          else {
            missing += 1;
            output.error(new Error(`there is no entity ${keys[place]}`));
          }
        }
      };
      for await (const id of wordsFrom(ids, 'ids', context)) {
        batch.push(new Key(id, { epoch }));
        if (batch.length === BATCH) await flush();
      }
      if (batch.length > 0) await flush();
      if (missing > 0) throw new CommandFailed(EXIT.failed);
    });
};

function text({ key, kind, body, updated }: Entity): string {
  const fields = Object.entries(body).map(([field, value]) => `  ${field} = ${value ?? 'NULL'}`);
  return [`${key}  kind ${kind}  updated ${updated.toISOString()}`, ...fields].join('\n');
}
