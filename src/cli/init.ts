import { installVault } from '../vault-install.ts';
import { wholeNumber } from './arguments.ts';
import { type DefineCommand, withConfig } from './context.ts';
import { type Progress, startProgress } from './progress.ts';

interface InitOptions {
  readonly config?: string;
  readonly grantTo?: string[];
  readonly concurrency: number;
}

/** `hypervault init`. */
export const defineInit: DefineCommand = (command, context) => {
  withConfig(command)
    .option('--grant-to <role...>', 'roles that get the rights a program needs, and no more')
    .option('--concurrency <n>', 'sessions on each server that make shards', wholeNumber('--concurrency', 1, 64), 4)
    .addHelpText('after', '\nMay be run again, and after an interruption: what is there already is left as it is.')
    .action(async ({ grantTo, concurrency, ...options }: InitOptions) => {
      const { output, signal } = context;
      const configuration = await context.configuration(options);
      let progress: Progress | undefined;
      try {
        const { shards, controlChanged } = await installVault(configuration, {
          grantTo,
          concurrency,
          signal,
          onProgress: ({ done, total, server }) => {
            progress ??= startProgress(output, { label: 'shards', total });
            progress.update(done, server);
          },
        });
        progress?.stop();
        const servers = shards?.servers ?? [];
        const { epoch, slots, firstShard, schemaPrefix } = shards ?? {};
        const result = { servers, epoch, slots, firstShard, schemaPrefix, controlChanged };
        output.value(result, () => {
          const lines = [
            output.table(
              ['server', 'shards', 'changed'],
              servers.map((s) => [s.name, s.shards, s.changed]),
            ),
            slots === undefined ? '' : `routing: ${slots} slots from shard ${firstShard}`,
            controlChanged === undefined ? '' : `control database: ${controlChanged ? 'installed' : 'was up to date'}`,
          ];
          return lines.filter((line) => line !== '').join('\n');
        });
      } finally {
        progress?.stop();
      }
    });
};
