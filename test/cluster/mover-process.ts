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
// Inside a hand-over transactions are open, for a bounded time and in the way of new slots: those that stand still there
// go on behind the gate only when all the others stand or wait there too.
const isLate = ([, step, phase]: (typeof stops)[number]): boolean =>
  (step === 'pause' && phase === 'acted') || (step === 'fence' && phase === 'begun') || step === 'flip';
const late: (() => void)[] = [];
let standing = 0;
const goOn = (): void => {
  if (standing + late.length === stops.length) for (const go of late.splice(0)) go();
};
await Promise.all(
  stops.map(async (stop) => {
    const [shardId, step, phase] = stop;
    const options = {
      acceptStaleReads: true,
      wayBack: step !== 'cleanup' || revert === true,
      onStep: async (at: MoveStep, when: StepPhase) => {
        if (isLate(stop) && at === 'gate' && when === 'acted') {
          await new Promise<void>((resolve) => {
            late.push(resolve);
            goOn();
          });
        }
        if (at !== step || when !== phase) return;
        process.stdout.write(`stopped ${shardId}\n`);
        standing += 1;
        goOn();
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
