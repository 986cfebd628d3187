// How many ids a second does Key tell shard, sequence and time of, against taking them apart with bigint-buffer?
import { toBufferBE } from 'bigint-buffer/js';
import { DEFAULT_EPOCH, Key } from 'pg-hypervault/key';
import { cpuRate } from './support/cpu-rate.ts';
import type { Result } from './support/result.ts';

const COUNT = 1_000_000;
const IDS = Array.from({ length: 1_024 }, (_, index) => 307_821_103_844_175_873n + (BigInt(index) << 30n));
const TEXTS = IDS.map(String);

/** What the original tool did: eight bytes, and shifts on their halves. */
function byBuffer(id: bigint): number {
  const bytes = Buffer.from(toBufferBE(id, 8));
  const [high, low] = [bytes.readUInt32BE(0), bytes.readUInt32BE(4)];
  const created = new Date(high * 512 + (low >>> 23) + DEFAULT_EPOCH);
  return created.getTime() + ((low >>> 10) & 8_191) + (low & 1_023);
}

function whole(key: Key): number {
  return key.created.getTime() + key.shardId + key.addedId;
}

export async function run(): Promise<Result[]> {
  const unit = 'keys/s of processor time';
  const goal = 'at least 10 M lazily';
  return [
    {
      bench: 'key',
      case: 'bigint to shard',
      goal,
      unit,
      ours: cpuRate(COUNT, (index) => new Key(IDS[index & 1_023]!).shardId),
    },
    {
      bench: 'key',
      case: 'text to shard',
      unit,
      ours: cpuRate(COUNT, (index) => new Key(TEXTS[index & 1_023]!).shardId),
    },
    {
      bench: 'key',
      case: 'bigint to shard, sequence and time',
      unit,
      ours: cpuRate(COUNT, (index) => whole(new Key(IDS[index & 1_023]!))),
      rivals: { 'bigint-buffer': cpuRate(COUNT, (index) => byBuffer(IDS[index & 1_023]!)) },
    },
  ];
}
