import { throwIfAborted } from '../../internal/sleep.ts';
import { serverAway } from '../atomic/janitor.ts';
import type { JanitorFinding } from '../finding.ts';
import { unsubscribe } from '../subscription.ts';
import { removeTraces } from './clean-up.ts';
import type { MoveRow } from './journal.ts';
import { dropSlots, unpublish } from './links.ts';
import { Mover } from './mover.ts';
import { type MoveSetting, resolveMoveOptions } from './options.ts';
import { type Party, Sessions } from './parties.ts';
import { dropCopy } from './skeleton.ts';
import { type Found, lookForTraces, notNeeded, type TraceKind } from './traces.ts';

/** Nothing may be sent to what is gone, and no slot may keep log for nobody: subscription, slot, publication, schema. */
const ORDER: readonly TraceKind[] = ['subscription', 'slot', 'publication', 'trace', 'copy'];

/**
 * Lists what moves have left on servers although no move that is open needs it, and with `remove` takes it away in the
 * order that is safe. Open moves are listed and left alone: they end by resume, abort, revert or finish. A copy goes only
 * when its own owner row, the map and the row of the shard's server all say that the shard is elsewhere.
 */
export async function janitor(
  setting: MoveSetting,
  { remove = false, signal }: { remove?: boolean | undefined; signal?: AbortSignal | undefined } = {},
): Promise<JanitorFinding[]> {
  return Mover.with(setting, resolveMoveOptions({ signal }), async (mover) => {
    const sessions = new Sessions(signal);
    try {
      const findings: JanitorFinding[] = [];
      const parties: Party[] = [];
      for (const name of mover.servers) {
        try {
          parties.push(await mover.party(sessions, name));
        } catch (error) {
          throwIfAborted(signal, 'the janitor');
          findings.push(serverAway(name, error));
        }
      }
      const seen = await lookForTraces(parties, parties.length === mover.servers.length);
      // Read behind the look: a move is in the journal before anything of it is on a server.
      const open = await mover.journal.list({ open: true });
      findings.unshift(...open.map(moveThatIsOpen));
      const found = await notNeeded(seen, parties, open, await mover.map());
      let stopped: string | undefined;
      for (const kind of ORDER) {
        let failed: string | undefined;
        for (const trace of found.filter((one) => one.kind === kind)) {
          const { party, name } = trace;
          const tried = remove && trace.kept === undefined && stopped === undefined;
          const failure = tried ? await removed(mover, trace, signal) : undefined;
          failed ??= failure && `left until ${party.name} is rid of the ${kind} ${name}`;
          findings.push({
            server: party.name,
            kind,
            name,
            kept: trace.kept ?? stopped ?? failure,
            removed: tried && failure === undefined,
            how: 'removed',
            failed: failure !== undefined,
          });
        }
        stopped ??= failed;
      }
      return findings;
    } finally {
      await sessions.close();
    }
  });
}

function moveThatIsOpen({ id, shardId, source, target, state }: MoveRow): JanitorFinding {
  return {
    server: target,
    kind: 'move',
    name: `move ${id} of shard ${shardId} from ${source}`,
    kept: state === 'moved' ? 'ends by --finish or --revert' : 'ends by --resume or --abort',
    removed: false,
    how: 'removed',
    failed: false,
  };
}

/** @returns why it could not be removed; one that fails hinders no other */
async function removed(mover: Mover, trace: Found, signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    const remove = (): Promise<void> => removeTrace(trace, signal);
    // Links belong to one move by their names; what is in a shard may be that of a move which has just begun.
    await (trace.shardId === undefined ? remove() : mover.unmoved(trace.shardId, remove));
    return undefined;
  } catch (error) {
    throwIfAborted(signal, 'the janitor');
    return error instanceof Error ? error.message : String(error);
  }
}

async function removeTrace({ kind, name, party }: Found, signal: AbortSignal | undefined): Promise<void> {
  switch (kind) {
    case 'subscription':
      return unsubscribe(party.client, name);
    case 'slot':
      return dropSlots(party.client, name, undefined, signal);
    case 'publication':
      return unpublish(party.client, name);
    case 'trace':
      return removeTraces(party, name, signal);
    case 'copy':
      return dropCopy(party.client, name, party.name);
  }
}
