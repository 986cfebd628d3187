import { throwIfAborted } from '../../internal/sleep.ts';
import { unsubscribe } from '../subscription.ts';
import { removeTraces } from './clean-up.ts';
import { dropSlots, unpublish } from './links.ts';
import { Mover } from './mover.ts';
import { type MoveSetting, resolveMoveOptions } from './options.ts';
import { type Party, Sessions } from './parties.ts';
import { dropCopy } from './skeleton.ts';
import { type Found, findTraces, type TraceKind } from './traces.ts';

/** Something a move has left, or a move that is not over. */
export interface JanitorFinding {
  readonly server: string;
  readonly kind: TraceKind | 'move';
  readonly name: string;
  /** Why it is left alone, or what to do about it; `undefined` for what may be removed. */
  readonly kept: string | undefined;
  readonly removed: boolean;
}

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
      const open = await mover.journal.list({ open: true });
      const findings: JanitorFinding[] = open.map(({ id, shardId, source, target, state }) => ({
        server: target,
        kind: 'move',
        name: `move ${id} of shard ${shardId} from ${source}`,
        kept: state === 'moved' ? 'ends by --finish or --revert' : 'ends by --resume or --abort',
        removed: false,
      }));
      const parties: Party[] = [];
      for (const name of mover.servers) {
        try {
          parties.push(await mover.party(sessions, name));
        } catch (error) {
          throwIfAborted(signal, 'the janitor');
          findings.push({
            server: name,
            kind: 'move',
            name: 'not looked at',
            kept: (error as Error).message,
            removed: false,
          });
        }
      }
      const found = await findTraces(parties, open, await mover.map());
      for (const kind of ORDER) {
        for (const trace of found.filter((one) => one.kind === kind)) {
          if (remove && trace.kept === undefined) await removeTrace(trace, signal);
          const { party, name, kept } = trace;
          findings.push({ server: party.name, kind, name, kept, removed: remove && kept === undefined });
        }
      }
      return findings;
    } finally {
      await sessions.close();
    }
  });
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
