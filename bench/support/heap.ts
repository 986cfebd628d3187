import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { rounded } from './result.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const MIB = 2 ** 20;

/** Heap that is alive at this moment, in MiB. */
export function liveHeapMb(): number {
  collect();
  return process.memoryUsage().heapUsed / MIB;
}

/** Runs a job and returns the most heap, garbage included, that was seen above its beginning, in MiB. */
export async function heapGrowthMb(job: () => Promise<unknown>): Promise<number> {
  const before = liveHeapMb();
  let most = 0;
  const look = (): void => {
    most = Math.max(most, process.memoryUsage().heapUsed / MIB - before);
  };
  const timer = setInterval(look, 5);
  await job();
  clearInterval(timer);
  look();
  return rounded(most);
}
