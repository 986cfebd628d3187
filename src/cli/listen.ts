import type { ConnectionSettings } from '../core/index.ts';
import type { ErrorStrategy, ExecuteContext, Supervisor } from '../listen/index.ts';
import { CommonErrorStrategy, listen } from '../listen/index.ts';
import { wholeNumber } from './arguments.ts';
import { type CliContext, type DefineCommand, withConfig } from './context.ts';
import { CommandEndedBadly, printNotifications, type RunCommandOptions, runCommand } from './listen-exec.ts';
import { UsageError } from './usage-error.ts';

interface ListenCommandOptions {
  readonly config?: string;
  readonly server?: string;
  readonly url?: string;
  readonly exec?: string;
  readonly fireOnStart: boolean;
  readonly onFailure: string;
  readonly leader?: string;
  readonly count?: number;
}

const ON_FAILURE = ['retry', 'skip', 'stop'];

const EXAMPLES = `
Without --exec each payload is a line on standard output. With it the command is run for each wake-up, one at a time:
the payloads that came meanwhile are on its standard input, and at the start and after a lost connection there may be
none, for the command to look at what it may have missed (HYPERVAULT_REASON says why it runs).

Examples:
  hypervault listen jobs --url postgres://app@db1,db2/app
  hypervault listen jobs --exec 'xargs -n 1 ./work-off'`;

/** `hypervault listen CHANNEL`: notifications as lines, or as runs of a command. */
export const defineListen: DefineCommand = (command, context) => {
  withConfig(command)
    .argument('<channel>', 'the channel to listen on')
    .option('--exec <command>', 'run this command of the shell for each wake-up')
    .option('--server <name>', 'the server of the configuration (otherwise: control, or the only one)')
    .option('--url <url>', 'connect to this URL instead; it may name several hosts')
    .option('--no-fire-on-start', 'do not run the command before the first notification')
    .option('--on-failure <what>', 'when the command fails: retry, skip or stop', 'retry')
    .option('--leader <name>', 'run the command in one process at a time among those with this name')
    .option('--count <n>', 'end after so many notifications', wholeNumber('--count', 1))
    .addHelpText('after', EXAMPLES)
    .action((channel: string, options: ListenCommandOptions) => runListen(channel, options, context));
};

async function runListen(channel: string, options: ListenCommandOptions, context: CliContext): Promise<void> {
  const { exec, onFailure, fireOnStart, leader, count = Number.POSITIVE_INFINITY } = options;
  const { output, environment, signal } = context;
  if (!ON_FAILURE.includes(onFailure)) {
    throw new UsageError(`--on-failure: ${JSON.stringify(onFailure)} is not one of ${ON_FAILURE.join(', ')}`);
  }
  const connection = await connectionOf(options, context);
  const run = onFailure === 'skip' ? runAndPassOver : runCommand;
  let heard = 0;
  const supervisor = await listen({
    connection,
    channel,
    fireOnStart: fireOnStart && exec !== undefined,
    payloads: true,
    ...(leader !== undefined && { leader: { name: leader } }),
    errorStrategy: strategyFor(onFailure),
    execute: async (wakeUp) => {
      const notifications = wakeUp.notifications.slice(0, count - heard);
      if (exec === undefined) printNotifications(output, notifications);
      else await run({ command: exec, channel, environment, output }, { ...wakeUp, notifications });
      heard += notifications.length;
      if (heard >= count) void supervisor.terminate();
    },
  });
  tellStates(supervisor, context);
  const end = (): void => void supervisor.terminate();
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  try {
    await supervisor.join();
  } finally {
    signal.removeEventListener('abort', end);
  }
}

/** States are news for people; what goes wrong is always said. */
function tellStates(supervisor: Supervisor, { output }: CliContext): void {
  supervisor.on('state', ({ to, reason }) => output.note(`${to}: ${reason}`));
  supervisor.on('error', ({ error }) => output.warn(error instanceof Error ? error.message : String(error)));
}

/** A command that failed gets the same payloads again, or ends the program. */
function strategyFor(onFailure: string): ErrorStrategy {
  const common = new CommonErrorStrategy();
  return {
    handle: (error) => {
      if (!(error instanceof CommandEndedBadly)) return common.handle(error);
      const { message } = error;
      return onFailure === 'stop'
        ? { handled: false, action: 'terminate', message }
        : { handled: true, action: 'backoff', message };
    },
  };
}

/** Says that the command failed, and counts it as done. */
async function runAndPassOver(options: RunCommandOptions, context: ExecuteContext): Promise<void> {
  try {
    await runCommand(options, context);
  } catch (error) {
    if (!(error instanceof CommandEndedBadly)) throw error;
    options.output.warn(error.message);
  }
}

async function connectionOf(
  { url, server, config }: ListenCommandOptions,
  context: CliContext,
): Promise<ConnectionSettings> {
  if (url !== undefined) {
    if (server !== undefined) throw new UsageError('--url and --server: give one of them');
    return { connectionString: url };
  }
  const { servers, control } = await context.configuration({ config });
  if (server === undefined) {
    const only = servers.size === 1 ? [...servers.values()][0] : undefined;
    const settings = control ?? only;
    if (settings === undefined) throw new UsageError(`which server? Say --server ${[...servers.keys()].join(' | ')}`);
    return settings;
  }
  const settings = servers.get(server);
  if (settings === undefined) {
    throw new UsageError(`--server: there is no ${JSON.stringify(server)}; servers: ${[...servers.keys()].join(', ')}`);
  }
  return settings;
}
