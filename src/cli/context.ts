import type { Command } from 'commander';
import type { ResolvedConfiguration } from '../config/index.ts';
import type { Output } from './output.ts';

/** What a command is given to work with. Commands touch neither `process` nor `console`. */
export interface CliContext {
  readonly output: Output;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Fires at Ctrl-C and at SIGTERM; a second one ends the process. */
  readonly signal: AbortSignal;
  readonly stdin: NodeJS.ReadStream;
  /**
   * The configuration of `--config`, or of the path in HYPERVAULT_CONFIG.
   * @throws UsageError when there is neither, ConfigurationError when it is wrong
   */
  configuration(options: { readonly config?: string | undefined }): Promise<ResolvedConfiguration>;
}

/**
 * Describes a command: arguments, options, action. `command` has its name already, `--json` and `--help` too.
 * A group adds subcommands by {@link subcommand}.
 */
export type DefineCommand = (command: Command, context: CliContext) => void;

/** A subcommand of a group, e.g. `hypervault kv show`. */
export function subcommand(group: Command, name: string): Command {
  group.helpCommand('help [command]', 'show the help of a command');
  return withCommonOptions(group.command(name));
}

/** What every command understands. */
export function withCommonOptions(command: Command): Command {
  return command
    .option('--json', 'print JSON for programs, one value per line')
    .helpOption('-h, --help', 'show this help');
}

/** What every command that talks to servers understands. */
export function withConfig(command: Command): Command {
  return command.option(
    '-c, --config <file>',
    'the configuration file (or set HYPERVAULT_CONFIG; otherwise ./hypervault.yaml)',
  );
}
