import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { EXAMPLE_CONFIGURATION } from '../config/example-configuration.ts';

/** What was made. */
export interface ConfigurationFiles {
  readonly folder: string;
  /** The example, which is this version's afterwards. Copy it before you change it. */
  readonly example: string;
  readonly written: boolean;
}

/**
 * Makes the folders for configuration, logs and process ids, for their owner alone, and writes an example configuration
 * unless the newest is there.
 *
 * @param options.folder - `~/.pg_hypervault` by default
 */
export async function setConfigurationFiles({
  folder = join(homedir(), '.pg_hypervault'),
}: {
  readonly folder?: string | undefined;
} = {}): Promise<ConfigurationFiles> {
  for (const name of ['configuration', 'logs', 'pid'])
    await mkdir(join(folder, name), { recursive: true, mode: 0o700 });
  const example = join(folder, 'configuration', 'config-example.yml');
  const there = await readFile(example, 'utf8').catch(() => null);
  const written = there !== EXAMPLE_CONFIGURATION;
  if (written) await writeFile(example, EXAMPLE_CONFIGURATION, { mode: 0o600 });
  return { folder, example, written };
}
