import { ConfigurationError } from '../errors.ts';
import { nearestName } from '../internal/known-keys.ts';

/** Steps from the root of a configuration to a value. */
export type Path = readonly (string | number)[];

/** Says where a value stands, for the head of a message: `hypervault.yaml:4: servers.eu1.port`. */
export type Locate = (path: Path) => string;

/** How values of an object are located: by their path alone. */
export const locateInObject: Locate = (path) => (path.length === 0 ? 'configuration' : path.join('.'));

/** Runs a check and puts the place in front of what it has to say. */
export function located<T>(locate: Locate, path: Path, check: () => T): T {
  try {
    return check();
  } catch (error) {
    // The class and its fields are kept: only the sentence grows.
    if (error instanceof ConfigurationError) error.message = `${locate(path)}: ${error.message}`;
    throw error;
  }
}

/** Refuses keys that are not known, at the line where they stand, with the nearest known name. */
export function checkKeys(value: object, known: readonly string[], locate: Locate, path: Path): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    const near = nearestName(key, known);
    const hint = near === undefined ? `known keys: ${known.join(', ')}` : `did you mean ${JSON.stringify(near)}?`;
    throw new ConfigurationError(`${locate([...path, key])}: unknown key ${JSON.stringify(key)}; ${hint}`);
  }
}

/** The value as an object with keys. */
export function objectAt(value: unknown, what: string, locate: Locate, path: Path): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new ConfigurationError(`${locate(path)}: must be ${what}`);
}
