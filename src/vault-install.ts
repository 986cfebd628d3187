import type { ResolvedConfiguration } from './config/index.ts';
import { type InstallOptions, type InstallResult, install, installControl } from './core/index.ts';
import { ConfigurationError } from './errors.ts';

export interface VaultInstallOptions
  extends Pick<InstallOptions, 'onProgress' | 'grantTo' | 'concurrency' | 'signal'> {}

export interface VaultInstallResult {
  /** What the servers have become; `undefined` when the configuration names no shards. */
  readonly shards: InstallResult | undefined;
  /** Whether the control database was made or brought up to date; `undefined` when the configuration names none. */
  readonly controlChanged: boolean | undefined;
}

/**
 * Installs all that a configuration names: servers, shards, control database. May be run again without harm.
 *
 * @throws what {@link install} and {@link installControl} throw
 */
export async function installVault(
  configuration: ResolvedConfiguration,
  { grantTo, signal, ...options }: VaultInstallOptions = {},
): Promise<VaultInstallResult> {
  const { connections, control, fixed, sections, locate } = configuration;
  if (connections === 'live') {
    throw new ConfigurationError(`${locate(['shards'])}: to install, name the ranges of the servers instead of live`);
  }
  // The others listen and lease; so what listen keeps is made with any of them.
  const modules = [...new Set(['core', 'listen', ...sections.keys()])];
  const controlChanged = control && (await installControl(control, { modules, grantTo, signal }));
  const shards = connections && (await install(connections, { ...options, ...fixed, modules, grantTo, signal }));
  return { shards, controlChanged };
}
