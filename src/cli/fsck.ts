import { documentOf, fsck } from '../cluster/index.ts';
import { configuredMap, serversOf } from './cluster-parts.ts';
import { CommandFailed } from './command-failed.ts';
import { type DefineCommand, withConfig } from './context.ts';
import { EXIT } from './exit.ts';

/** `hypervault fsck`: ends with 1 when the map and the shards contradict each other. */
export const defineFsck: DefineCommand = (command, context) => {
  withConfig(command)
    .addHelpText('after', '\nTruth lies in the shards: each says who owns it. The map is a cache of that.')
    .action(async (options: { config?: string }) => {
      const { output, signal } = context;
      const configuration = await context.configuration(options);
      const document = documentOf(await configuredMap(configuration, signal));
      const { problems, shards, servers } = await fsck(document, serversOf(configuration), { signal });
      output.list(problems, ['shard', 'server', 'what', ''], ({ shardId, server, kind, message }) => [
        shardId,
        server,
        kind,
        message,
      ]);
      output.note(
        `${shards} shards on ${servers} servers, ${problems.length === 0 ? 'all well' : `${problems.length} problems`}`,
      );
      if (problems.length > 0) throw new CommandFailed(EXIT.failed);
    });
};
