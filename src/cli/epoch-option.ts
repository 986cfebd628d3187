import type { Command } from 'commander';
import { epoch } from './arguments.ts';
import { type CliContext, withConfig } from './context.ts';

/** Options that say what ids count from. */
export interface EpochOptions {
  readonly epoch?: number;
  readonly config?: string;
}

/** Adds `--epoch` and `--config`, which may name the epoch too. */
export function withEpoch(command: Command): Command {
  return withConfig(command).option('--epoch <time>', 'what ids count from, a time or ms since 1970', epoch);
}

/** `--epoch`, else that of the configuration if there is one, else the default. */
export async function epochOf(options: EpochOptions, context: CliContext): Promise<number | undefined> {
  if (options.epoch !== undefined) return options.epoch;
  if (options.config === undefined && !context.environment.HYPERVAULT_CONFIG) return undefined;
  return (await context.configuration(options)).fixed.epoch;
}
