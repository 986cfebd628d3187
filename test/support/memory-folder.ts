import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { join } from 'node:path';

const FOLDER = '/dev/shm';
const MIN_BYTES = 6 * 1024 ** 3;

/**
 * A folder in memory for the data of the servers that tests start, if this machine has one that is large enough and lets
 * programs run. Hundreds of databases are made and dropped in a run, a thousand small files each: on a disk that is most
 * of the run's time. Killed servers find their data in it as on a disk; tests ask no more of it.
 */
export function memoryFolder(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const { bavail, bsize } = statfsSync(FOLDER);
    if (bavail * bsize < MIN_BYTES || freemem() < MIN_BYTES) return undefined;
    return letsProgramsRun() ? FOLDER : undefined;
  } catch {
    return undefined;
  }
}

/** Where the checkout is out of the reach of the servers' user, their programs are copied there too. */
function letsProgramsRun(): boolean {
  const folder = mkdtempSync(join(FOLDER, 'pg-hypervault-'));
  try {
    const program = join(folder, 'program');
    writeFileSync(program, '#!/bin/sh\nexit 0\n', { mode: 0o755 });
    return spawnSync(program).status === 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
