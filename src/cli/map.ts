import { userInfo } from 'node:os';
import { type MapDocument, ownerCheck, rebuildMap } from '../cluster/index.ts';
import { wholeNumber } from './arguments.ts';
import { newestMap, serversOf, withMapStore } from './cluster-parts.ts';
import { type DefineCommand, subcommand, withConfig } from './context.ts';
import type { Output } from './output.ts';

interface Options {
  readonly config?: string;
}

/** `hypervault map show | history | rebuild`. */
export const defineMap: DefineCommand = (command, context) => {
  const { output, signal } = context;

  withConfig(subcommand(command, 'show').description('the shard map as the control database has it')).action(
    async (options: Options) => {
      const configuration = await context.configuration(options);
      show(output, await withMapStore(configuration, (store) => newestMap(store, signal)));
    },
  );

  withConfig(subcommand(command, 'history').description('who changed the map, when and why, newest first'))
    .option('--limit <n>', 'how many versions', wholeNumber('--limit', 1, 100_000), 20)
    .action(async ({ limit, ...options }: Options & { limit: number }) => {
      const configuration = await context.configuration(options);
      const versions = await withMapStore(configuration, (store) => store.history({ limit, signal }));
      const rows = versions.map(({ document, author, comment, at }) => ({ ...document, author, comment, at }));
      output.list(rows, ['epoch', 'when', 'who', 'why'], ({ epoch, at, author, comment }) => [
        epoch,
        at,
        author,
        comment,
      ]);
    });

  withConfig(subcommand(command, 'rebuild').description('make the map anew from what the shards say of themselves'))
    .option('--dry-run', 'only show the map that would be made')
    .option('-m, --message <text>', 'why', 'rebuilt from the shards')
    .action(async ({ dryRun, message, ...options }: Options & { dryRun?: boolean; message: string }) => {
      const configuration = await context.configuration(options);
      const document = await withMapStore(configuration, async (store) => {
        const there = await store.read({ signal });
        const servers = serversOf(configuration);
        const made = await rebuildMap(servers, (there?.document.epoch ?? 0n) + 1n, { signal });
        const author = { author: userInfo().username, comment: message };
        if (!dryRun) await store.publish(made, author, { check: ownerCheck(servers), signal });
        return made;
      });
      show(output, document);
      if (dryRun || configuration.connections === 'live' || configuration.connections === undefined) return;
      output.warn('this configuration names the ranges itself: write "shards: live" in it to follow the map');
    });
};

function show(output: Output, { epoch, servers }: MapDocument): void {
  output.value({ epoch, servers }, () => {
    const rows = Object.entries(servers);
    return `epoch ${epoch}\n${output.table(['server', 'shards'], rows)}`;
  });
}
