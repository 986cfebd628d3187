import { Command, type CommanderError } from 'commander';
import { packageVersion } from '../internal/package-version.ts';
import { COMMANDS } from './commands.ts';
import { type CliContext, withCommonOptions } from './context.ts';
import { UsageError } from './usage-error.ts';

/** The program `hypervault` with all its commands, of which only the one called is loaded. */
export async function makeProgram(called: string | undefined, context: CliContext): Promise<Command> {
  const program = new Command('hypervault')
    .description('Shard Postgres over ordinary servers: ids, schemas, moves, settings, streams, import.')
    .version(packageVersion(), '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
    .showHelpAfterError(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.output.plain(text),
      // Errors are said once, by whoever ran the program.
      outputError: () => {},
      writeErr: (text) => context.output.note(text.trimEnd()),
    });
  for (const { name, summary, load } of COMMANDS) {
    const command = withCommonOptions(program.command(name).summary(summary).description(summary));
    if (name === called) (await load())(command, context);
  }
  return program;
}

/**
 * What an error of commander means: nothing, when it only ends a run that showed help or the version;
 * else the mistake that was made.
 */
export function usageErrorOf(error: CommanderError): UsageError | undefined {
  if (error.exitCode === 0) return undefined;
  if (error.code === 'commander.help') return new UsageError('name a command; hypervault --help lists them');
  const sentence = error.message.replace(/^error: /, '').replaceAll('\n', ' ');
  return new UsageError(sentence, { cause: error });
}
