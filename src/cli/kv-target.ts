import { readFile } from 'node:fs/promises';
import { STATUS_CODES } from 'node:http';
import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { ServerUnavailableError, TimeoutError } from '../errors.ts';
import { type CommitJournal, CommitOrderingError, HttpCommitStorage, HttpStorageError, openKv } from '../kv/index.ts';
import { CommandFailed } from './command-failed.ts';
import { type CliContext, withConfig } from './context.ts';
import { EXIT } from './exit.ts';
import { UsageError } from './usage-error.ts';

/** Where the keys are. */
export interface KvTarget {
  readonly storage: CommitJournal<Buffer>;
  /** What stands before `/KEY/VERSION` when a commit is named to people. */
  readonly label: string;
  /** Whether a commit server answers, and not a database. */
  readonly remote: boolean;
  /** Who commits: `--author`, else who is logged in. */
  readonly author: string;
}

export interface KvTargetOptions {
  readonly url?: string;
  readonly config?: string;
  readonly table?: string;
  readonly author?: string;
  readonly ca?: string;
}

/** What every command that talks to keys understands. */
export function withTarget(command: Command): Command {
  return withConfig(command)
    .option('--url <url>', 'the commit server, e.g. http://127.0.0.1:8080/diary (or set HYPERVAULT_KV_URL)')
    .option('--ca <file>', 'trust the certificates in this PEM file, for https')
    .option('--table <name>', 'the namespace in the control database of --config, instead of a commit server')
    .option('--author <name>', 'who commits (default: the login name)');
}

/** A command of the group, with its action wrapped: it is given the target, which is closed at the end. */
export function onTarget<Args extends unknown[]>(
  command: Command,
  context: CliContext,
  action: (target: KvTarget, args: Args, options: Readonly<Record<string, unknown>>) => Promise<void>,
): void {
  withTarget(command).action(async (...all: unknown[]) => {
    // Commander passes the arguments, then the options, then the command.
    const args = all.slice(0, -2) as Args;
    const options = command.optsWithGlobals<KvTargetOptions & Record<string, unknown>>();
    const { target, close } = await openTarget(options, context);
    try {
      await action(target, args, options);
    } catch (error) {
      throw told(error, context, target);
    } finally {
      await close();
    }
  });
}

async function openTarget(
  options: KvTargetOptions,
  context: CliContext,
): Promise<{ target: KvTarget; close: () => Promise<void> }> {
  const { environment } = context;
  const author = options.author ?? loginName();
  const url = options.url ?? (options.config === undefined ? environment.HYPERVAULT_KV_URL : undefined);
  if (url !== undefined && url !== '') {
    const ca = options.ca === undefined ? undefined : await readFile(options.ca);
    const token = environment.HYPERVAULT_KV_TOKEN || undefined;
    const storage = new HttpCommitStorage({ url, ca, token });
    return { target: { storage, label: url.replace(/\/+$/, ''), remote: true, author }, close: async () => {} };
  }
  if (options.config === undefined && !environment.HYPERVAULT_CONFIG) {
    throw new UsageError('where are the keys? Say --url URL, or set HYPERVAULT_KV_URL; or --config FILE');
  }
  const configuration = await context.configuration(options);
  if (configuration.control === undefined) throw new UsageError('the configuration names no control database');
  const table = options.table ?? configuration.sections.get('kv')?.table;
  const kv = await openKv({
    connection: configuration.control,
    autoPublish: false,
    ...(table !== undefined && { table: String(table) }),
  });
  return { target: { storage: kv.journal, label: kv.keeper.table, remote: false, author }, close: () => kv.close() };
}

function loginName(): string {
  try {
    return userInfo().username;
  } catch {
    return '';
  }
}

/**
 * What a failure of the server looks like on the command line of pyrainer, which scripts may read: on standard output.
 * With `--json`, and for every other failure, as all commands tell it.
 */
function told(error: unknown, { output, signal }: CliContext, { remote }: KvTarget): unknown {
  if (signal.aborted) return new CommandFailed(EXIT.failed);
  if (!remote && error instanceof HttpStorageError && !output.json) {
    output.error(new Error('there is no such key, or it has no such version'));
    return new CommandFailed(EXIT.failed);
  }
  if (output.json || !remote) return error;
  if (error instanceof HttpStorageError) {
    output.plain(`HTTP Error ${error.status}: ${error.reason}\n${error.body}\n`);
  } else if (error instanceof CommitOrderingError) {
    const { key, expectedVersion, providedVersion } = error;
    output.plain(
      `HTTP Error 409: Conflict\n${JSON.stringify({ conflict: { key, expectedVersion, providedVersion } })}\n`,
    );
  } else if (error instanceof ServerUnavailableError || error instanceof TimeoutError) {
    output.plain(`ERROR: ${error.message}\n`);
  } else {
    return error;
  }
  return new CommandFailed(EXIT.failed);
}

/** The failure of asking for what is not there. */
export function notFound(): HttpStorageError {
  return new HttpStorageError(404, STATUS_CODES[404]!, 'Key not found');
}
