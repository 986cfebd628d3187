import type { Command } from 'commander';
import { connect, type EventStore, type RecordedEvent } from '../streams/index.ts';
import { openVault } from '../vault.ts';
import { type CliContext, withConfig } from './context.ts';
import { UsageError } from './usage-error.ts';

/** A command of the group, with its action wrapped: it is given an event store, which is closed at the end. */
export function onStore<Args extends unknown[]>(
  command: Command,
  context: CliContext,
  action: (store: EventStore, args: Args, options: Readonly<Record<string, unknown>>) => Promise<void>,
): void {
  withConfig(command).action(async (...all: unknown[]) => {
    // Commander passes the arguments, then the options, then the command.
    const args = all.slice(0, -2) as Args;
    const options = command.optsWithGlobals<{ config?: string }>();
    await using vault = await openVault(await context.configuration(options), { only: [] });
    await using store = await connect({ datastore: vault.datastore });
    await action(store, args, options as Readonly<Record<string, unknown>>);
  });
}

/** One event on one line, for people. */
export function eventLine(event: RecordedEvent): string {
  const { stream, eventNumber, type, created } = event;
  const body = event.data.toString();
  return `${created.toISOString()}  ${stream} ${eventNumber}  ${type}  ${body.length > 200 ? `${body.slice(0, 200)}…` : body}`;
}

/** A number of an event as typed: decimal digits. @throws UsageError */
export function eventNumber(text: string): bigint {
  if (/^\d{1,18}$/.test(text)) return BigInt(text);
  throw new UsageError(`${JSON.stringify(text)} is not the number of an event`);
}

/** A count as typed. @throws UsageError */
export function count(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UsageError(`${JSON.stringify(text)} is not a whole number above 0`);
}
