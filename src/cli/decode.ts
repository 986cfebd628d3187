import { Key } from '../core/index.ts';
import { ageText } from './age.ts';
import { wordsFrom } from './arguments.ts';
import { CommandFailed } from './command-failed.ts';
import type { DefineCommand } from './context.ts';
import { type EpochOptions, epochOf, withEpoch } from './epoch-option.ts';
import { EXIT } from './exit.ts';

/** `hypervault decode ID…`: one line per id, so that millions may come through a pipe. */
export const defineDecode: DefineCommand = (command, context) => {
  withEpoch(command)
    .argument('[id...]', 'ids in decimal; without any they are read from standard input')
    .addHelpText('after', '\nExample:\n  hypervault decode 307821103844175873')
    .action(async (ids: string[], options: EpochOptions) => {
      const { output } = context;
      const epoch = await epochOf(options, context);
      let headed = false;
      let failed = false;
      for await (const id of wordsFrom(ids, 'ids', context)) {
        let key: Key;
        try {
          key = new Key(id, { epoch });
        } catch (error) {
          // The others may be right: each is told by itself.
          output.error(error);
          failed = true;
          continue;
        }
        if (!headed && !output.json) output.plain(`${row('id', 'created', 'shard', 'sequence', 'age')}\n`);
        headed = true;
        const { created, shardId, addedId } = key;
        const ageMs = Date.now() - created.getTime();
        output.value({ id: key.id, created, shardId, addedId, ageMs }, () =>
          row(String(key), created.toISOString(), String(shardId), String(addedId), ageText(ageMs)),
        );
      }
      if (failed) throw new CommandFailed(EXIT.wrongUse);
    });
};

/** Fixed columns rather than a table, which would have to wait for the last id. */
function row(id: string, created: string, shard: string, sequence: string, age: string): string {
  return `${id.padEnd(19)}  ${created.padEnd(24)}  ${shard.padStart(5)}  ${sequence.padStart(8)}  ${age}`;
}
