import { janitor } from '../cluster/index.ts';
import { type DefineCommand, withConfig } from './context.ts';
import { settingOf } from './move.ts';

/** `hypervault janitor [--remove]`. */
export const defineJanitor: DefineCommand = (command, context) => {
  withConfig(command)
    .option('--remove', 'remove what may be removed: subscriptions, then slots, publications, old copies')
    .addHelpText(
      'after',
      '\nMoves that are not over are listed and left alone: they end by hypervault move --resume, --abort, --finish or --revert.',
    )
    .action(async ({ remove = false, ...options }: { config?: string; remove?: boolean }) => {
      const { output, signal } = context;
      const findings = await janitor(settingOf(await context.configuration(options)), { remove, signal });
      output.list(findings, ['server', 'what', 'name', ''], ({ server, kind, name, kept, removed }) => [
        server,
        kind,
        name,
        kept ?? (removed ? 'removed' : 'can be removed'),
      ]);
      const left = findings.filter(({ kept, removed }) => kept === undefined && !removed).length;
      output.note(left === 0 ? 'nothing is left over' : `${left} can be removed with --remove`);
    });
};
