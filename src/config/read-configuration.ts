import { readFile } from 'node:fs/promises';
import { ConfigurationError } from '../errors.ts';
import { parseConfiguration } from './document.ts';
import type { Environment } from './environment.ts';
import { locateInObject } from './location.ts';
import { type ResolvedConfiguration, resolveConfiguration } from './resolve.ts';
import type { Configuration } from './shape.ts';

/**
 * Reads and checks a configuration. Connects to nothing.
 *
 * @param source - the path of a YAML or JSON file, or an object of the same shape
 * @param environment - what `${NAME}` in a file stands for; an object is taken as it is
 * @throws ConfigurationError with file, line and key
 */
export async function readConfiguration(
  source: string | URL | Configuration,
  environment: Environment,
): Promise<ResolvedConfiguration> {
  if (typeof source !== 'string' && !(source instanceof URL)) return resolveConfiguration(source, locateInObject);
  const file = String(source);
  let text: string;
  try {
    text = await readFile(source, 'utf8');
  } catch (cause) {
    throw new ConfigurationError(`the configuration file ${file} can't be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  const { value, locate } = parseConfiguration(text, file, environment);
  return resolveConfiguration(value, locate);
}
