import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { stringify } from 'yaml';
import { type Configuration, readConfiguration } from '../config/index.ts';
import { startEmbedded } from '../embedded/index.ts';
import { installVault } from '../vault-install.ts';
import { wholeNumber } from './arguments.ts';
import type { DefineCommand } from './context.ts';
import { UsageError } from './usage-error.ts';

interface DevOptions {
  readonly servers: number;
  readonly shards: number;
  readonly directory?: string;
  readonly write?: string;
}

/** `hypervault dev`: real servers for development, until Ctrl-C. */
export const defineDev: DefineCommand = (command, context) => {
  command
    .option('--servers <n>', 'how many servers', wholeNumber('--servers', 1, 16), 2)
    .option('--shards <n>', 'how many shards, spread over the servers', wholeNumber('--shards', 1, 512), 16)
    .option('--directory <folder>', 'keep the data there; without it, it is gone at the end')
    .option('--write <file>', 'write the configuration there, for --config')
    .action(async ({ servers: count, shards, directory, write }: DevOptions) => {
      const { output, signal, environment } = context;
      if (shards < count) throw new UsageError(`--shards: ${shards} shards can't be spread over ${count} servers`);
      output.note(`starting ${count} servers …`);
      await using embedded = await startEmbedded({ servers: count, directory });
      const configuration = configurationOf(embedded.connections, shards);
      await installVault(await readConfiguration(configuration, environment), { signal });
      if (write !== undefined) await writeFile(write, stringify(configuration), { mode: 0o600 });
      output.value(configuration, () => stringify(configuration).trimEnd());
      const where = write === undefined ? '' : `; the configuration is in ${resolve(write)}`;
      output.note(`running with ${shards} shards on ${count} servers${where}. Ctrl-C ends them.`);
      await untilAborted(signal);
      output.note('stopping …');
    });
};

/** Shards 1 to n in even ranges. */
function configurationOf(connections: readonly object[], shards: number): Configuration {
  const names = connections.map((_, place) => `server${place + 1}`);
  const edge = (place: number): number => 1 + Math.floor((shards * place) / names.length);
  return {
    servers: Object.fromEntries(names.map((name, place) => [name, connections[place]!])),
    shards: Object.fromEntries(names.map((name, place) => [name, `${edge(place)}-${edge(place + 1)}`])),
    control: names[0]!,
    kv: {},
    streams: {},
  };
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  // Nothing else may be left that keeps the process alive.
  const alive = setInterval(() => {}, 60_000);
  await once(signal, 'abort');
  clearInterval(alive);
}
