// A mover to be killed: moves each shard given, all at once, and stands still where it is told to.
// node --import tsx mover-process.ts '{"setting":…,"to":"b","stops":[[2,"copy","begun"],…]}'
// Prints "stopped SHARD" for each; whoever started it kills it.
import process from 'node:process';
import { type MoveSetting, type MoveStep, moveShards, revertMoves, type StepPhase } from '../../src/cluster/index.ts';

const { setting, to, revert, stops } = JSON.parse(process.argv[2]!) as {
  setting: MoveSetting;
  to: string;
  revert?: boolean;
  stops: [number, MoveStep, StepPhase][];
};
process.on('unhandledRejection', () => {});
let standing = 0;
const others: (() => void)[] = [];
await Promise.all(
  stops.map(async ([shardId, step, phase]) => {
    // A pause has a bound: those that stand still inside one begin when the others stand.
    const inPause = (step === 'pause' && phase === 'acted') || (step === 'fence' && phase === 'begun');
    if (inPause && stops.length > 1) await new Promise<void>((resolve) => others.push(resolve));
    const options = {
      acceptStaleReads: true,
      wayBack: step !== 'cleanup' || revert === true,
      onStep: async (at: MoveStep, when: StepPhase) => {
        if (at !== step || when !== phase) return;
        process.stdout.write(`stopped ${shardId}\n`);
        standing += 1;
        if (standing === stops.length - others.length) for (const go of others) go();
        await new Promise(() => {});
      },
    };
    try {
      if (revert) await revertMoves(setting, { shards: [shardId] }, options);
      else await moveShards(setting, { shards: [shardId], to }, options);
      process.stdout.write(`ended ${shardId}\n`);
    } catch (error) {
      process.stdout.write(`failed ${shardId} ${step} ${phase}: ${(error as Error).message}\n`);
    }
  }),
);
