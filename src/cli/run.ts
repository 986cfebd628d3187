import { CommanderError } from 'commander';
import { readConfiguration } from '../config/index.ts';
import { ConfigurationError, InvalidArgumentError } from '../errors.ts';
import { CommandFailed } from './command-failed.ts';
import type { CliContext } from './context.ts';
import { EXIT } from './exit.ts';
import { Output, type OutputStreams } from './output.ts';
import { makeProgram, usageErrorOf } from './program.ts';
import { UsageError } from './usage-error.ts';

/** What surrounds a command line: the process, or a test. */
export interface Surroundings extends OutputStreams, Pick<CliContext, 'stdin' | 'environment' | 'signal'> {}

/** Runs one command line and says how it ended: 0 done, 1 failed, 2 wrong use. */
export async function run(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { stdout, stderr, stdin, environment, signal } = surroundings;
  // Looked up before anything is parsed: a mistake in the command line is told in the form that was asked for, too.
  const output = new Output({ json: args.includes('--json'), stdout, stderr });
  const context: CliContext = {
    output,
    stdin,
    environment,
    signal,
    configuration: async ({ config }) => {
      const file = config ?? environment.HYPERVAULT_CONFIG;
      if (file === undefined || file === '') {
        throw new UsageError(
          'which configuration? Say --config FILE, set HYPERVAULT_CONFIG, or work beside a hypervault.yaml',
        );
      }
      return readConfiguration(file, environment);
    },
  };
  const words = withoutShortForms(args);
  try {
    const called = words.find((word) => !word.startsWith('-'));
    const program = await makeProgram(called, context);
    await program.parseAsync(words, { from: 'user' });
    return EXIT.done;
  } catch (thrown) {
    const error = thrown instanceof CommanderError ? usageErrorOf(thrown) : thrown;
    if (error === undefined) return EXIT.done;
    if (error instanceof CommandFailed) return error.exitCode;
    output.error(error);
    // These two are thrown before anything reaches a server.
    const wrongUse = error instanceof ConfigurationError || error instanceof InvalidArgumentError;
    return wrongUse ? EXIT.wrongUse : EXIT.failed;
  }
}

/** `help decode` is another way to say `decode --help`, and `import postgres://…` to say `import from postgres://…`. */
function withoutShortForms(args: readonly string[]): readonly string[] {
  if (args[0] === 'help') return [...args.slice(1), '--help'];
  if (args[0] === 'import' && /^postgres(ql)?:\/\//.test(args[1] ?? '')) return ['import', 'from', ...args.slice(1)];
  return args;
}
