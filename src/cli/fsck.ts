import { documentOf, fsck, retireOutdated } from '../cluster/index.ts';
import { configuredMap, serversOf } from './cluster-parts.ts';
import { CommandFailed } from './command-failed.ts';
import { type DefineCommand, withConfig } from './context.ts';
import { EXIT } from './exit.ts';

/** `hypervault fsck`: ends with 1 when the map and the shards contradict each other. */
export const defineFsck: DefineCommand = (command, context) => {
  withConfig(command)
    .addHelpText(
      'after',
      '\nTruth lies in the shards: each says who owns it. The map is a cache of that.\nEnds with 1 when something is wrong.',
    )
    .option('--retire <server>', 'take what is out of date on a server, restored from an old backup, out of service')
    .action(async ({ retire, ...options }: { config?: string; retire?: string }) => {
      const { output, signal } = context;
      const configuration = await context.configuration(options);
      const document = documentOf(await configuredMap(configuration, signal));
      const { schemaPrefix } = configuration.fixed;
      if (retire !== undefined) {
        const shards = await retireOutdated(retire, document, serversOf(configuration), { schemaPrefix, signal });
        output.note(
          shards.length === 0 ? `nothing to retire on ${retire}` : `retired on ${retire}: ${shards.join(' ')}`,
        );
      }
      const { problems, shards, servers } = await fsck(document, serversOf(configuration), { schemaPrefix, signal });
      if (problems.length > 0 || output.json) {
        output.list(problems, ['shard', 'server', 'what', ''], ({ shardId, server, kind, message }) => [
          shardId,
          server,
          kind,
          message,
        ]);
      }
      output.note(
        `${shards} shards on ${servers} servers, ${problems.length === 0 ? 'all well' : `${problems.length} problems`}`,
      );
      if (problems.length > 0) throw new CommandFailed(EXIT.failed);
    });
};
