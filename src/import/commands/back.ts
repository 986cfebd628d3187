import { forgetSource } from '../catalogue/position-rows.ts';
import { deleteSource, refuseSwitched } from '../catalogue/source-rows.ts';
import { dropForeignKeys } from '../ddl/foreign-keys.ts';
import { ReplicaStateError } from '../errors.ts';
import { OLD_DATABASE } from '../way-back/back-names.ts';
import { oldDatabase } from '../way-back/old-database.ts';
import { closeWayBack, installOnSource } from '../way-back/open-way-back.ts';
import {
  bringBack,
  eachServer,
  moveSequencesOn,
  resumeForward,
  type SwitchOptions,
  setStopped,
  turn,
  withStopped,
} from '../way-back/switch-work.ts';
import { lockWrites, unlockWrites } from '../way-back/write-lock.ts';
import { serversOf } from '../workers/load-tables.ts';
import { forgetOnSource } from './add-source.ts';
import type { EngineContext } from './context.ts';

/**
 * Makes the source the place where rows live again: the target takes no more writes, its last changes are brought
 * over, and `start-replica` follows the source as before the switch. Takes a switch back that was cut off, and takes
 * away what a run of its own that was cut off has left.
 */
export async function back(
  context: EngineContext,
  name: string,
  options: SwitchOptions = {},
): Promise<{ readonly lockedMs: number }> {
  return withStopped(context, name, options, async (work) => {
    const { config, source } = work;
    if (source.direction === 'finishing') refuseSwitched(source);
    const old = oldDatabase(config);
    const startedAt = Date.now();
    try {
      await installOnSource(old);
      if (source.direction === 'reverse' || source.direction === 'returning') {
        await turn(work, 'returning');
        await eachServer(work, lockWrites);
        if (options.force !== true) await bringBack(work);
        await eachServer(work, dropForeignKeys);
        work.signal.throwIfAborted();
        await moveSequencesOn(work, old);
        // Nobody but us has written to the source up to here, so that nothing is skipped
        await resumeForward(work);
      } else await eachServer(work, dropForeignKeys);
      await turn(work, 'forward');
      await old.with(OLD_DATABASE, (client) => unlockWrites(client, Object.keys(config.schemaMappings)));
      const lockedMs = Date.now() - startedAt;
      await closeWayBack(work, old);
      await eachServer(work, (client, places) =>
        unlockWrites(client, [...new Set(places.map(({ schema }) => schema))]),
      );
      await setStopped(work);
      return { lockedMs };
    } finally {
      await old.close();
    }
  });
}

/**
 * Ends it: nothing flows back any more and the source is forgotten. Its tables keep taking no writes, so that whoever
 * still writes there notices.
 */
export async function finish(context: EngineContext, name: string, options: SwitchOptions = {}): Promise<void> {
  await withStopped(context, name, options, async (work) => {
    const { config, source } = work;
    if (source.direction !== 'reverse' && source.direction !== 'finishing') {
      throw new ReplicaStateError(`the source ${name} is not switched; run switch first, or detach-replica`);
    }
    const old = oldDatabase(config);
    try {
      // Cut off behind this, it has no way back to ask any more
      if (source.direction === 'reverse') {
        if (options.force !== true) await bringBack(work);
        await turn(work, 'finishing');
      }
      await closeWayBack(work, old);
    } finally {
      await old.close();
    }
    // What a switch that was cut off at its end has left
    await forgetOnSource(context, config);
    for (const server of serversOf(context, config)) {
      await context.servers.with(server, (client) => forgetSource(client, source.key));
    }
    await work.lock.under((client) => deleteSource(client, source));
  });
}
