import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { type Configuration, readConfiguration } from '../../config/index.ts';
import { ConfigurationError } from '../../errors.ts';
import { type ImportConfig, isChameleon, resolveChameleon, resolveImportSection } from './import-config.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads a configuration: hypervault's with a section `import`, or pg_chameleon's. `import.file` of the former may name
 * one of the latter, relative to it; what stands in the section itself wins.
 *
 * @param source - the path of a YAML file, or an object of the same shape
 * @throws ConfigurationError naming the file and the key
 */
export async function readImportConfig(source: string | object, environment: Environment = {}): Promise<ImportConfig> {
  if (typeof source === 'string') {
    const value = await readYaml(source);
    if (isChameleon(value)) return resolveChameleon(substitute(value, source, environment));
  } else if (isChameleon(source)) {
    return resolveChameleon(source);
  }
  const configuration = await readConfiguration(source as string | Configuration, environment);
  const section = configuration.sections.get('import');
  if (section === undefined) {
    const where = configuration.locate([]);
    throw new ConfigurationError(
      `${where}: there is no section import; write import: { sources: … } or import: { file: FILE }`,
    );
  }
  const { file, ...own } = section;
  if (file === undefined) return resolveImportSection(own, configuration);
  if (typeof file !== 'string')
    throw new ConfigurationError(`${configuration.locate(['import', 'file'])}: must be a path`);
  const path = typeof source === 'string' ? resolve(dirname(source), file) : resolve(file);
  const included = substitute(await readYaml(path), path, environment) as object;
  return resolveImportSection({ ...included, ...own }, configuration);
}

async function readYaml(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new ConfigurationError(`the configuration file ${path} can't be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw new ConfigurationError(`${path}: ${(cause as Error).message}`, { cause });
  }
  if (typeof value !== 'object' || value === null) throw new ConfigurationError(`${path} is empty`);
  return value;
}

/** pg_chameleon knows no variables; a file of its may use them all the same. */
function substitute(value: unknown, path: string, environment: Environment): unknown {
  if (typeof value === 'string') {
    return value.replace(/\$\{([A-Za-z_]\w*)\}/g, (_, name: string) => {
      const found = environment[name];
      if (found === undefined) throw new ConfigurationError(`${path}: the environment variable ${name} is not set`);
      return found;
    });
  }
  if (Array.isArray(value)) return value.map((item) => substitute(item, path, environment));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, substitute(item, path, environment)]));
}
