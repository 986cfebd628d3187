import { applySchema } from '../../internal/migrations.ts';
import { isSubscribed } from '../subscription.ts';
import { disarm } from './arm.ts';
import { buildRest } from './build.ts';
import { cleanUpAfterMove, cleanUpOnSource } from './clean-up.ts';
import { assertNotStalled, copyRows, publishShard } from './copy.ts';
import { MovePreflightError, MoveStalledError, MoveStateError } from './errors.ts';
import { flipMap, isShut, ownerOf, prepareShard } from './flip.ts';
import { passGate } from './gate.ts';
import { setUsage } from './grants.ts';
import { enableSubscription } from './links.ts';
import { Marker } from './marker.ts';
import type { Moving, Passage } from './moving.ts';
import { Opening } from './opening.ts';
import { type Fenced, pauseAndFence } from './pause.ts';
import { preflight } from './preflight.ts';
import { earlierMoverEnded, lockShard } from './shard-lock.ts';
import { makeSkeleton } from './skeleton.ts';
import type { MoveStep } from './steps.ts';
import { assertSameStructure } from './structure.ts';
import { verifyCopies } from './verify-step.ts';
import { turnAround } from './way-back.ts';

/** Takes a shard to its new server, from wherever an earlier run has left it, up to the way back. */
export async function moveForward(moving: Moving): Promise<void> {
  const { schema, options } = moving;
  await hold(moving);
  if ((await isShut(moving.forward, schema)) === undefined) {
    const done = new Set((await moving.journal.steps(moving.row.id)).filter((row) => row.done).map((row) => row.step));
    const once = async (step: MoveStep, act: () => Promise<unknown>): Promise<void> => {
      if (!done.has(step)) await moving.step(step, act);
    };
    await moving.step('preflight', () => check(moving, done.size > 0));
    await moving.step('freeze', () => freeze(moving));
    await once('skeleton', () => makeSkeleton(moving));
    await once('publish', () => publishShard(moving));
    await once('copy', () => copyRows(moving));
    await once('build', () => buildRest(moving));
    await once('verify', () => verifyCopies(moving));
    await moving.step('gate', () => passGate(moving, moving.forward));
  } else {
    await freeze(moving);
  }
  await hand(moving, moving.forward);
  await moving.step('wayback', async () => {
    await turnAround(moving);
    await disarm(moving.target, moving.schema, { insist: false, signal: moving.signal });
  });
  await moving.journal.setState(moving.row.id, 'moved');
  if (!options.wayBack) await confirm(moving);
}

/** The move is confirmed: the old copy and all links go. */
export async function finish(moving: Moving): Promise<void> {
  await hold(moving);
  await confirm(moving);
}

async function confirm(moving: Moving): Promise<void> {
  await assertOwner(moving, moving.target.name);
  await moving.step('cleanup', () => cleanUpAfterMove(moving));
  await moving.journal.setState(moving.row.id, 'finished');
}

/** Takes a shard back to where it was, as long as the way back is kept. */
export async function moveBack(moving: Moving): Promise<void> {
  const { schema, source } = moving;
  await hold(moving);
  await freeze(moving);
  // Opened there: only the rest of the clean-up is missing.
  if ((await ownerOf(source, schema))?.server !== source.name) {
    if ((await isShut(moving.back, schema)) === undefined) {
      await assertWayBack(moving);
      await moving.journal.setState(moving.row.id, 'reverting');
      await moving.step('gate', () => passGate(moving, moving.back));
    }
    await hand(moving, moving.back);
  }
  await moving.step('cleanup', () => cleanUpOnSource(moving));
  await moving.journal.setState(moving.row.id, 'reverted');
}

/** The stream back is there, and can carry what was made since. */
async function assertWayBack(moving: Moving): Promise<void> {
  const { source, target, links, row } = moving;
  if (!(await isSubscribed(source.client, links.back))) {
    throw new MoveStateError(
      `move ${row.id}: the way back to ${source.name} is not kept; move the shard with hypervault move --finish and then --to ${source.name}`,
    );
  }
  await enableSubscription(source, links.back);
  await assertNotStalled(moving, { from: target, to: source, link: links.back });
  await assertSameStructure(moving);
}

/**
 * Undoes a move before its flip: the shard never left, and nothing of the copy stays. A way back that was begun is given
 * up: the shard stays where the move brought it.
 *
 * @throws MoveStateError past the point of no return
 */
export async function abandon(moving: Moving): Promise<void> {
  const { schema, row } = moving;
  const passage = row.state === 'reverting' ? moving.back : moving.forward;
  // First of all: the fence may be in the commit of a mover that has died.
  await hold(moving);
  const over = row.state === 'moved' || (await isShut(passage, schema)) !== undefined;
  if (over) {
    const how = row.state === 'moved' ? '--revert, or confirm it with --finish' : '--resume';
    throw new MoveStateError(
      `move ${row.id}: ${passage.to.name} has the shard already; go on with hypervault move ${how}`,
    );
  }
  await freeze(moving);
  if (row.state === 'reverting') {
    // Given already by the gate, for readers who would have been sent there.
    await setUsage(moving.source.client, schema, moving.objects.usage ?? [], false);
    await moving.journal.setState(row.id, 'moved');
    return;
  }
  await cleanUpOnSource(moving);
  await moving.journal.setState(row.id, 'aborted');
}

/** Pause, fence, flip, open. Between pause and open nothing is written into the journal: everybody waits. */
async function hand(moving: Moving, passage: Passage): Promise<void> {
  const { journal, row, schema } = moving;
  const entries: string[] = [];
  const shut = await isShut(passage, schema);
  for (const step of shut === undefined ? (['pause', 'fence', 'flip', 'open'] as const) : (['flip', 'open'] as const)) {
    entries.push(await journal.begin(row.id, step));
  }
  let fenced: Fenced | undefined;
  const opening = await Opening.on(passage.to, moving);
  if (shut === undefined) {
    await moving.reached('pause', 'begun');
    fenced = await pauseAndFence(moving, passage, opening);
    await moving.reached('fence', 'acted');
  } else {
    if ((await ownerOf(passage.to, schema))?.server !== passage.to.name) await lastRowsArrived(moving, passage);
    await opening.begin();
  }
  const partsMs: Record<string, number> = { ...fenced?.partsMs };
  const over = (part: string): void => {
    if (fenced !== undefined) partsMs[part] = Math.round(performance.now() - fenced.since);
  };
  let epoch: bigint;
  try {
    // Ready before anybody is sent there, and open behind that: no server ever claims a shard that the map gives to another,
    // and none gives out ids that the old one may have given.
    await prepareShard(moving, passage, opening, shut?.epoch ?? fenced!.map.document.epoch + 1n);
    over('prepared');
    await moving.reached('flip', 'begun');
    epoch = await flipMap(moving, passage, fenced?.map);
    over('flipped');
    await moving.reached('flip', 'acted');
    await moving.reached('open', 'begun');
    await opening.commit();
    over('opened');
  } catch (error) {
    await opening.rollback();
    throw error;
  }
  await moving.reached('open', 'acted');
  const pauseMs = fenced && performance.now() - fenced.since;
  await moving.reread();
  for (const entry of entries) await journal.done(entry, { epoch: epoch.toString(), pauseMs, partsMs });
  await assertOwner(moving, passage.to.name);
  moving.report('open', { pauseMs });
}

/** After a crash behind the fence: nobody writes any more, and what was written must be there before it is opened. */
async function lastRowsArrived(moving: Moving, { from, to, link }: Passage): Promise<void> {
  await enableSubscription(to, link);
  const marker = new Marker(moving.schema, from.client, to.client);
  if (await marker.arrived(await marker.write(), moving.options.pauseWithinMs, moving.signal)) return;
  throw new MoveStalledError(moving.shardId, `the last rows do not reach ${to.name} from ${from.name}`);
}

async function check(moving: Moving, resumed: boolean): Promise<void> {
  const { shardId, schema, source, target, options, journal } = moving;
  const holders = await journal.holdersOf(shardId);
  const problems = await preflight({ shardId, schema, source, target, options, resumed, holders });
  if (problems.length > 0) throw new MovePreflightError(shardId, problems);
}

/**
 * From here on no migration changes the shard: they take the same lock. And nothing is under way any more that an earlier
 * mover has begun: what the shard says from here on stays said.
 */
async function hold({ source, target, shardId, signal }: Moving): Promise<void> {
  for (const party of [source, target]) {
    await lockShard(party.client, 'shard', shardId, party.name, signal);
    await earlierMoverEnded(party, shardId, signal);
  }
}

/** The shard's structure is held already; the functions of moves are brought up to date. */
async function freeze({ source }: Moving): Promise<void> {
  await applySchema(source.client, { module: 'cluster', scope: 'server', schema: 'hypervault' });
}

/** One owner, and it is the one the journal says. */
async function assertOwner(moving: Moving, name: string): Promise<void> {
  const { source, target, schema } = moving;
  const [there, here] = await Promise.all([ownerOf(source, schema), ownerOf(target, schema)]);
  const owners = [there?.server === source.name && source.name, here?.server === target.name && target.name];
  const found = owners.filter((owner) => owner !== false);
  if (found.length === 1 && found[0] === name) return;
  throw new MoveStateError(
    `shard ${moving.shardId} should be owned by ${name} and is owned by ${found.join(' and ') || 'nobody'}; look with hypervault fsck`,
  );
}
