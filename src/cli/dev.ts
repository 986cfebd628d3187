import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { stringify } from 'yaml';
import { readMap } from '../cluster/index.ts';
import { type Configuration, readConfiguration } from '../config/index.ts';
import { startEmbedded } from '../embedded/index.ts';
import { installVault } from '../vault-install.ts';
import { wholeNumber } from './arguments.ts';
import type { DefineCommand } from './context.ts';
import { UsageError } from './usage-error.ts';

interface DevOptions {
  readonly servers: number;
  readonly shards: number;
  readonly empty: number;
  readonly directory?: string;
  readonly write?: string;
}

/** `hypervault dev`: real servers for development, until Ctrl-C. */
export const defineDev: DefineCommand = (command, context) => {
  command
    .option('--servers <n>', 'how many servers', wholeNumber('--servers', 1, 16), 2)
    .option('--shards <n>', 'how many shards, spread over the servers', wholeNumber('--shards', 1, 512), 16)
    .option(
      '--empty <n>',
      'so many of the servers hold no shards yet, for moves; the shard map is live',
      wholeNumber('--empty', 0, 15),
      0,
    )
    .option('--directory <folder>', 'keep the data there; without it, it is gone at the end')
    .option('--write <file>', 'write the configuration there, for --config')
    .action(async ({ servers: count, shards, empty, directory, write }: DevOptions) => {
      const { output, signal, environment } = context;
      const filled = count - empty;
      if (filled < 1) throw new UsageError(`--empty: of ${count} servers one at least must hold the shards`);
      if (shards < filled) throw new UsageError(`--shards: ${shards} shards can't be spread over ${filled} servers`);
      output.note(`starting ${count} servers …`);
      await using embedded = await startEmbedded({ servers: count, directory });
      const ranges = evenRanges(filled, shards);
      const configuration = configurationOf(embedded.connections, empty > 0 ? 'live' : ranges);
      const resolved = await readConfiguration(configuration, environment);
      // Servers that were kept have a map already.
      const kept = empty > 0 && (await readMap(resolved.control!, { signal })) !== null;
      await installVault(resolved, { signal, firstShards: empty > 0 && !kept ? ranges : undefined });
      if (write !== undefined) await writeFile(write, stringify(configuration), { mode: 0o600 });
      output.value(configuration, () => stringify(configuration).trimEnd());
      const where = write === undefined ? '' : `; the configuration is in ${resolve(write)}`;
      output.note(`running with ${shards} shards on ${count} servers${where}. Ctrl-C ends them.`);
      await untilAborted(signal);
      output.note('stopping …');
    });
};

/** Shards 1 to n in even ranges, by server. */
function evenRanges(servers: number, shards: number): Record<string, string> {
  const edge = (place: number): number => 1 + Math.floor((shards * place) / servers);
  return Object.fromEntries(
    Array.from({ length: servers }, (_, place) => [nameOf(place), `${edge(place)}-${edge(place + 1)}`]),
  );
}

function configurationOf(connections: readonly object[], shards: Configuration['shards']): Configuration {
  return {
    servers: Object.fromEntries(connections.map((connection, place) => [nameOf(place), connection])),
    shards,
    control: nameOf(0),
    kv: {},
    streams: {},
  };
}

function nameOf(place: number): string {
  return `server${place + 1}`;
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  // Nothing else may be left that keeps the process alive.
  const alive = setInterval(() => {}, 60_000);
  await once(signal, 'abort');
  clearInterval(alive);
}
