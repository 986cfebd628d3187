import { Endpoint } from '../internal/endpoint/endpoint.ts';
import type { ConnectionSettings } from '../internal/endpoint/settings.ts';
import { applyModules, onServer } from './install-schemas.ts';

/** How the control database is installed. */
export interface InstallControlOptions {
  /** Whose SQL to apply, in this order; a module without any for the control database is passed over. */
  readonly modules: readonly string[];
  /** Roles that get the rights a program needs, and no more. @default [] */
  readonly grantTo?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes what modules keep in the control database, or brings it up to date. May be run again without harm.
 *
 * @returns whether anything changed
 * @throws ServerUnavailableError, AuthenticationError, ConfigurationError (no such database), SchemaError,
 *   PermissionError, AbortedError
 */
export async function installControl(
  control: ConnectionSettings,
  { modules, grantTo = [], signal = new AbortController().signal }: InstallControlOptions,
): Promise<boolean> {
  const endpoint = new Endpoint(control);
  try {
    const client = await endpoint.connect({ signal });
    try {
      return await applyModules(client, { modules, grantTo, signal }, 'control', 'hypervault', {});
    } finally {
      await client.end();
    }
  } catch (error) {
    throw onServer('control', error);
  } finally {
    await endpoint.close();
  }
}
