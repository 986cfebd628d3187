import type { ResolvedConfiguration } from '../config/index.ts';
import type { ConnectionSettings } from '../core/index.ts';
import { parseShardRanges, shardsOf } from '../core/index.ts';
import { unknownServer } from '../internal/unknown-server.ts';
import type { Output } from './output.ts';
import { UsageError } from './usage-error.ts';

/** The shards of an argument like `5-8,12-13`; says them one by one, since ranges are half-open. */
export function shardsOfArgument(text: string, output: Output): number[] {
  const shards = shardsOf(rangesOf(text));
  output.note(`shards: ${shards.join(' ')}`);
  return shards;
}

function rangesOf(text: string): ReturnType<typeof parseShardRanges> {
  try {
    return parseShardRanges(text, 'SHARDS');
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

/** How to reach a server that an option names. @throws ConfigurationError naming the servers there are */
export function serverNamed({ servers }: ResolvedConfiguration, option: string, name: string): ConnectionSettings {
  const connection = servers.get(name);
  if (connection !== undefined) return connection;
  throw unknownServer(option, name, servers.keys());
}
