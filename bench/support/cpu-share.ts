// Holds processes to a share of one processor, by the kernel's control groups (version 1 or 2).
import { access, constants, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Short, so that a process that has used its share up waits some milliseconds and not a tenth of a second. */
const PERIOD_US = 10_000;

const ROOTS = { 1: '/sys/fs/cgroup/cpu', 2: '/sys/fs/cgroup' } as const;

export interface CpuShare {
  /** Lets the group go; its processes have to be gone. */
  release(): Promise<void>;
}

/** Which version of control groups can hold processes here, or why none can. */
export async function cpuGroups(): Promise<{ version: 1 | 2 } | { why: string }> {
  if (process.platform !== 'linux') return { why: `control groups are Linux', this is ${process.platform}` };
  if (await isWritable(join(ROOTS[1], 'cgroup.procs'))) return { version: 1 };
  const handedDown = await readFile(join(ROOTS[2], 'cgroup.subtree_control'), 'utf8').catch(() => '');
  if (/\bcpu\b/.test(handedDown) && (await isWritable(join(ROOTS[2], 'cgroup.procs')))) return { version: 2 };
  return { why: `neither ${ROOTS[1]} nor ${ROOTS[2]} can be written to; run this as root on the machine itself` };
}

/** Holds a process, its children and those still to come to a share of one processor: 0.2 is a fifth. */
export async function holdToShare(
  version: 1 | 2,
  { pid, share, name }: { pid: number; share: number; name: string },
): Promise<CpuShare> {
  const group = join(ROOTS[version], name);
  const quota = String(Math.round(PERIOD_US * share));
  await mkdir(group);
  if (version === 1) {
    await writeFile(join(group, 'cpu.cfs_period_us'), String(PERIOD_US));
    await writeFile(join(group, 'cpu.cfs_quota_us'), quota);
    // What a group may use it shall get, also beside busy neighbours.
    await writeFile(join(group, 'cpu.shares'), '20480');
  } else {
    await writeFile(join(group, 'cpu.max'), `${quota} ${PERIOD_US}`);
    await writeFile(join(group, 'cpu.weight'), '2000');
  }
  for (const each of await family(pid)) await writeFile(join(group, 'cgroup.procs'), String(each)).catch(() => {});
  return { release: () => rmdir(group) };
}

/** A process and its children. */
async function family(parent: number): Promise<number[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
      return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]) === parent ? [Number(name)] : [];
    }),
  );
  return [parent, ...found.flat()];
}

async function isWritable(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => true,
    () => false,
  );
}
