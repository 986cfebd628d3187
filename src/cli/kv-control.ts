import type { CliContext } from './context.ts';
import { UsageError } from './usage-error.ts';

/** The control database of the configuration, for commands that also take `--database`. */
export async function controlOf(config: string | undefined, context: CliContext) {
  if (config === undefined && !context.environment.HYPERVAULT_CONFIG) {
    throw new UsageError('where are the keys kept? Say --database URL or --config FILE (kv serve: or --memory)');
  }
  const { control } = await context.configuration({ config });
  if (control === undefined) throw new UsageError('the configuration names no control database');
  return control;
}
