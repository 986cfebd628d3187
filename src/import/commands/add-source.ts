import { isLocked, lockSource, type SourceLock, underLock } from '../catalogue/lock.ts';
import { forgetSource } from '../catalogue/position-rows.ts';
import { deleteSource, getSource, insertSource, setFlags, setStatus } from '../catalogue/source-rows.ts';
import type { SourceConfig } from '../config/source-config.ts';
import { restoreKeys } from '../ddl/kept-keys.ts';
import { ReplicaStateError } from '../errors.ts';
import { dropSlotAndPublication } from '../postgres/publication.ts';
import { backSlot } from '../way-back/back-names.ts';
import { serversOf } from '../workers/load-tables.ts';
import { messageOf } from '../workers/message-of.ts';
import { type EngineContext, sourceConfig } from './context.ts';

/** Registers a source of the configuration. `added` is false when it is there already. */
export async function addSource(context: EngineContext, name: string): Promise<{ readonly added: boolean }> {
  const config = sourceConfig(context, name);
  const added = await context.control((client) =>
    insertSource(client, {
      name,
      kind: config.kind,
      mappings: config.schemaMappings,
      target: targetOf(context, config),
    }),
  );
  if (!added) context.log.warn(`the source ${name} is registered already`);
  return { added };
}

/** Where a source's rows go, for comparing with other sources. */
export function targetOf(context: EngineContext, config: SourceConfig): object {
  return config.routing === null
    ? { kind: 'schema', server: config.server ?? context.config.topology.control }
    : { kind: 'shards' };
}

/** Takes a source out of the catalogue; what was replicated stays. */
export async function dropSource(context: EngineContext, name: string): Promise<void> {
  const known = await context.control((client) => getSource(client, name));
  if (await context.control((client) => isLocked(client, known))) {
    throw new ReplicaStateError(`the source ${name} is ${known.status}; stop it first`);
  }
  const lock = await lockSource(context.servers, known);
  await underLock(lock, undefined, () => dropLocked(context, lock));
}

async function dropLocked(context: EngineContext, { source, under }: SourceLock): Promise<void> {
  const { name } = source;
  const config = context.config.sources.get(name);
  const servers = config === undefined ? context.servers.names : serversOf(context, config);
  for (const server of servers) {
    const keys = await context.servers.with(server, (client) => restoreKeys(client, source.key));
    for (const { table, name: key, reason } of keys)
      if (reason !== null) context.log.warn(`${name}: the foreign key ${key} of ${table}: ${reason}`);
  }
  for (const server of servers) await context.servers.with(server, (client) => forgetSource(client, source.key));
  if (config !== undefined) await forgetOnSource(context, config);
  // Of one that was switched every server keeps its log for the way back
  if (config?.kind === 'pgsql' && source.direction !== 'forward') {
    for (const server of servers)
      await context.servers.with(server, (client) => dropSlotAndPublication(client, backSlot(config)));
  }
  await under((client) => deleteSource(client, source));
}

/** Takes away what was made on the source: a slot that is left there keeps its log for ever. */
export async function forgetOnSource(context: EngineContext, config: SourceConfig): Promise<void> {
  if (config.kind !== 'pgsql') return;
  try {
    const reader = await context.openSource(config);
    await reader.forget?.().finally(() => reader.close());
  } catch (error) {
    context.log.warn(
      `${config.name}: the slot and publication ${config.replicationSlot} on the source could not be dropped; drop them by hand, the slot keeps its log: ${messageOf(error)}`,
    );
  }
}

/** Lets a source that ended in an error be started again. */
export async function enableReplica(context: EngineContext, name: string): Promise<void> {
  const source = await context.control((client) => getSource(client, name));
  if (await context.control((client) => isLocked(client, source))) {
    throw new ReplicaStateError(
      `the source ${name} is ${source.status} in another process; there is nothing to enable`,
    );
  }
  const lock = await lockSource(context.servers, source);
  await underLock(lock, undefined, () =>
    lock.under(async (client) => {
      await setFlags(client, source, { stopRequested: false, paused: false });
      await setStatus(client, source, 'stopped');
    }),
  );
}
