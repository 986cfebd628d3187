import { spawn } from 'node:child_process';
import type { ExecuteContext, Notification } from '../listen/index.ts';
import { type Output, toJson } from './output.ts';

/** A command ended with another code than 0, or by a signal. */
export class CommandEndedBadly extends Error {
  override readonly name = 'CommandEndedBadly';
}

export interface RunCommandOptions {
  readonly command: string;
  readonly channel: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly output: Output;
}

/**
 * Runs a command of the shell for one wake-up: payloads on its standard input, one per line (with `--json` a line of
 * JSON for each, which also holds payloads of several lines), HYPERVAULT_CHANNEL and HYPERVAULT_REASON in its
 * environment.
 */
export function runCommand(
  { command, channel, environment, output }: RunCommandOptions,
  { notifications, reason, signal }: ExecuteContext,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-c', command], {
      env: { ...environment, HYPERVAULT_CHANNEL: channel, HYPERVAULT_REASON: reason },
      stdio: ['pipe', 'pipe', 'pipe'],
      signal,
      killSignal: 'SIGTERM',
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => output.plain(text));
    child.stderr.on('data', (chunk) => output.stderr.write(chunk));
    // A command that does not read its input closes it early; that is its own business.
    child.stdin.on('error', () => {});
    child.stdin.end(notifications.map((one) => `${output.json ? toJson(one) : one.payload}\n`).join(''));
    child.once('error', reject);
    child.once('close', (code, killedBy) => {
      if (code === 0) resolve();
      else reject(new CommandEndedBadly(`the command ended with ${killedBy ?? `exit code ${code}`}`));
    });
  });
}

/** One line for each notification. */
export function printNotifications(output: Output, notifications: readonly Notification[]): void {
  for (const notification of notifications) output.value(notification, ({ payload }) => payload);
}
